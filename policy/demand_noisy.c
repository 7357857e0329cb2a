/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand_noisy.c - true ReLU with a predictor's errors, drawn from the pre-activation margin
 *
 * A predictor errs where the pre-activation is near 0 (the paper's Fig 3a), and on the same neurons
 * again and again.  So its misses (false negatives) are the weakest of the active: whole bands
 * between two planes of the trace as long as they fit in fn_frac, and of the next stronger band a
 * fixed subset of neurons.  Its false alarms are the nearest of the inactive, likewise.  The subset
 * is fixed for each layer (a hash of layer and neuron), not drawn for each token: independent flips
 * would make neurons come and go that a real predictor asks for steadily, and about double the I/O.
 * Misses take the low end of the hash and false alarms the high end, so that a neuron leans one
 * way.
 *
 * Planes and subsets are set in init() from at most SAMPLES tokens spread over the trace, each
 * layer for itself; over the whole trace the fractions then hold to a few per cent of their value.
 */
#include "policy.h"
#include "rng.h"
#include "sets.h"
#include "wide.h"

#include <assert.h>
#include <errno.h>

enum { SAMPLES = 64, COUNTER_BITS = 7, BUCKETS = 4096 };
_Static_assert(SAMPLES < 1 << COUNTER_BITS, "a counter holds the number of samples");
_Static_assert(BUCKETS <= UINT16_MAX, "a bucket's number is short");

/* demand = kept less weak misses, plus false alarms. */
struct noisy_layer {
	uint32_t keep;	/* actives in this plane are found, but for 'miss' in the band up to plane
			   keep-1 */
	uint32_t alarm; /* all of this plane is asked for, and 'extra' of the band up to plane
			   alarm+1 */
	uint64_t *miss, *extra;
};

struct noisy {
	size_t words;
	uint32_t sample_count;
	uint64_t *counters, *carry; /* scratch of init(): COUNTER_BITS sets, and one */
	uint64_t *no_plane;	    /* the empty set: what lies above plane 0 */
	uint32_t *buckets;	    /* scratch of init(): firings by hash */
	uint16_t *bucket_of;	    /* scratch of init(): hashes of the layer at hand's neurons */
	struct noisy_layer layers[];
};

static size_t noisy_sets(const struct trace *trace)
{
	return COUNTER_BITS + 2 + 2 * (size_t)trace->layer_count;
}

static size_t noisy_state_bytes(const struct trace *trace)
{
	return sizeof(struct noisy) + trace->layer_count * sizeof(struct noisy_layer) +
	       noisy_sets(trace) * trace->words * sizeof(uint64_t) + BUCKETS * sizeof(uint32_t) +
	       trace->neuron_count * sizeof(uint16_t);
}

static void noisy_carve(struct noisy *noisy, const struct trace *trace)
{
	uint64_t *sets = (uint64_t *)(void *)(noisy->layers + trace->layer_count);

	noisy->words = trace->words;
	noisy->sample_count = trace->token_count < SAMPLES ? trace->token_count : SAMPLES;
	noisy->counters = sets;
	noisy->carry = sets + COUNTER_BITS * trace->words;
	noisy->no_plane = noisy->carry + trace->words;
	sets = noisy->no_plane + trace->words;
	for (uint32_t layer = 0; layer < trace->layer_count; layer++) {
		noisy->layers[layer].miss = sets;
		noisy->layers[layer].extra = sets + trace->words;
		sets += 2 * trace->words;
	}
	noisy->buckets = (uint32_t *)(void *)sets;
	noisy->bucket_of = (uint16_t *)(void *)(noisy->buckets + BUCKETS);
}

static uint32_t sample_token(const struct noisy *noisy, const struct trace *trace, uint32_t sample)
{
	return (uint32_t)((uint64_t)sample * trace->token_count / noisy->sample_count);
}

/* A plane, or the empty set for plane -1. */
static const uint64_t *plane_or_none(const struct noisy *noisy, const struct trace *trace,
				     uint32_t token, uint32_t layer, uint32_t plane)
{
	return plane == UINT32_MAX ? noisy->no_plane : trace_plane(trace, token, layer, plane);
}

/* to = outer less inner; returns whether anything is in it. */
WIDE static uint64_t band_make(uint64_t *restrict to, const uint64_t *restrict inner,
			       const uint64_t *restrict outer, size_t words)
{
	uint64_t any = 0;

	for (size_t w = 0; w < words; w++) {
		to[w] = outer[w] & ~inner[w];
		any |= to[w];
	}
	return any;
}

/* One bit of every counter takes its carry, and leaves the next bit's; returns whether there is any. */
WIDE static uint64_t counter_add(uint64_t *restrict counter, uint64_t *restrict carry, size_t words)
{
	uint64_t any = 0;

	for (size_t w = 0; w < words; w++) {
		uint64_t both = counter[w] & carry[w];

		counter[w] ^= carry[w];
		carry[w] = both;
		any |= both;
	}
	return any;
}

/* counters += the band between planes inner and outer, for each neuron: ripple-carry, 64 neurons a
 * word. */
static void band_count_token(struct noisy *noisy, const uint64_t *inner, const uint64_t *outer)
{
	uint64_t left = band_make(noisy->carry, inner, outer, noisy->words);

	for (unsigned bit = 0; left; bit++) {
		assert(bit < COUNTER_BITS);
		left = counter_add(noisy->counters + bit * noisy->words, noisy->carry,
				   noisy->words);
	}
}

static void buckets_deal(struct noisy *noisy, const struct trace *trace, uint32_t layer)
{
	for (uint32_t n = 0; n < trace->neuron_count; n++)
		noisy->bucket_of[n] =
			(uint16_t)((rng_mix((uint64_t)layer << 32 | n) >> 32) % BUCKETS);
}

/* The counters of word w's neurons into their buckets: each neuron once. */
static void buckets_add(struct noisy *noisy, size_t w)
{
	uint64_t counters[COUNTER_BITS], any = 0;

	for (unsigned bit = 0; bit < COUNTER_BITS; bit++) {
		counters[bit] = noisy->counters[bit * noisy->words + w];
		any |= counters[bit];
	}
	for (; any; any &= any - 1) {
		unsigned i = (unsigned)__builtin_ctzll(any);
		uint32_t count = 0;

		for (unsigned bit = 0; bit < COUNTER_BITS; bit++)
			count |= (uint32_t)(counters[bit] >> i & 1) << bit;
		noisy->buckets[noisy->bucket_of[w * 64 + i]] += count;
	}
}

/* How often each hash bucket's neurons lie in the band between planes inner and outer. */
static void band_count(struct noisy *noisy, const struct trace *trace, uint32_t layer,
		       uint32_t inner, uint32_t outer)
{
	memset(noisy->counters, 0, COUNTER_BITS * noisy->words * sizeof(*noisy->counters));
	memset(noisy->buckets, 0, BUCKETS * sizeof(*noisy->buckets));
	for (uint32_t i = 0; i < noisy->sample_count; i++) {
		uint32_t token = sample_token(noisy, trace, i);

		band_count_token(noisy, plane_or_none(noisy, trace, token, layer, inner),
				 trace_plane(trace, token, layer, outer));
	}
	for (size_t w = 0; w < noisy->words; w++)
		buckets_add(noisy, w);
}

/* The number of buckets, taken in order (from the top: in reverse), whose sum comes nearest to
 * 'want'. */
static uint32_t buckets_for(const struct noisy *noisy, uint64_t want, bool from_top)
{
	uint64_t sum = 0;
	uint32_t taken = 0;

	while (taken < BUCKETS && sum < want) {
		uint32_t next = noisy->buckets[from_top ? BUCKETS - 1 - taken : taken];

		if (sum + next > want && sum + next - want > want - sum)
			break;
		sum += next;
		taken++;
	}
	return taken;
}

/* Neurons of the layer at hand whose buckets are [first, end). */
static void subset_put(uint64_t *set, const struct noisy *noisy, const struct trace *trace,
		       uint32_t first, uint32_t end)
{
	for (uint32_t n = 0; n < trace->neuron_count; n++) {
		uint64_t within = noisy->bucket_of[n] - first < end - first;

		set[n / 64] |= within << n % 64; /* no branch: any neuron may be the one */
	}
}

/* How often each plane of a layer fires over the sampled tokens. */
struct firings {
	const struct trace *trace;
	uint32_t layer;
	uint64_t counts[TRACE_PLANES_MAX];
};

static struct firings layer_firings(const struct noisy *noisy, const struct trace *trace,
				    uint32_t layer)
{
	struct firings f = {.trace = trace, .layer = layer};

	for (uint32_t i = 0; i < noisy->sample_count; i++) {
		uint32_t token = sample_token(noisy, trace, i);

		for (uint32_t p = 0; p < trace->margin_count; p++)
			f.counts[p] += set_count(trace_plane(trace, token, layer, p), trace->words);
	}
	return f;
}

static void layer_misses(struct noisy *noisy, const struct firings *f, double fn_frac)
{
	const struct trace *trace = f->trace;
	const uint64_t *counts = f->counts;
	struct noisy_layer *own = &noisy->layers[f->layer];
	uint64_t want = (uint64_t)(fn_frac * (double)counts[trace->active_plane] + 0.5);
	uint64_t band;

	own->keep = trace->active_plane;
	while (own->keep > 0 && (band = counts[own->keep] - counts[own->keep - 1]) <= want) {
		want -= band;
		own->keep--;
	}
	if (!want)
		return;
	band_count(noisy, trace, f->layer, own->keep - 1, own->keep);
	subset_put(own->miss, noisy, trace, 0, buckets_for(noisy, want, false));
}

static int layer_alarms(struct noisy *noisy, const struct firings *f, double fp_frac,
			struct err *err)
{
	const struct trace *trace = f->trace;
	const uint64_t *counts = f->counts;
	struct noisy_layer *own = &noisy->layers[f->layer];
	uint64_t active = counts[trace->active_plane];
	uint64_t inactive = (uint64_t)trace->neuron_count * noisy->sample_count - active;
	uint64_t want = (uint64_t)(fp_frac * (double)inactive + 0.5), band;
	uint32_t last = trace->margin_count - 1;

	own->alarm = trace->active_plane;
	while (own->alarm < last && (band = counts[own->alarm + 1] - counts[own->alarm]) <= want) {
		want -= band;
		own->alarm++;
	}
	if (!want)
		return 0;
	if (own->alarm == last)
		return err_set(
			err, EINVAL,
			"demand noisy: layer %u: fp_frac %g is out of the trace's reach: all of "
			"margin %g is %g of the inactive neurons; lower fp_frac or use a trace "
			"with a lower margin",
			f->layer, fp_frac, trace->margins[last],
			(double)(counts[last] - active) / (double)inactive);
	band_count(noisy, trace, f->layer, own->alarm, own->alarm + 1);
	subset_put(own->extra, noisy, trace, BUCKETS - buckets_for(noisy, want, true), BUCKETS);
	return 0;
}

static int noisy_init(void *state, const struct policy_config *config, const struct trace *trace,
		      struct err *err)
{
	struct noisy *noisy = state;

	noisy_carve(noisy, trace);
	for (uint32_t layer = 0; layer < trace->layer_count; layer++) {
		const struct firings f = layer_firings(noisy, trace, layer);

		buckets_deal(noisy, trace, layer);
		layer_misses(noisy, &f, config->fn_frac);
		if (layer_alarms(noisy, &f, config->fp_frac, err))
			return err->code;
	}
	return 0;
}

/* What one step looks at. */
struct noisy_sets {
	const uint64_t *active, *keep, *sure, *miss, *alarm, *near, *extra;
};

WIDE static void noisy_join(uint64_t *restrict to, const struct noisy_sets *sets, size_t words)
{
	const uint64_t *restrict active = sets->active, *restrict keep = sets->keep;
	const uint64_t *restrict sure = sets->sure, *restrict miss = sets->miss;
	const uint64_t *restrict alarm = sets->alarm, *restrict near = sets->near;
	const uint64_t *restrict extra = sets->extra;

	for (size_t w = 0; w < words; w++)
		to[w] = sure[w] | (keep[w] & ~miss[w]) |
			((alarm[w] | (near[w] & extra[w])) & ~active[w]);
}

static const uint64_t *noisy_step(void *state, const struct trace *trace, uint32_t token,
				  uint32_t layer, uint64_t *neurons)
{
	const struct noisy *noisy = state;
	const struct noisy_layer *own = &noisy->layers[layer];
	uint32_t last = trace->margin_count - 1;
	const struct noisy_sets sets = {
		.active = trace_plane(trace, token, layer, trace->active_plane),
		.keep = trace_plane(trace, token, layer, own->keep),
		.sure = plane_or_none(noisy, trace, token, layer, own->keep - 1),
		.miss = own->miss,
		.alarm = trace_plane(trace, token, layer, own->alarm),
		.near = trace_plane(trace, token, layer, own->alarm < last ? own->alarm + 1 : last),
		.extra = own->extra,
	};

	noisy_join(neurons, &sets, noisy->words);
	return neurons;
}

const char demand_noisy_help[] = "the truly active with fn_frac missed and fp_frac of the inactive "
				 "added, nearest the margin first";

const struct demand_ops demand_noisy = {
	.name = "noisy",
	.help = demand_noisy_help,
	.state_bytes = noisy_state_bytes,
	.init = noisy_init,
	.step = noisy_step,
};
