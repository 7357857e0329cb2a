/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plot.h - result rows in, figure out, with the exact gnuplot script and its data beside it
 *
 * One file a figure (figure_<name>.c), one line in figures.h.  DIR/figures/<name>.gp is the script
 * with its data inline; `gnuplot <name>.gp` draws <name>.png and <name>.svg again.  A figure that
 * fails (no gnuplot, no rows that it could show) is an error of that figure alone; rows are never
 * touched. */
#ifndef FLASH_PLOT_H
#define FLASH_PLOT_H

#include "results.h"

#include <stdio.h>

struct figure_ops {
	const char *name; /* as in YAML figures: and `plot DIR NAME` */
	const char *help;
	double width, height; /* pixels of the PNG */
	/* Data blocks ($name << EOD), in front. ENODATA when no row can be shown, saying what is
	 * missing. */
	int (*data)(FILE *script, const struct result_row *rows, size_t count, struct err *err);
	/* The commands that draw from them; they run once a terminal. 'subject' is a string for
	 * their titles: ": model on device". */
	const char *body;
};

#define FIGURE(id) extern const struct figure_ops figure_##id;
#include "figures.h"
#undef FIGURE

const struct figure_ops *figure_find(const char *name); /* or NULL; '_' is as good as '-' */
/* The i-th figure in the order of figures.h; NULL past the last. */
const struct figure_ops *figure_at(size_t i);
/* For figures: text as a double-quoted gnuplot string that cannot end early. */
void figure_put_text(FILE *script, const char *text);

enum { FIGURE_FILE_TEXT = 128 };
/* What its files are called, without their endings: <name>, or <name>.<label>. Returns 'name'. */
const char *figure_file(char name[FIGURE_FILE_TEXT], const struct figure_ops *figure,
			const char *label);

/* Draw one figure into DIR/figures/: script kept, gnuplot run through a pipe, PNG and SVG.  Files
 * are <name>.*, or <name>.<label>.* where 'label' is not empty (characters but letters, digits,
 * '-', '_', '.' become '_'). ENOENT when gnuplot is not there (the script stays). */
MUST_CHECK int figure_draw(const struct figure_ops *figure, const char *dir, const char *label,
			   const struct result_row *rows, size_t count, struct err *err);

#endif
