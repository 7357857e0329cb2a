/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_fill_hole.c - evicted rows become holes, and flash reads go straight into them
 *
 * Only as many holes are left open as rows will come; the others are closed at once by the last rows, as compact does.
 * Rows that come beyond the holes lie behind the last row. */
#include "real_store.h"

#include <assert.h>

/* Holes are listed from the last row down, so that the first row is filled first. */
static void list_holes(struct store_layer *layer, const struct store_change *change)
{
	layer->hole_count = 0;
	for (uint32_t row = layer->num_used; layer->hole_count < change->evict_count; row--) {
		assert(row > 0 && "every evicted row is in the store");
		if (bits_get(change->evict, layer->pointer[row - 1]))
			layer->holes[layer->hole_count++] = row - 1;
	}
}

/* Close the first hole by the last row, or cut it off; holes[] is descending, holes[0] the largest. */
static uint64_t close_holes(const struct store *store, struct store_layer *layer, uint32_t keep)
{
	uint32_t first = 0; /* holes[0 .. first) are cut off */
	uint64_t moved = 0;

	while (layer->hole_count - first > keep) {
		uint32_t last = layer->num_used - 1;

		if (layer->holes[first] == last)
			first++;
		else
			moved += store_row_move(store, layer, layer->holes[--layer->hole_count],
						last);
		layer->num_used--;
	}
	layer->hole_count -= first;
	for (uint32_t i = 0; i < layer->hole_count; i++)
		layer->holes[i] = layer->holes[i + first];
	return moved;
}

static uint64_t fill_hole_evict(struct store *store, uint32_t layer_index,
				const struct store_change *change)
{
	struct store_layer *layer = &store->layers[layer_index];

	assert(layer->hole_count == 0 && "the step before filled its holes");
	if (change->evict_count == 0)
		return 0;
	list_holes(layer, change);
	return close_holes(store, layer, change->load_count);
}

static uint32_t fill_hole_place(struct store *store, uint32_t layer_index, uint32_t neuron,
				float bias)
{
	struct store_layer *layer = &store->layers[layer_index];
	uint32_t row;

	assert(layer->hole_count > 0 || layer->num_used < layer->capacity);
	row = layer->hole_count > 0 ? layer->holes[--layer->hole_count] : layer->num_used++;
	layer->pointer[row] = neuron;
	layer->bias[row] = bias;
	return row;
}

static int fill_hole_insert(struct store *store, uint32_t layer_index, const struct store_row *rows,
			    uint32_t count, uint32_t *places, uint64_t *moved, struct err *err)
{
	struct store_layer *layer = &store->layers[layer_index];

	(void)err;
	for (uint32_t i = 0; i < count; i++) {
		places[i] = fill_hole_place(store, layer_index, rows[i].neuron, rows[i].bias);
		store_row_put(store, layer, places[i], &rows[i]);
	}
	*moved = count * store->row_bytes;
	return 0;
}

const struct store_ops store_fill_hole = {
	.name = "fill-hole",
	.help = "loads are read straight into the holes, then behind the last row",
	.evict = fill_hole_evict,
	.insert = fill_hole_insert,
	.place = fill_hole_place,
};
