/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash.h - how long reads from flash take, in closed form (reference: docs/costmodel.md)
 *
 * n reads in flight, b bytes each:
 *	latency bound   X_L(b,n) = n / (s + b/B1)
 *	bottleneck      D(b)     = (h^r + (b/BM)^r)^(1/r)
 *	throughput      X(b,n)   = (X_L^-q + D^q)^(-1/q)     reads a second
 *	mean latency    R(b,n)   = n / X                      Little's law
 * X times the profile's correction at (b, n), where it has one (flash_correction.h); D then follows the
 * corrected X of the deepest column.  Wrong by its fit error (device.origin); means only: conflicts
 * and stalls are inside them, their scatter is not. */
#ifndef FLASH_FLASH_H
#define FLASH_FLASH_H

#include "device.h"

/* Reads a second in steady state. read_bytes > 0, in_flight > 0. */
double flash_reads_per_s(const struct flash_params *flash, double read_bytes, double in_flight);
/* D(b): nanoseconds a read of a saturated device. */
double flash_bottleneck_ns(const struct flash_params *flash, double read_bytes);
/* R(b,1): latency of one read alone. */
double flash_read_ns(const struct flash_params *flash, double read_bytes);

/* Time to bring one step's misses: N = 'read_count' reads of b = 'read_bytes' with n =
 * 'in_flight' outstanding.
 *
 * The sum of batch_ns, R(b,1), (N-1) D, (min(N,n) - 1) crowd_ns and, where N > n,
 * (N-n) (1 + (n-1)/2N) (1/X - D); times flash_batch_factor().
 *
 * That is the first read's latency, the bottleneck's share of the others, and what latency
 * costs beyond the bottleneck for those that waited their turn; and what reads cost each other that
 * set out at once, a device whose addresses meet in units having no full pipe yet. N/X and a
 * constant for large N, N R(b,1) for n = 1, never less than one read's latency; grows with N and b,
 * falls with n but for the crowd.  0 reads cost 0 ns. */
double flash_batch_ns(const struct flash_params *flash, uint64_t read_count, uint64_t read_bytes,
		      unsigned in_flight);

/* Reading more and discarding it: how many slots of 'slot_bytes' between two that are needed may be
 * read with them, in one request of at most 'most_bytes'.
 *
 * With n = 'in_flight' outstanding a read of b bytes takes c(b) = 1/X(b,n) of a busy device.  In a chain
 * of needed slots with g others before each, all in reads of M = most_bytes, one costs (1+g) b c(M)/M;
 * apart it costs c(b).  So the gap may be the g at which both are equal:
 *	1 + g = M X(M,n) / (b X(b,n))    how much faster large reads bring bytes than slots alone do
 * Since c is convex, no shorter chain is slower for it either, down to two slots: c((2+g) b) <= 2 c(b).
 * (Two slots alone could bear a longer gap; a chain of such gaps would take up to twice as long as the
 * slots apart.)  About h BM / b - 1 slots where requests are the limit, s B1 bytes where latency is,
 * and none where bytes are. */
uint32_t flash_gap_slots(const struct flash_params *flash, uint64_t slot_bytes, unsigned in_flight,
			 uint64_t most_bytes);

/* What flash_batch_ns() multiplies its sum by: the profile's batch_correction, 1 without; measured
 * with batch_in_flight, and less the further n is below it (none at n = 1, where a batch is its reads one
 * by one).  For those who time a batch read by read. */
double flash_batch_factor(const struct flash_params *flash, double read_count, double read_bytes,
			  double in_flight);

/* How many times as long a step's reads take beside kernels: computing_slowdown, less the further n is below
 * batch_in_flight, as above; 1 where it was not measured. */
double flash_computing_factor(const struct flash_params *flash, double in_flight);

/* Figures a user can act on.  n* = (s + b/B1) / D(b): reads in flight that saturate the device. */
double flash_saturation_in_flight(const struct flash_params *flash, double read_bytes);
/* h BM: the read size whose transfer costs what its request costs. */
double flash_half_bandwidth_bytes(const struct flash_params *flash);

#endif
