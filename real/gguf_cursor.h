/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_cursor.h - reads numbers, texts and bytes of a GGUF header in order, and never past its file
 *
 * A cursor knows the file's size, so that a count or length can be refused before it moves anything:
 * n items of at least b bytes cannot stand in fewer than n * b bytes.  Private to gguf*.c. */
#ifndef FLASH_GGUF_CURSOR_H
#define FLASH_GGUF_CURSOR_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct cursor {
	int fd;
	const char *path;
	uint64_t file_bytes, at;	  /* at: of the next byte */
	uint64_t buffer_at, buffer_bytes; /* what the buffer holds */
	unsigned char *buffer;
};

MUST_CHECK int cursor_open(struct cursor *c, const char *path, struct err *err);
void cursor_close(struct cursor *c); /* fine after a failed or no open, where fd is -1 */

/* Bytes that a header may still take. */
uint64_t cursor_left(const struct cursor *c);
/* Record "got this many of 'what', expected at most so many".  Returns EBADMSG. */
int cursor_bad(const struct cursor *c, struct err *err, const char *what, uint64_t got,
	       uint64_t most);

/* The next 'bytes' bytes into 'to' (NULL: pass over them). */
MUST_CHECK int cursor_take(struct cursor *c, void *to, uint64_t bytes, const char *what,
			   struct err *err);
/* A little-endian number of 1 to 8 bytes. */
MUST_CHECK int cursor_number(struct cursor *c, uint64_t *value, unsigned bytes, const char *what,
			     struct err *err);
/* A length and that many bytes as a new text without zero bytes; longer than 'most' is refused.
 * *text is to be freed after a failure too. */
MUST_CHECK int cursor_text(struct cursor *c, char **text, uint64_t most, const char *what,
			   struct err *err);

/* Room for one more item: 'items', grown by doubling where 'count' of them fill it, so that memory
 * grows only with what was really read.  NULL after err is set. */
void *cursor_room(void *items, size_t count, size_t each, struct err *err);

#endif
