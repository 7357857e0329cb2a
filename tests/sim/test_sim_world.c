/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_sim_world.c - what hand-made plans cost, to the nanosecond, and a whole run's books */
#include "compute.h"
#include "dram.h"
#include "make_config.h"
#include "run.h"
#include "sim_flash.h"
#include "sim_world.h"
#include "trace_gen.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Round figures: an append of 256 B is 256 ns, a moved byte 0.5 ns, a FFN row 128 ns. */
static const struct device device = {
	.flash = {.latency_ns = 10e3,
		  .stream_bytes_per_s = 1e9,
		  .request_rate_per_s = 100e3,
		  .peak_bytes_per_s = 2e9,
		  .size_norm = 2,
		  .knee = 4},
	.dram = {.append_bytes_per_s = 1e9,
		 .append_row_ns = 7,
		 .move_bytes_per_s = 2e9,
		 .move_row_ns = 3,
		 .scan_neuron_ns = 0.25},
	.compute = {.gemv_f32_bytes_per_s = 2e9,
		    .gemv_f16_bytes_per_s = 2e9,
		    .gemv_bf16_bytes_per_s = 2e9,
		    .ffn_f32_bytes_per_s = 2e9,
		    .ffn_f16_bytes_per_s = 2e9,
		    .ffn_bf16_bytes_per_s = 2e9,
		    .kv_bytes_per_s = 1e9,
		    .flops_per_s = 1e12,
		    .attention_ns = 11.4,
		    .ffn_ns = 13,
		    .head_ns = 17},
};
static const struct model model = {.name = "m",
				   .family = MODEL_OPT,
				   .layer_count = 2,
				   .d_model = 64,
				   .d_ffn = 128,
				   .head_count = 2,
				   .kv_head_count = 2,
				   .vocab_count = 100,
				   .position_count = 64,
				   .row_align = 512};
enum { ROW_BYTES = 2 * 64 * 2 };

static struct sim_world *open_on(const struct device *on, const struct policy_config *config,
				 enum sim_level level)
{
	const struct sim_options options = {
		.device = on, .model = &model, .config = config, .ctx = 10, .level = level};
	struct sim_world *sim = NULL;
	struct err err = {0};

	ck_assert(!sim_world_open(&sim, &options, &err));
	ck_assert(!world_sim.token_begin(sim, 0, &err));
	return sim;
}

static struct sim_world *open_world(const struct policy_config *config, enum sim_level level)
{
	return open_on(&device, config, level);
}

static uint64_t submit(struct sim_world *sim, const struct plan *plan)
{
	struct err err = {0};
	uint64_t ticket;

	ck_assert_msg(!world_sim.submit(sim, plan, &ticket, &err), "%s", err.msg);
	return ticket;
}

static struct step_cost compute(struct sim_world *sim, const struct plan *plan, uint64_t ticket)
{
	struct step_cost cost;
	struct err err = {0};

	ck_assert_msg(!world_sim.compute(sim, plan, ticket, &cost, &err), "%s", err.msg);
	return cost;
}

static uint64_t token_total(struct sim_world *sim)
{
	struct err err = {0};
	uint64_t total;

	ck_assert(!world_sim.token_end(sim, &total, &err));
	return total;
}

static struct step_cost cost_on(const struct device *on, const char *yaml, const struct plan *plan)
{
	struct policy_config config = make_config(yaml);
	struct sim_world *sim = open_on(on, &config, SIM_CLOSED);
	struct step_cost cost = compute(sim, plan, submit(sim, plan));

	ck_assert_uint_eq(token_total(sim), cost.io_wait_ns + cost.mem_ns + cost.compute_ns);
	sim_world_close(sim);
	return cost;
}

static struct step_cost cost_of(const char *yaml, const struct plan *plan)
{
	return cost_on(&device, yaml, plan);
}

/* Sets that a step does not look at beyond what it loaded last. */
static uint64_t nothing[2];

/* A sparse FFN step: 12 resident, 4 go, 3 come in one read each. */
static const struct plan sparse = {
	.demand = {.kind = STEP_FFN, .neuron_count = 6},
	.neuron_total = 128,
	.evict = nothing,
	.load = nothing,
	.evict_count = 4,
	.load_count = 3,
	.resident_before = 12,
	.resident_count = 11,
	.classes = (struct read_class[]){{.bytes = 512, .count = 3}},
	.class_count = 1,
	.read_count = 3,
	.read_bytes = 3 * 512,
	.needed_bytes = 3 * ROW_BYTES,
};

START_TEST(test_a_sparse_step_costs_its_reads_its_store_work_and_its_rows)
{
	struct step_cost cost = cost_of("{store: compact, in_flight: 8}", &sparse);
	/* 4 holes in 12 rows: 4 * 8 / 12 rows are moved, in expectation. */
	uint64_t moved = (uint64_t)llround(4.0 * 8 / 12 * ROW_BYTES);

	ck_assert_uint_eq(cost.io_ns, (uint64_t)flash_batch_ns(&device.flash, 3, 512, 8));
	ck_assert_uint_eq(cost.io_wait_ns, cost.io_ns);
	ck_assert_uint_eq(cost.moved_bytes, 3 * ROW_BYTES + moved);
	ck_assert_double_eq_tol((double)cost.mem_ns,
				3 * ROW_BYTES + 3 * 7 + (double)moved / 2 + 4 * 3 + 128 * 0.25, 1);
	/* All 11 resident rows are multiplied: 11 * 256 B at 2 GB/s, and 13 ns. */
	ck_assert_double_eq_tol((double)cost.compute_ns, 11 * 128 + 13, 1);
	ck_assert_uint_eq(cost.read_count, 3);
	ck_assert_uint_eq(cost.read_bytes, 3 * 512);
}
END_TEST

/* 3 reads of 512 B stand before the first row is copied: a third of them is still in the caches. */
START_TEST(test_rows_that_have_left_the_caches_are_copied_more_slowly)
{
	static const char compact[] = "{store: compact, in_flight: 8}";
	struct device far = device;

	far.dram.near_bytes = 512;
	far.dram.append_far_bytes_per_s = 0.5e9;
	ck_assert_double_eq_tol(
		(double)cost_on(&far, compact, &sparse).mem_ns,
		(double)cost_of(compact, &sparse).mem_ns + 2 * ROW_BYTES * (1 / 0.5 - 1), 1);
}
END_TEST

START_TEST(test_only_demanded_rows_are_multiplied_where_the_policy_says_so)
{
	struct step_cost cost = cost_of("{compute_rows: demanded}", &sparse);

	ck_assert_double_eq_tol((double)cost.compute_ns, 6 * 128 + 13, 1);
}
END_TEST

START_TEST(test_realloc_copies_what_stays_when_rows_go_and_again_when_rows_come)
{
	static const struct {
		uint32_t evict, load, copies;
	} cases[] = {{4, 3, 16}, {4, 0, 8}, {0, 3, 12}, {0, 0, 0}};
	struct plan plan = sparse;
	struct step_cost cost;

	plan.evict_count = cases[_i].evict;
	plan.load_count = cases[_i].load;
	cost = cost_of("{store: realloc}", &plan);
	ck_assert_uint_eq(cost.moved_bytes, (cases[_i].copies + cases[_i].load) * ROW_BYTES);
}
END_TEST

/* Two steps: what the first loads lies at the end when the second deletes. */
START_TEST(test_deletes_know_what_was_loaded_last)
{
	static const struct {
		uint64_t evict;
		uint32_t moves;
	} cases[] = {{0xf, 4},
		     {0xf0, 0},
		     {0x3c, 2}}; /* the first four rows are old, the next four new */
	uint64_t first[2] = {0xf0}, second[2] = {cases[_i].evict};
	struct plan load = {.demand = {.kind = STEP_FFN, .neuron_count = 4},
			    .neuron_total = 128,
			    .evict = nothing,
			    .load = first,
			    .load_count = 4,
			    .resident_before = 4,
			    .resident_count = 8};
	struct plan evict = {.demand = {.kind = STEP_FFN, .neuron_count = 4},
			     .neuron_total = 128,
			     .evict = second,
			     .load = nothing,
			     .evict_count = 4,
			     .resident_before = 8,
			     .resident_count = 4};
	struct policy_config config = make_config("{}");
	struct sim_world *sim = open_world(&config, SIM_CLOSED);
	struct step_cost cost;
	struct err err = {0};

	ck_assert(!world_sim.compute(sim, &load, submit(sim, &load), &cost, &err));
	ck_assert(!world_sim.compute(sim, &evict, submit(sim, &evict), &cost, &err));
	ck_assert_uint_eq(cost.moved_bytes, cases[_i].moves * ROW_BYTES);
	sim_world_close(sim);
}
END_TEST

START_TEST(test_nothing_to_do_costs_the_scan_and_the_arithmetic)
{
	struct plan plan = {.demand = {.kind = STEP_FFN, .neuron_count = 5},
			    .neuron_total = 128,
			    .evict = nothing,
			    .load = nothing,
			    .resident_before = 5,
			    .resident_count = 5};
	struct step_cost cost = cost_of("{}", &plan);

	ck_assert_uint_eq(cost.io_ns, 0);
	ck_assert_uint_eq(cost.io_wait_ns, 0);
	ck_assert_uint_eq(cost.mem_ns, 32);
	ck_assert_uint_eq(cost.moved_bytes, 0);
}
END_TEST

START_TEST(test_a_dense_step_multiplies_everything_and_leaves_the_store_alone)
{
	struct plan plan = {.demand = {.kind = STEP_FFN, .dense = true, .neuron_count = 128},
			    .neuron_total = 128,
			    .evict = nothing,
			    .load = nothing,
			    .resident_before = 64,
			    .resident_count = 64,
			    .stream_first = 64,
			    .stream_count = 64,
			    .classes = (struct read_class[]){{.bytes = 8192, .count = 4},
							     {.bytes = 512, .count = 1}},
			    .class_count = 2,
			    .read_count = 5,
			    .read_bytes = 4 * 8192 + 512};
	struct step_cost cost =
		cost_of("{demand: dense, persistence: fraction, residency: none}", &plan);

	ck_assert_uint_eq(cost.mem_ns, 0);
	ck_assert_uint_eq(cost.moved_bytes, 0);
	ck_assert_double_eq_tol((double)cost.compute_ns, 128 * 128 + 13, 1);
	ck_assert_uint_gt(cost.io_ns, (uint64_t)flash_batch_ns(&device.flash, 4, 8192, 32));
	ck_assert_uint_lt(cost.io_ns, (uint64_t)flash_batch_ns(&device.flash, 5, 8192, 32));
}
END_TEST

START_TEST(test_attention_and_head_cost_their_kernels)
{
	struct plan plan = {.demand = {.kind = STEP_ATTENTION, .dense = true}, .neuron_total = 128};
	struct step_cost cost = cost_of("{weights: f32}", &plan);

	ck_assert_uint_eq(cost.compute_ns,
			  (uint64_t)compute_attention_ns(&device.compute, &model, WEIGHT_F32, 10));
	plan.demand.kind = STEP_HEAD;
	cost = cost_of("{weights: f16}", &plan);
	ck_assert_uint_eq(cost.compute_ns,
			  (uint64_t)compute_head_ns(&device.compute, &model, WEIGHT_F16));
	ck_assert_uint_eq(cost.mem_ns, 0);
}
END_TEST

/* 3411.4 ns a step: 1000 of them are 3,411,400 ns, not 3,411,000. */
START_TEST(test_fractions_of_a_nanosecond_add_up)
{
	struct plan plan = {.demand = {.kind = STEP_ATTENTION, .dense = true}, .neuron_total = 128};
	struct policy_config config = make_config("{}");
	struct sim_world *sim = open_world(&config, SIM_CLOSED);
	double step = compute_attention_ns(&device.compute, &model, WEIGHT_F16, 10);
	uint64_t booked = 0;

	ck_assert_double_gt(step - floor(step), 0.1);
	for (unsigned i = 0; i < 1000; i++)
		booked += compute(sim, &plan, submit(sim, &plan)).compute_ns;
	ck_assert_uint_eq(booked, token_total(sim));
	ck_assert_double_eq_tol((double)booked, 1000 * step, 1.5);
	sim_world_close(sim);
}
END_TEST

START_TEST(test_a_second_batch_waits_for_the_first_and_hides_under_it)
{
	struct policy_config config = make_config("{in_flight: 8}");
	struct sim_world *sim = open_world(&config, SIM_CLOSED);
	uint64_t service = (uint64_t)flash_batch_ns(&device.flash, 3, 512, 8);
	uint64_t first = submit(sim, &sparse), second = submit(sim, &sparse);
	struct step_cost a = compute(sim, &sparse, first), b = compute(sim, &sparse, second);

	ck_assert_uint_eq(a.io_wait_ns, service);
	ck_assert_uint_le(b.io_ns - service, 1);
	/* While the first was computed the second went on. */
	ck_assert_uint_le(service - (b.io_wait_ns + a.mem_ns + a.compute_ns), 1);
	ck_assert_uint_eq(token_total(sim), a.io_wait_ns + a.mem_ns + a.compute_ns + b.io_wait_ns +
						    b.mem_ns + b.compute_ns);
	sim_world_close(sim);
}
END_TEST

START_TEST(test_each_token_starts_a_clock_of_its_own)
{
	struct policy_config config = make_config("{}");
	struct sim_world *sim = open_world(&config, SIM_CLOSED);
	struct step_cost first = compute(sim, &sparse, submit(sim, &sparse)), again;
	struct err err = {0};

	ck_assert(!world_sim.token_begin(sim, 1, &err));
	again = compute(sim, &sparse, submit(sim, &sparse));
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_uint_eq(token_total(sim), first.io_wait_ns + first.mem_ns + first.compute_ns);
	sim_world_close(sim);
}
END_TEST

START_TEST(test_tickets_that_are_not_open_and_too_many_are_refused)
{
	struct policy_config config = make_config("{}");
	struct sim_world *sim = open_world(&config, SIM_CLOSED);
	uint64_t ticket = submit(sim, &sparse);
	struct step_cost cost;
	struct err err = {0};
	unsigned open = 0;

	compute(sim, &sparse, ticket);
	ck_assert_int_eq(world_sim.compute(sim, &sparse, ticket, &cost, &err), EINVAL);
	ck_assert_int_eq(world_sim.compute(sim, &sparse, ticket + 64, &cost, &err), EINVAL);
	err = (struct err){0};
	while (!world_sim.submit(sim, &sparse, &ticket, &err))
		open++;
	ck_assert_int_eq(err.code, EBUSY);
	ck_assert_uint_eq(open, 64);
	sim_world_close(sim);
}
END_TEST

struct sums {
	uint64_t parts_ns, total_ns, tokens;
};

static int add_books(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct sums *sums = arg;

	(void)token;
	if (layer < 0) {
		sums->parts_ns += books->io_wait_ns + books->mem_ns + books->compute_ns;
		sums->total_ns += books->total_ns;
		sums->tokens++;
		ck_assert_uint_eq(books->io_ns, books->io_wait_ns);
	}
	return 0;
}

static void run_ladder(struct run_outcome *outcome, struct sums *sums, const char *yaml,
		       const struct trace *trace, enum sim_level level)
{
	struct policy_config config = make_config(yaml);
	struct sim_world *sim = open_world(&config, level);
	struct policy *policy = NULL;
	struct err err = {0};

	*sums = (struct sums){0};
	ck_assert_msg(!policy_open(&policy, &config, &model, trace, &err), "%s", err.msg);
	const struct run_options options = {.model = &model,
					    .policy = policy,
					    .token_count = 20,
					    .ops = &world_sim,
					    .world = sim,
					    .book = add_books,
					    .book_arg = sums};
	ck_assert_msg(!run(outcome, &options, &err), "%s", err.msg);
	policy_close(policy);
	sim_world_close(sim);
}

static const char *const ladder[] = {
	"{demand: dense, persistence: none, residency: none, layout: split, dense_chunk: 8KiB}",
	"{demand: dense, persistence: fraction, residency: none, layout: split, dense_chunk: 8KiB}",
	"{demand: noisy, residency: none, layout: split}",
	"{demand: noisy, residency: window, window: 5, layout: split}",
	"{demand: noisy, residency: window, window: 5, layout: bundle, store: realloc}",
};

/* Parts sum to the total exactly, in both levels; levels decide alike, and differ in time by less
 * than the knee. */
START_TEST(test_a_run_books_all_of_its_time_in_both_levels)
{
	const struct activity activity = {.active_frac = 0.033,
					  .active_first_frac = 0.033,
					  .active_last_frac = 0.033,
					  .fn_frac = 0.05,
					  .fp_frac = 0.07,
					  .window_tokens = 5,
					  .resident_frac = 0.24,
					  .new_frac = 0.024,
					  .overlap_frac = 0.53,
					  .hot_frac = 0.28};
	struct run_outcome closed, recursion;
	struct trace_shape *shape = NULL;
	struct sums a, b;
	struct trace trace;
	struct err err = {0};

	ck_assert_msg(!trace_shape_fit(&shape, &activity, 2, &err), "%s", err.msg);
	ck_assert(!trace_generate(&trace, shape, &model, 20, 1, &err));
	run_ladder(&closed, &a, ladder[_i], &trace, SIM_CLOSED);
	run_ladder(&recursion, &b, ladder[_i], &trace, SIM_RECURSION);
	ck_assert_uint_eq(a.tokens, 20);
	ck_assert_uint_eq(a.parts_ns, a.total_ns);
	ck_assert_uint_eq(b.parts_ns, b.total_ns);
	ck_assert_str_eq(closed.decision_hash, recursion.decision_hash);
	ck_assert_msg(fabs((double)b.total_ns / (double)a.total_ns - 1) < 0.15, "%g against %g",
		      (double)b.total_ns, (double)a.total_ns);
	trace_fini(&trace);
	trace_shape_free(shape);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim_world");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, test_a_sparse_step_costs_its_reads_its_store_work_and_its_rows);
	tcase_add_test(tcase, test_rows_that_have_left_the_caches_are_copied_more_slowly);
	tcase_add_test(tcase, test_only_demanded_rows_are_multiplied_where_the_policy_says_so);
	tcase_add_loop_test(
		tcase, test_realloc_copies_what_stays_when_rows_go_and_again_when_rows_come, 0, 4);
	tcase_add_test(tcase, test_nothing_to_do_costs_the_scan_and_the_arithmetic);
	tcase_add_loop_test(tcase, test_deletes_know_what_was_loaded_last, 0, 3);
	tcase_add_test(tcase, test_a_dense_step_multiplies_everything_and_leaves_the_store_alone);
	tcase_add_test(tcase, test_attention_and_head_cost_their_kernels);
	tcase_add_test(tcase, test_fractions_of_a_nanosecond_add_up);
	tcase_add_test(tcase, test_a_second_batch_waits_for_the_first_and_hides_under_it);
	tcase_add_test(tcase, test_each_token_starts_a_clock_of_its_own);
	tcase_add_test(tcase, test_tickets_that_are_not_open_and_too_many_are_refused);
	tcase_add_loop_test(tcase, test_a_run_books_all_of_its_time_in_both_levels, 0, 5);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
