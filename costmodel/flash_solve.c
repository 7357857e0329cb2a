/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_solve.c - nonlinear least squares for the flash form (GSL's trust region), from many starts
 *
 * Free variables u: the logarithm of s, B1, 1/h (or P) and BM, and for the norms r and q the logit
 * of where log r (log q) lies in its range, so that every u in R^k is a legal parameter set and the
 * solver needs no bounds.  Ranges are those of flash_params.h, so that what is fitted can be
 * written into a profile and read again.  At an end of its range a parameter is a flat direction;
 * its interval then spans the range. */
#include "flash_solve.h"

#include "rng.h"

#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <string.h>

/* --- parameters and free variables --- */

/* Rounding must not lead out of the range either. */
double fit_value(const struct fit_problem *problem, size_t param, double u)
{
	double low = problem->low[param], high = problem->high[param], value;

	if (param < FIT_SIZE_NORM)
		value = exp(fmin(u, log(high)));
	else
		value = low * pow(high / low, 1 / (1 + exp(-u)));
	return fmin(fmax(value, low), high);
}

/* d value / du for norms, d ln value / du for the others. */
static double slope_of(const struct fit_problem *problem, size_t param, double u)
{
	double low = problem->low[param], high = problem->high[param];
	double place = 1 / (1 + exp(-u));

	if (param < FIT_SIZE_NORM)
		return u > log(low) && u < log(high) ? 1 : 0;
	return fit_value(problem, param, u) * log(high / low) * place * (1 - place);
}

static double variable_of(const struct fit_problem *problem, size_t param, double value)
{
	double low = problem->low[param], high = problem->high[param], place;

	if (param < FIT_SIZE_NORM)
		return log(fmin(fmax(value, 1.01 * low), 0.99 * high));
	place = fmin(fmax(log(value / low) / log(high / low), 1e-4), 1 - 1e-4);
	return log(place / (1 - place));
}

double fit_tied(const struct fit_problem *problem, size_t param, double product)
{
	return fmin(fmax(product, problem->least[param]), problem->most[param]);
}

void fit_params(const struct fit_problem *problem, const double *u, double *values)
{
	memcpy(values, problem->fixed, sizeof(problem->fixed));
	for (size_t j = 0; j < problem->free_count; j++)
		values[problem->param[j]] = fit_value(problem, problem->param[j], u[j]);
	if (problem->tie == FLASH_TIE_PARALLEL) {
		double parallel = values[FIT_RATE];

		values[FIT_RATE] =
			fit_tied(problem, FIT_RATE, parallel / values[FIT_LATENCY] * 1e9);
		values[FIT_PEAK] = fit_tied(problem, FIT_PEAK, parallel * values[FIT_STREAM]);
	}
}

static void params_at(const struct fit_problem *problem, const gsl_vector *x, double *values)
{
	double u[FLASH_FIT_PARAMS];

	for (size_t j = 0; j < problem->free_count; j++)
		u[j] = gsl_vector_get(x, j);
	fit_params(problem, u, values);
}

void fit_flash(struct flash_params *flash, const double *values)
{
	*flash = (struct flash_params){
		.latency_ns = values[FIT_LATENCY],
		.stream_bytes_per_s = values[FIT_STREAM],
		.request_rate_per_s = values[FIT_RATE],
		.peak_bytes_per_s = values[FIT_PEAK],
		.size_norm = values[FIT_SIZE_NORM],
		.knee = values[FIT_KNEE],
	};
}
/* --- the form and its derivatives --- */

/* ln (e^(pa) + e^(pb))^(1/p), with its derivatives by a (that by b is 1 less) and by p. */
struct log_norm {
	double value, by_a, by_p;
};

static struct log_norm log_norm(double a, double b, double p)
{
	double gap = fabs(a - b), tail = exp(-p * gap), low_share = tail / (1 + tail);

	return (struct log_norm){
		.value = fmax(a, b) + log1p(tail) / p,
		.by_a = a >= b ? 1 - low_share : low_share,
		.by_p = -(log1p(tail) / p + gap * low_share) / p,
	};
}

/* ln(ns between completions) at one point; 'by' its derivatives by ln s, ln B1, ln 1/h, ln BM, r,
 * q. */
static double log_interval(const double *values, const struct fit_row *row, double *by)
{
	double transfer = row->bytes / values[FIT_STREAM] * 1e9;
	double alone = values[FIT_LATENCY] + transfer;
	struct log_norm bottleneck =
		log_norm(log(1e9 / values[FIT_RATE]), log(row->bytes / values[FIT_PEAK] * 1e9),
			 values[FIT_SIZE_NORM]);
	struct log_norm all =
		log_norm(log(alone / row->in_flight), bottleneck.value, values[FIT_KNEE]);

	by[FIT_LATENCY] = all.by_a * values[FIT_LATENCY] / alone;
	by[FIT_STREAM] = -all.by_a * transfer / alone;
	by[FIT_RATE] = -(1 - all.by_a) * bottleneck.by_a;
	by[FIT_PEAK] = -(1 - all.by_a) * (1 - bottleneck.by_a);
	by[FIT_SIZE_NORM] = (1 - all.by_a) * bottleneck.by_p;
	by[FIT_KNEE] = all.by_p;
	return all.value;
}

static bool is_at_end(const struct fit_problem *problem, size_t param, double value)
{
	return value <= problem->least[param] || value >= problem->most[param];
}

/* 1/h = P/s and BM = P B1: derivatives by ln s, ln B1 and ln P.  A product at an end of its range
 * stays there. */
static void tie_derivatives(const struct fit_problem *problem, const double *values, double *by)
{
	for (size_t p = FIT_RATE; p <= FIT_PEAK; p++)
		if (is_at_end(problem, p, values[p]))
			by[p] = 0;
	by[FIT_LATENCY] -= by[FIT_RATE];
	by[FIT_STREAM] += by[FIT_PEAK];
	by[FIT_RATE] += by[FIT_PEAK];
}

double fit_residual(const double *values, const struct fit_row *row)
{
	double by[FLASH_FIT_PARAMS];

	return (log_interval(values, row, by) - row->log_interval) / row->sigma;
}

static int residuals(const gsl_vector *x, void *data, gsl_vector *f)
{
	const struct fit_problem *problem = data;
	double values[FLASH_FIT_PARAMS];

	params_at(problem, x, values);
	for (size_t i = 0; i < problem->row_count; i++)
		gsl_vector_set(f, i, fit_residual(values, &problem->rows[i]));
	return GSL_SUCCESS;
}

static int jacobian(const gsl_vector *x, void *data, gsl_matrix *jac)
{
	const struct fit_problem *problem = data;
	double values[FLASH_FIT_PARAMS], by[FLASH_FIT_PARAMS];

	params_at(problem, x, values);
	for (size_t i = 0; i < problem->row_count; i++) {
		const struct fit_row *row = &problem->rows[i];

		log_interval(values, row, by);
		if (problem->tie == FLASH_TIE_PARALLEL)
			tie_derivatives(problem, values, by);
		for (size_t j = 0; j < problem->free_count; j++) {
			size_t param = problem->param[j];

			gsl_matrix_set(jac, i, j,
				       by[param] * slope_of(problem, param, gsl_vector_get(x, j)) /
					       row->sigma);
		}
	}
	return GSL_SUCCESS;
}
/* --- solving --- */

/* Variances of the free variables from the Jacobian; 0 where it does not determine them. */
static int variances(const gsl_multifit_nlinear_workspace *work, size_t n, double *variance)
{
	gsl_matrix *covar = gsl_matrix_alloc(n, n);
	int status = GSL_ENOMEM;

	if (!covar)
		return status;
	status = gsl_multifit_nlinear_covar(gsl_multifit_nlinear_jac(work), 1e-9, covar);
	for (size_t j = 0; j < n && !status; j++)
		variance[j] = gsl_matrix_get(covar, j, j);
	gsl_matrix_free(covar);
	return status;
}

/* One start, run to convergence.  GSL_EMAXITER where the iteration limit stopped it: refused. */
int fit_from(const struct fit_problem *problem, const double *start, struct fit_solution *out)
{
	const gsl_multifit_nlinear_parameters params = gsl_multifit_nlinear_default_parameters();
	gsl_multifit_nlinear_fdf fdf = {
		.f = residuals,
		.df = jacobian,
		.n = problem->row_count,
		.p = problem->free_count,
		.params = (void *)problem, /* only read, GSL's member is not const */
	};
	gsl_vector_const_view x = gsl_vector_const_view_array(start, problem->free_count);
	gsl_multifit_nlinear_workspace *work =
		gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &params, fdf.n, fdf.p);
	int status, info = 0;

	if (!work)
		return GSL_ENOMEM;
	status = gsl_multifit_nlinear_init(&x.vector, &fdf, work);
	if (!status)
		status = gsl_multifit_nlinear_driver(problem->iterations, 1e-9, 1e-9, 0, NULL, NULL,
						     &info, work);
	if (!status && info != 1 && info != 2)
		status = GSL_EFAILED;
	if (!status) {
		const gsl_vector *f = gsl_multifit_nlinear_residual(work);

		for (size_t j = 0; j < problem->free_count; j++)
			out->u[j] = gsl_vector_get(gsl_multifit_nlinear_position(work), j);
		status = gsl_blas_ddot(f, f, &out->chisq);
	}
	if (!status)
		status = variances(work, problem->free_count, out->variance);
	if (!status && !isfinite(out->chisq))
		status = GSL_ENOPROG;
	gsl_multifit_nlinear_free(work);
	return status;
}

/* A first guess read off the points: extremes of rate, bandwidth and latency. */
static void guess(const struct fit_problem *problem, double *values)
{
	double rate = 0, peak = 0, latency = DBL_MAX, stream = 0;

	for (size_t i = 0; i < problem->row_count; i++) {
		const struct fit_row *row = &problem->rows[i];
		double ns = exp(row->log_interval), alone = ns * row->in_flight;

		rate = fmax(rate, 1e9 / ns);
		peak = fmax(peak, row->bytes / ns * 1e9);
		latency = fmin(latency, alone);
		stream = fmax(stream, row->bytes / alone * 1e9);
	}
	values[FIT_LATENCY] = latency;
	values[FIT_STREAM] = 1.5 * stream;
	values[FIT_RATE] = 1.2 * rate;
	values[FIT_PEAK] = 1.1 * peak;
	values[FIT_SIZE_NORM] = 2;
	values[FIT_KNEE] = 3;
	if (problem->tie == FLASH_TIE_PARALLEL)
		values[FIT_RATE] = fmax(1, values[FIT_PEAK] / values[FIT_STREAM]);
}

/* The best of several jittered starts. */
int fit_best(const struct fit_problem *problem, unsigned starts, uint64_t seed,
	     struct fit_solution *best, struct fit_outcome *outcome)
{
	struct rng rng = {seed};
	double values[FLASH_FIT_PARAMS];
	int status;

	*outcome = (struct fit_outcome){.tried = starts};
	guess(problem, values);
	for (unsigned k = 0; k < starts; k++) {
		struct fit_solution here = {.chisq = 0};
		double start[FLASH_FIT_PARAMS];

		for (size_t j = 0; j < problem->free_count; j++) {
			double jitter = k ? 3 * (rng_unit(&rng) - 0.5) : 0;

			start[j] =
				variable_of(problem, problem->param[j], values[problem->param[j]]) +
				jitter;
		}
		status = fit_from(problem, start, &here);
		if (status) {
			outcome->status = status;
			continue;
		}
		if (outcome->converged++ == 0 || here.chisq < best->chisq)
			*best = here;
	}
	return outcome->converged ? GSL_SUCCESS : outcome->status;
}
