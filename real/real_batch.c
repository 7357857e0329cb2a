/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_batch.c - a few rows become floats, then one BLAS call multiplies them with every position */
#include "real_batch.h"

#include <assert.h>
#include <cblas.h>
#include <string.h>

static float *wide_of(const struct forward *f, unsigned thread)
{
	return f->wide + thread * ((BATCH_ROWS * f->d + 15) / 16 * 16);
}

/* A part of 'rows' rows, 'stride' bytes apart, as floats side by side. */
struct widen {
	const char *from;
	enum weight_type type;
	size_t rows, n, stride;
};

static void widen(float *to, const struct widen *w)
{
	for (size_t r = 0; r < w->rows; r++)
		weights_widen(to + r * w->n, w->from + r * w->stride, w->type, w->n);
}

struct multiply_job {
	struct forward *f;
	const struct forward_rows *rows;
	const float *x;
	float *y;
	size_t width;
};

static void multiply_run(void *arg, unsigned thread, unsigned threads)
{
	const struct multiply_job *job = arg;
	const struct model_tensor *t = job->rows->tensor;
	size_t row = job->rows->count * thread / threads;
	size_t end = job->rows->count * (thread + 1) / threads;
	float *wide = wide_of(job->f, thread);

	assert(t->dims[0] == job->f->d);
	while (row < end) {
		size_t count = end - row < BATCH_ROWS ? end - row : BATCH_ROWS;

		widen(wide, &(struct widen){(const char *)job->rows->rows + row * t->row_stride,
					    t->type, count, t->dims[0], t->row_stride});
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)job->f->batch, (int)count,
			    (int)t->dims[0], 1, job->x, (int)t->dims[0], wide, (int)t->dims[0], 0,
			    job->y + row, (int)job->width);
		row += count;
	}
}

void batch_multiply(struct forward *f, float *y, size_t width, const float *x,
		    const struct forward_rows *rows)
{
	struct multiply_job job = {f, rows, x, y, width};

	pool_run(f->o.pool, multiply_run, &job);
}

void batch_logits(struct forward *f, const struct forward_rows *rows)
{
	const uint64_t stride = rows->tensor->row_stride;

	for (uint64_t at = 0; at < rows->count; at += BATCH_ROWS) {
		struct forward_rows block = *rows;
		struct logits_tile tile = {rows->first + at, BATCH_ROWS, BATCH_ROWS, f->hidden};

		if (rows->count - at < tile.rows)
			tile.rows = (size_t)(rows->count - at);
		block.rows = (const char *)rows->rows + at * stride;
		block.count = tile.rows;
		batch_multiply(f, f->hidden, tile.stride, f->normed, &block);
		f->take_logits(f->take_logits_arg, &tile);
	}
}

struct ffn_block {
	struct forward *f;
	struct ffn_rows rows; /* at most BATCH_ROWS of them */
};

/* hidden[p][r] = act(up_r . normed[p] + bias_r), this thread's rows. */
static void up_run(void *arg, unsigned thread, unsigned threads)
{
	const struct ffn_block *block = arg;
	const struct ffn_rows *rows = &block->rows;
	const struct forward *f = block->f;
	size_t first = rows->rows * thread / threads;
	size_t count = rows->rows * (thread + 1) / threads - first;
	float *wide = wide_of(f, thread);

	if (count == 0)
		return;
	widen(wide, &(struct widen){(const char *)rows->up + first * rows->row_stride, rows->type,
				    count, rows->n, rows->row_stride});
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)f->batch, (int)count,
		    (int)rows->n, 1, f->normed, (int)rows->n, wide, (int)rows->n, 0,
		    f->hidden + first, BATCH_ROWS);
	for (uint32_t p = 0; p < f->batch; p++)
		for (size_t r = first; r < first + count; r++) {
			float *h = &f->hidden[p * BATCH_ROWS + r];

			*h += rows->bias ? rows->bias[r] : 0;
			*h = (float)activate(rows->activation, (double)*h);
		}
}

/* out[p][i] += hidden[p] . down[][i], this thread's columns. */
static void down_run(void *arg, unsigned thread, unsigned threads)
{
	const struct ffn_block *block = arg;
	const struct ffn_rows *rows = &block->rows;
	const struct forward *f = block->f;
	size_t first = rows->n * thread / threads;
	size_t count = rows->n * (thread + 1) / threads - first;
	float *wide = wide_of(f, thread);

	if (count == 0)
		return;
	widen(wide, &(struct widen){(const char *)rows->down + first * weight_bytes(rows->type),
				    rows->type, rows->rows, count, rows->row_stride});
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)f->batch, (int)count,
		    (int)rows->rows, 1, f->hidden, BATCH_ROWS, wide, (int)count, 1, f->out + first,
		    (int)f->d);
}

void batch_ffn(struct forward *f, const struct ffn_rows *rows)
{
	for (size_t at = 0; at < rows->rows; at += BATCH_ROWS) {
		struct ffn_block block = {f, *rows};

		block.rows.up = (const char *)rows->up + at * rows->row_stride;
		block.rows.down = (const char *)rows->down + at * rows->row_stride;
		block.rows.bias = rows->bias ? rows->bias + at : NULL;
		block.rows.rows = rows->rows - at < BATCH_ROWS ? rows->rows - at : BATCH_ROWS;
		pool_run(f->o.pool, up_run, &block);
		pool_run(f->o.pool, down_run, &block);
	}
}
