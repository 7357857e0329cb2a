/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate_report.c - a calibration as a device profile, and as a page for people */
#include "calibration.h"

#include "compute.h"
#include "device_annex.h"
#include "flash.h"
#include "newfile.h"
#include "order.h"
#include "real_read.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { NOISE_MOST = CALIBRATION_CELLS + PROBE_STEPS };

/* ---- where it comes from ---- */

/* How far one measurement of a thing lies from another: of batches, and of the engine's steps. */
static double noise_floor(const struct calibration *c)
{
	double noise[NOISE_MOST];
	size_t count = 0;

	for (unsigned i = 0; i < c->flash.count; i++)
		noise[count++] = c->flash.points[i].spread_ns / c->flash.points[i].mean_ns;
	for (unsigned i = 0; i < c->host.count; i++)
		if (c->host.steps[i].compute_ns > 0)
			noise[count++] =
				c->host.steps[i].compute_sd_ns / c->host.steps[i].compute_ns;
	return order_median(noise, count);
}

static const char *engine_name(const struct calibrate_options *options)
{
	return read_engine_words[reader_engine_of(options->engine, options->target->is_emulated)]
		.text;
}

static double left_out_error(const struct flash_fit *fit)
{
	double error = fit->corrected ? fit->corrected_cv_error_frac : fit->cv_error_frac;

	return isfinite(error) ? error : fit->error_frac;
}

void calibration_describe(struct calibration *c)
{
	const struct calibrate_options *options = c->options;
	struct device_origin *origin = &c->device.origin;
	time_t now = time(NULL);
	struct tm day;
	struct stat st;

	origin->kind = options->target->is_emulated ? ORIGIN_EMULATED : ORIGIN_MEASURED;
	origin->noise_floor_frac = noise_floor(c);
	origin->flash_fit_error_frac = c->deep_error_frac;
	origin->flash_cv_error_frac = left_out_error(calibration_fit(c));
	snprintf(origin->source, sizeof(origin->source), "%s", options->target->name);
	snprintf(origin->read_engine, sizeof(origin->read_engine), "%s", engine_name(options));
	snprintf(origin->form, sizeof(origin->form), "%s%s", flash_forms[c->choice.chosen].name,
		 calibration_fit(c)->corrected ? ", corrected" : "");
	origin->drift_frac = c->flash.drift_frac;
	origin->pace_bytes_per_s = c->host.pace_bytes_per_s;
	origin->pace_spread_frac = c->host.pace_spread_frac;
	if (stat(real_model_path(c->rm, 1), &st) == 0)
		origin->file_bytes = (uint64_t)st.st_size;
	host_name(origin->host, sizeof(origin->host));
	gmtime_r(&now, &day);
	strftime(origin->date, sizeof(origin->date), "%Y-%m-%d", &day);
	for (unsigned i = 0; i < c->flash.count; i++)
		origin->polluted += c->flash.points[i].polluted;
	snprintf(c->device.name, sizeof(c->device.name), "%s", options->name);
	snprintf(c->device.about, sizeof(c->device.about), "calibrated from outside: %.200s",
		 origin->source);
}

/* ---- the profile ---- */

static void write_points(FILE *out, const struct calibration *c)
{
	fprintf(out, "points:\n");
	for (unsigned i = 0; i < c->flash.count; i++) {
		const struct probe_point *p = &c->flash.points[i];

		if (p->cell.read_count == 0)
			fprintf(out,
				"  - {read_bytes: %llu, in_flight: %u, reads_per_s: %.6g, "
				"noise_frac: %.4g}\n",
				(unsigned long long)p->cell.read_bytes, p->cell.in_flight,
				1e9 / p->mean_ns, p->error_ns / p->mean_ns);
	}
}

static void write_interval(FILE *out, const char *name, bool identified, double low, double high)
{
	if (identified)
		fprintf(out, "  %s: [%.6g, %.6g]\n", name, low, high);
	else
		fprintf(out, "  %s: not identified\n", name);
}

/* Of flash's parameters and, of compute's, those of saturation over threads. */
static void write_intervals(FILE *out, const struct calibration *c)
{
	static const char *const names[SATURATION_PARAMS] = {"thread_bytes_per_s",
							     "threads_bytes_per_s", "threads_knee"};
	const struct flash_fit *fit = calibration_fit(c);
	const struct saturation *threads = &c->threads;

	fprintf(out, "intervals:\n");
	for (unsigned i = 0; i < FLASH_FIT_PARAMS; i++)
		write_interval(out, flash_fit_names[i], fit->identified[i], fit->low[i],
			       fit->high[i]);
	for (unsigned i = 0; c->threads_known && i < SATURATION_PARAMS; i++)
		write_interval(out, names[i], threads->identified[i], threads->low[i],
			       threads->high[i]);
}

static void write_form_checks(FILE *out, const struct flash_choice *choice)
{
	for (unsigned i = 0; i < FLASH_FORMS; i++) {
		const struct flash_fit *fit = &choice->scores[i].fit;

		if (!choice->scores[i].fitted)
			continue;
		fprintf(out,
			"  - {what: form, form: %s, aicc: %.5g, error_frac: %.4g, left_out_frac: "
			"%.4g, corrected_left_out_frac: %.4g}\n",
			flash_forms[i].name, fit->aicc, fit->error_frac, fit->cv_error_frac,
			fit->corrected_cv_error_frac);
	}
}

/* What the engine's steps took, beside what the profile says of them. */
static void write_step_checks(FILE *out, const struct calibration *c)
{
	const struct model *model = real_model_shape(c->rm);
	enum weight_type weights = real_model_weights(c->rm);

	for (unsigned i = 0; i < c->host.count; i++) {
		const struct probe_step *step = &c->host.steps[i];
		uint64_t rows = step->dense ? model->d_ffn : step->rows;

		fprintf(out, "  - {what: %s, ctx: %llu", step_kind_name(step->kind),
			(unsigned long long)step->ctx);
		if (step->kind == STEP_FFN)
			fprintf(out, ", rows: %llu, loaded: %llu, dense: %s",
				(unsigned long long)rows, (unsigned long long)step->loaded,
				step->dense ? "true" : "false");
		if (step->pipelined)
			fprintf(out, ", group_bytes: %llu", (unsigned long long)step->group_bytes);
		if (step->io_ns > 0)
			fprintf(out, ", io: %.6gns, io_wait: %.6gns", step->io_ns,
				step->io_wait_ns);
		fprintf(out, ", mem: %.6gns, compute: %.6gns", step->mem_ns, step->compute_ns);
		if (step->kind == STEP_FFN && !step->pipelined)
			fprintf(out, ", compute_predicted: %.6gns",
				(step->dense ? compute_dense_ffn_ns : compute_ffn_ns)(
					&c->device.compute, model, weights, rows));
		fprintf(out, ", samples: %u}\n", step->samples);
	}
}

/* The median round; 'rates' is left as it is. */
static double median_rate(const double *rates)
{
	double sorted[PROBE_ROUNDS];

	memcpy(sorted, rates, sizeof(sorted));
	return order_median(sorted, PROBE_ROUNDS);
}

/* What so many threads reached, beside what the profile says of them. */
static void write_thread_checks(FILE *out, const struct calibration *c)
{
	for (unsigned t = 0; t < c->host.thread_count; t++) {
		fprintf(out, "  - {what: threads, threads: %u, gemv_f16: %.4gB/s, copy: %.4gB/s",
			t + 1, median_rate(c->host.thread_rates[t]),
			median_rate(c->host.copy_rates[t]));
		if (c->threads_known)
			fprintf(out, ", gemv_f16_predicted: %.4gB/s, copy_predicted: %.4gB/s",
				saturation_rate(c->threads.params, t + 1),
				saturation_rate(c->copies.params, t + 1));
		fprintf(out, "}\n");
	}
}

static void write_checks(FILE *out, const struct calibration *c)
{
	fprintf(out,
		"checks:\n  - {what: errors, flash_all_frac: %.4g, flash_own_sizes_frac: %.4g, "
		"batch_form_frac: %.4g, batch_frac: %.4g, store_frac: %.4g, ffn_frac: %.4g, "
		"f16_over_f32: %.4g, bf16_over_f32: %.4g}\n",
		calibration_fit(c)->error_frac, c->own_error_frac, c->batch_form_error_frac,
		c->batch_error_frac, c->store_error_frac, c->ffn_error_frac,
		calibration_type_speed(c, WEIGHT_F16, WEIGHT_F32),
		calibration_type_speed(c, WEIGHT_BF16, WEIGHT_F32));
	write_form_checks(out, &c->choice);
	write_step_checks(out, c);
	write_thread_checks(out, c);
	for (unsigned i = 0; i < c->batch_count; i++) {
		const struct batch_check *b = &c->batches[i];

		fprintf(out,
			"  - {what: batch, read_bytes: %llu, in_flight: %u, reads: %llu, measured: "
			"%.6gns, predicted: %.6gns, error_p50_frac: %.4g, error_p95_frac: %.4g}\n",
			(unsigned long long)b->cell.read_bytes, b->cell.in_flight,
			(unsigned long long)b->cell.read_count, b->measured_ns, b->predicted_ns,
			b->error_p50_frac, b->error_p95_frac);
	}
}

int calibration_write(const struct calibration *c, const char *path, struct err *err)
{
	struct newfile file;
	struct ynode *map = device_write(&c->device);

	if (!map)
		return err_nomem(err, "a device profile", sizeof(c->device));
	if (newfile_open(&file, path, err))
		goto out;
	/* Written as tables below. */
	ynode_remove(map, "correction");
	ynode_remove(map, "batch_correction");
	ynode_write(map, file.stream);
	correction_write(file.stream, "correction", &c->device.flash.correction, "in_flight");
	correction_write(file.stream, "batch_correction", &c->device.flash.batch_correction,
			 "reads");
	write_points(file.stream, c);
	write_intervals(file.stream, c);
	samples_write(file.stream, calibration_fit(c));
	write_checks(file.stream, c);
	(void)!newfile_commit(&file, err);
out:
	ynode_free(map);
	return err->code;
}

/* ---- the page ---- */

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

static void print_param(FILE *out, const struct flash_fit *fit, unsigned p)
{
	const struct param *row = param_find(&flash_table, flash_fit_names[p]);
	char value[32], low[32], high[32];
	double is;

	memcpy(&is, (const char *)&fit->flash + row->offset, sizeof(is));
	if (fit->low[p] < fit->high[p] && fit->identified[p])
		fprintf(out, "          %-20s %10s  [%s, %s]\n", row->name,
			unit_human(value, sizeof(value), is, row->dim),
			unit_human(low, sizeof(low), fit->low[p], row->dim),
			unit_human(high, sizeof(high), fit->high[p], row->dim));
}

static void print_flash(FILE *out, const struct calibration *c)
{
	const struct flash_fit *fit = calibration_fit(c);
	const struct flash_params *flash = &c->device.flash;
	char a[32];

	fprintf(out, "flash     form %s: %s%s\n", flash_forms[c->choice.chosen].name,
		flash_forms[c->choice.chosen].formula,
		fit->corrected ? ", with a correction table" : "");
	for (unsigned p = 0; p < FLASH_FIT_PARAMS; p++)
		print_param(out, fit, p);
	print_unsettled(out, fit, "held", true);
	print_unsettled(out, fit, "not identified (interval wider than a factor 3)", false);
	fprintf(out,
		"          errors: form alone %.1f %%, sizes left out %.1f %%, corrected %.1f %%; "
		"at "
		"the deepest in flight %.1f %%, own sizes %.1f %%\n",
		fit->error_frac * 100, fit->cv_error_frac * 100, fit->corrected_cv_error_frac * 100,
		c->deep_error_frac * 100, c->own_error_frac * 100);
	fprintf(out,
		"          saturated by %.1f reads of 16 KiB in flight; half of peak at %s a "
		"read\n",
		flash_saturation_in_flight(flash, 16384),
		unit_human(a, sizeof(a), flash_half_bandwidth_bytes(flash), DIM_BYTES));
}

static void print_batches(FILE *out, const struct calibration *c)
{
	char a[32], b[32], d[32];

	fprintf(out,
		"batches   mean error of the form %.1f %%, corrected %.1f %%; %s a batch, %s a "
		"read that sets out with others\n",
		c->batch_form_error_frac * 100, c->batch_error_frac * 100,
		unit_human(a, sizeof(a), c->device.flash.batch_ns, DIM_TIME),
		unit_human(b, sizeof(b), c->device.flash.crowd_ns, DIM_TIME));
	for (unsigned i = 0; i < c->batch_count; i++) {
		const struct batch_check *check = &c->batches[i];

		fprintf(out,
			"          %4llu x %-9s measured %-9s predicted %-9s (%+.1f %%); single "
			"batches off by %.1f %% (p50), %.1f %% (p95)\n",
			(unsigned long long)check->cell.read_count,
			unit_human(a, sizeof(a), (double)check->cell.read_bytes, DIM_BYTES),
			unit_human(b, sizeof(b), check->measured_ns, DIM_TIME),
			unit_human(d, sizeof(d), check->predicted_ns, DIM_TIME),
			(check->predicted_ns / check->measured_ns - 1) * 100,
			check->error_p50_frac * 100, check->error_p95_frac * 100);
	}
}

static void print_host(FILE *out, const struct calibration *c)
{
	const struct device *device = &c->device;
	char a[32], b[32], fresh[32];

	fprintf(out, "dram      append %s",
		unit_human(a, sizeof(a), device->dram.append_bytes_per_s, DIM_BANDWIDTH));
	if (device->dram.near_bytes > 0)
		fprintf(out, " (%s of what is read beyond %s a step)",
			unit_human(a, sizeof(a), device->dram.append_far_bytes_per_s,
				   DIM_BANDWIDTH),
			unit_human(b, sizeof(b), (double)device->dram.near_bytes, DIM_BYTES));
	fprintf(out, ", move %s, to new memory %s; fit error %.1f %%\n",
		unit_human(b, sizeof(b), device->dram.move_bytes_per_s, DIM_BANDWIDTH),
		unit_human(fresh, sizeof(fresh), device->dram.fresh_bytes_per_s, DIM_BANDWIDTH),
		c->store_error_frac * 100);
	fprintf(out,
		"compute   f16: matrices %s, FFN rows %s (fit error %.1f %%, dense rows %.2f times "
		"as long); %llu "
		"threads\n",
		unit_human(a, sizeof(a), device->compute.gemv_f16_bytes_per_s, DIM_BANDWIDTH),
		unit_human(b, sizeof(b), device->compute.ffn_f16_bytes_per_s, DIM_BANDWIDTH),
		c->ffn_error_frac * 100, device->compute.dense_slowdown,
		(unsigned long long)device->compute.threads);
}

static void print_saturation(FILE *out, const char *what, const struct saturation *fit)
{
	char one[32], all[32];

	fprintf(out, "; %s: one %s, many %s%s, knee %.3g (fit error %.1f %%)", what,
		unit_human(one, sizeof(one), fit->params[SATURATION_ONE], DIM_BANDWIDTH),
		unit_human(all, sizeof(all), fit->params[SATURATION_ALL], DIM_BANDWIDTH),
		fit->identified[SATURATION_ALL] ? "" : " (not identified)",
		fit->params[SATURATION_KNEE], fit->error_frac * 100);
}

static void print_threads(FILE *out, const struct calibration *c)
{
	char a[32], b[32];

	if (!c->host.thread_count)
		return;
	fprintf(out, "threads  ");
	for (unsigned t = 0; t < c->host.thread_count; t++)
		fprintf(out, "%s %u: %s, copies %s", t ? "," : "", t + 1,
			unit_human(a, sizeof(a), median_rate(c->host.thread_rates[t]),
				   DIM_BANDWIDTH),
			unit_human(b, sizeof(b), median_rate(c->host.copy_rates[t]),
				   DIM_BANDWIDTH));
	if (c->threads_known) {
		print_saturation(out, "products", &c->threads);
		print_saturation(out, "copies", &c->copies);
	} else if (c->threads_why[0]) {
		fprintf(out, "; %s", c->threads_why);
	}
	fprintf(out, "\n");
}

static void print_tail(FILE *out, const struct device *device)
{
	char a[32], b[32], d[32];

	fprintf(out,
		"beside    reads: kernels take %.2f, copies %.2f times as long; kernels: reads "
		"take %.2f times as long; %s a group\n",
		device->compute.reading_slowdown, device->dram.reading_slowdown,
		device->flash.computing_slowdown,
		unit_human(a, sizeof(a), device->compute.group_ns, DIM_TIME));
	fprintf(out,
		"tail      %.3f %% of reads stall for %s on average; a batch scatters by %s; "
		"arithmetic by %.1f %%, held up %.3g times a second for %s\n",
		device->flash.stall_frac * 100,
		unit_human(a, sizeof(a), device->flash.stall_ns, DIM_TIME),
		unit_human(b, sizeof(b), device->flash.batch_spread_ns, DIM_TIME),
		device->compute.spread_frac * 100, device->compute.hiccup_rate_per_s,
		unit_human(d, sizeof(d), device->compute.hiccup_ns, DIM_TIME));
}

void calibration_print(FILE *out, const struct calibration *c)
{
	const struct device_origin *origin = &c->device.origin;

	print_flash(out, c);
	print_batches(out, c);
	print_host(out, c);
	print_threads(out, c);
	print_tail(out, &c->device);
	fprintf(out,
		"noise     floor %.1f %%; drift %.1f %% taken out; %llu of %u points polluted by "
		"foreign traffic (%u of %u visits made again), %u not known to 3 %%\n",
		origin->noise_floor_frac * 100, origin->drift_frac * 100,
		(unsigned long long)origin->polluted, c->flash.count, c->flash.polluted_visits,
		c->flash.visits, c->unsettled);
}
