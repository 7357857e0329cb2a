/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sets.c - counting and folding of sets, a word at a time */
#include "sets.h"

#include "wide.h"

#include <assert.h>

/* The build may not assume the instruction that counts bits, and without it a count takes ten times
 * as long, a third of a whole run: so it is looked for when the program runs. */
#if defined(__x86_64__)
#define WITH_POPCNT   __attribute__((target("popcnt")))
#define HAVE_POPCNT() (__builtin_cpu_supports("popcnt") != 0)
#else
#define WITH_POPCNT
#define HAVE_POPCNT() true
#endif

static uint32_t count_portably(const uint64_t *set, size_t words)
{
	uint64_t count = 0;

	for (size_t w = 0; w < words; w++)
		count += (uint64_t)__builtin_popcountll(set[w]);
	return (uint32_t)count;
}

WITH_POPCNT static uint32_t count_fast(const uint64_t *set, size_t words)
{
	uint64_t counts[4] = {0};
	size_t w = 0;

	for (; w + 4 <= words; w += 4) {
		counts[0] += (uint64_t)__builtin_popcountll(set[w]);
		counts[1] += (uint64_t)__builtin_popcountll(set[w + 1]);
		counts[2] += (uint64_t)__builtin_popcountll(set[w + 2]);
		counts[3] += (uint64_t)__builtin_popcountll(set[w + 3]);
	}
	for (; w < words; w++)
		counts[0] += (uint64_t)__builtin_popcountll(set[w]);
	return (uint32_t)(counts[0] + counts[1] + counts[2] + counts[3]);
}

static uint32_t both_portably(const uint64_t *a, const uint64_t *b, size_t words)
{
	uint64_t count = 0;

	for (size_t w = 0; w < words; w++)
		count += (uint64_t)__builtin_popcountll(a[w] & b[w]);
	return (uint32_t)count;
}

WITH_POPCNT static uint32_t both_fast(const uint64_t *a, const uint64_t *b, size_t words)
{
	uint64_t even = 0, odd = 0;
	size_t w = 0;

	for (; w + 2 <= words; w += 2) {
		even += (uint64_t)__builtin_popcountll(a[w] & b[w]);
		odd += (uint64_t)__builtin_popcountll(a[w + 1] & b[w + 1]);
	}
	if (w < words)
		even += (uint64_t)__builtin_popcountll(a[w] & b[w]);
	return (uint32_t)(even + odd);
}

uint32_t set_count(const uint64_t *set, size_t words)
{
	return HAVE_POPCNT() ? count_fast(set, words) : count_portably(set, words);
}

uint32_t set_count_both(const uint64_t *a, const uint64_t *b, size_t words)
{
	return HAVE_POPCNT() ? both_fast(a, b, words) : both_portably(a, b, words);
}

void set_put_range(uint64_t *set, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i = (i | 63) + 1) {
		uint64_t bits = UINT64_MAX << (i % 64);

		if (end - i < 64 - i % 64)
			bits &= (UINT64_C(1) << end % 64) - 1;
		set[i / 64] |= bits;
	}
}

/* from >> shift over all words, its word w. */
static inline uint64_t word_down(const uint64_t *from, size_t words, size_t w, uint32_t shift)
{
	size_t at = w + shift / 64;
	uint64_t low = at < words ? from[at] : 0, high = at + 1 < words ? from[at + 1] : 0;

	return shift % 64 ? low >> shift % 64 | high << (64 - shift % 64) : low;
}

/* to = from & from >> shift; returns whether anything is left. */
WIDE static bool narrow(uint64_t *restrict to, const uint64_t *restrict from, size_t words,
			uint32_t shift)
{
	size_t inner = shift < 64 ? words - 1 : 0;
	uint64_t any = 0;

	for (size_t w = 0; w < inner; w++) {
		to[w] = from[w] & (from[w] >> shift | from[w + 1] << (64 - shift));
		any |= to[w];
	}
	for (size_t w = inner; w < words; w++) {
		to[w] = from[w] & word_down(from, words, w, shift);
		any |= to[w];
	}
	return any;
}

/* to = from | from << shift, 0 < shift < 64. */
WIDE static void spread(uint64_t *restrict to, const uint64_t *restrict from, size_t words,
			uint32_t shift)
{
	to[0] = from[0] | from[0] << shift;
	for (size_t w = 1; w < words; w++)
		to[w] = from[w] | from[w] << shift | from[w - 1] >> (64 - shift);
}

bool set_has_run(const uint64_t *set, size_t words, uint32_t length)
{
	uint64_t room[2][SET_WORDS_MOST];
	const uint64_t *from = set;
	unsigned turn = 0;

	assert(words >= 1 && words <= SET_WORDS_MOST);
	/* A bit stays while the 'done' bits behind it are set too. */
	for (uint32_t done = 0, step; done < length; done += step) {
		step = done + 1 < length - done ? done + 1 : length - done;
		if (!narrow(room[turn], from, words, step))
			return false;
		from = room[turn];
		turn = !turn;
	}
	return length > 0 || set_count(set, words) > 0;
}

/* Bit by bit, as the header says it. */
static void close_gaps_in_turn(uint64_t *set, uint32_t count, uint32_t gap, uint32_t most)
{
	uint32_t first = 0, behind = 0; /* the run at hand is [first, behind) */

	/* What is set here lies before the bits that are still to come. */
	BITS_EACH (set, count, bit) {
		uint32_t i = (uint32_t)bit;

		if (behind == 0 || i - behind > gap || i - first >= most)
			first = i;
		else if (i > behind)
			set_put_range(set, behind, i);
		behind = i + 1;
	}
}

/* Gaps of at most 'gap' < 64, whatever runs that makes: every bit spreads over the 'gap' ones behind
 * it, and then stays only where the 'gap' ones behind it are set. */
static void close_short_gaps(uint64_t *to, const uint64_t *set, size_t words, uint32_t gap)
{
	uint64_t room[2][SET_WORDS_MOST + 1]; /* the last word takes what spreads out of the set */
	unsigned turn = 0;

	memcpy(room[0], set, words * sizeof(*set));
	room[0][words++] = 0;
	for (uint32_t done = 0, step; done < gap; done += step, turn = !turn) {
		step = done + 1 < gap - done ? done + 1 : gap - done;
		spread(room[!turn], room[turn], words, step);
	}
	for (uint32_t done = 0, step; done < gap; done += step, turn = !turn) {
		step = done + 1 < gap - done ? done + 1 : gap - done;
		(void)narrow(room[!turn], room[turn], words, step);
	}
	memcpy(to, room[turn], (words - 1) * sizeof(*to));
}

void set_close_gaps(uint64_t *set, uint32_t count, uint32_t gap, uint32_t most)
{
	uint64_t closed[SET_WORDS_MOST];
	size_t words = bits_words(count);

	assert(words >= 1 && words <= SET_WORDS_MOST && most >= 1);
	if (gap == 0)
		return;
	if (gap < 64) {
		close_short_gaps(closed, set, words, gap);
		if (!set_has_run(closed, words, most)) { /* none is cut: the common case */
			memcpy(set, closed, words * sizeof(*set));
			return;
		}
	}
	close_gaps_in_turn(set, count, gap, most);
}

/* The even bits of a word, in its low half. */
static inline uint64_t even_bits(uint64_t x)
{
	x &= UINT64_C(0x5555555555555555);
	x = (x | x >> 1) & UINT64_C(0x3333333333333333);
	x = (x | x >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
	return (x | x >> 16) & UINT64_C(0x00000000ffffffff);
}

/* Fold pairs of bits; 'to' may be 'from': a word is read before it is written. Returns the words
 * left. */
static size_t fold_pairs(uint64_t *to, const uint64_t *from, size_t words)
{
	size_t half = (words + 1) / 2;

	for (size_t w = 0; w < half; w++) {
		uint64_t low = from[2 * w], high = 2 * w + 1 < words ? from[2 * w + 1] : 0;

		to[w] = even_bits(low | low >> 1) | even_bits(high | high >> 1) << 32;
	}
	return half;
}

void set_fold(uint64_t *to, const uint64_t *from, size_t words, uint32_t group)
{
	uint64_t inverse;

	assert(group >= 1 && group < 1 << 20);
	if (group == 1) {
		memcpy(to, from, words * sizeof(*to));
		return;
	}
	if ((group & (group - 1)) == 0) {
		size_t left = fold_pairs(to, from, words);

		for (uint32_t g = 2; g < group; g *= 2)
			left = fold_pairs(to, to, left);
		memset(to + left, 0, (words - left) * sizeof(*to));
		return;
	}
	/* i / group as a product: exact while both are below 2^20, in a fifth of the time. */
	inverse = (UINT64_C(1) << 40) / group + 1;
	assert(words <= (1 << 20) / 64);
	memset(to, 0, words * sizeof(*to));
	BITS_EACH (from, (uint32_t)words * 64, i) {
		uint32_t slot = (uint32_t)((uint64_t)i * inverse >> 40);

		bits_put(to, slot);
	}
}
