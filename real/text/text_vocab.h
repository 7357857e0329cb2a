/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_vocab.h - the tokens of a vocabulary by id and by text */
#ifndef FLASH_TEXT_VOCAB_H
#define FLASH_TEXT_VOCAB_H

#include "text_span.h"

/* A token of the model is written in the byte alphabet; an added one is plain text. */
enum token_kind { TOKEN_NONE, TOKEN_MODEL, TOKEN_ADDED };
enum { TOKEN_ABSENT = -1 };

struct token {
	enum token_kind kind; /* TOKEN_NONE: no token has this id */
	size_t text_at, text_bytes;
	size_t plain_at, plain_bytes; /* what it stands for */
};

struct text_vocab {
	uint64_t id_limit; /* ids stay below; to be set before the first token */
	struct token *tokens;
	size_t id_count, token_room; /* id_count: the highest id + 1 */
	size_t token_count;	     /* without the holes */
	struct text_bytes texts, plains;
	uint32_t *table; /* by text: id + 1, or 0 */
	size_t table_size;
	uint32_t byte_ids[256]; /* of single bytes, after vocab_finish() */
	bool byte_has[256];
};

/* Zeroed, with room for this many tokens and a fair share of holes among their ids: an id costs memory
 * whether a token has it or not. */
void vocab_init(struct text_vocab *vocab, size_t token_count);
/* EBADMSG when the id or the text is there already, or the id is beyond reason. 'where' begins messages. */
MUST_CHECK int vocab_add(struct text_vocab *vocab, const char *text, size_t bytes, uint64_t id,
			 enum token_kind kind, const char *where, struct err *err);
/* An added token that stands in the model's vocabulary too. */
MUST_CHECK int vocab_mark_added(struct text_vocab *vocab, uint32_t id, struct err *err);
/* After the last one: EBADMSG when a byte has no token; bytes that no valid UTF-8 holds may go
 * without. */
MUST_CHECK int vocab_finish(struct text_vocab *vocab, const char *where, struct err *err);
void vocab_fini(struct text_vocab *vocab);

/* The id, or TOKEN_ABSENT. */
int64_t vocab_find(const struct text_vocab *vocab, const char *text, size_t bytes);
/* NULL when no token has this id. */
const struct token *vocab_token(const struct text_vocab *vocab, uint64_t id);
const char *vocab_text(const struct text_vocab *vocab, const struct token *token);

#endif
