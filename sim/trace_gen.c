/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_gen.c - a trace's planes from a shape: rates dealt to neurons, sliced, and drawn block by
 * block */
#include "huge_pages.h"
#include "rng.h"
#include "trace_draw.h"
#include "wide.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 16, /* of a packed neuron, one slot a plane */
	SLAB = 32,	/* tokens of a block that wait in cache to be written */
	LINE_WORDS = 8, /* of a cache line */
};
_Static_assert(SHAPE_PLANES *SLOT_BITS == 64 && (int)DRAW_RATE_BITS <= (int)SLOT_BITS,
	       "a neuron packs into a word");

/* One layer at work. */
struct layer_draw {
	struct trace *trace;
	uint32_t layer;
	uint64_t keep; /* of SHAPE_KEEP_STEPS */
	uint64_t seed;
	const double *rates; /* [neuron_count] by rank */
	double *dither;	     /* [neuron_count] what is added before a rate is cut to whole steps */
	uint32_t *order;     /* [neuron_count] scratch: the rank of each neuron */
	uint64_t *by_rank;   /* [neuron_count] scratch: packed rates */
	uint64_t *packed;    /* [64 * padded words] scratch: by neuron, then as slices */
	draw_token *slab;    /* [SLAB] scratch */
};

/* Transposes a 64 x 64 bit matrix: bit i of word j becomes bit j of word i. */
static void bits_transpose(uint64_t m[64])
{
	uint64_t mask = UINT64_C(0x00000000ffffffff);

	for (unsigned half = 32; half; half >>= 1, mask ^= mask << half)
		for (unsigned i = 0; i < 64; i = (i + half + 1) & ~half) {
			uint64_t swap = (m[i] >> half ^ m[i + half]) & mask;

			m[i] ^= swap << half;
			m[i + half] ^= swap;
		}
}

/* Fisher and Yates: neuron ids say nothing about rates. */
static void shuffle(uint32_t *order, uint32_t count, uint64_t seed)
{
	struct rng rng = {seed};

	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = rng_below(&rng, i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
}

/* What is rounded off is spread over the ranks evenly (multiples of the golden ratio), so that the mean
 * stays; the same for all planes, so that they stay nested. */
static void spread_dither(double *dither, uint32_t count)
{
	double at = 0.5;

	for (uint32_t i = 0; i < count; i++) {
		dither[i] = at;
		at += 0.6180339887498949;
		at -= at >= 1;
	}
}

/* The rates of each rank in whole steps. */
WIDE static void pack_rates(const struct layer_draw *draw, const double odds[SHAPE_PLANES])
{
	const double *restrict rates = draw->rates, *restrict dither = draw->dither;
	uint64_t *restrict by_rank = draw->by_rank;
	const uint32_t count = draw->trace->neuron_count;

	memset(by_rank, 0, count * sizeof(*by_rank));
	for (unsigned p = 0; p < SHAPE_PLANES; p++)
		for (uint32_t i = 0; i < count; i++) {
			double rate = shape_odds(rates[i], odds[p]);
			int32_t steps = (int32_t)(rate * (1 << DRAW_RATE_BITS) + dither[i]);
			int32_t most = (1 << DRAW_RATE_BITS) - 1;

			by_rank[i] |= (uint64_t)(steps < most ? steps : most) << p * SLOT_BITS;
		}
}

/* Neurons past the last have no rate and never fire. */
static void slice_rates(const struct layer_draw *draw, size_t padded_words)
{
	uint32_t count = draw->trace->neuron_count;

	memset(draw->packed, 0, padded_words * 64 * sizeof(*draw->packed));
	for (uint32_t i = 0; i < count; i++)
		draw->packed[i] = draw->by_rank[draw->order[i]];
	for (size_t w = 0; w < padded_words; w++)
		bits_transpose(draw->packed + w * 64);
}

static void block_init(struct draw_block *block, const struct layer_draw *draw, size_t word)
{
	memset(block->now, 0, sizeof(block->now));
	for (unsigned i = 0; i < DRAW_WORDS; i++) {
		const uint64_t *slices = draw->packed + (word + i) * 64;
		struct rng rng = {rng_mix(draw->seed ^ (word + i))};

		block->a[i] = rng_next(&rng);
		block->b[i] = rng_next(&rng) | 1; /* not both 0 */
		for (unsigned p = 0; p < SHAPE_PLANES; p++)
			for (unsigned bit = 0; bit < DRAW_RATE_BITS; bit++)
				block->rates[p][bit][i] = slices[p * SLOT_BITS + bit];
	}
}

/* Each line of the trace that a slab goes to is a miss: fetched while the slab is drawn, they cost nothing. */
static void fetch_slab(const struct layer_draw *draw, size_t word, uint32_t first, uint32_t count)
{
	if (draw->trace->words - word < DRAW_WORDS)
		return;
	for (uint32_t t = 0; t < count; t++)
		for (unsigned p = 0; p < SHAPE_PLANES; p++) {
			uint64_t *to = trace_plane(draw->trace, first + t, draw->layer, p) + word;

			for (unsigned w = 0; w < DRAW_WORDS; w += LINE_WORDS)
				__builtin_prefetch(to + w, 1);
			__builtin_prefetch(to + DRAW_WORDS - 1,
					   1); /* rows begin anywhere in a line */
		}
}

static void write_slab(const struct layer_draw *draw, size_t word, uint32_t first, uint32_t count)
{
	size_t left = draw->trace->words - word;

	for (uint32_t t = 0; t < count; t++)
		for (unsigned p = 0; p < SHAPE_PLANES; p++) {
			uint64_t *to = trace_plane(draw->trace, first + t, draw->layer, p) + word;

			/* A copy of known size is a few moves, one of unknown size a slow start. */
			if (left >= DRAW_WORDS)
				memcpy(to, draw->slab[t][p], DRAW_WORDS * sizeof(*to));
			else
				memcpy(to, draw->slab[t][p], left * sizeof(*to));
		}
}

/* A block is drawn a slab of tokens at a time: its words lie far apart in the trace, and would
 * otherwise push each other out of cache half written.  The very first token keeps nothing. */
static void draw_block_at(const struct layer_draw *draw, size_t word)
{
	uint32_t tokens = draw->trace->token_count;
	struct draw_block block;

	block_init(&block, draw, word);
	for (uint32_t first = 0, count; first < tokens; first += count) {
		count = tokens - first < SLAB ? tokens - first : SLAB;
		fetch_slab(draw, word, first, count);
		if (first == 0)
			draw_tokens(&block, 0, draw->slab, 1);
		draw_tokens(&block, draw->keep, draw->slab + !first, count - !first);
		write_slab(draw, word, first, count);
	}
}

static void draw_layer(const struct layer_draw *draw, const double odds[SHAPE_PLANES])
{
	size_t padded = (draw->trace->words + DRAW_WORDS - 1) / DRAW_WORDS * DRAW_WORDS;

	shuffle(draw->order, draw->trace->neuron_count, draw->seed);
	pack_rates(draw, odds);
	slice_rates(draw, padded);
	for (size_t word = 0; word < padded; word += DRAW_WORDS)
		draw_block_at(draw, word);
}

static int trace_prepare(struct trace *trace, const struct trace_shape *shape,
			 const struct model *model, uint32_t token_count, uint64_t seed,
			 struct err *err)
{
	const struct activity *a = &shape->activity;

	*trace = (struct trace){
		.layer_count = (uint32_t)model->layer_count,
		.neuron_count = (uint32_t)model->d_ffn,
		.token_count = token_count,
		.margin_count = SHAPE_PLANES,
	};
	memcpy(trace->margins, shape->margins, sizeof(shape->margins));
	snprintf(trace->model, sizeof(trace->model), "%.63s",
		 model->name[0] ? model->name : "unnamed");
	snprintf(trace->source, sizeof(trace->source),
		 "generated, seed %llu: active %g, fn %g, fp %g, s_agg(%u) %g, new %g, overlap %g, "
		 "hot %g",
		 (unsigned long long)seed, a->active_frac, a->fn_frac, a->fp_frac,
		 (unsigned)a->window_tokens, a->resident_frac, a->new_frac, a->overlap_frac,
		 a->hot_frac);
	return trace_init(trace, err);
}

/* All scratch in one block: rates, packed, by_rank, slab, dither, order. */
static int scratch_alloc(struct layer_draw *draw, double **rates, struct err *err)
{
	size_t neurons = draw->trace->neuron_count;
	size_t packed = (draw->trace->words + DRAW_WORDS) * 64;
	size_t bytes = (neurons + packed + 2 * neurons) * sizeof(uint64_t) +
		       SLAB * sizeof(*draw->slab) + neurons * sizeof(uint32_t);

	*rates = malloc(bytes);
	if (!*rates)
		return err_nomem(err, "drawing a trace", bytes);
	draw->rates = *rates;
	draw->packed = (uint64_t *)(void *)(*rates + neurons);
	draw->by_rank = draw->packed + packed;
	draw->slab = (draw_token *)(void *)(draw->by_rank + neurons);
	draw->dither = (double *)(void *)(draw->slab + SLAB);
	draw->order = (uint32_t *)(void *)(draw->dither + neurons);
	spread_dither(draw->dither, (uint32_t)neurons);
	return 0;
}

int trace_generate(struct trace *trace, const struct trace_shape *shape, const struct model *model,
		   uint32_t token_count, uint64_t seed, struct err *err)
{
	struct layer_draw draw = {
		.trace = trace,
		.keep = (uint64_t)(shape->curve.keep_frac * SHAPE_KEEP_STEPS + 0.5),
	};
	double *rates;

	assert(shape->layer_count == model->layer_count);
	if (trace_prepare(trace, shape, model, token_count, seed, err))
		return err->code;
	if (scratch_alloc(&draw, &rates, err)) {
		trace_fini(trace);
		return err->code;
	}
	assert(draw.order);
	huge_pages_hint(trace->planes, (size_t)trace_plane_count(trace) * trace->words *
					       trace->layer_count * token_count * sizeof(uint64_t));
	shape_rates(&shape->curve, rates, trace->neuron_count);
	for (draw.layer = 0; draw.layer < trace->layer_count; draw.layer++) {
		draw.seed = rng_mix(rng_mix(seed) + draw.layer);
		draw_layer(&draw, shape->odds[draw.layer]);
	}
	free(rates);
	return 0;
}
