/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_realloc.c - the strawman: a new matrix, just large enough, each time rows come or go
 *
 * What one gets from tensors that are concatenated and sliced: every row that stays is copied
 * again. */
#include "real_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Copy the rows of 'from' that are not in 'evict' (NULL: all) to a fresh layer. Returns bytes
 * copied. */
static uint64_t copy_rows(const struct store *store, struct store_layer *to,
			  const struct store_layer *from, const uint64_t *evict)
{
	for (uint32_t row = 0; row < from->num_used; row++) {
		if (evict && bits_get(evict, from->pointer[row]))
			continue;
		memcpy(to->matrix + to->num_used * store->row_bytes,
		       from->matrix + row * store->row_bytes, store->row_bytes);
		to->pointer[to->num_used] = from->pointer[row];
		to->bias[to->num_used] = from->bias[row];
		to->num_used++;
	}
	return to->num_used * store->row_bytes;
}

static int fresh_layer(struct store_layer *fresh, const struct store *store, uint32_t rows,
		       uint32_t capacity, struct err *err)
{
	size_t bytes = (rows ? rows : 1) * store->row_bytes;

	*fresh = (struct store_layer){.capacity = capacity, .matrix_bytes = bytes};
	fresh->matrix = store_matrix_alloc(bytes);
	fresh->pointer = malloc((rows + 1) * sizeof(*fresh->pointer));
	fresh->bias = malloc((rows + 1) * sizeof(*fresh->bias));
	if (fresh->matrix && fresh->pointer && fresh->bias)
		return 0;
	store_matrix_free(fresh->matrix, bytes);
	free(fresh->pointer);
	free(fresh->bias);
	return err_nomem(err, "a layer's new matrix", bytes);
}

static void layer_replace(struct store_layer *layer, const struct store_layer *fresh)
{
	store_matrix_free(layer->matrix, layer->matrix_bytes);
	free(layer->pointer);
	free(layer->bias);
	*layer = *fresh;
}

static uint64_t realloc_evict(struct store *store, uint32_t layer_index,
			      const struct store_change *change)
{
	struct store_layer *layer = &store->layers[layer_index], fresh;
	struct err err = {0};
	uint64_t moved;

	if (change->evict_count == 0)
		return 0;
	/* No error can be told from here: without memory for a new matrix the old one is closed up
	 * in place, which copies less. */
	if (fresh_layer(&fresh, store, layer->num_used - change->evict_count, layer->capacity,
			&err))
		return store_compact.evict(store, layer_index, change);
	moved = copy_rows(store, &fresh, layer, change->evict);
	assert(fresh.num_used == layer->num_used - change->evict_count);
	layer_replace(layer, &fresh);
	return moved;
}

static int realloc_insert(struct store *store, uint32_t layer_index, const struct store_row *rows,
			  uint32_t count, uint32_t *places, uint64_t *moved, struct err *err)
{
	struct store_layer *layer = &store->layers[layer_index], fresh;

	*moved = 0;
	if (count == 0)
		return 0;
	assert(count <= layer->capacity - layer->num_used);
	if (fresh_layer(&fresh, store, layer->num_used + count, layer->capacity, err))
		return err->code;
	*moved = copy_rows(store, &fresh, layer, NULL);
	for (uint32_t i = 0; i < count; i++) {
		places[i] = fresh.num_used++;
		store_row_put(store, &fresh, places[i], &rows[i]);
	}
	*moved += count * store->row_bytes;
	layer_replace(layer, &fresh);
	return 0;
}

const struct store_ops store_realloc = {
	.name = "realloc",
	.help = "a new matrix each time rows come or go: every row copied (the paper's strawman)",
	.evict = realloc_evict,
	.insert = realloc_insert,
};
