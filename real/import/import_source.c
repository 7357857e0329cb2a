/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import_source.c - two families' names as tables, and a checkpoint held against them */
#include "import_source.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIXES = 4, NAME = 2 * CHECKPOINT_NAME, SHAPE_TEXT = 96 };

/* A name of ours, and theirs: of a layer each after its own prefix. */
struct source_row {
	const char *ours;
	const char *theirs[SOURCE_PARTS];
};

struct source_names {
	const char *prefixes[PREFIXES]; /* ended by NULL */
	const char *layer;		/* after the prefix, before a layer's number */
	const char *head;
	const struct source_row *rows; /* ended by a NULL name */
};

static const struct source_row opt_rows[] = {
	{"token_embd.weight", {"embed_tokens.weight"}},
	{"position_embd.weight", {"embed_positions.weight"}},
	{"output_norm.weight", {"final_layer_norm.weight"}},
	{"output_norm.bias", {"final_layer_norm.bias"}},
	{"attn_norm.weight", {"self_attn_layer_norm.weight"}},
	{"attn_norm.bias", {"self_attn_layer_norm.bias"}},
	{"attn_qkv.weight",
	 {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}},
	{"attn_qkv.bias",
	 {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"}},
	{"attn_output.weight", {"self_attn.out_proj.weight"}},
	{"attn_output.bias", {"self_attn.out_proj.bias"}},
	{"ffn_norm.weight", {"final_layer_norm.weight"}},
	{"ffn_norm.bias", {"final_layer_norm.bias"}},
	{"ffn_up.weight", {"fc1.weight"}},
	{"ffn_up.bias", {"fc1.bias"}},
	{"ffn_down.weight", {"fc2.weight"}},
	{"ffn_down.bias", {"fc2.bias"}},
	{NULL, {NULL}},
};

static const struct source_row falcon_rows[] = {
	{"token_embd.weight", {"word_embeddings.weight"}},
	{"output_norm.weight", {"ln_f.weight"}},
	{"output_norm.bias", {"ln_f.bias"}},
	{"attn_norm.weight", {"input_layernorm.weight"}},
	{"attn_norm.bias", {"input_layernorm.bias"}},
	/* Query heads, then the key, then the value: our order. */
	{"attn_qkv.weight", {"self_attention.query_key_value.weight"}},
	{"attn_output.weight", {"self_attention.dense.weight"}},
	{"ffn_up.weight", {"mlp.dense_h_to_4h.weight"}},
	{"ffn_down.weight", {"mlp.dense_4h_to_h.weight"}},
	{NULL, {NULL}},
};

/* llama.cpp's converter puts several key/value heads in our order too, and permutes nothing for
 * Falcon. */
static const struct source_row gguf_rows[] = {
	{"token_embd.weight", {"token_embd.weight"}},
	{"output_norm.weight", {"output_norm.weight"}},
	{"output_norm.bias", {"output_norm.bias"}},
	{"attn_norm.weight", {"attn_norm.weight"}},
	{"attn_norm.bias", {"attn_norm.bias"}},
	{"attn_qkv.weight", {"attn_qkv.weight"}},
	{"attn_output.weight", {"attn_output.weight"}},
	{"ffn_up.weight", {"ffn_up.weight"}},
	{"ffn_down.weight", {"ffn_down.weight"}},
	{NULL, {NULL}},
};

static const struct source_names opt_names = {
	{"model.decoder.", "decoder.", "", NULL}, "layers.", "lm_head.weight", opt_rows};
static const struct source_names falcon_names = {
	{"transformer.", "", NULL}, "h.", "lm_head.weight", falcon_rows};
static const struct source_names gguf_names = {{"", NULL}, "blk.", "output.weight", gguf_rows};

/* Tensors that some versions save and that hold nothing of their own: tables which follow from the
 * config. */
static const char *const ignored_ends[] = {
	"rotary_emb.inv_freq",	      "rotary.inv_freq", "maybe_rotary.inv_freq",
	"self_attention.masked_bias", "decoder.version",
};

static bool ends_with(const char *name, const char *end)
{
	size_t a = strlen(name), b = strlen(end);

	return a >= b && strcmp(name + a - b, end) == 0;
}

static bool is_ignored(const char *name)
{
	for (size_t i = 0; i < sizeof(ignored_ends) / sizeof(ignored_ends[0]); i++)
		if (ends_with(name, ignored_ends[i]))
			return true;
	return false;
}

static const struct source_row *find_row(const struct source *s, const char *ours)
{
	for (const struct source_row *row = s->names->rows; row->ours; row++)
		if (strcmp(row->ours, ours) == 0)
			return row;
	assert(0 && "every tensor of a family has a name");
	return NULL;
}

/* Our names of a layer begin with "blk.N.". */
static const char *after_layer(const char *ours, bool *of_layer)
{
	const char *dot;

	*of_layer = strncmp(ours, "blk.", 4) == 0;
	if (!*of_layer)
		return ours;
	dot = strchr(ours + 4, '.');
	assert(dot);
	return dot + 1;
}

/* Norms and biases that a config says are not there. */
static bool is_left_out(const struct source *s, const char *part, float *fill)
{
	bool norm = ends_with(part, "norm.weight") || ends_with(part, "norm.bias");

	*fill = ends_with(part, ".weight") ? 1.0F : 0.0F;
	if (norm)
		return s->config.plain_norms;
	return ends_with(part, ".bias") && s->config.no_biases;
}

int source_find(const struct source *source, const char *name, uint32_t layer,
		struct source_tensor *tensor, struct err *err)
{
	bool of_layer;
	const char *part = after_layer(name, &of_layer);
	const struct source_row *row;
	char theirs[NAME], number[16] = "";

	memset(tensor, 0, sizeof(*tensor));
	if (strcmp(part, "output.weight") == 0) {
		assert(source->head);
		tensor->parts[tensor->part_count++] = source->head;
		return 0;
	}
	if (is_left_out(source, part, &tensor->fill))
		return 0;
	row = find_row(source, part);
	if (of_layer)
		snprintf(number, sizeof(number), "%" PRIu32 ".", layer);
	for (unsigned i = 0; i < SOURCE_PARTS && row->theirs[i]; i++) {
		snprintf(theirs, sizeof(theirs), "%s%s%s%s", source->prefix,
			 of_layer ? source->names->layer : "", number, row->theirs[i]);
		tensor->parts[i] = checkpoint_find(source->checkpoint, theirs);
		if (!tensor->parts[i])
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' is missing: the config says that it is "
				       "there",
				       source->path, theirs);
		tensor->part_count++;
	}
	return 0;
}

static const char *shape_text(char text[SHAPE_TEXT], const uint64_t *dims, uint32_t count)
{
	size_t used = 0;

	for (uint32_t i = 0; i < count && used < SHAPE_TEXT; i++)
		used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%" PRIu64,
					 i ? ", " : "[", dims[i]);
	if (used < SHAPE_TEXT)
		snprintf(text + used, SHAPE_TEXT - used, "%s", count ? "]" : "[]");
	return text;
}

/* 'rows' = 1: a vector. */
static int check_shape(const struct source *s, const struct checkpoint_tensor *t, uint64_t rows,
		       uint64_t width, struct err *err)
{
	const uint64_t want[2] = {rows, width};
	const uint32_t skip = rows == 1;
	char has[SHAPE_TEXT], wanted[SHAPE_TEXT];

	if (t->dim_count == 2 - skip && t->dims[0] == want[skip] && (skip || t->dims[1] == want[1]))
		return 0;
	return err_set(err, EBADMSG, "%s: tensor '%s': got shape %s, expected %s", s->path, t->name,
		       shape_text(has, t->dims, t->dim_count),
		       shape_text(wanted, want + skip, 2 - skip));
}

/* Every tensor that we met, to find those that we did not. */
struct met {
	const struct checkpoint_tensor **tensors;
	size_t count, room;
};

static void meet(struct met *met, const struct checkpoint_tensor *t)
{
	assert(met->count < met->room);
	met->tensors[met->count++] = t;
}

/* One of ours: its parts are there and have the right shape. */
static int check_one(const struct source *s, const char *name, uint32_t layer, uint64_t rows,
		     uint64_t width, struct met *met, struct err *err)
{
	struct source_tensor t;

	if (source_find(s, name, layer, &t, err))
		return err->code;
	for (unsigned i = 0; i < t.part_count; i++) {
		/* Parts follow each other: rows of a matrix, elements of a vector. */
		uint64_t share = rows == 1 ? width / t.part_count : rows / t.part_count;

		if (check_shape(s, t.parts[i], rows == 1 ? 1 : share, rows == 1 ? share : width,
				err))
			return err->code;
		meet(met, t.parts[i]);
	}
	return 0;
}

static int check_region(const struct source *s, enum region region, uint32_t layer, struct met *met,
			struct err *err)
{
	const struct model *m = &s->config.model;
	struct model_tensor t;

	for (uint32_t i = 0; model_tensor_at(&t, m, WEIGHT_F32, region, layer, i); i++)
		if (check_one(s, t.name, layer, t.dims[1], t.dims[0], met, err))
			return err->code;
	return 0;
}

static int check_layer(const struct source *s, uint32_t layer, struct met *met, struct err *err)
{
	const struct model *m = &s->config.model;
	char up[NAME], down[NAME];

	snprintf(up, sizeof(up), "blk.%" PRIu32 ".ffn_up.weight", layer);
	snprintf(down, sizeof(down), "blk.%" PRIu32 ".ffn_down.weight", layer);
	if (check_region(s, REGION_ATTENTION, layer, met, err) ||
	    check_one(s, up, layer, m->d_ffn, m->d_model, met, err))
		return err->code;
	return check_one(s, down, layer, m->d_model, m->d_ffn, met, err);
}

static int by_place(const void *a, const void *b)
{
	const uintptr_t x = (uintptr_t) * (const struct checkpoint_tensor *const *)a;
	const uintptr_t y = (uintptr_t) * (const struct checkpoint_tensor *const *)b;

	return (x > y) - (x < y);
}

/* Nothing that the model does not have: it would be left out of what it computes. */
static int check_extra(const struct source *s, struct met *met, struct err *err)
{
	size_t count = checkpoint_tensor_count(s->checkpoint);

	qsort(met->tensors, met->count, sizeof(*met->tensors), by_place);
	for (size_t i = 0; i < count; i++) {
		const struct checkpoint_tensor *t = checkpoint_tensor_at(s->checkpoint, i);

		if (is_ignored(t->name))
			continue;
		if (!bsearch(&t, met->tensors, met->count, sizeof(*met->tensors), by_place))
			return err_set(err, EBADMSG,
				       "%s: tensor '%s' is none of the %s model that the config "
				       "describes, expected only its tensors",
				       s->path, t->name,
				       model_family_words[s->config.model.family].text);
	}
	return 0;
}

static int check_all(const struct source *s, struct err *err)
{
	const struct model *m = &s->config.model;
	/* At most 20 tensors a layer and as many around them. */
	struct met met = {NULL, 0, (m->layer_count + 1) * 20};

	met.tensors = calloc(met.room, sizeof(*met.tensors));
	if (!met.tensors)
		return err_nomem(err, "a checkpoint's tensors", met.room * sizeof(*met.tensors));
	if (s->head) {
		check_shape(s, s->head, m->vocab_count, m->d_model, err);
		meet(&met, s->head);
	}
	if (!err->code)
		check_region(s, REGION_EMBED, 0, &met, err);
	for (uint32_t layer = 0; !err->code && layer < m->layer_count; layer++)
		check_layer(s, layer, &met, err);
	if (!err->code)
		check_extra(s, &met, err);
	free(met.tensors);
	return err->code;
}

/* The prefix under which the embedding stands. */
static int find_prefix(struct source *s, struct err *err)
{
	const char *embedding = find_row(s, "token_embd.weight")->theirs[0];
	char name[NAME];

	for (unsigned i = 0; s->names->prefixes[i]; i++) {
		snprintf(name, sizeof(name), "%s%s", s->names->prefixes[i], embedding);
		s->embedding = checkpoint_find(s->checkpoint, name);
		s->prefix = s->names->prefixes[i];
		if (s->embedding)
			return 0;
	}
	return err_set(err, EBADMSG,
		       "%s: tensor '%s%s' is missing, under shorter prefixes too: these are no "
		       "weights of a model of family %s",
		       s->path, s->names->prefixes[0], embedding,
		       model_family_words[s->config.model.family].text);
}

int source_open(struct source *source, struct checkpoint *checkpoint, const char *path,
		const struct hf_config *config, bool gguf, struct err *err)
{
	*source = (struct source){.checkpoint = checkpoint, .path = path, .config = *config};
	assert(!gguf || config->model.family == MODEL_FALCON);
	source->names = config->model.family == MODEL_OPT ? &opt_names : &falcon_names;
	if (gguf)
		source->names = &gguf_names;
	if (find_prefix(source, err))
		return err->code;
	source->head = checkpoint_find(checkpoint, source->names->head);
	return check_all(source, err);
}
