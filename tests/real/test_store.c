/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_store.c - hazard: a store that loses, doubles or mixes up rows
 *
 * Random evictions and inserts against a plain map of which neuron is there, for every kind. */
#include "real_store.h"
#include "rng.h"
#include "tiny.h"

enum { NEURONS = 256, CAPACITY = 150, STEPS = 300, LAYER = 1 };

static const enum store_kind kinds[] = {STORE_COMPACT, STORE_REALLOC, STORE_FILL_HOLE};

/* The row that neuron 'neuron' must have. */
static void row_bytes(unsigned char *to, size_t bytes, uint32_t neuron)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (unsigned char)rng_mix(neuron * 1000 + i);
}

static void store_make(struct store *store, enum store_kind kind)
{
	struct model m = tiny_model(MODEL_OPT);
	const uint32_t capacity[2] = {0, CAPACITY};
	struct err err = {0};

	ck_assert_uint_eq(m.d_ffn, NEURONS);
	ck_ok(store_open(store,
			 &(struct store_options){.kind = kind,
						 .model = &m,
						 .weights = WEIGHT_F16,
						 .region_count = 2,
						 .capacity = capacity},
			 &err));
	ck_assert_uint_eq(store->row_bytes, 2 * 64 * 2);
}

static void check_rows(const struct store *store, const bool *there, uint32_t count)
{
	const struct store_layer *layer = &store->layers[LAYER];
	bool seen[NEURONS] = {false};

	ck_assert_uint_eq(layer->num_used, count);
	for (uint32_t row = 0; row < count; row++) {
		uint32_t neuron = layer->pointer[row];
		unsigned char want[256];

		ck_assert_msg(neuron < NEURONS && there[neuron] && !seen[neuron],
			      "row %u: neuron %u is not there, or twice", row, neuron);
		seen[neuron] = true;
		row_bytes(want, store->row_bytes, neuron);
		ck_assert_mem_eq(layer->matrix + row * store->row_stride, want,
				 store->row_bytes / 2);
		ck_assert_mem_eq(layer->matrix + row * store->row_stride + store->down_at,
				 want + store->row_bytes / 2, store->row_bytes / 2);
		ck_assert_float_eq(layer->bias[row], (float)neuron);
	}
}

/* Some of the rows that are there, each with this chance in 256. */
static uint32_t pick_evict(uint64_t *evict, bool *there, unsigned chance, struct rng *rng)
{
	uint32_t count = 0;

	bits_clear(evict, NEURONS);
	for (uint32_t i = 0; i < NEURONS; i++)
		if (there[i] && rng_below(rng, 256) < chance) {
			bits_put(evict, i);
			there[i] = false;
			count++;
		}
	return count;
}

struct buffers {
	unsigned char bytes[NEURONS][256], down[NEURONS][128];
	struct store_row rows[NEURONS];
};

/* New rows up to the capacity; every other one has its halves apart, as layout split reads them. */
static uint32_t pick_insert(struct buffers *buffers, bool *there, uint32_t room, struct rng *rng)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NEURONS && count < room; i++) {
		struct store_row *row = &buffers->rows[count];

		if (there[i] || rng_below(rng, 4))
			continue;
		row_bytes(buffers->bytes[count], 256, i);
		memcpy(buffers->down[count], buffers->bytes[count] + 128, 128);
		*row = (struct store_row){.neuron = i,
					  .up = buffers->bytes[count],
					  .down = count % 2 ? buffers->down[count]
							    : buffers->bytes[count] + 128,
					  .bias = (float)i};
		there[i] = true;
		count++;
	}
	return count;
}

/* What a step may copy, by the kind. */
static void check_evict_moved(const struct store *store, enum store_kind kind, uint64_t moved,
			      uint32_t gone, uint32_t come, uint32_t stay)
{
	uint64_t row = store->row_stride;

	ck_assert_uint_eq(moved % row, 0);
	if (kind == STORE_REALLOC)
		ck_assert_uint_eq(moved, gone ? stay * row : 0);
	else if (kind == STORE_COMPACT)
		ck_assert_uint_le(moved, gone * row);
	else
		ck_assert_uint_le(moved, gone > come ? (gone - come) * row : 0);
}

START_TEST(random_steps_leave_the_rows_that_a_map_says)
{
	static const unsigned chances[] = {0, 10, 128, 256};
	struct buffers *buffers = malloc(sizeof(*buffers));
	uint64_t evict[NEURONS / 64];
	bool there[NEURONS] = {false};
	struct rng rng = {5};
	struct store store;
	uint32_t count = 0, places[NEURONS];

	ck_assert_ptr_nonnull(buffers);
	store_make(&store, kinds[_i]);
	for (int step = 0; step < STEPS; step++) {
		uint32_t gone = pick_evict(evict, there, chances[step % 4], &rng);
		uint32_t room = rng_below(&rng, 3) ? CAPACITY - count + gone : 3;
		uint32_t come = pick_insert(buffers, there, room, &rng), first = come / 3;
		struct store_change change = {evict, gone, come};
		uint64_t moved = store.ops->evict(&store, LAYER, &change), copied;
		struct err err = {0};

		count -= gone;
		check_evict_moved(&store, kinds[_i], moved, gone, come, count);
		/* In two groups, as overlap brings them. */
		ck_ok(store.ops->insert(&store, LAYER, buffers->rows, first, places, &copied,
					&err));
		ck_ok(store.ops->insert(&store, LAYER, buffers->rows + first, come - first,
					places + first, &copied, &err));
		ck_assert_uint_eq(copied, kinds[_i] != STORE_REALLOC || come == first
						  ? (come - first) * store.row_bytes
						  : (count + come) * store.row_bytes);
		for (uint32_t i = 0; i < come; i++)
			ck_assert_uint_eq(store.layers[LAYER].pointer[places[i]],
					  buffers->rows[i].neuron);
		count += come;
		check_rows(&store, there, count);
	}
	store_close(&store);
	free(buffers);
}
END_TEST

START_TEST(compact_moves_only_rows_that_stay)
{
	struct buffers *buffers = malloc(sizeof(*buffers));
	bool there[NEURONS] = {false};
	uint64_t evict[NEURONS / 64] = {0}, copied;
	struct rng rng = {5};
	struct err err = {0};
	struct store store;
	uint32_t count, places[20];

	ck_assert_ptr_nonnull(buffers);
	store_make(&store, STORE_COMPACT);
	count = pick_insert(buffers, there, 20, &rng);
	ck_assert_uint_eq(count, 20);
	ck_ok(store.ops->insert(&store, LAYER, buffers->rows, count, places, &copied, &err));
	/* The last five and the first: one hole, and one row to fill it. */
	for (uint32_t i = 15; i < 21; i++)
		bits_put(evict, buffers->rows[i % 20].neuron);
	ck_assert_uint_eq(store.ops->evict(&store, LAYER, &(struct store_change){evict, 6, 0}),
			  store.row_bytes);
	ck_assert_uint_eq(store.layers[LAYER].pointer[0], buffers->rows[14].neuron);
	ck_assert_uint_eq(store.layers[LAYER].num_used, 14);
	store_close(&store);
	free(buffers);
}
END_TEST

START_TEST(a_hole_is_where_the_next_row_goes)
{
	uint64_t evict[NEURONS / 64] = {0};
	uint32_t places[10];
	struct store store;

	store_make(&store, STORE_FILL_HOLE);
	for (uint32_t i = 0; i < 10; i++)
		places[i] = store.ops->place(&store, LAYER, i, (float)i);
	bits_put(evict, 2);
	bits_put(evict, 7);
	bits_put(evict, 9);
	/* Three go and two come: the last row is cut off, the holes wait. */
	ck_assert_uint_eq(store.ops->evict(&store, LAYER, &(struct store_change){evict, 3, 2}), 0);
	ck_assert_uint_eq(store.ops->place(&store, LAYER, 20, 0), places[2]);
	ck_assert_uint_eq(store.ops->place(&store, LAYER, 21, 0), places[7]);
	ck_assert_uint_eq(store.layers[LAYER].num_used, 9);
	/* Nothing comes: the last row into the hole. */
	bits_clear(evict, NEURONS);
	bits_put(evict, 0);
	ck_assert_uint_eq(store.ops->evict(&store, LAYER, &(struct store_change){evict, 1, 0}),
			  store.row_stride);
	ck_assert_uint_eq(store.layers[LAYER].pointer[0], 8);
	ck_assert_uint_eq(store.layers[LAYER].num_used, 8);
	store_close(&store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("store");

	tcase_add_loop_test(tcase, random_steps_leave_the_rows_that_a_map_says, 0, 3);
	tcase_add_test(tcase, compact_moves_only_rows_that_stay);
	tcase_add_test(tcase, a_hole_is_where_the_next_row_goes);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
