/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bits.h - sets of neurons as bitmaps
 *
 * A demand, a plan's loads and evictions, and the resident rows of one layer are each a set of neuron
 * ids 0 .. n-1, kept as bits_words(n) words, bit i of word i/64 is neuron i.  Bits at and past n are
 * 0; every function here keeps that, bits_fill() included.  16,384 neurons are 2 KiB, so that a
 * policy's work per step is a few passes over a cache-resident page. */
#ifndef FLASH_BITS_H
#define FLASH_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t bits_words(uint32_t n)
{
	return ((size_t)n + 63) / 64;
}

static inline bool bits_get(const uint64_t *set, uint32_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static inline void bits_put(uint64_t *set, uint32_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_drop(uint64_t *set, uint32_t i)
{
	set[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline void bits_clear(uint64_t *set, uint32_t n)
{
	memset(set, 0, bits_words(n) * sizeof(*set));
}

static inline void bits_fill(uint64_t *set, uint32_t n)
{
	memset(set, 0xff, bits_words(n) * sizeof(*set));
	if (n % 64)
		set[n / 64] = (UINT64_C(1) << (n % 64)) - 1;
}

static inline void bits_copy(uint64_t *to, const uint64_t *from, uint32_t n)
{
	memcpy(to, from, bits_words(n) * sizeof(*to));
}

static inline uint32_t bits_count(const uint64_t *set, uint32_t n)
{
	uint32_t count = 0;

	for (size_t w = 0; w < bits_words(n); w++)
		count += (uint32_t)__builtin_popcountll(set[w]);
	return count;
}

/* For each set bit: BITS_EACH(set, n, i) { ... uint32_t i ... }; 'break' leaves one word only. */
#define BITS_EACH(set, n, i)                                                                       \
	for (size_t i##_w = 0; i##_w < bits_words(n); i##_w++)                                     \
		for (uint64_t i##_b = (set)[i##_w], i = 0;                                         \
		     i##_b && (i = i##_w * 64 + (uint64_t)__builtin_ctzll(i##_b), 1);              \
		     i##_b &= i##_b - 1)

#endif
