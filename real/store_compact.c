/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store_compact.c - the paper's store (3.3): the last row into the hole, loads appended, nothing
 * allocated */
#include "real_store.h"

#include <assert.h>
#include <string.h>

/* One linear pass over pointer[]; a last row that goes too is cut off and not moved. */
static uint64_t compact_evict(struct store *store, uint32_t layer_index,
			      const struct store_change *change)
{
	const uint64_t *evict = change->evict;
	struct store_layer *layer = &store->layers[layer_index];
	uint32_t used = layer->num_used, left = change->evict_count;
	uint64_t moved = 0;

	for (uint32_t row = 0; left > 0 && row < used; row++) {
		if (!bits_get(evict, layer->pointer[row]))
			continue;
		left--;
		used--;
		while (used > row && bits_get(evict, layer->pointer[used])) {
			left--;
			used--;
		}
		if (used > row)
			moved += store_row_move(store, layer, row, used);
	}
	assert(left == 0 && "every evicted row is in the store");
	layer->num_used = used;
	return moved;
}

static int compact_insert(struct store *store, uint32_t layer_index, const struct store_row *rows,
			  uint32_t count, uint32_t *places, uint64_t *moved, struct err *err)
{
	struct store_layer *layer = &store->layers[layer_index];

	(void)err;
	assert(count <= layer->capacity - layer->num_used);
	for (uint32_t i = 0; i < count; i++) {
		places[i] = layer->num_used++;
		store_row_put(store, layer, places[i], &rows[i]);
	}
	*moved = count * store->row_bytes;
	return 0;
}

const struct store_ops store_compact = {
	.name = "compact",
	.help = "holes filled by the last row, loads appended, nothing allocated",
	.evict = compact_evict,
	.insert = compact_insert,
};
