/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.c - pairs, their errors, and what those say of the model as a whole */
#include "compare_table.h"
#include "order.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double compare_value(const struct result_row *row, enum component component)
{
	switch (component) {
	case COMPONENT_IO:
		return row->io_ns_per_token;
	case COMPONENT_MEM:
		return row->mem_ns_per_token;
	case COMPONENT_COMPUTE:
		return row->compute_ns_per_token;
	case COMPONENT_TOTAL:
	case COMPONENT__COUNT:
		break;
	}
	return row->total_ns_per_token;
}

uint64_t compare_clean_repeats(const struct result_row *real)
{
	uint64_t polluted = real->polluted == COL_NONE ? 0 : real->polluted;

	if (real->repeats == COL_NONE || real->repeats < polluted)
		return 0;
	return real->repeats - polluted;
}

/* ---- pairs ------------------------------------------------------------------------------------
 */

static int hash_compare(const void *a, const void *b)
{
	const struct result_row *const *x = a, *const *y = b;

	return strcmp((*x)->trial_hash, (*y)->trial_hash);
}

static struct comparison pair_make(const struct result_row *sim, const struct result_row *real)
{
	struct comparison pair = {.sim = sim, .real = real};

	for (int c = 0; c < COMPONENT__COUNT; c++) {
		double predicted = compare_value(sim, (enum component)c);
		double measured = compare_value(real, (enum component)c);

		pair.error_frac[c] = measured > 0 ? (predicted - measured) / measured : (double)NAN;
	}
	pair.judged = real->noise_floor_frac <= COMPARE_NOISE_MAX &&
		      compare_clean_repeats(real) >= COMPARE_REPEATS_MIN;
	pair.same_threads = sim->threads == COL_NONE || real->threads == COL_NONE ||
			    sim->threads == real->threads;
	pair.same_decisions = strcmp(sim->decision_hash, real->decision_hash) == 0 &&
			      sim->read_count_per_token == real->read_count_per_token &&
			      sim->read_bytes_per_token == real->read_bytes_per_token &&
			      sim->load_neurons_per_token == real->load_neurons_per_token;
	return pair;
}

int compare_rows(struct comparison **out, size_t *count, const struct result_row *rows,
		 size_t row_count, struct err *err)
{
	const struct result_row **reals = malloc((row_count + 1) * sizeof(*reals));
	struct comparison *pairs = malloc((row_count + 1) * sizeof(*pairs));
	size_t real_count = 0, pair_count = 0;

	if (!reals || !pairs) {
		free(reals);
		free(pairs);
		return err_nomem(err, "comparisons", row_count * sizeof(*pairs));
	}
	for (size_t i = 0; i < row_count; i++) {
		if (strcmp(rows[i].world, "real") == 0)
			reals[real_count++] = &rows[i];
	}
	qsort(reals, real_count, sizeof(*reals), hash_compare);
	for (size_t i = 0; i < row_count; i++) {
		const struct result_row *sim = &rows[i], **real;

		if (strcmp(sim->world, "sim") != 0)
			continue;
		real = bsearch(&sim, reals, real_count, sizeof(*reals), hash_compare);
		if (real)
			pairs[pair_count++] = pair_make(sim, *real);
	}
	free(reals);
	*out = pairs;
	*count = pair_count;
	return 0;
}

/* ---- errors -----------------------------------------------------------------------------------
 */

bool compare_counts(const struct comparison *pair, enum component component)
{
	return compare_value(pair->real, component) >=
	       COMPARE_SHARE_MIN * compare_value(pair->real, COMPONENT_TOTAL);
}

/* One component over the judged pairs; 'errors' has room for all of them. */
static void summarise_component(struct comparison_summary *summary, enum component component,
				const struct comparison *pairs, size_t count, double *errors)
{
	size_t known = 0;
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		double error = pairs[i].error_frac[component];

		if (!pairs[i].judged || isnan(error) || !compare_counts(&pairs[i], component))
			continue;
		sum += error;
		errors[known++] = fabs(error);
	}
	summary->counted[component] = known;
	summary->median_frac[component] = summary->p90_frac[component] =
		summary->bias_frac[component] = (double)NAN;
	if (known == 0)
		return;
	order_sort(errors, known);
	summary->median_frac[component] = order_quantile(errors, known, 0.5);
	summary->p90_frac[component] = order_quantile(errors, known, 0.9);
	summary->bias_frac[component] = sum / (double)known;
}

/* ---- ranking ----------------------------------------------------------------------------------
 */

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

/* The judged pair of the group of 'of' with the least value. */
static const struct comparison *group_best(const struct comparison *pairs, size_t count,
					   const struct comparison *of,
					   double (*value)(const struct comparison *))
{
	const struct comparison *best = NULL;

	for (size_t i = 0; i < count; i++) {
		if (pairs[i].judged && compare_same_group(&pairs[i], of) &&
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

static void summarise_ranking(struct comparison_summary *summary, const struct comparison *pairs,
			      size_t count)
{
	struct ranks ranks = {0};

	summary->regret_frac = (double)NAN;
	for (size_t i = 0; i < count; i++) {
		const struct comparison *best, *first;
		double regret;

		if (!pairs[i].judged)
			continue;
		best = group_best(pairs, count, &pairs[i], measured);
		first = group_best(pairs, count, &pairs[i], predicted);
		regret = measured(first) / measured(best) - 1;
		if (!(summary->regret_frac >= regret))
			summary->regret_frac = regret;
		for (size_t j = i + 1; j < count; j++) {
			if (is_close(&pairs[i], best) && is_close(&pairs[j], best) &&
			    compare_same_group(&pairs[i], &pairs[j]))
				rank_pair(&ranks, &pairs[i], &pairs[j]);
		}
	}
	summary->kendall_tau = kendall_tau(&ranks);
}

void compare_summarise(struct comparison_summary *summary, const struct comparison *pairs,
		       size_t count)
{
	double *errors = malloc((count + 1) * sizeof(*errors));
	size_t within = 0, within_all = 0;

	*summary = (struct comparison_summary){.pairs = count};
	for (size_t i = 0; i < count; i++) {
		summary->judged += pairs[i].judged;
		summary->same_decisions += pairs[i].same_decisions;
		within_all += fabs(pairs[i].error_frac[COMPONENT_TOTAL]) <= 0.1;
		within += pairs[i].judged && fabs(pairs[i].error_frac[COMPONENT_TOTAL]) <= 0.1;
	}
	/* Without memory for the sorting there are no medians: they stay absent. */
	for (int c = 0; c < COMPONENT__COUNT; c++)
		summarise_component(summary, (enum component)c, pairs, errors ? count : 0, errors);
	summary->within_10_all_frac = count ? (double)within_all / (double)count : (double)NAN;
	summary->within_10_frac =
		summary->judged ? (double)within / (double)summary->judged : (double)NAN;
	summarise_ranking(summary, pairs, count);
	free(errors);
}
