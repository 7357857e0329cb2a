/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels.c - half floats, activations, and the choice of kernels at run time */
#include "kernels_machine.h"

#include <math.h>
#include <string.h>

float f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
	uint32_t bits;
	float f;

	if (exponent == 0) {
		f = (float)mantissa * 0x1p-24F;
		return sign ? -f : f;
	}
	bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | mantissa << 13;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* 'value' >> 'shift', to nearest, ties to even. 1 <= shift <= 31. */
static uint32_t shift_rounded(uint32_t value, unsigned shift)
{
	uint32_t below_half = (UINT32_C(1) << (shift - 1)) - 1;

	return (value + below_half + (value >> shift & 1)) >> shift;
}

uint16_t f32_to_f16(float f)
{
	uint32_t bits, sign, rest, half;

	memcpy(&bits, &f, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	rest = bits & 0x7fffffff;
	if (rest > 0x7f800000)
		half = 0x7e00; /* not a number */
	else if (rest >= 0x47800000)
		half = 0x7c00; /* 2^16 and more */
	else if (rest >= 0x38800000)
		half = shift_rounded(rest - (UINT32_C(112) << 23), 13); /* may carry to infinity */
	else if (rest >= 0x33000000)
		half = shift_rounded((rest & 0x7fffff) | 0x800000, 126 - (rest >> 23));
	else
		half = 0; /* below half of the smallest */
	return (uint16_t)(sign | half);
}

float bf16_to_f32(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

uint16_t f32_to_bf16(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	if ((bits & 0x7fffffff) > 0x7f800000) /* not a number, and must not round to infinity */
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void weights_widen(float *to, const void *from, enum weight_type type, size_t n)
{
	const unsigned char *bytes = from;
	uint16_t half;

	if (type == WEIGHT_F32) {
		memcpy(to, from, n * sizeof(*to));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(&half, bytes + i * sizeof(half), sizeof(half));
		to[i] = type == WEIGHT_F16 ? f16_to_f32(half) : bf16_to_f32(half);
	}
}

void weights_narrow(void *to, enum weight_type type, const float *from, size_t n)
{
	unsigned char *bytes = to;
	uint16_t half;

	if (type == WEIGHT_F32) {
		memcpy(to, from, n * sizeof(*from));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		half = type == WEIGHT_F16 ? f32_to_f16(from[i]) : f32_to_bf16(from[i]);
		memcpy(bytes + i * sizeof(half), &half, sizeof(half));
	}
}

double activate(enum activation activation, double h)
{
	const double root_half = 0.70710678118654752440, root_two_over_pi = 0.79788456080286535588;

	if (activation == ACT_RELU)
		return h > 0 ? h : 0;
	if (activation == ACT_GELU)
		return h / 2 * (1 + erf(h * root_half));
	return h / 2 * (1 + tanh(root_two_over_pi * (h + 0.044715 * h * h * h)));
}

const struct kernels *kernels_at(unsigned i)
{
	const struct kernels *vector = kernels_vector(i);

	if (vector)
		return vector;
	return i == 0 || kernels_vector(i - 1) ? &kernels_portable : NULL;
}

const struct kernels *kernels_best(void)
{
	return kernels_at(0);
}
