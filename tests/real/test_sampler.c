/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_sampler.c - hazard: a token drawn from another distribution than the one asked for */
#include "sampler.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 6, DRAWS = 40000 };

/* Of softmax at temperature 1: 0.4, 0.3, 0.15, 0.1, 0.05 and never, out of order. */
static const double shares[VOCAB] = {0.1, 0.4, 0.05, 0, 0.3, 0.15};

static void make_logits(float logits[VOCAB])
{
	for (int i = 0; i < VOCAB; i++)
		logits[i] = shares[i] > 0 ? (float)log(shares[i]) + 3 : -INFINITY;
}

static struct sampler open_sampler(double temperature, double top_p, uint64_t seed)
{
	struct sampler sampler;
	struct err err = {0};

	ck_assert_msg(sampler_open(&sampler, VOCAB, temperature, top_p, seed, &err) == 0, "%s",
		      err.msg);
	return sampler;
}

static void draw_many(uint64_t counts[VOCAB], double temperature, double top_p)
{
	struct sampler sampler = open_sampler(temperature, top_p, 7);
	float logits[VOCAB];

	make_logits(logits);
	memset(counts, 0, VOCAB * sizeof(*counts));
	for (int i = 0; i < DRAWS; i++) {
		uint32_t id = sampler_pick(&sampler, logits);

		ck_assert_uint_lt(id, VOCAB);
		counts[id]++;
	}
	sampler_close(&sampler);
}

/* What is expected of each id, by arithmetic of its own: shares to the power of 1/temperature, the
 * nucleus cut off, the rest made to sum to 1. */
static void expect(double expected[VOCAB], double temperature, double top_p)
{
	bool kept[VOCAB] = {false};
	double total = 0, sum = 0;

	for (int i = 0; i < VOCAB; i++) {
		expected[i] = shares[i] > 0 ? pow(shares[i], 1 / temperature) : 0;
		total += expected[i];
	}
	while (sum < top_p * total * (1 - 1e-12)) {
		int best = -1;

		for (int i = 0; i < VOCAB; i++)
			if (!kept[i] && (best < 0 || expected[i] > expected[best]))
				best = i;
		kept[best] = true;
		sum += expected[best];
	}
	for (int i = 0; i < VOCAB; i++)
		expected[i] = kept[i] ? expected[i] / sum : 0;
}

static const struct {
	double temperature, top_p;
	int nucleus; /* ids that may come */
} draws[] = {
	{1, 1, 5},    {1, 0.95, 4}, {1, 0.69, 2}, {1, 0.71, 3},	 {1, 0.39, 1},
	{1, 1e-9, 1}, {0.5, 1, 5},  {2, 1, 5},	  {0.5, 0.9, 3}, {100, 1, 5},
};

START_TEST(draws_follow_the_distribution_and_never_leave_the_nucleus)
{
	uint64_t counts[VOCAB];
	double expected[VOCAB], chi = 0;
	int nucleus = 0;

	draw_many(counts, draws[_i].temperature, draws[_i].top_p);
	expect(expected, draws[_i].temperature, draws[_i].top_p);
	for (int i = 0; i < VOCAB; i++) {
		double want = expected[i] * DRAWS;

		if (want == 0) {
			ck_assert_msg(counts[i] == 0, "id %d came %llu times", i,
				      (unsigned long long)counts[i]);
			continue;
		}
		nucleus++;
		chi += ((double)counts[i] - want) * ((double)counts[i] - want) / want;
	}
	ck_assert_int_eq(nucleus, draws[_i].nucleus);
	/* 4 degrees of freedom at most: 18.5 is passed once in a thousand, and the seed is fixed. */
	ck_assert_msg(chi < 18.5, "chi-square %g", chi);
}
END_TEST

/* A draw that forgets its temperature or its nucleus would be seen. */
START_TEST(another_distribution_fails_the_same_check)
{
	uint64_t counts[VOCAB];
	double expected[VOCAB], chi = 0;

	draw_many(counts, 1, 1);
	expect(expected, 1.1, 1);
	for (int i = 0; i < VOCAB; i++)
		if (expected[i] > 0)
			chi += pow((double)counts[i] - expected[i] * DRAWS, 2) /
			       (expected[i] * DRAWS);
	ck_assert_msg(chi > 18.5, "chi-square %g", chi);
}
END_TEST

START_TEST(greedy_takes_the_first_of_the_likeliest)
{
	static const struct {
		float logits[VOCAB];
		uint32_t id;
	} cases[] = {
		{{0, 1, 5, 5, -2, 3}, 2},
		{{-3, -2, -9, -2, -8, -7}, 1},
		{{-INFINITY, -INFINITY, -1e30F, -INFINITY, -INFINITY, -INFINITY}, 2},
		{{-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY}, 0},
		{{1, INFINITY, 3, INFINITY, 2, 0}, 1},
		{{NAN, 1, 2, NAN, 0, NAN}, 2},
		{{NAN, NAN, NAN, NAN, NAN, NAN}, 0},
	};
	/* However tokens are drawn, when one alone is likely it comes. */
	static const double temperatures[] = {0, 1e-6};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t t = 0; t < 2; t++) {
			struct sampler sampler = open_sampler(temperatures[t], 0.5, 3);
			uint32_t id = sampler_pick(&sampler, cases[i].logits);

			ck_assert_msg(id == cases[i].id, "case %zu at temperature %g: got %u", i,
				      temperatures[t], id);
			sampler_close(&sampler);
		}
}
END_TEST

/* What is no number is never drawn, and does not disturb the others. */
START_TEST(no_number_is_never_drawn)
{
	struct sampler sampler = open_sampler(1, 1, 5);
	const float logits[VOCAB] = {NAN, 1, NAN, 1, -INFINITY, NAN};
	unsigned counts[VOCAB] = {0};

	for (int i = 0; i < 1000; i++)
		counts[sampler_pick(&sampler, logits)]++;
	ck_assert_uint_eq(counts[1] + counts[3], 1000);
	ck_assert(counts[1] > 400 && counts[3] > 400);
	sampler_close(&sampler);
}
END_TEST

START_TEST(a_seed_repeats_its_draws)
{
	float logits[VOCAB];
	uint32_t first[64];
	bool differs = false;

	make_logits(logits);
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sampler sampler = open_sampler(1, 1, seed == 3 ? 1 : seed);

		for (int i = 0; i < 64; i++) {
			uint32_t id = sampler_pick(&sampler, logits);

			if (seed == 1)
				first[i] = id;
			else if (seed == 2)
				differs = differs || id != first[i];
			else
				ck_assert_uint_eq(id, first[i]);
		}
		sampler_close(&sampler);
	}
	ck_assert(differs);
}
END_TEST

START_TEST(settings_that_mean_nothing_are_refused)
{
	static const struct {
		double temperature, top_p;
		const char *says;
	} bad[] = {
		{-0.1, 1, "temperature: got -0.1, expected 0 or more"},
		{NAN, 1, "temperature: got nan"},
		{INFINITY, 1, "temperature: got inf"},
		{1, 0, "top-p: got 0, expected more than 0, at most 1"},
		{1, 1.0001, "top-p: got 1.0001"},
		{1, -1, "top-p: got -1"},
		{1, NAN, "top-p: got nan"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sampler sampler;
		struct err err = {0};

		ck_assert_int_eq(
			sampler_open(&sampler, VOCAB, bad[i].temperature, bad[i].top_p, 1, &err),
			EINVAL);
		ck_assert_msg(strstr(err.msg, bad[i].says) != NULL, "%s", err.msg);
		sampler_close(&sampler);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sampler");
	TCase *tcase = tcase_create("sampler");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, draws_follow_the_distribution_and_never_leave_the_nucleus, 0,
			    sizeof(draws) / sizeof(draws[0]));
	tcase_add_test(tcase, another_distribution_fails_the_same_check);
	tcase_add_test(tcase, greedy_takes_the_first_of_the_likeliest);
	tcase_add_test(tcase, no_number_is_never_drawn);
	tcase_add_test(tcase, a_seed_repeats_its_draws);
	tcase_add_test(tcase, settings_that_mean_nothing_are_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
