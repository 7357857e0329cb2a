/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_engine.h - what a read engine's file sees of struct reader; private to the engines and
 * real_read.c */
#ifndef FLASH_READ_ENGINE_H
#define FLASH_READ_ENGINE_H

#include "real_read.h"

#include <pthread.h>
#include <stdbool.h>

struct reader_file {
	char *path; /* a copy; NULL = this file is absent */
	int fd;	    /* -1 = not open */
	uint64_t bytes;
};

/* Memory of reader_map(), unmapped at close. */
struct reader_memory {
	struct reader_memory *next;
	void *at;
	size_t bytes;
};

/* An engine's own reader begins with this. It is zeroed, with fd = -1, when ops->open() gets it. */
struct reader {
	const struct read_engine_ops *ops;
	struct reader_file files[READER_FILES];
	size_t align;
	unsigned in_flight;
	struct throttle *throttle; /* NULL = the disk is read as fast as it goes */
	bool busy;		   /* a batch is submitted and not yet waited for */
	bool at_once;		   /* nobody times what is read: an emulated device need not wait */
	struct reader_memory *memory;
};

/* A request that failed: 'code' 0 means that fewer bytes came than were asked for. */
struct read_failure {
	struct read_request request;
	int code;
	uint32_t got;
};

enum reader_file_mode { READER_BUFFERED, READER_DIRECT };

/* Open the files of 'options' and, for direct I/O, find the alignment that they all need. */
MUST_CHECK int reader_open_files(struct reader *reader, const struct reader_options *options,
				 enum reader_file_mode mode, struct err *err);
/* Fresh private pages, touched, so that a run takes no page fault on them: ops->alloc of most
 * engines. */
void *reader_map(struct reader *reader, size_t bytes);
/* EIO with file, offset, got and expected. Returns err->code. */
int reader_fail(const struct reader *reader, const struct read_failure *failure, struct err *err);
/* A thread of an engine, with a small stack: stacks count in a DRAM budget.  0 or errno. */
MUST_CHECK int reader_thread(pthread_t *thread, void *(*run)(void *arg), void *arg);
/* What the kernel counts as read from storage by this process: ops->outside of engines with direct
 * I/O. */
MUST_CHECK int reader_kernel_count(struct reader *reader, uint64_t *bytes, struct err *err);

#define READ_ENGINE(kind, name) extern const struct read_engine_ops read_##name;
#include "read_engines.h"
#undef READ_ENGINE

/* Process id of an emulated device, so that a test can kill it. */
long emulated_process(const struct reader *reader);
/* Whether the kernel lets this process have a ring. */
bool io_uring_works(void);
/* What of an io_uring reader's memory the kernel holds pinned, so that a test can tell. */
uint64_t io_uring_registered_bytes(const struct reader *reader);

#endif
