/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_world.c - opens the real world, and steps its clock and books
 *
 * Time is booked by laps: between token_begin() and token_end() every nanosecond goes to io_wait,
 * mem or compute, in the order in which a step passes through them.  What passes between two steps
 * is the run loop deciding, and is booked as mem with the step that it decided. */
#include "real_world.h"

#include "real_probe.h"
#include "real_state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { OUTSIDE_SLACK_BYTES = 1024 * 1024, OUTSIDE_SLACK_PART = 256 };
/* What a thread touches of its stack, and its share of a BLAS's packing buffers. */
enum { THREAD_BYTES = 256 * 1024 };

void real_span(const struct real_world *real, const uint64_t *part, uint64_t now_ns)
{
	const struct step_cost *cost = &real->cost;
	struct timeline_span span = {
		.track = part == &cost->io_wait_ns ? TRACK_WAIT
			 : part == &cost->mem_ns   ? TRACK_MEMORY
						   : TRACK_COMPUTE,
		.name = step_kind_name(real->step),
		.layer = real->layer,
		.begin_ns = (double)(real->mark_ns - real->token_begin_ns),
		.end_ns = (double)(now_ns - real->token_begin_ns),
	};

	timeline_add(real->options.timeline, &span);
}

/* The reads of the tile that came. */
static void tile_span(const struct real_world *real)
{
	const struct stream *stream = &real->stream;
	double begin_ns = (double)(stream->submitted_ns - real->token_begin_ns);

	timeline_add(real->options.timeline,
		     &(struct timeline_span){
			     .track = TRACK_FLASH,
			     .name = step_kind_name(real->step),
			     .layer = real->layer,
			     .bytes = stream->done.bytes,
			     .begin_ns = begin_ns,
			     .end_ns = begin_ns + (double)stream->done.service_ns,
		     });
}

int real_tile_wait(struct real_world *real, struct err *err)
{
	struct step_cost *cost = &real->cost;

	pool_rest(real->pool);
	if (stream_wait(&real->stream, err))
		return err->code;
	pool_rouse(real->pool);
	real_lap(real, &cost->io_wait_ns);
	cost->io_ns += real->stream.done.service_ns;
	cost->read_count += real->stream.done.count;
	cost->read_bytes += real->stream.done.bytes;
	real->own_bytes += real->stream.done.bytes;
	if (timeline_is_on(real->options.timeline))
		tile_span(real);
	return 0;
}

int real_group_wait(struct real_world *real, uint64_t want, uint64_t *come, struct err *err)
{
	struct stream *stream = &real->stream;
	uint64_t all = stream_tile_count(stream);

	if (!real_is_pipelined(real))
		want = all;
	if (want < all) {
		/* Nobody is sent to rest for what is there. */
		if (stream_progress(stream, 0, err))
			return err->code;
		if (stream->come < want) {
			pool_rest(real->pool);
			if (stream_progress(stream, want, err))
				return err->code;
			pool_rouse(real->pool);
		}
	}
	if ((want >= all || stream->come == all) && real_tile_wait(real, err))
		return err->code;
	real_lap(real, &real->cost.io_wait_ns);
	*come = stream->come;
	return 0;
}

static int begin_fed(struct real_world *real, struct err *err)
{
	assert(real->fed_count > 0 && "fed before each pass");
	forward_batch_begin(&real->forward, real->fed_position, real->fed_count);
	real->cost = (struct step_cost){0};
	if (real_load_fed(real, err))
		return err->code;
	real_lap(real, &real->cost.compute_ns);
	real->fed = real->cost;
	real->fed_count = 0;
	return 0;
}

static int real_token_begin(void *world, uint32_t token, struct err *err)
{
	struct real_world *real = world;

	pool_pin(real->pool);
	real->token_begin_ns = real->mark_ns = clock_now_ns();
	timeline_token(real->options.timeline, token);
	if (real->options.live)
		return begin_fed(real, err);
	forward_token_begin(&real->forward, token);
	return 0;
}

static int real_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	struct real_world *real = world;

	if (real->open)
		return err_set(err, EBUSY,
			       "world real: ticket %" PRIu64
			       " is not computed yet, and overlap is none",
			       real->ticket);
	real->cost = (struct step_cost){0};
	real->step = plan->demand.kind;
	real->layer = plan->demand.layer;
	real_step_land(real, plan);
	real_lap(real, &real->cost.mem_ns);
	if (stream_plan(&real->stream, plan, real->landed ? &real->landing : NULL, err))
		return err->code;
	real_lap(real, &real->cost.io_wait_ns);
	real->open = true;
	*ticket = ++real->ticket;
	return 0;
}

static int real_compute(void *world, const struct plan *plan, uint64_t ticket,
			struct step_cost *cost, struct err *err)
{
	struct real_world *real = world;
	uint32_t layer = plan->demand.layer;
	int code;

	if (!real->open || ticket != real->ticket)
		return err_set(err, EINVAL, "world real: ticket %" PRIu64 " is not open", ticket);
	real->open = false;
	switch (plan->demand.kind) {
	case STEP_ATTENTION:
		code = real_step_region(real, REGION_ATTENTION, layer, err);
		break;
	case STEP_FFN:
		code = real_step_ffn(real, plan, err);
		break;
	default:
		code = real_step_region(real, REGION_EMBED, 0, err);
	}
	*cost = real->cost;
	return code;
}

static int real_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	const struct real_world *real = world;

	(void)err;
	*total_ns = clock_now_ns() - real->token_begin_ns;
	pool_rest(real->pool);
	pool_unpin(real->pool);
	return 0;
}

const struct world_ops world_real = {
	.name = "real",
	.token_begin = real_token_begin,
	.submit = real_submit,
	.compute = real_compute,
	.token_end = real_token_end,
};

/* The engine that the policy and the target ask for together. */
static int choose_engine(struct real_world *real, struct err *err)
{
	enum read_engine asked = (enum read_engine)real->options.config->read_engine;
	bool emulated = real->options.target->is_emulated;

	real->engine = reader_engine_of(asked, emulated);
	if (asked == READ_EMULATED && !emulated)
		return err_set(
			err, EINVAL,
			"read_engine: emulated, but the target is the disk; name a device with "
			"an `emulated:` mapping as target");
	if ((asked == READ_PREAD || asked == READ_IO_URING || asked == READ_MMAP) && emulated)
		return err_set(err, EINVAL,
			       "read_engine: %s, but the target '%s' is an emulated device",
			       read_engine_words[asked].text, real->options.target->name);
	return 0;
}

static int open_files(struct real_world *real, struct err *err)
{
	const struct real_options *o = &real->options;
	struct reader_options reader = {
		.in_flight = (unsigned)o->config->in_flight,
		.emulated = o->target->is_emulated ? &o->target->emulated : NULL,
		.throttle = o->target->is_throttled ? &o->target->throttle : NULL,
		.seed = o->stall_seed ? o->stall_seed : o->seed,
	};

	if (choose_engine(real, err) ||
	    real_model_open(&real->model, o->model_dir, policy_layout(o->config), o->model, err))
		return err->code;
	if (real_model_weights(real->model) != real->weights)
		return err_set(err, EINVAL, "%s: holds %s weights, the policy says %s",
			       real_model_path(real->model, 0),
			       weight_type_words[real_model_weights(real->model)].text,
			       weight_type_words[real->weights].text);
	reader.engine = real->engine;
	for (unsigned i = 0; i < READER_FILES; i++)
		reader.paths[i] = real_model_path(real->model, i);
	if (reader_open(&real->reader, &reader, err))
		return err->code;
	if (o->model->row_align % reader_align(real->reader) != 0)
		return err_set(
			err, ENOTSUP,
			"%s: rows are padded to %" PRIu64
			" bytes, direct I/O here needs %zu: make the model with row_align 4KiB",
			real_model_path(real->model, 1), o->model->row_align,
			reader_align(real->reader));
	return 0;
}

/* The longest row that can be cut by a tile's end. */
static uint64_t longest_row(const struct model *m, enum weight_type weights)
{
	uint64_t longest = model_row_stride(m, weights, REGION_BUNDLE);
	static const enum region regions[] = {REGION_EMBED, REGION_ATTENTION};
	struct model_tensor t;

	for (unsigned r = 0; r < 2; r++)
		for (uint32_t i = 0; model_tensor_at(&t, m, weights, regions[r], 0, i); i++)
			if (t.row_stride > longest)
				longest = t.row_stride;
	return longest;
}

static struct stream_needs stream_needs_of(const struct real_options *o)
{
	const struct policy_config *config = o->config;
	const enum weight_type weights = (enum weight_type)config->weights;
	uint64_t row = model_row_stride(o->model, weights, policy_layout(config)->regions[0]);
	uint64_t chunk = config->chunk == CHUNK_ROW ? row : config->chunk;
	struct stream_needs needs = {
		.bytes = o->needs.read_bytes_peak,
		.tile_bytes = o->tile_bytes ? o->tile_bytes : STREAM_MOST_BYTES,
		.row_most = longest_row(o->model, weights),
		.slots_most = (uint32_t)o->model->d_ffn,
	};

	needs.piece_least = chunk < row ? chunk : row;
	if (config->dense_chunk < needs.piece_least)
		needs.piece_least = config->dense_chunk;
	needs.piece_most = chunk > row ? chunk : row;
	if (config->dense_chunk > needs.piece_most)
		needs.piece_most = config->dense_chunk;
	if (config->coalesce == COALESCE_GAP && config->coalesce_most > needs.piece_most)
		needs.piece_most = config->coalesce_most;
	return needs;
}

static int open_stream(struct real_world *real, struct err *err)
{
	struct stream_needs needs = stream_needs_of(&real->options);

	return stream_open(&real->stream, real->model, real->reader, &needs, err);
}

static int open_records(struct real_world *real, struct err *err)
{
	const struct model *m = real->options.model;
	size_t words = bits_words((uint32_t)m->d_ffn);

	real->rows = calloc(m->d_ffn, sizeof(*real->rows));
	real->places = calloc(m->d_ffn, sizeof(*real->places));
	real->stay = calloc(words, sizeof(*real->stay));
	real->attention = calloc(m->layer_count, sizeof(*real->attention));
	real->records = calloc(m->layer_count, sizeof(*real->records));
	if (!real->rows || !real->places || !real->stay || !real->attention || !real->records)
		return err_nomem(err, "the real world", m->d_ffn * sizeof(*real->rows));
	for (uint64_t i = 0; i < m->layer_count; i++) {
		struct ffn_record *record = &real->records[i];

		record->in = calloc(2 * m->d_model, sizeof(*record->in));
		record->rows = calloc(words, sizeof(*record->rows));
		if (!record->in || !record->rows)
			return err_nomem(err, "a layer's record", 2 * m->d_model * sizeof(float));
		record->out = record->in + m->d_model;
	}
	return 0;
}

/* Each layer gets room for the most rows that the dry run saw in it. */
static uint32_t capacity_of(const struct real_options *o, uint64_t layer)
{
	uint32_t pinned = policy_pinned_rows(o->policy);

	return o->needs.rows_peaks[layer] > pinned ? o->needs.rows_peaks[layer] : pinned;
}

static struct store_options store_options_of(const struct real_options *o, uint32_t *capacity)
{
	assert(o->model->layer_count <= RUN_LAYERS_MOST);
	for (uint64_t i = 0; i < o->model->layer_count; i++)
		capacity[i] = capacity_of(o, i);
	return (struct store_options){
		.kind = (enum store_kind)o->config->store,
		.model = o->model,
		.weights = (enum weight_type)o->config->weights,
		.region_count = policy_layout(o->config)->region_count,
		.capacity = capacity,
	};
}

static void *alloc_landing(void *arg, size_t bytes)
{
	return reader_alloc(arg, bytes);
}

static int open_store(struct real_world *real, struct err *err)
{
	uint32_t capacity[RUN_LAYERS_MOST];
	struct store_options options = store_options_of(&real->options, capacity);

	if (options.kind == STORE_FILL_HOLE) {
		options.alloc = alloc_landing;
		options.alloc_arg = real->reader;
	}
	return store_open(&real->store, &options, err);
}

static struct forward_options forward_options_of(const struct real_options *o)
{
	return (struct forward_options){
		.model = o->model,
		.weights = (enum weight_type)o->config->weights,
		.kernels = kernels_best(),
		.ctx = o->ctx,
		.seed = o->seed,
		.live = o->live,
		.batch_most = o->batch_most,
		.note_active = o->active != NULL,
	};
}

static int open_compute(struct real_world *real, struct err *err)
{
	struct forward_options forward = forward_options_of(&real->options);

	if (pool_open(&real->pool, real->options.threads, err))
		return err->code;
	forward.pool = real->pool;
	if (forward_open(&real->forward, &forward, err))
		return err->code;
	real->forward.active = real->options.active;
	return 0;
}

void real_world_need(struct real_need *need, const struct real_options *o)
{
	const struct model *m = o->model;
	const struct stream_needs stream = stream_needs_of(o);
	const struct forward_options forward = forward_options_of(o);
	uint32_t capacity[RUN_LAYERS_MOST];
	const struct store_options store = store_options_of(o, capacity);

	need->kept_bytes = policy_kept_bytes(o->policy, REGION_EMBED) +
			   m->layer_count * policy_kept_bytes(o->policy, REGION_ATTENTION);
	need->store_bytes = store_need_bytes(&store);
	forward_need(&need->kv_bytes, &need->scratch_bytes, &forward, o->threads);
	need->staging_bytes = stream_need_bytes(&stream);
	/* Rows to insert, records, sets; plans of every neuron; what a policy remembers. */
	need->books_bytes = m->d_ffn * (sizeof(struct store_row) + sizeof(uint32_t)) +
			    m->layer_count * (2 * m->d_model * sizeof(float) + 3 * m->d_ffn / 8) +
			    policy_state_bytes(o->policy) +
			    (o->config->in_flight + o->threads) * THREAD_BYTES;
}

/* Page faults that went to disk. */
static uint64_t major_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_majflt : 0;
}

/* What others have counted until now; not knowing is fine until reconcile. */
static void look_outside(struct real_world *real)
{
	struct err err = {0};

	real->faults_before = major_faults();
	real->outside_known =
		reader_outside_count(real->reader, &real->outside_before_bytes, &err) == 0;
}

int real_world_open(struct real_world **out, const struct real_options *options, struct err *err)
{
	struct real_world *real = calloc(1, sizeof(*real));

	*out = NULL;
	if (!real)
		return err_nomem(err, "the real world", sizeof(*real));
	assert(options->threads > 0);
	real->options = *options;
	real->weights = (enum weight_type)options->config->weights;
	real->embed_kept_bytes = policy_kept_bytes(options->policy, REGION_EMBED);
	real->attention_kept_bytes = policy_kept_bytes(options->policy, REGION_ATTENTION);
	/* The reader first: an emulated device forks, and should not share large memory. */
	if (open_files(real, err) || open_stream(real, err) || open_records(real, err) ||
	    open_store(real, err) || open_compute(real, err))
		goto fail;
	look_outside(real);
	real->mark_ns = clock_now_ns();
	if (real_load(real, err))
		goto fail;
	*out = real;
	return 0;
fail:
	real_world_close(real);
	return err->code;
}

void real_world_close(struct real_world *real)
{
	if (!real)
		return;
	stream_close(&real->stream);
	for (uint64_t i = 0; real->records && i < real->options.model->layer_count; i++) {
		free(real->records[i].in);
		free(real->records[i].rows);
		free(real->attention[i]);
	}
	free(real->records);
	free(real->attention);
	free(real->embed);
	free(real->row_room);
	free(real->rows);
	free(real->places);
	free(real->stay);
	forward_close(&real->forward);
	store_close(&real->store);
	pool_close(real->pool);
	reader_close(real->reader);
	real_model_close(real->model);
	free(real);
}

void real_world_feed(struct real_world *real, const uint32_t *ids, uint32_t count,
		     uint32_t position)
{
	assert(real->options.live && count > 0);
	real->fed_ids = ids;
	real->fed_count = count;
	real->fed_position = position;
}

const struct step_cost *real_world_fed(const struct real_world *real)
{
	return &real->fed;
}

const float *real_world_logits(const struct real_world *real)
{
	return real->forward.logits;
}

void real_world_take_logits(struct real_world *real,
			    void (*take)(void *arg, const struct logits_tile *tile), void *arg)
{
	real->forward.take_logits = take;
	real->forward.take_logits_arg = arg;
}

void real_world_recount(struct real_world *real)
{
	real->own_bytes = real->excused_bytes = 0;
	look_outside(real);
}

/* The most that faults since the run began brought: each, as much of a program or a library as is read ahead there. */
static uint64_t paged_in_bytes(const struct real_world *real)
{
	uint64_t faults = major_faults() - real->faults_before;

	return faults ? faults * host_read_ahead_bytes("/proc/self/exe") : 0;
}

int real_world_reconcile(struct real_world *real, struct err *err)
{
	uint64_t now, outside, slack = 0;

	if (reader_outside_count(real->reader, &now, err))
		return err->code;
	if (!real->outside_known)
		return err_set(err, ENOTSUP, "no outside count of bytes read on this host");
	outside = now - real->outside_before_bytes - real->excused_bytes;
	/* The kernel counts its own reads of block maps, and pages of our program, with ours; a
	 * device process counts nothing else. */
	if (real->engine != READ_EMULATED)
		slack = OUTSIDE_SLACK_BYTES + real->own_bytes / OUTSIDE_SLACK_PART +
			paged_in_bytes(real);
	if (outside < real->own_bytes || outside - real->own_bytes > slack)
		return err_set(err, EPROTO,
			       "bytes read: %" PRIu64 " by our own count, %" PRIu64
			       " by %s, expected the same or at most %" PRIu64 " more",
			       real->own_bytes, outside,
			       real->engine == READ_EMULATED ? "the device" : "the kernel", slack);
	return 0;
}
