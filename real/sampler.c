/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sampler.c - greedy, temperature and nucleus, all sums in double */
#include "sampler.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sampler_entry {
	double weight; /* exp(logit / temperature), the likeliest being 1 */
	uint32_t id;
};

int sampler_open(struct sampler *sampler, size_t vocab_count, double temperature, double top_p,
		 uint64_t seed, struct err *err)
{
	assert(vocab_count > 0);
	memset(sampler, 0, sizeof(*sampler));
	if (!(temperature >= 0) || !isfinite(temperature))
		return err_set(err, EINVAL, "temperature: got %g, expected 0 or more", temperature);
	if (!(top_p > 0) || top_p > 1)
		return err_set(err, EINVAL, "top-p: got %g, expected more than 0, at most 1",
			       top_p);
	sampler->temperature = temperature;
	sampler->top_p = top_p;
	sampler->rng.state = seed;
	sampler->vocab_count = vocab_count;
	sampler->entries = calloc(vocab_count, sizeof(*sampler->entries));
	if (!sampler->entries)
		return err_nomem(err, "a sampler", vocab_count * sizeof(*sampler->entries));
	return 0;
}

void sampler_close(struct sampler *sampler)
{
	free(sampler->entries);
	memset(sampler, 0, sizeof(*sampler));
}

static uint32_t likeliest(const float *logits, size_t count)
{
	size_t best = 0;

	/* NaN is larger than nothing, and nothing larger than it. */
	for (size_t i = 1; i < count; i++)
		if (logits[i] > logits[best] || (isnan(logits[best]) && !isnan(logits[i])))
			best = i;
	return (uint32_t)best;
}

/* Likeliest first; equals by id, so that a seed always gives the same text. */
static int entry_order(const void *left, const void *right)
{
	const struct sampler_entry *a = left, *b = right;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* How many of the sorted entries make up the nucleus, and their sum. */
static size_t nucleus(const struct sampler *sampler, double total, double *kept)
{
	size_t count = 0;

	*kept = 0;
	/* Sums in another order differ in their last digits: weight 0, which is never, ends it too. */
	while (count < sampler->vocab_count && (count == 0 || (*kept < sampler->top_p * total &&
							       sampler->entries[count].weight > 0)))
		*kept += sampler->entries[count++].weight;
	return count;
}

uint32_t sampler_pick(struct sampler *sampler, const float *logits)
{
	uint32_t best = likeliest(logits, sampler->vocab_count);
	double total = 0, kept, at;
	size_t count;

	/* Differences to what is not finite are no numbers: there is nothing to weigh. */
	if (sampler->temperature == 0 || !isfinite(logits[best]))
		return best;
	for (size_t i = 0; i < sampler->vocab_count; i++) {
		double below = (double)logits[i] - (double)logits[best];

		sampler->entries[i] = (struct sampler_entry){
			isnan(below) ? 0 : exp(below / sampler->temperature), (uint32_t)i};
		total += sampler->entries[i].weight;
	}
	qsort(sampler->entries, sampler->vocab_count, sizeof(*sampler->entries), entry_order);
	count = nucleus(sampler, total, &kept);
	at = rng_unit(&sampler->rng) * kept;
	for (size_t i = 0; i + 1 < count; i++) {
		at -= sampler->entries[i].weight;
		if (at < 0)
			return sampler->entries[i].id;
	}
	return sampler->entries[count - 1].id;
}
