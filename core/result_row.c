/* SPDX-License-Identifier: GPL-3.0-or-later */
/* result_row.c - result rows and their columns, without any store */
#include "result_row.h"

#include "number.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

const struct result_column result_columns[] = {
#define COL_TEXT(name, help) {#name, COLUMN_TEXT, offsetof(struct result_row, name), help},
#define COL_U64(name, help)  {#name, COLUMN_U64, offsetof(struct result_row, name), help},
#define COL_F64(name, help)  {#name, COLUMN_F64, offsetof(struct result_row, name), help},
#include "result_columns.h"
#undef COL_TEXT
#undef COL_U64
#undef COL_F64
};

const size_t result_column_count = sizeof(result_columns) / sizeof(result_columns[0]);

const struct result_column *result_column_find(const char *name)
{
	for (size_t i = 0; i < result_column_count; i++)
		if (strcmp(result_columns[i].name, name) == 0)
			return &result_columns[i];
	return NULL;
}

const char *row_text(const struct result_row *row, const struct result_column *column)
{
	assert(column->type == COLUMN_TEXT);
	return (const char *)row + column->offset;
}

uint64_t row_u64(const struct result_row *row, const struct result_column *column)
{
	uint64_t value;

	assert(column->type == COLUMN_U64);
	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

double row_f64(const struct result_row *row, const struct result_column *column)
{
	double value;

	assert(column->type == COLUMN_F64);
	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

void result_row_init(struct result_row *row)
{
	const uint64_t none = COL_NONE;
	const double absent = (double)NAN;

	memset(row, 0, sizeof(*row));
	for (size_t i = 0; i < result_column_count; i++) {
		char *to = (char *)row + result_columns[i].offset;

		if (result_columns[i].type == COLUMN_U64)
			memcpy(to, &none, sizeof(none));
		else if (result_columns[i].type == COLUMN_F64)
			memcpy(to, &absent, sizeof(absent));
	}
}

char *result_text(char *text, size_t size, const struct result_row *row,
		  const struct result_column *column)
{
	char number[NUMBER_TEXT] = "";

	switch (column->type) {
	case COLUMN_TEXT:
		snprintf(text, size, "%s", row_text(row, column));
		return text;
	case COLUMN_U64:
		if (row_u64(row, column) != COL_NONE)
			snprintf(number, sizeof(number), "%" PRIu64, row_u64(row, column));
		break;
	case COLUMN_F64:
		if (!isnan(row_f64(row, column)))
			number_text(number, row_f64(row, column));
		break;
	}
	snprintf(text, size, "%s", number);
	return text;
}

double result_number(const struct result_row *row, const struct result_column *column)
{
	if (column->type == COLUMN_F64)
		return row_f64(row, column);
	if (column->type == COLUMN_U64 && row_u64(row, column) != COL_NONE)
		return (double)row_u64(row, column);
	return (double)NAN;
}
