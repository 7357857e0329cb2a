/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_run.c - the run loop keeps its books, and lets no wrong plan and no wrong byte through */
#include "policy_fixture.h"
#include "reads.h"
#include "rng.h"
#include "sets.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

enum { NEURONS = 256, TOKENS = 12, STEPS = TOKENS * 5 }; /* 2 layers of 2 steps, and the head */

static const char *const yamls[] = {
	"{demand: dense, persistence: none, residency: none, layout: split}",
	"{demand: dense, persistence: fraction, residency: none, layout: split}",
	"{demand: noisy, residency: none, layout: split}",
	"{demand: noisy, window: 5, layout: split}",
	"{demand: noisy, window: 5, layout: bundle}",
	"{demand: oracle, window: 3, layout: bundle, chunk: 48KiB, cap_frac: 0.4}",
	"{demand: trace, window: 2, layout: split, chunk: 4KiB, persistence: fraction}",
	"{demand: trace, residency: none, chunk: 1MiB, persistence: none}",
};

/* A world that is right, but for what 'lie' makes of one step's completion; and the books, kept
 * apart. */
struct liar {
	uint64_t step, lie_at;
	void (*lie)(struct step_cost *cost);
	int submit_rc;
	struct books sum; /* of what it was told to execute */
	uint32_t tokens_begun, tokens_ended, booked_tokens, booked_layers;
	struct books layers; /* sum of the layers' books of this token */
	bool order_ok;
	uint64_t open_ticket;
	struct demand computed; /* the last step whose compute() has returned */
};

static int liar_begin(void *world, uint32_t token, struct err *err)
{
	struct liar *liar = world;

	(void)err;
	liar->order_ok &= token == liar->tokens_begun && liar->tokens_begun == liar->tokens_ended;
	liar->tokens_begun++;
	return 0;
}

/* Causality: an FFN's demand is released when its layer's attention has finished, attention when
 * the layer before has, the head when all have. No read may be submitted earlier. */
static bool is_released(const struct liar *liar, const struct demand *demand)
{
	const struct demand *before = &liar->computed;

	if (demand->kind == STEP_FFN)
		return before->kind == STEP_ATTENTION && before->layer == demand->layer &&
		       before->token == demand->token;
	if (demand->kind == STEP_HEAD || demand->layer > 0)
		return before->kind == STEP_FFN && before->layer + 1 == demand->layer &&
		       before->token == demand->token;
	return liar->step == 0 || (before->kind == STEP_HEAD && before->token + 1 == demand->token);
}

static int liar_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	struct liar *liar = world;

	liar->order_ok &= is_released(liar, &plan->demand);
	if (liar->submit_rc && liar->step == liar->lie_at)
		return err_set(err, liar->submit_rc, "flash is gone");
	*ticket = liar->open_ticket = 1000 + liar->step;
	return 0;
}

static int liar_compute(void *world, const struct plan *plan, uint64_t ticket,
			struct step_cost *cost, struct err *err)
{
	struct liar *liar = world;
	struct plan_reads it;
	struct flash_read read;

	(void)err;
	liar->order_ok &= ticket == liar->open_ticket;
	*cost = (struct step_cost){
		.io_ns = 100, .io_wait_ns = 70, .mem_ns = 20, .compute_ns = 3, .moved_bytes = 8};
	plan_reads_init(&it, plan);
	while (plan_reads_next(&it, &read)) {
		cost->read_count++;
		cost->read_bytes += read.bytes;
	}
	if (plan->demand.kind == STEP_FFN)
		ck_assert_uint_eq(bits_count(plan->resident, NEURONS), plan->resident_count);
	/* The demand is resident at compute. */
	for (size_t w = 0; plan->demand.neurons && w < NEURONS / 64; w++)
		ck_assert_uint_eq(plan->demand.neurons[w] & ~plan->resident[w], 0);
	liar->sum.read_count += cost->read_count;
	liar->sum.read_bytes += cost->read_bytes;
	liar->sum.dropped_bytes += plan->read_bytes - plan->needed_bytes;
	liar->sum.load_neurons += plan->load_count + plan->stream_count;
	liar->sum.demand_neurons += plan->demand.neuron_count;
	liar->sum.resident_neurons += plan->resident_count;
	if (liar->lie && liar->step == liar->lie_at)
		liar->lie(cost);
	liar->step++;
	liar->computed = plan->demand;
	return 0;
}

static int liar_end(void *world, uint64_t *total_ns, struct err *err)
{
	struct liar *liar = world;

	(void)err;
	liar->tokens_ended++;
	*total_ns = 1234;
	return 0;
}

static const struct world_ops liar_world = {
	.name = "liar",
	.token_begin = liar_begin,
	.submit = liar_submit,
	.compute = liar_compute,
	.token_end = liar_end,
};

static int book(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct liar *liar = arg;

	if (layer >= 0) {
		ck_assert_int_eq(layer, (int32_t)(liar->booked_layers++ % 3));
		ck_assert_uint_eq(books->total_ns, layer < 2 ? 2 * 93 : 93);
		liar->layers.read_bytes += books->read_bytes;
		liar->layers.load_neurons += books->load_neurons;
		liar->layers.io_ns += books->io_ns;
		return 0;
	}
	ck_assert_uint_eq(token, liar->booked_tokens++);
	ck_assert_uint_eq(books->total_ns, 1234); /* the world's clock */
	ck_assert_uint_eq(books->io_ns, 5 * 100);
	ck_assert_uint_eq(books->io_wait_ns, 5 * 70);
	ck_assert_uint_eq(books->mem_ns, 5 * 20);
	ck_assert_uint_eq(books->compute_ns, 5 * 3);
	ck_assert_uint_eq(books->moved_bytes, 5 * 8);
	ck_assert_uint_eq(books->read_bytes, liar->sum.read_bytes);
	ck_assert_uint_eq(books->read_count, liar->sum.read_count);
	ck_assert_uint_eq(books->dropped_bytes, liar->sum.dropped_bytes);
	ck_assert_uint_eq(books->load_neurons, liar->sum.load_neurons);
	ck_assert_uint_eq(books->demand_neurons, liar->sum.demand_neurons);
	ck_assert_uint_eq(books->resident_neurons, liar->sum.resident_neurons);
	ck_assert_uint_eq(liar->layers.read_bytes, books->read_bytes);
	ck_assert_uint_eq(liar->layers.load_neurons, books->load_neurons);
	ck_assert_uint_eq(liar->layers.io_ns, books->io_ns);
	liar->sum = liar->layers = (struct books){0};
	return 0;
}

START_TEST(test_books_are_what_the_world_was_told)
{
	struct fixture fixture = {0};
	struct liar liar = {.order_ok = true};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	fixture_open(&fixture, yamls[_i], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.ops = &liar_world;
	options.world = options.book_arg = &liar;
	options.book = book;
	options.layers = true;
	ck_assert_msg(run(&outcome, &options, &err) == 0, "%s", err.msg);
	ck_assert(liar.order_ok);
	ck_assert_uint_eq(liar.step, STEPS);
	ck_assert_uint_eq(liar.booked_tokens, TOKENS);
	ck_assert_uint_eq(liar.booked_layers, TOKENS * 3);
	ck_assert_uint_eq(liar.tokens_ended, TOKENS);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_a_run_decides_the_same_again_and_in_any_world)
{
	struct fixture fixture = {0}, other = {0};
	struct run_outcome first, again, elsewhere, different;
	struct run_options options;
	struct liar liar = {.order_ok = true};
	struct err err = {0};

	fixture_open(&fixture, yamls[_i], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	ck_assert_msg(run(&first, &options, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(run(&again, &options, &err), 0); /* the same policy, restarted */
	options.ops = &liar_world;
	options.world = &liar;
	ck_assert_int_eq(run(&elsewhere, &options, &err), 0);
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_mem_eq(&first, &elsewhere, sizeof(first));
	fixture_open(&other, yamls[_i], 4096, NEURONS, TOKENS, 2);
	options = fixture_options(&other);
	ck_assert_int_eq(run(&different, &options, &err), 0);
	/* Another trace is another list of decisions, unless no trace is looked at. */
	ck_assert_int_eq(strcmp(first.decision_hash, different.decision_hash) == 0,
			 policy_demand(&fixture.config)->dense);
	fixture_close(&fixture);
	fixture_close(&other);
}
END_TEST

/* Peaks over a run, from the plans themselves. */
struct peaks {
	uint32_t rows[2];
	uint64_t load, bytes;
};

static void watch(void *arg, struct plan *plan)
{
	struct peaks *peaks = arg;
	uint32_t layer = plan->demand.layer;

	if (plan->demand.kind == STEP_FFN && plan->resident_count > peaks->rows[layer])
		peaks->rows[layer] = plan->resident_count;
	peaks->load = plan->load_count > peaks->load ? plan->load_count : peaks->load;
	peaks->bytes = plan->read_bytes > peaks->bytes ? plan->read_bytes : peaks->bytes;
}

START_TEST(test_the_outcome_has_the_peaks)
{
	struct fixture fixture = {0};
	struct peaks peaks = {.load = 0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	fixture_open(&fixture, yamls[_i], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.tamper = watch;
	options.tamper_arg = &peaks;
	ck_assert_int_eq(run(&outcome, &options, &err), 0);
	ck_assert_uint_eq(outcome.rows_peak,
			  peaks.rows[0] > peaks.rows[1] ? peaks.rows[0] : peaks.rows[1]);
	ck_assert_uint_eq(outcome.rows_peak_sum, peaks.rows[0] + peaks.rows[1]);
	ck_assert_uint_eq(outcome.load_peak, peaks.load);
	ck_assert_uint_eq(outcome.read_bytes_peak, peaks.bytes);
	ck_assert_uint_le(outcome.rows_peak, policy_capacity_rows(fixture.policy));
	fixture_close(&fixture);
}
END_TEST

/* Random policies on random traces: the run's own checks must find nothing, and bytes are
 * conserved. */
/* Of every member that is registered. */
static const char *any_word(const struct param_word *words, struct rng *rng)
{
	uint32_t count = 0;

	while (words[count].text)
		count++;
	return words[rng_below(rng, count)].text;
}

START_TEST(test_any_policy_on_any_trace_keeps_the_rules)
{
	static const char *const chunks[] = {"row", "4KiB", "12KiB", "32KiB", "80KiB", "1MiB"};
	static const char *const coalesces[] = {
		"none",
		"gap, coalesce_gap: none",
		"gap, coalesce_gap: 20KiB, coalesce_most: 1200KiB",
		"gap, coalesce_gap: 16MiB, coalesce_most: 16MiB",
	};
	struct rng rng = {(uint64_t)_i};
	struct fixture fixture = {0};
	struct liar liar = {.order_ok = true};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};
	char yaml[512];

	snprintf(yaml, sizeof(yaml),
		 "{demand: %s, persistence: %s, persist_frac: 0.%u, residency: %s, window: %u,"
		 " cap_frac: 0.%u, layout: %s, chunk: %s, coalesce: %s, fp_frac: 0.0%u, weights: "
		 "%s}",
		 any_word(demand_words, &rng), any_word(persistence_words, &rng),
		 rng_below(&rng, 5), any_word(residency_words, &rng), 1 + rng_below(&rng, 12),
		 7 + rng_below(&rng, 3), any_word(layout_words, &rng), chunks[rng_below(&rng, 6)],
		 coalesces[rng_below(&rng, 4)], rng_below(&rng, 10),
		 rng_below(&rng, 2) ? "f16" : "f32");
	fixture_open(&fixture, yaml, rng_below(&rng, 2) ? 4096 : 4544, NEURONS, TOKENS,
		     rng_next(&rng));
	options = fixture_options(&fixture);
	options.ops = &liar_world;
	options.world = options.book_arg = &liar;
	options.book = book;
	options.layers = true;
	ck_assert_msg(run(&outcome, &options, &err) == 0, "%s: %s", yaml, err.msg);
	ck_assert_uint_le(outcome.rows_peak, policy_capacity_rows(fixture.policy));
	fixture_close(&fixture);
}
END_TEST

/* Each damages one plan, late enough that rows are resident. */
enum { TAMPER_TOKEN = 6 };

static bool is_target(const struct plan *plan)
{
	return plan->demand.token == TAMPER_TOKEN && plan->demand.layer == 1 &&
	       plan->demand.kind == STEP_FFN;
}

static uint32_t first_of(const uint64_t *in, const uint64_t *out)
{
	for (uint32_t n = 0; n < NEURONS; n++)
		if (bits_get(in, n) && !bits_get(out, n))
			return n;
	ck_abort_msg("no such neuron");
}

/* What the layer was asked for by the token before: resident still, with any window. */
static uint64_t before[NEURONS / 64];

static void remember(const struct plan *plan)
{
	if (plan->demand.token == TAMPER_TOKEN - 1 && plan->demand.layer == 1 &&
	    plan->demand.kind == STEP_FFN)
		memcpy(before, plan->demand.neurons, sizeof(before));
}

static void evict_demanded(struct plan *plan)
{
	/* Demanded by the last token too, so resident and not to be loaded. */
	for (uint32_t n = 0; n < NEURONS; n++)
		if (bits_get(plan->demand.neurons, n) && bits_get(before, n)) {
			bits_put(plan->evict, n);
			plan->evict_count++;
			plan->resident_count--;
			return;
		}
	ck_abort_msg("no neuron is demanded twice");
}

static void evict_absent(struct plan *plan)
{
	/* Loaded by this very step: not resident before. */
	bits_put(plan->evict, set_next(plan->load, 0, NEURONS));
	plan->evict_count++;
	plan->resident_count--;
}

static void load_twice(struct plan *plan)
{
	uint32_t n = first_of(before, plan->load);

	bits_put(plan->load, n);
	plan->load_count++;
	plan->resident_count++;
}

static void miss_a_load(struct plan *plan)
{
	bits_drop(plan->load, set_next(plan->load, 0, NEURONS));
	plan->load_count--;
	plan->resident_count--;
}

static void over_capacity(struct plan *plan)
{
	/* Everything that is not there, with its reads: only the capacity is broken. */
	for (uint32_t n = 0; n < NEURONS; n++)
		if (!bits_get(plan->load, n) && !bits_get(before, n))
			bits_put(plan->load, n);
	bits_clear(plan->evict, NEURONS);
}

static void load_without_read(struct plan *plan)
{
	uint64_t *slots = plan->slots[0];

	bits_drop(slots, set_next(slots, 0, plan->planes[0].slot_count));
	plan->read_count -= plan->plane_count;
	plan->read_bytes -= plan->plane_count * plan->planes[0].slot_bytes;
	plan->classes[0].count -= plan->plane_count;
}

static void read_without_load(struct plan *plan)
{
	uint64_t *slots = plan->slots[0];
	uint32_t slot = 0;

	while (bits_get(slots, slot))
		slot++;
	bits_put(slots, slot);
	plan->read_count += plan->plane_count;
	plan->read_bytes += plan->plane_count * plan->planes[0].slot_bytes;
	plan->classes[0].count += plan->plane_count;
}

static void wrong_pieces(struct plan *plan)
{
	plan->planes[0].piece_bytes /= 2;
}

static void wrong_rows(struct plan *plan)
{
	plan->planes[0].rows_per_slot = 2;
}

static void forget_a_region(struct plan *plan)
{
	plan->plane_count--;
}

static void wrong_region(struct plan *plan)
{
	plan->planes[0].region = REGION_ATTENTION;
}

static void wrong_slot(struct plan *plan)
{
	plan->planes[0].slot_bytes *= 2;
}

static void wrong_bytes(struct plan *plan)
{
	plan->read_bytes += 512;
}

static void wrong_count(struct plan *plan)
{
	plan->read_count--;
}

static void wrong_class(struct plan *plan)
{
	plan->classes[0].bytes += 512;
}

static void wrong_need(struct plan *plan)
{
	plan->needed_bytes--;
}

static void wrong_resident(struct plan *plan)
{
	plan->resident_count++;
}

static void wrong_evicts(struct plan *plan)
{
	plan->evict_count++;
}

static void stray_stretch(struct plan *plan)
{
	plan->stretches[plan->stretch_count++] =
		(struct read_stretch){.region = REGION_UP, .bytes = 4096, .piece_bytes = 4096};
}

static const struct {
	const char *why, *says;
	void (*damage)(struct plan *plan);
} wrongs[] = {
	{"a demanded neuron is evicted", "is evicted, expected no demanded neuron", evict_demanded},
	{"an absent one is evicted", "is evicted, expected only resident neurons", evict_absent},
	{"a resident one is loaded", "is loaded, expected only neurons that are not resident",
	 load_twice},
	{"a demanded one is left out", "is demanded and would not be resident", miss_a_load},
	{"a load has no read", "is not read, expected a read for every load", load_without_read},
	{"a read has no load", "is read, expected no read without a load", read_without_load},
	{"pieces are not the policy's", "piece_bytes is 4096, expected 8192", wrong_pieces},
	{"rows a slot are not the policy's", "rows_per_slot is 2, expected 1", wrong_rows},
	{"half of the row is not read", "plane_count is 1, expected 2", forget_a_region},
	{"another region is read", "plane of attention, expected up", wrong_region},
	{"slots are too wide", "slot_bytes is 16384, expected 8192", wrong_slot},
	{"bytes do not add up", "read_bytes is ", wrong_bytes},
	{"reads do not add up", "read_count is ", wrong_count},
	{"classes do not add up", "class bytes is 8704, expected 8192", wrong_class},
	{"needed bytes are off", "needed_bytes is ", wrong_need},
	{"residents are miscounted", "resident_count is ", wrong_resident},
	{"evictions are miscounted", "evict_count is ", wrong_evicts},
	{"a read that nobody needs", "stretch_count is 1, expected 0", stray_stretch},
};

static void tamper(void *arg, struct plan *plan)
{
	remember(plan);
	if (is_target(plan))
		wrongs[*(int *)arg].damage(plan);
}

START_TEST(test_a_wrong_plan_is_caught_before_any_world_sees_it)
{
	struct fixture fixture = {0};
	struct liar liar = {.order_ok = true};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};
	int wrong = _i;

	fixture_open(&fixture, "{demand: oracle, window: 3, layout: split}", 4096, NEURONS, TOKENS,
		     1);
	options = fixture_options(&fixture);
	options.ops = &liar_world;
	options.world = &liar;
	options.tamper = tamper;
	options.tamper_arg = &wrong;
	ck_assert_msg(run(&outcome, &options, &err) == EPROTO, "%s: passed", wrongs[_i].why);
	ck_assert_msg(strstr(err.msg, "token 6 layer 1 ffn: bad plan: ") &&
			      strstr(err.msg, wrongs[_i].says),
		      "%s: said: %s", wrongs[_i].why, err.msg);
	ck_assert_uint_eq(liar.step, TAMPER_TOKEN * 5 + 3);
	fixture_close(&fixture);
}
END_TEST

static void tamper_over_capacity(void *arg, struct plan *plan)
{
	const struct policy *policy = arg;
	const struct read_rule rule = read_rule_of(policy_config_of(policy));

	if (!is_target(plan))
		return;
	/* Load everything that is not resident after the step, with right reads and sums. */
	over_capacity(plan);
	plan->evict_count = 0;
	plan->load_count = set_count(plan->load, NEURONS / 64);
	plan->resident_count = plan->resident_before + plan->load_count;
	plan->needed_bytes = 0;
	reads_of_loads(plan, policy_layout(policy_config_of(policy)), policy_region_shapes(policy),
		       &rule);
}

static void remember_and_overfill(void *arg, struct plan *plan)
{
	remember(plan);
	tamper_over_capacity(arg, plan);
}

START_TEST(test_a_plan_over_capacity_is_caught_with_both_figures)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	/* Window 1: what is resident before the step is the last demand, which the tamperer knows.
	 */
	fixture_open(&fixture, "{demand: oracle, window: 1, cap_frac: 0.5, layout: split}", 4096,
		     NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.tamper = remember_and_overfill;
	options.tamper_arg = fixture.policy;
	ck_assert_int_eq(run(&outcome, &options, &err), EPROTO);
	ck_assert_msg(strstr(err.msg, "256 resident rows, expected at most the capacity 128"),
		      "said: %s", err.msg);
	fixture_close(&fixture);
}
END_TEST

static void evict_pinned(void *arg, struct plan *plan)
{
	(void)arg;
	if (!is_target(plan))
		return;
	for (uint32_t n = 0; n < 64; n++)
		if (!bits_get(plan->demand.neurons, n)) {
			bits_put(plan->evict, n);
			plan->evict_count++;
			plan->resident_count--;
			return;
		}
}

START_TEST(test_a_pinned_row_is_never_evicted)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	fixture_open(&fixture,
		     "{demand: oracle, window: 3, persistence: fraction, persist_frac: 0.25}", 4096,
		     NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.tamper = evict_pinned;
	ck_assert_int_eq(run(&outcome, &options, &err), EPROTO);
	ck_assert_msg(strstr(err.msg, "is evicted, expected none of the 64 pinned rows"),
		      "said: %s", err.msg);
	fixture_close(&fixture);
}
END_TEST

/* Residency none: keeping a row is as wrong as reading one too few. */
static void keep_a_row(struct plan *plan)
{
	bits_drop(plan->evict, set_next(plan->evict, 0, NEURONS));
	plan->evict_count--;
	plan->resident_count++;
}

static void skip_a_row(struct plan *plan)
{
	bits_drop(plan->load, set_next(plan->load, 0, NEURONS));
	plan->load_count--;
	plan->resident_count--;
}

static void tamper_transient(void *arg, struct plan *plan)
{
	if (is_target(plan))
		(*(int *)arg ? skip_a_row : keep_a_row)(plan);
}

START_TEST(test_residency_none_may_keep_nothing_and_skip_nothing)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};
	int which = _i;

	fixture_open(&fixture, "{demand: oracle, residency: none, layout: split}", 4096, NEURONS,
		     TOKENS, 1);
	options = fixture_options(&fixture);
	options.tamper = tamper_transient;
	options.tamper_arg = &which;
	ck_assert_int_eq(run(&outcome, &options, &err), EPROTO);
	ck_assert_msg(strstr(err.msg, "breaks residency without reuse"), "said: %s", err.msg);
	fixture_close(&fixture);
}
END_TEST

static void short_stretch(struct plan *plan)
{
	plan->stretches[0].bytes -= 4096;
}

static void late_stretch(struct plan *plan)
{
	plan->stretches[0].offset += 4096;
}

static void no_stretch(struct plan *plan)
{
	plan->stretch_count = 0;
}

static void dense_load(struct plan *plan)
{
	bits_put(plan->load, 3);
	plan->load_count++;
}

static void short_stream(struct plan *plan)
{
	plan->stream_count--;
}

static const struct {
	const char *says;
	void (*damage)(struct plan *plan);
} dense_wrongs[] = {
	{"stretch of up at 0 of", short_stretch},
	{"stretch of up at 4096 of", late_stretch},
	{"no stretch of up, expected bytes 0 to 2097152", no_stretch},
	{"load_count of a dense step is 1, expected 0", dense_load},
	{"stream_count is 255, expected 256", short_stream},
};

static void tamper_dense(void *arg, struct plan *plan)
{
	if (is_target(plan))
		dense_wrongs[*(int *)arg].damage(plan);
}

START_TEST(test_a_wrong_dense_plan_is_caught)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};
	int which = _i;

	fixture_open(&fixture, yamls[0], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.tamper = tamper_dense;
	options.tamper_arg = &which;
	ck_assert_int_eq(run(&outcome, &options, &err), EPROTO);
	ck_assert_msg(strstr(err.msg, dense_wrongs[_i].says), "said: %s", err.msg);
	fixture_close(&fixture);
}
END_TEST

static void one_read_less(struct step_cost *cost)
{
	cost->read_count--;
}

static void some_bytes_less(struct step_cost *cost)
{
	cost->read_bytes -= 512;
}

static void some_bytes_more(struct step_cost *cost)
{
	cost->read_bytes += 4096;
}

static void (*const lies[])(struct step_cost *cost) = {one_read_less, some_bytes_less,
						       some_bytes_more};

START_TEST(test_a_world_that_completes_something_else_is_caught)
{
	static const char *const where[] = {"token 2 layer 0 attention", "token 2 layer 0 ffn",
					    "token 2 layer 1 attention", "token 2 layer 1 ffn",
					    "token 2 layer 2 head"};
	for (unsigned step = 0; step < 5; step++) {
		struct fixture fixture = {0};
		struct liar liar = {.order_ok = true, .lie_at = 10 + step, .lie = lies[_i]};
		struct run_outcome outcome;
		struct run_options options;
		struct err err = {0};

		fixture_open(&fixture, "{demand: trace, persistence: none, window: 1}", 4096,
			     NEURONS, TOKENS, 1);
		options = fixture_options(&fixture);
		options.ops = &liar_world;
		options.world = &liar;
		ck_assert_int_eq(run(&outcome, &options, &err), EPROTO);
		ck_assert_msg(strstr(err.msg, where[step]) &&
				      strstr(err.msg, "world liar completed ") &&
				      strstr(err.msg, ", expected "),
			      "said: %s", err.msg);
		fixture_close(&fixture);
	}
}
END_TEST

START_TEST(test_a_worlds_failure_is_passed_on_with_its_place)
{
	struct fixture fixture = {0};
	struct liar liar = {.order_ok = true, .lie_at = 13, .submit_rc = EIO};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	fixture_open(&fixture, yamls[4], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.ops = &liar_world;
	options.world = &liar;
	ck_assert_int_eq(run(&outcome, &options, &err), EIO);
	ck_assert_str_eq(err.msg, "token 2 layer 1 ffn: flash is gone");
	fixture_close(&fixture);
}
END_TEST

static int stop(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	(void)layer;
	(void)books;
	++*(uint32_t *)arg;
	return token == 3;
}

START_TEST(test_the_caller_may_stop_a_run)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};
	uint32_t calls = 0;

	fixture_open(&fixture, yamls[4], 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.book = stop;
	options.book_arg = &calls;
	ck_assert_int_eq(run(&outcome, &options, &err), ECANCELED);
	ck_assert_uint_eq(calls, 4);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_more_tokens_than_the_trace_has_are_refused)
{
	struct fixture fixture = {0};
	struct run_outcome outcome;
	struct run_options options;
	struct err err = {0};

	fixture_open(&fixture, "{demand: oracle}", 4096, NEURONS, TOKENS, 1);
	options = fixture_options(&fixture);
	options.token_count = TOKENS + 1;
	ck_assert_int_eq(run(&outcome, &options, &err), EINVAL);
	ck_assert_str_eq(err.msg, "13 tokens, the trace has 12");
	fixture_close(&fixture);
}
END_TEST

static void add_wrong_plans(TCase *tc)
{
	tcase_add_loop_test(tc, test_a_wrong_plan_is_caught_before_any_world_sees_it, 0,
			    (int)(sizeof(wrongs) / sizeof(*wrongs)));
	tcase_add_test(tc, test_a_plan_over_capacity_is_caught_with_both_figures);
	tcase_add_test(tc, test_a_pinned_row_is_never_evicted);
	tcase_add_loop_test(tc, test_residency_none_may_keep_nothing_and_skip_nothing, 0, 2);
	tcase_add_loop_test(tc, test_a_wrong_dense_plan_is_caught, 0,
			    (int)(sizeof(dense_wrongs) / sizeof(*dense_wrongs)));
	tcase_add_loop_test(tc, test_a_world_that_completes_something_else_is_caught, 0,
			    (int)(sizeof(lies) / sizeof(*lies)));
}

int main(void)
{
	Suite *suite = suite_create("run");
	TCase *tc = tcase_create("run");
	SRunner *runner = srunner_create(suite);
	int count = (int)(sizeof(yamls) / sizeof(*yamls)), failed;

	tcase_add_loop_test(tc, test_books_are_what_the_world_was_told, 0, count);
	tcase_add_loop_test(tc, test_a_run_decides_the_same_again_and_in_any_world, 0, count);
	tcase_add_loop_test(tc, test_the_outcome_has_the_peaks, 0, count);
	tcase_add_loop_test(tc, test_any_policy_on_any_trace_keeps_the_rules, 0, 120);
	add_wrong_plans(tc);
	tcase_add_test(tc, test_a_worlds_failure_is_passed_on_with_its_place);
	tcase_add_test(tc, test_the_caller_may_stop_a_run);
	tcase_add_test(tc, test_more_tokens_than_the_trace_has_are_refused);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
