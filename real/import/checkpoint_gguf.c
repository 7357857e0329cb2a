/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_gguf.c - a GGUF file as a checkpoint: its dims turned round, its own names kept */
#include "checkpoint_inside.h"
#include "gguf.h"

#include <errno.h>
#include <string.h>

static int weight_type_of(enum weight_type *type, const struct gguf_tensor *tensor,
			  const char *path, struct err *err)
{
	switch (tensor->type) {
	case GGUF_F32:
		*type = WEIGHT_F32;
		return 0;
	case GGUF_F16:
		*type = WEIGHT_F16;
		return 0;
	case GGUF_BF16:
		*type = WEIGHT_BF16;
		return 0;
	default:
		return err_set(err, ENOTSUP, "%s: tensor '%s': type %s, expected f32, f16 or bf16",
			       path, tensor->name, gguf_type_name(tensor->type));
	}
}

static int add_tensor(struct checkpoint *checkpoint, struct checkpoint_part *part,
		      const struct gguf_tensor *from, struct err *err)
{
	struct checkpoint_entry entry = {.part = part, .at = from->offset};
	struct checkpoint_tensor *tensor = &entry.tensor;

	if (checkpoint_name(tensor->name, part->path, from->name, strlen(from->name), err) ||
	    weight_type_of(&tensor->type, from, part->path, err))
		return err->code;
	tensor->dim_count = from->dim_count;
	for (uint32_t i = 0; i < CHECKPOINT_DIMS; i++)
		tensor->dims[i] = i < from->dim_count ? from->dims[from->dim_count - 1 - i] : 1;
	if (checkpoint_size(tensor, part->path, err))
		return err->code;
	return checkpoint_add(checkpoint, &entry, err);
}

int checkpoint_read_gguf(struct checkpoint *checkpoint, const char *path, struct err *err)
{
	struct checkpoint_part *part;
	struct gguf *gguf = NULL;
	uint64_t bytes;
	int fd;

	if (checkpoint_open_file(&fd, &bytes, path, err) ||
	    checkpoint_keep_plain(&part, checkpoint, path, fd, err) || gguf_open(&gguf, path, err))
		return err->code;
	for (size_t i = 0; i < gguf_tensor_count(gguf) && !err->code; i++)
		(void)add_tensor(checkpoint, part, gguf_tensor_at(gguf, i), err);
	gguf_close(gguf);
	return err->code;
}
