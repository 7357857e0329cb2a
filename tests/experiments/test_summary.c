/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_summary.c - token lines whose means, quantiles, spread and noise floor are known */
#include "order.h"
#include "trial.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { LINES_MAX = 256 };
static struct result_token lines[LINES_MAX];
static struct token_list list;
static struct result_row row;

static void start(void)
{
	list = (struct token_list){.tokens = lines, .room = LINES_MAX};
	result_row_init(&row);
}

static void line_add(uint32_t repeat, uint32_t token, int32_t layer, uint64_t total_ns)
{
	lines[list.count++] = (struct result_token){.repeat = repeat,
						    .token = token,
						    .layer = layer,
						    .read_count = total_ns / 10,
						    .demand_neurons = 7,
						    .io_ns = total_ns / 2,
						    .total_ns = total_ns};
}

/* One token a repeat: its total is the repeat's mean. */
static void repeats_add(const uint64_t *totals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		line_add((uint32_t)i, 0, -1, totals[i]);
}

START_TEST(test_means_are_over_the_measured_tokens_of_all_repeats)
{
	list.warmup = 2;
	for (uint32_t repeat = 0; repeat < 2; repeat++) {
		line_add(repeat, 0, -1, 9000 + 100 * repeat);
		line_add(repeat, 1, -1, 5000);
		line_add(repeat, 2, -1, 100);
		line_add(repeat, 3, 0, 77); /* a layer of token 3 is not a token */
		line_add(repeat, 3, -1, 200);
	}
	trial_summarise(&row, &list);
	ck_assert_uint_eq(row.repeats, 2);
	ck_assert_double_eq_tol(row.total_ns_per_token, 150, 1e-9);
	ck_assert_double_eq_tol(row.io_ns_per_token, 75, 1e-9);
	ck_assert_double_eq_tol(row.read_count_per_token, 15, 1e-9);
	ck_assert_double_eq_tol(row.demand_neurons_per_token, 7, 1e-9);
	ck_assert_double_eq_tol(row.load_neurons_per_token, 0, 1e-9);
	ck_assert_double_eq_tol(row.first_token_ns, 9050, 1e-9);
	ck_assert_double_eq_tol(row.total_ns_p50, 150, 1e-9);
}
END_TEST

START_TEST(test_quantiles_pool_the_tokens)
{
	for (uint32_t token = 0; token < 101; token++)
		line_add(0, token, -1, 1000 - token); /* 900 .. 1000, unsorted */
	trial_summarise(&row, &list);
	ck_assert_double_eq_tol(row.total_ns_p50, 950, 1e-9);
	ck_assert_double_eq_tol(row.total_ns_p95, 995, 1e-9);
	ck_assert_double_eq_tol(row.total_ns_p99, 999, 1e-9);
}
END_TEST

START_TEST(test_one_repeat_has_neither_spread_nor_noise_floor)
{
	line_add(0, 0, -1, 100);
	line_add(0, 1, -1, 300);
	trial_summarise(&row, &list);
	ck_assert_uint_eq(row.repeats, 1);
	ck_assert(isnan(row.spread_frac) && isnan(row.noise_floor_frac));
	ck_assert(isnan(row.total_ns_low) && isnan(row.total_ns_high));
}
END_TEST

START_TEST(test_the_spread_is_students)
{
	/* mean 100, sd 2, n 4: 3.182446 * 2 / 2 / 100 (t of 3 degrees from any table) */
	static const uint64_t totals[] = {100000, 102449, 97551, 100000};

	repeats_add(totals, 4);
	trial_summarise(&row, &list);
	ck_assert_double_eq_tol(row.spread_frac, 3.182446 * 1999.6 / 2 / 100000, 1e-6);
}
END_TEST

START_TEST(test_the_noise_floor_is_the_median_pair)
{
	/* Pairs of successive repeats differ by 2, 10 and 4 %; the last one has no partner. */
	static const uint64_t totals[] = {9900, 10100, 9500, 10500, 10200, 9800, 30000};

	repeats_add(totals, 7);
	trial_summarise(&row, &list);
	ck_assert_uint_eq(row.repeats, 7);
	ck_assert_double_eq_tol(row.noise_floor_frac, 0.04, 1e-12);
}
END_TEST

/* Order statistics 0.98 sqrt(16) + 1 = 4.92 from the middle: of 16, the 4th and the 13th or about. */
START_TEST(test_the_interval_goes_by_the_order_of_the_repeats)
{
	uint64_t totals[16];
	struct order_interval wanted;
	double means[16];

	for (size_t i = 0; i < 16; i++) {
		totals[i] = 1000 + 10 * (i * 7 % 16); /* 1000 .. 1150, not in order */
		means[i] = (double)totals[i];
	}
	totals[3] = 900000; /* an outlier moves it by no more than one rank */
	repeats_add(totals, 16);
	trial_summarise(&row, &list);
	wanted = order_median_interval(means, 16);
	ck_assert_double_ge(row.total_ns_low, wanted.low);
	ck_assert_double_le(row.total_ns_low, wanted.low + 10);
	ck_assert_double_ge(row.total_ns_high, wanted.high);
	ck_assert_double_le(row.total_ns_high, wanted.high + 10);
	ck_assert_double_lt(row.total_ns_high, 1151);
	ck_assert_double_gt(row.spread_frac, 1); /* which Student's does */
}
END_TEST

START_TEST(test_nothing_measured_stays_absent)
{
	list.warmup = 5;
	line_add(0, 0, -1, 100);
	trial_summarise(&row, &list);
	ck_assert(isnan(row.total_ns_per_token) && isnan(row.total_ns_p50));
	ck_assert_uint_eq(row.repeats, COL_NONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("summary");
	TCase *tcase = tcase_create("token lines");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, start, NULL);
	tcase_add_test(tcase, test_means_are_over_the_measured_tokens_of_all_repeats);
	tcase_add_test(tcase, test_quantiles_pool_the_tokens);
	tcase_add_test(tcase, test_one_repeat_has_neither_spread_nor_noise_floor);
	tcase_add_test(tcase, test_the_spread_is_students);
	tcase_add_test(tcase, test_the_noise_floor_is_the_median_pair);
	tcase_add_test(tcase, test_the_interval_goes_by_the_order_of_the_repeats);
	tcase_add_test(tcase, test_nothing_measured_stays_absent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
