/* SPDX-License-Identifier: GPL-3.0-or-later */
/* row_table.c - rows of one world as a table for people, when there is nothing to compare them with
 */
#include "cli.h"

#include <math.h>
#include <string.h>

enum { CELL_TEXT = 32, NAME_WIDTH_MIN = 12, NAME_WIDTH_MAX = 60 };

/* Three digits that matter, never an exponent; "-" for what was not counted. */
static const char *cell(char text[CELL_TEXT], double value)
{
	if (isnan(value))
		snprintf(text, CELL_TEXT, "-");
	else
		snprintf(text, CELL_TEXT, "%.*f",
			 fabs(value) >= 99.95	? 0
			 : fabs(value) >= 9.995 ? 1
						: 2,
			 value);
	return text;
}

static const char *name_of(const struct result_row *row)
{
	return row->trial[0] ? row->trial : row->policy;
}

static int name_width(const struct result_row *rows, size_t count)
{
	size_t width = NAME_WIDTH_MIN;

	for (size_t i = 0; i < count; i++) {
		if (strlen(name_of(&rows[i])) > width)
			width = strlen(name_of(&rows[i]));
	}
	return (int)(width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX);
}

static bool same_group(const struct result_row *a, const struct result_row *b)
{
	if (strcmp(a->experiment, b->experiment) != 0 || strcmp(a->model, b->model) != 0 ||
	    strcmp(a->device, b->device) != 0 || strcmp(a->world, b->world) != 0)
		return false;
	return strcmp(a->world, "real") != 0 || strcmp(a->target, b->target) == 0;
}

static void print_heading(FILE *out, const struct result_row *row, int width)
{
	bool is_real = strcmp(row->world, "real") == 0;

	fprintf(out, "\n%s: %s on %s, %s, ms a token\n", row->experiment, row->model,
		is_real ? row->target : row->device, is_real ? "measured" : "predicted");
	fprintf(out, "%-*s %8s %9s %8s %8s %8s %8s %8s\n", width, "policy", "DRAM MB", "read MB",
		"reads", "I/O", "memory", "compute", "total");
}

static void print_row(FILE *out, const struct result_row *row, int width)
{
	char dram[CELL_TEXT], bytes[CELL_TEXT], reads[CELL_TEXT], io[CELL_TEXT], mem[CELL_TEXT],
		compute[CELL_TEXT], total[CELL_TEXT];
	double dram_mb = row->dram_weights_bytes == COL_NONE
				 ? (double)NAN
				 : 1e-6 * (double)row->dram_weights_bytes;

	fprintf(out, "%-*.*s %8s %9s %8s %8s %8s %8s %8s\n", width, width, name_of(row),
		cell(dram, dram_mb), cell(bytes, 1e-6 * row->read_bytes_per_token),
		cell(reads, row->read_count_per_token), cell(io, 1e-6 * row->io_ns_per_token),
		cell(mem, 1e-6 * row->mem_ns_per_token),
		cell(compute, 1e-6 * row->compute_ns_per_token),
		cell(total, 1e-6 * row->total_ns_per_token));
}

void print_rows(FILE *out, const struct result_row *rows, size_t count)
{
	int width = name_width(rows, count);

	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !same_group(&rows[i - 1], &rows[i]))
			print_heading(out, &rows[i], width);
		print_row(out, &rows[i], width);
	}
	if (count)
		fputc('\n', out);
}

static void json_column(struct json *json, const struct result_row *row,
			const struct result_column *column)
{
	char text[RESULT_TEXT];

	if (column->type == COLUMN_TEXT)
		json_put_text(json, column->name, result_text(text, sizeof(text), row, column));
	else
		json_put_number(json, column->name, result_number(row, column));
}

void print_rows_json(FILE *out, const struct result_row *rows, size_t count)
{
	struct json json = {.out = out};

	json_put_list(&json, NULL);
	for (size_t i = 0; i < count; i++) {
		json_put_object(&json, NULL);
		for (size_t c = 0; c < result_column_count; c++)
			json_column(&json, &rows[i], &result_columns[c]);
		json_put_end(&json);
	}
	json_put_end(&json);
}
