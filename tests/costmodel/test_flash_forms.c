/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_flash_forms.c - hazard: a form that follows the points it saw and no others, one bad point
 * that bends it, and a correction that corrects noise */
#include "flash.h"
#include "flash_forms.h"
#include "mqsim.h"
#include "rng.h"

#include <check.h>
#include <errno.h>
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

static double rate_of_truth(double read_bytes, double in_flight)
{
	return flash_reads_per_s(&truth, read_bytes, in_flight);
}

/* Eight servers, each with 100 us and 500 MB/s of its own. */
static double rate_of_servers(double read_bytes, double in_flight)
{
	return fmin(in_flight, 8) / (100e3 + read_bytes / 0.5) * 1e9;
}

static double rate_of_line(double read_bytes, double in_flight)
{
	(void)in_flight;
	return 1e9 / (10e3 + read_bytes / 2.0);
}

/* Reads above 32 KiB spread over units: the truth, and a smooth bend that no parameter has. */
static double rate_of_bent(double read_bytes, double in_flight)
{
	double bend = 0.25 / (1 + pow(32768 / read_bytes, 2)) * log2(in_flight) / 5;

	return rate_of_truth(read_bytes, in_flight) * exp(bend);
}

static size_t grid(struct flash_point *points, double (*rate)(double, double), double noise,
		   uint64_t seed)
{
	struct rng rng = {seed};
	size_t count = 0;

	for (uint64_t bytes = 4096; bytes <= 256 << 10; bytes *= 2)
		for (unsigned n = 1; n <= 32; n *= 2) {
			double draw = 0;

			for (int k = 0; k < 12; k++)
				draw += rng_unit(&rng);
			points[count++] = (struct flash_point){
				.read_bytes = bytes,
				.in_flight = n,
				.reads_per_s = rate((double)bytes, n) * exp(noise * (draw - 6)),
				.noise_frac = noise,
			};
		}
	return count;
}

/* 64 KiB on the heap: a choice is large. */
static struct flash_choice *choose(const struct flash_point *points, size_t count,
				   const struct flash_fit_options *options)
{
	struct flash_choice *choice = calloc(1, sizeof(*choice));
	struct err err = {0};

	ck_assert_ptr_nonnull(choice);
	ck_assert_msg(flash_forms_fit(choice, points, count, options, &err) == 0, "%s", err.msg);
	return choice;
}

static const struct flash_fit *chosen(const struct flash_choice *choice)
{
	return &choice->scores[choice->chosen].fit;
}

/* ---- which form ---- */

static const struct {
	const char *form;
	double (*rate)(double read_bytes, double in_flight);
} devices[] = {
	{"affine", rate_of_line},
	{"pdam", rate_of_servers},
	{"soft-both", rate_of_truth},
};

START_TEST(the_form_that_made_the_points_is_chosen)
{
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, devices[_i].rate, 0.01, 3);
	const struct flash_fit_options options = {.seed = 1, .robust = true};
	struct flash_choice *choice = choose(points, count, &options);

	ck_assert_str_eq(flash_forms[choice->chosen].name, devices[_i].form);
	ck_assert_double_lt(chosen(choice)->error_frac, 0.012);
	ck_assert_double_lt(chosen(choice)->cv_error_frac, 0.02);
	free(choice);
}
END_TEST

START_TEST(tied_servers_are_counted)
{
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, rate_of_servers, 0.01, 5);
	const struct flash_fit_options options = {.seed = 1, .bootstrap = 50};
	struct flash_choice *choice = choose(points, count, &options);
	const struct flash_fit *fit = chosen(choice);

	ck_assert_str_eq(flash_forms[choice->chosen].name, "pdam");
	ck_assert_uint_eq(fit->free_count, 3);
	ck_assert_double_eq_tol(fit->flash.request_rate_per_s, 8 / 100e-6, 0.02 * 8 / 100e-6);
	ck_assert_double_eq_tol(fit->flash.peak_bytes_per_s, 4e9, 0.02 * 4e9);
	for (int p = FIT_RATE; p <= FIT_PEAK; p++) {
		double value = p == FIT_RATE ? 8 / 100e-6 : 4e9;

		ck_assert_double_lt(fit->low[p], value);
		ck_assert_double_gt(fit->high[p], value);
		ck_assert(fit->identified[p]);
	}
	free(choice);
}
END_TEST

/* `flashcast calibrate --fit tests/costmodel/mqsim-grid.csv` prints these. */
START_TEST(mqsim_is_met_within_5_percent_and_at_sizes_never_seen_within_8)
{
	struct flash_point points[POINTS_MAX];
	size_t count = mqsim_points(points, POINTS_MAX);
	const struct flash_fit_options options = {.seed = 1, .robust = true, .correct = true};
	struct flash_choice *choice = choose(points, count, &options);
	const struct flash_fit *fit = chosen(choice);

	ck_assert_uint_eq(count, 24);
	ck_assert_msg(fit->error_frac <= 0.05, "in sample %.2f %%", 100 * fit->error_frac);
	ck_assert_msg(fit->cv_error_frac <= 0.08, "left out %.2f %%", 100 * fit->cv_error_frac);
	ck_assert_msg(fit->corrected_cv_error_frac <= fit->cv_error_frac, "corrected %.2f %%",
		      100 * fit->corrected_cv_error_frac);
	free(choice);
}
END_TEST

/* reference figures: the M1 Max at 32 threads, its peak bandwidth known. */
START_TEST(the_papers_four_rates_are_met_within_3_5_percent)
{
	static const struct {
		uint64_t bytes;
		double rate;
	} paper[] = {{8192, 153e3}, {16384, 145e3}, {32768, 120e3}, {36352, 112e3}};
	const struct flash_fit_options options = {
		.seed = 1, .robust = true, .fixed = {[FIT_PEAK] = 6.1e9}};
	struct flash_point points[4] = {0};
	struct flash_choice *choice;

	for (int i = 0; i < 4; i++)
		points[i] = (struct flash_point){.read_bytes = paper[i].bytes,
						 .in_flight = 32,
						 .reads_per_s = paper[i].rate};
	choice = choose(points, 4, &options);
	for (int i = 0; i < 4; i++) {
		double rate = flash_reads_per_s(&chosen(choice)->flash, (double)paper[i].bytes, 32);

		ck_assert_msg(fabs(rate / paper[i].rate - 1) <= 0.035, "%g for %g", rate,
			      paper[i].rate);
	}
	ck_assert_double_le(chosen(choice)->cv_error_frac, 0.035);
	free(choice);
}
END_TEST

START_TEST(points_that_no_form_fits_are_refused)
{
	struct flash_point point = {.read_bytes = 4096, .in_flight = 1, .reads_per_s = 1e4};
	const struct flash_fit_options options = {.seed = 1};
	struct flash_choice *choice = calloc(1, sizeof(*choice));
	struct err err = {0};

	ck_assert_ptr_nonnull(choice);
	ck_assert_int_eq(flash_forms_fit(choice, &point, 1, &options, &err), EDOM);
	ck_assert_msg(strstr(err.msg, "no form fits the points") != NULL, "%s", err.msg);
	free(choice);
}
END_TEST

/* ---- robustness ---- */

START_TEST(wild_points_are_as_good_as_left_out)
{
	static const int params[] = {FIT_LATENCY, FIT_RATE, FIT_PEAK};
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, rate_of_truth, 0.01, 23);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit plain, robust, without;
	struct err err = {0};

	ck_assert_int_eq(flash_fit(&without, points, count - 2, &options, &err), 0);
	points[count - 1].reads_per_s *= 0.4;
	points[count - 2].reads_per_s *= 0.5;
	ck_assert_int_eq(flash_fit(&plain, points, count, &options, &err), 0);
	options.robust = true;
	ck_assert_int_eq(flash_fit(&robust, points, count, &options, &err), 0);
	ck_assert_uint_eq(plain.outlier_count, 0);
	ck_assert_uint_eq(robust.outlier_count, 2);
	for (int i = 0; i < 3; i++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[params[i]]);
		double want, got;

		memcpy(&want, (const char *)&without.flash + row->offset, sizeof(want));
		memcpy(&got, (const char *)&robust.flash + row->offset, sizeof(got));
		ck_assert_msg(fabs(got / want - 1) < 0.02, "%s: %g, without them %g", row->name,
			      got, want);
	}
	ck_assert_double_gt(fabs(plain.flash.peak_bytes_per_s / without.flash.peak_bytes_per_s - 1),
			    0.05);
}
END_TEST

START_TEST(points_without_outliers_give_the_robust_fit_nothing_to_do)
{
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, rate_of_truth, 0.02, 29);
	struct flash_fit_options options = {.seed = 1};
	struct flash_fit plain, robust;
	struct err err = {0};

	ck_assert_int_eq(flash_fit(&plain, points, count, &options, &err), 0);
	options.robust = true;
	ck_assert_int_eq(flash_fit(&robust, points, count, &options, &err), 0);
	ck_assert_double_eq(plain.aicc, robust.aicc);
	ck_assert_double_eq_tol(robust.flash.peak_bytes_per_s / plain.flash.peak_bytes_per_s, 1,
				0.01);
	ck_assert_double_eq_tol(robust.flash.latency_ns / plain.flash.latency_ns, 1, 0.01);
}
END_TEST

/* ---- the correction ---- */

START_TEST(a_bend_that_no_form_has_is_corrected_also_at_sizes_never_seen)
{
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, rate_of_bent, 0.002, 31);
	const struct flash_fit_options options = {.seed = 1, .robust = true, .correct = true};
	struct flash_choice *choice = choose(points, count, &options);
	const struct flash_fit *fit = chosen(choice);
	double alone = 0, with = 0;
	struct flash_params form = fit->flash;
	int sizes = 0;

	form.correction = (struct flash_correction){0};
	ck_assert(fit->corrected);
	/* Between the points. */
	for (double bytes = 6000; bytes < 200e3; bytes *= 1.9, sizes++) {
		double is = rate_of_bent(bytes, 32);

		alone += fabs(flash_reads_per_s(&form, bytes, 32) / is - 1);
		with += fabs(flash_reads_per_s(&fit->flash, bytes, 32) / is - 1);
	}
	ck_assert_msg(with / sizes < 0.01 && with < alone, "%.2f %% with, %.2f %% alone",
		      100 * with / sizes, 100 * alone / sizes);
	free(choice);
}
END_TEST

START_TEST(noise_is_not_corrected)
{
	struct flash_point points[POINTS_MAX];
	size_t count = grid(points, rate_of_truth, 0.05, 37);
	struct flash_fit_options options = {.seed = 1, .correct = true};
	struct err err = {0};
	struct flash_fit fit;

	ck_assert_int_eq(flash_fit(&fit, points, count, &options, &err), 0);
	for (size_t i = 0; i < count; i++)
		ck_assert_double_eq_tol(flash_correction_at(&fit.flash.correction,
							    (double)points[i].read_bytes,
							    points[i].in_flight),
					1, 0.025);
}
END_TEST

static struct flash_correction small_table(void)
{
	return (struct flash_correction){
		.size_count = 2,
		.depth_count = 2,
		.read_bytes = {4096, 16384},
		.in_flight = {1, 16},
		.log_factor = {{log(1.1), log(0.9)}, {log(1.0), log(1.3)}},
	};
}

START_TEST(a_table_is_exact_at_its_cells_and_holds_beyond_them)
{
	const struct flash_correction table = small_table(), empty = {0};

	ck_assert_double_eq_tol(flash_correction_at(&table, 4096, 1), 1.1, 1e-12);
	ck_assert_double_eq_tol(flash_correction_at(&table, 16384, 16), 1.3, 1e-12);
	ck_assert_double_eq_tol(flash_correction_at(&table, 512, 16), 0.9, 1e-12);
	ck_assert_double_eq_tol(flash_correction_at(&table, 1e6, 64), 1.3, 1e-12);
	ck_assert_double_eq_tol(flash_correction_at(&table, 8192, 4),
				pow(1.1 * 0.9 * 1.0 * 1.3, 0.25), 1e-12);
	ck_assert_double_eq(flash_correction_at(&empty, 8192, 4), 1);
}
END_TEST

START_TEST(a_pair_that_was_not_measured_has_its_neighbours_value)
{
	const struct flash_leftover leftovers[] = {
		{4096, 1, 0.1, 0}, {4096, 8, -0.1, 0}, {8192, 8, 0.2, 0}};
	struct flash_correction table;

	flash_correction_build(&table, leftovers, 3);
	ck_assert_uint_eq(table.size_count, 2);
	ck_assert_uint_eq(table.depth_count, 2);
	ck_assert_double_eq_tol(flash_correction_at(&table, 8192, 1), exp(0.2), 1e-12);
	ck_assert_double_eq_tol(flash_correction_at(&table, 4096, 8), exp(-0.1), 1e-12);
}
END_TEST

/* Whatever the table, no batch takes less than its bottleneck says, and one more read takes longer.
 */
START_TEST(a_corrected_batch_still_obeys_its_bottleneck)
{
	struct flash_params flash = truth;

	flash.correction = small_table();
	for (unsigned n = 1; n <= 32; n *= 2)
		for (double bytes = 1024; bytes <= 1 << 20; bytes *= 1.7) {
			double apart = flash_bottleneck_ns(&flash, bytes), before = 0;

			ck_assert_double_le(apart * flash_reads_per_s(&flash, bytes, n),
					    1e9 * (1 + 1e-9));
			for (uint64_t count = 1; count < 200; count += 7) {
				double ns = flash_batch_ns(&flash, count, (uint64_t)bytes, n);

				ck_assert_double_gt(ns, before);
				ck_assert_double_ge(ns, apart * (double)(count - 1));
				before = ns;
			}
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flash forms");
	TCase *forms = tcase_create("forms"), *robust = tcase_create("robust");
	TCase *correction = tcase_create("correction");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(forms, 60);
	tcase_add_loop_test(forms, the_form_that_made_the_points_is_chosen, 0,
			    sizeof(devices) / sizeof(devices[0]));
	tcase_add_test(forms, tied_servers_are_counted);
	tcase_add_test(forms, mqsim_is_met_within_5_percent_and_at_sizes_never_seen_within_8);
	tcase_add_test(forms, the_papers_four_rates_are_met_within_3_5_percent);
	tcase_add_test(forms, points_that_no_form_fits_are_refused);
	tcase_add_test(robust, wild_points_are_as_good_as_left_out);
	tcase_add_test(robust, points_without_outliers_give_the_robust_fit_nothing_to_do);
	tcase_set_timeout(correction, 60);
	tcase_add_test(correction, a_bend_that_no_form_has_is_corrected_also_at_sizes_never_seen);
	tcase_add_test(correction, noise_is_not_corrected);
	tcase_add_test(correction, a_table_is_exact_at_its_cells_and_holds_beyond_them);
	tcase_add_test(correction, a_pair_that_was_not_measured_has_its_neighbours_value);
	tcase_add_test(correction, a_corrected_batch_still_obeys_its_bottleneck);
	suite_add_tcase(suite, forms);
	suite_add_tcase(suite, robust);
	suite_add_tcase(suite, correction);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
