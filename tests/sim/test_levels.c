/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_levels.c - the closed form and the recursion agree where the closed form is exact
 *
 * One read alone, one outstanding (D/D/1), c outstanding on an idle device (D/D/c), and a device
 * saturated by requests or by bytes.  Between them the closed form rounds a corner off and the
 * recursion does not: there they only have to be near. */
#include "sim_flash.h"

#include <check.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>

/* The published M1 Max, and a slow card with a sharp knee. */
static const struct flash_params m1_max = {.latency_ns = 60e3,
					   .stream_bytes_per_s = 3e9,
					   .request_rate_per_s = 152.8e3,
					   .peak_bytes_per_s = 6.1e9,
					   .size_norm = 2.17,
					   .knee = 4};
static const struct flash_params card = {.latency_ns = 400e3,
					 .stream_bytes_per_s = 50e6,
					 .request_rate_per_s = 8e3,
					 .peak_bytes_per_s = 200e6,
					 .size_norm = 1,
					 .knee = 64,
					 .batch_ns = 25e3};

static double closed_ns(const struct flash_params *params, unsigned in_flight, uint64_t bytes,
			uint64_t count)
{
	const struct read_class class = {.bytes = bytes, .count = count};
	struct sim_flash flash;
	struct err err = {0};
	double ns;

	ck_assert(!sim_flash_open(&flash, params, in_flight, &err));
	ns = sim_flash_closed_ns(&flash, &class, 1);
	sim_flash_close(&flash);
	return ns;
}

static double recursion_ns(const struct flash_params *params, unsigned in_flight, uint64_t bytes,
			   uint64_t count)
{
	struct sim_flash flash;
	struct sim_batch batch;
	struct err err = {0};
	double ns;

	ck_assert(!sim_flash_open(&flash, params, in_flight, &err));
	sim_batch_start(&batch, &flash);
	sim_batch_read(&batch, bytes, count);
	ns = sim_batch_end_ns(&batch);
	sim_flash_close(&flash);
	return ns;
}

static const struct {
	const char *why;
	const struct flash_params *params;
	unsigned in_flight;
	uint64_t bytes, count;
	double tolerance_frac;
} exact[] = {
	{"no read", &card, 8, 4096, 0, 0},
	{"one small read", &m1_max, 32, 4096, 1, 1e-12},
	{"one large read", &card, 4, 1 << 20, 1, 1e-12},
	{"D/D/1", &m1_max, 1, 8192, 1000, 1e-12},
	{"D/D/1, slow", &card, 1, 65536, 77, 1e-12},
	{"one round of a saturated device", &m1_max, 32, 8192, 32, 1e-12},
	{"saturated by requests", &m1_max, 64, 512, 20000, 1e-3},
	{"saturated by requests, slow", &card, 128, 512, 20000, 1e-3},
	{"saturated by bytes", &m1_max, 64, 1 << 20, 20000, 1e-3},
	{"saturated by bytes, slow", &card, 64, 1 << 20, 20000, 1e-3},
	/* Far below n* the bottleneck has no say: n reads every R; 200 rounds, half a round's
	   doubt. */
	{"D/D/2", &card, 2, 512, 400, 5e-3},
	{"D/D/3", &card, 3, 16384, 600, 5e-3},
};

START_TEST(test_levels_agree_where_the_closed_form_is_exact)
{
	double closed =
		closed_ns(exact[_i].params, exact[_i].in_flight, exact[_i].bytes, exact[_i].count);
	double recursion = recursion_ns(exact[_i].params, exact[_i].in_flight, exact[_i].bytes,
					exact[_i].count);

	ck_assert_msg(fabs(recursion - closed) <= exact[_i].tolerance_frac * closed,
		      "%s: recursion %.6g ns, closed form %.6g ns", exact[_i].why, recursion,
		      closed);
}
END_TEST

/* A layer's batches of the paper's ladder and of the window sweep on the M1 Max. */
static const struct {
	uint64_t bytes, count;
} batches[] = {{8192, 3277}, {8192, 786}, {16384, 393}, {32768, 393}, {4096, 100}, {1 << 20, 128}};

START_TEST(test_levels_are_near_each_other_on_batches_of_a_layer)
{
	double closed = closed_ns(&m1_max, 32, batches[_i].bytes, batches[_i].count);
	double recursion = recursion_ns(&m1_max, 32, batches[_i].bytes, batches[_i].count);

	ck_assert_msg(fabs(recursion / closed - 1) < 0.03, "%llu x %llu: %g against %g",
		      (unsigned long long)batches[_i].count, (unsigned long long)batches[_i].bytes,
		      recursion, closed);
}
END_TEST

START_TEST(test_the_closed_form_of_one_size_is_the_cost_models)
{
	for (unsigned n = 1; n <= 64; n *= 2)
		for (uint64_t count = 1; count < 2000; count = count * 3 + 1)
			ck_assert_double_eq_tol(closed_ns(&m1_max, n, 12288, count),
						flash_batch_ns(&m1_max, count, 12288, n),
						1e-9 * flash_batch_ns(&m1_max, count, 12288, n));
}
END_TEST

START_TEST(test_two_equal_classes_are_one)
{
	const struct read_class split[] = {{4096, 30}, {4096, 0}, {4096, 70}};
	struct sim_flash flash;
	struct err err = {0};

	ck_assert(!sim_flash_open(&flash, &card, 16, &err));
	ck_assert_double_eq_tol(sim_flash_closed_ns(&flash, split, 3),
				closed_ns(&card, 16, 4096, 100), 1e-3);
	sim_flash_close(&flash);
}
END_TEST

/* Whole rows and their shorter last pieces, as a chunk smaller than a row makes them. */
START_TEST(test_levels_are_near_each_other_on_mixed_sizes)
{
	const struct read_class classes[] = {{16384, 600}, {4096, 300}};
	struct sim_flash flash;
	struct sim_batch batch;
	struct err err = {0};
	double closed;

	ck_assert(!sim_flash_open(&flash, &m1_max, 32, &err));
	closed = sim_flash_closed_ns(&flash, classes, 2);
	sim_batch_start(&batch, &flash);
	for (unsigned i = 0; i < 300; i++) {
		sim_batch_read(&batch, 16384, 2);
		sim_batch_read(&batch, 4096, 1);
	}
	ck_assert_msg(fabs(sim_batch_end_ns(&batch) / closed - 1) < 0.03, "%g against %g",
		      sim_batch_end_ns(&batch), closed);
	sim_flash_close(&flash);
}
END_TEST

START_TEST(test_the_recursion_grows_with_reads_and_falls_with_width)
{
	for (uint64_t count = 1; count < 300; count += 7)
		for (unsigned n = 1; n < 40; n += 3) {
			double ns = recursion_ns(&m1_max, n, 8192, count);

			ck_assert_double_gt(recursion_ns(&m1_max, n, 8192, count + 1), ns);
			ck_assert_double_le(recursion_ns(&m1_max, n + 1, 8192, count), ns + 1e-6);
			ck_assert_double_ge(ns, flash_read_ns(&m1_max, 8192));
			ck_assert_double_ge(ns, (double)count * flash_bottleneck_ns(&m1_max, 8192));
		}
}
END_TEST

/* More sizes than are remembered: each still costs what it costs. */
START_TEST(test_forgotten_sizes_are_found_again)
{
	struct sim_flash flash;
	struct err err = {0};

	ck_assert(!sim_flash_open(&flash, &card, 4, &err));
	for (unsigned round = 0; round < 2; round++)
		for (uint64_t i = 1; i <= 3 * SIM_FLASH_SIZES; i++) {
			const struct read_class class = {.bytes = 512 * i, .count = 5};

			ck_assert_double_eq_tol(sim_flash_closed_ns(&flash, &class, 1),
						flash_batch_ns(&card, 5, 512 * i, 4), 1e-3);
		}
	sim_flash_close(&flash);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
	Suite *suite = suite_create("levels");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	gsl_set_error_handler_off();
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, test_levels_agree_where_the_closed_form_is_exact, 0,
			    COUNT(exact));
	tcase_add_loop_test(tcase, test_levels_are_near_each_other_on_batches_of_a_layer, 0,
			    COUNT(batches));
	tcase_add_test(tcase, test_the_closed_form_of_one_size_is_the_cost_models);
	tcase_add_test(tcase, test_two_equal_classes_are_one);
	tcase_add_test(tcase, test_levels_are_near_each_other_on_mixed_sizes);
	tcase_add_test(tcase, test_the_recursion_grows_with_reads_and_falls_with_width);
	tcase_add_test(tcase, test_forgotten_sizes_are_found_again);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
