/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_mmap.c - files mapped into memory, rows copied out of the page cache: the baseline that people
 * use
 *
 * Everything that the other engines avoid happens here on purpose: the kernel decides what stays in
 * DRAM, beside what our own store keeps, and a miss is a page fault.  Under a memory cgroup (which
 * counts page cache) it shows what "let the operating system do it" costs; without one and with
 * memory to spare, runs after the first measure the page cache and not flash.
 *
 * So that it is no straw man, each file is mapped twice: short requests, neuron rows, go through a
 * mapping without readahead (MADV_RANDOM), which would read far more than it brings; long ones,
 * pieces of dense layers, through a plain one, where readahead is what makes them fast.
 *
 * in_flight threads take the faults.  They ask for them by MADV_POPULATE_READ, which goes the way of
 * a touch through the fault handler and the page cache, but answers a device's error, or a file cut
 * under us, with a code instead of a SIGBUS that ends the process. */
#define _GNU_SOURCE
#include "read_threads.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MADV_POPULATE_READ
enum { MADV_POPULATE_READ = 22 }; /* Linux 5.14 */
#endif
enum { PAGE = 4096 };

/* How a file is mapped: by the length of a request. */
enum { MAP_SHORT, MAP_LONG, MAPS };
enum { LONG_LEAST = 128 * 1024 };

struct mmap_reader {
	struct threads_reader threads;
	unsigned char *maps[MAPS][READER_FILES]; /* NULL: absent, or empty */
};

/* Bytes of the request that the file still has. */
static int look_at_end(const struct reader_file *file, const struct read_request *request,
		       uint32_t *got)
{
	struct stat st;
	uint64_t left;

	if (fstat(file->fd, &st) != 0)
		return errno;
	left = (uint64_t)st.st_size > request->offset ? (uint64_t)st.st_size - request->offset : 0;
	*got = left < request->bytes ? (uint32_t)left : request->bytes;
	return 0;
}

static int mmap_request(const struct reader *reader, const struct read_request *request,
			uint32_t *got)
{
	const struct mmap_reader *m = (const struct mmap_reader *)reader;
	const struct reader_file *file = &reader->files[request->file];
	const uint64_t first = request->offset / PAGE * PAGE;
	const uint64_t end = request->offset + request->bytes;
	unsigned char *map =
		m->maps[request->bytes < LONG_LEAST ? MAP_SHORT : MAP_LONG][request->file];
	int code;

	/* What lies beyond the file on its last page can be read, and is not the file's. */
	code = look_at_end(file, request, got);
	if (code || *got < request->bytes)
		return code;
	if (end > file->bytes) { /* it grew: we have not mapped that */
		*got = 0;
		return 0;
	}
	if (madvise(map + first, end - first, MADV_POPULATE_READ) != 0 &&
	    errno != EINVAL) { /* EINVAL: an older kernel, which shall fault in memcpy() */
		code = errno;
		*got = 0;
		return code;
	}
	memcpy(request->to, map + request->offset, request->bytes);
	return 0;
}

static int map_file(unsigned char **map, const struct reader_file *file, int advice,
		    struct err *err)
{
	void *at;

	if (!file->path || !file->bytes)
		return 0;
	at = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, file->fd, 0);
	if (at == MAP_FAILED)
		return err_errno(err, "'%s': mapping %llu bytes", file->path,
				 (unsigned long long)file->bytes);
	*map = at;
	if (madvise(at, file->bytes, advice) != 0)
		return err_errno(err, "'%s': madvise", file->path);
	return 0;
}

static int mmap_open(struct reader *reader, const struct reader_options *options, struct err *err)
{
	struct mmap_reader *m = (struct mmap_reader *)reader;

	m->threads.read = mmap_request;
	if (reader_open_files(reader, options, READER_BUFFERED, err))
		return err->code;
	for (unsigned i = 0; i < READER_FILES; i++)
		if (map_file(&m->maps[MAP_SHORT][i], &reader->files[i], MADV_RANDOM, err) ||
		    map_file(&m->maps[MAP_LONG][i], &reader->files[i], MADV_NORMAL, err))
			return err->code;
	return threads_start(&m->threads, err);
}

static void mmap_close(struct reader *reader)
{
	struct mmap_reader *m = (struct mmap_reader *)reader;

	threads_close(reader);
	for (unsigned how = 0; how < MAPS; how++)
		for (unsigned i = 0; i < READER_FILES; i++)
			if (m->maps[how][i])
				munmap(m->maps[how][i], reader->files[i].bytes);
}

static int mmap_outside(struct reader *reader, uint64_t *bytes, struct err *err)
{
	(void)reader;
	(void)bytes;
	return err_set(err, ENOTSUP,
		       "read engine mmap reads through the page cache, and what it finds there the "
		       "kernel does not count");
}

const struct read_engine_ops read_mmap = {
	.name = "mmap",
	.help = "mapped files, page faults, the page cache: what people use",
	.reader_bytes = sizeof(struct mmap_reader),
	.open = mmap_open,
	.close = mmap_close,
	.alloc = reader_map,
	.submit = threads_submit,
	.progress = threads_progress,
	.wait = threads_wait,
	.outside = mmap_outside,
};
