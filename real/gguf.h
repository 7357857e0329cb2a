/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf.h - GGUF v3 files: a header of typed keys, a table of tensors, then aligned tensor data
 *
 * The reader trusts nothing: every count, length, offset and size is held against what is left of
 * the file before it is used, memory grows only with bytes that were really read, and tensors may
 * neither overlap nor leave the file.  A malformed file is EBADMSG; messages name file, key or
 * tensor, got and expected. */
#ifndef FLASH_GGUF_H
#define FLASH_GGUF_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GGUF_NAME = 65, GGUF_DIMS = 4 };
enum gguf_type { GGUF_F32 = 0, GGUF_F16 = 1, GGUF_BF16 = 30 }; /* the tensor types that we read */

struct gguf_tensor {
	char name[GGUF_NAME];
	uint32_t type; /* enum gguf_type */
	uint32_t dim_count;
	uint64_t dims[GGUF_DIMS]; /* fastest first; 1 past dim_count */
	uint64_t offset;	  /* from the file's start */
	uint64_t bytes;
};

/* Of an enum gguf_type: bytes of an element, and what people call it; 0 and NULL of any other. */
uint32_t gguf_type_bytes(uint64_t type);
const char *gguf_type_name(uint64_t type);

struct gguf;

/* Read header and tensor table; no file stays open. */
MUST_CHECK int gguf_open(struct gguf **out, const char *path, struct err *err);
void gguf_close(struct gguf *gguf); /* NULL is fine */

const char *gguf_path(const struct gguf *gguf);
uint64_t gguf_file_bytes(const struct gguf *gguf);
uint64_t gguf_data_offset(const struct gguf *gguf); /* of tensor data, from the file's start */
uint64_t gguf_alignment(const struct gguf *gguf);

size_t gguf_tensor_count(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t i); /* file order */

/* The value of a key: an unsigned integer (of any width, or a signed one that is not negative), or
 * a text, which lives as long as 'gguf'.  EBADMSG when it is missing or of another type. */
MUST_CHECK int gguf_number(const struct gguf *gguf, const char *key, uint64_t *value,
			   struct err *err);
MUST_CHECK int gguf_text(const struct gguf *gguf, const char *key, const char **value,
			 struct err *err);
bool gguf_has(const struct gguf *gguf, const char *key);

/* A header being written into memory: init, keys, tensors, then finish, which pads to 'alignment'.
 * Out of memory is kept and told by finish. */
struct gguf_head {
	unsigned char *bytes;
	size_t used, size;
	uint64_t key_count, tensor_count; /* as written so far */
	bool failed;
};
void gguf_head_init(struct gguf_head *head);
void gguf_head_number(struct gguf_head *head, const char *key, uint32_t value);
void gguf_head_wide(struct gguf_head *head, const char *key, uint64_t value);
void gguf_head_text(struct gguf_head *head, const char *key, const char *value);
/* After the last key.  'offset' counts from the start of tensor data. */
void gguf_head_tensor(struct gguf_head *head, const struct gguf_tensor *tensor);
MUST_CHECK int gguf_head_finish(struct gguf_head *head, uint64_t alignment, struct err *err);
void gguf_head_fini(struct gguf_head *head);

#endif
