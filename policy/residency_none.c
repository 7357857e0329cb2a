/* SPDX-License-Identifier: GPL-3.0-or-later */
/* residency_none.c - no reuse: a row lives for one step, and is read again when it is demanded
 * again */
#include "residency.h"

struct none {
	struct residency_env env;
	uint64_t pinned[]; /* the pinned rows, as a set */
};

static size_t none_state_bytes(const struct residency_env *env, const void *params)
{
	(void)params;
	return sizeof(struct none) + bits_words(env->neuron_count) * sizeof(uint64_t);
}

static void none_init(void *state, const struct residency_env *env, const void *params)
{
	struct none *none = state;

	(void)params;
	none->env = *env;
	bits_fill(none->pinned, env->pinned_rows);
}

static int none_step(void *state, const struct demand *demand, const uint64_t *resident,
		     const struct moves *moves, struct err *err)
{
	const struct none *none = state;

	(void)err;
	for (size_t w = 0; w < bits_words(none->env.neuron_count); w++) {
		moves->evict[w] = resident[w] & ~none->pinned[w];
		moves->load[w] = demand->neurons[w] & ~none->pinned[w];
	}
	return 0;
}

const char residency_none_help[] = "no reuse: rows live for one step and are read for every token";

const struct residency_ops residency_none = {
	.name = "none",
	.help = residency_none_help,
	.transient = true,
	.state_bytes = none_state_bytes,
	.init = none_init,
	.step = none_step,
};
