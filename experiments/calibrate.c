/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate.c - probes become points, points become fits, fits become a device profile */
#include "calibrate.h"

#include "calibration.h"
#include "clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Flash gets more than half of the time; the engine, run over its steps, the rest. */
#define FLASH_SHARE	 0.55
#define HOST_SHARE_LEAST 0.2 /* where flash took more than its own: a slow device */

int calibrate_mode_named(enum calibrate_mode *mode, const char *name, struct err *err)
{
	if (strcmp(name, "quick") == 0)
		*mode = CALIBRATE_QUICK;
	else if (strcmp(name, "full") == 0)
		*mode = CALIBRATE_FULL;
	else
		return err_set(err, EINVAL, "--mode: '%.40s' is none of quick, full", name);
	return 0;
}

int calibrate(const struct calibrate_options *options, const char *path, FILE *report,
	      struct err *err)
{
	struct calibration *c = calloc(1, sizeof(*c));
	struct real_model *rm = NULL;
	double seconds = options->seconds, begin_s = clock_now_s();

	if (!c)
		return err_nomem(err, "a calibration", sizeof(*c));
	if (seconds <= 0)
		seconds = options->mode == CALIBRATE_FULL ? CALIBRATE_FULL_SECONDS
							  : CALIBRATE_QUICK_SECONDS;
	c->options = options;
	if (real_model_open(&rm, options->model_dir, &layout_bundle, NULL, err))
		goto out;
	c->rm = rm;
	if (calibrate_flash(c, seconds * FLASH_SHARE, err) ||
	    calibrate_host(c, fmax(begin_s + seconds - clock_now_s(), HOST_SHARE_LEAST * seconds),
			   err))
		goto out;
	calibration_describe(c);
	if (!calibration_write(c, path, err) && report)
		calibration_print(report, c);
out:
	probe_flash_free(&c->flash);
	real_model_close(rm);
	free(c);
	return err->code;
}
