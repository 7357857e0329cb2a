/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_line_fit.c - lines through timings of copies and kernels */
#include "flash_fit.h"
#include "rng.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_an_exact_line_is_found)
{
	const double x[] = {1e3, 1e4, 1e5, 1e6};
	double y[4];
	struct err err = {0};
	struct line_fit fit;

	for (int i = 0; i < 4; i++)
		y[i] = 700 + x[i] / 12.5;
	ck_assert_msg(line_fit(&fit, x, y, 4, &err) == 0, "%s", err.msg);
	ck_assert_double_eq_tol(fit.fixed, 700, 1e-6);
	ck_assert_double_eq_tol(fit.rate, 12.5, 1e-9);
	ck_assert_double_lt(fit.fixed_sd, 1e-4);
	ck_assert_double_lt(fit.error_frac, 1e-9);
}
END_TEST

/* Relative errors: without weights the one large x would drown the fixed part. */
START_TEST(test_noise_is_relative_and_the_deviation_says_how_large)
{
	double x[40], y[40], outside = 0;
	struct rng rng = {31};

	for (int round = 0; round < 50; round++) {
		struct err err = {0};
		struct line_fit fit;

		for (int i = 0; i < 40; i++) {
			x[i] = 100 * pow(2, i % 14);
			y[i] = (500 + x[i] / 8) * (1 + 0.1 * (rng_unit(&rng) - 0.5));
		}
		ck_assert_msg(line_fit(&fit, x, y, 40, &err) == 0, "%s", err.msg);
		ck_assert_double_eq_tol(fit.fixed, 500, 25);
		ck_assert_double_eq_tol(fit.rate, 8, 0.4);
		outside += fabs(fit.fixed - 500) > 2 * fit.fixed_sd;
		outside += fabs(fit.rate - 8) > 2 * fit.rate_sd;
	}
	/* About 5 of 100 are to be expected. */
	ck_assert_double_lt(outside, 15);
	ck_assert_double_gt(outside, 0);
}
END_TEST

START_TEST(test_the_fixed_part_is_never_negative)
{
	const double x[] = {1, 2, 3, 4}, y[] = {1, 3, 5, 7}; /* cuts at -1 */
	struct err err = {0};
	struct line_fit fit;

	ck_assert_msg(line_fit(&fit, x, y, 4, &err) == 0, "%s", err.msg);
	ck_assert_double_eq(fit.fixed, 0);
	ck_assert_double_eq(fit.fixed_sd, 0);
	ck_assert_double_gt(fit.rate, 1 / 2.0);
	ck_assert_double_lt(fit.rate, 1);
}
END_TEST

START_TEST(test_two_points_give_a_line_of_unknown_scatter)
{
	const double x[] = {1, 2}, y[] = {3, 4};
	struct err err = {0};
	struct line_fit fit;

	ck_assert_msg(line_fit(&fit, x, y, 2, &err) == 0, "%s", err.msg);
	ck_assert_double_eq_tol(fit.fixed, 2, 1e-9);
	ck_assert(isinf(fit.rate_sd));
}
END_TEST

static const struct {
	const char *why;
	double x[3], y[3];
	size_t count;
	const char *says;
} bad[] = {
	{"nothing", {0}, {0}, 0, "0 points"},
	{"one point", {1}, {1}, 1, "1 points"},
	{"one size", {2, 2, 2}, {1, 2, 3}, 3, "wanted two different sizes"},
	{"a falling line", {1, 2, 3}, {9, 5, 1}, 3, "no rising line"},
	{"a negative time", {1, 2, 3}, {1, -2, 3}, 3, "point 1"},
	{"a time that is no number", {1, 2, 3}, {1, 2, NAN}, 3, "point 2"},
	{"no size", {0, 2, 3}, {1, 2, 3}, 3, "point 0"},
};

START_TEST(test_what_is_no_line_is_refused)
{
	struct err err = {0};
	struct line_fit fit;

	ck_assert_msg(line_fit(&fit, bad[_i].x, bad[_i].y, bad[_i].count, &err) == EDOM, "%s",
		      bad[_i].why);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "said: %s", err.msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line fit");
	TCase *tcase = tcase_create("line fit");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, test_an_exact_line_is_found);
	tcase_add_test(tcase, test_noise_is_relative_and_the_deviation_says_how_large);
	tcase_add_test(tcase, test_the_fixed_part_is_never_negative);
	tcase_add_test(tcase, test_two_points_give_a_line_of_unknown_scatter);
	tcase_add_loop_test(tcase, test_what_is_no_line_is_refused, 0,
			    sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
