/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_avx512.c - kernels for x86-64 with AVX-512F
 *
 * bf16 is widened by a shift: the instructions that multiply bf16 round the activations to it. */
#include "kernels_machine.h"

#include <immintrin.h>

#define vec __m512
enum { LANES = 16 };

#define vec_all	  _mm512_set1_ps
#define vec_load  _mm512_loadu_ps
#define vec_store _mm512_storeu_ps
#define vec_add	  _mm512_add_ps
#define vec_sub	  _mm512_sub_ps
#define vec_mul	  _mm512_mul_ps
#define vec_max	  _mm512_max_ps
#define vec_fma	  _mm512_fmadd_ps
#define vec_sum	  _mm512_reduce_add_ps

static inline vec vec_round(vec v)
{
	return _mm512_cvtepi32_ps(_mm512_cvtps_epi32(v));
}

static inline vec vec_xor(vec a, vec b)
{
	return _mm512_castsi512_ps(
		_mm512_xor_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

static inline vec vec_power(vec whole)
{
	__m512i bits = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(127));

	return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 23));
}

static inline __attribute__((always_inline)) vec vec_weights(const char *row, enum weight_type type,
							     size_t i)
{
	__m256i halves;

	if (type == WEIGHT_F32)
		return _mm512_loadu_ps((const float *)(const void *)row + i);
	halves = _mm256_loadu_si256((const __m256i *)(const void *)(row + 2 * i));
	if (type == WEIGHT_F16)
		return _mm512_cvtph_ps(halves);
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

#include "kernels_rows.h"

const struct kernels kernels_avx512 = {"avx512", gemv, ffn, attend, read_all};
