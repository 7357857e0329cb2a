/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fit_points.c - points of a CSV, and the report of the forms that were fitted to them */
#include "fit_points.h"

#include "flash.h"
#include "json_out.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum column { COL_BYTES, COL_IN_FLIGHT, COL_RATE, COL_NOISE, COL__COUNT };
enum { LINE_BYTES = 1024, COLUMNS_MOST = 64 };

static const struct {
	const char *name;
	enum column column;
} headings[] = {
	{"read_bytes", COL_BYTES},  {"size_bytes", COL_BYTES}, {"in_flight", COL_IN_FLIGHT},
	{"iodepth", COL_IN_FLIGHT}, {"reads_per_s", COL_RATE}, {"iops", COL_RATE},
	{"noise_frac", COL_NOISE},
};

struct reading {
	const char *path;
	unsigned line, column_count;
	enum column columns[COLUMNS_MOST]; /* COL__COUNT: passed over */
	struct flash_point *points;
	size_t count;
};

/* ---- reading ---- */

/* Cut the next field off; NULL behind the last. */
static char *next_field(char **rest)
{
	char *field = *rest, *end;

	if (!field)
		return NULL;
	end = field + strcspn(field, ",\r\n");
	*rest = *end == ',' ? end + 1 : NULL;
	*end = '\0';
	field += strspn(field, " \t");
	for (end = field + strlen(field); end > field && (end[-1] == ' ' || end[-1] == '\t');)
		*--end = '\0';
	return field;
}

static enum column column_named(const char *name)
{
	for (size_t i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
		if (strcmp(headings[i].name, name) == 0)
			return headings[i].column;
	return COL__COUNT;
}

static int read_header(struct reading *r, char *line, struct err *err)
{
	bool seen[COL__COUNT + 1] = {false};

	for (char *field; (field = next_field(&line));) {
		enum column column = column_named(field);

		if (r->column_count == COLUMNS_MOST)
			return err_set(err, EINVAL, "%s:%u: more than %d columns", r->path, r->line,
				       COLUMNS_MOST);
		if (column != COL__COUNT && seen[column])
			return err_set(err, EINVAL, "%s:%u: column %s stands twice", r->path,
				       r->line, field);
		seen[column] = true;
		r->columns[r->column_count++] = column;
	}
	if (!seen[COL_BYTES] || !seen[COL_IN_FLIGHT] || !seen[COL_RATE])
		return err_set(err, EINVAL,
			       "%s:%u: wanted columns read_bytes, in_flight and reads_per_s in the "
			       "first line",
			       r->path, r->line);
	return 0;
}

static int read_number(double *to, const struct reading *r, const char *field, enum column column,
		       struct err *err)
{
	static const double most[COL__COUNT] = {1e12, 65536, 1e12, 10};
	static const char *const names[COL__COUNT] = {"read_bytes", "in_flight", "reads_per_s",
						      "noise_frac"};
	char *end;

	*to = strtod(field, &end);
	if (end == field || *end || !isfinite(*to))
		return err_set(err, EINVAL, "%s:%u: %s: got '%.40s', expected a number", r->path,
			       r->line, names[column], field);
	if (*to < 0 || *to > most[column] || (column != COL_NOISE && *to <= 0) ||
	    (column < COL_RATE && *to != floor(*to)))
		return err_set(err, EINVAL, "%s:%u: %s: got %g, expected a %s above 0 up to %g",
			       r->path, r->line, names[column], *to,
			       column < COL_RATE ? "whole number" : "number", most[column]);
	return 0;
}

static int read_point(struct reading *r, char *line, struct err *err)
{
	double values[COL__COUNT] = {0};
	unsigned at = 0;

	for (char *field; (field = next_field(&line)); at++) {
		if (at >= r->column_count)
			break;
		if (r->columns[at] != COL__COUNT &&
		    read_number(&values[r->columns[at]], r, field, r->columns[at], err))
			return err->code;
	}
	if (at != r->column_count || line)
		return err_set(err, EINVAL, "%s:%u: got %s%u columns, expected %u", r->path,
			       r->line, line ? "more than " : "", at, r->column_count);
	if (r->count == FIT_POINTS_MOST)
		return err_set(err, EINVAL, "%s:%u: more than %d points", r->path, r->line,
			       FIT_POINTS_MOST);
	r->points[r->count++] = (struct flash_point){
		.read_bytes = (uint64_t)values[COL_BYTES],
		.in_flight = (unsigned)values[COL_IN_FLIGHT],
		.reads_per_s = values[COL_RATE],
		.noise_frac = values[COL_NOISE],
	};
	return 0;
}

static int read_lines(struct reading *r, FILE *file, struct err *err)
{
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), file)) {
		r->line++;
		if (!strchr(line, '\n') && !feof(file))
			return err_set(err, EINVAL, "%s:%u: longer than %d bytes", r->path, r->line,
				       LINE_BYTES - 2);
		if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
			continue;
		if (r->column_count ? read_point(r, line, err) : read_header(r, line, err))
			return err->code;
	}
	if (ferror(file))
		return err_errno(err, "'%s'", r->path);
	if (!r->count)
		return err_set(err, EINVAL, "%s: no points", r->path);
	return 0;
}

int fit_points_read(struct flash_point **points, size_t *count, const char *path, struct err *err)
{
	struct reading r = {.path = path};
	FILE *file = fopen(path, "r");

	*points = NULL;
	*count = 0;
	if (!file)
		return err_errno(err, "'%s'", path);
	r.points = calloc(FIT_POINTS_MOST, sizeof(*r.points));
	if (!r.points)
		(void)!err_nomem(err, "points", FIT_POINTS_MOST * sizeof(*r.points));
	else
		(void)!read_lines(&r, file, err);
	(void)fclose(file);
	if (err->code) {
		free(r.points);
		return err->code;
	}
	*points = r.points;
	*count = r.count;
	return 0;
}

int fit_points_hold(struct flash_fit_options *options, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	struct err unit = {0};

	for (unsigned p = 0; equals && p < FLASH_FIT_PARAMS; p++) {
		const char *name = flash_fit_names[p];
		const struct param *row = param_find(&flash_table, name);

		if (strlen(name) != (size_t)(equals - text) ||
		    strncmp(name, text, strlen(name)) != 0)
			continue;
		if (unit_parse(&options->fixed[p], equals + 1, row->dim, &unit))
			return err_set(err, EINVAL, "--hold %s: %s", text, unit.msg);
		if (!(options->fixed[p] >= row->min && options->fixed[p] <= row->max &&
		      options->fixed[p] > 0))
			return err_set(err, EINVAL, "--hold %s: outside (%g, %g]", text, row->min,
				       row->max);
		return 0;
	}
	return err_set(err, EINVAL,
		       "--hold %s: wanted NAME=VALUE, NAME one of latency_ns, stream_bytes_per_s, "
		       "request_rate_per_s, peak_bytes_per_s, size_norm, knee",
		       text);
}

/* ---- reporting ---- */

static const char *percent(char text[16], double frac)
{
	if (isfinite(frac))
		snprintf(text, 16, "%.2f %%", frac * 100);
	else
		snprintf(text, 16, "-");
	return text;
}

static void print_scores(FILE *out, const struct flash_choice *choice)
{
	char a[16], b[16], c[16], d[16];

	fprintf(out, "  %-10s %6s %9s %10s %14s %10s %14s\n", "form", "params", "AICc", "in sample",
		"sizes left out", "corrected", "sizes left out");
	for (unsigned i = 0; i < FLASH_FORMS; i++) {
		const struct flash_form_score *score = &choice->scores[i];

		if (!score->fitted) {
			fprintf(out, "  %-10s no fit: %s\n", flash_forms[i].name, score->why);
			continue;
		}
		fprintf(out, "%c %-10s %6u %9.1f %10s %14s %10s %14s\n",
			i == choice->chosen ? '*' : ' ', flash_forms[i].name, score->fit.free_count,
			score->fit.aicc, percent(a, score->fit.error_frac),
			percent(b, score->fit.cv_error_frac),
			percent(c, score->fit.corrected_error_frac),
			percent(d, score->fit.corrected_cv_error_frac));
	}
}

static void print_params(FILE *out, const struct flash_fit *fit)
{
	for (unsigned p = 0; p < FLASH_FIT_PARAMS; p++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[p]);
		char value[32], low[32], high[32];
		double is;

		memcpy(&is, (const char *)&fit->flash + row->offset, sizeof(is));
		unit_human(value, sizeof(value), is, row->dim);
		unit_human(low, sizeof(low), fit->low[p], row->dim);
		unit_human(high, sizeof(high), fit->high[p], row->dim);
		if (fit->low[p] == fit->high[p])
			fprintf(out, "  %-20s %12s  held\n", row->name, value);
		else
			fprintf(out, "  %-20s %12s  [%s, %s]%s\n", row->name, value, low, high,
				fit->identified[p] ? "" : "  not identified");
	}
}

void fit_points_print(FILE *out, const struct flash_choice *choice)
{
	const struct flash_form *form = &flash_forms[choice->chosen];
	const struct flash_fit *fit = &choice->scores[choice->chosen].fit;
	char size[32];

	fprintf(out, "%zu points; errors are means of |predicted / measured - 1|\n",
		fit->point_count);
	print_scores(out, choice);
	fprintf(out, "* chosen: %s, %s%s\n", form->name, form->formula,
		fit->corrected ? ", with a correction table" : "");
	print_params(out, fit);
	fprintf(out, "  %u points weigh less than half (robust fit)\n", fit->outlier_count);
	fprintf(out, "  saturated by %.1f reads of 16 KiB in flight; half of peak at %s a read\n",
		flash_saturation_in_flight(&fit->flash, 16384),
		unit_human(size, sizeof(size), flash_half_bandwidth_bytes(&fit->flash), DIM_BYTES));
}

static void json_scores(struct json *json, const struct flash_choice *choice)
{
	json_put_list(json, "forms");
	for (unsigned i = 0; i < FLASH_FORMS; i++) {
		const struct flash_form_score *score = &choice->scores[i];

		json_put_object(json, NULL);
		json_put_text(json, "form", flash_forms[i].name);
		json_put_text(json, "formula", flash_forms[i].formula);
		json_put_flag(json, "fitted", score->fitted);
		if (score->fitted) {
			json_put_count(json, "free_count", score->fit.free_count);
			json_put_number(json, "aicc", score->fit.aicc);
			json_put_number(json, "error_frac", score->fit.error_frac);
			json_put_number(json, "left_out_error_frac", score->fit.cv_error_frac);
			json_put_number(json, "corrected_error_frac",
					score->fit.corrected_error_frac);
			json_put_number(json, "corrected_left_out_error_frac",
					score->fit.corrected_cv_error_frac);
		} else {
			json_put_text(json, "why", score->why);
		}
		json_put_end(json);
	}
	json_put_end(json);
}

void fit_points_json(struct json *json, const struct flash_choice *choice)
{
	const struct flash_fit *fit = &choice->scores[choice->chosen].fit;

	json_put_object(json, NULL);
	json_put_count(json, "point_count", fit->point_count);
	json_scores(json, choice);
	json_put_text(json, "chosen", flash_forms[choice->chosen].name);
	json_put_flag(json, "corrected", fit->corrected);
	json_put_count(json, "outlier_count", fit->outlier_count);
	json_put_list(json, "parameters");
	for (unsigned p = 0; p < FLASH_FIT_PARAMS; p++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[p]);
		double value;

		memcpy(&value, (const char *)&fit->flash + row->offset, sizeof(value));
		json_put_object(json, NULL);
		json_put_text(json, "name", row->name);
		json_put_number(json, "value", value);
		json_put_number(json, "low", fit->low[p]);
		json_put_number(json, "high", fit->high[p]);
		json_put_flag(json, "held", fit->low[p] == fit->high[p]);
		json_put_flag(json, "identified", fit->identified[p]);
		json_put_end(json);
	}
	json_put_end(json);
	json_put_end(json);
}
