/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import_source.h - where each of our tensors stands in a checkpoint
 *
 * Names as transformers writes them, with whichever prefix the checkpoint uses, or as llama.cpp's
 * converter does.  One of our tensors may be several of theirs one after another (OPT's q, k and
 * v), one in columns (the down projection), or none (an OPT without biases). */
#ifndef FLASH_IMPORT_SOURCE_H
#define FLASH_IMPORT_SOURCE_H

#include "checkpoint.h"
#include "hf_config.h"

enum { SOURCE_PARTS = 3 };

/* Elements of all parts one after another, or (no parts) 'fill' over and over. */
struct source_tensor {
	const struct checkpoint_tensor *parts[SOURCE_PARTS];
	unsigned part_count;
	float fill;
};

struct source {
	struct checkpoint *checkpoint; /* the caller's */
	const char *path;
	struct hf_config config;
	const struct source_names *names;
	const char *prefix;
	const struct checkpoint_tensor *embedding;
	const struct checkpoint_tensor *head; /* whatever it holds; NULL: there is none */
};

/* Finds the prefix and holds every tensor against the geometry: EBADMSG names one that is missing,
 * has another shape, or is none of the model's.  'gguf': the names are llama.cpp's. */
MUST_CHECK int source_open(struct source *source, struct checkpoint *checkpoint, const char *path,
			   const struct hf_config *config, bool gguf, struct err *err);

/* What 'name' of model_tensor_at() is made of; of FFN regions "ffn_up.weight" and
 * "ffn_down.weight", the latter [d_model, d_ffn], are the names.  EBADMSG when a part is missing.
 * */
MUST_CHECK int source_find(const struct source *source, const char *name, uint32_t layer,
			   struct source_tensor *tensor, struct err *err);

#endif
