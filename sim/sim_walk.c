/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_walk.c - the reads of a plan, its planes or stretches by turns */
#include "sim_walk.h"

#include <assert.h>

void sim_walk_init(struct sim_walk *walk, const struct plan *plan)
{
	walk->lane_count = plan->plane_count + plan->stretch_count;
	walk->lane = 0;
	assert(walk->lane_count <= SIM_WALK_LANES);
	for (unsigned i = 0; i < walk->lane_count; i++) {
		plan_reads_init(&walk->lanes[i], plan);
		walk->lanes[i].group = i;
	}
}

/* A lane that has no more has gone on to the next one's reads. */
static bool lane_next(struct sim_walk *walk, unsigned lane, struct flash_read *read)
{
	struct plan_reads *it = &walk->lanes[lane];

	return it->group == lane && plan_reads_next(it, read) && it->group == lane;
}

bool sim_walk_next(struct sim_walk *walk, struct flash_read *read)
{
	for (unsigned tried = 0; tried < walk->lane_count; tried++) {
		unsigned lane = walk->lane, next = lane + 1 < walk->lane_count ? lane + 1 : 0;
		const struct plan_reads *it = &walk->lanes[lane];

		if (lane_next(walk, lane, read)) {
			walk->given = lane;
			/* Within a slot the lane goes on; a stretch has no slots. */
			if (lane >= it->plan->plane_count || it->within == 0)
				walk->lane = next;
			return true;
		}
		walk->lane = next;
	}
	return false;
}
