/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_inside.h - what the readers of checkpoint files share; not for users of checkpoint.h
 *
 * A reader opens one file, hands it over with checkpoint_keep() (from then on the checkpoint closes
 * it, whatever happens) and adds an entry for each tensor.  What the entries must fulfil together
 * (names once, sorted) is checked when all files are read. */
#ifndef FLASH_CHECKPOINT_INSIDE_H
#define FLASH_CHECKPOINT_INSIDE_H

#include "checkpoint.h"

struct checkpoint_entry;
struct checkpoint_part;

struct checkpoint_part_ops {
	/* 'bytes' > 0 and inside the tensor. */
	int (*read)(struct checkpoint_part *part, const struct checkpoint_entry *entry,
		    uint64_t from, void *to, size_t bytes, struct err *err);
	void (*close)(struct checkpoint_part *part);
};

/* One open file; a reader's own struct begins with it. */
struct checkpoint_part {
	const struct checkpoint_part_ops *ops;
	char *path;
};

struct checkpoint_entry {
	struct checkpoint_tensor tensor;
	struct checkpoint_part *part;
	uint64_t at;	 /* of the first byte: in the file, or in its storage in an archive */
	uint64_t member; /* the archive's entry; 0 in plain files */
};

struct checkpoint {
	char *path;
	struct checkpoint_part **parts;
	size_t part_count;
	struct checkpoint_entry *entries;
	size_t entry_count;
};

/* Reads the tensors of one file into a checkpoint. */
typedef int checkpoint_reader(struct checkpoint *checkpoint, const char *path, struct err *err);
checkpoint_reader checkpoint_read_safetensors, checkpoint_read_torch, checkpoint_read_gguf;
/* The shards that an index names, each through 'reader'. */
MUST_CHECK int checkpoint_read_index(struct checkpoint *checkpoint, const char *path,
				     checkpoint_reader *reader, struct err *err);

/* Also when it fails, 'part' is closed: by checkpoint_close(), or at once. */
MUST_CHECK int checkpoint_keep(struct checkpoint *checkpoint, struct checkpoint_part *part,
			       struct err *err);
MUST_CHECK int checkpoint_add(struct checkpoint *checkpoint, const struct checkpoint_entry *entry,
			      struct err *err);

/* Copies a name that a file gave: 1 to CHECKPOINT_NAME - 1 bytes, no control characters (it will
 * stand in messages on a terminal). */
MUST_CHECK int checkpoint_name(char name[CHECKPOINT_NAME], const char *path, const char *from,
			       size_t bytes, struct err *err);
/* Sets tensor->bytes from type and dims: EBADMSG where the product passes 2^63. */
MUST_CHECK int checkpoint_size(struct checkpoint_tensor *tensor, const char *path, struct err *err);

/* Opens a regular file for reading; '*bytes' is its size. A FIFO or a folder is refused. */
MUST_CHECK int checkpoint_open_file(int *fd, uint64_t *bytes, const char *path, struct err *err);
/* All 'bytes' at 'from'. EIO where the file ends early. */
MUST_CHECK int checkpoint_pread(int fd, const char *path, uint64_t from, void *to, size_t bytes,
				struct err *err);

/* A file whose tensors' bytes simply lie in it.  Takes over 'fd'. */
MUST_CHECK int checkpoint_keep_plain(struct checkpoint_part **part, struct checkpoint *checkpoint,
				     const char *path, int fd, struct err *err);

#endif
