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
/* The tensor types that we read.  A table may list others', so that they can be refused by name. */
enum gguf_type { GGUF_F32 = 0, GGUF_F16 = 1, GGUF_BF16 = 30 };

struct gguf_tensor {
	char name[GGUF_NAME];
	uint32_t type; /* enum gguf_type, or another that has a name */
	uint32_t dim_count;
	uint64_t dims[GGUF_DIMS]; /* fastest first; 1 past dim_count */
	uint64_t offset;	  /* from the file's start */
	uint64_t bytes;
};

/* What people call a tensor type: "f32", "f16", "bf16", "Q4_0"; NULL for a number that the format
 * does not name. */
const char *gguf_type_name(uint64_t type);
/* Bytes of one element of an enum gguf_type; 0 of any other. */
uint32_t gguf_type_bytes(uint64_t type);
/* How many elements stand together in how many bytes; false where there is no name. */
bool gguf_type_block(uint64_t type, uint64_t *elements, uint64_t *bytes);

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

/* NULL when there is none. */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

bool gguf_has(const struct gguf *gguf, const char *key);

/* The value of a key, by type; EBADMSG when it is missing, of another type, or outside what the type
 * of 'value' holds.  Numbers: integers of any width (a bool is none).  Floats: of 4 or 8 bytes.
 * Texts: without zero bytes, at most 4 MiB; they live as long as 'gguf'. */
MUST_CHECK int gguf_number(const struct gguf *gguf, const char *key, uint64_t *value,
			   struct err *err);
MUST_CHECK int gguf_signed(const struct gguf *gguf, const char *key, int64_t *value,
			   struct err *err);
MUST_CHECK int gguf_float(const struct gguf *gguf, const char *key, double *value, struct err *err);
MUST_CHECK int gguf_bool(const struct gguf *gguf, const char *key, bool *value, struct err *err);
MUST_CHECK int gguf_text(const struct gguf *gguf, const char *key, const char **value,
			 struct err *err);

/* An array of texts, of integers of any width (or bools, as 0 and 1), of floats: EBADMSG when the
 * key is missing or holds something else.  It lives as long as 'gguf'; its items are read with the
 * accessor of its kind and an index below its count. */
struct gguf_array;
MUST_CHECK int gguf_texts(const struct gguf *gguf, const char *key, const struct gguf_array **array,
			  struct err *err);
MUST_CHECK int gguf_integers(const struct gguf *gguf, const char *key,
			     const struct gguf_array **array, struct err *err);
MUST_CHECK int gguf_floats(const struct gguf *gguf, const char *key,
			   const struct gguf_array **array, struct err *err);
size_t gguf_array_count(const struct gguf_array *array);
/* 'bytes' bytes, zero bytes among them perhaps, and one zero byte behind. */
const char *gguf_text_at(const struct gguf_array *array, size_t i, size_t *bytes);
int64_t gguf_integer_at(const struct gguf_array *array, size_t i);
double gguf_float_at(const struct gguf_array *array, size_t i);

/* A header being written into memory: init, keys, tensors, then finish, which pads to 'alignment'.
 * Out of memory is kept and told by finish. */
struct gguf_head {
	unsigned char *bytes;
	size_t used, size;
	uint64_t key_count, tensor_count; /* as written so far */
	uint64_t texts_due;		  /* of the array of texts being written */
	bool failed;
};
void gguf_head_init(struct gguf_head *head);
void gguf_head_number(struct gguf_head *head, const char *key, uint32_t value);
void gguf_head_wide(struct gguf_head *head, const char *key, uint64_t value);
void gguf_head_text(struct gguf_head *head, const char *key, const char *value);
void gguf_head_signed(struct gguf_head *head, const char *key, int32_t value);
void gguf_head_float(struct gguf_head *head, const char *key, float value);
void gguf_head_bool(struct gguf_head *head, const char *key, bool value);
void gguf_head_integers(struct gguf_head *head, const char *key, const int32_t *values,
			size_t count);
void gguf_head_floats(struct gguf_head *head, const char *key, const float *values, size_t count);
/* An array of 'count' texts, each of which must follow by a call of its own. */
void gguf_head_texts(struct gguf_head *head, const char *key, uint64_t count);
void gguf_head_next_text(struct gguf_head *head, const char *text, size_t bytes);
/* After the last key.  'offset' counts from the start of tensor data. */
void gguf_head_tensor(struct gguf_head *head, const struct gguf_tensor *tensor);
MUST_CHECK int gguf_head_finish(struct gguf_head *head, uint64_t alignment, struct err *err);
void gguf_head_fini(struct gguf_head *head);

#endif
