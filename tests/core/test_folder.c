/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_folder.c - folders made on the way, and new files that are whole or not there */
#include "folder.h"
#include "newfile.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], home[PATH_MAX];

static void start(void)
{
	snprintf(dir, sizeof(dir), "/tmp/flash-folder-XXXXXX");
	ck_assert(getcwd(home, sizeof(home)) != NULL);
	ck_assert(mkdtemp(dir) != NULL);
	ck_assert_int_eq(chdir(dir), 0);
}

static void stop(void)
{
	char command[128];

	ck_assert_int_eq(chdir(home), 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *const paths[] = {"a", "a/b/c", "a/b/c/", "./a//b", "../%s/a/b", "/tmp/%s/a/b"};

START_TEST(test_a_folder_is_made_with_those_on_the_way)
{
	struct err err = {0};
	char path[PATH_MAX];
	const char *name = strrchr(dir, '/') + 1;

	/* The format is one of the table above. */
	if (strstr(paths[_i], "%s"))
		snprintf(path, sizeof(path), "%.*s%s%s", (int)strcspn(paths[_i], "%"), paths[_i],
			 name, strstr(paths[_i], "%s") + 2);
	else
		snprintf(path, sizeof(path), "%s", paths[_i]);
	ck_assert_msg(folder_make(path, &err) == 0, "%s", err.msg);
	ck_assert(is_folder(path));
	ck_assert_msg(folder_make(path, &err) == 0, "again: %s", err.msg);
}
END_TEST

START_TEST(test_folders_that_stand_are_enough)
{
	static const char *const there[] = {"/", "", ".", "..", "/tmp", "/proc/self"};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		ck_assert_msg(folder_make(there[i], &err) == 0, "%s", err.msg);
}
END_TEST

START_TEST(test_what_stands_in_the_way_is_named)
{
	struct newfile file;
	struct err err = {0};

	ck_assert_int_eq(newfile_open(&file, "plain", &err), 0);
	ck_assert_int_eq(newfile_commit(&file, &err), 0);
	ck_assert_int_eq(folder_make("plain/below", &err), ENOTDIR);
	ck_assert_str_eq(err.msg,
			 "plain/below: cannot make the folder plain on the way: Not a directory");
	err = (struct err){0};
	ck_assert_int_eq(folder_make("/proc/below/it", &err), ENOENT);
	ck_assert_msg(strncmp(err.msg, "/proc/below/it: ", 16) == 0, "said %s", err.msg);
}
END_TEST

START_TEST(test_a_new_file_brings_its_folders)
{
	struct newfile file;
	struct err err = {0};

	ck_assert_msg(newfile_open(&file, "x/y/z.yaml", &err) == 0, "%s", err.msg);
	ck_assert(is_folder("x/y"));
	ck_assert_int_ne(access("x/y/z.yaml", F_OK), 0); /* not before it is whole */
	fputs("a: 1\n", file.stream);
	ck_assert_msg(newfile_commit(&file, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(access("x/y/z.yaml", F_OK), 0);
}
END_TEST

START_TEST(test_a_link_is_followed_and_a_device_refused)
{
	struct newfile file;
	struct err err = {0};
	struct stat st;

	ck_assert_int_eq(newfile_open(&file, "target", &err), 0);
	ck_assert_int_eq(newfile_commit(&file, &err), 0);
	ck_assert_int_eq(symlink("target", "link"), 0);
	ck_assert_int_eq(newfile_open(&file, "link", &err), 0);
	fputs("new", file.stream);
	ck_assert_int_eq(newfile_commit(&file, &err), 0);
	ck_assert_int_eq(lstat("link", &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(stat("target", &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_eq(newfile_open(&file, "/dev/null", &err), EINVAL);
	ck_assert_str_eq(err.msg, "/dev/null: is no plain file, expected one or a new name");
}
END_TEST

START_TEST(test_a_file_that_does_not_fit_leaves_the_old_one)
{
	const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
	struct newfile file;
	struct err err = {0};
	struct stat st;

	ck_assert_int_eq(newfile_open(&file, "f", &err), 0);
	fputs("old", file.stream);
	ck_assert_int_eq(newfile_commit(&file, &err), 0);
	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0); /* Check forks: of this test only */
	ck_assert_int_eq(newfile_open(&file, "f", &err), 0);
	for (int i = 0; i < 100000; i++)
		fputs("new", file.stream);
	ck_assert_int_eq(newfile_commit(&file, &err), EFBIG);
	ck_assert_msg(strncmp(err.msg, "f: cannot write: ", 17) == 0, "said %s", err.msg);
	ck_assert_int_eq(stat("f", &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_ne(system("ls f.tmp* 2>/dev/null"), 0); /* and no temporary */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("folder");
	TCase *tcase = tcase_create("folder");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, test_a_folder_is_made_with_those_on_the_way, 0,
			    (int)(sizeof(paths) / sizeof(paths[0])));
	tcase_add_test(tcase, test_folders_that_stand_are_enough);
	tcase_add_test(tcase, test_what_stands_in_the_way_is_named);
	tcase_add_test(tcase, test_a_new_file_brings_its_folders);
	tcase_add_test(tcase, test_a_link_is_followed_and_a_device_refused);
	tcase_add_test(tcase, test_a_file_that_does_not_fit_leaves_the_old_one);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
