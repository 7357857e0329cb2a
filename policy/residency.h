/* SPDX-License-Identifier: GPL-3.0-or-later */
/* residency.h - decides which FFN rows stay in DRAM; touches no DRAM, no flash, no clock
 *
 * One file a member (residency_<name>.c, ending in its ops), one line in residencies.h: it then
 * exists in both worlds, in YAML (`residency: <name>`, its own parameters beside it), in --help and
 * in the plots.  A member sees demands in program order and nothing else, so one trace gives one
 * list of decisions.
 *
 * Rules that every step is held to (plan_check.c); rows are evicted first, then loaded:
 *  - evict only resident rows, and none that is pinned or demanded (but see 'transient');
 *  - load only rows that are not resident then;
 *  - the result holds the demand and fits the capacity.
 *
 * A member with a row `cap_frac` is given capacity_rows = floor(cap_frac * d_ffn); else d_ffn. */
#ifndef FLASH_RESIDENCY_H
#define FLASH_RESIDENCY_H

#include "plan.h"

struct residency_env {
	uint32_t layer_count, neuron_count;
	uint32_t capacity_rows; /* most resident rows of a layer, pinned ones included */
	uint32_t pinned_rows;	/* rows 0 .. pinned-1 are always resident and never evicted */
};

/* What a step decides; both sets come empty. */
struct moves {
	uint64_t *evict, *load;
};

struct residency_ops {
	const char *name;		  /* as in YAML */
	const char *help;		  /* the line that --help prints */
	const struct param_table *params; /* own rows; NULL = none */
	size_t params_bytes;
	/* Rows live for one step only: nothing is reused. Every row that is not pinned leaves
	 * before the layer's next step, and what is demanded again is read again: evict = resident
	 * less pinned, load = demand less pinned, which the check demands to the bit.  A store that
	 * evicts first and loads then needs no word of this. */
	bool transient;

	/* State grows with env; the caller allocates it zeroed, a member never mallocs. */
	size_t (*state_bytes)(const struct residency_env *env, const void *params);
	void (*init)(void *state, const struct residency_env *env, const void *params);
	/* Decide one sparse FFN step: set bits in 'moves'.  Afterwards
	 * resident' = (resident less evict) plus load must contain the demand and fit the capacity.
	 * EDOM with both figures when the demand alone does not fit. */
	int (*step)(void *state, const struct demand *demand, const uint64_t *resident,
		    const struct moves *moves, struct err *err);
};

#define RESIDENCY(name)                                                                            \
	extern const char residency_##name##_help[];                                               \
	extern const struct residency_ops residency_##name;
#include "residencies.h"
#undef RESIDENCY

#endif
