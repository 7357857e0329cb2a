/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate.h - measures flash, DRAM and compute here (or an emulated device's flash) and fits a
 * device profile
 *
 * Probes are real's (real_probe.h), fits are costmodel's (flash_fit.h); a calibration crosses from
 * one to the other as a YAML file. Nothing of a policy's trials is used. */
#ifndef FLASH_CALIBRATE_H
#define FLASH_CALIBRATE_H

#include "device.h"
#include "mechanism.h"
#include "real_emulated.h"

#include <stdio.h>

struct calibrate_options {
	const char *model_dir; /* a synthesised model: its FFN file is what is read */
	const struct real_target *target;
	enum read_engine engine; /* of the disk; READ_AUTO: what a run would take */
	unsigned threads; /* compute threads, as trials will use */
	double seconds;	  /* budget for all of it */
	uint64_t seed;
	const char *name; /* of the profile */
	int (*progress)(
		void *arg,
		double done); /* of the flash grid, 0 .. 1; non-zero stops it. May be NULL. */
	void *progress_arg;
};
/* Write the profile to 'path' (temp, rename), and a summary (fit, intervals, what was not
 * identified, noise floor, pollution) to 'report' (may be NULL). */
MUST_CHECK int calibrate(const struct calibrate_options *options, const char *path, FILE *report,
			 struct err *err);

#endif
