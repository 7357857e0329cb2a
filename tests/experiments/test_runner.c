/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_runner.c - sweeps that run in parallel, are killed, go on, fail in part, or stop, and what
 * their stores hold
 *
 * Simulated trials only: the real world's are in tests/real and, end to end, in tests/cli. */
#include "real_read.h"
#include "runner.h"
#include "scratch.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define SWEEP                                                                                      \
	"sweep: {product: {policy: [naive, window, all], policy.window: {range: [1, 8]}, seed: "   \
	"[7, "                                                                                     \
	"8]}}\n"
enum { SWEEP_TRIALS = 34 }; /* naive has no window: 2; the others 8 windows by 2 seeds each */

static struct runner_options options_of(const char *dir, unsigned jobs)
{
	return (struct runner_options){.dir = dir, .sim = true, .jobs = jobs};
}

static struct runner_totals run_it(struct experiment *x, const struct runner_options *options)
{
	struct runner_totals totals;
	struct err err = {0};

	ck_assert_msg(runner_run(&totals, x, options, &err) == 0, "%s", err.msg);
	return totals;
}

static struct result_row *rows_of(const char *dir, size_t *count)
{
	struct results *results;
	struct result_row *rows;
	struct err err = {0};

	ck_assert_msg(results_open(&results, dir, &err) == 0, "%s", err.msg);
	ck_assert_msg(results_all(results, &rows, count, &err) == 0, "%s", err.msg);
	results_close(results);
	return rows;
}

static void tokens_of(const char *dir, const struct result_row *row, struct result_token **tokens,
		      size_t *count)
{
	struct results *results;
	struct err err = {0};

	ck_assert_int_eq(results_open(&results, dir, &err), 0);
	ck_assert_int_eq(results_tokens(results, row->trial_hash, row->world, tokens, count, &err),
			 0);
	results_close(results);
}

static bool is_there(const char *path)
{
	return access(path, R_OK) == 0;
}

/* ---- parallel equals serial -------------------------------------------------------------------
 */

static void check_equal_rows(const struct result_row *a, const struct result_row *b)
{
	char x[RESULT_TEXT], y[RESULT_TEXT];

	for (size_t i = 0; i < result_column_count; i++) {
		if (strcmp(result_columns[i].name, "started_at") == 0)
			continue;
		result_text(x, sizeof(x), a, &result_columns[i]);
		result_text(y, sizeof(y), b, &result_columns[i]);
		ck_assert_msg(strcmp(x, y) == 0, "%s: %s is %s and %s", a->trial,
			      result_columns[i].name, x, y);
	}
}

START_TEST(test_a_parallel_sweep_leaves_what_a_serial_one_does)
{
	struct runner_options serial = options_of("serial", 1),
			      parallel = options_of("parallel", 4);
	struct result_row *a, *b;
	struct result_token *a_tokens, *b_tokens;
	struct experiment x;
	size_t a_count, b_count;

	scratch_experiment(&x, TINY SWEEP);
	ck_assert_uint_eq(x.trial_count, SWEEP_TRIALS);
	ck_assert_uint_eq(run_it(&x, &serial).done, SWEEP_TRIALS);
	ck_assert_uint_eq(run_it(&x, &parallel).done, SWEEP_TRIALS);
	a = rows_of("serial", &a_count);
	b = rows_of("parallel", &b_count);
	ck_assert_uint_eq(a_count, SWEEP_TRIALS);
	ck_assert_uint_eq(b_count, SWEEP_TRIALS);
	for (size_t i = 0; i < a_count; i++) {
		ck_assert_str_eq(a[i].trial_hash, x.trials[i].hash); /* in the order of trials */
		check_equal_rows(&a[i], &b[i]);
		tokens_of("serial", &a[i], &a_tokens, &a_count);
		tokens_of("parallel", &b[i], &b_tokens, &b_count);
		ck_assert_uint_eq(a_count, 16); /* warm-up and all */
		ck_assert_uint_eq(b_count, 16);
		ck_assert_mem_eq(a_tokens, b_tokens, 16 * sizeof(*a_tokens));
		free(a_tokens);
		free(b_tokens);
		a_count = SWEEP_TRIALS;
	}
	free(a);
	free(b);
	experiment_fini(&x);
}
END_TEST

/* ---- what a row and a folder hold -------------------------------------------------------------
 */

START_TEST(test_a_row_says_what_it_is)
{
	struct runner_options options = options_of("out", 1);
	struct result_row *rows;
	struct experiment x;
	size_t count;

	scratch_experiment(&x, TINY_ALL);
	run_it(&x, &options);
	rows = rows_of("out", &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(rows->experiment, "tiny");
	ck_assert_str_eq(rows->world, "sim");
	ck_assert_str_eq(rows->device, "m1-max");
	ck_assert_str_eq(rows->target, "");
	ck_assert_str_eq(rows->policy, "all");
	ck_assert_str_eq(rows->demand, "noisy");
	ck_assert_str_eq(rows->layout, "bundle");
	ck_assert_str_eq(rows->weights, "f16");
	ck_assert_str_eq(rows->read_engine,
			 read_engine_words[reader_engine_of(READ_AUTO, false)].text);
	ck_assert_uint_eq(rows->window_tokens, 5);
	ck_assert_uint_eq(rows->chunk_bytes, 512); /* a bundle of 2 x 64 weights, padded */
	ck_assert_uint_eq(rows->tokens, 12);
	ck_assert_uint_eq(rows->ctx_tokens, 64);
	ck_assert_uint_eq(rows->repeats, 1);
	ck_assert_uint_eq(strlen(rows->decision_hash), DIGEST_TEXT - 1);
	ck_assert(rows->version[0] && rows->git_rev[0] && rows->host[0]);
	ck_assert_uint_eq(strlen(rows->started_at), strlen("2026-01-01T00:00:00Z"));
	ck_assert(rows->total_ns_per_token > 0 && rows->first_token_ns > 0);
	ck_assert(rows->resident_frac > 0.1 && rows->resident_frac < 0.4);
	ck_assert(rows->dropped_bytes_per_token > 0); /* the padding */
	ck_assert_double_eq_tol(rows->read_bytes_per_token, 512 * rows->read_count_per_token, 1e-6);
	ck_assert(isnan(rows->noise_floor_frac)); /* a simulator repeats to the bit */
	free(rows);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_dram_counts_what_stays)
{
	struct runner_options options = options_of("out", 1);
	struct result_row *rows;
	struct experiment x;
	const struct model *model;
	uint64_t kept, rows_bytes;
	size_t count;

	scratch_experiment(&x, TINY "sweep: {product: {policy: [naive, hybrid, all]}}\n");
	run_it(&x, &options);
	model = &x.trials[0].model;
	rows = rows_of("out", &count);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(rows[0].dram_weights_bytes, 0);
	ck_assert_uint_eq(rows[1].dram_weights_bytes, model_param_bytes(model, WEIGHT_F16) / 2);
	kept = model_embed_bytes(model, WEIGHT_F16) + model_attention_bytes(model, WEIGHT_F16);
	ck_assert_uint_gt(rows[2].dram_weights_bytes, kept);
	rows_bytes = rows[2].dram_weights_bytes - kept;
	ck_assert_uint_eq(rows_bytes % (2 * 64 * 2), 0); /* whole bundles, unpadded */
	ck_assert(rows_bytes < model_ffn_bytes(model, WEIGHT_F16) / 2);
	/* and beside the weights: keys and values of 2 layers, 64 tokens, 64 wide, f32, and reads
	 * on their way */
	ck_assert_uint_gt(rows[0].dram_peak_bytes, UINT64_C(2) * 2 * 64 * 64 * 4);
	free(rows);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_folder_holds_config_store_and_csv)
{
	struct runner_options options = options_of("a/b/out", 2);
	struct experiment x, again;
	struct err err = {0};
	char path[PATH_MAX];

	scratch_experiment(&x, TINY "sweep: {product: {policy: [naive, all]}}\n");
	run_it(&x, &options);
	ck_assert(is_there("a/b/out/results.sqlite"));
	ck_assert(is_there("a/b/out/results.csv"));
	for (size_t i = 0; i < x.trial_count; i++) {
		snprintf(path, sizeof(path), "a/b/out/configs/%s.yaml", x.trials[i].hash);
		ck_assert_msg(experiment_load(&again, path, NULL, 0, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(again.trials[0].hash, x.trials[i].hash);
		experiment_fini(&again);
	}
	ck_assert_msg(experiment_load(&again, "a/b/out/experiment.yaml", NULL, 0, &err) == 0, "%s",
		      err.msg);
	ck_assert_uint_eq(again.trial_count, 2);
	ck_assert_str_eq(again.trials[1].hash, x.trials[1].hash);
	ck_assert_str_eq(again.trials[1].name, x.trials[1].name);
	experiment_fini(&again);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_layers_are_kept_on_request)
{
	struct runner_options options = options_of("out", 1);
	struct result_token *tokens;
	struct result_row *rows;
	struct experiment x;
	size_t count;

	options.layers = true;
	scratch_experiment(&x, TINY_ALL);
	run_it(&x, &options);
	rows = rows_of("out", &count);
	tokens_of("out", &rows[0], &tokens, &count);
	ck_assert_uint_eq(count, 16 * (1 + 3)); /* the token, two layers, the head */
	ck_assert_int_eq(tokens[0].layer, -1);
	free(tokens);
	free(rows);
	experiment_fini(&x);
}
END_TEST

/* ---- resume and shards ------------------------------------------------------------------------
 */

START_TEST(test_without_resume_rows_are_replaced_and_with_it_kept)
{
	struct runner_options options = options_of("out", 2);
	struct runner_totals totals;
	struct experiment x;
	size_t count;

	scratch_experiment(&x, TINY "sweep: {product: {seed: [1, 2, 3]}}\npolicy: all\n");
	run_it(&x, &options);
	ck_assert_uint_eq(run_it(&x, &options).done, 3);
	free(rows_of("out", &count));
	ck_assert_uint_eq(count, 3);
	options.resume = true;
	totals = run_it(&x, &options);
	ck_assert_uint_eq(totals.done, 0);
	ck_assert_uint_eq(totals.kept, 3);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_shards_share_the_trials_out)
{
	struct runner_options options = options_of("out", 1);
	struct experiment x;
	size_t count, done = 0;

	scratch_experiment(&x, TINY SWEEP);
	options.shard_count = 3;
	for (options.shard = 1; options.shard <= 3; options.shard++)
		done += run_it(&x, &options).done;
	ck_assert_uint_eq(done, SWEEP_TRIALS);
	free(rows_of("out", &count));
	ck_assert_uint_eq(count, SWEEP_TRIALS); /* none twice: a row is unique by digest */
	experiment_fini(&x);
}
END_TEST

static size_t rows_now(const char *dir)
{
	struct results *results;
	struct result_row *rows;
	struct err err = {0};
	size_t count = 0;
	char path[64];

	snprintf(path, sizeof(path), "%s/results.sqlite", dir);
	if (!is_there(path) || results_open(&results, dir, &err))
		return 0; /* not yet */
	if (results_all(results, &rows, &count, &err) == 0)
		free(rows);
	results_close(results);
	return count;
}

/* Run in a child and kill it once some rows, and not all, have landed. */
static void run_and_kill(struct experiment *x, const struct runner_options *options)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct runner_totals totals;
		struct err err = {0};

		_exit(runner_run(&totals, x, options, &err) ? 1 : 0);
	}
	while (rows_now(options->dir) < 3) {
		const struct timespec wait = {.tv_nsec = 2000000};

		ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);
		nanosleep(&wait, NULL);
	}
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status), "it was faster than its killer: more trials are wanted");
}

START_TEST(test_a_killed_sweep_goes_on_without_loss_or_repetition)
{
	struct runner_options killed = options_of("killed", 2), whole = options_of("whole", 2);
	struct result_row *a, *b;
	struct runner_totals totals;
	struct experiment x;
	size_t kept, count;

	scratch_experiment(&x, TINY "policy: all\nsweep: {product: {seed: {range: [1, 200]}}}\n");
	run_and_kill(&x, &killed);
	kept = rows_now("killed");
	ck_assert_uint_ge(kept, 3);
	ck_assert_uint_lt(kept, 200);
	killed.resume = true;
	totals = run_it(&x, &killed);
	ck_assert_uint_eq(totals.kept, kept); /* none lost */
	ck_assert_uint_eq(totals.done, 200 - kept);
	run_it(&x, &whole);
	a = rows_of("killed", &count);
	ck_assert_uint_eq(count, 200); /* none twice */
	b = rows_of("whole", &count);
	ck_assert_uint_eq(count, 200);
	for (size_t i = 0; i < count; i++)
		check_equal_rows(&a[i], &b[i]);
	free(a);
	free(b);
	experiment_fini(&x);
}
END_TEST

/* ---- failures ---------------------------------------------------------------------------------
 */

/* Resident rows capped so low that no demand fits: found out only when the trial runs. */
#define ONE_FAILS "sweep: {zip: {policy.cap_frac: [1, 0.002, 0.9]}}\npolicy: all\n"

START_TEST(test_a_failing_trial_is_counted_and_the_others_go_on)
{
	struct runner_options options = options_of("out", 1);
	struct runner_totals totals;
	struct result_row *rows;
	struct experiment x;
	struct err err = {0};
	size_t count;

	options.jobs = (unsigned)_i + 1;
	scratch_experiment(&x, TINY ONE_FAILS);
	ck_assert_int_eq(runner_run(&totals, &x, &options, &err), EIO);
	ck_assert_uint_eq(totals.done, 2);
	ck_assert_uint_eq(totals.failed, 1);
	ck_assert_msg(strncmp(err.msg,
			      "1 of 3 rows failed; the first: policy.cap_frac=0.002, sim: ", 58) ==
			      0,
		      "said %s", err.msg);
	rows = rows_of("out", &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(rows[0].trial, "policy.cap_frac=1");
	ck_assert_str_eq(rows[1].trial, "policy.cap_frac=0.9");
	ck_assert(is_there("out/results.csv")); /* even so */
	free(rows);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_row_that_cannot_be_written_is_a_failure_of_that_row)
{
	struct runner_options options = options_of("out", 1);
	struct runner_totals totals;
	struct experiment x;
	struct err err = {0};
	char path[PATH_MAX];

	scratch_experiment(&x, TINY "sweep: {product: {seed: [1, 2, 3]}}\npolicy: all\n");
	ck_assert_int_eq(mkdir("out", 0777), 0);
	ck_assert_int_eq(mkdir("out/configs", 0777), 0);
	/* A folder where the second trial's config belongs. */
	snprintf(path, sizeof(path), "out/configs/%s.yaml", x.trials[1].hash);
	ck_assert_int_eq(mkdir(path, 0777), 0);
	ck_assert_int_eq(runner_run(&totals, &x, &options, &err), EIO);
	ck_assert_uint_eq(totals.done, 2);
	ck_assert_uint_eq(totals.failed, 1);
	ck_assert_msg(strstr(err.msg, "is no plain file") != NULL, "said %s", err.msg);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_stopped_sweep_leaves_a_store_to_go_on_from)
{
	volatile sig_atomic_t stop = 1;
	struct runner_options options = options_of("out", 2);
	struct runner_totals totals;
	struct experiment x;
	struct err err = {0};

	options.stop = &stop;
	scratch_experiment(&x, TINY SWEEP);
	ck_assert_int_eq(runner_run(&totals, &x, &options, &err), ECANCELED);
	ck_assert_uint_eq(totals.done, 0);
	ck_assert(is_there("out/results.csv"));
	stop = 0;
	options.resume = true;
	ck_assert_uint_eq(run_it(&x, &options).done, SWEEP_TRIALS);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_the_real_world_wants_model_files_before_anything_runs)
{
	struct runner_options options = options_of("out", 1);
	struct runner_totals totals;
	struct experiment x;
	struct err err = {0};

	options.real = true;
	scratch_experiment(&x, TINY_ALL);
	ck_assert_int_eq(runner_run(&totals, &x, &options, &err), EINVAL);
	ck_assert_str_eq(err.msg,
			 "tiny: world real needs model_files, the folder with tiny's weights (make "
			 "one: flashcast model synth tiny -o DIR, then --set model_files=DIR)");
	ck_assert(!is_there("out"));
	experiment_fini(&x);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runner");
	TCase *tcase = tcase_create("sim");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, scratch_open, scratch_close);
	tcase_add_test(tcase, test_a_parallel_sweep_leaves_what_a_serial_one_does);
	tcase_add_test(tcase, test_a_row_says_what_it_is);
	tcase_add_test(tcase, test_dram_counts_what_stays);
	tcase_add_test(tcase, test_a_folder_holds_config_store_and_csv);
	tcase_add_test(tcase, test_layers_are_kept_on_request);
	tcase_add_test(tcase, test_without_resume_rows_are_replaced_and_with_it_kept);
	tcase_add_test(tcase, test_shards_share_the_trials_out);
	tcase_add_test(tcase, test_a_killed_sweep_goes_on_without_loss_or_repetition);
	tcase_add_loop_test(tcase, test_a_failing_trial_is_counted_and_the_others_go_on, 0, 3);
	tcase_add_test(tcase, test_a_row_that_cannot_be_written_is_a_failure_of_that_row);
	tcase_add_test(tcase, test_a_stopped_sweep_leaves_a_store_to_go_on_from);
	tcase_add_test(tcase, test_the_real_world_wants_model_files_before_anything_runs);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
