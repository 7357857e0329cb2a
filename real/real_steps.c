/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_steps.c - a step's bytes become rows, and rows arithmetic: regions in order, FFN rows by set
 * or in order
 *
 * Overlap none waits for a whole tile before anything else is done; pipeline first computes what is
 * there, then each group of rows as it comes.  Both pass through the same loops: none's group is
 * the tile. */
#include "real_state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void walk_tensor(struct region_walk *walk, const struct real_world *real)
{
	walk->has_tensor = forward_role(&walk->role, &walk->tensor, real->options.model,
					real->weights, walk->region, walk->layer, walk->index);
}

void region_walk_begin(struct region_walk *walk, const struct real_world *real, enum region region,
		       uint32_t layer)
{
	*walk = (struct region_walk){.region = region, .layer = layer};
	walk_tensor(walk, real);
}

/* Rows of the tensor at hand that begin at 'bytes'; returns how many of its bytes were used. */
static uint64_t walk_rows(struct region_walk *walk, struct real_world *real,
			  const unsigned char *bytes, uint64_t count)
{
	const struct model_tensor *t = &walk->tensor;
	uint64_t first = (walk->at - t->offset) / t->row_stride;
	uint64_t whole = count / t->row_stride, left = t->dims[1] - first;

	if (whole > left)
		whole = left;
	if (whole == 0)
		return 0;
	forward_rows(&real->forward,
		     &(struct forward_rows){walk->role, t, walk->layer, first, whole, bytes});
	return whole * t->row_stride;
}

uint64_t region_walk_feed(struct region_walk *walk, struct real_world *real,
			  const unsigned char *bytes, uint64_t count)
{
	uint64_t used = 0;

	while (used < count) {
		const struct model_tensor *t = &walk->tensor;
		uint64_t step = count - used;

		if (walk->has_tensor && walk->at >= t->offset) {
			step = walk_rows(walk, real, bytes + used, count - used);
			if (step == 0)
				break;
		} else if (walk->has_tensor && step > t->offset - walk->at) {
			step = t->offset - walk->at; /* the gap before the next tensor */
		}
		used += step;
		walk->at += step;
		if (walk->has_tensor && walk->at == t->offset + t->row_stride * t->dims[1]) {
			walk->index++;
			walk_tensor(walk, real);
		}
	}
	return used;
}

/* What the plan brings must be what does not stay, to the byte: else rows would be made of others.
 */
static int check_region(const struct real_world *real, const struct region_walk *walk,
			uint64_t kept, struct err *err)
{
	const struct stream *s = &real->stream;
	uint64_t bytes = model_region_bytes(real->options.model, real->weights, walk->region);
	uint64_t begin = kept, end = kept;

	if (s->lane_count == 1) {
		begin = s->lanes[0].next - s->lanes[0].tile_bytes;
		end = s->lanes[0].end;
	}
	if (s->lane_count > 1 || begin != kept || end != bytes ||
	    (s->lane_count == 1 && s->lanes[0].region != walk->region))
		return err_set(err, EPROTO,
			       "layer %u %s: reads bring bytes %" PRIu64 " to %" PRIu64
			       ", expected %" PRIu64 " to %" PRIu64,
			       walk->layer, region_name(walk->region), begin, end, kept, bytes);
	return 0;
}

static uint64_t group_bytes(const struct real_world *real)
{
	return real->options.group_bytes ? real->options.group_bytes : PIPELINE_GROUP_BYTES;
}

/* Bytes of a lane that the next group ends with. */
static uint64_t group_bytes_end(const struct real_world *real, uint64_t come)
{
	return come + group_bytes(real) / real->stream.lane_count;
}

/* Nothing overlaps: the first tile comes before all else. */
static int wait_first(struct real_world *real, struct err *err)
{
	if (real_is_pipelined(real) || !stream_has_tile(&real->stream))
		return 0;
	return real_tile_wait(real, err);
}

/* The tile at hand, group by group; *left gets the bytes of a cut row at its end. */
static int region_tile(struct real_world *real, struct region_walk *walk, uint64_t *left,
		       struct err *err)
{
	const struct lane *lane = &real->stream.lanes[0];
	uint64_t come = real->stream.come, used = 0;

	do {
		if (stream_has_tile(&real->stream) &&
		    real_group_wait(real, group_bytes_end(real, come), &come, err))
			return err->code;
		used += region_walk_feed(walk, real, lane_bytes(lane) + used,
					 lane->carry + come - used);
		real_lap(real, &real->cost.compute_ns);
	} while (come < lane->tile_bytes);
	*left = lane_count_bytes(lane) - used;
	return 0;
}

int real_step_region(struct real_world *real, enum region region, uint32_t layer, struct err *err)
{
	bool head = region == REGION_EMBED;
	const unsigned char *kept = head ? real->embed : real->attention[layer];
	uint64_t kept_bytes = head ? real->embed_kept_bytes : real->attention_kept_bytes;
	struct region_walk walk;
	uint64_t used, left;

	region_walk_begin(&walk, real, region, layer);
	if (check_region(real, &walk, kept_bytes, err) || wait_first(real, err))
		return err->code;
	if (head)
		forward_head_begin(&real->forward);
	used = region_walk_feed(&walk, real, kept, kept_bytes);
	real_lap(real, &real->cost.compute_ns);
	if (real->stream.lane_count > 0)
		stream_carry_in(&real->stream, kept ? kept + used : NULL, kept_bytes - used);
	while (real->stream.lane_count > 0) {
		if (region_tile(real, &walk, &left, err) ||
		    stream_advance(&real->stream, left, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
	}
	real_lap(real, &real->cost.compute_ns);
	assert(!walk.has_tensor && "every tensor of the region came by");
	return 0;
}

/* Where the next rows of plan->load lie. */
struct load_cursor {
	uint32_t neuron; /* not looked at before */
	uint32_t slot;	 /* index in stream->slots */
	uint32_t rows;	 /* taken so far; the i-th is at real->places[i] */
};

/* The rows of plan->load that lie in the tile's slots before slots[end], as rows to insert. */
static uint32_t come_rows(const struct real_world *real, const struct plan *plan,
			  struct load_cursor *at, uint32_t end)
{
	const struct stream *s = &real->stream;
	const struct read_plane *plane = s->lanes[0].plane;
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	uint64_t half = real->store.row_bytes / 2;
	uint32_t count = 0;

	for (; at->neuron < plan->neuron_total; ++at->neuron) {
		uint32_t neuron = at->neuron, slot = neuron / plane->rows_per_slot;
		struct store_row *row = &real->rows[count];
		uint64_t offset;

		if (neuron % 64 == 0 && plan->load[neuron / 64] == 0) {
			at->neuron += 63;
			continue;
		}
		if (!bits_get(plan->load, neuron))
			continue;
		while (at->slot < end && s->slots[at->slot] < slot)
			at->slot++;
		if (at->slot == end)
			break;
		assert(s->slots[at->slot] == slot &&
		       "every load is covered by a read (plan_check)");
		offset = (at->slot - s->slot_first) * plane->slot_bytes +
			 neuron % plane->rows_per_slot * plane->row_stride;
		row->neuron = neuron;
		row->up = s->lanes[0].buffer + offset;
		row->down = s->lane_count == 1 ? s->lanes[0].buffer + offset + half
					       : s->lanes[1].buffer + offset;
		row->bias = bias ? bias[neuron] : 0;
		count++;
	}
	return count;
}

/* Slots of the tile that the next group ends with: those of the next rows that make it full. */
static uint64_t group_slots_end(const struct real_world *real, const struct plan *plan,
				const struct load_cursor *at)
{
	const struct stream *s = &real->stream;
	const uint32_t per_slot = s->lanes[0].plane->rows_per_slot;
	const uint64_t row_bytes = real->store.row_bytes;
	uint64_t rows = (group_bytes(real) + row_bytes - 1) / row_bytes;
	uint32_t slot = at->slot;

	for (; slot < s->slot_end && rows > 0; slot++)
		for (uint32_t i = 0; i < per_slot && rows > 0; i++) {
			uint32_t neuron = s->slots[slot] * per_slot + i;

			rows -= neuron >= at->neuron && neuron < plan->neuron_total &&
				bits_get(plan->load, neuron);
		}
	return slot - s->slot_first;
}

/* Rows that came with the tile's first 'come' slots: into the store, where they are not there already. */
static int take_rows(struct real_world *real, const struct plan *plan, struct load_cursor *at,
		     uint64_t come, struct err *err)
{
	uint32_t end = real->stream.slot_first + (uint32_t)come, count;
	uint64_t moved;

	if (real->landed) {
		at->rows += end - at->slot;
		at->slot = end;
		return 0;
	}
	count = come_rows(real, plan, at, end);
	if (real->store.ops->insert(&real->store, plan->demand.layer, real->rows, count,
				    real->places + at->rows, &moved, err))
		return err->code;
	real->cost.moved_bytes += moved;
	at->rows += count;
	return 0;
}

/* Of 'count' places, those whose neuron is asked for, in front; NULL: all are. */
static uint32_t places_asked(const struct real_world *real, uint32_t layer, uint32_t *places,
			     uint32_t count, const uint64_t *demanded)
{
	const uint32_t *pointer = real->store.layers[layer].pointer;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++)
		if (!demanded || bits_get(demanded, pointer[places[i]]))
			places[kept++] = places[i];
	return kept;
}

/* The tile at hand, group by group; with overlap each group is computed before the next is waited for. */
static int sparse_tile(struct real_world *real, const struct plan *plan, struct load_cursor *at,
		       const uint64_t *demanded, struct err *err)
{
	uint32_t layer = plan->demand.layer;
	uint64_t come = real->stream.come;

	do {
		uint32_t first = at->rows;

		if (stream_has_tile(&real->stream) &&
		    real_group_wait(real, group_slots_end(real, plan, at), &come, err))
			return err->code;
		if (take_rows(real, plan, at, come, err))
			return err->code;
		real_lap(real, &real->cost.mem_ns);
		if (!real_is_pipelined(real))
			continue;
		forward_ffn_places(&real->forward, &real->store, layer, real->places + first,
				   places_asked(real, layer, real->places + first, at->rows - first,
						demanded));
		real_lap(real, &real->cost.compute_ns);
	} while (come < stream_tile_count(&real->stream));
	return 0;
}

static void store_evict(struct real_world *real, const struct plan *plan)
{
	const struct store_change change = {plan->evict, plan->evict_count, plan->load_count};

	real->cost.moved_bytes += real->store.ops->evict(&real->store, plan->demand.layer, &change);
}

/* Can each read go to its row: one row a slot, and every row and half where direct I/O may write? */
static bool can_land(const struct real_world *real, const struct plan *plan)
{
	const struct read_plane *plane = &plan->planes[0];
	size_t align = reader_align(real->reader);

	return real->store.ops->place && plan->plane_count > 0 && plane->rows_per_slot == 1 &&
	       !plane->merge_bytes && real->store.row_stride % align == 0 &&
	       (plan->plane_count == 1 || real->store.down_at % align == 0);
}

void real_step_land(struct real_world *real, const struct plan *plan)
{
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	uint32_t layer = plan->demand.layer, count = 0;

	real->landed = plan->demand.kind == STEP_FFN && !plan->demand.dense && can_land(real, plan);
	if (!real->landed)
		return;
	store_evict(real, plan);
	BITS_EACH (plan->load, plan->neuron_total, neuron)
		real->places[count++] = real->store.ops->place(
			&real->store, layer, (uint32_t)neuron, bias ? bias[neuron] : 0);
	real->landing = (struct stream_landing){
		.to = real->store.layers[layer].matrix,
		.stride = real->store.row_stride,
		.lane_at = {0, real->store.down_at},
		.places = real->places,
	};
}

/* With overlap: the rows that stay are computed while the others are on their way. */
static void compute_stay(struct real_world *real, const struct plan *plan, const uint64_t *demanded)
{
	const uint64_t *rows = demanded;

	if (plan->load_count > 0) {
		rows = real->stay;
		for (size_t w = 0; w < bits_words(plan->neuron_total); w++)
			real->stay[w] = plan->resident[w] & ~plan->load[w] &
					(demanded ? demanded[w] : UINT64_MAX);
	}
	forward_ffn_store(&real->forward, &real->store, plan->demand.layer, rows);
	real_lap(real, &real->cost.compute_ns);
}

/* Evict; then row by row what comes, into the store and, with overlap, through the arithmetic. */
static int step_sparse(struct real_world *real, const struct plan *plan, const uint64_t *demanded,
		       struct err *err)
{
	struct load_cursor at = {0};

	if (wait_first(real, err))
		return err->code;
	if (!real->landed)
		store_evict(real, plan);
	real_lap(real, &real->cost.mem_ns);
	if (real_is_pipelined(real))
		compute_stay(real, plan, demanded);
	while (real->stream.lane_count > 0) {
		if (sparse_tile(real, plan, &at, demanded, err) ||
		    stream_advance(&real->stream, 0, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
	}
	real_lap(real, &real->cost.mem_ns);
	if (at.rows != plan->load_count)
		return err_set(err, EPROTO, "layer %u: %u rows came, expected %u",
			       plan->demand.layer, at.rows, plan->load_count);
	if (!real_is_pipelined(real))
		forward_ffn_store(&real->forward, &real->store, plan->demand.layer, demanded);
	return 0;
}

/* Whole rows of the tile at hand, from 'row' on, group by group: multiplied and dropped. */
static int stream_tile(struct real_world *real, struct ffn_rows *rows, uint32_t *row,
		       uint64_t *left, struct err *err)
{
	const struct lane *lanes = real->stream.lanes;
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	uint64_t come = real->stream.come, used = 0;

	do {
		if (stream_has_tile(&real->stream) &&
		    real_group_wait(real, group_bytes_end(real, come), &come, err))
			return err->code;
		rows->rows = (lanes[0].carry + come - used) / rows->row_stride;
		rows->up = lane_bytes(&lanes[0]) + used;
		rows->down = real->stream.lane_count == 1
				     ? lane_bytes(&lanes[0]) + used + real->store.row_bytes / 2
				     : lane_bytes(&lanes[1]) + used;
		rows->bias = bias ? bias + *row : NULL;
		forward_ffn_rows(&real->forward, rows);
		real_lap(real, &real->cost.compute_ns);
		*row += (uint32_t)rows->rows;
		used += rows->rows * rows->row_stride;
	} while (come < lanes[0].tile_bytes);
	*left = lane_count_bytes(&lanes[0]) - used;
	return 0;
}

/* Rows pass through. */
static int step_dense(struct real_world *real, const struct plan *plan, struct err *err)
{
	const struct layout_ops *layout = policy_layout(real->options.config);
	struct ffn_rows rows = {
		.type = real->weights,
		.n = real->forward.d,
		.activation = (enum activation)real->options.model->activation,
	};
	uint32_t row = plan->stream_first, end = plan->stream_first + plan->stream_count;
	uint64_t left;

	if (wait_first(real, err))
		return err->code;
	forward_ffn_store(&real->forward, &real->store, plan->demand.layer, NULL);
	real_lap(real, &real->cost.compute_ns);
	rows.row_stride = model_row_stride(real->options.model, real->weights, layout->regions[0]);
	while (real->stream.lane_count > 0) {
		if (stream_tile(real, &rows, &row, &left, err) ||
		    stream_advance(&real->stream, left, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
	}
	if (row != end)
		return err_set(err, EPROTO, "layer %u: rows %u to %u passed, expected to %u",
			       plan->demand.layer, plan->stream_first, row, end);
	return 0;
}

/* What verify will hold against the plain weights. */
static void record_ffn(struct real_world *real, const struct plan *plan, const uint64_t *demanded)
{
	struct ffn_record *record = &real->records[plan->demand.layer];
	const struct forward *f = &real->forward;

	memcpy(record->in, f->normed, f->d * sizeof(*record->in));
	memcpy(record->out, f->out, f->d * sizeof(*record->out));
	record->dense = plan->demand.dense;
	record->made = true;
	if (!record->dense)
		bits_copy(record->rows, demanded ? demanded : plan->resident, plan->neuron_total);
}

int real_step_ffn(struct real_world *real, const struct plan *plan, struct err *err)
{
	bool only = real->options.config->compute_rows == COMPUTE_DEMANDED && !plan->demand.dense;
	const uint64_t *demanded = only ? plan->demand.neurons : NULL;

	forward_ffn_begin(&real->forward);
	if (plan->demand.dense ? step_dense(real, plan, err)
			       : step_sparse(real, plan, demanded, err))
		return err->code;
	forward_ffn_end(&real->forward);
	if (real->options.keep_outputs)
		record_ffn(real, plan, demanded);
	real_lap(real, &real->cost.compute_ns);
	return 0;
}
