/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_device.c - `bench device`: an emulated device's reads, when its mechanism says that they
 * complete and when they do here
 *
 * Two kinds of load: streams of a tenth of a second, for throughput, and batches as one layer's
 * misses make them, one after another, for the completion of a batch.  A batch is waited for as a
 * whole, or read by read as the pipeline does; then each read's lateness is known as well.  What is
 * timed is what an engine sees: from before it submits to when it has been told. */
#define _GNU_SOURCE
#include "bench_device.h"

#include "cli.h"
#include "clock.h"
#include "order.h"
#include "real_emulated.h"
#include "real_read.h"
#include "rng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	FILE_BYTES = 256 << 20, /* sparse: memory, and no disk */
	BUFFER_BYTES = 32 << 20,
	READS_MOST = 1 << 17,
	STREAM_NS = 100000000,
	STREAM_TRIAL = 256, /* reads, to learn how many a stream takes */
	STREAM_RUNS = 5,
	BATCHES_LEAST = 20, /* of a cell, however long they take */
	BATCHES_MOST = 10000
};
#define CELL_NS UINT64_C(1500000000)

/* What is promised of an emulated device on an idle host. */
#define STREAM_WITHIN 0.02
#define P50_WITHIN    0.03
#define P99_WITHIN    0.10

enum way { BY_WAIT, BY_PROGRESS, WAYS };
static const char *const way_names[WAYS] = {"wait", "progress"};

static const uint32_t stream_bytes[] = {4096, 16384, 32768, 1 << 20};
static const uint32_t batch_bytes[] = {4096, 16384, 32768};
static const uint32_t batch_reads[] = {64, 192, 512};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct bench {
	struct real_target target;
	uint64_t in_flight, batches;
	struct reader *reader;
	unsigned char *buffer;
	struct read_request *requests; /* [READS_MOST] */
	double *late_us;	       /* [READS_MOST] lateness of reads told of by progress */
	size_t late_count;
	double *values; /* [3][BATCHES_MOST] of a cell's batches */
	struct rng rng;
	struct json *json; /* NULL: a table */
	bool held;	   /* so far, all that is promised */
};

/* One batch as it was meant and as it was. */
struct run {
	double intended_ns, took_ns;
};

struct stream {
	uint32_t bytes, reads;
	double intended_bytes_per_s, achieved_bytes_per_s, ratio;
};

struct cell {
	uint32_t bytes, reads;
	enum way way;
	uint64_t batches;
	double intended_us, achieved_us, error_p50, error_p99;
	double late_p50_us, late_p99_us, late_max_us;
};

static void make_batch(struct bench *b, uint32_t bytes, uint32_t reads)
{
	for (uint32_t i = 0; i < reads; i++)
		b->requests[i] = (struct read_request){
			.file = 1,
			.offset = rng_next(&b->rng) % (FILE_BYTES / bytes) * bytes,
			.bytes = bytes,
			.to = b->buffer + (uint64_t)i * bytes % BUFFER_BYTES,
		};
}

/* Read by read; what came meanwhile is as late as whoever waited for the one before saw it. */
static int walk(struct bench *b, uint32_t reads, uint64_t start_ns, struct err *err)
{
	uint64_t due_ns = 0;
	size_t have = 0;

	while (have < reads) {
		size_t seen = have;
		uint64_t now_ns;

		if (reader_progress(b->reader, seen + 1, &have, err))
			return err->code;
		now_ns = clock_now_ns() - start_ns;
		for (; seen < have; seen++) {
			const uint64_t own_ns = emulated_due_ns(b->reader, seen);

			due_ns = own_ns > due_ns ? own_ns : due_ns;
			if (b->late_count < READS_MOST)
				b->late_us[b->late_count++] =
					((double)now_ns - (double)due_ns) * 1e-3;
		}
	}
	return 0;
}

static int run_batch(struct run *run, struct bench *b, enum way way, uint32_t reads,
		     struct err *err)
{
	struct err walked = {0};
	struct read_done done;
	uint64_t start_ns, end_ns;

	start_ns = clock_now_ns();
	if (reader_submit(b->reader, b->requests, reads, err))
		return err->code;
	if (way == BY_PROGRESS)
		(void)!walk(b, reads, start_ns, &walked);
	end_ns = clock_now_ns();
	if (reader_wait(b->reader, &done, err))
		return err->code;
	if (way == BY_WAIT)
		end_ns = clock_now_ns();
	if (walked.code) {
		*err = walked;
		return err->code;
	}
	run->took_ns = (double)(end_ns - start_ns);
	run->intended_ns = (double)emulated_lateness(b->reader).batch_intended_ns;
	return 0;
}

static int measure_stream(struct stream *s, struct bench *b, struct err *err)
{
	double ratios[STREAM_RUNS], rates[STREAM_RUNS];
	struct run run = {0};

	make_batch(b, s->bytes, STREAM_TRIAL);
	if (run_batch(&run, b, BY_WAIT, STREAM_TRIAL, err))
		return err->code;
	s->reads = (uint32_t)(STREAM_TRIAL * (double)STREAM_NS / run.intended_ns);
	if (s->reads > READS_MOST)
		s->reads = READS_MOST;
	if (s->reads < STREAM_TRIAL)
		s->reads = STREAM_TRIAL;
	for (unsigned i = 0; i < STREAM_RUNS; i++) {
		make_batch(b, s->bytes, s->reads);
		if (run_batch(&run, b, BY_WAIT, s->reads, err))
			return err->code;
		ratios[i] = run.intended_ns / run.took_ns;
		rates[i] = (double)s->reads * s->bytes * 1e9 / run.intended_ns;
	}
	s->intended_bytes_per_s = order_median(rates, STREAM_RUNS);
	s->ratio = order_median(ratios, STREAM_RUNS);
	s->achieved_bytes_per_s = s->ratio * s->intended_bytes_per_s;
	if (s->ratio < 1 - STREAM_WITHIN)
		b->held = false;
	return 0;
}

static int measure_cell(struct cell *c, struct bench *b, struct err *err)
{
	double *const intended = b->values, *const took = intended + BATCHES_MOST,
		      *const error = took + BATCHES_MOST;
	const uint64_t until_ns = clock_now_ns() + CELL_NS;
	struct run run = {0};

	b->late_count = 0;
	for (c->batches = 0; c->batches < b->batches; c->batches++) {
		if (c->batches >= BATCHES_LEAST && clock_now_ns() > until_ns)
			break;
		make_batch(b, c->bytes, c->reads);
		if (run_batch(&run, b, c->way, c->reads, err))
			return err->code;
		intended[c->batches] = run.intended_ns * 1e-3;
		took[c->batches] = run.took_ns * 1e-3;
		error[c->batches] = run.took_ns / run.intended_ns - 1;
	}
	order_sort(error, c->batches);
	c->intended_us = order_median(intended, c->batches);
	c->achieved_us = order_median(took, c->batches);
	c->error_p50 = order_quantile(error, c->batches, 0.5);
	c->error_p99 = order_quantile(error, c->batches, 0.99);
	if (c->error_p50 > P50_WITHIN || c->error_p99 > P99_WITHIN)
		b->held = false;
	if (c->way == BY_WAIT)
		return 0;
	order_sort(b->late_us, b->late_count);
	c->late_p50_us = order_quantile(b->late_us, b->late_count, 0.5);
	c->late_p99_us = order_quantile(b->late_us, b->late_count, 0.99);
	c->late_max_us = b->late_us[b->late_count - 1];
	return 0;
}

/* ---- what is told -----------------------------------------------------------------------------
 */

static void tell_stream(const struct bench *b, const struct stream *s)
{
	if (!b->json) {
		printf("%7" PRIu32 " %7" PRIu32 " %13.1f %13.1f %8.4f\n", s->bytes / 1024, s->reads,
		       s->intended_bytes_per_s / 1e6, s->achieved_bytes_per_s / 1e6, s->ratio);
		fflush(stdout);
		return;
	}
	json_put_object(b->json, NULL);
	json_put_count(b->json, "bytes", s->bytes);
	json_put_count(b->json, "reads", s->reads);
	json_put_number(b->json, "intended_bytes_per_s", s->intended_bytes_per_s);
	json_put_number(b->json, "achieved_bytes_per_s", s->achieved_bytes_per_s);
	json_put_number(b->json, "ratio", s->ratio);
	json_put_end(b->json);
}

static void put_cell(struct json *json, const struct cell *c)
{
	json_put_object(json, NULL);
	json_put_text(json, "by", way_names[c->way]);
	json_put_count(json, "bytes", c->bytes);
	json_put_count(json, "reads", c->reads);
	json_put_count(json, "batches", c->batches);
	json_put_number(json, "intended_ns", c->intended_us * 1e3);
	json_put_number(json, "achieved_ns", c->achieved_us * 1e3);
	json_put_number(json, "error_p50_frac", c->error_p50);
	json_put_number(json, "error_p99_frac", c->error_p99);
	if (c->way == BY_PROGRESS) {
		json_put_number(json, "late_p50_ns", c->late_p50_us * 1e3);
		json_put_number(json, "late_p99_ns", c->late_p99_us * 1e3);
		json_put_number(json, "late_max_ns", c->late_max_us * 1e3);
	}
	json_put_end(json);
}

static void tell_cell(const struct bench *b, const struct cell *c)
{
	if (b->json) {
		put_cell(b->json, c);
		return;
	}
	printf("%7" PRIu32 " %7" PRIu32 "  %-8s %7" PRIu64 " %11.1f %11.1f %8.2f %8.2f",
	       c->bytes / 1024, c->reads, way_names[c->way], c->batches, c->intended_us,
	       c->achieved_us, 100 * c->error_p50, 100 * c->error_p99);
	if (c->way == BY_PROGRESS)
		printf(" %8.1f %8.1f %8.1f", c->late_p50_us, c->late_p99_us, c->late_max_us);
	printf("\n");
	fflush(stdout);
}

static void tell_head(const struct bench *b)
{
	if (!b->json) {
		printf("%s, %" PRIu64 " in flight; intended is what the mechanism says\n\n"
		       "streams\n%7s %7s %13s %13s %8s\n",
		       b->target.name, b->in_flight, "KiB", "reads", "intended MB/s",
		       "achieved MB/s", "ratio");
		return;
	}
	json_put_object(b->json, NULL);
	json_put_text(b->json, "device", b->target.name);
	json_put_count(b->json, "in_flight", b->in_flight);
	json_put_list(b->json, "streams");
}

static void tell_batches(const struct bench *b)
{
	if (b->json) {
		json_put_end(b->json);
		json_put_list(b->json, "batches");
		return;
	}
	printf("\nbatches, told of by:\n%7s %7s  %-8s %7s %11s %11s %8s %8s %8s %8s %8s\n", "KiB",
	       "reads", "", "batches", "intended us", "achieved us", "err p50%", "err p99%",
	       "late p50", "p99 us", "max us");
}

static void tell_end(const struct bench *b)
{
	const struct emulated_lateness late = emulated_lateness(b->reader);

	if (!b->json) {
		printf("\ndata that came after its time: %" PRIu64 " of %" PRIu64
		       " reads, at most by %.1f us\n%s: streams within %.0f %%, batches within "
		       "%.0f %% at p50 and %.0f %% at p99\n",
		       late.late_count, late.read_count, (double)late.late_ns_max * 1e-3,
		       b->held ? "held" : "MISSED", 100 * STREAM_WITHIN, 100 * P50_WITHIN,
		       100 * P99_WITHIN);
		return;
	}
	json_put_end(b->json);
	json_put_count(b->json, "late_copies", late.late_count);
	json_put_count(b->json, "copies", late.read_count);
	json_put_count(b->json, "late_copy_max_ns", late.late_ns_max);
	json_put_flag(b->json, "held", b->held);
	json_put_end(b->json);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int measure(struct bench *b, struct err *err)
{
	tell_head(b);
	for (size_t i = 0; i < COUNT(stream_bytes); i++) {
		struct stream stream = {.bytes = stream_bytes[i]};

		if (measure_stream(&stream, b, err))
			return err->code;
		tell_stream(b, &stream);
	}
	tell_batches(b);
	for (size_t i = 0; i < COUNT(batch_bytes) * COUNT(batch_reads) * WAYS; i++) {
		struct cell cell = {
			.bytes = batch_bytes[i / WAYS / COUNT(batch_reads)],
			.reads = batch_reads[i / WAYS % COUNT(batch_reads)],
			.way = (enum way)(i % WAYS),
		};

		if (measure_cell(&cell, b, err))
			return err->code;
		tell_cell(b, &cell);
	}
	tell_end(b);
	return 0;
}

/* A file of zeros that is gone when the device is: its pages are memory as any file's. */
static int open_device(struct bench *b, struct err *err)
{
	const char *folder = getenv("TMPDIR");
	char path[512];
	struct reader_options options = {.engine = READ_EMULATED,
					 .paths = {NULL, path},
					 .in_flight = (unsigned)b->in_flight,
					 .emulated = &b->target.emulated,
					 .seed = 1};
	int fd;

	if (snprintf(path, sizeof(path), "%s/flashcast-device-XXXXXX", folder ? folder : "/tmp") >=
	    (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "TMPDIR '%s'", folder);
	fd = mkstemp(path);
	if (fd < 0)
		return err_errno(err, "'%s'", path);
	if (ftruncate(fd, FILE_BYTES) != 0)
		err_errno(err, "'%s': %d bytes", path, FILE_BYTES);
	else
		(void)!reader_open(&b->reader, &options, err);
	unlink(path);
	close(fd);
	return err->code;
}

static int bench_run(struct bench *b, struct err *err)
{
	if (open_device(b, err))
		return err->code;
	b->buffer = reader_alloc(b->reader, BUFFER_BYTES);
	b->requests = calloc(READS_MOST, sizeof(*b->requests));
	b->late_us = calloc(READS_MOST, sizeof(*b->late_us));
	b->values = calloc((size_t)3 * BATCHES_MOST, sizeof(*b->values));
	if (!b->buffer || !b->requests || !b->late_us || !b->values)
		return err_nomem(err, "a benchmark's batches", BUFFER_BYTES);
	return measure(b, err);
}

static void bench_fini(struct bench *b)
{
	reader_close(b->reader);
	free(b->requests);
	free(b->late_us);
	free(b->values);
}

static int check(const struct bench *b, struct err *err)
{
	if (!b->target.is_emulated)
		return err_set(err, EINVAL,
			       "'%s' is no emulated device: it does not say what it intends",
			       b->target.name);
	if (b->in_flight > 4096)
		return err_set(err, EINVAL, "--in-flight: got %" PRIu64 ", expected at most 4096",
			       b->in_flight);
	if (b->batches > BATCHES_MOST)
		return err_set(err, EINVAL, "--batches: got %" PRIu64 ", expected at most %d",
			       b->batches, BATCHES_MOST);
	return 0;
}

int bench_device(int argc, char **argv, struct err *err)
{
	struct bench bench = {.in_flight = 32, .batches = 200, .rng = {1}, .held = true};
	struct json json = {.out = stdout};
	bool as_json = false;
	const struct opt opts[] = {
		{"in-flight", 0, OPT_COUNT, &bench.in_flight, "N", "reads in flight; default 32", 0,
		 1},
		{"batches", 'n', OPT_COUNT, &bench.batches, "N",
		 "batches of each kind, fewer where they take longer than 1.5 s; default 200", 0,
		 BATCHES_LEAST},
		{"json", 0, OPT_FLAG, &as_json, NULL, "one JSON object", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench device DEVICE.yaml [OPTIONS]",
		.about = "Runs an emulated device on this host and holds the times at which reads "
			 "complete against those\n"
			 "that its mechanism intends: throughput of streams, completion of batches "
			 "as a layer's misses\n"
			 "make them, and how late each read is told of. Worth reading on an idle "
			 "host only.",
		.opts = opts,
		.opt_count = COUNT(opts),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (args_parse(&args, &spec, argc, argv, err) || args.helped)
		goto out;
	if (target_load(&bench.target, args.operands.items[0], err) || check(&bench, err))
		goto out;
	bench.json = as_json ? &json : NULL;
	(void)!bench_run(&bench, err);
	bench_fini(&bench);
out:
	args_fini(&args, &spec);
	return err->code;
}
