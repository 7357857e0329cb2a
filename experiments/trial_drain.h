/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_drain.h - a world that remembers what is resident, so that its store can be emptied and the
 * world used again
 *
 * Opening a real world costs as much as many tokens: weights to load, memory to touch.  Between
 * two repeats only the store must be as it was at first, and a world empties it like any policy
 * would: by a plan that evicts. */
#ifndef FLASH_TRIAL_DRAIN_H
#define FLASH_TRIAL_DRAIN_H

#include "policy.h"
#include "world.h"

struct trial_drain {
	const struct world_ops *ops; /* of the world behind */
	void *world;
	uint32_t layer_count, neuron_count, pinned_rows;
	size_t words;
	uint64_t *resident; /* [layer][words], after the last sparse step of each */
};

/* 'world' is a struct trial_drain *; passes all on to the world behind. */
extern const struct world_ops trial_drain_ops;

MUST_CHECK int trial_drain_open(struct trial_drain *drain, const struct world_ops *ops, void *world,
				const struct model *model, const struct policy *policy,
				struct err *err);
void trial_drain_close(struct trial_drain *drain); /* zeroed is fine */
/* Evict everything but the pinned rows. */
MUST_CHECK int trial_drain_empty(struct trial_drain *drain, struct err *err);

#endif
