/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_batch.c - states of requests, counts, and the two sleeps */
#define _GNU_SOURCE
#include "read_batch.h"

#include "clock.h"
#include "futex.h"

#include <assert.h>
#include <stdlib.h>

enum { STATE_PENDING, STATE_AWAITED, STATE_DONE, STATE_GONE };

int read_batch_begin(struct read_batch *batch, const struct read_request *requests, size_t count,
		     struct err *err)
{
	assert(count <= UINT32_MAX);
	if (count > batch->state_room) {
		free(batch->states);
		batch->state_room = 0;
		batch->states = malloc(count * sizeof(*batch->states));
		if (!batch->states)
			return err_nomem(err, "states of reads", count);
		batch->state_room = count;
	}
	for (size_t i = 0; i < count; i++)
		atomic_init(&batch->states[i], STATE_PENDING);
	batch->requests = requests;
	batch->count = (uint32_t)count;
	batch->have = 0;
	batch->submitted_ns = batch->finished_ns = clock_now_ns();
	atomic_store(&batch->left, batch->count);
	atomic_store(&batch->finished, count == 0);
	atomic_store(&batch->bytes, 0);
	atomic_store(&batch->completed, 0);
	atomic_store(&batch->failed, false);
	return 0;
}

void read_batch_fini(struct read_batch *batch)
{
	free(batch->states);
}

bool read_batch_failed(const struct read_batch *batch)
{
	return atomic_load_explicit(&batch->failed, memory_order_relaxed);
}

static void end(struct read_batch *batch, uint32_t idx, unsigned char state)
{
	assert(idx < batch->count);
	if (atomic_exchange(&batch->states[idx], state) == STATE_AWAITED &&
	    atomic_fetch_sub(&batch->missing, 1) == 1)
		futex_wake(&batch->missing, 1, FUTEX_ONE_PROCESS);
	if (atomic_fetch_sub(&batch->left, 1) != 1)
		return;
	batch->finished_ns = clock_now_ns();
	atomic_store(&batch->finished, 1);
	futex_wake(&batch->finished, 1, FUTEX_ONE_PROCESS);
}

void read_batch_complete(struct read_batch *batch, uint32_t idx)
{
	atomic_fetch_add_explicit(&batch->bytes, batch->requests[idx].bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&batch->completed, 1, memory_order_relaxed);
	end(batch, idx, STATE_DONE);
}

void read_batch_fail(struct read_batch *batch, uint32_t idx, int code, uint32_t got)
{
	/* It may be read once the batch is finished, as all of it is written before this one ends. */
	if (!atomic_exchange(&batch->failed, true))
		batch->failure = (struct read_failure){batch->requests[idx], code, got};
	end(batch, idx, STATE_GONE);
}

void read_batch_let_go(struct read_batch *batch, uint32_t idx)
{
	end(batch, idx, STATE_GONE);
}

/* Sleep until requests [have, want) are complete, or gone. */
static void await(struct read_batch *batch, uint32_t want)
{
	uint32_t missing;

	atomic_store(&batch->missing, 1); /* so that it cannot reach 0 while we still mark */
	for (uint32_t i = batch->have; i < want; i++) {
		unsigned char pending = STATE_PENDING;

		if (atomic_load(&batch->states[i]) != STATE_PENDING)
			continue;
		atomic_fetch_add(&batch->missing, 1);
		if (!atomic_compare_exchange_strong(&batch->states[i], &pending, STATE_AWAITED))
			atomic_fetch_sub(&batch->missing, 1);
	}
	if (atomic_fetch_sub(&batch->missing, 1) == 1)
		return;
	while ((missing = atomic_load(&batch->missing)) != 0)
		futex_wait(&batch->missing, missing, 0, FUTEX_ONE_PROCESS);
}

static void await_all(struct read_batch *batch)
{
	while (!atomic_load(&batch->finished))
		futex_wait(&batch->finished, 0, 0, FUTEX_ONE_PROCESS);
}

int read_batch_progress(struct read_batch *batch, const struct reader *reader, size_t want,
			size_t *have, struct err *err)
{
	if (want > batch->count)
		want = batch->count;
	if (want > batch->have)
		await(batch, (uint32_t)want);
	while (batch->have < batch->count && atomic_load(&batch->states[batch->have]) == STATE_DONE)
		batch->have++;
	*have = batch->have;
	if (batch->have == batch->count || atomic_load(&batch->states[batch->have]) != STATE_GONE)
		return 0;
	/* The prefix ends here for good, and what is left is let go. */
	await_all(batch);
	return reader_fail(reader, &batch->failure, err);
}

int read_batch_wait(struct read_batch *batch, const struct reader *reader, struct read_done *done,
		    struct err *err)
{
	await_all(batch);
	done->count = atomic_load(&batch->completed);
	done->bytes = atomic_load(&batch->bytes);
	done->service_ns = batch->finished_ns - batch->submitted_ns;
	if (atomic_load(&batch->failed))
		return reader_fail(reader, &batch->failure, err);
	return 0;
}
