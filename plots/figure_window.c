/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figure_window.c - what the window buys: time a token and share of FFN rows in DRAM over k (the
 * paper's Figs 4 and 7) */
#include "plot.h"
#include "sweep_group.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t put_world(FILE *script, const char *world, const struct sweep_group *group)
{
	size_t shown = 0;

	fprintf(script, "$%s << EOD\n", world);
	for (size_t i = 0; i < group->count; i++) {
		const struct result_row *row = group->rows[i];
		double spread = isfinite(row->spread_frac) ? row->spread_frac : 0;

		if (strcmp(row->world, world) != 0)
			continue;
		fprintf(script, "%llu %.6g %.6g %.6g %.6g\n",
			(unsigned long long)row->window_tokens, row->total_ns_per_token / 1e6,
			row->total_ns_per_token * spread / 1e6, row->resident_frac * 100,
			row->io_ns_per_token / 1e6);
		shown++;
	}
	if (!shown)
		fputs("NaN NaN NaN NaN NaN\n", script);
	fputs("EOD\n", script);
	return shown;
}

static int window_data(FILE *script, const struct result_row *rows, size_t count, struct err *err)
{
	struct sweep_group group;

	if (sweep_group_find(&group, rows, count, false, err))
		return err->code;
	if (group.count < 2)
		err_set(err, ENODATA,
			"fewer than two rows with residency window that differ in k only");
	put_world(script, "sim", &group);
	put_world(script, "real", &group);
	free(group.rows);
	return err->code;
}

const struct figure_ops figure_window = {
	.name = "window",
	.help = "time a token and resident share over the window k",
	.width = 820,
	.height = 560,
	.data = window_data,
	.body = "set title \"Sliding window: latency and resident share\".subject\n"
		"set xlabel \"window k, tokens\"\n"
		"set ylabel \"ms per token\"\n"
		"set y2label \"FFN rows in DRAM, %\"\n"
		"set yrange [0:*]\n"
		"set y2range [0:*]\n"
		"set y2tics\n"
		"set border 11\n"
		"set xtics 1\n"
		"set offsets 0, 0, graph 0.12, 0\n"
		"set xrange [*<0.7:*]\n"
		"set key top center horizontal\n"
		"plot $sim using 1:2 with linespoints ls 1 title \"predicted total\", \\\n"
		"     $sim using 1:5 with lines ls 1 dt 2 title \"predicted I/O\", \\\n"
		"     $real using 1:2:3 with yerrorbars ls 2 title \"measured total\", \\\n"
		"     $sim using 1:4 axes x1y2 with linespoints ls 7 title \"resident share\"\n",
};
