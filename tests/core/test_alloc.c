/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_alloc.c - every allocation of core's own fails once: an error comes back, and nothing leaks
 *
 * Linked with --wrap, so that flash_core's calls come here first; libraries keep their own
 * (SQLite's are failed in test_results.c).  Leaks and double frees are the address sanitizer's to
 * find (dev preset). */
#include "alloc_fails.h"
#include "configs.h"
#include "digest.h"
#include "model.h"
#include "results.h"
#include "trace.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/flash-alloc-XXXXXX";
static char dir[64], other[64], trace_path[128];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(dir, sizeof(dir), "%s/a", folder);
	snprintf(other, sizeof(other), "%s/b", folder);
	snprintf(trace_path, sizeof(trace_path), "%s/x.trace", folder);
}

static void remove_store(const char *where)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/results.sqlite", where);
	unlink(name);
	snprintf(name, sizeof(name), "%s/results.csv", where);
	unlink(name);
	rmdir(where);
}

static void remove_folder(void)
{
	unlink(trace_path);
	remove_store(dir);
	remove_store(other);
	ck_assert_msg(rmdir(folder) == 0, "something was left in %s", folder);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

/* What is used below asserts nothing itself: Check allocates, too. */
static int use_digest(struct err *err)
{
	struct digest *digest = digest_open();

	if (!digest)
		return err_nomem(err, "a digest", 0);
	digest_close(digest);
	return 0;
}

static int use_trace(struct err *err)
{
	struct trace made = {.model = "m", .layer_count = 2, .neuron_count = 70, .token_count = 3};
	struct trace loaded = {.planes = NULL};

	made.margin_count = 1;
	if (trace_init(&made, err) == 0 && trace_save(&made, trace_path, err) == 0 &&
	    trace_load(&loaded, trace_path, err) == 0 && loaded.words != 2)
		err_set(err, EIO, "another trace came back");
	trace_fini(&made);
	trace_fini(&loaded);
	return err->code;
}

static int use_model(struct err *err)
{
	struct ynode *map = NULL;
	struct model model;
	char *text = NULL;

	if (config_load(&map, CONFIG_MODEL, "falcon-7b", err) == 0 &&
	    model_read(&model, map, err) == 0 &&
	    param_write_into(map, &model_table, &model, err) == 0)
		err->code = ynode_text(&text, map, err);
	free(text);
	ynode_free(map);
	return err->code;
}

/* Trees read with anchors, cloned, put, merged, set and written. */
static int use_tree(struct err *err)
{
	static const char *const text = "a: &x {b: [1, 2], c: {d: 3}}\ne: [*x, *x]\nf: \"g\"\n";
	struct ynode *tree = NULL, *over = NULL, *copy = NULL, *item = NULL;
	char *out = NULL;

	if (yaml_parse(&tree, text, "t", err) ||
	    yaml_parse(&over, "a: {b: 4, h: 5}\ni: []", "o", err))
		goto out;
	copy = ynode_clone(tree);
	item = copy ? ynode_new_scalar("t", "6", 0) : NULL;
	if (!item) {
		err_nomem(err, "a tree", 0);
		goto out;
	}
	if (ynode_put(copy, "a.j.k", item, err) || ynode_merge(copy, over, err) ||
	    ynode_set_arg(copy, "a.l=[7, {m: 8}]", err))
		goto out;
	err->code = ynode_text(&out, copy, err);
	if (err->code == 0 && !strstr(out, "m: 8"))
		err_set(err, EIO, "another text came out: %s", out);
out:
	free(out);
	ynode_free(copy);
	ynode_free(over);
	ynode_free(tree);
	return err->code;
}

/* A base under a mapping, and two refusals that gather names for their hints. */
static int use_config(struct err *err)
{
	struct ynode *map = NULL, *part = NULL, *lost = NULL;
	struct err refused = {0}, unknown = {0};
	struct model model;

	if (yaml_parse(&map, "{base: falcon-7b, layer_count: 2, about: x}", "t", err) ||
	    config_resolve(&part, CONFIG_MODEL, map, err))
		goto out;
	if (config_load(&lost, CONFIG_MODEL, "falcon-7", &refused) == ENOMEM)
		*err = refused;
	else if (!strstr(refused.msg, "did you mean falcon-7b?"))
		err_set(err, EIO, "no hint: %s", refused.msg);
	else if (model_read(&model, part, &unknown) == ENOMEM)
		*err = unknown;
	else if (!strstr(unknown.msg, "unknown key about"))
		err_set(err, EIO, "no refusal: %s", unknown.msg);
out:
	ynode_free(map);
	ynode_free(part);
	return err->code;
}

/* More rows and tokens than the first room for them. */
static int fill_store(struct results *results, struct err *err)
{
	static const struct result_token tokens[2] = {{.layer = -1}, {.layer = 0}};
	struct result_row row;

	for (int i = 0; i < 20; i++) {
		result_row_init(&row);
		snprintf(row.trial_hash, sizeof(row.trial_hash), "%d", i);
		strcpy(row.world, "sim");
		if (results_put(results, &row, tokens, 2, err))
			return err->code;
	}
	return 0;
}

static int read_store(struct results *results, struct err *err)
{
	struct result_row *rows = NULL;
	struct result_token *tokens = NULL;
	size_t count;

	if (results_all(results, &rows, &count, err))
		return err->code;
	free(rows);
	if (count != 20)
		return err_set(err, EIO, "%zu rows came back", count);
	if (results_tokens(results, "0", "sim", &tokens, &count, err))
		return err->code;
	free(tokens);
	if (count != 2)
		return err_set(err, EIO, "%zu tokens came back", count);
	return 0;
}

static int use_results(struct err *err)
{
	struct results *results = NULL, *from = NULL;

	remove_store(dir); /* else what the last round merged is not merged again */
	remove_store(other);
	if (results_open(&results, dir, err) == 0 && results_open(&from, other, err) == 0 &&
	    fill_store(from, err) == 0 && results_merge(results, other, err) == 0 &&
	    read_store(results, err) == 0)
		err->code = results_export_csv(results, dir, err);
	results_close(results);
	results_close(from);
	return err->code;
}

static const struct {
	int (*use)(struct err *err);
	long at_least; /* allocations: a test that fails none would show nothing */
} uses[] = {
	{use_digest, 1}, {use_trace, 4},   {use_model, 40},
	{use_tree, 60},	 {use_config, 40}, {use_results, 60},
};

START_TEST(test_a_failed_allocation_is_an_error_and_no_leak)
{
	struct err err;
	long n = 0;

	for (;;) {
		memset(&err, 0, sizeof(err));
		until_failure = ++n;
		uses[_i].use(&err);
		if (until_failure > 0)
			break; /* there is no n-th allocation: all of it ran */
		ck_assert_msg(err.code == ENOMEM, "allocation %ld: %s", n,
			      err.code ? err.msg : "taken for success");
		ck_assert_msg(err.msg[0], "allocation %ld: no message", n);
	}
	until_failure = 0;
	ck_assert_msg(err.code == 0, "with all memory: %s", err.msg);
	ck_assert_int_ge(n - 1, uses[_i].at_least);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alloc");
	TCase *tcase = tcase_create("alloc");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_loop_test(tcase, test_a_failed_allocation_is_an_error_and_no_leak, 0,
			    (int)(sizeof(uses) / sizeof(uses[0])));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
