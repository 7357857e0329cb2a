/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_store.c - what every store shares: preallocated layers */
#define _DEFAULT_SOURCE
#include "real_store.h"

#include "huge_pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct store_ops *const kinds[] = {
	[STORE_REALLOC] = &store_realloc,
	[STORE_COMPACT] = &store_compact,
	[STORE_FILL_HOLE] = &store_fill_hole,
};

void *store_matrix_alloc(size_t bytes)
{
	void *matrix =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return matrix == MAP_FAILED ? NULL : matrix;
}

void store_matrix_free(void *matrix, size_t bytes)
{
	if (matrix)
		munmap(matrix, bytes);
}

static void *matrix_alloc(const struct store_options *o, size_t bytes)
{
	void *matrix;

	if (o->alloc)
		return o->alloc(o->alloc_arg, bytes);
	matrix = store_matrix_alloc(bytes);
	if (!matrix)
		return NULL;
	huge_pages_hint(matrix, bytes);
	memset(matrix, 0, bytes); /* touched: no page fault is left for a token */
	return matrix;
}

static int layer_open(struct store_layer *layer, const struct store *store,
		      const struct store_options *o, uint32_t capacity, struct err *err)
{
	/* One row at least, so that an empty layer has addresses too. */
	size_t bytes = (size_t)(capacity ? capacity : 1) * store->row_stride;

	layer->capacity = capacity;
	layer->matrix = matrix_alloc(o, bytes);
	layer->matrix_bytes = bytes;
	layer->pointer = calloc(capacity + 1, sizeof(*layer->pointer));
	layer->bias = calloc(capacity + 1, sizeof(*layer->bias));
	if (o->kind == STORE_FILL_HOLE)
		layer->holes = calloc(capacity + 1, sizeof(*layer->holes));
	if (!layer->matrix || !layer->pointer || !layer->bias ||
	    (o->kind == STORE_FILL_HOLE && !layer->holes))
		return err_nomem(err, "a layer's store", bytes);
	return 0;
}

/* How a row lies in the matrix: as tight as can be, or padded as on flash, so that reads can land in it. */
static void shape_rows(struct store *store, const struct store_options *o)
{
	store->row_bytes = model_row_bytes(o->model, o->weights, REGION_BUNDLE);
	store->row_stride = store->row_bytes;
	store->down_at = store->row_bytes / 2;
	if (o->kind != STORE_FILL_HOLE)
		return;
	if (o->region_count == 1) {
		store->row_stride = model_row_stride(o->model, o->weights, REGION_BUNDLE);
	} else {
		store->down_at = model_row_stride(o->model, o->weights, REGION_UP);
		store->row_stride = 2 * store->down_at;
	}
}

int store_open(struct store *store, const struct store_options *o, struct err *err)
{
	*store = (struct store){
		.ops = kinds[o->kind],
		.layer_count = (uint32_t)o->model->layer_count,
		.neuron_count = (uint32_t)o->model->d_ffn,
		.own_memory = !o->alloc,
	};
	shape_rows(store, o);
	store->layers = calloc(store->layer_count, sizeof(*store->layers));
	if (!store->layers) {
		err_nomem(err, "the store", store->layer_count * sizeof(*store->layers));
		goto fail;
	}
	for (uint32_t i = 0; i < store->layer_count; i++) {
		assert(o->capacity[i] <= store->neuron_count);
		if (layer_open(&store->layers[i], store, o, o->capacity[i], err))
			goto fail;
	}
	return 0;
fail:
	store_close(store);
	return err->code;
}

uint64_t store_need_bytes(const struct store_options *o)
{
	const uint64_t holes = o->kind == STORE_FILL_HOLE ? sizeof(uint32_t) : 0;
	const uint64_t entry_bytes = sizeof(uint32_t) + sizeof(float) + holes;
	uint64_t sum = 0, largest = 0;
	struct store store;

	shape_rows(&store, o);
	for (uint64_t i = 0; i < o->model->layer_count; i++) {
		uint64_t rows = o->capacity[i] ? o->capacity[i] : 1;
		uint64_t bytes = rows * (store.row_stride + entry_bytes);

		sum += bytes;
		largest = bytes > largest ? bytes : largest;
	}
	return o->kind == STORE_REALLOC ? sum + largest : sum;
}

void store_close(struct store *store)
{
	for (uint32_t i = 0; store->layers && i < store->layer_count; i++) {
		if (store->own_memory)
			store_matrix_free(store->layers[i].matrix, store->layers[i].matrix_bytes);
		free(store->layers[i].pointer);
		free(store->layers[i].bias);
		free(store->layers[i].holes);
	}
	free(store->layers);
	memset(store, 0, sizeof(*store));
}

void store_row_put(const struct store *store, struct store_layer *layer, uint32_t at,
		   const struct store_row *row)
{
	unsigned char *to = layer->matrix + at * store->row_stride;
	size_t half = store->row_bytes / 2;

	if ((const unsigned char *)row->up + half == (const unsigned char *)row->down &&
	    store->down_at == half) {
		memcpy(to, row->up, 2 * half);
	} else {
		memcpy(to, row->up, half);
		memcpy(to + store->down_at, row->down, half);
	}
	layer->pointer[at] = row->neuron;
	layer->bias[at] = row->bias;
}

uint64_t store_row_move(const struct store *store, struct store_layer *layer, uint32_t to,
			uint32_t from)
{
	memcpy(layer->matrix + to * store->row_stride, layer->matrix + from * store->row_stride,
	       store->row_stride);
	layer->pointer[to] = layer->pointer[from];
	layer->bias[to] = layer->bias[from];
	return store->row_stride;
}
