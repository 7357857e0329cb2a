/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_plot.c - `plot`: figures again from stored rows */
#include "cli.h"

#include "plot.h"

#include <stdio.h>

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

/* On standard output whatever comes of it, so that a failed figure is told with the drawn ones. */
static int plot_json(const char *dir, char *const *names, size_t count, struct err *err)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "dir", dir);
	json_put_list(&json, "figures");
	(void)!draw_figures(dir, names, count, &json, err);
	json_put_end(&json);
	json_put_end(&json);
	return err->code;
}

static int plot(const struct arg_list *operands, bool as_json, struct err *err)
{
	const char *dir = operands->items[0];
	char *names[FIGURES_MOST], **wanted = operands->count > 1 ? names : NULL;

	for (size_t i = 1; i < operands->count; i++)
		names[i - 1] = (char *)operands->items[i];
	if (as_json)
		return plot_json(dir, wanted, operands->count - 1, err);
	if (!draw_figures(dir, wanted, operands->count - 1, NULL, err))
		printf("figures in %s/figures/\n", dir);
	return err->code;
}

int verb_plot(int argc, char **argv, struct err *err)
{
	bool json = false;
	char about[2048];
	const struct opt opts[] = {
		{"json", 0, OPT_FLAG, &json, NULL, "what was drawn, and what not, as JSON", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "plot DIR [FIGURE...] [OPTIONS]",
		.about = about,
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1 + FIGURES_MOST,
	};
	struct args args;

	list_figures(about, sizeof(about));
	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!plot(&args.operands, json, err);
	args_fini(&args, &spec);
	return err->code;
}
