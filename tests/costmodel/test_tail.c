/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_tail.c - hazard: a tail that shifts the mean, or that a fit does not find again */
#include "flash.h"
#include "tail.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 200000 };

static const struct flash_params device = {
	.latency_ns = 100e3,
	.stream_bytes_per_s = 2e9,
	.request_rate_per_s = 150e3,
	.peak_bytes_per_s = 6e9,
	.size_norm = 2,
	.knee = 4,
	.batch_spread_ns = 20e3,
	.stall_frac = 0.001,
	.stall_ns = 500e3,
};
static const struct compute_params host = {
	.spread_frac = 0.02, .hiccup_rate_per_s = 10, .hiccup_ns = 2e6};

START_TEST(a_batchs_tail_has_no_mean)
{
	struct rng rng = {1};
	double sum = 0, squares = 0;

	for (int i = 0; i < DRAWS; i++) {
		double ns = tail_batch_ns(&device, &rng, 256, 16384);

		sum += ns;
		squares += ns * ns;
	}
	/* Within four standard errors. */
	ck_assert_double_lt(fabs(sum / DRAWS), 4 * sqrt(squares / DRAWS / DRAWS));
	ck_assert_double_eq(tail_batch_ns(&device, &rng, 0, 16384), 0);
}
END_TEST

START_TEST(a_steps_tail_has_no_mean)
{
	struct rng rng = {2};
	double sum = 0, squares = 0;

	for (int i = 0; i < DRAWS; i++) {
		double ns = tail_compute_ns(&host, &rng, 5e6);

		sum += ns;
		squares += ns * ns;
	}
	ck_assert_double_lt(fabs(sum / DRAWS), 4 * sqrt(squares / DRAWS / DRAWS));
}
END_TEST

START_TEST(a_profile_without_a_tail_draws_none)
{
	const struct flash_params flash = {.latency_ns = 1,
					   .request_rate_per_s = 1e6,
					   .stream_bytes_per_s = 1e9,
					   .peak_bytes_per_s = 1e9,
					   .size_norm = 2,
					   .knee = 4};
	const struct compute_params compute = {.spread_frac = 0};
	struct rng rng = {3};

	ck_assert_double_eq(tail_batch_ns(&flash, &rng, 100, 4096), 0);
	ck_assert_double_eq(tail_compute_ns(&compute, &rng, 1e6), 0);
	ck_assert_uint_eq(rng.state, 3);
}
END_TEST

START_TEST(the_longest_of_a_few_is_what_draws_say)
{
	static const double expected[] = {0.01, 0.5, 3, 30};
	const double means[] = {
		0.01 - 0.01 * 0.01 / 4 + 0.01 * 0.01 * 0.01 / 18,
		/* Ein(x) = ln x + gamma + E1(x), E1 from tables (Abramowitz & Stegun 5.1) */
		log(0.5) + 0.5772156649 + 0.5597735948,
		log(3) + 0.5772156649 + 0.0130483811,
		log(30) + 0.5772156649,
	};

	ck_assert_double_eq_tol(tail_longest_mean(expected[_i]), means[_i], 1e-8);
}
END_TEST

START_TEST(few_reads_all_count_and_many_count_as_those_at_the_end)
{
	double apart = flash_bottleneck_ns(&device, 16384);

	ck_assert_double_eq_tol(tail_end_reads(&device, 1, 16384), 1, 1e-12);
	ck_assert_double_gt(tail_end_reads(&device, 8, 16384), 7.5);
	ck_assert_double_eq_tol(tail_end_reads(&device, 1e6, 16384), 500e3 / apart + 0.5, 0.1);
}
END_TEST

/* Batches drawn read by read, as the header says that they come about. */
static struct tail_excess observe(struct rng *rng, double read_count, double batches)
{
	const double apart = flash_bottleneck_ns(&device, 16384);
	struct tail_excess excess = {16384, read_count, 100e3, batches, 0, 0};

	for (double k = 0; k < batches; k++) {
		double longest = 0;

		for (double i = 0; i < read_count; i++)
			if (rng_unit(rng) < device.stall_frac)
				longest = fmax(longest, -log1p(-rng_unit(rng)) * device.stall_ns -
								i * apart);
		if (longest <= excess.threshold_ns)
			continue;
		excess.over++;
		excess.over_ns += longest - excess.threshold_ns;
	}
	return excess;
}

START_TEST(stalls_are_found_again_in_batches)
{
	struct rng rng = {7};
	const struct tail_excess excesses[] = {observe(&rng, 32, 4000), observe(&rng, 64, 4000),
					       observe(&rng, 256, 2000)};
	struct flash_params found = device;

	tail_fit(&found, excesses, 3);
	ck_assert_double_eq_tol(found.stall_ns / device.stall_ns, 1, 0.15);
	ck_assert_double_eq_tol(found.stall_frac / device.stall_frac, 1, 0.15);
}
END_TEST

START_TEST(nothing_is_made_of_one_batch_that_stands_out)
{
	const struct tail_excess excess = {16384, 64, 100e3, 1000, 1, 5e6};
	struct flash_params found = device;

	tail_fit(&found, &excess, 1);
	ck_assert_double_eq(found.stall_frac, 0);
	ck_assert_double_eq(found.stall_ns, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tail");
	TCase *tcase = tcase_create("tail");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_batchs_tail_has_no_mean);
	tcase_add_test(tcase, a_steps_tail_has_no_mean);
	tcase_add_test(tcase, a_profile_without_a_tail_draws_none);
	tcase_add_loop_test(tcase, the_longest_of_a_few_is_what_draws_say, 0, 4);
	tcase_add_test(tcase, few_reads_all_count_and_many_count_as_those_at_the_end);
	tcase_add_test(tcase, stalls_are_found_again_in_batches);
	tcase_add_test(tcase, nothing_is_made_of_one_batch_that_stands_out);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
