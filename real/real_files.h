/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_files.h - how a model's two files are made up: shared by reading (real_model.c) and writing
 * (real_synth.c)
 *
 * base.gguf: REGION_EMBED, then REGION_ATTENTION of each layer.  ffn.<layout>.gguf: of each layer
 * the regions of the layout.  Regions follow each other without gaps; offsets count from tensor
 * data. */
#ifndef FLASH_REAL_FILES_H
#define FLASH_REAL_FILES_H

#include "gguf.h"
#include "layout.h"
#include "model.h"

/* One of the two files; layout NULL = base. */
struct file_map {
	const struct model *model;
	enum weight_type weights;
	const struct layout_ops *layout;
};

/* "<dir>/base.gguf" or "<dir>/ffn.<layout>.gguf"; the caller frees it. NULL: out of memory. */
char *file_path(const char *dir, const struct layout_ops *layout);

/* Where a region of a layer begins, and all tensor data. 'region' must be one of the file's. */
uint64_t file_region_at(const struct file_map *map, enum region region, uint32_t layer);
uint64_t file_data_bytes(const struct file_map *map);

/* Walk the tensors of a file in order: for (it = ...; file_tensors_next(&it); ). */
struct file_tensors {
	const struct file_map *map;
	uint32_t next_layer, next_index; /* where the walk goes on */
	unsigned next_region;
	/* The tensor that was just met: */
	struct model_tensor tensor;
	enum region region;
	uint32_t layer, index;
	uint64_t at; /* from the start of tensor data */
};
bool file_tensors_next(struct file_tensors *it);
/* The same tensor in GGUF's words, offset from the start of tensor data. */
void file_tensor_gguf(struct gguf_tensor *to, const struct file_tensors *it);

/* Keys "<family>.<part>" in the model's words. Returns 'key'. */
#define OWN_HEAD_KEY "flashcast.own_head"
enum { FILE_KEY = 96 };
struct file_key {
	const char *part;
	size_t offset; /* of a uint64_t in struct model */
};
extern const struct file_key file_keys[]; /* ended by a NULL part */
char *file_key_name(char key[FILE_KEY], const struct model *model, const struct file_key *row);

/* A geometry that a file gave: within what model_params.h allows, so that no later product can overflow, and
 * fitting together. EBADMSG with 'path' in front. */
MUST_CHECK int shape_check(const struct model *model, const char *path, struct err *err);

/* Rows of synthetic weights, drawn by (seed, tensor, row) alone, so that a row is the same in every
 * layout and can be made again by itself (tests do). 'to' has room for tensor.row_stride bytes. */
void synth_row(unsigned char *to, const struct file_tensors *it, const struct model *model,
	       uint64_t seed, uint64_t row);

#endif
