/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash.c - the closed form of flash reads: steady state, and one batch of them */
#include "flash.h"

#include <assert.h>
#include <math.h>

/* (a^p + b^p)^(1/p) for a, b >= 0, scaled by the larger so that p = 64 does not overflow. */
static double norm2(double a, double b, double p)
{
	double high = fmax(a, b), low = fmin(a, b);

	if (high == 0)
		return 0;
	return high * pow(1 + pow(low / high, p), 1 / p);
}

/* s + b/B1: one read alone, before the bottleneck has its say. */
static double stream_ns(const struct flash_params *flash, double read_bytes)
{
	return flash->latency_ns + read_bytes / flash->stream_bytes_per_s * 1e9;
}

/* D(b) of the form. */
static double cap_ns(const struct flash_params *flash, double read_bytes)
{
	return norm2(1e9 / flash->request_rate_per_s, read_bytes / flash->peak_bytes_per_s * 1e9,
		     flash->size_norm);
}

/* 1/X(b,n): nanoseconds from one completion to the next. */
static double interval_ns(const struct flash_params *flash, double read_bytes, double in_flight)
{
	double ns = norm2(stream_ns(flash, read_bytes) / in_flight, cap_ns(flash, read_bytes),
			  flash->knee);

	return ns / flash_correction_at(&flash->correction, read_bytes, in_flight);
}

/* Of a corrected form: D as the deepest column has it, and no more than any column's interval,
 * since nothing completes faster than the bottleneck lets it. */
double flash_bottleneck_ns(const struct flash_params *flash, double read_bytes)
{
	const struct flash_correction *c = &flash->correction;
	double ns = cap_ns(flash, read_bytes);

	if (!c->depth_count)
		return ns;
	ns /= flash_correction_at(c, read_bytes, c->in_flight[c->depth_count - 1]);
	for (unsigned i = 0; i < c->depth_count; i++)
		ns = fmin(ns, interval_ns(flash, read_bytes, c->in_flight[i]));
	return ns;
}

double flash_reads_per_s(const struct flash_params *flash, double read_bytes, double in_flight)
{
	assert(read_bytes > 0 && in_flight > 0);
	return 1e9 / interval_ns(flash, read_bytes, in_flight);
}

double flash_read_ns(const struct flash_params *flash, double read_bytes)
{
	assert(read_bytes > 0);
	return interval_ns(flash, read_bytes, 1);
}

/* How much of what batches of batch_in_flight showed holds for n in flight: from 0 at n = 1 to 1. */
static double batch_share(const struct flash_params *flash, double in_flight)
{
	if (flash->batch_in_flight <= 1)
		return in_flight > 1 ? 1 : 0;
	return fmin(log(in_flight) / log((double)flash->batch_in_flight), 1);
}

double flash_batch_factor(const struct flash_params *flash, double read_count, double read_bytes,
			  double in_flight)
{
	if (!flash->batch_correction.size_count)
		return 1;
	return pow(flash_correction_at(&flash->batch_correction, read_bytes, read_count),
		   batch_share(flash, in_flight));
}

double flash_computing_factor(const struct flash_params *flash, double in_flight)
{
	if (!(flash->computing_slowdown > 0))
		return 1;
	return pow(flash->computing_slowdown, batch_share(flash, in_flight));
}

/* The device in its simplest exact case (fixed latency, one fixed bottleneck, n reads kept in
 * flight) sends the first read after its latency R and the others at least D apart: R + (N-1) D,
 * all there is to say when the bottleneck is busy (n >= n*) or when one round does it (N <= n).
 * Otherwise the N - n reads of later rounds come 1/X apart, not D.  That sum is exact at N = n, 2n,
 * 3n, ...; in between, the last round is partly empty but takes as long, half a round on average
 * over N, and (n-1)/(2N) of the N - n reads is that half round.  Each term but the crowd's falls with
 * n, and all grow with N and b. */
double flash_batch_ns(const struct flash_params *flash, uint64_t read_count, uint64_t read_bytes,
		      unsigned in_flight)
{
	double count = (double)read_count, bytes = (double)read_bytes, width = in_flight;
	double apart, extra, ns;

	assert(read_bytes > 0 && in_flight > 0);
	if (read_count == 0)
		return 0;
	apart = flash_bottleneck_ns(flash, bytes);
	ns = flash->batch_ns + flash_read_ns(flash, bytes) + (count - 1) * apart +
	     (fmin(count, width) - 1) * flash->crowd_ns;
	if (count > width) {
		extra = fmax(0, interval_ns(flash, bytes, width) - apart);
		ns += (count - width) * (1 + (width - 1) / (2 * count)) * extra;
	}
	return ns * flash_batch_factor(flash, count, bytes, width);
}

uint32_t flash_gap_slots(const struct flash_params *flash, uint64_t slot_bytes, unsigned in_flight,
			 uint64_t most_bytes)
{
	double slot = (double)slot_bytes, most = (double)most_bytes, faster;

	assert(slot_bytes > 0 && in_flight > 0);
	if (most_bytes < 3 * slot_bytes)
		return 0;
	faster = most * flash_reads_per_s(flash, most, in_flight) /
		 (slot * flash_reads_per_s(flash, slot, in_flight));
	return (uint32_t)floor(fmax(0, fmin(faster - 1, most / slot - 2)));
}

double flash_saturation_in_flight(const struct flash_params *flash, double read_bytes)
{
	assert(read_bytes > 0);
	return stream_ns(flash, read_bytes) / cap_ns(flash, read_bytes);
}

double flash_half_bandwidth_bytes(const struct flash_params *flash)
{
	return flash->peak_bytes_per_s / flash->request_rate_per_s;
}
