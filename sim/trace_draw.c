/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_draw.c - two words at a time (SSE2, NEON) or, with AVX2, four; the same bits */
#include "trace_draw.h"

#include <string.h>

#define LANES	    2
#define NAMED(name) pair_##name
#define TARGET
#include "trace_draw_lanes.h"

void draw_tokens_portable(struct draw_block *block, uint64_t keep, draw_token *tokens,
			  uint32_t count)
{
	for (size_t word = 0; word < DRAW_WORDS; word += 2)
		pair_words(block, word, keep, tokens, count);
}

#if defined(__x86_64__)

#define LANES	    4
#define NAMED(name) quad_##name
#define TARGET	    __attribute__((target("avx2")))
#include "trace_draw_lanes.h"

void draw_tokens(struct draw_block *block, uint64_t keep, draw_token *tokens, uint32_t count)
{
	if (!__builtin_cpu_supports("avx2")) {
		draw_tokens_portable(block, keep, tokens, count);
		return;
	}
	for (size_t word = 0; word < DRAW_WORDS; word += 4)
		quad_words(block, word, keep, tokens, count);
}

#else

void draw_tokens(struct draw_block *block, uint64_t keep, draw_token *tokens, uint32_t count)
{
	draw_tokens_portable(block, keep, tokens, count);
}

#endif
