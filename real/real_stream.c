/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_stream.c - lanes, tiles and their requests */
#include "real_stream.h"

#include "clock.h"
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
	       2 * (needs->slots_most + 1) * sizeof(uint32_t);
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
	stream->slot_marks = calloc(needs->slots_most + 1, sizeof(*stream->slot_marks));
	if (!stream->requests || !stream->slots || !stream->slot_marks)
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
	free(stream->slot_marks);
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

/* The lanes' stretches are of one length. */
static void add_stretch_tile(struct stream *stream)
{
	const struct lane *first = &stream->lanes[0];
	uint64_t piece = first->piece_bytes;
	uint64_t room = lane_room(stream) / piece * piece, left = first->end - first->next;
	uint64_t bytes = left < room ? left : room;

	for (uint64_t at = 0; at < bytes; at += piece)
		for (unsigned i = 0; i < stream->lane_count; i++)
			add_request(stream, stream->lanes[i].region, stream->lanes[i].next + at,
				    bytes - at < piece ? bytes - at : piece,
				    stream->lanes[i].buffer + at);
	for (unsigned i = 0; i < stream->lane_count; i++) {
		stream->lanes[i].tile_bytes = bytes;
		stream->lanes[i].next += bytes;
	}
}

/* The slots behind those that come in one read with the first of them, slots[i]. */
static uint32_t read_end(const struct stream *stream, uint32_t i)
{
	uint32_t most = plane_merge_slots(stream->lanes[0].plane), end = i + 1;

	while (end < stream->slot_count && end - i < most &&
	       stream->slots[end] == stream->slots[end - 1] + 1)
		end++;
	return end;
}

/* Neighbouring slots of one read (or one slot in pieces), to 'to'. */
static void add_slots(struct stream *stream, const struct read_plane *plane, uint32_t slot,
		      uint32_t count, unsigned char *to)
{
	uint64_t begin = slot * plane->slot_bytes, bytes = count * plane->slot_bytes;

	if (bytes > plane->end_bytes - begin)
		bytes = plane->end_bytes - begin;
	add_pieces(stream, plane->region, begin, bytes,
		   plane->merge_bytes ? plane->merge_bytes : plane->piece_bytes, to);
}

/* Where the tile's i-th slot of a lane goes. */
static unsigned char *slot_to(const struct stream *stream, unsigned lane, uint32_t i)
{
	const struct stream_landing *landing = stream->landing;

	if (!landing)
		return stream->lanes[lane].buffer + i * stream->lanes[lane].plane->slot_bytes;
	return landing->to + landing->places[stream->slot_first + i] * landing->stride +
	       landing->lane_at[lane];
}

static void add_plane_tile(struct stream *stream)
{
	const uint32_t first = stream->slot_first, count = stream->slot_end - first;

	for (uint32_t i = 0, end; i < count; i = end) {
		end = read_end(stream, first + i) - first;
		for (unsigned l = 0; l < stream->lane_count; l++)
			add_slots(stream, stream->lanes[l].plane, stream->slots[first + i], end - i,
				  slot_to(stream, l, i));
		for (uint32_t at = i; at < end; at++)
			stream->slot_marks[at] = (uint32_t)stream->request_count;
	}
	for (unsigned l = 0; l < stream->lane_count; l++)
		stream->lanes[l].tile_bytes = count * stream->lanes[l].plane->slot_bytes;
}

/* How many slots a tile can have: what staging holds, or, where rows land elsewhere, what requests there are room
 * for. */
static uint64_t slots_fit(const struct stream *stream)
{
	const struct read_plane *plane = stream->lanes[0].plane;
	uint64_t pieces = (plane->slot_bytes + plane->piece_bytes - 1) / plane->piece_bytes;

	if (stream->landing)
		return stream->request_room / (pieces * stream->lane_count);
	return lane_room(stream) / plane->slot_bytes;
}

/* Whole reads, as many as fit. */
static uint32_t tile_end(const struct stream *stream)
{
	uint64_t fit = slots_fit(stream);
	uint32_t end = stream->slot_first, next;

	while (end < stream->slot_count &&
	       (next = read_end(stream, end)) - stream->slot_first <= fit)
		end = next;
	return end;
}

/* Ask for the next tile, if there is one. */
static int submit_tile(struct stream *stream, struct err *err)
{
	stream->request_count = 0;
	stream->come = 0;
	stream->slot_first = stream->slot_end;
	if (stream->is_planes) {
		stream->slot_end = tile_end(stream);
		add_plane_tile(stream);
	} else if (stream->lane_count > 0) {
		add_stretch_tile(stream);
	}
	if (stream->request_count == 0)
		return 0;
	stream->submitted_ns = clock_now_ns();
	if (reader_submit(stream->reader, stream->requests, stream->request_count, err))
		return err->code;
	stream->in_flight = true;
	return 0;
}

int stream_stretches(struct stream *stream, uint32_t layer, const struct read_stretch *stretches,
		     unsigned count, struct err *err)
{
	assert(count <= STREAM_LANES && !stream->in_flight);
	stream->landing = NULL;
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
		    plane->merge_bytes != first->merge_bytes ||
		    most(plane->slot_bytes, plane->merge_bytes) > lane_room(stream))
			return err_set(err, EPROTO,
				       "layer %u: planes of slots of %" PRIu64 " and %" PRIu64
				       " bytes in reads of at most %" PRIu64
				       ", expected equal ones of at most %" PRIu64,
				       plan->demand.layer, first->slot_bytes, plane->slot_bytes,
				       plane->merge_bytes, lane_room(stream));
		stream->lanes[i].plane = plane;
		stream->lanes[i].region = plane->region;
	}
	BITS_EACH (first->slots, first->slot_count, slot)
		stream->slots[stream->slot_count++] = (uint32_t)slot;
	return submit_tile(stream, err);
}

int stream_plan(struct stream *stream, const struct plan *plan,
		const struct stream_landing *landing, struct err *err)
{
	if (plan->plane_count > 0 && plan->stretch_count > 0)
		return err_set(
			err, EPROTO,
			"layer %u: a plan with %u planes and %u stretches, expected one kind",
			plan->demand.layer, plan->plane_count, plan->stretch_count);
	stream->landing = landing;
	if (plan->plane_count > 0)
		return stream_planes(stream, plan, err);
	return stream_stretches(stream, plan->demand.layer, plan->stretches, plan->stretch_count,
				err);
}

bool stream_has_tile(const struct stream *stream)
{
	return stream->in_flight;
}

/* The requests that bring 'want' slots or bytes. */
static size_t requests_of(const struct stream *stream, uint64_t want)
{
	const uint64_t piece = stream->lanes[0].piece_bytes;

	if (want == 0)
		return 0;
	if (!stream->is_planes)
		return want >= stream->lanes[0].tile_bytes
			       ? stream->request_count
			       : (want + piece - 1) / piece * stream->lane_count;
	if (want >= stream->slot_end - stream->slot_first)
		return stream->request_count;
	return stream->slot_marks[want - 1];
}

static uint64_t come_with(const struct stream *stream, size_t requests)
{
	uint64_t come = stream->come;

	if (!stream->is_planes)
		return requests == stream->request_count
			       ? stream->lanes[0].tile_bytes
			       : requests / stream->lane_count * stream->lanes[0].piece_bytes;
	while (come < stream->slot_end - stream->slot_first && stream->slot_marks[come] <= requests)
		come++;
	return come;
}

int stream_progress(struct stream *stream, uint64_t want, struct err *err)
{
	size_t have;

	assert(stream->in_flight);
	if (reader_progress(stream->reader, requests_of(stream, want), &have, err))
		return err->code;
	stream->come = come_with(stream, have);
	return 0;
}

int stream_wait(struct stream *stream, struct err *err)
{
	assert(stream->in_flight);
	stream->in_flight = false;
	stream->come = stream_tile_count(stream);
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
