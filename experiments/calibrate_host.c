/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate_host.c - the engine's steps become the store's and the kernels' figures */
#include "calibration.h"

#include "compute.h"
#include "cores.h"
#include "dram.h"
#include "flash.h"
#include "linear_fit.h"
#include "order.h"

#include <errno.h>
#include <math.h>

enum { STORE_SCAN, STORE_APPEND, STORE_MOVE, STORE_ROW, STORE_FAR, STORE_TERMS };
/* Points beyond the terms, for a term that not every calibration can tell. */
enum { STORE_SPARE = 2 };
static const double near_least = 1 << 20, near_most = 32 << 20;
/* A term is taken where it leaves so much of the error without it. */
static const double term_worth = 0.9;

/* What any step's decision costs: attention's, which has no rows. */
static double deciding_ns(const struct calibration *c)
{
	double values[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == STEP_ATTENTION)
			values[count++] = c->host.steps[i].mem_ns;
	return count ? order_median(values, count) : 0;
}

/* The store's costs as columns of one sum. */
struct store_points {
	double x[PROBE_STEPS * STORE_TERMS], y[PROBE_STEPS], base[PROBE_STEPS];
	double staged[PROBE_STEPS]; /* bytes read before the first row is copied */
	double step_ns;		    /* base, where a step took as long */
	size_t count;
};

static void store_points_take(struct store_points *points, const struct calibration *c,
			      const struct model *model, enum weight_type weights)
{
	double row_bytes = (double)model_row_bytes(model, weights, REGION_BUNDLE);
	double row_stride = (double)model_row_stride(model, weights, REGION_BUNDLE);

	points->step_ns = deciding_ns(c);
	points->count = 0;
	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		double *x = &points->x[points->count * STORE_TERMS];
		/* Rows that land in holes are not copied: what is left is deciding and placing. */
		double appended =
			step->store == STORE_FILL_HOLE ? 0 : (double)step->loaded * row_bytes;

		if (step->kind != STEP_FFN || step->dense || step->pipelined ||
		    step->store == STORE_REALLOC)
			continue;
		x[STORE_SCAN] = (double)model->d_ffn;
		x[STORE_APPEND] = appended;
		x[STORE_MOVE] = fmax(0, (double)step->moved_bytes - appended);
		x[STORE_ROW] = (double)step->loaded;
		points->staged[points->count] = (double)step->loaded * row_stride;
		points->base[points->count] = fmin(points->step_ns, step->mem_ns);
		points->y[points->count++] = step->mem_ns;
	}
}

struct store_fit {
	double costs[STORE_TERMS], error_frac;
	double near_bytes; /* 0: no cost of what is far */
};

static int store_fit_at(struct store_fit *fit, const struct store_points *points, double near_bytes,
			struct err *err)
{
	const size_t terms = near_bytes > 0 ? STORE_TERMS : STORE_TERMS - 1;
	double x[PROBE_STEPS * STORE_TERMS];

	*fit = (struct store_fit){.near_bytes = near_bytes};
	for (size_t i = 0; i < points->count; i++) {
		const double *from = &points->x[i * STORE_TERMS];

		for (size_t j = 0; j < STORE_FAR; j++)
			x[i * terms + j] = from[j];
		if (near_bytes > 0)
			x[i * terms + STORE_FAR] =
				from[STORE_APPEND] * dram_far_frac(near_bytes, points->staged[i]);
	}
	return linear_fit_over(fit->costs, &fit->error_frac, x, points->y, points->base,
			       points->count, terms, err);
}

/* Where the caches end is tried by powers of two. */
static int fit_store(struct calibration *c, const struct model *model, enum weight_type weights,
		     struct err *err)
{
	struct store_points points;
	struct store_fit best, here;

	store_points_take(&points, c, model, weights);
	if (store_fit_at(&best, &points, 0, err))
		return err_where(err, "store");
	for (double near = near_least;
	     near <= near_most && points.count >= STORE_TERMS + STORE_SPARE; near *= 2) {
		if (store_fit_at(&here, &points, near, err))
			return err_where(err, "store");
		if (here.costs[STORE_FAR] > 0 &&
		    here.error_frac < best.error_frac * (best.near_bytes > 0 ? 1 : term_worth))
			best = here;
	}
	/* A cost too small to be seen is a bandwidth that never binds: the largest that the profile
	 * takes. */
	c->store_error_frac = best.error_frac;
	c->device.dram = (struct dram_params){
		.step_ns = points.step_ns,
		.append_bytes_per_s = fmin(1e9 / best.costs[STORE_APPEND], 1e13),
		.append_row_ns = best.costs[STORE_ROW],
		.move_bytes_per_s = fmin(1e9 / best.costs[STORE_MOVE], 1e13),
		.scan_neuron_ns = best.costs[STORE_SCAN],
		.reading_slowdown = 1,
	};
	if (best.near_bytes > 0) {
		double far = best.costs[STORE_APPEND] + best.costs[STORE_FAR];

		c->device.dram.near_bytes = (uint64_t)best.near_bytes;
		c->device.dram.append_far_bytes_per_s = fmin(1e9 / far, 1e13);
	}
	return 0;
}

/* Every byte that store realloc moves goes to new memory: the median over its steps. */
static void fit_fresh(struct calibration *c, const struct model *model)
{
	double rates[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		const struct store_work other = {
			.step_count = 1, .neuron_count = model->d_ffn, .append_rows = step->loaded};
		double other_ns = dram_step_ns(&c->device.dram, &other);

		if (step->kind == STEP_FFN && step->store == STORE_REALLOC &&
		    step->mem_ns > other_ns)
			rates[count++] =
				1e9 * (double)step->moved_bytes / (step->mem_ns - other_ns);
	}
	if (count > 0)
		c->device.dram.fresh_bytes_per_s = fmin(order_median(rates, count), 1e13);
}

/* The median over a kind's steps at the shortest or the longest context. */
static double attention_ns_at(const struct calibration *c, bool longest, uint64_t *ctx)
{
	double values[PROBE_STEPS];
	size_t count = 0;

	*ctx = 0;
	for (unsigned i = 0; i < c->host.count; i++)
		if (!*ctx || (c->host.steps[i].ctx > *ctx) == longest)
			*ctx = c->host.steps[i].ctx;
	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == STEP_ATTENTION && c->host.steps[i].ctx == *ctx)
			values[count++] = c->host.steps[i].compute_ns;
	return order_median(values, count);
}

static double head_ns(const struct calibration *c)
{
	double values[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == STEP_HEAD)
			values[count++] = c->host.steps[i].compute_ns;
	return order_median(values, count);
}

/* A type that the model does not have gets the measured type's rates, times this ratio of plain
 * products. */
double calibration_type_speed(const struct calibration *c, enum weight_type own,
			      enum weight_type type)
{
	return c->host.gemv_s_per_byte[own] / c->host.gemv_s_per_byte[type];
}

/* One bandwidth for all matrices: the faster of attention's and the head's; what the other takes
 * beyond it is its fixed cost. */
static void fit_matrices(struct calibration *c, const struct model *model, enum weight_type weights)
{
	struct compute_params *compute = &c->device.compute;
	uint64_t short_ctx, long_ctx;
	double short_ns = attention_ns_at(c, false, &short_ctx);
	double long_ns = attention_ns_at(c, true, &long_ctx), head = head_ns(c);
	double head_bytes = (double)(model->vocab_count * model->d_model * weight_bytes(weights));
	double kv_bytes = compute_kv_bytes(model, 1), attention_bytes, rate;

	compute->kv_bytes_per_s = 1e14; /* too fast to be seen: never binds */
	if (long_ns > short_ns)
		compute->kv_bytes_per_s =
			fmin(1e14, 1e9 * kv_bytes * (double)(long_ctx - short_ctx) /
					   (long_ns - short_ns));
	short_ns -= 1e9 * kv_bytes * (double)short_ctx / compute->kv_bytes_per_s;
	attention_bytes = (double)compute_attention_bytes(model, weights);
	rate = fmax(1e9 * attention_bytes / short_ns, 1e9 * head_bytes / head);
	compute->gemv_f32_bytes_per_s = rate * calibration_type_speed(c, weights, WEIGHT_F32);
	compute->gemv_f16_bytes_per_s = rate * calibration_type_speed(c, weights, WEIGHT_F16);
	compute->gemv_bf16_bytes_per_s = rate * calibration_type_speed(c, weights, WEIGHT_BF16);
	compute->attention_ns = fmax(0, short_ns - 1e9 * attention_bytes / rate);
	compute->head_ns = fmax(0, head - 1e9 * head_bytes / rate);
}

static int fit_ffn(struct calibration *c, const struct model *model, enum weight_type weights,
		   struct err *err)
{
	struct compute_params *compute = &c->device.compute;
	double x[PROBE_STEPS], y[PROBE_STEPS], dense_ns = 0;
	double row_bytes = (double)model_row_bytes(model, weights, REGION_BUNDLE);
	struct line_fit line;
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];

		if (step->kind != STEP_FFN || step->pipelined || step->store == STORE_REALLOC)
			continue;
		if (step->dense) {
			dense_ns = step->compute_ns;
			continue;
		}
		x[count] = (double)step->rows * row_bytes;
		y[count++] = step->compute_ns;
	}
	if (line_fit(&line, x, y, count, err))
		return err_where(
			err, "FFN steps that take no longer with more rows: this host is too busy "
			     "to calibrate on, or the model too small");
	compute->ffn_f32_bytes_per_s =
		line.rate * 1e9 * calibration_type_speed(c, weights, WEIGHT_F32);
	compute->ffn_f16_bytes_per_s =
		line.rate * 1e9 * calibration_type_speed(c, weights, WEIGHT_F16);
	compute->ffn_bf16_bytes_per_s =
		line.rate * 1e9 * calibration_type_speed(c, weights, WEIGHT_BF16);
	compute->ffn_ns = line.fixed;
	c->ffn_error_frac = line.error_frac;
	if (dense_ns > 0)
		compute->dense_slowdown = fmin(
			(dense_ns - line.fixed) / ((double)model->d_ffn * row_bytes / line.rate),
			10);
	return 0;
}

/* ---- beside reads ---- */

/* Of a pipelined step's work, the share that ran while its reads were in flight: they took io_ns, and
 * nothing was done while they were waited for. */
static double share_beside(const struct probe_step *step)
{
	double work_ns = step->mem_ns + step->compute_ns;

	return work_ns > 0 ? fmin(1, fmax(0, (step->io_ns - step->io_wait_ns) / work_ns)) : 0;
}

/* Groups that arrive: as small as they may be, since reads are slower than what is done with them. */
static double groups_of(const struct probe_step *step, double row_bytes)
{
	double rows = ceil((double)step->group_bytes / row_bytes);

	return ceil((double)step->loaded / rows);
}

/* Arithmetic beside reads takes so many times as long, and each group costs a hand-over. */
static int fit_compute_beside(struct calibration *c, const struct model *model,
			      enum weight_type weights, struct err *err)
{
	struct compute_params *compute = &c->device.compute;
	double row_bytes = (double)model_row_bytes(model, weights, REGION_BUNDLE);
	double x[PROBE_STEPS * 2], y[PROBE_STEPS], base[PROBE_STEPS], costs[2];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		double alone, share = share_beside(step);

		if (step->kind != STEP_FFN || !step->pipelined || step->dense)
			continue;
		alone = compute_ffn_ns(compute, model, weights, step->rows);
		base[count] = (1 - share) * alone;
		x[2 * count] = share * alone;
		x[2 * count + 1] = groups_of(step, row_bytes);
		y[count++] = step->compute_ns;
	}
	if (count < 2)
		return 0;
	if (linear_fit_over(costs, &c->beside_error_frac, x, y, base, count, 2, err))
		return err_where(err, "arithmetic beside reads");
	if (costs[0] < 1) { /* reads speed nothing up: what is left are the groups */
		for (size_t i = 0; i < count; i++) {
			base[i] += x[2 * i];
			x[i] = x[2 * i + 1];
		}
		costs[0] = 1;
		if (linear_fit_over(&costs[1], &c->beside_error_frac, x, y, base, count, 1, err))
			return err_where(err, "arithmetic beside reads");
	}
	compute->reading_slowdown = fmin(costs[0], 10);
	compute->group_ns = costs[1] / compute->reading_slowdown;
	return 0;
}

/* The store's work beside reads: the median over steps of how many times as long it took. */
static void fit_store_beside(struct calibration *c, const struct model *model,
			     enum weight_type weights)
{
	double row_bytes = (double)model_row_bytes(model, weights, REGION_BUNDLE);
	double ratios[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		double share = share_beside(step), alone;
		struct store_work work = {.step_count = 1,
					  .neuron_count = model->d_ffn,
					  .append_rows = step->loaded,
					  .append_bytes = step->loaded * (uint64_t)row_bytes,
					  .delete_rows = step->evicted};

		if (step->kind != STEP_FFN || !step->pipelined || step->dense || share < 0.2)
			continue;
		if (step->moved_bytes > work.append_bytes)
			work.move_bytes = step->moved_bytes - work.append_bytes;
		alone = dram_step_ns(&c->device.dram, &work);
		ratios[count++] = (step->mem_ns / alone - (1 - share)) / share;
	}
	c->device.dram.reading_slowdown = fmin(fmax(order_median(ratios, count), 1), 10);
}

/* The median over sparse steps of how many times as long their reads took as batches of the sweep; 0 without such
 * steps. */
static double reads_over_sweep(const struct calibration *c, uint64_t row_stride, bool pipelined)
{
	double ratios[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];

		if (step->kind == STEP_FFN && !step->dense && step->pipelined == pipelined &&
		    step->loaded > 0 && step->io_ns > 0)
			ratios[count++] =
				step->io_ns / flash_batch_ns(&c->device.flash, step->loaded,
							     row_stride, POLICY_IN_FLIGHT);
	}
	return count ? order_median(ratios, count) : 0;
}

/* Reads beside kernels, over the engine's own without: both were measured in turns, so that what the device has
 * become since the sweep is in neither. */
static double computing_slowdown(const struct calibration *c, uint64_t row_stride)
{
	double alone = reads_over_sweep(c, row_stride, false);
	double beside = reads_over_sweep(c, row_stride, true);

	return alone > 0 && beside > 0 ? fmin(fmax(beside / alone, 1), 10) : 0;
}

static bool has_steps(const struct calibration *c, enum step_kind kind)
{
	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == kind && c->host.steps[i].compute_ns > 0)
			return true;
	return false;
}

static int fit_saturation(struct saturation *fit, double (*rates)[PROBE_ROUNDS],
			  unsigned thread_count, struct err *err)
{
	struct saturation_point points[PROBE_THREADS * PROBE_ROUNDS];
	unsigned count = 0;

	for (unsigned t = 0; t < thread_count; t++)
		for (unsigned round = 0; round < PROBE_ROUNDS; round++)
			points[count++] = (struct saturation_point){t + 1, rates[t][round]};
	return saturation_fit(fit, points, count, err);
}

/* What another number of threads would reach, where there is more than one core to tell.  A host too unsteady for
 * that is calibrated all the same. */
static int fit_threads(struct calibration *c, struct err *err)
{
	struct compute_params *compute = &c->device.compute;
	struct err why = {0};

	compute->threads = c->options->threads;
	compute->threads_knee = 4;
	if (c->host.thread_count < 2)
		return 0;
	if (fit_saturation(&c->threads, c->host.thread_rates, c->host.thread_count, &why) ||
	    fit_saturation(&c->copies, c->host.copy_rates, c->host.thread_count, &why)) {
		if (why.code != EDOM)
			return err_set(err, why.code, "%s", why.msg);
		snprintf(c->threads_why, sizeof(c->threads_why), "%.127s", why.msg);
		return 0;
	}
	c->threads_known = true;
	compute->thread_bytes_per_s = c->threads.params[SATURATION_ONE];
	compute->threads_bytes_per_s = c->threads.params[SATURATION_ALL];
	compute->threads_knee = c->threads.params[SATURATION_KNEE];
	return 0;
}

int calibrate_host(struct calibration *c, double seconds, struct err *err)
{
	const struct calibrate_options *options = c->options;
	const struct model *model = real_model_shape(c->rm);
	enum weight_type own = real_model_weights(c->rm);
	const struct probe_host_options probe = {
		.model_dir = options->model_dir,
		.target = options->target,
		.threads = options->threads,
		.threads_most = options->mode == CALIBRATE_FULL ? cores_usable() : 0,
		.coarse = options->mode == CALIBRATE_QUICK,
		.seconds = seconds,
		.seed = options->seed,
		.progress = options->progress,
		.progress_arg = options->progress_arg,
	};

	if (probe_host(&c->host, &probe, err))
		return err->code;
	if (head_ns(c) <= 0 || !has_steps(c, STEP_ATTENTION))
		return err_set(err, EDOM, "the engine was not seen at work: give more --time");
	if (fit_store(c, model, own, err) || fit_ffn(c, model, own, err))
		return err->code;
	fit_fresh(c, model);
	fit_matrices(c, model, own);
	/* Every kernel here waits for memory: the arithmetic cap is not identified and never binds.
	 */
	c->device.compute.flops_per_s = 1e16;
	c->device.compute.reading_slowdown = 1;
	if (fit_compute_beside(c, model, own, err))
		return err->code;
	fit_store_beside(c, model, own);
	c->device.flash.computing_slowdown =
		computing_slowdown(c, model_row_stride(model, own, REGION_BUNDLE));
	c->device.compute.spread_frac = c->host.jitter.spread_frac;
	c->device.compute.hiccup_rate_per_s = c->host.jitter.hiccup_rate_per_s;
	c->device.compute.hiccup_ns = c->host.jitter.hiccup_ns;
	return fit_threads(c, err);
}
