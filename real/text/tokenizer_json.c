/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tokenizer_json.c - reads a tokenizer.json: BPE over bytes, and nothing that would change its meaning
 *
 * `truncation` and `padding` are settings for batches, and are passed over; anything else that we do not
 * do is refused by name. */
#include "tokenizer_inside.h"

#include "checkpoint_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHERE = 512 };

static const char *type_of(const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "type"));

	return type ? type : checkpoint_json_kind(json);
}

static int unsupported(const char *where, const char *what, const char *got, struct err *err)
{
	return err_set(err, ENOTSUP, "%s: %s '%s' is not supported", where, what,
		       text_quote(got, strlen(got)).text);
}

int tokenizer_read_vocab(struct tokenizer *t, const json_t *vocab, const char *where,
			 struct err *err)
{
	json_t *object = (json_t *)vocab; /* iteration takes it so, and changes nothing */

	if (!json_is_object(vocab))
		return err_set(err, EBADMSG, "%s: the vocabulary is %s, expected an object", where,
			       checkpoint_json_kind(vocab));
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		const char *text = json_object_iter_key(it);
		const json_t *id = json_object_iter_value(it);

		if (!json_is_integer(id) || json_integer_value(id) < 0)
			return err_set(err, EBADMSG, "%s: token '%s': id is %s, expected 0 or more",
				       where, text_quote(text, strlen(text)).text,
				       json_is_integer(id) ? "negative" : checkpoint_json_kind(id));
		if (vocab_add(&t->vocab, text, strlen(text), (uint64_t)json_integer_value(id),
			      TOKEN_MODEL, where, err))
			return err->code;
	}
	return 0;
}

/* "a b", or since 2024 ["a", "b"]. */
static int read_merge(struct tokenizer *t, const json_t *json, const char *where, struct err *err)
{
	const json_t *left = json_array_get(json, 0), *right = json_array_get(json, 1);
	struct merge_text merge;

	if (json_is_string(json))
		return bpe_add_line(&t->bpe, &t->vocab, json_string_value(json),
				    json_string_length(json), where, err);
	if (json_array_size(json) != 2 || !json_is_string(left) || !json_is_string(right))
		return err_set(err, EBADMSG, "%s: merge %zu is %s, expected two texts", where,
			       t->bpe.count + 1, checkpoint_json_kind(json));
	merge = (struct merge_text){json_string_value(left), json_string_value(right),
				    json_string_length(left), json_string_length(right)};
	return bpe_add(&t->bpe, &t->vocab, &merge, where, err);
}

static int read_merges(struct tokenizer *t, const json_t *merges, const char *where,
		       struct err *err)
{
	if (!json_is_array(merges))
		return err_set(err, EBADMSG, "%s: merges is %s, expected an array", where,
			       checkpoint_json_kind(merges));
	for (size_t i = 0; i < json_array_size(merges); i++)
		if (read_merge(t, json_array_get(merges, i), where, err))
			return err->code;
	return 0;
}

/* Absent, null, false, 0 and "" all say "not used". */
static bool is_off(const json_t *json)
{
	return !json || json_is_null(json) || json_is_false(json) ||
	       (json_is_number(json) && json_number_value(json) == 0) ||
	       (json_is_string(json) && json_string_length(json) == 0);
}

static int read_model(struct tokenizer *t, const json_t *model, const char *where, struct err *err)
{
	static const char *const unused[] = {"dropout", "continuing_subword_prefix",
					     "end_of_word_suffix", "byte_fallback"};

	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++)
		if (!is_off(json_object_get(model, unused[i])))
			return err_set(err, ENOTSUP, "%s: %s is not supported", where, unused[i]);
	t->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
	if (tokenizer_read_vocab(t, json_object_get(model, "vocab"), where, err))
		return err->code;
	return read_merges(t, json_object_get(model, "merges"), where, err);
}

/* Older files do not say BPE, but only BPE has merges. */
static int check_model(const json_t *model, const char *where, struct err *err)
{
	if (!json_is_object(model))
		return err_set(err, EBADMSG, "%s is %s, expected an object", where,
			       checkpoint_json_kind(model));
	if (!json_object_get(model, "type") && json_object_get(model, "merges"))
		return 0;
	return strcmp(type_of(model), "BPE") == 0 ? 0
						  : unsupported(where, "type", type_of(model), err);
}

static int check_normalizer(const json_t *json, const char *path, struct err *err)
{
	bool empty = strcmp(type_of(json), "Sequence") == 0 &&
		     json_array_size(json_object_get(json, "normalizers")) == 0;

	return is_off(json) || empty ? 0 : unsupported(path, "normalizer", type_of(json), err);
}

static int add_special(struct text_ids *ids, const json_t *id, const char *where, struct err *err)
{
	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) > INT32_MAX)
		return err_set(err, EBADMSG, "%s: a special token's id is %s, expected 0 to %d",
			       where, checkpoint_json_kind(id), INT32_MAX);
	return text_ids_add(ids, (uint32_t)json_integer_value(id), err);
}

/* ["</s>", 2], before or behind the text. */
static int read_pair(struct text_ids *ids, const json_t *pair, const char *where, struct err *err)
{
	return add_special(ids, json_array_get(pair, 1), where, err);
}

static int read_template_item(struct tokenizer *t, const json_t *post, const json_t *item,
			      bool *has_text, const char *where, struct err *err)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(item, "SpecialToken"), "id"));
	const json_t *ids = NULL;

	if (json_object_get(item, "Sequence")) {
		const char *which =
			json_string_value(json_object_get(json_object_get(item, "Sequence"), "id"));

		if (*has_text || !which || strcmp(which, "A") != 0)
			return err_set(err, ENOTSUP,
				       "%s: a template with more than one text is not supported",
				       where);
		*has_text = true;
		return 0;
	}
	if (name)
		ids = json_object_get(
			json_object_get(json_object_get(post, "special_tokens"), name), "ids");
	if (json_array_size(ids) == 0)
		return err_set(err, EBADMSG, "%s: special_tokens has no ids for '%s'", where,
			       name ? text_quote(name, strlen(name)).text : "(nothing)");
	for (size_t i = 0; i < json_array_size(ids); i++)
		if (add_special(*has_text ? &t->suffix : &t->prefix, json_array_get(ids, i), where,
				err))
			return err->code;
	return 0;
}

static int read_template(struct tokenizer *t, const json_t *post, const char *where,
			 struct err *err)
{
	const json_t *single = json_object_get(post, "single");
	bool has_text = false;

	for (size_t i = 0; i < json_array_size(single); i++)
		if (read_template_item(t, post, json_array_get(single, i), &has_text, where, err))
			return err->code;
	if (!has_text)
		return err_set(err, EBADMSG, "%s: single is %s, expected an array with the text",
			       where, checkpoint_json_kind(single));
	return 0;
}

/* What stands around a text. */
static int read_post(struct tokenizer *t, const json_t *post, unsigned depth, const char *where,
		     struct err *err)
{
	const char *type = type_of(post);
	const json_t *inner = json_object_get(post, "processors");

	if (is_off(post) || strcmp(type, "ByteLevel") == 0) /* moves offsets only */
		return 0;
	if (strcmp(type, "Sequence") == 0 && depth == 0) {
		for (size_t i = 0; i < json_array_size(inner); i++)
			if (read_post(t, json_array_get(inner, i), depth + 1, where, err))
				return err->code;
		return 0;
	}
	if (t->prefix.count + t->suffix.count > 0)
		return err_set(err, ENOTSUP, "%s: special tokens of two processors", where);
	if (strcmp(type, "TemplateProcessing") == 0)
		return read_template(t, post, where, err);
	if (strcmp(type, "RobertaProcessing") != 0 && strcmp(type, "BertProcessing") != 0)
		return unsupported(where, "post_processor", type, err);
	if (read_pair(&t->prefix, json_object_get(post, "cls"), where, err))
		return err->code;
	return read_pair(&t->suffix, json_object_get(post, "sep"), where, err);
}

static int read_added(struct tokenizer *t, const json_t *added, const char *where, struct err *err)
{
	if (added && !json_is_array(added))
		return err_set(err, EBADMSG, "%s: added_tokens is %s, expected an array", where,
			       checkpoint_json_kind(added));
	for (size_t i = 0; i < json_array_size(added); i++)
		if (tokenizer_add_json(t, json_array_get(added, i), NULL, where, err))
			return err->code;
	return 0;
}

static int read_parts(struct tokenizer *t, const json_t *root, const char *path, struct err *err)
{
	const json_t *decoder = json_object_get(root, "decoder");
	char where[WHERE];

	snprintf(where, sizeof(where), "%s: model", path);
	if (read_model(t, json_object_get(root, "model"), where, err) ||
	    check_normalizer(json_object_get(root, "normalizer"), path, err))
		return err->code;
	if (strcmp(type_of(decoder), "ByteLevel") != 0)
		return unsupported(path, "decoder", type_of(decoder), err);
	if (tokenizer_set_pre(t, json_object_get(root, "pre_tokenizer"), path, err))
		return err->code;
	snprintf(where, sizeof(where), "%s: added_tokens", path);
	if (read_added(t, json_object_get(root, "added_tokens"), where, err))
		return err->code;
	snprintf(where, sizeof(where), "%s: post_processor", path);
	if (read_post(t, json_object_get(root, "post_processor"), 0, where, err))
		return err->code;
	return tokenizer_finish(t, path, err);
}

int tokenizer_read_json(struct tokenizer **out, const json_t *root, const char *path,
			struct err *err)
{
	const json_t *model = json_object_get(root, "model");
	struct tokenizer *t = NULL;
	char where[WHERE];

	*out = NULL;
	snprintf(where, sizeof(where), "%s: model", path);
	if (check_model(model, where, err) ||
	    tokenizer_new(&t,
			  json_object_size(json_object_get(model, "vocab")) +
				  json_array_size(json_object_get(root, "added_tokens")),
			  err) ||
	    read_parts(t, root, path, err)) {
		tokenizer_close(t);
		return err->code;
	}
	*out = t;
	return 0;
}
