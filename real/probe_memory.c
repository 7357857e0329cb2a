/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_memory.c - plain products and copies over more memory than caches hold: by type, by threads
 */
#include "probe_memory.h"

#include "clock.h"
#include "host_pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 5 };

/* Bytes a second of a plain matrix-vector product of one type. */
static double gemv_rate(struct pool *pool, struct gemv_pass *work, enum weight_type type,
			size_t bytes)
{
	work->type = type;
	work->rows = bytes / (work->n * weight_bytes(type));
	return (double)work->rows * (double)work->n * weight_bytes(type) / gemv_pass_s(pool, work);
}

static double best_gemv_s_per_byte(struct pool *pool, struct gemv_pass *work, enum weight_type type,
				   size_t bytes)
{
	double best = 0;

	for (unsigned i = 0; i < PASSES; i++)
		best = fmax(best, gemv_rate(pool, work, type, bytes));
	return 1 / best;
}

struct copy_work {
	unsigned char *at;
	size_t bytes; /* the second half is copied over the first */
};

static void copy_part(void *arg, unsigned thread, unsigned threads)
{
	const struct copy_work *work = arg;
	size_t half = work->bytes / 2, first = half * thread / threads;

	memcpy(work->at + first, work->at + half + first, half * (thread + 1) / threads - first);
}

/* Bytes a second. */
static double copy_rate(struct pool *pool, struct copy_work *work)
{
	double start = clock_now_s();

	pool_run(pool, copy_part, work);
	return (double)(work->bytes / 2) / (clock_now_s() - start);
}

/* Products and copies with more and more threads, until all cores are busy. */
static int scale_round(struct probe_host *host, struct gemv_pass *work, size_t bytes,
		       unsigned round, struct err *err)
{
	struct copy_work copy = {(unsigned char *)(uintptr_t)work->weights, bytes};

	for (unsigned t = 0; t < host->thread_count; t++) {
		struct pool *pool = NULL;

		if (pool_open(&pool, t + 1, err))
			return err->code;
		host->thread_rates[t][round] = gemv_rate(pool, work, WEIGHT_F16, bytes);
		host->copy_rates[t][round] = copy_rate(pool, &copy);
		pool_close(pool);
	}
	return 0;
}

static int scale_threads(struct probe_host *host, unsigned threads_most, struct gemv_pass *work,
			 size_t bytes, struct err *err)
{
	host->thread_count = threads_most < PROBE_THREADS ? threads_most : PROBE_THREADS;
	for (unsigned round = 0; round < PROBE_ROUNDS; round++)
		if (scale_round(host, work, bytes, round, err))
			return err->code;
	return 0;
}

int probe_memory(struct probe_host *host, const struct probe_host_options *options, struct err *err)
{
	const size_t n = 2048;
	const size_t bytes = options->memory_bytes ? options->memory_bytes : (size_t)128 << 20;
	struct gemv_pass work = {.kernels = kernels_best(), .n = n};
	unsigned char *weights = malloc(bytes);
	float *vectors = calloc(n + bytes / (2 * n), sizeof(float));
	struct pool *pool = NULL;

	if (!weights || !vectors) {
		err_nomem(err, "a probe's matrix", bytes);
		goto out;
	}
	memset(weights, 0x11, bytes); /* small normal numbers in every type */
	work.weights = weights;
	work.x = vectors;
	work.y = vectors + n;
	if (pool_open(&pool, options->threads, err))
		goto out;
	for (unsigned type = 0; type < WEIGHT_TYPES; type++)
		host->gemv_s_per_byte[type] =
			best_gemv_s_per_byte(pool, &work, (enum weight_type)type, bytes);
	pool_close(pool);
	pool = NULL;
	(void)!scale_threads(host, options->threads_most, &work, bytes, err);
out:
	pool_close(pool);
	free(vectors);
	free(weights);
	return err->code;
}
