/* SPDX-License-Identifier: GPL-3.0-or-later */
/* run.h - the one run loop: next demand, plan, check, log, submit, compute, book
 *
 * Every plan is checked before any world sees it: nothing evicted that is not resident or is
 * demanded, nothing loaded twice, capacity kept, every load covered by a read.  After compute, what
 * the world says it completed is held against the plan.  A violation is EPROTO and names token,
 * layer, rule and figures. */
#ifndef FLASH_RUN_H
#define FLASH_RUN_H

#include "digest.h"
#include "policy.h"
#include "world.h"

#include <stdio.h>

/* One token's books, or one layer's of a token. */
struct books {
	uint64_t demand_neurons, load_neurons; /* load: rows that stream past as well */
	uint64_t resident_neurons;	       /* at compute, summed over layers */
	uint64_t read_count, read_bytes, dropped_bytes, moved_bytes;
	uint64_t io_ns, io_wait_ns, mem_ns, compute_ns, total_ns;
};

struct run_options {
	const struct model *model;
	struct policy *policy;
	uint32_t token_count; /* at most the trace's, where there is one */
	const struct world_ops *ops;
	void *world;
	FILE *decisions; /* the decision log as text (decision_log.h); NULL = digest only */
	/* Called after every token (layer -1) and, with layers = true, after every layer (the head
	 * as layer layer_count), whose total_ns is its io_wait + mem + compute. Non-zero stops the
	 * run with ECANCELED. May be NULL. */
	int (*book)(void *arg, uint32_t token, int32_t layer, const struct books *books);
	void *book_arg;
	bool layers;
	/* Test hook: may damage a plan after the policy made it and before it is checked. */
	void (*tamper)(void *arg, struct plan *plan);
	void *tamper_arg;
};

enum { RUN_LAYERS_MOST = 1024 }; /* as model_params.h allows */

struct run_outcome {
	char decision_hash[DIGEST_TEXT];
	uint32_t rows_peak;		      /* most resident rows of any layer at compute */
	uint32_t rows_peaks[RUN_LAYERS_MOST]; /* the same of each layer */
	uint64_t rows_peak_sum;	  /* the same summed over layers, each at its own peak; a transient
				   * residency (residency.h) reuses nothing and can do with one layer
				   * at a time: rows_peak and the pinned rows of the others */
	uint64_t load_peak;	  /* most rows loaded in one step, without those that stream past */
	uint64_t read_bytes_peak; /* most bytes read in one step */
};

MUST_CHECK int run(struct run_outcome *outcome, const struct run_options *options, struct err *err);

/* The same token by token, for those who learn the next one from the last: open, token 0, 1, ...,
 * finish.  'options' (whose token_count is not looked at) and 'outcome' must outlive the run; the
 * policy restarts at open. */
struct run;
MUST_CHECK int run_open(struct run **out, struct run_outcome *outcome,
			const struct run_options *options, struct err *err);
MUST_CHECK int run_token(struct run *run, uint32_t token, struct err *err);
/* Complete the outcome, of the tokens so far. */
MUST_CHECK int run_finish(struct run *run, struct err *err);
void run_close(struct run *run); /* NULL is fine */

/* Check one plan against the rules above, alone; used by run() and by tests. */
MUST_CHECK int plan_check(const struct plan *plan, const struct model *model,
			  const struct policy *policy, const uint64_t *resident, struct err *err);

#endif
