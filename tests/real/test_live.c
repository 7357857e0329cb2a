/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_live.c - hazard: a policy that changes what the model says
 *
 * Whatever stays, is read, or is skipped because it is zero, the logits are those of the dense run:
 * random policies over both families, token after token. */
#include "live.h"
#include "rng.h"
#include "worlds.h"

#include <math.h>

enum { CTX = 24, PROMPT = 9, DECODES = 10, VOCAB = 128, POLICIES = 36 };

static const struct real_target emulated = {
	.name = "emulated",
	.is_emulated = true,
	.emulated = {.units = 4,
		     .unit_ns = 5e3,
		     .unit_bytes_per_s = 1e9,
		     .stripe_bytes = 16384,
		     .bus_bytes_per_s = 3e9,
		     .request_rate_per_s = 1e6},
};

/* Folders of models that all tests share. */
enum { MODELS = 3 }; /* OPT, Falcon, Falcon with a head of its own */
static char dirs[MODELS][TINY_PATH];

static void warm_up(void);

static void make_dirs(void)
{
	for (int i = 0; i < MODELS; i++) {
		struct model m = tiny_model(i == 0 ? MODEL_OPT : MODEL_FALCON);

		m.own_head = i == 2;
		dir_make(dirs[i]);
		tiny_synth(dirs[i], &m, WEIGHT_F32);
	}
	warm_up();
}

static void remove_dirs(void)
{
	for (int i = 0; i < MODELS; i++)
		dir_remove(dirs[i]);
}

static struct live *open_on(const struct real_target *target, const char *dir, const char *policy,
			    struct policy_config *config)
{
	struct err err = {0};
	struct live *live = NULL;
	struct live_shape shape;
	const struct live_options options = {
		.model_dir = dir,
		.shape = &shape,
		.config = config,
		.target = target,
		.ctx = CTX,
		.prompt_most = PROMPT,
		.threads = 2,
		.seed = 3,
	};

	fixture_config(config, policy);
	ck_ok(live_shape_read(&shape, dir, config, &err));
	ck_ok(live_open(&live, &options, &err));
	return live;
}

static struct live *open_live(const char *dir, const char *policy, struct policy_config *config)
{
	return open_on(&bench_disk, dir, policy, config);
}

/* What a test says to its model. */
static void make_ids(uint32_t *ids, uint32_t count, uint64_t seed)
{
	struct rng rng = {seed};

	for (uint32_t i = 0; i < count; i++)
		ids[i] = rng_below(&rng, VOCAB);
}

/* Logits of every position, [PROMPT + DECODES][VOCAB]. */
struct said {
	float logits[PROMPT + DECODES][VOCAB];
	uint32_t taken; /* rows that a prefill's tiles brought */
};

static void take_tile(void *arg, const struct logits_tile *tile)
{
	struct said *said = arg;

	for (uint32_t p = 0; p < PROMPT; p++)
		memcpy(&said->logits[p][tile->first], tile->values + p * tile->stride,
		       tile->rows * sizeof(float));
	said->taken += (uint32_t)tile->rows;
}

static void take_first(void *arg, const struct logits_tile *tile)
{
	struct said *said = arg;

	memcpy(&said->logits[0][tile->first], tile->values, tile->rows * sizeof(float));
	said->taken += (uint32_t)tile->rows;
}

static void say(struct live *live, struct said *said, const uint32_t *ids, bool prefill)
{
	struct err err = {0};
	struct books books;
	uint32_t begin = 0;

	if (prefill) {
		said->taken = 0;
		live_take_logits(live, take_tile, said);
		ck_ok(live_prefill(live, ids, PROMPT, &books, &err));
		live_take_logits(live, NULL, NULL);
		ck_assert_uint_eq(said->taken, VOCAB);
		ck_assert_mem_eq(said->logits[PROMPT - 1], live_logits(live), 0);
		begin = PROMPT;
	}
	for (uint32_t i = begin; i < PROMPT + DECODES; i++) {
		ck_ok(live_decode(live, ids[i], &books, &err));
		memcpy(said->logits[i], live_logits(live), sizeof(said->logits[i]));
	}
	ck_assert_uint_eq(live_position(live), PROMPT + DECODES);
	if (live_reconcile(live, &err))
		ck_assert_msg(err.code == ENOTSUP, "%s", err.msg);
}

/* The largest difference as a share of the logits' spread. */
static double difference(const struct said *a, const struct said *b)
{
	double least = INFINITY, most = -INFINITY, worst = 0;

	for (uint32_t i = 0; i < PROMPT + DECODES; i++)
		for (uint32_t v = 0; v < VOCAB; v++) {
			double x = (double)a->logits[i][v];

			least = fmin(least, x);
			most = fmax(most, x);
			worst = fmax(worst, fabs(x - (double)b->logits[i][v]));
		}
	ck_assert_msg(most > least, "all logits are %g", least);
	return worst / (most - least);
}

enum { PREFILL = 1, EMULATED = 2 };

static void run_policy(struct said *said, const char *dir, const char *policy, unsigned how)
{
	struct policy_config config;
	struct live *live = open_on(how & EMULATED ? &emulated : &bench_disk, dir, policy, &config);
	uint32_t ids[PROMPT + DECODES];

	make_ids(ids, PROMPT + DECODES, 5);
	say(live, said, ids, how & PREFILL);
	live_close(live);
}

static const char *const resident =
	"{demand: dense, persistence: fraction, persist_frac: 1, residency: none, weights: f32}";

/* The kernel counts pages of the BLAS library, too, where they come from disk for the first time: far
 * more than a tiny model.  So they come before anything is counted. */
static void warm_up(void)
{
	struct policy_config config;
	struct live *live = open_live(dirs[0], resident, &config);
	uint32_t ids[PROMPT] = {0};
	struct err err = {0};
	struct books books;

	ck_ok(live_prefill(live, ids, PROMPT, &books, &err));
	live_close(live);
}

START_TEST(a_prompt_at_once_says_what_its_tokens_one_by_one_say)
{
	struct said at_once, one_by_one;

	run_policy(&one_by_one, dirs[_i], resident, 0);
	run_policy(&at_once, dirs[_i], resident, PREFILL);
	ck_assert_double_lt(difference(&one_by_one, &at_once), 1e-5);
}
END_TEST

START_TEST(a_prompt_of_one_token_has_its_logits_taken_too)
{
	struct policy_config config;
	struct live *live = open_live(dirs[_i], resident, &config);
	const uint32_t id = 3;
	struct said said = {.taken = 0};
	struct err err = {0};
	struct books books;

	live_take_logits(live, take_first, &said);
	ck_ok(live_prefill(live, &id, 1, &books, &err));
	ck_assert_uint_eq(said.taken, VOCAB);
	ck_assert_mem_eq(said.logits[0], live_logits(live), sizeof(said.logits[0]));
	live_close(live);
}
END_TEST

START_TEST(a_position_sees_only_what_was_before_it)
{
	struct policy_config config;
	struct live *live = open_live(dirs[_i], resident, &config);
	uint32_t ids[PROMPT + DECODES];
	struct said first, second;

	make_ids(ids, PROMPT + DECODES, 5);
	say(live, &first, ids, true);
	live_close(live);
	ids[PROMPT] = (ids[PROMPT] + 1) % VOCAB;
	live = open_live(dirs[_i], resident, &config);
	say(live, &second, ids, true);
	live_close(live);
	for (uint32_t i = 0; i < PROMPT; i++)
		ck_assert_mem_eq(first.logits[i], second.logits[i], sizeof(first.logits[i]));
	for (uint32_t i = PROMPT; i < PROMPT + DECODES; i++)
		ck_assert_mem_ne(first.logits[i], second.logits[i], sizeof(first.logits[i]));
}
END_TEST

static const char *pick(struct rng *rng, const char *const *words, uint32_t count)
{
	return words[rng_below(rng, count)];
}

#define PICK(...)                                                                                  \
	pick(rng, (const char *const[]){__VA_ARGS__},                                              \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Any point of the axes that a live run takes. */
static void draw_policy(char *text, size_t size, struct rng *rng, bool on_disk)
{
	const char *residency = PICK("none", "window", "window");
	int used = snprintf(
		text, size,
		"{demand: %s, persistence: %s, persist_frac: %s, layout: %s, chunk: %s, "
		"dense_chunk: %s, %s, in_flight: %s, compute_rows: %s, weights: f32, "
		"residency: %s",
		PICK("oracle", "oracle", "oracle", "dense"), PICK("none", "fraction", "attention"),
		PICK("0", "0.3", "0.77", "1"), PICK("split", "bundle"),
		PICK("row", "4KiB", "16KiB"), PICK("4KiB", "64KiB", "1MiB"),
		PICK("store: compact", "store: realloc", "store: fill-hole",
		     "store: compact, overlap: pipeline", "store: fill-hole, overlap: pipeline"),
		PICK("1", "3", "32"), PICK("resident", "demanded"), residency);

	if (strcmp(residency, "window") == 0)
		used += snprintf(text + used, size - (size_t)used, ", window: %s",
				 PICK("1", "2", "5"));
	used += snprintf(text + used, size - (size_t)used, ", coalesce: %s",
			 PICK("none", "none", "gap, coalesce_gap: 4KiB"));
	/* auto: io_uring, where the kernel has it. */
	snprintf(text + used, size - (size_t)used, ", read_engine: %s}",
		 on_disk ? PICK("auto", "pread", "mmap") : "auto");
}

START_TEST(every_policy_says_what_the_dense_run_says)
{
	const unsigned how = (unsigned)_i / MODELS % 4;
	struct rng rng = {100 + (uint64_t)_i};
	const char *dir = dirs[_i % MODELS];
	struct said dense, sparse;
	char policy[512];
	double off;

	draw_policy(policy, sizeof(policy), &rng, !(how & EMULATED));
	run_policy(&dense, dir, resident, 0);
	run_policy(&sparse, dir, policy, how);
	off = difference(&dense, &sparse);
	ck_assert_msg(off <= 1e-5, "%s: logits differ by %g of their spread", policy, off);
}
END_TEST

START_TEST(the_oracle_skips_neurons)
{
	struct policy_config config;
	struct live *live = open_live(
		dirs[0], "{demand: oracle, residency: window, window: 1, weights: f32}", &config);
	const uint32_t id = 7;
	struct err err = {0};
	struct books books;

	ck_ok(live_decode(live, id, &books, &err));
	/* Random weights: about half of the neurons fire. */
	ck_assert_uint_gt(books.demand_neurons, 2 * 256 / 5);
	ck_assert_uint_lt(books.demand_neurons, 2 * 256 * 4 / 5);
	ck_assert_uint_eq(books.demand_neurons, books.resident_neurons);
	live_close(live);
}
END_TEST

START_TEST(what_does_not_fit_is_said)
{
	struct policy_config config;
	struct live *live = open_live(dirs[1], resident, &config);
	uint32_t ids[PROMPT] = {0};
	struct err err = {0};
	struct books books;

	ids[4] = VOCAB;
	ck_assert_int_eq(live_prefill(live, ids, PROMPT, &books, &err), EINVAL);
	ck_assert_str_eq(err.msg, "token 128 of position 4: expected an id below 128");
	ids[4] = 0;
	err = (struct err){0};
	for (int i = 0; i < 2; i++)
		ck_ok(live_prefill(live, ids, PROMPT, &books, &err));
	ck_assert_int_eq(live_prefill(live, ids, PROMPT, &books, &err), EDOM);
	ck_assert_str_eq(err.msg, "ctx: 9 tokens after 18 do not fit a context of 24");
	live_close(live);
}
END_TEST

START_TEST(a_demand_that_needs_a_trace_is_refused)
{
	const struct policy_config noisy = {.demand = (unsigned)word_value(demand_words, "noisy"),
					    .layout = 1};
	struct live_shape shape;
	const struct live_options options = {
		.model_dir = dirs[0],
		.shape = &shape,
		.config = &noisy,
		.target = &bench_disk,
		.ctx = CTX,
		.prompt_most = 1,
		.threads = 1,
	};
	struct err err = {0};
	struct live *live;

	ck_ok(live_shape_read(&shape, dirs[0], &noisy, &err));
	ck_assert_int_eq(live_open(&live, &options, &err), ENOTSUP);
	ck_assert_str_eq(err.msg, "demand: got noisy, which needs a recorded trace; a live run "
				  "knows dense and oracle");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("live");
	TCase *tcase = tcase_create("live");

	if (!host_has_direct_io())
		return 77;
	tcase_add_unchecked_fixture(tcase, make_dirs, remove_dirs);
	tcase_add_loop_test(tcase, a_prompt_at_once_says_what_its_tokens_one_by_one_say, 0, MODELS);
	tcase_add_loop_test(tcase, a_prompt_of_one_token_has_its_logits_taken_too, 0, MODELS);
	tcase_add_loop_test(tcase, a_position_sees_only_what_was_before_it, 0, MODELS);
	tcase_add_loop_test(tcase, every_policy_says_what_the_dense_run_says, 0, POLICIES);
	tcase_add_test(tcase, the_oracle_skips_neurons);
	tcase_add_test(tcase, what_does_not_fit_is_said);
	tcase_add_test(tcase, a_demand_that_needs_a_trace_is_refused);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
