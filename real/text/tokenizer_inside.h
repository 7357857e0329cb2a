/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer_inside.h - the parts of a tokenizer, for those that read and write it
 *
 * Private to tokenizer*.c: a reader makes a new tokenizer, fills vocabulary, merges, pre-tokenizer, added
 * tokens and specials in that order, and finishes it. */
#ifndef FLASH_TOKENIZER_INSIDE_H
#define FLASH_TOKENIZER_INSIDE_H

#include "pre_tokenizer.h"
#include "text_added.h"
#include "text_bpe.h"
#include "text_vocab.h"
#include "tokenizer.h"

#include <jansson.h>

struct tokenizer {
	struct text_vocab vocab;
	struct text_bpe bpe;
	struct text_added added;
	struct pre_tokenizer *pre;
	json_t *pre_json;		/* what 'pre' was read from */
	struct text_ids prefix, suffix; /* around a text, where special tokens are asked for */
	int64_t bos, eos, unk, pad;	/* ids, or TOKEN_ABSENT */
	bool ignore_merges;		/* a piece that is a token stays whole */
};

MUST_CHECK int tokenizer_new(struct tokenizer **out, size_t token_count, struct err *err);
int tokenizer_set_pre(struct tokenizer *t, json_t *json, const char *where, struct err *err);
/* The pre-tokenizer that llama.cpp calls 'name'; ENOTSUP when it is none of ours. */
MUST_CHECK int tokenizer_set_pre_named(struct tokenizer *t, const char *name, const char *where,
				       struct err *err);
/* What llama.cpp calls the pre-tokenizer; "other" when it has no name for it. */
const char *tokenizer_pre_name(const struct tokenizer *t);
/* Of 'token' all but text, bytes and id is taken as it is; a text that is in the vocabulary must be there
 * with that id. EBADMSG when it is not, or was added before. */
int tokenizer_add(struct tokenizer *t, const struct added_token *token, const char *where,
		  struct err *err);
/* An object of a tokenizer.json's added_tokens; its id too, unless 'id' gives it as a text. */
int tokenizer_add_json(struct tokenizer *t, const json_t *json, const char *id, const char *where,
		       struct err *err);
MUST_CHECK int tokenizer_finish(struct tokenizer *t, const char *where, struct err *err);

/* A whole tokenizer.json; what a folder may say besides (bos, eos) is left. */
MUST_CHECK int tokenizer_read_json(struct tokenizer **out, const json_t *root, const char *path,
				   struct err *err);
/* model.vocab of it, which vocab.json is too. */
MUST_CHECK int tokenizer_read_vocab(struct tokenizer *t, const json_t *vocab, const char *where,
				    struct err *err);

#endif
