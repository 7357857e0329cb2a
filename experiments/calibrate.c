/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate.c - probes become points, points become fits, fits become a device profile */
#include "calibrate.h"

#include "compute.h"
#include "flash.h"
#include "flash_fit.h"
#include "linear_fit.h"
#include "newfile.h"
#include "order.h"
#include "plan.h"
#include "real_model.h"
#include "real_probe.h"
#include "real_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* The grid: in flight as on the axes of the policies, sizes around them and the model's own rows.
 */
static const unsigned deepest = 32, grid_in_flight[] = {1, 8, 32};
static const uint64_t grid_sizes[] = {4096, 16384, 65536, 262144, 1048576};
enum {
	IN_FLIGHT_COUNT = sizeof(grid_in_flight) / sizeof(grid_in_flight[0]),
	SIZES_MOST = sizeof(grid_sizes) / sizeof(grid_sizes[0]) + 2,
	POINTS_MOST = SIZES_MOST * IN_FLIGHT_COUNT * 2,
	NOISE_MOST = POINTS_MOST + 2 * PROBE_STEPS,
	STORE_TERMS = 3
};

#define FIT_NOISE_FLOOR	 0.01 /* no point counts as more exact than this */
#define SHALLOW_DISTRUST 5.0  /* of points with few reads in flight, in standard errors */

/* What was measured, and what was made of it. */
struct calibration {
	struct probe_flash_point points[POINTS_MOST];
	size_t point_count;
	bool is_long[POINTS_MOST]; /* steady state; the others are a layer's batch */
	struct flash_fit fit;
	double fit_error_frac;	 /* of the form at the deepest column */
	double batch_error_frac; /* of the batches, with the fitted batch_ns */
	struct probe_host host;
	double store_error_frac, ffn_error_frac, dense_error_frac;
	struct device device;
};

static unsigned choose_sizes(uint64_t *sizes, const struct real_model *rm)
{
	const struct model *model = real_model_shape(rm);
	enum weight_type weights = real_model_weights(rm);
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(grid_sizes) / sizeof(grid_sizes[0]); i++)
		sizes[count++] = grid_sizes[i];
	for (unsigned i = 0; i < 2; i++) {
		uint64_t own = model_row_stride(model, weights, i ? REGION_BUNDLE : REGION_UP);
		bool there = false;

		for (unsigned j = 0; j < count; j++)
			there |= sizes[j] == own;
		if (!there)
			sizes[count++] = own;
	}
	return count;
}

/* Of the two batches of a pair, the one with more reads is the steady state. */
static void tell_long_from_short(struct calibration *c)
{
	for (size_t i = 0; i < c->point_count; i++) {
		c->is_long[i] = true;
		for (size_t j = 0; j < c->point_count; j++)
			if (c->points[j].read_bytes == c->points[i].read_bytes &&
			    c->points[j].in_flight == c->points[i].in_flight &&
			    c->points[j].read_count > c->points[i].read_count)
				c->is_long[i] = false;
	}
}

static double noise_of(const struct probe_flash_point *point)
{
	return point->batch_sd_ns / point->batch_ns;
}

static int measure_flash(struct calibration *c, const struct calibrate_options *options,
			 const struct real_model *rm, double seconds, struct err *err)
{
	uint64_t sizes[SIZES_MOST];
	unsigned size_count = choose_sizes(sizes, rm);
	const struct probe_flash_options probe = {
		.model_dir = options->model_dir,
		.layout = &layout_bundle,
		.target = options->target,
		.engine = options->engine,
		.sizes = sizes,
		.size_count = size_count,
		.in_flight = grid_in_flight,
		.in_flight_count = IN_FLIGHT_COUNT,
		.seconds_per_point = seconds / (size_count * IN_FLIGHT_COUNT * 2),
		.passes = 5,
		.seed = options->seed,
		.progress = options->progress,
		.progress_arg = options->progress_arg,
	};

	if (probe_flash(c->points, &c->point_count, &probe, err))
		return err->code;
	tell_long_from_short(c);
	return 0;
}

/* The fixed cost of a batch: what the short batches of the deepest column take beyond the steady
 * form, at the median. */
static void fit_batches(struct calibration *c)
{
	double extra[POINTS_MOST], errors[POINTS_MOST];
	size_t count = 0;

	for (int pass = 0; pass < 2; pass++) {
		count = 0;
		for (size_t i = 0; i < c->point_count; i++) {
			const struct probe_flash_point *p = &c->points[i];
			double predicted;

			if (c->is_long[i] || p->in_flight != deepest)
				continue;
			predicted = flash_batch_ns(&c->device.flash, p->read_count, p->read_bytes,
						   p->in_flight);
			extra[count] = p->batch_ns - predicted;
			errors[count++] = fabs(predicted / p->batch_ns - 1);
		}
		if (pass == 0)
			c->device.flash.batch_ns = fmax(0, order_median(extra, count));
	}
	c->batch_error_frac = 0;
	for (size_t i = 0; i < count; i++)
		c->batch_error_frac += errors[i] / (double)count;
}

/* Policies keep the device busy, so the deepest column of the grid is what a forecast stands on.
 * The others say what few reads in flight cost; where the form cannot follow a device in both (a
 * large read that spreads over units is no slower than a small one), it must not lose the former
 * for the latter. */
static double fit_noise(const struct probe_flash_point *point)
{
	double noise = fmax(noise_of(point), FIT_NOISE_FLOOR);

	return point->in_flight == deepest ? noise : SHALLOW_DISTRUST * noise;
}

/* Forms from the most to the least free: points that do not settle a parameter (few, noisy, all
 * saturated) may let no fit of it converge, and then it is held.  r, q as costmodel's rows have
 * them. */
static const double held_forms[][FLASH_FIT_PARAMS] = {
	{0},
	{[FLASH_FIT_PARAMS - 1] = 4},
	{[FLASH_FIT_PARAMS - 2] = 2, [FLASH_FIT_PARAMS - 1] = 4},
};
enum { FORMS = sizeof(held_forms) / sizeof(held_forms[0]) };

static int fit_forms(struct calibration *c, const struct flash_point *points, size_t count,
		     uint64_t seed, struct err *err)
{
	struct flash_fit_options fit = {
		.seed = seed, .bootstrap = 50, .noise_floor_frac = FIT_NOISE_FLOOR};

	for (unsigned form = 0; form < FORMS; form++) {
		*err = (struct err){0};
		memcpy(fit.fixed, held_forms[form], sizeof(fit.fixed));
		if (!flash_fit(&c->fit, points, count, &fit, err))
			return 0;
		if (err->code != EDOM)
			break;
	}
	return err_where(err, "flash");
}

/* Mean relative error where policies work: the deepest column. */
static double deep_error(const struct calibration *c)
{
	double sum = 0, count = 0;

	for (size_t i = 0; i < c->point_count; i++) {
		const struct probe_flash_point *p = &c->points[i];
		double reads_per_s =
			flash_reads_per_s(&c->fit.flash, (double)p->read_bytes, p->in_flight);

		if (!c->is_long[i] || p->in_flight != deepest)
			continue;
		sum += fabs(reads_per_s * p->batch_ns / 1e9 / (double)p->read_count - 1);
		count++;
	}
	return count > 0 ? sum / count : c->fit.error_frac;
}

static int fit_flash(struct calibration *c, const struct calibrate_options *options,
		     struct err *err)
{
	struct flash_point points[POINTS_MOST];
	size_t count = 0;

	for (size_t i = 0; i < c->point_count; i++) {
		const struct probe_flash_point *p = &c->points[i];

		if (!c->is_long[i])
			continue;
		points[count++] = (struct flash_point){
			.read_bytes = p->read_bytes,
			.in_flight = p->in_flight,
			.reads_per_s = (double)p->read_count * 1e9 / p->batch_ns,
			.noise_frac = fit_noise(p),
		};
	}
	if (fit_forms(c, points, count, options->seed, err))
		return err->code;
	c->device.flash = c->fit.flash;
	c->fit_error_frac = deep_error(c);
	fit_batches(c);
	return 0;
}

/* The store's costs are columns of one sum; what attention's step pays for deciding comes once a
 * layer too. */
static int fit_store(struct calibration *c, const struct model *model, enum weight_type weights,
		     struct err *err)
{
	double x[PROBE_STEPS * STORE_TERMS], y[PROBE_STEPS], costs[STORE_TERMS];
	double row_bytes = (double)model_row_bytes(model, weights, REGION_BUNDLE);
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		double appended = (double)step->loaded * row_bytes;

		if (step->kind != STEP_FFN || step->dense)
			continue;
		x[count * STORE_TERMS] = (double)model->d_ffn;
		x[count * STORE_TERMS + 1] = appended;
		x[count * STORE_TERMS + 2] = fmax(0, (double)step->moved_bytes - appended);
		y[count++] = step->mem_ns;
	}
	if (linear_fit(costs, &c->store_error_frac, x, y, count, STORE_TERMS, err))
		return err_where(err, "store");
	/* A cost too small to be seen is a bandwidth that never binds: the largest that the profile
	 * takes. */
	c->device.dram = (struct dram_params){
		.append_bytes_per_s = fmin(1e9 / costs[1], 1e13),
		.move_bytes_per_s = fmin(1e9 / costs[2], 1e13),
		.scan_neuron_ns = costs[0],
		.reading_slowdown = 1,
	};
	return 0;
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
			values[count++] = c->host.steps[i].compute_ns + c->host.steps[i].mem_ns;
	return order_median(values, count);
}

static double head_ns(const struct calibration *c)
{
	double values[PROBE_STEPS];
	size_t count = 0;

	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == STEP_HEAD)
			values[count++] = c->host.steps[i].compute_ns + c->host.steps[i].mem_ns;
	return order_median(values, count);
}

/* A type that the model does not have gets the measured type's rates, times this ratio of plain
 * products. */
static double type_speed(const struct calibration *c, enum weight_type own, enum weight_type type)
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
	compute->gemv_f32_bytes_per_s = rate * type_speed(c, weights, WEIGHT_F32);
	compute->gemv_f16_bytes_per_s = rate * type_speed(c, weights, WEIGHT_F16);
	compute->gemv_bf16_bytes_per_s = rate * type_speed(c, weights, WEIGHT_BF16);
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

		if (step->kind != STEP_FFN)
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
	compute->ffn_f32_bytes_per_s = line.rate * 1e9 * type_speed(c, weights, WEIGHT_F32);
	compute->ffn_f16_bytes_per_s = line.rate * 1e9 * type_speed(c, weights, WEIGHT_F16);
	compute->ffn_bf16_bytes_per_s = line.rate * 1e9 * type_speed(c, weights, WEIGHT_BF16);
	compute->ffn_ns = line.fixed;
	c->ffn_error_frac = line.error_frac;
	if (dense_ns > 0)
		c->dense_error_frac =
			fabs(line.fixed + (double)model->d_ffn * row_bytes / line.rate - dense_ns) /
			dense_ns;
	return 0;
}

static bool has_steps(const struct calibration *c, enum step_kind kind)
{
	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].kind == kind && c->host.steps[i].compute_ns > 0)
			return true;
	return false;
}

static int measure_host(struct calibration *c, const struct calibrate_options *options,
			const struct real_model *rm, double seconds, struct err *err)
{
	const struct model *model = real_model_shape(rm);
	enum weight_type own = real_model_weights(rm);
	const struct probe_host_options probe = {
		.model_dir = options->model_dir,
		.target = options->target,
		.store = STORE_COMPACT,
		.threads = options->threads,
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
	fit_matrices(c, model, own);
	c->device.compute.threads = options->threads;
	/* Every kernel here waits for memory: the arithmetic cap is not identified and never binds.
	 */
	c->device.compute.flops_per_s = 1e16;
	c->device.compute.reading_slowdown = 1;
	return 0;
}

static double noise_floor(const struct calibration *c)
{
	double noise[NOISE_MOST];
	size_t count = 0;

	for (size_t i = 0; i < c->point_count; i++)
		noise[count++] = noise_of(&c->points[i]);
	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].compute_ns > 0)
			noise[count++] =
				c->host.steps[i].compute_sd_ns / c->host.steps[i].compute_ns;
	return order_median(noise, count);
}

static void describe_origin(struct calibration *c, const struct calibrate_options *options,
			    const struct real_model *rm)
{
	struct device_origin *origin = &c->device.origin;
	time_t now = time(NULL);
	struct tm day;
	struct stat st;

	origin->kind = options->target->is_emulated ? ORIGIN_EMULATED : ORIGIN_MEASURED;
	origin->noise_floor_frac = noise_floor(c);
	origin->flash_fit_error_frac = c->fit_error_frac;
	origin->flash_cv_error_frac =
		isfinite(c->fit.cv_error_frac) ? c->fit.cv_error_frac : c->fit.error_frac;
	snprintf(origin->source, sizeof(origin->source), "%s", options->target->name);
	snprintf(origin->read_engine, sizeof(origin->read_engine), "%s",
		 read_engine_words[options->engine == READ_AUTO
					   ? reader_engine_auto(options->target->is_emulated)
					   : options->engine]
			 .text);
	origin->pace_bytes_per_s = c->host.pace_bytes_per_s;
	origin->pace_spread_frac = c->host.pace_spread_frac;
	if (stat(real_model_path(rm, 1), &st) == 0)
		origin->file_bytes = (uint64_t)st.st_size;
	host_name(origin->host, sizeof(origin->host));
	gmtime_r(&now, &day);
	strftime(origin->date, sizeof(origin->date), "%Y-%m-%d", &day);
	for (size_t i = 0; i < c->point_count; i++)
		origin->polluted += c->points[i].polluted;
	snprintf(c->device.name, sizeof(c->device.name), "%s", options->name);
	snprintf(c->device.about, sizeof(c->device.about), "calibrated from outside: %.200s",
		 origin->source);
}

static void write_points(FILE *out, const struct calibration *c)
{
	fprintf(out, "points:\n");
	for (size_t i = 0; i < c->point_count; i++) {
		const struct probe_flash_point *p = &c->points[i];

		if (c->is_long[i])
			fprintf(out,
				"  - {read_bytes: %llu, in_flight: %u, reads_per_s: %.6g, "
				"noise_frac: %.4g}\n",
				(unsigned long long)p->read_bytes, p->in_flight,
				(double)p->read_count * 1e9 / p->batch_ns, noise_of(p));
	}
}

static void write_intervals(FILE *out, const struct flash_fit *fit)
{
	fprintf(out, "intervals:\n");
	for (unsigned i = 0; i < FLASH_FIT_PARAMS; i++)
		if (fit->identified[i])
			fprintf(out, "  %s: [%.6g, %.6g]\n", flash_fit_names[i], fit->low[i],
				fit->high[i]);
		else
			fprintf(out, "  %s: not identified\n", flash_fit_names[i]);
}

static void write_checks(FILE *out, const struct calibration *c)
{
	fprintf(out,
		"checks:\n  flash_fit_error_all_frac: %.4g\n  batch_error_frac: %.4g\n  "
		"store_error_frac: %.4g\n  ffn_error_frac: "
		"%.4g\n"
		"  dense_ffn_error_frac: %.4g\n  f16_over_f32: %.4g\n  bf16_over_f32: %.4g\n",
		c->fit.error_frac, c->batch_error_frac, c->store_error_frac, c->ffn_error_frac,
		c->dense_error_frac, type_speed(c, WEIGHT_F16, WEIGHT_F32),
		type_speed(c, WEIGHT_BF16, WEIGHT_F32));
}

static int write_profile(const char *path, const struct calibration *c, struct err *err)
{
	struct newfile file;
	struct ynode *map = device_write(&c->device);

	if (!map)
		return err_nomem(err, "a device profile", sizeof(c->device));
	if (newfile_open(&file, path, err))
		goto out;
	ynode_write(map, file.stream);
	write_points(file.stream, c);
	write_intervals(file.stream, &c->fit);
	write_checks(file.stream, c);
	(void)!newfile_commit(&file, err);
out:
	ynode_free(map);
	return err->code;
}

/* Names of the parameters that were held, or of those that are free and not identified. */
static void print_unsettled(FILE *out, const struct flash_fit *fit, const char *what, bool held)
{
	const char *before = "          ";

	for (unsigned i = 0; i < FLASH_FIT_PARAMS; i++) {
		bool is_held = fit->low[i] == fit->high[i];

		if (is_held != held || (!held && fit->identified[i]))
			continue;
		if (before[0] == ' ')
			fprintf(out, "%s%s: ", before, what);
		else
			fputs(before, out);
		fputs(flash_fit_names[i], out);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', out);
}

static void print_report(FILE *out, const struct calibration *c)
{
	const struct device *device = &c->device;
	char a[32], b[32];

	fprintf(out, "flash     latency %s, peak %s, ",
		unit_human(a, sizeof(a), device->flash.latency_ns, DIM_TIME),
		unit_human(b, sizeof(b), device->flash.peak_bytes_per_s, DIM_BANDWIDTH));
	fprintf(out,
		"%s, r %.2g, q %.2g; fit error %.1f %% (%u in flight), batches %.1f %%; all points "
		"%.1f %%, unseen sizes %.1f %%\n",
		unit_human(a, sizeof(a), device->flash.request_rate_per_s, DIM_RATE),
		device->flash.size_norm, device->flash.knee, c->fit_error_frac * 100, deepest,
		c->batch_error_frac * 100, c->fit.error_frac * 100,
		device->origin.flash_cv_error_frac * 100);
	print_unsettled(out, &c->fit, "held, since the points do not settle it", true);
	print_unsettled(out, &c->fit, "not identified (interval wider than a factor 3)", false);
	fprintf(out,
		"          saturated by %.1f reads of 16 KiB in flight; half of peak at %s a "
		"read\n",
		flash_saturation_in_flight(&device->flash, 16384),
		unit_human(a, sizeof(a), flash_half_bandwidth_bytes(&device->flash), DIM_BYTES));
	fprintf(out, "dram      append %s, move %s; fit error %.1f %%\n",
		unit_human(a, sizeof(a), device->dram.append_bytes_per_s, DIM_BANDWIDTH),
		unit_human(b, sizeof(b), device->dram.move_bytes_per_s, DIM_BANDWIDTH),
		c->store_error_frac * 100);
	fprintf(out,
		"compute   f16: matrices %s, FFN rows %s (fit error %.1f %%, dense %.1f %%); %llu "
		"threads\n",
		unit_human(a, sizeof(a), device->compute.gemv_f16_bytes_per_s, DIM_BANDWIDTH),
		unit_human(b, sizeof(b), device->compute.ffn_f16_bytes_per_s, DIM_BANDWIDTH),
		c->ffn_error_frac * 100, c->dense_error_frac * 100,
		(unsigned long long)device->compute.threads);
	fprintf(out, "noise     floor %.1f %%; %llu of %zu points polluted by foreign traffic\n",
		device->origin.noise_floor_frac * 100, (unsigned long long)device->origin.polluted,
		c->point_count);
}

/* Flash gets half of the time; the engine, run over its steps, the other half. */
#define FLASH_SHARE 0.5

int calibrate(const struct calibrate_options *options, const char *path, FILE *report,
	      struct err *err)
{
	struct calibration *c = calloc(1, sizeof(*c));
	struct real_model *rm = NULL;

	if (!c)
		return err_nomem(err, "a calibration", sizeof(*c));
	if (real_model_open(&rm, options->model_dir, &layout_bundle, NULL, err) ||
	    measure_flash(c, options, rm, options->seconds * FLASH_SHARE, err) ||
	    fit_flash(c, options, err) ||
	    measure_host(c, options, rm, options->seconds * (1 - FLASH_SHARE), err))
		goto out;
	describe_origin(c, options, rm);
	if (!write_profile(path, c, err) && report)
		print_report(report, c);
out:
	real_model_close(rm);
	free(c);
	return err->code;
}
