/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plain_text.h - text that others wrote, on a terminal: what could command it is shown, not obeyed
 *
 * Names of tensors and models, pieces of vocabularies and configs stand in messages and tables, and
 * any of them may hold escape sequences.  Control characters (C0, DEL, C1) and bytes that are no
 * UTF-8 come out as \x1b; everything else as it is. */
#ifndef FLASH_PLAIN_TEXT_H
#define FLASH_PLAIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the UTF-8 character at 'text', of which 'left' bytes are there: 0 when it is none (no
 * overlong form, no surrogate, no NUL) or is cut off. */
size_t utf8_length(const unsigned char *text, size_t left);

void plain_write(FILE *out, const char *text);
/* Into memory, cut where it does not fit. Returns 'to'. */
char *plain_text(char *to, size_t size, const char *text);

/* Text that comes in pieces, each of which may end inside a character. */
struct plain_stream {
	FILE *out;
	bool keeps_lines; /* newlines and tabs are as they are */
	unsigned char held[4];
	size_t held_count;
};
void plain_put(struct plain_stream *stream, const char *bytes, size_t count);
void plain_end(struct plain_stream *stream); /* what is held is shown */

#endif
