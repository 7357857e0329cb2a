/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_levels.c - the three levels of flash agree where they must, and are within bounds elsewhere
 *
 * All of them for one read alone, one outstanding (D/D/1), c outstanding on an idle device (D/D/c),
 * and a device saturated by requests or by bytes; recursion and events for any batch of one size.
 * Between them the closed form rounds a corner off and the others do not. */
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
/* Reads of a first round meet, and batches take longer than their reads by themselves say. */
static const struct flash_params crowd = {
	.latency_ns = 60e3,
	.stream_bytes_per_s = 3e9,
	.request_rate_per_s = 152.8e3,
	.peak_bytes_per_s = 6.1e9,
	.size_norm = 2.17,
	.knee = 64,
	.batch_ns = 11e3,
	.crowd_ns = 1500,
	.batch_in_flight = 32,
	.batch_correction = {.size_count = 2,
			     .depth_count = 2,
			     .read_bytes = {4096, 65536},
			     .in_flight = {16, 256},
			     .log_factor = {{0.2, 0.1}, {0.1, -0.05}}},
};

/* One stretch of 'count' reads of 'bytes' each. */
static struct plan plan_of(uint64_t bytes, uint64_t count, struct read_class *class)
{
	*class = (struct read_class){.bytes = bytes, .count = count};
	return (struct plan){
		.demand = {.kind = STEP_ATTENTION, .dense = true},
		.stretches = {{.region = REGION_ATTENTION,
			       .bytes = bytes * count,
			       .piece_bytes = bytes}},
		.stretch_count = count > 0,
		.classes = class,
		.class_count = 1,
		.read_count = count,
		.read_bytes = bytes * count,
	};
}

static void open_flash(struct sim_flash *flash, const struct flash_params *params,
		       unsigned in_flight, enum sim_level level)
{
	const struct sim_flash_options options = {
		.params = params, .in_flight = in_flight, .level = level};
	struct err err = {0};

	ck_assert_msg(!sim_flash_open(flash, &options, &err), "%s", err.msg);
}

/* Submit at 'at_ns' and complete; the reads' arrivals too, and every level's books. */
static struct sim_reads served(struct sim_flash *flash, const struct plan *plan, double at_ns)
{
	struct sim_reads reads = {.wants_arrivals = true};
	double before = 0;
	unsigned falls = 0;
	struct err err = {0};

	ck_assert(!sim_flash_submit(flash, &reads, plan, at_ns, &err));
	ck_assert(!sim_flash_finish(flash, &reads, &err));
	ck_assert_msg(!sim_flash_check(flash, &err), "%s", err.msg);
	ck_assert_uint_eq(reads.count, plan->read_count);
	ck_assert_uint_eq(reads.bytes, plan->read_bytes);
	for (uint64_t i = 0; i < reads.count; i++) {
		falls += reads.arrived_ns[i] < before;
		before = reads.arrived_ns[i];
	}
	ck_assert_uint_eq(falls, 0);
	if (reads.count > 0)
		ck_assert_double_eq(reads.arrived_ns[reads.count - 1], reads.end_ns);
	return reads;
}

static double batch_ns(enum sim_level level, const struct flash_params *params, unsigned in_flight,
		       uint64_t bytes, uint64_t count)
{
	struct read_class class;
	const struct plan plan = plan_of(bytes, count, &class);
	struct sim_flash flash;
	struct sim_reads reads;
	double ns;

	open_flash(&flash, params, in_flight, level);
	reads = served(&flash, &plan, 0);
	ns = reads.end_ns;
	sim_reads_fini(&reads);
	sim_flash_close(&flash);
	return ns;
}

static double closed_ns(const struct flash_params *params, unsigned in_flight, uint64_t bytes,
			uint64_t count)
{
	return batch_ns(SIM_CLOSED, params, in_flight, bytes, count);
}

static double recursion_ns(const struct flash_params *params, unsigned in_flight, uint64_t bytes,
			   uint64_t count)
{
	return batch_ns(SIM_RECURSION, params, in_flight, bytes, count);
}

static const struct {
	const char *why;
	const struct flash_params *params;
	unsigned in_flight;
	uint64_t bytes, count;
	double tolerance_frac;
} exact[] = {
	{"no read", &card, 8, 4096, 0, 0},
	{"a crowd of one round", &crowd, 32, 16384, 32, 1e-12},
	{"a crowd, and a saturated device", &crowd, 32, 16384, 2000, 1e-3},
	{"one read of a crowd", &crowd, 32, 16384, 1, 1e-12},
	{"one outstanding read of a crowd", &crowd, 1, 16384, 200, 1e-12},
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

	double events = batch_ns(SIM_EVENTS, exact[_i].params, exact[_i].in_flight, exact[_i].bytes,
				 exact[_i].count);

	ck_assert_msg(fabs(recursion - closed) <= exact[_i].tolerance_frac * closed,
		      "%s: recursion %.6g ns, closed form %.6g ns", exact[_i].why, recursion,
		      closed);
	ck_assert_msg(fabs(events - closed) <= exact[_i].tolerance_frac * closed,
		      "%s: events %.6g ns, closed form %.6g ns", exact[_i].why, events, closed);
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
	const struct flash_params *params = _i ? &crowd : &m1_max;

	for (unsigned n = 1; n <= 64; n *= 2)
		for (uint64_t count = 1; count < 2000; count = count * 3 + 1) {
			double ns = flash_batch_ns(params, count, 12288, n);

			ck_assert_double_eq_tol(closed_ns(params, n, 12288, count), ns, 1e-9 * ns);
		}
}
END_TEST

START_TEST(test_two_equal_classes_are_one)
{
	const struct read_class split[] = {{4096, 30}, {4096, 0}, {4096, 70}};
	struct sim_flash flash;

	open_flash(&flash, &card, 16, SIM_CLOSED);
	ck_assert_double_eq_tol(sim_flash_closed_ns(&flash, split, 3),
				closed_ns(&card, 16, 4096, 100), 1e-3);
	sim_flash_close(&flash);
}
END_TEST

/* Rows of 36 KiB in pieces of 16, 16 and 4, every third of a layer's rows, as layout split has them. */
static struct plan mixed_plan(uint64_t *slots, struct read_class classes[2])
{
	struct plan plan = {
		.demand = {.kind = STEP_FFN, .layer = 1},
		.neuron_total = 300,
		.plane_count = 2,
		.classes = classes,
		.class_count = 2,
		.read_count = 600,
		.read_bytes = 200 * 36864,
	};

	for (uint32_t row = 0; row < 300; row += 3)
		bits_put(slots, row);
	for (unsigned i = 0; i < 2; i++)
		plan.planes[i] = (struct read_plane){.region = i ? REGION_DOWN : REGION_UP,
						     .slot_bytes = 36864,
						     .piece_bytes = 16384,
						     .end_bytes = 300 * 36864,
						     .slot_count = 300,
						     .rows_per_slot = 1,
						     .row_stride = 36864,
						     .slots = slots};
	classes[0] = (struct read_class){16384, 400};
	classes[1] = (struct read_class){4096, 200};
	return plan;
}

START_TEST(test_levels_are_near_each_other_on_mixed_sizes)
{
	uint64_t slots[5] = {0};
	struct read_class classes[2];
	const struct plan plan = mixed_plan(slots, classes);
	double ns[3];

	for (unsigned level = 0; level < 3; level++) {
		struct sim_flash flash;
		struct sim_reads reads;

		open_flash(&flash, &m1_max, 32, (enum sim_level)level);
		reads = served(&flash, &plan, 0);
		ns[level] = reads.end_ns;
		sim_reads_fini(&reads);
		sim_flash_close(&flash);
	}
	ck_assert_msg(fabs(ns[SIM_RECURSION] / ns[SIM_CLOSED] - 1) < 0.03 &&
			      fabs(ns[SIM_EVENTS] / ns[SIM_CLOSED] - 1) < 0.03,
		      "closed %g, recursion %g, events %g", ns[0], ns[1], ns[2]);
}
END_TEST

/* Both planes by turns: a neuron's row and column one after the other. */
START_TEST(test_reads_are_submitted_slot_by_slot)
{
	uint64_t slots[5] = {0};
	struct read_class classes[2];
	const struct plan plan = mixed_plan(slots, classes);
	struct sim_walk walk;
	struct flash_read read;
	uint64_t count = 0, bytes = 0;

	for (sim_walk_init(&walk, &plan); sim_walk_next(&walk, &read); count++) {
		uint64_t slot = count / 6 * 3, piece = count % 3;

		ck_assert_int_eq(read.region, count / 3 % 2 ? REGION_DOWN : REGION_UP);
		ck_assert_uint_eq(read.layer, 1);
		ck_assert_uint_eq(read.offset, slot * 36864 + piece * 16384);
		ck_assert_int_eq(sim_walk_is_even(&walk), read.region == REGION_DOWN);
		bytes += read.bytes;
	}
	ck_assert_uint_eq(count, plan.read_count);
	ck_assert_uint_eq(bytes, plan.read_bytes);
}
END_TEST

/* Every n, sizes from far under to far over the half-bandwidth size, batches of a part of a round to
 * many: recursion and events are one device told twice. */
START_TEST(test_recursion_and_events_are_the_same_for_one_size)
{
	const struct flash_params *const all[] = {&m1_max, &card, &crowd}, *params = all[_i];

	for (unsigned n = 1; n <= 64; n = n * 2 + 1)
		for (uint64_t bytes = 512; bytes <= 1 << 20; bytes *= 8)
			for (uint64_t count = 1; count < 3000; count = count * 5 + 2) {
				double recursion = recursion_ns(params, n, bytes, count);
				double events = batch_ns(SIM_EVENTS, params, n, bytes, count);

				ck_assert_msg(fabs(events - recursion) <= 1e-12 * recursion,
					      "%llu x %llu, n = %u: %.17g and %.17g",
					      (unsigned long long)count, (unsigned long long)bytes,
					      n, events, recursion);
			}
}
END_TEST

/* Between latency bound and saturation the closed form's knee rounds a corner off: there it is the
 * slower one, by at most what the knee q says at its middle, 2^(1/q). */
START_TEST(test_the_closed_form_is_above_the_recursion_by_no_more_than_its_knee)
{
	const struct flash_params *params = _i ? &card : &m1_max;
	double most = pow(2, 1 / params->knee);

	for (unsigned n = 1; n <= 128; n += 1 + n / 4)
		for (uint64_t bytes = 512; bytes <= 1 << 20; bytes *= 4) {
			double ratio = closed_ns(params, n, bytes, 4096) /
				       recursion_ns(params, n, bytes, 4096);

			ck_assert_msg(ratio < most * 1.02 && ratio > 0.97,
				      "n = %u, %llu B: closed form %g of the recursion", n,
				      (unsigned long long)bytes, ratio);
		}
}
END_TEST

START_TEST(test_streaming_reaches_the_peak)
{
	for (unsigned level = 0; level < 3; level++) {
		double ns = batch_ns((enum sim_level)level, &m1_max, 32, 4 << 20, 2000);
		double rate = 2000.0 * (4 << 20) / ns * 1e9;

		ck_assert_msg(rate > 0.98 * m1_max.peak_bytes_per_s &&
				      rate <= m1_max.peak_bytes_per_s,
			      "level %u: %g B/s", level, rate);
	}
}
END_TEST

START_TEST(test_one_read_takes_its_unloaded_latency_at_every_level)
{
	for (unsigned level = 0; level < 3; level++)
		for (uint64_t bytes = 512; bytes <= 1 << 22; bytes *= 2) {
			double ns = batch_ns((enum sim_level)level, &card, 8, bytes, 1);

			ck_assert_double_eq_tol(ns,
						card.batch_ns + card.latency_ns +
							(double)bytes / card.stream_bytes_per_s *
								1e9,
						0.02 * ns);
			ck_assert_double_eq_tol(
				ns, card.batch_ns + flash_read_ns(&card, (double)bytes), 1e-6 * ns);
		}
}
END_TEST

/* Two batches at once: closed and recursion serve one after the other, events share the device and
 * so pay one ramp less; nothing is faster than the bottleneck. */
START_TEST(test_batches_overlap_where_the_level_has_events)
{
	struct read_class class;
	const struct plan plan = plan_of(16384, 200, &class);
	double bottleneck = 400 * flash_bottleneck_ns(&m1_max, 16384), ends[3];

	for (unsigned level = 0; level < 3; level++) {
		struct sim_reads a = {0}, b = {0};
		struct sim_flash flash;
		struct err err = {0};

		open_flash(&flash, &m1_max, 32, (enum sim_level)level);
		ck_assert(!sim_flash_submit(&flash, &a, &plan, 0, &err));
		ck_assert(!sim_flash_submit(&flash, &b, &plan, 1000, &err));
		ck_assert(!sim_flash_finish(&flash, &b, &err));
		ck_assert(!sim_flash_finish(&flash, &a, &err));
		ck_assert_msg(!sim_flash_check(&flash, &err), "%s", err.msg);
		ck_assert_uint_eq(a.bytes + b.bytes, 2 * plan.read_bytes);
		ends[level] = b.end_ns;
		ck_assert_double_gt(b.end_ns, bottleneck);
		ck_assert_double_gt(b.end_ns, a.end_ns);
		sim_flash_close(&flash);
	}
	ck_assert_double_lt(ends[SIM_EVENTS], 0.99 * ends[SIM_RECURSION]);
	ck_assert_double_gt(ends[SIM_EVENTS], 0.9 * ends[SIM_RECURSION]);
}
END_TEST

/* Addresses that meet in a unit wait for each other: random reads at half load lose time to it. */
START_TEST(test_reads_that_meet_in_a_unit_wait)
{
	struct read_class class;
	const struct plan plan = plan_of(16384, 2000, &class);
	double ends[3];

	for (unsigned units = 0; units < 3; units++) {
		const struct sim_flash_options options = {.params = &m1_max,
							  .in_flight = 6,
							  .level = SIM_EVENTS,
							  .units = (enum sim_units)units};
		struct sim_flash flash;
		struct sim_reads reads;
		struct err err = {0};

		ck_assert(!sim_flash_open(&flash, &options, &err));
		reads = served(&flash, &plan, 0);
		ends[units] = reads.end_ns;
		sim_reads_fini(&reads);
		sim_flash_close(&flash);
	}
	ck_assert_double_gt(ends[SIM_UNITS_HASHED], 1.1 * ends[SIM_UNITS_IDLE]);
	ck_assert_double_le(ends[SIM_UNITS_IDLE], ends[SIM_UNITS_ROUND_ROBIN] * (1 + 1e-12));
}
END_TEST

/* All of a batch, and every arrival in it. */
START_TEST(test_kernels_beside_them_stretch_reads_at_every_level)
{
	struct flash_params slow = m1_max;
	struct read_class class;
	const struct plan plan = plan_of(16384, 100, &class);

	slow.computing_slowdown = 1.3;
	slow.batch_in_flight = 32;
	for (unsigned level = 0; level < 3; level++)
		for (unsigned beside = 0; beside < 2; beside++) {
			struct sim_flash_options options = {.params = &m1_max,
							    .in_flight = 32,
							    .level = (enum sim_level)level,
							    .beside_kernels = beside};
			double factor = beside ? 1.3 : 1;
			struct sim_flash flash, slowed;
			struct sim_reads reads, stretched;
			struct err err = {0};

			ck_assert(!sim_flash_open(&flash, &options, &err));
			options.params = &slow;
			ck_assert(!sim_flash_open(&slowed, &options, &err));
			reads = served(&flash, &plan, 0);
			stretched = served(&slowed, &plan, 0);
			ck_assert_double_eq_tol(stretched.end_ns / reads.end_ns, factor, 1e-9);
			for (unsigned i = 0; i < 100; i++)
				ck_assert_double_eq_tol(stretched.arrived_ns[i] /
								reads.arrived_ns[i],
							factor, 1e-9);
			sim_reads_fini(&reads);
			sim_reads_fini(&stretched);
			sim_flash_close(&flash);
			sim_flash_close(&slowed);
		}
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

	open_flash(&flash, &card, 4, SIM_CLOSED);
	for (unsigned round = 0; round < 2; round++)
		for (uint64_t i = 1; i <= 3 * SIM_FLASH_SIZES; i++) {
			const struct read_class class = {.bytes = 512 * i, .count = 5};

			ck_assert_double_eq_tol(sim_flash_closed_ns(&flash, &class, 1),
						flash_batch_ns(&card, 5, 512 * i, 4), 1e-3);
		}
	sim_flash_close(&flash);
}
END_TEST

/* A clock that goes back changes nothing but the clock. */
START_TEST(test_a_clock_that_goes_back_changes_no_batch)
{
	struct read_class class;
	const struct plan plan = plan_of(16384, 100, &class);

	for (unsigned level = 0; level < 3; level++) {
		struct sim_reads a = {0};
		struct sim_flash flash;
		struct err err = {0};
		double alone = batch_ns((enum sim_level)level, &m1_max, 8, 16384, 100);

		open_flash(&flash, &m1_max, 8, (enum sim_level)level);
		ck_assert(!sim_flash_submit(&flash, &a, &plan, 5000, &err));
		sim_flash_rebase(&flash, 4000);
		sim_reads_rebase(&a, 4000);
		ck_assert(!sim_flash_finish(&flash, &a, &err));
		ck_assert_double_eq_tol(a.end_ns, 1000 + alone, 1e-6);
		ck_assert_msg(!sim_flash_check(&flash, &err), "%s", err.msg);
		sim_flash_close(&flash);
	}
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
	tcase_add_loop_test(tcase, test_the_closed_form_of_one_size_is_the_cost_models, 0, 2);
	tcase_add_test(tcase, test_two_equal_classes_are_one);
	tcase_add_test(tcase, test_levels_are_near_each_other_on_mixed_sizes);
	tcase_add_test(tcase, test_reads_are_submitted_slot_by_slot);
	tcase_add_loop_test(tcase, test_recursion_and_events_are_the_same_for_one_size, 0, 3);
	tcase_add_loop_test(
		tcase, test_the_closed_form_is_above_the_recursion_by_no_more_than_its_knee, 0, 2);
	tcase_add_test(tcase, test_streaming_reaches_the_peak);
	tcase_add_test(tcase, test_one_read_takes_its_unloaded_latency_at_every_level);
	tcase_add_test(tcase, test_batches_overlap_where_the_level_has_events);
	tcase_add_test(tcase, test_reads_that_meet_in_a_unit_wait);
	tcase_add_test(tcase, test_a_clock_that_goes_back_changes_no_batch);
	tcase_add_test(tcase, test_kernels_beside_them_stretch_reads_at_every_level);
	tcase_add_test(tcase, test_the_recursion_grows_with_reads_and_falls_with_width);
	tcase_add_test(tcase, test_forgotten_sizes_are_found_again);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
