/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_avx2.c - kernels for x86-64 with AVX2, FMA and F16C */
#include "kernels_machine.h"

#include <immintrin.h>

#define vec __m256
enum { LANES = 8 };

#define vec_all	     _mm256_set1_ps
#define vec_load     _mm256_loadu_ps
#define vec_store    _mm256_storeu_ps
#define vec_add	     _mm256_add_ps
#define vec_sub	     _mm256_sub_ps
#define vec_mul	     _mm256_mul_ps
#define vec_max	     _mm256_max_ps
#define vec_xor	     _mm256_xor_ps
#define vec_fma	     _mm256_fmadd_ps
#define vec_round(v) _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

static inline float vec_sum(vec v)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
	return _mm_cvtss_f32(s);
}

static inline vec vec_power(vec whole)
{
	__m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));

	return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
}

static inline __attribute__((always_inline)) vec vec_weights(const char *row, enum weight_type type,
							     size_t i)
{
	__m128i halves;

	if (type == WEIGHT_F32)
		return _mm256_loadu_ps((const float *)(const void *)row + i);
	halves = _mm_loadu_si128((const __m128i *)(const void *)(row + 2 * i));
	if (type == WEIGHT_F16)
		return _mm256_cvtph_ps(halves);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

#include "kernels_rows.h"

const struct kernels kernels_avx2 = {"avx2", gemv, ffn, attend, read_all};
