/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand.h - where an FFN step's demand comes from
 *
 * One file a member (demand_<name>.c), one line in demands.h.  dense needs nothing; oracle (true
 * ReLU), noisy (true ReLU with errors drawn from the margin) and trace (the recorded demand) need a
 * trace. */
#ifndef FLASH_DEMAND_H
#define FLASH_DEMAND_H

#include "plan.h"
#include "trace.h"

struct policy_config;

struct demand_ops {
	const char *name, *help;
	bool dense; /* every neuron, every step: needs no trace */
	size_t (*state_bytes)(const struct trace *trace);
	/* Look at the whole trace once (noisy finds its thresholds). EINVAL when the trace lacks
	 * what it needs, with the figures. */
	int (*init)(void *state, const struct policy_config *config, const struct trace *trace,
		    struct err *err);
	/* The set for one step, into 'neurons' (room for a plane) or straight from the trace:
	 * returns which. */
	const uint64_t *(*step)(void *state, const struct trace *trace, uint32_t token,
				uint32_t layer, uint64_t *neurons);
};

/* The help line is an array of its own, so that it is also a constant of the words' table. */
#define DEMAND(name)                                                                               \
	extern const char demand_##name##_help[];                                                  \
	extern const struct demand_ops demand_##name;
#include "demands.h"
#undef DEMAND

#endif
