/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.c - threads that run one function each and come back
 *
 * A forward pass hands out work some hundred times a token, and to wake a thread whose core has gone
 * idle takes some 100 us on a virtual machine: longer than many a kernel.  So workers are roused
 * once when a wait for flash is over, and then look for the next piece without sleep until they may
 * rest again, which leaves the cores to the read engine while it works.  Unroused they look for
 * SPIN_NS before they sleep; nobody looks for longer than AWAKE_NS.
 *
 * Where there are enough cores the caller keeps to one, and workers to others: a kernel under a
 * hypervisor takes a core that sleeps for one that was taken away, and wakes a worker on its master's
 * own core, where it waits until the master's time slice ends. */
#define _GNU_SOURCE
#include "real_kernels.h"

#include "clock.h"
#include "cores.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SPIN_NS = 20000, AWAKE_NS = 2000000, SPIN_LOOKS = 64 };

struct worker {
	struct pool *pool;
	pthread_t handle;
	unsigned thread;
};

struct pool {
	unsigned threads, started; /* started: workers that exist */
	bool has_cores;		   /* one for each thread */
	struct worker *workers;
	pthread_mutex_t lock;
	pthread_cond_t go, done;
	void (*fn)(void *arg, unsigned thread, unsigned threads);
	void *arg;
	atomic_uint round; /* grows by one a job */
	atomic_uint busy;  /* workers that have not finished this round */
	atomic_bool awake; /* roused: look for longer */
	unsigned wakes;	   /* times roused, under the lock: a sleeper gets up for it */
	unsigned sleepers; /* under the lock */
	bool stop;	   /* set under the lock before a round */
	enum { PINS_UNKNOWN, PINS_NONE, PINS_FREE, PINS_HELD } pins;
	int core;	  /* the caller's when pins were held last */
	cpu_set_t caller; /* where it may run else */
};

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

/* Look at 'word' for SPIN_NS, or for AWAKE_NS while the pool is roused; true once it is not 'old'.
 * Threads that share a core would only keep each other from working. */
static bool spin_until_changed(const struct pool *pool, atomic_uint *word, unsigned old)
{
	uint64_t begin_ns = clock_now_ns(), looked_ns;

	do {
		for (int i = 0; i < SPIN_LOOKS; i++) {
			if (atomic_load_explicit(word, memory_order_acquire) != old)
				return true;
			spin_pause();
		}
		looked_ns = clock_now_ns() - begin_ns;
	} while (pool->has_cores && (looked_ns < SPIN_NS ||
				     (looked_ns < AWAKE_NS &&
				      atomic_load_explicit(&pool->awake, memory_order_relaxed))));
	return false;
}

/* Sleep until there is a round, or somebody says that one is near. */
static void sleep_for_round(struct pool *pool, unsigned seen)
{
	unsigned wakes;

	pthread_mutex_lock(&pool->lock);
	wakes = pool->wakes;
	pool->sleepers++;
	while (atomic_load(&pool->round) == seen && pool->wakes == wakes)
		pthread_cond_wait(&pool->go, &pool->lock);
	pool->sleepers--;
	pthread_mutex_unlock(&pool->lock);
}

static void await_round(struct pool *pool, unsigned seen)
{
	while (!spin_until_changed(pool, &pool->round, seen))
		sleep_for_round(pool, seen);
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
	if (pool->sleepers)
		pthread_cond_broadcast(&pool->go);
	pthread_mutex_unlock(&pool->lock);
}

void pool_rouse(struct pool *pool)
{
	if (pool->started == 0)
		return;
	atomic_store_explicit(&pool->awake, true, memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	pool->wakes++;
	if (pool->sleepers)
		pthread_cond_broadcast(&pool->go);
	pthread_mutex_unlock(&pool->lock);
}

void pool_rest(struct pool *pool)
{
	atomic_store_explicit(&pool->awake, false, memory_order_relaxed);
}

static void await_workers(struct pool *pool)
{
	unsigned busy = atomic_load_explicit(&pool->busy, memory_order_acquire);

	while (busy != 0 && spin_until_changed(pool, &pool->busy, busy))
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

/* The first allowed core from 'core' on, around the end. */
static int next_core(const cpu_set_t *allowed, int core)
{
	core %= CPU_SETSIZE;
	while (!CPU_ISSET((unsigned)core, allowed))
		core = (core + 1) % CPU_SETSIZE;
	return core;
}

static bool pin(pthread_t thread, int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)core, &set);
	return pthread_setaffinity_np(thread, sizeof(set), &set) == 0;
}

/* Workers go where the caller is not: a core each where there are just enough, else any of the
 * others, so that the kernel can move them out of the way of other programs. */
static bool send_workers(const struct pool *pool, int core)
{
	const bool is_full = (unsigned)CPU_COUNT(&pool->caller) == pool->threads;
	cpu_set_t others = pool->caller;

	CPU_CLR((unsigned)core, &others);
	for (unsigned i = 0; i < pool->started; i++) {
		pthread_t worker = pool->workers[i].handle;

		core = next_core(&pool->caller, core + 1);
		if (is_full ? !pin(worker, core)
			    : pthread_setaffinity_np(worker, sizeof(others), &others) != 0)
			return false;
	}
	return true;
}

static bool has_enough_cores(struct pool *pool)
{
	return pthread_getaffinity_np(pthread_self(), sizeof(pool->caller), &pool->caller) == 0 &&
	       (unsigned)CPU_COUNT(&pool->caller) >= pool->threads;
}

void pool_pin(struct pool *pool)
{
	int core = sched_getcpu();

	if (pool->pins == PINS_UNKNOWN) {
		pool->pins = has_enough_cores(pool) ? PINS_FREE : PINS_NONE;
		pool->core = -1;
	}
	if (pool->pins != PINS_FREE || core < 0)
		return;
	core = next_core(&pool->caller, core);
	if (core != pool->core && !send_workers(pool, core))
		return;
	pool->core = core;
	if (pin(pthread_self(), core))
		pool->pins = PINS_HELD;
}

void pool_unpin(struct pool *pool)
{
	if (pool->pins != PINS_HELD)
		return;
	(void)pthread_setaffinity_np(pthread_self(), sizeof(pool->caller), &pool->caller);
	pool->pins = PINS_FREE;
}

int pool_open(struct pool **out, unsigned threads, struct err *err)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	assert(threads > 0);
	*out = NULL;
	if (!pool)
		return err_nomem(err, "a thread pool", sizeof(*pool));
	pool->threads = threads;
	pool->has_cores = threads <= cores_usable();
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
	pool_unpin(pool);
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
