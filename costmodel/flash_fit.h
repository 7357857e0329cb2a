/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_fit.h - the flash form fitted to measured points (GSL nonlinear least squares)
 *
 * On the logarithm of throughput, so that residuals are relative errors; parameters by their
 * logarithms, so that they stay positive; several jittered starts; weights 1/variance floored at
 * the noise. */
#ifndef FLASH_FLASH_FIT_H
#define FLASH_FLASH_FIT_H

#include "device.h"

struct flash_point {
	uint64_t read_bytes;
	unsigned in_flight;
	double reads_per_s;
	double noise_frac; /* relative standard error of reads_per_s; 0 = unknown */
	double doubt;	   /* counts as this many times as noisy in the fit; 0 = 1 */
};

/* The fitted parameters, in this order everywhere: s, B1, 1/h, BM, r, q. */
enum { FIT_LATENCY, FIT_STREAM, FIT_RATE, FIT_PEAK, FIT_SIZE_NORM, FIT_KNEE, FLASH_FIT_PARAMS };
extern const char *const flash_fit_names[FLASH_FIT_PARAMS]; /* = rows of flash_params.h */

/* FLASH_TIE_PARALLEL: 1/h = P/s and BM = P B1, so that P (1 .. 65536, in the place of 1/h) is what is
 * sought: P servers, each with all of a read's latency (PDAM). */
enum flash_tie { FLASH_TIE_NONE, FLASH_TIE_PARALLEL };
enum { FLASH_FIT_SAMPLES = 32 };

struct flash_fit_options {
	uint64_t seed;	     /* of the jittered starts and the bootstrap */
	unsigned starts;     /* 0 = 8 */
	unsigned iterations; /* limit of each start, which refuses it; 0 = 500 */
	unsigned bootstrap;  /* resamplings over points; 0 = covariance intervals only */
	double noise_floor_frac;
	/* A parameter with fixed[i] != 0 (NaN counts as not fixed) is held at that value. */
	double fixed[FLASH_FIT_PARAMS];
	enum flash_tie tie;
	/* Weigh points down that lie far off (bisquare, iterated around the nonlinear fit), so that
	 * one bad point does not bend the form. */
	bool robust;
	/* Learn a correction table, and keep it where sizes left out are met better with it. */
	bool correct;
};

struct flash_fit {
	struct flash_params flash; /* batch_ns is not fitted here: 0 */
	/* 95 % intervals, natural units: from the covariance, widened to the bootstrap's where
	 * asked for.  A parameter that was held has low = high; one of which the points say nothing
	 * has its whole range. */
	double low[FLASH_FIT_PARAMS], high[FLASH_FIT_PARAMS];
	bool identified[FLASH_FIT_PARAMS]; /* high/low <= 3 */
	double error_frac; /* mean absolute relative error at the points, of the form alone */
	/* The same, each request size left out in turn.  NaN with fewer than 3 sizes, or where a
	 * fit without one of them is not determined or does not converge. */
	double cv_error_frac;
	/* Both with the correction, whether it was kept or not; NaN where none was asked for. */
	double corrected_error_frac, corrected_cv_error_frac;
	bool corrected;		/* flash.correction is the table; else it is empty */
	unsigned outlier_count; /* points that the robust fit weighs less than half */
	/* Parameters of resampled points, in the order of flash_fit_names. */
	double samples[FLASH_FIT_SAMPLES][FLASH_FIT_PARAMS];
	unsigned sample_count; /* 0 without bootstrap */
	double aicc;	       /* of two forms (parameters held or free), the lower is the better */
	size_t point_count;
	unsigned free_count; /* parameters that were not fixed */
};

/* Parameters are sought in the ranges of flash_params.h.  Works whatever GSL's error handler is,
 * and leaves it as it was.
 *
 * EDOM: fewer points than free parameters, a point that is not positive, or no start converged (the
 * message gives counts and the last status); a start that stopped on its iteration limit has not.
 */
MUST_CHECK int flash_fit(struct flash_fit *fit, const struct flash_point *points, size_t count,
			 const struct flash_fit_options *options, struct err *err);

/* y = fixed + x / rate with fixed >= 0, weighted relative least squares: used for copies and
 * kernels. */
struct line_fit {
	double fixed, rate;	  /* units of y; x a unit of y */
	double fixed_sd, rate_sd; /* infinite with two points: nothing tells their scatter */
	double error_frac;	  /* mean absolute relative error */
};
/* EDOM: a figure that is not positive, fewer than two different x, or y that does not rise with x.
 */
MUST_CHECK int line_fit(struct line_fit *fit, const double *x, const double *y, size_t count,
			struct err *err);

#endif
