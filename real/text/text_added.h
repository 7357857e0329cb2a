/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_added.h - added tokens: found in a text before anything else is done to it */
#ifndef FLASH_TEXT_ADDED_H
#define FLASH_TEXT_ADDED_H

#include "text_span.h"

struct added_token {
	char *text;
	size_t bytes;
	uint32_t id;
	bool single_word;	      /* not beside a word character */
	bool left_strip, right_strip; /* takes white space along */
	bool normalized;	      /* looked for after all that are not */
	bool special;
};

/* Zeroed has none. */
struct text_added {
	struct added_token *items; /* as they came, until added_finish() sorts them */
	size_t count, room;
	bool begins[2][256]; /* by pass: what bytes tokens begin with */
};

/* 'text' of the token is copied. EBADMSG when it is empty; no two may have the same text. */
MUST_CHECK int added_add(struct text_added *added, const struct added_token *token,
			 const char *where, struct err *err);
/* Before the first added_split(). */
void added_finish(struct text_added *added);
void added_fini(struct text_added *added);

/* The tokens of one pass (0: those not normalized, 1: the others) and what lies between, behind what
 * 'found' holds: the longest of those that begin first.  A hit's id stands in 'ids', by its number
 * among the hits.  Stretches may overlap where a hit took white space that another needs. */
int added_split(const struct text_added *added, unsigned pass, const unsigned char *text,
		size_t bytes, struct text_spans *found, struct text_ids *ids, struct err *err);

#endif
