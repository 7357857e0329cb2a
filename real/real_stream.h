/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_stream.h - brings reads from flash into staging memory, tile by tile, whatever their sum
 *
 * A lane is a run of bytes of one region that arrive in order: a stretch of a dense step, or the
 * slots of a plane one after the other.  Two lanes (layout split) advance together.  What does not
 * fit the staging memory at once comes in tiles: read, use, read on.  A tile's lane begins right
 * behind the 'carry' bytes that the user of the tile before left over (part of a row), so that rows
 * are always whole in memory. */
#ifndef FLASH_REAL_STREAM_H
#define FLASH_REAL_STREAM_H

#include "plan.h"
#include "real_model.h"
#include "real_read.h"

enum { STREAM_LANES = 2, STREAM_MOST_BYTES = 64 * 1024 * 1024 };

struct lane {
	unsigned char *buffer; /* of room bytes; before it, margin bytes for the carry */
	uint64_t carry;	       /* left over from the tile before; lies right before buffer */
	uint64_t tile_bytes;   /* of the tile at hand */
	enum region region;
	/* A stretch: */
	uint64_t next, end, piece_bytes; /* next: of the first byte not asked for */
	/* A plane: */
	const struct read_plane *plane;
};

/* Where rows go that are read to their places and not to staging: the i-th slot that is read, lane l, to
 * to + places[i] * stride + lane_at[l]. */
struct stream_landing {
	unsigned char *to;
	uint64_t stride, lane_at[STREAM_LANES];
	const uint32_t *places;
};

struct stream {
	const struct real_model *model; /* these outlive the stream */
	struct reader *reader;
	uint64_t room, margin; /* a lane's, when there are two; a lone one has twice the room */
	unsigned char *memory;
	struct read_request
		*requests; /* of the tile, slot by slot (or piece by piece), all lanes of each */
	size_t request_room, request_count;

	struct lane lanes[STREAM_LANES];
	unsigned lane_count;
	uint32_t layer;
	bool is_planes;
	uint32_t *slots;			   /* planes: the slots that are read, ascending */
	uint32_t slot_count, slot_first, slot_end; /* slots[first .. end) are the tile's */
	uint32_t *slot_marks; /* requests of the tile up to and with each of its slots */
	uint64_t come;	      /* of the tile: slots, or bytes of each lane, that have come */
	const struct stream_landing *landing; /* NULL: to staging */
	struct read_done done;		      /* of the tile at hand */
	uint64_t submitted_ns;		      /* the same */
	bool in_flight;
};

struct stream_needs {
	uint64_t bytes; /* most bytes of one step; more than tile_bytes come in tiles */
	uint64_t tile_bytes;
	uint64_t piece_most; /* largest piece, slot or read of several slots */
	uint64_t row_most;   /* longest row that may be carried */
	uint64_t piece_least;
	uint32_t slots_most;
};
MUST_CHECK int stream_open(struct stream *stream, const struct real_model *model,
			   struct reader *reader, const struct stream_needs *needs,
			   struct err *err);
/* What that takes. */
uint64_t stream_need_bytes(const struct stream_needs *needs);
void stream_close(struct stream *stream); /* its staging goes with the reader */

/* Begin: set the lanes and submit the first tile.  A plan without reads has no tile.  'landing' (NULL: staging) is
 * for planes of one row a slot, and outlives the step. */
MUST_CHECK int stream_plan(struct stream *stream, const struct plan *plan,
			   const struct stream_landing *landing, struct err *err);
MUST_CHECK int stream_stretches(struct stream *stream, uint32_t layer,
				const struct read_stretch *stretches, unsigned count,
				struct err *err);
bool stream_has_tile(const struct stream *stream); /* one is in flight */
/* Wait until 'want' slots (planes) or bytes of each lane (stretches) of the tile in flight, from its first on, have
 * come, or all of it: stream->come says how many have. */
MUST_CHECK int stream_progress(struct stream *stream, uint64_t want, struct err *err);
/* Wait for the tile in flight; its bytes are then in the lanes. */
MUST_CHECK int stream_wait(struct stream *stream, struct err *err);
/* The tile was used; the last 'left' bytes of each lane (carry included) are kept for the next,
 * which is submitted.  After the last tile, nothing is in flight. */
MUST_CHECK int stream_advance(struct stream *stream, uint64_t left, struct err *err);
/* The same bytes are put in front of the first tile: what a row in DRAM began. Before
 * stream_wait(). */
void stream_carry_in(struct stream *stream, const unsigned char *bytes, uint64_t count);

/* What the tile at hand has of slots (planes) or bytes of each lane (stretches). */
static inline uint64_t stream_tile_count(const struct stream *stream)
{
	return stream->is_planes ? stream->slot_end - stream->slot_first
				 : stream->lanes[0].tile_bytes;
}

static inline const unsigned char *lane_bytes(const struct lane *lane)
{
	return lane->buffer - lane->carry;
}

static inline uint64_t lane_count_bytes(const struct lane *lane)
{
	return lane->carry + lane->tile_bytes;
}

#endif
