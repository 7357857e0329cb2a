/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figure_heatmap.c - window by chunk: time a token in both worlds, side by side on one scale */
#include "plot.h"
#include "sweep_group.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows come ordered by chunk: the chunk's place is how many different ones came before. */
static size_t put_world(FILE *script, const char *world, const struct sweep_group *group)
{
	size_t shown = 0, place = 0;

	fprintf(script, "$%s << EOD\n", world);
	for (size_t i = 0; i < group->count; i++) {
		const struct result_row *row = group->rows[i];

		if (i && row->chunk_bytes != group->rows[i - 1]->chunk_bytes)
			place++;
		if (strcmp(row->world, world) != 0)
			continue;
		fprintf(script, "%llu %zu %.6g \"%.4g KiB\"\n",
			(unsigned long long)row->window_tokens, place,
			row->total_ns_per_token / 1e6, (double)row->chunk_bytes / 1024);
		shown++;
	}
	/* An empty block would stop gnuplot: a cell outside the axes stands for "none". */
	if (!shown)
		fputs("-9 -9 1 \"\"\n", script);
	fprintf(script, "EOD\n%s_note = \"%s\"\n", world, shown ? "" : " (no rows)");
	return shown;
}

/* One colour scale and one pair of axes for both panels. */
static void put_range(FILE *script, const struct sweep_group *group)
{
	double low = INFINITY, high = 0;
	uint64_t windows = 1;
	size_t places = 1;

	if (!group->count)
		return;
	for (size_t i = 0; i < group->count; i++) {
		low = fmin(low, group->rows[i]->total_ns_per_token / 1e6);
		high = fmax(high, group->rows[i]->total_ns_per_token / 1e6);
		places += i && group->rows[i]->chunk_bytes != group->rows[i - 1]->chunk_bytes;
		if (group->rows[i]->window_tokens > windows)
			windows = group->rows[i]->window_tokens;
	}
	fprintf(script, "low = %.6g\nhigh = %.6g\n", low, high > low ? high : low + 1);
	fprintf(script, "windows = %llu\nchunks = %zu\n", (unsigned long long)windows, places);
}

static int heatmap_data(FILE *script, const struct result_row *rows, size_t count, struct err *err)
{
	struct sweep_group group;

	if (sweep_group_find(&group, rows, count, true, err))
		return err->code;
	if (group.count < 2 ||
	    group.rows[0]->chunk_bytes == group.rows[group.count - 1]->chunk_bytes)
		err_set(err, ENODATA, "no rows that differ in window and chunk only");
	put_world(script, "sim", &group);
	put_world(script, "real", &group);
	put_range(script, &group);
	free(group.rows);
	return err->code;
}

#define PANEL(block, title)                                                                        \
	"set title \"" title " ms per token\".subject." block "_note\n"                            \
	"plot $" block                                                                             \
	" using 1:2:(0.48):(0.48):3:ytic(4) with boxxyerror lc palette notitle, \\\n"              \
	"     $" block " using 1:2:(sprintf($3 < 999.5 ? \"%.3g\" : \"%.0f\", $3)) with labels "   \
	"font \",9\" notitle\n"

const struct figure_ops figure_heatmap = {
	.name = "heatmap",
	.help = "time a token over window and chunk, predicted and measured",
	.width = 1200,
	.height = 520,
	.data = heatmap_data,
	.body = "set cbrange [low:high]\n"
		"set palette defined (0 \"#f7fbff\", 0.5 \"#9ecae1\", 1 \"#4292c6\")\n"
		"set style fill solid 1 border rgb \"white\"\n"
		"set xlabel \"window k, tokens\"\n"
		"set ylabel \"chunk\"\n"
		"set xtics 1\n"
		"set xrange [0.4:windows+0.6]\n"
		"set yrange [-0.6:chunks-0.4]\n"
		"unset grid\n"
		"set multiplot layout 1,2\n" PANEL("sim", "Predicted")
			PANEL("real", "Measured") "unset multiplot\n",
};
