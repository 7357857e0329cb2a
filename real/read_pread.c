/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_pread.c - in_flight threads that pread() with direct I/O, as the paper's 32 reader threads
 * do
 *
 * The threads live as long as the reader and sleep between batches.  A batch is handed out by one
 * word, `ticket` = generation << 32 | requests left to take: a thread that takes one by
 * compare-and-swap owns a request of the generation that stands in the word, so that batch cannot
 * end, and its requests cannot go away, before that thread has finished.  A thread that overslept a
 * batch just finds nothing left, or helps with the next one. */
#define _GNU_SOURCE
#include "clock.h"
#include "futex.h"
#include "read_engine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waking one sleeping thread costs the waker 2-5 us.  Whoever gets up wakes this many others first,
 * so that the submitter does not pay for all, and a batch of few requests wakes few. */
enum { WAKE_FANOUT = 2, READER_STACK = 64 * 1024 };

struct pread_reader {
	struct reader reader;
	pthread_t *threads;
	unsigned thread_count; /* started */

	/* The batch: written before `ticket` is, read after a ticket was taken. */
	const struct read_request *requests;
	uint32_t count;
	uint64_t submitted_ns;

	_Atomic uint64_t ticket;
	_Atomic uint32_t wake;	   /* what the threads sleep on; changes with every batch */
	_Atomic uint32_t sleepers; /* threads still to be woken for this batch */
	_Atomic uint32_t left;	   /* requests not yet completed */
	_Atomic uint32_t finished; /* generation of the last batch that is complete; what the waiter
				      sleeps on */
	_Atomic uint64_t bytes, completed;
	_Atomic bool stop, failed;
	struct read_failure failure; /* of the thread that set `failed` */
	uint64_t finished_ns;	     /* written by who completes the last request */
};

static void fail_request(struct pread_reader *p, const struct read_request *request, int code,
			 uint32_t got)
{
	if (atomic_exchange(&p->failed, true))
		return; /* the first one is told */
	p->failure = (struct read_failure){*request, code, got};
}

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

static void do_request(struct pread_reader *p, const struct read_request *request)
{
	const int fd = p->reader.files[request->file].fd;
	uint32_t got = 0;

	/* A device may stop half-way once; twice, or at the end of the file, is an error. */
	for (unsigned try = 0; try < 2 && got < request->bytes; try++) {
		const ssize_t n = pread_whole(fd, request, got);

		/* The rest of a read that broke off at an odd place cannot be asked for directly.
		 */
		if (n < 0 && !(got % p->reader.align)) {
			fail_request(p, request, errno, got);
			return;
		}
		if (n <= 0)
			break;
		got += (uint32_t)n;
	}
	if (got < request->bytes) {
		fail_request(p, request, 0, got);
		return;
	}
	atomic_fetch_add_explicit(&p->bytes, got, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->completed, 1, memory_order_relaxed);
}

static void wake_others(struct pread_reader *p)
{
	uint32_t sleepers = atomic_load_explicit(&p->sleepers, memory_order_relaxed);
	uint32_t take;

	do {
		if (!sleepers)
			return;
		take = sleepers < WAKE_FANOUT ? sleepers : WAKE_FANOUT;
	} while (!atomic_compare_exchange_weak(&p->sleepers, &sleepers, sleepers - take));
	futex_wake(&p->wake, (int)take, FUTEX_ONE_PROCESS);
}

/* Take a request of the batch that stands; false when none is left. */
static bool take_request(struct pread_reader *p, uint32_t *idx, uint32_t *generation)
{
	uint64_t ticket = atomic_load(&p->ticket);

	do {
		if (!(uint32_t)ticket)
			return false;
	} while (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket - 1));
	*idx = p->count - (uint32_t)ticket; /* in the order given */
	*generation = (uint32_t)(ticket >> 32);
	return true;
}

static void work(struct pread_reader *p)
{
	bool woke = false;
	uint32_t idx, generation;

	while (take_request(p, &idx, &generation)) {
		if (!woke)
			wake_others(p);
		woke = true;
		/* After an error the rest is let go: nobody will use the batch. */
		if (!atomic_load(&p->failed))
			do_request(p, &p->requests[idx]);
		if (atomic_fetch_sub(&p->left, 1) == 1) {
			p->finished_ns = clock_now_ns();
			atomic_store(&p->finished, generation);
			futex_wake(&p->finished, 1, FUTEX_ONE_PROCESS);
		}
	}
}

static void *thread_main(void *arg)
{
	struct pread_reader *p = arg;

	for (;;) {
		const uint32_t wake = atomic_load(&p->wake);

		if (atomic_load(&p->stop))
			return NULL;
		work(p);
		futex_wait(&p->wake, wake, 0, FUTEX_ONE_PROCESS);
	}
}

static int start_threads(struct pread_reader *p, struct err *err)
{
	const unsigned want = p->reader.in_flight;
	pthread_attr_t attr;
	int rc = 0;

	p->threads = calloc(want, sizeof(*p->threads));
	if (!p->threads)
		return err_nomem(err, "reader threads", want * sizeof(*p->threads));
	pthread_attr_init(&attr);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* Stacks count in a DRAM budget, and a reader needs little. */
	pthread_attr_setstacksize(&attr, READER_STACK);
#endif
	while (p->thread_count < want && rc == 0) {
		rc = pthread_create(&p->threads[p->thread_count], &attr, thread_main, p);
		p->thread_count += rc == 0;
	}
	pthread_attr_destroy(&attr);
	if (rc)
		return err_set(err, rc, "reader thread %u of %u: %s", p->thread_count + 1, want,
			       strerror(rc));
	return 0;
}

static int pread_open(struct reader *reader, const struct reader_options *options, struct err *err)
{
	struct pread_reader *p = (struct pread_reader *)reader;

	if (reader_open_files(reader, options, READER_DIRECT, err))
		return err->code;
	return start_threads(p, err);
}

static void pread_close(struct reader *reader)
{
	struct pread_reader *p = (struct pread_reader *)reader;

	atomic_store(&p->stop, true);
	atomic_fetch_add(&p->wake, 1);
	futex_wake(&p->wake, (int)p->thread_count, FUTEX_ONE_PROCESS);
	for (unsigned i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	free(p->threads);
}

static int pread_submit(struct reader *reader, const struct read_request *requests, size_t count,
			struct err *err)
{
	struct pread_reader *p = (struct pread_reader *)reader;
	const uint64_t generation = (atomic_load(&p->ticket) >> 32) + 1;

	(void)err;
	assert(count <= UINT32_MAX);
	p->submitted_ns = clock_now_ns();
	p->finished_ns = p->submitted_ns;
	p->requests = requests;
	p->count = (uint32_t)count;
	atomic_store(&p->left, p->count);
	atomic_store(&p->bytes, 0);
	atomic_store(&p->completed, 0);
	atomic_store(&p->failed, false);
	if (!count) {
		atomic_store(&p->finished, (uint32_t)generation);
		atomic_store(&p->ticket, generation << 32);
		return 0;
	}
	atomic_store(&p->sleepers, p->count < p->thread_count ? p->count : p->thread_count);
	atomic_store(&p->ticket, generation << 32 | p->count);
	atomic_fetch_add(&p->wake, 1);
	wake_others(p);
	return 0;
}

static int pread_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	struct pread_reader *p = (struct pread_reader *)reader;
	const uint32_t generation = (uint32_t)(atomic_load(&p->ticket) >> 32);
	uint32_t finished;

	while ((finished = atomic_load(&p->finished)) != generation && want > 0)
		futex_wait(&p->finished, finished, 0, FUTEX_ONE_PROCESS);
	*have = finished == generation ? p->count : 0;
	if (finished == generation && atomic_load(&p->failed))
		return reader_fail(reader, &p->failure, err);
	return 0;
}

static int pread_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	struct pread_reader *p = (struct pread_reader *)reader;
	const uint32_t generation = (uint32_t)(atomic_load(&p->ticket) >> 32);
	uint32_t finished;

	while ((finished = atomic_load(&p->finished)) != generation)
		futex_wait(&p->finished, finished, 0, FUTEX_ONE_PROCESS);
	done->count = atomic_load(&p->completed);
	done->bytes = atomic_load(&p->bytes);
	done->service_ns = p->finished_ns - p->submitted_ns;
	if (atomic_load(&p->failed))
		return reader_fail(reader, &p->failure, err);
	return 0;
}

static int pread_outside(struct reader *reader, uint64_t *bytes, struct err *err)
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

const struct read_engine_ops read_pread = {
	.name = "pread",
	.help = "a pool of threads, direct I/O: the paper's way",
	.reader_bytes = sizeof(struct pread_reader),
	.open = pread_open,
	.close = pread_close,
	.alloc = reader_map,
	.submit = pread_submit,
	.progress = pread_progress,
	.wait = pread_wait,
	.outside = pread_outside,
};
