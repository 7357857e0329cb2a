/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_keys.h - the typed keys of a GGUF header, as gguf.c holds them
 *
 * Private to gguf*.c; gguf.h has the questions that others may ask. */
#ifndef FLASH_GGUF_KEYS_H
#define FLASH_GGUF_KEYS_H

#include "gguf.h"
#include "gguf_cursor.h"

/* As the file says them. */
enum value_type {
	VALUE_U8,
	VALUE_I8,
	VALUE_U16,
	VALUE_I16,
	VALUE_U32,
	VALUE_I32,
	VALUE_F32,
	VALUE_BOOL,
	VALUE_TEXT,
	VALUE_ARRAY,
	VALUE_U64,
	VALUE_I64,
	VALUE_F64,
	VALUE__COUNT
};

struct gguf_array {
	enum value_type type;
	size_t count;
	unsigned char *bytes; /* of texts: one after the other, each with a zero byte behind */
	size_t *ends;	      /* of texts: where in 'bytes' each ends, before its zero byte */
};

struct gguf_key {
	char *name;
	enum value_type type;
	char *text;		 /* VALUE_TEXT that was kept; NULL where it was too long */
	uint64_t raw;		 /* scalars: their bytes, a signed one widened to 64 bits */
	struct gguf_array array; /* VALUE_ARRAY */
};

struct gguf_keys {
	struct gguf_key *items;
	size_t count;
};

/* The next 'count' keys; their names must differ. */
MUST_CHECK int keys_take(struct gguf_keys *keys, struct cursor *c, uint64_t count, struct err *err);
void keys_fini(struct gguf_keys *keys);
const struct gguf_key *keys_find(const struct gguf_keys *keys, const char *name); /* or NULL */
/* gguf_keys() of the file; gguf_keys.c answers for it. */
const struct gguf_keys *gguf_keys(const struct gguf *gguf);

#endif
