/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live.c - two policies over one world (a prompt is dense, decoding as asked), and the oracle's twin
 */
#include "live.h"

#include "real_probe.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Pages of the program and its libraries that are not touched yet, and the kernel's own objects; and
 * its page tables, 8 bytes a page. */
enum { LATER_BYTES = 14 * 1024 * 1024, PAGES_A_TABLE = 512 };

/* A policy and its run over a world. */
struct live_run {
	struct policy_config config;
	struct policy *policy;
	struct run_options options;
	struct run_outcome outcome;
	struct run *run;
	uint32_t next; /* token of the run */
	struct books books;
};

/* All weights in plain memory, dense: says which neurons fire. */
struct twin {
	struct live_run run;
	struct real_world *world;
	uint64_t *active; /* [layer][words] */
	uint64_t bytes;
};

struct live {
	struct live_options o;
	struct model model;
	enum weight_type weights;
	struct trace trace; /* oracle: filled token by token; room for ctx */
	bool is_oracle;
	struct real_world *world;
	struct live_run prompt, decode;
	struct twin twin;
	uint32_t position;
};

static int keep_books(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	(void)token;
	(void)layer;
	((struct live_run *)arg)->books = *books;
	return 0;
}

static void make_dense(struct policy_config *config)
{
	config->demand = (unsigned)word_value(demand_words, "dense");
	config->residency = (unsigned)word_value(residency_words, "none");
}

/* What a run over tokens that nobody knows yet may need at most. */
static struct run_outcome needs_most(const struct live *live, const struct live_run *run)
{
	struct run_outcome needs = {0};
	uint64_t ffn = 0;

	for (uint32_t layer = 0; layer < live->model.layer_count; layer++)
		needs.rows_peaks[layer] = policy_capacity_rows(run->policy);
	for (int region = 0; region < REGION__COUNT; region++) {
		uint64_t bytes =
			model_region_bytes(&live->model, live->weights, (enum region)region);

		if (region == REGION_EMBED || region == REGION_ATTENTION) {
			if (bytes > needs.read_bytes_peak)
				needs.read_bytes_peak = bytes;
		} else if (bytes > ffn) {
			ffn = bytes;
		}
	}
	if (2 * ffn > needs.read_bytes_peak) /* split reads two regions in a step */
		needs.read_bytes_peak = 2 * ffn;
	return needs;
}

static int policy_of(struct live_run *run, const struct live *live, const struct trace *trace,
		     struct err *err)
{
	run->config.weights = live->weights;
	return policy_open(&run->policy, &run->config, &live->model, trace, err);
}

static int start_run(struct live_run *run, const struct live *live, struct real_world *world,
		     struct err *err)
{
	run->options = (struct run_options){
		.model = &live->model,
		.policy = run->policy,
		.ops = &world_real,
		.world = world,
		.book = keep_books,
		.book_arg = run,
	};
	return run_open(&run->run, &run->outcome, &run->options, err);
}

static void close_run(struct live_run *run)
{
	run_close(run->run);
	policy_close(run->policy);
}

static struct real_options world_options(const struct live *live, const struct live_run *run)
{
	return (struct real_options){
		.model_dir = live->o.model_dir,
		.model = &live->model,
		.config = &run->config,
		.policy = run->policy,
		.target = live->o.target,
		.ctx = live->o.ctx,
		.threads = live->o.threads,
		.needs = needs_most(live, run),
		.seed = live->o.seed,
		.live = true,
		.batch_most = live->o.prompt_most,
		.tile_bytes = live->o.tile_bytes,
	};
}

static uint64_t need_bytes(const struct real_need *need)
{
	return need->kept_bytes + need->store_bytes + need->kv_bytes + need->scratch_bytes +
	       need->staging_bytes + need->books_bytes;
}

static int open_twin(struct live *live, struct err *err)
{
	struct twin *twin = &live->twin;
	const struct real_target disk = {.name = "disk"};
	const size_t words = live->model.layer_count * bits_words((uint32_t)live->model.d_ffn);
	struct real_options options;
	struct real_need need;

	twin->run.config = *live->o.config;
	make_dense(&twin->run.config);
	twin->run.config.persistence = (unsigned)word_value(persistence_words, "fraction");
	twin->run.config.persist_frac = 1;
	twin->run.config.read_engine = READ_AUTO;
	twin->active = calloc(words, sizeof(*twin->active));
	if (!twin->active)
		return err_nomem(err, "the oracle's sets", words * sizeof(*twin->active));
	if (policy_of(&twin->run, live, NULL, err))
		return err->code;
	options = world_options(live, &twin->run);
	options.target = &disk;
	options.active = twin->active;
	real_world_need(&need, &options);
	twin->bytes = need_bytes(&need) + words * sizeof(*twin->active);
	if (real_world_open(&twin->world, &options, err))
		return err_where(err, "the oracle's dense twin");
	return start_run(&twin->run, live, twin->world, err);
}

static int open_oracle(struct live *live, struct err *err)
{
	live->trace = (struct trace){
		.layer_count = (uint32_t)live->model.layer_count,
		.neuron_count = (uint32_t)live->model.d_ffn,
		.token_count = (uint32_t)live->o.ctx,
		.margin_count = 1,
	};
	snprintf(live->trace.model, sizeof(live->trace.model), "%.63s", live->model.name);
	snprintf(live->trace.source, sizeof(live->trace.source), "live");
	return trace_init(&live->trace, err);
}

/* Demand and activation must go together, and the demand be one that a live run can know. */
static int check_demand(struct live *live, struct err *err)
{
	const struct demand_ops *demand = policy_demand(live->o.config);

	if (demand->dense)
		return 0;
	if (strcmp(demand->name, "oracle") != 0)
		return err_set(
			err, ENOTSUP,
			"demand: got %s, which needs a recorded trace; a live run knows dense "
			"and oracle",
			demand->name);
	if (live->model.activation != ACT_RELU)
		return err_set(err, ENOTSUP,
			       "demand: got oracle, but model '%s' has activation %s, where every "
			       "neuron fires; expected dense",
			       live->model.name, activation_words[live->model.activation].text);
	live->is_oracle = true;
	return 0;
}

int live_shape_read(struct live_shape *shape, const char *model_dir,
		    const struct policy_config *config, struct err *err)
{
	struct real_model *rm;

	if (real_model_open(&rm, model_dir, policy_layout(config), NULL, err))
		return err->code;
	*shape = (struct live_shape){*real_model_shape(rm), real_model_weights(rm)};
	real_model_close(rm);
	return 0;
}

/* Geometry and policies: all but the world. */
static int prepare(struct live *live, const struct live_options *options, struct err *err)
{
	assert(options->prompt_most > 0 && options->threads > 0 && options->shape);
	live->o = *options;
	live->o.shape = NULL;
	live->model = options->shape->model;
	live->weights = options->shape->weights;
	live->decode.config = live->prompt.config = *options->config;
	make_dense(&live->prompt.config);
	if (check_demand(live, err) || (live->is_oracle && open_oracle(live, err)) ||
	    policy_of(&live->prompt, live, NULL, err))
		return err->code;
	return policy_of(&live->decode, live, live->is_oracle ? &live->trace : NULL, err);
}

static int open_runs(struct live *live, struct err *err)
{
	/* One store serves both: decoding keeps at least what persists. */
	const struct real_options options = world_options(live, &live->decode);

	if (real_world_open(&live->world, &options, err) ||
	    start_run(&live->prompt, live, live->world, err))
		return err->code;
	return start_run(&live->decode, live, live->world, err);
}

int live_open(struct live **out, const struct live_options *options, struct err *err)
{
	struct live *live = calloc(1, sizeof(*live));

	*out = NULL;
	if (!live)
		return err_nomem(err, "a live model", sizeof(*live));
	/* The world first: an emulated device forks, and should not share large memory. */
	if (prepare(live, options, err) || open_runs(live, err) ||
	    (live->is_oracle && open_twin(live, err))) {
		live_close(live);
		return err->code;
	}
	real_world_recount(live->world); /* the twin has read, too */
	*out = live;
	return 0;
}

int live_need(struct live_need *need, const struct live_options *options, struct err *err)
{
	struct live *live = calloc(1, sizeof(*live));
	struct real_options world;

	*need = (struct live_need){.program_bytes = host_resident_bytes() + LATER_BYTES};
	if (!live)
		return err_nomem(err, "a live model", sizeof(*live));
	if (!prepare(live, options, err)) {
		world = world_options(live, &live->decode);
		real_world_need(&need->world, &world);
		need->total_bytes = need->program_bytes + need_bytes(&need->world);
		need->program_bytes += need->total_bytes / PAGES_A_TABLE;
		need->total_bytes += need->total_bytes / PAGES_A_TABLE;
	}
	live_close(live);
	return err->code;
}

void live_close(struct live *live)
{
	if (!live)
		return;
	close_run(&live->twin.run);
	real_world_close(live->twin.world);
	free(live->twin.active);
	close_run(&live->decode);
	close_run(&live->prompt);
	real_world_close(live->world);
	trace_fini(&live->trace);
	free(live);
}

const struct model *live_model(const struct live *live)
{
	return &live->model;
}

uint64_t live_twin_bytes(const struct live *live)
{
	return live->twin.bytes;
}

uint32_t live_position(const struct live *live)
{
	return live->position;
}

void live_rewind(struct live *live)
{
	live->position = 0;
}

const float *live_logits(const struct live *live)
{
	return real_world_logits(live->world);
}

void live_take_logits(struct live *live, void (*take)(void *arg, const struct logits_tile *tile),
		      void *arg)
{
	real_world_take_logits(live->world, take, arg);
}

struct fed {
	const uint32_t *ids;
	uint32_t count;
};

static int check_ids(const struct live *live, const struct fed *fed, struct err *err)
{
	for (uint32_t i = 0; i < fed->count; i++)
		if (fed->ids[i] >= live->model.vocab_count)
			return err_set(err, EINVAL,
				       "token %" PRIu32 " of position %" PRIu32
				       ": expected an id below %" PRIu64,
				       fed->ids[i], live->position + i, live->model.vocab_count);
	if (fed->count > live->o.ctx - live->position)
		return err_set(err, EDOM,
			       "ctx: %" PRIu32 " tokens after %" PRIu32
			       " do not fit a context of %" PRIu64,
			       fed->count, live->position, live->o.ctx);
	return 0;
}

static void add_fed(struct books *books, const struct step_cost *fed)
{
	books->read_count += fed->read_count;
	books->read_bytes += fed->read_bytes;
	books->io_ns += fed->io_ns;
	books->io_wait_ns += fed->io_wait_ns;
	books->mem_ns += fed->mem_ns;
	books->compute_ns += fed->compute_ns;
}

/* One pass of a run over what is fed to its world. */
static int pass(struct live *live, struct live_run *run, struct real_world *world,
		const struct fed *fed, struct err *err)
{
	real_world_feed(world, fed->ids, fed->count, live->position);
	/* The trace is a ring: longer texts go around it. */
	if (run_token(run->run, run->next % (uint32_t)live->o.ctx, err))
		return err->code;
	run->next++;
	add_fed(&run->books, real_world_fed(world));
	return 0;
}

/* The neurons that fire at this token, into the trace's next plane. */
static int ask_twin(struct live *live, const struct fed *fed, struct err *err)
{
	struct twin *twin = &live->twin;
	const size_t words = live->trace.words;

	memset(twin->active, 0, live->model.layer_count * words * sizeof(*twin->active));
	if (pass(live, &twin->run, twin->world, fed, err))
		return err_where(err, "the oracle's dense twin");
	for (uint32_t layer = 0; fed->count == 1 && layer < live->trace.layer_count; layer++)
		memcpy(trace_plane(&live->trace, live->decode.next % live->trace.token_count, layer,
				   0),
		       twin->active + layer * words, words * sizeof(*twin->active));
	return 0;
}

/* A policy that asks for every neuron takes prompts and tokens alike. */
static struct live_run *prompt_run(struct live *live)
{
	return policy_demand(live->o.config)->dense ? &live->decode : &live->prompt;
}

static int take(struct live *live, struct live_run *run, const struct fed *fed, struct books *books,
		struct err *err)
{
	if (check_ids(live, fed, err) || (live->is_oracle && ask_twin(live, fed, err)) ||
	    pass(live, run, live->world, fed, err))
		return err->code;
	live->position += fed->count;
	*books = run->books;
	return 0;
}

int live_prefill(struct live *live, const uint32_t *ids, uint32_t count, struct books *books,
		 struct err *err)
{
	assert(count > 0 && count <= live->o.prompt_most);
	/* A dense pass goes over the rows of the store and those that stream by: a window's would
	 * count twice. */
	if (prompt_run(live) == &live->prompt && live->decode.next > 0)
		return err_set(err, EINVAL, "a prompt after %" PRIu32 " decoded tokens",
			       live->decode.next);
	return take(live, prompt_run(live), &(struct fed){ids, count}, books, err);
}

int live_decode(struct live *live, uint32_t id, struct books *books, struct err *err)
{
	return take(live, &live->decode, &(struct fed){&id, 1}, books, err);
}

int live_reconcile(struct live *live, struct err *err)
{
	return real_world_reconcile(live->world, err);
}
