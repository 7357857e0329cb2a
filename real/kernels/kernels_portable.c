/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_portable.c - kernels in plain C: what the others are held against */
#include "kernels_machine.h"

#include <math.h>
#include <string.h>

static float weight_at(const void *w, enum weight_type type, size_t i)
{
	if (type == WEIGHT_F32)
		return ((const float *)w)[i];
	return type == WEIGHT_F16 ? f16_to_f32(((const uint16_t *)w)[i])
				  : bf16_to_f32(((const uint16_t *)w)[i]);
}

static float dot(const void *w, enum weight_type type, const float *x, size_t n)
{
	float sums[8] = {0};
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sums[i % 8] += weight_at(w, type, i) * x[i];
	for (size_t i = 0; i < 8; i++)
		sum += sums[i];
	return sum;
}

static void add_scaled(float *acc, float h, const void *w, enum weight_type type, size_t n)
{
	for (size_t i = 0; i < n; i++)
		acc[i] += h * weight_at(w, type, i);
}

static void gemv(float *y, const void *w, enum weight_type type, size_t rows, size_t n,
		 size_t row_stride, const float *x)
{
	for (size_t i = 0; i < rows; i++)
		y[i] = dot((const char *)w + i * row_stride, type, x, n);
}

static void ffn(float *acc, const struct ffn_rows *rows, const float *x)
{
	for (size_t i = 0; i < rows->rows; i++) {
		size_t row = rows->which ? rows->which[i] : i, at = row * rows->row_stride;
		float h = dot((const char *)rows->up + at, rows->type, x, rows->n);

		h += rows->bias ? rows->bias[row] : 0;
		if (rows->activation == ACT_RELU && !(h > 0))
			continue; /* nor is its down row read */
		h = (float)activate(rows->activation, (double)h);
		add_scaled(acc, h, (const char *)rows->down + at, rows->type, rows->n);
	}
}

static void softmax(float *scores, size_t count)
{
	float most = scores[0], sum = 0;

	for (size_t i = 1; i < count; i++)
		most = scores[i] > most ? scores[i] : most;
	for (size_t i = 0; i < count; i++) {
		scores[i] = expf(scores[i] - most);
		sum += scores[i];
	}
	for (size_t i = 0; i < count; i++)
		scores[i] /= sum;
}

static void attend(float *out, const float *q, const float *k, const float *v, size_t ctx,
		   size_t dim, size_t stride, float *scores)
{
	float scale = 1 / sqrtf((float)dim);

	for (size_t t = 0; t < ctx; t++)
		scores[t] = dot(k + t * stride, WEIGHT_F32, q, dim) * scale;
	softmax(scores, ctx);
	for (size_t i = 0; i < dim; i++)
		out[i] = 0;
	for (size_t t = 0; t < ctx; t++)
		add_scaled(out, scores[t], v + t * stride, WEIGHT_F32, dim);
}

static uint32_t read_all(const void *bytes, size_t count)
{
	const unsigned char *from = bytes;
	uint64_t mixed = 0, word;
	size_t i = 0;

	for (; i + sizeof(word) <= count; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		mixed ^= word;
	}
	for (; i < count; i++)
		mixed ^= (uint64_t)from[i] << (i % 8 * 8);
	return (uint32_t)(mixed ^ mixed >> 32);
}

const struct kernels kernels_portable = {
	.name = "portable",
	.gemv = gemv,
	.ffn = ffn,
	.attend = attend,
	.read = read_all,
};
