/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_steps.c - a step's bytes become rows, and rows arithmetic: regions in order, FFN rows by set
 * or in order */
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

int real_step_region(struct real_world *real, enum region region, uint32_t layer, struct err *err)
{
	bool head = region == REGION_EMBED;
	const unsigned char *kept = head ? real->embed : real->attention[layer];
	uint64_t kept_bytes = head ? real->embed_kept_bytes : real->attention_kept_bytes;
	struct region_walk walk;
	uint64_t used;

	region_walk_begin(&walk, real, region, layer);
	if (check_region(real, &walk, kept_bytes, err))
		return err->code;
	if (stream_has_tile(&real->stream) && real_tile_wait(real, err))
		return err->code;
	if (head)
		forward_head_begin(&real->forward);
	used = region_walk_feed(&walk, real, kept, kept_bytes);
	if (real->stream.lane_count > 0)
		stream_carry_in(&real->stream, kept ? kept + used : NULL, kept_bytes - used);
	while (real->stream.lane_count > 0) {
		const struct lane *lane = &real->stream.lanes[0];
		uint64_t count = lane_count_bytes(lane);

		used = region_walk_feed(&walk, real, lane_bytes(lane), count);
		real_lap(real, &real->cost.compute_ns);
		if (stream_advance(&real->stream, count - used, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
		if (real_tile_wait(real, err))
			return err->code;
	}
	real_lap(real, &real->cost.compute_ns);
	assert(!walk.has_tensor && "every tensor of the region came by");
	return 0;
}

/* The rows of plan->load that lie in the tile's slots, as rows to insert; 'neuron' goes on where
 * the tile before ended. */
static uint32_t tile_rows(const struct real_world *real, const struct plan *plan, uint32_t *neuron)
{
	const struct stream *s = &real->stream;
	const struct read_plane *plane = s->lanes[0].plane;
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	uint64_t half = real->store.row_bytes / 2;
	uint32_t count = 0, at = s->slot_first;

	for (; *neuron < plan->neuron_total; ++*neuron) {
		uint32_t slot = *neuron / plane->rows_per_slot;
		struct store_row *row = &real->rows[count];
		uint64_t offset;

		if (*neuron % 64 == 0 && plan->load[*neuron / 64] == 0) {
			*neuron += 63;
			continue;
		}
		if (!bits_get(plan->load, *neuron))
			continue;
		while (at < s->slot_end && s->slots[at] < slot)
			at++;
		if (at == s->slot_end)
			break;
		assert(s->slots[at] == slot && "every load is covered by a read (plan_check)");
		offset = (at - s->slot_first) * plane->slot_bytes +
			 *neuron % plane->rows_per_slot * plane->row_stride;
		row->neuron = *neuron;
		row->up = s->lanes[0].buffer + offset;
		row->down = s->lane_count == 1 ? s->lanes[0].buffer + offset + half
					       : s->lanes[1].buffer + offset;
		row->bias = bias ? bias[*neuron] : 0;
		count++;
	}
	return count;
}

/* Evict, then insert tile by tile. */
static int update_store(struct real_world *real, const struct plan *plan, struct err *err)
{
	uint32_t layer = plan->demand.layer, neuron = 0, inserted = 0;
	struct step_cost *cost = &real->cost;

	if (stream_has_tile(&real->stream) && real_tile_wait(real, err))
		return err->code;
	cost->moved_bytes +=
		real->store.ops->evict(&real->store, layer, plan->evict, plan->evict_count);
	while (real->stream.lane_count > 0) {
		uint32_t count = tile_rows(real, plan, &neuron);
		uint64_t moved;

		if (real->store.ops->insert(&real->store, layer, real->rows, count, &moved, err))
			return err->code;
		cost->moved_bytes += moved;
		inserted += count;
		real_lap(real, &cost->mem_ns);
		if (stream_advance(&real->stream, 0, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
		if (real_tile_wait(real, err))
			return err->code;
	}
	real_lap(real, &cost->mem_ns);
	if (inserted != plan->load_count)
		return err_set(err, EPROTO, "layer %u: %u rows came, expected %u", layer, inserted,
			       plan->load_count);
	return 0;
}

/* Rows pass through: each tile's whole rows are multiplied and dropped. */
static int stream_rows(struct real_world *real, const struct plan *plan, struct err *err)
{
	const struct lane *lanes = real->stream.lanes;
	const struct layout_ops *layout = policy_layout(real->options.config);
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	struct ffn_rows rows = {
		.type = real->weights,
		.n = real->forward.d,
		.activation = (enum activation)real->options.model->activation,
	};
	uint32_t row = plan->stream_first, end = plan->stream_first + plan->stream_count;

	rows.row_stride = model_row_stride(real->options.model, real->weights, layout->regions[0]);
	while (real->stream.lane_count > 0) {
		uint64_t bytes = lane_count_bytes(&lanes[0]);

		rows.rows = bytes / rows.row_stride;
		rows.up = lane_bytes(&lanes[0]);
		rows.down = real->stream.lane_count == 1
				    ? lane_bytes(&lanes[0]) + real->store.row_bytes / 2
				    : lane_bytes(&lanes[1]);
		rows.bias = bias ? bias + row : NULL;
		forward_ffn_rows(&real->forward, &rows);
		row += (uint32_t)rows.rows;
		real_lap(real, &real->cost.compute_ns);
		if (stream_advance(&real->stream, bytes - rows.rows * rows.row_stride, err))
			return err->code;
		if (!stream_has_tile(&real->stream))
			break;
		if (real_tile_wait(real, err))
			return err->code;
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

	if (!plan->demand.dense && update_store(real, plan, err))
		return err->code;
	if (plan->demand.dense && stream_has_tile(&real->stream) && real_tile_wait(real, err))
		return err->code;
	forward_ffn_begin(&real->forward);
	forward_ffn_store(&real->forward, &real->store, plan->demand.layer, demanded);
	if (plan->demand.dense && stream_rows(real, plan, err))
		return err->code;
	forward_ffn_end(&real->forward);
	if (real->options.keep_outputs)
		record_ffn(real, plan, demanded);
	real_lap(real, &real->cost.compute_ns);
	return 0;
}
