/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import_rows.c - weights from a checkpoint to rows of ours, within a fixed amount of memory
 *
 * Conversions round to nearest even, by way of 32-bit floats, which hold every 16-bit one exactly.
 * */
#include "import_rows.h"

#include "real_kernels.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	RAW_BYTES = 16 * 1024 * 1024, /* as read: twice the writer's buffer, where types shrink */
	FLOATS = 1024,		      /* converted at once */
	TILE = 16,		      /* columns that are gathered together: a cache line */
};

/* What is wrong with a tensor's weights, so far. */
struct tally {
	atomic_ullong strange; /* no finite number */
	atomic_ullong large;   /* not in the type wanted */
};

struct import_rows {
	struct import_rows_options o;
	unsigned char *raw; /* RAW_BYTES */
	unsigned char
		*block; /* columns [first, first + count) of a layer's down matrix: [d][count] */
	unsigned char *tiles; /* [threads][TILE][d] */
	uint32_t layer;
	uint64_t first, count;
	bool has_block;
	struct tally flat, up, down;
};

/* Bits of the exponent, all of them set in what is no finite number. */
static uint32_t exponent_mask(enum weight_type type)
{
	if (type == WEIGHT_F32)
		return 0x7f800000;
	return type == WEIGHT_F16 ? 0x7c00 : 0x7f80;
}

static size_t count_strange(const unsigned char *weights, enum weight_type type, size_t n)
{
	const uint32_t mask = exponent_mask(type);
	size_t strange = 0;

	if (type == WEIGHT_F32) {
		for (size_t i = 0; i < n; i++) {
			uint32_t bits;

			memcpy(&bits, weights + 4 * i, 4);
			strange += (bits & mask) == mask;
		}
		return strange;
	}
	for (size_t i = 0; i < n; i++) {
		uint16_t bits;

		memcpy(&bits, weights + 2 * i, 2);
		strange += (bits & mask) == mask;
	}
	return strange;
}

/* 'n' weights from one type to another. */
struct conversion {
	enum weight_type from, to;
	struct tally *tally;
};

static void convert(const struct conversion *c, unsigned char *to, const unsigned char *from,
		    size_t n)
{
	const size_t from_bytes = weight_bytes(c->from), to_bytes = weight_bytes(c->to);
	size_t strange = count_strange(from, c->from, n);
	float floats[FLOATS];

	if (strange > 0)
		atomic_fetch_add(&c->tally->strange, strange);
	if (c->from == c->to) {
		memcpy(to, from, n * to_bytes);
		return;
	}
	for (size_t i = 0; i < n; i += FLOATS) {
		size_t some = n - i < FLOATS ? n - i : FLOATS;

		weights_widen(floats, from + i * from_bytes, c->from, some);
		weights_narrow(to + i * to_bytes, c->to, floats, some);
	}
	strange = count_strange(to, c->to, n) - strange;
	if (strange > 0)
		atomic_fetch_add(&c->tally->large, strange);
}

/* Told when a tensor has passed; then it is another's turn. */
static int check_tally(struct import_rows *r, struct tally *tally, const char *name,
		       enum weight_type to, struct err *err)
{
	unsigned long long strange = atomic_exchange(&tally->strange, 0);
	unsigned long long large = atomic_exchange(&tally->large, 0);

	if (strange > 0)
		err_set(err, ERANGE,
			"%s: tensor '%s': %llu weights are infinite or no number, expected 0",
			r->o.source->path, name, strange);
	else if (large > 0)
		err_set(err, ERANGE,
			"%s: tensor '%s': %llu weights are too large for %s, expected 0 (--weights "
			"gives another type)",
			r->o.source->path, name, large, weight_type_words[to].text);
	return err->code;
}

/* Elements one after another, shared out among threads. */
struct flat_job {
	struct conversion conversion;
	unsigned char *to;
	const unsigned char *from;
	size_t n;
};

static void flat_run(void *arg, unsigned thread, unsigned threads)
{
	const struct flat_job *job = arg;
	size_t begin = job->n * thread / threads, end = job->n * (thread + 1) / threads;

	convert(&job->conversion, job->to + begin * weight_bytes(job->conversion.to),
		job->from + begin * weight_bytes(job->conversion.from), end - begin);
}

/* Elements [from, from + n) of one part. */
static int put_part(struct import_rows *r, const struct checkpoint_tensor *part, uint64_t from,
		    size_t n, unsigned char *to, enum weight_type type, struct err *err)
{
	const size_t each = weight_bytes(part->type);
	struct flat_job job = {{part->type, type, &r->flat}, to, r->raw, n};

	assert(n * each <= RAW_BYTES);
	if (checkpoint_read(r->o.source->checkpoint, part, from * each, r->raw, n * each, err))
		return err->code;
	pool_run(r->o.pool, flat_run, &job);
	if ((from + n) * each == part->bytes)
		return check_tally(r, &r->flat, part->name, type, err);
	return 0;
}

static void put_fill(unsigned char *to, enum weight_type type, float fill, size_t n)
{
	assert(type == WEIGHT_F32); /* norms and biases */
	for (size_t i = 0; i < n; i++)
		memcpy(to + 4 * i, &fill, 4);
}

/* Elements [from, from + n) of a tensor of base.gguf: its parts one after another. */
static int put_flat(struct import_rows *r, const struct file_tensors *it, uint64_t from, uint64_t n,
		    unsigned char *to, struct err *err)
{
	const enum weight_type type = it->tensor.type;
	struct source_tensor t;

	if (source_find(r->o.source, it->tensor.name, it->layer, &t, err))
		return err->code;
	if (t.part_count == 0)
		put_fill(to, type, t.fill, n);
	for (unsigned i = 0; i < t.part_count && n > 0; i++) {
		uint64_t size = t.parts[i]->bytes / weight_bytes(t.parts[i]->type), some;

		if (from >= size) {
			from -= size;
			continue;
		}
		some = size - from < n ? size - from : n;
		if (put_part(r, t.parts[i], from, some, to, type, err))
			return err->code;
		to += some * weight_bytes(type);
		n -= some;
		from = 0;
	}
	return 0;
}

/* Rows for an FFN file: where each begins, and what of it is meant. */
struct ffn_job {
	struct conversion conversion;
	const struct import_rows *r;
	unsigned char *to;	   /* of the first row's half */
	uint64_t stride, n;	   /* bytes from row to row, elements of a half */
	const unsigned char *from; /* up: its rows; down: the block, at the first column */
	uint64_t rows;
};

static void up_run(void *arg, unsigned thread, unsigned threads)
{
	const struct ffn_job *job = arg;
	uint64_t begin = job->rows * thread / threads, end = job->rows * (thread + 1) / threads;
	uint64_t from_bytes = job->n * weight_bytes(job->conversion.from);

	for (uint64_t i = begin; i < end; i++)
		convert(&job->conversion, job->to + i * job->stride, job->from + i * from_bytes,
			job->n);
}

static int put_up(struct import_rows *r, struct ffn_job *job, const struct checkpoint_tensor *t,
		  const struct row_span *span, struct err *err)
{
	const uint64_t each = weight_bytes(t->type), bytes = span->count * job->n * each;

	assert(bytes <= RAW_BYTES);
	if (checkpoint_read(r->o.source->checkpoint, t, span->first * job->n * each, r->raw, bytes,
			    err))
		return err->code;
	job->from = r->raw;
	job->rows = span->count;
	pool_run(r->o.pool, up_run, job);
	return 0;
}

/* Columns become rows, TILE of them at once, so that each line of the block is used whole. */
static void down_run(void *arg, unsigned thread, unsigned threads)
{
	const struct ffn_job *job = arg;
	uint64_t tiles = (job->rows + TILE - 1) / TILE;
	uint64_t begin = tiles * thread / threads, end = tiles * (thread + 1) / threads;
	const size_t each = weight_bytes(job->conversion.from);
	const uint64_t across = job->r->count * each;
	unsigned char *tile = job->r->tiles + (size_t)thread * TILE * job->n * sizeof(float);

	for (uint64_t at = begin * TILE; at < end * TILE && at < job->rows; at += TILE) {
		uint64_t some = job->rows - at < TILE ? job->rows - at : TILE;
		const unsigned char *from = job->from + at * each;

		for (uint64_t row = 0; row < job->n; row++, from += across)
			for (uint64_t i = 0; i < some; i++)
				memcpy(tile + (i * job->n + row) * each, from + i * each, each);
		for (uint64_t i = 0; i < some; i++)
			convert(&job->conversion, job->to + (at + i) * job->stride,
				tile + i * job->n * each, job->n);
	}
}

static int read_block(struct import_rows *r, const struct checkpoint_tensor *t, uint32_t layer,
		      uint64_t first, struct err *err)
{
	const uint64_t each = weight_bytes(t->type), rows = t->dims[0], width = t->dims[1];
	uint64_t most = r->o.column_bytes / (rows * each);

	r->has_block = false;
	r->layer = layer;
	r->first = first;
	r->count = width - first < most ? width - first : most;
	if (r->count == width)
		return checkpoint_read(r->o.source->checkpoint, t, 0, r->block, t->bytes, err);
	for (uint64_t row = 0; row < rows; row++)
		if (checkpoint_read(r->o.source->checkpoint, t, (row * width + first) * each,
				    r->block + row * r->count * each, r->count * each, err))
			return err->code;
	return 0;
}

static int put_down(struct import_rows *r, struct ffn_job *job, const struct checkpoint_tensor *t,
		    const struct row_span *span, uint32_t layer, struct err *err)
{
	uint64_t row = span->first, end = span->first + span->count;

	while (row < end) {
		uint64_t in_block;

		if (!r->has_block || r->layer != layer || row < r->first ||
		    row >= r->first + r->count) {
			if (read_block(r, t, layer, row, err))
				return err->code;
			r->has_block = true;
		}
		in_block = r->first + r->count - row;
		job->rows = end - row < in_block ? end - row : in_block;
		job->from = r->block + (row - r->first) * weight_bytes(t->type);
		pool_run(r->o.pool, down_run, job);
		job->to += job->rows * job->stride;
		row += job->rows;
	}
	return 0;
}

/* Padding is as incompressible as weights, and the same in every import. */
static void put_padding(const struct file_tensors *it, const struct row_span *span)
{
	const struct model_tensor *t = &it->tensor;

	for (uint64_t i = 0; i < span->count; i++) {
		unsigned char *to = span->to + i * t->row_stride;
		uint64_t key = rng_mix(((uint64_t)it->layer << 32) + span->first + i);

		for (uint64_t at = t->row_bytes; at < t->row_stride; at += 8) {
			uint64_t bits = rng_mix(key + at);
			uint64_t left = t->row_stride - at;

			memcpy(to + at, &bits, left < 8 ? left : 8);
		}
	}
}

static int put_half(struct import_rows *r, const struct file_tensors *it,
		    const struct row_span *span, bool down, struct err *err)
{
	const struct model_tensor *t = &it->tensor;
	const struct model *m = &r->o.source->config.model;
	bool last = span->first + span->count == m->d_ffn;
	struct tally *tally = down ? &r->down : &r->up;
	uint64_t half = down && it->region == REGION_BUNDLE ? t->row_bytes / 2 : 0;
	struct source_tensor from;
	struct ffn_job job = {
		.r = r, .to = span->to + half, .stride = t->row_stride, .n = m->d_model};
	char name[64];

	snprintf(name, sizeof(name), "blk.%" PRIu32 ".ffn_%s.weight", it->layer,
		 down ? "down" : "up");
	if (source_find(r->o.source, name, it->layer, &from, err))
		return err->code;
	assert(from.part_count == 1);
	job.conversion = (struct conversion){from.parts[0]->type, t->type, tally};
	if (down ? put_down(r, &job, from.parts[0], span, it->layer, err)
		 : put_up(r, &job, from.parts[0], span, err))
		return err->code;
	return last ? check_tally(r, tally, from.parts[0]->name, t->type, err) : 0;
}

int import_rows_get(void *import_rows, const struct file_tensors *it, const struct row_span *span,
		    struct err *err)
{
	struct import_rows *r = import_rows;
	const struct model_tensor *t = &it->tensor;

	if (it->region == REGION_EMBED || it->region == REGION_ATTENTION)
		return put_flat(r, it, span->first * t->dims[0], span->count * t->dims[0], span->to,
				err);
	put_padding(it, span);
	if (it->region != REGION_DOWN && put_half(r, it, span, false, err))
		return err->code;
	return it->region == REGION_UP ? 0 : put_half(r, it, span, true, err);
}

static void find_difference(struct head_difference *d, const float *head, const float *embedding,
			    uint64_t first, size_t n, uint64_t width)
{
	for (size_t i = 0; i < n && !d->differs; i++) {
		if (head[i] == embedding[i])
			continue;
		*d = (struct head_difference){true, (first + i) / width, (first + i) % width,
					      (double)head[i], (double)embedding[i]};
	}
}

int import_compare_head(struct import_rows *rows, struct head_difference *difference,
			struct err *err)
{
	const struct source *s = rows->o.source;
	const struct checkpoint_tensor *of[2] = {s->head, s->embedding};
	const uint64_t width = s->config.model.d_model, all = width * s->config.model.vocab_count;
	const size_t most = RAW_BYTES / 4 / 4; /* of each, as read and as floats */
	unsigned char *halves[2] = {rows->raw, rows->raw + RAW_BYTES / 2};

	*difference = (struct head_difference){false, 0, 0, 0, 0};
	for (uint64_t at = 0; at < all && !difference->differs; at += most) {
		size_t n = all - at < most ? all - at : most;
		const float *floats[2];

		for (unsigned i = 0; i < 2; i++) {
			const size_t each = weight_bytes(of[i]->type);
			float *wide = (float *)(void *)(halves[i] + RAW_BYTES / 4);

			if (checkpoint_read(s->checkpoint, of[i], at * each, halves[i], n * each,
					    err))
				return err->code;
			weights_widen(wide, halves[i], of[i]->type, n);
			floats[i] = wide;
		}
		find_difference(difference, floats[0], floats[1], at, n, width);
	}
	return 0;
}

int import_rows_open(struct import_rows **out, const struct import_rows_options *options,
		     struct err *err)
{
	const struct model *m = &options->source->config.model;
	struct import_rows *r = calloc(1, sizeof(*r));
	size_t tiles = (size_t)pool_threads(options->pool) * TILE * m->d_model * sizeof(float);
	size_t column = m->d_model * sizeof(float);

	*out = NULL;
	if (!r)
		return err_nomem(err, "importing", sizeof(*r));
	r->o = *options;
	if (r->o.column_bytes < column)
		r->o.column_bytes = column;
	if (r->o.column_bytes > column * m->d_ffn)
		r->o.column_bytes = column * m->d_ffn;
	r->raw = malloc(RAW_BYTES);
	r->block = malloc(r->o.column_bytes);
	r->tiles = malloc(tiles);
	if (!r->raw || !r->block || !r->tiles) {
		err_nomem(err, "importing", RAW_BYTES + r->o.column_bytes + tiles);
		import_rows_close(r);
		return err->code;
	}
	*out = r;
	return 0;
}

void import_rows_close(struct import_rows *rows)
{
	if (!rows)
		return;
	free(rows->raw);
	free(rows->block);
	free(rows->tiles);
	free(rows);
}
