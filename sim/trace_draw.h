/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_draw.h - draws 16 words of neurons from token to token, all planes at once
 *
 * Bit-sliced: slice b of a plane's rates is a word whose bit i is bit b of neuron i's rate.  64
 * uniform numbers then cost one random word a slice, and are compared with the rates from the
 * lowest slice up: below = rate_b != random_b ? rate_b : below, which with the random bit inverted
 * is the majority of the three.  All planes of a neuron are compared with the same number, so that
 * they nest. */
#ifndef FLASH_TRACE_DRAW_H
#define FLASH_TRACE_DRAW_H

#include "trace_shape.h"

enum {
	DRAW_WORDS = 16,     /* two cache lines of each plane */
	DRAW_RATE_BITS = 12, /* slices of a rate */
	DRAW_KEEP_BITS = 10,
};
_Static_assert(1 << DRAW_KEEP_BITS == SHAPE_KEEP_STEPS,
	       "keep_frac stands on the grid that is drawn");

/* Each word has a random stream of its own (xorshift128+, Vigna 2014), so that what is drawn does
 * not depend on how many words are drawn together. */
struct draw_block {
	uint64_t a[DRAW_WORDS], b[DRAW_WORDS];
	uint64_t rates[SHAPE_PLANES][DRAW_RATE_BITS][DRAW_WORDS];
	uint64_t now[SHAPE_PLANES][DRAW_WORDS]; /* the token last drawn */
};

/* One token of a block. */
typedef uint64_t draw_token[SHAPE_PLANES][DRAW_WORDS];

/* The next 'count' tokens.  A neuron keeps its number with probability keep / SHAPE_KEEP_STEPS. */
void draw_tokens(struct draw_block *block, uint64_t keep, draw_token *tokens, uint32_t count);
/* The same in the instructions that every machine has; for tests. */
void draw_tokens_portable(struct draw_block *block, uint64_t keep, draw_token *tokens,
			  uint32_t count);

#endif
