/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figure_predicted_vs_measured.c - every trial that ran in both worlds: predicted over measured
 * time, with error bars
 *
 * Horizontal bars: the 95 % interval of the measurement's mean over repeats; vertical: the
 * prediction's own uncertainty (both are spread_frac of their rows).  Grey: +-10 %. */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

struct series {
	const char *block, *title;
	size_t offset;
};
static const struct series series[] = {
	{"total", "total", offsetof(struct result_row, total_ns_per_token)},
	{"io", "flash I/O", offsetof(struct result_row, io_ns_per_token)},
	{"mem", "memory management", offsetof(struct result_row, mem_ns_per_token)},
	{"compute", "compute", offsetof(struct result_row, compute_ns_per_token)},
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

static double spread(const struct result_row *row)
{
	return isfinite(row->spread_frac) ? row->spread_frac : 0;
}

struct span {
	double low, high;
};

static void widen(struct span *span, double value)
{
	span->low = fmin(span->low, value);
	span->high = fmax(span->high, value);
}

static size_t put_series(FILE *script, struct span *span, const struct series *s,
			 const struct result_row *rows, size_t count)
{
	size_t shown = 0;

	fprintf(script, "$%s << EOD\n", s->block);
	for (size_t i = 0; i < count; i++) {
		const struct result_row *sim;
		double x, y;

		if (strcmp(rows[i].world, "real") != 0 || !(sim = pair_of(&rows[i], rows, count)))
			continue;
		x = value_ms(&rows[i], s->offset);
		y = value_ms(sim, s->offset);
		if (!(x > 0) || !(y > 0))
			continue; /* a component that is not there has no place on a logarithmic
				     axis */
		fprintf(script, "%.6g %.6g %.6g %.6g %.6g %.6g\n", x, y,
			x * (1 - fmin(spread(&rows[i]), 0.9)), x * (1 + spread(&rows[i])),
			y * (1 - fmin(spread(sim), 0.9)), y * (1 + spread(sim)));
		widen(span, x);
		widen(span, y);
		shown++;
	}
	/* gnuplot stops at an empty block: a point outside the axes stands for "none". */
	if (!shown)
		fputs("NaN NaN NaN NaN NaN NaN\n", script);
	fputs("EOD\n", script);
	return shown;
}

static int scatter_data(FILE *script, const struct result_row *rows, size_t count, struct err *err)
{
	struct span span = {INFINITY, 0};
	size_t totals = put_series(script, &span, &series[0], rows, count);

	for (size_t i = 1; i < sizeof(series) / sizeof(series[0]); i++)
		put_series(script, &span, &series[i], rows, count);
	fprintf(script, "low = %.6g\nhigh = %.6g\n", span.low / 1.5, span.high * 1.5);
	if (totals)
		return 0;
	return err_set(err, ENODATA,
		       "no trial ran in both worlds (equal trial_hash in a sim and a real row)");
}

const struct figure_ops figure_predicted_vs_measured = {
	.name = "predicted-vs-measured",
	.help = "each trial's predicted time over its measured time, total and components",
	.width = 760,
	.height = 720,
	.data = scatter_data,
	.body = "set title \"Predicted against measured time per token\".subject\n"
		"set xlabel \"measured, ms per token\"\n"
		"set ylabel \"predicted, ms per token\"\n"
		"set logscale xy\n"
		"set format xy \"%g\"\n"
		"set grid xtics ytics lc rgb \"#e5e5e5\"\n"
		"set key top left Left reverse\n"
		"set size square\n"
		"set style fill transparent solid 0.25 noborder\n"
		"plot [low:high] [low:high] '+' using 1:($1*0.9):($1*1.1) with filledcurves lc rgb "
		"\"#bbbbbb\" "
		"title \"within 10 %\", \\\n"
		"     x with lines lc rgb \"#777777\" dt 2 notitle, \\\n"
		"     $io using 1:2:3:4:5:6 with xyerrorbars ls 1 ps 0.7 title \"flash I/O\", \\\n"
		"     $mem using 1:2:3:4:5:6 with xyerrorbars ls 4 ps 0.7 title \"memory "
		"management\", \\\n"
		"     $compute using 1:2:3:4:5:6 with xyerrorbars ls 3 ps 0.7 title \"compute\", "
		"\\\n"
		"     $total using 1:2:3:4:5:6 with xyerrorbars ls 2 ps 1 title \"total\"\n",
};
