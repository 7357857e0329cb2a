/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_kernels.c - kernels, half floats, activations and the pool of threads; what the kernels must
 * do is in kernel_checks.c */
#define _GNU_SOURCE
#include "kernel_checks.h"
#include "tiny.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

static const struct kernels *kernels_of(int i)
{
	return kernels_at((unsigned)i / KERNEL_CHECKS);
}

START_TEST(every_set_of_kernels_passes_its_checks)
{
	const struct kernel_check *check = &kernel_checks[_i % KERNEL_CHECKS];
	char why[CHECK_WHY];

	for (unsigned i = 0; i < check->cases; i++)
		ck_assert_msg(check->holds(kernels_of(_i), i, why), "%s: %s: %s",
			      kernels_of(_i)->name, check->name, why);
}
END_TEST

START_TEST(the_portable_kernels_come_last_and_the_best_first)
{
	unsigned count = 0;

	while (kernels_at(count))
		count++;
	ck_assert_uint_ge(count, 1);
	ck_assert_str_eq(kernels_at(count - 1)->name, "portable");
	ck_assert_ptr_eq(kernels_best(), kernels_at(0));
	ck_assert_ptr_null(kernels_at(count + 1));
}
END_TEST

START_TEST(every_half_goes_there_and_back)
{
	for (uint32_t h = 0; h < 65536; h++) {
		bool nan = (h & 0x7fff) > 0x7c00;
		float f = f16_to_f32((uint16_t)h);

		if (nan)
			ck_assert(isnan(f) && isnan(f16_to_f32(f32_to_f16(f))));
		else
			ck_assert_uint_eq(f32_to_f16(f), h);
	}
}
END_TEST

static const struct {
	const char *why;
	float f;
	uint16_t h;
} rounded[] = {
	{"a tie goes to the even one below", 1 + 0x1p-11F, 0x3c00},
	{"a tie goes to the even one above", 1 + 3 * 0x1p-11F, 0x3c02},
	{"above a tie goes up", 1 + 0x1p-11F + 0x1p-20F, 0x3c01},
	{"the largest", 65504, 0x7bff},
	{"just below infinity", 65519, 0x7bff},
	{"just infinity", 65520, 0x7c00},
	{"far above", 1e30F, 0x7c00},
	{"the smallest normal", 0x1p-14F, 0x0400},
	{"the smallest", 0x1p-24F, 0x0001},
	{"half of the smallest ties to zero", 0x1p-25F, 0x0000},
	{"a little more does not", 0x1.01p-25F, 0x0001},
	{"a subnormal tie", 3 * 0x1p-25F, 0x0002},
	{"rounding up into the normals", 0x1.fffp-15F, 0x0400},
	{"minus zero", -0.0F, 0x8000},
	{"minus one", -1, 0xbc00},
};

static const struct {
	const char *why;
	float f;
	uint16_t h;
} cut[] = {
	{"one", 1, 0x3f80},
	{"a tie goes to the even one below", 1 + 0x1p-8F, 0x3f80},
	{"a tie goes to the even one above", 1 + 3 * 0x1p-8F, 0x3f82},
	{"above a tie goes up", 1 + 0x1.02p-8F, 0x3f81},
	{"the largest float becomes infinity", 0x1.fffffep127F, 0x7f80},
	{"the largest that does not", 0x1.fep127F, 0x7f7f},
	{"infinity stays", -INFINITY, 0xff80},
	{"the smallest", 0x1p-133F, 0x0001},
	{"minus zero", -0.0F, 0x8000},
};

START_TEST(floats_round_to_the_nearest_upper_half)
{
	ck_assert_msg(f32_to_bf16(cut[_i].f) == cut[_i].h, "%s: %a gave %04x, expected %04x",
		      cut[_i].why, (double)cut[_i].f, f32_to_bf16(cut[_i].f), cut[_i].h);
}
END_TEST

START_TEST(every_upper_half_goes_there_and_back)
{
	for (uint32_t h = 0; h < 65536; h++) {
		float f = bf16_to_f32((uint16_t)h);

		if ((h & 0x7fff) > 0x7f80)
			ck_assert(isnan(f) && isnan(bf16_to_f32(f32_to_bf16(f))));
		else
			ck_assert_uint_eq(f32_to_bf16(f), h);
	}
	/* All of its bits below the cut. */
	ck_assert(isnan(bf16_to_f32(f32_to_bf16(nanf("1")))));
}
END_TEST

static const struct {
	enum activation activation;
	double x, y;
} activated[] = {
	{ACT_RELU, -1, 0},
	{ACT_RELU, 0, 0},
	{ACT_RELU, 2.5, 2.5},
	/* x times the normal distribution: 0.841344746, 0.022750132 and 0.5 at 1, -2 and 0. */
	{ACT_GELU, 1, 0.841344746068543},
	{ACT_GELU, -2, -0.045500263896358},
	{ACT_GELU, 0, 0},
	/* 0.5 x (1 + tanh(0.7978845608 (x + 0.044715 x^3))). */
	{ACT_GELU_TANH, 1, 0.841191990608303},
	{ACT_GELU_TANH, -2, -0.045402305912}};

START_TEST(activations_are_the_published_formulas)
{
	ck_assert_double_eq_tol(activate(activated[_i].activation, activated[_i].x),
				activated[_i].y, 1e-9);
}
END_TEST

START_TEST(floats_round_to_the_nearest_half)
{
	ck_assert_msg(f32_to_f16(rounded[_i].f) == rounded[_i].h, "%s: %a gave %04x, expected %04x",
		      rounded[_i].why, (double)rounded[_i].f, f32_to_f16(rounded[_i].f),
		      rounded[_i].h);
}
END_TEST

struct tally {
	atomic_uint calls, threads_seen;
};

static void count_call(void *arg, unsigned thread, unsigned threads)
{
	struct tally *tally = arg;

	ck_assert_uint_lt(thread, threads);
	atomic_fetch_add(&tally->calls, 1);
	atomic_fetch_or(&tally->threads_seen, 1U << thread);
}

START_TEST(a_pool_runs_each_thread_once_and_waits)
{
	unsigned threads = (unsigned)_i + 1;
	struct err err = {0};
	struct pool *pool;

	ck_ok(pool_open(&pool, threads, &err));
	ck_assert_uint_eq(pool_threads(pool), threads);
	for (int round = 0; round < 300; round++) {
		struct tally tally = {0};

		pool_run(pool, count_call, &tally);
		ck_assert_uint_eq(tally.calls, threads);
		ck_assert_uint_eq(tally.threads_seen, (1U << threads) - 1);
		if (round % 100 == 50) /* asleep by now */
			nanosleep(&(const struct timespec){0, 2000000}, NULL);
	}
	pool_close(pool);
}
END_TEST

START_TEST(a_roused_pool_works_on_and_a_resting_one_too)
{
	struct err err = {0};
	struct pool *pool;

	ck_ok(pool_open(&pool, 3, &err));
	for (int round = 0; round < 30; round++) {
		struct tally tally = {0};

		if (round % 3 == 0)
			pool_rouse(pool);
		if (round % 3 == 2)
			pool_rest(pool);
		if (round % 5 == 0) /* longer than anybody stays awake */
			nanosleep(&(const struct timespec){0, 4000000}, NULL);
		pool_run(pool, count_call, &tally);
		ck_assert_uint_eq(tally.calls, 3);
	}
	pool_close(pool);
}
END_TEST

struct places {
	atomic_uint cores[2];
};

static void note_core(void *arg, unsigned thread, unsigned threads)
{
	struct places *places = arg;

	(void)threads;
	atomic_store(&places->cores[thread], (unsigned)sched_getcpu());
}

START_TEST(a_pinned_pool_keeps_to_cores_of_its_own_until_it_lets_go)
{
	struct err err = {0};
	struct pool *pool;
	struct places places = {0};
	cpu_set_t before, during, after;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	ck_ok(pool_open(&pool, 2, &err));
	pool_pin(pool);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(during), &during), 0);
	pool_run(pool, note_core, &places);
	if (CPU_COUNT(&before) >= 2) {
		ck_assert_int_eq(CPU_COUNT(&during), 1);
		ck_assert_uint_ne(places.cores[0], places.cores[1]);
		ck_assert(CPU_ISSET(places.cores[1], &before));
	} else {
		ck_assert(CPU_EQUAL(&before, &during));
	}
	if (_i == 0)
		pool_unpin(pool);
	else
		pool_close(pool);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
	ck_assert(CPU_EQUAL(&before, &after));
	if (_i == 0)
		pool_close(pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernels");
	TCase *tcase = tcase_create("kernels");
	unsigned kernels = 0;

	while (kernels_at(kernels))
		kernels++;
	tcase_add_loop_test(tcase, every_set_of_kernels_passes_its_checks, 0,
			    (int)(kernels * KERNEL_CHECKS));
	tcase_add_test(tcase, the_portable_kernels_come_last_and_the_best_first);
	tcase_add_test(tcase, every_half_goes_there_and_back);
	tcase_add_loop_test(tcase, floats_round_to_the_nearest_half, 0,
			    sizeof(rounded) / sizeof(rounded[0]));
	tcase_add_test(tcase, every_upper_half_goes_there_and_back);
	tcase_add_loop_test(tcase, floats_round_to_the_nearest_upper_half, 0,
			    sizeof(cut) / sizeof(cut[0]));
	tcase_add_loop_test(tcase, activations_are_the_published_formulas, 0,
			    sizeof(activated) / sizeof(activated[0]));
	tcase_add_loop_test(tcase, a_pool_runs_each_thread_once_and_waits, 0, 5);
	tcase_add_test(tcase, a_roused_pool_works_on_and_a_resting_one_too);
	tcase_add_loop_test(tcase, a_pinned_pool_keeps_to_cores_of_its_own_until_it_lets_go, 0, 2);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
