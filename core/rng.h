/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rng.h - seeded random numbers that repeat to the bit on every machine
 *
 * splitmix64 (Steele, Lea, Flood 2014).  rng_mix() is its output function alone: a stateless hash, so
 * that mix(seed ^ place) gives the same draw in whatever order places are visited. */
#ifndef FLASH_RNG_H
#define FLASH_RNG_H

#include <stdint.h>

static inline uint64_t rng_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t out = rng_mix(rng->state);

	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	return out;
}

/* Uniform in [0, 1). */
static inline double rng_unit(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0, n < 2^32; the bias of at most n / 2^32 is left in. */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(((rng_next(rng) >> 32) * n) >> 32);
}

#endif
