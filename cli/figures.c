/* SPDX-License-Identifier: GPL-3.0-or-later */
/* figures.c - draws figures from the rows of a store, a set for each device; a failed figure loses
 * nothing */
#include "cli.h"

#include "plain_text.h"
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

struct drawing {
	const char *dir;
	const struct result_row *rows;
	size_t count;
	struct result_row *picked; /* room for them all */
	struct json *report;	   /* an open list, or NULL */
	size_t drawn, failed;
};

static void report_figure(struct json *json, const struct drawing *drawing,
			  const struct figure_ops *figure, const char *label, const struct err *why)
{
	static const char *const endings[] = {"png", "svg", "gp"};
	char name[FIGURE_FILE_TEXT], path[PATH_MAX];

	json_put_object(json, NULL);
	json_put_text(json, "figure", figure->name);
	json_put_text(json, "device", drawing->picked[0].device);
	json_put_flag(json, "drawn", !why->code);
	if (why->code) {
		json_put_flag(json, "failed", why->code != ENODATA);
		json_put_text(json, "why", why->msg);
	} else {
		json_put_list(json, "files");
		for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
			snprintf(path, sizeof(path), "%s/figures/%s.%s", drawing->dir,
				 figure_file(name, figure, label), endings[i]);
			json_put_text(json, NULL, path);
		}
		json_put_end(json);
	}
	json_put_end(json);
}

static void draw_for_device(struct drawing *drawing, const struct figure_ops *figure,
			    const char *device, const char *label)
{
	size_t found = rows_of_device(drawing->picked, device, drawing->rows, drawing->count);
	struct err why = {0};

	if (!figure_draw(figure, drawing->dir, label, drawing->picked, found, &why)) {
		drawing->drawn++;
	} else {
		fprintf(stderr, "flashcast: %s", why.code == ENODATA ? "left out: " : "");
		plain_write(stderr, why.msg);
		fputc('\n', stderr);
		drawing->failed += why.code != ENODATA;
	}
	if (drawing->report)
		report_figure(drawing->report, drawing, figure, label, &why);
}

/* Rows of different devices never share a picture: each has its own set, labelled where there are
 * several. */
static void draw_figure(struct drawing *drawing, const struct figure_ops *figure)
{
	size_t devices = device_count(drawing->rows, drawing->count);

	for (size_t i = 0; i < drawing->count; i++) {
		const char *device = drawing->rows[i].device;

		if (is_first_of_device(drawing->rows, i))
			draw_for_device(drawing, figure, device, devices > 1 ? device : "");
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

int draw_figures(const char *dir, char *const *names, size_t count, struct json *report,
		 struct err *err)
{
	struct drawing drawing = {.dir = dir, .report = report};
	struct results *results = NULL;
	struct result_row *rows = NULL;

	if (check_names(names, count, err) || store_wanted(dir, err) ||
	    results_open(&results, dir, err) || results_all(results, &rows, &drawing.count, err))
		goto out;
	drawing.rows = rows;
	drawing.picked = malloc((drawing.count + 1) * sizeof(*drawing.picked));
	if (!drawing.picked) {
		err_nomem(err, "rows to draw", drawing.count * sizeof(*drawing.picked));
		goto out;
	}
	for (size_t i = 0; names ? i < count : figure_at(i) != NULL; i++)
		draw_figure(&drawing, names ? figure_find(names[i]) : figure_at(i));
	if (drawing.failed)
		err_set(err, EIO, "%zu of %zu figures failed; the rows in '%s' are whole",
			drawing.failed, drawing.failed + drawing.drawn, dir);
	else if (!drawing.drawn)
		err_set(err, ENODATA, "'%s' holds no rows that these figures could show", dir);
out:
	results_close(results);
	free(drawing.picked);
	free(rows);
	return err->code;
}
