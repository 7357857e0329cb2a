/* SPDX-License-Identifier: GPL-3.0-or-later */
/* worlds.h - a tiny model, a trace and a policy, and the real world opened on them, watched at
 * every step */
#ifndef TEST_REAL_WORLDS_H
#define TEST_REAL_WORLDS_H

#include "policy_fixture.h"
#include "real_read.h"
#include "real_world.h"
#include "tiny.h"

enum { WORLD_TOKENS = 8, WORLD_LAYERS = 2, WORLD_WORDS = 4, WORLD_CTX = 8 };

/* What a test asks for. */
struct bench_options {
	struct model model; /* of WORLD_LAYERS layers and at most 64 * WORLD_WORDS neurons */
	const char *policy; /* YAML */
	const char *dir;    /* where its files are; NULL: made, and removed at the end */
	const struct real_target *target; /* NULL: the disk */
	uint64_t tile_bytes, group_bytes;
	unsigned threads;     /* 0 = 2 */
	uint32_t token_count; /* 0 = WORLD_TOKENS */
};

struct bench {
	char dir[TINY_PATH];
	bool own_dir;
	struct model model;
	struct trace trace;
	struct policy_config config;
	struct policy *policy;
	struct run_options run;
	struct run_outcome needs;
	struct real_world *real;
	/* The watch: sets at each layer's last FFN step, verified at every token's end. */
	uint64_t resident[WORLD_LAYERS][WORLD_WORDS];
	bool verify;
	unsigned verified;
	struct books sums; /* over all tokens */
	void (*meddle)(struct bench *bench, const struct plan *plan, struct step_cost *cost);
};

static const struct real_target bench_disk = {.name = "disk"};

/* False: no direct I/O where the build is, so nothing can be said about reads. */
static inline bool host_has_direct_io(void)
{
	char dir[TINY_PATH], path[TINY_PATH + 8];
	const struct reader_options options = {
		.engine = READ_PREAD, .paths = {path, path}, .in_flight = 1};
	struct reader *reader = NULL;
	struct err err = {0};
	FILE *file;

	/* Before any test runs, so nothing here may fail one. */
	snprintf(dir, sizeof(dir), "%s/real-XXXXXX", FLASH_BINARY_DIR);
	if (!mkdtemp(dir))
		return false;
	snprintf(path, sizeof(path), "%s/x", dir);
	file = fopen(path, "wb");
	if (file) {
		fwrite((const char[4096]){0}, 1, 4096, file);
		fclose(file);
	}
	if (reader_open(&reader, &options, &err) == 0)
		reader_close(reader);
	dir_remove(dir);
	return err.code != ENOTSUP;
}

static inline int watch_token_begin(void *world, uint32_t token, struct err *err)
{
	struct bench *b = world;

	return world_real.token_begin(b->real, token, err);
}

static inline int watch_submit(void *world, const struct plan *plan, uint64_t *ticket,
			       struct err *err)
{
	struct bench *b = world;

	return world_real.submit(b->real, plan, ticket, err);
}

static inline int watch_compute(void *world, const struct plan *plan, uint64_t ticket,
				struct step_cost *cost, struct err *err)
{
	struct bench *b = world;

	if (world_real.compute(b->real, plan, ticket, cost, err))
		return err->code;
	if (plan->demand.kind == STEP_FFN)
		bits_copy(b->resident[plan->demand.layer], plan->resident, plan->neuron_total);
	if (b->meddle)
		b->meddle(b, plan, cost);
	return 0;
}

static inline int watch_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	struct bench *b = world;

	if (world_real.token_end(b->real, total_ns, err))
		return err->code;
	for (uint32_t layer = 0; b->verify && layer < WORLD_LAYERS; layer++) {
		if (real_world_verify(b->real, layer, b->resident[layer], err))
			return err->code;
		b->verified++;
	}
	return 0;
}

static const struct world_ops watch_ops = {
	.name = "real, watched",
	.token_begin = watch_token_begin,
	.submit = watch_submit,
	.compute = watch_compute,
	.token_end = watch_token_end,
};

static inline int sum_books(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct books *sums = arg;

	(void)token;
	ck_assert_int_eq(layer, -1);
	ck_assert_uint_le(books->io_wait_ns + books->mem_ns + books->compute_ns, books->total_ns);
	sums->demand_neurons += books->demand_neurons;
	sums->load_neurons += books->load_neurons;
	sums->resident_neurons += books->resident_neurons;
	sums->read_count += books->read_count;
	sums->read_bytes += books->read_bytes;
	sums->dropped_bytes += books->dropped_bytes;
	sums->moved_bytes += books->moved_bytes;
	return 0;
}

/* Everything but the real world: files, trace, policy, dry run. */
static inline void bench_make(struct bench *b, const struct bench_options *o)
{
	struct err err = {0};

	memset(b, 0, sizeof(*b));
	b->model = o->model;
	ck_assert_uint_le(b->model.d_ffn, 64 * WORLD_WORDS);
	ck_assert_uint_eq(b->model.layer_count, WORLD_LAYERS);
	fixture_config(&b->config, o->policy);
	b->own_dir = !o->dir;
	if (o->dir)
		snprintf(b->dir, sizeof(b->dir), "%s", o->dir);
	else
		dir_make(b->dir);
	if (b->own_dir)
		tiny_synth(b->dir, &b->model, (enum weight_type)b->config.weights);
	fixture_trace(&b->trace, &b->model, WORLD_TOKENS, 7, 0.1);
	ck_ok(policy_open(&b->policy, &b->config, &b->model, &b->trace, &err));
	b->run = (struct run_options){.model = &b->model,
				      .policy = b->policy,
				      .token_count = o->token_count ? o->token_count : WORLD_TOKENS,
				      .ops = &world_null,
				      .book = sum_books,
				      .book_arg = &b->sums};
	ck_ok(run(&b->needs, &b->run, &err));
	memset(&b->sums, 0, sizeof(b->sums));
}

static inline int bench_open_real(struct bench *b, const struct bench_options *o, struct err *err)
{
	const struct real_options options = {
		.model_dir = b->dir,
		.model = &b->model,
		.config = &b->config,
		.policy = b->policy,
		.target = o->target ? o->target : &bench_disk,
		.ctx = WORLD_CTX,
		.threads = o->threads ? o->threads : 2,
		.needs = b->needs,
		.seed = 5,
		.tile_bytes = o->tile_bytes,
		.group_bytes = o->group_bytes,
		.keep_outputs = true,
	};

	b->run.ops = &watch_ops;
	b->run.world = b;
	b->verify = true;
	return real_world_open(&b->real, &options, err);
}

static inline void bench_open(struct bench *b, const struct bench_options *o)
{
	struct err err = {0};

	bench_make(b, o);
	ck_ok(bench_open_real(b, o, &err));
}

static inline void bench_close(struct bench *b)
{
	real_world_close(b->real);
	policy_close(b->policy);
	trace_fini(&b->trace);
	if (b->own_dir)
		dir_remove(b->dir);
}

#endif
