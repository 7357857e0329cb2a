/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_world.h - the world that turns plans into time by the cost model, on a virtual clock
 *
 * Two levels of flash: the closed form (flash.h), and a recursion over every single read: P
 * parallel units and one shared bus, each free again at a known time.  The recursion's units are
 * derived from the same profile, and the two agree where the closed form is exact
 * (tests/sim/test_levels.c). */
#ifndef FLASH_SIM_WORLD_H
#define FLASH_SIM_WORLD_H

#include "device.h"
#include "policy.h"
#include "world.h"

enum sim_level { SIM_CLOSED, SIM_RECURSION };
extern const struct param_word sim_level_words[]; /* "closed", "recursion" */

struct sim_options {
	const struct device *device; /* these outlive the world */
	const struct model *model;
	const struct policy_config *config;
	const struct policy *policy;
	uint64_t ctx; /* context that attention sees at every token */
	enum sim_level level;
};

extern const struct world_ops world_sim; /* 'world' is a struct sim_world * */

struct sim_world;
MUST_CHECK int sim_world_open(struct sim_world **out, const struct sim_options *options,
			      struct err *err);
void sim_world_close(struct sim_world *sim); /* NULL is fine */

#endif
