/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer_gguf.c - a tokenizer in GGUF's keys
 *
 * tokenizer.ggml.* is what llama.cpp writes and reads.  What those keys cannot hold (the exact
 * pre-tokenizer, the flags of added tokens, what stands behind a text) stands in flashcast.tokenizer.*;
 * a file without them is read by llama.cpp's rules. */
#include "tokenizer_inside.h"

#include "checkpoint_json.h"
#include "gguf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* llama.cpp's types of tokens. */
enum { GGML_NORMAL = 1, GGML_CONTROL = 3, GGML_USER_DEFINED = 4, GGML_UNUSED = 5 };

#define OWN_PRE	   "flashcast.tokenizer.pre_tokenizer"
#define OWN_ADDED  "flashcast.tokenizer.added_tokens"
#define OWN_PREFIX "flashcast.tokenizer.prefix"
#define OWN_SUFFIX "flashcast.tokenizer.suffix"
#define OWN_IGNORE "flashcast.tokenizer.ignore_merges"

static const struct {
	const char *key;
	size_t offset;
} specials[] = {
	{"tokenizer.ggml.bos_token_id", offsetof(struct tokenizer, bos)},
	{"tokenizer.ggml.eos_token_id", offsetof(struct tokenizer, eos)},
	{"tokenizer.ggml.unknown_token_id", offsetof(struct tokenizer, unk)},
	{"tokenizer.ggml.padding_token_id", offsetof(struct tokenizer, pad)},
};

enum { SPECIALS = sizeof(specials) / sizeof(specials[0]) };

struct source {
	const struct gguf *gguf;
	const struct gguf_array *tokens, *types, *merges; /* types NULL: all are normal */
	bool own;
};

static int64_t type_at(const struct source *s, size_t id)
{
	return s->types ? gguf_integer_at(s->types, id) : GGML_NORMAL;
}

static int read_tokens(struct tokenizer *t, const struct source *s, const char *where,
		       struct err *err)
{
	for (size_t id = 0; id < gguf_array_count(s->tokens); id++) {
		size_t bytes;
		const char *text = gguf_text_at(s->tokens, id, &bytes);

		if (type_at(s, id) != GGML_UNUSED &&
		    vocab_add(&t->vocab, text, bytes, id, TOKEN_MODEL, where, err))
			return err->code;
	}
	return 0;
}

static int read_merges(struct tokenizer *t, const struct source *s, const char *where,
		       struct err *err)
{
	for (size_t i = 0; i < gguf_array_count(s->merges); i++) {
		size_t bytes;
		const char *text = gguf_text_at(s->merges, i, &bytes);

		if (bpe_add_line(&t->bpe, &t->vocab, text, bytes, where, err))
			return err->code;
	}
	return 0;
}

/* By llama.cpp's rule: control and user-defined tokens are found in a text as they are. */
static int add_by_type(struct tokenizer *t, const struct source *s, const char *where,
		       struct err *err)
{
	for (size_t id = 0; id < gguf_array_count(s->tokens); id++) {
		struct added_token token = {.id = (uint32_t)id};
		const char *text = gguf_text_at(s->tokens, id, &token.bytes);
		int64_t type = type_at(s, id);

		if (type != GGML_CONTROL && type != GGML_USER_DEFINED)
			continue;
		token.special = type == GGML_CONTROL;
		token.text = (char *)text; /* is copied */
		if (tokenizer_add(t, &token, where, err))
			return err->code;
	}
	return 0;
}

static int parse_own(json_t **json, const struct gguf *gguf, const char *key, struct err *err)
{
	const char *text;
	json_t *object = NULL;

	*json = NULL;
	if (gguf_text(gguf, key, &text, err) ||
	    checkpoint_json(&object, text, strlen(text), gguf_path(gguf), key, err))
		return err->code;
	*json = object;
	return 0;
}

static int read_around(struct text_ids *ids, const struct gguf *gguf, const char *key,
		       struct err *err)
{
	const struct gguf_array *array;

	if (gguf_integers(gguf, key, &array, err))
		return err->code;
	for (size_t i = 0; i < gguf_array_count(array); i++) {
		int64_t id = gguf_integer_at(array, i);

		if (id < 0 || id > INT32_MAX)
			return err_set(err, EBADMSG, "%s: %s: id %" PRIi64 ", expected 0 to %d",
				       gguf_path(gguf), key, id, INT32_MAX);
		if (text_ids_add(ids, (uint32_t)id, err))
			return err->code;
	}
	return 0;
}

static int read_own_added(struct tokenizer *t, const struct gguf *gguf, struct err *err)
{
	json_t *json;
	const json_t *list;

	if (parse_own(&json, gguf, OWN_ADDED, err))
		return err->code;
	list = json_object_get(json, "added_tokens");
	for (size_t i = 0; i < json_array_size(list) && !err->code; i++)
		(void)tokenizer_add_json(t, json_array_get(list, i), NULL, gguf_path(gguf), err);
	json_decref(json);
	return err->code;
}

static int read_own(struct tokenizer *t, const struct gguf *gguf, struct err *err)
{
	json_t *json;

	if (parse_own(&json, gguf, OWN_PRE, err))
		return err->code;
	(void)tokenizer_set_pre(t, json, gguf_path(gguf), err);
	json_decref(json);
	if (err->code || read_own_added(t, gguf, err) ||
	    read_around(&t->prefix, gguf, OWN_PREFIX, err) ||
	    read_around(&t->suffix, gguf, OWN_SUFFIX, err))
		return err->code;
	return gguf_bool(gguf, OWN_IGNORE, &t->ignore_merges, err);
}

static int read_flag(const struct gguf *gguf, const char *key, int64_t id, struct text_ids *ids,
		     struct err *err)
{
	bool add = false;

	if (gguf_has(gguf, key) && gguf_bool(gguf, key, &add, err))
		return err->code;
	if (add && id == TOKEN_ABSENT)
		return err_set(err, EBADMSG, "%s: %s without that token's id", gguf_path(gguf),
			       key);
	return add ? text_ids_add(ids, (uint32_t)id, err) : 0;
}

static int read_by_rules(struct tokenizer *t, const struct source *s, const char *where,
			 struct err *err)
{
	const char *pre = "default";

	if (gguf_has(s->gguf, "tokenizer.ggml.pre") &&
	    gguf_text(s->gguf, "tokenizer.ggml.pre", &pre, err))
		return err->code;
	if (tokenizer_set_pre_named(t, pre, where, err) || add_by_type(t, s, where, err) ||
	    read_flag(s->gguf, "tokenizer.ggml.add_bos_token", t->bos, &t->prefix, err))
		return err->code;
	return read_flag(s->gguf, "tokenizer.ggml.add_eos_token", t->eos, &t->suffix, err);
}

static int64_t *special_of(struct tokenizer *t, size_t i)
{
	return (int64_t *)((char *)t + specials[i].offset);
}

static int read_specials(struct tokenizer *t, const struct gguf *gguf, struct err *err)
{
	for (size_t i = 0; i < SPECIALS; i++) {
		uint64_t id;

		if (!gguf_has(gguf, specials[i].key))
			continue;
		if (gguf_number(gguf, specials[i].key, &id, err))
			return err->code;
		if (!vocab_token(&t->vocab, id))
			return err_set(err, EBADMSG, "%s: %s: %" PRIu64 " is no token",
				       gguf_path(gguf), specials[i].key, id);
		*special_of(t, i) = (int64_t)id;
	}
	return 0;
}

static int find_arrays(struct source *s, struct err *err)
{
	const char *model, *path = gguf_path(s->gguf);

	if (!gguf_has(s->gguf, "tokenizer.ggml.model"))
		return err_set(err, ENOENT, "%s: no tokenizer", path);
	if (gguf_text(s->gguf, "tokenizer.ggml.model", &model, err))
		return err->code;
	if (strcmp(model, "gpt2") != 0)
		return err_set(err, ENOTSUP, "%s: tokenizer '%s' is not supported, 'gpt2' is", path,
			       text_quote(model, strlen(model)).text);
	if (gguf_texts(s->gguf, "tokenizer.ggml.tokens", &s->tokens, err) ||
	    gguf_texts(s->gguf, "tokenizer.ggml.merges", &s->merges, err))
		return err->code;
	s->own = gguf_has(s->gguf, OWN_PRE);
	if (!gguf_has(s->gguf, "tokenizer.ggml.token_type"))
		return 0;
	if (gguf_integers(s->gguf, "tokenizer.ggml.token_type", &s->types, err))
		return err->code;
	if (gguf_array_count(s->types) != gguf_array_count(s->tokens))
		return err_set(err, EBADMSG, "%s: %zu token types, expected one for each of %zu",
			       path, gguf_array_count(s->types), gguf_array_count(s->tokens));
	return 0;
}

int tokenizer_read_gguf(struct tokenizer **out, const struct gguf *gguf, struct err *err)
{
	struct source s = {.gguf = gguf};
	const char *path = gguf_path(gguf);
	struct tokenizer *t = NULL;

	*out = NULL;
	if (find_arrays(&s, err) || tokenizer_new(&t, gguf_array_count(s.tokens), err) ||
	    read_tokens(t, &s, path, err) || read_merges(t, &s, path, err) ||
	    read_specials(t, gguf, err) ||
	    (s.own ? read_own(t, gguf, err) : read_by_rules(t, &s, path, err)) ||
	    tokenizer_finish(t, path, err)) {
		tokenizer_close(t);
		return err->code;
	}
	*out = t;
	return 0;
}

static void write_tokens(const struct tokenizer *t, struct gguf_head *head, const int32_t *types)
{
	size_t count = t->vocab.id_count;

	gguf_head_texts(head, "tokenizer.ggml.tokens", count);
	for (size_t id = 0; id < count; id++) {
		const struct token *token = vocab_token(&t->vocab, id);
		char hole[32];

		snprintf(hole, sizeof(hole), "[PAD%zu]", id);
		if (token)
			gguf_head_next_text(head, vocab_text(&t->vocab, token), token->text_bytes);
		else
			gguf_head_next_text(head, hole, strlen(hole));
	}
	gguf_head_integers(head, "tokenizer.ggml.token_type", types, count);
}

static int write_types(const struct tokenizer *t, struct gguf_head *head)
{
	size_t count = t->vocab.id_count;
	int32_t *types = malloc((count + 1) * sizeof(*types));

	if (!types)
		return ENOMEM;
	for (size_t id = 0; id < count; id++)
		types[id] = vocab_token(&t->vocab, id) ? GGML_NORMAL : GGML_UNUSED;
	for (size_t i = 0; i < t->added.count; i++)
		types[t->added.items[i].id] =
			t->added.items[i].special ? GGML_CONTROL : GGML_USER_DEFINED;
	write_tokens(t, head, types);
	free(types);
	return 0;
}

static int write_merges(const struct tokenizer *t, struct gguf_head *head)
{
	struct text_bytes line = {.at = NULL};
	struct err err = {0};

	gguf_head_texts(head, "tokenizer.ggml.merges", t->bpe.count);
	for (size_t i = 0; i < t->bpe.count; i++) {
		const struct token *left = vocab_token(&t->vocab, t->bpe.merges[i].left);
		const struct token *right = vocab_token(&t->vocab, t->bpe.merges[i].right);

		line.used = 0;
		if (!err.code &&
		    !text_bytes_add(&line, vocab_text(&t->vocab, left), left->text_bytes, &err) &&
		    !text_bytes_add(&line, " ", 1, &err))
			(void)text_bytes_add(&line, vocab_text(&t->vocab, right), right->text_bytes,
					     &err);
		gguf_head_next_text(head, line.at ? (const char *)line.at : "", line.used);
	}
	free(line.at);
	return err.code;
}

static void write_specials(const struct tokenizer *t, struct gguf_head *head)
{
	for (size_t i = 0; i < SPECIALS; i++) {
		const int64_t *id =
			(const int64_t *)(const void *)((const char *)t + specials[i].offset);

		if (*id != TOKEN_ABSENT)
			gguf_head_number(head, specials[i].key, (uint32_t)*id);
	}
	/* llama.cpp can put its bos in front, and nothing else. */
	gguf_head_bool(head, "tokenizer.ggml.add_bos_token",
		       t->prefix.count == 1 && t->prefix.items[0] == t->bos);
	gguf_head_bool(head, "tokenizer.ggml.add_eos_token",
		       t->suffix.count == 1 && t->suffix.items[0] == t->eos);
}

static int write_around(struct gguf_head *head, const char *key, const struct text_ids *ids)
{
	int32_t *values = malloc((ids->count + 1) * sizeof(*values));

	if (!values)
		return ENOMEM;
	for (size_t i = 0; i < ids->count; i++)
		values[i] = (int32_t)ids->items[i];
	gguf_head_integers(head, key, values, ids->count);
	free(values);
	return 0;
}

static int write_json(struct gguf_head *head, const char *key, const json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (!text)
		return ENOMEM;
	gguf_head_text(head, key, text);
	free(text);
	return 0;
}

static json_t *added_json(const struct added_token *token)
{
	return json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (int)token->id, "content",
			 token->text, token->bytes, "single_word", token->single_word, "lstrip",
			 token->left_strip, "rstrip", token->right_strip, "normalized",
			 token->normalized, "special", token->special);
}

static int write_added(const struct tokenizer *t, struct gguf_head *head)
{
	json_t *list = json_array(), *object = json_object();
	int code =
		list && object && !json_object_set_new(object, "added_tokens", list) ? 0 : ENOMEM;

	for (size_t i = 0; i < t->added.count && !code; i++)
		code = json_array_append_new(list, added_json(&t->added.items[i])) ? ENOMEM : 0;
	code = code ? code : write_json(head, OWN_ADDED, object);
	json_decref(object);
	return code;
}

void tokenizer_write_gguf(const struct tokenizer *tokenizer, struct gguf_head *head)
{
	gguf_head_text(head, "tokenizer.ggml.model", "gpt2");
	gguf_head_text(head, "tokenizer.ggml.pre", tokenizer_pre_name(tokenizer));
	write_specials(tokenizer, head);
	gguf_head_bool(head, OWN_IGNORE, tokenizer->ignore_merges);
	if (write_types(tokenizer, head) || write_merges(tokenizer, head) ||
	    write_json(head, OWN_PRE, tokenizer->pre_json) || write_added(tokenizer, head) ||
	    write_around(head, OWN_PREFIX, &tokenizer->prefix) ||
	    write_around(head, OWN_SUFFIX, &tokenizer->suffix))
		head->failed = true; /* out of memory: gguf_head_finish() tells */
}
