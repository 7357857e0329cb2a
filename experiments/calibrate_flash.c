/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate_flash.c - which cells to measure, and what their points make of the flash form
 *
 * Sizes in powers of two around h BM, where requests stop costing more than bytes, and the model's
 * own; depths in powers of two, and what policies keep in flight.  Batches at that depth only:
 * a layer's misses are never read with less. */
#include "calibration.h"

#include "flash.h"
#include "linear_fit.h"
#include "order.h"
#include "plan.h"
#include "tail.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES_MOST = 20, DEPTHS_MOST = 8 };
enum { OWN_SHARE = 3 }; /* visits a pass */
enum { SIZE_LEAST = 4096, SIZE_MOST = 1 << 20, PIECE_BATCH_MOST = 64 << 10, SIDE_BATCH = 64 };
/* Half the width of a mean's 95 % interval at which a cell is done: so 3 % is the whole of it. */
static const double pilot_seconds = 1, interval_full = 0.015, interval_quick = 0.03;

#define FIT_NOISE_FLOOR 0.005 /* no point counts as more exact than this */
/* A batch stands out beyond so many robust deviations, and if it is among the last few percent: the
 * far tail is what a 99th percentile is made of. */
#define STALL_SPREADS  5.0
#define STALL_QUANTILE 0.97
enum { STALL_SAMPLES = 20 };

#define SHALLOW_DISTRUST 3.0 /* of points with few reads in flight, in standard errors */

struct grid {
	uint64_t sizes[SIZES_MOST];
	unsigned size_count;
	uint64_t own[2]; /* bundle, half of it */
	unsigned depths[DEPTHS_MOST];
	unsigned depth_count, deepest;
	struct probe_cell cells[CALIBRATION_CELLS];
	unsigned cell_count, pivot;
};

/* ---- the grid ---- */

static void add_size(struct grid *grid, uint64_t bytes)
{
	for (unsigned i = 0; i < grid->size_count; i++)
		if (grid->sizes[i] == bytes)
			return;
	if (grid->size_count < SIZES_MOST)
		grid->sizes[grid->size_count++] = bytes;
}

static void add_depth(struct grid *grid, unsigned depth)
{
	for (unsigned i = 0; i < grid->depth_count; i++)
		if (grid->depths[i] == depth)
			return;
	if (grid->depth_count < DEPTHS_MOST)
		grid->depths[grid->depth_count++] = depth;
	if (depth > grid->deepest)
		grid->deepest = depth;
}

static bool is_own(const struct grid *grid, uint64_t bytes)
{
	return bytes == grid->own[0] || bytes == grid->own[1];
}

/* Forecasts stand on the model's own sizes at the policies' depth: they get more of the time. */
static void add_cell(struct grid *grid, uint64_t bytes, unsigned depth, uint64_t count)
{
	bool matters = depth == grid->deepest && is_own(grid, bytes);

	if (grid->cell_count < CALIBRATION_CELLS)
		grid->cells[grid->cell_count++] =
			(struct probe_cell){bytes, depth, count, matters ? OWN_SHARE : 1};
}

/* Batches of the model's rows from a few to many, of other sizes one, as a check of the form
 * between. */
static void add_batches(struct grid *grid, const struct probe_file *file, bool is_full)
{
	static const uint64_t full[] = {4, 16, 32, 64, 128, 256, 512}, quick[] = {16, 64, 256};
	const uint64_t *counts = is_full ? full : quick;
	size_t count = is_full ? sizeof(full) / sizeof(full[0]) : sizeof(quick) / sizeof(quick[0]);

	for (unsigned i = 0; i < grid->size_count; i++) {
		uint64_t bytes = grid->sizes[i], most = file->layer_bytes / bytes;

		for (size_t k = 0; k < count; k++)
			if (is_own(grid, bytes) ? counts[k] <= most
						: counts[k] == SIDE_BATCH && counts[k] <= most &&
							  (is_full || bytes <= PIECE_BATCH_MOST))
				add_cell(grid, bytes, grid->deepest, counts[k]);
	}
}

/* Powers of two that the model's layers hold, from an eighth of h BM to 32 times as much. */
static void add_powers(struct grid *grid, double half_bandwidth_bytes, unsigned step)
{
	double low = half_bandwidth_bytes / 8, high = half_bandwidth_bytes * 32;
	unsigned at = 0;

	low = fmin(low, 16384);
	high = fmax(high, 262144);
	for (uint64_t bytes = SIZE_LEAST; bytes <= SIZE_MOST; bytes *= 2, at++)
		if ((at % step == 0 && (double)bytes >= low && (double)bytes <= high) ||
		    bytes == SIZE_MOST)
			add_size(grid, bytes);
}

static void make_grid(struct grid *grid, const struct calibration *c, const struct probe_file *file,
		      double half_bandwidth_bytes)
{
	const bool is_full = c->options->mode == CALIBRATE_FULL;
	const struct model *model = real_model_shape(c->rm);
	enum weight_type weights = real_model_weights(c->rm);

	*grid = (struct grid){.own = {model_row_stride(model, weights, REGION_BUNDLE),
				      model_row_stride(model, weights, REGION_UP)}};
	add_powers(grid, half_bandwidth_bytes, is_full ? 1 : 2);
	add_size(grid, grid->own[0]);
	add_size(grid, grid->own[1]);
	for (unsigned depth = 1; depth <= POLICY_IN_FLIGHT; depth *= is_full ? 2 : 8)
		add_depth(grid, depth);
	add_depth(grid, POLICY_IN_FLIGHT);
	if (c->options->in_flight)
		add_depth(grid, c->options->in_flight);
	for (unsigned i = 0; i < grid->size_count; i++)
		for (unsigned k = 0; k < grid->depth_count; k++) {
			if (grid->sizes[i] > file->layer_bytes)
				continue;
			if (grid->sizes[i] == grid->own[0] && grid->depths[k] == grid->deepest)
				grid->pivot = grid->cell_count;
			add_cell(grid, grid->sizes[i], grid->depths[k], 0);
		}
	add_batches(grid, file, is_full);
}

/* ---- measuring ---- */

static void find_rows(struct probe_file *file, const struct real_model *rm)
{
	const struct model *model = real_model_shape(rm);
	uint64_t next;
	unsigned which;

	*file = (struct probe_file){
		.path = real_model_path(rm, 1),
		.row_bytes = model_row_stride(model, real_model_weights(rm), REGION_BUNDLE),
		.layer_count = (unsigned)model->layer_count,
	};
	file->layer_bytes = model->d_ffn * file->row_bytes;
	real_model_at(rm, REGION_BUNDLE, 0, 0, &which, &file->base_bytes);
	file->layer_stride_bytes = file->layer_bytes;
	if (file->layer_count > 1) {
		real_model_at(rm, REGION_BUNDLE, 1, 0, &which, &next);
		file->layer_stride_bytes = next - file->base_bytes;
	}
}

static struct probe_flash_options sweep_options(const struct calibration *c,
						const struct probe_file *file)
{
	return (struct probe_flash_options){
		.file = *file,
		.target = c->options->target,
		.engine = c->options->engine,
		.seed = c->options->seed,
	};
}

/* h BM from the smallest and the largest reads at the policies' depth. */
static int run_pilot(double *half_bandwidth_bytes, const struct calibration *c,
		     const struct probe_file *file, struct err *err)
{
	const uint64_t largest = file->layer_bytes < SIZE_MOST ? SIZE_LEAST : SIZE_MOST;
	const struct probe_cell cells[] = {{SIZE_LEAST, POLICY_IN_FLIGHT, 0, 1},
					   {largest, POLICY_IN_FLIGHT, 0, 1}};
	struct probe_flash_options options = sweep_options(c, file);
	struct probe_flash flash;

	options.cells = cells;
	options.cell_count = 2;
	options.seconds = pilot_seconds;
	options.interval_frac = 0.1;
	if (probe_flash(&flash, &options, err))
		return err->code;
	*half_bandwidth_bytes = (double)largest * flash.points[0].mean_ns / flash.points[1].mean_ns;
	probe_flash_free(&flash);
	return 0;
}

static int measure(struct calibration *c, struct grid *grid, double seconds, struct err *err)
{
	struct probe_file file;
	struct probe_flash_options options;
	double half_bandwidth_bytes = 32768;

	find_rows(&file, c->rm);
	if (c->options->mode == CALIBRATE_FULL && run_pilot(&half_bandwidth_bytes, c, &file, err))
		return err->code;
	make_grid(grid, c, &file, half_bandwidth_bytes);
	options = sweep_options(c, &file);
	options.cells = grid->cells;
	options.cell_count = grid->cell_count;
	options.pivot = grid->pivot;
	options.seconds = seconds;
	options.interval_frac = c->options->mode == CALIBRATE_FULL ? interval_full : interval_quick;
	options.progress = c->options->progress;
	options.progress_arg = c->options->progress_arg;
	if (probe_flash(&c->flash, &options, err))
		return err->code;
	for (unsigned i = 0; i < c->flash.count; i++)
		c->unsettled += !c->flash.points[i].settled;
	return 0;
}

/* ---- the steady state ---- */

static bool is_steady(const struct probe_point *point)
{
	return point->cell.read_count == 0;
}

/* Polluted points are used only where clean ones are too few to fit anything to. */
static bool use_polluted(const struct calibration *c)
{
	unsigned clean = 0, all = 0;

	for (unsigned i = 0; i < c->flash.count; i++) {
		clean += is_steady(&c->flash.points[i]) && !c->flash.points[i].polluted;
		all += is_steady(&c->flash.points[i]);
	}
	return clean * 2 < all;
}

static double rate_of(const struct probe_point *point)
{
	return 1e9 / point->mean_ns;
}

/* Mean relative error at the deepest column, over all sizes or the model's own. */
static double deep_error(const struct calibration *c, const struct grid *grid, bool own)
{
	double sum = 0, count = 0;

	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];
		double bytes = (double)p->cell.read_bytes;

		if (!is_steady(p) || p->cell.in_flight != grid->deepest ||
		    (own && !is_own(grid, p->cell.read_bytes)))
			continue;
		sum += fabs(flash_reads_per_s(&c->device.flash, bytes, p->cell.in_flight) /
				    rate_of(p) -
			    1);
		count++;
	}
	return count > 0 ? sum / count : 0;
}

/* Policies keep the device busy, so the deepest column of the grid is what a forecast stands on.
 * Where the form cannot follow a device both there and with few reads in flight, it must not lose
 * the former for the latter. */
static int fit_steady(struct calibration *c, const struct grid *grid, struct err *err)
{
	const struct flash_fit_options options = {.seed = c->options->seed,
						  .bootstrap = 100,
						  .noise_floor_frac = FIT_NOISE_FLOOR,
						  .robust = true,
						  .correct = true};
	struct flash_point points[CALIBRATION_CELLS];
	const bool polluted = use_polluted(c);
	size_t count = 0;

	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];

		if (!is_steady(p) || (p->polluted && !polluted))
			continue;
		points[count++] = (struct flash_point){
			.read_bytes = p->cell.read_bytes,
			.in_flight = p->cell.in_flight,
			.reads_per_s = rate_of(p),
			.noise_frac = fmax(p->error_ns / p->mean_ns, FIT_NOISE_FLOOR),
			.doubt = p->cell.in_flight == grid->deepest ? 1 : SHALLOW_DISTRUST,
		};
	}
	if (flash_forms_fit(&c->choice, points, count, &options, err))
		return err_where(err, "flash");
	c->device.flash = calibration_fit(c)->flash;
	c->deep_error_frac = deep_error(c, grid, false);
	c->own_error_frac = deep_error(c, grid, true);
	return 0;
}

/* ---- batches ---- */

static double batch_ns(const struct calibration *c, const struct probe_cell *cell)
{
	return flash_batch_ns(&c->device.flash, cell->read_count, cell->read_bytes,
			      cell->in_flight);
}

/* What batches take beyond the steady form: a fixed cost, and one for each read of the first round.
 */
static int fit_batch_cost(struct calibration *c, struct err *err)
{
	double x[CALIBRATION_CELLS * 2], y[CALIBRATION_CELLS], base[CALIBRATION_CELLS];
	double costs[2] = {0}, error_frac;
	size_t count = 0;

	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];
		double width = fmin((double)p->cell.read_count, p->cell.in_flight);

		if (is_steady(p) || p->polluted)
			continue;
		x[2 * count] = 1;
		x[2 * count + 1] = width - 1;
		base[count] = batch_ns(c, &p->cell);
		y[count++] = p->mean_ns;
	}
	if (count < 2)
		return 0;
	if (linear_fit_over(costs, &error_frac, x, y, base, count, 2, err))
		return err_where(err, "batches");
	c->device.flash.batch_ns = costs[0];
	c->device.flash.crowd_ns = costs[1];
	return 0;
}

/* What the sum with its fixed costs leaves over, size by size and count by count. */
static int correct_batches(struct calibration *c, const struct grid *grid, struct err *err)
{
	struct flash_leftover *leftovers = calloc(CALIBRATION_CELLS, sizeof(*leftovers));
	unsigned count = 0;

	if (!leftovers)
		return err_nomem(err, "batches", CALIBRATION_CELLS * sizeof(*leftovers));
	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];

		if (is_steady(p) || p->polluted)
			continue;
		leftovers[count++] = (struct flash_leftover){
			.read_bytes = (double)p->cell.read_bytes,
			.in_flight = (double)p->cell.read_count,
			.log_ratio = log(p->mean_ns / batch_ns(c, &p->cell)),
			.noise = p->error_ns / p->mean_ns,
		};
	}
	flash_correction_build(&c->device.flash.batch_correction, leftovers, count);
	c->device.flash.batch_in_flight = grid->deepest;
	free(leftovers);
	return 0;
}

static double batch_error(const struct calibration *c)
{
	double sum = 0;

	for (unsigned i = 0; i < c->batch_count; i++)
		sum += fabs(c->batches[i].predicted_ns / c->batches[i].measured_ns - 1);
	return c->batch_count ? sum / c->batch_count : 0;
}

static void check_batch(struct calibration *c, const struct probe_point *p)
{
	struct batch_check *check = &c->batches[c->batch_count];
	double *errors = malloc(p->samples * sizeof(*errors));

	if (!errors || c->batch_count == CALIBRATION_BATCHES)
		goto out;
	*check = (struct batch_check){
		.cell = p->cell, .measured_ns = p->mean_ns, .predicted_ns = batch_ns(c, &p->cell)};
	for (unsigned i = 0; i < p->samples; i++)
		errors[i] = fabs(check->predicted_ns / p->sample_ns[i] - 1);
	order_sort(errors, p->samples);
	check->error_p50_frac = order_quantile(errors, p->samples, 0.5);
	check->error_p95_frac = order_quantile(errors, p->samples, 0.95);
	c->batch_count++;
out:
	free(errors);
}

static void check_batches(struct calibration *c)
{
	c->batch_count = 0;
	for (unsigned i = 0; i < c->flash.count; i++)
		if (!is_steady(&c->flash.points[i]))
			check_batch(c, &c->flash.points[i]);
}

/* Batches that stand out from their kind say how often reads stall, and for how long; the others
 * how far a batch scatters anyhow. */
static struct tail_excess excess_of(const struct probe_point *p)
{
	struct tail_excess excess = {
		.read_bytes = (double)p->cell.read_bytes,
		.read_count = (double)p->cell.read_count,
		.batches = p->samples,
	};
	double far_ns = order_quantile(p->sample_ns, p->samples, STALL_QUANTILE) - p->p50_ns;

	excess.threshold_ns = fmax(STALL_SPREADS * p->spread_ns, far_ns);

	for (unsigned i = 0; i < p->samples; i++) {
		double over_ns = p->sample_ns[i] - p->p50_ns - excess.threshold_ns;

		if (over_ns <= 0)
			continue;
		excess.over++;
		excess.over_ns += over_ns;
	}
	return excess;
}

static void fit_tail(struct calibration *c, const struct grid *grid)
{
	struct tail_excess excesses[CALIBRATION_CELLS];
	double spreads[CALIBRATION_CELLS];
	unsigned count = 0;

	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];

		if (is_steady(p) || p->polluted || p->samples < STALL_SAMPLES ||
		    p->cell.read_count < grid->deepest || !is_own(grid, p->cell.read_bytes))
			continue;
		excesses[count] = excess_of(p);
		spreads[count++] = p->spread_ns;
	}
	c->device.flash.batch_spread_ns = order_median(spreads, count);
	tail_fit(&c->device.flash, excesses, count);
}

/* Once as the form has them, once corrected: the profile tells both errors. */
static int settle_batches(struct calibration *c, const struct grid *grid, struct err *err)
{
	if (fit_batch_cost(c, err))
		return err->code;
	check_batches(c);
	c->batch_form_error_frac = batch_error(c);
	if (correct_batches(c, grid, err))
		return err->code;
	check_batches(c);
	c->batch_error_frac = batch_error(c);
	fit_tail(c, grid);
	return 0;
}

int calibrate_flash(struct calibration *c, double seconds, struct err *err)
{
	struct grid *grid = calloc(1, sizeof(*grid));

	if (!grid)
		return err_nomem(err, "a grid", sizeof(*grid));
	if (!measure(c, grid, seconds, err) && !fit_steady(c, grid, err))
		(void)!settle_batches(c, grid, err);
	free(grid);
	return err->code;
}
