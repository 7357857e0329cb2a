/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_state.h - what the files of the real world share: its parts, its clock, its books */
#ifndef FLASH_REAL_STATE_H
#define FLASH_REAL_STATE_H

#include "clock.h"
#include "real_forward.h"
#include "real_stream.h"
#include "real_world.h"
#include "timeline.h"

/* What a layer's last FFN step did, for verify: its input, its sum, and the rows it went over. */
struct ffn_record {
	float *in, *out; /* [d_model] */
	uint64_t *rows;
	bool dense, made;
};

struct real_world {
	struct real_options options;
	enum read_engine engine;
	enum weight_type weights;
	struct real_model *model;
	struct reader *reader;
	struct pool *pool;
	struct store store;
	struct stream stream;
	struct forward forward;

	/* Leading bytes of regions that always stay. */
	uint64_t embed_kept_bytes, attention_kept_bytes;
	unsigned char *embed;	   /* NULL: nothing of it stays */
	unsigned char **attention; /* [layer] */
	unsigned char *row_room;   /* of one embedding row */

	struct store_row *rows; /* room for a layer's loads */
	uint32_t *places;	/* the same: where in the store they are */
	uint64_t *stay;		/* set of neurons: rows that can be computed before any comes */
	struct stream_landing landing;
	bool landed;		    /* the open step's rows go straight to their places */
	struct ffn_record *records; /* [layer] */

	/* One step at a time (overlap none): what it has cost so far, and the clock. */
	uint64_t ticket;     /* of the open step; counts from 1 */
	bool open;	     /* submitted and not computed */
	enum step_kind step; /* of the step at hand, and its layer */
	uint32_t layer;
	struct step_cost cost;
	uint64_t token_begin_ns, mark_ns; /* mark: up to here time is booked */

	/* Live: what the next pass takes, and what its embedding rows cost. */
	const uint32_t *fed_ids;
	uint32_t fed_count, fed_position;
	struct step_cost fed;

	/* Counted at completions since open, and what others counted before. */
	uint64_t own_bytes, outside_before_bytes, excused_bytes;
	bool outside_known;
	uint64_t faults_before; /* pages of our program that came from disk */
};

/* For a timeline: from real->mark_ns to 'now_ns', booked to 'part' (real_world.c). */
void real_span(const struct real_world *real, const uint64_t *part, uint64_t now_ns);

/* Book the time since the last mark to 'part'. */
static inline void real_lap(struct real_world *real, uint64_t *part)
{
	uint64_t now = clock_now_ns();

	if (timeline_is_on(real->options.timeline))
		real_span(real, part, now);
	*part += now - real->mark_ns;
	real->mark_ns = now;
}

/* Overlap pipeline: what arrives is used group by group, and what stays before it. */
static inline bool real_is_pipelined(const struct real_world *real)
{
	return real->options.config->overlap == OVERLAP_PIPELINE;
}

/* Wait for the tile in flight and count it. */
MUST_CHECK int real_tile_wait(struct real_world *real, struct err *err);
/* Wait until 'want' slots or bytes of a lane have come of the tile at hand, or all of it where nothing overlaps;
 * *come says how many have (as stream->come). */
MUST_CHECK int real_group_wait(struct real_world *real, uint64_t want, uint64_t *come,
			       struct err *err);

/* A walk over the tensors of a region whose bytes come in order. */
struct region_walk {
	enum region region;
	uint32_t layer, index; /* of the tensor at hand */
	uint64_t at;	       /* of the next byte, from the region's start */
	bool has_tensor;
	enum tensor_role role;
	struct model_tensor tensor;
};
void region_walk_begin(struct region_walk *walk, const struct real_world *real, enum region region,
		       uint32_t layer);
/* Hand every whole row in [bytes, bytes + count) to the pass; returns the bytes used up. */
uint64_t region_walk_feed(struct region_walk *walk, struct real_world *real,
			  const unsigned char *bytes, uint64_t count);

/* Bring what persists, and in replay the first token's embedding, into memory. */
MUST_CHECK int real_load(struct real_world *real, struct err *err);
/* Live: the embedding of what was fed, from memory or flash. */
MUST_CHECK int real_load_fed(struct real_world *real, struct err *err);

/* The arithmetic of a step whose reads are under way (real_steps.c). */
MUST_CHECK int real_step_region(struct real_world *real, enum region region, uint32_t layer,
				struct err *err);
MUST_CHECK int real_step_ffn(struct real_world *real, const struct plan *plan, struct err *err);
/* Before a step's reads: where the store takes them in place, make the places. */
void real_step_land(struct real_world *real, const struct plan *plan);

#endif
