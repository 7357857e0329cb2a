/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figures.c - draws figures from the rows of a store; a failed figure loses nothing */
#include "cli.h"

#include "plot.h"

#include <errno.h>
#include <stdlib.h>

int draw_figures(const char *dir, char *const *names, size_t count, struct err *err)
{
	struct results *results = NULL;
	struct result_row *rows = NULL;
	size_t row_count = 0, failed = 0;

	if (results_open(&results, dir, err) || results_all(results, &rows, &row_count, err))
		goto out;
	for (size_t i = 0; i < count; i++) {
		const struct figure_ops *figure = figure_find(names[i]);
		struct err why = {0};

		if (!figure)
			err_set(&why, EINVAL,
				"figure '%s' is none that flashcast plot --help lists", names[i]);
		if (why.code || figure_draw(figure, dir, rows, row_count, &why)) {
			fprintf(stderr, "flashcast: %s\n", why.msg);
			failed++;
		}
	}
	if (failed)
		err_set(err, EIO, "%zu of %zu figures failed; the rows in '%s' are whole", failed,
			count, dir);
out:
	results_close(results);
	free(rows);
	return err->code;
}
