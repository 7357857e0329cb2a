/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_trace_gen.c - generated traces have the statistics asked for, nest, and repeat to the bit
 *
 * Geometry is scaled down (a statistic of 4,096 neurons is near enough that of 16,384); the figures
 * are those of the shipped models. */
#include "configs.h"
#include "digest.h"
#include "rng.h"
#include "trace_draw.h"
#include "trace_gen.h"
#include "trace_stats.h"

#include <check.h>
#include <errno.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 4, NEURONS = 4096, TOKENS = 250 };

static struct model small_model(uint32_t layers, uint32_t neurons)
{
	return (struct model){.name = "small", .layer_count = layers, .d_ffn = neurons};
}

static void read_activity(struct activity *activity, const char *model_name)
{
	struct ynode *map = NULL;
	struct err err = {0};

	ck_assert_msg(!config_load(&map, CONFIG_MODEL, model_name, &err), "%s", err.msg);
	ck_assert_msg(!activity_read(activity, map, &err), "%s", err.msg);
	ynode_free(map);
}

static void generate(struct trace *trace, const struct activity *activity,
		     const struct model *model, uint32_t tokens, uint64_t seed)
{
	struct trace_shape *shape = NULL;
	struct err err = {0};

	ck_assert_msg(!trace_shape_fit(&shape, activity, (uint32_t)model->layer_count, &err), "%s",
		      err.msg);
	ck_assert_msg(!trace_generate(trace, shape, model, tokens, seed, &err), "%s", err.msg);
	trace_shape_free(shape);
}

/* Statistics of the truly active set or of what `noisy` demands with the activity's own errors. */
static struct trace_stats stats_of(const struct trace *trace, const struct model *model,
				   const struct activity *activity, const char *demand)
{
	struct policy_config config;
	struct trace_stats stats;
	struct ynode *map = NULL;
	struct err err = {0};

	ck_assert(!yaml_parse(&map, "{demand: noisy}", "test", &err));
	ck_assert_msg(!policy_config_read(&config, map, &err), "%s", err.msg);
	ynode_free(map);
	config.demand = (unsigned)word_value(demand_words, demand);
	config.fn_frac = activity->fn_frac;
	config.fp_frac = activity->fp_frac;
	ck_assert_msg(!trace_stats(&stats, trace, model, &config, 0, &err), "%s", err.msg);
	return stats;
}

static void assert_near(const char *what, double got, double want, double tolerance_frac)
{
	ck_assert_msg(fabs(got / want - 1) <= tolerance_frac, "%s: %.5g, wanted %.5g within %g %%",
		      what, got, want, tolerance_frac * 100);
}

static void assert_statistics(const struct activity *a, uint64_t seed)
{
	const struct model model = small_model(LAYERS, NEURONS);
	const double demand = a->active_frac * (1 - a->fn_frac) + (1 - a->active_frac) * a->fp_frac;
	struct trace_stats active, demanded;
	struct trace trace;
	uint64_t k = a->window_tokens;

	generate(&trace, a, &model, TOKENS, seed);
	active = stats_of(&trace, &model, a, "oracle");
	demanded = stats_of(&trace, &model, a, "noisy");
	assert_near("active", active.density_frac, a->active_frac, 0.02);
	assert_near("active, first layer", active.density_first_frac, a->active_first_frac, 0.04);
	assert_near("active, last layer", active.density_last_frac, a->active_last_frac, 0.04);
	assert_near("demanded", demanded.density_frac, demand, 0.02);
	assert_near("resident", demanded.aggregated_frac[k], a->resident_frac, 0.02);
	assert_near("new", demanded.aggregated_frac[k + 1] - demanded.aggregated_frac[k],
		    a->new_frac, 0.03);
	assert_near("overlap", demanded.overlap_frac, a->overlap_frac, 0.02);
	trace_fini(&trace);
}

static const struct {
	const char *model;
	uint64_t seed;
} trials[] = {
	{"opt-6.7b", 1},  {"opt-6.7b", 2},   {"opt-6.7b", 77}, {"falcon-7b", 1},
	{"falcon-7b", 2}, {"falcon-7b", 77}, {"demo-opt", 3},
};

START_TEST(test_a_generated_trace_has_the_statistics_of_its_model)
{
	struct activity activity;

	read_activity(&activity, trials[_i].model);
	assert_statistics(&activity, trials[_i].seed);
}
END_TEST

/* The hot share is one of a long run: by chance a short one looks more skewed than its rates are
 * (docs/traces.md). */
static void assert_hot_share(const struct activity *activity, double tolerance_frac)
{
	const struct model model = small_model(2, 1024);
	struct trace_stats stats;
	struct trace trace;

	generate(&trace, activity, &model, 2000, 6);
	stats = stats_of(&trace, &model, activity, "noisy");
	assert_near("hot", stats.hot_frac, activity->hot_frac, tolerance_frac);
	trace_fini(&trace);
}

static const char *const models[] = {"opt-6.7b", "falcon-7b"};

START_TEST(test_a_long_trace_has_the_hot_share_of_its_model)
{
	struct activity activity;

	read_activity(&activity, models[_i]);
	assert_hot_share(&activity, 0.04);
}
END_TEST

/* The corners of the bands that docs/traces.md states. */
static const struct {
	const char *model;
	double overlap_frac, hot_frac;
} corners[] = {
	{"opt-6.7b", 0.51, 0.25},  {"opt-6.7b", 0.51, 0.31},   {"opt-6.7b", 0.555, 0.25},
	{"opt-6.7b", 0.555, 0.31}, {"falcon-7b", 0.445, 0.26}, {"falcon-7b", 0.445, 0.28},
	{"falcon-7b", 0.47, 0.26}, {"falcon-7b", 0.47, 0.28},
};

START_TEST(test_overlap_and_hot_share_can_be_had_anywhere_in_their_bands)
{
	struct activity activity;

	read_activity(&activity, corners[_i].model);
	activity.overlap_frac = corners[_i].overlap_frac;
	activity.hot_frac = corners[_i].hot_frac;
	assert_statistics(&activity, 5);
	assert_hot_share(&activity, 0.1); /* 2,000 tokens are short where the cold are all alike */
}
END_TEST

/* The truly active have the persistence of every plane, so that they follow from the rest. */
START_TEST(test_truly_active_sets_persist_as_documented)
{
	const struct model model = small_model(LAYERS, NEURONS);
	struct trace_stats stats;
	struct activity activity;
	struct trace trace;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, TOKENS, 4);
	stats = stats_of(&trace, &model, &activity, "oracle");
	assert_near("overlap", stats.overlap_frac, 0.40, 0.03);
	assert_near("s_agg(5)", stats.aggregated_frac[5], 0.097, 0.03);
	trace_fini(&trace);
}
END_TEST

/* A sweep over a predictor's errors on one trace. */
START_TEST(test_other_errors_than_the_activitys_own_can_be_drawn)
{
	static const double fp_fracs[] = {0.02, 0.15, 0.19};
	const struct model model = small_model(LAYERS, NEURONS);
	struct activity activity;
	struct trace_stats stats;
	struct trace trace;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, 100, 4);
	activity.fn_frac = 0.2;
	activity.fp_frac = fp_fracs[_i];
	stats = stats_of(&trace, &model, &activity, "noisy");
	assert_near("demanded", stats.density_frac,
		    0.8 * activity.active_frac + activity.fp_frac * (1 - activity.active_frac),
		    0.03);
	trace_fini(&trace);
}
END_TEST

START_TEST(test_one_layer_and_two_have_the_mean_density)
{
	static const uint32_t layers[] = {1, 2, 3};
	const struct model model = small_model(layers[_i], NEURONS);
	struct trace_stats stats;
	struct activity activity;
	struct trace trace;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, 200, 4);
	stats = stats_of(&trace, &model, &activity, "oracle");
	assert_near("active", stats.density_frac, activity.active_frac, 0.03);
	stats = stats_of(&trace, &model, &activity, "noisy");
	assert_near("resident", stats.aggregated_frac[5], activity.resident_frac, 0.03);
	trace_fini(&trace);
}
END_TEST

static size_t plane_words(const struct trace *trace)
{
	return (size_t)trace->token_count * trace->layer_count * trace_plane_count(trace) *
	       trace->words;
}

/* Also over an odd number of neurons, less than a word's, less than a block's, and one more. */
START_TEST(test_planes_nest_and_end_with_the_last_neuron)
{
	static const uint32_t neurons[] = {1, 63, 64, 65, 200, 1024, 1025, 2047};
	const struct model model = small_model(2, neurons[_i]);
	struct activity activity;
	struct trace trace;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, 70, 9);
	ck_assert_uint_eq(trace.margin_count, 4);
	ck_assert_uint_eq(trace.active_plane, 1);
	for (uint32_t t = 0; t < trace.token_count; t++)
		for (uint32_t l = 0; l < trace.layer_count; l++)
			for (uint32_t p = 0; p < trace.margin_count; p++) {
				const uint64_t *set = trace_plane(&trace, t, l, p);
				const uint64_t *inner = trace_plane(&trace, t, l, p ? p - 1 : 0);

				for (size_t w = 0; w < trace.words; w++)
					ck_assert_uint_eq(inner[w] & ~set[w], 0);
				for (size_t i = neurons[_i]; i < trace.words * 64; i++)
					ck_assert(!bits_get(set, (uint32_t)i));
			}
	trace_fini(&trace);
}
END_TEST

static void digest_trace(const struct trace *trace, char text[DIGEST_TEXT])
{
	digest_of(trace->planes, plane_words(trace) * sizeof(uint64_t), text);
}

START_TEST(test_a_seed_gives_the_same_bits_on_every_machine)
{
	/* What this must be: the first machine's (x86-64, gcc 12, GSL 2.7.1, glibc 2.36). */
	static const char golden[] = "fc03b9f3191a1650aabb71251bfc7403";
	const struct model model = small_model(3, 1000);
	char first[DIGEST_TEXT], again[DIGEST_TEXT], other[DIGEST_TEXT];
	struct activity activity;
	struct trace trace;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, 100, 42);
	digest_trace(&trace, first);
	trace_fini(&trace);
	generate(&trace, &activity, &model, 100, 42);
	digest_trace(&trace, again);
	trace_fini(&trace);
	generate(&trace, &activity, &model, 100, 43);
	digest_trace(&trace, other);
	trace_fini(&trace);
	ck_assert_str_eq(first, again);
	ck_assert_str_ne(first, other);
	ck_assert_str_eq(first, golden);
}
END_TEST

START_TEST(test_wide_registers_draw_the_same_bits_as_narrow_ones)
{
	enum { DRAWN = 50 };
	struct draw_block wide, narrow;
	draw_token wide_tokens[DRAWN], narrow_tokens[DRAWN];
	unsigned char *bytes = (unsigned char *)&wide;
	struct rng rng = {12};

	for (size_t i = 0; i < sizeof(wide); i++)
		bytes[i] = (unsigned char)rng_next(&rng);
	narrow = wide;
	draw_tokens(&wide, 333, wide_tokens, DRAWN);
	draw_tokens_portable(&narrow, 333, narrow_tokens, DRAWN);
	ck_assert_mem_eq(wide_tokens, narrow_tokens, sizeof(wide_tokens));
	ck_assert_mem_eq(&wide, &narrow, sizeof(wide));
}
END_TEST

START_TEST(test_a_longer_trace_begins_with_the_shorter_one)
{
	const struct model model = small_model(2, 500);
	struct trace shorter, longer;
	struct activity activity;

	read_activity(&activity, "falcon-7b");
	generate(&shorter, &activity, &model, 65, 3);
	generate(&longer, &activity, &model, 200, 3);
	ck_assert_mem_eq(shorter.planes, longer.planes, plane_words(&shorter) * sizeof(uint64_t));
	trace_fini(&shorter);
	trace_fini(&longer);
}
END_TEST

/* Runs of neighbours would be read in larger chunks than real models allow. */
START_TEST(test_neuron_ids_say_nothing_about_rates)
{
	const struct model model = small_model(1, NEURONS);
	struct activity activity;
	struct trace trace;
	double pairs = 0, fired = 0;

	read_activity(&activity, "opt-6.7b");
	generate(&trace, &activity, &model, 200, 8);
	for (uint32_t t = 0; t < 200; t++) {
		const uint64_t *set = trace_plane(&trace, t, 0, 2);

		for (uint32_t n = 1; n < NEURONS; n++) {
			fired += bits_get(set, n);
			pairs += bits_get(set, n) && bits_get(set, n - 1);
		}
	}
	assert_near("neighbours firing together", pairs / fired, fired / 200 / NEURONS, 0.15);
	trace_fini(&trace);
}
END_TEST

#define OPT                                                                                        \
	"activity:\n  active_frac: 3.3%\n  active_first_frac: 1.6%\n  active_last_frac: 5.4%\n"    \
	"  window_tokens: 5\n"
static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"it has no default", "name: x\n", "m.yaml:1:1: activity is missing"},
	{"a key is missing", OPT "  resident_frac: 24%\n  new_frac: 2.4%\n  hot_frac: 28%\n",
	 "overlap_frac is missing"},
	{"s_agg(1) is the density", "activity:\n  window_tokens: 1\n",
	 "m.yaml:2:18: window_tokens: 1 is outside [2, 64]"},
	{"no key is ignored",
	 OPT "  resident_frac: 24%\n  new_frac: 2.4%\n  overlap_frac: 53%\n  hot_frac: 28%\n"
	     "  hot_fraq: 2%\n",
	 "m.yaml:10:3: unknown key hot_fraq (did you mean hot_frac?)"},
	{"less than the demands of one token add up to",
	 OPT "  resident_frac: 15%\n  new_frac: 2.4%\n  overlap_frac: 53%\n  hot_frac: 28%\n",
	 "resident_frac 0.15, expected at least 0.195"},
	{"s_agg is concave",
	 OPT "  resident_frac: 24%\n  new_frac: 2.4%\n  overlap_frac: 70%\n  hot_frac: 28%\n",
	 "overlap_frac 0.7, expected 0.304 to 0.644"},
};

START_TEST(test_a_contradictory_activity_is_refused_with_place_and_figures)
{
	struct activity activity;
	struct ynode *map = NULL;
	struct err err = {0};
	int code = yaml_parse(&map, bad[_i].yaml, "m.yaml", &err);

	if (!code)
		code = activity_read(&activity, map, &err);
	ck_assert_msg(code == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strstr(err.msg, bad[_i].says), "said: %s", err.msg);
	ynode_free(map);
}
END_TEST

START_TEST(test_what_no_generator_reaches_is_refused_with_the_nearest)
{
	struct trace_shape *shape = NULL;
	struct activity activity;
	struct err err = {0};

	read_activity(&activity, "opt-6.7b");
	activity.overlap_frac = 0.40; /* concave, but no mixture of such chains */
	ck_assert_int_eq(trace_shape_fit(&shape, &activity, LAYERS, &err), EDOM);
	ck_assert_msg(strstr(err.msg, "overlap_frac 0.4 and hot_frac 0.28; nearest: "), "said: %s",
		      err.msg);
	err = (struct err){0};
	read_activity(&activity, "opt-6.7b");
	activity.active_first_frac = activity.active_last_frac = 0.3;
	ck_assert_int_eq(trace_shape_fit(&shape, &activity, LAYERS, &err), EDOM);
	ck_assert_msg(strstr(err.msg, "active_frac 0.033 between 0.3 in the first"), "said: %s",
		      err.msg);
}
END_TEST

/* tests/golden/sample.trace: what docs/traces.md shows, and what this generator makes. */
START_TEST(test_the_shipped_sample_is_what_the_generator_makes)
{
	struct model model = small_model(2, 256);
	struct trace sample, made;
	struct activity activity;
	struct err err = {0};

	ck_assert_msg(!trace_load(&sample, FLASH_SOURCE_DIR "/tests/golden/sample.trace", &err),
		      "%s", err.msg);
	snprintf(model.name, sizeof(model.name), "opt-sample");
	read_activity(&activity, "opt-6.7b");
	generate(&made, &activity, &model, 16, 7);
	ck_assert_str_eq(sample.model, made.model);
	ck_assert_str_eq(sample.source, made.source);
	ck_assert_uint_eq(sample.token_count, 16);
	ck_assert_uint_eq(plane_words(&sample), plane_words(&made));
	ck_assert_mem_eq(sample.planes, made.planes, plane_words(&made) * sizeof(uint64_t));
	trace_fini(&sample);
	trace_fini(&made);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
	Suite *suite = suite_create("trace_gen");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	gsl_set_error_handler_off();
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, test_a_generated_trace_has_the_statistics_of_its_model, 0,
			    COUNT(trials));
	tcase_add_loop_test(tcase, test_a_long_trace_has_the_hot_share_of_its_model, 0,
			    COUNT(models));
	tcase_add_loop_test(tcase, test_overlap_and_hot_share_can_be_had_anywhere_in_their_bands, 0,
			    COUNT(corners));
	tcase_add_test(tcase, test_truly_active_sets_persist_as_documented);
	tcase_add_loop_test(tcase, test_other_errors_than_the_activitys_own_can_be_drawn, 0, 3);
	tcase_add_loop_test(tcase, test_one_layer_and_two_have_the_mean_density, 0, 3);
	tcase_add_loop_test(tcase, test_planes_nest_and_end_with_the_last_neuron, 0, 8);
	tcase_add_test(tcase, test_a_seed_gives_the_same_bits_on_every_machine);
	tcase_add_test(tcase, test_wide_registers_draw_the_same_bits_as_narrow_ones);
	tcase_add_test(tcase, test_a_longer_trace_begins_with_the_shorter_one);
	tcase_add_test(tcase, test_neuron_ids_say_nothing_about_rates);
	tcase_add_loop_test(tcase, test_a_contradictory_activity_is_refused_with_place_and_figures,
			    0, COUNT(bad));
	tcase_add_test(tcase, test_what_no_generator_reaches_is_refused_with_the_nearest);
	tcase_add_test(tcase, test_the_shipped_sample_is_what_the_generator_makes);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
