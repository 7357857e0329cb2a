/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figures.c - draws figures from the rows of a store, a set for each device; a failed figure loses
 * nothing */
#include "cli.h"

#include "plot.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows of one device go first, the others behind; returns how many. Keeps the order among them. */
static size_t rows_of_device(struct result_row *picked, const char *device,
			     const struct result_row *rows, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].device, device) == 0)
			picked[found++] = rows[i];
	return found;
}

static bool is_first_of_device(const struct result_row *rows, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(rows[j].device, rows[i].device) == 0)
			return false;
	return true;
}

static size_t device_count(const struct result_row *rows, size_t count)
{
	size_t devices = 0;

	for (size_t i = 0; i < count; i++)
		devices += is_first_of_device(rows, i);
	return devices;
}

struct tally {
	size_t drawn, failed;
};

/* Rows of different devices never share a picture: each has its own set, labelled where there are
 * several. */
static void draw_figure(struct tally *tally, const struct figure_ops *figure, const char *dir,
			struct result_row *picked, const struct result_row *rows, size_t count)
{
	size_t devices = device_count(rows, count);

	for (size_t i = 0; i < count; i++) {
		struct err why = {0};
		size_t found;

		if (!is_first_of_device(rows, i))
			continue;
		found = rows_of_device(picked, rows[i].device, rows, count);
		if (!figure_draw(figure, dir, devices > 1 ? rows[i].device : "", picked, found,
				 &why)) {
			tally->drawn++;
			continue;
		}
		fprintf(stderr, "flashcast: %s%s\n", why.code == ENODATA ? "left out: " : "",
			why.msg);
		tally->failed += why.code != ENODATA;
	}
}

int store_wanted(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/results.sqlite", dir);
	if (access(path, R_OK) != 0)
		return err_set(err, errno, "%s: cannot open: %s", path, strerror(errno));
	return 0;
}

static int check_names(char *const *names, size_t count, struct err *err)
{
	for (size_t i = 0; names && i < count; i++)
		if (!figure_find(names[i]))
			return err_set(err, EINVAL,
				       "figure '%s' is none that `flashcast plot --help` lists",
				       names[i]);
	return 0;
}

int draw_figures(const char *dir, char *const *names, size_t count, struct err *err)
{
	struct results *results = NULL;
	struct result_row *rows = NULL, *picked = NULL;
	struct tally tally = {0};
	size_t row_count = 0;

	if (check_names(names, count, err) || store_wanted(dir, err) ||
	    results_open(&results, dir, err) || results_all(results, &rows, &row_count, err))
		goto out;
	picked = malloc((row_count + 1) * sizeof(*picked));
	if (!picked) {
		err_nomem(err, "rows to draw", row_count * sizeof(*picked));
		goto out;
	}
	for (size_t i = 0; names ? i < count : figure_at(i) != NULL; i++) {
		const struct figure_ops *figure = names ? figure_find(names[i]) : figure_at(i);

		draw_figure(&tally, figure, dir, picked, rows, row_count);
	}
	if (tally.failed)
		err_set(err, EIO, "%zu of %zu figures failed; the rows in '%s' are whole",
			tally.failed, tally.failed + tally.drawn, dir);
	else if (!tally.drawn)
		err_set(err, ENODATA, "'%s' holds no rows that these figures could show", dir);
out:
	results_close(results);
	free(picked);
	free(rows);
	return err->code;
}
