/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_linear_fit.c - additive costs are found again, never below zero, and bad points are refused
 */
#include "linear_fit.h"

#include "rng.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 24, TERMS = 3 };

static const double truth[TERMS] = {1.5, 0.02, 0.007};

/* Points over three orders of magnitude with relative noise. */
static void make_points(double *x, double *y, const double *costs, double noise)
{
	struct rng rng = {11};

	for (size_t i = 0; i < POINTS; i++) {
		y[i] = 0;
		for (size_t j = 0; j < TERMS; j++) {
			x[i * TERMS + j] = pow(10, 1 + 3 * rng_unit(&rng));
			y[i] += costs[j] * x[i * TERMS + j];
		}
		y[i] *= 1 + noise * (2 * rng_unit(&rng) - 1);
	}
}

START_TEST(test_costs_are_found_again)
{
	double x[POINTS * TERMS], y[POINTS], got[TERMS], error;
	struct err err = {0};

	make_points(x, y, truth, 0);
	ck_assert_int_eq(linear_fit(got, &error, x, y, POINTS, TERMS, &err), 0);
	for (size_t j = 0; j < TERMS; j++)
		ck_assert_double_eq_tol(got[j] / truth[j], 1, 1e-9);
	ck_assert_double_lt(error, 1e-9);
}
END_TEST

START_TEST(test_noise_moves_them_little)
{
	double x[POINTS * TERMS], y[POINTS], got[TERMS], error;
	struct err err = {0};

	make_points(x, y, truth, 0.05);
	ck_assert_int_eq(linear_fit(got, &error, x, y, POINTS, TERMS, &err), 0);
	ck_assert_double_eq_tol(got[0] / truth[0], 1, 0.1);
	ck_assert_double_gt(error, 0.001);
	ck_assert_double_lt(error, 0.05);
}
END_TEST

START_TEST(test_a_term_that_would_be_negative_is_zero)
{
	static const double costs[TERMS] = {1.5, 0.02, -0.004};
	double x[POINTS * TERMS], y[POINTS], got[TERMS], error;
	struct err err = {0};

	make_points(x, y, costs, 0);
	for (size_t i = 0; i < POINTS; i++)
		y[i] = fmax(y[i], 1);
	ck_assert_int_eq(linear_fit(got, &error, x, y, POINTS, TERMS, &err), 0);
	ck_assert(got[2] == 0);
	ck_assert_double_gt(got[0], 0);
}
END_TEST

START_TEST(test_costs_over_a_base_are_found_again)
{
	double x[POINTS * TERMS], y[POINTS], base[POINTS], got[TERMS], error;
	struct err err = {0};

	make_points(x, y, truth, 0);
	for (size_t i = 0; i < POINTS; i++) {
		base[i] = 100.0 * (double)(i + 1);
		y[i] += base[i];
	}
	ck_assert_int_eq(linear_fit_over(got, &error, x, y, base, POINTS, TERMS, &err), 0);
	for (size_t j = 0; j < TERMS; j++)
		ck_assert_double_eq_tol(got[j] / truth[j], 1, 1e-6);
	ck_assert_double_lt(error, 1e-9);
}
END_TEST

START_TEST(test_a_base_that_is_too_much_leaves_nothing_to_fit)
{
	double x[POINTS * TERMS], y[POINTS], base[POINTS], got[TERMS], error;
	struct err err = {0};

	make_points(x, y, truth, 0);
	for (size_t i = 0; i < POINTS; i++)
		base[i] = 1.25 * y[i];
	ck_assert_int_eq(linear_fit_over(got, &error, x, y, base, POINTS, TERMS, &err), 0);
	for (size_t j = 0; j < TERMS; j++)
		ck_assert_double_eq(got[j], 0);
	ck_assert_double_eq_tol(error, 0.25, 1e-12);
}
END_TEST

START_TEST(test_bad_points_are_refused)
{
	static const double x[2 * TERMS] = {1, 2, 3, 4, 5, 6}, y[2] = {1, 2}, zero[3] = {1, 0, 1};
	double got[TERMS], error;
	struct err few = {0}, none = {0};

	ck_assert_int_eq(linear_fit(got, &error, x, y, 2, TERMS, &few), EDOM);
	ck_assert_ptr_nonnull(strstr(few.msg, "2 points, expected at least 3"));
	ck_assert_int_eq(linear_fit(got, &error, x, zero, 2, 1, &none), EDOM);
	ck_assert_ptr_nonnull(strstr(none.msg, "point 1 is 0, expected above 0"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linear_fit");
	TCase *tcase = tcase_create("linear_fit");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_costs_are_found_again);
	tcase_add_test(tcase, test_noise_moves_them_little);
	tcase_add_test(tcase, test_a_term_that_would_be_negative_is_zero);
	tcase_add_test(tcase, test_costs_over_a_base_are_found_again);
	tcase_add_test(tcase, test_a_base_that_is_too_much_leaves_nothing_to_fit);
	tcase_add_test(tcase, test_bad_points_are_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
