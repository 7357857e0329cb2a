/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_draw_lanes.h - draw_tokens() for one register width (no include guard: read once for each)
 *
 * LANES words are drawn together, in functions named by NAMED() and compiled for TARGET. */

typedef uint64_t NAMED(lanes) __attribute__((vector_size(LANES * sizeof(uint64_t))));

struct NAMED(state) {
	NAMED(lanes) a, b, rates[SHAPE_PLANES][DRAW_RATE_BITS], now[SHAPE_PLANES];
};

TARGET static inline NAMED(lanes) NAMED(random)(struct NAMED(state) * s)
{
	NAMED(lanes) x = s->a, y = s->b, out = x + y;

	s->a = y;
	x ^= x << 23;
	s->b = x ^ y ^ (x >> 18) ^ (y >> 5);
	return out;
}

/* Bits that are 1 with probability keep / 2^DRAW_KEEP_BITS: the comparison of trace_draw.h with one
 * number for all, so that what is random is one operation a bit. */
TARGET static inline NAMED(lanes) NAMED(kept)(struct NAMED(state) * s, uint64_t keep)
{
	NAMED(lanes) kept = {0};

	for (unsigned bit = 0; bit < DRAW_KEEP_BITS; bit++) {
		NAMED(lanes) random = NAMED(random)(s);

		kept = keep >> bit & 1 ? kept | random : kept & random;
	}
	return kept;
}

/* Neurons that are not kept are drawn anew, in all planes. */
TARGET static inline void NAMED(token)(struct NAMED(state) * s, uint64_t keep)
{
	NAMED(lanes) kept = NAMED(kept)(s, keep);
	NAMED(lanes) below[SHAPE_PLANES] = {{0}};

	for (unsigned bit = 0; bit < DRAW_RATE_BITS; bit++) {
		NAMED(lanes) random = NAMED(random)(s);

		for (unsigned p = 0; p < SHAPE_PLANES; p++)
			below[p] ^= (s->rates[p][bit] ^ below[p]) & (random ^ below[p]);
	}
	for (unsigned p = 0; p < SHAPE_PLANES; p++)
		s->now[p] = below[p] ^ ((below[p] ^ s->now[p]) & kept);
}

/* Words [word, word + LANES) of the block. */
TARGET static void NAMED(words)(struct draw_block *block, size_t word, uint64_t keep,
				draw_token *tokens, uint32_t count)
{
	struct NAMED(state) s;

	memcpy(&s.a, block->a + word, sizeof(s.a));
	memcpy(&s.b, block->b + word, sizeof(s.b));
	for (unsigned p = 0; p < SHAPE_PLANES; p++) {
		memcpy(&s.now[p], block->now[p] + word, sizeof(s.now[p]));
		for (unsigned bit = 0; bit < DRAW_RATE_BITS; bit++)
			memcpy(&s.rates[p][bit], block->rates[p][bit] + word, sizeof(s.a));
	}
	for (uint32_t t = 0; t < count; t++) {
		NAMED(token)(&s, keep);
		for (unsigned p = 0; p < SHAPE_PLANES; p++)
			memcpy(tokens[t][p] + word, &s.now[p], sizeof(s.now[p]));
	}
	memcpy(block->a + word, &s.a, sizeof(s.a));
	memcpy(block->b + word, &s.b, sizeof(s.b));
	for (unsigned p = 0; p < SHAPE_PLANES; p++)
		memcpy(block->now[p] + word, &s.now[p], sizeof(s.now[p]));
}

#undef LANES
#undef NAMED
#undef TARGET
