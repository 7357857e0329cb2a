/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_flash.c - the flash form's limits, and a batch against the device it is exact for */
#include "flash.h"
#include "rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { DEVICES = 200, LENGTH = 4000 };

static const struct flash_params sample = {
	.latency_ns = 60e3,
	.stream_bytes_per_s = 3e9,
	.request_rate_per_s = 150e3,
	.peak_bytes_per_s = 6e9,
	.size_norm = 2,
	.knee = 4,
};

static double log_uniform(struct rng *rng, double low, double high)
{
	return low * pow(high / low, rng_unit(rng));
}

/* A device from an eMMC to something that does not exist yet. */
static struct flash_params random_device(struct rng *rng)
{
	return (struct flash_params){
		.latency_ns = log_uniform(rng, 1e3, 1e6),
		.stream_bytes_per_s = log_uniform(rng, 1e7, 1e11),
		.request_rate_per_s = log_uniform(rng, 1e3, 1e7),
		.peak_bytes_per_s = log_uniform(rng, 1e8, 1e11),
		.size_norm = log_uniform(rng, 1, 64),
		.knee = log_uniform(rng, 0.5, 64),
		.batch_ns = rng_unit(rng) < 0.5 ? 0 : log_uniform(rng, 1e2, 1e5),
	};
}

START_TEST(test_norm_one_adds_and_a_large_norm_takes_the_maximum)
{
	struct flash_params flash = sample;
	double request_ns = 1e9 / flash.request_rate_per_s;

	flash.size_norm = 1;
	ck_assert_double_eq_tol(flash_bottleneck_ns(&flash, 65536), request_ns + 65536 / 6.0, 1e-6);
	flash.size_norm = 64;
	ck_assert_double_eq_tol(flash_bottleneck_ns(&flash, 65536), 65536 / 6.0, 1e-3);
	ck_assert_double_eq_tol(flash_bottleneck_ns(&flash, 512), request_ns, 1e-3);
	flash.size_norm = 2;
	ck_assert_double_eq_tol(flash_bottleneck_ns(&flash, 65536), hypot(request_ns, 65536 / 6.0),
				1e-6);
}
END_TEST

START_TEST(test_throughput_tends_to_latency_bound_and_to_bottleneck)
{
	double alone_ns = 60e3 + 4096 / 3.0;
	double many = flash_reads_per_s(&sample, 4096, 1e6);

	ck_assert_double_eq_tol(flash_reads_per_s(&sample, 4096, 1) * alone_ns / 1e9, 1, 1e-3);
	ck_assert_double_eq_tol(flash_reads_per_s(&sample, 4096, 2) * alone_ns / 2e9, 1, 1e-3);
	ck_assert_double_eq_tol(many * flash_bottleneck_ns(&sample, 4096) / 1e9, 1, 1e-9);
	/* Large reads stream at the peak. */
	ck_assert_double_eq_tol(flash_reads_per_s(&sample, 16 << 20, 64) * (16 << 20) / 6e9, 1,
				1e-3);
}
END_TEST

START_TEST(test_derived_figures_are_what_they_say)
{
	double n = flash_saturation_in_flight(&sample, 32768);

	/* At n* latency bound and bottleneck are equal, so that the knee takes its largest toll,
	 * 2^(1/q). */
	ck_assert_double_eq_tol(flash_reads_per_s(&sample, 32768, n) *
					flash_bottleneck_ns(&sample, 32768) / 1e9,
				pow(2, -1 / sample.knee), 1e-9);
	/* At h BM the request cap and the bandwidth cap are equal. */
	ck_assert_double_eq_tol(flash_half_bandwidth_bytes(&sample), 40000, 1e-6);
}
END_TEST

START_TEST(test_no_parameter_makes_the_form_overflow)
{
	struct flash_params flash = {.stream_bytes_per_s = 1e3,
				     .request_rate_per_s = 1,
				     .peak_bytes_per_s = 1e3,
				     .size_norm = 64,
				     .knee = 64};

	ck_assert_double_gt(flash_reads_per_s(&flash, 1e12, 65536), 0);
	flash = (struct flash_params){.latency_ns = 1e9,
				      .stream_bytes_per_s = 1e13,
				      .request_rate_per_s = 1e9,
				      .peak_bytes_per_s = 1e13,
				      .size_norm = 64,
				      .knee = 64};
	ck_assert(isfinite(flash_reads_per_s(&flash, 1, 1)));
	ck_assert(isfinite(flash_batch_ns(&flash, UINT64_MAX, 1, 1)));
}
END_TEST

START_TEST(test_reads_beside_kernels_are_slowed_down_as_batches_are)
{
	struct flash_params flash = sample;

	ck_assert_double_eq(flash_computing_factor(&flash, 32), 1); /* not measured */
	flash.computing_slowdown = 1.3;
	flash.batch_in_flight = 32;
	ck_assert_double_eq_tol(flash_computing_factor(&flash, 32), 1.3, 1e-12);
	ck_assert_double_eq_tol(flash_computing_factor(&flash, 64), 1.3, 1e-12);
	ck_assert_double_eq_tol(flash_computing_factor(&flash, 1), 1, 1e-12);
	ck_assert_double_gt(flash_computing_factor(&flash, 8), 1.1);
	ck_assert_double_lt(flash_computing_factor(&flash, 8), 1.3);
}
END_TEST

START_TEST(test_a_batch_of_nothing_is_free_and_of_one_is_one_latency)
{
	struct flash_params flash = sample;

	flash.batch_ns = 5e3;
	ck_assert_double_eq(flash_batch_ns(&flash, 0, 4096, 32), 0);
	ck_assert_double_eq(flash_batch_ns(&flash, 1, 4096, 32), 5e3 + flash_read_ns(&flash, 4096));
	/* One in flight: one after the other. */
	ck_assert_double_eq_tol(flash_batch_ns(&flash, 1000, 4096, 1) /
					(5e3 + 1000 * flash_read_ns(&flash, 4096)),
				1, 1e-12);
}
END_TEST

START_TEST(test_a_large_batch_runs_at_the_steady_rate)
{
	struct rng rng = {11};

	for (int k = 0; k < DEVICES; k++) {
		struct flash_params flash = random_device(&rng);
		double bytes = floor(log_uniform(&rng, 512, 1 << 20));
		unsigned in_flight = 1 + rng_below(&rng, 64);
		double steady = 1e9 / flash_reads_per_s(&flash, bytes, in_flight);
		double count = 1e9;

		ck_assert_double_eq_tol(
			flash_batch_ns(&flash, (uint64_t)count, (uint64_t)bytes, in_flight) /
				(count * steady),
			1, 1e-4);
	}
}
END_TEST

/* Rounding may turn an equality by the last bit. */
static void assert_rises(double from, double to, const char *why)
{
	ck_assert_msg(to >= from * (1 - 1e-12), "%s: %.17g then %.17g", why, from, to);
}

START_TEST(test_a_batch_grows_with_count_and_bytes_and_falls_with_reads_in_flight)
{
	struct rng rng = {12};

	for (int k = 0; k < DEVICES; k++) {
		struct flash_params flash = random_device(&rng);
		uint64_t bytes = (uint64_t)log_uniform(&rng, 512, 1 << 20);
		unsigned in_flight = 1 + rng_below(&rng, 64);

		for (uint64_t count = 1; count < 300; count++) {
			double ns = flash_batch_ns(&flash, count, bytes, in_flight);

			assert_rises(ns, flash_batch_ns(&flash, count + 1, bytes, in_flight),
				     "one read more");
			assert_rises(ns,
				     flash_batch_ns(&flash, count, bytes + bytes / 16, in_flight),
				     "larger reads");
			assert_rises(flash_batch_ns(&flash, count, bytes, in_flight + 1), ns,
				     "one in flight less");
			assert_rises(flash_read_ns(&flash, (double)bytes), ns, "unloaded latency");
			assert_rises((double)count * flash_bottleneck_ns(&flash, (double)bytes), ns,
				     "bottleneck");
		}
	}
}
END_TEST

START_TEST(test_a_batch_has_no_jump_where_the_second_round_begins)
{
	struct rng rng = {13};

	for (int k = 0; k < DEVICES; k++) {
		struct flash_params flash = random_device(&rng);
		unsigned n = 2 + rng_below(&rng, 63);
		double last = flash_batch_ns(&flash, n, 8192, n);
		double next = flash_batch_ns(&flash, n + 1, 8192, n);
		double each = 1e9 / flash_reads_per_s(&flash, 8192, n);

		/* The first read of the second round may cost one and a half of the steady
		 * interval, no more. */
		ck_assert_double_le(next - last, 1.5 * each * (1 + 1e-9) + 1e-12 * next);
	}
}
END_TEST

/* The device that the batch form is exact for: each read waits 'think' alone, then for one server
 * that takes 'serve'; the next read is submitted when one completes. done[i] is the time at which i
 * + 1 reads have completed. */
static void play(double *done, size_t count, size_t width, double think, double serve)
{
	double idle = 0;

	for (size_t i = 0; i < count; i++) {
		double ready = (i < width ? 0 : done[i - width]) + think;

		idle = fmax(idle, ready) + serve;
		done[i] = idle;
	}
}

/* think and serve in us, reads in flight: far below, just below, at, above saturation. */
static const struct {
	double think, serve;
	unsigned in_flight;
} played[] = {
	{100, 0.01, 8}, {100, 1, 1}, {100, 1, 32},  {100, 10, 8},
	{100, 10, 32},	{5, 10, 4},  {60, 6.5, 32},
};

START_TEST(test_a_batch_is_exact_in_one_round_or_when_saturated_and_fair_otherwise)
{
	double think = played[_i].think * 1e3, serve = played[_i].serve * 1e3, bias = 0;
	unsigned n = played[_i].in_flight;
	double *done = calloc(LENGTH, sizeof(*done));
	size_t judged = 0;
	/* 64: as sharp as the form can be; 512 bytes cost next to nothing. */
	struct flash_params flash = {
		.latency_ns = think + serve,
		.stream_bytes_per_s = 1e13,
		.request_rate_per_s = 1e9 / serve,
		.peak_bytes_per_s = 1e13,
		.size_norm = 64,
		.knee = 64,
	};

	ck_assert_ptr_nonnull(done);
	play(done, LENGTH, n, think, serve);
	for (size_t count = 1; count <= 20 * (size_t)n; count++) {
		double ns = flash_batch_ns(&flash, count, 512, n);

		if (count <= n || serve * n >= think + serve)
			ck_assert_double_eq_tol(ns / done[count - 1], 1, 2e-3);
		if (count > 2 * (size_t)n) {
			bias += ns / done[count - 1] - 1;
			judged++;
		}
	}
	for (size_t rounds = 1; rounds <= 20; rounds++) {
		double ns = flash_batch_ns(&flash, rounds * (size_t)n, 512, n);
		double wait = fmax(0, think + serve - n * serve); /* of a slot, each round */

		/* Over by at most the half round that is fair between full ones. */
		ck_assert_double_ge(ns, done[rounds * n - 1] * (1 - 2e-3));
		ck_assert_double_le(ns, done[rounds * n - 1] * (1 + 2e-3) + wait / 2);
	}
	ck_assert_msg(fabs(bias / (double)judged) < 0.02, "mean error %.2f %%",
		      100 * bias / (double)judged);
	free(done);
}
END_TEST

/* What reads of 'bytes' take of a busy device. */
static double busy_ns(const struct flash_params *flash, double bytes, unsigned in_flight)
{
	return 1e9 / flash_reads_per_s(flash, bytes, in_flight);
}

START_TEST(test_no_chain_of_slots_is_slower_with_its_gaps_than_apart)
{
	struct rng rng = {11};
	unsigned gaps_found = 0;

	for (int i = 0; i < DEVICES; i++) {
		struct flash_params flash = random_device(&rng);
		unsigned n = 1 + (unsigned)rng_below(&rng, 64);
		uint64_t slot = 512 * (1 + rng_below(&rng, 64)), most = 1048576;
		uint32_t gap;

		flash.knee = fmax(flash.knee, 1); /* below, X is no norm and c not convex */
		gap = flash_gap_slots(&flash, slot, n, most);
		gaps_found += gap > 0;
		for (uint32_t count = 2; (count + (count - 1) * gap) * slot <= most; count++) {
			double bytes = (double)((count + (count - 1) * gap) * slot);

			ck_assert_msg(busy_ns(&flash, bytes, n) <=
					      count * busy_ns(&flash, (double)slot, n) * (1 + 1e-9),
				      "device %d: %u slots of %llu, gaps of %u", i, count,
				      (unsigned long long)slot, gap);
		}
	}
	ck_assert_uint_gt(gaps_found, DEVICES / 4);
	ck_assert_uint_lt(gaps_found, DEVICES);
}
END_TEST

START_TEST(test_one_slot_more_and_a_long_chain_is_slower)
{
	struct rng rng = {12};

	for (int i = 0; i < DEVICES; i++) {
		struct flash_params flash = random_device(&rng);
		unsigned n = 1 + (unsigned)rng_below(&rng, 64);
		uint64_t slot = 4096, most = 1048576;
		uint32_t gap = flash_gap_slots(&flash, slot, n, most) + 1;
		double chain = busy_ns(&flash, (double)most, n) * (double)(slot * (gap + 1)) /
			       (double)most;

		if (gap + 2 <= most / slot)
			ck_assert_double_gt(chain, busy_ns(&flash, (double)slot, n));
	}
}
END_TEST

/* By hand: bytes cost nothing but their share of the cap, requests nothing but theirs. */
static const struct {
	const char *why;
	double latency_ns, stream, rate, peak;
	unsigned in_flight;
	uint64_t slot, most;
	uint32_t gap;
} gaps[] = {
	{"requests: 100 us at 1 GB/s are 25.6 slots", 1, 1e12, 1e4, 1e9, 64, 3900, 1000000, 24},
	{"a read of 40 kB holds 10 slots, 8 between two", 1, 1e12, 1e4, 1e9, 64, 3900, 40000, 8},
	{"a read of two slots has no gap", 1, 1e12, 1e4, 1e9, 64, 3900, 7800, 0},
	{"bytes: nothing is gained", 1, 1e12, 1e9, 1e9, 64, 4000, 1000000, 0},
	{"latency: 50 us at 1 GB/s are 50 kB", 50e3, 1e9, 1e9, 1e12, 1, 5000, 1e9, 9},
};

START_TEST(test_a_gap_is_what_the_bound_at_hand_leaves_room_for)
{
	const struct flash_params flash = {
		.latency_ns = gaps[_i].latency_ns,
		.stream_bytes_per_s = gaps[_i].stream,
		.request_rate_per_s = gaps[_i].rate,
		.peak_bytes_per_s = gaps[_i].peak,
		.size_norm = 64,
		.knee = 64,
	};
	uint32_t gap = flash_gap_slots(&flash, gaps[_i].slot, gaps[_i].in_flight, gaps[_i].most);

	ck_assert_msg(gap == gaps[_i].gap, "%s: %u", gaps[_i].why, gap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flash");
	TCase *steady = tcase_create("steady state"), *batch = tcase_create("batch");
	TCase *gap = tcase_create("gap");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(steady, test_norm_one_adds_and_a_large_norm_takes_the_maximum);
	tcase_add_test(steady, test_throughput_tends_to_latency_bound_and_to_bottleneck);
	tcase_add_test(steady, test_derived_figures_are_what_they_say);
	tcase_add_test(steady, test_no_parameter_makes_the_form_overflow);
	tcase_add_test(batch, test_reads_beside_kernels_are_slowed_down_as_batches_are);
	tcase_add_test(batch, test_a_batch_of_nothing_is_free_and_of_one_is_one_latency);
	tcase_add_test(batch, test_a_large_batch_runs_at_the_steady_rate);
	tcase_add_test(batch,
		       test_a_batch_grows_with_count_and_bytes_and_falls_with_reads_in_flight);
	tcase_add_test(batch, test_a_batch_has_no_jump_where_the_second_round_begins);
	tcase_add_loop_test(batch,
			    test_a_batch_is_exact_in_one_round_or_when_saturated_and_fair_otherwise,
			    0, sizeof(played) / sizeof(played[0]));
	tcase_set_timeout(batch, 30);
	suite_add_tcase(suite, steady);
	tcase_add_test(gap, test_no_chain_of_slots_is_slower_with_its_gaps_than_apart);
	tcase_add_test(gap, test_one_slot_more_and_a_long_chain_is_slower);
	tcase_add_loop_test(gap, test_a_gap_is_what_the_bound_at_hand_leaves_room_for, 0,
			    sizeof(gaps) / sizeof(gaps[0]));
	suite_add_tcase(suite, batch);
	suite_add_tcase(suite, gap);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
