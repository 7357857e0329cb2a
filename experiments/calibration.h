/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibration.h - what the parts of a calibration hand to each other; not for others */
#ifndef FLASH_CALIBRATION_H
#define FLASH_CALIBRATION_H

#include "calibrate.h"
#include "flash_forms.h"
#include "real_model.h"
#include "real_probe.h"
#include "saturation.h"

enum { CALIBRATION_CELLS = 256, CALIBRATION_BATCHES = 64 };
/* The deepest column, and what the engine's own policies read with (policy_params.h). */
enum { POLICY_IN_FLIGHT = 32 };

/* How well batches of one cell are met. */
struct batch_check {
	struct probe_cell cell;
	double measured_ns, predicted_ns;      /* mean */
	double error_p50_frac, error_p95_frac; /* of single batches, absolute */
};

struct calibration {
	const struct calibrate_options *options;
	const struct real_model *rm;

	/* calibrate_flash.c */
	struct probe_flash flash;
	struct flash_choice choice;
	double deep_error_frac,
		own_error_frac; /* at the deepest column: all sizes, the model's own */
	struct batch_check batches[CALIBRATION_BATCHES];
	unsigned batch_count;
	double batch_form_error_frac, batch_error_frac; /* mean over checks: form, corrected */
	unsigned unsettled; /* cells whose mean is not known as well as asked for */

	/* calibrate_host.c */
	struct probe_host host;
	double store_error_frac, ffn_error_frac, beside_error_frac;
	struct saturation threads, copies; /* products and copies; where threads_known */
	bool threads_known;
	char threads_why[128]; /* why not, where it was tried */

	struct device device;
};

/* The form that was chosen. */
static inline const struct flash_fit *calibration_fit(const struct calibration *c)
{
	return &c->choice.scores[c->choice.chosen].fit;
}

/* Measure flash for so long, and fit it. */
MUST_CHECK int calibrate_flash(struct calibration *c, double seconds, struct err *err);
/* Run the engine for so long, and fit store and kernels. */
MUST_CHECK int calibrate_host(struct calibration *c, double seconds, struct err *err);

/* A type that the model does not have gets the measured type's rates, times this ratio. */
double calibration_type_speed(const struct calibration *c, enum weight_type own,
			      enum weight_type type);

/* calibrate_report.c: where it comes from, the profile, and the summary. */
void calibration_describe(struct calibration *c);
MUST_CHECK int calibration_write(const struct calibration *c, const char *path, struct err *err);
void calibration_print(FILE *out, const struct calibration *c);

#endif
