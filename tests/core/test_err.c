/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_err.c - the first error wins, and places go in front of it */
#include "err.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_the_first_error_wins)
{
	struct err err = {0};

	ck_assert_int_eq(err_set(&err, EINVAL, "first %d", 1), EINVAL);
	ck_assert_int_eq(err_set(&err, EIO, "second"), EINVAL);
	errno = ENOENT;
	ck_assert_int_eq(err_errno(&err, "third"), EINVAL);
	ck_assert_int_eq(err_nomem(&err, "fourth", 4), EINVAL);
	ck_assert_int_eq(err.code, EINVAL);
	ck_assert_str_eq(err.msg, "first 1");
}
END_TEST

START_TEST(test_errno_gives_code_and_text_and_survives)
{
	struct err err = {0};
	char says[64];

	snprintf(says, sizeof(says), "cannot read 'x': %s", strerror(ENOENT));
	errno = ENOENT;
	ck_assert_int_eq(err_errno(&err, "cannot read '%s'", "x"), ENOENT);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(err.msg, says);
}
END_TEST

START_TEST(test_an_unset_errno_is_still_an_error)
{
	struct err err = {0};

	errno = 0;
	ck_assert_int_eq(err_errno(&err, "short read"), EIO);
}
END_TEST

START_TEST(test_each_caller_puts_its_place_in_front)
{
	struct err err = {0};

	err_set(&err, ERANGE, "too much");
	ck_assert_int_eq(err_where(&err, "layer %d", 3), ERANGE);
	ck_assert_int_eq(err_where(&err, "model.gguf"), ERANGE);
	ck_assert_str_eq(err.msg, "model.gguf: layer 3: too much");
}
END_TEST

START_TEST(test_out_of_memory_says_how_much_for_what)
{
	struct err err = {0};

	ck_assert_int_eq(err_nomem(&err, "a trace", 1234567890123ULL), ENOMEM);
	ck_assert_str_eq(err.msg, "out of memory: 1234567890123 bytes for a trace");
}
END_TEST

/* Names come from files: however long, the message is cut, ended, and never overruns. */
START_TEST(test_long_messages_are_cut_and_ended)
{
	char big[4 * sizeof(((struct err *)0)->msg)];
	struct err err = {0};

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&err, EINVAL, "%s", big);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
	err_where(&err, "%s", big);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
	err = (struct err){0};
	errno = EIO;
	err_errno(&err, "%s", big);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 1);
	err = (struct err){0};
	err_set(&err, EINVAL, "tail");
	err_where(&err, "head");
	ck_assert_str_eq(err.msg, "head: tail");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("err");
	TCase *tcase = tcase_create("err");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_the_first_error_wins);
	tcase_add_test(tcase, test_errno_gives_code_and_text_and_survives);
	tcase_add_test(tcase, test_an_unset_errno_is_still_an_error);
	tcase_add_test(tcase, test_each_caller_puts_its_place_in_front);
	tcase_add_test(tcase, test_out_of_memory_says_how_much_for_what);
	tcase_add_test(tcase, test_long_messages_are_cut_and_ended);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
