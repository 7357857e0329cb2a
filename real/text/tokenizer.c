/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer.c - text to token ids and back */
#include "tokenizer_inside.h"

#include "checkpoint_json.h"
#include "unicode.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 30 };

#define BYTE_LEVEL(trim)                                                                           \
	"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":" trim                \
	",\"use_regex\":true}"
#define FALCON(trim)                                                                               \
	"{\"type\":\"Sequence\",\"pretokenizers\":["                                               \
	"{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," BYTE_LEVEL(                      \
		trim) ",{\"type\":\"Digits\",\"individual_digits\":false},"                        \
		      "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9][0-9][0-9]\"},"           \
		      "\"behavior\":\"Isolated\",\"invert\":false}]}"

/* llama.cpp's names.  Its "default", which files from before these names have too, is Falcon's sequence.
 * trim_offsets moves offsets, which we have none of. */
static const struct {
	const char *name, *json;
} named[] = {
	{"gpt-2", BYTE_LEVEL("true")}, {"gpt-2", BYTE_LEVEL("false")}, {"falcon", FALCON("true")},
	{"falcon", FALCON("false")},   {"default", FALCON("true")},
};

int tokenizer_new(struct tokenizer **out, size_t token_count, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_nomem(err, "a tokenizer", sizeof(**out));
	vocab_init(&(*out)->vocab, token_count);
	(*out)->bos = (*out)->eos = (*out)->unk = (*out)->pad = TOKEN_ABSENT;
	return 0;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	vocab_fini(&tokenizer->vocab);
	bpe_fini(&tokenizer->bpe);
	added_fini(&tokenizer->added);
	pre_tokenizer_close(tokenizer->pre);
	json_decref(tokenizer->pre_json);
	free(tokenizer->prefix.items);
	free(tokenizer->suffix.items);
	free(tokenizer);
}

int tokenizer_set_pre(struct tokenizer *t, json_t *json, const char *where, struct err *err)
{
	if (pre_tokenizer_read(&t->pre, json, where, err))
		return err->code;
	t->pre_json = json_incref(json);
	return 0;
}

int tokenizer_set_pre_named(struct tokenizer *t, const char *name, const char *where,
			    struct err *err)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		json_t *json;

		if (strcmp(name, named[i].name) != 0)
			continue;
		json = json_loads(named[i].json, 0, NULL);
		if (!json)
			return err_nomem(err, "a pre-tokenizer", strlen(named[i].json));
		(void)tokenizer_set_pre(t, json, where, err);
		json_decref(json);
		return err->code;
	}
	return err_set(err, ENOTSUP, "%s: pre-tokenizer '%s' is not supported", where,
		       text_quote(name, strlen(name)).text);
}

const char *tokenizer_pre_name(const struct tokenizer *t)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		json_t *json = json_loads(named[i].json, 0, NULL);
		bool same = json && json_equal(json, t->pre_json);

		json_decref(json);
		if (same)
			return named[i].name;
	}
	return "other";
}

int tokenizer_add(struct tokenizer *t, const struct added_token *token, const char *where,
		  struct err *err)
{
	int64_t there = vocab_find(&t->vocab, token->text, token->bytes);

	if (there == TOKEN_ABSENT) {
		if (vocab_add(&t->vocab, token->text, token->bytes, token->id, TOKEN_ADDED, where,
			      err))
			return err->code;
	} else if (there != token->id || t->vocab.tokens[there].kind == TOKEN_ADDED) {
		return err_set(err, EBADMSG,
			       "%s: added token '%s' has id %" PRIu32
			       ", but is there already with id %" PRIi64,
			       where, text_quote(token->text, token->bytes).text, token->id, there);
	} else if (vocab_mark_added(&t->vocab, token->id, err)) {
		return err->code;
	}
	return added_add(&t->added, token, where, err);
}

static int take_flag(const json_t *json, const char *name, bool *value, const char *where,
		     struct err *err)
{
	const json_t *member = json_object_get(json, name);

	if (!member)
		return 0;
	*value = json_is_true(member);
	if (!json_is_boolean(member))
		return err_set(err, EBADMSG, "%s: %s is %s, expected true or false", where, name,
			       checkpoint_json_kind(member));
	return 0;
}

/* An id as JSON's integer, or as the text that is the key of an object. */
static int take_id(const json_t *json, const char *text, uint32_t *id, const char *where,
		   struct err *err)
{
	json_int_t number = json_integer_value(json_object_get(json, "id"));
	char *end = NULL;

	if (text)
		number = *text >= '0' && *text <= '9' ? strtoll(text, &end, 10) : -1;
	else if (!json_is_integer(json_object_get(json, "id")))
		number = -1;
	if (number < 0 || number > INT32_MAX || (end && *end))
		return err_set(err, EBADMSG, "%s: an added token without an id of 0 to %d", where,
			       INT32_MAX);
	*id = (uint32_t)number;
	return 0;
}

int tokenizer_add_json(struct tokenizer *t, const json_t *json, const char *id, const char *where,
		       struct err *err)
{
	json_t *content = json_object_get(json, "content");
	struct added_token token = {.text = NULL};
	char *copy;

	if (!json_is_string(content))
		return err_set(err, EBADMSG, "%s: content of an added token is %s, expected a text",
			       where, checkpoint_json_kind(content));
	if (take_id(json, id, &token.id, where, err) ||
	    take_flag(json, "special", &token.special, where, err))
		return err->code;
	token.normalized = !token.special;
	if (take_flag(json, "normalized", &token.normalized, where, err) ||
	    take_flag(json, "single_word", &token.single_word, where, err) ||
	    take_flag(json, "lstrip", &token.left_strip, where, err) ||
	    take_flag(json, "rstrip", &token.right_strip, where, err))
		return err->code;
	token.bytes = json_string_length(content);
	copy = strdup(json_string_value(content));
	if (!copy)
		return err_nomem(err, "an added token", token.bytes);
	token.text = copy;
	(void)tokenizer_add(t, &token, where, err);
	free(copy);
	return err->code;
}

int tokenizer_finish(struct tokenizer *t, const char *where, struct err *err)
{
	const struct text_ids *around[] = {&t->prefix, &t->suffix};

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < around[side]->count; i++)
			if (!vocab_token(&t->vocab, around[side]->items[i]))
				return err_set(err, EBADMSG,
					       "%s: special id %" PRIu32 " is no token", where,
					       around[side]->items[i]);
	added_finish(&t->added);
	return vocab_finish(&t->vocab, where, err);
}

uint32_t tokenizer_vocab_count(const struct tokenizer *tokenizer)
{
	return (uint32_t)tokenizer->vocab.id_count;
}

bool tokenizer_bos(const struct tokenizer *tokenizer, uint32_t *id)
{
	if (tokenizer->prefix.count == 0)
		return false;
	*id = tokenizer->prefix.items[0];
	return true;
}

bool tokenizer_eos(const struct tokenizer *tokenizer, uint32_t *id)
{
	if (tokenizer->eos == TOKEN_ABSENT)
		return false;
	*id = (uint32_t)tokenizer->eos;
	return true;
}

int tokenizer_set_eos(struct tokenizer *tokenizer, uint32_t id, struct err *err)
{
	if (!vocab_token(&tokenizer->vocab, id))
		return err_set(err, EINVAL,
			       "eos_token_id: got %" PRIu32 ", expected a token of the vocabulary",
			       id);
	tokenizer->eos = id;
	return 0;
}

/* What one encoding needs. */
struct encoding {
	const struct tokenizer *t;
	struct text_ids ids;
	struct bpe_scratch scratch;
	struct text_pieces pieces;
	struct text_bytes plain;
};

static int encode_bytes(struct encoding *e, const unsigned char *bytes, size_t count,
			struct err *err)
{
	return bpe_encode(&e->t->bpe, &e->t->vocab, bytes, count, &e->scratch, &e->ids, err);
}

/* A piece in the byte alphabet. */
static int encode_piece(struct encoding *e, const unsigned char *text, size_t bytes,
			struct err *err)
{
	int64_t whole = TOKEN_ABSENT;
	unsigned length;

	if (e->t->ignore_merges)
		whole = vocab_find(&e->t->vocab, (const char *)text, bytes);
	if (whole != TOKEN_ABSENT)
		return text_ids_add(&e->ids, (uint32_t)whole, err);
	e->plain.used = 0;
	for (size_t at = 0; at < bytes; at += length) {
		uint32_t point = 0;
		unsigned char byte;

		length = utf8_take(text + at, bytes - at, &point);
		assert(length > 0 && alphabet_byte(point) >= 0);
		byte = (unsigned char)alphabet_byte(point);
		if (text_bytes_add(&e->plain, &byte, 1, err))
			return err->code;
	}
	return encode_bytes(e, e->plain.at, e->plain.used, err);
}

static int encode_valid(struct encoding *e, const unsigned char *text, size_t bytes,
			enum text_prefix prefix, struct err *err)
{
	if (pre_tokenizer_split(e->t->pre, text, bytes, prefix, &e->pieces, err))
		return err->code;
	for (size_t i = 0; i < e->pieces.spans.count; i++) {
		const struct text_span *piece = &e->pieces.spans.items[i];

		if (encode_piece(e, e->pieces.text.at + piece->from, piece->to - piece->from, err))
			return err->code;
	}
	return 0;
}

/* How many bytes from 'text' on are valid, or are not, as the first ones. */
static size_t run_of(const unsigned char *text, size_t bytes, bool *valid)
{
	uint32_t point;
	size_t at = 0;
	unsigned length;

	*valid = utf8_take(text, bytes, &point) > 0;
	while (at < bytes && ((length = utf8_take(text + at, bytes - at, &point)) > 0) == *valid)
		at += *valid ? length : 1;
	return at;
}

/* A text without added tokens. */
static int encode_text(struct encoding *e, const unsigned char *text, size_t bytes, struct err *err)
{
	size_t run;

	for (size_t at = 0; at < bytes; at += run) {
		enum text_prefix prefix = at == 0 ? PREFIX_AS_TOLD : PREFIX_NEVER;
		bool valid;

		run = run_of(text + at, bytes - at, &valid);
		if (valid ? encode_valid(e, text + at, run, prefix, err)
			  : encode_bytes(e, text + at, run, err))
			return err->code;
	}
	return 0;
}

/* The added tokens of a pass, and between them those of the next, and between them the text. */
static int encode_pass(struct encoding *e, unsigned pass, const unsigned char *text, size_t bytes,
		       struct err *err)
{
	struct text_spans found = {.items = NULL};
	struct text_ids hits = {.items = NULL};
	size_t hit = 0;

	if (pass == 2)
		return encode_text(e, text, bytes, err);
	(void)added_split(&e->t->added, pass, text, bytes, &found, &hits, err);
	for (size_t i = 0; i < found.count && !err->code; i++) {
		const struct text_span *span = &found.items[i];

		if (span->hit)
			(void)text_ids_add(&e->ids, hits.items[hit++], err);
		else
			(void)encode_pass(e, pass + 1, text + span->from, span->to - span->from,
					  err);
	}
	free(found.items);
	free(hits.items);
	return err->code;
}

static int add_all(struct text_ids *ids, const struct text_ids *more, struct err *err)
{
	for (size_t i = 0; i < more->count; i++)
		if (text_ids_add(ids, more->items[i], err))
			return err->code;
	return 0;
}

int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t bytes,
		     bool add_special, uint32_t **ids, size_t *count, struct err *err)
{
	struct encoding e = {.t = tokenizer};

	*ids = NULL;
	*count = 0;
	if (bytes > TEXT_MAX)
		return err_set(err, EINVAL, "a text of %zu bytes, expected at most %d", bytes,
			       TEXT_MAX);
	/* One item at least, so that no text is not told apart from no memory. */
	e.ids.items = text_room(NULL, 0, 1, &e.ids.room, sizeof(*e.ids.items), err);
	if (!e.ids.items)
		return err->code;
	if ((add_special && add_all(&e.ids, &tokenizer->prefix, err)) ||
	    encode_pass(&e, 0, (const unsigned char *)text, bytes, err) ||
	    (add_special && add_all(&e.ids, &tokenizer->suffix, err)))
		free(e.ids.items);
	bpe_scratch_fini(&e.scratch);
	text_pieces_fini(&e.pieces);
	free(e.plain.at);
	if (err->code)
		return err->code;
	*ids = e.ids.items;
	*count = e.ids.count;
	return 0;
}

int tokenizer_token(const struct tokenizer *tokenizer, uint32_t id, const char **bytes,
		    size_t *count, struct err *err)
{
	const struct token *token = vocab_token(&tokenizer->vocab, id);

	if (!token)
		return err_set(err, EINVAL,
			       "no token has id %" PRIu32 " (of a vocabulary of %" PRIu32 ")", id,
			       tokenizer_vocab_count(tokenizer));
	*bytes = (const char *)tokenizer->vocab.plains.at + token->plain_at;
	*count = token->plain_bytes;
	return 0;
}
