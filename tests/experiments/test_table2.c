/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_table2.c - the paper's Table 2 from the fitted device and the generated trace, within 10 %
 */
#include "runner.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* OPT 6.7B, 16 bit, M1 Max (paper.md 8).  DRAM is shown and not held: the paper's 6.5 GB and its
 * own 52.1 % of 13.4 GB = 6.98 disagree, and it counts predictors, which `noisy` has none of. */
static const struct {
	const char *policy;
	double io_ms, read_gb, dram_gb;
} rungs[] = {
	{"naive", 2196, 13.4, 0},  {"hybrid", 1090, 6.7, 6.7}, {"predictor", 738, 0.9, 4.8},
	{"window", 164, 0.2, 6.5}, {"bundle", 87, 0.2, 6.5},
};
enum { RUNGS = sizeof(rungs) / sizeof(*rungs) };

static struct result_row *rows;
static size_t row_count;

static void run_table2(void)
{
	struct runner_options options = {.sim = true};
	char dir[] = "/tmp/flash-table2-XXXXXX", command[64];
	struct experiment experiment;
	struct runner_totals totals;
	struct results *results;
	struct err err = {0};

	ck_assert(mkdtemp(dir) != NULL);
	options.dir = dir;
	ck_assert_msg(experiment_load(&experiment,
				      FLASH_SOURCE_DIR "/configs/experiment/paper/table2.yaml",
				      NULL, 0, &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_eq(experiment.trial_count, RUNGS);
	ck_assert_msg(runner_run(&totals, &experiment, &options, &err) == 0, "%s", err.msg);
	ck_assert_msg(results_open(&results, dir, &err) == 0, "%s", err.msg);
	ck_assert_msg(results_all(results, &rows, &row_count, &err) == 0, "%s", err.msg);
	results_close(results);
	experiment_fini(&experiment);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void drop_rows(void)
{
	free(rows);
}

static double error_of(double got, double wanted)
{
	return got / wanted - 1;
}

START_TEST(test_every_rung_of_table_2_is_within_10_percent)
{
	ck_assert_uint_eq(row_count, RUNGS);
	printf("policy\tI/O ms\tpaper\terror\tGB\tpaper\terror\tDRAM GB\tpaper\n");
	for (size_t i = 0; i < RUNGS; i++) {
		const struct result_row *row = &rows[i];
		double io_ms = 1e-6 * row->io_ns_per_token;
		double read_gb = 1e-9 * row->read_bytes_per_token;

		printf("%s\t%.1f\t%.0f\t%+.1f %%\t%.3f\t%.1f\t%+.1f %%\t%.2f\t%.1f\n", row->policy,
		       io_ms, rungs[i].io_ms, 100 * error_of(io_ms, rungs[i].io_ms), read_gb,
		       rungs[i].read_gb, 100 * error_of(read_gb, rungs[i].read_gb),
		       1e-9 * (double)row->dram_weights_bytes, rungs[i].dram_gb);
	}
	fflush(stdout); /* a failed check leaves without it */
	for (size_t i = 0; i < RUNGS; i++) {
		const struct result_row *row = &rows[i];

		ck_assert_str_eq(row->policy, rungs[i].policy);
		ck_assert_msg(fabs(error_of(1e-6 * row->io_ns_per_token, rungs[i].io_ms)) <= 0.10,
			      "%s: I/O %.1f ms, the paper has %.0f", row->policy,
			      1e-6 * row->io_ns_per_token, rungs[i].io_ms);
		ck_assert_msg(fabs(error_of(1e-9 * row->read_bytes_per_token, rungs[i].read_gb)) <=
				      0.10,
			      "%s: %.3f GB a token, the paper has %.1f", row->policy,
			      1e-9 * row->read_bytes_per_token, rungs[i].read_gb);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table2");
	TCase *tcase = tcase_create("paper");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 110);
	tcase_add_checked_fixture(tcase, run_table2, drop_rows);
	tcase_add_test(tcase, test_every_rung_of_table_2_is_within_10_percent);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
