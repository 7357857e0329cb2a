/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_stats.c - describes the sets that a demand takes from a trace, a word of 64 neurons at a
 * time */
#include "trace_stats.h"

#include "sets.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* One layer's sets of every token looked at, and what is summed over layers. */
struct stats {
	const struct demand_ops *demand;
	void *state; /* of the demand; NULL when it needs none */
	const struct trace *trace;
	uint32_t first, tokens; /* tokens [first, first + tokens) */
	size_t words;
	uint64_t *sets;	     /* [tokens][words] */
	uint64_t *joined;    /* [words] scratch */
	uint32_t *fired;     /* [neuron_count] firings of each */
	uint32_t *histogram; /* [tokens + 1] how many neurons fired i times */
	struct trace_stats sum;
};

/* demand->step() may answer with a pointer of its own; dense answers with none. */
static void layer_sets(struct stats *s, uint32_t layer)
{
	for (uint32_t t = 0; t < s->tokens; t++) {
		uint64_t *to = s->sets + t * s->words;

		if (s->demand->dense) {
			bits_fill(to, s->trace->neuron_count);
			continue;
		}
		const uint64_t *set =
			s->demand->step(s->state, s->trace, s->first + t, layer, s->joined);

		bits_copy(to, set, s->trace->neuron_count);
	}
}

static double layer_density(const struct stats *s)
{
	uint64_t fired = 0;

	for (uint32_t t = 0; t < s->tokens; t++)
		fired += set_count(s->sets + t * s->words, s->words);
	return (double)fired / s->tokens / s->trace->neuron_count;
}

/* For each token the union with ever more tokens before it; a window counts where all of it is in
 * the trace. */
static void layer_windows(struct stats *s)
{
	uint64_t distinct[TRACE_STATS_K + 1] = {0};

	for (uint32_t t = 0; t < s->tokens; t++) {
		bits_clear(s->joined, s->trace->neuron_count);
		for (uint32_t k = 1; k <= TRACE_STATS_K && k <= t + 1; k++) {
			const uint64_t *set = s->sets + (t + 1 - k) * s->words;

			for (size_t w = 0; w < s->words; w++)
				s->joined[w] |= set[w];
			distinct[k] += set_count(s->joined, s->words);
		}
	}
	for (uint32_t k = 1; k <= TRACE_STATS_K && k <= s->tokens; k++)
		s->sum.aggregated_frac[k] +=
			(double)distinct[k] / (s->tokens - k + 1) / s->trace->neuron_count;
}

/* Of all firings that have a token before them: how many fired there too. */
static void layer_overlap(struct stats *s, uint64_t *both, uint64_t *fired)
{
	for (uint32_t t = 1; t < s->tokens; t++) {
		const uint64_t *before = s->sets + (t - 1) * s->words, *set = before + s->words;

		for (size_t w = 0; w < s->words; w++)
			s->joined[w] = set[w] & before[w];
		*both += set_count(s->joined, s->words);
		*fired += set_count(set, s->words);
	}
}

static void count_firings(struct stats *s)
{
	memset(s->fired, 0, s->trace->neuron_count * sizeof(*s->fired));
	for (uint32_t t = 0; t < s->tokens; t++)
		BITS_EACH (s->sets + t * s->words, s->trace->neuron_count, n)
			s->fired[n]++;
}

/* The fewest neurons that give 80 % of the layer's firings, hottest first; the last one counts in
 * part. */
static double layer_hot(struct stats *s)
{
	double total = 0, left, neurons = 0;

	count_firings(s);
	memset(s->histogram, 0, ((size_t)s->tokens + 1) * sizeof(*s->histogram));
	for (uint32_t n = 0; n < s->trace->neuron_count; n++) {
		s->histogram[s->fired[n]]++;
		total += s->fired[n];
	}
	left = 0.8 * total;
	for (uint32_t times = s->tokens; times > 0; times--) {
		double gives = (double)times * s->histogram[times];

		if (gives >= left) {
			neurons += left / times;
			break;
		}
		neurons += s->histogram[times];
		left -= gives;
	}
	return neurons / s->trace->neuron_count;
}

static void stats_layers(struct stats *s)
{
	uint32_t layers = s->trace->layer_count;
	uint64_t both = 0, fired = 0;

	for (uint32_t layer = 0; layer < layers; layer++) {
		double density;

		layer_sets(s, layer);
		density = layer_density(s);
		s->sum.density_frac += density / layers;
		if (layer == 0)
			s->sum.density_first_frac = density;
		s->sum.density_last_frac = density;
		layer_windows(s);
		layer_overlap(s, &both, &fired);
		s->sum.hot_frac += layer_hot(s) / layers;
	}
	for (uint32_t k = 0; k <= TRACE_STATS_K; k++)
		s->sum.aggregated_frac[k] =
			k <= s->tokens ? s->sum.aggregated_frac[k] / layers : NAN;
	s->sum.overlap_frac = fired ? (double)both / (double)fired : NAN;
}

static int stats_open(struct stats *s, const struct policy_config *config, struct err *err)
{
	size_t neurons = s->trace->neuron_count;
	size_t set_bytes = ((size_t)s->tokens + 1) * s->words * sizeof(*s->sets);
	size_t count_bytes = (neurons + s->tokens + 1) * sizeof(*s->fired);

	s->sets = malloc(set_bytes);
	s->fired = malloc(count_bytes);
	if (!s->sets || !s->fired)
		return err_nomem(err, "a trace's statistics", set_bytes + count_bytes);
	s->joined = s->sets + s->tokens * s->words;
	s->histogram = s->fired + neurons;
	if (s->demand->state_bytes) {
		size_t bytes = s->demand->state_bytes(s->trace);

		s->state = calloc(1, bytes);
		if (!s->state)
			return err_nomem(err, "a demand", bytes);
	}
	return s->demand->init ? s->demand->init(s->state, config, s->trace, err) : 0;
}

int trace_stats(struct trace_stats *stats, const struct trace *trace, const struct model *model,
		const struct policy_config *config, uint32_t first, struct err *err)
{
	struct stats s = {
		.demand = policy_demand(config),
		.trace = trace,
		.first = first,
		.words = trace->words,
	};
	int rc;

	if (trace->layer_count != model->layer_count || trace->neuron_count != model->d_ffn)
		return err_set(err, EINVAL,
			       "trace of %s: %u layers of %u neurons, model %s has %llu of %llu",
			       trace->model, trace->layer_count, trace->neuron_count, model->name,
			       (unsigned long long)model->layer_count,
			       (unsigned long long)model->d_ffn);
	if (first >= trace->token_count)
		return err_set(err, EINVAL, "trace of %s: statistics from token %u on, it has %u",
			       trace->model, first, trace->token_count);
	s.tokens = trace->token_count - first;
	rc = stats_open(&s, config, err);
	if (!rc) {
		stats_layers(&s);
		*stats = s.sum;
	}
	free(s.sets);
	free(s.fired);
	free(s.state);
	return rc;
}
