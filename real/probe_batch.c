/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_batch.c - places as a layer's misses have them, read and timed
 *
 * Where reads lie matters to a device whose addresses meet in units: a layer's misses are distinct
 * rows of one layer in ascending order, so that is what is read here, and not places drawn one by
 * one from the whole file. */
#define _GNU_SOURCE
#include "probe_batch.h"

#include "clock.h"
#include "units.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FFN_FILE = 1, BUFFER_BYTES = 8 << 20, SEE_TRIES = 8, SEE_NS = 10000 };
/* Share of a layer's rows that a window of a few tokens misses (paper.md: 2.4 % for OPT, 3.1 % for
 * Falcon). */
static const double missed_frac = 0.03;
/* An emulated batch is late when it took so much longer than the device meant it to: that share,
 * and what waking up costs. */
static const double late_frac = 0.05, late_ns = 50e3;

/* ---- opening ---- */

static uint64_t largest_size(const struct probe_flash_options *options)
{
	uint64_t largest = 0;

	for (unsigned i = 0; i < options->cell_count; i++)
		if (options->cells[i].read_bytes > largest)
			largest = options->cells[i].read_bytes;
	return largest;
}

static int check_file(const struct probe_flash_options *options, struct err *err)
{
	const struct probe_file *file = &options->file;
	const uint64_t largest = largest_size(options);
	struct stat st;

	if (stat(file->path, &st) != 0)
		return err_errno(err, "'%s'", file->path);
	if (file->layer_bytes < largest)
		return err_set(err, EINVAL,
			       "'%s': %llu bytes a layer, wanted at least one read of %llu",
			       file->path, (unsigned long long)file->layer_bytes,
			       (unsigned long long)largest);
	if ((uint64_t)st.st_size < file->base_bytes +
					   (file->layer_count - 1) * file->layer_stride_bytes +
					   file->layer_bytes)
		return err_set(err, EINVAL, "'%s': %llu bytes, too short for %u layers", file->path,
			       (unsigned long long)st.st_size, file->layer_count);
	return 0;
}

static int open_lane(struct probe_readers *readers, unsigned in_flight, struct err *err)
{
	const struct probe_flash_options *options = readers->options;
	const struct real_target *target = options->target;
	struct probe_lane *lane = &readers->lanes[readers->lane_count];
	struct reader_options reader = {
		.engine = reader_engine_of(options->engine, target->is_emulated),
		.in_flight = in_flight,
		.emulated = target->is_emulated ? &target->emulated : NULL,
		.throttle = target->is_throttled ? &target->throttle : NULL,
		.seed = rng_mix(options->seed + readers->lane_count),
	};

	lane->in_flight = in_flight;
	reader.paths[FFN_FILE] = options->file.path;
	if (reader_open(&lane->reader, &reader, err))
		return err->code;
	readers->lane_count++;
	for (unsigned i = 0; i < options->cell_count; i++)
		if (options->cells[i].read_bytes % reader_align(lane->reader))
			return err_set(err, EINVAL,
				       "size %llu is no multiple of %zu, which '%s' needs",
				       (unsigned long long)options->cells[i].read_bytes,
				       reader_align(lane->reader), options->file.path);
	/* Twice what is in flight: two reads under way write to one place only when one is a whole
	 * round late, and nobody looks at what they brought. */
	lane->buffer_bytes = (size_t)in_flight * 2 * largest_size(options);
	if (lane->buffer_bytes < BUFFER_BYTES)
		lane->buffer_bytes = BUFFER_BYTES;
	lane->buffer = reader_alloc(lane->reader, lane->buffer_bytes);
	return lane->buffer ? 0 : err_nomem(err, "read buffers", lane->buffer_bytes);
}

static struct probe_lane *lane_of(struct probe_readers *readers, unsigned in_flight)
{
	for (unsigned i = 0; i < readers->lane_count; i++)
		if (readers->lanes[i].in_flight == in_flight)
			return &readers->lanes[i];
	return NULL;
}

int probe_readers_open(struct probe_readers *readers, const struct probe_flash_options *options,
		       struct err *err)
{
	*readers = (struct probe_readers){.options = options, .rng = {rng_mix(options->seed)}};
	if (check_file(options, err))
		return err->code;
	for (unsigned i = 0; i < options->cell_count; i++) {
		if (lane_of(readers, options->cells[i].in_flight))
			continue;
		if (readers->lane_count == PROBE_LANES)
			return err_set(err, EINVAL, "more than %d different numbers in flight",
				       PROBE_LANES);
		if (open_lane(readers, options->cells[i].in_flight, err))
			return err->code;
	}
	readers->requests = calloc(PROBE_READS_MAX, sizeof(*readers->requests));
	if (!readers->requests)
		return err_nomem(err, "a sweep's requests",
				 PROBE_READS_MAX * sizeof(*readers->requests));
	return 0;
}

void probe_readers_close(struct probe_readers *readers)
{
	for (unsigned i = 0; i < readers->lane_count; i++)
		reader_close(readers->lanes[i].reader);
	free(readers->requests);
	*readers = (struct probe_readers){0};
}

/* ---- places ---- */

/* Walks units (rows of pieces, or stretches of rows) in ascending order, layer after layer. */
struct walk {
	const struct probe_file *file;
	struct rng *rng;
	uint64_t unit_bytes, units; /* of one layer */
	uint64_t read_bytes, reads; /* in one unit */
	double density;		    /* share of units that are read */
	uint64_t layer, unit, read;
};

/* The next unit that is read: gaps are geometric. */
static void walk_on(struct walk *walk)
{
	double gap = 0;

	if (walk->density < 1)
		gap = floor(log1p(-rng_unit(walk->rng)) / log1p(-walk->density));
	walk->read = 0;
	walk->unit += 1 + (uint64_t)fmin(gap, (double)walk->units);
	while (walk->unit >= walk->units) {
		walk->unit -= walk->units;
		walk->layer = (walk->layer + 1) % walk->file->layer_count;
	}
}

static uint64_t walk_next(struct walk *walk)
{
	const struct probe_file *file = walk->file;
	uint64_t at;

	if (walk->read == walk->reads)
		walk_on(walk);
	at = file->base_bytes + walk->layer * file->layer_stride_bytes +
	     walk->unit * walk->unit_bytes + walk->read * walk->read_bytes;
	walk->read++;
	return at;
}

/* A size below a row's reads rows in pieces; a larger one takes stretches of rows, which are missed
 * where any of their rows is. */
static struct walk walk_start(struct probe_readers *readers, const struct probe_cell *cell)
{
	const struct probe_file *file = &readers->options->file;
	uint64_t pieces = file->row_bytes / cell->read_bytes;
	struct walk walk = {.file = file, .rng = &readers->rng, .read_bytes = cell->read_bytes};

	walk.unit_bytes = pieces > 1 ? file->row_bytes : cell->read_bytes;
	walk.reads = pieces > 1 ? pieces : 1;
	walk.units = file->layer_bytes / walk.unit_bytes;
	walk.density = 1 - pow(1 - missed_frac,
			       fmax(1, (double)walk.unit_bytes / (double)file->row_bytes));
	if (cell->read_count)
		walk.density =
			fmin(1, (double)cell->read_count / (double)(walk.units * walk.reads));
	walk.layer = rng_below(&readers->rng, file->layer_count);
	walk.unit = cell->read_count ? 0 : rng_below(&readers->rng, (uint32_t)walk.units);
	walk.read = walk.reads; /* the first one is drawn, too */
	if (cell->read_count && walk.unit == 0)
		walk.unit = UINT64_MAX; /* so that unit 0 may be the first */
	return walk;
}

static void make_requests(struct probe_readers *readers, const struct probe_lane *lane,
			  const struct probe_cell *cell, uint64_t count)
{
	struct walk walk = walk_start(readers, cell);
	const uint64_t slots = lane->buffer_bytes / cell->read_bytes;

	assert(count <= PROBE_READS_MAX);
	for (uint64_t i = 0; i < count; i++)
		readers->requests[i] = (struct read_request){
			.file = FFN_FILE,
			.offset = walk_next(&walk),
			.bytes = (uint32_t)cell->read_bytes,
			.to = lane->buffer + i % slots * cell->read_bytes,
		};
}

/* ---- one batch ---- */

/* Wait for 'want' reads, then see how many are there and when that was.  Whoever is held up between the count and the
 * clock would take what came meanwhile for nothing, so the two are taken again until they are close together. */
static int see_count(size_t *count, uint64_t *at_ns, struct reader *reader, uint64_t want,
		     struct err *err)
{
	uint64_t before_ns, after_ns;

	if (reader_progress(reader, (size_t)want, count, err))
		return err->code;
	for (int tries = 0; tries < SEE_TRIES; tries++) {
		before_ns = clock_now_ns();
		if (reader_progress(reader, 0, count, err))
			return err->code;
		after_ns = clock_now_ns();
		*at_ns = before_ns + (after_ns - before_ns) / 2;
		if (after_ns - before_ns < SEE_NS)
			break;
	}
	return 0;
}

/* Time between completions while the pipe is full: between one read in four and three in four. */
static int time_middle(double *ns, struct reader *reader, uint64_t count, struct err *err)
{
	size_t first, last;
	uint64_t from_ns, to_ns;

	if (see_count(&first, &from_ns, reader, count / 4, err) ||
	    see_count(&last, &to_ns, reader, count - count / 4, err))
		return err->code;
	/* So many at once that the middle is gone: the whole has to do. */
	*ns = last > first ? (double)(to_ns - from_ns) / (double)(last - first) : 0;
	return 0;
}

static bool is_late(const struct probe_readers *readers, const struct probe_lane *lane, double ns)
{
	double intended_ns;

	if (!readers->options->target->is_emulated)
		return false;
	intended_ns = (double)emulated_lateness(lane->reader).batch_intended_ns;
	return ns > intended_ns * (1 + late_frac) + late_ns;
}

int probe_time(struct probe_timed *timed, struct probe_readers *readers,
	       const struct probe_cell *cell, uint64_t count, struct err *err)
{
	const struct probe_lane *lane = lane_of(readers, cell->in_flight);
	struct read_done done;
	double middle_ns = 0;
	uint64_t from_ns;

	*timed = (struct probe_timed){0};
	make_requests(readers, lane, cell, count);
	from_ns = clock_now_ns();
	if (reader_submit(lane->reader, readers->requests, count, err))
		return err->code;
	if (!cell->read_count && count >= 8)
		(void)!time_middle(&middle_ns, lane->reader, count, err);
	/* A batch that failed must be waited for as well; the first error stays. */
	if (reader_wait(lane->reader, &done, err) || err->code)
		return err->code;
	timed->whole_ns = (double)(clock_now_ns() - from_ns);
	assert(done.count == count);
	timed->ns = timed->whole_ns;
	if (!cell->read_count)
		timed->ns = middle_ns > 0 ? middle_ns : timed->whole_ns / (double)count;
	timed->late = is_late(readers, lane, timed->whole_ns);
	return 0;
}
