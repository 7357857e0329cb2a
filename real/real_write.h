/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_write.h - writes a model's files from rows that somebody makes or reads
 *
 * Every byte of a file is written, gaps between tensors too, so that no extent is left unwritten:
 * the kernel answers reads of such an extent with zeros and without the device.  All files stand
 * under temporary names until the last is fsynced.
 *
 * Two digests go into the headers once the data is written.  flashcast.weights_digest, the same in
 * every file, is that of the geometry and of all unpadded weights, whatever layouts were asked for:
 * files belong together when it is equal.  flashcast.file_digest is of the file itself, header,
 * data and padding, its own digits taken as zeros. */
#ifndef FLASH_REAL_WRITE_H
#define FLASH_REAL_WRITE_H

#include "digest.h"
#include "real_files.h"

struct row_span {
	uint64_t first, count;
	unsigned char *to; /* tensor.row_stride apart */
};

struct row_source {
	void *arg;
	/* Rows of the tensor that 'it' stands at, padding included; of each tensor in order, each
	 * file once. */
	int (*rows)(void *arg, const struct file_tensors *it, const struct row_span *span,
		    struct err *err);
	/* More keys for a file's header. May be NULL. */
	void (*keys)(void *arg, struct gguf_head *head, const struct file_map *map);
};

struct write_options {
	const struct model *model;
	enum weight_type weights;
	const struct layout_ops *const *layouts; /* files to write beside base.gguf */
	unsigned layout_count;
	const char *source;  /* of the weights, for people who look at the files */
	size_t buffer_bytes; /* rows asked for at once, at least one; 0: 8 MiB */
	/* Progress, 0 .. 1; non-zero stops with ECANCELED. May be NULL. */
	int (*progress)(void *arg, double done);
	void *progress_arg;
};

/* Makes 'dir' and its parents where they are missing.  A layout's file that an earlier model left
 * there and that does not belong to this one is removed when the new model is whole.  ENOSPC before a byte is written where the
 * disk is too small. */
MUST_CHECK int model_write(const char *dir, const struct write_options *options,
			   const struct row_source *source, struct err *err);

/* Where the digits of a digest key stand in a header; NULL when there is no such key. */
unsigned char *digest_digits(unsigned char *head, size_t bytes, const char *key);
#define WEIGHTS_DIGEST_KEY "flashcast.weights_digest"
#define FILE_DIGEST_KEY	   "flashcast.file_digest"
/* The digest of a file whose header is 'head' and whose tensor data was added to 'data'; writes
 * zeros over its own digits in 'head' first. EBADMSG when the header has none. */
MUST_CHECK int file_digest(char text[DIGEST_TEXT], unsigned char *head, size_t bytes,
			   const struct digest *data, const char *path, struct err *err);

#endif
