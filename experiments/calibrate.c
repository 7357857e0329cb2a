/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate.c - probes become points, points become fits, fits become a device profile */
#include "calibrate.h"

#include "compute.h"
#include "flash.h"
#include "flash_fit.h"
#include "newfile.h"
#include "plan.h"
#include "real_model.h"
#include "real_probe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* The grid: in flight as on the axes of the policies, sizes around them and the model's own rows.
 */
static const unsigned grid_in_flight[] = {1, 8, 32};
static const uint64_t grid_sizes[] = {4096, 16384, 65536, 262144, 1048576};
enum {
	IN_FLIGHT_COUNT = sizeof(grid_in_flight) / sizeof(grid_in_flight[0]),
	SIZES_MOST = sizeof(grid_sizes) / sizeof(grid_sizes[0]) + 2,
	POINTS_MOST = SIZES_MOST * IN_FLIGHT_COUNT * 2,
	NOISE_MOST = POINTS_MOST + 2 * PROBE__COUNT * PROBE_POINTS,
	HOST_TYPES = 2
};

/* What was measured, and what was made of it. */
struct calibration {
	struct probe_flash_point points[POINTS_MOST];
	size_t point_count;
	bool is_long[POINTS_MOST]; /* steady state; the others are a layer's batch */
	struct flash_fit fit;
	double batch_error_frac;	    /* of the batches, with the fitted batch_ns */
	struct probe_host host[HOST_TYPES]; /* by weight_type */
	double line_error_frac[HOST_TYPES][PROBE__COUNT];
	struct device device;
};

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
	if (!count)
		return 0;
	qsort(values, count, sizeof(*values), by_value);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

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

/* The fixed cost of a batch: what the short batches take beyond the steady form, at the median. */
static void fit_batches(struct calibration *c)
{
	double extra[POINTS_MOST], errors[POINTS_MOST];
	size_t count = 0;

	for (int pass = 0; pass < 2; pass++) {
		count = 0;
		for (size_t i = 0; i < c->point_count; i++) {
			const struct probe_flash_point *p = &c->points[i];
			double predicted;

			if (c->is_long[i])
				continue;
			predicted = flash_batch_ns(&c->device.flash, p->read_count, p->read_bytes,
						   p->in_flight);
			extra[count] = p->batch_ns - predicted;
			errors[count++] = fabs(predicted / p->batch_ns - 1);
		}
		if (pass == 0)
			c->device.flash.batch_ns = fmax(0, median(extra, count));
	}
	c->batch_error_frac = 0;
	for (size_t i = 0; i < count; i++)
		c->batch_error_frac += errors[i] / (double)count;
}

static int fit_flash(struct calibration *c, const struct calibrate_options *options,
		     struct err *err)
{
	const struct flash_fit_options fit = {
		.seed = options->seed, .bootstrap = 50, .noise_floor_frac = 0.01};
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
			.noise_frac = noise_of(p),
		};
	}
	if (flash_fit(&c->fit, points, count, &fit, err))
		return err_where(err, "flash");
	c->device.flash = c->fit.flash;
	fit_batches(c);
	return 0;
}

/* A line through one work's points: ns over 'by' (bytes or rows). */
static int fit_work(struct line_fit *line, struct calibration *c, enum weight_type type,
		    enum probe_work work, bool by_rows, struct err *err)
{
	const struct probe_host *host = &c->host[type];
	double x[PROBE_POINTS], y[PROBE_POINTS];

	for (unsigned i = 0; i < host->count[work]; i++) {
		x[i] = by_rows ? host->points[work][i].rows : host->points[work][i].bytes;
		y[i] = host->points[work][i].ns;
	}
	if (line_fit(line, x, y, host->count[work], err))
		return err_where(err, "%s", probe_work_name(work));
	c->line_error_frac[type][work] = line->error_frac;
	return 0;
}

/* Fixed costs go where the form has a place for them: a row's (appends), a step's (kernels). */
static int fit_store(struct calibration *c, enum weight_type type, struct err *err)
{
	struct dram_params *dram = &c->device.dram;
	struct line_fit append, move, decide;

	if (fit_work(&append, c, type, PROBE_APPEND, false, err) ||
	    fit_work(&move, c, type, PROBE_DELETE, false, err) ||
	    fit_work(&decide, c, type, PROBE_DECIDE, true, err))
		return err->code;
	dram->append_bytes_per_s = append.rate * 1e9;
	dram->append_row_ns = 0;
	dram->move_bytes_per_s = move.rate * 1e9;
	dram->move_row_ns = 0;
	dram->scan_neuron_ns =
		1 / decide.rate + decide.fixed / (double)c->host[type].points[PROBE_DECIDE][0].rows;
	return 0;
}

static int fit_kernels(struct calibration *c, enum weight_type type, bool own, struct err *err)
{
	struct compute_params *compute = &c->device.compute;
	struct line_fit gemv, ffn, kv;
	double *gemv_rate = type == WEIGHT_F32 ? &compute->gemv_f32_bytes_per_s
					       : &compute->gemv_f16_bytes_per_s;
	double *ffn_rate =
		type == WEIGHT_F32 ? &compute->ffn_f32_bytes_per_s : &compute->ffn_f16_bytes_per_s;

	if (fit_work(&gemv, c, type, PROBE_GEMV, false, err) ||
	    fit_work(&ffn, c, type, PROBE_FFN, false, err) ||
	    fit_work(&kv, c, type, PROBE_KV, false, err))
		return err->code;
	*gemv_rate = gemv.rate * 1e9;
	*ffn_rate = ffn.rate * 1e9;
	if (!own)
		return 0;
	compute->kv_bytes_per_s = kv.rate * 1e9;
	compute->attention_ns = gemv.fixed + kv.fixed + c->host[type].step_ns[STEP_ATTENTION];
	compute->ffn_ns = ffn.fixed + c->host[type].step_ns[STEP_FFN];
	return 0;
}

/* The head is one large matrix: what it takes beyond the matrices' common bandwidth is its fixed
 * cost. */
static void fit_head(struct calibration *c, enum weight_type type, const struct model *model)
{
	struct compute_params *compute = &c->device.compute;
	const struct probe_host *host = &c->host[type];
	double extra = 0;

	compute->head_ns = 0;
	if (host->count[PROBE_HEAD])
		extra = host->points[PROBE_HEAD][host->count[PROBE_HEAD] - 1].ns -
			compute_head_ns(compute, model, type);
	compute->head_ns = fmax(0, extra) + host->step_ns[STEP_HEAD];
}

static int measure_host(struct calibration *c, const struct calibrate_options *options,
			const struct real_model *rm, double seconds, struct err *err)
{
	enum weight_type own = real_model_weights(rm);

	for (unsigned type = 0; type < HOST_TYPES; type++) {
		const struct probe_host_options probe = {
			.model = real_model_shape(rm),
			.weights = (enum weight_type)type,
			.store = STORE_COMPACT,
			.threads = options->threads,
			.seconds = seconds * (type == own ? 0.75 : 0.25),
			.seed = options->seed,
		};

		if (probe_host(&c->host[type], &probe, err) ||
		    fit_kernels(c, (enum weight_type)type, type == own, err))
			return err_where(err, "%s", weight_type_words[type].text);
	}
	if (fit_store(c, own, err))
		return err->code;
	fit_head(c, own, real_model_shape(rm));
	c->device.compute.threads = options->threads;
	/* Every kernel here waits for memory: the arithmetic cap is not identified and never binds.
	 */
	c->device.compute.flops_per_s = 1e16;
	return 0;
}

static double noise_floor(const struct calibration *c)
{
	double noise[NOISE_MOST];
	size_t count = 0;

	for (size_t i = 0; i < c->point_count; i++)
		noise[count++] = noise_of(&c->points[i]);
	for (unsigned type = 0; type < HOST_TYPES; type++)
		for (unsigned work = 0; work < PROBE__COUNT; work++)
			for (unsigned i = 0; i < c->host[type].count[work]; i++) {
				const struct probe_point *p = &c->host[type].points[work][i];

				if (p->ns > 0)
					noise[count++] = p->sd_ns / p->ns;
			}
	return median(noise, count);
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
	origin->flash_fit_error_frac = c->fit.error_frac;
	origin->flash_cv_error_frac =
		isfinite(c->fit.cv_error_frac) ? c->fit.cv_error_frac : c->fit.error_frac;
	snprintf(origin->source, sizeof(origin->source), "%s", options->target->name);
	snprintf(origin->read_engine, sizeof(origin->read_engine), "%s",
		 options->target->is_emulated ? "emulated" : "pread");
	if (stat(real_model_path(rm, 1), &st) == 0)
		origin->file_bytes = (uint64_t)st.st_size;
	host_name(origin->host, sizeof(origin->host));
	gmtime_r(&now, &day);
	strftime(origin->date, sizeof(origin->date), "%Y-%m-%d", &day);
	for (size_t i = 0; i < c->point_count; i++)
		origin->polluted += c->points[i].polluted;
	snprintf(c->device.name, sizeof(c->device.name), "%s", options->name);
	snprintf(c->device.about, sizeof(c->device.about), "calibrated from outside: %s",
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
	fprintf(out, "checks:\n  batch_error_frac: %.4g\n", c->batch_error_frac);
	for (unsigned type = 0; type < HOST_TYPES; type++)
		for (unsigned work = 0; work < PROBE__COUNT; work++)
			if (c->line_error_frac[type][work] > 0)
				fprintf(out, "  %s_%s_error_frac: %.4g\n",
					probe_work_name((enum probe_work)work),
					weight_type_words[type].text,
					c->line_error_frac[type][work]);
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

static void print_report(FILE *out, const struct calibration *c)
{
	const struct device *device = &c->device;
	char a[32], b[32];

	fprintf(out, "flash     latency %s, peak %s, ",
		unit_human(a, sizeof(a), device->flash.latency_ns, DIM_TIME),
		unit_human(b, sizeof(b), device->flash.peak_bytes_per_s, DIM_BANDWIDTH));
	fprintf(out,
		"%s, r %.2g, q %.2g; fit error %.1f %%, unseen sizes %.1f %%, batches %.1f %%\n",
		unit_human(a, sizeof(a), device->flash.request_rate_per_s, DIM_RATE),
		device->flash.size_norm, device->flash.knee, c->fit.error_frac * 100,
		device->origin.flash_cv_error_frac * 100, c->batch_error_frac * 100);
	for (unsigned i = 0; i < FLASH_FIT_PARAMS; i++)
		if (!c->fit.identified[i])
			fprintf(out, "          %s is not identified by this sweep\n",
				flash_fit_names[i]);
	fprintf(out,
		"          saturated by %.1f reads of 16 KiB in flight; half of peak at %s a "
		"read\n",
		flash_saturation_in_flight(&device->flash, 16384),
		unit_human(a, sizeof(a), flash_half_bandwidth_bytes(&device->flash), DIM_BYTES));
	fprintf(out, "dram      append %s, move %s\n",
		unit_human(a, sizeof(a), device->dram.append_bytes_per_s, DIM_BANDWIDTH),
		unit_human(b, sizeof(b), device->dram.move_bytes_per_s, DIM_BANDWIDTH));
	fprintf(out, "compute   f16: matrices %s, ",
		unit_human(a, sizeof(a), device->compute.gemv_f16_bytes_per_s, DIM_BANDWIDTH));
	fprintf(out, "FFN rows %s; %llu threads\n",
		unit_human(a, sizeof(a), device->compute.ffn_f16_bytes_per_s, DIM_BANDWIDTH),
		(unsigned long long)device->compute.threads);
	fprintf(out, "noise     floor %.1f %%; %llu of %zu points polluted by foreign traffic\n",
		device->origin.noise_floor_frac * 100, (unsigned long long)device->origin.polluted,
		c->point_count);
}

/* Flash gets most of the time: its grid is the largest and its points the noisiest. */
#define FLASH_SHARE 0.6

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
