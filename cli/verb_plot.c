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
	if (!draw_figures(args.operands.items[0], args.operands.count > 1 ? names : NULL,
			  args.operands.count - 1, err))
		printf("figures in %s/figures/\n", args.operands.items[0]);
out:
	args_fini(&args, &spec);
	return err->code;
}
