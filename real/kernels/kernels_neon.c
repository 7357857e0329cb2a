/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_neon.c - kernels for 64-bit Arm, which always has NEON and its conversion of halves */
#include "kernels_machine.h"

#include <arm_neon.h>

#define vec float32x4_t
enum { LANES = 4 };

#define vec_all	  vdupq_n_f32
#define vec_load  vld1q_f32
#define vec_store vst1q_f32
#define vec_add	  vaddq_f32
#define vec_sub	  vsubq_f32
#define vec_mul	  vmulq_f32
#define vec_max	  vmaxq_f32
#define vec_sum	  vaddvq_f32
#define vec_round vrndnq_f32

static inline vec vec_fma(vec a, vec b, vec c)
{
	return vfmaq_f32(c, a, b);
}

static inline vec vec_xor(vec a, vec b)
{
	return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}

static inline vec vec_power(vec whole)
{
	int32x4_t bits = vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127));

	return vreinterpretq_f32_s32(vshlq_n_s32(bits, 23));
}

static inline __attribute__((always_inline)) vec vec_weights(const char *row, enum weight_type type,
							     size_t i)
{
	uint16x4_t halves;

	if (type == WEIGHT_F32)
		return vld1q_f32((const float *)(const void *)row + i);
	halves = vld1_u16((const uint16_t *)(const void *)row + i);
	if (type == WEIGHT_F16)
		return vcvt_f32_f16(vreinterpret_f16_u16(halves));
	return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

#include "kernels_rows.h"

const struct kernels kernels_neon = {"neon", gemv, ffn, attend, read_all};
