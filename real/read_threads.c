/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_threads.c - threads that take the requests of a batch in order
 *
 * The threads live as long as the reader and sleep between batches.  A batch is handed out by one
 * word, `ticket` = generation << 32 | requests left to take: a thread that takes one by
 * compare-and-swap owns a request of the generation that stands in the word, so that batch cannot
 * end, and its requests cannot go away, before that thread has finished.  A thread that overslept a
 * batch just finds nothing left, or helps with the next one. */
#define _GNU_SOURCE
#include "read_threads.h"

#include "futex.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Waking one sleeping thread costs the waker 2-5 us.  Whoever gets up wakes this many others first,
 * so that the submitter does not pay for all, and a batch of few requests wakes few. */
enum { WAKE_FANOUT = 2 };

static void do_request(struct threads_reader *t, uint32_t idx)
{
	const struct read_request *request = &t->batch.requests[idx];
	uint32_t got = 0;
	int code;

	if (read_batch_failed(&t->batch)) {
		read_batch_let_go(&t->batch, idx);
		return;
	}
	code = t->read(&t->reader, request, &got);
	if (code || got < request->bytes)
		read_batch_fail(&t->batch, idx, code, got);
	else
		read_batch_complete(&t->batch, idx);
}

static void wake_others(struct threads_reader *t)
{
	uint32_t sleepers = atomic_load_explicit(&t->sleepers, memory_order_relaxed);
	uint32_t take;

	do {
		if (!sleepers)
			return;
		take = sleepers < WAKE_FANOUT ? sleepers : WAKE_FANOUT;
	} while (!atomic_compare_exchange_weak(&t->sleepers, &sleepers, sleepers - take));
	futex_wake(&t->wake, (int)take, FUTEX_ONE_PROCESS);
}

/* Take a request of the batch that stands; false when none is left. */
static bool take_request(struct threads_reader *t, uint32_t *idx)
{
	uint64_t ticket = atomic_load(&t->ticket);

	do {
		if (!(uint32_t)ticket)
			return false;
	} while (!atomic_compare_exchange_weak(&t->ticket, &ticket, ticket - 1));
	*idx = t->batch.count - (uint32_t)ticket; /* in the order given */
	return true;
}

static void work(struct threads_reader *t)
{
	bool woke = false;
	uint32_t idx;

	while (take_request(t, &idx)) {
		if (!woke)
			wake_others(t);
		woke = true;
		do_request(t, idx);
	}
}

static void *thread_main(void *arg)
{
	struct threads_reader *t = arg;

	for (;;) {
		const uint32_t wake = atomic_load(&t->wake);

		if (atomic_load(&t->stop))
			return NULL;
		work(t);
		futex_wait(&t->wake, wake, 0, FUTEX_ONE_PROCESS);
	}
}

int threads_start(struct threads_reader *t, struct err *err)
{
	const unsigned want = t->reader.in_flight;
	int rc = 0;

	t->threads = calloc(want, sizeof(*t->threads));
	if (!t->threads)
		return err_nomem(err, "reader threads", want * sizeof(*t->threads));
	while (t->thread_count < want && rc == 0) {
		rc = reader_thread(&t->threads[t->thread_count], thread_main, t);
		t->thread_count += rc == 0;
	}
	if (rc)
		return err_set(err, rc, "reader thread %u of %u: %s", t->thread_count + 1, want,
			       strerror(rc));
	return 0;
}

void threads_close(struct reader *reader)
{
	struct threads_reader *t = (struct threads_reader *)reader;

	atomic_store(&t->stop, true);
	atomic_fetch_add(&t->wake, 1);
	futex_wake(&t->wake, (int)t->thread_count, FUTEX_ONE_PROCESS);
	for (unsigned i = 0; i < t->thread_count; i++)
		pthread_join(t->threads[i], NULL);
	free(t->threads);
	read_batch_fini(&t->batch);
}

int threads_submit(struct reader *reader, const struct read_request *requests, size_t count,
		   struct err *err)
{
	struct threads_reader *t = (struct threads_reader *)reader;
	const uint64_t generation = (atomic_load(&t->ticket) >> 32) + 1;

	if (read_batch_begin(&t->batch, requests, count, err))
		return err->code;
	if (!count)
		return 0;
	atomic_store(&t->sleepers, count < t->thread_count ? (uint32_t)count : t->thread_count);
	atomic_store(&t->ticket, generation << 32 | count);
	atomic_fetch_add(&t->wake, 1);
	wake_others(t);
	return 0;
}

int threads_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	struct threads_reader *t = (struct threads_reader *)reader;

	return read_batch_progress(&t->batch, reader, want, have, err);
}

int threads_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	struct threads_reader *t = (struct threads_reader *)reader;

	return read_batch_wait(&t->batch, reader, done, err);
}
