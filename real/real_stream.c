/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_stream.c - lanes, tiles and their requests */
#include "real_stream.h"

#include "round.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t lane_margin(const struct stream_needs *needs)
{
	return round_up(needs->row_most, TENSOR_ALIGN);
}

static uint64_t half_room(const struct stream_needs *needs)
{
	uint64_t bytes = needs->bytes < needs->tile_bytes ? needs->bytes : needs->tile_bytes;

	return round_up(most(bytes / STREAM_LANES, needs->piece_most), TENSOR_ALIGN);
}

/* Each lane's pieces are full but for the last one of each slot, or of the stretch. */
static size_t requests_most(const struct stream_needs *needs)
{
	return STREAM_LANES *
	       (half_room(needs) / needs->piece_least + needs->slots_most + STREAM_LANES);
}

uint64_t stream_need_bytes(const struct stream_needs *needs)
{
	return STREAM_LANES * (lane_margin(needs) + half_room(needs)) +
	       requests_most(needs) * sizeof(struct read_request) +
	       (needs->slots_most + 1) * sizeof(uint32_t);
}

int stream_open(struct stream *stream, const struct real_model *model, struct reader *reader,
		const struct stream_needs *needs, struct err *err)
{
	uint64_t all;

	memset(stream, 0, sizeof(*stream));
	stream->model = model;
	stream->reader = reader;
	stream->margin = lane_margin(needs);
	stream->room = half_room(needs);
	all = STREAM_LANES * (stream->margin + stream->room);
	stream->memory = reader_alloc(reader, all);
	if (!stream->memory)
		return err_nomem(err, "read buffers", all);
	stream->request_room = requests_most(needs);
	stream->requests = calloc(stream->request_room, sizeof(*stream->requests));
	stream->slots = calloc(needs->slots_most + 1, sizeof(*stream->slots));
	if (!stream->requests || !stream->slots)
		return err_nomem(err, "read requests",
				 stream->request_room * sizeof(*stream->requests));
	memset(stream->memory, 0, all);
	return 0;
}

void stream_close(struct stream *stream)
{
	struct read_done done;
	struct err err = {0};

	if (stream->in_flight)
		(void)!reader_wait(stream->reader, &done, &err);
	free(stream->requests);
	free(stream->slots);
	memset(stream, 0, sizeof(*stream));
}

static uint64_t lane_room(const struct stream *stream)
{
	return stream->lane_count == 1 ? 2 * stream->room : stream->room;
}

static void lanes_begin(struct stream *stream, uint32_t layer, unsigned count)
{
	stream->lane_count = count;
	stream->layer = layer;
	for (unsigned i = 0; i < count; i++) {
		struct lane *lane = &stream->lanes[i];

		*lane = (struct lane){0};
		lane->buffer =
			stream->memory + stream->margin + i * (stream->margin + stream->room);
	}
}

static void add_request(struct stream *stream, enum region region, uint64_t offset, uint64_t bytes,
			unsigned char *to)
{
	struct read_request *request = &stream->requests[stream->request_count++];

	assert(stream->request_count <= stream->request_room);
	*request = (struct read_request){.bytes = (uint32_t)bytes, .to = to};
	real_model_at(stream->model, region, stream->layer, offset, &request->file,
		      &request->offset);
}

/* [offset, offset + bytes) in pieces, to 'to'. */
static void add_pieces(struct stream *stream, enum region region, uint64_t offset, uint64_t bytes,
		       uint64_t piece, unsigned char *to)
{
	for (uint64_t at = 0; at < bytes; at += piece)
		add_request(stream, region, offset + at, bytes - at < piece ? bytes - at : piece,
			    to + at);
}

static void add_stretch_tile(struct stream *stream, struct lane *lane)
{
	uint64_t room = lane_room(stream) / lane->piece_bytes * lane->piece_bytes;
	uint64_t left = lane->end - lane->next;

	lane->tile_bytes = left < room ? left : room;
	add_pieces(stream, lane->region, lane->next, lane->tile_bytes, lane->piece_bytes,
		   lane->buffer);
	lane->next += lane->tile_bytes;
}

static uint64_t slot_bytes(const struct read_plane *plane, uint32_t slot)
{
	uint64_t begin = slot * plane->slot_bytes;

	return plane->end_bytes - begin < plane->slot_bytes ? plane->end_bytes - begin
							    : plane->slot_bytes;
}

static void add_plane_tile(struct stream *stream, struct lane *lane)
{
	const struct read_plane *plane = lane->plane;

	lane->tile_bytes = 0;
	for (uint32_t i = stream->slot_first; i < stream->slot_end; i++) {
		uint32_t slot = stream->slots[i];
		uint64_t bytes = slot_bytes(plane, slot);

		add_pieces(stream, plane->region, slot * plane->slot_bytes, bytes,
			   plane->piece_bytes, lane->buffer + lane->tile_bytes);
		lane->tile_bytes += plane->slot_bytes;
	}
}

/* Ask for the next tile, if there is one. */
static int submit_tile(struct stream *stream, struct err *err)
{
	stream->request_count = 0;
	stream->slot_first = stream->slot_end;
	if (stream->is_planes) {
		uint64_t fit = lane_room(stream) / stream->lanes[0].plane->slot_bytes;
		uint64_t left = stream->slot_count - stream->slot_first;

		stream->slot_end = stream->slot_first + (uint32_t)(left < fit ? left : fit);
	}
	for (unsigned i = 0; i < stream->lane_count; i++) {
		if (stream->is_planes)
			add_plane_tile(stream, &stream->lanes[i]);
		else
			add_stretch_tile(stream, &stream->lanes[i]);
	}
	if (stream->request_count == 0)
		return 0;
	if (reader_submit(stream->reader, stream->requests, stream->request_count, err))
		return err->code;
	stream->in_flight = true;
	return 0;
}

int stream_stretches(struct stream *stream, uint32_t layer, const struct read_stretch *stretches,
		     unsigned count, struct err *err)
{
	assert(count <= STREAM_LANES && !stream->in_flight);
	lanes_begin(stream, layer, count);
	stream->is_planes = false;
	for (unsigned i = 0; i < count; i++) {
		struct lane *lane = &stream->lanes[i];

		lane->region = stretches[i].region;
		lane->next = stretches[i].offset;
		lane->end = stretches[i].offset + stretches[i].bytes;
		lane->piece_bytes = stretches[i].piece_bytes;
		if (stretches[i].bytes != stretches[0].bytes ||
		    stretches[i].piece_bytes != stretches[0].piece_bytes ||
		    lane->piece_bytes > lane_room(stream))
			return err_set(err, EPROTO,
				       "layer %u: stretches of %" PRIu64 " and %" PRIu64
				       " bytes, expected equal ones in pieces of at most %" PRIu64,
				       layer, stretches[0].bytes, stretches[i].bytes,
				       lane_room(stream));
	}
	return submit_tile(stream, err);
}

static int stream_planes(struct stream *stream, const struct plan *plan, struct err *err)
{
	const struct read_plane *first = &plan->planes[0];

	lanes_begin(stream, plan->demand.layer, plan->plane_count);
	stream->is_planes = true;
	stream->slot_count = stream->slot_first = stream->slot_end = 0;
	for (unsigned i = 0; i < plan->plane_count; i++) {
		const struct read_plane *plane = &plan->planes[i];

		if (plane->slots != first->slots || plane->slot_bytes != first->slot_bytes ||
		    plane->rows_per_slot != first->rows_per_slot ||
		    plane->slot_bytes > lane_room(stream))
			return err_set(err, EPROTO,
				       "layer %u: planes of slots of %" PRIu64 " and %" PRIu64
				       " bytes, expected equal ones of at most %" PRIu64,
				       plan->demand.layer, first->slot_bytes, plane->slot_bytes,
				       lane_room(stream));
		stream->lanes[i].plane = plane;
		stream->lanes[i].region = plane->region;
	}
	BITS_EACH (first->slots, first->slot_count, slot)
		stream->slots[stream->slot_count++] = (uint32_t)slot;
	return submit_tile(stream, err);
}

int stream_plan(struct stream *stream, const struct plan *plan, struct err *err)
{
	if (plan->plane_count > 0 && plan->stretch_count > 0)
		return err_set(
			err, EPROTO,
			"layer %u: a plan with %u planes and %u stretches, expected one kind",
			plan->demand.layer, plan->plane_count, plan->stretch_count);
	if (plan->plane_count > 0)
		return stream_planes(stream, plan, err);
	return stream_stretches(stream, plan->demand.layer, plan->stretches, plan->stretch_count,
				err);
}

bool stream_has_tile(const struct stream *stream)
{
	return stream->in_flight;
}

int stream_wait(struct stream *stream, struct err *err)
{
	assert(stream->in_flight);
	stream->in_flight = false;
	return reader_wait(stream->reader, &stream->done, err);
}

void stream_carry_in(struct stream *stream, const unsigned char *bytes, uint64_t count)
{
	assert(count <= stream->margin && stream->lane_count > 0);
	if (count > 0)
		memcpy(stream->lanes[0].buffer - count, bytes, count);
	stream->lanes[0].carry = count;
}

int stream_advance(struct stream *stream, uint64_t left, struct err *err)
{
	for (unsigned i = 0; i < stream->lane_count; i++) {
		struct lane *lane = &stream->lanes[i];

		assert(left <= stream->margin && left <= lane_count_bytes(lane));
		memmove(lane->buffer - left, lane->buffer + lane->tile_bytes - left, left);
		lane->carry = left;
	}
	return submit_tile(stream, err);
}
