/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_model.h - a model on flash: base.gguf and ffn.<layout>.gguf in one folder
 *
 * GGUF v3, so existing tools can list it.  Every measured file holds incompressible data, is fsynced, and has no
 * unwritten extents. */
#ifndef FLASH_REAL_MODEL_H
#define FLASH_REAL_MODEL_H

#include "layout.h"
#include "model.h"

struct real_model;

/* Open a folder for one layout: checks headers, geometry against 'expect' (NULL = take what is there), tensor names,
 * types, offsets, sizes, and that the files are whole. Errors name file, tensor, got, expected. */
MUST_CHECK int real_model_open(struct real_model **out, const char *dir,
			       const struct layout_ops *layout, const struct model *expect,
			       struct err *err);
void real_model_close(struct real_model *rm); /* NULL is fine */

const struct model *real_model_shape(const struct real_model *rm);
enum weight_type real_model_weights(const struct real_model *rm);
/* Of geometry and weights, the same in every layout and folder that holds them; 32 hexadecimal digits. */
const char *real_model_digest(const struct real_model *rm);
/* Path of file 0 (base) or 1 (FFN), as reader_options wants them. */
const char *real_model_path(const struct real_model *rm, unsigned file);
/* Where a region's byte lies: file and offset in it. */
void real_model_at(const struct real_model *rm, enum region region, uint32_t layer, uint64_t offset,
		   unsigned *file, uint64_t *file_offset);

struct synth_options {
	const struct model *model;
	enum weight_type weights;
	const struct layout_ops *const *layouts; /* files to write */
	unsigned layout_count;
	uint64_t seed;
	/* Progress, 0 .. 1; non-zero stops with ECANCELED. May be NULL. */
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
/* Write a synthetic model in the exact geometry: random weights of a trained model's scale (so that activations stay finite),
 * the same weights in every layout. Temp names until all is fsynced: an interrupted synth leaves nothing that looks whole. */
MUST_CHECK int real_model_synth(const char *dir, const struct synth_options *options,
				struct err *err);

#endif
