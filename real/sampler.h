/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sampler.h - the next token from logits: the likeliest, or drawn by temperature and nucleus
 *
 * Nucleus (top-p) after Holtzman et al., arXiv 1904.09751: the smallest set of likeliest tokens whose
 * probabilities reach top_p is kept, and one of them drawn in proportion. */
#ifndef FLASH_SAMPLER_H
#define FLASH_SAMPLER_H

#include "err.h"
#include "rng.h"

#include <stddef.h>
#include <stdint.h>

struct sampler {
	double temperature; /* 0: the likeliest token (greedy; of equals the one of lowest id) */
	double top_p;	    /* 0 .. 1; 1 keeps all */
	struct rng rng;
	struct sampler_entry *entries; /* [vocab_count], room to sort */
	size_t vocab_count;
};

MUST_CHECK int sampler_open(struct sampler *sampler, size_t vocab_count, double temperature,
			    double top_p, uint64_t seed, struct err *err);
void sampler_close(struct sampler *sampler); /* zeroed is fine */
/* NaN counts as never; of several infinities the first is taken.  Where no logit is a number above
 * -infinity, some id all the same. */
uint32_t sampler_pick(struct sampler *sampler, const float *logits);

#endif
