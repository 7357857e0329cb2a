/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_twin.c - the keystone: one trace makes the same decisions, reads and bytes in sim and in
 * real
 *
 * For every rung of the paper's ladder, layout, chunk, store and weight type: same decision digest,
 * same reads and bytes (real's counted at their completions), same loads; after each token every
 * layer's store is held against the plan's resident set and the file, and the FFN's output against
 * one made from the plain weights.  Then a fault of each kind is planted, to show that each is
 * caught. */
#include "sim_world.h"
#include "worlds.h"

/* The models, made once: opt, falcon and wide in both types. */
enum { MODELS = 3 };
static char dirs[MODELS * 2][TINY_PATH];

/* Rows of 4,224 and 8,448 bytes, padded to 4,608 and 8,704: chunks cut them in pieces. */
static struct model wide_model(void)
{
	struct model m = tiny_model(MODEL_FALCON);

	m.d_model = 1056;
	m.head_count = 33;
	m.d_ffn = 64;
	return m;
}

static struct model model_of(int which)
{
	return which == 0   ? tiny_model(MODEL_OPT)
	       : which == 1 ? tiny_model(MODEL_FALCON)
			    : wide_model();
}

static void make_models(void)
{
	for (int i = 0; i < MODELS * 2; i++) {
		struct model m = model_of(i / 2);

		dir_make(dirs[i]);
		tiny_synth(dirs[i], &m, i % 2 ? WEIGHT_F32 : WEIGHT_F16);
	}
}

static void remove_models(void)
{
	for (int i = 0; i < MODELS * 2; i++)
		dir_remove(dirs[i]);
}

/* 10 us and 1 GB/s: times are not looked at here. */
static const struct device device = {
	.flash = {.latency_ns = 10e3,
		  .stream_bytes_per_s = 1e9,
		  .request_rate_per_s = 100e3,
		  .peak_bytes_per_s = 2e9,
		  .size_norm = 2,
		  .knee = 4},
	.dram = {.append_bytes_per_s = 1e9, .move_bytes_per_s = 1e9},
	.compute = {.gemv_f32_bytes_per_s = 1e9,
		    .gemv_f16_bytes_per_s = 1e9,
		    .gemv_bf16_bytes_per_s = 1e9,
		    .ffn_f32_bytes_per_s = 1e9,
		    .ffn_f16_bytes_per_s = 1e9,
		    .ffn_bf16_bytes_per_s = 1e9,
		    .kv_bytes_per_s = 1e9,
		    .flops_per_s = 1e12},
};

static const char *const rungs[] = {
	"demand: dense, persistence: none, residency: none",
	"demand: dense, persistence: fraction, persist_frac: 0.5, residency: none",
	"demand: dense, persistence: fraction, persist_frac: 0.83, residency: none",
	"demand: noisy, persistence: attention, residency: none",
	"demand: noisy, persistence: attention, residency: window, window: 1",
	"demand: noisy, persistence: attention, residency: window, window: 4",
	("demand: oracle, persistence: attention, residency: window, window: 3, "
	 "compute_rows: demanded"),
	"demand: trace, persistence: fraction, persist_frac: 0.3, residency: window, window: 2",
	"demand: oracle, persistence: none, residency: window, window: 5, cap_frac: 0.4",
};
static const char *const chunks[] = {"row", "4KiB", "16KiB"};
static const char *const layouts[] = {"split", "bundle"};
static const char *const mechanisms[] = {
	"store: compact",
	"store: realloc",
	"store: fill-hole",
	"store: compact, overlap: pipeline",
	"store: fill-hole, overlap: pipeline",
};
static const char *const weights[] = {"f16", "f32"};
enum { RUNGS = 9, CHUNKS = 3, LAYOUTS = 2, MECHANISMS = 5, WEIGHTS = 2 };

struct combination {
	int rung, chunk, layout, mechanism, weights;
};

/* As YAML.  Dense pieces are small, so that a region takes several. */
static void policy_text(char *text, size_t size, const struct combination *c,
			const char *dense_chunk)
{
	snprintf(text, size,
		 "{%s, layout: %s, %s, weights: %s, chunk: %s, dense_chunk: %s, in_flight: 4}",
		 rungs[c->rung], layouts[c->layout], mechanisms[c->mechanism], weights[c->weights],
		 chunks[c->chunk], dense_chunk);
}

/* The same trace and policy through the simulator. */
static void run_sim(struct bench *b, struct run_outcome *outcome, struct books *sums)
{
	const struct sim_options options = {
		.device = &device,
		.model = &b->model,
		.config = &b->config,
		.policy = b->policy,
		.ctx = WORLD_CTX,
	};
	struct run_options run_sim = b->run;
	struct err err = {0};
	struct sim_world *sim;

	memset(sums, 0, sizeof(*sums));
	ck_ok(sim_world_open(&sim, &options, &err));
	run_sim.ops = &world_sim;
	run_sim.world = sim;
	run_sim.book_arg = sums;
	ck_ok(run(outcome, &run_sim, &err));
	sim_world_close(sim);
}

/* Of model 'which'; its files by the weight type that the policy says. */
static struct bench_options options_of(int which, const char *policy)
{
	return (struct bench_options){
		.model = model_of(which),
		.policy = policy,
		.dir = dirs[2 * which + (strstr(policy, "weights: f32") != NULL)],
	};
}

static void check_twins(const struct bench_options *o)
{
	struct run_outcome real, sim;
	struct err err = {0};
	struct books sums;
	struct bench b;

	bench_open(&b, o);
	ck_assert_msg(run(&real, &b.run, &err) == 0, "%s: %s", o->policy, err.msg);
	ck_assert_uint_eq(b.verified, b.run.token_count * WORLD_LAYERS);
	run_sim(&b, &sim, &sums);
	ck_assert_str_eq(real.decision_hash, sim.decision_hash);
	ck_assert_uint_eq(b.sums.read_count, sums.read_count);
	ck_assert_uint_eq(b.sums.read_bytes, sums.read_bytes);
	ck_assert_uint_eq(b.sums.load_neurons, sums.load_neurons);
	ck_assert_uint_eq(b.sums.resident_neurons, sums.resident_neurons);
	ck_assert_uint_eq(b.sums.dropped_bytes, sums.dropped_bytes);
	ck_assert_uint_gt(b.sums.read_count, 0);
	if (real_world_reconcile(b.real, &err))
		ck_assert_msg(err.code == ENOTSUP, "%s: %s", o->policy, err.msg);
	bench_close(&b);
}

/* All mechanisms in one test: a process each would cost more than the work. */
START_TEST(every_policy_is_the_same_in_both_worlds)
{
	for (int i = 0; i < MECHANISMS; i++) {
		struct combination c = {
			.rung = _i / LAYOUTS / CHUNKS,
			.chunk = _i / LAYOUTS % CHUNKS,
			.layout = _i % LAYOUTS,
			.mechanism = i,
			.weights = (_i / LAYOUTS + i) % WEIGHTS,
		};
		struct bench_options o;
		char text[512];

		policy_text(text, sizeof(text), &c, "12KiB");
		o = options_of((_i + i) % 3 == 0, text);
		o.tile_bytes = (_i + i) % 5 ? 0 : 24576; /* some in many tiles */
		o.group_bytes = (_i + i) % 7 ? 3000 : 0; /* most in many groups */
		check_twins(&o);
	}
}
END_TEST

START_TEST(rows_read_in_pieces_and_with_padding_are_whole)
{
	for (int i = 0; i < LAYOUTS * WEIGHTS * 2; i++) {
		struct combination c = {
			.rung = _i,
			.chunk = i / LAYOUTS / WEIGHTS,
			.layout = i % LAYOUTS,
			.mechanism = (_i + i) % MECHANISMS,
			.weights = i / LAYOUTS % WEIGHTS,
		};
		struct bench_options o;
		char text[512];

		policy_text(text, sizeof(text), &c, "64KiB");
		o = options_of(2, text);
		o.token_count = 4;
		o.tile_bytes = 70000; /* rows are cut by tiles, too */
		o.group_bytes = 20000;
		check_twins(&o);
	}
}
END_TEST

/* Reads of several slots, with gaps between them; of one row a slot and of several, in one tile and in
 * many, of padded rows too. */
static const struct {
	int model;
	const char *reads;
	uint64_t tile_bytes;
} joined[] = {
	{0, "layout: bundle, coalesce_gap: none", 0},
	{0, "layout: split, coalesce_gap: none", 0},
	{0, "layout: bundle, coalesce_gap: 4KiB", 0},
	{0, "layout: split, coalesce_gap: 4KiB", 24576},
	{1, "layout: bundle, coalesce_gap: 2KiB, coalesce_most: 8KiB", 0},
	{1, "layout: split, coalesce_gap: 2KiB, coalesce_most: 5KiB", 24576},
	{0, "layout: bundle, coalesce_gap: 64KiB, coalesce_most: 16KiB", 24576},
	{0, "layout: split, chunk: 4KiB, coalesce_gap: 8KiB, coalesce_most: 24KiB", 0},
	{0, "layout: bundle, chunk: 16KiB, coalesce_gap: 16KiB, coalesce_most: 64KiB", 24576},
	{1, "layout: split, chunk: 16KiB, coalesce_gap: none", 0},
	{2, "layout: bundle, coalesce_gap: 16KiB, coalesce_most: 64KiB", 70000},
	{2, "layout: split, chunk: 4KiB, coalesce_gap: 8KiB, coalesce_most: 40KiB", 70000},
	{2, "layout: bundle, chunk: 32KiB, coalesce_gap: 32KiB, weights: f32", 0},
	{0, "layout: split, coalesce_gap: 16MiB, coalesce_most: 16MiB, weights: f32", 0},
};

START_TEST(reads_of_several_slots_and_gaps_are_the_same_in_both_worlds)
{
	static const char *const demands[] = {
		"demand: noisy, residency: none",
		"demand: noisy, residency: window, window: 3",
		"demand: oracle, persistence: none, residency: window, window: 2, store: realloc",
		"demand: noisy, residency: window, window: 2, overlap: pipeline",
		("demand: noisy, residency: window, window: 4, store: fill-hole, "
		 "overlap: pipeline"),
	};

	/* Two of them for each case, so that each meets every kind of case. */
	for (int i = 0; i < 2; i++) {
		struct bench_options o;
		char text[512];

		snprintf(text, sizeof(text), "{%s, coalesce: gap, %s, in_flight: 4}",
			 demands[(_i + 2 * i) % 5], joined[_i].reads);
		o = options_of(joined[_i].model, text);
		o.token_count = 6;
		o.tile_bytes = joined[_i].tile_bytes;
		o.group_bytes = 3000;
		check_twins(&o);
	}
}
END_TEST

/* Whoever adds a member need not name it here. */
START_TEST(every_registered_residency_is_the_same_in_both_worlds)
{
	for (const struct param_word *word = residency_words; word->text; word++)
		for (int i = 0; i < LAYOUTS * MECHANISMS; i++) {
			struct bench_options o;
			char text[512];

			snprintf(text, sizeof(text),
				 "{demand: %s, residency: %s, layout: %s, %s, in_flight: 4}",
				 i % 3 ? "noisy" : "trace", word->text, layouts[i % LAYOUTS],
				 mechanisms[i / LAYOUTS]);
			o = options_of(i % 2, text);
			o.token_count = 6;
			check_twins(&o);
		}
}
END_TEST

/* Rows of both layouts, whose halves or strides are padded. */
START_TEST(rows_that_land_are_not_copied)
{
	struct combination c = {.rung = 3, .layout = _i, .mechanism = 2};
	struct run_outcome outcome;
	struct bench_options o;
	struct err err = {0};
	char text[512];
	struct bench b;

	policy_text(text, sizeof(text), &c, "64KiB");
	o = options_of(2, text);
	bench_open(&b, &o);
	ck_assert_msg(run(&outcome, &b.run, &err) == 0, "%s", err.msg);
	ck_assert_uint_gt(b.sums.load_neurons, 0);
	/* What still moves closes holes, where a token asks for fewer rows than the one before. */
	ck_assert_uint_lt(3 * b.sums.moved_bytes,
			  b.sums.load_neurons *
				  model_row_bytes(&b.model, WEIGHT_F16, REGION_BUNDLE));
	bench_close(&b);
}
END_TEST

static const struct real_target emulated = {
	.name = "test",
	.is_emulated = true,
	.emulated = {.units = 8,
		     .unit_ns = 20e3,
		     .unit_bytes_per_s = 1e9,
		     .stripe_bytes = 65536,
		     .bus_bytes_per_s = 2e9,
		     .request_rate_per_s = 1e6},
};

START_TEST(an_emulated_device_is_a_twin_too)
{
	struct bench_options o;
	char text[512];

	for (int i = 0; i < MECHANISMS; i++) {
		const struct combination c = {
			.rung = _i, .layout = (_i + i) % LAYOUTS, .mechanism = i};

		policy_text(text, sizeof(text), &c, "12KiB");
		o = options_of(0, text);
		o.target = &emulated;
		o.group_bytes = 3000;
		check_twins(&o);
	}
}
END_TEST

/* The last rung of the ladder, damaged in one way. */
static struct bench_options damaged(void)
{
	return options_of(0, "{demand: noisy, persistence: attention, residency: window, "
			     "window: 3, layout: bundle}");
}

static void damage_row(struct bench *b, const struct plan *plan, struct step_cost *cost)
{
	(void)cost;
	if (plan->demand.kind == STEP_FFN && plan->demand.layer == 1 && plan->demand.token == 2)
		real_world_tamper_row(b->real, 1);
}

static void damage_set(struct bench *b, const struct plan *plan, struct step_cost *cost)
{
	(void)cost;
	if (plan->demand.kind == STEP_FFN && plan->demand.layer == 0 && plan->demand.token == 3)
		b->resident[0][1] ^= 1;
}

static void damage_bytes(struct bench *b, const struct plan *plan, struct step_cost *cost)
{
	(void)b;
	cost->read_bytes += plan->demand.token == 4 && plan->demand.kind == STEP_FFN ? 512 : 0;
}

static void damage_count(struct bench *b, const struct plan *plan, struct step_cost *cost)
{
	(void)b;
	cost->read_count -= plan->demand.token == 4 && plan->read_count > 0 ? 1 : 0;
}

static const struct {
	const char *why;
	void (*meddle)(struct bench *bench, const struct plan *plan, struct step_cost *cost);
	const char *says;
} faults[] = {
	{"a row of the store is wrong", damage_row, "layer 1 row 0 neuron"},
	{"a row is there that should not be, or not", damage_set, "layer 0"},
	{"a byte count is wrong", damage_bytes, "expected"},
	{"a read is not counted", damage_count, "reads of"},
};

START_TEST(a_planted_fault_is_caught)
{
	const struct bench_options o = damaged();
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	bench_open(&b, &o);
	b.meddle = faults[_i].meddle;
	ck_assert_msg(run(&outcome, &b.run, &err) == EPROTO, "%s: code %d: %s", faults[_i].why,
		      err.code, err.msg);
	ck_assert_msg(strstr(err.msg, faults[_i].says) != NULL, "%s: said '%s'", faults[_i].why,
		      err.msg);
	bench_close(&b);
}
END_TEST

/* A plan that keeps every rule of sets and brings a neighbour's row instead of a loaded one. */
static void wrong_slot(void *arg, struct plan *plan)
{
	(void)arg;
	if (plan->plane_count == 0 || plan->demand.token != 1)
		return;
	BITS_EACH (plan->planes[0].slots, plan->planes[0].slot_count, slot) {
		if (slot + 1 == plan->planes[0].slot_count ||
		    bits_get(plan->planes[0].slots, (uint32_t)slot + 1))
			continue;
		bits_drop(plan->slots[0], (uint32_t)slot);
		bits_put(plan->slots[0], (uint32_t)slot + 1);
		return;
	}
}

static void evict_demanded(void *arg, struct plan *plan)
{
	(void)arg;
	if (plan->demand.kind != STEP_FFN || plan->demand.token != 2)
		return;
	BITS_EACH (plan->demand.neurons, plan->neuron_total, neuron)
		if (!bits_get(plan->load, (uint32_t)neuron)) {
			bits_put(plan->evict, (uint32_t)neuron);
			plan->evict_count++;
			plan->resident_count--;
			return;
		}
}

static void one_read_less(void *arg, struct plan *plan)
{
	(void)arg;
	if (plan->demand.token == 2 && plan->read_count > 0)
		plan->read_count--;
}

static const struct {
	const char *why;
	void (*tamper)(void *arg, struct plan *plan);
} wrong_plans[] = {
	{"a load is not covered by a read", wrong_slot},
	{"a demanded neuron is evicted", evict_demanded},
	{"the sums do not fit the reads", one_read_less},
};

START_TEST(a_wrong_plan_is_caught_before_it_is_executed)
{
	const struct bench_options o = damaged();
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	bench_open(&b, &o);
	b.run.tamper = wrong_plans[_i].tamper;
	ck_assert_msg(run(&outcome, &b.run, &err) == EPROTO, "%s: code %d: %s", wrong_plans[_i].why,
		      err.code, err.msg);
	bench_close(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("twin");
	TCase *tcase = tcase_create("twin");

	if (!host_has_direct_io())
		return 77;
	tcase_add_unchecked_fixture(tcase, make_models, remove_models);
	tcase_add_loop_test(tcase, every_policy_is_the_same_in_both_worlds, 0,
			    RUNGS * CHUNKS * LAYOUTS);
	tcase_add_loop_test(tcase, rows_read_in_pieces_and_with_padding_are_whole, 0, RUNGS);
	tcase_add_test(tcase, every_registered_residency_is_the_same_in_both_worlds);
	tcase_add_loop_test(tcase, reads_of_several_slots_and_gaps_are_the_same_in_both_worlds, 0,
			    sizeof(joined) / sizeof(joined[0]));
	tcase_add_loop_test(tcase, rows_that_land_are_not_copied, 0, LAYOUTS);
	tcase_add_loop_test(tcase, an_emulated_device_is_a_twin_too, 0, RUNGS);
	tcase_add_loop_test(tcase, a_planted_fault_is_caught, 0,
			    sizeof(faults) / sizeof(faults[0]));
	tcase_add_loop_test(tcase, a_wrong_plan_is_caught_before_it_is_executed, 0,
			    sizeof(wrong_plans) / sizeof(wrong_plans[0]));
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
