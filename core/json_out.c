/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_out.c - objects, lists and values, each with the comma before it */
#include "json_out.h"

#include "number.h"
#include "plain_text.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- text -------------------------------------------------------------------------------------
 */

static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text), taken;

	fputc('"', out);
	for (; left > 0; at += taken, left -= taken) {
		size_t length = utf8_length(at, left);

		taken = length ? length : 1;
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else if (length == 2 && at[0] == 0xc2 && at[1] < 0xa0)
			fprintf(out, "\\u%04x", at[1]); /* terminals obey these, too */
		else if (length)
			fwrite(at, 1, length, out);
		else
			fputs("\\ufffd", out);
	}
	fputc('"', out);
}

/* ---- places -----------------------------------------------------------------------------------
 */

/* What stands before a value: a comma after another, its key. */
static void place(struct json *json, const char *key, bool on_own_line)
{
	bool in_list = json->depth && json->is_list[json->depth - 1];

	assert(json->depth == 0 || in_list == !key);
	if (json->has_items[json->depth])
		fputc(',', json->out);
	json->has_items[json->depth] = true;
	if (in_list && on_own_line)
		fputc('\n', json->out);
	if (!key)
		return;
	put_text(json->out, key);
	fputc(':', json->out);
}

static void open_level(struct json *json, const char *key, bool is_list)
{
	place(json, key, true);
	assert(json->depth < JSON_DEPTH_MAX);
	fputc(is_list ? '[' : '{', json->out);
	json->is_list[json->depth++] = is_list;
	json->has_items[json->depth] = false;
}

void json_put_object(struct json *json, const char *key)
{
	open_level(json, key, false);
}

void json_put_list(struct json *json, const char *key)
{
	open_level(json, key, true);
}

void json_put_end(struct json *json)
{
	assert(json->depth);
	fputc(json->is_list[--json->depth] ? ']' : '}', json->out);
	if (json->depth)
		return;
	fputc('\n', json->out);
	json->has_items[0] = false; /* another whole may follow, a line each */
}

/* ---- values -----------------------------------------------------------------------------------
 */

void json_put_text(struct json *json, const char *key, const char *text)
{
	place(json, key, false);
	put_text(json->out, text);
}

void json_put_number(struct json *json, const char *key, double value)
{
	char text[NUMBER_TEXT];

	place(json, key, false);
	if (!isfinite(value))
		snprintf(text, sizeof(text), "null");
	else if (value == floor(value) && fabs(value) < 0x1p53)
		snprintf(text, sizeof(text), "%.0f", value); /* 10 and not 1e+01 */
	else
		number_text(text, value);
	fputs(text, json->out);
}

void json_put_count(struct json *json, const char *key, uint64_t value)
{
	place(json, key, false);
	fprintf(json->out, "%" PRIu64, value);
}

void json_put_null(struct json *json, const char *key)
{
	place(json, key, false);
	fputs("null", json->out);
}

void json_put_flag(struct json *json, const char *key, bool value)
{
	place(json, key, false);
	fputs(value ? "true" : "false", json->out);
}
