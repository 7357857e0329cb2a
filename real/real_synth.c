/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_synth.c - writes synthetic models: rows made by all cores into one buffer, written, fsynced,
 * renamed
 *
 * Every byte of a file is written, gaps between tensors too, so that no extent is left unwritten:
 * the kernel answers reads of such an extent with zeros and without the device. */
#include "real_model.h"

#include "cores.h"
#include "digest.h"
#include "newfile.h"
#include "real_files.h"
#include "real_kernels.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 8 * 1024 * 1024,
	SYNC_BYTES =
		256 * 1024 * 1024, /* dirty at most this much, so that progress is the disk's */
	FILES_MAX = 9,		   /* base and layouts */
	THREADS_MAX = 16,
};

/* One file being written. */
struct synth_file {
	struct file_map map;
	struct newfile file;
	char *path;
	bool open;
	uint64_t written; /* in order, from the file's start */
	uint64_t unsynced;
};

struct synth {
	const struct synth_options *options;
	struct pool *pool;
	unsigned char *buffer;
	struct synth_file files[FILES_MAX];
	unsigned file_count;
	uint64_t done_bytes, all_bytes;
	char digest[DIGEST_TEXT];
};

/* One buffer's rows, made by all threads. */
struct synth_job {
	const struct synth *synth;
	const struct file_tensors *it;
	uint64_t first_row, row_count;
	unsigned char *to;
};

static void job_run(void *arg, unsigned thread, unsigned threads)
{
	const struct synth_job *job = arg;
	uint64_t begin = job->row_count * thread / threads;
	uint64_t end = job->row_count * (thread + 1) / threads;

	for (uint64_t i = begin; i < end; i++)
		synth_row(job->to + i * job->it->tensor.row_stride, job->it, job->it->map->model,
			  job->synth->options->seed, job->first_row + i);
}

static int file_write(struct synth_file *f, const unsigned char *bytes, uint64_t count,
		      struct err *err)
{
	int fd = fileno(f->file.stream);

	while (count > 0) {
		ssize_t put = pwrite(fd, bytes, count, (off_t)f->written);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_errno(err, "%s: cannot write %" PRIu64 " bytes at %" PRIu64,
					 f->path, count, f->written);
		bytes += put;
		count -= (uint64_t)put;
		f->written += (uint64_t)put;
		f->unsynced += (uint64_t)put;
	}
	return 0;
}

static int file_sync(struct synth_file *f, struct err *err)
{
	if (fdatasync(fileno(f->file.stream)) != 0)
		return err_errno(err, "%s: cannot write to disk", f->path);
	f->unsynced = 0;
	return 0;
}

/* Written bytes are told; the caller may stop us. */
static int tell(struct synth *s, uint64_t bytes, struct err *err)
{
	const struct synth_options *o = s->options;

	s->done_bytes += bytes;
	if (o->progress &&
	    o->progress(o->progress_arg, (double)s->done_bytes / (double)s->all_bytes))
		return err_set(err, ECANCELED, "stopped; no model was written");
	return 0;
}

static int put_rows(struct synth *s, struct synth_file *f, const struct file_tensors *it,
		    uint64_t first, uint64_t count, struct err *err)
{
	const struct model_tensor *t = &it->tensor;
	struct synth_job job = {s, it, first, count, s->buffer};
	uint64_t bytes = count * t->row_stride;

	pool_run(s->pool, job_run, &job);
	if (first + count == t->dims[1]) {
		/* Zeros up to where the next tensor begins. */
		uint64_t gap = -(t->dims[1] * t->row_stride) % TENSOR_ALIGN;

		memset(s->buffer + bytes, 0, gap);
		bytes += gap;
	}
	if (file_write(f, s->buffer, bytes, err))
		return err->code;
	if (f->unsynced >= SYNC_BYTES && file_sync(f, err))
		return err->code;
	return tell(s, bytes, err);
}

static int put_tensor(struct synth *s, struct synth_file *f, const struct file_tensors *it,
		      struct err *err)
{
	const struct model_tensor *t = &it->tensor;
	uint64_t rows = BUFFER_BYTES / t->row_stride;

	for (uint64_t row = 0; row < t->dims[1]; row += rows) {
		uint64_t left = t->dims[1] - row;

		if (put_rows(s, f, it, row, left < rows ? left : rows, err))
			return err->code;
	}
	return 0;
}

static void head_keys(struct gguf_head *head, const struct synth *s, const struct file_map *map)
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
	gguf_head_number(head, "flashcast.row_align", (uint32_t)m->row_align);
	gguf_head_wide(head, "flashcast.seed", s->options->seed);
	gguf_head_text(head, "flashcast.source", "synthetic");
	gguf_head_text(head, "flashcast.digest", s->digest);
}

static int put_header(const struct synth *s, struct synth_file *f, struct err *err)
{
	struct file_tensors it = {.map = &f->map};
	struct gguf_head head;

	gguf_head_init(&head);
	head_keys(&head, s, &f->map);
	while (file_tensors_next(&it)) {
		struct gguf_tensor tensor;

		file_tensor_gguf(&tensor, &it);
		gguf_head_tensor(&head, &tensor);
	}
	if (!gguf_head_finish(&head, TENSOR_ALIGN, err))
		file_write(f, head.bytes, head.used, err);
	gguf_head_fini(&head);
	return err->code;
}

static int put_file(struct synth *s, struct synth_file *f, struct err *err)
{
	struct file_tensors it = {.map = &f->map};
	uint64_t data_at;

	if (put_header(s, f, err))
		return err->code;
	data_at = f->written;
	while (file_tensors_next(&it)) {
		assert(f->written == data_at + it.at);
		if (put_tensor(s, f, &it, err))
			return err->code;
	}
	assert(f->written == data_at + file_data_bytes(&f->map));
	if (file_sync(f, err))
		return err->code;
	/* Nothing of it should answer later reads from the page cache. */
	(void)posix_fadvise(fileno(f->file.stream), 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* What the two files must share to belong together. */
static int find_digest(struct synth *s, struct err *err)
{
	const struct synth_options *o = s->options;
	struct digest *digest = digest_open();
	char line[128];

	if (!digest)
		return err_nomem(err, "a digest", 0);
	for (size_t i = 0; i < model_table.count; i++) {
		const struct param *row = &model_table.rows[i];
		char text[PARAM_STR];

		if (row->type == PARAM_TEXT)
			continue;
		param_text(text, sizeof(text), row, o->model);
		digest_add(digest, text, strlen(text) + 1);
	}
	snprintf(line, sizeof(line), "%s %" PRIu64, weight_type_words[o->weights].text, o->seed);
	digest_add(digest, line, strlen(line));
	digest_text(digest, s->digest);
	digest_close(digest);
	return 0;
}

static int check_room(const struct synth *s, const char *dir, struct err *err)
{
	struct statvfs fs;
	uint64_t room;

	if (statvfs(dir, &fs) != 0)
		return err_errno(err, "%s: cannot ask for free space", dir);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room < s->all_bytes)
		return err_set(err, ENOSPC,
			       "%s: the model needs %" PRIu64 " bytes, %" PRIu64 " are free", dir,
			       s->all_bytes, room);
	return 0;
}

/* Temporaries of every file; base last, so that it appears when all the others stand. */
static int open_files(struct synth *s, const char *dir, struct err *err)
{
	const struct synth_options *o = s->options;

	assert(o->layout_count < FILES_MAX);
	for (unsigned i = 0; i <= o->layout_count; i++) {
		struct synth_file *f = &s->files[s->file_count++];

		f->map = (struct file_map){o->model, o->weights,
					   i < o->layout_count ? o->layouts[i] : NULL};
		f->path = file_path(dir, f->map.layout);
		if (!f->path)
			return err_nomem(err, "a file's name", strlen(dir));
		s->all_bytes += file_data_bytes(&f->map);
		if (newfile_open(&f->file, f->path, err))
			return err->code;
		f->open = true;
	}
	return check_room(s, dir, err);
}

static int synth_run(struct synth *s, const char *dir, struct err *err)
{
	if (find_digest(s, err) || open_files(s, dir, err))
		return err->code;
	for (unsigned i = 0; i < s->file_count; i++)
		if (put_file(s, &s->files[i], err))
			return err->code;
	for (unsigned i = 0; i < s->file_count; i++) {
		s->files[i].open = false;
		if (newfile_commit(&s->files[i].file, err))
			return err->code;
	}
	return 0;
}

static int synth_init(struct synth *s, struct err *err)
{
	unsigned cores = cores_usable(), threads = cores > THREADS_MAX ? THREADS_MAX : cores;

	s->buffer = malloc(BUFFER_BYTES + TENSOR_ALIGN);
	if (!s->buffer)
		return err_nomem(err, "writing a model", BUFFER_BYTES + TENSOR_ALIGN);
	return pool_open(&s->pool, threads, err);
}

int real_model_synth(const char *dir, const struct synth_options *options, struct err *err)
{
	struct synth *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(err, "writing a model", sizeof(*s));
	s->options = options;
	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		err_errno(err, "%s: cannot make the folder", dir);
	else if (!synth_init(s, err))
		synth_run(s, dir, err);
	for (unsigned i = 0; i < s->file_count; i++) {
		if (s->files[i].open)
			newfile_drop(&s->files[i].file);
		free(s->files[i].path);
	}
	pool_close(s->pool);
	free(s->buffer);
	free(s);
	return err->code;
}
