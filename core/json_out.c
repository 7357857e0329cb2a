/* SPDX-License-Identifier: GPL-3.0-or-later */
/* json_out.c - objects, lists and values, each with the comma before it */
#include "json_out.h"

#include "number.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- text -------------------------------------------------------------------------------------
 */

/* Bytes of the UTF-8 character at 'text', 0 when it is none: no overlong form, no surrogate. */
static size_t utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, least, most; /* lead byte from .. to, then the second */
		size_t length;
	} forms[] = {
		{0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (forms[i].length > 1 && (text[1] < forms[i].least || text[1] > forms[i].most))
			return 0;
		for (size_t b = 2; b < forms[i].length; b++)
			if (text[b] < 0x80 || text[b] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', out);
	while (*at) {
		size_t length = utf8_length(at);

		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else if (length)
			fwrite(at, 1, length, out);
		else
			fputs("\\ufffd", out);
		at += length ? length : 1;
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
