/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_write.c - rows into one buffer, written, digested, fsynced, renamed */
#include "real_write.h"

#include "folder.h"
#include "newfile.h"
#include "real_model.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 8 * 1024 * 1024,
	SYNC_BYTES =
		256 * 1024 * 1024, /* dirty at most this much, so that progress is the disk's */
	FILES_MAX = 9,		   /* base and layouts */
};

static const char no_digest[] = "00000000000000000000000000000000";

/* Weights as they come by: the base file's, up rows and down rows each make a digest of their own,
 * so that a layout's order among them does not show. */
enum stream { STREAM_BASE, STREAM_UP, STREAM_DOWN, STREAM__COUNT };

/* One file being written. */
struct written_file {
	struct file_map map;
	struct newfile file;
	char *path;
	bool open;
	uint64_t written; /* in order, from the file's start */
	uint64_t unsynced;
	struct gguf_head head;
	struct digest *data;		       /* all of it */
	struct digest *weights[STREAM__COUNT]; /* unpadded */
};

struct writer {
	const struct write_options *options;
	const struct row_source *source;
	unsigned char *buffer;
	size_t buffer_bytes;
	struct written_file files[FILES_MAX];
	unsigned file_count;
	uint64_t done_bytes, all_bytes;
};

/* 'at' = UINT64_MAX: where the file ends. */
static int file_write(struct written_file *f, const unsigned char *bytes, uint64_t count,
		      uint64_t at, struct err *err)
{
	while (count > 0) {
		ssize_t put = pwrite(fileno(f->file.stream), bytes, count, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, "%s: cannot write %" PRIu64 " bytes at %" PRIu64,
					 f->path, count, at);
		bytes += put;
		count -= (uint64_t)put;
		at += (uint64_t)put;
		f->unsynced += (uint64_t)put;
	}
	return 0;
}

static int file_append(struct written_file *f, const unsigned char *bytes, uint64_t count,
		       struct err *err)
{
	if (file_write(f, bytes, count, f->written, err))
		return err->code;
	f->written += count;
	return 0;
}

static int file_sync(struct written_file *f, struct err *err)
{
	if (fdatasync(fileno(f->file.stream)) != 0)
		return err_errno(err, "%s: cannot write to disk", f->path);
	f->unsynced = 0;
	return 0;
}

/* Written bytes are told; the caller may stop us. */
static int tell(struct writer *w, uint64_t bytes, struct err *err)
{
	const struct write_options *o = w->options;

	w->done_bytes += bytes;
	if (o->progress &&
	    o->progress(o->progress_arg, (double)w->done_bytes / (double)w->all_bytes))
		return err_set(err, ECANCELED, "stopped; no model was written");
	return 0;
}

static void digest_weights(struct written_file *f, const struct file_tensors *it,
			   const struct row_span *span)
{
	const struct model_tensor *t = &it->tensor;
	uint64_t half = t->row_bytes / 2;

	if (!f->map.layout) {
		assert(t->row_stride == t->row_bytes);
		digest_add(f->weights[STREAM_BASE], span->to, span->count * t->row_bytes);
		return;
	}
	for (uint64_t i = 0; i < span->count; i++) {
		const unsigned char *row = span->to + i * t->row_stride;

		if (it->region == REGION_BUNDLE) {
			digest_add(f->weights[STREAM_UP], row, half);
			digest_add(f->weights[STREAM_DOWN], row + half, half);
		} else {
			digest_add(f->weights[it->region == REGION_UP ? STREAM_UP : STREAM_DOWN],
				   row, t->row_bytes);
		}
	}
}

static int put_rows(struct writer *w, struct written_file *f, const struct file_tensors *it,
		    const struct row_span *span, struct err *err)
{
	const struct model_tensor *t = &it->tensor;
	uint64_t bytes = span->count * t->row_stride;

	if (w->source->rows(w->source->arg, it, span, err))
		return err->code;
	digest_weights(f, it, span);
	if (span->first + span->count == t->dims[1]) {
		/* Zeros up to where the next tensor begins. */
		uint64_t gap = -(t->dims[1] * t->row_stride) % TENSOR_ALIGN;

		memset(span->to + bytes, 0, gap);
		bytes += gap;
	}
	digest_add(f->data, span->to, bytes);
	if (file_append(f, span->to, bytes, err))
		return err->code;
	if (f->unsynced >= SYNC_BYTES && file_sync(f, err))
		return err->code;
	return tell(w, bytes, err);
}

static int put_tensor(struct writer *w, struct written_file *f, const struct file_tensors *it,
		      struct err *err)
{
	const struct model_tensor *t = &it->tensor;
	uint64_t rows = w->buffer_bytes / t->row_stride;

	for (uint64_t row = 0; row < t->dims[1]; row += rows) {
		uint64_t left = t->dims[1] - row;
		const struct row_span span = {row, left < rows ? left : rows, w->buffer};

		if (put_rows(w, f, it, &span, err))
			return err->code;
	}
	return 0;
}

static void head_keys(struct gguf_head *head, const struct writer *w, const struct file_map *map)
{
	/* As llama.cpp numbers them. */
	static const uint32_t file_type[WEIGHT_TYPES] = {
		[WEIGHT_F32] = 0, [WEIGHT_F16] = 1, [WEIGHT_BF16] = 32};
	const struct model *m = map->model;
	char key[FILE_KEY];

	gguf_head_text(head, "general.architecture", model_family_words[m->family].text);
	gguf_head_text(head, "general.name", m->name);
	gguf_head_number(head, "general.alignment", TENSOR_ALIGN);
	gguf_head_number(head, "general.file_type", file_type[map->weights]);
	for (const struct file_key *row = file_keys; row->part; row++) {
		uint64_t value;

		memcpy(&value, (const char *)m + row->offset, sizeof(value));
		gguf_head_number(head, file_key_name(key, m, row), (uint32_t)value);
	}
	gguf_head_text(head, "flashcast.layout", map->layout ? map->layout->name : "base");
	gguf_head_text(head, "flashcast.weights", weight_type_words[map->weights].text);
	gguf_head_text(head, "flashcast.activation", activation_words[m->activation].text);
	gguf_head_bool(head, OWN_HEAD_KEY, m->own_head);
	gguf_head_number(head, "flashcast.row_align", (uint32_t)m->row_align);
	gguf_head_text(head, "flashcast.source", w->options->source);
	/* Both are known at the end. */
	gguf_head_text(head, WEIGHTS_DIGEST_KEY, no_digest);
	gguf_head_text(head, FILE_DIGEST_KEY, no_digest);
	if (w->source->keys)
		w->source->keys(w->source->arg, head, map);
}

static int put_header(const struct writer *w, struct written_file *f, struct err *err)
{
	struct file_tensors it = {.map = &f->map};

	gguf_head_init(&f->head);
	head_keys(&f->head, w, &f->map);
	while (file_tensors_next(&it)) {
		struct gguf_tensor tensor;

		file_tensor_gguf(&tensor, &it);
		gguf_head_tensor(&f->head, &tensor);
	}
	if (gguf_head_finish(&f->head, TENSOR_ALIGN, err))
		return err->code;
	return file_append(f, f->head.bytes, f->head.used, err);
}

static int put_file(struct writer *w, struct written_file *f, struct err *err)
{
	struct file_tensors it = {.map = &f->map};
	uint64_t data_at;

	if (put_header(w, f, err))
		return err->code;
	data_at = f->written;
	while (file_tensors_next(&it)) {
		assert(f->written == data_at + it.at);
		if (put_tensor(w, f, &it, err))
			return err->code;
	}
	assert(f->written == data_at + file_data_bytes(&f->map));
	return file_sync(f, err);
}

unsigned char *digest_digits(unsigned char *head, size_t bytes, const char *key)
{
	size_t length = strlen(key), value_at = length + 4 + 8; /* a type and a length between */

	for (size_t at = 0; at + value_at + DIGEST_TEXT - 1 <= bytes; at++) {
		static const unsigned char before[] = {8, 0, 0, 0, DIGEST_TEXT - 1, 0, 0, 0,
						       0, 0, 0, 0};

		if (head[at] == (unsigned char)key[0] && memcmp(head + at, key, length) == 0 &&
		    memcmp(head + at + length, before, sizeof(before)) == 0)
			return head + at + value_at;
	}
	return NULL;
}

int file_digest(char text[DIGEST_TEXT], unsigned char *head, size_t bytes,
		const struct digest *data, const char *path, struct err *err)
{
	unsigned char *digits = digest_digits(head, bytes, FILE_DIGEST_KEY);
	struct digest *digest;
	char of_data[DIGEST_TEXT];

	if (!digits)
		return err_set(err, EBADMSG, "%s: key %s is missing or no digest", path,
			       FILE_DIGEST_KEY);
	digest = digest_open();
	if (!digest)
		return err_nomem(err, "a digest", 0);
	memcpy(digits, no_digest, DIGEST_TEXT - 1);
	digest_text(data, of_data);
	digest_add(digest, head, bytes);
	digest_add(digest, of_data, strlen(of_data));
	digest_text(digest, text);
	digest_close(digest);
	return 0;
}

/* What a family, shape and type make of the weights belongs to the model as they do. */
static void digest_shape(struct digest *digest, const struct write_options *o)
{
	const char *weights = weight_type_words[o->weights].text;

	for (size_t i = 0; i < model_table.count; i++) {
		const struct param *row = &model_table.rows[i];
		char text[PARAM_STR];

		/* Padding is no weight; that files agree on it is checked where they are opened. */
		if (row->type == PARAM_TEXT || strcmp(row->name, "row_align") == 0)
			continue;
		param_text(text, sizeof(text), row, o->model);
		digest_add(digest, text, strlen(text) + 1);
	}
	digest_add(digest, weights, strlen(weights) + 1);
}

/* Two FFN files hold the same weights, or the source gave two answers. */
static int check_layouts_agree(const struct writer *w, struct err *err)
{
	for (unsigned i = 1; i < w->file_count; i++) {
		const struct written_file *a = &w->files[0], *b = &w->files[i];

		for (unsigned s = STREAM_UP; b->map.layout && s <= STREAM_DOWN; s++) {
			char of_a[DIGEST_TEXT], of_b[DIGEST_TEXT];

			digest_text(a->weights[s], of_a);
			digest_text(b->weights[s], of_b);
			if (strcmp(of_a, of_b) != 0)
				return err_set(err, EIO,
					       "%s and %s got different weights: the source "
					       "changed while it was read",
					       a->path, b->path);
		}
	}
	return 0;
}

static int find_digest(const struct writer *w, char text[DIGEST_TEXT], struct err *err)
{
	const struct written_file *base = &w->files[w->file_count - 1];
	struct digest *digest = digest_open();

	if (!digest)
		return err_nomem(err, "a digest", 0);
	digest_shape(digest, w->options);
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		const struct written_file *f = s == STREAM_BASE ? base : &w->files[0];
		char part[DIGEST_TEXT];

		digest_text(f->weights[s], part);
		digest_add(digest, part, sizeof(part));
	}
	digest_text(digest, text);
	digest_close(digest);
	return 0;
}

/* All data is written: the headers again, now with the digests. */
static int put_digests(struct writer *w, struct err *err)
{
	char weights[DIGEST_TEXT], file[DIGEST_TEXT];

	if (check_layouts_agree(w, err) || find_digest(w, weights, err))
		return err->code;
	for (unsigned i = 0; i < w->file_count; i++) {
		struct written_file *f = &w->files[i];
		struct gguf_head *head = &f->head;
		unsigned char *digits = digest_digits(head->bytes, head->used, WEIGHTS_DIGEST_KEY);

		assert(digits);
		memcpy(digits, weights, DIGEST_TEXT - 1);
		if (file_digest(file, head->bytes, head->used, f->data, f->path, err))
			return err->code;
		digits = digest_digits(head->bytes, head->used, FILE_DIGEST_KEY);
		memcpy(digits, file, DIGEST_TEXT - 1);
		if (file_write(f, head->bytes, head->used, 0, err) || file_sync(f, err))
			return err->code;
		/* Nothing of it should answer later reads from the page cache. */
		(void)posix_fadvise(fileno(f->file.stream), 0, 0, POSIX_FADV_DONTNEED);
	}
	return 0;
}

static int check_room(const struct writer *w, const char *dir, struct err *err)
{
	struct statvfs fs;
	uint64_t room;

	if (statvfs(dir, &fs) != 0)
		return err_errno(err, "%s: cannot ask for free space", dir);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < w->all_bytes)
		return err_set(err, ENOSPC,
			       "%s: the model needs %" PRIu64 " bytes, %" PRIu64 " are free", dir,
			       w->all_bytes, room);
	return 0;
}

static int open_digests(struct written_file *f, struct err *err)
{
	f->data = digest_open();
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		f->weights[s] = digest_open();
		if (!f->weights[s])
			return err_nomem(err, "a digest", 0);
	}
	return f->data ? 0 : err_nomem(err, "a digest", 0);
}

/* Temporaries of every file; base last, so that it appears when all the others stand. */
static int open_files(struct writer *w, const char *dir, struct err *err)
{
	const struct write_options *o = w->options;

	assert(o->layout_count >= 1 && o->layout_count < FILES_MAX);
	for (unsigned i = 0; i <= o->layout_count; i++) {
		struct written_file *f = &w->files[w->file_count++];

		f->map = (struct file_map){o->model, o->weights,
					   i < o->layout_count ? o->layouts[i] : NULL};
		f->path = file_path(dir, f->map.layout);
		if (!f->path)
			return err_nomem(err, "a file's name", strlen(dir));
		w->all_bytes += file_data_bytes(&f->map);
		if (open_digests(f, err) || newfile_open(&f->file, f->path, err))
			return err->code;
		f->open = true;
	}
	return check_room(w, dir, err);
}

/* What a buffer must hold: any row of any file. */
static uint64_t longest_row(const struct writer *w)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < w->file_count; i++) {
		struct file_tensors it = {.map = &w->files[i].map};

		while (file_tensors_next(&it))
			if (it.tensor.row_stride > longest)
				longest = it.tensor.row_stride;
	}
	return longest;
}

static int open_buffer(struct writer *w, struct err *err)
{
	uint64_t least = longest_row(w);

	w->buffer_bytes = w->options->buffer_bytes ? w->options->buffer_bytes : BUFFER_BYTES;
	if (w->buffer_bytes < least)
		w->buffer_bytes = least;
	w->buffer = malloc(w->buffer_bytes + TENSOR_ALIGN);
	if (!w->buffer)
		return err_nomem(err, "writing a model", w->buffer_bytes + TENSOR_ALIGN);
	return 0;
}

/* A file that one of our models left, by its own word. */
static bool is_ours(const char *path, const struct layout_ops *layout)
{
	struct gguf *gguf = NULL;
	struct err none = {0};
	const char *name;
	bool ours = !gguf_open(&gguf, path, &none) && gguf_has(gguf, "flashcast.layout") &&
		    !gguf_text(gguf, "flashcast.layout", &name, &none) &&
		    strcmp(name, layout->name) == 0;

	gguf_close(gguf);
	return ours;
}

/* The model that lay here may have had a layout that this one has not: its file is not left beside
 * a base.gguf of other weights.  What belongs (the same weights, written before) stays, and so does
 * what we did not write. */
static int drop_stale(const char *dir, const struct layout_ops *layout, struct err *err)
{
	char *path = file_path(dir, layout);
	struct real_model *rm = NULL;
	struct err misfit = {0};

	if (!path)
		return err_nomem(err, "a file's name", strlen(dir));
	if (access(path, F_OK) == 0 && real_model_open(&rm, dir, layout, NULL, &misfit) &&
	    misfit.code != ENOMEM && is_ours(path, layout) && unlink(path) != 0)
		err_errno(err, "%s: the model is written, but this file of another one stays",
			  path);
	real_model_close(rm);
	free(path);
	return err->code;
}

static int drop_all_stale(const char *dir, struct err *err)
{
	static const struct layout_ops *const layouts[] = {
#define LAYOUT(name) &layout_##name,
#include "layouts.h"
#undef LAYOUT
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (drop_stale(dir, layouts[i], err))
			return err->code;
	return 0;
}

static int write_all(struct writer *w, const char *dir, struct err *err)
{
	if (open_files(w, dir, err) || open_buffer(w, err))
		return err->code;
	for (unsigned i = 0; i < w->file_count; i++)
		if (put_file(w, &w->files[i], err))
			return err->code;
	if (put_digests(w, err))
		return err->code;
	for (unsigned i = 0; i < w->file_count; i++) {
		w->files[i].open = false;
		if (newfile_commit(&w->files[i].file, err))
			return err->code;
	}
	return drop_all_stale(dir, err);
}

static void close_file(struct written_file *f)
{
	if (f->open)
		newfile_drop(&f->file);
	gguf_head_fini(&f->head);
	digest_close(f->data);
	for (unsigned s = 0; s < STREAM__COUNT; s++)
		digest_close(f->weights[s]);
	free(f->path);
}

int model_write(const char *dir, const struct write_options *options,
		const struct row_source *source, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w)
		return err_nomem(err, "writing a model", sizeof(*w));
	w->options = options;
	w->source = source;
	if (!folder_make(dir, err))
		write_all(w, dir, err);
	for (unsigned i = 0; i < w->file_count; i++)
		close_file(&w->files[i]);
	free(w->buffer);
	free(w);
	return err->code;
}
