/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_model.c - opens a model's two files and holds them against the geometry, tensor by tensor */
#include "real_model.h"

#include "real_files.h"
#include "real_write.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct real_model {
	struct model shape;
	enum weight_type weights;
	const struct layout_ops *layout;
	struct file_map maps[2];
	char *paths[2];
	uint64_t data_offset[2];
	char digest[DIGEST_TEXT];
};

static const char *word_text(const struct param_word *words, unsigned value)
{
	return words[value].text;
}

static int read_word(const struct gguf *gguf, const char *key, const struct param_word *words,
		     unsigned *value, struct err *err)
{
	char expected[128] = "";
	const char *text;
	int found;

	if (gguf_text(gguf, key, &text, err))
		return err->code;
	found = word_value(words, text);
	for (size_t i = 0; words[i].text; i++) {
		size_t used = strlen(expected);

		snprintf(expected + used, sizeof(expected) - used, " %s", words[i].text);
	}
	if (found < 0)
		return err_set(err, EBADMSG, "%s: key %s: got '%.64s', expected one of%s",
			       gguf_path(gguf), key, text, expected);
	*value = (unsigned)found;
	return 0;
}

static int read_shape(const struct gguf *gguf, struct model *m, enum weight_type *weights,
		      struct err *err)
{
	static const char activation[] = "flashcast.activation";
	char key[FILE_KEY];
	const char *name;
	unsigned type;

	memset(m, 0, sizeof(*m));
	if (read_word(gguf, "general.architecture", model_family_words, &m->family, err) ||
	    read_word(gguf, "flashcast.weights", weight_type_words, &type, err) ||
	    gguf_text(gguf, "general.name", &name, err) ||
	    gguf_number(gguf, "flashcast.row_align", &m->row_align, err))
		return err->code;
	/* Files from before the key are all of ReLU models. */
	if (gguf_has(gguf, activation) &&
	    read_word(gguf, activation, activation_words, &m->activation, err))
		return err->code;
	if (gguf_has(gguf, OWN_HEAD_KEY) && gguf_bool(gguf, OWN_HEAD_KEY, &m->own_head, err))
		return err->code;
	*weights = (enum weight_type)type;
	snprintf(m->name, sizeof(m->name), "%s", name);
	for (const struct file_key *row = file_keys; row->part; row++) {
		uint64_t value;

		if (gguf_number(gguf, file_key_name(key, m, row), &value, err))
			return err->code;
		memcpy((char *)m + row->offset, &value, sizeof(value));
	}
	return shape_check(m, gguf_path(gguf), err);
}

static int check_expected(const struct gguf *gguf, const struct model *got,
			  const struct model *want, struct err *err)
{
	if (got->family != want->family)
		return err_set(err, EINVAL, "%s: family: got %s, expected %s", gguf_path(gguf),
			       word_text(model_family_words, got->family),
			       word_text(model_family_words, want->family));
	if (got->activation != want->activation)
		return err_set(err, EINVAL, "%s: activation: got %s, expected %s", gguf_path(gguf),
			       word_text(activation_words, got->activation),
			       word_text(activation_words, want->activation));
	if (got->own_head != want->own_head)
		return err_set(err, EINVAL, "%s: own_head: got %s, expected %s", gguf_path(gguf),
			       got->own_head ? "true" : "false", want->own_head ? "true" : "false");
	for (size_t i = 0; i < model_table.count; i++) {
		const struct param *row = &model_table.rows[i];
		uint64_t a, b;

		if (row->type != PARAM_U64)
			continue;
		memcpy(&a, (const char *)got + row->offset, sizeof(a));
		memcpy(&b, (const char *)want + row->offset, sizeof(b));
		if (a != b)
			return err_set(err, EINVAL,
				       "%s: %s: got %" PRIu64 ", expected %" PRIu64
				       " as model '%s' says",
				       gguf_path(gguf), row->name, a, b, want->name);
	}
	return 0;
}

static int check_tensor(const struct gguf *gguf, size_t i, const struct gguf_tensor *want,
			struct err *err)
{
	const struct gguf_tensor *got;

	if (i >= gguf_tensor_count(gguf))
		return err_set(err, EBADMSG, "%s: tensor '%s' is missing: %zu tensors in all",
			       gguf_path(gguf), want->name, gguf_tensor_count(gguf));
	got = gguf_tensor_at(gguf, i);
	if (strcmp(got->name, want->name) != 0)
		return err_set(err, EBADMSG, "%s: tensor %zu: got '%s', expected '%s'",
			       gguf_path(gguf), i, got->name, want->name);
	if (got->type != want->type)
		return err_set(err, EBADMSG, "%s: tensor '%s': got type %s, expected %s",
			       gguf_path(gguf), got->name, gguf_type_name(got->type),
			       gguf_type_name(want->type));
	for (unsigned d = 0; d < GGUF_DIMS; d++)
		if (got->dims[d] != want->dims[d])
			return err_set(err, EBADMSG,
				       "%s: tensor '%s': dimension %u: got %" PRIu64
				       ", expected %" PRIu64,
				       gguf_path(gguf), got->name, d, got->dims[d], want->dims[d]);
	if (got->offset - gguf_data_offset(gguf) != want->offset)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': offset: got %" PRIu64 ", expected %" PRIu64,
			       gguf_path(gguf), got->name, got->offset - gguf_data_offset(gguf),
			       want->offset);
	return 0;
}

static int check_tensors(const struct gguf *gguf, const struct file_map *map, struct err *err)
{
	struct file_tensors it = {.map = map};
	uint64_t want_bytes = gguf_data_offset(gguf) + file_data_bytes(map);
	size_t count = 0;

	if (gguf_alignment(gguf) % TENSOR_ALIGN != 0)
		return err_set(err, EBADMSG,
			       "%s: general.alignment: got %" PRIu64 ", expected a multiple of %d",
			       gguf_path(gguf), gguf_alignment(gguf), TENSOR_ALIGN);
	while (file_tensors_next(&it)) {
		struct gguf_tensor want;

		file_tensor_gguf(&want, &it);
		if (check_tensor(gguf, count++, &want, err))
			return err->code;
	}
	if (gguf_tensor_count(gguf) != count)
		return err_set(err, EBADMSG, "%s: got %zu tensors, expected %zu", gguf_path(gguf),
			       gguf_tensor_count(gguf), count);
	if (gguf_file_bytes(gguf) != want_bytes)
		return err_set(err, EBADMSG, "%s: got %" PRIu64 " bytes, expected %" PRIu64,
			       gguf_path(gguf), gguf_file_bytes(gguf), want_bytes);
	return 0;
}

/* The FFN file says the same geometry, its own layout, and that it was made with this base. */
static int check_pair(const struct gguf *base, const struct gguf *ffn, struct real_model *rm,
		      struct err *err)
{
	const char *layout, *of_base, *of_ffn;
	enum weight_type weights;
	struct model shape;

	if (read_shape(ffn, &shape, &weights, err) || check_expected(ffn, &shape, &rm->shape, err))
		return err->code;
	if (weights != rm->weights)
		return err_set(err, EBADMSG, "%s: flashcast.weights: got %s, expected %s as in %s",
			       gguf_path(ffn), word_text(weight_type_words, weights),
			       word_text(weight_type_words, rm->weights), gguf_path(base));
	if (gguf_text(ffn, "flashcast.layout", &layout, err) ||
	    gguf_text(base, WEIGHTS_DIGEST_KEY, &of_base, err) ||
	    gguf_text(ffn, WEIGHTS_DIGEST_KEY, &of_ffn, err))
		return err->code;
	if (strcmp(layout, rm->layout->name) != 0)
		return err_set(err, EBADMSG, "%s: flashcast.layout: got '%.64s', expected '%s'",
			       gguf_path(ffn), layout, rm->layout->name);
	if (strcmp(of_base, of_ffn) != 0)
		return err_set(err, EBADMSG,
			       "%s: " WEIGHTS_DIGEST_KEY ": got %.64s, expected %.64s as in %s: "
			       "the files are of different models",
			       gguf_path(ffn), of_ffn, of_base, gguf_path(base));
	snprintf(rm->digest, sizeof(rm->digest), "%s", of_base);
	return 0;
}

static int check_files(struct real_model *rm, const struct gguf *base, const struct gguf *ffn,
		       const struct model *expect, struct err *err)
{
	const struct gguf *const files[2] = {base, ffn};

	if (read_shape(base, &rm->shape, &rm->weights, err))
		return err->code;
	if (expect && check_expected(base, &rm->shape, expect, err))
		return err->code;
	if (check_pair(base, ffn, rm, err))
		return err->code;
	for (unsigned i = 0; i < 2; i++) {
		rm->maps[i] = (struct file_map){&rm->shape, rm->weights, i ? rm->layout : NULL};
		rm->data_offset[i] = gguf_data_offset(files[i]);
		if (check_tensors(files[i], &rm->maps[i], err))
			return err->code;
	}
	return 0;
}

int real_model_open(struct real_model **out, const char *dir, const struct layout_ops *layout,
		    const struct model *expect, struct err *err)
{
	struct gguf *base = NULL, *ffn = NULL;
	struct real_model *rm = calloc(1, sizeof(*rm));

	*out = NULL;
	if (!rm) {
		err_nomem(err, "a model", sizeof(*rm));
		goto fail;
	}
	rm->layout = layout;
	rm->paths[0] = file_path(dir, NULL);
	rm->paths[1] = file_path(dir, layout);
	if (!rm->paths[0] || !rm->paths[1]) {
		err_nomem(err, "a model's file names", strlen(dir) + FILE_KEY);
		goto fail;
	}
	if (gguf_open(&base, rm->paths[0], err) || gguf_open(&ffn, rm->paths[1], err) ||
	    check_files(rm, base, ffn, expect, err))
		goto fail;
	*out = rm;
	rm = NULL;
fail:
	gguf_close(base);
	gguf_close(ffn);
	real_model_close(rm);
	return err->code;
}

void real_model_close(struct real_model *rm)
{
	if (!rm)
		return;
	free(rm->paths[0]);
	free(rm->paths[1]);
	free(rm);
}

const struct model *real_model_shape(const struct real_model *rm)
{
	return &rm->shape;
}

enum weight_type real_model_weights(const struct real_model *rm)
{
	return rm->weights;
}

const char *real_model_digest(const struct real_model *rm)
{
	return rm->digest;
}

const char *real_model_path(const struct real_model *rm, unsigned file)
{
	assert(file < 2);
	return rm->paths[file];
}

void real_model_at(const struct real_model *rm, enum region region, uint32_t layer, uint64_t offset,
		   unsigned *file, uint64_t *file_offset)
{
	*file = region == REGION_EMBED || region == REGION_ATTENTION ? 0 : 1;
	*file_offset =
		rm->data_offset[*file] + file_region_at(&rm->maps[*file], region, layer) + offset;
}
