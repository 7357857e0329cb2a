/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line_fit.c - y = fixed + x / rate by weighted least squares on relative residuals */
#include "flash_fit.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdlib.h>

struct line {
	double fixed, slope;
	double fixed_var, slope_var; /* before scaling by chisq / dof */
	double chisq;
};

/* The best line whose fixed part is not negative: the free one, or the one through the origin. */
static int best_line(struct line *line, const double *x, const double *y, const double *weight,
		     size_t count)
{
	double cov;
	int status = gsl_fit_wlinear(x, 1, weight, 1, y, 1, count, &line->fixed, &line->slope,
				     &line->fixed_var, &cov, &line->slope_var, &line->chisq);

	if (!status && line->fixed < 0) {
		line->fixed = line->fixed_var = 0;
		status = gsl_fit_wmul(x, 1, weight, 1, y, 1, count, &line->slope, &line->slope_var,
				      &line->chisq);
	}
	return status;
}

static int line_check(const double *x, const double *y, size_t count, struct err *err)
{
	bool differ = false;

	for (size_t i = 0; i < count; i++) {
		if (!(x[i] > 0 && y[i] > 0 && isfinite(x[i]) && isfinite(y[i])))
			return err_set(err, EDOM,
				       "line fit: point %zu: (%g, %g): wanted positive figures", i,
				       x[i], y[i]);
		differ = differ || x[i] != x[0];
	}
	if (!differ)
		return err_set(err, EDOM, "line fit: %zu points, wanted two different sizes",
			       count);
	return 0;
}

static int line_from(struct line_fit *fit, const double *x, const double *y, double *weight,
		     size_t count, struct err *err)
{
	double scale, error = 0;
	struct line line;
	int status;

	for (size_t i = 0; i < count; i++)
		weight[i] = 1 / (y[i] * y[i]);
	status = best_line(&line, x, y, weight, count);
	if (status || !(line.slope > 0))
		return err_set(err, EDOM, "line fit: no rising line through %zu points (%s)", count,
			       gsl_strerror(status));
	/* Two points leave nothing to tell their scatter by. */
	scale = count > 2 ? sqrt(line.chisq / (double)(count - 2)) : INFINITY;
	for (size_t i = 0; i < count; i++)
		error += fabs((line.fixed + line.slope * x[i]) / y[i] - 1);
	*fit = (struct line_fit){
		.fixed = line.fixed,
		.rate = 1 / line.slope,
		.fixed_sd = line.fixed_var > 0 ? scale * sqrt(line.fixed_var) : 0,
		.rate_sd = scale * sqrt(line.slope_var) / (line.slope * line.slope),
		.error_frac = error / (double)count,
	};
	return 0;
}

int line_fit(struct line_fit *fit, const double *x, const double *y, size_t count, struct err *err)
{
	gsl_error_handler_t *handler;
	double *weight;

	if (line_check(x, y, count, err))
		return err->code;
	weight = calloc(count, sizeof(*weight));
	if (!weight)
		return err_nomem(err, "line fit", count * sizeof(*weight));
	handler = gsl_set_error_handler_off();
	line_from(fit, x, y, weight, count, err);
	gsl_set_error_handler(handler);
	free(weight);
	return err->code;
}
