/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host_pace.h - how fast this host reads memory just now
 *
 * Kernels wait for memory, which a host shares with whoever else runs on it: a forecast made from a
 * calibration holds while the host keeps the pace that it had then. */
#ifndef FLASH_HOST_PACE_H
#define FLASH_HOST_PACE_H

#include "real_kernels.h"

/* A matrix-vector product to be timed: weights [rows][n] of one type, one row behind the other. */
struct gemv_pass {
	const struct kernels *kernels;
	const unsigned char *weights;
	enum weight_type type;
	size_t rows, n;
	const float *x; /* [n] */
	float *y;	/* [rows] */
};
/* Seconds of one pass over all of it, by every thread of the pool. */
double gemv_pass_s(struct pool *pool, const struct gemv_pass *pass);

/* Bytes a second of a matrix-vector product over more memory than caches hold, by 'threads' threads:
 * the median of a few passes, some 20 ms in all.  0: there is no memory for it. */
double host_pace(unsigned threads);
/* Whether memory that is read at 'frac' of its usual pace has somebody else at it: slower by 0.3 at least, and by
 * three times the spread of what is usual.  One look is noisy, so ask before and after.  Never so for NaN. */
bool host_pace_is_slow(double frac, double spread_frac);

#endif
