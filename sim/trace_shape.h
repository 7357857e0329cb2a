/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_shape.h - the generator's solved parameters: what trace_shape.c fits and trace_gen.c draws from
 *
 * Each neuron of a layer holds a uniform number that is kept from token to token with probability
 * keep_frac and drawn anew otherwise; it is in a plane when the number is below its rate there.  So
 * planes are nested, every plane is a two-state chain of the same persistence, and for any set with
 * rates q
 *	s_agg(k) = mean of 1 - (1 - q) (1 - (1 - keep) q)^(k-1).
 * Rates come from one curve over ranks u in (0, 1), hottest first, a cold tail and a hot head,
 *	q(u) = t + h - t h,   t = tail_top (1 - u)^tail_power,   h = head_top max(0, 1 - u / head_width),
 * whose odds are multiplied by one factor a layer and plane, so that each has its density. */
#ifndef FLASH_TRACE_SHAPE_H
#define FLASH_TRACE_SHAPE_H

#include "trace_gen.h"

enum shape_plane { SHAPE_STRONG, SHAPE_ACTIVE, SHAPE_NEAR, SHAPE_WIDE, SHAPE_PLANES };

struct shape_curve {
	double head_top, head_width, tail_top, tail_power;
	double keep_frac; /* a multiple of 1 / SHAPE_KEEP_STEPS */
};

enum { SHAPE_KEEP_STEPS = 1024 };

/* The rate of rank u under a factor on its odds. */
static inline double shape_odds(double rate, double odds)
{
	return odds * rate / (1 + (odds - 1) * rate);
}

/* Rates of 'count' ranks, the i-th of them (i + 1/2) / count, rounded so that every libm agrees. */
void shape_rates(const struct shape_curve *curve, double *rates, size_t count);

struct trace_shape {
	struct activity activity;
	struct shape_curve curve;
	double margins[SHAPE_PLANES];
	uint32_t layer_count;
	double (*odds)[SHAPE_PLANES]; /* [layer] */
};

#endif
