/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_pread.c - in_flight threads that pread() with direct I/O, as the paper's 32 reader threads
 * do */
#define _GNU_SOURCE
#include "read_threads.h"

#include <errno.h>
#include <unistd.h>

/* One pread(), over again when a signal came. */
static ssize_t pread_whole(int fd, const struct read_request *request, uint32_t from)
{
	ssize_t got;

	do {
		got = pread(fd, (char *)request->to + from, request->bytes - from,
			    (off_t)(request->offset + from));
	} while (got < 0 && errno == EINTR);
	return got;
}

static int pread_request(const struct reader *reader, const struct read_request *request,
			 uint32_t *got)
{
	const int fd = reader->files[request->file].fd;

	/* A device may stop half-way once; twice, or at the end of the file, is an error. */
	for (unsigned try = 0; try < 2 && *got < request->bytes; try++) {
		const ssize_t n = pread_whole(fd, request, *got);

		/* The rest of a read that broke off at an odd place cannot be asked for directly. */
		if (n < 0 && !(*got % reader->align))
			return errno;
		if (n <= 0)
			return 0;
		*got += (uint32_t)n;
	}
	return 0;
}

static int pread_open(struct reader *reader, const struct reader_options *options, struct err *err)
{
	struct threads_reader *threads = (struct threads_reader *)reader;

	threads->read = pread_request;
	if (reader_open_files(reader, options, READER_DIRECT, err))
		return err->code;
	return threads_start(threads, err);
}

const struct read_engine_ops read_pread = {
	.name = "pread",
	.help = "a pool of threads, direct I/O: the paper's way",
	.reader_bytes = sizeof(struct threads_reader),
	.open = pread_open,
	.close = threads_close,
	.alloc = reader_map,
	.submit = threads_submit,
	.progress = threads_progress,
	.wait = threads_wait,
	.outside = reader_kernel_count,
};
