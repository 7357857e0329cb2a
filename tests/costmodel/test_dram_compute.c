/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_dram_compute.c - memory management and compute against sums done by hand */
#include "compute.h"
#include "dram.h"
#include "rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static const struct dram_params dram = {
	.step_ns = 250,
	.append_bytes_per_s = 8e9,
	.append_far_bytes_per_s = 4e9,
	.near_bytes = 1000000,
	.append_row_ns = 10,
	.move_bytes_per_s = 4e9,
	.move_row_ns = 5,
	.fresh_bytes_per_s = 2e9,
	.scan_neuron_ns = 0.5,
};

static const struct {
	const char *why;
	struct store_work work;
	double ns;
} steps[] = {
	{"nothing to do is free", {0}, 0},
	{"a step costs something whatever it does", {.step_count = 1}, 250},
	{"deciding costs a pass over the layer", {.neuron_count = 1000}, 500},
	{"appended bytes and rows", {.append_rows = 100, .append_bytes = 80000}, 100 * 10 + 10000},
	{"what is read into caches is copied from there",
	 {.append_bytes = 80000, .staged_bytes = 1000000},
	 10000},
	{"what goes beyond them is far",
	 {.append_bytes = 80000, .staged_bytes = 4000000},
	 10000 / 4 + 3 * 20000 / 4},
	{"far is what was read, not what is copied", {.staged_bytes = 4000000}, 0},
	{"moved bytes and deleted rows", {.delete_rows = 20, .move_bytes = 4000}, 20 * 5 + 1000},
	{"new memory has a pace of its own", {.fresh_bytes = 4000}, 2000},
	{"all of it adds",
	 {.step_count = 1,
	  .neuron_count = 1000,
	  .append_rows = 100,
	  .append_bytes = 80000,
	  .delete_rows = 20,
	  .move_bytes = 4000,
	  .fresh_bytes = 4000},
	 250 + 500 + 11000 + 1100 + 2000},
};

START_TEST(test_a_store_step_is_the_sum_of_its_parts)
{
	ck_assert_msg(dram_step_ns(&dram, &steps[_i].work) == steps[_i].ns, "%s: %g, wanted %g",
		      steps[_i].why, dram_step_ns(&dram, &steps[_i].work), steps[_i].ns);
}
END_TEST

START_TEST(test_far_rows_that_were_not_measured_are_as_any)
{
	const struct store_work work = {.append_bytes = 80000, .staged_bytes = 4000000};
	struct dram_params unknown = dram;

	unknown.append_far_bytes_per_s = 0;
	ck_assert_double_eq(dram_step_ns(&unknown, &work), 10000);
	unknown = dram;
	unknown.near_bytes = 0;
	ck_assert_double_eq(dram_step_ns(&unknown, &work), 10000);
}
END_TEST

START_TEST(test_new_memory_that_was_not_measured_is_as_any)
{
	const struct store_work work = {.fresh_bytes = 4000};
	struct dram_params unknown = dram;

	unknown.fresh_bytes_per_s = 0;
	ck_assert_double_eq(dram_step_ns(&unknown, &work), 1000);
}
END_TEST

START_TEST(test_expected_moves_are_those_of_random_deletions)
{
	enum { ROWS = 60, ROUNDS = 20000 };
	struct rng rng = {41};

	for (uint32_t deleted = 0; deleted <= ROWS; deleted += 12) {
		uint64_t moved = 0;

		for (int round = 0; round < ROUNDS; round++) {
			uint32_t left = deleted;

			/* Choose 'deleted' of ROWS; a hole below the new end is filled by a move.
			 */
			for (uint32_t i = 0; i < ROWS && left > 0; i++) {
				if (rng_below(&rng, ROWS - i) < left) {
					left--;
					moved += i < ROWS - deleted;
				}
			}
		}
		ck_assert_double_eq_tol((double)moved / ROUNDS,
					dram_compact_moves(&(struct compact_rows){
						.before = ROWS, .deleted = deleted}),
					0.1);
	}
	ck_assert_double_eq(dram_compact_moves(&(struct compact_rows){0}), 0);
}
END_TEST

/* Rows are appended in order: the newest lie at the end, whatever is deleted among the others. */
static const struct {
	const char *why;
	struct compact_rows rows;
	double moves;
} newest_cases[] = {
	{"none of the newest goes: every hole costs a row", {100, 20, 30, 0}, 20},
	{"all of the newest go, and nothing else: they are cut off", {100, 20, 20, 20}, 0},
	{"half of the newest, longer than the cut", {100, 20, 40, 10}, 20 - 5},
	{"the cut is longer than the newest", {100, 40, 10, 10}, 40 - (10 + 30.0 * 30 / 90)},
	{"all rows are new", {50, 25, 50, 25}, 25 - 12.5},
	{"nothing goes", {50, 0, 10, 0}, 0},
	{"everything goes", {50, 50, 10, 10}, 0},
};

START_TEST(test_what_was_appended_last_lies_at_the_end)
{
	ck_assert_msg(fabs(dram_compact_moves(&newest_cases[_i].rows) - newest_cases[_i].moves) <
			      1e-9,
		      "%s: %g", newest_cases[_i].why, dram_compact_moves(&newest_cases[_i].rows));
}
END_TEST

static const struct compute_params compute = {
	.gemv_f32_bytes_per_s = 20e9,
	.gemv_f16_bytes_per_s = 16e9,
	.gemv_bf16_bytes_per_s = 15e9,
	.ffn_f32_bytes_per_s = 10e9,
	.ffn_f16_bytes_per_s = 8e9,
	.ffn_bf16_bytes_per_s = 7e9,
	.kv_bytes_per_s = 5e9,
	.flops_per_s = 1e15,
	.attention_ns = 100,
	.ffn_ns = 200,
	.head_ns = 300,
	.threads = 1,
};

/* Head width 16; a quarter as many key and value heads. */
static const struct model model = {
	.layer_count = 2,
	.d_model = 128,
	.d_ffn = 512,
	.head_count = 8,
	.kv_head_count = 2,
	.vocab_count = 1000,
	.position_count = 2048,
	.row_align = 512,
};

START_TEST(test_attention_reads_its_matrices_and_the_cache)
{
	/* q and out 128 x 128, k and v 32 x 128; the cache 32 wide, keys and values, f32. */
	double weights = 2 * 128 * 128 + 2 * 128 * 32, cache = 100 * 2 * 32 * 4;

	ck_assert_double_eq_tol(compute_attention_ns(&compute, &model, WEIGHT_F32, 0),
				weights * 4 / 20 + 100, 1e-6);
	ck_assert_double_eq_tol(compute_attention_ns(&compute, &model, WEIGHT_F16, 100),
				weights * 2 / 16 + cache / 5 + 100, 1e-6);
}
END_TEST

START_TEST(test_ffn_reads_both_matrices_of_the_rows_it_is_given)
{
	ck_assert_double_eq_tol(compute_ffn_ns(&compute, &model, WEIGHT_F32, 50),
				50 * 2 * 128 * 4 / 10.0 + 200, 1e-6);
	ck_assert_double_eq_tol(compute_ffn_ns(&compute, &model, WEIGHT_F16, 50),
				50 * 2 * 128 * 2 / 8.0 + 200, 1e-6);
	ck_assert_double_eq_tol(compute_ffn_ns(&compute, &model, WEIGHT_BF16, 50),
				50 * 2 * 128 * 2 / 7.0 + 200, 1e-6);
	ck_assert_double_eq(compute_ffn_ns(&compute, &model, WEIGHT_F16, 0), 200);
}
END_TEST

START_TEST(test_rows_of_a_dense_step_take_as_long_as_was_measured)
{
	struct compute_params dense = compute;

	ck_assert_double_eq(compute_dense_ffn_ns(&dense, &model, WEIGHT_F32, 50),
			    compute_ffn_ns(&dense, &model, WEIGHT_F32, 50));
	dense.dense_slowdown = 1.5;
	ck_assert_double_eq_tol(compute_dense_ffn_ns(&dense, &model, WEIGHT_F32, 50),
				1.5 * 50 * 2 * 128 * 4 / 10.0 + 200, 1e-6);
}
END_TEST

START_TEST(test_the_head_reads_every_embedding_row)
{
	ck_assert_double_eq_tol(compute_head_ns(&compute, &model, WEIGHT_F16),
				1000 * 128 * 2 / 16.0 + 300, 1e-6);
	ck_assert_double_eq_tol(compute_head_ns(&compute, &model, WEIGHT_BF16),
				1000 * 128 * 2 / 15.0 + 300, 1e-6);
}
END_TEST

START_TEST(test_arithmetic_bounds_what_bandwidth_does_not)
{
	struct compute_params slow = compute;

	slow.flops_per_s = 1e9;
	ck_assert_double_eq_tol(compute_ffn_ns(&slow, &model, WEIGHT_F16, 50),
				2 * 50 * 2 * 128 + 200, 1e-6);
	/* The cache of 2 heads is passed over by all 8. */
	ck_assert_double_eq_tol(compute_attention_ns(&slow, &model, WEIGHT_F32, 10) -
					compute_attention_ns(&slow, &model, WEIGHT_F32, 0),
				2 * 10 * 2 * 128, 1e-6);
}
END_TEST

START_TEST(test_more_threads_bring_what_the_profile_says)
{
	struct compute_params two = compute, four;

	two.threads = 2;
	four = two;
	compute_set_threads(&four, 4); /* knows nothing of other numbers */
	ck_assert_uint_eq(four.threads, 2);
	ck_assert_double_eq(compute_head_ns(&four, &model, WEIGHT_F16),
			    compute_head_ns(&two, &model, WEIGHT_F16));
	two.thread_bytes_per_s = 8e9;
	two.threads_bytes_per_s = 1e13;
	two.threads_knee = 64;
	four = two;
	compute_set_threads(&four, 4); /* twice as fast, but for what is fixed */
	ck_assert_uint_eq(four.threads, 4);
	ck_assert_double_eq_tol(compute_head_ns(&four, &model, WEIGHT_F16),
				(compute_head_ns(&two, &model, WEIGHT_F16) - 300) / 2 + 300, 1e-6);
	ck_assert_double_eq_tol(
		compute_attention_ns(&four, &model, WEIGHT_F32, 10) - two.attention_ns,
		(compute_attention_ns(&two, &model, WEIGHT_F32, 10) - two.attention_ns) / 2, 1e-6);
	two.threads_bytes_per_s = 16e9; /* all that there is, which two reach nearly */
	four = two;
	compute_set_threads(&four, 4);
	ck_assert_double_eq_tol(compute_head_ns(&four, &model, WEIGHT_F16) /
					compute_head_ns(&two, &model, WEIGHT_F16),
				1, 0.02);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dram and compute");
	TCase *tcase = tcase_create("dram and compute");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, test_a_store_step_is_the_sum_of_its_parts, 0,
			    sizeof(steps) / sizeof(steps[0]));
	tcase_add_test(tcase, test_far_rows_that_were_not_measured_are_as_any);
	tcase_add_test(tcase, test_new_memory_that_was_not_measured_is_as_any);
	tcase_add_test(tcase, test_expected_moves_are_those_of_random_deletions);
	tcase_add_loop_test(tcase, test_what_was_appended_last_lies_at_the_end, 0,
			    sizeof(newest_cases) / sizeof(newest_cases[0]));
	tcase_add_test(tcase, test_attention_reads_its_matrices_and_the_cache);
	tcase_add_test(tcase, test_rows_of_a_dense_step_take_as_long_as_was_measured);
	tcase_add_test(tcase, test_ffn_reads_both_matrices_of_the_rows_it_is_given);
	tcase_add_test(tcase, test_the_head_reads_every_embedding_row);
	tcase_add_test(tcase, test_more_threads_bring_what_the_profile_says);
	tcase_add_test(tcase, test_arithmetic_bounds_what_bandwidth_does_not);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
