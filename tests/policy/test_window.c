/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_window.c - the window rule against a naive implementation with sorted lists
 *
 * The reference keeps lists of neuron ids and does literally what design.md says: delete the rows
 * not in demand(t-k+1 .. t), then load demand(t) less what is resident. */
#include "policy_fixture.h"
#include "rng.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

enum { NEURONS = 192, LAYERS = 2, TOKENS = 60 };

struct list {
	uint32_t ids[NEURONS], count;
};

static bool list_has(const struct list *list, uint32_t id)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->ids[i] == id)
			return true;
	return false;
}

static void list_add(struct list *list, uint32_t id)
{
	if (!list_has(list, id))
		list->ids[list->count++] = id;
}

/* One layer of the reference: every demand so far, and how many of the last count. */
struct reference {
	struct list demands[TOKENS], resident;
	uint32_t tokens, length;
};

static struct list reference_union(const struct reference *ref, uint32_t length, uint32_t pinned)
{
	struct list all = {0};

	for (uint32_t id = 0; id < pinned; id++)
		list_add(&all, id);
	for (uint32_t age = 0; age < length; age++) {
		const struct list *demand = &ref->demands[ref->tokens - 1 - age];

		for (uint32_t i = 0; i < demand->count; i++)
			list_add(&all, demand->ids[i]);
	}
	return all;
}

/* Returns false when the demand alone is over the cap. */
static bool reference_step(struct reference *ref, const struct list *demand, uint32_t k,
			   uint32_t cap, uint32_t pinned, struct list *evict, struct list *load)
{
	struct list keep, stays = {0};

	*evict = *load = (struct list){0};
	ref->demands[ref->tokens++] = *demand;
	ref->length = ref->length < k ? ref->length + 1 : k;
	while ((keep = reference_union(ref, ref->length, pinned)).count > cap)
		if (--ref->length == 0)
			return false;
	for (uint32_t i = 0; i < ref->resident.count; i++)
		list_add(list_has(&keep, ref->resident.ids[i]) ? &stays : evict,
			 ref->resident.ids[i]);
	for (uint32_t i = 0; i < demand->count; i++)
		if (!list_has(&ref->resident, demand->ids[i])) {
			list_add(load, demand->ids[i]);
			list_add(&stays, demand->ids[i]);
		}
	ref->resident = stays;
	return true;
}

static struct list list_of(const uint64_t *set)
{
	struct list list = {0};

	BITS_EACH (set, NEURONS, n)
		list_add(&list, (uint32_t)n);
	return list;
}

static bool list_is_set(const struct list *list, const uint64_t *set)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!bits_get(set, list->ids[i]))
			return false;
	return list->count == bits_count(set, NEURONS);
}

static const struct window_case {
	const char *yaml;
	uint32_t k, cap, pinned;
} cases[] = {
	{"{demand: oracle, window: 1}", 1, NEURONS, 0},
	{"{demand: oracle}", 5, NEURONS, 0},
	{"{demand: trace, window: 3}", 3, NEURONS, 0},
	{"{demand: oracle, window: 64}", 64, NEURONS, 0},
	{"{demand: trace, window: 5, cap_frac: 0.25}", 5, 48, 0},
	{"{demand: trace, window: 8, cap_frac: 0.4}", 8, 76, 0},
	{"{demand: oracle, window: 5, persistence: fraction, persist_frac: 0.25}", 5, NEURONS, 48},
	{"{demand: trace, window: 6, persistence: fraction, persist_frac: 0.25, cap_frac: 0.5}", 6,
	 96, 48},
};

START_TEST(test_the_window_does_what_the_naive_reference_does)
{
	const struct window_case *want = &cases[_i % (int)(sizeof(cases) / sizeof(*cases))];
	static struct reference refs[LAYERS];
	uint64_t resident[LAYERS][NEURONS / 64] = {{0}};
	struct fixture fixture = {0};
	struct err err = {0};
	struct plan plan;
	uint32_t shortest = UINT32_MAX;

	memset(refs, 0, sizeof(refs));
	fixture_open(&fixture, want->yaml, 128, NEURONS, TOKENS, (uint64_t)_i);
	ck_assert_uint_eq(policy_capacity_rows(fixture.policy), want->cap);
	ck_assert_uint_eq(policy_pinned_rows(fixture.policy), want->pinned);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	for (uint32_t layer = 0; layer < LAYERS; layer++)
		for (uint32_t id = 0; id < want->pinned; id++) {
			list_add(&refs[layer].resident, id);
			bits_put(resident[layer], id);
		}
	for (uint32_t token = 0; token < TOKENS; token++)
		for (uint32_t layer = 0; layer < LAYERS; layer++) {
			struct list demanded, evict, load;
			struct demand demand;

			policy_demand_at(fixture.policy, &demand, token, layer, STEP_FFN);
			demanded = list_of(demand.neurons);
			ck_assert_uint_eq(demanded.count, demand.neuron_count);
			ck_assert(reference_step(&refs[layer], &demanded, want->k, want->cap,
						 want->pinned, &evict, &load));
			if (token >= want->k && refs[layer].length < shortest)
				shortest = refs[layer].length;
			ck_assert_msg(policy_step(fixture.policy, &demand, resident[layer], &plan,
						  &err) == 0,
				      "%s", err.msg);
			ck_assert_msg(list_is_set(&evict, plan.evict), "%s: evict at %u",
				      want->yaml, token);
			ck_assert_msg(list_is_set(&load, plan.load), "%s: load at %u", want->yaml,
				      token);
			ck_assert_int_eq(plan_check(&plan, &fixture.model, fixture.policy,
						    resident[layer], &err),
					 0);
			for (size_t w = 0; w < NEURONS / 64; w++)
				resident[layer][w] =
					(resident[layer][w] & ~plan.evict[w]) | plan.load[w];
			ck_assert(list_is_set(&refs[layer].resident, resident[layer]));
			ck_assert_uint_eq(plan.resident_count, refs[layer].resident.count);
		}
	/* A capped case that never binds would test nothing. */
	if (want->cap < NEURONS)
		ck_assert_uint_lt(shortest, want->k);
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

/* s_agg(k): neurons that the last k tokens used, summed over the steps that have k tokens behind
 * them. */
START_TEST(test_a_window_keeps_s_agg_k_and_loads_the_difference_to_k_plus_1)
{
	struct fixture fixture = {0};
	struct run_options options;
	struct run_outcome outcome;
	struct err err = {0};
	uint64_t resident[LAYERS][NEURONS / 64] = {{0}};
	struct plan plan;

	fixture_open(&fixture, "{demand: oracle, window: 4}", 128, NEURONS, TOKENS, 11);
	options = fixture_options(&fixture);
	ck_assert_msg(run(&outcome, &options, &err) == 0, "%s", err.msg);
	policy_restart(fixture.policy);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	for (uint32_t token = 0; token < TOKENS; token++)
		for (uint32_t layer = 0; layer < LAYERS; layer++) {
			uint64_t last4[NEURONS / 64] = {0}, last5[NEURONS / 64] = {0};
			struct demand demand;

			for (uint32_t age = 0; age < 5 && age <= token; age++)
				for (size_t w = 0; w < NEURONS / 64; w++) {
					uint64_t then =
						trace_plane(&fixture.trace, token - age, layer,
							    fixture.trace.active_plane)[w];

					last5[w] |= then;
					if (age < 4)
						last4[w] |= then;
				}
			policy_demand_at(fixture.policy, &demand, token, layer, STEP_FFN);
			ck_assert_int_eq(
				policy_step(fixture.policy, &demand, resident[layer], &plan, &err),
				0);
			for (size_t w = 0; w < NEURONS / 64; w++)
				resident[layer][w] =
					(resident[layer][w] & ~plan.evict[w]) | plan.load[w];
			ck_assert_mem_eq(resident[layer], last4, sizeof(last4));
			/* new = s_agg(k+1) - s_agg(k), one token on: what the last 4 before had
			 * not. */
			if (token >= 4) {
				uint64_t before[NEURONS / 64] = {0};

				for (uint32_t age = 1; age <= 4; age++)
					for (size_t w = 0; w < NEURONS / 64; w++)
						before[w] |= trace_plane(&fixture.trace,
									 token - age, layer, 1)[w];
				ck_assert_uint_eq(plan.load_count,
						  bits_count(last5, NEURONS) -
							  bits_count(before, NEURONS));
			}
		}
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_a_demand_over_the_cap_is_refused_with_both_figures)
{
	struct fixture fixture = {0};
	struct run_options options;
	struct run_outcome outcome;
	struct err err = {0};
	char figures[64];

	fixture_open(&fixture, "{demand: oracle, window: 5, cap_frac: 0.02}", 128, NEURONS, TOKENS,
		     5);
	options = fixture_options(&fixture);
	ck_assert_int_eq(run(&outcome, &options, &err), EDOM);
	snprintf(figures, sizeof(figures), "the cap is 3 of %d", NEURONS);
	ck_assert_msg(strstr(err.msg, figures) && strstr(err.msg, "token 0 layer 0 ffn") &&
			      strstr(err.msg, " rows, "),
		      "said: %s", err.msg);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_what_a_short_window_lost_is_not_read_again_for_its_age)
{
	struct fixture fixture = {0};
	struct demand demand = {.kind = STEP_FFN};
	uint64_t sets[4][1] = {{0x0f}, {0xf0}, {0xff00}, {0x0100}}, resident[1] = {0};
	static const uint64_t after[4] = {0x0f, 0xff, 0xff00, 0xff00};
	struct err err = {0};
	struct plan plan;

	/* 64 neurons, room for 8: the third demand alone fills it, so that two old ones go. */
	fixture_open(&fixture, "{demand: oracle, window: 3, cap_frac: 0.125}", 128, 64, 1, 1);
	ck_assert_int_eq(plan_init(&plan, 64, &err), 0);
	for (uint32_t token = 0; token < 4; token++) {
		demand.token = token;
		demand.neurons = sets[token];
		demand.neuron_count = bits_count(sets[token], 64);
		ck_assert_msg(policy_step(fixture.policy, &demand, resident, &plan, &err) == 0,
			      "%s", err.msg);
		resident[0] = (resident[0] & ~plan.evict[0]) | plan.load[0];
		ck_assert_uint_eq(resident[0], after[token]);
	}
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_none_reads_the_whole_demand_at_every_step)
{
	struct fixture fixture = {0};
	uint64_t resident[NEURONS / 64];
	struct err err = {0};
	struct plan plan;
	uint32_t pinned;

	fixture_open(
		&fixture,
		_i ? "{demand: oracle, residency: none, persistence: fraction, persist_frac: 0.4}"
		   : "{demand: oracle, residency: none}",
		128, NEURONS, TOKENS, 9);
	pinned = policy_pinned_rows(fixture.policy);
	ck_assert_uint_eq(pinned, _i ? 76 : 0);
	bits_clear(resident, NEURONS);
	bits_fill(resident, pinned);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	for (uint32_t token = 0; token < TOKENS; token++) {
		struct demand demand;
		uint32_t unpinned = 0;

		policy_demand_at(fixture.policy, &demand, token, 0, STEP_FFN);
		BITS_EACH (demand.neurons, NEURONS, n)
			unpinned += n >= pinned;
		ck_assert_int_eq(policy_step(fixture.policy, &demand, resident, &plan, &err), 0);
		ck_assert_msg(plan_check(&plan, &fixture.model, fixture.policy, resident, &err) ==
				      0,
			      "%s", err.msg);
		ck_assert_uint_eq(plan.load_count, unpinned);
		ck_assert_uint_eq(plan.resident_count, unpinned + pinned);
		for (size_t w = 0; w < NEURONS / 64; w++)
			resident[w] = (resident[w] & ~plan.evict[w]) | plan.load[w];
	}
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = tcase_create("window");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_the_window_does_what_the_naive_reference_does, 0,
			    4 * (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(tc, test_a_window_keeps_s_agg_k_and_loads_the_difference_to_k_plus_1);
	tcase_add_test(tc, test_a_demand_over_the_cap_is_refused_with_both_figures);
	tcase_add_test(tc, test_what_a_short_window_lost_is_not_read_again_for_its_age);
	tcase_add_loop_test(tc, test_none_reads_the_whole_demand_at_every_step, 0, 2);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
