/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host_pace.c - maps memory, multiplies it a few times, gives it back */
#define _GNU_SOURCE
#include "host_pace.h"

#include "clock.h"
#include "order.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PACE_BYTES = 64 * 1024 * 1024, PACE_N = 4096, PACE_PASSES = 3, PACE_WARMUP = 1 };
enum { PACE_ROWS = PACE_BYTES / (PACE_N * 2) };
/* One look is noisy: a fifth up or down on a quiet virtual machine. */
static const double slower_least = 0.3, pace_spreads = 3;

static void gemv_part(void *arg, unsigned thread, unsigned threads)
{
	const struct gemv_pass *pass = arg;
	const size_t first = pass->rows * thread / threads;
	const size_t last = pass->rows * (thread + 1) / threads;
	const size_t stride = pass->n * weight_bytes(pass->type);

	pass->kernels->gemv(pass->y + first, pass->weights + first * stride, pass->type,
			    last - first, pass->n, stride, pass->x);
}

double gemv_pass_s(struct pool *pool, const struct gemv_pass *pass)
{
	const double begin_s = clock_now_s();

	pool_run(pool, gemv_part, (void *)pass);
	return clock_now_s() - begin_s;
}

static double median_rate(struct pool *pool, const struct gemv_pass *pass)
{
	double rates[PACE_PASSES];

	pool_pin(pool);
	pool_rouse(pool);
	for (int i = -PACE_WARMUP; i < PACE_PASSES; i++) {
		double took_s = gemv_pass_s(pool, pass);

		if (i >= 0)
			rates[i] = PACE_BYTES / took_s;
	}
	return order_median(rates, PACE_PASSES);
}

double host_pace(unsigned threads)
{
	struct gemv_pass pass = {
		.kernels = kernels_best(), .type = WEIGHT_F16, .rows = PACE_ROWS, .n = PACE_N};
	unsigned char *weights = mmap(NULL, PACE_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	float *vectors = calloc(PACE_N + PACE_ROWS, sizeof(*vectors));
	struct pool *pool = NULL;
	struct err err = {0};
	double rate = 0;

	if (weights != MAP_FAILED && vectors && !pool_open(&pool, threads, &err)) {
		pass.weights = weights;
		pass.x = vectors;
		pass.y = vectors + PACE_N;
		rate = median_rate(pool, &pass);
	}
	pool_close(pool);
	free(vectors);
	if (weights != MAP_FAILED)
		munmap(weights, PACE_BYTES);
	return rate;
}

bool host_pace_is_slow(double frac, double spread_frac)
{
	return 1 - frac > fmax(slower_least, pace_spreads * spread_frac);
}
