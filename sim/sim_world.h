/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_world.h - the world that turns plans into time by the cost model, on a virtual clock
 *
 * Flash at one of three levels (sim_flash.h), store and kernels in closed form (dram.h, compute.h).
 * With overlap none a step is reads, store, arithmetic, one after the other; with pipeline they
 * overlap (sim_pipeline.c).  Reads begin when a step is submitted, which is after its layer's
 * attention was computed; of a store that flash reads into, after its rows were chosen. */
#ifndef FLASH_SIM_WORLD_H
#define FLASH_SIM_WORLD_H

#include "device.h"
#include "policy.h"
#include "sim_flash.h"
#include "world.h"

struct sim_options {
	const struct device *device; /* these outlive the world */
	const struct model *model;
	const struct policy_config *config;
	const struct policy *policy;
	uint64_t ctx; /* context that attention sees at every token */
	enum sim_level level;
	enum sim_units units;	   /* level events */
	uint64_t seed;		   /* of the draws of each token's tail */
	unsigned tail_draws;	   /* 0: none are made */
	struct timeline *timeline; /* where the spans of one token go; NULL: nowhere */
};

extern const struct world_ops world_sim; /* 'world' is a struct sim_world * */

struct sim_world;
MUST_CHECK int sim_world_open(struct sim_world **out, const struct sim_options *options,
			      struct err *err);
void sim_world_close(struct sim_world *sim); /* NULL is fine */

/* What the token that ended last may take beyond its total (or, negative, short of it), by each draw; valid
 * until the next one begins.  *count is 0 where the profile knows no tail (tail.h) or none was asked for. */
const double *sim_world_tail(const struct sim_world *sim, unsigned *count);

#endif
