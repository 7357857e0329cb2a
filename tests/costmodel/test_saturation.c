/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_saturation.c - rates over threads: the form's limits, and fits that find what made the points */
#include "rng.h"
#include "saturation.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16, ROUNDS = 5 };

START_TEST(test_threads_add_up_until_they_share)
{
	const double params[SATURATION_PARAMS] = {10, 40, 4},
		     sharp[SATURATION_PARAMS] = {10, 40, 64};
	double before = 0;

	ck_assert_double_eq_tol(saturation_rate(sharp, 2), 20, 0.01);
	ck_assert_double_eq_tol(saturation_rate(sharp, 400), 40, 0.01);
	ck_assert_double_eq_tol(saturation_rate(params, 4), 40 * pow(2, -0.25), 1e-9);
	for (unsigned t = 1; t <= 64; t++) {
		double rate = saturation_rate(params, t);

		ck_assert(rate > before && rate < 10.0 * t && rate < 40);
		before = rate;
	}
}
END_TEST

/* Points of a form, each off by up to 'noise'. */
static unsigned draw(struct saturation_point *points, const double *params, double noise)
{
	struct rng rng = {17};
	unsigned count = 0;

	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned t = 1; t <= THREADS; t++)
			points[count++] = (struct saturation_point){
				t, saturation_rate(params, t) *
					   (1 + noise * (2 * rng_unit(&rng) - 1))};
	return count;
}

static const struct {
	const char *why;
	double params[SATURATION_PARAMS];
} forms[] = {
	{"memory of a laptop", {12e9, 60e9, 4}},
	{"a roofline", {8e9, 30e9, 64}},
	{"a knee that none of those held comes near", {9e9, 50e9, 0.7}},
	{"that saturates early and softly", {20e9, 45e9, 1}},
};

START_TEST(test_the_fit_finds_what_made_the_points)
{
	const double *params = forms[_i].params;
	struct saturation_point points[THREADS * ROUNDS];
	unsigned count = draw(points, params, 0.01);
	struct saturation fit;
	struct err err = {0};

	points[7].rate /= 3; /* something held it up */
	ck_assert_msg(saturation_fit(&fit, points, count, &err) == 0, "%s: %s", forms[_i].why,
		      err.msg);
	for (unsigned p = SATURATION_ONE; p <= SATURATION_ALL; p++) {
		ck_assert_msg(fabs(fit.params[p] / params[p] - 1) < 0.05,
			      "%s: %u is %g, made with %g", forms[_i].why, p, fit.params[p],
			      params[p]);
		ck_assert(fit.low[p] <= fit.params[p] && fit.params[p] <= fit.high[p]);
		ck_assert(fit.identified[p]);
	}
	for (unsigned t = 1; t <= THREADS; t++)
		ck_assert_double_eq_tol(saturation_rate(fit.params, t) / saturation_rate(params, t),
					1, 0.02);
}
END_TEST

START_TEST(test_threads_that_never_met_say_nothing_of_a_limit)
{
	struct saturation_point points[2 * ROUNDS];
	struct saturation fit;
	struct err err = {0};

	for (unsigned i = 0; i < 2 * ROUNDS; i++)
		points[i] = (struct saturation_point){
			1 + i % 2, 10e9 * (1 + i % 2) * (1 + 0.001 * (double)(i / 2))};
	ck_assert_int_eq(saturation_fit(&fit, points, 2 * ROUNDS, &err), 0);
	ck_assert_double_eq_tol(fit.params[SATURATION_ONE] / 10e9, 1, 0.02);
	ck_assert(!fit.identified[SATURATION_ALL]);
	ck_assert_double_eq_tol(saturation_rate(fit.params, 2) / 20e9, 1, 0.02);
}
END_TEST

START_TEST(test_points_that_determine_nothing_are_refused)
{
	struct saturation_point points[3] = {{2, 1e9}, {2, 2e9}, {4, -1}};
	struct saturation fit;
	struct err err = {0};

	ck_assert_int_eq(saturation_fit(&fit, points, 2, &err), EDOM);
	ck_assert_str_eq(err.msg,
			 "saturation over threads: 2 points of one number of threads, expected two "
			 "numbers");
	err = (struct err){0};
	ck_assert_int_eq(saturation_fit(&fit, points, 0, &err), EDOM);
	err = (struct err){0};
	ck_assert_int_eq(saturation_fit(&fit, points, 3, &err), EDOM);
	ck_assert_ptr_nonnull(strstr(err.msg, "wanted positive figures"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("saturation");
	TCase *tcase = tcase_create("saturation");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, test_threads_add_up_until_they_share);
	tcase_add_loop_test(tcase, test_the_fit_finds_what_made_the_points, 0,
			    sizeof(forms) / sizeof(forms[0]));
	tcase_add_test(tcase, test_threads_that_never_met_say_nothing_of_a_limit);
	tcase_add_test(tcase, test_points_that_determine_nothing_are_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
