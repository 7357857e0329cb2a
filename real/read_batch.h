/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_batch.h - one batch of reads that threads of an engine complete, and the caller who waits for
 * it, or for its first requests; private to the engines
 *
 * Whoever waits sleeps, and is woken once.  Each request has a state byte: a waiter marks those that
 * he needs and that are not complete yet, and counts them; a thread that completes a marked one
 * counts down, and wakes him at nought.  Requests that nobody waits for cost no wake. */
#ifndef FLASH_READ_BATCH_H
#define FLASH_READ_BATCH_H

#include "read_engine.h"

#include <stdatomic.h>

struct read_batch {
	/* Written by read_batch_begin(), before any thread hears of the batch. */
	const struct read_request *requests;
	uint32_t count;
	uint32_t have; /* the caller's: requests complete from the first on */
	uint64_t submitted_ns;

	_Atomic unsigned char *states; /* enum of read_batch.c, by request */
	size_t state_room;
	_Atomic uint32_t
		missing;       /* marked and not complete; what read_batch_progress() sleeps on */
	_Atomic uint32_t left; /* not complete */
	_Atomic uint32_t finished; /* 1: none is left; what read_batch_wait() sleeps on */
	_Atomic uint64_t bytes, completed;
	_Atomic bool failed;
	struct read_failure failure; /* of the thread that set `failed` */
	uint64_t finished_ns;	     /* written by who completes the last request */
};

/* The last batch must have been waited for. */
MUST_CHECK int read_batch_begin(struct read_batch *batch, const struct read_request *requests,
				size_t count, struct err *err);
void read_batch_fini(struct read_batch *batch);

/* After an error the rest may be let go: nobody will use the batch. */
bool read_batch_failed(const struct read_batch *batch);
/* Each request ends in one of these, once, in any order and thread.  'code' as in struct read_failure;
 * the first failure is told. */
void read_batch_complete(struct read_batch *batch, uint32_t idx);
void read_batch_fail(struct read_batch *batch, uint32_t idx, int code, uint32_t got);
void read_batch_let_go(struct read_batch *batch, uint32_t idx);

/* As reader_progress() and reader_wait(). */
MUST_CHECK int read_batch_progress(struct read_batch *batch, const struct reader *reader,
				   size_t want, size_t *have, struct err *err);
MUST_CHECK int read_batch_wait(struct read_batch *batch, const struct reader *reader,
			       struct read_done *done, struct err *err);

#endif
