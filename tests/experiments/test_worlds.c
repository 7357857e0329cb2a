/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_worlds.c - one experiment in both worlds: equal decisions, reads and bytes; repeats that
 * interleave
 *
 * The real world runs on an emulated device, which every host has; times are looked at for their
 * sums only. */
#include "compare.h"
#include "runner.h"
#include "scratch_real.h"

enum { REPEATS = 4, TRIALS = 6 };

#define BOTH                                                                                       \
	TINY "target: quick.yaml\nworlds: [sim, real]\nrepeats: 4\nvisits: 2\nthreads: "           \
	     "1\nmodel_files: "                                                                    \
	     "weights\n"                                                                           \
	     "sweep: {product: {policy: [naive, hybrid, predictor, window, bundle, {base: all, "   \
	     "name: capped, cap_frac: 30%, chunk: 4KiB}]}}\n"

static struct experiment experiment;

static void start(void)
{
	scratch_open();
	scratch_real();
	scratch_experiment(&experiment, BOTH);
}

static void stop(void)
{
	experiment_fini(&experiment);
	scratch_close();
}

static struct result_row *rows_of(size_t *count)
{
	struct results *results;
	struct result_row *rows;
	struct err err = {0};

	ck_assert_msg(results_open(&results, "out", &err) == 0, "%s", err.msg);
	ck_assert_msg(results_all(results, &rows, count, &err) == 0, "%s", err.msg);
	results_close(results);
	return rows;
}

static struct runner_totals run_both(bool resume)
{
	const struct runner_options options = {
		.dir = "out", .sim = true, .real = true, .resume = resume, .jobs = 2};
	struct runner_totals totals;
	struct err err = {0};

	ck_assert_msg(runner_run(&totals, &experiment, &options, &err) == 0, "%s", err.msg);
	return totals;
}

START_TEST(test_decisions_reads_and_bytes_are_equal_in_both_worlds)
{
	struct comparison *pairs;
	struct result_row *rows;
	struct err err = {0};
	size_t row_count, count;

	ck_assert_uint_eq(run_both(false).done, 2 * TRIALS);
	rows = rows_of(&row_count);
	ck_assert_uint_eq(row_count, 2 * TRIALS);
	ck_assert_int_eq(compare_rows(&pairs, &count, rows, row_count, &err), 0);
	ck_assert_uint_eq(count, TRIALS);
	for (size_t i = 0; i < count; i++) {
		const struct result_row *sim = pairs[i].sim, *real = pairs[i].real;

		ck_assert_msg(pairs[i].same_decisions, "%s: %s", sim->trial, sim->policy);
		ck_assert_double_eq(sim->demand_neurons_per_token, real->demand_neurons_per_token);
		ck_assert_double_eq(sim->resident_frac, real->resident_frac);
		ck_assert_double_eq(sim->dropped_bytes_per_token, real->dropped_bytes_per_token);
		ck_assert_uint_eq(sim->dram_weights_bytes, real->dram_weights_bytes);
		ck_assert_str_eq(sim->target, "");
		ck_assert_str_eq(real->target, "quick");
		ck_assert_str_eq(real->read_engine, "emulated");
		ck_assert_uint_eq(real->threads, 1);
		ck_assert_uint_eq(real->repeats, REPEATS);
		/* No disk is read, and no repeat can have lost a twentieth of its time. */
		if (real->steal_frac <= 0.05 / REPEATS)
			ck_assert_uint_eq(real->polluted, 0);
		ck_assert(real->total_ns_per_token > 0 && real->noise_floor_frac >= 0);
		ck_assert(real->spread_frac >= 0 && real->steal_frac >= 0);
		ck_assert(!pairs[i].judged); /* four repeats are too few */
	}
	free(pairs);
	free(rows);
}
END_TEST

/* All of a file, NUL-ended; the caller frees it. */
static char *text_of(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_gt(getdelim(&text, &room, '\0', in), 0);
	fclose(in);
	return text;
}

static char *decisions_of(const struct trial *trial, const char *world)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "out/decisions/%s.%s.log", trial->hash, world);
	return text_of(path);
}

START_TEST(test_the_logs_of_decisions_are_the_same_text)
{
	const struct runner_options options = {
		.dir = "out", .sim = true, .real = true, .decisions = true, .jobs = 2};
	struct runner_totals totals;
	struct result_row *rows;
	struct err err = {0};
	size_t count;

	ck_assert_msg(runner_run(&totals, &experiment, &options, &err) == 0, "%s", err.msg);
	for (size_t i = 0; i < TRIALS; i++) {
		char *sim = decisions_of(&experiment.trials[i], "sim");
		char *real = decisions_of(&experiment.trials[i], "real");

		ck_assert_str_eq(sim, real);
		ck_assert_msg(strncmp(sim, "t0 l0 ", 6) == 0, "starts with %.40s", sim);
		ck_assert(strstr(sim, "\nt15 l1 ffn ") != NULL);
		free(sim);
		free(real);
	}
	rows = rows_of(&count);
	ck_assert_uint_eq(count, 2 * TRIALS);
	for (size_t i = 0; i < count; i++) /* the run that is logged is not measured */
		ck_assert_uint_eq(rows[i].repeats,
				  strcmp(rows[i].world, "real") == 0 ? REPEATS : 1);
	free(rows);
}
END_TEST

START_TEST(test_every_repeat_has_its_tokens)
{
	struct results *results;
	struct result_token *tokens;
	struct result_row *rows;
	struct err err = {0};
	size_t row_count, count;

	run_both(false);
	rows = rows_of(&row_count);
	ck_assert_int_eq(results_open(&results, "out", &err), 0);
	for (size_t i = 0; i < row_count; i++) {
		bool is_real = strcmp(rows[i].world, "real") == 0;

		ck_assert_int_eq(results_tokens(results, rows[i].trial_hash, rows[i].world, &tokens,
						&count, &err),
				 0);
		ck_assert_uint_eq(count, 16 * (is_real ? REPEATS : 1));
		for (size_t t = 0; t < count; t++) {
			ck_assert_uint_eq(tokens[t].repeat, t / 16);
			ck_assert_uint_eq(tokens[t].token, t % 16);
			/* what is decided repeats; what is measured need not */
			ck_assert_uint_eq(tokens[t].read_bytes, tokens[t % 16].read_bytes);
		}
		free(tokens);
	}
	results_close(results);
	free(rows);
}
END_TEST

START_TEST(test_rows_of_both_worlds_are_kept_on_resume)
{
	struct runner_totals totals;

	run_both(false);
	ck_assert_int_ne(access("out/decisions", F_OK), 0); /* nobody asked for them */
	totals = run_both(true);
	ck_assert_uint_eq(totals.done, 0);
	ck_assert_uint_eq(totals.kept, 2 * TRIALS);
}
END_TEST

START_TEST(test_rows_of_other_weights_are_measured_again)
{
	struct runner_totals totals;
	struct result_row *rows;
	size_t count;
	char first[RESULT_TEXT] = "", second[RESULT_TEXT] = "";

	run_both(false);
	for (int again = 0; again < 2; again++) {
		rows = rows_of(&count);
		ck_assert_uint_eq(count, 2 * TRIALS);
		for (size_t i = 0; i < count; i++) {
			bool is_real = strcmp(rows[i].world, "real") == 0;

			ck_assert_uint_eq(strlen(rows[i].weights_digest),
					  is_real ? DIGEST_TEXT - 1 : 0);
			if (is_real) /* the same for both layouts */
				strcpy(again ? second : first, rows[i].weights_digest);
			ck_assert(!is_real ||
				  strcmp(rows[i].weights_digest, again ? second : first) == 0);
		}
		free(rows);
		if (again)
			break;
		ck_assert_int_eq(system("rm -r weights/f16"), 0);
		synthesise("weights/f16", 8);
		totals = run_both(true);
		ck_assert_uint_eq(totals.kept, TRIALS); /* sim has no weights */
		ck_assert_uint_eq(totals.done, TRIALS);
	}
	ck_assert_str_ne(first, second);
	ck_assert_uint_eq(run_both(true).kept, 2 * TRIALS);
}
END_TEST

START_TEST(test_a_real_trial_that_fails_leaves_the_others)
{
	const struct runner_options options = {.dir = "out", .real = true};
	struct runner_totals totals;
	struct err err = {0};

	ck_assert_int_eq(unlink("weights/f16/ffn.split.gguf"),
			 0); /* naive, hybrid, predictor, window */
	ck_assert_int_eq(runner_run(&totals, &experiment, &options, &err), EIO);
	ck_assert_uint_eq(totals.failed, 4);
	ck_assert_uint_eq(totals.done, 2);
	ck_assert_msg(strstr(err.msg, "policy=naive, real: ") != NULL, "said %s", err.msg);
	ck_assert_msg(strstr(err.msg, "ffn.split.gguf") != NULL, "said %s", err.msg);
}
END_TEST

/* Every tenth read waits for 5 ms or so, a trial has hardly ten: no two repeats are alike. */
static const char stalling_yaml[] =
	"base: quick.yaml\nname: stalling\nemulated: {stall_frac: 10%, stall_ns: 5ms}\n";

/* Notes go to standard error, which is a file for as long. */
static char *noise_of_run(const struct runner_options *options, struct runner_totals *totals)
{
	static char said[4096];
	struct runner_options told = *options;
	int kept = dup(STDERR_FILENO);
	FILE *file = freopen("said.txt", "w+", stderr);
	struct err err = {0};
	size_t length;

	ck_assert(kept >= 0 && file != NULL);
	told.progress = progress_open("noisy", 1);
	ck_assert_msg(runner_run(totals, &experiment, &told, &err) == 0, "%s", err.msg);
	progress_close(told.progress);
	fflush(stderr);
	rewind(stderr);
	length = fread(said, 1, sizeof(said) - 1, stderr);
	said[length] = '\0';
	ck_assert(dup2(kept, STDERR_FILENO) >= 0);
	close(kept);
	return said;
}

START_TEST(test_a_trial_too_noisy_to_be_judged_is_measured_again)
{
	const struct runner_options options = {
		.dir = "out", .sim = true, .real = true, .again = true, .jobs = 1};
	struct result_token *lines;
	struct runner_totals totals;
	struct results *results;
	struct result_row *rows;
	struct err err = {0};
	size_t count, line_count, again = 0;
	const char *said;

	experiment_fini(&experiment);
	scratch_write("stalling.yaml", stalling_yaml);
	scratch_experiment(&experiment,
			   "experiment: noisy\nmodel: tiny.yaml\ndevice: m1-max\nctx: 64\ntokens: "
			   "1\nwarmup: 1\npolicy: bundle\ntarget: stalling.yaml\nworlds: [sim, "
			   "real]\nrepeats: 12\nvisits: 2\nthreads: 1\nmodel_files: weights\n");
	said = noise_of_run(&options, &totals);
	for (const char *at = said; (at = strstr(at, "1 trials are measured once more")); at++)
		again++;
	ck_assert_msg(again >= 1 && again <= 2, "%s", said); /* of one trial, two are few */
	ck_assert_uint_eq(totals.done, 2); /* one trial in two worlds, however often */
	ck_assert_uint_eq(totals.failed, 0);
	rows = rows_of(&count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(rows[1].world, "real");
	ck_assert_uint_eq(rows[1].repeats, 12);
	ck_assert_int_eq(results_open(&results, "out", &err), 0);
	ck_assert_int_eq(
		results_tokens(results, rows[1].trial_hash, "real", &lines, &line_count, &err), 0);
	ck_assert_uint_eq(line_count, 12 * 2); /* of one measurement alone */
	results_close(results);
	free(lines);
	free(rows);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worlds");
	TCase *tcase = tcase_create("emulated");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, test_decisions_reads_and_bytes_are_equal_in_both_worlds);
	tcase_add_test(tcase, test_the_logs_of_decisions_are_the_same_text);
	tcase_add_test(tcase, test_every_repeat_has_its_tokens);
	tcase_add_test(tcase, test_rows_of_both_worlds_are_kept_on_resume);
	tcase_add_test(tcase, test_rows_of_other_weights_are_measured_again);
	tcase_add_test(tcase, test_a_real_trial_that_fails_leaves_the_others);
	tcase_add_test(tcase, test_a_trial_too_noisy_to_be_judged_is_measured_again);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
