/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_configs.c - parts are found by name and path, and start from each other */
#include "configs.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

/* ---- a folder of configs, made for each test case ---- */

static char folder[64];

static const struct {
	const char *path, *text;
} files[] = {
	{"device/fast.yaml", "name: fast\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 8\n"},
	{"device/slow.yaml", "base: fast\nflash:\n  lat: 900us\n"},
	{"device/slower.yaml",
	 "# comment\nbase: ./slow.yaml\n\nflash:\n  bw: 1MB/s\nname: slower\n"},
	{"device/inline.yaml", "base:\n  base: fast\n  threads: 1\nname: inline\n"},
	{"device/ring-a.yaml", "base: ring-b\n"},
	{"device/ring-b.yaml", "base: ../device/ring-a.yaml\n"},
	{"device/self.yaml", "name: self\nbase: self\n"},
	{"device/list.yaml", "\n- 1\n"},
	{"device/value.yaml", "fast\n"},
	{"device/empty.yaml", "# nothing differs\n"},
	{"device/broken.yaml", "flash: [1,\n"},
	{"device/on-broken.yaml", "name: x\nbase: broken\n"},
	{"device/on-nothing.yaml", "name: x\nbase: fats\n"},
	{"device/base-list.yaml", "base: [fast]\n"},
	{"device/base-empty.yaml", "base:\n"},
	{"device/.hidden.yaml", "name: hidden\n"},
	{"device/notes.txt", "not a config\n"},
	{"device/d0.yaml", "x: 0\n"},
	{"device/d1.yaml", "base: d0\n"},
	{"device/d2.yaml", "base: d1\n"},
	{"device/d3.yaml", "base: d2\n"},
	{"device/d4.yaml", "base: d3\n"},
	{"device/d5.yaml", "base: d4\n"},
	{"device/d6.yaml", "base: d5\n"},
	{"device/d7.yaml", "base: d6\n"},
	{"device/d8.yaml", "base: d7\ny: 8\n"},
	{"device/d9.yaml", "base: d8\n"},
	{"policy/all.yaml", "window: 5\n"},
	{"device/sub/deep.yaml", "base: fast\nname: deep\n"},
	{"device/sub/.no.yaml", "name: no\n"},
	{"exp/bare", "name: bare\n"},
	{"exp/sub/deep", "name: not looked at, the word comes first\n"},
	{"exp/sub/bare", "name: bare\n"},
	{"exp/e.yaml", "device: fast\nlocal: own.yaml\nup: ../device/slow.yaml\n"},
	{"exp/own.yaml", "base: ../device/fast.yaml\nname: own\n"},
};

static const char *const folders[] = {"device",	    "policy",	  "exp",    "device/dir.yaml",
				      "device/dir", "device/sub", "exp/sub"};

static const char *path_in(char *path, size_t size, const char *name)
{
	ck_assert_int_lt(snprintf(path, size, "%s/%s", folder, name), (int)size);
	return path;
}

static void folder_make(void)
{
	char path[160];

	strcpy(folder, "/tmp/flash_configs_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (int i = 0; i < COUNT(folders); i++)
		ck_assert_int_eq(mkdir(path_in(path, sizeof(path), folders[i]), 0700), 0);
	for (int i = 0; i < COUNT(files); i++) {
		FILE *out = fopen(path_in(path, sizeof(path), files[i].path), "w");

		ck_assert_ptr_nonnull(out);
		ck_assert_int_ge(fputs(files[i].text, out), 0);
		ck_assert_int_eq(fclose(out), 0);
	}
	ck_assert_int_eq(setenv("FLASHCAST_CONFIGS", folder, 1), 0);
}

static void folder_drop(void)
{
	char path[160];

	for (int i = 0; i < COUNT(files); i++)
		unlink(path_in(path, sizeof(path), files[i].path));
	for (int i = COUNT(folders) - 1; i >= 0; i--)
		rmdir(path_in(path, sizeof(path), folders[i]));
	ck_assert_msg(rmdir(folder) == 0, "something was left in %s", folder);
}

/* 'text' with each '@' standing for the folder. */
static const char *expand(char *out, size_t size, const char *text)
{
	size_t used = 0;

	out[0] = '\0';
	for (; *text && used < size; text++) {
		if (*text == '@')
			used += (size_t)snprintf(out + used, size - used, "%s", folder);
		else
			used += (size_t)snprintf(out + used, size - used, "%c", *text);
	}
	ck_assert_uint_lt(used, size);
	return out;
}

static void assert_text(const struct ynode *map, const char *says)
{
	struct err err = {0};
	char *text = NULL;

	ck_assert_int_eq(ynode_text(&text, map, &err), 0);
	ck_assert_str_eq(text, says);
	free(text);
}

/* ---- finding ---- */

static const struct {
	const char *name, *from_file, *found;
} found[] = {
	{"fast", NULL, "@/device/fast.yaml"},
	{"fast", "@/exp/e.yaml", "@/device/fast.yaml"},
	{"@/device/slow.yaml", NULL, "@/device/slow.yaml"},
	{"@/device/slow.yaml", "@/exp/e.yaml", "@/device/slow.yaml"},
	{"own.yaml", "@/exp/e.yaml", "@/exp/own.yaml"},
	{"./own.yaml", "@/exp/e.yaml", "@/exp/./own.yaml"},
	{"../device/fast.yaml", "@/exp/e.yaml", "@/exp/../device/fast.yaml"},
	{"/dev/null", "@/exp/e.yaml", "/dev/null"},
	{"sub/deep", "@/exp/e.yaml", "@/device/sub/deep.yaml"},
	{"./sub/deep", "@/exp/e.yaml", "@/exp/./sub/deep"},
	{"sub/bare", "@/exp/e.yaml", "@/exp/sub/bare"},
	{"./bare", "@/exp/e.yaml", "@/exp/./bare"},
};

START_TEST(test_a_part_is_found_by_word_or_path)
{
	char path[256], name[256], from[256], says[256];
	struct err err = {0};
	const char *from_file =
		found[_i].from_file ? expand(from, sizeof(from), found[_i].from_file) : NULL;

	expand(name, sizeof(name), found[_i].name);
	ck_assert_msg(config_find(path, sizeof(path), CONFIG_DEVICE, name, from_file, &err) == 0,
		      "%s", err.msg);
	ck_assert_str_eq(path, expand(says, sizeof(says), found[_i].found));
}
END_TEST

START_TEST(test_a_relative_path_without_a_file_is_of_the_current_folder)
{
	struct err err = {0};
	char path[256];

	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(config_find(path, sizeof(path), CONFIG_DEVICE, "exp/own.yaml", NULL, &err),
			 0);
	ck_assert_str_eq(path, "exp/own.yaml");
	ck_assert_int_eq(
		config_find(path, sizeof(path), CONFIG_DEVICE, "exp/own.yaml", "--set", &err), 0);
	ck_assert_str_eq(path, "exp/own.yaml");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* Each message from its start; '...' stands for names that the source tree adds. */
static const struct {
	const char *name, *from_file, *says;
} lost[] = {
	{"fats", NULL,
	 "no device 'fats' (did you mean fast?); there are base-empty, base-list, broken,"},
	{"completely-else", NULL, "no device 'completely-else'; there are base-empty, base-list,"},
	{".hidden", NULL, "no device file '.hidden'"},
	{"dir", NULL, "no device 'dir'; there are "},
	{"", NULL, "an empty name, wanted a device"},
	{"@/device/none.yaml", NULL, "no device file '@/device/none.yaml'"},
	{"none.yaml", "@/exp/e.yaml", "no device file '@/exp/none.yaml'"},
	{"device/fast", "@/e.yaml", "no device 'device/fast'; there are "},
	{"sub/depe", NULL, "no device 'sub/depe' (did you mean sub/deep?); there are "},
	{"./sub/deep.yaml", "@/exp/e.yaml", "no device file '@/exp/./sub/deep.yaml'"},
	{"@/device/dir.yaml", NULL, "no device file '@/device/dir.yaml'"},
	{"@/device", NULL, "no device file '@/device'"},
};

START_TEST(test_what_is_nowhere_is_refused_with_what_there_is)
{
	char path[256], name[256], from[256], says[256];
	struct err err = {0};
	const char *from_file =
		lost[_i].from_file ? expand(from, sizeof(from), lost[_i].from_file) : NULL;

	expand(name, sizeof(name), lost[_i].name);
	expand(says, sizeof(says), lost[_i].says);
	ck_assert_int_eq(config_find(path, sizeof(path), CONFIG_DEVICE, name, from_file, &err),
			 EINVAL);
	ck_assert_msg(strncmp(err.msg, says, strlen(says)) == 0, "%s", err.msg);
	ck_assert_ptr_null(strstr(err.msg, "hidden,"));
	ck_assert_ptr_null(strstr(err.msg, "notes"));
	ck_assert_ptr_null(strstr(err.msg, ", dir,"));
	ck_assert_ptr_null(strstr(err.msg, "/.no"));
}
END_TEST

START_TEST(test_a_path_that_does_not_fit_is_refused)
{
	struct err err = {0};
	char path[24], name[300];

	memset(name, 'x', sizeof(name));
	strcpy(name + sizeof(name) - 6, ".yaml");
	ck_assert_int_eq(config_find(path, sizeof(path), CONFIG_DEVICE, name, NULL, &err), EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "the path is too long"));
	/* A word that does not fit is nowhere, and no half of it is taken. */
	err = (struct err){0};
	ck_assert_int_eq(config_find(path, 8, CONFIG_DEVICE, "fast", NULL, &err), EINVAL);
}
END_TEST

START_TEST(test_words_are_looked_up_in_the_source_tree_last)
{
	struct err err = {0};
	char path[PATH_MAX];

	ck_assert_msg(config_find(path, sizeof(path), CONFIG_MODEL, "opt-6.7b", NULL, &err) == 0,
		      "%s", err.msg);
	ck_assert_ptr_null(strstr(path, folder));
	ck_assert_int_eq(unsetenv("FLASHCAST_CONFIGS"), 0);
	ck_assert_int_eq(config_find(path, sizeof(path), CONFIG_DEVICE, "fast", NULL, &err),
			 EINVAL);
	err = (struct err){0};
	ck_assert_int_eq(setenv("FLASHCAST_CONFIGS", "", 1), 0);
	ck_assert_int_eq(config_find(path, sizeof(path), CONFIG_MODEL, "opt-6.7b", NULL, &err), 0);
	ck_assert_int_eq(setenv("FLASHCAST_CONFIGS", folder, 1), 0);
}
END_TEST

START_TEST(test_kinds_are_named_as_their_folders)
{
	ck_assert_str_eq(config_kind_name(CONFIG_DEVICE), "device");
	ck_assert_str_eq(config_kind_name(CONFIG_MODEL), "model");
	ck_assert_str_eq(config_kind_name(CONFIG_POLICY), "policy");
	ck_assert_str_eq(config_kind_name(CONFIG_EXPERIMENT), "experiment");
}
END_TEST

/* ---- resolving ---- */

/* What stands after "part:" in @/exp/x.yaml, and what it becomes. */
static const struct {
	const char *why, *named, *says;
} resolved[] = {
	{"a word", "fast", "name: fast\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 8\n"},
	{"a quoted word", "\"fast\"", "name: fast\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 8\n"},
	{"a base", "slow", "name: fast\nflash:\n  lat: 900us\n  bw: 6GB/s\nthreads: 8\n"},
	{"two bases, one by path", "slower",
	 "name: slower\nflash:\n  lat: 900us\n  bw: 1MB/s\nthreads: 8\n"},
	{"a base in place with a base", "inline",
	 "name: inline\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 1\n"},
	{"a word in a subfolder", "sub/deep",
	 "name: deep\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 8\n"},
	{"a path beside the file", "own.yaml",
	 "name: own\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 8\n"},
	{"a path above it", "../device/slow.yaml",
	 "name: fast\nflash:\n  lat: 900us\n  bw: 6GB/s\nthreads: 8\n"},
	{"a mapping", "{a: 1, b: {c: 2}}", "a: 1\nb:\n  c: 2\n"},
	{"an empty mapping", "{}", "{}\n"},
	{"a mapping with a base", "{base: fast, flash: {bw: 1}, extra: [1]}",
	 "name: fast\nflash:\n  lat: 10us\n  bw: 1\nthreads: 8\nextra:\n  - 1\n"},
	{"a mapping with a base by path", "{base: own.yaml, threads: 2}",
	 "name: own\nflash:\n  lat: 10us\n  bw: 6GB/s\nthreads: 2\n"},
	{"a file that says nothing", "empty", "{}\n"},
	{"eight bases", "d8", "x: 0\ny: 8\n"},
};

static struct ynode *document(const char *named)
{
	struct ynode *root = NULL;
	struct err err = {0};
	char text[256], file[128];

	snprintf(text, sizeof(text), "part: %s\n", named);
	ck_assert_msg(yaml_parse(&root, text, path_in(file, sizeof(file), "exp/x.yaml"), &err) == 0,
		      "%s", err.msg);
	return root;
}

START_TEST(test_a_part_is_what_it_says_on_top_of_its_base)
{
	struct ynode *root = document(resolved[_i].named), *part = NULL;
	struct err err = {0};

	ck_assert_msg(config_resolve(&part, CONFIG_DEVICE, ynode_get(root, "part"), &err) == 0,
		      "%s: %s", resolved[_i].why, err.msg);
	ynode_free(root);
	assert_text(part, resolved[_i].says);
	ynode_free(part);
}
END_TEST

START_TEST(test_resolving_leaves_the_document_alone)
{
	const char *named = "{base: fast, threads: 2}";
	struct ynode *root = document(named), *part = NULL;
	struct err err = {0};

	ck_assert_int_eq(config_resolve(&part, CONFIG_DEVICE, ynode_get(root, "part"), &err), 0);
	ynode_free(part);
	assert_text(root, "part:\n  base: fast\n  threads: 2\n");
	ynode_free(root);
}
END_TEST

START_TEST(test_each_value_keeps_the_file_that_says_it)
{
	struct ynode *part = NULL;
	struct err err = {0};
	char fast[128], slow[128], slower[160];

	path_in(fast, sizeof(fast), "device/fast.yaml");
	snprintf(slower, sizeof(slower), "%s/device/slower.yaml", folder);
	snprintf(slow, sizeof(slow), "%s/device/./slow.yaml", folder);
	ck_assert_int_eq(config_load(&part, CONFIG_DEVICE, "slower", &err), 0);
	ck_assert_str_eq(part->file, slower);
	ck_assert_str_eq(ynode_at(part, "threads")->file, fast);
	ck_assert_int_eq(ynode_at(part, "threads")->line, 5);
	ck_assert_str_eq(ynode_at(part, "flash.lat")->file, slow);
	ck_assert_str_eq(ynode_at(part, "flash.bw")->file, slower);
	ck_assert_str_eq(ynode_at(part, "flash")->file, slower);
	ynode_free(part);
}
END_TEST

static const struct {
	const char *why, *named, *says;
} refused[] = {
	{"nowhere", "fats", "@/exp/x.yaml:1:7: no device 'fats' (did you mean fast?); there are "},
	{"no such file", "none.yaml", "@/exp/x.yaml:1:7: no device file '@/exp/none.yaml'"},
	{"nothing named", "", "@/exp/x.yaml:1:6: an empty name, wanted a device"},
	{"a list", "[fast]",
	 "@/exp/x.yaml:1:7: wanted a device (a name, a path or a mapping), got a list"},
	{"a file that is a list", "list",
	 "@/device/list.yaml:2:1: wanted a device's mapping, got a list"},
	{"a file that is a value", "value",
	 "@/device/value.yaml:1:1: wanted a device's mapping, got a value"},
	{"a file that is no YAML", "broken",
	 "@/device/broken.yaml:2:1: did not find expected node content"},
	{"a base that is no YAML", "on-broken",
	 "@/device/broken.yaml:2:1: did not find expected node content"},
	{"a base that is nowhere", "on-nothing",
	 "@/device/on-nothing.yaml:2:7: no device 'fats' (did you mean fast?); there are "},
	{"a base that is a list", "base-list",
	 "@/device/base-list.yaml:1:7: wanted a device (a name, a path or a mapping), got a list"},
	{"a base that says nothing", "base-empty",
	 "@/device/base-empty.yaml:1:6: an empty name, wanted a device"},
	{"itself as base", "self",
	 "@/device/self.yaml:2:7: base: @/device/self.yaml starts from itself"},
	{"a circle of two, by other paths", "ring-a",
	 "@/device/ring-b.yaml:1:7: base: @/device/ring-a.yaml starts from itself"},
	{"a circle from a mapping", "{base: ring-b}",
	 "@/device/../device/ring-a.yaml:1:7: base: @/device/ring-b.yaml starts from itself"},
	{"nine bases", "d9", "@/device/d1.yaml:1:7: base: more than 8 parts start from each other"},
	{"nine bases under a mapping", "{base: d8}",
	 "@/device/d1.yaml:1:7: base: more than 8 parts start from each other"},
};

START_TEST(test_a_part_that_cannot_be_had_is_refused_at_its_place)
{
	struct ynode *root = document(refused[_i].named), *part = NULL;
	struct err err = {0};
	char says[512];

	expand(says, sizeof(says), refused[_i].says);
	ck_assert_msg(config_resolve(&part, CONFIG_DEVICE, ynode_get(root, "part"), &err) == EINVAL,
		      "%s", refused[_i].why);
	ck_assert_msg(strncmp(err.msg, says, strlen(says)) == 0, "%s: %s", refused[_i].why,
		      err.msg);
	ck_assert_ptr_null(part);
	ynode_free(root);
}
END_TEST

START_TEST(test_a_name_of_the_command_line_has_no_place)
{
	struct ynode *part = NULL;
	struct err err = {0};
	const char *says = "no policy 'al' (did you mean all?); there are all";

	ck_assert_int_eq(config_load(&part, CONFIG_POLICY, "all", &err), 0);
	assert_text(part, "window: 5\n");
	ynode_free(part);
	ck_assert_int_eq(config_load(&part, CONFIG_POLICY, "al", &err), EINVAL);
	ck_assert_msg(strncmp(err.msg, says, strlen(says)) == 0, "%s", err.msg);
}
END_TEST

static TCase *tcase_finding(void)
{
	TCase *tcase = tcase_create("finding");

	tcase_add_unchecked_fixture(tcase, folder_make, folder_drop);
	tcase_add_loop_test(tcase, test_a_part_is_found_by_word_or_path, 0, COUNT(found));
	tcase_add_test(tcase, test_a_relative_path_without_a_file_is_of_the_current_folder);
	tcase_add_loop_test(tcase, test_what_is_nowhere_is_refused_with_what_there_is, 0,
			    COUNT(lost));
	tcase_add_test(tcase, test_a_path_that_does_not_fit_is_refused);
	tcase_add_test(tcase, test_words_are_looked_up_in_the_source_tree_last);
	tcase_add_test(tcase, test_kinds_are_named_as_their_folders);
	return tcase;
}

static TCase *tcase_resolving(void)
{
	TCase *tcase = tcase_create("resolving");

	tcase_add_unchecked_fixture(tcase, folder_make, folder_drop);
	tcase_add_loop_test(tcase, test_a_part_is_what_it_says_on_top_of_its_base, 0,
			    COUNT(resolved));
	tcase_add_test(tcase, test_resolving_leaves_the_document_alone);
	tcase_add_test(tcase, test_each_value_keeps_the_file_that_says_it);
	tcase_add_loop_test(tcase, test_a_part_that_cannot_be_had_is_refused_at_its_place, 0,
			    COUNT(refused));
	tcase_add_test(tcase, test_a_name_of_the_command_line_has_no_place);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("configs");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tcase_finding());
	suite_add_tcase(suite, tcase_resolving());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
