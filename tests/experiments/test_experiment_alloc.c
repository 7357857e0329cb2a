/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_experiment_alloc.c - allocations fail while an experiment is loaded: out of memory is said,
 * and nothing leaks
 *
 * Linked with --wrap, so that our libraries' calls come here first.  Leaks and double frees are the
 * address sanitizer's to find (dev preset). */
#include "alloc_fails.h"
#include "compare.h"
#include "scratch.h"

/* Every path of the loader: parts, bases, sets, ranges, blocks, conditions, figures. */
static const char everything[] =
	TINY "target: emulated-m1-max\nworlds: [sim, real]\nfigures: [window]\nmodel_files: w\n"
	     "sweep:\n"
	     "- product: {policy: [{base: all, name: x}, naive], policy.window: {range: [1, 2]}}\n"
	     "  where: {policy.window: {at_most: 1, unless: {ctx: 3}}}\n"
	     "- zip: {policy: [all], seed: [1]}\n";

START_TEST(test_an_allocation_that_fails_while_loading_is_enomem)
{
	const char *const sets[] = {"policy.in_flight=4", "ctx=64"};
	struct experiment x;
	long n = 1, failures = 0;

	scratch_write("tiny.yaml", tiny_yaml);
	scratch_write("x.yaml", everything);
	for (;; n += 1 + n / 60) {
		struct err err = {0};
		int rc;

		until_failure = n;
		rc = experiment_load(&x, "x.yaml", sets, 2, &err);
		if (until_failure > 0) { /* it was never reached */
			until_failure = 0;
			ck_assert_msg(rc == 0, "%s", err.msg);
			break;
		}
		until_failure = 0;
		ck_assert_msg(rc == ENOMEM, "allocation %ld: %d, %s", n, rc, err.msg);
		failures++;
	}
	ck_assert_int_gt(failures, 100);
	ck_assert_uint_eq(x.trial_count, 3);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_an_allocation_that_fails_while_comparing_is_enomem)
{
	static struct result_row rows[2];
	struct comparison *pairs;
	size_t count;

	result_row_init(&rows[0]);
	result_row_init(&rows[1]);
	for (long n = 1; n <= 2; n++) {
		struct err err = {0};

		until_failure = n;
		ck_assert_int_eq(compare_rows(&pairs, &count, rows, 2, &err), ENOMEM);
		until_failure = 0;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("experiment alloc");
	TCase *tcase = tcase_create("fails once");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, scratch_open, scratch_close);
	tcase_add_test(tcase, test_an_allocation_that_fails_while_loading_is_enomem);
	tcase_add_test(tcase, test_an_allocation_that_fails_while_comparing_is_enomem);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
