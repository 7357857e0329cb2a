/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_fit.c - nonlinear least squares for the flash form
 *
 * Free variables u: the logarithm of s, B1, 1/h and BM, and for the norms r and q the logit of
 * where log r (log q) lies in its range, so that every u in R^k is a legal parameter set and the
 * solver needs no bounds.  Ranges are those of flash_params.h, so that what is fitted can be
 * written into a profile and read again.  At an end of its range a parameter is a flat direction;
 * its interval then spans the range. */
#include "flash_fit.h"

#include "flash.h"
#include "order.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const flash_fit_names[FLASH_FIT_PARAMS] = {
	"latency_ns",	    "stream_bytes_per_s", "request_rate_per_s",
	"peak_bytes_per_s", "size_norm",	  "knee",
};

enum { P_LATENCY, P_STREAM, P_RATE, P_PEAK, P_SIZE_NORM, P_KNEE };
enum { STARTS = 8, ITERATIONS = 500 };
static const double LEAST = 1e-3;

/* One point as the solver sees it. */
struct row {
	double bytes, in_flight;
	double log_interval; /* -ln(reads per ns) */
	double sigma;	     /* of the logarithm: relative error, floored */
};

struct problem {
	const struct row *rows;
	size_t row_count;
	double fixed[FLASH_FIT_PARAMS];			      /* 0 = free */
	double low[FLASH_FIT_PARAMS], high[FLASH_FIT_PARAMS]; /* as a profile accepts */
	size_t param[FLASH_FIT_PARAMS];			      /* of each free variable */
	size_t free_count;
	unsigned iterations; /* limit of one start */
};

struct solution {
	double u[FLASH_FIT_PARAMS];
	double variance[FLASH_FIT_PARAMS]; /* of u, unscaled; 0 = undetermined */
	double chisq;
};

/* What became of all starts, for the message. */
struct outcome {
	unsigned converged, tried;
	int status;
};

/* --- parameters and free variables --- */

/* Rounding must not lead out of the range either. */
static double value_of(const struct problem *problem, size_t param, double u)
{
	double low = problem->low[param], high = problem->high[param], value;

	if (param < P_SIZE_NORM)
		value = exp(fmin(u, log(high)));
	else
		value = low * pow(high / low, 1 / (1 + exp(-u)));
	return fmin(fmax(value, low), high);
}

/* d value / du for norms, d ln value / du for the others. */
static double slope_of(const struct problem *problem, size_t param, double u)
{
	double low = problem->low[param], high = problem->high[param];
	double place = 1 / (1 + exp(-u));

	if (param < P_SIZE_NORM)
		return u > log(low) && u < log(high) ? 1 : 0;
	return value_of(problem, param, u) * log(high / low) * place * (1 - place);
}

static double variable_of(const struct problem *problem, size_t param, double value)
{
	double low = problem->low[param], high = problem->high[param], place;

	if (param < P_SIZE_NORM)
		return log(fmin(fmax(value, 1.01 * low), 0.99 * high));
	place = fmin(fmax(log(value / low) / log(high / low), 1e-4), 1 - 1e-4);
	return log(place / (1 - place));
}

static void params_of(const struct problem *problem, const double *u, double *values)
{
	memcpy(values, problem->fixed, sizeof(problem->fixed));
	for (size_t j = 0; j < problem->free_count; j++)
		values[problem->param[j]] = value_of(problem, problem->param[j], u[j]);
}

static void params_at(const struct problem *problem, const gsl_vector *x, double *values)
{
	double u[FLASH_FIT_PARAMS];

	for (size_t j = 0; j < problem->free_count; j++)
		u[j] = gsl_vector_get(x, j);
	params_of(problem, u, values);
}

static void flash_from(struct flash_params *flash, const double *values)
{
	*flash = (struct flash_params){
		.latency_ns = values[P_LATENCY],
		.stream_bytes_per_s = values[P_STREAM],
		.request_rate_per_s = values[P_RATE],
		.peak_bytes_per_s = values[P_PEAK],
		.size_norm = values[P_SIZE_NORM],
		.knee = values[P_KNEE],
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
static double log_interval(const double *values, const struct row *row, double *by)
{
	double transfer = row->bytes / values[P_STREAM] * 1e9;
	double alone = values[P_LATENCY] + transfer;
	struct log_norm bottleneck =
		log_norm(log(1e9 / values[P_RATE]), log(row->bytes / values[P_PEAK] * 1e9),
			 values[P_SIZE_NORM]);
	struct log_norm all =
		log_norm(log(alone / row->in_flight), bottleneck.value, values[P_KNEE]);

	by[P_LATENCY] = all.by_a * values[P_LATENCY] / alone;
	by[P_STREAM] = -all.by_a * transfer / alone;
	by[P_RATE] = -(1 - all.by_a) * bottleneck.by_a;
	by[P_PEAK] = -(1 - all.by_a) * (1 - bottleneck.by_a);
	by[P_SIZE_NORM] = (1 - all.by_a) * bottleneck.by_p;
	by[P_KNEE] = all.by_p;
	return all.value;
}

static int residuals(const gsl_vector *x, void *data, gsl_vector *f)
{
	const struct problem *problem = data;
	double values[FLASH_FIT_PARAMS], by[FLASH_FIT_PARAMS];

	params_at(problem, x, values);
	for (size_t i = 0; i < problem->row_count; i++) {
		const struct row *row = &problem->rows[i];

		gsl_vector_set(f, i,
			       (log_interval(values, row, by) - row->log_interval) / row->sigma);
	}
	return GSL_SUCCESS;
}

static int jacobian(const gsl_vector *x, void *data, gsl_matrix *jac)
{
	const struct problem *problem = data;
	double values[FLASH_FIT_PARAMS], by[FLASH_FIT_PARAMS];

	params_at(problem, x, values);
	for (size_t i = 0; i < problem->row_count; i++) {
		const struct row *row = &problem->rows[i];

		log_interval(values, row, by);
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
static int solve_from(const struct problem *problem, const double *start, struct solution *out)
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
static void guess(const struct problem *problem, double *values)
{
	double rate = 0, peak = 0, latency = DBL_MAX, stream = 0;

	for (size_t i = 0; i < problem->row_count; i++) {
		const struct row *row = &problem->rows[i];
		double ns = exp(row->log_interval), alone = ns * row->in_flight;

		rate = fmax(rate, 1e9 / ns);
		peak = fmax(peak, row->bytes / ns * 1e9);
		latency = fmin(latency, alone);
		stream = fmax(stream, row->bytes / alone * 1e9);
	}
	values[P_LATENCY] = latency;
	values[P_STREAM] = 1.5 * stream;
	values[P_RATE] = 1.2 * rate;
	values[P_PEAK] = 1.1 * peak;
	values[P_SIZE_NORM] = 2;
	values[P_KNEE] = 3;
}

/* The best of several jittered starts. */
static int solve(const struct problem *problem, unsigned starts, uint64_t seed,
		 struct solution *best, struct outcome *outcome)
{
	struct rng rng = {seed};
	double values[FLASH_FIT_PARAMS];
	int status;

	*outcome = (struct outcome){.tried = starts};
	guess(problem, values);
	for (unsigned k = 0; k < starts; k++) {
		struct solution here = {.chisq = 0};
		double start[FLASH_FIT_PARAMS];

		for (size_t j = 0; j < problem->free_count; j++) {
			double jitter = k ? 3 * (rng_unit(&rng) - 0.5) : 0;

			start[j] =
				variable_of(problem, problem->param[j], values[problem->param[j]]) +
				jitter;
		}
		status = solve_from(problem, start, &here);
		if (status) {
			outcome->status = status;
			continue;
		}
		if (outcome->converged++ == 0 || here.chisq < best->chisq)
			*best = here;
	}
	return outcome->converged ? GSL_SUCCESS : outcome->status;
}

/* --- judging --- */

/* Sum of absolute relative errors of the throughput. */
static double error_sum(const double *values, const struct row *rows, size_t count)
{
	struct flash_params flash;
	double sum = 0;

	flash_from(&flash, values);
	for (size_t i = 0; i < count; i++) {
		double rate = flash_reads_per_s(&flash, rows[i].bytes, rows[i].in_flight);

		sum += fabs(rate / 1e9 * exp(rows[i].log_interval) - 1);
	}
	return sum;
}

static bool seen_before(const struct row *rows, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (rows[k].bytes == rows[i].bytes)
			return true;
	return false;
}

/* Rows that have (or, with keep = false, have not) this size, copied to 'to'. */
static size_t rows_of_size(struct row *to, const struct problem *problem, double bytes, bool keep)
{
	size_t count = 0;

	for (size_t i = 0; i < problem->row_count; i++)
		if ((problem->rows[i].bytes == bytes) == keep)
			to[count++] = problem->rows[i];
	return count;
}

/* Mean error at sizes left out of the fit; NaN where that cannot be had: under three sizes, or a
 * fit without one of them is not determined or does not converge. */
static double left_out_error(const struct problem *all, unsigned starts, uint64_t seed,
			     struct row *scratch)
{
	struct problem part = *all;
	struct row *out = scratch + all->row_count;
	size_t sizes = 0;
	double sum = 0;

	for (size_t i = 0; i < all->row_count; i++) {
		double values[FLASH_FIT_PARAMS];
		struct solution solution = {.chisq = 0};
		struct outcome outcome;
		size_t out_count;

		if (seen_before(all->rows, i))
			continue;
		sizes++;
		part.rows = scratch;
		part.row_count = rows_of_size(scratch, all, all->rows[i].bytes, false);
		out_count = rows_of_size(out, all, all->rows[i].bytes, true);
		if (part.row_count < part.free_count ||
		    solve(&part, starts, seed + i, &solution, &outcome))
			return NAN;
		params_of(&part, solution.u, values);
		sum += error_sum(values, out, out_count);
	}
	return sizes < 3 ? NAN : sum / (double)all->row_count;
}

/* 95 % intervals from the covariance, in natural units.  Without noise figures (or where the form
 * misses by more than the noise) the residuals themselves say how far the points scatter. */
static void covariance_intervals(struct flash_fit *fit, const struct problem *problem,
				 const struct solution *solution, bool noise_known)
{
	double dof = (double)problem->row_count - (double)problem->free_count;
	double scale = dof > 0 ? solution->chisq / dof : 0;
	double width = dof > 0 ? gsl_cdf_tdist_Pinv(0.975, dof) : 0;

	if (noise_known)
		scale = fmax(scale, 1);
	for (size_t j = 0; j < problem->free_count; j++) {
		size_t param = problem->param[j];
		double half = width * sqrt(scale * solution->variance[j]);
		bool known = dof > 0 && solution->variance[j] > 0 && isfinite(half);

		fit->low[param] = problem->low[param];
		fit->high[param] = problem->high[param];
		if (!known)
			continue;
		fit->low[param] = value_of(problem, param, solution->u[j] - half);
		fit->high[param] = value_of(problem, param, solution->u[j] + half);
	}
}

/* Widen the intervals to what resampled points give.  Resamplings that fit nothing count as knowing
 * nothing: when they are more than one in twenty, the sweep does not carry its parameters. */
static void bootstrap_intervals(struct flash_fit *fit, const struct problem *all,
				const struct solution *solution, struct row *scratch,
				double *values_of, unsigned rounds, uint64_t seed)
{
	struct problem part = *all;
	struct rng rng = {rng_mix(seed)};
	size_t done = 0;

	part.rows = scratch;
	for (unsigned k = 0; k < rounds; k++) {
		struct solution here = {.chisq = 0};
		double values[FLASH_FIT_PARAMS];

		for (size_t i = 0; i < all->row_count; i++)
			scratch[i] = all->rows[rng_below(&rng, (uint32_t)all->row_count)];
		if (solve_from(&part, solution->u, &here))
			continue;
		params_of(&part, here.u, values);
		for (size_t p = 0; p < FLASH_FIT_PARAMS; p++)
			values_of[p * rounds + done] = values[p];
		done++;
	}
	for (size_t j = 0; j < all->free_count; j++) {
		size_t p = all->param[j];
		double *sorted = values_of + p * rounds;

		if (done * 20 < rounds * (size_t)19) {
			fit->low[p] = all->low[p];
			fit->high[p] = all->high[p];
			continue;
		}
		order_sort(sorted, done);
		fit->low[p] = fmin(fit->low[p], sorted[(done - 1) / 40]);
		fit->high[p] = fmax(fit->high[p], sorted[done - 1 - (done - 1) / 40]);
	}
}

/* Akaike's criterion for few points; the scatter counts as one more parameter. */
static double aicc(double chisq, size_t count, size_t free_count)
{
	double n = (double)count, k = (double)free_count + 1;

	if (n - k - 1 <= 0)
		return INFINITY;
	return n * log(fmax(chisq, DBL_MIN) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

/* --- one fit, from points to figures --- */

/* Rows with their sigma: the point's own noise, at least the floor; a point of unknown noise counts
 * as the noisiest.  Where nothing is known all weigh the same, and false is returned. */
static bool rows_from(struct row *rows, const struct flash_point *points, size_t count,
		      double floor_frac)
{
	double worst = floor_frac;

	for (size_t i = 0; i < count; i++)
		worst = fmax(worst, points[i].noise_frac);
	for (size_t i = 0; i < count; i++) {
		double sigma = points[i].noise_frac > 0 ? points[i].noise_frac : worst;

		rows[i] = (struct row){
			.bytes = (double)points[i].read_bytes,
			.in_flight = points[i].in_flight,
			.log_interval = -log(points[i].reads_per_s / 1e9),
			.sigma = worst > 0 ? fmax(sigma, floor_frac) : 1,
		};
	}
	return worst > 0;
}

static int points_check(const struct flash_point *points, size_t count, size_t free_count,
			struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct flash_point *p = &points[i];

		if (!(p->read_bytes > 0 && p->in_flight > 0 && p->reads_per_s > 0 &&
		      isfinite(p->reads_per_s) && p->noise_frac >= 0 && isfinite(p->noise_frac)))
			return err_set(
				err, EDOM,
				"flash fit: point %zu: %llu B, %u in flight, %g reads/s, noise "
				"%g: wanted positive figures",
				i, (unsigned long long)p->read_bytes, p->in_flight, p->reads_per_s,
				p->noise_frac);
	}
	if (count == 0 || count < free_count)
		return err_set(err, EDOM, "flash fit: %zu points for %zu free parameters", count,
			       free_count);
	return 0;
}

/* Which parameters are free; those that are held must be legal. */
static int problem_init(struct problem *problem, const struct flash_fit_options *options,
			struct err *err)
{
	*problem = (struct problem){.iterations =
					    options->iterations ? options->iterations : ITERATIONS};
	for (size_t p = 0; p < FLASH_FIT_PARAMS; p++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[p]);
		double value = options->fixed[p];

		assert(row != NULL);
		problem->low[p] = fmax(row->min, LEAST); /* its logarithm is taken */
		problem->high[p] = row->max;
		if (isnan(value) || value == 0) {
			problem->param[problem->free_count++] = p;
			continue;
		}
		if (value < row->min || value > row->max)
			return err_set(err, EDOM, "flash fit: %s held at %g: outside [%g, %g]",
				       row->name, value, row->min, row->max);
		problem->fixed[p] = value;
	}
	return 0;
}

static int best_of_starts(const struct problem *problem, unsigned starts, uint64_t seed,
			  struct solution *best, struct err *err)
{
	struct outcome outcome;
	int status = solve(problem, starts, seed, best, &outcome);

	if (status == GSL_ENOMEM)
		return err_set(err, ENOMEM, "flash fit: out of memory");
	if (status)
		return err_set(err, EDOM,
			       "flash fit: none of %u starts converged within %u iterations (%zu "
			       "points, %zu free parameters; last: %s)",
			       outcome.tried, problem->iterations, problem->row_count,
			       problem->free_count, gsl_strerror(status));
	return 0;
}

/* Everything after the checks; 'scratch' holds 2 row_count rows, 'draws' what the bootstrap needs.
 */
static int fit_rows(struct flash_fit *fit, const struct problem *problem,
		    const struct flash_fit_options *options, bool noise_known, struct row *scratch,
		    double *draws, struct err *err)
{
	unsigned starts = options->starts ? options->starts : STARTS;
	struct solution best = {.chisq = 0};
	double values[FLASH_FIT_PARAMS];

	if (problem->free_count && best_of_starts(problem, starts, options->seed, &best, err))
		return err->code;
	params_of(problem, best.u, values);
	*fit = (struct flash_fit){
		.point_count = problem->row_count,
		.free_count = (unsigned)problem->free_count,
		.cv_error_frac = NAN,
	};
	flash_from(&fit->flash, values);
	memcpy(fit->low, values, sizeof(values));
	memcpy(fit->high, values, sizeof(values));
	fit->error_frac =
		error_sum(values, problem->rows, problem->row_count) / (double)problem->row_count;
	fit->aicc = aicc(best.chisq, problem->row_count, problem->free_count);
	if (problem->free_count) {
		covariance_intervals(fit, problem, &best, noise_known);
		fit->cv_error_frac = left_out_error(problem, starts, options->seed, scratch);
	}
	if (problem->free_count && options->bootstrap)
		bootstrap_intervals(fit, problem, &best, scratch, draws, options->bootstrap,
				    options->seed);
	for (size_t p = 0; p < FLASH_FIT_PARAMS; p++)
		fit->identified[p] = fit->high[p] <= 3 * fit->low[p];
	return 0;
}

int flash_fit(struct flash_fit *fit, const struct flash_point *points, size_t count,
	      const struct flash_fit_options *options, struct err *err)
{
	size_t draw_count = (size_t)options->bootstrap * FLASH_FIT_PARAMS + 1;
	gsl_error_handler_t *handler;
	struct problem problem;
	struct row *rows;
	double *draws;
	bool noise_known;

	if (problem_init(&problem, options, err) ||
	    points_check(points, count, problem.free_count, err))
		return err->code;
	rows = calloc(3 * count, sizeof(*rows));
	draws = calloc(draw_count, sizeof(*draws));
	/* GSL's own handler aborts the process; every status is checked here. */
	handler = gsl_set_error_handler_off();
	if (!rows || !draws) {
		err_nomem(err, "flash fit",
			  3 * count * sizeof(*rows) + draw_count * sizeof(*draws));
		goto fail;
	}
	noise_known = rows_from(rows, points, count, options->noise_floor_frac);
	problem.rows = rows;
	problem.row_count = count;
	fit_rows(fit, &problem, options, noise_known, rows + count, draws, err);
fail:
	gsl_set_error_handler(handler);
	free(draws);
	free(rows);
	return err->code;
}
