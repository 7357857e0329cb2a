/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_verify.c - holds the store and the last FFN output against the plain files, for tests
 *
 * Rows come through stdio, not through the engine; sums are made in double, not by the kernels. */
#include "real_state.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer's plain weights. */
struct plain {
	unsigned char *rows; /* [d_ffn][row_bytes] */
	float *bias;	     /* [d_ffn], zeros where the model has none */
	uint64_t row_bytes;
	uint32_t layer;
};

static int read_at(const struct real_world *real, enum region region, uint32_t layer,
		   uint64_t offset, void *to, uint64_t bytes, struct err *err)
{
	unsigned file;
	uint64_t at;
	FILE *in;

	real_model_at(real->model, region, layer, offset, &file, &at);
	in = fopen(real_model_path(real->model, file), "rb");
	if (!in)
		return err_errno(err, "%s: cannot open", real_model_path(real->model, file));
	if (fseeko(in, (off_t)at, SEEK_SET) != 0 || fread(to, 1, bytes, in) != bytes)
		err_set(err, EIO, "%s: cannot read %" PRIu64 " bytes at %" PRIu64,
			real_model_path(real->model, file), bytes, at);
	fclose(in);
	return err->code;
}

/* One FFN region of a layer, its rows to 'at' in each plain row. */
static int plain_region(struct plain *plain, const struct real_world *real, enum region region,
			uint64_t at, struct err *err)
{
	const struct model *m = real->options.model;
	uint64_t stride = model_row_stride(m, real->weights, region);
	uint64_t bytes = model_row_bytes(m, real->weights, region);
	unsigned char *raw = malloc(m->d_ffn * stride);

	if (!raw)
		return err_nomem(err, "verifying a layer", m->d_ffn * stride);
	if (!read_at(real, region, plain->layer, 0, raw, m->d_ffn * stride, err))
		for (uint64_t i = 0; i < m->d_ffn; i++)
			memcpy(plain->rows + i * plain->row_bytes + at, raw + i * stride, bytes);
	free(raw);
	return err->code;
}

static int plain_bias(struct plain *plain, const struct real_world *real, struct err *err)
{
	struct model_tensor t;
	enum tensor_role role;

	for (uint32_t i = 0; forward_role(&role, &t, real->options.model, real->weights,
					  REGION_ATTENTION, plain->layer, i);
	     i++)
		if (role == ROLE_UP_BIAS)
			return read_at(real, REGION_ATTENTION, plain->layer, t.offset, plain->bias,
				       t.row_bytes, err);
	return 0;
}

static int plain_open(struct plain *plain, const struct real_world *real, uint32_t layer,
		      struct err *err)
{
	const struct layout_ops *layout = policy_layout(real->options.config);
	uint64_t at = 0;

	plain->layer = layer;
	plain->row_bytes = real->store.row_bytes;
	plain->rows = malloc(real->options.model->d_ffn * plain->row_bytes);
	plain->bias = calloc(real->options.model->d_ffn, sizeof(*plain->bias));
	if (!plain->rows || !plain->bias)
		return err_nomem(err, "verifying a layer",
				 real->options.model->d_ffn * plain->row_bytes);
	for (unsigned i = 0; i < layout->region_count; i++) {
		if (plain_region(plain, real, layout->regions[i], at, err))
			return err->code;
		at += model_row_bytes(real->options.model, real->weights, layout->regions[i]);
	}
	return plain_bias(plain, real, err);
}

static int check_row(const struct store *store, const struct plain *plain, uint32_t row,
		     struct err *err)
{
	const struct store_layer *layer = &store->layers[plain->layer];
	uint32_t neuron = layer->pointer[row];
	const unsigned char *got = layer->matrix + row * store->row_stride;
	const uint64_t half = store->row_bytes / 2, gap = store->down_at - half;
	const unsigned char *want = plain->rows + neuron * plain->row_bytes;

	for (uint64_t i = 0; i < plain->row_bytes; i++)
		if (got[i < half ? i : i + gap] != want[i])
			return err_set(err, EPROTO,
				       "layer %u row %u neuron %u: byte %" PRIu64
				       ": got %u, expected %u as in the file",
				       plain->layer, row, neuron, i, got[i < half ? i : i + gap],
				       want[i]);
	if (memcmp(&layer->bias[row], &plain->bias[neuron], sizeof(float)) != 0)
		return err_set(err, EPROTO, "layer %u row %u neuron %u: bias: got %g, expected %g",
			       plain->layer, row, neuron, (double)layer->bias[row],
			       (double)plain->bias[neuron]);
	return 0;
}

static int check_store(const struct real_world *real, const struct plain *plain,
		       const uint64_t *resident, struct err *err)
{
	const struct store_layer *layer = &real->store.layers[plain->layer];
	uint32_t total = real->store.neuron_count, want = bits_count(resident, total);
	uint64_t *seen = calloc(bits_words(total), sizeof(*seen));

	if (!seen)
		return err_nomem(err, "verifying a layer", total / 8);
	if (layer->num_used != want)
		err_set(err, EPROTO, "layer %u: %u rows in the store, expected %u", plain->layer,
			layer->num_used, want);
	for (uint32_t row = 0; !err->code && row < layer->num_used; row++) {
		uint32_t neuron = layer->pointer[row];

		if (neuron >= total || !bits_get(resident, neuron) || bits_get(seen, neuron))
			err_set(err, EPROTO,
				"layer %u row %u neuron %u: expected a resident neuron, each once",
				plain->layer, row, neuron);
		else if (!check_row(&real->store, plain, row, err))
			bits_put(seen, neuron);
	}
	free(seen);
	return err->code;
}

static double weight_at(const unsigned char *row, enum weight_type type, size_t i)
{
	float f;

	weights_widen(&f, row + i * weight_bytes(type), type, 1);
	return (double)f;
}

/* sums += act(up . in + bias) down of one neuron; sizes likewise of what is added, for the bound.
 */
static void add_neuron(double *sums, double *sizes, const struct real_world *real,
		       const struct plain *plain, uint32_t neuron)
{
	const float *in = real->records[plain->layer].in;
	const unsigned char *up = plain->rows + neuron * plain->row_bytes;
	const unsigned char *down = up + plain->row_bytes / 2;
	double h = (double)plain->bias[neuron], size = fabs(h), act;

	for (size_t i = 0; i < real->forward.d; i++) {
		double term = weight_at(up, real->weights, i) * (double)in[i];

		h += term;
		size += fabs(term);
	}
	act = activate((enum activation)real->options.model->activation, h);
	for (size_t i = 0; i < real->forward.d; i++) {
		double w = weight_at(down, real->weights, i);

		sums[i] += act * w;
		sizes[i] += size * fabs(w);
	}
}

static int check_output(const struct real_world *real, const struct plain *plain, struct err *err)
{
	const struct ffn_record *record = &real->records[plain->layer];
	size_t d = real->forward.d;
	double *sums = calloc(2 * d, sizeof(*sums)), *sizes = sums + d;

	if (!sums)
		return err_nomem(err, "verifying a layer", 2 * d * sizeof(*sums));
	for (uint32_t neuron = 0; neuron < real->store.neuron_count; neuron++)
		if (record->dense || bits_get(record->rows, neuron))
			add_neuron(sums, sizes, real, plain, neuron);
	for (size_t i = 0; i < d && !err->code; i++)
		/* Written so that not-a-number fails. */
		if (!(fabs((double)record->out[i] - sums[i]) <= 1e-5 * sizes[i] + 1e-9))
			err_set(err, EPROTO,
				"layer %u: FFN output %zu: got %.9g, expected %.9g within %.2g",
				plain->layer, i, (double)record->out[i], sums[i], 1e-5 * sizes[i]);
	free(sums);
	return err->code;
}

static uint64_t outside_now(const struct real_world *real)
{
	struct err err = {0};
	uint64_t bytes;

	if (!real->outside_known || reader_outside_count(real->reader, &bytes, &err))
		return 0;
	return bytes;
}

int real_world_verify(struct real_world *real, uint32_t layer, const uint64_t *resident,
		      struct err *err)
{
	uint64_t before = outside_now(real);
	struct plain plain = {.rows = NULL};

	if (real->engine == READ_NULL)
		return err_set(err, ENOTSUP, "read engine null brings no weights to verify");
	if (!plain_open(&plain, real, layer, err) && !check_store(real, &plain, resident, err) &&
	    real->records[layer].made)
		check_output(real, &plain, err);
	free(plain.rows);
	free(plain.bias);
	/* What we have read here is none of the engine's. */
	real->excused_bytes += outside_now(real) - before;
	return err->code;
}

void real_world_tamper_row(struct real_world *real, uint32_t layer)
{
	struct store_layer *l = &real->store.layers[layer];

	if (l->num_used > 0)
		l->matrix[real->store.down_at + real->store.row_bytes / 2 - 1] ^= 0x40;
}
