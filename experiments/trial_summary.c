/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_summary.c - token lines of all repeats become a row's means, quantiles, spread and noise
 * floor */
#include "order.h"
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>

static bool is_measured(const struct token_list *list, size_t i)
{
	return list->tokens[i].layer < 0 && list->tokens[i].token >= list->warmup;
}

/* Mean of one field over the measured tokens of all repeats. */
#define TOKEN_MEAN(list, count, field)                                                             \
	(token_sum(list, offsetof(struct result_token, field), sizeof((list)->tokens->field)) /    \
	 (double)(count))

static double token_sum(const struct token_list *list, size_t offset, size_t size)
{
	double sum = 0;

	for (size_t i = 0; i < list->count; i++) {
		const char *at = (const char *)&list->tokens[i] + offset;
		uint64_t wide = 0;
		uint32_t narrow = 0;

		if (!is_measured(list, i))
			continue;
		memcpy(size == sizeof(wide) ? (void *)&wide : (void *)&narrow, at, size);
		sum += (double)wide + (double)narrow;
	}
	return sum;
}

static void summarise_means(struct result_row *row, const struct token_list *list, size_t count)
{
	row->demand_neurons_per_token = TOKEN_MEAN(list, count, demand_neurons);
	row->load_neurons_per_token = TOKEN_MEAN(list, count, load_neurons);
	row->read_count_per_token = TOKEN_MEAN(list, count, read_count);
	row->read_bytes_per_token = TOKEN_MEAN(list, count, read_bytes);
	row->moved_bytes_per_token = TOKEN_MEAN(list, count, moved_bytes);
	row->io_ns_per_token = TOKEN_MEAN(list, count, io_ns);
	row->io_wait_ns_per_token = TOKEN_MEAN(list, count, io_wait_ns);
	row->mem_ns_per_token = TOKEN_MEAN(list, count, mem_ns);
	row->compute_ns_per_token = TOKEN_MEAN(list, count, compute_ns);
	row->total_ns_per_token = TOKEN_MEAN(list, count, total_ns);
}

static void summarise_first(struct result_row *row, const struct token_list *list)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (list->tokens[i].layer >= 0 || list->tokens[i].token != 0)
			continue;
		sum += (double)list->tokens[i].total_ns;
		count++;
	}
	row->first_token_ns = count ? sum / (double)count : (double)NAN;
}

static void summarise_quantiles(struct result_row *row, double *totals, size_t count)
{
	order_sort(totals, count);
	row->total_ns_p50 = order_quantile(totals, count, 0.5);
	row->total_ns_p95 = order_quantile(totals, count, 0.95);
	row->total_ns_p99 = order_quantile(totals, count, 0.99);
}

/* Mean totals of the repeats, in order, into 'means'; returns how many there are. */
static size_t repeat_means(double *means, const struct token_list *list)
{
	size_t repeats = 0, count = 0;
	uint32_t repeat = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (!is_measured(list, i))
			continue;
		if (repeats == 0 || list->tokens[i].repeat != repeat) {
			if (repeats)
				means[repeats - 1] /= (double)count;
			repeat = list->tokens[i].repeat;
			means[repeats++] = 0;
			count = 0;
		}
		means[repeats - 1] += (double)list->tokens[i].total_ns;
		count++;
	}
	if (repeats)
		means[repeats - 1] /= (double)count;
	return repeats;
}

static double spread_frac(const double *means, size_t count)
{
	double mean = 0, squares = 0, n = (double)count;

	for (size_t i = 0; i < count; i++)
		mean += means[i] / n;
	for (size_t i = 0; i < count; i++)
		squares += (means[i] - mean) * (means[i] - mean);
	return gsl_cdf_tdist_Pinv(0.975, n - 1) * sqrt(squares / (n - 1) / n) / mean;
}

/* 'gaps' has room for half as many. */
static double noise_floor_frac(const double *means, double *gaps, size_t count)
{
	size_t pairs = count / 2;

	for (size_t i = 0; i < pairs; i++) {
		double a = means[2 * i], b = means[2 * i + 1];

		gaps[i] = fabs(a - b) / ((a + b) / 2);
	}
	order_sort(gaps, pairs);
	return order_quantile(gaps, pairs, 0.5);
}

/* What their scatter says; sorts 'means'. */
static void summarise_repeats(struct result_row *row, double *means, double *gaps, size_t count)
{
	struct order_interval interval;

	row->spread_frac = spread_frac(means, count);
	row->noise_floor_frac = noise_floor_frac(means, gaps, count);
	interval = order_median_interval(means, count);
	row->total_ns_low = interval.low;
	row->total_ns_high = interval.high;
}

void trial_summarise(struct result_row *row, const struct token_list *list)
{
	double *totals = malloc((2 * list->count + 1) * sizeof(*totals));
	size_t count = 0, repeats;

	for (size_t i = 0; i < list->count; i++) {
		if (!is_measured(list, i))
			continue;
		if (totals)
			totals[count] = (double)list->tokens[i].total_ns;
		count++;
	}
	if (count) {
		summarise_means(row, list, count);
		summarise_first(row, list);
	}
	if (count && totals) { /* without memory the quantiles stay absent */
		if (list->draw_count > 0)
			summarise_quantiles(row, list->draws, list->draw_count);
		else
			summarise_quantiles(row, totals, count);
		repeats = repeat_means(totals, list);
		row->repeats = repeats;
		if (repeats >= 2) {
			summarise_repeats(row, totals, totals + list->count, repeats);
		}
	}
	free(totals);
}
