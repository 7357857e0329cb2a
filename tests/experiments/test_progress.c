/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_progress.c - what is written where stderr is no terminal: notes, and nothing else */
#include "progress.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* stderr into a file; returns the old one. */
static int redirect(FILE *file)
{
	int old = dup(STDERR_FILENO);

	fflush(stderr);
	ck_assert_int_ge(old, 0);
	ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
	return old;
}

static void restore(int old)
{
	fflush(stderr);
	ck_assert_int_ge(dup2(old, STDERR_FILENO), 0);
	close(old);
}

START_TEST(test_without_a_terminal_only_notes_are_written)
{
	FILE *file = tmpfile();
	struct progress *progress;
	char text[256];
	size_t length;
	int old;

	ck_assert(file != NULL);
	old = redirect(file);
	progress = progress_open("sweep", 10);
	ck_assert(progress != NULL);
	progress_add(progress, 1, "policy.window=3");
	progress_note(progress, "failed: %s, %d", "x", 3);
	progress_add(progress, 20, NULL); /* past the end does no harm */
	progress_close(progress);
	restore(old);
	rewind(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	ck_assert_str_eq(text, "failed: x, 3\n");
	fclose(file);
}
END_TEST

START_TEST(test_no_progress_is_silent)
{
	progress_add(NULL, 1, "x");
	progress_note(NULL, "x");
	progress_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = tcase_create("no terminal");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_without_a_terminal_only_notes_are_written);
	tcase_add_test(tcase, test_no_progress_is_silent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
