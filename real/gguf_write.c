/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf_write.c - writes GGUF headers into memory */
#include "gguf.h"

#include "gguf_keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TENSOR_COUNT_AT = 8 };

static void put_bytes(struct gguf_head *head, const void *bytes, size_t count)
{
	if (head->failed)
		return;
	if (head->used + count > head->size) {
		size_t size = (head->used + count) * 2;
		unsigned char *grown = realloc(head->bytes, size);

		if (!grown) {
			head->failed = true;
			return;
		}
		head->bytes = grown;
		head->size = size;
	}
	memcpy(head->bytes + head->used, bytes, count);
	head->used += count;
}

static void store_number(unsigned char *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

static void put_number(struct gguf_head *head, uint64_t value, unsigned bytes)
{
	unsigned char raw[8];

	store_number(raw, value, bytes);
	put_bytes(head, raw, bytes);
}

static void put_text(struct gguf_head *head, const char *text)
{
	put_number(head, strlen(text), 8);
	put_bytes(head, text, strlen(text));
}

void gguf_head_init(struct gguf_head *head)
{
	memset(head, 0, sizeof(*head));
	put_bytes(head, "GGUF", 4);
	put_number(head, 3, 4);
	put_number(head, 0, 8); /* tensors and keys: known at the end */
	put_number(head, 0, 8);
}

static void put_key(struct gguf_head *head, const char *key, uint32_t type)
{
	assert(head->tensor_count == 0 && head->texts_due == 0);
	put_text(head, key);
	put_number(head, type, 4);
	head->key_count++;
}

void gguf_head_number(struct gguf_head *head, const char *key, uint32_t value)
{
	put_key(head, key, VALUE_U32);
	put_number(head, value, 4);
}

void gguf_head_wide(struct gguf_head *head, const char *key, uint64_t value)
{
	put_key(head, key, VALUE_U64);
	put_number(head, value, 8);
}

void gguf_head_text(struct gguf_head *head, const char *key, const char *value)
{
	put_key(head, key, VALUE_TEXT);
	put_text(head, value);
}

void gguf_head_signed(struct gguf_head *head, const char *key, int32_t value)
{
	put_key(head, key, VALUE_I32);
	put_number(head, (uint32_t)value, 4);
}

static void put_float(struct gguf_head *head, float value)
{
	uint32_t raw;

	memcpy(&raw, &value, sizeof(raw));
	put_number(head, raw, 4);
}

void gguf_head_float(struct gguf_head *head, const char *key, float value)
{
	put_key(head, key, VALUE_F32);
	put_float(head, value);
}

void gguf_head_bool(struct gguf_head *head, const char *key, bool value)
{
	put_key(head, key, VALUE_BOOL);
	put_number(head, value, 1);
}

static void put_array(struct gguf_head *head, const char *key, uint32_t type, uint64_t count)
{
	put_key(head, key, VALUE_ARRAY);
	put_number(head, type, 4);
	put_number(head, count, 8);
}

void gguf_head_integers(struct gguf_head *head, const char *key, const int32_t *values,
			size_t count)
{
	put_array(head, key, VALUE_I32, count);
	for (size_t i = 0; i < count; i++)
		put_number(head, (uint32_t)values[i], 4);
}

void gguf_head_floats(struct gguf_head *head, const char *key, const float *values, size_t count)
{
	put_array(head, key, VALUE_F32, count);
	for (size_t i = 0; i < count; i++)
		put_float(head, values[i]);
}

void gguf_head_texts(struct gguf_head *head, const char *key, uint64_t count)
{
	put_array(head, key, VALUE_TEXT, count);
	head->texts_due = count;
}

void gguf_head_next_text(struct gguf_head *head, const char *text, size_t bytes)
{
	assert(head->texts_due > 0);
	head->texts_due--;
	put_number(head, bytes, 8);
	put_bytes(head, text, bytes);
}

void gguf_head_tensor(struct gguf_head *head, const struct gguf_tensor *tensor)
{
	assert(head->texts_due == 0);
	put_text(head, tensor->name);
	put_number(head, tensor->dim_count, 4);
	for (uint32_t i = 0; i < tensor->dim_count; i++)
		put_number(head, tensor->dims[i], 8);
	put_number(head, tensor->type, 4);
	put_number(head, tensor->offset, 8);
	head->tensor_count++;
}

int gguf_head_finish(struct gguf_head *head, uint64_t alignment, struct err *err)
{
	assert(head->texts_due == 0);
	while (!head->failed && head->used % alignment != 0)
		put_bytes(head, "", 1);
	if (head->failed)
		return err_nomem(err, "a GGUF header", head->size * 2);
	store_number(head->bytes + TENSOR_COUNT_AT, head->tensor_count, 8);
	store_number(head->bytes + TENSOR_COUNT_AT + 8, head->key_count, 8);
	return 0;
}

void gguf_head_fini(struct gguf_head *head)
{
	free(head->bytes);
	memset(head, 0, sizeof(*head));
}
