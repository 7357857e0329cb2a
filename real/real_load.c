/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_load.c - brings what persists into memory, through the read engine that the run will use */
#include "real_state.h"

#include "huge_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 'bytes' bytes of a region from any offset, to plain memory. */
static int load_bytes(struct real_world *real, enum region region, uint32_t layer, uint64_t offset,
		      uint64_t bytes, unsigned char *to, struct err *err)
{
	uint64_t begin = offset / TENSOR_ALIGN * TENSOR_ALIGN;
	uint64_t end = (offset + bytes + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
	uint64_t skip = offset - begin, done = 0;
	const struct read_stretch stretch = {region, begin, end - begin,
					     real->options.config->dense_chunk};

	if (bytes == 0)
		return 0;
	if (stream_stretches(&real->stream, layer, &stretch, 1, err))
		return err->code;
	while (stream_has_tile(&real->stream)) {
		const struct lane *lane = &real->stream.lanes[0];
		uint64_t count;

		if (real_tile_wait(real, err))
			return err->code;
		count = lane->tile_bytes - skip;
		if (count > bytes - done)
			count = bytes - done;
		memcpy(to + done, lane->buffer + skip, count);
		done += count;
		skip = 0;
		if (stream_advance(&real->stream, 0, err))
			return err->code;
	}
	return 0;
}

static int load_kept(struct real_world *real, unsigned char **to, enum region region,
		     uint32_t layer, uint64_t bytes, struct err *err)
{
	*to = NULL;
	if (bytes == 0)
		return 0;
	*to = aligned_alloc(TENSOR_ALIGN, bytes);
	if (!*to)
		return err_nomem(err, "weights that stay in DRAM", bytes);
	huge_pages_hint(*to, bytes);
	return load_bytes(real, region, layer, 0, bytes, *to, err);
}

/* The vectors of a layer that its pinned rows need before any step: the up biases. */
static int load_up_bias(struct real_world *real, uint32_t layer, struct err *err)
{
	const struct model *m = real->options.model;
	struct model_tensor t;
	enum tensor_role role;

	for (uint32_t i = 0; forward_role(&role, &t, m, real->weights, REGION_ATTENTION, layer, i);
	     i++)
		if (role == ROLE_UP_BIAS)
			return load_bytes(real, REGION_ATTENTION, layer, t.offset, t.row_bytes,
					  (unsigned char *)real->forward.vectors[role], err);
	return 0;
}

/* Rows [first, first + count) of the tile's lanes into the store. */
static int insert_stream_rows(struct real_world *real, uint32_t layer, uint32_t first,
			      uint32_t count, uint64_t stride, struct err *err)
{
	const struct lane *lanes = real->stream.lanes;
	const float *bias = real->forward.vectors[ROLE_UP_BIAS];
	uint64_t half = real->store.row_bytes / 2, moved;

	for (uint32_t i = 0; i < count; i++) {
		const unsigned char *up = lane_bytes(&lanes[0]) + i * stride;

		real->rows[i] = (struct store_row){
			.neuron = first + i,
			.up = up,
			.down = real->stream.lane_count == 1 ? up + half
							     : lane_bytes(&lanes[1]) + i * stride,
			.bias = bias ? bias[first + i] : 0,
		};
	}
	return real->store.ops->insert(&real->store, layer, real->rows, count, real->places, &moved,
				       err);
}

static int load_pinned(struct real_world *real, uint32_t layer, uint32_t pinned, struct err *err)
{
	const struct layout_ops *layout = policy_layout(real->options.config);
	struct read_stretch stretches[STREAM_LANES];
	uint64_t stride = model_row_stride(real->options.model, real->weights, layout->regions[0]);
	uint32_t row = 0;

	if (pinned == 0)
		return 0;
	for (unsigned i = 0; i < layout->region_count; i++)
		stretches[i] = (struct read_stretch){layout->regions[i], 0, pinned * stride,
						     real->options.config->dense_chunk};
	if (load_up_bias(real, layer, err) ||
	    stream_stretches(&real->stream, layer, stretches, layout->region_count, err))
		return err->code;
	while (stream_has_tile(&real->stream)) {
		uint64_t bytes;
		uint32_t count;

		if (real_tile_wait(real, err))
			return err->code;
		bytes = lane_count_bytes(&real->stream.lanes[0]);
		count = (uint32_t)(bytes / stride);
		if (insert_stream_rows(real, layer, row, count, stride, err) ||
		    stream_advance(&real->stream, bytes - count * stride, err))
			return err->code;
		row += count;
	}
	return 0;
}

/* A row of REGION_EMBED: where it stays, else read to 'room'. */
static int embed_row(struct real_world *real, const struct model_tensor *t, uint64_t index,
		     unsigned char *room, const unsigned char **row, struct err *err)
{
	uint64_t offset = t->offset + index * t->row_stride;

	*row = room;
	if (offset + t->row_bytes > real->embed_kept_bytes)
		return load_bytes(real, REGION_EMBED, 0, offset, t->row_bytes, room, err);
	*row = real->embed + offset;
	return 0;
}

/* The final norm, which the head needs before its rows come by; in replay the first token's rows. */
static int load_embedding(struct real_world *real, struct err *err)
{
	struct forward *f = &real->forward;
	const unsigned char *row;
	struct model_tensor t;
	enum tensor_role role;

	for (uint32_t i = 0;
	     forward_role(&role, &t, real->options.model, real->weights, REGION_EMBED, 0, i); i++) {
		bool is_table = role == ROLE_TOKEN || role == ROLE_POSITION;
		uint64_t index = role == ROLE_TOKEN	 ? forward_token_id(f, 0)
				 : role == ROLE_POSITION ? forward_position_row(f, 0)
							 : 0;

		if (role == ROLE_HEAD || (is_table && f->o.live))
			continue;
		if (embed_row(real, &t, index, real->row_room, &row, err))
			return err->code;
		if (is_table)
			forward_embedding_set(f, role == ROLE_POSITION, row);
		else
			memcpy(f->vectors[role], row, t.row_bytes);
	}
	return 0;
}

int real_load_fed(struct real_world *real, struct err *err)
{
	const unsigned char *row;
	struct model_tensor t;
	enum tensor_role role;

	for (uint32_t i = 0;
	     forward_role(&role, &t, real->options.model, real->weights, REGION_EMBED, 0, i); i++)
		for (uint32_t p = 0; p < real->fed_count; p++) {
			uint64_t index = role == ROLE_TOKEN
						 ? real->fed_ids[p]
						 : forward_position_row(&real->forward,
									real->fed_position + p);

			if (role != ROLE_TOKEN && role != ROLE_POSITION)
				break;
			if (embed_row(real, &t, index, real->row_room, &row, err))
				return err->code;
			forward_embed(&real->forward, p, row);
		}
	return 0;
}

static int load_all(struct real_world *real, struct err *err)
{
	uint32_t pinned = policy_pinned_rows(real->options.policy);

	real->row_room = malloc(real->forward.d * sizeof(float)); /* of any weight type */
	if (!real->row_room)
		return err_nomem(err, "an embedding row", real->forward.d * sizeof(float));
	if (load_kept(real, &real->embed, REGION_EMBED, 0, real->embed_kept_bytes, err))
		return err->code;
	for (uint32_t layer = 0; layer < real->options.model->layer_count; layer++)
		if (load_kept(real, &real->attention[layer], REGION_ATTENTION, layer,
			      real->attention_kept_bytes, err) ||
		    load_pinned(real, layer, pinned, err))
			return err->code;
	return load_embedding(real, err);
}

int real_load(struct real_world *real, struct err *err)
{
	reader_set_at_once(real->reader, true);
	if (load_all(real, err))
		return err->code;
	reader_set_at_once(real->reader, false);
	return 0;
}
