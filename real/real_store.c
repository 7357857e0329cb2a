/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_store.c - what every store shares: preallocated layers */
#include "real_store.h"

#include "huge_pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct store_ops *const kinds[] = {
	[STORE_REALLOC] = &store_realloc,
	[STORE_COMPACT] = &store_compact,
};

static int layer_open(struct store_layer *layer, const struct store *store, uint32_t capacity,
		      struct err *err)
{
	size_t bytes = (size_t)capacity * store->row_bytes;

	/* One row at least, so that an empty layer has addresses too. */
	bytes = bytes ? bytes : store->row_bytes;
	layer->capacity = capacity;
	layer->matrix = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (layer->matrix)
		huge_pages_hint(layer->matrix, bytes);
	layer->pointer = calloc(capacity + 1, sizeof(*layer->pointer));
	layer->bias = calloc(capacity + 1, sizeof(*layer->bias));
	if (!layer->matrix || !layer->pointer || !layer->bias)
		return err_nomem(err, "a layer's store", bytes);
	memset(layer->matrix, 0, bytes); /* touched: no page fault is left for a token */
	return 0;
}

int store_open(struct store *store, enum store_kind kind, const struct model *model,
	       enum weight_type weights, const uint32_t *capacity, struct err *err)
{
	*store = (struct store){
		.ops = kinds[kind],
		.layer_count = (uint32_t)model->layer_count,
		.neuron_count = (uint32_t)model->d_ffn,
		.row_bytes = model_row_bytes(model, weights, REGION_BUNDLE),
	};
	store->layers = calloc(store->layer_count, sizeof(*store->layers));
	if (!store->layers) {
		err_nomem(err, "the store", store->layer_count * sizeof(*store->layers));
		goto fail;
	}
	for (uint32_t i = 0; i < store->layer_count; i++) {
		assert(capacity[i] <= store->neuron_count);
		if (layer_open(&store->layers[i], store, capacity[i], err))
			goto fail;
	}
	return 0;
fail:
	store_close(store);
	return err->code;
}

uint64_t store_need_bytes(enum store_kind kind, const struct model *model, enum weight_type weights,
			  const uint32_t *capacity)
{
	const uint64_t row_bytes = model_row_bytes(model, weights, REGION_BUNDLE);
	const uint64_t entry_bytes = sizeof(uint32_t) + sizeof(float);
	uint64_t sum = 0, largest = 0;

	for (uint64_t i = 0; i < model->layer_count; i++) {
		uint64_t bytes = (capacity[i] ? capacity[i] : 1) * (row_bytes + entry_bytes);

		sum += bytes;
		largest = bytes > largest ? bytes : largest;
	}
	return kind == STORE_REALLOC ? sum + largest : sum;
}

void store_close(struct store *store)
{
	for (uint32_t i = 0; store->layers && i < store->layer_count; i++) {
		free(store->layers[i].matrix);
		free(store->layers[i].pointer);
		free(store->layers[i].bias);
	}
	free(store->layers);
	memset(store, 0, sizeof(*store));
}

void store_row_put(const struct store *store, struct store_layer *layer, uint32_t at,
		   const struct store_row *row)
{
	unsigned char *to = layer->matrix + at * store->row_bytes;
	size_t half = store->row_bytes / 2;

	if ((const unsigned char *)row->up + half == (const unsigned char *)row->down) {
		memcpy(to, row->up, 2 * half);
	} else {
		memcpy(to, row->up, half);
		memcpy(to + half, row->down, half);
	}
	layer->pointer[at] = row->neuron;
	layer->bias[at] = row->bias;
}
