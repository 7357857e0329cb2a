/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pre_tokenizer.h - cuts a text into the pieces that merges may not cross
 *
 * A pre-tokenizer is the `pre_tokenizer` of a tokenizer.json: steps that each cut the pieces of the
 * step before.  One of them, ByteLevel, writes each piece in the byte alphabet, and the steps behind it
 * see those characters, as in the reference. */
#ifndef FLASH_PRE_TOKENIZER_H
#define FLASH_PRE_TOKENIZER_H

#include "text_span.h"

#include <jansson.h>

struct pre_tokenizer;

/* The stretches of 'text' that are its pieces now. */
struct text_pieces {
	struct text_bytes text;
	struct text_spans spans;
};

enum text_prefix { PREFIX_AS_TOLD, PREFIX_NEVER };

/* Supported: Sequence, ByteLevel (exactly one), Digits, Punctuation, Split, Whitespace and
 * WhitespaceSplit; ENOTSUP names another.  'where' begins messages. */
MUST_CHECK int pre_tokenizer_read(struct pre_tokenizer **out, const json_t *json, const char *where,
				  struct err *err);
void pre_tokenizer_close(struct pre_tokenizer *pre); /* NULL is fine */

/* Cut 'bytes' of valid UTF-8 into pieces in the byte alphabet.  With PREFIX_AS_TOLD a space is put in
 * front where the pre-tokenizer says so.  'pieces' is zeroed or was used before; what it held is lost. */
MUST_CHECK int pre_tokenizer_split(const struct pre_tokenizer *pre, const unsigned char *text,
				   size_t bytes, enum text_prefix prefix,
				   struct text_pieces *pieces, struct err *err);
void text_pieces_fini(struct text_pieces *pieces);

#endif
