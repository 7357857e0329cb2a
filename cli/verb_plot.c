/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_plot.c - `plot`: figures again from stored rows */
#include "cli.h"

#include "plot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURES_MOST = 64 };

static void list_figures(char *about, size_t size)
{
	size_t used = (size_t)snprintf(
		about, size,
		"Draws figures from the rows in DIR/results.sqlite into DIR/figures/ (PNG, SVG, "
		"and the gnuplot\n"
		"script); all of them when none is named, those that have no rows left out:\n");

	for (size_t i = 0; figure_at(i) && used < size; i++)
		used += (size_t)snprintf(about + used, size - used, "  %-22s %s\n",
					 figure_at(i)->name, figure_at(i)->help);
}

/* Nothing named: every figure; one that has no rows to show is told, and is no failure. */
static int draw_all(const char *dir, struct err *err)
{
	struct results *results = NULL;
	struct result_row *rows = NULL;
	size_t count = 0, drawn = 0;

	if (results_open(&results, dir, err) || results_all(results, &rows, &count, err))
		goto out;
	for (size_t i = 0; figure_at(i) && !err->code; i++) {
		struct err why = {0};

		if (!figure_draw(figure_at(i), dir, rows, count, &why))
			drawn++;
		else if (why.code == ENODATA)
			fprintf(stderr, "flashcast: left out: %s\n", why.msg);
		else
			*err = why;
	}
	if (!drawn && !err->code)
		err_set(err, ENODATA, "'%s' holds no rows that any figure could show", dir);
out:
	results_close(results);
	free(rows);
	return err->code;
}

int verb_plot(int argc, char **argv, struct err *err)
{
	char about[2048];
	const struct verb_spec spec = {
		.usage = "plot DIR [FIGURE...]",
		.about = about,
		.operands_least = 1,
		.operands_most = 1 + FIGURES_MOST,
	};
	struct args args;
	char *names[FIGURES_MOST];

	list_figures(about, sizeof(about));
	if (args_parse(&args, &spec, argc, argv, err) || args.helped)
		goto out;
	for (size_t i = 1; i < args.operands.count; i++)
		names[i - 1] = (char *)args.operands.items[i];
	if (args.operands.count == 1)
		(void)!draw_all(args.operands.items[0], err);
	else
		(void)!draw_figures(args.operands.items[0], names, args.operands.count - 1, err);
out:
	args_fini(&args, &spec);
	return err->code;
}
