/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_kernels.c - `bench kernels`: bytes a second of each kernel, beside a plain read of as many
 *
 * Kernel and read take turns, the order turning too, and each takes the rows behind the last ones of
 * a buffer that no cache holds; so that neither finds anything cached, and what else the machine
 * does falls on both.  The ratio is the median of the pairs' ratios, its interval lies between two
 * of them in order, which holds whatever their distribution. */
#define _GNU_SOURCE
#include "bench_kernels.h"

#include "cli.h"
#include "clock.h"
#include "cores.h"
#include "huge_pages.h"
#include "last_cache.h"
#include "order.h"
#include "real_kernels.h"
#include "rng.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CACHES = 4, PAIRS_MOST = 1001, CACHE_GUESS = 64 << 20 };

enum work { WORK_GEMV, WORK_FFN };

/* Shares of a layer's rows: all, and those that a sparse layer's step multiplies. */
static const struct {
	enum work work;
	double share;
} works[] = {
	{WORK_GEMV, 1},	  {WORK_FFN, 1},    {WORK_FFN, 0.33}, {WORK_FFN, 0.24},
	{WORK_FFN, 0.10}, {WORK_FFN, 0.05}, {WORK_FFN, 0.02},
};
enum { WORKS = sizeof(works) / sizeof(works[0]) };

struct bench {
	const struct kernels *kernels;
	struct pool *pool;
	uint64_t threads, pairs, d_model, d_ffn, cache_bytes;
	unsigned char *bytes;
	size_t byte_count, at; /* the buffer, and where the next rows lie */
	float *x, *y, *bias, *accs;
	struct json *json; /* NULL: a table */
};

/* One call on all threads. */
struct call {
	const struct bench *bench;
	enum weight_type type;
	enum work work;
	bool plain; /* read the rows only */
	const unsigned char *rows;
	size_t row_count, stride;
};

/* What one line says. */
struct line {
	double kernel_bytes_per_s, read_bytes_per_s;
	struct order_interval ratio;
};

static float *acc_of(const struct bench *b, unsigned thread)
{
	return b->accs + thread * (b->d_model + 64);
}

static void call_part(void *arg, unsigned thread, unsigned threads)
{
	const struct call *c = arg;
	const struct bench *b = c->bench;
	size_t first = c->row_count * thread / threads;
	size_t count = c->row_count * (thread + 1) / threads - first;
	const unsigned char *rows = c->rows + first * c->stride;
	const struct ffn_rows ffn = {
		.up = rows,
		.down = rows + c->stride / 2,
		.type = c->type,
		.rows = count,
		.n = b->d_model,
		.row_stride = c->stride,
		.bias = b->bias + first,
		.activation = ACT_RELU,
	};

	if (c->plain) /* kept, so that it cannot be left out */
		b->y[first] = (float)b->kernels->read(rows, count * c->stride);
	else if (c->work == WORK_GEMV)
		b->kernels->gemv(b->y + first, rows, c->type, count, b->d_model, c->stride, b->x);
	else
		b->kernels->ffn(acc_of(b, thread), &ffn, b->x);
}

/* Seconds of one call over the next rows. */
static double time_call(struct bench *b, struct call *c)
{
	size_t bytes = c->row_count * c->stride;
	double start;

	if (b->byte_count - b->at < bytes)
		b->at = 0;
	c->rows = b->bytes + b->at;
	b->at += bytes;
	pool_rouse(b->pool);
	start = clock_now_s();
	pool_run(b->pool, call_part, c);
	return clock_now_s() - start;
}

static void measure(struct line *line, struct bench *b, struct call *call)
{
	double took[2][PAIRS_MOST], ratios[PAIRS_MOST];
	double bytes = (double)call->row_count * (double)call->stride;

	/* One pair before the first that counts: pages and threads warm up. */
	for (size_t pair = 0; pair <= b->pairs; pair++)
		for (unsigned turn = 0; turn < 2; turn++) {
			call->plain = (pair + turn) % 2;
			took[call->plain][pair ? pair - 1 : 0] = time_call(b, call);
		}
	for (size_t pair = 0; pair < b->pairs; pair++)
		ratios[pair] = took[1][pair] / took[0][pair];
	line->ratio = order_median_interval(ratios, b->pairs);
	line->kernel_bytes_per_s = bytes / order_median(took[0], b->pairs);
	line->read_bytes_per_s = bytes / order_median(took[1], b->pairs);
}

static void print_line(const struct call *call, const struct line *line)
{
	printf("%-5s %-5s %7zu %9.1f %9.2f %9.2f %7.3f  %.3f to %.3f\n",
	       call->work == WORK_GEMV ? "gemv" : "ffn", weight_type_words[call->type].text,
	       call->row_count, (double)(call->row_count * call->stride) / 1e6,
	       line->kernel_bytes_per_s / 1e9, line->read_bytes_per_s / 1e9, line->ratio.median,
	       line->ratio.low, line->ratio.high);
	fflush(stdout);
}

static void put_line(struct json *json, const struct call *call, const struct line *line)
{
	json_put_object(json, NULL);
	json_put_text(json, "kernel", call->work == WORK_GEMV ? "gemv" : "ffn");
	json_put_text(json, "weights", weight_type_words[call->type].text);
	json_put_count(json, "rows", call->row_count);
	json_put_count(json, "bytes", call->row_count * call->stride);
	json_put_number(json, "kernel_bytes_per_s", line->kernel_bytes_per_s);
	json_put_number(json, "read_bytes_per_s", line->read_bytes_per_s);
	json_put_number(json, "ratio", line->ratio.median);
	json_put_number(json, "ratio_low", line->ratio.low);
	json_put_number(json, "ratio_high", line->ratio.high);
	json_put_end(json);
}

/* ---- the buffer -------------------------------------------------------------------------------
 */

struct filling {
	const struct bench *bench;
	enum weight_type type;
};

/* Random signs and mantissas, all of one size: nothing that arithmetic is slow with. */
static void fill_part(void *arg, unsigned thread, unsigned threads)
{
	static const uint64_t keep[WEIGHT_TYPES] = {UINT64_C(0x807fffff807fffff),
						    UINT64_C(0x83ff83ff83ff83ff),
						    UINT64_C(0x807f807f807f807f)};
	static const uint64_t size[WEIGHT_TYPES] = {UINT64_C(0x3d8000003d800000),
						    UINT64_C(0x2c002c002c002c00),
						    UINT64_C(0x3d803d803d803d80)};
	const struct filling *f = arg;
	size_t words = f->bench->byte_count / 8;

	for (size_t i = words * thread / threads; i < words * (thread + 1) / threads; i++) {
		uint64_t bits = (rng_mix(i) & keep[f->type]) | size[f->type];

		memcpy(f->bench->bytes + i * 8, &bits, sizeof(bits));
	}
}

static size_t stride_of(const struct bench *b, enum work work, enum weight_type type)
{
	return b->d_model * weight_bytes(type) * (work == WORK_FFN ? 2 : 1);
}

static int take_memory(struct bench *b, struct err *err)
{
	size_t floats = b->d_model + 2 * b->d_ffn + b->threads * (b->d_model + 64);
	size_t whole = b->d_ffn * stride_of(b, WORK_FFN, WEIGHT_F32);
	void *bytes;

	b->byte_count = CACHES * b->cache_bytes > whole ? CACHES * b->cache_bytes : whole;
	bytes = mmap(NULL, b->byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (bytes == MAP_FAILED)
		return err_nomem(err, "a buffer that no cache holds", b->byte_count);
	b->bytes = bytes;
	huge_pages_hint(b->bytes, b->byte_count); /* as the engine's weights lie */
	b->x = calloc(floats, sizeof(float));
	if (!b->x)
		return err_nomem(err, "the kernels' vectors", floats * sizeof(float));
	b->y = b->x + b->d_model;
	b->bias = b->y + b->d_ffn;
	b->accs = b->bias + b->d_ffn;
	for (size_t i = 0; i < b->d_model; i++)
		b->x[i] = (float)(i % 7) / 7;
	/* Every neuron fires, so that every byte is read. */
	for (size_t i = 0; i < b->d_ffn; i++)
		b->bias[i] = 1e4F;
	return 0;
}

static void bench_fini(struct bench *b)
{
	pool_close(b->pool);
	free(b->x);
	if (b->bytes)
		munmap(b->bytes, b->byte_count);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static void begin(const struct bench *b)
{
	if (!b->json) {
		printf("kernels %s, %" PRIu64 " threads, rows of %" PRIu64 ", layers of %" PRIu64
		       " rows; last-level cache %.1f MiB, buffer %.0f MiB; %" PRIu64 " pairs\n\n"
		       "%-5s %-5s %7s %9s %9s %9s %7s  %s\n",
		       b->kernels->name, b->threads, b->d_model, b->d_ffn,
		       (double)b->cache_bytes / 1048576, (double)b->byte_count / 1048576, b->pairs,
		       "what", "type", "rows", "MB", "GB/s", "read GB/s", "ratio", "95 %");
		return;
	}
	json_put_object(b->json, NULL);
	json_put_text(b->json, "kernels", b->kernels->name);
	json_put_count(b->json, "threads", b->threads);
	json_put_count(b->json, "d_model", b->d_model);
	json_put_count(b->json, "d_ffn", b->d_ffn);
	json_put_count(b->json, "last_cache_bytes", b->cache_bytes);
	json_put_count(b->json, "buffer_bytes", b->byte_count);
	json_put_count(b->json, "pairs", b->pairs);
	json_put_list(b->json, "lines");
}

static void bench_type(struct bench *b, enum weight_type type)
{
	struct filling filling = {b, type};

	pool_run(b->pool, fill_part, &filling);
	for (size_t i = 0; i < WORKS; i++) {
		struct call call = {
			.bench = b,
			.type = type,
			.work = works[i].work,
			.row_count = (size_t)((double)b->d_ffn * works[i].share),
			.stride = stride_of(b, works[i].work, type),
		};
		struct line line;

		memset(b->accs, 0, b->threads * (b->d_model + 64) * sizeof(float));
		measure(&line, b, &call);
		if (b->json)
			put_line(b->json, &call, &line);
		else
			print_line(&call, &line);
	}
}

static int bench_run(struct bench *b, struct err *err)
{
	if (take_memory(b, err) || pool_open(&b->pool, (unsigned)b->threads, err))
		return err->code;
	pool_pin(b->pool);
	begin(b);
	for (unsigned type = 0; type < WEIGHT_TYPES; type++)
		bench_type(b, (enum weight_type)type);
	if (b->json) {
		json_put_end(b->json);
		json_put_end(b->json);
	}
	return 0;
}

static const struct kernels *find_kernels(const char *name, struct err *err)
{
	char names[128] = "";

	for (unsigned i = 0; kernels_at(i); i++) {
		size_t used = strlen(names);

		if (!name || strcmp(kernels_at(i)->name, name) == 0)
			return kernels_at(i);
		snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
			 kernels_at(i)->name);
	}
	err_set(err, EINVAL, "--kernels: got '%s', this machine has %s", name, names);
	return NULL;
}

static int check(const struct bench *b, struct err *err)
{
	if (b->threads > 1024)
		return err_set(err, EINVAL, "--threads: got %" PRIu64 ", expected at most 1024",
			       b->threads);
	if (b->pairs > PAIRS_MOST)
		return err_set(err, EINVAL, "--pairs: got %" PRIu64 ", expected at most %d",
			       b->pairs, PAIRS_MOST);
	if (b->d_model > 65536 || b->d_model % 2 || b->d_ffn > 262144)
		return err_set(err, EINVAL,
			       "--d-model, --d-ffn: got %" PRIu64 " and %" PRIu64
			       ", expected an even number up to 65536 and one up to 262144",
			       b->d_model, b->d_ffn);
	return 0;
}

int bench_kernels(int argc, char **argv, struct err *err)
{
	struct bench bench = {
		.threads = cores_usable(), .pairs = 31, .d_model = 4096, .d_ffn = 16384};
	struct json json = {.out = stdout};
	const char *name = NULL;
	bool as_json = false;
	const struct opt opts[] = {
		{"threads", 't', OPT_COUNT, &bench.threads, "N", "default: every core", 0, 1},
		{"pairs", 'n', OPT_COUNT, &bench.pairs, "N",
		 "pairs of kernel and read for each line; default 31", 0, 1},
		{"d-model", 0, OPT_COUNT, &bench.d_model, "N", "weights of a row; default 4096", 0,
		 2},
		{"d-ffn", 0, OPT_COUNT, &bench.d_ffn, "N", "rows of a layer; default 16384", 0, 64},
		{"kernels", 0, OPT_TEXT, &name, "NAME", "default: the best of this machine", 0, 0},
		{"json", 0, OPT_FLAG, &as_json, NULL, "one JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench kernels [OPTIONS]",
		.about = "Times matrix-vector products and the FFN over f32, f16 and bf16 rows, "
			 "whole "
			 "layers and the rows of\n"
			 "sparse ones, beside a plain read of as many bytes, in turns, out of a "
			 "buffer of at least 4 times\n"
			 "the last-level cache. The ratio of both is what the kernels lose.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
	};
	struct args args;

	if (args_parse(&args, &spec, argc, argv, err) || args.helped)
		goto out;
	bench.kernels = find_kernels(name, err);
	if (!bench.kernels || check(&bench, err))
		goto out;
	bench.cache_bytes = last_cache_bytes();
	if (!bench.cache_bytes)
		bench.cache_bytes = CACHE_GUESS;
	bench.json = as_json ? &json : NULL;
	(void)!bench_run(&bench, err);
	bench_fini(&bench);
out:
	args_fini(&args, &spec);
	return err->code;
}
