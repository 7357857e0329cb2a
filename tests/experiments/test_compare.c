/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_compare.c - hand-made rows, whose errors, ranks and regrets are known */
#include "compare.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 16 };
static struct result_row rows[ROWS_MAX];
static size_t row_count;

static struct result_row *row_add(const char *world, const char *hash, double total_ms)
{
	struct result_row *row = &rows[row_count++];

	result_row_init(row);
	snprintf(row->experiment, sizeof(row->experiment), "x");
	snprintf(row->model, sizeof(row->model), "m");
	snprintf(row->policy, sizeof(row->policy), "p%.8s", hash);
	snprintf(row->world, sizeof(row->world), "%s", world);
	snprintf(row->trial_hash, sizeof(row->trial_hash), "%s", hash);
	snprintf(row->decision_hash, sizeof(row->decision_hash), "d%s", hash);
	row->read_count_per_token = row->read_bytes_per_token = row->load_neurons_per_token = 10;
	row->io_ns_per_token = 0.5e6 * total_ms;
	row->mem_ns_per_token = 0;
	row->compute_ns_per_token = 0.5e6 * total_ms;
	row->total_ns_per_token = 1e6 * total_ms;
	if (strcmp(world, "real") != 0)
		return row;
	snprintf(row->target, sizeof(row->target), "disk");
	row->repeats = 10;
	row->polluted = 0;
	row->noise_floor_frac = 0.02;
	return row;
}

/* A trial in both worlds; the real row. */
static struct result_row *pair_add(const char *hash, double predicted_ms, double measured_ms)
{
	row_add("sim", hash, predicted_ms);
	return row_add("real", hash, measured_ms);
}

static void start(void)
{
	row_count = 0;
}

static struct comparison *pairs_of(size_t *count)
{
	struct comparison *pairs;
	struct err err = {0};

	ck_assert_int_eq(compare_rows(&pairs, count, rows, row_count, &err), 0);
	return pairs;
}

static struct comparison_summary summary_of(void)
{
	struct comparison_summary summary;
	struct comparison *pairs;
	size_t count;

	pairs = pairs_of(&count);
	compare_summarise(&summary, pairs, count);
	free(pairs);
	return summary;
}

START_TEST(test_rows_pair_by_digest_in_the_order_of_sim)
{
	struct comparison *pairs;
	size_t count;

	row_add("real", "b", 2);
	row_add("sim", "a", 1);
	row_add("sim", "alone", 1);
	row_add("sim", "b", 3);
	row_add("real", "a", 2);
	row_add("real", "widow", 2);
	pairs = pairs_of(&count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(pairs[0].sim->trial_hash, "a");
	ck_assert_str_eq(pairs[0].real->trial_hash, "a");
	ck_assert_str_eq(pairs[1].real->trial_hash, "b");
	ck_assert_double_eq_tol(pairs[0].error_frac[COMPONENT_TOTAL], -0.5, 1e-12);
	ck_assert_double_eq_tol(pairs[1].error_frac[COMPONENT_IO], 0.5, 1e-12);
	ck_assert(isnan(pairs[0].error_frac[COMPONENT_MEM])); /* nothing was measured */
	free(pairs);
}
END_TEST

START_TEST(test_nothing_to_compare_is_no_pair)
{
	struct comparison_summary summary = summary_of();

	ck_assert_uint_eq(summary.pairs, 0);
	ck_assert(isnan(summary.median_frac[COMPONENT_TOTAL]));
	ck_assert(isnan(summary.within_10_frac) && isnan(summary.kendall_tau));
	ck_assert(isnan(summary.regret_frac));
}
END_TEST

START_TEST(test_decisions_must_be_equal_in_every_figure)
{
	struct comparison *pairs;
	size_t count;

	pair_add("same", 1, 1);
	strcpy(pair_add("hash", 1, 1)->decision_hash, "other");
	pair_add("reads", 1, 1)->read_count_per_token = 11;
	pair_add("bytes", 1, 1)->read_bytes_per_token = 11;
	pair_add("loads", 1, 1)->load_neurons_per_token = 11;
	pairs = pairs_of(&count);
	ck_assert_uint_eq(count, 5);
	for (size_t i = 0; i < count; i++)
		ck_assert(pairs[i].same_decisions == (i == 0));
	free(pairs);
	ck_assert_uint_eq(summary_of().same_decisions, 1);
}
END_TEST

START_TEST(test_a_trial_is_judged_over_ten_clean_repeats_with_little_noise)
{
	struct comparison *pairs;
	size_t count;

	pair_add("good", 1, 1);
	pair_add("limit", 1, 1)->noise_floor_frac = 0.08;
	pair_add("noisy", 1, 1)->noise_floor_frac = 0.0801;
	pair_add("unknown", 1, 1)->noise_floor_frac = (double)NAN;
	pair_add("few", 1, 1)->repeats = 9;
	pair_add("polluted", 1, 1)->polluted = 1;
	pairs = pairs_of(&count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(pairs[i].judged == (i < 2), "%s", pairs[i].sim->trial_hash);
	free(pairs);
}
END_TEST

START_TEST(test_errors_are_medians_p90_and_bias_over_the_judged)
{
	struct comparison_summary summary;

	pair_add("a", 110, 100);
	pair_add("b", 95, 100);
	pair_add("c", 70, 100);
	pair_add("d", 900, 100)->noise_floor_frac = 0.5; /* not judged: does not count */
	summary = summary_of();
	ck_assert_uint_eq(summary.pairs, 4);
	ck_assert_uint_eq(summary.judged, 3);
	ck_assert_double_eq_tol(summary.median_frac[COMPONENT_TOTAL], 0.10, 1e-9);
	ck_assert_double_eq_tol(summary.p90_frac[COMPONENT_TOTAL], 0.26, 1e-9);
	ck_assert_double_eq_tol(summary.bias_frac[COMPONENT_TOTAL], -0.25 / 3, 1e-9);
	ck_assert_double_eq_tol(summary.median_frac[COMPONENT_IO], 0.10, 1e-9);
	ck_assert(isnan(summary.median_frac[COMPONENT_MEM]));
	ck_assert_double_eq_tol(summary.within_10_frac, 2.0 / 3, 1e-9);
	ck_assert_double_eq_tol(summary.within_10_all_frac, 2.0 / 4, 1e-9);
}
END_TEST

/* Predicted and measured totals; noise 2 %. */
static const struct {
	const char *why;
	double predicted[4], measured[4];
	size_t count;
	double tau, regret;
} rankings[] = {
	{"the right order is 1", {10, 11, 12}, {10, 11, 12}, 3, 1, 0},
	{"the reverse is -1", {12, 11, 10}, {10, 11, 12}, 3, -1, 0.2},
	{"one swap of three is a third", {10, 12, 11}, {10, 11, 12}, 3, 1.0 / 3, 0},
	{"what measures closer than its noise is left out",
	 {12, 11.9, 20},
	 {10, 10.1, 19},
	 3,
	 1,
	 0.01},
	{"what is predicted equal widens the scale", /* 2 / sqrt(2 * 3) */
	 {10, 10, 12},
	 {10, 11, 12},
	 3,
	 0.816496580927726,
	 0},
	{"only what is within twice the best is ranked",
	 {10, 11, 99, 98},
	 {10, 11, 21, 25},
	 4,
	 1,
	 0},
	{"regret is the price of the predicted best", {11, 10, 12}, {10, 15, 12}, 3, -1.0 / 3, 0.5},
	{"one policy cannot be ranked", {10}, {20}, 1, NAN, 0},
	{"nor can equals", {10, 11}, {20, 20.1}, 2, NAN, 0},
};

START_TEST(test_policies_are_ranked_by_what_can_be_told_apart)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct comparison_summary summary;
	double tau = rankings[_i].tau;

	for (size_t i = 0; i < rankings[_i].count; i++)
		pair_add(names[i], rankings[_i].predicted[i], rankings[_i].measured[i]);
	summary = summary_of();
	if (isnan(tau))
		ck_assert_msg(isnan(summary.kendall_tau), "%s: tau %g", rankings[_i].why,
			      summary.kendall_tau);
	else
		ck_assert_msg(fabs(summary.kendall_tau - tau) < 1e-9, "%s: tau %g",
			      rankings[_i].why, summary.kendall_tau);
	ck_assert_msg(fabs(summary.regret_frac - rankings[_i].regret) < 1e-9, "%s: regret %g",
		      rankings[_i].why, summary.regret_frac);
}
END_TEST

START_TEST(test_targets_are_not_ranked_against_each_other)
{
	struct comparison_summary summary;

	pair_add("a", 10, 10);
	pair_add("b", 12, 12);
	strcpy(pair_add("c", 11, 15)->target, "slow"); /* would be discordant with b */
	strcpy(pair_add("d", 13, 18)->target, "slow");
	summary = summary_of();
	ck_assert_double_eq_tol(summary.kendall_tau, 1, 1e-9);
	ck_assert_double_eq_tol(summary.regret_frac, 0, 1e-9);
}
END_TEST

/* What is below a hundredth of the total: predicted 0, measured something, is no error of 100 %. */
START_TEST(test_components_too_small_to_matter_are_not_judged)
{
	struct comparison_summary summary;
	struct result_row *real;

	real = pair_add("a", 110, 100);
	real->mem_ns_per_token = 0.99e6;
	real = pair_add("b", 110, 100);
	real->mem_ns_per_token = 1e6;
	rows[row_count - 2].mem_ns_per_token = 1.2e6; /* its prediction */
	summary = summary_of();
	ck_assert_uint_eq(summary.counted[COMPONENT_MEM], 1);
	ck_assert_uint_eq(summary.counted[COMPONENT_IO], 2);
	ck_assert_uint_eq(summary.counted[COMPONENT_TOTAL], 2);
	ck_assert_double_eq_tol(summary.median_frac[COMPONENT_MEM], 0.2, 1e-12);
	ck_assert_double_eq_tol(summary.bias_frac[COMPONENT_MEM], 0.2, 1e-12);
}
END_TEST

START_TEST(test_other_threads_than_the_profile_s_are_told)
{
	struct comparison *pairs;
	size_t count;

	pair_add("a", 1, 1)->threads = 4;
	rows[0].threads = 4;
	pair_add("b", 1, 1)->threads = 2;
	rows[2].threads = 8;
	pair_add("c", 1, 1)->threads = 2; /* the other is not known */
	pairs = pairs_of(&count);
	ck_assert(pairs[0].same_threads && !pairs[1].same_threads && pairs[2].same_threads);
	free(pairs);
}
END_TEST

/* ---- printed forms ----------------------------------------------------------------------------
 */

static char *printed(void (*print)(FILE *, const struct comparison *, size_t,
				   const struct comparison_summary *))
{
	struct comparison_summary summary;
	struct comparison *pairs;
	size_t count, size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	ck_assert(out != NULL);
	pairs = pairs_of(&count);
	compare_summarise(&summary, pairs, count);
	print(out, pairs, count, &summary);
	ck_assert_int_eq(fclose(out), 0);
	free(pairs);
	return text;
}

static void fill(void)
{
	pair_add("a", 110, 100)->dram_weights_bytes = 340000000;
	rows[1].threads = 4;
	rows[0].threads = 8;
	strcpy(pair_add("b", 90, 100)->decision_hash, "other");
	pair_add("c", 50, 100)->repeats = 3;
	pair_add("d", 50, 100)->noise_floor_frac = 0.2;
}

START_TEST(test_the_table_says_units_errors_and_remarks)
{
	static const char *const wanted[] = {
		"x: m on disk",
		"MB/token",
		"total ms",
		"  +10.0    2.0  threads: profile 8, measured 4\n",
		"mem                 -        -        -        0\n",
		"io               10.0     10.0     +0.0        2\n",
		"a component counts where it measures at least 1 % of the total\n",
		"340",
		"DECISIONS DIFFER",
		"not judged: 3 clean repeats, 10 wanted",
		"not judged: noise above 8 %",
		"4 trials in both worlds, 3 with equal decisions, 2 judged",
		"within 10 % of the measured: 100.0 % of the judged",
	};
	char *text;

	fill();
	text = printed(compare_print);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "no '%s' in\n%s", wanted[i], text);
	free(text);
}
END_TEST

START_TEST(test_the_lines_of_the_table_are_equally_wide)
{
	size_t width = 0;
	char *text, *line, *rest;

	pair_add("a", 110, 100)->dram_weights_bytes = 340000000;
	pair_add("b", 2.5, 2.25)->dram_weights_bytes = 34000;
	text = printed(compare_print);
	rest = text;
	while ((line = strtok_r(rest, "\n", &rest)) != NULL) {
		if (!strchr(line, '|'))
			continue;
		if (!width)
			width = strlen(line);
		ck_assert_msg(strlen(line) == width, "'%s' has %zu columns, expected %zu", line,
			      strlen(line), width);
	}
	ck_assert_uint_gt(width, 0);
	free(text);
}
END_TEST

START_TEST(test_json_has_the_same_facts_and_null_for_what_is_not_known)
{
	static const char *const wanted[] = {
		"{\"pairs\":[",
		"\"trial_hash\":\"a\"",
		"\"dram_weights_bytes\":340000000",
		"\"predicted_ns_per_token\":{\"io\":55000000,\"mem\":0,",
		"\"compute\":55000000,\"total\":110000000}",
		"\"error_frac\":{\"io\":0.1,\"mem\":null,\"compute\":0.1,\"total\":0.1}",
		"\"judged\":true,\"same_decisions\":false,\"profile_threads\":null,",
		"\"measured_threads\":null,\"same_threads\":true}",
		"\"profile_threads\":8,\"measured_threads\":4,\"same_threads\":false}",
		"\"counted\":{\"io\":2,\"mem\":0,\"compute\":2,\"total\":2}",
		"\"summary\":{\"pairs\":4,\"judged\":2,\"same_decisions\":3,",
		"\\\"q\\\"",
	};
	char *text;

	fill();
	strcpy(rows[0].trial, "policy=\"q\"");
	text = printed(compare_json);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "no '%s' in\n%s", wanted[i], text);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compare");
	TCase *tcase = tcase_create("rows");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, start, NULL);
	tcase_add_test(tcase, test_rows_pair_by_digest_in_the_order_of_sim);
	tcase_add_test(tcase, test_nothing_to_compare_is_no_pair);
	tcase_add_test(tcase, test_decisions_must_be_equal_in_every_figure);
	tcase_add_test(tcase, test_a_trial_is_judged_over_ten_clean_repeats_with_little_noise);
	tcase_add_test(tcase, test_errors_are_medians_p90_and_bias_over_the_judged);
	tcase_add_loop_test(tcase, test_policies_are_ranked_by_what_can_be_told_apart, 0,
			    sizeof(rankings) / sizeof(*rankings));
	tcase_add_test(tcase, test_targets_are_not_ranked_against_each_other);
	tcase_add_test(tcase, test_components_too_small_to_matter_are_not_judged);
	tcase_add_test(tcase, test_other_threads_than_the_profile_s_are_told);
	tcase_add_test(tcase, test_the_table_says_units_errors_and_remarks);
	tcase_add_test(tcase, test_the_lines_of_the_table_are_equally_wide);
	tcase_add_test(tcase, test_json_has_the_same_facts_and_null_for_what_is_not_known);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
