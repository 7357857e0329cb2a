/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_policy.c - a policy's keys, what it keeps, and what does not fit together */
#include "configs.h"
#include "policy_fixture.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

START_TEST(test_words_are_the_members_in_order)
{
	struct policy_config config;

	fixture_config(&config, "{}");
	for (config.demand = 0; demand_words[config.demand].text; config.demand++) {
		ck_assert_str_eq(policy_demand(&config)->name, demand_words[config.demand].text);
		ck_assert_str_eq(policy_demand(&config)->help, demand_words[config.demand].help);
	}
	for (config.persistence = 0; persistence_words[config.persistence].text;
	     config.persistence++)
		ck_assert_str_eq(policy_persistence(&config)->name,
				 persistence_words[config.persistence].text);
	for (config.residency = 0; residency_words[config.residency].text; config.residency++)
		ck_assert_str_eq(policy_residency(&config)->name,
				 residency_words[config.residency].text);
	for (config.layout = 0; layout_words[config.layout].text; config.layout++)
		ck_assert_str_eq(policy_layout(&config)->name, layout_words[config.layout].text);
	ck_assert_uint_eq(config.layout, 2);
}
END_TEST

START_TEST(test_no_key_given_is_the_papers_policy)
{
	struct policy_config config;

	fixture_config(&config, "{}");
	ck_assert_str_eq(config.name, "policy"); /* from policy.yaml */
	ck_assert_str_eq(policy_demand(&config)->name, "noisy");
	ck_assert_str_eq(policy_persistence(&config)->name, "attention");
	ck_assert_str_eq(policy_residency(&config)->name, "window");
	ck_assert_str_eq(policy_layout(&config)->name, "bundle");
	ck_assert_uint_eq(config.chunk, CHUNK_ROW);
	ck_assert(policy_residency_number(&config, "window") == 5);
	ck_assert(policy_residency_number(&config, "cap_frac") == 1);
	ck_assert(isnan(policy_residency_number(&config, "widow")));
}
END_TEST

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"no axis is guessed", "residency: windw\n",
	 "p.yaml:1:12: residency: 'windw' is none of none, window"},
	{"no key is ignored", "widow: 5\n", "p.yaml:1:1: unknown key widow (did you mean window?)"},
	{"a residency's own key is checked", "window: 0\n",
	 "p.yaml:1:9: window: 0 is outside [1, 64]"},
	{"and has its dimension", "window: 5KiB\n", "p.yaml:1:9: window: '5KiB' is bytes"},
	{"a cap is a share", "cap_frac: 2\n", "p.yaml:1:11: cap_frac: 2 is outside"},
	{"a chunk is a size or a word", "chunk: rows\n", "p.yaml:1:8: chunk: "},
	{"a chunk is at least a page", "chunk: 512B\n", "p.yaml:1:8: chunk: 512"},
	{"dense reads are whole pages", "chunk: row\ndense_chunk: 5000B\n",
	 "p.yaml:2:14: dense_chunk: 5000 is no multiple of 4096 B"},
	{"in flight is a number", "in_flight: many\n", "p.yaml:1:12: in_flight: "},
};

START_TEST(test_a_bad_policy_is_refused_by_name)
{
	struct policy_config config;
	struct ynode *map = NULL;
	struct err err = {0};

	ck_assert_int_eq(yaml_parse(&map, bad[_i].yaml, "p.yaml", &err), 0);
	ck_assert_msg(policy_config_read(&config, map, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: said: %s", bad[_i].why, err.msg);
	ynode_free(map);
}
END_TEST

static const char *const roundtrips[] = {
	"{}",
	"{residency: none, layout: split, chunk: 64KiB}",
	"{window: 7, cap_frac: 0.25, chunk: 12KiB, weights: f32, fn_frac: 0.125}",
	"{demand: dense, persistence: fraction, persist_frac: 0.3, dense_chunk: 4MiB, name: x}",
};

START_TEST(test_a_written_policy_reads_back_the_same)
{
	struct policy_config config, again;
	struct ynode *map;
	struct err err = {0};

	fixture_config(&config, roundtrips[_i]);
	map = policy_config_write(&config);
	ck_assert_ptr_nonnull(map);
	ck_assert_msg(policy_config_read(&again, map, &err) == 0, "%s", err.msg);
	ck_assert_mem_eq(&config, &again, offsetof(struct policy_config, residency_params));
	if (policy_residency(&config)->params)
		ck_assert_mem_eq(policy_residency_params(&config), policy_residency_params(&again),
				 policy_residency(&config)->params_bytes);
	else
		ck_assert_ptr_null(ynode_get(map, "window"));
	ynode_free(map);
}
END_TEST

START_TEST(test_help_names_every_member_and_own_key)
{
	static const char *const names[] = {"`dense`",	 "`oracle`",   "`noisy`",  "`fraction`",
					    "`split`",	 "`bundle`",   "`window`", "cap_frac",
					    "`realloc`", "`emulated`", "`row`",	   "in_flight"};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	policy_help(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_msg(strstr(text, names[i]) != NULL, "no %s", names[i]);
	ck_assert_ptr_null(strstr(text, "(null)"));
	free(text);
}
END_TEST

/* The paper's Table 2 as policies: what each rung has. */
static const struct {
	const char *name, *demand, *persistence, *residency, *layout;
	double window;
} ladder[] = {
	{"naive", "dense", "none", "none", "split", NAN},
	{"hybrid", "dense", "fraction", "none", "split", NAN},
	{"predictor", "noisy", "attention", "none", "split", NAN},
	{"window", "noisy", "attention", "window", "split", 5},
	{"bundle", "noisy", "attention", "window", "bundle", 5},
	{"all", "noisy", "attention", "window", "bundle", 5},
};

START_TEST(test_the_ladder_is_the_papers)
{
	struct policy_config config;
	struct ynode *map = NULL;
	struct err err = {0};
	double window;

	ck_assert_msg(config_load(&map, CONFIG_POLICY, ladder[_i].name, &err) == 0, "%s", err.msg);
	ck_assert_msg(policy_config_read(&config, map, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(config.name, ladder[_i].name);
	ck_assert_str_ne(config.about, "");
	ck_assert_str_eq(policy_demand(&config)->name, ladder[_i].demand);
	ck_assert_str_eq(policy_persistence(&config)->name, ladder[_i].persistence);
	ck_assert_str_eq(policy_residency(&config)->name, ladder[_i].residency);
	ck_assert_str_eq(policy_layout(&config)->name, ladder[_i].layout);
	window = policy_residency_number(&config, "window");
	ck_assert(isnan(ladder[_i].window) ? isnan(window) : window == ladder[_i].window);
	ck_assert(config.fn_frac == 0.05 && config.fp_frac == 0.07);
	ynode_free(map);
}
END_TEST

static const struct {
	const char *why, *yaml;
	uint32_t row_align, trace_layers, trace_neurons;
	const char *says;
} misfits[] = {
	{"a sparse demand needs a trace", "{demand: oracle}", 512, 0, 0,
	 "demand oracle needs a trace"},
	{"of as many layers", "{demand: oracle}", 512, 3, 128,
	 "trace of tiny: 3 layers of 128 neurons, model tiny has 2 of 128"},
	{"of as many neurons", "{demand: oracle}", 512, 2, 192, "2 layers of 192 neurons"},
	{"a recorded demand must be recorded", "{demand: trace}", 512, 2, 128,
	 "demand trace: the trace (none) has no recorded demand"},
	{"direct I/O cannot make odd requests", "{demand: oracle, chunk: 6000B}", 512, 2, 128,
	 "chunk 6000 B is no multiple of model tiny's row_align 512 B"},
	{"nor half of its alignment", "{demand: oracle, chunk: 6KiB}", 4096, 2, 128,
	 "chunk 6144 B is no multiple of model tiny's row_align 4096 B"},
	{"pinned rows must fit the cap",
	 "{demand: oracle, persistence: fraction, persist_frac: 0.5, cap_frac: 0.25}", 512, 2, 128,
	 "cap_frac leaves room for 32 rows of a layer, persistence fraction keeps 64 of 128"},
	{"a cap of no row is none", "{demand: oracle, cap_frac: 0.001}", 512, 2, 128,
	 "cap_frac leaves room for 0 rows"},
};

START_TEST(test_what_does_not_fit_together_is_refused)
{
	struct model model;
	struct policy_config config;
	struct policy *policy = NULL;
	struct trace trace = {.model = "tiny",
			      .source = "none",
			      .layer_count = misfits[_i].trace_layers,
			      .neuron_count = misfits[_i].trace_neurons,
			      .token_count = 3,
			      .margin_count = 1};
	struct err err = {0};

	fixture_model(&model, 2, 4096, 128, misfits[_i].row_align);
	fixture_config(&config, misfits[_i].yaml);
	if (trace.layer_count)
		ck_assert_msg(trace_init(&trace, &err) == 0, "%s", err.msg);
	ck_assert_msg(policy_open(&policy, &config, &model, trace.layer_count ? &trace : NULL,
				  &err) == EINVAL,
		      "%s", misfits[_i].why);
	ck_assert_msg(strstr(err.msg, misfits[_i].says) != NULL, "%s: said: %s", misfits[_i].why,
		      err.msg);
	ck_assert_ptr_null(policy);
	trace_fini(&trace);
}
END_TEST

START_TEST(test_a_dense_demand_needs_no_trace_and_no_rows)
{
	struct model model;
	struct policy_config config;
	struct policy *policy;
	struct demand demand;
	struct err err = {0};

	fixture_model(&model, 2, 128, 128, 512);
	fixture_config(&config, "{demand: dense, residency: window, persistence: none}");
	ck_assert_msg(policy_open(&policy, &config, &model, NULL, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(policy_capacity_rows(policy), 0);
	policy_demand_at(policy, &demand, 0, 1, STEP_FFN);
	ck_assert(demand.dense && !demand.neurons);
	ck_assert_uint_eq(demand.neuron_count, 128);
	policy_close(policy);
	policy_close(NULL);
}
END_TEST

START_TEST(test_kept_bytes_are_whole_pages_or_everything)
{
	static const double fracs[] = {0, 0.001, 0.25, 0.5, 0.999, 1};
	struct model model;

	fixture_model(&model, 2, 4544, 640, 512);
	for (size_t i = 0; i < sizeof(fracs) / sizeof(*fracs); i++) {
		struct policy_config config;
		struct policy *policy;
		struct err err = {0};

		fixture_config(&config, "{demand: dense, persistence: fraction, layout: split}");
		config.persist_frac = fracs[i];
		ck_assert_int_eq(policy_open(&policy, &config, &model, NULL, &err), 0);
		ck_assert_uint_eq(policy_pinned_rows(policy), (uint32_t)(fracs[i] * 640));
		for (int r = 0; r < REGION__COUNT; r++) {
			enum region region = (enum region)r;
			uint64_t all = model_region_bytes(&model, WEIGHT_F16, region);
			uint64_t kept = policy_kept_bytes(policy, region);
			/* a row of FFN regions, a page of others is rounded away */
			uint64_t unit = r >= REGION_UP
						? model_row_stride(&model, WEIGHT_F16, region)
						: TENSOR_ALIGN;

			ck_assert_uint_eq(kept % unit, 0);
			ck_assert(fracs[i] == 1 ? kept == all
						: (double)kept <= fracs[i] * (double)all);
			ck_assert((double)(kept + unit) > fracs[i] * (double)all);
		}
		policy_close(policy);
	}
}
END_TEST

START_TEST(test_a_recorded_demand_is_taken_as_it_stands)
{
	struct fixture fixture = {0};

	fixture_open(&fixture, "{demand: trace}", 128, 256, 10, 4);
	for (uint32_t token = 0; token < 10; token++) {
		struct demand demand;

		policy_demand_at(fixture.policy, &demand, token, 1, STEP_FFN);
		ck_assert_mem_eq(demand.neurons, trace_plane(&fixture.trace, token, 1, 3), 256 / 8);
	}
	fixture_close(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, test_words_are_the_members_in_order);
	tcase_add_test(tc, test_no_key_given_is_the_papers_policy);
	tcase_add_loop_test(tc, test_a_bad_policy_is_refused_by_name, 0,
			    (int)(sizeof(bad) / sizeof(*bad)));
	tcase_add_loop_test(tc, test_a_written_policy_reads_back_the_same, 0,
			    (int)(sizeof(roundtrips) / sizeof(*roundtrips)));
	tcase_add_test(tc, test_help_names_every_member_and_own_key);
	tcase_add_loop_test(tc, test_the_ladder_is_the_papers, 0,
			    (int)(sizeof(ladder) / sizeof(*ladder)));
	tcase_add_loop_test(tc, test_what_does_not_fit_together_is_refused, 0,
			    (int)(sizeof(misfits) / sizeof(*misfits)));
	tcase_add_test(tc, test_a_dense_demand_needs_no_trace_and_no_rows);
	tcase_add_test(tc, test_kept_bytes_are_whole_pages_or_everything);
	tcase_add_test(tc, test_a_recorded_demand_is_taken_as_it_stands);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
