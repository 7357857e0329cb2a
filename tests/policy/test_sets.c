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
	tcase_add_loop_test(tc, test_a_fold_is_set_where_any_of_its_group_is, 0,
			    (int)(sizeof(groups) / sizeof(*groups)));
	tcase_add_test(tc, test_a_fold_is_exact_in_the_widest_layer);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
