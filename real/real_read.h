/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_read.h - read engines: many flash requests in flight, page cache bypassed
 *
 * One file an engine (read_<name>.c, ending in its ops), one line in read_engines.h.  A batch is submitted
 * whole, runs with at most in_flight requests outstanding, and is waited for; bytes and requests are
 * counted at completion.  Offsets, sizes and buffers are multiples of reader_align(). */
#ifndef FLASH_REAL_READ_H
#define FLASH_REAL_READ_H

#include "err.h"
#include "mechanism.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READER_FILES = 2 };

struct emulated_params;
struct throttle_params;

struct reader_options {
	enum read_engine engine; /* never READ_AUTO here */
	const char *paths
		[READER_FILES]; /* files to read from; file 0 base, file 1 FFN; NULL = absent */
	unsigned in_flight;
	const struct emulated_params
		*emulated; /* READ_EMULATED: the device's setting (real_emulated.h) */
	uint64_t seed;	   /* emulated: of its stalls */
	const struct throttle_params *throttle; /* of the disk (throttle.h); NULL = none */
};

struct read_request {
	unsigned file;
	uint64_t offset;
	uint32_t bytes;
	void *to; /* in memory from reader_alloc() */
};

/* What a batch turned out to be, counted at completions. */
struct read_done {
	uint64_t count, bytes;
	uint64_t service_ns; /* first submission to last completion */
};

struct reader;

struct read_engine_ops {
	const char *name, *help;
	size_t reader_bytes; /* size of the engine's own reader, which begins with struct reader */
	int (*open)(struct reader *reader, const struct reader_options *options, struct err *err);
	void (*close)(struct reader *reader);
	void *(*alloc)(struct reader *reader, size_t bytes); /* NULL: out of memory */
	int (*submit)(struct reader *reader, const struct read_request *requests, size_t count,
		      struct err *err);
	/* As reader_progress(). */
	int (*progress)(struct reader *reader, size_t want, size_t *have, struct err *err);
	int (*wait)(struct reader *reader, struct read_done *done, struct err *err);
	/* Bytes that somebody other than this engine counted; ENOTSUP: nobody did. */
	int (*outside)(struct reader *reader, uint64_t *bytes, struct err *err);
};

/* EINVAL/EIO/... with path and figures; ENOTSUP when this host cannot (no direct I/O on that file system: says so). */
MUST_CHECK int reader_open(struct reader **out, const struct reader_options *options,
			   struct err *err);
/* Whether this host has what 'engine' needs besides files: io_uring may be missing or forbidden. */
bool reader_engine_works(enum read_engine engine);
/* What 'asked' reads with here.  READ_AUTO is the emulated device or, on a disk, io_uring, which brings as much for a
 * third to a half of the processor time, or pread where there is none. */
enum read_engine reader_engine_of(enum read_engine asked, bool is_emulated);
/* The engine of a policy's word, "auto" too. */
MUST_CHECK int reader_engine_named(enum read_engine *engine, const char *name, struct err *err);
void reader_close(struct reader *reader); /* waits for what is in flight; NULL is fine */

/* Alignment that offsets, sizes and buffers need (statx DIOALIGN where known, else probed). */
size_t reader_align(const struct reader *reader);
/* Page-aligned memory that the engine can read into; lives until reader_close(). NULL: out of memory. */
void *reader_alloc(struct reader *reader, size_t bytes);

/* Start a batch; 'requests' must stay until it is waited for.  One batch at a time for now. */
MUST_CHECK int reader_submit(struct reader *reader, const struct read_request *requests,
			     size_t count, struct err *err);
/* Wait until at least 'want' requests of the batch, counted from the first without a gap in the order given, are
 * complete: *have says how many are.  want = 0 only looks.  A failure is told as by reader_wait(), and the batch must
 * still be waited for. */
MUST_CHECK int reader_progress(struct reader *reader, size_t want, size_t *have, struct err *err);
/* Wait for the batch. A short read or a device error is EIO with file, offset, got and expected. */
MUST_CHECK int reader_wait(struct reader *reader, struct read_done *done, struct err *err);

/* What is read before any clock runs, a model's weights on their way into DRAM: an emulated device serves it as fast as
 * it can copy.  Others always do. */
void reader_set_at_once(struct reader *reader, bool at_once);

/* Bytes that the kernel counted as read from storage by this process so far (/proc/self/io), or, for an emulated
 * device, that its process served; ENOTSUP where there is no such count. */
MUST_CHECK int reader_outside_count(struct reader *reader, uint64_t *bytes, struct err *err);

#endif
