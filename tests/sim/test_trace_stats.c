/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_trace_stats.c - the word-wise statistics equal naive ones, a neuron at a time */
#include "rng.h"
#include "trace_stats.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3, NEURONS = 130, TOKENS = 40 };

static const struct model model = {.name = "m", .layer_count = LAYERS, .d_ffn = NEURONS};

/* Neuron n of layer l fires at a rate of its own, and rather where it fired before. */
static void make_trace(struct trace *trace, uint64_t seed)
{
	struct err err = {0};
	struct rng rng = {seed};

	*trace = (struct trace){.model = "m",
				.layer_count = LAYERS,
				.neuron_count = NEURONS,
				.token_count = TOKENS,
				.margin_count = 1,
				.has_demand = true};
	ck_assert(!trace_init(trace, &err));
	for (uint32_t t = 0; t < TOKENS; t++)
		for (uint32_t l = 0; l < LAYERS; l++)
			for (uint32_t n = 0; n < NEURONS; n++) {
				double rate = 0.4 * n / NEURONS;

				if (t > 0 && bits_get(trace_plane(trace, t - 1, l, 0), n))
					rate += 0.4;
				if (rng_unit(&rng) < rate)
					bits_put(trace_plane(trace, t, l, 0), n);
				if (rng_unit(&rng) < 0.1 * (l + 1))
					bits_put(trace_plane(trace, t, l, 1), n);
			}
}

static bool fires(const struct trace *trace, uint32_t plane, uint32_t t, uint32_t l, uint32_t n)
{
	return bits_get(trace_plane(trace, t, l, plane), n);
}

static double naive_aggregated(const struct trace *trace, uint32_t plane, uint32_t first,
			       uint32_t k)
{
	double distinct = 0;

	for (uint32_t l = 0; l < LAYERS; l++)
		for (uint32_t begin = first; begin + k <= TOKENS; begin++)
			for (uint32_t n = 0; n < NEURONS; n++) {
				bool any = false;

				for (uint32_t t = begin; t < begin + k; t++)
					any |= fires(trace, plane, t, l, n);
				distinct += any;
			}
	return distinct / LAYERS / (TOKENS - first - k + 1) / NEURONS;
}

static double naive_overlap(const struct trace *trace, uint32_t plane, uint32_t first)
{
	double both = 0, fired = 0;

	for (uint32_t t = first + 1; t < TOKENS; t++)
		for (uint32_t l = 0; l < LAYERS; l++)
			for (uint32_t n = 0; n < NEURONS; n++) {
				fired += fires(trace, plane, t, l, n);
				both += fires(trace, plane, t, l, n) &&
					fires(trace, plane, t - 1, l, n);
			}
	return both / fired;
}

static int descending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y) - (x > y);
}

static double naive_hot(const struct trace *trace, uint32_t plane, uint32_t first)
{
	double share = 0;

	for (uint32_t l = 0; l < LAYERS; l++) {
		uint32_t fired[NEURONS] = {0};
		double total = 0, sum = 0, neurons = 0;

		for (uint32_t n = 0; n < NEURONS; n++) {
			for (uint32_t t = first; t < TOKENS; t++)
				fired[n] += fires(trace, plane, t, l, n);
			total += fired[n];
		}
		qsort(fired, NEURONS, sizeof(fired[0]), descending);
		for (uint32_t n = 0; sum + fired[n] < 0.8 * total; n++) {
			sum += fired[n];
			neurons = n + 1;
		}
		neurons += (0.8 * total - sum) / fired[(uint32_t)neurons];
		share += neurons / NEURONS / LAYERS;
	}
	return share;
}

static double naive_density(const struct trace *trace, uint32_t plane, uint32_t first, uint32_t l)
{
	double fired = 0;

	for (uint32_t t = first; t < TOKENS; t++)
		for (uint32_t n = 0; n < NEURONS; n++)
			fired += fires(trace, plane, t, l, n);
	return fired / (TOKENS - first) / NEURONS;
}

static void get_stats(struct trace_stats *stats, const struct trace *trace, const char *yaml,
		      uint32_t first)
{
	struct policy_config config;
	struct ynode *map = NULL;
	struct err err = {0};

	ck_assert(!yaml_parse(&map, yaml, "test", &err));
	ck_assert_msg(!policy_config_read(&config, map, &err), "%s", err.msg);
	ynode_free(map);
	ck_assert_msg(!trace_stats(stats, trace, &model, &config, first, &err), "%s", err.msg);
}

static const struct {
	const char *yaml;
	uint32_t plane, first;
} cases[] = {
	{"{demand: oracle}", 0, 0}, {"{demand: oracle}", 0, 13}, {"{demand: trace}", 1, 0},
	{"{demand: trace}", 1, 20}, {"{demand: oracle}", 0, 38},
};

START_TEST(test_statistics_equal_naive_ones)
{
	uint32_t plane = cases[_i].plane, first = cases[_i].first;
	struct trace_stats stats;
	struct trace trace;

	make_trace(&trace, 11);
	get_stats(&stats, &trace, cases[_i].yaml, first);
	for (uint32_t k = 1; k <= TRACE_STATS_K; k++) {
		if (k > TOKENS - first)
			ck_assert(isnan(stats.aggregated_frac[k]));
		else
			ck_assert_double_eq_tol(stats.aggregated_frac[k],
						naive_aggregated(&trace, plane, first, k), 1e-12);
	}
	ck_assert_double_eq_tol(stats.density_frac, stats.aggregated_frac[1], 1e-12);
	ck_assert_double_eq_tol(stats.density_first_frac, naive_density(&trace, plane, first, 0),
				1e-12);
	ck_assert_double_eq_tol(stats.density_last_frac,
				naive_density(&trace, plane, first, LAYERS - 1), 1e-12);
	ck_assert_double_eq_tol(stats.overlap_frac, naive_overlap(&trace, plane, first), 1e-12);
	ck_assert_double_eq_tol(stats.hot_frac, naive_hot(&trace, plane, first), 1e-12);
	trace_fini(&trace);
}
END_TEST

START_TEST(test_a_dense_demand_is_everything_always)
{
	struct trace_stats stats;
	struct trace trace;

	make_trace(&trace, 1);
	get_stats(&stats, &trace, "{demand: dense, persistence: none, residency: none}", 0);
	ck_assert_double_eq_tol(stats.density_frac, 1, 1e-12);
	ck_assert_double_eq_tol(stats.aggregated_frac[9], 1, 1e-12);
	ck_assert_double_eq_tol(stats.overlap_frac, 1, 1e-12);
	ck_assert_double_eq_tol(stats.hot_frac, 0.8, 1e-12);
	trace_fini(&trace);
}
END_TEST

START_TEST(test_a_trace_that_never_fires_has_no_overlap)
{
	struct trace_stats stats;
	struct trace trace;

	make_trace(&trace, 1);
	memset(trace.planes, 0,
	       (size_t)TOKENS * LAYERS * trace_plane_count(&trace) * trace.words *
		       sizeof(uint64_t));
	get_stats(&stats, &trace, "{demand: oracle}", 0);
	ck_assert_double_eq_tol(stats.density_frac, 0, 1e-12);
	ck_assert_double_eq_tol(stats.hot_frac, 0, 1e-12);
	ck_assert(isnan(stats.overlap_frac));
	trace_fini(&trace);
}
END_TEST

START_TEST(test_another_geometry_and_a_start_past_the_end_are_refused)
{
	struct model other = model;
	struct policy_config config;
	struct trace_stats stats;
	struct ynode *map = NULL;
	struct err err = {0};
	struct trace trace;

	make_trace(&trace, 1);
	ck_assert(!yaml_parse(&map, "{demand: oracle}", "test", &err));
	ck_assert(!policy_config_read(&config, map, &err));
	ynode_free(map);
	other.d_ffn = 131;
	ck_assert_int_eq(trace_stats(&stats, &trace, &other, &config, 0, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "3 layers of 130 neurons, model m has 3 of 131"), "said: %s",
		      err.msg);
	err = (struct err){0};
	ck_assert_int_eq(trace_stats(&stats, &trace, &model, &config, TOKENS, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "from token 40 on, it has 40"), "said: %s", err.msg);
	trace_fini(&trace);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace_stats");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, test_statistics_equal_naive_ones, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tcase, test_a_dense_demand_is_everything_always);
	tcase_add_test(tcase, test_a_trace_that_never_fires_has_no_overlap);
	tcase_add_test(tcase, test_another_geometry_and_a_start_past_the_end_are_refused);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
