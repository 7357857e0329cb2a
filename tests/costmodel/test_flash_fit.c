/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_flash_fit.c - the fit finds what made the points, says what it cannot know, and refuses the
 * rest */
#include "flash.h"
#include "flash_fit.h"
#include "mqsim.h"
#include "rng.h"

#include <check.h>
#include <errno.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 64 };

static const struct flash_params truth = {
	.latency_ns = 80e3,
	.stream_bytes_per_s = 2e9,
	.request_rate_per_s = 200e3,
	.peak_bytes_per_s = 3e9,
	.size_norm = 2,
	.knee = 3,
};

static double value(const struct flash_params *flash, int param)
{
	const double values[FLASH_FIT_PARAMS] = {
		flash->latency_ns,	 flash->stream_bytes_per_s, flash->request_rate_per_s,
		flash->peak_bytes_per_s, flash->size_norm,	    flash->knee,
	};

	return values[param];
}

/* Sizes 4 KiB .. 256 KiB, 1 .. 32 in flight, each off by a normal-like error of about 'noise'. */
static size_t synthetic(struct flash_point *points, const struct flash_params *flash, double noise,
			uint64_t seed)
{
	struct rng rng = {seed};
	size_t count = 0;

	for (uint64_t bytes = 4096; bytes <= 256 << 10; bytes *= 2) {
		for (unsigned n = 1; n <= 32; n *= 2) {
			double draw = 0;

			for (int k = 0; k < 12; k++)
				draw += rng_unit(&rng);
			points[count++] = (struct flash_point){
				.read_bytes = bytes,
				.in_flight = n,
				.reads_per_s = flash_reads_per_s(flash, (double)bytes, n) *
					       exp(noise * (draw - 6)),
				.noise_frac = noise,
			};
		}
	}
	return count;
}

static void must_fit(struct flash_fit *fit, const struct flash_point *points, size_t count,
		     const struct flash_fit_options *options)
{
	struct err err = {0};

	ck_assert_msg(flash_fit(fit, points, count, options, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(err.code, 0);
}

START_TEST(test_exact_points_give_back_every_parameter)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0, 1);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit fit;

	must_fit(&fit, points, count, &options);
	for (int p = 0; p < FLASH_FIT_PARAMS; p++) {
		ck_assert_msg(fabs(value(&fit.flash, p) / value(&truth, p) - 1) < 1e-4,
			      "%s: %g, wanted %g", flash_fit_names[p], value(&fit.flash, p),
			      value(&truth, p));
		ck_assert(fit.identified[p]);
	}
	ck_assert_double_lt(fit.error_frac, 1e-6);
	ck_assert_double_lt(fit.cv_error_frac, 1e-4);
	ck_assert_uint_eq(fit.free_count, FLASH_FIT_PARAMS);
	ck_assert_uint_eq(fit.point_count, count);
}
END_TEST

/* Of 6 parameters and 20 seeds, 95 % intervals should hold about 114 of 120. */
START_TEST(test_intervals_hold_the_truth_as_often_as_they_claim)
{
	int held = 0, all = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct flash_point points[POINTS_MAX];
		size_t count = synthetic(points, &truth, 0.03, seed * 7919);
		struct flash_fit_options options = {.seed = seed};
		struct flash_fit fit;

		must_fit(&fit, points, count, &options);
		ck_assert_double_lt(fabs(fit.flash.latency_ns / truth.latency_ns - 1), 0.1);
		ck_assert_double_lt(fabs(fit.flash.peak_bytes_per_s / truth.peak_bytes_per_s - 1),
				    0.1);
		ck_assert_double_lt(fit.error_frac, 0.04);
		for (int p = 0; p < FLASH_FIT_PARAMS; p++) {
			held += fit.low[p] <= value(&truth, p) && value(&truth, p) <= fit.high[p];
			all++;
		}
	}
	ck_assert_msg(held >= all * 88 / 100, "%d of %d", held, all);
}
END_TEST

START_TEST(test_the_bootstrap_only_widens)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0.05, 99);
	struct flash_fit_options options = {.seed = 3};
	struct flash_fit plain, wide;

	must_fit(&plain, points, count, &options);
	options.bootstrap = 100;
	must_fit(&wide, points, count, &options);
	for (int p = 0; p < FLASH_FIT_PARAMS; p++) {
		ck_assert_double_le(wide.low[p], plain.low[p]);
		ck_assert_double_ge(wide.high[p], plain.high[p]);
	}
	ck_assert_double_eq(wide.error_frac, plain.error_frac);
}
END_TEST

START_TEST(test_one_seed_gives_one_answer)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0.1, 5);
	struct flash_fit_options options = {.seed = 5, .bootstrap = 50};
	struct flash_fit first, second;

	must_fit(&first, points, count, &options);
	must_fit(&second, points, count, &options);
	for (int p = 0; p < FLASH_FIT_PARAMS; p++) {
		ck_assert_double_eq(value(&first.flash, p), value(&second.flash, p));
		ck_assert_double_eq(first.low[p], second.low[p]);
		ck_assert_double_eq(first.high[p], second.high[p]);
	}
}
END_TEST

/* One read in flight, one size: nothing tells the peak or the request cap. */
START_TEST(test_what_the_sweep_cannot_tell_is_not_identified)
{
	struct flash_point points[POINTS_MAX];
	size_t all = synthetic(points, &truth, 0.02, 17), count = 0;
	struct flash_fit_options options = {.seed = 2};
	struct flash_fit fit;

	for (size_t i = 0; i < all; i++)
		if (points[i].in_flight == 1)
			points[count++] = points[i];
	must_fit(&fit, points, count, &options);
	ck_assert(!fit.identified[FIT_RATE]);
	ck_assert(!fit.identified[FIT_SIZE_NORM]);
	ck_assert_double_ge(fit.high[FIT_RATE], 3 * fit.low[FIT_RATE]);
}
END_TEST

static void assert_accepted(const struct param *row, double value)
{
	ck_assert_msg(value >= row->min && value <= row->max, "%s: %g is outside [%g, %g]",
		      row->name, value, row->min, row->max);
}

/* Latency alone: nothing tells B1, which runs away; a profile must still accept it, also where it
 * is made of parameters that are tied, and in each of the resamplings. */
START_TEST(test_what_runs_away_stays_where_a_profile_accepts_it)
{
	struct flash_params latency = truth;
	struct flash_point points[POINTS_MAX];
	struct flash_fit_options options = {.seed = 2, .bootstrap = 20, .tie = (enum flash_tie)_i};
	struct flash_fit fit;
	size_t count;

	latency.stream_bytes_per_s = 1e16;
	latency.request_rate_per_s = _i == FLASH_TIE_PARALLEL ? 8 / 80e-6 : 1e14;
	latency.peak_bytes_per_s = 1e16;
	count = synthetic(points, &latency, 0.02, 19);
	must_fit(&fit, points, count, &options);
	ck_assert(!fit.identified[FIT_STREAM]);
	ck_assert(_i == FLASH_TIE_PARALLEL || !fit.identified[FIT_RATE]);
	ck_assert_uint_gt(fit.sample_count, 0);
	for (int p = 0; p < FLASH_FIT_PARAMS; p++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[p]);

		ck_assert_ptr_nonnull(row);
		assert_accepted(row, value(&fit.flash, p));
		assert_accepted(row, fit.high[p]);
		ck_assert_double_le(fit.low[p], fit.high[p]);
		for (unsigned k = 0; k < fit.sample_count; k++)
			assert_accepted(row, fit.samples[k][p]);
	}
}
END_TEST

START_TEST(test_a_held_parameter_stays_and_the_others_follow)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0, 1);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit fit;

	options.fixed[FIT_PEAK] = truth.peak_bytes_per_s;
	options.fixed[FIT_KNEE] = 64;
	options.fixed[FIT_STREAM] = NAN;
	must_fit(&fit, points, count, &options);
	ck_assert_double_eq(fit.flash.peak_bytes_per_s, truth.peak_bytes_per_s);
	ck_assert_double_eq(fit.flash.knee, 64);
	ck_assert_double_eq(fit.low[FIT_KNEE], fit.high[FIT_KNEE]);
	ck_assert_uint_eq(fit.free_count, 4);
	/* A roofline cannot follow a soft knee: the error says so, and so does AICc. */
	ck_assert_double_gt(fit.error_frac, 0.01);
	for (int p = 0; p < FLASH_FIT_PARAMS; p++)
		options.fixed[p] = value(&truth, p);
	must_fit(&fit, points, count, &options);
	ck_assert_uint_eq(fit.free_count, 0);
	ck_assert_double_lt(fit.error_frac, 1e-12);
}
END_TEST

START_TEST(test_a_noisy_point_weighs_less)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0.01, 23);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit trusted, doubted;

	points[count - 1].reads_per_s *= 0.5;
	must_fit(&trusted, points, count, &options);
	points[count - 1].noise_frac = 0.7;
	must_fit(&doubted, points, count, &options);
	ck_assert_double_lt(fabs(doubted.flash.peak_bytes_per_s / truth.peak_bytes_per_s - 1),
			    0.03);
	ck_assert_double_gt(fabs(trusted.flash.peak_bytes_per_s / truth.peak_bytes_per_s - 1),
			    fabs(doubted.flash.peak_bytes_per_s / truth.peak_bytes_per_s - 1));
}
END_TEST

START_TEST(test_the_form_follows_mqsim_also_at_sizes_left_out)
{
	struct flash_point points[POINTS_MAX];
	size_t count = mqsim_points(points, POINTS_MAX);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit fit, roofline;

	ck_assert_uint_eq(count, 24);
	must_fit(&fit, points, count, &options);
	ck_assert_msg(fit.error_frac <= 0.05, "in sample %.2f %%", 100 * fit.error_frac);
	ck_assert_msg(fit.cv_error_frac <= 0.08, "left out %.2f %%", 100 * fit.cv_error_frac);
	options.fixed[FIT_SIZE_NORM] = options.fixed[FIT_KNEE] = 64;
	must_fit(&roofline, points, count, &options);
	ck_assert_double_gt(roofline.error_frac, 2 * fit.error_frac);
	ck_assert_double_gt(roofline.aicc, fit.aicc);
}
END_TEST

/* paper.md 2: implied reads a second on the M1 Max, 32 threads. */
static const struct flash_point m1_max[] = {
	{8192, 32, 153e3, 0, 0},
	{16384, 32, 145e3, 0, 0},
	{32768, 32, 120e3, 0, 0},
	{36352, 32, 112e3, 0, 0},
};

START_TEST(test_cap_and_norm_alone_give_the_papers_four_rates)
{
	/* Latency as low as not to matter: all four are saturated. */
	struct flash_fit_options options = {.seed = 1, .fixed = {1, 1e12, 0, 6.1e9, 0, 64}};
	struct flash_fit fit, sum, maximum;

	must_fit(&fit, m1_max, 4, &options);
	for (size_t i = 0; i < 4; i++) {
		double rate = flash_reads_per_s(&fit.flash, (double)m1_max[i].read_bytes, 32);

		ck_assert_double_lt(fabs(rate / m1_max[i].reads_per_s - 1), 0.035);
	}
	options.fixed[FIT_SIZE_NORM] = 1;
	must_fit(&sum, m1_max, 4, &options);
	options.fixed[FIT_SIZE_NORM] = 64;
	must_fit(&maximum, m1_max, 4, &options);
	ck_assert_double_gt(sum.error_frac, 3 * fit.error_frac);
	ck_assert_double_gt(maximum.error_frac, 3 * fit.error_frac);
	ck_assert(isnan(fit.cv_error_frac) || fit.cv_error_frac < 0.05);
}
END_TEST

/* --- what is refused --- */

static const struct {
	const char *why;
	struct flash_point bad;
} bad_points[] = {
	{"no bytes", {0, 1, 1e3, 0, 0}},
	{"nothing in flight", {4096, 0, 1e3, 0, 0}},
	{"no rate", {4096, 1, 0, 0, 0}},
	{"a negative rate", {4096, 1, -1, 0, 0}},
	{"an infinite rate", {4096, 1, INFINITY, 0, 0}},
	{"a rate that is no number", {4096, 1, NAN, 0, 0}},
	{"negative noise", {4096, 1, 1e3, -0.1, 0}},
	{"noise that is no number", {4096, 1, 1e3, NAN, 0}},
};

START_TEST(test_a_point_that_is_no_measurement_is_refused)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0, 1);
	struct flash_fit_options options = {.seed = 1};
	struct err err = {0};
	struct flash_fit fit;

	points[3] = bad_points[_i].bad;
	ck_assert_msg(flash_fit(&fit, points, count, &options, &err) == EDOM, "%s",
		      bad_points[_i].why);
	ck_assert_msg(strstr(err.msg, "point 3") != NULL, "said: %s", err.msg);
}
END_TEST

START_TEST(test_fewer_points_than_parameters_are_refused_with_both_counts)
{
	struct flash_point points[POINTS_MAX];
	struct flash_fit_options options = {.seed = 1};
	struct err err = {0};
	struct flash_fit fit;

	synthetic(points, &truth, 0, 1);
	ck_assert_int_eq(flash_fit(&fit, points, 5, &options, &err), EDOM);
	ck_assert_str_eq(err.msg, "flash fit: 5 points for 6 free parameters");
	err = (struct err){0};
	ck_assert_int_eq(flash_fit(&fit, points, 0, &options, &err), EDOM);
}
END_TEST

START_TEST(test_a_fit_stopped_by_its_iteration_limit_is_refused)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0.05, 4);
	struct flash_fit_options options = {.seed = 1, .iterations = 2};
	struct err err = {0};
	struct flash_fit fit;

	ck_assert_int_eq(flash_fit(&fit, points, count, &options, &err), EDOM);
	ck_assert_msg(strstr(err.msg, "none of 8 starts converged within 2 iterations") != NULL,
		      "said: %s", err.msg);
}
END_TEST

START_TEST(test_a_norm_held_outside_its_range_is_refused)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0, 1);
	struct flash_fit_options options = {.seed = 1, .fixed = {0, 0, 0, 0, 0.9, 0}};
	struct err err = {0};
	struct flash_fit fit;

	ck_assert_int_eq(flash_fit(&fit, points, count, &options, &err), EDOM);
	ck_assert_msg(strstr(err.msg, "size_norm held at 0.9") != NULL, "said: %s", err.msg);
}
END_TEST

static void own_handler(const char *reason, const char *file, int line, int code)
{
	ck_abort_msg("GSL's handler was called: %s (%s:%d, %d)", reason, file, line, code);
}

START_TEST(test_the_callers_gsl_handler_is_left_as_it_was)
{
	struct flash_point points[POINTS_MAX];
	size_t count = synthetic(points, &truth, 0.05, 4);
	struct flash_fit_options options = {.seed = 1, .iterations = 1};
	const double x[] = {1, 2, 3}, y[] = {2, 3, 4};
	gsl_error_handler_t *before = gsl_set_error_handler(own_handler);
	struct err err = {0};
	struct line_fit line;
	struct flash_fit fit;

	ck_assert_int_eq(flash_fit(&fit, points, count, &options, &err), EDOM);
	options.iterations = 0;
	must_fit(&fit, points, count, &options);
	err = (struct err){0};
	ck_assert_int_eq(line_fit(&line, x, y, 3, &err), 0);
	ck_assert(gsl_set_error_handler(before) == own_handler);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flash fit");
	TCase *fits = tcase_create("fits"), *refuses = tcase_create("refuses");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(fits, 60);
	tcase_add_test(fits, test_exact_points_give_back_every_parameter);
	tcase_add_test(fits, test_intervals_hold_the_truth_as_often_as_they_claim);
	tcase_add_test(fits, test_the_bootstrap_only_widens);
	tcase_add_test(fits, test_one_seed_gives_one_answer);
	tcase_add_test(fits, test_what_the_sweep_cannot_tell_is_not_identified);
	tcase_add_loop_test(fits, test_what_runs_away_stays_where_a_profile_accepts_it,
			    FLASH_TIE_NONE, FLASH_TIE_PARALLEL + 1);
	tcase_add_test(fits, test_a_held_parameter_stays_and_the_others_follow);
	tcase_add_test(fits, test_a_noisy_point_weighs_less);
	tcase_add_test(fits, test_the_form_follows_mqsim_also_at_sizes_left_out);
	tcase_add_test(fits, test_cap_and_norm_alone_give_the_papers_four_rates);
	tcase_add_loop_test(refuses, test_a_point_that_is_no_measurement_is_refused, 0,
			    sizeof(bad_points) / sizeof(bad_points[0]));
	tcase_add_test(refuses, test_fewer_points_than_parameters_are_refused_with_both_counts);
	tcase_add_test(refuses, test_a_fit_stopped_by_its_iteration_limit_is_refused);
	tcase_add_test(refuses, test_a_norm_held_outside_its_range_is_refused);
	tcase_add_test(refuses, test_the_callers_gsl_handler_is_left_as_it_was);
	suite_add_tcase(suite, fits);
	suite_add_tcase(suite, refuses);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
