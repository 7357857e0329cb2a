/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_forecast_error.c - what a profile says of its fits becomes an interval whose ends are known */
#include "forecast_error.h"
#include "trial.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* sd of a normal error whose mean size is 1 %, times 1.96 */
#define OF_MEAN_1 0.024563960
/* sd of a run whose median gap to another is 1 %, times 1.96 */
#define OF_FLOOR_1 0.020547459

static void read_error(struct forecast_error *error, const struct device_origin *origin,
		       const char *yaml)
{
	struct ynode *profile;
	struct err err = {0};

	ck_assert_msg(yaml_parse(&profile, yaml, "dev.yaml", &err) == 0, "%s", err.msg);
	forecast_error_read(error, origin, profile);
	ynode_free(profile);
}

static struct result_row row_of(double io, double mem, double compute)
{
	struct result_row row;

	result_row_init(&row);
	row.in_flight = 32;
	row.io_ns_per_token = row.io_wait_ns_per_token = io;
	row.mem_ns_per_token = mem;
	row.compute_ns_per_token = compute;
	row.total_ns_per_token = io + mem + compute;
	return row;
}

static const struct {
	const char *why, *checks;
	double noise, fit;
	double io, mem, compute;
	uint64_t in_flight;
	double half; /* of the interval, ns */
} cases[] = {
	{"the flash fit moves what waits for flash", "what: errors", 0, 0.02, 1000, 0, 0, 32,
	 2 * OF_MEAN_1 * 1000},
	{"batches, where they fit less well", "batch_frac: 3%", 0, 0.02, 1000, 0, 0, 32,
	 3 * OF_MEAN_1 * 1000},
	{"few reads in flight are forecast less well", "batch_frac: 0.03, flash_all_frac: 0.1", 0,
	 0.02, 1000, 0, 0, 8, 10 * OF_MEAN_1 * 1000},
	{"many are not", "flash_all_frac: 0.1", 0, 0.02, 1000, 0, 0, 32, 2 * OF_MEAN_1 * 1000},
	{"what is not known is as good as a measurement", "what: errors", 0.03, 0, 1000, 1000, 1000,
	 32, 3 * OF_FLOOR_1 * 1732.0508},
	{"components err apart", "store_frac: 0.04, ffn_frac: 0.03", 0, 0, 1000, 3000, 4000, 32,
	 OF_MEAN_1 * 16970.5627 /* 4 x 3000 and 3 x 4000 */},
	{"no better than the floor", "ffn_frac: 0.01", 0.05, 0, 0, 0, 1000, 32,
	 5 * OF_FLOOR_1 * 1000},
	{"checks in words of the writer's own say nothing", "what: Table 2, batch_frac: 0.5", 0,
	 0.02, 1000, 0, 0, 32, 2 * OF_MEAN_1 * 1000},
	{"nor do odd ones", "batch_frac: good, ffn_frac: -1", 0, 0.02, 1000, 0, 0, 32,
	 2 * OF_MEAN_1 * 1000},
};

START_TEST(test_an_interval_is_as_wide_as_the_profile_s_errors)
{
	struct device_origin origin = {.noise_floor_frac = cases[_i].noise,
				       .flash_fit_error_frac = cases[_i].fit};
	struct result_row row = row_of(cases[_i].io, cases[_i].mem, cases[_i].compute);
	double total = row.total_ns_per_token, half = cases[_i].half;
	struct forecast_error error;
	char yaml[256];

	snprintf(yaml, sizeof(yaml), "checks: [{what: form, batch_frac: 0.9}, {%s%s}]\n",
		 strncmp(cases[_i].checks, "what", 4) == 0 ? "" : "what: errors, ",
		 cases[_i].checks);
	read_error(&error, &origin, yaml);
	row.in_flight = cases[_i].in_flight;
	forecast_error_put(&row, &error);
	ck_assert_msg(fabs(row.total_ns_high - total - half) < 1e-3 * half, "%s: got %g, wanted %g",
		      cases[_i].why, row.total_ns_high - total, half);
	ck_assert_double_eq_tol(row.total_ns_low, total - half, 1e-3 * half);
	ck_assert_double_eq_tol(row.spread_frac, half / total, 1e-3);
}
END_TEST

START_TEST(test_service_that_nobody_waits_for_moves_no_total)
{
	const struct device_origin origin = {.flash_fit_error_frac = 0.5};
	struct result_row row = row_of(1000, 0, 2000);
	struct forecast_error error;

	row.io_wait_ns_per_token = 0;
	row.total_ns_per_token = 2000;
	read_error(&error, &origin, "{}");
	forecast_error_put(&row, &error);
	ck_assert_double_eq(row.total_ns_low, 2000);
	ck_assert_double_eq(row.total_ns_high, 2000);
}
END_TEST

START_TEST(test_no_time_is_below_zero)
{
	const struct device_origin origin = {.flash_fit_error_frac = 3};
	struct result_row row = row_of(1000, 0, 0);
	struct forecast_error error;

	read_error(&error, &origin, "{}");
	forecast_error_put(&row, &error);
	ck_assert_double_eq(row.total_ns_low, 0);
	ck_assert_double_gt(row.total_ns_high, 4000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forecast error");
	TCase *tcase = tcase_create("profiles");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_an_interval_is_as_wide_as_the_profile_s_errors, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_test(tcase, test_service_that_nobody_waits_for_moves_no_total);
	tcase_add_test(tcase, test_no_time_is_below_zero);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
