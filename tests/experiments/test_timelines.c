/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_timelines.c - a token of a trial is followed in both worlds and written side by side */
#include "runner.h"
#include "scratch_real.h"

#include <errno.h>
#include <jansson.h>

enum { TRIALS = 3 };

static struct experiment experiment;

static void start(void)
{
	scratch_open();
	scratch_real();
	scratch_experiment(&experiment, TINY
			   "target: quick.yaml\nworlds: [sim, real]\nrepeats: 2\nthreads: "
			   "1\nmodel_files: weights\n"
			   "sweep: {product: {policy: [naive, bundle, {base: all, name: pipelined, "
			   "overlap: pipeline}]}}\n");
}

static void stop(void)
{
	experiment_fini(&experiment);
	scratch_close();
}

/* Bytes that reads carry, and spans, of each process. */
static void timeline_sums(const json_t *root, double bytes[2], double spans[2])
{
	const json_t *events = json_object_get(root, "traceEvents");

	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *event = json_array_get(events, i);
		size_t process = (size_t)json_integer_value(json_object_get(event, "pid")) - 1;
		const char *kind = json_string_value(json_object_get(event, "cat"));
		const json_t *args = json_object_get(event, "args");

		if (!kind)
			continue;
		ck_assert_uint_lt(process, 2);
		spans[process]++;
		if (strcmp(kind, "flash reads") == 0)
			bytes[process] += json_number_value(json_object_get(args, "bytes"));
	}
}

static const char *const names[] = {"policy=naive", "2", "policy=pipelined"};

/* One token of one trial, side by side: the same bytes read, spans in both processes, and a row that was
 * kept is run again for it. */
START_TEST(test_a_timeline_shows_one_token_in_both_worlds)
{
	const struct runner_options first = {.dir = "out", .sim = true, .real = true};
	const struct runner_options options = {.dir = "out",
					       .sim = true,
					       .real = true,
					       .resume = true,
					       .jobs = 2,
					       .timeline = names[_i]};
	struct runner_totals totals;
	struct err err = {0};
	json_t *root;
	double bytes[2] = {0}, spans[2] = {0};

	ck_assert_msg(runner_run(&totals, &experiment, &first, &err) == 0, "%s", err.msg);
	ck_assert_int_ne(access("out/timeline.json", F_OK), 0);
	ck_assert_msg(runner_run(&totals, &experiment, &options, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(totals.done, 2);
	ck_assert_uint_eq(totals.kept, 2 * TRIALS - 2);
	root = json_load_file("out/timeline.json", JSON_REJECT_DUPLICATES, NULL);
	ck_assert(root != NULL);
	timeline_sums(root, bytes, spans);
	ck_assert_double_gt(spans[0], 3);
	ck_assert_double_gt(spans[1], 3);
	ck_assert_double_eq(bytes[0], bytes[1]);
	json_decref(root);
}
END_TEST

START_TEST(test_a_timeline_of_no_trial_is_refused_before_anything_runs)
{
	const struct runner_options options = {.dir = "out", .sim = true, .timeline = "none such"};
	struct runner_totals totals;
	struct err err = {0};

	ck_assert_int_eq(runner_run(&totals, &experiment, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "'none such' is no trial") != NULL, "%s", err.msg);
	ck_assert_int_ne(access("out/results.sqlite", F_OK), 0);
}
END_TEST

/* A process each, times of one token, of which the middle one was asked for. */
START_TEST(test_the_token_is_the_middle_one)
{
	const struct runner_options options = {
		.dir = "out", .sim = true, .timeline = experiment.trials[1].hash};
	const struct trial_run *run = &experiment.trials[1].run;
	struct runner_totals totals;
	struct err err = {0};
	json_t *root, *about;

	ck_assert_msg(runner_run(&totals, &experiment, &options, &err) == 0, "%s", err.msg);
	root = json_load_file("out/timeline.json", JSON_REJECT_DUPLICATES, NULL);
	about = json_object_get(json_object_get(root, "otherData"), "predicted");
	ck_assert_int_eq(json_integer_value(json_object_get(about, "token")),
			 (json_int_t)(run->warmup + run->tokens / 2));
	about = json_object_get(json_object_get(root, "otherData"), "measured");
	ck_assert_int_eq(json_integer_value(json_object_get(about, "spans")), 0);
	json_decref(root);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timelines");
	TCase *tcase = tcase_create("emulated");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, test_a_timeline_shows_one_token_in_both_worlds, 0, TRIALS);
	tcase_add_test(tcase, test_a_timeline_of_no_trial_is_refused_before_anything_runs);
	tcase_add_test(tcase, test_the_token_is_the_middle_one);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
