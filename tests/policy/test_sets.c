/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_sets.c - sets by the word do what sets by the bit do */
#include "rng.h"
#include "sets.h"

#include <check.h>
#include <stdlib.h>

enum { WORDS = 37, BITS = WORDS * 64 };

/* One bit in 2^sparse. */
static void draw(uint64_t *set, size_t words, struct rng *rng, unsigned sparse)
{
	for (size_t w = 0; w < words; w++) {
		set[w] = rng_next(rng);
		for (unsigned i = 1; i < sparse; i++)
			set[w] &= rng_next(rng);
	}
}

START_TEST(test_a_count_is_the_sum_of_its_bits)
{
	struct rng rng = {(uint64_t)_i};
	uint64_t set[WORDS];

	draw(set, WORDS, &rng, 1 + (unsigned)_i % 5);
	for (size_t words = 0; words <= WORDS; words++) {
		uint32_t count = 0;

		for (uint32_t i = 0; i < words * 64; i++)
			count += bits_get(set, i);
		ck_assert_uint_eq(set_count(set, words), count);
	}
}
END_TEST

START_TEST(test_next_finds_every_bit_and_no_other)
{
	struct rng rng = {(uint64_t)_i};
	uint64_t set[WORDS];
	uint32_t found = BITS - 7;

	draw(set, WORDS, &rng, 1 + (unsigned)_i);
	for (uint32_t start = BITS - 7; start-- > 0;) {
		if (bits_get(set, start))
			found = start;
		ck_assert_uint_eq(set_next(set, start, BITS - 7), found);
	}
}
END_TEST

START_TEST(test_next_absent_finds_every_clear_bit_and_no_other)
{
	struct rng rng = {(uint64_t)_i};
	uint64_t set[WORDS];
	uint32_t found = BITS - 7;

	draw(set, WORDS, &rng, 1 + (unsigned)_i);
	for (size_t w = 0; w < WORDS; w++)
		set[w] = ~set[w];
	for (uint32_t start = BITS - 7; start-- > 0;) {
		if (!bits_get(set, start))
			found = start;
		ck_assert_uint_eq(set_next_absent(set, start, BITS - 7), found);
	}
}
END_TEST

START_TEST(test_a_range_is_set_and_nothing_beside_it)
{
	for (uint32_t first = 0; first < 200; first++)
		for (uint32_t end = first; end <= 200; end++) {
			uint64_t set[4] = {0};

			set_put_range(set, first, end);
			ck_assert_uint_eq(set_count(set, 4), end - first);
			ck_assert_uint_eq(set_next(set, 0, 256), end > first ? first : 256);
			ck_assert_uint_eq(set_next_absent(set, first, 256), end);
		}
}
END_TEST

static uint32_t longest_run(const uint64_t *set, uint32_t count)
{
	uint32_t longest = 0, run = 0;

	for (uint32_t i = 0; i < count; i++) {
		run = bits_get(set, i) ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

START_TEST(test_a_run_is_found_when_it_is_long_enough)
{
	struct rng rng = {(uint64_t)_i};
	uint64_t set[WORDS];

	for (int round = 0; round < 40; round++) {
		uint32_t first = (uint32_t)rng_below(&rng, BITS);
		uint32_t length = (uint32_t)rng_below(&rng, BITS - first + 1), longest;

		draw(set, WORDS, &rng, 1 + (unsigned)_i);
		set_put_range(set, first, round % 2 ? first + length % 90 : first + length);
		longest = longest_run(set, WORDS * 64);
		for (uint32_t want = 0; want < longest + 3; want += 1 + want / 16)
			if (set_has_run(set, WORDS, want) != (longest > want))
				ck_abort_msg("longest %u, more than %u", longest, want);
		ck_assert(longest == 0 || set_has_run(set, WORDS, longest - 1));
		ck_assert(!set_has_run(set, WORDS, longest));
	}
}
END_TEST

/* By the words of the header. */
static void close_slowly(uint64_t *set, uint32_t count, uint32_t gap, uint32_t most)
{
	uint32_t first = 0, last = 0;
	bool any = false;

	for (uint32_t i = 0; i < count; i++) {
		if (!bits_get(set, i))
			continue;
		if (any && i - last - 1 <= gap && i - first < most)
			for (uint32_t between = last + 1; between < i; between++)
				bits_put(set, between);
		else
			first = i;
		last = i;
		any = true;
	}
}

START_TEST(test_gaps_are_closed_where_they_are_short_and_fit)
{
	static const uint32_t gaps[] = {0, 1, 2, 3, 4, 7, 13, 31, 62, 63, 64, 100};
	static const uint32_t mosts[] = {1, 2, 3, 5, 8, 63, 64, 65, 200, BITS};
	struct rng rng = {(uint64_t)_i};
	uint64_t set[WORDS], expected[WORDS];

	for (size_t g = 0; g < sizeof(gaps) / sizeof(*gaps); g++)
		for (size_t m = 0; m < sizeof(mosts) / sizeof(*mosts); m++) {
			uint32_t count = BITS - (uint32_t)rng_below(&rng, 70);

			draw(set, WORDS, &rng, 1 + (unsigned)_i);
			for (uint32_t i = count; i < WORDS * 64; i++)
				bits_drop(set, i);
			memcpy(expected, set, sizeof(set));
			close_slowly(expected, count, gaps[g], mosts[m]);
			set_close_gaps(set, count, gaps[g], mosts[m]);
			ck_assert_msg(memcmp(set, expected, sizeof(set)) == 0,
				      "count %u gap %u most %u", count, gaps[g], mosts[m]);
		}
}
END_TEST

static const uint32_t groups[] = {1,  2,  3,   4,   5,	 7,    8,    16,  32,
				  56, 64, 100, 128, 256, 2048, BITS, 4096};

START_TEST(test_a_fold_is_set_where_any_of_its_group_is)
{
	struct rng rng = {7};
	uint64_t set[WORDS], folded[WORDS], expected[WORDS];

	for (unsigned sparse = 1; sparse < 12; sparse++) {
		draw(set, WORDS, &rng, sparse);
		memset(folded, 0xff, sizeof(folded));
		memset(expected, 0, sizeof(expected));
		for (uint32_t i = 0; i < BITS; i++)
			if (bits_get(set, i))
				bits_put(expected, i / groups[_i]);
		set_fold(folded, set, WORDS, groups[_i]);
		ck_assert_mem_eq(folded, expected, sizeof(folded));
	}
}
END_TEST

/* The widest layer there can be (model_params.h): slot numbers stay exact to its end. */
START_TEST(test_a_fold_is_exact_in_the_widest_layer)
{
	enum { WIDE = 262144 / 64 };
	static uint64_t set[WIDE], folded[WIDE], expected[WIDE];
	static const uint32_t wide_groups[] = {3, 5, 7, 56, 113, 1000, 2047, 65535};
	struct rng rng = {8};

	for (size_t g = 0; g < sizeof(wide_groups) / sizeof(*wide_groups); g++) {
		draw(set, WIDE, &rng, 3 + (unsigned)g);
		memset(expected, 0, sizeof(expected));
		for (uint32_t i = 0; i < WIDE * 64; i++)
			if (bits_get(set, i))
				bits_put(expected, i / wide_groups[g]);
		set_fold(folded, set, WIDE, wide_groups[g]);
		ck_assert_mem_eq(folded, expected, sizeof(folded));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sets");
	TCase *tc = tcase_create("sets");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, test_a_count_is_the_sum_of_its_bits, 0, 10);
	tcase_add_loop_test(tc, test_next_finds_every_bit_and_no_other, 0, 9);
	tcase_add_loop_test(tc, test_next_absent_finds_every_clear_bit_and_no_other, 0, 9);
	tcase_add_test(tc, test_a_range_is_set_and_nothing_beside_it);
	tcase_add_loop_test(tc, test_a_run_is_found_when_it_is_long_enough, 0, 8);
	tcase_add_loop_test(tc, test_gaps_are_closed_where_they_are_short_and_fit, 0, 12);
	tcase_add_loop_test(tc, test_a_fold_is_set_where_any_of_its_group_is, 0,
			    (int)(sizeof(groups) / sizeof(*groups)));
	tcase_add_test(tc, test_a_fold_is_exact_in_the_widest_layer);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
