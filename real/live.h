/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live.h - a model that reads its tokens and writes the next: prefill, then one decode a token
 *
 * Runs the policy's loop over the real world, token by token.  A prompt is one dense pass: every
 * layer streams by once, in tiles.  Demand `dense` asks for every neuron; `oracle` asks for those
 * that truly fire, which a dense twin of the model finds beforehand, with all its weights in plain
 * memory, outside budget and clock: for tests and small models.  Other demands need a recorded trace
 * or a predictor, and are ENOTSUP. */
#ifndef FLASH_LIVE_H
#define FLASH_LIVE_H

#include "policy.h"
#include "real_emulated.h"
#include "real_forward.h"
#include "real_world.h"
#include "run.h"

/* What a model's headers say: read once, however often a run's needs are asked for. */
struct live_shape {
	struct model model;
	enum weight_type weights;
};
/* From base.gguf and the file of the policy's layout. */
MUST_CHECK int live_shape_read(struct live_shape *shape, const char *model_dir,
			       const struct policy_config *config, struct err *err);

struct live_options {
	const char *model_dir;
	const struct live_shape *shape;	    /* of its headers; looked at until the call returns */
	const struct policy_config *config; /* its weights are not looked at: the model's are */
	const struct real_target *target;
	uint64_t ctx;	      /* positions that the KV cache holds */
	uint32_t prompt_most; /* longest prefill, at least 1 */
	unsigned threads;
	uint64_t seed;
	uint64_t tile_bytes; /* most bytes read before they are used; 0: as the engine likes */
};

/* What a live run takes of DRAM: the process as it stands (code, libraries, tokenizer) and its world.
 * An oracle's twin is not in it. */
struct live_need {
	uint64_t program_bytes;
	struct real_need world;
	uint64_t total_bytes;
};
MUST_CHECK int live_need(struct live_need *need, const struct live_options *options,
			 struct err *err);
/* Make a run fit 'budget_bytes': smaller read buffers, then a lower cap_frac where the residency has
 * one, else, where 'adapt_persistence', a lower persist_frac.  'options' points to 'config'.  EDOM
 * when nothing helps, with every part of the need. */
MUST_CHECK int live_fit(struct live_options *options, struct policy_config *config,
			bool adapt_persistence, uint64_t budget_bytes, struct err *err);

struct live;
MUST_CHECK int live_open(struct live **out, const struct live_options *options, struct err *err);
void live_close(struct live *live); /* NULL is fine */
const struct model *live_model(const struct live *live);
/* What an oracle's twin holds beside the run, outside budget and clock; 0 without one. */
uint64_t live_twin_bytes(const struct live *live);

/* Take the next tokens: many at once, or one by the policy.  EDOM when ctx is full, EINVAL for an id
 * that the model does not have.  'books' is what it cost, its embedding rows included. */
MUST_CHECK int live_prefill(struct live *live, const uint32_t *ids, uint32_t count,
			    struct books *books, struct err *err);
MUST_CHECK int live_decode(struct live *live, uint32_t id, struct books *books, struct err *err);
uint32_t live_position(const struct live *live); /* tokens taken so far */
/* Begin a new text: the next token stands at position 0.  What is in DRAM stays there. */
void live_rewind(struct live *live);
/* [vocab_count] after the last token taken. */
const float *live_logits(const struct live *live);
/* Told every position's logits of the next prefills; NULL: no more. */
void live_take_logits(struct live *live, void (*take)(void *arg, const struct logits_tile *tile),
		      void *arg);
/* Our counts of reads and bytes against the kernel's (real_world_reconcile). */
MUST_CHECK int live_reconcile(struct live *live, struct err *err);

#endif
