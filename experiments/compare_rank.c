/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_rank.c - whether the prediction would have led to the right decision: ranks and regret */
#include "compare_table.h"

#include <math.h>
#include <string.h>

bool compare_same_group(const struct comparison *a, const struct comparison *b)
{
	return strcmp(a->sim->experiment, b->sim->experiment) == 0 &&
	       strcmp(a->sim->model, b->sim->model) == 0 &&
	       strcmp(a->sim->device_hash, b->sim->device_hash) == 0 &&
	       strcmp(a->real->target, b->real->target) == 0;
}

static double measured(const struct comparison *pair)
{
	return pair->real->total_ns_per_token;
}

static double predicted(const struct comparison *pair)
{
	return pair->sim->total_ns_per_token;
}

static bool reads(const struct comparison *pair)
{
	return pair->real->read_count_per_token > 0;
}

/* A choice that users have: what never reads needs DRAM for the whole model, what reads was chosen because there
 * is less. */
static bool is_rival(const struct comparison *a, const struct comparison *b)
{
	return compare_same_group(a, b) && reads(a) == reads(b);
}

/* The judged rival of 'of' with the least value. */
static const struct comparison *best_rival(const struct comparison *pairs, size_t count,
					   const struct comparison *of,
					   double (*value)(const struct comparison *))
{
	const struct comparison *best = NULL;

	for (size_t i = 0; i < count; i++) {
		if (pairs[i].judged && is_rival(&pairs[i], of) &&
		    (!best || value(&pairs[i]) < value(best)))
			best = &pairs[i];
	}
	return best;
}

/* Closer than the measurement can tell. */
static bool is_tie(const struct comparison *a, const struct comparison *b)
{
	double noise = fmax(a->real->noise_floor_frac, b->real->noise_floor_frac);
	double mean = (measured(a) + measured(b)) / 2;

	return fabs(measured(a) - measured(b)) <= noise * mean;
}

struct ranks {
	double concordant, discordant, tied; /* tied: by the prediction alone */
};

static void rank_pair(struct ranks *ranks, const struct comparison *a, const struct comparison *b)
{
	double order;

	if (is_tie(a, b))
		return;
	order = (predicted(a) - predicted(b)) * (measured(a) - measured(b));
	if (order > 0)
		ranks->concordant++;
	else if (order < 0)
		ranks->discordant++;
	else
		ranks->tied++;
}

/* tau-b, (C - D) / sqrt((C + D + Tp) (C + D + Tm)): Tm, pairs that tie in the measurement, are left
 * out, so 0. */
static double kendall_tau(const struct ranks *ranks)
{
	double ordered = ranks->concordant + ranks->discordant;

	if (ordered + ranks->tied <= 0)
		return (double)NAN;
	if (ordered <= 0)
		return 0; /* the prediction tells nothing apart */
	return (ranks->concordant - ranks->discordant) / sqrt(ordered * (ordered + ranks->tied));
}

static bool is_close(const struct comparison *pair, const struct comparison *best)
{
	return pair->judged && measured(pair) <= 2 * measured(best);
}

void compare_rank(struct comparison_summary *summary, const struct comparison *pairs, size_t count)
{
	struct ranks ranks = {0};

	summary->regret_frac = (double)NAN;
	for (size_t i = 0; i < count; i++) {
		const struct comparison *best, *first;
		double regret;

		if (!pairs[i].judged)
			continue;
		best = best_rival(pairs, count, &pairs[i], measured);
		first = best_rival(pairs, count, &pairs[i], predicted);
		regret = is_tie(first, best) ? 0 : measured(first) / measured(best) - 1;
		if (!(summary->regret_frac >= regret))
			summary->regret_frac = regret;
		for (size_t j = i + 1; j < count; j++) {
			if (is_close(&pairs[i], best) && is_close(&pairs[j], best) &&
			    is_rival(&pairs[i], &pairs[j]))
				rank_pair(&ranks, &pairs[i], &pairs[j]);
		}
	}
	summary->kendall_tau = kendall_tau(&ranks);
	summary->ranked_pairs = (size_t)(ranks.concordant + ranks.discordant + ranks.tied);
}
