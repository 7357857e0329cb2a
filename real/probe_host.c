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
#include "probe_memory.h"
#include "real_kernels.h"
#include "real_world.h"
#include "rng.h"
#include "run.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_FIRST = 5, TOKENS_LEAST = 6, TOKENS_MOST = 400, WARMUP = 2, SAMPLES_MOST = 4096 };
enum { SMALL_GROUP_BYTES = 64 << 10 };

/* Demands to make: rows as a share of the layer, and the share of them that each token exchanges.
 */
struct demand_pattern {
	double rows_frac, churn_frac;
	bool dense;
	bool long_ctx;
	uint64_t group_bytes; /* 0: no overlap */
	enum store_kind store;
};
/* The first PATTERNS_COARSE tell all figures apart; the others tell them better. */
static const struct demand_pattern patterns[] = {
	{0.02, 0.5, false, false, 0, STORE_COMPACT},
	{0.10, 0.1, false, false, 0, STORE_COMPACT},
	{0.10, 1.0, false, false, 0, STORE_COMPACT},
	{0.30, 0.1, false, true, 0, STORE_COMPACT},
	{0.00, 0.0, true, false, 0, STORE_COMPACT},
	{0.10, 0.5, false, false, PIPELINE_GROUP_BYTES, STORE_COMPACT},
	{0.05, 1.0, false, false, SMALL_GROUP_BYTES, STORE_COMPACT},
	{0.10, 0.3, false, false, 0, STORE_REALLOC},
	{0.25, 0.2, false, false, 0, STORE_FILL_HOLE},
	{0.05, 0.2, false, false, 0, STORE_COMPACT},
	{0.10, 0.5, false, true, 0, STORE_COMPACT},
	{0.20, 0.1, false, false, 0, STORE_COMPACT},
	{0.30, 0.3, false, false, 0, STORE_COMPACT},
	{0.30, 0.1, false, false, PIPELINE_GROUP_BYTES, STORE_COMPACT},
	{0.10, 0.5, false, false, SMALL_GROUP_BYTES, STORE_COMPACT},
	{0.25, 0.1, false, false, 0, STORE_REALLOC},
	{0.05, 0.5, false, false, 0, STORE_FILL_HOLE},
};
enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]), PATTERNS_COARSE = 9 };

/* One step as the engine booked it. */
struct sample {
	enum step_kind kind;
	uint64_t loaded, evicted, rows, moved_bytes;
	double mem_ns, compute_ns, io_ns, io_wait_ns;
	double pace; /* of the host around the visit, the better of two looks */
	bool stolen; /* it took processor time away meanwhile */
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
		.io_ns = (double)cost->io_ns,
		.io_wait_ns = (double)cost->io_wait_ns,
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

static int make_config(struct policy_config *config, const struct real_model *rm,
		       const struct demand_pattern *pattern, struct err *err)
{
	const bool dense = pattern->dense;
	struct ynode *map = NULL;
	char text[512];

	snprintf(text, sizeof(text),
		 "{demand: %s, persistence: attention, residency: %s, layout: bundle, weights: %s, "
		 "store: %s, overlap: %s%s}",
		 dense ? "dense" : "oracle", dense ? "none" : "window",
		 weight_type_words[real_model_weights(rm)].text, store_words[pattern->store].text,
		 overlap_words[pattern->group_bytes ? OVERLAP_PIPELINE : OVERLAP_NONE].text,
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
	double run_s; /* of it, the engine's run */
};

static int run_engine(struct wrapped *wrapped, struct visit *visit,
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
		.group_bytes = visit->pattern->group_bytes,
	};
	struct run_outcome outcome;

	if (run(&real_options.needs, &run_options, err) ||
	    real_world_open(&wrapped->real, &real_options, err))
		return err->code;
	run_options.ops = &world_wrapped;
	run_options.world = wrapped;
	visit->run_s = clock_now_s();
	(void)!run(&outcome, &run_options, err);
	visit->run_s = clock_now_s() - visit->run_s;
	real_world_close(wrapped->real);
	wrapped->real = NULL;
	return err->code;
}

static int visit_run(struct wrapped *wrapped, struct visit *visit, struct err *err)
{
	const struct model *model = real_model_shape(visit->rm);
	struct policy_config config;
	struct policy *policy = NULL;
	struct trace trace = {0};

	if (make_config(&config, visit->rm, visit->pattern, err))
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

/* One figure of every sample of a kind, into 'room'. */
static size_t figures(double *room, const struct samples *samples, enum step_kind kind,
		      size_t offset)
{
	size_t count = 0;

	for (size_t i = 0; i < samples->count; i++)
		if (samples->all[i].kind == kind)
			memcpy(&room[count++], (const char *)&samples->all[i] + offset,
			       sizeof(*room));
	return count;
}

#define FIGURES(room, samples, kind, member)                                                       \
	figures(room, samples, kind, offsetof(struct sample, member))

/* The samples of one kind become one step: means and spreads. */
static void note_step(struct probe_host *host, const struct samples *samples, enum step_kind kind,
		      const struct demand_pattern *pattern, double *room)
{
	struct probe_step *step = &host->steps[host->count];
	size_t count = FIGURES(room, samples, kind, mem_ns);

	*step = (struct probe_step){.kind = kind,
				    .ctx = samples->ctx,
				    .pipelined = pattern->group_bytes > 0,
				    .store = pattern->store,
				    .group_bytes = pattern->group_bytes};
	if (!count)
		return;
	assert(host->count < PROBE_STEPS);
	step->mem_ns = trimmed_mean(room, count);
	step->mem_sd_ns = order_spread(room, count, step->mem_ns);
	for (size_t i = 0; i < samples->count; i++) {
		const struct sample *sample = &samples->all[i];

		if (sample->kind != kind)
			continue;
		step->rows = sample->rows;
		step->loaded = sample->loaded;
		step->evicted = sample->evicted;
		step->moved_bytes += sample->moved_bytes;
	}
	step->dense = kind == STEP_FFN && pattern->dense;
	step->moved_bytes /= count;
	step->samples = (unsigned)count;
	FIGURES(room, samples, kind, compute_ns);
	step->compute_ns = trimmed_mean(room, count);
	step->compute_sd_ns = order_spread(room, count, step->compute_ns);
	FIGURES(room, samples, kind, io_ns);
	step->io_ns = trimmed_mean(room, count);
	FIGURES(room, samples, kind, io_wait_ns);
	step->io_wait_ns = trimmed_mean(room, count);
	host->count++;
}

/* ---- jitter ---- */

/* Steps whose arithmetic took this many spreads longer than the median hit something: another
 * program, a stolen processor, a page that was not there. */
static const double hiccup_spreads = 6;
enum { JITTER_SAMPLES = 8 };

struct jitter_sums {
	double spreads[PATTERNS * 3];
	size_t spread_count;
	double compute_ns, hiccup_ns, hiccups;
};

static void add_jitter(struct jitter_sums *sums, const struct samples *samples, enum step_kind kind,
		       double *room)
{
	size_t count = FIGURES(room, samples, kind, compute_ns);
	double median, spread, limit;

	if (count < JITTER_SAMPLES)
		return;
	median = order_median(room, count);
	spread = order_spread(room, count, median);
	sums->spreads[sums->spread_count++] = spread / median;
	limit = median + hiccup_spreads * fmax(spread, 0.005 * median);
	for (size_t i = 0; i < samples->count; i++) {
		double ns = samples->all[i].compute_ns;

		if (samples->all[i].kind != kind)
			continue;
		sums->compute_ns += ns;
		if (ns <= limit)
			continue;
		sums->hiccups++;
		sums->hiccup_ns += ns - median;
	}
}

static void note_jitter(struct probe_host *host, const struct samples *samples, double *room)
{
	struct jitter_sums sums = {.spread_count = 0};

	for (unsigned i = 0; i < PATTERNS; i++)
		for (unsigned kind = STEP_ATTENTION; kind <= STEP_HEAD; kind++)
			if (!patterns[i].group_bytes)
				add_jitter(&sums, &samples[i], (enum step_kind)kind, room);
	host->jitter = (struct probe_jitter){
		.spread_frac = order_median(sums.spreads, sums.spread_count),
		.hiccup_rate_per_s = sums.compute_ns > 0 ? 1e9 * sums.hiccups / sums.compute_ns : 0,
		.hiccup_ns = sums.hiccups > 0 ? sums.hiccup_ns / sums.hiccups : 0,
	};
}

/* Rounds over the patterns, forwards and backwards in turn, so that slow drift of the host falls on
 * all alike.  The first is short and tells what a token costs; the others share the time that is
 * left.  Between two visits the host's pace is looked at: what was measured beside a much slower
 * pace than usual, or while the host took time away, is not used where there is enough else.  The rule is the one
 * for repeats of a trial: a profile of the host's better moments would forecast them too well. */
enum { ROUNDS_LEAST = 2, ROUNDS_MOST = 8 };
static const double round_seconds = 6, pace_seconds = 0.2;

struct round {
	const struct probe_host_options *options;
	const struct real_model *rm;
	struct samples *samples; /* [PATTERNS] */
	double token_s[PATTERNS], open_s[PATTERNS];
	double paces[ROUNDS_MOST * PATTERNS + 1];
	size_t pace_count;
	double deadline_s, done, paced_s;
	unsigned number, count;
};

static uint32_t choose_tokens(const struct round *round, unsigned pattern, unsigned visits_left)
{
	double tokens;

	if (!round->number)
		return TOKENS_FIRST;
	tokens = ((round->deadline_s - clock_now_s()) / visits_left - round->open_s[pattern]) /
		 round->token_s[pattern];
	return (uint32_t)fmin(fmax(tokens, TOKENS_LEAST), TOKENS_MOST);
}

/* How fast the host is now; what was seen a moment ago is not looked at again. */
static double look_at_pace(struct round *round)
{
	if (!round->pace_count || clock_now_s() - round->paced_s > pace_seconds) {
		round->paces[round->pace_count++] = host_pace(round->options->threads);
		round->paced_s = clock_now_s();
	}
	return round->paces[round->pace_count - 1];
}

static int visit_pattern(struct round *round, unsigned pattern, unsigned visits_left,
			 struct err *err)
{
	uint64_t ctx_most = real_model_shape(round->rm)->position_count;
	struct samples *samples = &round->samples[pattern];
	struct wrapped wrapped = {.samples = samples};
	struct visit visit = {
		.options = round->options,
		.rm = round->rm,
		.pattern = &patterns[pattern],
		.ctx = patterns[pattern].long_ctx ? ctx_most : ctx_most / 8,
		.tokens = choose_tokens(round, pattern, visits_left),
	};
	size_t first = samples->count;
	struct traffic before, after;
	bool stolen;
	double start = clock_now_s(), pace = round->paces[round->pace_count - 1];

	samples->ctx = visit.ctx;
	traffic_look(&before, round->options->model_dir);
	if (visit_run(&wrapped, &visit, err))
		return err->code;
	traffic_look(&after, round->options->model_dir);
	stolen = traffic_is_stolen(&before, &after);
	round->token_s[pattern] = visit.run_s / visit.tokens;
	round->open_s[pattern] = clock_now_s() - start - visit.run_s;
	pace = fmax(pace, look_at_pace(round));
	for (size_t i = first; i < samples->count; i++) {
		samples->all[i].pace = pace;
		samples->all[i].stolen = stolen;
	}
	return 0;
}

/* By time, since how many rounds there will be is not known at first; rises in any case. */
static int tell(struct round *round, double done, struct err *err)
{
	const struct probe_host_options *options = round->options;

	round->done = fmax(round->done, done);
	if (options->progress && options->progress(options->progress_arg, round->done))
		return err_set(err, ECANCELED, "probe: stopped by the caller");
	return 0;
}

static int round_run(struct round *round, struct err *err)
{
	const bool backwards = round->number % 2;
	const unsigned count = round->options->coarse ? PATTERNS_COARSE : PATTERNS;

	for (unsigned i = 0; i < count; i++) {
		unsigned left = count - i + (round->count - 1 - round->number) * count;
		double left_s;

		if (visit_pattern(round, backwards ? count - 1 - i : i, left, err))
			return err->code;
		left_s = round->deadline_s - clock_now_s();
		if (tell(round, fmin(0.999, 1 - left_s / fmax(round->options->seconds, 1e-9)), err))
			return err->code;
	}
	return 0;
}

/* How many, once the first took 'first_s': as there is time for, and no fewer than two, so that a slow device does not
 * stretch them; of a coarse probe the first may have been all. */
static unsigned count_rounds(const struct round *round, double first_s)
{
	double left_s = round->deadline_s - clock_now_s();
	double more = left_s / fmax(2 * first_s, round_seconds);
	bool is_over = round->options->coarse && left_s < first_s;

	return 1 + (unsigned)fmin(fmax(more, is_over ? 0 : ROUNDS_LEAST - 1), ROUNDS_MOST - 1);
}

static int rounds_run(struct round *round, struct err *err)
{
	double begin_s = clock_now_s();

	(void)look_at_pace(round);
	for (round->count = ROUNDS_LEAST; round->number < round->count; round->number++) {
		if (round_run(round, err))
			return err->code;
		if (round->number == 0)
			round->count = count_rounds(round, clock_now_s() - begin_s);
	}
	return tell(round, 1, err);
}

static bool is_quiet(const struct sample *sample, const struct probe_host *host)
{
	return !sample->stolen &&
	       !host_pace_is_slow(sample->pace / host->pace_bytes_per_s, host->pace_spread_frac);
}

/* Drop what others disturbed, where half of the samples are left without. */
static void drop_disturbed(struct samples *samples, const struct probe_host *host)
{
	size_t kept = 0;

	for (size_t i = 0; i < samples->count; i++)
		kept += is_quiet(&samples->all[i], host);
	if (kept * 2 < samples->count)
		return;
	kept = 0;
	for (size_t i = 0; i < samples->count; i++)
		if (is_quiet(&samples->all[i], host))
			samples->all[kept++] = samples->all[i];
	samples->count = kept;
}

static void note_pace(struct probe_host *host, struct round *round)
{
	order_sort(round->paces, round->pace_count);
	host->pace_bytes_per_s = order_quantile(round->paces, round->pace_count, 0.5);
	host->pace_spread_frac =
		order_spread(round->paces, round->pace_count, host->pace_bytes_per_s) /
		host->pace_bytes_per_s;
	for (unsigned i = 0; i < PATTERNS; i++)
		drop_disturbed(&round->samples[i], host);
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
	    probe_memory(host, options, err))
		goto out;
	round.rm = rm;
	if (rounds_run(&round, err))
		goto out;
	note_pace(host, &round);
	for (unsigned i = 0; i < PATTERNS; i++)
		for (unsigned kind = STEP_ATTENTION; kind <= STEP_HEAD; kind++)
			note_step(host, &samples[i], (enum step_kind)kind, &patterns[i], room);
	note_jitter(host, samples, room);
out:
	for (unsigned i = 0; i < PATTERNS; i++)
		free(samples[i].all);
	real_model_close(rm);
	free(room);
	return err->code;
}
