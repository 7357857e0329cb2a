/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tail.h - how single batches and steps scatter around the means that the other forms give
 *
 * A mean says nothing of a token's 99th percentile.  Three small mechanisms, each measured by
 * calibrate, each drawn so that its mean is 0:
 *
 *	stalls		a read in 1/stall_frac takes longer by an exponential time of mean stall_ns
 *	spread		a batch is longer or shorter by a normal time of deviation batch_spread_ns
 *	hiccups		arithmetic is held up hiccup_rate_per_s times a second by an exponential time
 *			of mean hiccup_ns; and scatters by a normal share spread_frac
 *
 * Only the end of a batch feels a stall: a read that stalls while many others wait for the bottleneck is made good
 * by them.  Read i of N leaves (N - i) D until the others end, so that a stall longer than that shows, and its
 * rest is exponential again: as if
 *	N_eff = (1 - e^(-N D / m)) / (1 - e^(-D / m))		m = stall_ns
 * reads could stall at the very end.  The batch ends with the longest of them. */
#ifndef FLASH_TAIL_H
#define FLASH_TAIL_H

#include "device.h"
#include "rng.h"

/* What one batch of 'read_count' reads takes beyond (or, negative, short of) flash_batch_ns(), which
 * holds the mean of it. */
double tail_batch_ns(const struct flash_params *flash, struct rng *rng, double read_count,
		     double read_bytes);
/* The same for a step whose arithmetic takes 'ns' on average. */
double tail_compute_ns(const struct compute_params *compute, struct rng *rng, double ns);

/* Reads that could stall at the very end: N_eff. */
double tail_end_reads(const struct flash_params *flash, double read_count, double read_bytes);
/* Mean of the longest of a Poisson number (mean 'expected') of exponential times of mean 1. */
double tail_longest_mean(double expected);

/* What batches say of stalls: a threshold beyond the usual time of each kind of batch, and how many
 * batches were beyond it by how much. */
struct tail_excess {
	double read_bytes, read_count;
	double threshold_ns;  /* of the excess over the median */
	double batches, over; /* looked at; beyond the threshold */
	double over_ns;	      /* sum of what those were beyond the threshold */
};
/* stall_ns is the mean excess (exponential times have no memory); stall_frac is what makes as many
 * of them.  Both 0 where fewer than 3 batches stand out. */
void tail_fit(struct flash_params *flash, const struct tail_excess *excesses, unsigned count);

#endif
