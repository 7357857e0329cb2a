/* SPDX-License-Identifier: GPL-3.0-or-later */
/* saturation.h - how a rate grows with threads: linear while each waits for itself, flat once they share what there is
 *
 *	rate(t) = ((t one)^-q + all^-q)^(-1/q)
 *
 * the soft minimum of flash.h, with threads in the place of reads in flight; q large is a roofline. */
#ifndef FLASH_SATURATION_H
#define FLASH_SATURATION_H

#include "err.h"

#include <stdbool.h>

/* In this order everywhere: one, all, q. */
enum { SATURATION_ONE, SATURATION_ALL, SATURATION_KNEE, SATURATION_PARAMS };

struct saturation {
	double params[SATURATION_PARAMS]; /* rates in units of the points' */
	double low[SATURATION_PARAMS],
		high[SATURATION_PARAMS];    /* 95 % intervals; a knee that was held: low = high */
	bool identified[SATURATION_PARAMS]; /* high/low <= 3 */
	double error_frac;		    /* mean absolute relative error at the points */
};

/* What t threads reach. */
double saturation_rate(const double *params, double threads);

struct saturation_point {
	unsigned threads;
	double rate;
};

/* Robust against single points that something held up.  The knee is 4, 2, 1, sharp or fitted: a later one where AICc
 * is lower by 2.  EDOM: points of one number of threads alone, one that is not positive, or no fit. */
MUST_CHECK int saturation_fit(struct saturation *fit, const struct saturation_point *points,
			      unsigned count, struct err *err);

#endif
