/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sets.h - arithmetic on whole sets of neurons, a word at a time (see bits.h)
 *
 * A step of a 16,384-neuron layer is a few passes over 2 KiB.  Loops are written so that a compiler
 * without -mpopcnt or -mavx still makes vector code of them: no branch and no call inside. */
#ifndef FLASH_SETS_H
#define FLASH_SETS_H

#include "bits.h"

enum { SET_WORDS_MOST = 4096 }; /* d_ffn is at most 262,144 (model_params.h) */

/* Number of set bits in 'words' words; of bits that are set in both. */
uint32_t set_count(const uint64_t *set, size_t words);
uint32_t set_count_both(const uint64_t *a, const uint64_t *b, size_t words);

/* OR neighbouring groups of 'group' bits into one bit each: bit i of 'to' is set when any of the
 * bits [i * group, (i + 1) * group) of 'from' is.  'to' has room for 'words' words and is cleared
 * first; 'from' is a set over 0 .. 64 * words - 1 and may not overlap it.  group >= 1. */
void set_fold(uint64_t *to, const uint64_t *from, size_t words, uint32_t group);

/* The first set bit at or after 'start', or 'end' when there is none below it. */
static inline uint32_t set_next(const uint64_t *set, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i = (i | 63) + 1) {
		uint64_t rest = set[i / 64] >> (i % 64);

		if (rest) {
			i += (uint32_t)__builtin_ctzll(rest);
			return i < end ? i : end;
		}
	}
	return end;
}

/* The first bit at or after 'start' that is not set, or 'end' when there is none below it. */
static inline uint32_t set_next_absent(const uint64_t *set, uint32_t start, uint32_t end)
{
	for (uint32_t i = start; i < end; i = (i | 63) + 1) {
		uint64_t rest = ~set[i / 64] >> (i % 64);

		if (rest) {
			i += (uint32_t)__builtin_ctzll(rest);
			return i < end ? i : end;
		}
	}
	return end;
}

/* Word 'w' of a set, without its bits at and past 'end'. */
static inline uint64_t set_word_below(const uint64_t *set, size_t w, uint32_t end)
{
	return w < end / 64 ? set[w] : w > end / 64 ? 0 : set[w] & ((UINT64_C(1) << end % 64) - 1);
}

/* Set the bits [first, end). */
void set_put_range(uint64_t *set, uint32_t first, uint32_t end);

/* Close gaps, from the first bit on: a stretch of at most 'gap' absent bits is set when the bit behind
 * it is less than 'most' bits behind the one that the run began with.  A run without gaps may be
 * longer than 'most'; it is taken to begin anew every 'most' bits.  most >= 1; bits at and past
 * 'count' are not set. */
void set_close_gaps(uint64_t *set, uint32_t count, uint32_t gap, uint32_t most);

/* Is there a run of more than 'length' set bits? */
bool set_has_run(const uint64_t *set, size_t words, uint32_t length);

#endif
