/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_flash.c - the flash sweep: cells in random order, pass after pass, until their means are
 * known
 *
 * Passes go over all cells in random order, so that slow drift of the host falls on all alike; every
 * ten visits the pivot is measured again, and what it drifts by is taken out.  A visit times a few
 * batches between two looks at foreign traffic; a polluted visit is made again, a few times, and its
 * samples count only where a cell has no clean ones. */
#include "probe_batch.h"
#include "probe_drift.h"

#include "clock.h"
#include "order.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 4096, VISIT_BATCHES = 64, TRIES = 3, PIVOT_EVERY = 10 };
enum { VISITS_LEAST = 2, SETTLED_VISITS = 3, SETTLED_SAMPLES = 8, VISITS_A_CELL = 6 };
enum { ROUNDS_LEAST = 3, ROUNDS_MOST = 40, STEADY_READS_LEAST = 16 };
static const double visit_least_ns = 2e6, interval_default = 0.03;
/* A layer's misses are asked for after arithmetic, by when a disk's host may have gone to sleep: the first reads of
 * a batch pay for that, and the more the longer it was.  Attention of a 7B model in f16 (134 MB) takes two threads
 * about 4 ms. */
static const double pause_ns = 5e6;
/* More than this of our own bytes read by others, or of CPU time stolen, is pollution. */
static const double foreign_limit = 0.05, steal_limit = 0.1;

struct sample {
	double ns, at_s;
};

struct samples {
	struct sample *all; /* room for SAMPLES */
	unsigned count;
};

struct cell {
	uint64_t read_count; /* of one batch; 0 = not sized yet */
	unsigned visits;
	struct samples clean, polluted;
};

struct sweep {
	const struct probe_flash_options *options;
	struct probe_readers readers;
	struct probe_drift drift;
	struct probe_flash *out;
	struct cell *cells;
	unsigned *order;
	double *room; /* [SAMPLES] */
	double begin_s, visit_ns;
	unsigned since_pivot;
};

/* ---- one visit ---- */

static const struct probe_cell *spec_of(const struct sweep *sweep, const struct cell *cell)
{
	return &sweep->options->cells[cell - sweep->cells];
}

/* How many reads one batch has: of the steady state as many as a visit has time for. */
static int size_cell(struct sweep *sweep, struct cell *cell, struct err *err)
{
	const struct probe_cell *spec = spec_of(sweep, cell);
	uint64_t least = (uint64_t)ROUNDS_LEAST * spec->in_flight;
	uint64_t most = (uint64_t)ROUNDS_MOST * spec->in_flight;
	struct probe_timed timed;
	double want;

	if (spec->read_count) {
		cell->read_count = spec->read_count;
		return 0;
	}
	least = least < STEADY_READS_LEAST ? STEADY_READS_LEAST : least;
	/* This also wakes threads and faults in what is lazy. */
	if (probe_time(&timed, &sweep->readers, spec, least, err))
		return err->code;
	want = sweep->visit_ns / 2 / (timed.whole_ns / (double)least);
	most = most < 4 * least ? 4 * least : most;
	want = fmin(fmax(want, (double)least), (double)most);
	cell->read_count = (uint64_t)fmin(want, PROBE_READS_MAX);
	return 0;
}

static void keep(struct samples *samples, double ns, double at_s)
{
	if (samples->count < SAMPLES)
		samples->all[samples->count++] = (struct sample){ns, at_s};
}

static bool is_foreign(const struct sweep *sweep, const struct traffic *before)
{
	struct traffic after;
	double steal_frac = 0, foreign_frac;

	traffic_look(&after, sweep->options->file.path);
	foreign_frac = traffic_foreign_frac(before, &after, &steal_frac);
	if (sweep->options->target->is_emulated)
		foreign_frac = 0; /* it reads no disk */
	return foreign_frac > foreign_limit || steal_frac > steal_limit;
}

/* A visit's own mean, for the pivot. */
static void note_pivot(struct sweep *sweep, const double *ns, unsigned count, double at_s)
{
	double sum = 0, squares = 0, mean;

	for (unsigned i = 0; i < count; i++)
		sum += ns[i];
	mean = sum / count;
	for (unsigned i = 0; i < count; i++)
		squares += (ns[i] - mean) * (ns[i] - mean);
	/* One batch says nothing of its own noise: it is taken for all that there is. */
	drift_note(&sweep->drift, at_s, mean,
		   count > 1 ? sqrt(squares / (count - 1) / count) : mean);
	sweep->out->pivot_visits++;
}

static void compute_for(double ns)
{
	const uint64_t until = clock_now_ns() + (uint64_t)ns;

	while (clock_now_ns() < until)
		;
}

/* Time batches for one visit, at least one. */
static int try_visit(struct sweep *sweep, struct cell *cell, bool *polluted, struct err *err)
{
	const double at_s = clock_now_s();
	double ns[VISIT_BATCHES], spent_ns = 0;
	bool late[VISIT_BATCHES], foreign;
	unsigned count = 0, clean = 0;
	struct traffic before;

	traffic_look(&before, sweep->options->file.path);
	do {
		const struct probe_cell *spec = spec_of(sweep, cell);
		struct probe_timed timed;

		if (spec->read_count) {
			compute_for(pause_ns);
			spent_ns += pause_ns;
		}
		if (probe_time(&timed, &sweep->readers, spec, cell->read_count, err))
			return err->code;
		ns[count] = timed.ns;
		late[count++] = timed.late;
		spent_ns += timed.whole_ns;
	} while (count < VISIT_BATCHES && spent_ns + spent_ns / count <= sweep->visit_ns);
	foreign = is_foreign(sweep, &before);
	for (unsigned i = 0; i < count; i++) {
		bool is_clean = !foreign && !late[i];

		keep(is_clean ? &cell->clean : &cell->polluted, ns[i], at_s);
		if (is_clean)
			ns[clean++] = ns[i];
	}
	*polluted = !clean;
	sweep->out->visits++;
	sweep->out->polluted_visits += *polluted;
	if (clean && cell == &sweep->cells[sweep->options->pivot])
		note_pivot(sweep, ns, clean, at_s);
	return 0;
}

static int visit(struct sweep *sweep, struct cell *cell, struct err *err)
{
	bool polluted = true;

	if (!cell->read_count && size_cell(sweep, cell, err))
		return err->code;
	for (unsigned try = 0; try < TRIES && polluted; try++)
		if (try_visit(sweep, cell, &polluted, err))
			return err->code;
	cell->visits++;
	return 0;
}

/* ---- means ---- */

/* Samples as plain figures, drift taken out. */
static unsigned plain(const struct sweep *sweep, const struct samples *samples, double *ns)
{
	for (unsigned i = 0; i < samples->count; i++)
		ns[i] = samples->all[i].ns / drift_at(&sweep->drift, samples->all[i].at_s);
	return samples->count;
}

static double mean_of(const double *ns, unsigned count, double *error_ns)
{
	double sum = 0, squares = 0, mean;

	for (unsigned i = 0; i < count; i++)
		sum += ns[i];
	mean = sum / count;
	for (unsigned i = 0; i < count; i++)
		squares += (ns[i] - mean) * (ns[i] - mean);
	*error_ns = count > 1 ? sqrt(squares / (count - 1) / count) : mean;
	return mean;
}

static bool is_settled(struct sweep *sweep, const struct cell *cell)
{
	const double asked = sweep->options->interval_frac;
	double error_ns, mean_ns;

	if (cell->visits < SETTLED_VISITS || cell->clean.count < SETTLED_SAMPLES)
		return false;
	/* The drift is not known before the end; it only widens what is looked at here. */
	for (unsigned i = 0; i < cell->clean.count; i++)
		sweep->room[i] = cell->clean.all[i].ns;
	mean_ns = mean_of(sweep->room, cell->clean.count, &error_ns);
	return 1.96 * error_ns <= (asked > 0 ? asked : interval_default) * mean_ns;
}

static int summarise(struct sweep *sweep, unsigned i, struct err *err)
{
	struct cell *cell = &sweep->cells[i];
	const struct samples *samples = cell->clean.count ? &cell->clean : &cell->polluted;
	struct probe_point *point = &sweep->out->points[i];
	double *room = sweep->room;

	*point = (struct probe_point){.cell = sweep->options->cells[i],
				      .visits = cell->visits,
				      .settled = is_settled(sweep, cell),
				      .polluted = !cell->clean.count};
	point->samples = plain(sweep, samples, room);
	point->sample_ns = malloc(point->samples * sizeof(*room));
	if (!point->sample_ns)
		return err_nomem(err, "a sweep's samples", point->samples * sizeof(*room));
	point->mean_ns = mean_of(room, point->samples, &point->error_ns);
	order_sort(room, point->samples);
	memcpy(point->sample_ns, room, point->samples * sizeof(*room));
	point->p50_ns = order_quantile(room, point->samples, 0.5);
	point->p95_ns = order_quantile(room, point->samples, 0.95);
	point->p99_ns = order_quantile(room, point->samples, 0.99);
	point->spread_ns = order_spread(room, point->samples, point->p50_ns);
	return 0;
}

/* ---- the sweep ---- */

static unsigned share_of(const struct probe_cell *cell)
{
	return cell->share ? cell->share : 1;
}

/* The cells that are not settled yet, each as often as its share says, shuffled. */
static unsigned choose_cells(struct sweep *sweep)
{
	unsigned count = 0;

	for (unsigned i = 0; i < sweep->options->cell_count; i++)
		if (!is_settled(sweep, &sweep->cells[i]))
			for (unsigned k = share_of(&sweep->options->cells[i]); k > 0; k--)
				sweep->order[count++] = i;
	for (unsigned i = count; i > 1; i--) {
		unsigned k = rng_below(&sweep->readers.rng, i), swap = sweep->order[i - 1];

		sweep->order[i - 1] = sweep->order[k];
		sweep->order[k] = swap;
	}
	return count;
}

static int report(const struct sweep *sweep, double done, struct err *err)
{
	const struct probe_flash_options *options = sweep->options;

	if (options->progress && options->progress(options->progress_arg, fmin(done, 1)))
		return err_set(err, ECANCELED, "the flash sweep was stopped");
	return 0;
}

/* By time, or by the visits that every cell gets; whichever lags. */
static double share_done(const struct sweep *sweep, unsigned pass, unsigned visited, unsigned count)
{
	double by_time = (clock_now_s() - sweep->begin_s) / fmax(sweep->options->seconds, 1e-9);
	double by_visits = (pass + (double)visited / count) / VISITS_LEAST;

	return 0.999 * fmin(fmin(by_time, by_visits), 1);
}

static int run_pass(struct sweep *sweep, unsigned pass, unsigned count, bool *over, struct err *err)
{
	const double until_s = sweep->begin_s + sweep->options->seconds;

	for (unsigned i = 0; i < count && !*over; i++) {
		if (sweep->since_pivot++ % PIVOT_EVERY == 0 &&
		    visit(sweep, &sweep->cells[sweep->options->pivot], err))
			return err->code;
		if (visit(sweep, &sweep->cells[sweep->order[i]], err) ||
		    report(sweep, share_done(sweep, pass, i + 1, count), err))
			return err->code;
		*over = pass >= VISITS_LEAST && clock_now_s() > until_s;
	}
	return 0;
}

static int run_passes(struct sweep *sweep, struct err *err)
{
	bool over = false;
	unsigned count;

	for (unsigned pass = 0; !over && (count = choose_cells(sweep)) > 0; pass++)
		if (run_pass(sweep, pass, count, &over, err))
			return err->code;
		else if (pass + 1 >= VISITS_LEAST)
			over = over || clock_now_s() > sweep->begin_s + sweep->options->seconds;
	return report(sweep, 1, err);
}

static int sweep_open(struct sweep *sweep, struct err *err)
{
	const struct probe_flash_options *options = sweep->options;
	unsigned places = 0; /* visits of one pass */

	for (unsigned i = 0; i < options->cell_count; i++)
		places += share_of(&options->cells[i]);
	sweep->begin_s = clock_now_s();
	sweep->visit_ns = fmax(visit_least_ns, options->seconds * 1e9 / (places * VISITS_A_CELL));
	/* Readers first: an emulated device is forked, and shares what memory stands then. */
	if (probe_readers_open(&sweep->readers, options, err))
		return err->code;
	sweep->cells = calloc(options->cell_count, sizeof(*sweep->cells));
	sweep->order = calloc(places, sizeof(*sweep->order));
	sweep->room = calloc(SAMPLES, sizeof(*sweep->room));
	sweep->out->points = calloc(options->cell_count, sizeof(*sweep->out->points));
	if (!sweep->cells || !sweep->order || !sweep->room || !sweep->out->points)
		return err_nomem(err, "the flash sweep", options->cell_count * sizeof(struct cell));
	sweep->out->count = options->cell_count;
	for (unsigned i = 0; i < options->cell_count; i++) {
		sweep->cells[i].clean.all = calloc(SAMPLES, sizeof(struct sample));
		sweep->cells[i].polluted.all = calloc(SAMPLES, sizeof(struct sample));
		if (!sweep->cells[i].clean.all || !sweep->cells[i].polluted.all)
			return err_nomem(err, "a sweep's samples", SAMPLES * sizeof(struct sample));
	}
	return 0;
}

static void sweep_close(struct sweep *sweep)
{
	for (unsigned i = 0; sweep->cells && i < sweep->options->cell_count; i++) {
		free(sweep->cells[i].clean.all);
		free(sweep->cells[i].polluted.all);
	}
	probe_readers_close(&sweep->readers);
	free(sweep->cells);
	free(sweep->order);
	free(sweep->room);
}

void probe_flash_free(struct probe_flash *flash)
{
	for (unsigned i = 0; flash->points && i < flash->count; i++)
		free(flash->points[i].sample_ns);
	free(flash->points);
	*flash = (struct probe_flash){0};
}

int probe_flash(struct probe_flash *flash, const struct probe_flash_options *options,
		struct err *err)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	assert(options->cell_count && options->pivot < options->cell_count);
	*flash = (struct probe_flash){0};
	if (!sweep)
		return err_nomem(err, "the flash sweep", sizeof(*sweep));
	sweep->options = options;
	sweep->out = flash;
	if (sweep_open(sweep, err) || run_passes(sweep, err))
		goto out;
	drift_settle(&sweep->drift);
	flash->drift_frac = sweep->drift.frac;
	for (unsigned i = 0; i < options->cell_count; i++)
		if (summarise(sweep, i, err))
			break;
out:
	sweep_close(sweep);
	free(sweep);
	if (err->code)
		probe_flash_free(flash);
	return err->code;
}
