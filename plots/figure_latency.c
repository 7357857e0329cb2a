/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figure_latency.c - milliseconds a token, stacked by component: one bar a trial and world (the
 * paper's Fig 1) */
#include "plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int is_shown(const struct result_row *row)
{
	return isfinite(row->total_ns_per_token);
}

static double ms(double ns)
{
	return isfinite(ns) ? ns / 1e6 : 0;
}

/* Copy 'from' without the "policy." of its paths: a label has little room. */
static void shorten(char *to, size_t size, const char *from)
{
	static const char prefix[] = "policy.";
	size_t used = 0;

	while (*from && used + 1 < size) {
		if (strncmp(from, prefix, sizeof(prefix) - 1) == 0)
			from += sizeof(prefix) - 1;
		else
			to[used++] = *from++;
	}
	to[used] = 0;
}

/* A bar's name: the policy, and what the trial sweeps where that is more than the policy. */
static void put_label(FILE *script, const struct result_row *row)
{
	char label[4 * RESULT_TEXT], trial[RESULT_TEXT];
	const char *policy = row->policy[0] ? row->policy : row->experiment;

	shorten(trial, sizeof(trial), row->trial);
	if (trial[0] && strncmp(trial, "policy=", 7) != 0)
		snprintf(label, sizeof(label), "%s %s, %s", policy, trial, row->world);
	else
		snprintf(label, sizeof(label), "%s, %s", policy, row->world);
	figure_put_text(script, label);
}

static void put_bar(FILE *script, const struct result_row *row)
{
	double parts = ms(row->io_wait_ns_per_token) + ms(row->mem_ns_per_token) +
		       ms(row->compute_ns_per_token);

	put_label(script, row);
	fprintf(script, " %.6g %.6g %.6g %.6g %.6g\n", ms(row->io_wait_ns_per_token),
		ms(row->mem_ns_per_token), ms(row->compute_ns_per_token),
		fmax(0, ms(row->total_ns_per_token) - parts), ms(row->total_ns_per_token));
}

static int is_first_of_trial(const struct result_row *rows, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (is_shown(&rows[j]) && strcmp(rows[j].trial_hash, rows[i].trial_hash) == 0)
			return 0;
	return 1;
}

/* A trial's worlds stand side by side, and a gap after them. */
static int latency_data(FILE *script, const struct result_row *rows, size_t count, struct err *err)
{
	size_t shown = 0;

	fputs("$bars << EOD\n", script);
	for (size_t i = 0; i < count; i++) {
		if (!is_shown(&rows[i]) || !is_first_of_trial(rows, i))
			continue;
		if (shown)
			fputs("\"\" 0 0 0 0 NaN\n", script);
		for (size_t j = i; j < count; j++)
			if (is_shown(&rows[j]) &&
			    strcmp(rows[j].trial_hash, rows[i].trial_hash) == 0)
				put_bar(script, &rows[j]);
		shown++;
	}
	fputs("EOD\n", script);
	return shown ? 0 : err_set(err, ENODATA, "no row has a total_ns_per_token");
}

const struct figure_ops figure_latency = {
	.name = "latency",
	.help = "time a token by component, a bar for each trial and world",
	.width = 1300,
	.height = 640,
	.data = latency_data,
	.body = "set title \"Latency per token by component\".subject\n"
		"set ylabel \"ms per token\"\n"
		"set style data histogram\n"
		"set style histogram rowstacked\n"
		"set style fill solid 0.9 border rgb \"white\"\n"
		"set boxwidth 0.9\n"
		"set xtics rotate by -50 left font \",8\" scale 0\n"
		"set rmargin 12\n"
		"set key top right\n"
		"set yrange [0:*]\n"
		"set offsets 0, 0, graph 0.08, 0\n"
		"plot $bars using 2:xtic(1) title \"flash I/O (waited for)\" lc rgb \"#4477aa\", "
		"\\\n"
		"     '' using 3 title \"memory management\" lc rgb \"#ccbb44\", \\\n"
		"     '' using 4 title \"compute\" lc rgb \"#228833\", \\\n"
		"     '' using 5 title \"other\" lc rgb \"#bbbbbb\", \\\n"
		"     '' using 0:6:(sprintf($6 < 999.5 ? \"%.3g\" : \"%.0f\", $6)) with labels "
		"offset 0,0.7 font \",8\" "
		"notitle\n",
};
