/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model.c - the tensors of both families, once: files, budgets and parameter counts all follow from
 * them
 *
 * A region is a table of tensor rows, each with a shape in terms of the model's dimensions.  What a
 * model weighs is a sum over these tables, so that a tensor cannot be in the file and not in a
 * budget. */
#include "model.h"

#include "configs.h"
#include "round.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct param_word model_family_words[] = {
	[MODEL_OPT] = {"opt", "two norms a block, biases, learned positions, ReLU"},
	[MODEL_FALCON] = {"falcon",
			  "attention and FFN in parallel after one norm, no biases, rotary"},
	{NULL, NULL},
};

const struct param_word weight_type_words[] = {
	[WEIGHT_F32] = {"f32", "32-bit floats"},
	[WEIGHT_F16] = {"f16", "IEEE 16-bit floats"},
	[WEIGHT_BF16] = {"bf16", "the upper halves of 32-bit floats"},
	{NULL, NULL},
};

const struct param_word activation_words[] = {
	[ACT_RELU] = {"relu", "max(0, x)"},
	[ACT_GELU] = {"gelu", "x times the normal distribution up to x, by erf"},
	[ACT_GELU_TANH] = {"gelu_tanh",
			   "its approximation by tanh (`gelu_new`, `gelu_pytorch_tanh`)"},
	{NULL, NULL},
};

static const struct param model_rows[] = {
/* clang-format off */
#define PARAM_OWNER model
#include "param_rows.h"
#include "model_params.h"
#include "param_end.h"
	/* clang-format on */
};

const struct param_table model_table = {
	"model",
	"Geometry of a model; the shipped ones stand in configs/model/.",
	model_rows,
	sizeof(model_rows) / sizeof(model_rows[0]),
};

uint32_t weight_bytes(enum weight_type type)
{
	assert(type == WEIGHT_F32 || type == WEIGHT_F16 || type == WEIGHT_BF16);
	return type == WEIGHT_F32 ? 4 : 2;
}

const char *region_name(enum region region)
{
	static const char *const names[REGION__COUNT] = {
		[REGION_EMBED] = "embed", [REGION_ATTENTION] = "attention", [REGION_UP] = "up",
		[REGION_DOWN] = "down",	  [REGION_BUNDLE] = "bundle",
	};

	assert(region < REGION__COUNT);
	return names[region];
}

/* The value of 'key' as written, or the whole mapping where a default was taken. */
static const struct ynode *node_of(const struct ynode *map, const char *key)
{
	const struct ynode *node = ynode_get(map, key);

	return node ? node : map;
}

static int check_heads(const struct model *m, const struct ynode *map, struct err *err)
{
	const struct ynode *heads = node_of(map, "head_count");
	const struct ynode *kv_heads = node_of(map, "kv_head_count");

	if (m->d_model % m->head_count != 0)
		return ynode_err(heads, err,
				 "head_count: %" PRIu64 ", expected a divisor of d_model %" PRIu64,
				 m->head_count, m->d_model);
	if (m->d_model / m->head_count % 2 != 0)
		return ynode_err(heads, err,
				 "head_count: %" PRIu64 " makes heads of %" PRIu64
				 ", expected an even size",
				 m->head_count, m->d_model / m->head_count);
	if (m->family == MODEL_OPT && m->kv_head_count != m->head_count)
		return ynode_err(kv_heads, err,
				 "kv_head_count: %" PRIu64 ", expected head_count %" PRIu64
				 " in family opt",
				 m->kv_head_count, m->head_count);
	if (m->head_count % m->kv_head_count != 0)
		return ynode_err(kv_heads, err,
				 "kv_head_count: %" PRIu64
				 ", expected a divisor of head_count %" PRIu64,
				 m->kv_head_count, m->head_count);
	return 0;
}

static int check_sizes(const struct model *m, const struct ynode *map, struct err *err)
{
	if (m->d_model % 32 != 0)
		return ynode_err(node_of(map, "d_model"), err,
				 "d_model: %" PRIu64 ", expected a multiple of 32", m->d_model);
	if (m->d_ffn % 64 != 0)
		return ynode_err(node_of(map, "d_ffn"), err,
				 "d_ffn: %" PRIu64 ", expected a multiple of 64", m->d_ffn);
	if (m->row_align != 512 && m->row_align != 4096)
		return ynode_err(node_of(map, "row_align"), err,
				 "row_align: %" PRIu64 " B, expected 512B or 4KiB", m->row_align);
	return 0;
}

int model_read(struct model *model, const struct ynode *map, struct err *err)
{
	const struct param_dest dest = {&model_table, model};
	static const char *const also[] = {"activity",
					   NULL}; /* the trace generator's, read by sim */

	if (param_read(&dest, 1, map, also, err))
		return err->code;
	if (check_sizes(model, map, err) || check_heads(model, map, err))
		return err->code;
	if (model->name[0] == '\0' && map->file)
		config_name(model->name, map->file);
	return 0;
}

/* The lengths that occur in shapes. */
enum length { LEN_ONE, LEN_MODEL, LEN_FFN, LEN_QKV, LEN_VOCAB, LEN_POSITION, LEN_BUNDLE };

static uint64_t length_of(const struct model *m, enum length length)
{
	switch (length) {
	case LEN_ONE:
		return 1;
	case LEN_MODEL:
		return m->d_model;
	case LEN_FFN:
		return m->d_ffn;
	case LEN_QKV: /* all query heads, then all key heads, then all value heads */
		return m->d_model / m->head_count * (m->head_count + 2 * m->kv_head_count);
	case LEN_VOCAB:
		return m->vocab_count;
	case LEN_POSITION: /* OPT counts positions from 2 */
		return m->position_count + 2;
	case LEN_BUNDLE:
		return 2 * m->d_model;
	}
	assert(0 && "a length");
	return 0;
}

enum {
	IN_OPT = 1 << MODEL_OPT,
	IN_FALCON = 1 << MODEL_FALCON,
	IN_BOTH = IN_OPT | IN_FALCON,
	OWN_HEAD = 1 << 8, /* only in models that have one */
};

struct shape {
	const char *name; /* of a layer: after "blk.N." */
	unsigned families;
	enum length row, rows;
};

static const struct shape embed_shapes[] = {
	{"token_embd.weight", IN_BOTH, LEN_MODEL, LEN_VOCAB},
	{"position_embd.weight", IN_OPT, LEN_MODEL, LEN_POSITION},
	{"output_norm.weight", IN_BOTH, LEN_MODEL, LEN_ONE},
	{"output_norm.bias", IN_BOTH, LEN_MODEL, LEN_ONE},
	{"output.weight", IN_BOTH | OWN_HEAD, LEN_MODEL, LEN_VOCAB},
	{NULL, 0, 0, 0},
};

static const struct shape attention_shapes[] = {
	{"attn_norm.weight", IN_BOTH, LEN_MODEL, LEN_ONE},
	{"attn_norm.bias", IN_BOTH, LEN_MODEL, LEN_ONE},
	{"attn_qkv.weight", IN_BOTH, LEN_MODEL, LEN_QKV},
	{"attn_qkv.bias", IN_OPT, LEN_QKV, LEN_ONE},
	{"attn_output.weight", IN_BOTH, LEN_MODEL, LEN_MODEL},
	{"attn_output.bias", IN_OPT, LEN_MODEL, LEN_ONE},
	{"ffn_norm.weight", IN_OPT, LEN_MODEL, LEN_ONE},
	{"ffn_norm.bias", IN_OPT, LEN_MODEL, LEN_ONE},
	{"ffn_up.bias", IN_OPT, LEN_FFN, LEN_ONE},
	{"ffn_down.bias", IN_OPT, LEN_MODEL, LEN_ONE},
	{NULL, 0, 0, 0},
};

static const struct shape up_shapes[] = {
	{"ffn_up.weight", IN_BOTH, LEN_MODEL, LEN_FFN},
	{NULL, 0, 0, 0},
};

static const struct shape down_shapes[] = {
	{"ffn_down_t.weight", IN_BOTH, LEN_MODEL, LEN_FFN},
	{NULL, 0, 0, 0},
};

static const struct shape bundle_shapes[] = {
	{"ffn_bundle.weight", IN_BOTH, LEN_BUNDLE, LEN_FFN},
	{NULL, 0, 0, 0},
};

static const struct shape *const region_shapes[REGION__COUNT] = {
	[REGION_EMBED] = embed_shapes,	 [REGION_ATTENTION] = attention_shapes,
	[REGION_UP] = up_shapes,	 [REGION_DOWN] = down_shapes,
	[REGION_BUNDLE] = bundle_shapes,
};

static bool region_is_ffn(enum region region)
{
	return region == REGION_UP || region == REGION_DOWN || region == REGION_BUNDLE;
}

/* All of a tensor but its name and offset. */
static void tensor_shape(struct model_tensor *t, const struct model *m, enum weight_type weights,
			 enum region region, const struct shape *shape)
{
	t->type = shape->rows == LEN_ONE ? WEIGHT_F32 : weights;
	t->dims[0] = length_of(m, shape->row);
	t->dims[1] = length_of(m, shape->rows);
	t->row_bytes = t->dims[0] * weight_bytes(t->type);
	t->row_stride = t->row_bytes;
	if (region_is_ffn(region)) {
		t->row_stride = round_up(t->row_bytes, m->row_align);
		t->dims[0] = t->row_stride / weight_bytes(t->type);
	}
}

static uint64_t tensor_end(const struct model_tensor *t)
{
	return round_up(t->offset + t->row_stride * t->dims[1], TENSOR_ALIGN);
}

static bool shape_is_of(const struct shape *shape, const struct model *m)
{
	if (shape->families & OWN_HEAD && !m->own_head)
		return false;
	return (shape->families >> m->family & 1) != 0;
}

static void tensor_name(struct model_tensor *t, enum region region, uint32_t layer,
			const struct shape *shape)
{
	int length;

	if (region == REGION_EMBED)
		length = snprintf(t->name, sizeof(t->name), "%s", shape->name);
	else
		length = snprintf(t->name, sizeof(t->name), "blk.%" PRIu32 ".%s", layer,
				  shape->name);
	assert(length > 0 && (size_t)length < sizeof(t->name));
}

bool model_tensor_at(struct model_tensor *tensor, const struct model *model,
		     enum weight_type weights, enum region region, uint32_t layer, uint32_t i)
{
	struct model_tensor t = {.offset = 0};

	assert(region < REGION__COUNT && (region == REGION_EMBED || layer < model->layer_count));
	for (const struct shape *shape = region_shapes[region]; shape->name; shape++) {
		if (!shape_is_of(shape, model))
			continue;
		tensor_shape(&t, model, weights, region, shape);
		if (i-- == 0) {
			tensor_name(&t, region, layer, shape);
			*tensor = t;
			return true;
		}
		t.offset = tensor_end(&t);
	}
	return false;
}

uint64_t model_region_bytes(const struct model *model, enum weight_type weights, enum region region)
{
	struct model_tensor t;
	uint64_t bytes = 0;

	for (uint32_t i = 0; model_tensor_at(&t, model, weights, region, 0, i); i++)
		bytes = tensor_end(&t);
	return bytes;
}

uint64_t model_row_bytes(const struct model *model, enum weight_type weights, enum region region)
{
	assert(region_is_ffn(region));
	return length_of(model, region_shapes[region]->row) * weight_bytes(weights);
}

uint64_t model_row_stride(const struct model *model, enum weight_type weights, enum region region)
{
	return round_up(model_row_bytes(model, weights, region), model->row_align);
}

static uint64_t region_param_count(const struct model *m, enum region region)
{
	uint64_t count = 0;

	for (const struct shape *shape = region_shapes[region]; shape->name; shape++)
		if (shape_is_of(shape, m))
			count += length_of(m, shape->row) * length_of(m, shape->rows);
	return count;
}

uint64_t model_param_count(const struct model *model)
{
	return region_param_count(model, REGION_EMBED) +
	       model->layer_count * (region_param_count(model, REGION_ATTENTION) +
				     region_param_count(model, REGION_BUNDLE));
}

uint64_t model_param_bytes(const struct model *model, enum weight_type weights)
{
	return model_param_count(model) * weight_bytes(weights);
}

uint64_t model_ffn_bytes(const struct model *model, enum weight_type weights)
{
	return model->layer_count * region_param_count(model, REGION_BUNDLE) *
	       weight_bytes(weights);
}

uint64_t model_attention_bytes(const struct model *model, enum weight_type weights)
{
	return model->layer_count * region_param_count(model, REGION_ATTENTION) *
	       weight_bytes(weights);
}

uint64_t model_embed_bytes(const struct model *model, enum weight_type weights)
{
	return region_param_count(model, REGION_EMBED) * weight_bytes(weights);
}
