/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_killed.c - a real sweep that is killed and goes on: no row lost, none twice, none in part
 *
 * The simulator's is in test_runner.c. */
#include "runner.h"
#include "scratch_real.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { SEEDS = 8, SEED_REPEATS = 2 };
#define SEEDS_YAML                                                                                 \
	TINY "target: quick.yaml\nworlds: [real]\nrepeats: 2\nthreads: 1\nmodel_files: "           \
	     "weights\npolicy: bundle\nsweep: {product: {seed: {range: [1, 8]}}}\n"

static size_t rows_now(void)
{
	struct results *results = NULL;
	struct result_row *rows;
	struct err err = {0};
	size_t count = 0;

	if (access("out/results.sqlite", R_OK) == 0 && results_open(&results, "out", &err) == 0 &&
	    results_all(results, &rows, &count, &err) == 0)
		free(rows);
	results_close(results);
	return count;
}

/* Run in a child, in a process group with what it starts, and kill the child alone once some rows
 * have landed. */
static pid_t run_and_kill(struct experiment *x, const struct runner_options *options)
{
	const struct timespec wait = {.tv_nsec = 2000000};
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct runner_totals totals;
		struct err err = {0};

		setpgid(0, 0);
		_exit(runner_run(&totals, x, options, &err) ? 1 : 0);
	}
	while (rows_now() < 3) {
		ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);
		nanosleep(&wait, NULL);
	}
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status), "it was faster than its killer: more trials are wanted");
	return child;
}

/* Every row has all tokens of all its repeats, and what was decided is what a whole run decides. */
static void check_whole_rows(const struct experiment *x)
{
	const struct runner_options sim = {.dir = "sim", .sim = true, .jobs = 2};
	struct runner_totals totals;
	struct result_row *rows, *wanted;
	struct results *results;
	struct result_token *tokens;
	struct err err = {0};
	size_t row_count, count;
	struct experiment copy = *x;

	ck_assert_int_eq(runner_run(&totals, &copy, &sim, &err), 0);
	ck_assert_int_eq(results_open(&results, "sim", &err), 0);
	ck_assert_int_eq(results_all(results, &wanted, &count, &err), 0);
	results_close(results);
	ck_assert_int_eq(results_open(&results, "out", &err), 0);
	ck_assert_int_eq(results_all(results, &rows, &row_count, &err), 0);
	ck_assert_uint_eq(row_count, SEEDS); /* none twice, none lost */
	for (size_t i = 0; i < row_count; i++) {
		size_t trial = 0;

		while (trial < SEEDS && strcmp(wanted[trial].trial_hash, rows[i].trial_hash) != 0)
			trial++;
		ck_assert_uint_lt(trial, SEEDS);
		ck_assert_str_eq(rows[i].decision_hash, wanted[trial].decision_hash);
		ck_assert_uint_eq(rows[i].repeats, SEED_REPEATS);
		ck_assert_int_eq(
			results_tokens(results, rows[i].trial_hash, "real", &tokens, &count, &err),
			0);
		ck_assert_uint_eq(count, 16 * SEED_REPEATS);
		free(tokens);
	}
	results_close(results);
	free(rows);
	free(wanted);
}

static const char *const visits[] = {"visits=1", "visits=each"};

START_TEST(test_a_killed_real_sweep_goes_on_without_loss_or_repetition)
{
	struct runner_options options = {.dir = "out", .real = true};
	const struct timespec wait = {.tv_nsec = 10000000};
	struct runner_totals totals;
	struct experiment x;
	struct err err = {0};
	size_t kept;
	pid_t group;

	ck_assert_msg(scratch_load(&x, SEEDS_YAML, &visits[_i], 1, &err) == 0, "%s", err.msg);
	group = run_and_kill(&x, &options);
	kept = rows_now();
	ck_assert_uint_ge(kept, 3);
	ck_assert_uint_lt(kept, SEEDS);
	options.resume = true;
	ck_assert_msg(runner_run(&totals, &x, &options, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(totals.kept, kept);
	ck_assert_uint_eq(totals.done, SEEDS - kept);
	check_whole_rows(&x);
	while (kill(-group, 0) == 0) /* the emulated device's process ends by itself */
		nanosleep(&wait, NULL);
	experiment_fini(&x);
}
END_TEST

static void start(void)
{
	scratch_open();
	scratch_real();
}

static void stop(void)
{
	scratch_close();
}

int main(void)
{
	Suite *suite = suite_create("killed");
	TCase *tcase = tcase_create("emulated");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, test_a_killed_real_sweep_goes_on_without_loss_or_repetition, 0,
			    (int)(sizeof(visits) / sizeof(visits[0])));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
