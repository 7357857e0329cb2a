/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reads.h - in what requests the loads of a plan come from flash
 *
 * A slot is what is read when any of its rows is loaded; a piece is one request.  With the stride s
 * from row to row:
 *  - chunk row, or s <= chunk < 2s: a slot is one row, read in one piece;
 *  - chunk < s: a slot is one row, in pieces of chunk, the last one shorter;
 *  - chunk >= 2s: a slot is floor(chunk / s) neighbouring rows in one piece, neighbours that were
 *    not loaded are read and dropped; the last slot is cut at d_ffn rows.
 *
 * Coalesced, reads are made of whole slots, from the first that is needed on: a read takes the next
 * needed slot too when the gap before it is at most gap_bytes and it still fits into most_bytes.  So
 * no read begins or ends with a gap, and there are never more reads than slots that are needed.  A
 * chunk below a row is a row then.
 *
 * Dense steps are stretches in pieces of dense_chunk. */
#ifndef FLASH_READS_H
#define FLASH_READS_H

#include "layout.h"
#include "plan.h"

/* What reads need to know of one region; found once for a run. */
struct region_shape {
	uint64_t bytes;	       /* as in its file, padded: where a dense read of all of it ends */
	uint64_t kept_bytes;   /* of them, the leading ones that are always in DRAM */
	uint64_t needed_bytes; /* unpadded bytes past kept_bytes */
	uint64_t row_bytes, row_stride; /* FFN regions only */
};

/* In what requests sparse reads are made; the keys of a policy. */
struct read_rule {
	uint64_t chunk;
	bool merge; /* coalesce gap; else the rest is not looked at */
	uint64_t gap_bytes, most_bytes;
};
struct policy_config;
struct read_rule read_rule_of(const struct policy_config *config);

/* Sums over the planes and stretches of a plan: in closed form, or run by run where slots are
 * merged. */
struct read_sums {
	struct read_class classes[PLAN_CLASSES];
	unsigned class_count;
	uint64_t count, bytes;
};
void reads_sum(struct read_sums *sums, const struct plan *plan);

/* The reads that bring plan->load. 'shapes' is indexed by region. */
void reads_of_loads(struct plan *plan, const struct layout_ops *layout,
		    const struct region_shape *shapes, const struct read_rule *rule);
/* The reads that bring rows [plan->stream_first, + stream_count). */
void reads_of_stream(struct plan *plan, const struct layout_ops *layout,
		     const struct region_shape *shapes, uint64_t dense_chunk);
/* The reads that bring what is not kept of a whole region. */
void reads_of_region(struct plan *plan, enum region region, const struct region_shape *shape,
		     uint64_t dense_chunk);

/* Rows that one slot carries at a chunk size. */
uint32_t reads_rows_per_slot(uint64_t chunk, uint64_t row_stride);
/* Longest gap that is closed, in slots. */
uint32_t reads_gap_slots(const struct read_rule *rule, uint64_t slot_bytes);

#endif
