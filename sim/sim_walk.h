/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_walk.h - a plan's reads in the order in which they are submitted
 *
 * Slot by slot, or piece by piece of a dense step, all planes or stretches of each: with layout
 * split a neuron's row and column are neighbours in time, so that it is whole when both are there.
 *
 *	for (sim_walk_init(&walk, plan); sim_walk_next(&walk, &read);) */
#ifndef FLASH_SIM_WALK_H
#define FLASH_SIM_WALK_H

#include "plan.h"

enum { SIM_WALK_LANES = PLAN_PLANES + PLAN_STRETCHES };

struct sim_walk {
	struct plan_reads lanes[SIM_WALK_LANES];
	unsigned lane_count;
	unsigned lane;	/* whose turn it is */
	unsigned given; /* whose read was given last */
};

void sim_walk_init(struct sim_walk *walk, const struct plan *plan);
bool sim_walk_next(struct sim_walk *walk, struct flash_read *read);
/* The read that was given last is the last lane's: what lies before its end in the plane (or
 * stretch) is there in all of them. */
static inline bool sim_walk_is_even(const struct sim_walk *walk)
{
	return walk->given + 1 == walk->lane_count;
}

#endif
