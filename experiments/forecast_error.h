/* SPDX-License-Identifier: GPL-3.0-or-later */
/* forecast_error.h - how far a forecast may be off, from what its profile says of its own fits
 *
 * A calibration holds its fits against points and runs that it measured, and writes the mean absolute
 * relative errors into the profile: `origin`, and the item of `checks` with what: errors.  Each is
 * taken for the scale of a normal error (sd = 1.2533 times its mean size) of one component, the
 * components' errors for independent:
 *
 *	sd^2 = (flash x service time)^2 + (memory x its time)^2 + (kernels x compute time)^2
 *	low, high = total -+ 1.96 sd, not below 0
 *
 *	flash     flash_fit_error_frac and batch_frac, the larger; with fewer reads in flight than
 *	          FORECAST_DEEP, where the form fits less well, flash_all_frac too.  Nothing where
 *	          no read is waited for: service that hides behind arithmetic moves no total.
 *	memory    store_frac                    } each at least what the measurements themselves scatter by
 *	kernels   ffn_frac                      }  (noise_floor_frac, sd = floor / 0.954)
 *
 * What a profile does not say counts as its noise floor alone, so that a profile without one is no exact one
 * (a device profile has to have it).  Errors that all trials share - a form that is wrong the same way
 * everywhere - are in the interval of each, and do not average out over trials. */
#ifndef FLASH_FORECAST_ERROR_H
#define FLASH_FORECAST_ERROR_H

#include "device.h"
#include "results.h"

enum { FORECAST_DEEP = 32 };

/* Relative standard deviations. */
struct forecast_error {
	double deep_sd, shallow_sd; /* flash: many reads in flight, or fewer */
	double mem_sd, ffn_sd;
};

/* The item of a profile's checks that this goes by; NULL when it has none. */
const struct ynode *forecast_error_check(const struct ynode *profile);
/* From a device profile's mapping, which device_read() has found good. */
void forecast_error_read(struct forecast_error *error, const struct device_origin *origin,
			 const struct ynode *profile);
/* After the summary of a sim row: total_ns_low, total_ns_high, and half of what lies between them as a
 * share of the total, spread_frac. */
void forecast_error_put(struct result_row *row, const struct forecast_error *error);

#endif
