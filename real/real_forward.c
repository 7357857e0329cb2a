/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_forward.c - norms, attention and FFN of both families, as their rows come by */
#include "real_forward.h"
#include "real_batch.h"

#include "huge_pages.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_names[ROLE__COUNT] = {
	[ROLE_ATTN_NORM] = "attn_norm.weight",	 [ROLE_ATTN_NORM_BIAS] = "attn_norm.bias",
	[ROLE_QKV] = "attn_qkv.weight",		 [ROLE_QKV_BIAS] = "attn_qkv.bias",
	[ROLE_OUT] = "attn_output.weight",	 [ROLE_OUT_BIAS] = "attn_output.bias",
	[ROLE_FFN_NORM] = "ffn_norm.weight",	 [ROLE_FFN_NORM_BIAS] = "ffn_norm.bias",
	[ROLE_UP_BIAS] = "ffn_up.bias",		 [ROLE_DOWN_BIAS] = "ffn_down.bias",
	[ROLE_TOKEN] = "token_embd.weight",	 [ROLE_POSITION] = "position_embd.weight",
	[ROLE_HEAD_NORM] = "output_norm.weight", [ROLE_HEAD_NORM_BIAS] = "output_norm.bias",
	[ROLE_HEAD] = "output.weight",
};

bool forward_role(enum tensor_role *role, struct model_tensor *tensor, const struct model *model,
		  enum weight_type weights, enum region region, uint32_t layer, uint32_t i)
{
	const char *name;

	if (!model_tensor_at(tensor, model, weights, region, layer, i))
		return false;
	name = tensor->name;
	if (region == REGION_ATTENTION)
		name = strchr(name + strlen("blk."), '.') + 1;
	for (unsigned r = 0; r < ROLE__COUNT; r++)
		if (strcmp(name, role_names[r]) == 0) {
			*role = (enum tensor_role)r;
			return true;
		}
	assert(0 && "every tensor has a role");
	return false;
}

/* A matrix passes by; a vector is kept. */
static bool role_is_matrix(enum tensor_role role)
{
	return role == ROLE_QKV || role == ROLE_OUT || role == ROLE_TOKEN ||
	       role == ROLE_POSITION || role == ROLE_HEAD;
}

static size_t round_floats(size_t count)
{
	return (count + 15) / 16 * 16; /* to cache lines */
}

/* Hand out the next 'count' floats; with memory NULL only count them. */
static float *take(float **memory, size_t *used, size_t count)
{
	float *at = *memory ? *memory + *used : NULL;

	*used += round_floats(count);
	return at;
}

static void take_vectors(struct forward *f, size_t *used)
{
	static const enum region regions[] = {REGION_ATTENTION, REGION_EMBED};
	struct model_tensor t;
	enum tensor_role role;

	for (size_t r = 0; r < 2; r++)
		for (uint32_t i = 0;
		     forward_role(&role, &t, f->o.model, f->o.weights, regions[r], 0, i); i++)
			if (!role_is_matrix(role))
				f->vectors[role] = take(&f->memory, used, t.dims[0]);
}

static size_t kv_floats(const struct forward *f)
{
	return f->o.model->layer_count * f->kv_width * f->o.ctx;
}

static void take_batch(struct forward *f, size_t *used)
{
	size_t most = f->o.batch_most;

	f->x = take(&f->memory, used, most * f->d);
	f->normed = take(&f->memory, used, most * f->d);
	f->qkv = take(&f->memory, used, most * f->qkv_width);
	f->mixed = take(&f->memory, used, most * f->d);
	f->out = take(&f->memory, used, most * f->d);
	f->turns = take(&f->memory, used, most * f->head_dim);
	if (most == 1)
		return;
	f->hidden = take(&f->memory, used, most * BATCH_ROWS);
	f->wide = take(&f->memory, used, f->threads * round_floats(BATCH_ROWS * f->d));
}

static size_t take_all(struct forward *f)
{
	size_t used = 0;

	take_batch(f, &used);
	f->accs = take(&f->memory, &used, f->threads * round_floats(f->d));
	f->scores = take(&f->memory, &used, f->threads * round_floats(f->o.ctx));
	f->logits = take(&f->memory, &used, f->o.model->vocab_count);
	if (!f->o.live)
		for (unsigned i = 0; i < 2; i++)
			f->next[i] = take(&f->memory, &used, f->d);
	if (f->o.note_active)
		f->fired = take(&f->memory, &used, f->o.model->d_ffn);
	f->keys = take(&f->memory, &used, kv_floats(f));
	f->values = take(&f->memory, &used, kv_floats(f));
	take_vectors(f, &used);
	return used;
}

/* History that never was: numbers of the size that norms and projections give. */
static void fill_history(struct forward *f)
{
	struct rng rng = {f->o.seed};

	for (size_t i = 0; i < kv_floats(f); i++) {
		f->keys[i] = (float)(rng_unit(&rng) * 2 - 1);
		f->values[i] = (float)(rng_unit(&rng) * 2 - 1);
	}
}

static void set_widths(struct forward *f, const struct forward_options *options, size_t threads)
{
	const struct model *m = options->model;

	memset(f, 0, sizeof(*f));
	f->o = *options;
	if (f->o.batch_most == 0)
		f->o.batch_most = 1;
	assert(f->o.live || f->o.batch_most == 1);
	f->threads = threads;
	f->d = m->d_model;
	f->head_dim = m->d_model / m->head_count;
	f->kv_width = f->head_dim * m->kv_head_count;
	f->qkv_width = f->d + 2 * f->kv_width;
}

int forward_open(struct forward *f, const struct forward_options *options, struct err *err)
{
	const struct model *m = options->model;
	size_t floats;

	set_widths(f, options, pool_threads(options->pool));
	if (f->o.ctx < 1 || f->o.ctx > m->position_count)
		return err_set(err, EINVAL,
			       "ctx: got %" PRIu64 " tokens, expected 1 to %" PRIu64
			       " (position_count of model '%s')",
			       f->o.ctx, m->position_count, m->name);
	floats = take_all(f);
	f->memory = aligned_alloc(64, floats * sizeof(*f->memory));
	if (!f->memory)
		return err_nomem(err, "KV cache and activations", floats * sizeof(*f->memory));
	huge_pages_hint(f->memory, floats * sizeof(*f->memory));
	memset(f->memory, 0, floats * sizeof(*f->memory));
	take_all(f);
	if (!f->o.live)
		fill_history(f);
	return 0;
}

void forward_need(uint64_t *kv_bytes, uint64_t *scratch_bytes,
		  const struct forward_options *options, unsigned threads)
{
	struct forward f;

	set_widths(&f, options, threads);
	*kv_bytes = 2 * kv_floats(&f) * sizeof(float);
	*scratch_bytes = take_all(&f) * sizeof(float) - *kv_bytes;
}

void forward_close(struct forward *f)
{
	free(f->memory);
	memset(f, 0, sizeof(*f));
}

uint32_t forward_token_id(const struct forward *f, uint32_t token)
{
	return (uint32_t)(rng_mix(f->o.seed ^ rng_mix(token)) % f->o.model->vocab_count);
}

static uint32_t slot_of(const struct forward *f, uint32_t token)
{
	return (uint32_t)(token % f->o.ctx);
}

uint32_t forward_position_row(const struct forward *f, uint32_t token)
{
	return slot_of(f, token) + 2; /* OPT counts positions from 2 */
}

void forward_embedding_set(struct forward *f, unsigned which, const void *row)
{
	assert(which < 2 && !f->o.live);
	weights_widen(f->next[which], row, f->o.weights, f->d);
}

void forward_embed(struct forward *f, uint32_t i, const void *row)
{
	assert(i < f->batch);
	weights_widen(f->out, row, f->o.weights, f->d); /* free until the first projection */
	for (size_t k = 0; k < f->d; k++)
		f->x[i * f->d + k] += f->out[k];
}

/* Cosines and sines of each position of the pass, theta 10000.  Angles are made in floats, as they
 * were in training. */
static void find_turns(struct forward *f)
{
	size_t half = f->head_dim / 2;

	if (f->o.model->family != MODEL_FALCON)
		return;
	for (uint32_t p = 0; p < f->batch; p++)
		for (size_t i = 0; i < half; i++) {
			float exponent = (float)(2 * i) / (float)f->head_dim;
			float angle = (float)(f->position + p) * (1 / powf(10000, exponent));
			float *turns = f->turns + p * f->head_dim;

			turns[i] = (float)cos((double)angle);
			turns[half + i] = (float)sin((double)angle);
		}
}

void forward_token_begin(struct forward *f, uint32_t token)
{
	f->token = token;
	f->position = slot_of(f, token);
	f->batch = 1;
	for (size_t i = 0; i < f->d; i++)
		f->x[i] = f->next[0][i] + f->next[1][i];
	find_turns(f);
}

void forward_batch_begin(struct forward *f, uint32_t position, uint32_t batch)
{
	assert(f->o.live && batch >= 1 && batch <= f->o.batch_most);
	assert(position + batch <= f->o.ctx);
	f->position = position;
	f->batch = batch;
	memset(f->x, 0, batch * f->d * sizeof(*f->x));
	find_turns(f);
}

/* One position: [d] of x, as weight and bias say. */
static void normalise_one(const struct forward *f, float *to, const float *x, const float *weight,
			  const float *bias)
{
	double sum = 0, squares = 0, mean, scale;

	for (size_t i = 0; i < f->d; i++)
		sum += (double)x[i];
	mean = sum / (double)f->d;
	for (size_t i = 0; i < f->d; i++)
		squares += ((double)x[i] - mean) * ((double)x[i] - mean);
	scale = 1 / sqrt(squares / (double)f->d + 1e-5);
	for (size_t i = 0; i < f->d; i++)
		to[i] = (float)(((double)x[i] - mean) * scale) * weight[i] + bias[i];
}

static void normalise(const struct forward *f, const float *weight, const float *bias)
{
	for (uint32_t p = 0; p < f->batch; p++)
		normalise_one(f, f->normed + p * f->d, f->x + p * f->d, weight, bias);
}

void forward_head_begin(struct forward *f)
{
	normalise(f, f->vectors[ROLE_HEAD_NORM], f->vectors[ROLE_HEAD_NORM_BIAS]);
}

/* y[i] = row_i . x on all threads. */
struct gemv_job {
	const struct forward *f;
	const struct forward_rows *rows;
	const float *x;
	float *y;
};

static void gemv_run(void *arg, unsigned thread, unsigned threads)
{
	const struct gemv_job *job = arg;
	const struct model_tensor *t = job->rows->tensor;
	size_t begin = job->rows->count * thread / threads;
	size_t end = job->rows->count * (thread + 1) / threads;

	job->f->o.kernels->gemv(job->y + begin,
				(const char *)job->rows->rows + begin * t->row_stride, t->type,
				end - begin, t->dims[0], t->row_stride, job->x);
}

/* Rows of a matrix times every position of 'x' [batch][d] into 'y' [batch][width]. */
static void multiply(struct forward *f, float *y, size_t width, const float *x,
		     const struct forward_rows *rows)
{
	struct gemv_job job = {f, rows, x, y + rows->first};

	if (f->batch == 1)
		pool_run(f->o.pool, gemv_run, &job);
	else
		batch_multiply(f, y + rows->first, width, x, rows);
}

static void multiply_head(struct forward *f, const struct forward_rows *rows)
{
	float *logits = f->logits + rows->first;
	struct gemv_job last = {f, rows, f->normed + (f->batch - 1) * f->d, logits};

	pool_run(f->o.pool, gemv_run, &last);
	if (!f->take_logits)
		return;
	if (f->batch > 1)
		batch_logits(f, rows);
	else
		f->take_logits(f->take_logits_arg, &(struct logits_tile){rows->first, rows->count,
									 rows->count, logits});
}

static void rotate(const struct forward *f, uint32_t p, float *head)
{
	size_t half = f->head_dim / 2;
	const float *turns = f->turns + p * f->head_dim;

	for (size_t i = 0; i < half; i++) {
		float a = head[i], b = head[half + i];

		head[i] = a * turns[i] - b * turns[half + i];
		head[half + i] = b * turns[i] + a * turns[half + i];
	}
}

/* Where a key/value head's history of a layer begins. */
static size_t kv_at(const struct forward *f, uint32_t layer, size_t kv_head)
{
	return (layer * f->o.model->kv_head_count + kv_head) * f->o.ctx * f->head_dim;
}

/* Bias, rotation, and into the history: one position's queries, keys and values. */
static void finish_qkv(struct forward *f, uint32_t layer, uint32_t p)
{
	const struct model *m = f->o.model;
	float *qkv = f->qkv + p * f->qkv_width, *k = qkv + f->d, *v = k + f->kv_width;

	if (f->vectors[ROLE_QKV_BIAS])
		for (size_t i = 0; i < f->qkv_width; i++)
			qkv[i] += f->vectors[ROLE_QKV_BIAS][i];
	if (m->family == MODEL_FALCON)
		for (size_t h = 0; h < m->head_count + m->kv_head_count; h++)
			rotate(f, p, qkv + h * f->head_dim);
	for (size_t h = 0; h < m->kv_head_count; h++) {
		size_t at = kv_at(f, layer, h) + (f->position + p) * f->head_dim;

		memcpy(f->keys + at, k + h * f->head_dim, f->head_dim * sizeof(*k));
		memcpy(f->values + at, v + h * f->head_dim, f->head_dim * sizeof(*v));
	}
}

struct attend_job {
	struct forward *f;
	uint32_t layer;
};

/* Heads of all positions in turn: the last positions see the most, and each thread has its share of
 * them. */
static void attend_run(void *arg, unsigned thread, unsigned threads)
{
	const struct attend_job *job = arg;
	struct forward *f = job->f;
	size_t heads = f->o.model->head_count, group = heads / f->o.model->kv_head_count;
	float *scores = f->scores + thread * round_floats(f->o.ctx);

	for (size_t i = thread; i < f->batch * heads; i += threads) {
		size_t p = i / heads, h = i % heads, at = kv_at(f, job->layer, h / group);
		size_t seen = f->o.live ? f->position + p + 1 : f->o.ctx;

		f->o.kernels->attend(f->mixed + p * f->d + h * f->head_dim,
				     f->qkv + p * f->qkv_width + h * f->head_dim, f->keys + at,
				     f->values + at, seen, f->head_dim, f->head_dim, scores);
	}
}

static void attend(struct forward *f, uint32_t layer)
{
	struct attend_job job = {f, layer};

	for (uint32_t p = 0; p < f->batch; p++)
		finish_qkv(f, layer, p);
	pool_run(f->o.pool, attend_run, &job);
}

static void add_out(struct forward *f, const float *bias)
{
	for (uint32_t p = 0; p < f->batch; p++)
		for (size_t i = 0; i < f->d; i++)
			f->x[p * f->d + i] += f->out[p * f->d + i] + (bias ? bias[i] : 0);
}

/* All rows of a tensor have come: what they make possible. */
static void tensor_done(struct forward *f, enum tensor_role role, uint32_t layer)
{
	bool opt = f->o.model->family == MODEL_OPT;

	if (role == ROLE_ATTN_NORM_BIAS)
		normalise(f, f->vectors[ROLE_ATTN_NORM], f->vectors[role]);
	else if (role == (opt ? ROLE_QKV_BIAS : ROLE_QKV))
		attend(f, layer);
	else if (role == (opt ? ROLE_OUT_BIAS : ROLE_OUT))
		add_out(f, f->vectors[ROLE_OUT_BIAS]);
	else if (role == ROLE_FFN_NORM_BIAS)
		normalise(f, f->vectors[ROLE_FFN_NORM], f->vectors[role]);
}

/* The next token's rows pass by with all the others. */
static void keep_embedding(struct forward *f, const struct forward_rows *rows, unsigned which,
			   uint64_t row)
{
	if (row >= rows->first && row - rows->first < rows->count)
		forward_embedding_set(f, which,
				      (const char *)rows->rows +
					      (row - rows->first) * rows->tensor->row_stride);
}

void forward_rows(struct forward *f, const struct forward_rows *rows)
{
	uint32_t next = f->token + 1;

	switch (rows->role) {
	case ROLE_QKV:
		multiply(f, f->qkv, f->qkv_width, f->normed, rows);
		break;
	case ROLE_OUT:
		multiply(f, f->out, f->d, f->mixed, rows);
		break;
	case ROLE_HEAD:
		multiply_head(f, rows);
		break;
	case ROLE_TOKEN:
		if (!f->o.model->own_head)
			multiply_head(f, rows);
		if (!f->o.live)
			keep_embedding(f, rows, 0, forward_token_id(f, next));
		break;
	case ROLE_POSITION:
		if (!f->o.live)
			keep_embedding(f, rows, 1, forward_position_row(f, next));
		break;
	default:
		assert(rows->count == 1 && !role_is_matrix(rows->role));
		memcpy(f->vectors[rows->role], rows->rows, rows->tensor->row_bytes);
	}
	if (rows->first + rows->count == rows->tensor->dims[1])
		tensor_done(f, rows->role, rows->layer);
}

static float *acc_of(const struct forward *f, unsigned thread)
{
	return f->accs + thread * round_floats(f->d);
}

void forward_ffn_begin(struct forward *f)
{
	memset(f->accs, 0, f->threads * round_floats(f->d) * sizeof(*f->accs));
	if (f->batch > 1)
		memset(f->out, 0, f->batch * f->d * sizeof(*f->out));
}

struct ffn_job {
	struct forward *f;
	const struct ffn_rows *rows;
	const uint32_t *pointer;  /* neuron of each row, where only some are asked for */
	const uint64_t *demanded; /* NULL: all rows */
	const uint32_t *places;	  /* not NULL: only these rows, rows->rows of them */
};

static void ffn_part(const struct ffn_job *job, unsigned thread, size_t begin, size_t end)
{
	struct ffn_rows part = *job->rows;

	part.up = (const char *)part.up + begin * part.row_stride;
	part.down = (const char *)part.down + begin * part.row_stride;
	part.bias = part.bias ? part.bias + begin : NULL;
	part.rows = end - begin;
	job->f->o.kernels->ffn(acc_of(job->f, thread), &part, job->f->normed);
}

/* Rows that are asked for at a time: enough that the kernel has always several at hand. */
enum { WHICH_MOST = 256 };

static void ffn_some(const struct ffn_job *job, unsigned thread, const uint32_t *which,
		     size_t count)
{
	struct ffn_rows some = *job->rows;

	some.rows = count;
	some.which = which;
	job->f->o.kernels->ffn(acc_of(job->f, thread), &some, job->f->normed);
}

static void ffn_run(void *arg, unsigned thread, unsigned threads)
{
	const struct ffn_job *job = arg;
	size_t row = job->rows->rows * thread / threads;
	size_t end = job->rows->rows * (thread + 1) / threads;

	if (job->places) {
		ffn_some(job, thread, job->places + row, end - row);
		return;
	}
	if (!job->demanded) {
		ffn_part(job, thread, row, end);
		return;
	}
	while (row < end) {
		uint32_t which[WHICH_MOST];
		size_t count;

		for (count = 0; row < end && count < WHICH_MOST; row++)
			if (bits_get(job->demanded, job->pointer[row]))
				which[count++] = (uint32_t)row;
		ffn_some(job, thread, which, count);
	}
}

void forward_ffn_rows(struct forward *f, const struct ffn_rows *rows)
{
	struct ffn_job job = {.f = f, .rows = rows};

	if (f->batch == 1)
		pool_run(f->o.pool, ffn_run, &job);
	else
		batch_ffn(f, rows);
}

/* Which of a store's neurons fire, whatever is then multiplied. */
static void note_active(struct forward *f, const struct ffn_rows *rows, const uint32_t *pointer,
			uint32_t layer)
{
	const struct model_tensor tensor = {
		.type = rows->type, .dims = {rows->n, rows->rows}, .row_stride = rows->row_stride};
	const struct forward_rows up = {.tensor = &tensor, .count = rows->rows, .rows = rows->up};
	struct gemv_job job = {f, &up, f->normed, f->fired};
	uint64_t *active = f->active + layer * bits_words((uint32_t)f->o.model->d_ffn);

	pool_run(f->o.pool, gemv_run, &job);
	for (size_t i = 0; i < rows->rows; i++)
		if (f->fired[i] + (rows->bias ? rows->bias[i] : 0) > 0)
			bits_put(active, pointer[i]);
}

static struct ffn_rows store_rows(const struct forward *f, const struct store *store,
				  uint32_t layer)
{
	const struct store_layer *l = &store->layers[layer];

	return (struct ffn_rows){
		.up = l->matrix,
		.down = l->matrix + store->down_at,
		.type = f->o.weights,
		.rows = l->num_used,
		.n = f->d,
		.row_stride = store->row_stride,
		.bias = l->bias,
		.activation = (enum activation)f->o.model->activation,
	};
}

void forward_ffn_places(struct forward *f, const struct store *store, uint32_t layer,
			const uint32_t *places, size_t count)
{
	struct ffn_rows rows = store_rows(f, store, layer);
	struct ffn_job job = {.f = f, .rows = &rows, .places = places};

	assert(f->batch == 1 && !f->active && "a pass that notes what fires is computed at once");
	rows.rows = count;
	if (count > 0)
		pool_run(f->o.pool, ffn_run, &job);
}

void forward_ffn_store(struct forward *f, const struct store *store, uint32_t layer,
		       const uint64_t *demanded)
{
	const struct store_layer *l = &store->layers[layer];
	const struct ffn_rows rows = store_rows(f, store, layer);
	struct ffn_job job = {.f = f, .rows = &rows, .pointer = l->pointer, .demanded = demanded};

	if (f->batch > 1) {
		assert(!demanded && "a batch is dense");
		batch_ffn(f, &rows);
		return;
	}
	if (f->active)
		note_active(f, &rows, l->pointer, layer);
	pool_run(f->o.pool, ffn_run, &job);
}

void forward_ffn_end(struct forward *f)
{
	unsigned threads = (unsigned)f->threads;

	for (unsigned t = 0; f->batch == 1 && t < threads; t++)
		for (size_t i = 0; i < f->d; i++)
			f->out[i] = (t ? f->out[i] : 0) + acc_of(f, t)[i];
	add_out(f, f->vectors[ROLE_DOWN_BIAS]);
}
