/* SPDX-License-Identifier: GPL-3.0-or-later */
/* world.h - who executes plans: sim (virtual clock, cost model) or real (files, memory, kernels,
 * wall clock)
 *
 * The run loop (run.h) calls, for each step:  ticket = submit(plan);  compute(plan, ticket).
 * submit() starts the plan's reads and returns; compute() waits for them, does the store's deletes
 * and inserts and the arithmetic, and says what it cost and what was really read.  With overlap,
 * several tickets are open at once. */
#ifndef FLASH_WORLD_H
#define FLASH_WORLD_H

#include "plan.h"

/* What one step cost, and what completed: reads and bytes are counted where they complete, not
 * where they were asked for. */
struct step_cost {
	uint64_t io_ns;	     /* reads in service: first submission to last completion */
	uint64_t io_wait_ns; /* of it, what compute waited for */
	uint64_t mem_ns;     /* deletes, inserts, deciding */
	uint64_t compute_ns;
	uint64_t read_count, read_bytes;
	uint64_t moved_bytes; /* copied inside DRAM */
};

struct world_ops {
	const char *name; /* "sim", "real", "null" */
	int (*token_begin)(void *world, uint32_t token, struct err *err);
	/* 'plan' stays valid and unchanged until compute() of its ticket has returned. */
	int (*submit)(void *world, const struct plan *plan, uint64_t *ticket, struct err *err);
	int (*compute)(void *world, const struct plan *plan, uint64_t ticket,
		       struct step_cost *cost, struct err *err);
	/* total_ns: wall (or virtual) time since token_begin(). */
	int (*token_end)(void *world, uint64_t *total_ns, struct err *err);
};

/* Executes nothing, costs nothing, reports every read as completed: measures the harness, and sizes
 * a run. */
extern const struct world_ops world_null;

#endif
