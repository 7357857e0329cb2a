/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_world.h - the world of files, memory, kernels and wall clock */
#ifndef FLASH_REAL_WORLD_H
#define FLASH_REAL_WORLD_H

#include "policy.h"
#include "real_emulated.h"
#include "real_model.h"
#include "run.h"
#include "timeline.h"
#include "world.h"

struct timeline;

struct real_options {
	const char *model_dir;
	const struct model *model; /* must equal what the files say */
	const struct policy_config *config;
	const struct policy *policy;
	const struct real_target *target;
	uint64_t
		ctx; /* context that attention sees at every token (the KV cache is full of synthetic history) */
	unsigned threads; /* compute threads, at least 1 */
	struct run_outcome
		needs; /* of a dry run with world_null: sizes the store and the buffers */
	uint64_t seed;
	uint64_t stall_seed; /* emulated device: of its stalls and retries; 0 = seed */
	uint64_t
		tile_bytes; /* most bytes of a step that are read before they are used; 0 = 64 MiB (tests: less) */
	struct timeline *timeline; /* where the spans of one token go; NULL: nowhere */
	uint64_t
		group_bytes; /* overlap pipeline: bytes of a group; 0 = PIPELINE_GROUP_BYTES (tests: less) */
	bool keep_outputs; /* for real_world_verify(): keep each layer's last FFN input and output */
	/* Live: tokens are fed (real_world_feed), and the KV cache, of ctx positions, begins empty. */
	bool live;
	uint32_t batch_most; /* most positions of one pass; 0 = 1 */
	uint64_t *active; /* noted, when not NULL: [layer][bits_words(d_ffn)] neurons that fire */
};

/* What a world takes of DRAM, part by part. */
struct real_need {
	uint64_t kept_bytes;	/* weights that always stay */
	uint64_t store_bytes;	/* FFN rows, at most */
	uint64_t kv_bytes;	/* KV cache of ctx tokens */
	uint64_t scratch_bytes; /* activations, of the longest prompt */
	uint64_t staging_bytes; /* read buffers and requests */
	uint64_t books_bytes;	/* tables, policy state, threads' stacks */
};
/* Of these options, before anything is opened. */
void real_world_need(struct real_need *need, const struct real_options *options);

extern const struct world_ops world_real; /* 'world' is a struct real_world * */

struct real_world;
/* Open files, allocate every buffer, load what persists.  Nothing is allocated afterwards. */
MUST_CHECK int real_world_open(struct real_world **out, const struct real_options *options,
			       struct err *err);
void real_world_close(struct real_world *real); /* NULL is fine */

/* Live: the next pass takes these tokens, at positions from 'position' on, all within ctx.  Their
 * embedding rows are read at its token_begin() where they do not stay in DRAM, outside any plan:
 * what that cost is real_world_fed().  'ids' must live until then. */
void real_world_feed(struct real_world *real, const uint32_t *ids, uint32_t count,
		     uint32_t position);
const struct step_cost *real_world_fed(const struct real_world *real);
/* [vocab_count] of the pass's last position; and a taker of every position's (may be NULL). */
const float *real_world_logits(const struct real_world *real);
struct logits_tile;
void real_world_take_logits(struct real_world *real,
			    void (*take)(void *arg, const struct logits_tile *tile), void *arg);

/* Hold our own completion counts since open against the kernel's (or the device process's) count. EPROTO with both figures when they differ by
 * more than the kernel's own metadata reads allow; ENOTSUP where there is no outside count. */
MUST_CHECK int real_world_reconcile(struct real_world *real, struct err *err);
/* Begin both counts anew: another world of this process has been reading. */
void real_world_recount(struct real_world *real);

/* For tests: hold the store against 'resident' (pointer table) and against the file (row checksums), and the last FFN step's output
 * against one computed from the plain weights over the rows that the plan says. EPROTO names layer, row and neuron. */
MUST_CHECK int real_world_verify(struct real_world *real, uint32_t layer, const uint64_t *resident,
				 struct err *err);
/* For tests: damage one row of a layer's store, to show that verify finds it. */
void real_world_tamper_row(struct real_world *real, uint32_t layer);

#endif
