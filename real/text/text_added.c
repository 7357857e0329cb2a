/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_added.c - added tokens */
#include "text_added.h"

#include "unicode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int added_add(struct text_added *added, const struct added_token *token, const char *where,
	      struct err *err)
{
	struct added_token *items;
	char *text;

	if (token->bytes == 0)
		return err_set(err, EBADMSG, "%s: added token of id %u is empty", where, token->id);
	items = text_room(added->items, added->count, 1, &added->room, sizeof(*items), err);
	if (!items)
		return err->code;
	added->items = items;
	text = malloc(token->bytes);
	if (!text)
		return err_nomem(err, "an added token", token->bytes);
	memcpy(text, token->text, token->bytes);
	items[added->count] = *token;
	items[added->count++].text = text;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const struct added_token *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->bytes < y->bytes ? x->bytes : y->bytes);

	return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

void added_finish(struct text_added *added)
{
	if (added->count > 0)
		qsort(added->items, added->count, sizeof(*added->items), by_text);
	for (size_t i = 0; i < added->count; i++)
		added->begins[added->items[i].normalized][(unsigned char)added->items[i].text[0]] =
			true;
}

void added_fini(struct text_added *added)
{
	for (size_t i = 0; i < added->count; i++)
		free(added->items[i].text);
	free(added->items);
	memset(added, 0, sizeof(*added));
}

/* The first item in [low, high) whose byte at 'depth' is 'byte' or more; all are longer than 'depth'. */
static size_t first_from(const struct text_added *added, size_t low, size_t high, size_t depth,
			 unsigned byte)
{
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((unsigned char)added->items[middle].text[depth] < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The longest token of a pass that the text begins with, or NULL.  Items are in order, so those that
 * share what was read so far stand together, the shortest first. */
static const struct added_token *longest(const struct text_added *added, unsigned pass,
					 const unsigned char *text, size_t bytes)
{
	const struct added_token *best = NULL;
	size_t low = 0, high = added->count;

	for (size_t depth = 0; depth < bytes && low < high; depth++) {
		low = first_from(added, low, high, depth, text[depth]);
		high = first_from(added, low, high, depth, text[depth] + 1U);
		if (low < high && added->items[low].bytes == depth + 1) {
			if (added->items[low].normalized == (pass == 1))
				best = &added->items[low];
			low++;
		}
	}
	return best;
}

static bool stands_alone(const unsigned char *text, size_t bytes, size_t from, size_t to)
{
	uint32_t point;

	if (utf8_take_back(text + from, from, &point) > 0 && unicode_is(&unicode_word, point))
		return false;
	return utf8_take(text + to, bytes - to, &point) == 0 || !unicode_is(&unicode_word, point);
}

static size_t strip_left(const unsigned char *text, size_t least, size_t from)
{
	uint32_t point;
	unsigned length;

	while (from > least && (length = utf8_take_back(text + from, from - least, &point)) > 0 &&
	       unicode_is_space(point))
		from -= length;
	return from;
}

static size_t strip_right(const unsigned char *text, size_t bytes, size_t to)
{
	uint32_t point;
	unsigned length;

	while ((length = utf8_take(text + to, bytes - to, &point)) > 0 && unicode_is_space(point))
		to += length;
	return to;
}

int added_split(const struct text_added *added, unsigned pass, const unsigned char *text,
		size_t bytes, struct text_spans *found, struct text_ids *ids, struct err *err)
{
	size_t told = 0, at = 0;

	while (at < bytes) {
		const struct added_token *token =
			added->begins[pass][text[at]] ? longest(added, pass, text + at, bytes - at)
						      : NULL;
		size_t from = at, to;

		if (!token) {
			at++;
			continue;
		}
		at = to = from + token->bytes;
		if (token->single_word && !stands_alone(text, bytes, from, to))
			continue;
		if (token->left_strip)
			from = strip_left(text, told < from ? told : from, from);
		if (token->right_strip)
			to = strip_right(text, bytes, to);
		if ((from > told && text_spans_add(found, told, from, false, err)) ||
		    text_spans_add(found, from, to, true, err) || text_ids_add(ids, token->id, err))
			return err->code;
		told = to;
	}
	return told < bytes ? text_spans_add(found, told, bytes, false, err) : 0;
}
