/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_read.c - what all read engines share: files, alignment, memory, the checks at the door */
#define _GNU_SOURCE
#include "huge_pages.h"
#include "read_engine.h"
#include "throttle.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { ALIGN_LEAST = 512, ALIGN_PAGE = 4096, IN_FLIGHT_MAX = 4096 };
enum { READER_STACK = 64 * 1024, HUGE_LEAST = 4 << 20 };

static const struct read_engine_ops *engine_ops(enum read_engine engine)
{
	switch (engine) {
#define READ_ENGINE(kind, name)                                                                    \
	case kind:                                                                                 \
		return &read_##name;
#include "read_engines.h"
#undef READ_ENGINE
	case READ_AUTO:
		break;
	}
	return NULL;
}

static int refuse_direct(const char *path, struct err *err)
{
	return err_set(
		err, ENOTSUP,
		"'%s': its file system has no direct I/O, so reads would be served from the page "
		"cache and not from flash; put the model on a disk file system (ext4, xfs, btrfs)",
		path);
}

/* Older kernels and some file systems do not tell: read and see what is refused. */
static int probe_align(size_t *align, const struct reader_file *file, struct err *err)
{
	const size_t bytes = (size_t)2 * ALIGN_PAGE;
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t found = 0;

	if (page == MAP_FAILED)
		return err_nomem(err, "an alignment probe", bytes);
	for (size_t try = ALIGN_LEAST; try <= ALIGN_PAGE && !found; try *= 2) {
		/* A buffer, an offset and a size that are multiples of 'try' and of nothing larger.
		 */
		if (pread(file->fd, (char *)page + try, try, (off_t)try) >= 0)
			found = try;
	}
	munmap(page, bytes);
	if (!found)
		return refuse_direct(file->path, err);
	*align = found;
	return 0;
}

static int direct_align(size_t *align, const struct reader_file *file, struct err *err)
{
	struct statfs fs;
	struct statx stx;

	/* tmpfs accepts O_DIRECT since Linux 6.6 and copies from memory all the same. */
	if (fstatfs(file->fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		return refuse_direct(file->path, err);
#ifdef STATX_DIOALIGN
	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN)) {
		if (!stx.stx_dio_offset_align)
			return refuse_direct(file->path, err);
		*align = stx.stx_dio_offset_align > stx.stx_dio_mem_align ? stx.stx_dio_offset_align
									  : stx.stx_dio_mem_align;
		if (*align < ALIGN_LEAST)
			*align = ALIGN_LEAST;
		return 0;
	}
#else
	(void)stx;
#endif
	return probe_align(align, file, err);
}

static int open_file(struct reader_file *file, const char *path, enum reader_file_mode mode,
		     struct err *err)
{
	struct stat st;

	file->path = strdup(path);
	if (!file->path)
		return err_nomem(err, "a path", strlen(path) + 1);
	if (stat(path, &st) != 0)
		return err_errno(err, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "'%s' is %s, wanted a file", path,
			       S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
	file->bytes = (uint64_t)st.st_size;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | (mode == READER_DIRECT ? O_DIRECT : 0));
	if (file->fd < 0 && errno == EINVAL && mode == READER_DIRECT)
		return refuse_direct(path, err);
	if (file->fd < 0)
		return err_errno(err, "'%s'", path);
	return 0;
}

int reader_open_files(struct reader *reader, const struct reader_options *options,
		      enum reader_file_mode mode, struct err *err)
{
	reader->align = ALIGN_LEAST;
	for (unsigned i = 0; i < READER_FILES; i++) {
		size_t align = ALIGN_LEAST;

		if (!options->paths[i])
			continue;
		if (open_file(&reader->files[i], options->paths[i], mode, err))
			return err->code;
		if (mode == READER_DIRECT && direct_align(&align, &reader->files[i], err))
			return err->code;
		if (align > reader->align)
			reader->align = align;
	}
	return 0;
}

void *reader_map(struct reader *reader, size_t bytes)
{
	struct reader_memory *memory = malloc(sizeof(*memory));

	if (!memory)
		return NULL;
	memory->bytes = bytes ? bytes : 1;
	memory->at = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (memory->at == MAP_FAILED) {
		free(memory);
		return NULL;
	}
	/* Rows that land here are multiplied here.  A buffer that no large page fits into stays as
	 * small as it was asked for. */
	if (memory->bytes >= HUGE_LEAST)
		huge_pages_hint(memory->at, memory->bytes);
	memset(memory->at, 0, memory->bytes);
	memory->next = reader->memory;
	reader->memory = memory;
	return memory->at;
}

int reader_thread(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	pthread_attr_setstacksize(&attr, READER_STACK);
#endif
	rc = pthread_create(thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return rc;
}

int reader_kernel_count(struct reader *reader, uint64_t *bytes, struct err *err)
{
	FILE *io = fopen("/proc/self/io", "r");
	unsigned long long value;
	char line[128];
	int found = 0;

	(void)reader;
	if (!io)
		return err_set(err, ENOTSUP,
			       "/proc/self/io: %s: this kernel does not count reads of a process",
			       strerror(errno));
	while (!found && fgets(line, sizeof(line), io))
		found = sscanf(line, "read_bytes: %llu", &value) == 1;
	fclose(io);
	if (!found)
		return err_set(err, ENOTSUP, "/proc/self/io has no line read_bytes");
	*bytes = value;
	return 0;
}

int reader_fail(const struct reader *reader, const struct read_failure *failure, struct err *err)
{
	const struct read_request *request = &failure->request;
	const char *path = reader->files[request->file].path;
	char why[160] = "";

	if (failure->code)
		snprintf(why, sizeof(why), ": %s", strerror(failure->code));
	return err_set(err, EIO, "'%s': offset %llu: got %u bytes, expected %u%s", path,
		       (unsigned long long)request->offset, failure->got, request->bytes, why);
}

int reader_open(struct reader **out, const struct reader_options *options, struct err *err)
{
	const struct read_engine_ops *ops = engine_ops(options->engine);
	struct reader *reader;

	assert(ops && "READ_AUTO is resolved by the caller");
	if (options->in_flight < 1 || options->in_flight > IN_FLIGHT_MAX)
		return err_set(err, EINVAL, "in_flight: %u is outside [1, %d]", options->in_flight,
			       IN_FLIGHT_MAX);
	assert(ops->reader_bytes >= sizeof(*reader));
	reader = calloc(1, ops->reader_bytes);
	if (!reader)
		return err_nomem(err, "a reader", ops->reader_bytes);
	reader->ops = ops;
	reader->in_flight = options->in_flight;
	for (unsigned i = 0; i < READER_FILES; i++)
		reader->files[i].fd = -1;
	if (options->throttle &&
	    throttle_enter(&reader->throttle, options->throttle, options->paths, READER_FILES, err))
		goto fail;
	if (ops->open(reader, options, err))
		goto fail;
	assert(reader->align >= ALIGN_LEAST);
	*out = reader; /* the caller owns it now: reader_close() */
	return 0;
fail:
	reader_close(reader);
	err_where(err, "read engine %s", ops->name);
	return err->code;
}

void reader_close(struct reader *reader)
{
	if (!reader)
		return;
	if (reader->busy) {
		struct read_done done;
		struct err ignored = {0};

		(void)!reader_wait(reader, &done, &ignored);
	}
	reader->ops->close(reader);
	while (reader->memory) {
		struct reader_memory *memory = reader->memory;

		reader->memory = memory->next;
		munmap(memory->at, memory->bytes);
		free(memory);
	}
	for (unsigned i = 0; i < READER_FILES; i++) {
		if (reader->files[i].fd >= 0)
			close(reader->files[i].fd);
		free(reader->files[i].path);
	}
	throttle_leave(reader->throttle);
	free(reader);
}

bool reader_engine_works(enum read_engine engine)
{
	return engine != READ_IO_URING || io_uring_works();
}

enum read_engine reader_engine_of(enum read_engine asked, bool is_emulated)
{
	if (asked != READ_AUTO)
		return asked;
	if (is_emulated)
		return READ_EMULATED;
	return reader_engine_works(READ_IO_URING) ? READ_IO_URING : READ_PREAD;
}

int reader_engine_named(enum read_engine *engine, const char *name, struct err *err)
{
	char all[128] = "";

	for (unsigned i = 0; read_engine_words[i].text; i++) {
		const size_t used = strlen(all);

		if (strcmp(read_engine_words[i].text, name) == 0) {
			*engine = (enum read_engine)i;
			return 0;
		}
		snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "",
			 read_engine_words[i].text);
	}
	return err_set(err, EINVAL, "read engine '%s' is none of %s", name, all);
}

size_t reader_align(const struct reader *reader)
{
	return reader->align;
}

void reader_set_at_once(struct reader *reader, bool at_once)
{
	assert(!reader->busy);
	reader->at_once = at_once;
}

void *reader_alloc(struct reader *reader, size_t bytes)
{
	return reader->ops->alloc(reader, bytes);
}

/* A read that direct I/O refuses, or that no file could answer, is a bug of the caller. */
static void check_request(const struct reader *reader, const struct read_request *request)
{
	assert(request->file < READER_FILES && request->bytes > 0 && request->to);
	assert(reader->files[request->file].path || reader->ops == &read_null);
	assert(request->offset % reader->align == 0 && request->bytes % reader->align == 0);
	assert((uintptr_t)request->to % reader->align == 0);
}

int reader_submit(struct reader *reader, const struct read_request *requests, size_t count,
		  struct err *err)
{
	assert(!reader->busy);
	for (size_t i = 0; i < count; i++)
		check_request(reader, &requests[i]);
	if (reader->ops->submit(reader, requests, count, err))
		return err->code;
	reader->busy = true;
	return 0;
}

int reader_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	assert(reader->busy);
	*have = 0;
	return reader->ops->progress(reader, want, have, err);
}

int reader_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	assert(reader->busy);
	*done = (struct read_done){0};
	reader->busy = false;
	return reader->ops->wait(reader, done, err);
}

int reader_outside_count(struct reader *reader, uint64_t *bytes, struct err *err)
{
	return reader->ops->outside(reader, bytes, err);
}
