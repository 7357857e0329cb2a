/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_threads.h - in_flight threads that each do one blocking read at a time; private to the engines
 * that are made of them
 *
 * An engine's reader begins with struct threads_reader, and its ops name the functions below. */
#ifndef FLASH_READ_THREADS_H
#define FLASH_READ_THREADS_H

#include "read_batch.h"

#include <pthread.h>

struct threads_reader {
	struct reader reader;
	/* The whole of a request, by any thread.  *got bytes came; 0, or errno.  Fewer bytes than
	 * asked for and 0 is a short read. */
	int (*read)(const struct reader *reader, const struct read_request *request, uint32_t *got);

	struct read_batch batch;
	pthread_t *threads;
	unsigned thread_count; /* started */
	_Atomic uint64_t ticket;
	_Atomic uint32_t wake;	   /* what the threads sleep on; changes with every batch */
	_Atomic uint32_t sleepers; /* threads still to be woken for this batch */
	_Atomic bool stop;
};

/* Once files and 'read' stand.  Returns err->code. */
int threads_start(struct threads_reader *threads, struct err *err);
/* The ops. */
void threads_close(struct reader *reader);
int threads_submit(struct reader *reader, const struct read_request *requests, size_t count,
		   struct err *err);
int threads_progress(struct reader *reader, size_t want, size_t *have, struct err *err);
int threads_wait(struct reader *reader, struct read_done *done, struct err *err);

#endif
