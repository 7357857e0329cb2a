/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_stats.h - describes a trace: density, s_agg(k), overlap, hot set; of its active set or of a
 * demand */
#ifndef FLASH_TRACE_STATS_H
#define FLASH_TRACE_STATS_H

#include "policy.h"
#include "trace.h"

enum { TRACE_STATS_K = 32 };

struct trace_stats {
	double density_frac;			      /* mean over tokens and layers */
	double density_first_frac, density_last_frac; /* first and last layer */
	double aggregated_frac[TRACE_STATS_K + 1]; /* s_agg(k), k = 1 .. ; averaged over windows and
						      layers; NaN past the trace */
	double overlap_frac;			   /* |S(t) & S(t-1)| / |S(t)| */
	double hot_frac; /* smallest share of neurons that gives 80 % of firings, mean over layers
			  */
};

/* Of the sets that 'config' would demand (its demand axis; oracle = truly active), tokens from
 * 'first' on. */
MUST_CHECK int trace_stats(struct trace_stats *stats, const struct trace *trace,
			   const struct model *model, const struct policy_config *config,
			   uint32_t first, struct err *err);

#endif
