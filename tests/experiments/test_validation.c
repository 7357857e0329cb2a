/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_validation.c - the held-out trials that ship cover every axis, and enough of each */
#include "experiment.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS_LEAST = 60, POOLED_LEAST = 1000 };

static struct experiment opt, falcon;

static void load(void)
{
	struct err err = {0};

	ck_assert_msg(experiment_load(&opt, "validation-opt", NULL, 0, &err) == 0, "%s", err.msg);
	ck_assert_msg(experiment_load(&falcon, "validation-falcon", NULL, 0, &err) == 0, "%s",
		      err.msg);
}

static void unload(void)
{
	experiment_fini(&opt);
	experiment_fini(&falcon);
}

START_TEST(test_there_are_sixty_trials_a_device)
{
	ck_assert_uint_ge(opt.trial_count + falcon.trial_count, TRIALS_LEAST);
	ck_assert(opt.in_sim && opt.in_real && falcon.in_sim && falcon.in_real);
}
END_TEST

/* How many trials of both have this value in their row. */
static size_t trials_with(const char *column, const char *value)
{
	const struct result_column *found = result_column_find(column);
	const struct experiment *const both[] = {&opt, &falcon};
	char text[RESULT_TEXT];
	size_t count = 0;

	ck_assert_msg(found != NULL, "no column %s", column);
	for (size_t e = 0; e < 2; e++) {
		for (size_t i = 0; i < both[e]->trial_count; i++) {
			struct result_row row;

			trial_describe(&row, &both[e]->trials[i], "sim");
			result_text(text, sizeof(text), &row, found);
			count += strcmp(text, value) == 0;
		}
	}
	return count;
}

static const struct {
	const char *column, *value;
} covered[] = {
	{"policy", "naive"},	   {"policy", "hybrid"},      {"policy", "predictor"},
	{"policy", "window"},	   {"policy", "bundle"},      {"policy", "resident"},
	{"window_tokens", "1"},	   {"window_tokens", "2"},    {"window_tokens", "3"},
	{"window_tokens", "4"},	   {"window_tokens", "5"},    {"window_tokens", "6"},
	{"window_tokens", "7"},	   {"window_tokens", "8"},    {"chunk_bytes", "4096"},
	{"chunk_bytes", "8192"},   {"chunk_bytes", "16384"},  {"chunk_bytes", "32768"},
	{"chunk_bytes", "65536"},  {"chunk_bytes", "131072"}, {"chunk_bytes", "262144"},
	{"chunk_bytes", "18432"},  {"layout", "split"},	      {"layout", "bundle"},
	{"in_flight", "1"},	   {"in_flight", "4"},	      {"in_flight", "8"},
	{"in_flight", "16"},	   {"in_flight", "32"},	      {"store", "compact"},
	{"store", "realloc"},	   {"store", "fill-hole"},    {"overlap", "none"},
	{"overlap", "pipeline"},   {"coalesce", "none"},      {"coalesce", "gap"},
	{"model", "check-falcon"}, {"model", "check-opt"},
};

START_TEST(test_every_axis_has_trials)
{
	for (size_t i = 0; i < sizeof(covered) / sizeof(*covered); i++)
		ck_assert_msg(trials_with(covered[i].column, covered[i].value) > 0,
			      "no trial of %s %s", covered[i].column, covered[i].value);
}
END_TEST

/* Whatever --set tokens says, so that a slow device has some too. */
START_TEST(test_some_trials_pool_enough_tokens_for_a_p99_on_any_device)
{
	const char *const few[] = {"tokens=4"};
	const char *const names[] = {"validation-opt", "validation-falcon"};
	struct experiment experiment = {0};
	struct err err = {0};
	size_t pooled = 0;

	ck_assert_msg(experiment_load(&experiment, names[_i], few, 1, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < experiment.trial_count; i++) {
		const struct trial_run *run = &experiment.trials[i].run;

		ck_assert_uint_ge(run->repeats, 10); /* or none would be judged */
		pooled += run->tokens * run->repeats >= POOLED_LEAST;
	}
	ck_assert_uint_ge(pooled, 4);
	ck_assert_uint_lt(pooled, experiment.trial_count / 2); /* or it would take too long */
	experiment_fini(&experiment);
}
END_TEST

START_TEST(test_no_two_trials_have_one_name)
{
	const struct experiment *experiment = _i ? &falcon : &opt;

	for (size_t i = 0; i < experiment->trial_count; i++) {
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(experiment->trials[i].name, experiment->trials[j].name);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("validation");
	TCase *tcase = tcase_create("trials");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, load, unload);
	tcase_add_test(tcase, test_there_are_sixty_trials_a_device);
	tcase_add_test(tcase, test_every_axis_has_trials);
	tcase_add_loop_test(tcase, test_some_trials_pool_enough_tokens_for_a_p99_on_any_device, 0,
			    2);
	tcase_add_loop_test(tcase, test_no_two_trials_have_one_name, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
