/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_cursor.c - reads GGUF headers in order, and never past their file */
#include "gguf_cursor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CURSOR_BYTES = 65536,
	HEADER_MAX = 256 * 1024 * 1024, /* a tokenizer's word lists are tens of MiB */
};

int cursor_bad(const struct cursor *c, struct err *err, const char *what, uint64_t got,
	       uint64_t most)
{
	return err_set(err, EBADMSG,
		       "%s: %s at byte %" PRIu64 ": got %" PRIu64 ", expected at most %" PRIu64,
		       c->path, what, c->at, got, most);
}

uint64_t cursor_left(const struct cursor *c)
{
	uint64_t end = c->file_bytes < HEADER_MAX ? c->file_bytes : HEADER_MAX;

	return end - c->at;
}

static int cursor_fill(struct cursor *c, struct err *err)
{
	ssize_t got;

	do {
		got = pread(c->fd, c->buffer, CURSOR_BYTES, (off_t)c->at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, "%s: cannot read at byte %" PRIu64, c->path, c->at);
	if (got == 0)
		return err_set(err, EBADMSG,
			       "%s: ends at byte %" PRIu64 ", expected %" PRIu64 " bytes", c->path,
			       c->at, c->file_bytes);
	c->buffer_at = c->at;
	c->buffer_bytes = (uint64_t)got;
	return 0;
}

int cursor_take(struct cursor *c, void *to, uint64_t bytes, const char *what, struct err *err)
{
	unsigned char *out = to;

	if (bytes > cursor_left(c))
		return cursor_bad(c, err, what, bytes, cursor_left(c));
	if (!to) {
		c->at += bytes;
		return 0;
	}
	while (bytes > 0) {
		uint64_t have;

		if (c->at < c->buffer_at || c->at >= c->buffer_at + c->buffer_bytes)
			if (cursor_fill(c, err))
				return err->code;
		have = c->buffer_at + c->buffer_bytes - c->at;
		if (have > bytes)
			have = bytes;
		memcpy(out, c->buffer + (c->at - c->buffer_at), have);
		out += have;
		c->at += have;
		bytes -= have;
	}
	return 0;
}

/* Little-endian, on any machine. */
int cursor_number(struct cursor *c, uint64_t *value, unsigned bytes, const char *what,
		  struct err *err)
{
	unsigned char raw[8];

	assert(bytes <= sizeof(raw));
	if (cursor_take(c, raw, bytes, what, err))
		return err->code;
	*value = 0;
	for (unsigned i = 0; i < bytes; i++)
		*value |= (uint64_t)raw[i] << (8 * i);
	return 0;
}

int cursor_text(struct cursor *c, char **text, uint64_t most, const char *what, struct err *err)
{
	uint64_t length;

	if (cursor_number(c, &length, 8, what, err))
		return err->code;
	if (length > most || length > cursor_left(c))
		return cursor_bad(c, err, what, length,
				  most < cursor_left(c) ? most : cursor_left(c));
	*text = malloc(length + 1);
	if (!*text)
		return err_nomem(err, what, length + 1);
	if (cursor_take(c, *text, length, what, err))
		return err->code;
	(*text)[length] = '\0';
	if (strlen(*text) != length)
		return err_set(err, EBADMSG, "%s: %s at byte %" PRIu64 ": holds a zero byte",
			       c->path, what, c->at - length);
	return 0;
}

void *cursor_room(void *items, size_t count, size_t each, struct err *err)
{
	size_t room;
	void *grown;

	if (count < 16 ? count != 0 : (count & (count - 1)) != 0)
		return items;
	room = count < 16 ? 16 : count * 2;
	grown = realloc(items, room * each);
	if (!grown)
		err_nomem(err, "a GGUF header", room * each);
	return grown;
}

int cursor_open(struct cursor *c, const char *path, struct err *err)
{
	struct stat st;

	memset(c, 0, sizeof(*c));
	c->path = path;
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0)
		return err_errno(err, "%s: cannot open", path);
	if (fstat(c->fd, &st) != 0)
		return err_errno(err, "%s: cannot stat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "%s: no regular file", path);
	c->file_bytes = (uint64_t)st.st_size;
	c->buffer = malloc(CURSOR_BYTES);
	if (!c->buffer)
		return err_nomem(err, "reading a GGUF header", CURSOR_BYTES);
	return 0;
}

void cursor_close(struct cursor *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buffer);
	c->fd = -1;
	c->buffer = NULL;
}
