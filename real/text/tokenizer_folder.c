/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer_folder.c - reads the tokenizer of a Hugging Face folder
 *
 * `tokenizer.json` has all of it but which tokens end and pad a text.  A folder of older times has
 * `vocab.json` and `merges.txt`, which are GPT-2's rule, and says the rest in `added_tokens.json`,
 * `special_tokens_map.json` and `tokenizer_config.json`. */
#include "tokenizer_inside.h"

#include "checkpoint_json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 256 * 1024 * 1024 };

/* A file of the folder, as a whole. */
struct part {
	char path[PATH_MAX];
	struct text_bytes text;
	json_t *json;
};

struct folder {
	const char *dir;
	struct part config, specials, added; /* .json NULL: not there */
};

static int read_all(struct part *part, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(err, "%s: cannot stat", part->path);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return err_set(err, EBADMSG, "%s: expected a regular file of at most %d bytes",
			       part->path, FILE_MAX);
	for (;;) {
		unsigned char *at =
			text_room(part->text.at, part->text.used, 65536, &part->text.room, 1, err);
		ssize_t got;

		if (!at)
			return err->code;
		part->text.at = at;
		got = read(fd, at + part->text.used, 65536);
		if (got < 0 && errno != EINTR)
			return err_errno(err, "%s: cannot read", part->path);
		if (got == 0)
			return 0;
		part->text.used += got > 0 ? (size_t)got : 0;
		if (part->text.used > FILE_MAX)
			return err_set(err, EBADMSG, "%s: more than %d bytes", part->path,
				       FILE_MAX);
	}
}

/* '*there' says whether the folder has it. */
static int read_part(struct part *part, const char *dir, const char *name, bool *there,
		     struct err *err)
{
	int fd, length = snprintf(part->path, sizeof(part->path), "%s/%s", dir, name);

	*there = false;
	if (length < 0 || (size_t)length >= sizeof(part->path))
		return err_set(err, ENAMETOOLONG, "%s/%s: path too long", dir, name);
	fd = open(part->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_errno(err, "%s: cannot open", part->path);
	*there = true;
	(void)read_all(part, fd, err);
	close(fd);
	return err->code;
}

static int read_json(struct part *part, const char *dir, const char *name, bool *there,
		     struct err *err)
{
	if (read_part(part, dir, name, there, err) || !*there)
		return err->code;
	return checkpoint_json(&part->json, (const char *)part->text.at, part->text.used,
			       part->path, "JSON", err);
}

static void part_fini(struct part *part)
{
	json_decref(part->json);
	free(part->text.at);
	part->json = NULL;
	part->text = (struct text_bytes){.at = NULL};
}

/* One merge a line, by rank; the first line may name the version. */
static int read_merges(struct tokenizer *t, const struct part *part, struct err *err)
{
	const char *at = (const char *)part->text.at, *end = at + part->text.used;
	bool first = true;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;
		size_t bytes = (size_t)(stop - at);

		if (bytes > 0 && at[bytes - 1] == '\r')
			bytes--;
		if (!(first && bytes >= 8 && memcmp(at, "#version", 8) == 0) &&
		    bpe_add_line(&t->bpe, &t->vocab, at, bytes, part->path, err))
			return err->code;
		first = false;
		at = newline ? newline + 1 : end;
	}
	return 0;
}

/* A special token's text: given as itself, or with flags. */
static const char *special_text(const json_t *json)
{
	const char *text = json_string_value(json);

	return text ? text : json_string_value(json_object_get(json, "content"));
}

/* A special token by its text: it must be in the vocabulary, and is added unless it was. */
static int add_special(struct tokenizer *t, const json_t *json, const char *name, const char *path,
		       int64_t *id, struct err *err)
{
	const char *text = special_text(json);
	const struct token *token;
	json_t *copy, *number;

	*id = TOKEN_ABSENT;
	if (!json || json_is_null(json) || (text && !*text))
		return 0;
	if (!text)
		return err_set(err, EBADMSG, "%s: %s is %s, expected a text or one with flags",
			       path, name, checkpoint_json_kind(json));
	*id = vocab_find(&t->vocab, text, strlen(text));
	token = *id == TOKEN_ABSENT ? NULL : vocab_token(&t->vocab, (uint64_t)*id);
	if (!token)
		return err_set(err, EBADMSG, "%s: %s '%s' is no token of the vocabulary", path,
			       name, text_quote(text, strlen(text)).text);
	if (token->kind == TOKEN_ADDED)
		return 0;
	copy = json_is_object(json) ? json_copy((json_t *)json) : json_object();
	number = json_integer(*id);
	if (!copy || json_object_set_new(copy, "id", number) ||
	    json_object_set_new(copy, "content", json_string(text)) ||
	    json_object_set_new(copy, "special", json_true()))
		err_nomem(err, "a special token", strlen(text));
	else
		(void)tokenizer_add_json(t, copy, NULL, path, err);
	json_decref(copy);
	return err->code;
}

/* {"0": {"content": "<s>", ...}, ...} of tokenizer_config.json. */
static int read_added_decoder(struct tokenizer *t, const struct part *config, struct err *err)
{
	json_t *added = json_object_get(config->json, "added_tokens_decoder");

	for (void *it = json_object_iter(added); it; it = json_object_iter_next(added, it))
		if (tokenizer_add_json(t, json_object_iter_value(it), json_object_iter_key(it),
				       config->path, err))
			return err->code;
	return 0;
}

/* {"<pad>": 50265, ...}: those that are in the vocabulary are no news. */
static int read_added_tokens(struct tokenizer *t, const struct part *part, struct err *err)
{
	for (void *it = json_object_iter(part->json); it;
	     it = json_object_iter_next(part->json, it)) {
		const char *text = json_object_iter_key(it);
		const json_t *id = json_object_iter_value(it);
		json_t *object = json_pack("{s:s, s:O}", "content", text, "id", id);

		if (!object)
			return err_nomem(err, "an added token", strlen(text));
		if (vocab_find(&t->vocab, text, strlen(text)) != json_integer_value(id) ||
		    !json_is_integer(id))
			(void)tokenizer_add_json(t, object, NULL, part->path, err);
		json_decref(object);
		if (err->code)
			return err->code;
	}
	return 0;
}

/* The list of further special tokens, which has had two names. */
static int read_more_specials(struct tokenizer *t, const struct part *part, struct err *err)
{
	static const char *const names[] = {"additional_special_tokens", "extra_special_tokens"};

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		const json_t *list = json_object_get(part->json, names[n]);
		int64_t id;

		for (size_t i = 0; i < json_array_size(list); i++)
			if (add_special(t, json_array_get(list, i), names[n], part->path, &id, err))
				return err->code;
	}
	return 0;
}

/* Those of tokenizer_config.json, else of special_tokens_map.json. */
static int read_specials(struct tokenizer *t, const struct folder *folder, struct err *err)
{
	const struct {
		const char *name;
		int64_t *id;
	} rows[] = {{"bos_token", &t->bos},
		    {"eos_token", &t->eos},
		    {"unk_token", &t->unk},
		    {"pad_token", &t->pad}};
	const struct part *const parts[] = {&folder->specials, &folder->config};

	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			int64_t id;

			if (add_special(t, json_object_get(parts[p]->json, rows[i].name),
					rows[i].name, parts[p]->path, &id, err))
				return err->code;
			if (id != TOKEN_ABSENT)
				*rows[i].id = id;
		}
	if (read_more_specials(t, &folder->specials, err))
		return err->code;
	return read_more_specials(t, &folder->config, err);
}

/* What tokenizer_config.json asks to put in front, where tokenizer.json did not say it better. */
static int read_prefix(struct tokenizer *t, const struct part *config, struct err *err)
{
	if (!json_is_true(json_object_get(config->json, "add_bos_token")) || t->prefix.count > 0)
		return 0;
	if (t->bos == TOKEN_ABSENT)
		return err_set(err, EBADMSG, "%s: add_bos_token without a bos_token", config->path);
	return text_ids_add(&t->prefix, (uint32_t)t->bos, err);
}

static int read_gpt2_rule(struct tokenizer *t, const struct part *config, struct err *err)
{
	const json_t *space = json_object_get(config->json, "add_prefix_space");
	json_t *json;

	if (!json_is_true(space))
		return tokenizer_set_pre_named(t, "gpt-2", config->path, err);
	json = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 1,
			 "trim_offsets", 1, "use_regex", 1);
	if (!json)
		return err_nomem(err, "a pre-tokenizer", 64);
	(void)tokenizer_set_pre(t, json, config->path, err);
	json_decref(json);
	return err->code;
}

static int fill_plain(struct tokenizer *t, const struct folder *folder, const struct part *vocab,
		      const struct part *merges, struct err *err)
{
	if (tokenizer_read_vocab(t, vocab->json, vocab->path, err) || read_merges(t, merges, err) ||
	    read_gpt2_rule(t, &folder->config, err) ||
	    read_added_decoder(t, &folder->config, err) ||
	    read_added_tokens(t, &folder->added, err) || read_specials(t, folder, err) ||
	    read_prefix(t, &folder->config, err))
		return err->code;
	return tokenizer_finish(t, vocab->path, err);
}

static int read_plain(struct tokenizer **out, const struct folder *folder, const struct part *vocab,
		      struct err *err)
{
	struct part merges = {.path = ""};
	struct tokenizer *t = NULL;
	bool there;

	if (read_part(&merges, folder->dir, "merges.txt", &there, err))
		goto fail;
	if (!there) {
		err_set(err, EBADMSG, "%s: missing, but vocab.json is there", merges.path);
		goto fail;
	}
	if (tokenizer_new(&t,
			  json_object_size(vocab->json) + json_object_size(folder->added.json) +
				  json_object_size(json_object_get(folder->config.json,
								   "added_tokens_decoder")),
			  err) ||
	    fill_plain(t, folder, vocab, &merges, err))
		goto fail;
	*out = t;
	t = NULL;
fail:
	tokenizer_close(t);
	part_fini(&merges);
	return err->code;
}

/* A tokenizer.json is finished; its folder may name its special tokens. */
static int read_whole(struct tokenizer **out, const struct folder *folder, const struct part *whole,
		      struct err *err)
{
	struct tokenizer *t;

	if (tokenizer_read_json(&t, whole->json, whole->path, err))
		return err->code;
	if (read_specials(t, folder, err) || read_prefix(t, &folder->config, err) ||
	    tokenizer_finish(t, whole->path, err)) {
		tokenizer_close(t);
		return err->code;
	}
	*out = t;
	return 0;
}

static int read_besides(struct folder *folder, struct err *err)
{
	bool there;

	if (read_json(&folder->config, folder->dir, "tokenizer_config.json", &there, err) ||
	    read_json(&folder->specials, folder->dir, "special_tokens_map.json", &there, err))
		return err->code;
	return read_json(&folder->added, folder->dir, "added_tokens.json", &there, err);
}

static int no_tokenizer(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/tokenizer.model", dir);
	if (access(path, F_OK) == 0)
		return err_set(err, ENOTSUP, "%s: a SentencePiece tokenizer is not supported",
			       path);
	return err_set(err, ENOENT, "%s: no tokenizer: neither tokenizer.json nor vocab.json", dir);
}

int tokenizer_read_folder(struct tokenizer **out, const char *dir, struct err *err)
{
	struct folder *folder = calloc(1, sizeof(*folder));
	struct part *part = calloc(1, sizeof(*part));
	bool there;

	*out = NULL;
	if (!folder || !part) {
		err_nomem(err, "a tokenizer", sizeof(*folder) + sizeof(*part));
		goto fail;
	}
	folder->dir = dir;
	if (read_besides(folder, err) || read_json(part, dir, "tokenizer.json", &there, err))
		goto fail;
	if (there) {
		(void)read_whole(out, folder, part, err);
		goto fail;
	}
	if (read_json(part, dir, "vocab.json", &there, err))
		goto fail;
	if (there)
		(void)read_plain(out, folder, part, err);
	else
		no_tokenizer(dir, err);
fail:
	if (folder) {
		part_fini(&folder->config);
		part_fini(&folder->specials);
		part_fini(&folder->added);
	}
	if (part)
		part_fini(part);
	free(folder);
	free(part);
	return err->code;
}
