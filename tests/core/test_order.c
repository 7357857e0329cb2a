/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_order.c - quantiles lie between their neighbours, medians and spreads are what they say */
#include "order.h"

#include <check.h>
#include <stdlib.h>

static const struct {
	const char *why;
	double values[6];
	size_t count;
	double median, quarter, spread;
} cases[] = {
	{"one value is every quantile", {3}, 1, 3, 3, 0},
	{"between two", {4, 2}, 2, 3, 2.5, 1.4826},
	{"an odd count has a middle", {9, 1, 5}, 3, 5, 3, 1.4826 * 4},
	{"ties", {2, 2, 2, 2}, 4, 2, 2, 0},
	{"an outlier moves neither", {1, 2, 3, 4, 1e9}, 5, 3, 2, 1.4826},
	{"unsorted, even", {6, 5, 4, 3, 2, 1}, 6, 3.5, 2.25, 1.4826 * 1.5},
};

START_TEST(test_order_statistics)
{
	double values[6];
	double median;

	for (size_t i = 0; i < cases[_i].count; i++)
		values[i] = cases[_i].values[i];
	median = order_median(values, cases[_i].count);
	ck_assert_msg(median == cases[_i].median, "%s: median %g", cases[_i].why, median);
	for (size_t i = 1; i < cases[_i].count; i++)
		ck_assert_double_le(values[i - 1], values[i]);
	ck_assert_double_eq_tol(order_quantile(values, cases[_i].count, 0.25), cases[_i].quarter,
				1e-12);
	ck_assert(order_quantile(values, cases[_i].count, 1) == values[cases[_i].count - 1]);
	ck_assert(order_quantile(values, cases[_i].count, 0) == values[0]);
	ck_assert_double_eq_tol(order_spread(values, cases[_i].count, median), cases[_i].spread,
				1e-9);
}
END_TEST

START_TEST(test_nothing_has_median_zero)
{
	ck_assert(order_median(NULL, 0) == 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order");
	TCase *tcase = tcase_create("order");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_order_statistics, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, test_nothing_has_median_zero);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
