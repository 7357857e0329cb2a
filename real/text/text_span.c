/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_span.c - lists that grow: stretches of a text, ids, bytes */
#include "text_span.h"

#include <stdlib.h>
#include <string.h>

void *text_room(void *items, size_t count, size_t more, size_t *room, size_t each, struct err *err)
{
	size_t wanted, bytes;
	void *grown;

	if (more <= *room - count)
		return items;
	if (__builtin_add_overflow(count, more, &wanted) ||
	    __builtin_add_overflow(wanted, wanted / 2 + 16, &wanted) ||
	    __builtin_mul_overflow(wanted, each, &bytes)) {
		err_nomem(err, "a text", SIZE_MAX);
		return NULL;
	}
	grown = realloc(items, bytes);
	if (!grown) {
		err_nomem(err, "a text", bytes);
		return NULL;
	}
	*room = wanted;
	return grown;
}

int text_spans_add(struct text_spans *spans, size_t from, size_t to, bool hit, struct err *err)
{
	struct text_span *items =
		text_room(spans->items, spans->count, 1, &spans->room, sizeof(*items), err);

	if (!items)
		return err->code;
	spans->items = items;
	items[spans->count++] = (struct text_span){from, to, hit};
	return 0;
}

int text_bytes_add(struct text_bytes *bytes, const void *more, size_t count, struct err *err)
{
	unsigned char *at = text_room(bytes->at, bytes->used, count + 1, &bytes->room, 1, err);

	if (!at)
		return err->code;
	bytes->at = at;
	if (count > 0)
		memcpy(at + bytes->used, more, count);
	bytes->used += count;
	return 0;
}

int text_ids_add(struct text_ids *ids, uint32_t id, struct err *err)
{
	uint32_t *items = text_room(ids->items, ids->count, 1, &ids->room, sizeof(*items), err);

	if (!items)
		return err->code;
	ids->items = items;
	items[ids->count++] = id;
	return 0;
}

struct text_quote text_quote(const char *text, size_t bytes)
{
	struct text_quote quote;
	size_t most = sizeof(quote.text) - 4, shown = bytes < most ? bytes : most;

	for (size_t i = 0; i < shown; i++)
		quote.text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
	/* Not in the middle of a character. */
	while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
		shown--;
	strcpy(quote.text + shown, shown < bytes ? "..." : "");
	return quote;
}
