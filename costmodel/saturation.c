/* SPDX-License-Identifier: GPL-3.0-or-later */
/* saturation.c - threads that share memory, by the flash form at one size: reads in flight are threads */
#include "saturation.h"

#include "flash_fit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* What a thread reads at a time, as the flash form has to be told; it cancels out.  So small that rates of memory stay
 * in the ranges of flash_params.h. */
#define UNIT_BYTES 65536
/* Held, so that a read's time is its latency and the bottleneck the request rate. */
#define NO_TRANSFER 1e13
#define SHARP	    64

static const double knees[] = {4, 2, 1, SHARP, 0 /* fitted */}, AICC_APART = 2;

double saturation_rate(const double *params, double threads)
{
	double q = params[SATURATION_KNEE];
	double few = threads * params[SATURATION_ONE], all = params[SATURATION_ALL];
	double low = fmin(few, all), high = fmax(few, all);

	return low * pow(1 + pow(low / high, q), -1 / q);
}

static double rate_of_one(double latency_ns)
{
	return UNIT_BYTES / (latency_ns / 1e9 + UNIT_BYTES / NO_TRANSFER);
}

/* In the caller's units. */
static void take(struct saturation *fit, const struct flash_fit *best)
{
	const struct flash_params *flash = &best->flash;

	*fit = (struct saturation){
		.params = {rate_of_one(flash->latency_ns), UNIT_BYTES * flash->request_rate_per_s,
			   flash->knee},
		.low = {rate_of_one(best->high[FIT_LATENCY]), UNIT_BYTES * best->low[FIT_RATE],
			best->low[FIT_KNEE]},
		.high = {rate_of_one(best->low[FIT_LATENCY]), UNIT_BYTES * best->high[FIT_RATE],
			 best->high[FIT_KNEE]},
		.identified = {best->identified[FIT_LATENCY], best->identified[FIT_RATE],
			       best->identified[FIT_KNEE]},
		.error_frac = best->error_frac,
	};
}

static int fit_points(struct saturation *fit, const struct flash_point *points, unsigned count,
		      struct err *err)
{
	struct flash_fit best, here;
	bool found = false;
	struct err why = {0};

	for (unsigned i = 0; i < sizeof(knees) / sizeof(knees[0]); i++) {
		const struct flash_fit_options options = {
			.robust = true,
			.fixed = {[FIT_STREAM] = NO_TRANSFER,
				  [FIT_PEAK] = NO_TRANSFER,
				  [FIT_SIZE_NORM] = SHARP,
				  [FIT_KNEE] = knees[i]},
		};

		if (flash_fit(&here, points, count, &options, &why))
			continue;
		if (!found || here.aicc < best.aicc - AICC_APART)
			best = here;
		found = true;
	}
	if (!found)
		return err_set(err, why.code, "saturation over threads: %s", why.msg);
	take(fit, &best);
	return 0;
}

int saturation_fit(struct saturation *fit, const struct saturation_point *points, unsigned count,
		   struct err *err)
{
	struct flash_point *flash_points = calloc(count + 1, sizeof(*flash_points));
	bool differ = false;

	if (!flash_points)
		return err_nomem(err, "saturation over threads", count * sizeof(*flash_points));
	for (unsigned i = 0; i < count; i++) {
		flash_points[i] = (struct flash_point){
			.read_bytes = UNIT_BYTES,
			.in_flight = points[i].threads,
			.reads_per_s = points[i].rate / UNIT_BYTES,
		};
		differ = differ || points[i].threads != points[0].threads;
	}
	if (differ)
		(void)!fit_points(fit, flash_points, count, err);
	else
		err_set(err, EDOM,
			"saturation over threads: %u points of one number of threads, expected two "
			"numbers",
			count);
	free(flash_points);
	return err->code;
}
