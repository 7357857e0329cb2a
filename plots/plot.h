/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plot.h - result rows in, figure out, with the exact gnuplot script and its data beside it
 *
 * One file a figure (figure_<name>.c), one line in figures.h.  DIR/figures/<name>.gp is the script with its data inline;
 * `gnuplot <name>.gp` draws <name>.png and <name>.svg again.  A figure that fails (no gnuplot, no rows that it could show) is an error of that
 * figure alone; rows are never touched. */
#ifndef FLASH_PLOT_H
#define FLASH_PLOT_H

#include "results.h"

#include <stdio.h>

struct figure_ops {
	const char *name; /* as in YAML figures: and `plot DIR NAME` */
	const char *help;
	/* Write the script after the common head (terminals, style, palette). ENODATA when no row can be shown, saying what is missing. */
	int (*write)(FILE *script, const struct result_row *rows, size_t count, struct err *err);
};

#define FIGURE(id) extern const struct figure_ops figure_##id;
#include "figures.h"
#undef FIGURE

const struct figure_ops *figure_find(const char *name); /* or NULL */
/* Every figure's name, NULL-ended. */
const char *const *figure_names(void);

/* Draw one figure into DIR/figures/: script kept, gnuplot run through a pipe, PNG and SVG. ENOENT when gnuplot is not there (the script stays). */
MUST_CHECK int figure_draw(const struct figure_ops *figure, const char *dir,
			   const struct result_row *rows, size_t count, struct err *err);

#endif
