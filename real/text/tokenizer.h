/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer.h - text to token ids and back: byte-level BPE as GPT-2, OPT and Falcon use it
 *
 * Read from a Hugging Face folder (`tokenizer.json`, or `vocab.json` with `merges.txt`, and
 * `tokenizer_config.json`, `special_tokens_map.json` where they are), kept in base.gguf under GGUF's
 * standard keys (tokenizer.ggml.*), read from there again. */
#ifndef FLASH_TOKENIZER_H
#define FLASH_TOKENIZER_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;
struct gguf;
struct gguf_head;

/* ENOENT when the folder holds no tokenizer files (a checkpoint may lack them); EBADMSG with place,
 * got and expected when they are malformed; ENOTSUP names a kind of tokenizer that is not one. */
MUST_CHECK int tokenizer_read_folder(struct tokenizer **out, const char *dir, struct err *err);
/* The same from a GGUF header; ENOENT when it has no tokenizer keys. */
MUST_CHECK int tokenizer_read_gguf(struct tokenizer **out, const struct gguf *gguf,
				   struct err *err);
/* Write its keys (before the first tensor of the head). */
void tokenizer_write_gguf(const struct tokenizer *tokenizer, struct gguf_head *head);
void tokenizer_close(struct tokenizer *tokenizer); /* NULL is fine */

/* Ids and decodings are those of the reference (the `tokenizers` package), with two exceptions: an added token
 * decodes to its own text, whatever characters that is of; and what the reference cannot take, bytes
 * that are no UTF-8, is this: each run of them is a piece of its own, encoded byte by byte through the
 * byte alphabet, and parts the text around it.  So the tokens of a text, one after the other, give the
 * text again, whatever its bytes, unless the files ask for something else to be dropped or put in
 * front (add_prefix_space, white space that an added token takes along). */
uint32_t tokenizer_vocab_count(const struct tokenizer *tokenizer); /* the highest id + 1 */
/* What a prompt begins with; false where the family puts nothing in front (Falcon). */
bool tokenizer_bos(const struct tokenizer *tokenizer, uint32_t *id);
bool tokenizer_eos(const struct tokenizer *tokenizer, uint32_t *id);
/* For a checkpoint whose config names the end and whose tokenizer does not. EINVAL when there is no such token. */
MUST_CHECK int tokenizer_set_eos(struct tokenizer *tokenizer, uint32_t id, struct err *err);

/* Ids of 'text' (any bytes, NULs and invalid UTF-8 too; at most 1 GiB), with the leading special token
 * that the family wants where 'add_special'.  *ids is allocated; free() it.  Any number of threads may
 * encode with one tokenizer. */
MUST_CHECK int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t bytes,
				bool add_special, uint32_t **ids, size_t *count, struct err *err);
/* The bytes of one token (special ones as their text); a token may be part of a character.  EINVAL when
 * there is no such id.  They live as long as the tokenizer. */
MUST_CHECK int tokenizer_token(const struct tokenizer *tokenizer, uint32_t id, const char **bytes,
			       size_t *count, struct err *err);

#endif
