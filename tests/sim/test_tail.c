/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_tail.c - hazard: a tail that moves means, or is not there */
#include "make_config.h"
#include "order.h"
#include "run.h"
#include "sim_world.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 20000 };

static const struct model model = {.name = "m",
				   .family = MODEL_OPT,
				   .layer_count = 4,
				   .d_model = 1024,
				   .d_ffn = 512,
				   .head_count = 2,
				   .kv_head_count = 2,
				   .vocab_count = 100,
				   .position_count = 64,
				   .row_align = 512};

/* 100 us a read, 100 k reads/s; attention and FFN of some tens of microseconds. */
static struct device quiet_device(void)
{
	return (struct device){
		.flash = {.latency_ns = 100e3,
			  .stream_bytes_per_s = 1e9,
			  .request_rate_per_s = 100e3,
			  .peak_bytes_per_s = 2e9,
			  .size_norm = 2,
			  .knee = 4},
		.dram = {.append_bytes_per_s = 1e9, .move_bytes_per_s = 1e9, .reading_slowdown = 1},
		.compute = {.gemv_f32_bytes_per_s = 1e11,
			    .gemv_f16_bytes_per_s = 1e11,
			    .gemv_bf16_bytes_per_s = 1e11,
			    .ffn_f32_bytes_per_s = 1e11,
			    .ffn_f16_bytes_per_s = 1e11,
			    .ffn_bf16_bytes_per_s = 1e11,
			    .kv_bytes_per_s = 1e11,
			    .flops_per_s = 1e14,
			    .reading_slowdown = 1},
	};
}

/* One token that reads everything; 'extra_ns' gets a copy of its draws. */
static uint64_t token_of(const struct device *device, const char *yaml, uint64_t seed,
			 double *extra_ns, unsigned *count)
{
	struct run_options run_options = {.model = &model, .token_count = 1, .ops = &world_sim};
	struct policy_config config = make_config(yaml);
	struct sim_options options = {.device = device,
				      .model = &model,
				      .config = &config,
				      .ctx = 10,
				      .seed = seed,
				      .tail_draws = DRAWS};
	struct run_outcome outcome;
	struct policy *policy;
	struct sim_world *sim;
	struct err err = {0};
	struct run *run;
	const double *draws;
	uint64_t total_ns;

	ck_assert_msg(!policy_open(&policy, &config, &model, NULL, &err), "%s", err.msg);
	ck_assert(!sim_world_open(&sim, &options, &err));
	run_options.policy = policy;
	run_options.world = sim;
	ck_assert(!run_open(&run, &outcome, &run_options, &err));
	ck_assert_msg(!run_token(run, 0, &err), "%s", err.msg);
	draws = sim_world_tail(sim, count);
	for (unsigned i = 0; i < *count; i++)
		extra_ns[i] = draws[i];
	ck_assert(!world_sim.token_end(sim, &total_ns, &err));
	run_close(run);
	sim_world_close(sim);
	policy_close(policy);
	return total_ns;
}

static const char *const naive =
	"{demand: dense, persistence: none, residency: none, dense_chunk: 64KiB}";
static const char *const hidden = "{demand: dense, persistence: fraction, persist_frac: 0.99, "
				  "residency: none, overlap: pipeline, dense_chunk: 4KiB}";

static double mean_of(const double *values, unsigned count)
{
	double sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += values[i];
	return sum / count;
}

static const struct {
	const char *why;
	double stall_frac, stall_ns, batch_spread_ns, spread_frac, hiccup_rate_per_s, hiccup_ns;
} tails[] = {
	{"reads stall", 0.001, 500e3, 0, 0, 0, 0},
	{"batches scatter", 0, 0, 50e3, 0, 0, 0},
	{"arithmetic scatters", 0, 0, 0, 0.1, 0, 0},
	{"arithmetic is held up", 0, 0, 0, 0, 1000, 3e6},
};

START_TEST(a_tail_widens_a_token_and_leaves_its_mean)
{
	struct device device = quiet_device();
	double *extra_ns = malloc(DRAWS * sizeof(*extra_ns)), mean, sd = 0;
	unsigned count;
	uint64_t alone = token_of(&device, naive, 1, extra_ns, &count), total;

	ck_assert_uint_eq(count, 0);
	device.flash.stall_frac = tails[_i].stall_frac;
	device.flash.stall_ns = tails[_i].stall_ns;
	device.flash.batch_spread_ns = tails[_i].batch_spread_ns;
	device.compute.spread_frac = tails[_i].spread_frac;
	device.compute.hiccup_rate_per_s = tails[_i].hiccup_rate_per_s;
	device.compute.hiccup_ns = tails[_i].hiccup_ns;
	total = token_of(&device, naive, 1, extra_ns, &count);
	ck_assert_msg(total == alone, "%s: the clock went with the draws", tails[_i].why);
	ck_assert_uint_eq(count, DRAWS);
	mean = mean_of(extra_ns, count);
	for (unsigned i = 0; i < count; i++)
		sd += (extra_ns[i] - mean) * (extra_ns[i] - mean) / count;
	sd = sqrt(sd);
	ck_assert_msg(sd > 0 && fabs(mean) < 5 * sd / sqrt(DRAWS), "%s: mean %g ns, sd %g ns",
		      tails[_i].why, mean, sd);
	order_sort(extra_ns, count);
	ck_assert_msg(order_quantile(extra_ns, count, 0.99) > sd, "%s", tails[_i].why);
	free(extra_ns);
}
END_TEST

START_TEST(draws_come_from_the_seed)
{
	struct device device = quiet_device();
	double *first = malloc(DRAWS * sizeof(*first)), *again = malloc(DRAWS * sizeof(*again));
	unsigned count;

	device.flash.stall_frac = 0.01;
	device.flash.stall_ns = 1e6;
	token_of(&device, naive, 1, first, &count);
	token_of(&device, naive, 1, again, &count);
	ck_assert_mem_eq(first, again, count * sizeof(*first));
	token_of(&device, naive, 2, again, &count);
	ck_assert_mem_ne(first, again, count * sizeof(*first));
	free(first);
	free(again);
}
END_TEST

START_TEST(a_stall_that_other_work_hides_costs_nothing)
{
	struct device device = quiet_device();
	double *extra_ns = malloc(DRAWS * sizeof(*extra_ns));
	unsigned count;

	/* A hundredth is read, in well under a millisecond; the rest takes seconds to multiply. */
	device.compute.gemv_f16_bytes_per_s = device.compute.ffn_f16_bytes_per_s = 1e6;
	device.flash.stall_frac = 0.1;
	device.flash.stall_ns = 100e3;
	token_of(&device, hidden, 1, extra_ns, &count);
	ck_assert_uint_eq(count, DRAWS);
	for (unsigned i = 0; i < count; i++)
		ck_assert_double_eq(extra_ns[i], 0);
	free(extra_ns);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tail");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, a_tail_widens_a_token_and_leaves_its_mean, 0,
			    sizeof(tails) / sizeof(tails[0]));
	tcase_add_test(tcase, draws_come_from_the_seed);
	tcase_add_test(tcase, a_stall_that_other_work_hides_costs_nothing);
	tcase_set_timeout(tcase, 30);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
