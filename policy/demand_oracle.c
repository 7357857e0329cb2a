/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand_oracle.c - the neurons that truly fire: the trace's plane of margin 0 */
#include "demand.h"

static const uint64_t *oracle_step(void *state, const struct trace *trace, uint32_t token,
				   uint32_t layer, uint64_t *neurons)
{
	(void)state;
	(void)neurons;
	return trace_plane(trace, token, layer, trace->active_plane);
}

const char demand_oracle_help[] = "the truly active neurons of the trace (ReLU fires)";

const struct demand_ops demand_oracle = {
	.name = "oracle",
	.help = demand_oracle_help,
	.step = oracle_step,
};
