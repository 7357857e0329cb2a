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

/* Quick: under 20 s, few cells, two visits each: a first look.  Full: the whole grid of sizes and depths,
 * every cell to 3 %, kernels with each number of threads: minutes. */
enum calibrate_mode { CALIBRATE_QUICK, CALIBRATE_FULL };
#define CALIBRATE_QUICK_SECONDS 17.0
#define CALIBRATE_FULL_SECONDS	180.0

/* "quick" or "full". */
MUST_CHECK int calibrate_mode_named(enum calibrate_mode *mode, const char *name, struct err *err);

struct calibrate_options {
	enum calibrate_mode mode;
	const char *model_dir; /* a synthesised model: its FFN file is what is read */
	const struct real_target *target;
	enum read_engine engine; /* of the disk; READ_AUTO: what a run would take */
	unsigned threads;	 /* compute threads, as trials will use */
	unsigned in_flight;	 /* of the policies, beside the grid's own depths; 0 = 32 */
	double seconds;		 /* budget for all of it; 0: the mode's */
	uint64_t seed;
	const char *name; /* of the profile */
	int (*progress)(
		void *arg,
		double done); /* of flash, then of the host, 0 .. 1; non-zero stops it. May be NULL. */
	void *progress_arg;
};
/* Write the profile to 'path' (temp, rename), and a summary (fit, intervals, what was not
 * identified, noise floor, pollution) to 'report' (may be NULL). */
MUST_CHECK int calibrate(const struct calibrate_options *options, const char *path, FILE *report,
			 struct err *err);

#endif
