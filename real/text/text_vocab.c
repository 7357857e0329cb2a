/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_vocab.c - the tokens of a vocabulary by id and by text */
#include "text_vocab.h"

#include "unicode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { ID_LIMIT = 1 << 24, HOLES_FREE = 4096 };

void vocab_init(struct text_vocab *vocab, size_t token_count)
{
	memset(vocab, 0, sizeof(*vocab));
	vocab->id_limit = ID_LIMIT;
	if (token_count < (ID_LIMIT - HOLES_FREE) / 2)
		vocab->id_limit = token_count * 2 + HOLES_FREE;
}

const char *vocab_text(const struct text_vocab *vocab, const struct token *token)
{
	return (const char *)vocab->texts.at + token->text_at;
}

const struct token *vocab_token(const struct text_vocab *vocab, uint64_t id)
{
	if (id >= vocab->id_count || vocab->tokens[id].kind == TOKEN_NONE)
		return NULL;
	return &vocab->tokens[id];
}

/* The slot that holds the text, or the free one where it belongs. */
static uint32_t *slot_of(const struct text_vocab *vocab, const char *text, size_t bytes)
{
	size_t mask = vocab->table_size - 1, i = XXH3_64bits(text, bytes) & mask;

	for (; vocab->table[i]; i = (i + 1) & mask) {
		const struct token *token = &vocab->tokens[vocab->table[i] - 1];

		if (token->text_bytes == bytes &&
		    memcmp(vocab_text(vocab, token), text, bytes) == 0)
			break;
	}
	return &vocab->table[i];
}

int64_t vocab_find(const struct text_vocab *vocab, const char *text, size_t bytes)
{
	uint32_t slot = vocab->table_size > 0 ? *slot_of(vocab, text, bytes) : 0;

	return slot ? (int64_t)slot - 1 : TOKEN_ABSENT;
}

/* At most half full. */
static int table_grow(struct text_vocab *vocab, struct err *err)
{
	size_t size = vocab->table_size ? vocab->table_size * 2 : 1024;

	if ((vocab->token_count + 1) * 2 <= vocab->table_size)
		return 0;
	free(vocab->table);
	vocab->table = calloc(size, sizeof(*vocab->table));
	vocab->table_size = vocab->table ? size : 0;
	if (!vocab->table)
		return err_nomem(err, "a vocabulary", size * sizeof(*vocab->table));
	for (size_t id = 0; id < vocab->id_count; id++) {
		const struct token *token = &vocab->tokens[id];

		if (token->kind != TOKEN_NONE)
			*slot_of(vocab, vocab_text(vocab, token), token->text_bytes) =
				(uint32_t)id + 1;
	}
	return 0;
}

static int tokens_grow(struct text_vocab *vocab, size_t id, struct err *err)
{
	struct token *tokens;

	if (id < vocab->id_count)
		return 0;
	tokens = text_room(vocab->tokens, vocab->id_count, id + 1 - vocab->id_count,
			   &vocab->token_room, sizeof(*tokens), err);
	if (!tokens)
		return err->code;
	vocab->tokens = tokens;
	memset(tokens + vocab->id_count, 0, (id + 1 - vocab->id_count) * sizeof(*tokens));
	vocab->id_count = id + 1;
	return 0;
}

/* What a token of the model stands for: bytes, where all of it is of the byte alphabet, else itself. */
static int add_plain(struct text_vocab *vocab, struct token *token, struct err *err)
{
	const unsigned char *text = vocab->texts.at + token->text_at;
	size_t left = token->text_bytes;
	unsigned length;

	token->plain_at = vocab->plains.used;
	for (; token->kind == TOKEN_MODEL && left > 0; left -= length, text += length) {
		uint32_t point = 0;
		int byte;
		unsigned char plain;

		length = utf8_take(text, left, &point);
		byte = length ? alphabet_byte(point) : -1;
		if (byte < 0)
			break;
		plain = (unsigned char)byte;
		if (text_bytes_add(&vocab->plains, &plain, 1, err))
			return err->code;
	}
	if (left > 0) {
		vocab->plains.used = token->plain_at;
		if (text_bytes_add(&vocab->plains, vocab->texts.at + token->text_at,
				   token->text_bytes, err))
			return err->code;
	}
	token->plain_bytes = vocab->plains.used - token->plain_at;
	return 0;
}

int vocab_add(struct text_vocab *vocab, const char *text, size_t bytes, uint64_t id,
	      enum token_kind kind, const char *where, struct err *err)
{
	int64_t there;
	struct token *token;

	if (id >= vocab->id_limit)
		return err_set(err, EBADMSG,
			       "%s: token '%s': id %" PRIu64 ", expected below %" PRIu64, where,
			       text_quote(text, bytes).text, id, vocab->id_limit);
	if (bytes == 0)
		return err_set(err, EBADMSG, "%s: the token of id %" PRIu64 " is empty", where, id);
	there = vocab_find(vocab, text, bytes);
	if (there != TOKEN_ABSENT)
		return err_set(err, EBADMSG, "%s: token '%s' has id %" PRIi64 " and id %" PRIu64,
			       where, text_quote(text, bytes).text, there, id);
	if (vocab_token(vocab, id)) {
		token = &vocab->tokens[id];
		return err_set(err, EBADMSG, "%s: id %" PRIu64 " is token '%s' and token '%s'",
			       where, id,
			       text_quote(vocab_text(vocab, token), token->text_bytes).text,
			       text_quote(text, bytes).text);
	}
	if (table_grow(vocab, err) || tokens_grow(vocab, id, err))
		return err->code;
	token = &vocab->tokens[id];
	*token = (struct token){.kind = kind, .text_at = vocab->texts.used, .text_bytes = bytes};
	if (text_bytes_add(&vocab->texts, text, bytes, err) || add_plain(vocab, token, err))
		return err->code;
	*slot_of(vocab, text, bytes) = (uint32_t)id + 1;
	vocab->token_count++;
	return 0;
}

int vocab_mark_added(struct text_vocab *vocab, uint32_t id, struct err *err)
{
	struct token *token = &vocab->tokens[id];

	token->kind = TOKEN_ADDED;
	return add_plain(vocab, token, err);
}

int vocab_finish(struct text_vocab *vocab, const char *where, struct err *err)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		unsigned char text[4];
		unsigned bytes = utf8_put(text, alphabet_point((unsigned char)byte));
		int64_t id = vocab_find(vocab, (const char *)text, bytes);

		vocab->byte_has[byte] = id != TOKEN_ABSENT;
		vocab->byte_ids[byte] = id != TOKEN_ABSENT ? (uint32_t)id : 0;
		if (id == TOKEN_ABSENT && byte != 0xc0 && byte != 0xc1 && byte < 0xf5)
			return err_set(err, EBADMSG,
				       "%s: no token '%.*s' for byte 0x%02x: the byte alphabet is "
				       "not whole",
				       where, (int)bytes, (const char *)text, byte);
	}
	return 0;
}

void vocab_fini(struct text_vocab *vocab)
{
	free(vocab->tokens);
	free(vocab->table);
	free(vocab->texts.at);
	free(vocab->plains.at);
	memset(vocab, 0, sizeof(*vocab));
}
