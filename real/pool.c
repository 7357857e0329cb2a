/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.c - threads that run one function each and come back
 *
 * A forward pass hands out work some hundred times a token, so a worker looks for the next piece
 * for about 20 us before it sleeps: that covers the gap between two kernels of one step, and no
 * more, so that waiting for flash leaves the cores to the read engine. */
#include "real_kernels.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NS = 20000, SPIN_LOOKS = 64 };

struct worker {
	struct pool *pool;
	pthread_t handle;
	unsigned thread;
};

struct pool {
	unsigned threads, started; /* started: workers that exist */
	struct worker *workers;
	pthread_mutex_t lock;
	pthread_cond_t go, done;
	void (*fn)(void *arg, unsigned thread, unsigned threads);
	void *arg;
	atomic_uint round; /* grows by one a job */
	atomic_uint busy;  /* workers that have not finished this round */
	bool stop;	   /* set under the lock before a round */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)
static void spin_pause(void)
{
	__builtin_ia32_pause();
}
#else
static void spin_pause(void)
{
}
#endif

/* Look at 'word' for a short while; true once it is not 'old'. */
static bool spin_until_changed(atomic_uint *word, unsigned old)
{
	uint64_t end_ns = now_ns() + SPIN_NS;

	do {
		for (int i = 0; i < SPIN_LOOKS; i++) {
			if (atomic_load_explicit(word, memory_order_acquire) != old)
				return true;
			spin_pause();
		}
	} while (now_ns() < end_ns);
	return false;
}

static void await_round(struct pool *pool, unsigned seen)
{
	if (spin_until_changed(&pool->round, seen))
		return;
	pthread_mutex_lock(&pool->lock);
	while (atomic_load(&pool->round) == seen)
		pthread_cond_wait(&pool->go, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct pool *pool = worker->pool;
	unsigned seen = 0;

	for (;;) {
		await_round(pool, seen);
		seen++;
		if (pool->stop)
			return NULL;
		pool->fn(pool->arg, worker->thread, pool->threads);
		if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
			pthread_mutex_lock(&pool->lock);
			pthread_cond_signal(&pool->done);
			pthread_mutex_unlock(&pool->lock);
		}
	}
}

static void start_round(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
	pthread_cond_broadcast(&pool->go);
	pthread_mutex_unlock(&pool->lock);
}

static void await_workers(struct pool *pool)
{
	unsigned busy = atomic_load_explicit(&pool->busy, memory_order_acquire);

	while (busy != 0 && spin_until_changed(&pool->busy, busy))
		busy = atomic_load_explicit(&pool->busy, memory_order_acquire);
	if (busy == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	while (atomic_load(&pool->busy) != 0)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void pool_run(struct pool *pool, void (*fn)(void *arg, unsigned thread, unsigned threads),
	      void *arg)
{
	if (pool->started > 0) {
		pool->fn = fn;
		pool->arg = arg;
		atomic_store_explicit(&pool->busy, pool->started, memory_order_relaxed);
		start_round(pool);
	}
	fn(arg, 0, pool->threads);
	if (pool->started > 0)
		await_workers(pool);
}

unsigned pool_threads(const struct pool *pool)
{
	return pool->threads;
}

static int start_workers(struct pool *pool, struct err *err)
{
	for (unsigned i = 0; i + 1 < pool->threads; i++) {
		struct worker *worker = &pool->workers[i];
		int code;

		worker->pool = pool;
		worker->thread = i + 1;
		code = pthread_create(&worker->handle, NULL, worker_main, worker);
		if (code != 0) {
			errno = code;
			return err_errno(err, "cannot start compute thread %u of %u", i + 2,
					 pool->threads);
		}
		pool->started++;
	}
	return 0;
}

int pool_open(struct pool **out, unsigned threads, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	assert(threads > 0);
	*out = NULL;
	if (!pool)
		return err_nomem(err, "a thread pool", sizeof(*pool));
	pool->threads = threads;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->go, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->workers = calloc(threads, sizeof(*pool->workers));
	if (!pool->workers) {
		err_nomem(err, "a thread pool", threads * sizeof(*pool->workers));
		goto fail;
	}
	if (start_workers(pool, err))
		goto fail;
	*out = pool;
	return 0;
fail:
	pool_close(pool);
	return err->code;
}

void pool_close(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->started > 0) {
		pool->stop = true;
		start_round(pool);
	}
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->workers[i].handle, NULL);
	pthread_cond_destroy(&pool->go);
	pthread_cond_destroy(&pool->done);
	pthread_mutex_destroy(&pool->lock);
	free(pool->workers);
	free(pool);
}
