/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand_trace.c - what a real predictor asked for, as recorded in the trace */
#include "demand.h"

#include <errno.h>

static int trace_demand_init(void *state, const struct policy_config *config,
			     const struct trace *trace, struct err *err)
{
	(void)state;
	(void)config;
	if (!trace->has_demand)
		return err_set(err, EINVAL,
			       "demand trace: the trace (%s) has no recorded demand, only margins; "
			       "use oracle or noisy",
			       trace->source[0] ? trace->source : "no source");
	return 0;
}

static const uint64_t *trace_demand_step(void *state, const struct trace *trace, uint32_t token,
					 uint32_t layer, uint64_t *neurons)
{
	(void)state;
	(void)neurons;
	return trace_plane(trace, token, layer, trace->margin_count);
}

const char demand_trace_help[] = "the demand that is recorded in the trace";

const struct demand_ops demand_trace = {
	.name = "trace",
	.help = demand_trace_help,
	.init = trace_demand_init,
	.step = trace_demand_step,
};
