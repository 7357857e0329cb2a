/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_pipeline.c - overlap in the simulator: by hand on one step, and by its bounds on whole runs
 *
 * Nothing begins before it may, and the total lies between the longer of I/O and compute, and their
 * sum. */
#include "compute.h"
#include "make_config.h"
#include "mechanism.h"
#include "run.h"
#include "sim_world.h"
#include "trace_gen.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of 16 KiB, so that a group is 32 of them; a read of one takes 20 us alone, one comes every 10 us;
 * 32 are multiplied in 320 us. */
static const struct model model = {.name = "m",
				   .family = MODEL_OPT,
				   .layer_count = 2,
				   .d_model = 4096,
				   .d_ffn = 1024,
				   .head_count = 32,
				   .kv_head_count = 32,
				   .vocab_count = 100,
				   .position_count = 64,
				   .row_align = 512};
enum { ROW_BYTES = 2 * 4096 * 2, GROUP = PIPELINE_GROUP_BYTES / ROW_BYTES };

static const struct device device = {
	.flash = {.latency_ns = 10e3,
		  .stream_bytes_per_s = ROW_BYTES / 10e-6,
		  .request_rate_per_s = 1e9,
		  .peak_bytes_per_s = ROW_BYTES / 10e-6,
		  .size_norm = 64,
		  .knee = 64},
	.dram = {.append_bytes_per_s = ROW_BYTES / 1e-6,
		 .move_bytes_per_s = ROW_BYTES / 1e-6,
		 .reading_slowdown = 1},
	.compute = {.gemv_f32_bytes_per_s = 2e9,
		    .gemv_f16_bytes_per_s = 2e9,
		    .gemv_bf16_bytes_per_s = 2e9,
		    .ffn_f32_bytes_per_s = 2e9,
		    .ffn_f16_bytes_per_s = ROW_BYTES / 10e-6,
		    .ffn_bf16_bytes_per_s = 2e9,
		    .kv_bytes_per_s = 1e9,
		    .flops_per_s = 1e15,
		    .attention_ns = 1000,
		    .ffn_ns = 3000,
		    .head_ns = 1000,
		    .reading_slowdown = 1},
};

/* One sparse step: 64 rows stay, the rows from 500 on come, one read each. */
struct sparse {
	struct plan plan;
	struct read_class class;
	uint64_t load[16], evict[16];
};

static void sparse_make(struct sparse *step, uint32_t load_count)
{
	memset(step, 0, sizeof(*step));
	for (uint32_t i = 0; i < load_count; i++)
		bits_put(step->load, 500 + i);
	step->class = (struct read_class){.bytes = ROW_BYTES, .count = load_count};
	step->plan = (struct plan){
		.demand = {.kind = STEP_FFN, .neuron_count = load_count},
		.neuron_total = 1024,
		.evict = step->evict,
		.load = step->load,
		.load_count = load_count,
		.resident_before = 64,
		.resident_count = 64 + load_count,
		.planes = {{.region = REGION_BUNDLE,
			    .slot_bytes = ROW_BYTES,
			    .piece_bytes = ROW_BYTES,
			    .end_bytes = 1024 * ROW_BYTES,
			    .slot_count = 1024,
			    .rows_per_slot = 1,
			    .row_stride = ROW_BYTES,
			    .slots = step->load}},
		.plane_count = 1,
		.classes = &step->class,
		.class_count = 1,
		.read_count = load_count,
		.read_bytes = (uint64_t)load_count * ROW_BYTES,
		.needed_bytes = (uint64_t)load_count * ROW_BYTES,
	};
}

static struct step_cost cost_on(const struct device *on, const char *yaml, enum sim_level level,
				const struct plan *plan, struct timeline *timeline)
{
	struct policy_config config = make_config(yaml);
	const struct sim_options options = {.device = on,
					    .model = &model,
					    .config = &config,
					    .ctx = 10,
					    .level = level,
					    .timeline = timeline};
	struct sim_world *sim = NULL;
	struct step_cost cost;
	uint64_t ticket, total;
	struct err err = {0};

	ck_assert(!sim_world_open(&sim, &options, &err));
	ck_assert(!world_sim.token_begin(sim, 0, &err));
	ck_assert(!world_sim.submit(sim, plan, &ticket, &err));
	ck_assert(!world_sim.compute(sim, plan, ticket, &cost, &err));
	ck_assert_msg(!world_sim.token_end(sim, &total, &err), "%s", err.msg);
	ck_assert_uint_eq(total, cost.io_wait_ns + cost.mem_ns + cost.compute_ns);
	sim_world_close(sim);
	return cost;
}

/* 80 rows come, one every 10 us from 20 us on; 64 stay and keep the threads busy for 643 us, in which
 * 63 come.  Those are one group: copied in 63 us, multiplied in 630.  By then the other 17 are there: 17 and
 * 170 us. */
START_TEST(test_one_step_by_hand)
{
	struct sparse step;
	struct step_cost cost;

	sparse_make(&step, 80);
	cost = cost_on(&device, "{overlap: pipeline, in_flight: 8}", (enum sim_level)_i, &step.plan,
		       NULL);
	ck_assert_uint_eq(cost.io_ns, 10000 + 80 * 10000);
	ck_assert_uint_eq(cost.io_wait_ns, 0);
	ck_assert_uint_eq(cost.mem_ns, 80 * 1000);
	ck_assert_uint_eq(cost.compute_ns, 3000 + 144 * 10000);
	ck_assert_uint_eq(cost.moved_bytes, 80 * ROW_BYTES);
	ck_assert_uint_eq(cost.read_bytes, 80 * ROW_BYTES);
}
END_TEST

/* Kernels of no time: whole groups of 32, and what is left, are waited for. */
START_TEST(test_groups_are_waited_for_in_order)
{
	struct device idle = device;
	struct timeline timeline;
	struct sparse step;
	struct err err = {0};
	unsigned waits = 0;

	idle.compute.ffn_f16_bytes_per_s = 1e14;
	idle.compute.ffn_ns = 0;
	sparse_make(&step, 80);
	ck_assert(!timeline_open(&timeline, 0, 1000, &err));
	cost_on(&idle, "{overlap: pipeline, in_flight: 8}", SIM_EVENTS, &step.plan, &timeline);
	for (size_t i = 0; i < timeline.count; i++) {
		static const unsigned ends[] = {32, 64, 80};

		if (timeline.spans[i].track != TRACK_WAIT)
			continue;
		ck_assert_uint_lt(waits, 3);
		ck_assert_double_eq_tol(timeline.spans[i].end_ns, 10000 + ends[waits] * 10000,
					1e-6);
		waits++;
	}
	ck_assert_uint_eq(waits, 3);
	timeline_close(&timeline);
}
END_TEST

/* Split rows are whole when both halves are there: twice the reads of half the size. */
START_TEST(test_halves_of_a_row_come_together)
{
	struct sparse step;
	struct step_cost bundle, split;

	sparse_make(&step, 80);
	bundle = cost_on(&device, "{overlap: pipeline, in_flight: 64}", SIM_RECURSION, &step.plan,
			 NULL);
	step.plan.planes[0].slot_bytes = step.plan.planes[0].piece_bytes =
		step.plan.planes[0].row_stride = ROW_BYTES / 2;
	step.plan.planes[0].end_bytes = 1024 * ROW_BYTES / 2;
	step.plan.planes[1] = step.plan.planes[0];
	step.plan.planes[0].region = REGION_UP;
	step.plan.planes[1].region = REGION_DOWN;
	step.plan.plane_count = 2;
	step.plan.read_count = step.class.count = 160;
	step.class.bytes = ROW_BYTES / 2;
	split = cost_on(&device, "{overlap: pipeline, layout: split, in_flight: 64}", SIM_RECURSION,
			&step.plan, NULL);
	/* The last half comes 5 us after what is left of a ramp that is 5 us shorter. */
	ck_assert_uint_le(split.io_ns, bundle.io_ns);
	ck_assert_double_eq_tol((double)(split.io_wait_ns + split.mem_ns + split.compute_ns),
				(double)(bundle.io_wait_ns + bundle.mem_ns + bundle.compute_ns),
				10000);
}
END_TEST

START_TEST(test_each_further_group_has_its_cost)
{
	struct device costly = device;
	struct sparse step;
	struct step_cost plain, grouped;

	sparse_make(&step, 80);
	costly.compute.group_ns = 700;
	plain = cost_on(&device, "{overlap: pipeline, in_flight: 8}", SIM_EVENTS, &step.plan, NULL);
	grouped =
		cost_on(&costly, "{overlap: pipeline, in_flight: 8}", SIM_EVENTS, &step.plan, NULL);
	/* The rows that stay, 63 rows, 17 rows: two groups beyond the first. */
	ck_assert_uint_eq(grouped.compute_ns - plain.compute_ns, 2 * 700);
}
END_TEST

/* 643 us at half speed while reads are in flight (810 us): 405 us are done by then, 238 remain. */
START_TEST(test_work_is_slower_only_while_reads_are_in_flight)
{
	struct device slow = device;
	struct sparse step;
	struct step_cost cost;

	slow.compute.reading_slowdown = 2;
	sparse_make(&step, 80);
	cost = cost_on(&slow, "{overlap: pipeline, in_flight: 8}", SIM_EVENTS, &step.plan, NULL);
	ck_assert_uint_eq(cost.io_wait_ns, 0);
	ck_assert_uint_eq(cost.compute_ns, 810000 + 238000 + 800000);
	ck_assert_uint_eq(cost.mem_ns, 80000);
}
END_TEST

/* realloc copies what stays once when rows go, and all of it again with each group of rows that come: 64
 * rows, then 63 more, then 17. */
START_TEST(test_realloc_copies_everything_with_each_group)
{
	struct sparse step;
	struct step_cost cost;

	sparse_make(&step, 80);
	cost = cost_on(&device, "{overlap: pipeline, store: realloc, in_flight: 8}", SIM_EVENTS,
		       &step.plan, NULL);
	ck_assert_uint_eq(cost.moved_bytes, (127 + 144) * ROW_BYTES);
}
END_TEST

/* ---- the store --------------------------------------------------------------------------------
 */

/* 64 rows before; some go, some come.  Direct: nothing is copied but what closes the holes that are
 * left, as many as rows of the tail are none. */
static const struct {
	const char *why;
	uint32_t evict, load;
	double moved_rows;
} fills[] = {
	{"all holes are filled", 16, 16, 0},
	{"more come than go", 8, 16, 0},
	{"none goes", 0, 16, 0},
	{"holes are left", 32, 16, 16 * 32 / 64.0},
	{"none comes", 32, 0, 32 * 32 / 64.0},
};

START_TEST(test_reads_go_straight_into_holes)
{
	struct sparse step;
	struct step_cost cost, copied;

	sparse_make(&step, fills[_i].load);
	step.plan.evict_count = fills[_i].evict;
	step.plan.resident_count -= fills[_i].evict;
	step.plan.plane_count = fills[_i].load > 0;
	cost = cost_on(&device, "{store: fill-hole}", SIM_CLOSED, &step.plan, NULL);
	ck_assert_msg(cost.moved_bytes == (uint64_t)(fills[_i].moved_rows * ROW_BYTES),
		      "%s: %llu bytes", fills[_i].why, (unsigned long long)cost.moved_bytes);
	/* Slots of two rows come by way of a buffer. */
	step.plan.planes[0].rows_per_slot = 2;
	copied = cost_on(&device, "{store: fill-hole}", SIM_CLOSED, &step.plan, NULL);
	ck_assert_uint_eq(copied.moved_bytes - cost.moved_bytes,
			  (uint64_t)fills[_i].load * ROW_BYTES);
}
END_TEST

/* ---- whole runs -------------------------------------------------------------------------------
 */

static struct trace *trace;

static void make_trace(void)
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
	static struct trace made;
	struct trace_shape *shape = NULL;
	struct err err = {0};

	ck_assert_msg(!trace_shape_fit(&shape, &activity, 2, &err), "%s", err.msg);
	ck_assert(!trace_generate(&made, shape, &model, 12, 1, &err));
	trace_shape_free(shape);
	trace = &made;
}

static void drop_trace(void)
{
	trace_fini(trace);
}

struct sums {
	double io_ns, wait_ns, mem_ns, compute_ns, total_ns;
	uint64_t read_bytes, moved_bytes;
	uint64_t first_read_bytes; /* token 0 */
	double first_total_ns;
};

static int add_books(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct sums *sums = arg;

	if (layer >= 0)
		return 0;
	if (token == 0) {
		sums->first_read_bytes = books->read_bytes;
		sums->first_total_ns = (double)books->total_ns;
	}
	ck_assert_uint_eq(books->total_ns, books->io_wait_ns + books->mem_ns + books->compute_ns);
	sums->io_ns += (double)books->io_ns;
	sums->wait_ns += (double)books->io_wait_ns;
	sums->mem_ns += (double)books->mem_ns;
	sums->compute_ns += (double)books->compute_ns;
	sums->total_ns += (double)books->total_ns;
	sums->read_bytes += books->read_bytes;
	sums->moved_bytes += books->moved_bytes;
	return 0;
}

static struct sums run_on(const struct device *on, const char *policy_yaml, const char *overlap,
			  enum sim_level level, struct timeline *timeline)
{
	char yaml[256];
	struct policy_config config;
	struct sim_options options = {
		.device = on, .model = &model, .ctx = 10, .level = level, .timeline = timeline};
	struct policy *policy = NULL;
	struct sim_world *sim = NULL;
	struct run_outcome outcome;
	struct sums sums = {0};
	struct err err = {0};

	snprintf(yaml, sizeof(yaml), "{%s, overlap: %s}", policy_yaml, overlap);
	config = make_config(yaml);
	options.config = &config;
	ck_assert_msg(!policy_open(&policy, &config, &model, trace, &err), "%s", err.msg);
	options.policy = policy;
	ck_assert_msg(!sim_world_open(&sim, &options, &err), "%s", err.msg);
	const struct run_options run_options = {.model = &model,
						.policy = policy,
						.token_count = 12,
						.ops = &world_sim,
						.world = sim,
						.book = add_books,
						.book_arg = &sums};
	ck_assert_msg(!run(&outcome, &run_options, &err), "%s", err.msg);
	policy_close(policy);
	sim_world_close(sim);
	return sums;
}

static const char *const ladder[] = {
	"demand: dense, persistence: none, residency: none, layout: split, dense_chunk: 64KiB",
	"demand: dense, persistence: fraction, residency: none, layout: bundle, dense_chunk: 64KiB",
	"demand: noisy, residency: none, layout: split",
	"demand: noisy, residency: window, window: 3, layout: bundle",
	"demand: noisy, residency: window, window: 3, layout: bundle, store: fill-hole",
	"demand: noisy, residency: window, window: 3, layout: split, chunk: 4KiB",
	"demand: noisy, residency: window, window: 3, chunk: 64KiB, compute_rows: demanded",
	"demand: noisy, residency: window, window: 3, coalesce: gap, coalesce_gap: 32KiB",
};
enum { RUNGS = sizeof(ladder) / sizeof(ladder[0]), LEVELS = 3 };

/* Every rung at every level: no less than I/O and than the rest alone, no more than both. */
START_TEST(test_the_total_lies_between_the_longest_part_and_all_of_them)
{
	const char *rung = ladder[_i % RUNGS];
	enum sim_level level = (enum sim_level)(_i / RUNGS);
	const struct sums none = run_on(&device, rung, "none", level, NULL);
	const struct sums pipeline = run_on(&device, rung, "pipeline", level, NULL);
	double work = pipeline.mem_ns + pipeline.compute_ns;

	ck_assert_uint_eq(none.read_bytes, pipeline.read_bytes);
	ck_assert_uint_eq(none.moved_bytes, pipeline.moved_bytes);
	/* A nanosecond a step is lost to rounding. */
	ck_assert_double_eq_tol(none.compute_ns, pipeline.compute_ns, 12 * 5 * 40);
	ck_assert_double_le(pipeline.total_ns, none.total_ns + 12 * 5 * 40);
	ck_assert_double_ge(pipeline.total_ns, fmax(pipeline.io_ns, work));
	if (pipeline.io_ns > 0 && work > 0)
		ck_assert_double_lt(pipeline.total_ns, none.total_ns);
}
END_TEST

static struct device free_work(void)
{
	struct device d = device;

	d.compute.attention_ns = d.compute.ffn_ns = d.compute.head_ns = 0;
	d.compute.gemv_f16_bytes_per_s = d.compute.ffn_f16_bytes_per_s = 1e30;
	d.compute.kv_bytes_per_s = d.compute.flops_per_s = 1e30;
	d.dram.append_bytes_per_s = d.dram.move_bytes_per_s = 1e30;
	return d;
}

START_TEST(test_without_work_a_pipeline_is_its_reads)
{
	const struct device idle = free_work();
	const struct sums sums =
		run_on(&idle, ladder[_i % RUNGS], "pipeline", (enum sim_level)(_i / RUNGS), NULL);

	ck_assert_double_eq_tol(sums.total_ns, sums.io_ns, 12 * 5);
	ck_assert_double_eq_tol(sums.wait_ns, sums.io_ns, 12 * 5);
}
END_TEST

START_TEST(test_without_reads_a_pipeline_is_its_work)
{
	struct device fast = device;
	struct sums none, pipeline;

	fast.flash.latency_ns = 0;
	fast.flash.stream_bytes_per_s = fast.flash.request_rate_per_s =
		fast.flash.peak_bytes_per_s = 1e30;
	none = run_on(&fast, ladder[_i % RUNGS], "none", (enum sim_level)(_i / RUNGS), NULL);
	pipeline =
		run_on(&fast, ladder[_i % RUNGS], "pipeline", (enum sim_level)(_i / RUNGS), NULL);
	ck_assert_double_eq_tol(pipeline.total_ns, none.mem_ns + none.compute_ns, 12 * 5 * 40);
	ck_assert_double_le(pipeline.wait_ns, 12 * 5);
}
END_TEST

/* ---- causality --------------------------------------------------------------------------------
 */

/* When the compute of each layer's step of a kind ended. */
static void ends_of(double ends[2], const struct timeline *timeline, const char *kind)
{
	ends[0] = ends[1] = 0;
	for (size_t i = 0; i < timeline->count; i++) {
		const struct timeline_span *span = &timeline->spans[i];

		if (span->track == TRACK_COMPUTE && strcmp(span->name, kind) == 0)
			ends[span->layer] = fmax(ends[span->layer], span->end_ns);
	}
}

/* Reads of a step that begin at 'least_ns' or later, and all of them. */
static void check_begins(const struct timeline *timeline, const char *kind, uint32_t layer,
			 double least_ns)
{
	for (size_t i = 0; i < timeline->count; i++) {
		const struct timeline_span *span = &timeline->spans[i];

		if (span->track == TRACK_FLASH && span->layer == layer &&
		    strcmp(span->name, kind) == 0 && span->begin_ns < least_ns)
			ck_abort_msg("layer %u %s: a read at %g ns, expected none before %g", layer,
				     kind, span->begin_ns, least_ns);
	}
}

/* No read of an FFN step begins before its layer's attention has been computed, and no read of an
 * attention step before the FFN before it: at every level, for every rung, overlapped or not. */
START_TEST(test_no_read_begins_before_its_attention_ended)
{
	static const char *const overlaps[] = {"none", "pipeline"};
	double attention[2], ffn[2];
	struct timeline timeline;
	struct err err = {0};

	ck_assert(!timeline_open(&timeline, 7, TIMELINE_ROOM, &err));
	run_on(&device, ladder[_i % RUNGS], overlaps[_i / RUNGS % 2],
	       (enum sim_level)(_i / RUNGS / 2), &timeline);
	ck_assert_uint_gt(timeline.count, 10);
	ck_assert_uint_eq(timeline.dropped_count, 0);
	ends_of(attention, &timeline, "attention");
	ends_of(ffn, &timeline, "ffn");
	ck_assert(0 < attention[0] && attention[0] < ffn[0] && ffn[0] < attention[1] &&
		  attention[1] < ffn[1]);
	check_begins(&timeline, "ffn", 0, attention[0]);
	check_begins(&timeline, "attention", 1, ffn[0]);
	check_begins(&timeline, "ffn", 1, attention[1]);
	check_begins(&timeline, "head", 2, ffn[1]);
	timeline_close(&timeline);
}
END_TEST

/* What the spans say is what was booked: tracks of one thread add up to the token, and reads carry its
 * bytes. */
START_TEST(test_spans_add_up_to_the_books)
{
	enum sim_level level = (enum sim_level)(_i / RUNGS);
	double passed = 0, end = 0;
	struct timeline timeline;
	struct err err = {0};
	uint64_t bytes = 0;
	struct sums sums;

	ck_assert(!timeline_open(&timeline, 0, TIMELINE_ROOM, &err));
	sums = run_on(&device, ladder[_i % RUNGS], "pipeline", level, &timeline);
	for (size_t i = 0; i < timeline.count; i++) {
		const struct timeline_span *span = &timeline.spans[i];

		end = fmax(end, span->end_ns);
		if (span->track == TRACK_FLASH)
			bytes += span->bytes;
		else
			passed += span->end_ns - span->begin_ns;
	}
	ck_assert_uint_eq(bytes, sums.first_read_bytes);
	ck_assert_double_eq_tol(passed, end, 1e-6 * end);
	ck_assert_double_eq_tol(end, sums.first_total_ns, 2);
	timeline_close(&timeline);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pipeline");
	TCase *tcase = tcase_create("a step"), *runs = tcase_create("runs");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, test_one_step_by_hand, 0, LEVELS);
	tcase_add_test(tcase, test_groups_are_waited_for_in_order);
	tcase_add_test(tcase, test_halves_of_a_row_come_together);
	tcase_add_test(tcase, test_each_further_group_has_its_cost);
	tcase_add_test(tcase, test_realloc_copies_everything_with_each_group);
	tcase_add_test(tcase, test_work_is_slower_only_while_reads_are_in_flight);
	tcase_add_loop_test(tcase, test_reads_go_straight_into_holes, 0,
			    (int)(sizeof(fills) / sizeof(fills[0])));
	suite_add_tcase(suite, runs);
	tcase_add_unchecked_fixture(runs, make_trace, drop_trace);
	tcase_add_loop_test(runs, test_the_total_lies_between_the_longest_part_and_all_of_them, 0,
			    RUNGS * LEVELS);
	tcase_add_loop_test(runs, test_without_work_a_pipeline_is_its_reads, 0, RUNGS * LEVELS);
	tcase_add_loop_test(runs, test_without_reads_a_pipeline_is_its_work, 0, RUNGS * LEVELS);
	tcase_add_loop_test(runs, test_no_read_begins_before_its_attention_ended, 0,
			    RUNGS * LEVELS * 2);
	tcase_add_loop_test(runs, test_spans_add_up_to_the_books, 0, RUNGS * LEVELS);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
