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
	case COMPONENT_WAIT:
		return row->io_wait_ns_per_token;
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

double compare_quantile(const struct result_row *row, enum quantile quantile)
{
	switch (quantile) {
	case QUANTILE_P50:
		return row->total_ns_p50;
	case QUANTILE_P95:
		return row->total_ns_p95;
	case QUANTILE_P99:
	case QUANTILE__COUNT:
		break;
	}
	return row->total_ns_p99;
}

uint64_t compare_clean_repeats(const struct result_row *real)
{
	uint64_t polluted = real->polluted == COL_NONE ? 0 : real->polluted;

	if (real->repeats == COL_NONE || real->repeats < polluted)
		return 0;
	return real->repeats - polluted;
}

bool compare_is_judged(const struct result_row *real)
{
	return real->noise_floor_frac <= COMPARE_NOISE_MAX &&
	       compare_clean_repeats(real) >= COMPARE_REPEATS_MIN;
}

/* ---- pairs ------------------------------------------------------------------------------------
 */

static int hash_compare(const void *a, const void *b)
{
	const struct result_row *const *x = a, *const *y = b;

	return strcmp((*x)->trial_hash, (*y)->trial_hash);
}

static double error_of(double predicted, double measured)
{
	return measured > 0 ? (predicted - measured) / measured : (double)NAN;
}

static uint64_t pooled_tokens(const struct result_row *real)
{
	if (real->tokens == COL_NONE || real->repeats == COL_NONE)
		return 0;
	return real->tokens * real->repeats;
}

static const double quantile_share[QUANTILE__COUNT] = {
	[QUANTILE_P50] = 0.5, [QUANTILE_P95] = 0.95, [QUANTILE_P99] = 0.99};

static void pair_quantiles(struct comparison *pair)
{
	pair->pooled_tokens = pooled_tokens(pair->real);
	for (int q = 0; q < QUANTILE__COUNT; q++) {
		/* Half a token of slack, since 0.01 is no binary fraction. */
		double beyond = (1 - quantile_share[q]) * (double)pair->pooled_tokens + 1e-6;

		pair->quantile_error_frac[q] =
			beyond >= COMPARE_BEYOND_MIN
				? error_of(compare_quantile(pair->sim, (enum quantile)q),
					   compare_quantile(pair->real, (enum quantile)q))
				: (double)NAN;
	}
}

static void pair_intervals(struct comparison *pair)
{
	const struct result_row *sim = pair->sim, *real = pair->real;

	pair->has_interval = sim->total_ns_low <= sim->total_ns_high &&
			     real->total_ns_low <= real->total_ns_high;
	pair->covered = pair->has_interval && sim->total_ns_low <= real->total_ns_high &&
			real->total_ns_low <= sim->total_ns_high;
}

static struct comparison pair_make(const struct result_row *sim, const struct result_row *real)
{
	struct comparison pair = {.sim = sim, .real = real};

	for (int c = 0; c < COMPONENT__COUNT; c++)
		pair.error_frac[c] = error_of(compare_value(sim, (enum component)c),
					      compare_value(real, (enum component)c));
	pair_quantiles(&pair);
	pair_intervals(&pair);
	pair.judged = compare_is_judged(real);
	pair.same_threads = sim->threads == COL_NONE || real->threads == COL_NONE ||
			    sim->threads == real->threads;
	pair.same_engine = !sim->read_engine[0] || !real->read_engine[0] ||
			   strcmp(sim->read_engine, real->read_engine) == 0;
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

/* A component's error, or behind them a quantile's; NaN where it does not count. */
static double judged_error(const struct comparison *pair, int which)
{
	if (!pair->judged)
		return (double)NAN;
	if (which >= COMPONENT__COUNT)
		return pair->quantile_error_frac[which - COMPONENT__COUNT];
	return compare_counts(pair, (enum component)which) ? pair->error_frac[which] : (double)NAN;
}

/* 'sorted' has room for two of each pair. */
static struct error_summary summarise_errors(const struct comparison *pairs, size_t count,
					     int which, double *sorted)
{
	struct error_summary summary = {(double)NAN, (double)NAN, (double)NAN, (double)NAN, 0};
	double *over_floor = sorted + count, sum = 0;
	size_t known = 0, with_floor = 0;

	for (size_t i = 0; i < count; i++) {
		double error = judged_error(&pairs[i], which);
		double noise = pairs[i].real->noise_floor_frac;

		if (isnan(error))
			continue;
		sum += error;
		sorted[known++] = fabs(error);
		if (noise > 0)
			over_floor[with_floor++] = fabs(error) / noise;
	}
	summary.counted = known;
	if (with_floor)
		summary.over_floor = order_median(over_floor, with_floor);
	if (!known)
		return summary;
	order_sort(sorted, known);
	summary.median_frac = order_quantile(sorted, known, 0.5);
	summary.p90_frac = order_quantile(sorted, known, 0.9);
	summary.bias_frac = sum / (double)known;
	return summary;
}

static double floor_of(const struct result_row *real)
{
	return real->noise_floor_frac;
}

static double pace_of(const struct result_row *real)
{
	return real->pace_frac;
}

static double judged_median(const struct comparison *pairs, size_t count,
			    double (*value)(const struct result_row *real), double *sorted)
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		if (pairs[i].judged && !isnan(value(pairs[i].real)))
			sorted[known++] = value(pairs[i].real);
	}
	return known ? order_median(sorted, known) : (double)NAN;
}

static double share(size_t part, size_t whole)
{
	return whole ? (double)part / (double)whole : (double)NAN;
}

static void summarise_counts(struct comparison_summary *summary, const struct comparison *pairs,
			     size_t count)
{
	size_t within_5 = 0, within_10 = 0, within_10_all = 0, with_interval = 0, covered = 0;

	for (size_t i = 0; i < count; i++) {
		const struct comparison *pair = &pairs[i];
		double error = fabs(pair->error_frac[COMPONENT_TOTAL]);

		summary->judged += pair->judged;
		summary->same_decisions += pair->same_decisions;
		within_5 += pair->judged && error <= 0.05;
		within_10 += pair->judged && error <= 0.1;
		within_10_all += error <= 0.1;
		with_interval += pair->judged && pair->has_interval;
		covered += pair->judged && pair->covered;
	}
	summary->within_5_frac = share(within_5, summary->judged);
	summary->within_10_frac = share(within_10, summary->judged);
	summary->within_10_all_frac = share(within_10_all, count);
	summary->covered_frac = share(covered, with_interval);
}

void compare_summarise(struct comparison_summary *summary, const struct comparison *pairs,
		       size_t count)
{
	double *sorted = malloc((2 * count + 1) * sizeof(*sorted));
	size_t known = sorted ? count : 0;

	*summary = (struct comparison_summary){.pairs = count};
	summarise_counts(summary, pairs, count);
	/* Without memory for the sorting there are no medians: they stay absent. */
	for (int c = 0; c < COMPONENT__COUNT; c++)
		summary->component[c] = summarise_errors(pairs, known, c, sorted);
	for (int q = 0; q < QUANTILE__COUNT; q++)
		summary->quantile[q] = summarise_errors(pairs, known, COMPONENT__COUNT + q, sorted);
	summary->floor_frac = judged_median(pairs, known, floor_of, sorted);
	summary->pace_frac = judged_median(pairs, known, pace_of, sorted);
	compare_rank(summary, pairs, count);
	free(sorted);
}
