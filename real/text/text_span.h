/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_span.h - lists that grow: stretches of a text, ids, bytes */
#ifndef FLASH_TEXT_SPAN_H
#define FLASH_TEXT_SPAN_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_span {
	size_t from, to;
	bool hit; /* what was looked for; else what lies between */
};
struct text_spans {
	struct text_span *items;
	size_t count, room;
};
struct text_bytes {
	unsigned char *at;
	size_t used, room;
};
struct text_ids {
	uint32_t *items;
	size_t count, room;
};

/* Room for 'more' items of 'each' bytes behind 'count': 'items' grown by half or more. NULL after err
 * is set. */
void *text_room(void *items, size_t count, size_t more, size_t *room, size_t each, struct err *err);

/* 0, or what err says now. */
int text_spans_add(struct text_spans *spans, size_t from, size_t to, bool hit, struct err *err);
int text_bytes_add(struct text_bytes *bytes, const void *more, size_t count, struct err *err);
int text_ids_add(struct text_ids *ids, uint32_t id, struct err *err);

/* Bytes of a file or of a key for a message: short, and nothing that a terminal would obey. */
struct text_quote {
	char text[48];
};
struct text_quote text_quote(const char *text, size_t bytes);

#endif
