/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gguf.c - reads GGUF headers without trusting them
 *
 * Everything goes through a cursor that knows the file's size, so that a count or length can be
 * refused before it moves anything: n items of at least b bytes cannot stand in fewer than n * b
 * bytes. */
#include "gguf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CURSOR_BYTES = 65536,
	KEY_MAX = 65535,		/* longest key name, as the format says */
	KEYS_MAX = 65536,		/* most keys and tensors: far above any model's */
	TEXT_KEPT = 65536,		/* longer texts (a chat template) are passed over */
	HEADER_MAX = 256 * 1024 * 1024, /* a tokenizer's word lists are tens of MiB */
	ALIGNMENT_MAX = 1024 * 1024,
};

enum value_type {
	VALUE_U8,
	VALUE_I8,
	VALUE_U16,
	VALUE_I16,
	VALUE_U32,
	VALUE_I32,
	VALUE_F32,
	VALUE_BOOL,
	VALUE_TEXT,
	VALUE_ARRAY,
	VALUE_U64,
	VALUE_I64,
	VALUE_F64,
	VALUE__COUNT
};

static const unsigned char value_bytes[VALUE__COUNT] = {
	[VALUE_U8] = 1,	 [VALUE_I8] = 1,  [VALUE_U16] = 2, [VALUE_I16] = 2,
	[VALUE_U32] = 4, [VALUE_I32] = 4, [VALUE_F32] = 4, [VALUE_BOOL] = 1,
	[VALUE_U64] = 8, [VALUE_I64] = 8, [VALUE_F64] = 8,
};

struct gguf_key {
	char *name;
	char *text;	 /* VALUE_TEXT that was kept; else NULL */
	uint64_t number; /* integers that are not negative */
	bool is_number;
};

struct gguf {
	char *path;
	uint64_t file_bytes, data_offset, alignment;
	struct gguf_key *keys;
	size_t key_count;
	struct gguf_tensor *tensors;
	size_t tensor_count;
};

struct cursor {
	int fd;
	const char *path;
	uint64_t file_bytes, at;	  /* at: of the next byte */
	uint64_t buffer_at, buffer_bytes; /* what the buffer holds */
	unsigned char *buffer;
};

static int bad(const struct cursor *c, struct err *err, const char *what, uint64_t got,
	       uint64_t most)
{
	return err_set(err, EBADMSG,
		       "%s: %s at byte %" PRIu64 ": got %" PRIu64 ", expected at most %" PRIu64,
		       c->path, what, c->at, got, most);
}

/* Bytes that a header may still take. */
static uint64_t cursor_left(const struct cursor *c)
{
	uint64_t end = c->file_bytes < HEADER_MAX ? c->file_bytes : HEADER_MAX;

	return end - c->at;
}

static int cursor_fill(struct cursor *c, struct err *err)
{
	ssize_t got;

	do {
		got = pread(c->fd, c->buffer, CURSOR_BYTES, (off_t)c->at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, "%s: cannot read at byte %" PRIu64, c->path, c->at);
	if (got == 0)
		return err_set(err, EBADMSG,
			       "%s: ends at byte %" PRIu64 ", expected %" PRIu64 " bytes", c->path,
			       c->at, c->file_bytes);
	c->buffer_at = c->at;
	c->buffer_bytes = (uint64_t)got;
	return 0;
}

/* The next 'bytes' bytes into 'to' (NULL: pass over them). */
static int cursor_take(struct cursor *c, void *to, uint64_t bytes, const char *what,
		       struct err *err)
{
	unsigned char *out = to;

	if (bytes > cursor_left(c))
		return bad(c, err, what, bytes, cursor_left(c));
	if (!to) {
		c->at += bytes;
		return 0;
	}
	while (bytes > 0) {
		uint64_t have;

		if (c->at < c->buffer_at || c->at >= c->buffer_at + c->buffer_bytes)
			if (cursor_fill(c, err))
				return err->code;
		have = c->buffer_at + c->buffer_bytes - c->at;
		if (have > bytes)
			have = bytes;
		memcpy(out, c->buffer + (c->at - c->buffer_at), have);
		out += have;
		c->at += have;
		bytes -= have;
	}
	return 0;
}

/* Little-endian, on any machine. */
static int take_number(struct cursor *c, uint64_t *value, unsigned bytes, const char *what,
		       struct err *err)
{
	unsigned char raw[8];

	assert(bytes <= sizeof(raw));
	if (cursor_take(c, raw, bytes, what, err))
		return err->code;
	*value = 0;
	for (unsigned i = 0; i < bytes; i++)
		*value |= (uint64_t)raw[i] << (8 * i);
	return 0;
}

/* A length and that many bytes as a new text; longer than 'most' is refused. */
static int take_text(struct cursor *c, char **text, uint64_t most, const char *what,
		     struct err *err)
{
	uint64_t length;

	if (take_number(c, &length, 8, what, err))
		return err->code;
	if (length > most || length > cursor_left(c))
		return bad(c, err, what, length, most < cursor_left(c) ? most : cursor_left(c));
	*text = malloc(length + 1);
	if (!*text)
		return err_nomem(err, what, length + 1);
	if (cursor_take(c, *text, length, what, err))
		return err->code;
	(*text)[length] = '\0';
	if (strlen(*text) != length)
		return err_set(err, EBADMSG, "%s: %s at byte %" PRIu64 ": holds a zero byte",
			       c->path, what, c->at - length);
	return 0;
}

static int skip_texts(struct cursor *c, uint64_t count, struct err *err)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t length;

		if (take_number(c, &length, 8, "text length in an array", err) ||
		    cursor_take(c, NULL, length, "text in an array", err))
			return err->code;
	}
	return 0;
}

static int skip_array(struct cursor *c, struct err *err)
{
	uint64_t type, count, each;

	if (take_number(c, &type, 4, "array type", err) ||
	    take_number(c, &count, 8, "array length", err))
		return err->code;
	if (type >= VALUE__COUNT || type == VALUE_ARRAY)
		return err_set(err, EBADMSG,
			       "%s: array type at byte %" PRIu64 ": got %" PRIu64
			       ", expected a scalar's type, 0 to 12 and not 9",
			       c->path, c->at, type);
	each = type == VALUE_TEXT ? 8 : value_bytes[type];
	if (count > cursor_left(c) / each)
		return bad(c, err, "array length", count, cursor_left(c) / each);
	if (type == VALUE_TEXT)
		return skip_texts(c, count, err);
	return cursor_take(c, NULL, count * each, "array", err);
}

static int take_value(struct cursor *c, struct gguf_key *key, struct err *err)
{
	uint64_t type, length;
	bool is_signed;

	if (take_number(c, &type, 4, "key type", err))
		return err->code;
	if (type >= VALUE__COUNT)
		return err_set(err, EBADMSG, "%s: key '%s': type %" PRIu64 ", expected 0 to 12",
			       c->path, key->name, type);
	if (type == VALUE_ARRAY)
		return skip_array(c, err);
	if (type == VALUE_TEXT) {
		uint64_t back = c->at;

		if (take_number(c, &length, 8, "text length", err))
			return err->code;
		if (length > TEXT_KEPT)
			return cursor_take(c, NULL, length, "text", err);
		c->at = back;
		return take_text(c, &key->text, TEXT_KEPT, "text", err);
	}
	if (take_number(c, &key->number, value_bytes[type], "key value", err))
		return err->code;
	is_signed = type == VALUE_I8 || type == VALUE_I16 || type == VALUE_I32 || type == VALUE_I64;
	key->is_number = type != VALUE_F32 && type != VALUE_F64 && type != VALUE_BOOL &&
			 !(is_signed && key->number >> (8 * value_bytes[type] - 1));
	return 0;
}

static const struct gguf_key *key_find(const struct gguf *g, const char *name)
{
	for (size_t i = 0; i < g->key_count; i++)
		if (g->keys[i].name && strcmp(g->keys[i].name, name) == 0)
			return &g->keys[i];
	return NULL;
}

/* Room for one more item; grows by halves, so only with what was read. */
static void *room_for(void *items, size_t count, size_t each, struct err *err)
{
	size_t room;
	void *grown;

	if (count < 16 ? count != 0 : (count & (count - 1)) != 0)
		return items;
	room = count < 16 ? 16 : count * 2;
	grown = realloc(items, room * each);
	if (!grown)
		err_nomem(err, "a GGUF header", room * each);
	return grown;
}

static int take_keys(struct cursor *c, struct gguf *g, uint64_t count, struct err *err)
{
	for (uint64_t i = 0; i < count; i++) {
		struct gguf_key *keys = room_for(g->keys, g->key_count, sizeof(*keys), err);
		struct gguf_key key = {.name = NULL};

		if (!keys)
			return err->code;
		g->keys = keys;
		if (!take_text(c, &key.name, KEY_MAX, "key", err) && key_find(g, key.name))
			err_set(err, EBADMSG, "%s: key '%s' stands twice", c->path, key.name);
		if (!err->code)
			take_value(c, &key, err);
		keys[g->key_count++] = key;
		if (err->code)
			return err->code;
	}
	return 0;
}

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
	if (take_number(c, &version, 4, "version", err))
		return err->code;
	if (version != 3)
		return err_set(err, EBADMSG, "%s: GGUF version %" PRIu64 ", expected 3", c->path,
			       version);
	if (take_number(c, tensor_count, 8, "tensor count", err) ||
	    take_number(c, key_count, 8, "key count", err))
		return err->code;
	/* The smallest key takes 13 bytes, the smallest tensor 32. */
	if (*key_count > KEYS_MAX || *key_count > cursor_left(c) / 13)
		return bad(c, err, "key count", *key_count, cursor_left(c) / 13);
	if (*tensor_count > KEYS_MAX || *tensor_count > cursor_left(c) / 32)
		return bad(c, err, "tensor count", *tensor_count, cursor_left(c) / 32);
	return 0;
}

static int tensor_dims(struct cursor *c, struct gguf_tensor *t, struct err *err)
{
	uint64_t dim_count, elements = 1;

	if (take_number(c, &dim_count, 4, "dimension count", err))
		return err->code;
	if (dim_count < 1 || dim_count > GGUF_DIMS)
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': %" PRIu64 " dimensions, expected 1 to %d", c->path,
			       t->name, dim_count, GGUF_DIMS);
	t->dim_count = (uint32_t)dim_count;
	for (unsigned i = 0; i < GGUF_DIMS; i++) {
		t->dims[i] = 1;
		if (i < dim_count && take_number(c, &t->dims[i], 8, "dimension", err))
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

static int take_tensor(struct cursor *c, struct gguf_tensor *t, struct err *err)
{
	char *name = NULL;
	uint64_t type;

	memset(t, 0, sizeof(*t));
	if (take_text(c, &name, GGUF_NAME - 1, "tensor name", err)) {
		free(name);
		return err->code;
	}
	memcpy(t->name, name, strlen(name));
	free(name);
	if (tensor_dims(c, t, err) || take_number(c, &type, 4, "tensor type", err) ||
	    take_number(c, &t->offset, 8, "tensor offset", err))
		return err->code;
	if (!gguf_type_bytes(type))
		return err_set(err, EBADMSG,
			       "%s: tensor '%s': type %" PRIu64
			       ", expected 0 (f32), 1 (f16) or 30 (bf16)",
			       c->path, t->name, type);
	t->type = (uint32_t)type;
	if (__builtin_mul_overflow(t->bytes, (uint64_t)gguf_type_bytes(type), &t->bytes))
		return err_set(err, EBADMSG, "%s: tensor '%s': 2^64 bytes or more", c->path,
			       t->name);
	return 0;
}

static int take_tensors(struct cursor *c, struct gguf *g, uint64_t count, struct err *err)
{
	for (uint64_t i = 0; i < count; i++) {
		struct gguf_tensor *tensors =
			room_for(g->tensors, g->tensor_count, sizeof(*tensors), err);

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

	if (check_head(c, &tensor_count, &key_count, err) || take_keys(c, g, key_count, err) ||
	    take_tensors(c, g, tensor_count, err) || find_alignment(c, g, err))
		return err->code;
	for (size_t i = 0; i < g->tensor_count; i++)
		if (check_place(g, &g->tensors[i], err))
			return err->code;
	return check_apart(g, err);
}

static int cursor_open(struct cursor *c, const char *path, struct err *err)
{
	struct stat st;

	c->path = path;
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->fd < 0)
		return err_errno(err, "%s: cannot open", path);
	if (fstat(c->fd, &st) != 0)
		return err_errno(err, "%s: cannot stat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EBADMSG, "%s: no regular file", path);
	c->file_bytes = (uint64_t)st.st_size;
	c->buffer = malloc(CURSOR_BYTES);
	if (!c->buffer)
		return err_nomem(err, "reading a GGUF header", CURSOR_BYTES);
	return 0;
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
	if (c.fd >= 0)
		close(c.fd);
	free(c.buffer);
	gguf_close(g);
	return err->code;
}

void gguf_close(struct gguf *gguf)
{
	if (!gguf)
		return;
	for (size_t i = 0; i < gguf->key_count; i++) {
		free(gguf->keys[i].name);
		free(gguf->keys[i].text);
	}
	free(gguf->keys);
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

bool gguf_has(const struct gguf *gguf, const char *key)
{
	return key_find(gguf, key) != NULL;
}

uint32_t gguf_type_bytes(uint64_t type)
{
	if (type == GGUF_F32)
		return 4;
	return type == GGUF_F16 || type == GGUF_BF16 ? 2 : 0;
}

const char *gguf_type_name(uint64_t type)
{
	switch (type) {
	case GGUF_F32:
		return "f32";
	case GGUF_F16:
		return "f16";
	case GGUF_BF16:
		return "bf16";
	default:
		return NULL;
	}
}

int gguf_number(const struct gguf *gguf, const char *key, uint64_t *value, struct err *err)
{
	const struct gguf_key *found = key_find(gguf, key);

	if (!found)
		return err_set(err, EBADMSG, "%s: key %s is missing", gguf->path, key);
	if (!found->is_number)
		return err_set(err, EBADMSG, "%s: key %s is no unsigned number", gguf->path, key);
	*value = found->number;
	return 0;
}

int gguf_text(const struct gguf *gguf, const char *key, const char **value, struct err *err)
{
	const struct gguf_key *found = key_find(gguf, key);

	if (!found)
		return err_set(err, EBADMSG, "%s: key %s is missing", gguf->path, key);
	if (!found->text)
		return err_set(err, EBADMSG, "%s: key %s is no text", gguf->path, key);
	*value = found->text;
	return 0;
}
