/* SPDX-License-Identifier: GPL-3.0-or-later */
/* synth_rows.c - synthetic weights, each row drawn by (seed, tensor, row) alone
 *
 * A weight gets a random sign, a random mantissa and three random bits of exponent above a fixed
 * one: values spread over eight octaves whose spread is about 1 / sqrt(fan-in), so that what a
 * layer puts out is as large as what goes in.  Nearly every bit on flash is random (7.4 of 8 bits a
 * byte and more; in bf16, which has few mantissa bits to draw, 5.5 as in trained weights), and a row costs one multiply a few bytes: the disk is the limit, not the
 * generator. */
#include "real_files.h"

#include "rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What a row holds. */
enum row_kind { ROW_WEIGHTS, ROW_ONES, ROW_ZEROS, ROW_BIAS };

/* The tensors of a bundle, as they are called in layout split: a row must not depend on the layout.
 */
static uint64_t tensor_key(uint64_t seed, enum region region, uint32_t layer, uint32_t index)
{
	return rng_mix(seed ^ rng_mix(((uint64_t)region << 40) ^ ((uint64_t)layer << 8) ^ index));
}

static bool ends_with(const char *name, const char *end)
{
	size_t a = strlen(name), b = strlen(end);

	return a >= b && strcmp(name + a - b, end) == 0;
}

static enum row_kind row_kind(const char *name)
{
	if (ends_with(name, "norm.weight"))
		return ROW_ONES;
	if (ends_with(name, "norm.bias"))
		return ROW_ZEROS;
	return ends_with(name, ".bias") ? ROW_BIAS : ROW_WEIGHTS;
}

/* The spread (root mean square) of eight octaves up to 2^(e - 7) is 0.624 x 2^(e - 8), see above.
 */
static unsigned exponent_for(double spread)
{
	double e = log2(spread / 0.624) + 8;

	return e < 1 ? 1 : (unsigned)lround(e);
}

/* 'bytes' random weights. f16 exponents run from 'low' to low + 7 (bias 15), the others' likewise. */
static void fill_weights(unsigned char *to, uint64_t bytes, enum weight_type type, double spread,
			 uint64_t key)
{
	unsigned low = exponent_for(spread);
	uint64_t keep, add;

	assert(bytes % 8 == 0);
	if (type == WEIGHT_F16) {
		keep = UINT64_C(0x9fff9fff9fff9fff);
		add = ((uint64_t)low << 10) * UINT64_C(0x0001000100010001);
	} else if (type == WEIGHT_BF16) {
		keep = UINT64_C(0x83ff83ff83ff83ff);
		add = ((uint64_t)(low + 127 - 15) << 7) * UINT64_C(0x0001000100010001);
	} else {
		keep = UINT64_C(0x83ffffff83ffffff);
		add = ((uint64_t)(low + 127 - 15) << 23) * UINT64_C(0x0000000100000001);
	}
	for (uint64_t i = 0; i < bytes / 8; i++) {
		uint64_t bits = (rng_mix(key + i) & keep) + add;

		memcpy(to + i * 8, &bits, 8);
	}
}

static void fill_random(unsigned char *to, uint64_t bytes, uint64_t key)
{
	assert(bytes % 8 == 0);
	for (uint64_t i = 0; i < bytes / 8; i++) {
		uint64_t bits = rng_mix(key + i);

		memcpy(to + i * 8, &bits, 8);
	}
}

static void fill_ones(unsigned char *to, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes / 4; i++)
		memcpy(to + i * 4, &(const float){1.0F}, 4);
}

static uint64_t row_key(uint64_t tensor, uint64_t row)
{
	return rng_mix(tensor + rng_mix(row));
}

static void fill_ffn(unsigned char *to, const struct file_tensors *it, const struct model *m,
		     uint64_t seed, uint64_t row)
{
	double up_spread = 1 / sqrt((double)m->d_model), down_spread = 1 / sqrt((double)m->d_ffn);
	uint64_t up = row_key(tensor_key(seed, REGION_UP, it->layer, 0), row);
	uint64_t down = row_key(tensor_key(seed, REGION_DOWN, it->layer, 0), row);
	enum weight_type type = it->tensor.type;
	uint64_t half = m->d_model * weight_bytes(type);

	if (it->region != REGION_DOWN)
		fill_weights(to, half, type, up_spread, up);
	if (it->region != REGION_UP)
		fill_weights(to + it->tensor.row_bytes - half, half, type, down_spread, down);
}

void synth_row(unsigned char *to, const struct file_tensors *it, const struct model *model,
	       uint64_t seed, uint64_t row)
{
	const struct model_tensor *t = &it->tensor;
	uint64_t key = row_key(tensor_key(seed, it->region, it->layer, it->index), row);
	double spread = 1 / sqrt((double)model->d_model);

	/* Padding is as incompressible as the rest. */
	fill_random(to + t->row_bytes, t->row_stride - t->row_bytes, ~key);
	if (it->region != REGION_EMBED && it->region != REGION_ATTENTION) {
		fill_ffn(to, it, model, seed, row);
		return;
	}
	switch (row_kind(t->name)) {
	case ROW_WEIGHTS:
		fill_weights(to, t->row_bytes, t->type, spread, key);
		break;
	case ROW_BIAS:
		fill_weights(to, t->row_bytes, t->type, spread / 4, key);
		break;
	case ROW_ONES:
		fill_ones(to, t->row_bytes);
		break;
	case ROW_ZEROS:
		memset(to, 0, t->row_bytes);
		break;
	}
}
