/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_rows.h - the kernels of a vector machine, once, in the words of its vectors
 *
 * Included once by each kernels_<machine>.c, after that has said what a vector is:
 *   vec, LANES                     LANES floats
 *   vec_all(f), vec_load(p), vec_store(p, v), vec_sum(v)
 *   vec_add, vec_sub, vec_mul, vec_max (a, b); vec_fma(a, b, c): a * b + c
 *   vec_round(v), vec_power(v)     to whole numbers; 2 to a whole number, -126 to 127
 *   vec_weights(row, type, i)      the weights from row[i] on, as floats
 *   vec_xor(a, b)                  of their bits
 * A weight type is a constant wherever it is passed, so that inlining leaves one loop for each.
 *
 * All of it waits for DRAM, and what it does is to keep the prefetchers busy: a core reads fastest
 * in several streams, each going on where it left off, for at each new beginning the prefetcher
 * starts from nothing.  So STREAMS rows are multiplied side by side, and each stream takes the rows
 * of a run one after another, which lie one behind the other.  What else was tried, and the figures:
 * docs/kernels.md. */
#ifndef FLASH_KERNELS_ROWS_H
#define FLASH_KERNELS_ROWS_H

#include "kernels_machine.h"

#include <math.h>
#include <string.h>

enum {
	STREAMS = 4,
	RUN = 24, /* rows of a stream; more lie so far apart that they meet in the cache's sets */
	SUMS = 8, /* accumulators: two multiply-adds a cycle, each four cycles long */
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE float weight_at(const char *row, enum weight_type type, size_t i)
{
	if (type == WEIGHT_F32)
		return ((const float *)(const void *)row)[i];
	return type == WEIGHT_F16 ? f16_to_f32(((const uint16_t *)(const void *)row)[i])
				  : bf16_to_f32(((const uint16_t *)(const void *)row)[i]);
}

/* Rows to multiply by x side by side. */
struct side_by_side {
	const char *row[STREAMS];
	size_t n;
	const float *x;
};

/* y[r] = row_r . x for 'rows' of them, 1 or STREAMS. */
ALWAYS_INLINE void dots(float *y, const struct side_by_side *s, enum weight_type type, size_t rows)
{
	const size_t each = SUMS / rows;
	vec sums[SUMS];
	size_t i = 0;

	for (size_t k = 0; k < SUMS; k++)
		sums[k] = vec_all(0);
	for (; i + each * LANES <= s->n; i += each * LANES)
		for (size_t k = 0; k < each; k++) {
			vec x = vec_load(s->x + i + k * LANES);

			for (size_t r = 0; r < rows; r++)
				sums[r * each + k] =
					vec_fma(vec_weights(s->row[r], type, i + k * LANES), x,
						sums[r * each + k]);
		}
	for (; i + LANES <= s->n; i += LANES)
		for (size_t r = 0; r < rows; r++)
			sums[r * each] = vec_fma(vec_weights(s->row[r], type, i),
						 vec_load(s->x + i), sums[r * each]);
	for (size_t r = 0; r < rows; r++) {
		for (size_t k = 1; k < each; k++)
			sums[r * each] = vec_add(sums[r * each], sums[r * each + k]);
		y[r] = vec_sum(sums[r * each]);
		for (size_t j = i; j < s->n; j++)
			y[r] += weight_at(s->row[r], type, j) * s->x[j];
	}
}

/* Rows with their factors, on their way into a sum. */
struct scaled {
	const char *row[STREAMS];
	float by[STREAMS];
	size_t count;
};

/* acc += by[r] * row_r for the first 'rows' of them. */
ALWAYS_INLINE void add_rows(float *acc, const struct scaled *s, size_t n, enum weight_type type,
			    size_t rows)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		vec sum = vec_load(acc + i);

		for (size_t r = 0; r < rows; r++)
			sum = vec_fma(vec_weights(s->row[r], type, i), vec_all(s->by[r]), sum);
		vec_store(acc + i, sum);
	}
	for (; i < n; i++)
		for (size_t r = 0; r < rows; r++)
			acc[i] += s->by[r] * weight_at(s->row[r], type, i);
}

ALWAYS_INLINE void add_all(float *acc, struct scaled *s, size_t n, enum weight_type type)
{
	if (s->count == STREAMS)
		add_rows(acc, s, n, type, STREAMS);
	else if (s->count == 3)
		add_rows(acc, s, n, type, 3);
	else if (s->count == 2)
		add_rows(acc, s, n, type, 2);
	else if (s->count == 1)
		add_rows(acc, s, n, type, 1);
	s->count = 0;
}

/* The run of each stream over 'rows' rows that are left: all runs about as long, so that none is a
 * short one at the end. */
ALWAYS_INLINE size_t run_of(size_t rows)
{
	const size_t most = (size_t)STREAMS * RUN, blocks = (rows + most - 1) / most;

	return blocks ? rows / STREAMS / blocks : 0;
}

/* Rows of a matrix, and the vector they multiply. */
struct gemv_rows {
	const char *first;
	size_t rows, n, stride;
	const float *x;
};

ALWAYS_INLINE void gemv_of(float *y, const struct gemv_rows *g, enum weight_type type)
{
	struct side_by_side s = {.n = g->n, .x = g->x};
	size_t i = 0;

	for (size_t run; (run = run_of(g->rows - i)) > 0; i += STREAMS * run) {
		for (size_t k = i; k < i + run; k++) {
			float sums[STREAMS];

			for (size_t r = 0; r < STREAMS; r++)
				s.row[r] = g->first + (k + r * run) * g->stride;
			dots(sums, &s, type, STREAMS);
			for (size_t r = 0; r < STREAMS; r++)
				y[k + r * run] = sums[r];
		}
	}
	for (; i < g->rows; i++) {
		s.row[0] = g->first + i * g->stride;
		dots(y + i, &s, type, 1);
	}
}

static void gemv(float *y, const void *w, enum weight_type type, size_t rows, size_t n,
		 size_t row_stride, const float *x)
{
	const struct gemv_rows g = {w, rows, n, row_stride, x};

	switch (type) {
	case WEIGHT_F32:
		gemv_of(y, &g, WEIGHT_F32);
		break;
	case WEIGHT_F16:
		gemv_of(y, &g, WEIGHT_F16);
		break;
	case WEIGHT_BF16:
		gemv_of(y, &g, WEIGHT_BF16);
		break;
	}
}

/* Where the i-th of the rows to multiply stands among all. */
ALWAYS_INLINE size_t row_at(const struct ffn_rows *f, size_t i)
{
	return f->which ? f->which[i] : i;
}

ALWAYS_INLINE const char *up_row(const struct ffn_rows *f, size_t i)
{
	return (const char *)f->up + row_at(f, i) * f->row_stride;
}

/* Neuron i has summed up to 'h': what fires waits until STREAMS of them do; what does not costs
 * nothing more, and its down row is never read. */
ALWAYS_INLINE void fire(float *acc, struct scaled *firing, const struct ffn_rows *f,
			enum weight_type type, size_t i, float h)
{
	i = row_at(f, i);
	h += f->bias ? f->bias[i] : 0;
	if (f->activation != ACT_RELU)
		h = (float)activate(f->activation, (double)h);
	else if (!(h > 0))
		return;
	firing->row[firing->count] = (const char *)f->down + i * f->row_stride;
	firing->by[firing->count++] = h;
	if (firing->count == STREAMS)
		add_all(acc, firing, f->n, type);
}

ALWAYS_INLINE void ffn_of(float *acc, const struct ffn_rows *f, const float *x,
			  enum weight_type type)
{
	struct side_by_side s = {.n = f->n, .x = x};
	struct scaled firing = {.count = 0};
	float h[STREAMS];
	size_t i = 0;

	for (size_t run; (run = run_of(f->rows - i)) > 0; i += STREAMS * run) {
		for (size_t k = i; k < i + run; k++) {
			for (size_t r = 0; r < STREAMS; r++)
				s.row[r] = up_row(f, k + r * run);
			dots(h, &s, type, STREAMS);
			for (size_t r = 0; r < STREAMS; r++)
				fire(acc, &firing, f, type, k + r * run, h[r]);
		}
	}
	for (; i < f->rows; i++) {
		s.row[0] = up_row(f, i);
		dots(h, &s, type, 1);
		fire(acc, &firing, f, type, i, h[0]);
	}
	add_all(acc, &firing, f->n, type);
}

static void ffn(float *acc, const struct ffn_rows *rows, const float *x)
{
	switch (rows->type) {
	case WEIGHT_F32:
		ffn_of(acc, rows, x, WEIGHT_F32);
		break;
	case WEIGHT_F16:
		ffn_of(acc, rows, x, WEIGHT_F16);
		break;
	case WEIGHT_BF16:
		ffn_of(acc, rows, x, WEIGHT_BF16);
		break;
	}
}

/* e^x for x <= 0: 2^whole by the exponent bits, 2^rest by a polynomial on [-1/2, 1/2] (relative
 * error below 3e-7).  Below -87 it is 0 to all who add it up. */
ALWAYS_INLINE vec exp_of(vec x)
{
	const float terms[] = {1.5403530e-4F, 1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F,
			       2.4022651e-1F, 6.9314718e-1F, 1.0F};
	vec y = vec_mul(vec_max(x, vec_all(-87)), vec_all(1.44269504F));
	vec whole = vec_round(y), rest = vec_sub(y, whole), p = vec_all(terms[0]);

	for (size_t i = 1; i < sizeof(terms) / sizeof(terms[0]); i++)
		p = vec_fma(p, rest, vec_all(terms[i]));
	return vec_mul(p, vec_power(whole));
}

/* Scores become e^(scale * (score - most)); returns their sum. */
static float softmax_sum(float *scores, size_t count, float scale)
{
	vec sums = vec_all(0);
	float most = scores[0], sum = 0;
	size_t i = 0;

	for (size_t t = 1; t < count; t++)
		most = scores[t] > most ? scores[t] : most;
	for (; i + LANES <= count; i += LANES) {
		vec e = exp_of(
			vec_mul(vec_sub(vec_load(scores + i), vec_all(most)), vec_all(scale)));

		vec_store(scores + i, e);
		sums = vec_add(sums, e);
	}
	for (; i < count; i++) {
		scores[i] = expf((scores[i] - most) * scale);
		sum += scores[i];
	}
	return sum + vec_sum(sums);
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t ctx,
		   size_t dim, size_t stride, float *scores)
{
	const struct gemv_rows keys = {(const char *)k, ctx, dim, stride * sizeof(*k), q};
	struct scaled values = {.count = 0};
	float sum;

	gemv_of(scores, &keys, WEIGHT_F32);
	sum = softmax_sum(scores, ctx, 1 / sqrtf((float)dim));
	for (size_t i = 0; i < dim; i++)
		out[i] = 0;
	for (size_t t = 0; t < ctx; t++) {
		values.row[values.count] = (const char *)(v + t * stride);
		values.by[values.count++] = scores[t];
		if (values.count == STREAMS)
			add_all(out, &values, dim, WEIGHT_F32);
	}
	add_all(out, &values, dim, WEIGHT_F32);
	for (size_t i = 0; i < dim; i++)
		out[i] /= sum;
}

enum { LINE = 64, READ_RUN = 65536 /* bytes of a stream */ };

/* All bits of a vector into 32. */
static uint32_t fold(vec v)
{
	uint32_t words[LANES], all = 0;

	memcpy(words, &v, sizeof(v));
	for (size_t i = 0; i < LANES; i++)
		all ^= words[i];
	return all;
}

/* In as many streams as the kernels, since one is slower. */
static uint32_t read_all(const void *bytes, size_t count)
{
	const char *from = bytes;
	vec mixed[STREAMS];
	uint32_t rest = 0;
	size_t run;

	for (size_t s = 0; s < STREAMS; s++)
		mixed[s] = vec_all(0);
	while ((run = count / STREAMS / LINE * LINE) > 0) {
		run = run < READ_RUN ? run : READ_RUN;
		for (size_t i = 0; i < run; i += LINE)
			for (size_t s = 0; s < STREAMS; s++)
				for (size_t k = 0; k < LINE; k += sizeof(vec))
					mixed[s] = vec_xor(
						mixed[s],
						vec_load((const float *)(const void *)(from +
										       s * run + i +
										       k)));
		from += STREAMS * run;
		count -= STREAMS * run;
	}
	for (size_t i = 0; i < count; i++)
		rest ^= (uint32_t)(unsigned char)from[i] << (i % 4 * 8);
	return rest ^ fold(vec_xor(vec_xor(mixed[0], mixed[1]), vec_xor(mixed[2], mixed[3])));
}

#endif
