/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host_pace.c - maps memory, multiplies it a few times, gives it back */
#define _GNU_SOURCE
#include "host_pace.h"

#include "clock.h"
#include "order.h"
#include "real_kernels.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { PACE_BYTES = 64 * 1024 * 1024, PACE_N = 4096, PACE_PASSES = 3, PACE_WARMUP = 1 };
enum { PACE_ROWS = PACE_BYTES / (PACE_N * 2) };

struct pace_work {
	const struct kernels *kernels;
	const unsigned char *weights; /* [PACE_ROWS][PACE_N] f16 */
	const float *x;
	float *y;
};

static void pace_part(void *arg, unsigned thread, unsigned threads)
{
	const struct pace_work *work = arg;
	size_t first = (size_t)PACE_ROWS * thread / threads;
	size_t last = (size_t)PACE_ROWS * (thread + 1) / threads;

	work->kernels->gemv(work->y + first, work->weights + first * PACE_N * 2, WEIGHT_F16,
			    last - first, PACE_N, PACE_N * 2, work->x);
}

static double median_rate(struct pool *pool, struct pace_work *work)
{
	double rates[PACE_PASSES];

	pool_pin(pool);
	pool_rouse(pool);
	for (int i = -PACE_WARMUP; i < PACE_PASSES; i++) {
		uint64_t begin_ns = clock_now_ns();

		pool_run(pool, pace_part, work);
		if (i >= 0)
			rates[i] = PACE_BYTES / ((double)(clock_now_ns() - begin_ns) / 1e9);
	}
	return order_median(rates, PACE_PASSES);
}

double host_pace(unsigned threads)
{
	struct pace_work work = {.kernels = kernels_best()};
	unsigned char *weights = mmap(NULL, PACE_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	float *vectors = calloc(PACE_N + PACE_ROWS, sizeof(*vectors));
	struct pool *pool = NULL;
	struct err err = {0};
	double rate = 0;

	if (weights != MAP_FAILED && vectors && !pool_open(&pool, threads, &err)) {
		work.weights = weights;
		work.x = vectors;
		work.y = vectors + PACE_N;
		rate = median_rate(pool, &work);
	}
	pool_close(pool);
	free(vectors);
	if (weights != MAP_FAILED)
		munmap(weights, PACE_BYTES);
	return rate;
}
