/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_plot.c - every figure draws from rows, keeps its script, and fails without harm */
#include "plot.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOWS = 4, CHUNKS = 3, ROWS = 2 * WINDOWS * CHUNKS };

static char dir[] = "/tmp/flashcast-plot-XXXXXX";
static struct result_row rows[ROWS];

/* A sweep of window by chunk in both worlds; one name holds every character that could break a
 * script. */
static void make_rows(void)
{
	size_t at = 0;

	for (unsigned chunk = 0; chunk < CHUNKS; chunk++)
		for (unsigned window = 1; window <= WINDOWS; window++)
			for (unsigned world = 0; world < 2; world++) {
				struct result_row *row = &rows[at++];
				double total =
					1e6 * (40.0 / window + 3.0 * chunk) * (world ? 1.04 : 1);

				result_row_init(row);
				strcpy(row->world, world ? "real" : "sim");
				strcpy(row->residency, "window");
				strcpy(row->policy, "a\"b\\c_d^e'f$g");
				snprintf(row->trial, sizeof(row->trial), "window=%u", window);
				snprintf(row->trial_hash, sizeof(row->trial_hash), "%u-%u", window,
					 chunk);
				row->window_tokens = window;
				row->chunk_bytes = 8192u << chunk;
				row->resident_frac = 0.1 * window;
				row->io_ns_per_token = row->io_wait_ns_per_token = 0.6 * total;
				row->mem_ns_per_token = 0.1 * total;
				row->compute_ns_per_token = 0.25 * total;
				row->total_ns_per_token = total;
				row->spread_frac = 0.05;
				row->total_ns_low = 0.96 * total;
				row->total_ns_high = 1.05 * total;
			}
}

static void setup(void)
{
	make_rows();
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static char *path_of(const char *figure, const char *suffix)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/figures/%s%s", dir, figure, suffix);
	return path;
}

static size_t read_head(const char *path, char *head, size_t size)
{
	FILE *file = fopen(path, "rb");
	size_t got;

	ck_assert_msg(file != NULL, "%s is missing", path);
	got = fread(head, 1, size - 1, file);
	head[got] = 0;
	fclose(file);
	return got;
}

START_TEST(test_a_figure_draws_png_and_svg_and_keeps_its_script)
{
	const struct figure_ops *figure = figure_at((size_t)_i);
	struct err err = {0};
	char head[4096];

	ck_assert_msg(figure_draw(figure, dir, "", rows, ROWS, &err) == 0, "%s", err.msg);
	ck_assert_uint_gt(read_head(path_of(figure->name, ".png"), head, sizeof(head)), 1000);
	ck_assert_mem_eq(head, "\x89PNG", 4);
	read_head(path_of(figure->name, ".svg"), head, sizeof(head));
	ck_assert_ptr_nonnull(strstr(head, "<svg"));
	read_head(path_of(figure->name, ".gp"), head, sizeof(head));
	ck_assert_ptr_nonnull(strstr(head, "<< EOD"));
	ck_assert_msg(access(path_of(figure->name, ".log"), F_OK) != 0, "%s: gnuplot complained",
		      figure->name);
}
END_TEST

START_TEST(test_the_kept_script_draws_the_same_picture_alone)
{
	const struct figure_ops *figure = figure_at((size_t)_i);
	struct err err = {0};
	struct stat before, after;
	char command[1024];

	ck_assert_int_eq(figure_draw(figure, dir, "", rows, ROWS, &err), 0);
	ck_assert_int_eq(stat(path_of(figure->name, ".png"), &before), 0);
	ck_assert_int_eq(unlink(path_of(figure->name, ".png")), 0);
	snprintf(command, sizeof(command), "cd '%s/figures' && gnuplot %s.gp", dir, figure->name);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(stat(path_of(figure->name, ".png"), &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
}
END_TEST

START_TEST(test_a_figure_without_rows_says_what_is_missing)
{
	const struct figure_ops *figure = figure_at((size_t)_i);
	struct err err = {0};

	ck_assert_int_eq(figure_draw(figure, dir, "", NULL, 0, &err), ENODATA);
	ck_assert_ptr_nonnull(strstr(err.msg, figure->name));
}
END_TEST

START_TEST(test_rows_of_one_world_still_draw)
{
	static const char *const alone[] = {"latency", "window", "heatmap"};
	const struct figure_ops *figure = figure_find(alone[_i]);
	struct result_row sim[ROWS / 2];
	struct err err = {0};

	for (size_t i = 0; i < ROWS / 2; i++)
		sim[i] = rows[2 * i];
	ck_assert_msg(figure_draw(figure, dir, "", sim, ROWS / 2, &err) == 0, "%s", err.msg);
}
END_TEST

START_TEST(test_without_gnuplot_the_script_stays)
{
	struct err err = {0};
	char *path = strdup(getenv("PATH"));

	setenv("PATH", "/nowhere", 1);
	ck_assert_int_eq(figure_draw(figure_find("latency"), dir, "", rows, ROWS, &err), ENOENT);
	setenv("PATH", path, 1);
	free(path);
	ck_assert_ptr_nonnull(strstr(err.msg, "gnuplot is not installed"));
	ck_assert_int_eq(access(path_of("latency", ".gp"), F_OK), 0);
}
END_TEST

START_TEST(test_a_folder_that_cannot_be_made_is_an_error)
{
	struct err err = {0};

	ck_assert_int_ne(figure_draw(figure_find("latency"), "/proc/none", "", rows, ROWS, &err),
			 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "/proc/none"));
}
END_TEST

START_TEST(test_a_label_names_the_files_and_stays_in_the_folder)
{
	struct err err = {0};

	ck_assert_msg(figure_draw(figure_find("latency"), dir, "../a b", rows, ROWS, &err) == 0,
		      "%s", err.msg);
	ck_assert_int_eq(access(path_of("latency...", "_a_b.png"), F_OK), 0);
}
END_TEST

START_TEST(test_an_unknown_figure_is_not_found)
{
	ck_assert_ptr_null(figure_find("latencies"));
	ck_assert_ptr_null(figure_find("latenc"));
	ck_assert_ptr_eq(figure_find("predicted_vs_measured"),
			 figure_find("predicted-vs-measured"));
	ck_assert_ptr_nonnull(figure_find("predicted-vs-measured"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plot");
	TCase *tcase = tcase_create("figures");
	SRunner *runner;
	int figures = 0, failed;

	while (figure_at((size_t)figures))
		figures++;
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_a_figure_draws_png_and_svg_and_keeps_its_script, 0,
			    figures);
	tcase_add_loop_test(tcase, test_the_kept_script_draws_the_same_picture_alone, 0, figures);
	tcase_add_loop_test(tcase, test_a_figure_without_rows_says_what_is_missing, 0, figures);
	tcase_add_loop_test(tcase, test_rows_of_one_world_still_draw, 0, 3);
	tcase_add_test(tcase, test_without_gnuplot_the_script_stays);
	tcase_add_test(tcase, test_a_folder_that_cannot_be_made_is_an_error);
	tcase_add_test(tcase, test_a_label_names_the_files_and_stays_in_the_folder);
	tcase_add_test(tcase, test_an_unknown_figure_is_not_found);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
