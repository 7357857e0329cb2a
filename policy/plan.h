/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plan.h - what one step needs (demand) and what is done about it (plan)
 *
 * A token is, for each layer, an attention step and an FFN step, then one head step.  A demand is
 * what a step needs: an FFN step a set of neurons or all of them; the others their whole region.  A
 * plan is the policy's answer: rows to evict, rows to load, and the reads that bring the loads. */
#ifndef FLASH_PLAN_H
#define FLASH_PLAN_H

#include "bits.h"
#include "model.h"

enum step_kind { STEP_ATTENTION, STEP_FFN, STEP_HEAD };
const char *step_kind_name(enum step_kind kind); /* "attention", "ffn", "head" */

struct demand {
	enum step_kind kind;
	uint32_t token, layer;	 /* head: layer = layer_count */
	bool dense;		 /* everything; always true for attention and head */
	const uint64_t *neurons; /* FFN and not dense: the set; else NULL */
	uint32_t neuron_count;	 /* FFN: how many neurons are demanded; else 0 */
};

/* One contiguous flash request. */
struct flash_read {
	enum region region;
	uint32_t layer;
	uint64_t offset; /* from the start of the region */
	uint64_t bytes;
};

/* Equal slots of one region, some of them read.  Slot i is the slot_bytes at i * slot_bytes, the
 * last slot cut at end_bytes, and is read in pieces of piece_bytes, the last piece shorter.
 *
 * With merge_bytes, a multiple of slot_bytes, it is the other way round: a run of neighbouring slots
 * of the set is one read, a longer run is cut every merge_bytes from its first slot on. */
struct read_plane {
	enum region region;
	uint64_t slot_bytes, piece_bytes, end_bytes;
	uint64_t merge_bytes; /* 0: no read holds more than one slot */
	uint32_t slot_count;
	uint32_t rows_per_slot; /* slot i carries rows i * rows_per_slot on, row_stride apart */
	uint64_t row_stride;
	const uint64_t *slots; /* the set that is read; both planes of layout split share one */
};

/* A stretch of one region, read in pieces of piece_bytes, the last one shorter. */
struct read_stretch {
	enum region region;
	uint64_t offset, bytes, piece_bytes;
};

/* Reads of one size: what the closed form needs to know of them. */
struct read_class {
	uint64_t bytes; /* of one read */
	uint64_t count;
};
/* Runs of k different lengths need k (k + 1) / 2 slots, so that 262,144 neurons (model_params.h) make
 * at most 723 in a plane; a few more are the last slot's, and those of pieces and stretches. */
enum { PLAN_PLANES = 2, PLAN_STRETCHES = 2, PLAN_CLASSES = PLAN_PLANES * 725 + 2 * PLAN_STRETCHES };

struct plan {
	struct demand demand;
	uint32_t neuron_total; /* d_ffn */

	/* Sparse FFN steps: sets over the layer's neurons.  Evict first, then load: residency none
	 * evicts rows and loads some of them again in one step. */
	uint64_t *evict, *load; /* owned by whoever made the plan (plan_init) */
	uint32_t evict_count, load_count;
	const uint64_t *resident; /* at compute; FFN steps only; owned by the run loop */
	uint32_t resident_before, resident_count;

	/* Dense FFN steps: rows [stream_first, stream_first + stream_count) pass through and are
	 * dropped. */
	uint32_t stream_first, stream_count;

	/* Reads: planes first, then stretches, each in ascending offset. */
	struct read_plane planes[PLAN_PLANES];
	struct read_stretch stretches[PLAN_STRETCHES];
	unsigned plane_count, stretch_count;
	uint64_t *slots[PLAN_PLANES]; /* room for planes[].slots; owned like evict */

	/* Sums over the reads. */
	struct read_class *classes; /* room for PLAN_CLASSES; owned like evict */
	unsigned class_count;
	uint64_t read_count, read_bytes;
	uint64_t needed_bytes; /* unpadded bytes of the loads; the rest of read_bytes is dropped */
};

/* Most slots of a plane that one read holds. */
static inline uint32_t plane_merge_slots(const struct read_plane *plane)
{
	return plane->merge_bytes ? (uint32_t)(plane->merge_bytes / plane->slot_bytes) : 1;
}

MUST_CHECK int plan_init(struct plan *plan, uint32_t neuron_total, struct err *err);
void plan_fini(struct plan *plan);
/* Empty for the next step; keeps its memory. */
void plan_reset(struct plan *plan, const struct demand *demand);

/* Walk every read of a plan, in order:
 *	for (plan_reads_init(&it, plan); plan_reads_next(&it, &read);) */
struct plan_reads {
	const struct plan *plan;
	unsigned group;	 /* plane, then stretch */
	uint64_t slot;	 /* of the plane; unused for stretches */
	uint64_t within; /* bytes of the slot or stretch already given */
};
void plan_reads_init(struct plan_reads *it, const struct plan *plan);
bool plan_reads_next(struct plan_reads *it, struct flash_read *read);

#endif
