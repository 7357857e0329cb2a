/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep_group.c - finds the rows that differ in the swept axes only */
#include "sweep_group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The columns that must agree; numbers and texts alike are compared as CSV text. */
static const char *const fixed_columns[] = {
	"device",    "model",	     "weights", "demand",     "fn_frac",
	"fp_frac",   "persistence",  "layout",	"store",      "overlap",
	"in_flight", "compute_rows", "threads", "ctx_tokens", "tokens",
};

static bool agrees(const struct result_row *a, const struct result_row *b, const char *name)
{
	const struct result_column *column = result_column_find(name);
	char left[RESULT_TEXT], right[RESULT_TEXT];

	return strcmp(result_text(left, sizeof(left), a, column),
		      result_text(right, sizeof(right), b, column)) == 0;
}

static bool is_candidate(const struct result_row *row)
{
	return strcmp(row->residency, "window") == 0 && isfinite(row->total_ns_per_token);
}

static bool same_group(const struct result_row *a, const struct result_row *b, bool with_chunk)
{
	if (!is_candidate(a) || !is_candidate(b))
		return false;
	if (!with_chunk && a->chunk_bytes != b->chunk_bytes)
		return false;
	for (size_t i = 0; i < sizeof(fixed_columns) / sizeof(fixed_columns[0]); i++)
		if (!agrees(a, b, fixed_columns[i]))
			return false;
	return true;
}

static size_t group_size(const struct result_row *lead, const struct result_row *rows, size_t count,
			 bool with_chunk)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += same_group(lead, &rows[i], with_chunk);
	return size;
}

static int by_chunk_then_window(const void *left, const void *right)
{
	const struct result_row *a = *(const struct result_row *const *)left;
	const struct result_row *b = *(const struct result_row *const *)right;

	if (a->chunk_bytes != b->chunk_bytes)
		return a->chunk_bytes < b->chunk_bytes ? -1 : 1;
	if (a->window_tokens != b->window_tokens)
		return a->window_tokens < b->window_tokens ? -1 : 1;
	return strcmp(a->world, b->world);
}

int sweep_group_find(struct sweep_group *group, const struct result_row *rows, size_t count,
		     bool with_chunk, struct err *err)
{
	const struct result_row *lead = NULL;
	size_t best = 0;

	*group = (struct sweep_group){0};
	for (size_t i = 0; i < count; i++) {
		size_t size =
			is_candidate(&rows[i]) ? group_size(&rows[i], rows, count, with_chunk) : 0;

		if (size > best) {
			best = size;
			lead = &rows[i];
		}
	}
	if (!lead)
		return 0;
	group->rows = malloc(best * sizeof(struct result_row *));
	if (!group->rows)
		return err_nomem(err, "a group of rows", best * sizeof(struct result_row *));
	for (size_t i = 0; i < count; i++)
		if (same_group(lead, &rows[i], with_chunk))
			group->rows[group->count++] = &rows[i];
	qsort(group->rows, group->count, sizeof(struct result_row *), by_chunk_then_window);
	return 0;
}
