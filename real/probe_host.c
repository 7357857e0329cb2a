/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_host.c - what the engine's steps cost, measured by running the engine on made demands
 *
 * A window of one token makes a layer's resident rows exactly its last demand, so a made trace sets
 * rows, loads and deletions at will.  The world is wrapped by one that notes each step's cost
 * beside its plan. */
#include "real_probe.h"

#include "clock.h"
#include "host_pace.h"
#include "order.h"
#include "real_kernels.h"
#include "real_world.h"
#include "rng.h"
#include "run.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_LEAST = 6, TOKENS_MOST = 200, WARMUP = 2, SAMPLES_MOST = 4096 };

/* Demands to make: rows as a share of the layer, and the share of them that each token exchanges.
 */
struct demand_pattern {
	double rows_frac, churn_frac;
	bool dense;
	bool long_ctx;
};
static const struct demand_pattern patterns[] = {
	{0.02, 0.5, false, false}, {0.05, 0.2, false, false}, {0.10, 0.1, false, false},
	{0.10, 0.5, false, true},  {0.10, 1.0, false, false}, {0.20, 0.1, false, false},
	{0.30, 0.1, false, true},  {0.30, 0.3, false, false}, {0.00, 0.0, true, false},
};
enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]) };

/* One step as the engine booked it. */
struct sample {
	enum step_kind kind;
	uint64_t loaded, evicted, rows, moved_bytes;
	double mem_ns, compute_ns;
};

/* All of one pattern's. */
struct samples {
	struct sample *all; /* room for SAMPLES_MOST */
	size_t count;
	uint64_t ctx;
};

struct wrapped {
	struct real_world *real;
	uint32_t token;
	struct samples *samples;
};

static int wrapped_begin(void *world, uint32_t token, struct err *err)
{
	struct wrapped *w = world;

	w->token = token;
	return world_real.token_begin(w->real, token, err);
}

static int wrapped_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	return world_real.submit(((struct wrapped *)world)->real, plan, ticket, err);
}

static int wrapped_compute(void *world, const struct plan *plan, uint64_t ticket,
			   struct step_cost *cost, struct err *err)
{
	struct wrapped *w = world;
	int rc = world_real.compute(w->real, plan, ticket, cost, err);

	if (rc || w->token < WARMUP || w->samples->count == SAMPLES_MOST)
		return rc;
	w->samples->all[w->samples->count++] = (struct sample){
		.kind = plan->demand.kind,
		.loaded = plan->load_count,
		.evicted = plan->evict_count,
		.rows = plan->demand.dense ? plan->neuron_total : plan->resident_count,
		.moved_bytes = cost->moved_bytes,
		.mem_ns = (double)cost->mem_ns,
		.compute_ns = (double)cost->compute_ns,
	};
	return 0;
}

static int wrapped_end(void *world, uint64_t *total_ns, struct err *err)
{
	return world_real.token_end(((struct wrapped *)world)->real, total_ns, err);
}

static const struct world_ops world_wrapped = {
	.name = "real",
	.token_begin = wrapped_begin,
	.submit = wrapped_submit,
	.compute = wrapped_compute,
	.token_end = wrapped_end,
};

/* Put 'count' more neurons that are not in 'set' yet. */
static void add_random(uint64_t *set, uint32_t total, uint32_t count, struct rng *rng)
{
	while (count) {
		uint32_t neuron = rng_below(rng, total);

		if (bits_get(set, neuron))
			continue;
		bits_put(set, neuron);
		count--;
	}
}

static void drop_random(uint64_t *set, uint32_t total, uint32_t count, struct rng *rng)
{
	while (count) {
		uint32_t neuron = rng_below(rng, total);

		if (!bits_get(set, neuron))
			continue;
		bits_drop(set, neuron);
		count--;
	}
}

/* Every token keeps the set of the one before but for the churn. */
static int make_trace(struct trace *trace, const struct model *model,
		      const struct demand_pattern *pattern, uint32_t tokens, uint64_t seed,
		      struct err *err)
{
	uint32_t total = (uint32_t)model->d_ffn;
	uint32_t rows = (uint32_t)(pattern->rows_frac * total);
	uint32_t churn = (uint32_t)(pattern->churn_frac * rows);
	struct rng rng = {seed};

	*trace = (struct trace){
		.layer_count = (uint32_t)model->layer_count,
		.neuron_count = total,
		.token_count = tokens,
		.margin_count = 1,
	};
	snprintf(trace->model, sizeof(trace->model), "%.63s", model->name);
	snprintf(trace->source, sizeof(trace->source), "made by a probe");
	if (trace_init(trace, err))
		return err->code;
	for (uint32_t token = 0; token < tokens; token++)
		for (uint32_t layer = 0; layer < model->layer_count; layer++) {
			uint64_t *set = trace_plane(trace, token, layer, 0);

			if (!token) {
				add_random(set, total, rows, &rng);
				continue;
			}
			bits_copy(set, trace_plane(trace, token - 1, layer, 0), total);
			drop_random(set, total, churn, &rng);
			add_random(set, total, churn, &rng);
		}
	return 0;
}

static int make_config(struct policy_config *config, const struct real_model *rm, bool dense,
		       enum store_kind store, struct err *err)
{
	struct ynode *map = NULL;
	char text[512];

	snprintf(text, sizeof(text),
		 "{demand: %s, persistence: attention, residency: %s, layout: bundle, weights: %s, "
		 "store: %s%s}",
		 dense ? "dense" : "oracle", dense ? "none" : "window",
		 weight_type_words[real_model_weights(rm)].text, store_words[store].text,
		 dense ? "" : ", window: 1");
	if (!yaml_parse(&map, text, "probe", err))
		(void)!policy_config_read(config, map, err);
	ynode_free(map);
	return err->code;
}

/* One visit: a run of the engine over one pattern. */
struct visit {
	const struct probe_host_options *options;
	const struct real_model *rm;
	const struct demand_pattern *pattern;
	uint64_t ctx;
	uint32_t tokens;
};

static int run_engine(struct wrapped *wrapped, const struct visit *visit,
		      const struct policy_config *config, struct policy *policy, struct err *err)
{
	struct run_options run_options = {
		.model = real_model_shape(visit->rm),
		.policy = policy,
		.token_count = visit->tokens,
		.ops = &world_null,
	};
	struct real_options real_options = {
		.model_dir = visit->options->model_dir,
		.model = run_options.model,
		.config = config,
		.policy = policy,
		.target = visit->options->target,
		.ctx = visit->ctx,
		.threads = visit->options->threads,
		.seed = visit->options->seed,
	};
	struct run_outcome outcome;

	if (run(&real_options.needs, &run_options, err) ||
	    real_world_open(&wrapped->real, &real_options, err))
		return err->code;
	run_options.ops = &world_wrapped;
	run_options.world = wrapped;
	(void)!run(&outcome, &run_options, err);
	real_world_close(wrapped->real);
	wrapped->real = NULL;
	return err->code;
}

static int visit_run(struct wrapped *wrapped, const struct visit *visit, struct err *err)
{
	const struct model *model = real_model_shape(visit->rm);
	struct policy_config config;
	struct policy *policy = NULL;
	struct trace trace = {0};

	if (make_config(&config, visit->rm, visit->pattern->dense, visit->options->store, err))
		return err->code;
	if (!visit->pattern->dense &&
	    make_trace(&trace, model, visit->pattern, visit->tokens, visit->options->seed, err))
		goto out;
	if (policy_open(&policy, &config, model, visit->pattern->dense ? NULL : &trace, err))
		goto out;
	(void)!run_engine(wrapped, visit, &config, policy, err);
out:
	policy_close(policy);
	trace_fini(&trace);
	return err->code;
}

/* The mean of the middle nine tenths: a forecast is held against means, in which a busy host's tail
 * counts, but one step that a whole time slice fell into says nothing. Sorts 'values'. */
static double trimmed_mean(double *values, size_t count)
{
	size_t cut = count / 20;
	double sum = 0;

	order_sort(values, count);
	for (size_t i = cut; i < count - cut; i++)
		sum += values[i];
	return sum / (double)(count - 2 * cut);
}

/* The samples of one kind become one step: means and spreads. */
static void note_step(struct probe_host *host, const struct samples *samples, enum step_kind kind,
		      const struct demand_pattern *pattern, double *room)
{
	struct probe_step *step = &host->steps[host->count];
	size_t count = 0;

	*step = (struct probe_step){.kind = kind, .ctx = samples->ctx};
	for (size_t i = 0; i < samples->count; i++) {
		const struct sample *sample = &samples->all[i];

		if (sample->kind != kind)
			continue;
		step->rows = sample->rows;
		step->loaded = sample->loaded;
		step->evicted = sample->evicted;
		step->moved_bytes += sample->moved_bytes;
		room[count++] = sample->mem_ns;
	}
	if (!count)
		return;
	assert(host->count < PROBE_STEPS);
	step->dense = kind == STEP_FFN && pattern->dense;
	step->moved_bytes /= count;
	step->samples = (unsigned)count;
	step->mem_ns = trimmed_mean(room, count);
	step->mem_sd_ns = order_spread(room, count, step->mem_ns);
	count = 0;
	for (size_t i = 0; i < samples->count; i++)
		if (samples->all[i].kind == kind)
			room[count++] = samples->all[i].compute_ns;
	step->compute_ns = trimmed_mean(room, count);
	step->compute_sd_ns = order_spread(room, count, step->compute_ns);
	host->count++;
}

/* Best seconds a byte of a plain matrix-vector product of one type. */
static double gemv_s_per_byte(struct pool *pool, struct gemv_pass *work, enum weight_type type,
			      size_t bytes)
{
	double best = INFINITY;

	work->type = type;
	work->rows = bytes / (work->n * weight_bytes(type));
	for (unsigned i = 0; i < 5; i++) {
		double took = gemv_pass_s(pool, work);

		best = took < best ? took : best;
	}
	return best / ((double)work->rows * (double)work->n * weight_bytes(type));
}

static int compare_types(struct probe_host *host, const struct probe_host_options *options,
			 struct err *err)
{
	const size_t bytes = (size_t)128 << 20, n = 2048;
	struct gemv_pass work = {.kernels = kernels_best(), .n = n};
	unsigned char *weights = malloc(bytes);
	float *vectors = calloc(n + bytes / (2 * n), sizeof(float));
	struct pool *pool = NULL;

	if (!weights || !vectors) {
		err_nomem(err, "a probe's matrix", bytes);
		goto out;
	}
	memset(weights, 0x11, bytes); /* small normal numbers in every type */
	work.weights = weights;
	work.x = vectors;
	work.y = vectors + n;
	if (pool_open(&pool, options->threads, err))
		goto out;
	for (unsigned type = 0; type < WEIGHT_TYPES; type++)
		host->gemv_s_per_byte[type] =
			gemv_s_per_byte(pool, &work, (enum weight_type)type, bytes);
out:
	pool_close(pool);
	free(vectors);
	free(weights);
	return err->code;
}

/* A round over the patterns, forwards or backwards, so that slow drift of the host falls on all
 * alike.  The first is short and tells what a token costs; the second takes the time that is left.
 */
struct round {
	const struct probe_host_options *options;
	const struct real_model *rm;
	struct samples *samples; /* [PATTERNS] */
	double token_s[PATTERNS];
	double paces[2 * PATTERNS];
	size_t pace_count;
	double deadline_s;
	bool backwards;
};

static uint32_t choose_tokens(const struct round *round, unsigned pattern, unsigned visits_left)
{
	double tokens;

	if (!round->backwards)
		return TOKENS_LEAST;
	tokens = (round->deadline_s - clock_now_s()) / visits_left / round->token_s[pattern];
	return (uint32_t)fmin(fmax(tokens, TOKENS_LEAST), TOKENS_MOST);
}

static int visit_pattern(struct round *round, unsigned pattern, unsigned visits_left,
			 struct err *err)
{
	uint64_t ctx_most = real_model_shape(round->rm)->position_count;
	struct wrapped wrapped = {.samples = &round->samples[pattern]};
	struct visit visit = {
		.options = round->options,
		.rm = round->rm,
		.pattern = &patterns[pattern],
		.ctx = patterns[pattern].long_ctx ? ctx_most : ctx_most / 8,
		.tokens = choose_tokens(round, pattern, visits_left),
	};
	double start = clock_now_s();

	wrapped.samples->ctx = visit.ctx;
	if (visit_run(&wrapped, &visit, err))
		return err->code;
	round->token_s[pattern] = (clock_now_s() - start) / visit.tokens;
	return 0;
}

static int round_run(struct round *round, struct err *err)
{
	const struct probe_host_options *options = round->options;

	for (unsigned i = 0; i < PATTERNS; i++) {
		double done = (i + 1.0) / PATTERNS / 2 + (round->backwards ? 0.5 : 0);

		if (visit_pattern(round, round->backwards ? PATTERNS - 1 - i : i, PATTERNS - i,
				  err))
			return err->code;
		round->paces[round->pace_count++] = host_pace(options->threads);
		if (options->progress && options->progress(options->progress_arg, done))
			return err_set(err, ECANCELED, "probe: stopped by the caller");
	}
	return 0;
}

static void note_pace(struct probe_host *host, struct round *round)
{
	host->pace_bytes_per_s = order_median(round->paces, round->pace_count);
	host->pace_spread_frac =
		order_spread(round->paces, round->pace_count, host->pace_bytes_per_s) /
		host->pace_bytes_per_s;
}

static int allocate(struct samples *samples, double **room, struct err *err)
{
	*room = malloc(SAMPLES_MOST * sizeof(**room));
	for (unsigned i = 0; i < PATTERNS; i++)
		samples[i].all = malloc(SAMPLES_MOST * sizeof(*samples[i].all));
	for (unsigned i = 0; i < PATTERNS; i++)
		if (!samples[i].all || !*room)
			return err_nomem(err, "a probe's samples",
					 SAMPLES_MOST * sizeof(struct sample));
	return 0;
}

int probe_host(struct probe_host *host, const struct probe_host_options *options, struct err *err)
{
	struct samples samples[PATTERNS] = {{0}};
	struct round round = {.options = options,
			      .samples = samples,
			      .deadline_s = clock_now_s() + options->seconds};
	struct real_model *rm = NULL;
	double *room = NULL;

	*host = (struct probe_host){0};
	if (allocate(samples, &room, err) ||
	    real_model_open(&rm, options->model_dir, &layout_bundle, NULL, err) ||
	    compare_types(host, options, err))
		goto out;
	round.rm = rm;
	if (round_run(&round, err))
		goto out;
	round.backwards = true;
	if (round_run(&round, err))
		goto out;
	for (unsigned i = 0; i < PATTERNS; i++)
		for (unsigned kind = STEP_ATTENTION; kind <= STEP_HEAD; kind++)
			note_step(host, &samples[i], (enum step_kind)kind, &patterns[i], room);
	note_pace(host, &round);
out:
	for (unsigned i = 0; i < PATTERNS; i++)
		free(samples[i].all);
	real_model_close(rm);
	free(room);
	return err->code;
}
