/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_avx2.c - kernels for x86-64 with AVX2, FMA and F16C
 *
 * Built for streaming weights from DRAM once: eight weights a step, several sums in flight so that
 * the additions' latency does not show, and four rows together where the accumulator would
 * otherwise be loaded and stored for each. */
#include "real_kernels.h"

#include <immintrin.h>
#include <math.h>

/* Bytes ahead of the row being read: about what a core has in flight to DRAM. */
enum { AHEAD_BYTES = 1024, bytes_f32 = 4, bytes_f16 = 2, bytes_bf16 = 2 };

static __m256 load_f32(const void *w, size_t i)
{
	return _mm256_loadu_ps((const float *)w + i);
}

static __m256 load_f16(const void *w, size_t i)
{
	return _mm256_cvtph_ps(
		_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i)));
}

static __m256 load_bf16(const void *w, size_t i)
{
	__m128i half = _mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)w + i));

	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

static float tail_f32(const void *w, size_t i)
{
	return ((const float *)w)[i];
}

static float tail_f16(const void *w, size_t i)
{
	return f16_to_f32(((const uint16_t *)w)[i]);
}

static float tail_bf16(const void *w, size_t i)
{
	return bf16_to_f32(((const uint16_t *)w)[i]);
}

static float sum_of(__m256 v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
	return _mm_cvtss_f32(s);
}

/* One row . x, and four rows scaled onto acc: for each type, since C has no other way to say it
 * once. */
#define ROW_KERNELS(type)                                                                          \
	static float dot_##type(const void *w, const float *x, size_t n)                           \
	{                                                                                          \
		__m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),      \
			       _mm256_setzero_ps()};                                               \
		size_t i = 0;                                                                      \
		float sum;                                                                         \
                                                                                                   \
		for (; i + 32 <= n; i += 32) {                                                     \
			_mm_prefetch((const char *)w + i * bytes_##type + AHEAD_BYTES,             \
				     _MM_HINT_T0);                                                 \
			for (size_t j = 0; j < 4; j++)                                             \
				s[j] = _mm256_fmadd_ps(load_##type(w, i + 8 * j),                  \
						       _mm256_loadu_ps(x + i + 8 * j), s[j]);      \
		}                                                                                  \
		for (; i + 8 <= n; i += 8)                                                         \
			s[0] = _mm256_fmadd_ps(load_##type(w, i), _mm256_loadu_ps(x + i), s[0]);   \
		sum = sum_of(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]))); \
		for (; i < n; i++)                                                                 \
			sum += tail_##type(w, i) * x[i];                                           \
		return sum;                                                                        \
	}                                                                                          \
                                                                                                   \
	static void add4_##type(float *acc, const float h[4], const char *w, size_t stride,        \
				size_t n)                                                          \
	{                                                                                          \
		const char *rows[4] = {w, w + stride, w + 2 * stride, w + 3 * stride};             \
		size_t i = 0;                                                                      \
                                                                                                   \
		for (; i + 8 <= n; i += 8) {                                                       \
			__m256 a = _mm256_loadu_ps(acc + i);                                       \
                                                                                                   \
			for (size_t j = 0; j < 4; j++)                                             \
				a = _mm256_fmadd_ps(_mm256_set1_ps(h[j]), load_##type(rows[j], i), \
						    a);                                            \
			_mm256_storeu_ps(acc + i, a);                                              \
		}                                                                                  \
		for (; i < n; i++)                                                                 \
			for (size_t j = 0; j < 4; j++)                                             \
				acc[i] += h[j] * tail_##type(rows[j], i);                          \
	}                                                                                          \
                                                                                                   \
	static void add1_##type(float *acc, float h, const void *w, size_t n)                      \
	{                                                                                          \
		size_t i = 0;                                                                      \
                                                                                                   \
		for (; i + 8 <= n; i += 8)                                                         \
			_mm256_storeu_ps(acc + i,                                                  \
					 _mm256_fmadd_ps(_mm256_set1_ps(h), load_##type(w, i),     \
							 _mm256_loadu_ps(acc + i)));               \
		for (; i < n; i++)                                                                 \
			acc[i] += h * tail_##type(w, i);                                           \
	}                                                                                          \
                                                                                                   \
	static void ffn_##type(float *acc, const struct ffn_rows *r, const float *x)               \
	{                                                                                          \
		const char *up = r->up, *down = r->down;                                           \
		size_t i = 0;                                                                      \
		float h[4];                                                                        \
                                                                                                   \
		for (; i + 4 <= r->rows; i += 4) {                                                 \
			for (size_t j = 0; j < 4; j++)                                             \
				h[j] = neuron(r, i + j,                                            \
					      dot_##type(up + (i + j) * r->row_stride, x, r->n));  \
			add4_##type(acc, h, down + i * r->row_stride, r->row_stride, r->n);        \
		}                                                                                  \
		for (; i < r->rows; i++)                                                           \
			add1_##type(acc,                                                           \
				    neuron(r, i, dot_##type(up + i * r->row_stride, x, r->n)),     \
				    down + i * r->row_stride, r->n);                               \
	}

static float neuron(const struct ffn_rows *rows, size_t i, float h)
{
	h += rows->bias ? rows->bias[i] : 0;
	if (rows->activation == ACT_RELU)
		return h > 0 ? h : 0;
	return (float)activate(rows->activation, (double)h);
}

ROW_KERNELS(f32)
ROW_KERNELS(f16)
ROW_KERNELS(bf16)

static void gemv(float *y, const void *w, enum weight_type type, size_t rows, size_t n,
		 size_t row_stride, const float *x)
{
	float (*const dots[WEIGHT_TYPES])(const void *, const float *, size_t) = {
		[WEIGHT_F32] = dot_f32, [WEIGHT_F16] = dot_f16, [WEIGHT_BF16] = dot_bf16};

	for (size_t i = 0; i < rows; i++)
		y[i] = dots[type]((const char *)w + i * row_stride, x, n);
}

static void ffn(float *acc, const struct ffn_rows *rows, const float *x)
{
	void (*const ffns[WEIGHT_TYPES])(float *, const struct ffn_rows *, const float *) = {
		[WEIGHT_F32] = ffn_f32, [WEIGHT_F16] = ffn_f16, [WEIGHT_BF16] = ffn_bf16};

	ffns[rows->type](acc, rows, x);
}

/* e^x for x <= 0: 2^whole by the exponent bits, 2^rest by a polynomial on [-1/2, 1/2] (relative
 * error below 3e-7).  Below -87 it is 0 to all who add it up. */
static __m256 exp_of(__m256 x)
{
	const float terms[] = {1.5403530e-4F, 1.3333558e-3F, 9.6181291e-3F, 5.5504109e-2F,
			       2.4022651e-1F, 6.9314718e-1F, 1.0F};
	__m256 y =
		_mm256_mul_ps(_mm256_max_ps(x, _mm256_set1_ps(-87)), _mm256_set1_ps(1.44269504F));
	__m256 whole = _mm256_round_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
	__m256 rest = _mm256_sub_ps(y, whole);
	__m256 p = _mm256_set1_ps(terms[0]);
	__m256i bits = _mm256_cvtps_epi32(whole);

	for (size_t i = 1; i < sizeof(terms) / sizeof(terms[0]); i++)
		p = _mm256_fmadd_ps(p, rest, _mm256_set1_ps(terms[i]));
	bits = _mm256_slli_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(127)), 23);
	return _mm256_mul_ps(p, _mm256_castsi256_ps(bits));
}

/* Scores become e^(score - most); returns their sum. */
static float softmax_sum(float *scores, size_t count)
{
	__m256 sums = _mm256_setzero_ps();
	float most = scores[0], sum = 0;
	size_t i = 0;

	for (size_t t = 1; t < count; t++)
		most = scores[t] > most ? scores[t] : most;
	for (; i + 8 <= count; i += 8) {
		__m256 e = exp_of(_mm256_sub_ps(_mm256_loadu_ps(scores + i), _mm256_set1_ps(most)));

		_mm256_storeu_ps(scores + i, e);
		sums = _mm256_add_ps(sums, e);
	}
	for (; i < count; i++) {
		scores[i] = expf(scores[i] - most);
		sum += scores[i];
	}
	return sum + sum_of(sums);
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t ctx,
		   size_t dim, size_t stride, float *scores)
{
	float scale = 1 / sqrtf((float)dim), sum;
	size_t t = 0;

	for (size_t i = 0; i < ctx; i++)
		scores[i] = dot_f32(q, k + i * stride, dim) * scale;
	sum = softmax_sum(scores, ctx);
	for (size_t i = 0; i < dim; i++)
		out[i] = 0;
	for (; t + 4 <= ctx; t += 4)
		add4_f32(out, scores + t, (const char *)(v + t * stride), stride * sizeof(*v), dim);
	for (; t < ctx; t++)
		add1_f32(out, scores[t], v + t * stride, dim);
	for (size_t i = 0; i < dim; i++)
		out[i] /= sum;
}

const struct kernels kernels_avx2 = {
	.name = "avx2",
	.gemv = gemv,
	.ffn = ffn,
	.attend = attend,
};
