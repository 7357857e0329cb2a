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
 * The sum of batch_ns, R(b,1), (N-1) D and, where N > n, (N-n) (1 + (n-1)/2N) (1/X - D).
 *
 * That is the first read's latency, the bottleneck's share of the others, and what latency
 * costs beyond the bottleneck for those that waited their turn. N/X and a constant for large
 * N, N R(b,1) for n = 1, never less than one read's latency; grows with N and b, falls with n.
 * 0 reads cost 0 ns. */
double flash_batch_ns(const struct flash_params *flash, uint64_t read_count, uint64_t read_bytes,
		      unsigned in_flight);

/* Figures a user can act on.  n* = (s + b/B1) / D(b): reads in flight that saturate the device. */
double flash_saturation_in_flight(const struct flash_params *flash, double read_bytes);
/* h BM: the read size whose transfer costs what its request costs. */
double flash_half_bandwidth_bytes(const struct flash_params *flash);

#endif
