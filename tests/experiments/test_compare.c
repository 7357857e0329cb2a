/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_compare.c - hand-made rows, whose errors, ranks and regrets are known */
#include "compare.h"
#include "device.h"
#include "profiles.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	row->io_ns_per_token = row->io_wait_ns_per_token = 0.5e6 * total_ms;
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
	ck_assert(isnan(summary.component[COMPONENT_TOTAL].median_frac));
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
	ck_assert_double_eq_tol(summary.component[COMPONENT_TOTAL].median_frac, 0.10, 1e-9);
	ck_assert_double_eq_tol(summary.component[COMPONENT_TOTAL].p90_frac, 0.26, 1e-9);
	ck_assert_double_eq_tol(summary.component[COMPONENT_TOTAL].bias_frac, -0.25 / 3, 1e-9);
	ck_assert_double_eq_tol(summary.component[COMPONENT_IO].median_frac, 0.10, 1e-9);
	ck_assert(isnan(summary.component[COMPONENT_MEM].median_frac));
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
	 0},
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

START_TEST(test_what_stays_in_dram_is_not_ranked_against_what_reads)
{
	struct comparison_summary summary;

	pair_add("a", 3, 4)->read_count_per_token =
		0; /* best of all, and would be discordant with b */
	pair_add("b", 2, 5);
	pair_add("c", 12, 9.5); /* within twice the best that reads, not of the best of all */
	summary = summary_of();
	ck_assert_double_eq_tol(summary.kendall_tau, 1, 1e-9);
	ck_assert_uint_eq(summary.ranked_pairs, 1);
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
	ck_assert_uint_eq(summary.component[COMPONENT_MEM].counted, 1);
	ck_assert_uint_eq(summary.component[COMPONENT_IO].counted, 2);
	ck_assert_uint_eq(summary.component[COMPONENT_TOTAL].counted, 2);
	ck_assert_double_eq_tol(summary.component[COMPONENT_MEM].median_frac, 0.2, 1e-12);
	ck_assert_double_eq_tol(summary.component[COMPONENT_MEM].bias_frac, 0.2, 1e-12);
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

START_TEST(test_another_read_engine_than_the_profile_s_is_told)
{
	struct comparison *pairs;
	struct result_row *real;
	size_t count;

	for (int i = 0; i < 3; i++) {
		real = pair_add((const char *[]){"a", "b", "c"}[i], 1, 1);
		strcpy(rows[2 * (size_t)i].read_engine, (const char *[]){"pread", "pread", ""}[i]);
		strcpy(real->read_engine, (const char *[]){"pread", "mmap", "mmap"}[i]);
	}
	pairs = pairs_of(&count);
	ck_assert(pairs[0].same_engine && !pairs[1].same_engine && pairs[2].same_engine);
	free(pairs);
}
END_TEST

/* ---- quantiles, floors, intervals ------------------------------------------------------------- */

/* Ten repeats each, for a pair to be judged. */
static const struct {
	uint64_t tokens;
	size_t p50, p95, p99; /* trials whose quantile is judged */
} pools[] = {
	{1, 0, 0, 0}, {2, 1, 0, 0}, {19, 1, 0, 0}, {20, 1, 1, 0}, {99, 1, 1, 0}, {100, 1, 1, 1},
};

START_TEST(test_a_quantile_needs_ten_tokens_beyond_it)
{
	struct comparison_summary summary;

	pair_add("a", 1, 1)->tokens = pools[_i].tokens;
	for (size_t i = 0; i < 2; i++)
		rows[i].total_ns_p50 = rows[i].total_ns_p95 = rows[i].total_ns_p99 = 1e6;
	summary = summary_of();
	ck_assert_uint_eq(summary.quantile[QUANTILE_P50].counted, pools[_i].p50);
	ck_assert_uint_eq(summary.quantile[QUANTILE_P95].counted, pools[_i].p95);
	ck_assert_uint_eq(summary.quantile[QUANTILE_P99].counted, pools[_i].p99);
	ck_assert(isnan(summary.quantile[QUANTILE_P99].median_frac) == !pools[_i].p99);
}
END_TEST

START_TEST(test_quantiles_are_held_against_their_like)
{
	struct comparison_summary summary;

	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = {"a", "b", "c"};
		struct result_row *real = pair_add(names[i], 1, 1), *sim = real - 1;

		real->tokens = 100;
		real->total_ns_p50 = real->total_ns_p95 = real->total_ns_p99 = 100;
		sim->total_ns_p50 = 100;
		sim->total_ns_p95 = 110;
		sim->total_ns_p99 = 100 - 20 * (double)i; /* 0, -20, -40 % */
	}
	rows[5].noise_floor_frac = 0.5; /* c is not judged */
	summary = summary_of();
	ck_assert_uint_eq(summary.quantile[QUANTILE_P99].counted, 2);
	ck_assert_double_eq_tol(summary.quantile[QUANTILE_P50].p90_frac, 0, 1e-12);
	ck_assert_double_eq_tol(summary.quantile[QUANTILE_P95].bias_frac, 0.1, 1e-12);
	ck_assert_double_eq_tol(summary.quantile[QUANTILE_P99].median_frac, 0.1, 1e-12);
	ck_assert_double_eq_tol(summary.quantile[QUANTILE_P99].p90_frac, 0.18, 1e-12);
	ck_assert_double_eq_tol(summary.quantile[QUANTILE_P99].bias_frac, -0.1, 1e-12);
}
END_TEST

START_TEST(test_errors_are_told_as_multiples_of_their_noise_floors)
{
	struct comparison_summary summary;

	pair_add("a", 104, 100);			  /* floor 2 %: twice */
	pair_add("b", 94, 100)->noise_floor_frac = 0.06;  /* once */
	pair_add("c", 112, 100)->noise_floor_frac = 0.04; /* thrice */
	pair_add("d", 150, 100)->noise_floor_frac = 0;	  /* of nothing: no multiple */
	summary = summary_of();
	ck_assert_double_eq_tol(summary.component[COMPONENT_TOTAL].over_floor, 2, 1e-9);
	ck_assert_double_eq_tol(summary.floor_frac, 0.03, 1e-9);
	ck_assert_double_eq_tol(summary.within_5_frac, 0.25, 1e-9);
	ck_assert_double_eq_tol(summary.within_10_frac, 0.5, 1e-9);
}
END_TEST

static void interval_put(struct result_row *row, double low, double high)
{
	row->total_ns_low = low;
	row->total_ns_high = high;
}

START_TEST(test_intervals_cover_where_they_meet)
{
	/* of the prediction, of the measurement */
	static const double intervals[][4] = {
		{90, 100, 100, 110}, {90, 99, 100, 110},   {111, 120, 100, 110},
		{80, 130, 100, 110}, {NAN, NAN, 100, 110},
	};
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	struct comparison_summary summary;

	for (size_t i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		struct result_row *real = pair_add(names[i], 1, 1);

		interval_put(real - 1, intervals[i][0], intervals[i][1]);
		interval_put(real, intervals[i][2], intervals[i][3]);
	}
	summary = summary_of();
	ck_assert_double_eq_tol(summary.covered_frac, 0.5, 1e-12); /* a and d, of four */
}
END_TEST

/* With overlap the service of reads and the wait for them are two figures. */
START_TEST(test_wait_and_service_are_judged_apart)
{
	struct comparison_summary summary;
	struct result_row *real = pair_add("a", 100, 100);

	real->io_ns_per_token = 50e6;
	real->io_wait_ns_per_token = 10e6;
	real[-1].io_ns_per_token = 60e6;
	real[-1].io_wait_ns_per_token = 9e6;
	summary = summary_of();
	ck_assert_double_eq_tol(summary.component[COMPONENT_IO].bias_frac, 0.2, 1e-12);
	ck_assert_double_eq_tol(summary.component[COMPONENT_WAIT].bias_frac, -0.1, 1e-12);
}
END_TEST

/* ---- groups ----------------------------------------------------------------------------------- */

static void report_of(struct comparison_report *report)
{
	struct err err = {0};

	ck_assert_msg(compare_report_make(report, rows, row_count, NULL, &err) == 0, "%s", err.msg);
}

static void model_put(size_t row, const char *model)
{
	strcpy(rows[row].model, model);
	strcpy(rows[row + 1].model, model);
}

START_TEST(test_groups_are_summed_up_apart_and_together)
{
	struct comparison_report report;

	pair_add("a", 104, 100);
	pair_add("b", 130, 120);
	pair_add("c", 108, 100);
	model_put(2, "other");
	report_of(&report);
	ck_assert_uint_eq(report.group_count, 2);
	ck_assert_uint_eq(report.groups[0].count, 2); /* a and c, though b lies between */
	ck_assert_str_eq(report.pairs[1].sim->trial_hash, "c");
	ck_assert_str_eq(report.pairs[2].sim->trial_hash, "b");
	ck_assert_double_eq_tol(report.groups[0].summary.component[COMPONENT_TOTAL].bias_frac, 0.06,
				1e-12);
	ck_assert_uint_eq(report.groups[1].summary.pairs, 1);
	ck_assert_uint_eq(report.all.pairs, 3);
	ck_assert_double_eq_tol(report.all.component[COMPONENT_TOTAL].median_frac, 0.08, 1e-12);
	compare_report_fini(&report);
}
END_TEST

/* ---- printed forms ----------------------------------------------------------------------------
 */

static char *printed(void (*print)(FILE *, const struct comparison_report *))
{
	struct comparison_report report;
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	ck_assert(out != NULL);
	report_of(&report);
	print(out, &report);
	ck_assert_int_eq(fclose(out), 0);
	compare_report_fini(&report);
	return text;
}

static void fill(void)
{
	pair_add("a", 110, 100)->dram_weights_bytes = 340000000;
	rows[1].pace_frac = 0.9; /* of the others it is not known */
	rows[1].threads = 4;
	rows[0].threads = 8;
	strcpy(rows[1].read_engine, "mmap");
	strcpy(rows[0].read_engine, "pread");
	strcpy(pair_add("b", 90, 100)->decision_hash, "other");
	pair_add("c", 50, 100)->repeats = 3;
	pair_add("d", 50, 100)->noise_floor_frac = 0.2;
}

static void holds_all(const char *text, const char *const *wanted, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "no '%s' in\n%s", wanted[i], text);
}

START_TEST(test_the_table_says_units_errors_and_remarks)
{
	static const char *const wanted[] = {
		"x: m on disk",
		"MB/token",
		"total ms",
		"  +10.0    2.0  threads: profile 8, measured 4  read engine: "
		"profile pread, measured mmap\n",
		"memory              -        -        -          -        0\n",
		"flash I/O        10.0     10.0     +0.0       5.00        2\n",
		"p99        not judged: too few tokens pooled\n",
		"a component counts where it measures at least 1 % of the total;",
		"340",
		"DECISIONS DIFFER",
		"not judged: 3 clean repeats, 10 wanted",
		"not judged: noise above 8 %",
		"4 trials in both worlds, 3 with equal decisions, 2 judged",
		("within 10 % of the measured: 100.0 % of the judged, 50.0 % of all; within 5 %: "
		 "0.0 %"),
		"median noise floor 2.0 %",
		"the host read memory at 90.0 % of the pace at which it was calibrated",
		"fitted: profile , which the store does not keep",
		"held out: all 4 trials",
	};
	char *text;

	fill();
	text = printed(compare_print);
	holds_all(text, wanted, sizeof(wanted) / sizeof(*wanted));
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
		"\"predicted_ns_per_token\":{\"io\":55000000,\"io_wait\":55000000,\"mem\":0,",
		"\"compute\":55000000,\"total\":110000000}",
		"\"error_frac\":{\"io\":0.1,\"io_wait\":0.1,\"mem\":null,\"compute\":0.1,\"total\":"
		"0.1}",
		"\"predicted_total_ns_interval\":[null,null]",
		"\"quantile_error_frac\":{\"p50\":null,",
		"\"judged\":true,\"same_decisions\":false,\"profile_threads\":null,",
		"\"measured_threads\":null,\"same_threads\":true,\"profile_read_engine\":\"\",",
		"\"measured_read_engine\":\"\",\"same_read_engine\":true}",
		"\"profile_threads\":8,\"measured_threads\":4,\"same_threads\":false,\"profile_"
		"read_engine\":\"pread\",\"measured_read_engine\":\"mmap\",\"same_read_engine\":"
		"false}",
		"\"groups\":[",
		"\"held_out\":[\"a\",\"b\",\"c\",\"d\"]",
		"\"not_judged\":[",
		"{\"trial_hash\":\"c\",\"trial\":\"pc\",\"noise_floor_frac\":0.02,\"why\":\"3 "
		"clean "
		"repeats, 10 wanted\"}",
		"\"noise_floor_frac\":0.2,\"why\":\"noise above 8 %\"}",
		"\"summary\":{\"pairs\":4,\"judged\":2,\"same_decisions\":3,",
		"\"total\":{\"median_frac\":0.1,\"p90_frac\":0.1,\"bias_frac\":0,\"over_floor\":5,"
		"\"trials\":2}",
		"\"p99\":{\"median_frac\":null,\"p90_frac\":null,\"bias_frac\":null,\"over_floor\":"
		"null,\"trials\":0}",
		"\\\"q\\\"",
	};
	char *text;

	fill();
	strcpy(rows[0].trial, "policy=\"q\"");
	text = printed(compare_json);
	holds_all(text, wanted, sizeof(wanted) / sizeof(*wanted));
	free(text);
}
END_TEST

/* Whole, since docs/validation.md is made of it. */
static const char golden_markdown[] =
	"| total a token, errors in % | judged | median | p90 | bias | within 5 | within 10 | "
	"noise "
	"floor | over floor | p99: median | p90 | trials | Kendall tau | regret | covered | host "
	"pace "
	"|\n"
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
	"| x, `m` on disk | 2 of 3 | 7.5 | 9.5 | +2.5 | 50.0 | 100.0 | 2.0 | 3.75 | 10.0 | 10.0 | "
	"1 "
	"| 1.00 | 0.0 | 100.0 | 95.0 |\n"
	"\n| error, % | median | p90 | bias | over floor | trials |\n|---|---|---|---|---|---|\n"
	"| flash I/O | 7.5 | 9.5 | +2.5 | 3.75 | 2 |\n"
	"| I/O wait | 7.5 | 9.5 | +2.5 | 3.75 | 2 |\n"
	"| memory | not judged | | | | 0 |\n"
	"| compute | 7.5 | 9.5 | +2.5 | 3.75 | 2 |\n"
	"| total | 7.5 | 9.5 | +2.5 | 3.75 | 2 |\n"
	"| p50 | 10.0 | 10.0 | +10.0 | 5.00 | 1 |\n"
	"| p95 | 10.0 | 10.0 | +10.0 | 5.00 | 1 |\n"
	"| p99 | 10.0 | 10.0 | +10.0 | 5.00 | 1 |\n"
	"\nFitted: profile ``, which the store does not keep.\n"
	"\nHeld out: all 3 trials below; a calibration runs micro-benchmarks and no trial.\n"
	"\nMeasured from 2026-11-21T01:00:00Z to 2026-11-21T03:00:00Z, a host; flashcast 0.4 "
	"(abc).\n"
	"\n<details><summary>3 trials: x, `m` on disk</summary>\n\n"
	"| trial | I/O wait ms, predicted / measured | memory ms | compute ms | total ms | error % "
	"| of p99 | noise % | |\n"
	"|---|---|---|---|---|---|---|---|---|\n"
	"| pa | 55.0 / 50.0 | 0.00 / 0.00 | 55.0 / 50.0 | 110 / 100 | +10.0 | +10.0 | 2.0 | |\n"
	"| pb | 57.0 / 60.0 | 0.00 / 0.00 | 57.0 / 60.0 | 114 / 120 | -5.0 | - | 2.0 | |\n"
	"| pc | 90.0 / 50.0 | 0.00 / 0.00 | 90.0 / 50.0 | 180 / 100 | +80.0 | - | 20.0 | not "
	"judged: "
	"noise above 8 % |\n"
	"\n</details>\n";

START_TEST(test_markdown_is_the_golden_one)
{
	struct result_row *real = pair_add("a", 110, 100);
	char *text;

	real->tokens = 100;
	real->total_ns_p50 = real->total_ns_p95 = real->total_ns_p99 = 100;
	real[-1].total_ns_p50 = real[-1].total_ns_p95 = real[-1].total_ns_p99 = 110;
	interval_put(real, 95e6, 105e6);
	interval_put(real - 1, 100e6, 120e6);
	pair_add("b", 114, 120);
	pair_add("c", 180, 100)->noise_floor_frac = 0.2;
	rows[1].pace_frac = 0.8;
	rows[3].pace_frac = 1.1;
	rows[5].pace_frac = 3; /* not judged */
	strcpy(rows[1].started_at, "2026-11-21T02:00:00Z");
	strcpy(rows[3].started_at, "2026-11-21T01:00:00Z");
	strcpy(rows[5].started_at, "2026-11-21T03:00:00Z");
	strcpy(rows[5].host, "a host");
	strcpy(rows[5].version, "0.4");
	strcpy(rows[5].git_rev, "abc");
	text = printed(compare_markdown);
	ck_assert_str_eq(text, golden_markdown);
	free(text);
}
END_TEST

/* ---- what was fitted -------------------------------------------------------------------------- */

static const char profile_yaml[] =
	"name: dev\n"
	"flash: {latency_ns: 60us, stream_bytes_per_s: 3GB/s, request_rate_per_s: 150k/s, "
	"peak_bytes_per_s: 6GB/s}\n"
	"dram: {append_bytes_per_s: 14GB/s, move_bytes_per_s: 14GB/s}\n"
	"compute: {gemv_f32_bytes_per_s: 27GB/s, gemv_f16_bytes_per_s: 70GB/s, "
	"gemv_bf16_bytes_per_s: 70GB/s, ffn_f32_bytes_per_s: 27GB/s, ffn_f16_bytes_per_s: 70GB/s, "
	"ffn_bf16_bytes_per_s: 70GB/s, kv_bytes_per_s: 27GB/s, flops_per_s: 1Tflop/s}\n"
	"origin: {kind: emulated, noise_floor_frac: 2%, date: 2026-11-21}\n"
	"points:\n"
	"  - {read_bytes: 4KiB, in_flight: 1, reads_per_s: 10k/s}\n"
	"  - {read_bytes: 4KiB, in_flight: 32, reads_per_s: 150k/s}\n"
	"  - {read_bytes: 1MiB, in_flight: 8, reads_per_s: 5k/s}\n"
	"intervals: {latency_ns: [50us, 70us]}\n"
	"checks: [{what: form, form: x}, {what: batch, reads: 100}, {what: batch, reads: 200}]\n";

static void profile_keep(const char *dir)
{
	struct ynode *source, *profile;
	struct device device;
	struct err err = {0};

	ck_assert_int_eq(yaml_parse(&profile, profile_yaml, "dev.yaml", &err), 0);
	ck_assert_msg(device_read(&device, profile, &err) == 0, "%s", err.msg);
	device_hash(&device, rows[0].device_hash);
	strcpy(rows[1].device_hash, rows[0].device_hash);
	strcpy(rows[0].device, "dev");
	source = ynode_new_map("x.yaml");
	ck_assert_int_eq(ynode_put(source, "device", profile, &err), 0);
	ck_assert_msg(profiles_write(dir, source, &err) == 0, "%s", err.msg);
	ynode_free(source);
}

START_TEST(test_what_was_fitted_is_told_from_the_store)
{
	char dir[] = "/tmp/flash-cmp-XXXXXX", path[512], command[64];
	struct comparison_report report;
	struct err err = {0};
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert(mkdtemp(dir) != NULL);
	pair_add("a", 110, 100);
	profile_keep(dir);
	snprintf(path, sizeof(path), "%s/devices/%s.yaml", dir, rows[0].device_hash);
	ck_assert_int_eq(access(path, R_OK), 0);
	ck_assert_msg(compare_report_make(&report, rows, row_count, dir, &err) == 0, "%s", err.msg);
	compare_print(out, &report);
	compare_json(out, &report);
	compare_markdown(out, &report);
	ck_assert_int_eq(fclose(out), 0);
	compare_report_fini(&report);
	ck_assert_ptr_nonnull(strstr(text, "fitted: profile dev, emulated, 2026-11-21; flash form "
					   "to 3 measured points (2 sizes from 4 KiB to 1 MiB, 1 "
					   "to 32 in flight), its batches to 2\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"points\":[\n{\"read_bytes\":\"4KiB\""));
	ck_assert_ptr_nonnull(strstr(text, "Fitted: profile `dev` (emulated, 2026-11-21): "
					   "flash `latency_ns`, `stream_bytes_per_s`"));
	free(text);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(test_a_row_s_hash_is_no_path)
{
	static const char *const hashes[] = {"", "../../etc/passwd", "abc/def", "0123", "ABC"};
	struct ynode *profile;
	struct err err = {0};

	ck_assert_int_eq(profile_load(&profile, "/nowhere", hashes[_i], &err), 0);
	ck_assert_ptr_null(profile);
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
	tcase_add_test(tcase, test_what_stays_in_dram_is_not_ranked_against_what_reads);
	tcase_add_test(tcase, test_components_too_small_to_matter_are_not_judged);
	tcase_add_test(tcase, test_other_threads_than_the_profile_s_are_told);
	tcase_add_test(tcase, test_another_read_engine_than_the_profile_s_is_told);
	tcase_add_loop_test(tcase, test_a_quantile_needs_ten_tokens_beyond_it, 0,
			    sizeof(pools) / sizeof(*pools));
	tcase_add_test(tcase, test_quantiles_are_held_against_their_like);
	tcase_add_test(tcase, test_errors_are_told_as_multiples_of_their_noise_floors);
	tcase_add_test(tcase, test_intervals_cover_where_they_meet);
	tcase_add_test(tcase, test_wait_and_service_are_judged_apart);
	tcase_add_test(tcase, test_groups_are_summed_up_apart_and_together);
	tcase_add_test(tcase, test_the_table_says_units_errors_and_remarks);
	tcase_add_test(tcase, test_the_lines_of_the_table_are_equally_wide);
	tcase_add_test(tcase, test_json_has_the_same_facts_and_null_for_what_is_not_known);
	tcase_add_test(tcase, test_markdown_is_the_golden_one);
	tcase_add_test(tcase, test_what_was_fitted_is_told_from_the_store);
	tcase_add_loop_test(tcase, test_a_row_s_hash_is_no_path, 0, 5);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
