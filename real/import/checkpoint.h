/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint.h - the tensors of a published model, whatever files they come in
 *
 * A checkpoint is a folder with `model.safetensors` (or shards and their index), a folder with
 * `pytorch_model.bin` (or shards and their index), or one GGUF file as llama.cpp's converter writes
 * it.  Opening reads headers only; data is read by range, so that 13 GB stream through a small
 * buffer.
 *
 * Readers trust nothing: every count, length, offset and size is held against what is left of its
 * file before it is used.  Malformed input is EBADMSG, a known but unsupported one ENOTSUP; messages
 * name file, tensor, got and expected. */
#ifndef FLASH_CHECKPOINT_H
#define FLASH_CHECKPOINT_H

#include "err.h"
#include "model.h"

#include <stddef.h>
#include <stdint.h>

enum { CHECKPOINT_NAME = 128, CHECKPOINT_DIMS = 4 };

struct checkpoint_tensor {
	char name[CHECKPOINT_NAME];
	enum weight_type type;
	uint32_t dim_count;
	uint64_t dims[CHECKPOINT_DIMS]; /* slowest first, as in PyTorch; 1 past dim_count */
	uint64_t bytes;			/* contiguous, row major, little endian */
};

struct checkpoint;

/* 'path': a folder, or a file ending in .gguf. */
MUST_CHECK int checkpoint_open(struct checkpoint **out, const char *path, struct err *err);
void checkpoint_close(struct checkpoint *checkpoint); /* NULL is fine */
size_t checkpoint_tensor_count(const struct checkpoint *checkpoint);
/* In the order of their names. */
const struct checkpoint_tensor *checkpoint_tensor_at(const struct checkpoint *checkpoint, size_t i);
/* NULL when there is none. */
const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint,
						const char *name);
/* Bytes [from, from + bytes) of a tensor. EIO on a short read. */
MUST_CHECK int checkpoint_read(struct checkpoint *checkpoint,
			       const struct checkpoint_tensor *tensor, uint64_t from, void *to,
			       size_t bytes, struct err *err);

/* For a folder that is no checkpoint: ENOENT where it holds GGUF files, with their names and what to
 * give instead of it; else 0. */
MUST_CHECK int checkpoint_gguf_found(const char *dir, struct err *err);

#endif
