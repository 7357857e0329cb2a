/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf.c - reads GGUF headers without trusting them */
#include "gguf.h"

#include "gguf_cursor.h"
#include "gguf_keys.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEYS_MAX = 65536, /* most keys and tensors: far above any model's */
	ALIGNMENT_MAX = 1024 * 1024,
};

struct gguf {
	char *path;
	uint64_t file_bytes, data_offset, alignment;
	struct gguf_keys keys;
	struct gguf_tensor *tensors;
	size_t tensor_count;
};

static int check_head(struct cursor *c, uint64_t *tensor_count, uint64_t *key_count,
		      struct err *err)
{
	char magic[4];
	uint64_t version;

	if (cursor_take(c, magic, 4, "magic", err))
		return err->code;
	if (memcmp(magic, "GGUF", 4) != 0)
		return err_set(err, EBADMSG, "%s: no GGUF file: its first bytes are not 'GGUF'",
			       c->path);
	if (cursor_number(c, &version, 4, "version", err))
		return err->code;
	if (version != 3)
		return err_set(err, EBADMSG, "%s: GGUF version %" PRIu64 ", expected 3", c->path,
			       version);
	if (cursor_number(c, tensor_count, 8, "tensor count", err) ||
	    cursor_number(c, key_count, 8, "key count", err))
		return err->code;
	/* The smallest key takes 13 bytes, the smallest tensor 32. */
	if (*key_count > KEYS_MAX || *key_count > cursor_left(c) / 13)
		return cursor_bad(c, err, "key count", *key_count, cursor_left(c) / 13);
	if (*tensor_count > KEYS_MAX || *tensor_count > cursor_left(c) / 32)
		return cursor_bad(c, err, "tensor count", *tensor_count, cursor_left(c) / 32);
	return 0;
}

static int tensor_dims(struct cursor *c, struct gguf_tensor *t, struct err *err)
{
	uint64_t dim_count, elements = 1;

	if (cursor_number(c, &dim_count, 4, "dimension count", err))
		return err->code;
	if (dim_count < 1 || dim_count > GGUF_DIMS)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': %" PRIu64 " dimensions, expected 1 to %d", c->path,
			       t->name, dim_count, GGUF_DIMS);
	t->dim_count = (uint32_t)dim_count;
	for (unsigned i = 0; i < GGUF_DIMS; i++) {
		t->dims[i] = 1;
		if (i < dim_count && cursor_number(c, &t->dims[i], 8, "dimension", err))
			return err->code;
		if (t->dims[i] == 0 || __builtin_mul_overflow(elements, t->dims[i], &elements))
			return err_set(err, EBADMSG,
				       "%s: tensor '%s': dimension %u is %" PRIu64
				       ", expected 1 or more and a product below 2^64",
				       c->path, t->name, i, t->dims[i]);
	}
	t->bytes = elements; /* in elements until the type is known */
	return 0;
}

/* From elements to bytes, now that the type is known. */
static int tensor_bytes(const struct cursor *c, struct gguf_tensor *t, struct err *err)
{
	uint64_t each, bytes;

	if (!gguf_type_block(t->type, &each, &bytes))
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': type %" PRIu32 " is none that we know", c->path,
			       t->name, t->type);
	if (t->dims[0] % each != 0)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': rows of %" PRIu64
			       " elements, expected a multiple of %" PRIu64 " for type %s",
			       c->path, t->name, t->dims[0], each, gguf_type_name(t->type));
	if (__builtin_mul_overflow(t->bytes / each, bytes, &t->bytes))
		return err_set(err, EBADMSG, "%s: tensor '%s': 2^64 bytes or more", c->path,
			       t->name);
	return 0;
}

static int take_tensor(struct cursor *c, struct gguf_tensor *t, struct err *err)
{
	char *name = NULL;
	uint64_t type;

	memset(t, 0, sizeof(*t));
	if (cursor_text(c, &name, GGUF_NAME - 1, "tensor name", err)) {
		free(name);
		return err->code;
	}
	memcpy(t->name, name, strlen(name));
	free(name);
	if (tensor_dims(c, t, err) || cursor_number(c, &type, 4, "tensor type", err) ||
	    cursor_number(c, &t->offset, 8, "tensor offset", err))
		return err->code;
	t->type = (uint32_t)type;
	return tensor_bytes(c, t, err);
}

static int take_tensors(struct cursor *c, struct gguf *g, uint64_t count, struct err *err)
{
	for (uint64_t i = 0; i < count; i++) {
		struct gguf_tensor *tensors =
			cursor_room(g->tensors, g->tensor_count, sizeof(*tensors), err);

		if (!tensors)
			return err->code;
		g->tensors = tensors;
		if (take_tensor(c, &tensors[g->tensor_count], err))
			return err->code;
		g->tensor_count++;
	}
	return 0;
}

static int find_alignment(const struct cursor *c, struct gguf *g, struct err *err)
{
	g->alignment = 32; /* the format's default */
	if (gguf_has(g, "general.alignment") &&
	    gguf_number(g, "general.alignment", &g->alignment, err))
		return err->code;
	if (g->alignment < 8 || g->alignment > ALIGNMENT_MAX ||
	    (g->alignment & (g->alignment - 1)) != 0)
		return err_set(err, EBADMSG,
			       "%s: general.alignment: got %" PRIu64
			       ", expected a power of two, 8 to %d",
			       c->path, g->alignment, ALIGNMENT_MAX);
	g->data_offset = (c->at + g->alignment - 1) / g->alignment * g->alignment;
	if (g->tensor_count > 0 && g->data_offset > g->file_bytes)
		return err_set(err, EBADMSG,
			       "%s: tensor data at byte %" PRIu64 " of %" PRIu64
			       ": the file is cut off",
			       c->path, g->data_offset, g->file_bytes);
	return 0;
}

static int check_place(const struct gguf *g, struct gguf_tensor *t, struct err *err)
{
	uint64_t room = g->file_bytes - g->data_offset;

	if (t->offset % g->alignment != 0)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': offset %" PRIu64
			       ", expected a multiple of %" PRIu64,
			       g->path, t->name, t->offset, g->alignment);
	if (t->offset > room || t->bytes > room - t->offset)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': %" PRIu64 " bytes at offset %" PRIu64
			       ", but the file holds %" PRIu64 " bytes of tensor data",
			       g->path, t->name, t->bytes, t->offset, room);
	t->offset += g->data_offset;
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct gguf_tensor *const *x = a, *const *y = b;

	return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static int by_name(const void *a, const void *b)
{
	const struct gguf_tensor *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* No two tensors share a name or a byte. */
static int check_apart(const struct gguf *g, struct err *err)
{
	size_t count = g->tensor_count;
	const struct gguf_tensor **sorted = malloc((count + 1) * sizeof(*sorted));

	if (!sorted)
		return err_nomem(err, "a GGUF tensor table", (count + 1) * sizeof(*sorted));
	for (size_t i = 0; i < count; i++)
		sorted[i] = &g->tensors[i];
	qsort(sorted, count, sizeof(*sorted), by_name);
	for (size_t i = 1; i < count && !err->code; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			err_set(err, EBADMSG, "%s: tensor '%s' stands twice", g->path,
				sorted[i]->name);
	qsort(sorted, count, sizeof(*sorted), by_offset);
	for (size_t i = 1; i < count && !err->code; i++)
		if (sorted[i - 1]->offset + sorted[i - 1]->bytes > sorted[i]->offset)
			err_set(err, EBADMSG,
				"%s: tensor '%s' at byte %" PRIu64
				" overlaps '%s', which ends at byte "
				"%" PRIu64,
				g->path, sorted[i]->name, sorted[i]->offset, sorted[i - 1]->name,
				sorted[i - 1]->offset + sorted[i - 1]->bytes);
	free(sorted);
	return err->code;
}

static int read_header(struct cursor *c, struct gguf *g, struct err *err)
{
	uint64_t tensor_count, key_count;

	if (check_head(c, &tensor_count, &key_count, err) ||
	    keys_take(&g->keys, c, key_count, err) || take_tensors(c, g, tensor_count, err) ||
	    find_alignment(c, g, err))
		return err->code;
	for (size_t i = 0; i < g->tensor_count; i++)
		if (check_place(g, &g->tensors[i], err))
			return err->code;
	return check_apart(g, err);
}

int gguf_open(struct gguf **out, const char *path, struct err *err)
{
	struct cursor c = {.fd = -1};
	struct gguf *g = calloc(1, sizeof(*g));

	*out = NULL;
	if (!g || !(g->path = strdup(path))) {
		err_nomem(err, "a GGUF header", sizeof(*g) + strlen(path));
		goto fail;
	}
	if (cursor_open(&c, path, err))
		goto fail;
	g->file_bytes = c.file_bytes;
	if (read_header(&c, g, err))
		goto fail;
	*out = g;
	g = NULL;
fail:
	cursor_close(&c);
	gguf_close(g);
	return err->code;
}

void gguf_close(struct gguf *gguf)
{
	if (!gguf)
		return;
	keys_fini(&gguf->keys);
	free(gguf->tensors);
	free(gguf->path);
	free(gguf);
}

const char *gguf_path(const struct gguf *gguf)
{
	return gguf->path;
}

uint64_t gguf_file_bytes(const struct gguf *gguf)
{
	return gguf->file_bytes;
}

uint64_t gguf_data_offset(const struct gguf *gguf)
{
	return gguf->data_offset;
}

uint64_t gguf_alignment(const struct gguf *gguf)
{
	return gguf->alignment;
}

size_t gguf_tensor_count(const struct gguf *gguf)
{
	return gguf->tensor_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t i)
{
	assert(i < gguf->tensor_count);
	return &gguf->tensors[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name)
{
	for (size_t i = 0; i < gguf->tensor_count; i++)
		if (strcmp(gguf->tensors[i].name, name) == 0)
			return &gguf->tensors[i];
	return NULL;
}

const struct gguf_keys *gguf_keys(const struct gguf *gguf)
{
	return &gguf->keys;
}
