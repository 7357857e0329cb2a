/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model.h - the geometry of a model and what each part of it weighs, on flash and in DRAM
 *
 * Shapes after facebook/opt-6.7b and tiiuae/falcon-7b (paper.md 11).  A model on flash is regions;
 * an address is (region, layer, offset), never a file offset, so that sim and real name the same
 * reads.
 *
 * base.gguf holds REGION_EMBED, then for each layer REGION_ATTENTION: everything of the layer but
 * its two FFN matrices (norms and biases included, always f32).  ffn.<layout>.gguf holds for each
 * layer either REGION_BUNDLE or REGION_UP and REGION_DOWN: one padded row a neuron.  Every tensor
 * starts at a multiple of TENSOR_ALIGN, so that each region can be read with direct I/O. */
#ifndef FLASH_MODEL_H
#define FLASH_MODEL_H

#include "param.h"

#include <stdint.h>

enum { TENSOR_ALIGN = 4096 };

enum model_family { MODEL_OPT, MODEL_FALCON };
extern const struct param_word model_family_words[];

enum weight_type { WEIGHT_F32, WEIGHT_F16, WEIGHT_BF16 };
enum { WEIGHT_TYPES = WEIGHT_BF16 + 1 };
extern const struct param_word weight_type_words[];
uint32_t weight_bytes(enum weight_type type); /* bytes of one weight: 4, 2, 2 */

/* What a neuron makes of its sum.  Only ReLU gives zeros, which sparsity lives on. */
enum activation { ACT_RELU, ACT_GELU, ACT_GELU_TANH };
extern const struct param_word activation_words[];

struct model {
/* clang-format off */
#include "param_fields.h"
#include "model_params.h"
#include "param_end.h"
	/* clang-format on */
};
extern const struct param_table model_table;

/* Read and check (divisibility, kv heads, alignment): EINVAL with place. */
MUST_CHECK int model_read(struct model *model, const struct ynode *map, struct err *err);

enum region {
	REGION_EMBED, /* token embeddings (mostly also the head), positions, final norm, own head */
	REGION_ATTENTION, /* of one layer: attention, norms, every bias of the layer */
	REGION_UP,	  /* of one layer, layout split: up rows, one a neuron */
	REGION_DOWN,	  /* of one layer, layout split: down columns, one a neuron */
	REGION_BUNDLE,	  /* of one layer, layout bundle: up row and down column, one a neuron */
	REGION__COUNT
};
const char *region_name(enum region region);

/* One tensor of a region, in file order. 'name' is the GGUF name (llama.cpp's where it has one). */
struct model_tensor {
	char name[64];
	enum weight_type type;
	uint64_t dims[2];    /* fastest first, as GGUF wants them; dims[1] = 1 for vectors */
	uint64_t row_bytes;  /* unpadded bytes of dims[0] */
	uint64_t row_stride; /* from row to row in the file; > row_bytes only in FFN regions */
	uint64_t offset;     /* from the region's start, a multiple of TENSOR_ALIGN */
};
/* The i-th tensor of a region; false when there is none. 'layer' is ignored for REGION_EMBED. */
bool model_tensor_at(struct model_tensor *tensor, const struct model *model,
		     enum weight_type weights, enum region region, uint32_t layer, uint32_t i);

/* Bytes of one region of one layer in its file: from its start to the end of its last tensor,
 * rounded up to TENSOR_ALIGN. */
uint64_t model_region_bytes(const struct model *model, enum weight_type weights,
			    enum region region);

/* Unpadded bytes of one FFN row: d_model weights (UP, DOWN) or 2 * d_model (BUNDLE). */
uint64_t model_row_bytes(const struct model *model, enum weight_type weights, enum region region);
/* The same as they lie on flash: padded to row_align. */
uint64_t model_row_stride(const struct model *model, enum weight_type weights, enum region region);

/* Parameters, and the unpadded bytes that budgets and the naive baseline count (paper.md 11):
 * OPT 6.7B 6,658,473,984, Falcon 7B 6,921,720,704. */
uint64_t model_param_count(const struct model *model);
uint64_t model_param_bytes(const struct model *model, enum weight_type weights);
/* The three parts of them, whose sum is all: the FFN matrices, 2 * d_model * d_ffn * layers; what
 * the REGION_ATTENTIONs hold (FFN biases and norms with it: 0.02 % of OPT 6.7B); what REGION_EMBED
 * holds. */
uint64_t model_ffn_bytes(const struct model *model, enum weight_type weights);
uint64_t model_attention_bytes(const struct model *model, enum weight_type weights);
uint64_t model_embed_bytes(const struct model *model, enum weight_type weights);

#endif
