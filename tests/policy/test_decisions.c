/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_decisions.c - decision logs against golden ones, byte for byte, with their digests
 *
 * The trace is made by a rule that can be checked by hand: at token t in layer l neuron n is
 * v = (7 n + 3 t + 5 l) mod 16 from firing; it is in the plane of margin 0.5 when v < 1, truly
 *active when v < 2, and in the plane of margin -0.5 when v < 6.  64 neurons, 2 layers, 6 tokens.
 *
 * When decisions change on purpose, write the logs anew and read the difference before committing
 *it: FLASH_GOLDEN_WRITE=1 build/dev/tests/policy/test_policy_decisions && git diff tests/golden */
#include "decision_log.h"
#include "policy_fixture.h"

#include <check.h>
#include <stdlib.h>

enum { NEURONS = 64, LAYERS = 2, TOKENS = 6 };

static const struct {
	const char *name, *yaml;
} cases[] = {
	{"naive", "{demand: dense, persistence: none, residency: none, layout: split}"},
	{"hybrid", "{demand: dense, persistence: fraction, residency: none, layout: split}"},
	{"predictor", "{demand: noisy, residency: none, layout: split}"},
	{"window", "{demand: noisy, window: 2, layout: split}"},
	{"bundle", "{demand: noisy, window: 2, layout: bundle}"},
	{"cap", "{demand: oracle, window: 5, cap_frac: 0.375, layout: bundle}"},
	{"pinned",
	 "{demand: oracle, window: 2, layout: bundle, persistence: fraction, persist_frac: 0.25}"},
	{"chunk-4KiB", "{demand: oracle, window: 2, layout: split, chunk: 4KiB}"},
	{"chunk-12KiB", "{demand: oracle, window: 2, layout: bundle, chunk: 12KiB}"},
	{"chunk-32KiB", "{demand: oracle, window: 2, layout: bundle, chunk: 32KiB}"},
	{"chunk-80KiB", "{demand: oracle, window: 2, layout: bundle, chunk: 80KiB}"},
	{"coalesce",
	 "{demand: noisy, window: 2, layout: bundle, coalesce: gap, coalesce_gap: 80KiB, "
	 "coalesce_most: 128KiB}"},
	{"coalesce-chunk-32KiB",
	 "{demand: oracle, window: 2, layout: split, chunk: 32KiB, coalesce: gap, coalesce_gap: "
	 "none}"},
	{"chunk-1MiB", "{demand: oracle, residency: none, layout: split, chunk: 1MiB}"},
};

static void hand_made(struct trace *trace)
{
	static const uint32_t below[] = {1, 2, 6};
	struct err err = {0};

	*trace = (struct trace){.model = "tiny",
				.source = "by hand",
				.layer_count = LAYERS,
				.neuron_count = NEURONS,
				.token_count = TOKENS,
				.margin_count = 3,
				.margins = {0.5, 0, -0.5},
				.active_plane = 1};
	ck_assert_msg(trace_init(trace, &err) == 0, "%s", err.msg);
	for (uint32_t t = 0; t < TOKENS; t++)
		for (uint32_t l = 0; l < LAYERS; l++)
			for (uint32_t n = 0; n < NEURONS; n++)
				for (uint32_t p = 0; p < 3; p++)
					if ((7 * n + 3 * t + 5 * l) % 16 < below[p])
						bits_put(trace_plane(trace, t, l, p), n);
}

enum form { WITH_TEXT, DIGEST_ONLY };

/* The log of one case, its digest as the last line; the caller frees it. */
static char *decide(const char *yaml, enum form form)
{
	struct fixture fixture = {0};
	struct run_options options;
	struct run_outcome outcome;
	struct err err = {0};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	fixture_model(&fixture.model, LAYERS, 4096, NEURONS, 512);
	hand_made(&fixture.trace);
	fixture_config(&fixture.config, yaml);
	ck_assert_msg(policy_open(&fixture.policy, &fixture.config, &fixture.model, &fixture.trace,
				  &err) == 0,
		      "%s", err.msg);
	options = fixture_options(&fixture);
	options.decisions = form == DIGEST_ONLY ? NULL : out;
	ck_assert_msg(run(&outcome, &options, &err) == 0, "%s", err.msg);
	fprintf(out, "digest %s\n", outcome.decision_hash);
	fclose(out);
	fixture_close(&fixture);
	return text;
}

static char *file_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 16);
	size_t used;

	ck_assert_ptr_nonnull(text);
	ck_assert_msg(file != NULL, "no %s; see the head of test_decisions.c", path);
	used = fread(text, 1, (1 << 16) - 1, file);
	ck_assert(used < (1 << 16) - 1);
	fclose(file);
	return text;
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_msg(file != NULL, "cannot write %s", path);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_decisions_are_the_golden_ones)
{
	char path[512], *got = decide(cases[_i].yaml, WITH_TEXT), *expected;

	snprintf(path, sizeof(path), "%s/tests/golden/decisions-%s.log", FLASH_SOURCE_DIR,
		 cases[_i].name);
	if (getenv("FLASH_GOLDEN_WRITE"))
		file_write(path, got);
	expected = file_text(path);
	ck_assert_msg(strcmp(got, expected) == 0, "%s differs; got:\n%s", path, got);
	free(expected);
	free(got);
}
END_TEST

START_TEST(test_the_digest_does_not_hang_on_the_text)
{
	char *with = decide(cases[_i].yaml, WITH_TEXT),
	     *without = decide(cases[_i].yaml, DIGEST_ONLY);

	ck_assert_str_eq(strstr(with, "digest "), without);
	free(with);
	free(without);
}
END_TEST

START_TEST(test_two_cases_have_two_digests)
{
	char *digests[sizeof(cases) / sizeof(*cases)];
	size_t count = sizeof(cases) / sizeof(*cases);

	for (size_t i = 0; i < count; i++) {
		digests[i] = decide(cases[i].yaml, DIGEST_ONLY);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(digests[i], digests[j]);
	}
	for (size_t i = 0; i < count; i++)
		free(digests[i]);
}
END_TEST

/* Every fact of a plan is in the digest. */
static void later_token(struct plan *plan)
{
	plan->demand.token++;
}

static void other_layer(struct plan *plan)
{
	plan->demand.layer++;
}

static void other_kind(struct plan *plan)
{
	plan->demand.kind = STEP_HEAD;
}

static void other_load(struct plan *plan)
{
	plan->load[0] ^= 3;
}

static void other_evict(struct plan *plan)
{
	plan->evict[0] ^= 5;
}

static void other_slots(struct plan *plan)
{
	plan->slots[0][0] ^= 3;
}

static void other_second_slots(struct plan *plan)
{
	plan->planes[1].slots = plan->slots[1];
	plan->slots[1][0] = plan->slots[0][0] ^ 3;
}

static void other_piece(struct plan *plan)
{
	plan->planes[1].piece_bytes /= 2;
}

static void other_merge(struct plan *plan)
{
	plan->planes[1].merge_bytes = 1048576;
}

static void other_region(struct plan *plan)
{
	plan->planes[0].region = REGION_BUNDLE;
}

static void other_resident(struct plan *plan)
{
	plan->resident_count++;
}

static void (*const changes[])(struct plan *plan) = {
	later_token,	    other_layer, other_kind,  other_load,   other_evict,    other_slots,
	other_second_slots, other_piece, other_merge, other_region, other_resident,
};

static void plan_hash(char hash[DIGEST_TEXT], void (*change)(struct plan *plan))
{
	struct demand demand = {
		.kind = STEP_FFN, .neurons = (const uint64_t[]){6}, .neuron_count = 2};
	struct fixture fixture = {0};
	struct decision_log *log;
	struct err err = {0};
	struct plan plan;
	const uint64_t resident[] = {0xf00};

	fixture_open(&fixture, "{demand: oracle, window: 1, layout: split}", 4096, NEURONS, 1, 1);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	ck_assert_int_eq(policy_step(fixture.policy, &demand, resident, &plan, &err), 0);
	ck_assert(plan.evict_count && plan.load_count);
	if (change)
		change(&plan);
	ck_assert_int_eq(decision_log_open(&log, NULL, &err), 0);
	decision_log_add(log, &plan);
	decision_log_hash(log, hash);
	decision_log_close(log);
	plan_fini(&plan);
	fixture_close(&fixture);
}

START_TEST(test_every_fact_of_a_plan_is_in_the_digest)
{
	char hashes[2][DIGEST_TEXT], same[DIGEST_TEXT];

	plan_hash(hashes[0], NULL);
	plan_hash(same, NULL);
	plan_hash(hashes[1], changes[_i]);
	ck_assert_str_eq(hashes[0], same);
	ck_assert_str_ne(hashes[0], hashes[1]);
}
END_TEST

START_TEST(test_a_log_that_cannot_be_written_fails_the_run)
{
	struct fixture fixture = {0};
	struct run_options options;
	struct run_outcome outcome;
	struct err err = {0};
	FILE *full = fopen("/dev/full", "w");

	if (full) {
		fixture_open(&fixture, "{demand: oracle}", 4096, NEURONS, TOKENS, 1);
		options = fixture_options(&fixture);
		options.decisions = full;
		ck_assert_int_ne(run(&outcome, &options, &err), 0);
		ck_assert_msg(strstr(err.msg, "decision log: ") != NULL, "said: %s", err.msg);
		fixture_close(&fixture);
		fclose(full);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decisions");
	TCase *tc = tcase_create("decisions");
	SRunner *runner = srunner_create(suite);
	int count = (int)(sizeof(cases) / sizeof(*cases)), failed;

	tcase_add_loop_test(tc, test_decisions_are_the_golden_ones, 0, count);
	tcase_add_loop_test(tc, test_the_digest_does_not_hang_on_the_text, 0, count);
	tcase_add_test(tc, test_two_cases_have_two_digests);
	tcase_add_loop_test(tc, test_every_fact_of_a_plan_is_in_the_digest, 0,
			    (int)(sizeof(changes) / sizeof(*changes)));
	tcase_add_test(tc, test_a_log_that_cannot_be_written_fails_the_run);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
