/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_experiment.c - files, sets and sweeps become trials with names, digests and resolved configs
 */
#include "scratch.h"

static const char *resolved(const struct trial *trial, const char *path)
{
	const struct ynode *node = ynode_at(trial->resolved, path);

	return node && node->kind == YNODE_SCALAR ? node->text : "(absent)";
}

START_TEST(test_a_plain_experiment_is_one_trial_without_a_name)
{
	struct experiment x;

	scratch_experiment(&x, TINY_ALL "about: one\n");
	ck_assert_str_eq(x.name, "tiny");
	ck_assert_str_eq(x.about, "one");
	ck_assert(x.in_sim && !x.in_real);
	ck_assert_uint_eq(x.trial_count, 1);
	ck_assert_str_eq(x.trials[0].name, "");
	ck_assert_str_eq(x.trials[0].model.name, "tiny");
	ck_assert_str_eq(x.trials[0].device.name, "m1-max");
	ck_assert_str_eq(x.trials[0].policy.name, "all");
	ck_assert_str_eq(x.trials[0].target.name, "disk");
	ck_assert(x.trials[0].has_activity);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_defaults_are_written_out)
{
	struct experiment x;
	const struct trial *t;

	scratch_experiment(&x, TINY_ALL);
	t = &x.trials[0];
	ck_assert_str_eq(resolved(t, "seed"), "7");
	ck_assert_str_eq(resolved(t, "repeats"), "5");
	ck_assert_str_eq(resolved(t, "threads"), "all");
	ck_assert_str_eq(resolved(t, "target"), "disk");
	ck_assert_str_eq(resolved(t, "model.row_align"), "512B");
	ck_assert_str_eq(resolved(t, "model.activity.fn_frac"), "0.05");
	ck_assert_str_eq(resolved(t, "policy.chunk"), "row");
	ck_assert_str_eq(resolved(t, "policy.window"), "5");
	ck_assert_str_eq(resolved(t, "policy.store"), "compact");
	ck_assert_str_eq(resolved(t, "device.flash.knee"), "4");
	ck_assert_str_eq(resolved(t, "device.origin.kind"), "published");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_resolved_config_loads_as_the_same_trial)
{
	struct experiment x, again;
	struct err err = {0};
	char *text;

	scratch_experiment(&x, TINY_ALL "target: emulated-m1-max\nworlds: [sim, real]\n"
					"model_files: weights\nfigures: [predicted-vs-measured]\n"
					"sweep: {product: {policy.window: [3]}}\n");
	ck_assert_int_eq(ynode_text(&text, x.trials[0].resolved, &err), 0);
	ck_assert_int_eq(mkdir("elsewhere", 0777), 0);
	scratch_write("elsewhere/again.yaml", text);
	ck_assert_msg(experiment_load(&again, "elsewhere/again.yaml", NULL, 0, &err) == 0, "%s",
		      err.msg);
	ck_assert_uint_eq(again.trial_count, 1);
	ck_assert_str_eq(again.trials[0].hash, x.trials[0].hash);
	ck_assert_str_eq(again.trials[0].run.model_files, x.trials[0].run.model_files);
	ck_assert(again.in_sim && again.in_real);
	ck_assert_str_eq(again.figures[0], "predicted_vs_measured");
	ck_assert_str_eq(again.trials[0].target.name, x.trials[0].target.name);
	free(text);
	experiment_fini(&again);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_files_are_meant_from_the_folder_that_names_them)
{
	struct experiment x;
	struct err err = {0};
	const char *const sets[] = {"model_files=mine"};
	char here[PATH_MAX], wanted[PATH_MAX + 16];

	ck_assert(getcwd(here, sizeof(here)) != NULL);
	ck_assert_int_eq(mkdir("sub", 0777), 0);
	scratch_write("sub/tiny.yaml", tiny_yaml);
	scratch_write("sub/x.yaml", TINY_ALL "model_files: weights\n");
	ck_assert_msg(experiment_load(&x, "sub/x.yaml", NULL, 0, &err) == 0, "%s", err.msg);
	snprintf(wanted, sizeof(wanted), "%s/sub/weights", here);
	ck_assert_str_eq(x.trials[0].run.model_files, wanted);
	experiment_fini(&x);
	ck_assert_msg(experiment_load(&x, "sub/x.yaml", sets, 1, &err) == 0, "%s", err.msg);
	snprintf(wanted, sizeof(wanted), "%s/mine", here);
	ck_assert_str_eq(x.trials[0].run.model_files, wanted);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_sets_go_over_the_file_and_under_the_sweep)
{
	const char *const sets[] = {"policy.window=3", "policy.chunk=4KiB", "ctx=32"};
	struct experiment x;
	struct err err = {0};

	ck_assert_msg(scratch_load(&x, TINY_ALL "sweep: {product: {policy.chunk: [8KiB, row]}}\n",
				   sets, 3, &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_eq(x.trial_count, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_str_eq(resolved(&x.trials[i], "policy.window"), "3");
		ck_assert_str_eq(resolved(&x.trials[i], "ctx"), "32");
	}
	ck_assert_str_eq(resolved(&x.trials[0], "policy.chunk"), "8KiB");
	ck_assert_str_eq(x.trials[0].name, "policy.chunk=8KiB");
	ck_assert_str_eq(resolved(&x.trials[1], "policy.chunk"), "row");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_set_part_replaces_the_files_part)
{
	const char *const sets[] = {"policy=naive", "policy.in_flight=4"};
	struct experiment x;
	struct err err = {0};

	ck_assert_msg(scratch_load(&x, TINY_ALL, sets, 2, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(x.trials[0].policy.name, "naive");
	ck_assert_str_eq(resolved(&x.trials[0], "policy.demand"), "dense");
	ck_assert_str_eq(resolved(&x.trials[0], "policy.in_flight"), "4");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_a_part_is_swept_by_name_under_the_sets_inside_it)
{
	const char *const sets[] = {"policy.in_flight=8"};
	struct experiment x;
	struct err err = {0};

	ck_assert_msg(scratch_load(&x,
				   TINY "sweep: {product: {policy: [naive, all, {base: all, "
					"name: mine, window: 2}]}}\n",
				   sets, 1, &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_eq(x.trial_count, 3);
	ck_assert_str_eq(x.trials[0].name, "policy=naive");
	ck_assert_str_eq(x.trials[2].name, "policy=mine");
	ck_assert_str_eq(resolved(&x.trials[2], "policy.window"), "2");
	for (size_t i = 0; i < 3; i++)
		ck_assert_str_eq(resolved(&x.trials[i], "policy.in_flight"), "8");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_dotted_paths_go_on_top_of_the_part_in_any_order)
{
	struct experiment x;

	scratch_experiment(&x, TINY "sweep: {product: {policy.window: [2, 4], policy: [naive, all, "
				    "window]}}\n");
	/* naive has no window: its two points are one trial. */
	ck_assert_uint_eq(x.trial_count, 5);
	ck_assert_str_eq(x.trials[0].name, "policy.window=2 policy=naive");
	ck_assert_str_eq(resolved(&x.trials[0], "policy.window"), "(absent)");
	ck_assert_str_eq(x.trials[1].name, "policy.window=2 policy=all");
	ck_assert_str_eq(resolved(&x.trials[1], "policy.window"), "2");
	ck_assert_str_eq(resolved(&x.trials[3], "policy.window"), "4");
	experiment_fini(&x);
}
END_TEST

START_TEST(test_any_part_can_be_swept)
{
	struct experiment x;

	scratch_experiment(&x,
			   TINY_ALL "sweep: {zip: {device: [m1-max, rtx4090-box], target: [disk, "
				    "emulated-m1-max], device.flash.latency_ns: [1us, 2us]}, "
				    "product: {model.layer_count: [1, 2]}}\n");
	ck_assert_uint_eq(x.trial_count, 4);
	ck_assert_str_eq(x.trials[0].device.name, "m1-max");
	ck_assert_str_eq(x.trials[1].device.name, "rtx4090-box");
	ck_assert(x.trials[1].device.flash.latency_ns == 2000);
	ck_assert(!x.trials[0].target.is_emulated && x.trials[1].target.is_emulated);
	ck_assert_uint_eq(x.trials[3].model.layer_count, 2);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_blocks_are_a_union_without_repetition)
{
	struct experiment x;

	scratch_experiment(&x,
			   TINY "sweep:\n"
				"- zip: {policy: [naive, all], tokens: [2, 8]}\n"
				"- product: {policy: [all], tokens: [8], policy.window: {range: "
				"[4, 6]}}\n");
	ck_assert_uint_eq(x.trial_count, 4);
	ck_assert_str_eq(x.trials[0].name, "policy=naive");
	ck_assert_str_eq(x.trials[1].name, "policy=all");      /* tokens come with it */
	/* tokens are constant and say nothing, the policy is another block's too */
	ck_assert_str_eq(x.trials[2].name, "policy=all policy.window=4");
	ck_assert_str_eq(x.trials[3].name, "policy=all policy.window=6"); /* 5 stands, as all */
	experiment_fini(&x);
}
END_TEST

START_TEST(test_where_may_ask_for_defaults)
{
	struct experiment x;

	scratch_experiment(&x, TINY "sweep: {product: {policy: [predictor, window, all]}, where: "
				    "{policy.layout: bundle, seed: {at_most: 7}}}\n");
	ck_assert_uint_eq(x.trial_count, 1);
	ck_assert_str_eq(x.trials[0].policy.name, "all");
	experiment_fini(&x);
	scratch_experiment(&x, TINY_ALL "sweep: {product: {policy.window: [1, 2]}, where: "
					"{policy.window: {is: 2, unless: {policy.dense_chunk: "
					"1MiB}}}}\n");
	ck_assert_uint_eq(x.trial_count, 2);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_an_experiment_has_a_base)
{
	struct experiment x;

	scratch_write("base.yaml", TINY_ALL "sweep: {product: {policy.window: [1, 2]}}\n");
	scratch_experiment(&x, "base: base.yaml\nexperiment: derived\nseed: 9\n");
	ck_assert_uint_eq(x.trial_count, 2);
	ck_assert_str_eq(x.name, "derived");
	ck_assert_uint_eq(x.trials[0].run.seed, 9);
	experiment_fini(&x);
}
END_TEST

/* ---- digests ----------------------------------------------------------------------------------
 */

static void hash_of(char hash[DIGEST_TEXT], const char *yaml)
{
	struct experiment x;

	scratch_experiment(&x, yaml);
	ck_assert_uint_eq(x.trial_count, 1);
	memcpy(hash, x.trials[0].hash, DIGEST_TEXT);
	experiment_fini(&x);
}

static const struct {
	const char *why, *yaml;
	bool same;
} digests[] = {
	{"an experiment's name computes nothing",
	 "experiment: other\nmodel: tiny.yaml\ndevice: m1-max\nctx: 64\ntokens: 12\nwarmup: "
	 "4\npolicy: all\n",
	 true},
	{"nor its about", TINY_ALL "about: something\n", true},
	{"nor repeats", TINY_ALL "repeats: 10\n", true},
	{"nor how they are spread", TINY_ALL "visits: 2\n", true},
	{"nor worlds", TINY_ALL "worlds: [real]\n", true},
	{"nor figures", TINY_ALL "figures: [window]\n", true},
	{"nor where the weights lie", TINY_ALL "model_files: there\n", true},
	{"nor a policy's name", TINY "policy: {base: all, name: x, about: y}\n", true},
	{"nor a value that is the default", TINY_ALL "seed: 7\n", true},
	{"nor how a value is written", TINY "policy: {base: all, dense_chunk: 1024KiB}\n", true},
	{"a window does", TINY "policy: {base: all, window: 4}\n", false},
	{"a seed does", TINY_ALL "seed: 8\n", false},
	{"a target does", TINY_ALL "target: emulated-m1-max\n", false},
	{"the level does", TINY_ALL "sim_level: recursion\n", false},
	{"threads do", TINY_ALL "threads: 1\n", false},
	{"a device's figure does",
	 "experiment: tiny\nmodel: tiny.yaml\ndevice: {base: m1-max, flash: {knee: 5}}\nctx: "
	 "64\ntokens: 12\nwarmup: 4\npolicy: all\n",
	 false},
	{"a model's figure does",
	 "experiment: tiny\nmodel: {base: tiny.yaml, layer_count: 1}\ndevice: m1-max\nctx: "
	 "64\ntokens: 12\nwarmup: 4\npolicy: all\n",
	 false},
};

START_TEST(test_a_digest_covers_what_is_computed_and_nothing_else)
{
	char plain[DIGEST_TEXT], other[DIGEST_TEXT];

	hash_of(plain, TINY_ALL);
	ck_assert_uint_eq(strlen(plain), DIGEST_TEXT - 1);
	hash_of(other, digests[_i].yaml);
	ck_assert_msg((strcmp(plain, other) == 0) == digests[_i].same, "%s", digests[_i].why);
}
END_TEST

START_TEST(test_a_devices_name_and_origin_are_not_in_the_digest)
{
	char plain[DIGEST_TEXT], other[DIGEST_TEXT];

	hash_of(plain, TINY_ALL);
	hash_of(other,
		"experiment: tiny\nmodel: tiny.yaml\ndevice: {base: m1-max, name: renamed, "
		"origin: {source: elsewhere}}\nctx: 64\ntokens: 12\nwarmup: 4\npolicy: all\n");
	ck_assert_str_eq(plain, other);
}
END_TEST

/* coalesce_gap of OPT 6.7B as the resolved config has it. */
static const struct {
	const char *why, *keys, *gap;
} gaps[] = {
	{"the M1 Max serves few requests: a bundle of 16 KiB", "device: m1-max\n", "16KiB"},
	{"rows of 8 KiB: three of them",
	 "device: m1-max\npolicy: {base: coalesce, layout: split}\n", "24KiB"},
	{"in chunks of two bundles a gap would be a chunk more",
	 "device: m1-max\npolicy: {base: coalesce, chunk: 32KiB}\n", "none"},
	{"reads of two bundles have room for none",
	 "device: m1-max\npolicy: {base: coalesce, coalesce_most: 32KiB}\n", "none"},
	{"a device that is short of bytes joins neighbours only", "device: rtx4090-box\n", "none"},
	{"what is said is meant", "device: m1-max\npolicy: {base: coalesce, coalesce_gap: 40KiB}\n",
	 "40KiB"},
	{"nobody asks", "device: m1-max\npolicy: {base: coalesce, coalesce: none}\n", "auto"},
};

START_TEST(test_an_automatic_gap_is_a_size_before_the_run)
{
	struct experiment x;
	char yaml[512];

	snprintf(yaml, sizeof(yaml), "experiment: t\nmodel: opt-6.7b\n%s%s",
		 strstr(gaps[_i].keys, "policy") ? "" : "policy: coalesce\n", gaps[_i].keys);
	scratch_experiment(&x, yaml);
	ck_assert_msg(strcmp(resolved(&x.trials[0], "policy.coalesce_gap"), gaps[_i].gap) == 0,
		      "%s: %s", gaps[_i].why, resolved(&x.trials[0], "policy.coalesce_gap"));
	experiment_fini(&x);
}
END_TEST

START_TEST(test_an_automatic_gap_counts_as_the_size_that_it_is)
{
	char found[DIGEST_TEXT], said[DIGEST_TEXT], other[DIGEST_TEXT];
	const char *base = "experiment: t\nmodel: opt-6.7b\ndevice: m1-max\n";
	char yaml[512];

	snprintf(yaml, sizeof(yaml), "%spolicy: {base: coalesce}\n", base);
	hash_of(found, yaml);
	snprintf(yaml, sizeof(yaml), "%spolicy: {base: coalesce, coalesce_gap: 16KiB}\n", base);
	hash_of(said, yaml);
	snprintf(yaml, sizeof(yaml), "%spolicy: {base: coalesce, coalesce_gap: 32KiB}\n", base);
	hash_of(other, yaml);
	ck_assert_str_eq(found, said);
	ck_assert_str_ne(found, other);
}
END_TEST

START_TEST(test_a_trace_counts_by_its_content)
{
	struct trace trace = {.model = "tiny",
			      .source = "a test",
			      .layer_count = 2,
			      .neuron_count = 1024,
			      .token_count = 16,
			      .margin_count = 1,
			      .margins = {0}};
	char first[DIGEST_TEXT], renamed[DIGEST_TEXT], other[DIGEST_TEXT];
	struct err err = {0};

	ck_assert_int_eq(trace_init(&trace, &err), 0);
	bits_put(trace_plane(&trace, 3, 1, 0), 17);
	ck_assert_int_eq(trace_save(&trace, "a.trace", &err), 0);
	ck_assert_int_eq(trace_save(&trace, "b.trace", &err), 0);
	bits_put(trace_plane(&trace, 3, 1, 0), 18);
	ck_assert_int_eq(trace_save(&trace, "c.trace", &err), 0);
	trace_fini(&trace);
	hash_of(first, TINY "policy: {base: all, demand: oracle}\ntrace: a.trace\n");
	hash_of(renamed, TINY "policy: {base: all, demand: oracle}\ntrace: b.trace\n");
	hash_of(other, TINY "policy: {base: all, demand: oracle}\ntrace: c.trace\n");
	ck_assert_str_eq(first, renamed);
	ck_assert_str_ne(first, other);
}
END_TEST

START_TEST(test_what_is_read_is_freed_whole)
{
	struct experiment x = {0};

	experiment_fini(&x);
	scratch_experiment(&x, TINY_ALL);
	experiment_fini(&x);
	experiment_fini(&x);
}
END_TEST

START_TEST(test_parameters_of_an_experiment_stand_in_order)
{
	struct err err = {0};

	ck_assert_msg(param_table_check(&trial_run_table, &err) == 0, "%s", err.msg);
}
END_TEST

static const char *const shipped[] = {"demo.yaml", "window-by-chunk.yaml", "paper/table2.yaml"};

START_TEST(test_a_shipped_experiment_loads)
{
	struct experiment x;
	struct err err = {0};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/configs/experiment/%s", FLASH_SOURCE_DIR, shipped[_i]);
	ck_assert_msg(experiment_load(&x, path, NULL, 0, &err) == 0, "%s", err.msg);
	ck_assert_uint_ge(x.trial_count, 5);
	experiment_fini(&x);
}
END_TEST

static TCase *scratch_case(const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, scratch_open, scratch_close);
	return tcase;
}

static TCase *overlay_case(void)
{
	TCase *tcase = scratch_case("overlays");

	tcase_add_test(tcase, test_a_plain_experiment_is_one_trial_without_a_name);
	tcase_add_test(tcase, test_defaults_are_written_out);
	tcase_add_test(tcase, test_a_resolved_config_loads_as_the_same_trial);
	tcase_add_test(tcase, test_files_are_meant_from_the_folder_that_names_them);
	tcase_add_test(tcase, test_sets_go_over_the_file_and_under_the_sweep);
	tcase_add_test(tcase, test_a_set_part_replaces_the_files_part);
	tcase_add_test(tcase, test_a_part_is_swept_by_name_under_the_sets_inside_it);
	tcase_add_test(tcase, test_dotted_paths_go_on_top_of_the_part_in_any_order);
	tcase_add_test(tcase, test_any_part_can_be_swept);
	tcase_add_test(tcase, test_blocks_are_a_union_without_repetition);
	tcase_add_test(tcase, test_where_may_ask_for_defaults);
	tcase_add_test(tcase, test_an_experiment_has_a_base);
	tcase_add_test(tcase, test_what_is_read_is_freed_whole);
	tcase_add_test(tcase, test_parameters_of_an_experiment_stand_in_order);
	tcase_add_loop_test(tcase, test_a_shipped_experiment_loads, 0,
			    sizeof(shipped) / sizeof(*shipped));
	return tcase;
}

static TCase *digest_case(void)
{
	TCase *tcase = scratch_case("digests");

	tcase_add_loop_test(tcase, test_a_digest_covers_what_is_computed_and_nothing_else, 0,
			    sizeof(digests) / sizeof(*digests));
	tcase_add_loop_test(tcase, test_an_automatic_gap_is_a_size_before_the_run, 0,
			    (int)(sizeof(gaps) / sizeof(*gaps)));
	tcase_add_test(tcase, test_an_automatic_gap_counts_as_the_size_that_it_is);
	tcase_add_test(tcase, test_a_devices_name_and_origin_are_not_in_the_digest);
	tcase_add_test(tcase, test_a_trace_counts_by_its_content);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("experiment");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, overlay_case());
	suite_add_tcase(suite, digest_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
