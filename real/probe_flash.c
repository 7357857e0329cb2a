/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_flash.c - the flash sweep: request size x in flight, as long batches and as a layer's
 * misses
 *
 * Passes go over the whole grid in random order, so that slow drift of the host falls on all points
 * alike.  A visit times a few batches between two looks at foreign traffic; a polluted visit is
 * made again, a few times, and its samples count only where a point has no clean ones. */
#define _GNU_SOURCE
#include "clock.h"
#include "order.h"
#include "real_probe.h"
#include "real_read.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLES = 256, VISIT_BATCHES = 32, TRIES = 3, PATH_BYTES = 4096 };
enum {
	SHORT_READS = 64,
	SHORT_ROUNDS = 4,
	LONG_ROUNDS = 40,
	READS_MAX = 1 << 16,
	SIZING_ROUNDS = 5
};
enum { FFN_FILE = 1, BUFFER_BYTES = 8 << 20 };
static const double long_ns = 20e6;
/* More than this of our own bytes read by others, of CPU time stolen, or of an emulated batch late.
 */
static const double foreign_limit = 0.05, steal_limit = 0.1, late_limit = 0.05;

enum batch_kind { BATCH_LONG, BATCH_SHORT, BATCH__COUNT };

struct samples {
	double ns[SAMPLES];
	unsigned count;
};

struct cell {
	struct probe_flash_point *point;
	unsigned lane;
	enum batch_kind kind;
	double used_ns;
	struct samples clean, polluted;
};

/* One reader for each in_flight of the grid. */
struct lane {
	struct reader *reader;
	unsigned char *buffer;
	size_t buffer_bytes;
};

struct probe {
	const struct probe_flash_options *options;
	char path[PATH_BYTES];
	uint64_t file_bytes;
	struct lane *lanes;
	struct cell *cells;
	size_t cell_count;
	struct read_request *requests;
	struct rng rng;
};

static uint64_t largest_size(const struct probe_flash_options *options)
{
	uint64_t largest = 0;

	for (unsigned i = 0; i < options->size_count; i++)
		if (options->sizes[i] > largest)
			largest = options->sizes[i];
	return largest;
}

/* ---- opening ---- */

static int find_file(struct probe *probe, struct err *err)
{
	const struct probe_flash_options *options = probe->options;
	struct stat st;

	/* The model's own name for its FFN file (real_model.h). */
	snprintf(probe->path, sizeof(probe->path), "%s/ffn.%s.gguf", options->model_dir,
		 options->layout->name);
	if (stat(probe->path, &st) != 0)
		return err_errno(err, "'%s'", probe->path);
	probe->file_bytes = (uint64_t)st.st_size;
	if (probe->file_bytes < largest_size(options))
		return err_set(err, EINVAL, "'%s': %llu bytes, wanted at least one read of %llu",
			       probe->path, (unsigned long long)probe->file_bytes,
			       (unsigned long long)largest_size(options));
	return 0;
}

static int open_lane(struct probe *probe, unsigned i, struct err *err)
{
	const struct probe_flash_options *options = probe->options;
	const struct real_target *target = options->target;
	const unsigned in_flight = options->in_flight[i];
	struct lane *lane = &probe->lanes[i];
	struct reader_options reader = {
		.engine = options->engine == READ_AUTO ? reader_engine_auto(target->is_emulated)
						       : options->engine,
		.in_flight = in_flight,
		.emulated = target->is_emulated ? &target->emulated : NULL,
		.throttle = target->is_throttled ? &target->throttle : NULL,
		.seed = rng_mix(options->seed + i),
	};

	reader.paths[FFN_FILE] = probe->path;
	if (reader_open(&lane->reader, &reader, err))
		return err->code;
	for (unsigned k = 0; k < options->size_count; k++)
		if (options->sizes[k] % reader_align(lane->reader))
			return err_set(err, EINVAL,
				       "size %llu is no multiple of %zu, which '%s' needs",
				       (unsigned long long)options->sizes[k],
				       reader_align(lane->reader), probe->path);
	/* Twice what is in flight: two reads under way write to one place only when one is a whole
	 * round late, and nobody looks at what they brought. */
	lane->buffer_bytes = (size_t)in_flight * 2 * largest_size(options);
	if (lane->buffer_bytes < BUFFER_BYTES)
		lane->buffer_bytes = BUFFER_BYTES;
	lane->buffer = reader_alloc(lane->reader, lane->buffer_bytes);
	if (!lane->buffer)
		return err_nomem(err, "read buffers", lane->buffer_bytes);
	return 0;
}

static void probe_close(struct probe *probe)
{
	for (unsigned i = 0; probe->lanes && i < probe->options->in_flight_count; i++)
		reader_close(probe->lanes[i].reader);
	free(probe->lanes);
	free(probe->cells);
	free(probe->requests);
}

static int probe_open(struct probe *probe, struct probe_flash_point *points, struct err *err)
{
	const struct probe_flash_options *options = probe->options;
	const size_t pairs = (size_t)options->size_count * options->in_flight_count;
	size_t c = 0;

	if (find_file(probe, err))
		return err->code;
	probe->rng.state = rng_mix(options->seed);
	probe->cell_count = pairs * BATCH__COUNT;
	probe->lanes = calloc(options->in_flight_count, sizeof(*probe->lanes));
	probe->cells = calloc(probe->cell_count, sizeof(*probe->cells));
	probe->requests = calloc(READS_MAX, sizeof(*probe->requests));
	if (!probe->lanes || !probe->cells || !probe->requests)
		return err_nomem(err, "the flash sweep", probe->cell_count * sizeof(*probe->cells));
	for (unsigned k = 0; k < options->size_count; k++)
		for (unsigned i = 0; i < options->in_flight_count; i++)
			for (unsigned kind = 0; kind < BATCH__COUNT; kind++, c++) {
				points[c] = (struct probe_flash_point){
					.read_bytes = options->sizes[k],
					.in_flight = options->in_flight[i]};
				probe->cells[c].point = &points[c];
				probe->cells[c].lane = i;
				probe->cells[c].kind = kind;
			}
	for (unsigned i = 0; i < options->in_flight_count; i++)
		if (open_lane(probe, i, err))
			return err->code;
	return 0;
}

/* ---- one batch ---- */

/* *ns: from before submission to after the wait, as the engine's own caller would see it. */
static int time_batch(struct probe *probe, const struct cell *cell, uint64_t count, double *ns,
		      struct err *err)
{
	const struct lane *lane = &probe->lanes[cell->lane];
	const uint64_t bytes = cell->point->read_bytes, slots = lane->buffer_bytes / bytes;
	const uint32_t places = (uint32_t)(probe->file_bytes / bytes);
	struct read_done done;
	uint64_t from_ns;

	assert(count <= READS_MAX);
	*ns = 0;
	for (uint64_t i = 0; i < count; i++)
		probe->requests[i] = (struct read_request){
			.file = FFN_FILE,
			.offset = rng_below(&probe->rng, places) * bytes,
			.bytes = (uint32_t)bytes,
			.to = lane->buffer + i % slots * bytes,
		};
	from_ns = clock_now_ns();
	if (reader_submit(lane->reader, probe->requests, count, err) ||
	    reader_wait(lane->reader, &done, err))
		return err->code;
	*ns = (double)(clock_now_ns() - from_ns);
	assert(done.count == count && done.bytes == count * bytes);
	return 0;
}

static double visit_budget_ns(const struct probe *probe)
{
	return probe->options->seconds_per_point * 1e9 / probe->options->passes;
}

/* How many reads a batch of this cell has, from the time that one round in flight takes. */
static uint64_t batch_reads(const struct probe *probe, const struct cell *cell, double read_ns)
{
	const uint64_t in_flight = cell->point->in_flight;
	const uint64_t least = SHORT_ROUNDS * in_flight;
	double want, most = visit_budget_ns(probe) / read_ns;

	if (cell->kind == BATCH_SHORT)
		want = SHORT_READS;
	else
		want = fmax(fmax((double)(LONG_ROUNDS * in_flight), 2 * SHORT_READS),
			    long_ns / read_ns);
	/* A slow disk gets shorter batches, never less than a few rounds. */
	want = fmax(fmin(want, most), (double)least);
	return want < READS_MAX ? (uint64_t)want : READS_MAX;
}

/* Both batches of a pair from one look at the device, so that the long one is never the shorter. */
static int size_pair(struct probe *probe, struct cell *cell, struct err *err)
{
	struct cell *pair = cell - cell->kind;
	const unsigned in_flight = cell->point->in_flight;
	double least_ns = INFINITY, ns, spent_ns = 0;

	/* The first round also wakes threads and faults in what is lazy; the least of a few is free
	 * of hiccups. */
	for (unsigned i = 0; i < SIZING_ROUNDS; i++) {
		if (i >= 2 && spent_ns > visit_budget_ns(probe))
			break;
		if (time_batch(probe, cell, in_flight, &ns, err))
			return err->code;
		spent_ns += ns;
		least_ns = fmin(least_ns, ns);
	}
	cell->used_ns += spent_ns;
	for (unsigned kind = 0; kind < BATCH__COUNT; kind++)
		pair[kind].point->read_count =
			batch_reads(probe, &pair[kind], least_ns / in_flight);
	return 0;
}

/* ---- visits ---- */

static void keep(struct samples *samples, double ns)
{
	if (samples->count < SAMPLES)
		samples->ns[samples->count++] = ns;
}

/* An emulated device is polluted when this machine could not keep its pace. */
static bool batch_is_late(const struct probe *probe, const struct cell *cell, double ns)
{
	double intended_ns;

	if (!probe->options->target->is_emulated)
		return false;
	intended_ns = (double)emulated_lateness(probe->lanes[cell->lane].reader).batch_intended_ns;
	return ns > intended_ns * (1 + late_limit);
}

static bool visit_is_foreign(const struct probe *probe, const struct traffic *before)
{
	struct traffic after;
	double steal_frac = 0, foreign_frac;

	traffic_look(&after, probe->path);
	foreign_frac = traffic_foreign_frac(before, &after, &steal_frac);
	if (probe->options->target->is_emulated)
		foreign_frac = 0; /* it reads no disk */
	return foreign_frac > foreign_limit || steal_frac > steal_limit;
}

/* Time batches for one pass' share of the point's time, at least one. */
static int try_visit(struct probe *probe, struct cell *cell, bool *polluted, struct err *err)
{
	const double budget_ns = visit_budget_ns(probe);
	double ns[VISIT_BATCHES], spent_ns = 0;
	bool late[VISIT_BATCHES], foreign;
	struct traffic before;
	unsigned count = 0;

	traffic_look(&before, probe->path);
	do {
		if (time_batch(probe, cell, cell->point->read_count, &ns[count], err))
			return err->code;
		late[count] = batch_is_late(probe, cell, ns[count]);
		spent_ns += ns[count];
		count++;
	} while (count < VISIT_BATCHES && spent_ns + spent_ns / count <= budget_ns);
	cell->used_ns += spent_ns;
	foreign = visit_is_foreign(probe, &before);
	*polluted = true;
	for (unsigned i = 0; i < count; i++) {
		const bool clean = !foreign && !late[i];

		keep(clean ? &cell->clean : &cell->polluted, ns[i]);
		*polluted = *polluted && !clean;
	}
	return 0;
}

static int visit(struct probe *probe, struct cell *cell, struct err *err)
{
	const double budget_ns = probe->options->seconds_per_point * 1e9;
	bool polluted = true;

	assert(cell->point);
	if (!cell->point->read_count && size_pair(probe, cell, err))
		return err->code;
	for (unsigned try = 0; try < TRIES && polluted; try++) {
		const bool none_yet = !cell->clean.count && !cell->polluted.count;

		/* A batch longer than its share is made once and not again; retries may cost as
		 * much as the point. */
		if (!none_yet && cell->used_ns > budget_ns * (try ? 2 : 1))
			break;
		if (try_visit(probe, cell, &polluted, err))
			return err->code;
	}
	return 0;
}

static void shuffle(struct probe *probe, size_t *order)
{
	for (size_t i = 0; i < probe->cell_count; i++)
		order[i] = i;
	for (size_t i = probe->cell_count; i > 1; i--) {
		const size_t k = rng_below(&probe->rng, (uint32_t)i), swap = order[i - 1];

		order[i - 1] = order[k];
		order[k] = swap;
	}
}

static int report(const struct probe *probe, unsigned pass, size_t visited, struct err *err)
{
	const struct probe_flash_options *options = probe->options;
	const double all = (double)probe->cell_count * options->passes;

	if (!options->progress)
		return 0;
	if (options->progress(options->progress_arg,
			      ((double)probe->cell_count * pass + (double)visited) / all))
		return err_set(err, ECANCELED, "the flash sweep was stopped");
	return 0;
}

static int run_passes(struct probe *probe, struct err *err)
{
	size_t *order = calloc(probe->cell_count, sizeof(*order));

	if (!order)
		return err_nomem(err, "the flash sweep", probe->cell_count * sizeof(*order));
	for (unsigned pass = 0; pass < probe->options->passes && !err->code; pass++) {
		shuffle(probe, order);
		for (size_t i = 0; i < probe->cell_count && !err->code; i++)
			if (!visit(probe, &probe->cells[order[i]], err))
				(void)!report(probe, pass, i + 1, err);
	}
	free(order);
	return err->code;
}

static void summarise(struct cell *cell)
{
	struct probe_flash_point *point = cell->point;
	struct samples *samples = cell->clean.count ? &cell->clean : &cell->polluted;

	point->polluted = !cell->clean.count;
	point->batch_ns = order_median(samples->ns, samples->count);
	if (samples->count == 1) {
		/* One batch says nothing of its spread: let it weigh next to nothing in a fit. */
		point->batch_sd_ns = point->batch_ns;
		return;
	}
	point->batch_sd_ns = order_spread(samples->ns, samples->count, point->batch_ns);
}

int probe_flash(struct probe_flash_point *points, size_t *count,
		const struct probe_flash_options *options, struct err *err)
{
	struct probe probe = {.options = options};

	assert(options->size_count && options->in_flight_count && options->passes);
	if (probe_open(&probe, points, err) || run_passes(&probe, err))
		goto fail;
	for (size_t i = 0; i < probe.cell_count; i++)
		summarise(&probe.cells[i]);
	*count = probe.cell_count;
	probe_close(&probe);
	return 0;
fail:
	probe_close(&probe);
	return err->code;
}
