/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figure_predicted_vs_measured.c - every trial that ran in both worlds: predicted over measured
 * time, and their ratio, with error bars on both axes
 *
 * Bars: where each total lies 19 times of 20 (total_ns_low .. total_ns_high of its row: over the repeats of the
 * measurement, by the profile's own errors for the prediction).  A row without an interval has no bars, and nor
 * have components, whose intervals no row tells.  Grey: +-10 %. */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct series {
	const char *block;
	size_t offset;
};
static const struct series series[] = {
	{"io", offsetof(struct result_row, io_wait_ns_per_token)},
	{"mem", offsetof(struct result_row, mem_ns_per_token)},
	{"compute", offsetof(struct result_row, compute_ns_per_token)},
};

static double value_ms(const struct result_row *row, size_t offset)
{
	double ns;

	memcpy(&ns, (const char *)row + offset, sizeof(ns));
	return ns / 1e6;
}

static const struct result_row *pair_of(const struct result_row *real,
					const struct result_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].world, "sim") == 0 &&
		    strcmp(rows[i].trial_hash, real->trial_hash) == 0)
			return &rows[i];
	return NULL;
}

struct span {
	double low, high;
};

static void widen(struct span *span, double value)
{
	span->low = fmin(span->low, value);
	span->high = fmax(span->high, value);
}

/* Both values as points of a logarithmic axis, where there is no place for what is not there. */
static bool values_of(double *x, double *y, const struct result_row *real,
		      const struct result_row *rows, size_t count, size_t offset)
{
	const struct result_row *sim =
		strcmp(real->world, "real") == 0 ? pair_of(real, rows, count) : NULL;

	if (!sim)
		return false;
	*x = value_ms(real, offset);
	*y = value_ms(sim, offset);
	return *x > 0 && *y > 0;
}

static size_t put_component(FILE *script, struct span *span, const struct series *s,
			    const struct result_row *rows, size_t count)
{
	size_t shown = 0;
	double x, y;

	fprintf(script, "$%s << EOD\n", s->block);
	for (size_t i = 0; i < count; i++) {
		if (!values_of(&x, &y, &rows[i], rows, count, s->offset))
			continue;
		fprintf(script, "%.6g %.6g\n", x, y);
		widen(span, x);
		widen(span, y);
		shown++;
	}
	/* gnuplot stops at an empty block: a point outside the axes stands for "none". */
	if (!shown)
		fputs("NaN NaN\n", script);
	fputs("EOD\n", script);
	return shown;
}

/* An end of an interval, or the value itself; above zero, which has no place. */
static double end_ms(double end_ns, double value)
{
	return isfinite(end_ns) ? fmax(end_ns / 1e6, 0.1 * value) : value;
}

static size_t put_totals(FILE *script, struct span *span, const struct result_row *rows,
			 size_t count)
{
	size_t shown = 0;
	double x, y;

	fputs("$total << EOD\n", script);
	for (size_t i = 0; i < count; i++) {
		const struct result_row *real = &rows[i], *sim;

		if (!values_of(&x, &y, real, rows, count,
			       offsetof(struct result_row, total_ns_per_token)))
			continue;
		sim = pair_of(real, rows, count);
		fprintf(script, "%.6g %.6g %.6g %.6g %.6g %.6g\n", x, y,
			end_ms(real->total_ns_low, x), end_ms(real->total_ns_high, x),
			end_ms(sim->total_ns_low, y), end_ms(sim->total_ns_high, y));
		widen(span, x);
		widen(span, y);
		shown++;
	}
	fputs("EOD\n", script);
	return shown;
}

static int scatter_data(FILE *script, const struct result_row *rows, size_t count, struct err *err)
{
	struct span span = {INFINITY, 0}, totals = {INFINITY, 0};
	size_t shown = put_totals(script, &totals, rows, count);

	span = totals;
	for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++)
		put_component(script, &span, &series[i], rows, count);
	fprintf(script, "low = %.6g\nhigh = %.6g\n", span.low / 1.5, span.high * 1.5);
	fprintf(script, "least = %.6g\nmost = %.6g\ntrials = %zu\n", totals.low / 1.25,
		totals.high * 1.25, shown);
	if (shown)
		return 0;
	return err_set(err, ENODATA,
		       "no trial ran in both worlds (equal trial_hash in a sim and a real row)");
}

const struct figure_ops figure_predicted_vs_measured = {
	.name = "predicted-vs-measured",
	.help = "each trial's predicted time over its measured time, total and components",
	.width = 760,
	.height = 980,
	.data = scatter_data,
	.body = "set multiplot\n"
		"set logscale xy\n"
		"set format xy \"%g\"\n"
		"set xtics (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, "
		"5000, 10000)\n"
		"set ytics (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, "
		"5000, 10000)\n"
		"set grid xtics ytics lc rgb \"#e5e5e5\"\n"
		"set style fill transparent solid 0.25 noborder\n"
		"set bars 0\n"
		"set origin 0, 0.3\n"
		"set size 1, 0.7\n"
		"set lmargin 10\n"
		"set title \"Predicted against measured time per token\".subject\n"
		"set xlabel \"measured, ms per token\"\n"
		"set ylabel \"predicted, ms per token\"\n"
		"set key top left Left reverse\n"
		"plot [low:high] [low:high] '+' using 1:($1*0.9):($1*1.1) with filledcurves lc rgb "
		"\"#bbbbbb\" title \"within 10 %\", \\\n"
		"     x with lines lc rgb \"#777777\" dt 2 notitle, \\\n"
		"     $io using 1:2 with points ls 1 ps 0.6 title \"I/O wait\", \\\n"
		"     $mem using 1:2 with points ls 4 ps 0.6 title \"memory management\", \\\n"
		"     $compute using 1:2 with points ls 3 ps 0.6 title \"compute\", \\\n"
		"     $total using 1:2:3:4:5:6 with xyerrorbars ls 2 lw 1 ps 0.8 title "
		"sprintf(\"total (%d trials), 95 % intervals\", trials)\n"
		"unset logscale y\n"
		"unset title\n"
		"unset key\n"
		"set origin 0, 0\n"
		"set size 1, 0.3\n"
		"set ylabel \"predicted / measured\"\n"
		"set xlabel \"measured total, ms per token\"\n"
		"set ytics 0.1\n"
		"plot [least:most] [0.7:1.3] '+' using 1:(0.9):(1.1) with filledcurves lc rgb "
		"\"#bbbbbb\", \\\n"
		"     1 with lines lc rgb \"#777777\" dt 2, \\\n"
		"     $total using 1:($2/$1):3:4:($5/$1):($6/$1) with xyerrorbars ls 2 lw 1 ps "
		"0.8, \\\n"
		"     $total using 1:($2/$1 > 1.3 ? 1.285 : NaN) with points pt 9 lc rgb "
		"\"#ee6677\", \\\n"
		"     $total using 1:($2/$1 < 0.7 ? 0.715 : NaN) with points pt 11 lc rgb "
		"\"#ee6677\"\n"
		"unset multiplot\n",
};
