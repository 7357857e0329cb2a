/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_fit.c - from points to a fitted form: weights, robustness, intervals, sizes left out
 *
 * Robust fits are iteratively reweighted: residuals are divided by their own scale (never less than
 * the noise that the points were measured with), the bisquare turns them into weights, and the
 * solver goes on from where it stood. */
#include "flash_fit.h"

#include "flash.h"
#include "flash_solve.h"
#include "order.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const flash_fit_names[FLASH_FIT_PARAMS] = {
	"latency_ns",	    "stream_bytes_per_s", "request_rate_per_s",
	"peak_bytes_per_s", "size_norm",	  "knee",
};

enum { STARTS = 8, ITERATIONS = 500, ROBUST_ROUNDS = 20, ROBUST_SPARE = 6 };
static const double LEAST = 1e-3, BISQUARE = 4.685, PARALLEL_MOST = 65536;
/* A point cannot be weighed down to nothing: the solver needs its gradient. */
static const double WEIGHT_LEAST = 1e-4;

/* One fit under way: the points as rows, and room to work in. */
struct fitting {
	const struct flash_fit_options *options;
	struct fit_problem problem;
	struct fit_row *rows;	 /* [row_count], those of the problem */
	struct fit_row *scratch; /* [2 row_count] */
	double *room;		 /* [row_count] */
	double *draws;		 /* [FLASH_FIT_PARAMS][bootstrap] */
	unsigned starts;
	bool noise_known;
};

/* --- the robust fit --- */

/* How far residuals scatter, by those that the parameters have not absorbed: the median of all but
 * the smallest 'free_count - 1', as for a normal distribution. */
static double residual_scale(double *distances, size_t count, size_t free_count)
{
	size_t skip = free_count ? free_count - 1 : 0;

	order_sort(distances, count);
	return 1.4826 * order_quantile(distances + skip, count - skip, 0.5);
}

/* Weights from residuals; false where they scatter too little for that. */
static bool reweigh(struct fit_row *rows, const struct fit_problem *problem, const double *values,
		    double least_scale, double *room)
{
	double scale;

	for (size_t i = 0; i < problem->row_count; i++) {
		rows[i].sigma = rows[i].base_sigma;
		room[i] = fabs(fit_residual(values, &rows[i]));
	}
	scale = fmax(residual_scale(room, problem->row_count, problem->free_count), least_scale);
	if (scale < 1e-9)
		return false;
	for (size_t i = 0; i < problem->row_count; i++) {
		double distance = fit_residual(values, &rows[i]) / (BISQUARE * scale);
		double weight = fabs(distance) < 1 ? pow(1 - distance * distance, 2) : 0;

		rows[i].sigma = rows[i].base_sigma / sqrt(fmax(weight, WEIGHT_LEAST));
	}
	return true;
}

static double largest_step(const struct fit_solution *a, const struct fit_solution *b, size_t count)
{
	double largest = 0;

	for (size_t j = 0; j < count; j++)
		largest = fmax(largest, fabs(a->u[j] - b->u[j]));
	return largest;
}

/* Go on from 'best' with new weights until they settle.  A round that does not converge leaves the
 * one before. */
static void make_robust(const struct fitting *f, const struct fit_problem *problem,
			struct fit_row *rows, struct fit_solution *best)
{
	double least_scale = f->noise_known ? 1 : 0, values[FLASH_FIT_PARAMS];

	if (!f->options->robust || problem->row_count < problem->free_count + ROBUST_SPARE)
		return;
	for (unsigned round = 0; round < ROBUST_ROUNDS; round++) {
		struct fit_solution next = {.chisq = 0};

		fit_params(problem, best->u, values);
		if (!reweigh(rows, problem, values, least_scale, f->room) ||
		    fit_from(problem, best->u, &next))
			return;
		if (largest_step(&next, best, problem->free_count) < 1e-6)
			round = ROBUST_ROUNDS;
		*best = next;
	}
}

/* --- judging --- */

static double relative_error(const struct flash_params *flash, const struct fit_row *row)
{
	double rate = flash_reads_per_s(flash, row->bytes, row->in_flight);

	return fabs(rate / 1e9 * exp(row->log_interval) - 1);
}

/* Sum of absolute relative errors of the throughput. */
static double error_sum(const struct flash_params *flash, const struct fit_row *rows, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += relative_error(flash, &rows[i]);
	return sum;
}

/* The table of what 'values' leave over at some rows. */
static int learn_correction(struct flash_params *flash, const struct fit_row *rows, size_t count,
			    struct err *err)
{
	struct flash_leftover *leftovers = calloc(count, sizeof(*leftovers));

	flash->correction = (struct flash_correction){0};
	if (!leftovers)
		return err_nomem(err, "flash fit", count * sizeof(*leftovers));
	for (size_t i = 0; i < count; i++)
		leftovers[i] = (struct flash_leftover){
			.read_bytes = rows[i].bytes,
			.in_flight = rows[i].in_flight,
			.log_ratio =
				-rows[i].log_interval -
				log(flash_reads_per_s(flash, rows[i].bytes, rows[i].in_flight) /
				    1e9),
			.noise = rows[i].noise,
		};
	flash_correction_build(&flash->correction, leftovers, (unsigned)count);
	free(leftovers);
	return 0;
}

static bool seen_before(const struct fit_row *rows, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (rows[k].bytes == rows[i].bytes)
			return true;
	return false;
}

/* Rows that have (or, with keep = false, have not) this size, copied to 'to'. */
static size_t rows_of_size(struct fit_row *to, const struct fitting *f, double bytes, bool keep)
{
	size_t count = 0;

	for (size_t i = 0; i < f->problem.row_count; i++)
		if ((f->rows[i].bytes == bytes) == keep) {
			to[count] = f->rows[i];
			to[count].sigma = to[count].base_sigma;
			count++;
		}
	return count;
}

/* A fit to the scratch rows alone; false where they do not determine it. */
static bool fit_part(const struct fitting *f, size_t row_count, uint64_t seed,
		     struct flash_params *flash)
{
	struct fit_problem part = f->problem;
	struct fit_solution solution = {.chisq = 0};
	double values[FLASH_FIT_PARAMS];
	struct fit_outcome outcome;

	part.rows = f->scratch;
	part.row_count = row_count;
	if (row_count < part.free_count || fit_best(&part, f->starts, seed, &solution, &outcome))
		return false;
	make_robust(f, &part, f->scratch, &solution);
	fit_params(&part, solution.u, values);
	fit_flash(flash, values);
	return true;
}

/* Mean error at sizes left out of the fit, without and with the correction that the other sizes
 * teach; NaN where that cannot be had: under three sizes, or a fit without one of them is not
 * determined or does not converge. */
static int left_out_errors(struct flash_fit *fit, const struct fitting *f, struct err *err)
{
	const size_t all = f->problem.row_count;
	double plain = 0, corrected = 0;
	size_t sizes = 0;

	for (size_t i = 0; i < all; i++) {
		struct fit_row *out = f->scratch + all;
		size_t kept, out_count;
		struct flash_params flash;

		if (seen_before(f->rows, i))
			continue;
		sizes++;
		kept = rows_of_size(f->scratch, f, f->rows[i].bytes, false);
		out_count = rows_of_size(out, f, f->rows[i].bytes, true);
		if (!fit_part(f, kept, f->options->seed + i, &flash))
			return 0;
		plain += error_sum(&flash, out, out_count);
		if (!f->options->correct)
			continue;
		if (learn_correction(&flash, f->scratch, kept, err))
			return err->code;
		corrected += error_sum(&flash, out, out_count);
	}
	if (sizes < 3)
		return 0;
	fit->cv_error_frac = plain / (double)all;
	if (f->options->correct)
		fit->corrected_cv_error_frac = corrected / (double)all;
	return 0;
}

/* The table stays where sizes that it has not seen are the better for it. */
static int correct(struct flash_fit *fit, const struct fitting *f, struct err *err)
{
	struct flash_params flash = fit->flash;

	if (!f->options->correct)
		return 0;
	if (learn_correction(&flash, f->rows, f->problem.row_count, err))
		return err->code;
	fit->corrected_error_frac =
		error_sum(&flash, f->rows, f->problem.row_count) / (double)f->problem.row_count;
	fit->corrected = fit->corrected_cv_error_frac < fit->cv_error_frac;
	if (fit->corrected)
		fit->flash = flash;
	return 0;
}

/* --- intervals --- */

/* 95 % intervals from the covariance, in natural units.  Without noise figures (or where the form
 * misses by more than the noise) the residuals themselves say how far the points scatter. */
static void covariance_intervals(struct flash_fit *fit, const struct fitting *f,
				 const struct fit_solution *solution)
{
	const struct fit_problem *problem = &f->problem;
	double dof = (double)problem->row_count - (double)problem->free_count;
	double scale = dof > 0 ? solution->chisq / dof : 0;
	double width = dof > 0 ? gsl_cdf_tdist_Pinv(0.975, dof) : 0;

	if (f->noise_known)
		scale = fmax(scale, 1);
	for (size_t j = 0; j < problem->free_count; j++) {
		size_t param = problem->param[j];
		double half = width * sqrt(scale * solution->variance[j]);
		bool known = dof > 0 && solution->variance[j] > 0 && isfinite(half);

		fit->low[param] = problem->low[param];
		fit->high[param] = problem->high[param];
		if (!known)
			continue;
		fit->low[param] = fit_value(problem, param, solution->u[j] - half);
		fit->high[param] = fit_value(problem, param, solution->u[j] + half);
	}
}

/* Fits of resampled points, from where the whole one stands and with its weights.  Returns how many
 * converged; draws[p * rounds + k] is parameter p of the k-th of them (P where 1/h is tied). */
static size_t bootstrap_draw(struct flash_fit *fit, const struct fitting *f,
			     const struct fit_solution *solution)
{
	const unsigned rounds = f->options->bootstrap;
	struct fit_problem part = f->problem;
	struct rng rng = {rng_mix(f->options->seed)};
	size_t done = 0;

	part.rows = f->scratch;
	for (unsigned k = 0; k < rounds; k++) {
		struct fit_solution here = {.chisq = 0};
		double values[FLASH_FIT_PARAMS];

		for (size_t i = 0; i < part.row_count; i++)
			f->scratch[i] = f->rows[rng_below(&rng, (uint32_t)part.row_count)];
		if (fit_from(&part, solution->u, &here))
			continue;
		fit_params(&part, here.u, values);
		if (fit->sample_count < FLASH_FIT_SAMPLES)
			memcpy(fit->samples[fit->sample_count++], values, sizeof(values));
		for (size_t j = 0; j < part.free_count; j++) {
			size_t p = part.param[j];

			f->draws[p * rounds + done] = fit_value(&part, p, here.u[j]);
		}
		done++;
	}
	return done;
}

/* Widen the intervals to what resampled points give.  Resamplings that fit nothing count as knowing
 * nothing: when they are more than one in twenty, the sweep does not carry its parameters. */
static void bootstrap_intervals(struct flash_fit *fit, const struct fitting *f,
				const struct fit_solution *solution)
{
	const unsigned rounds = f->options->bootstrap;
	const struct fit_problem *problem = &f->problem;
	size_t done = bootstrap_draw(fit, f, solution);

	for (size_t j = 0; j < problem->free_count; j++) {
		size_t p = problem->param[j];
		double *sorted = f->draws + p * rounds;

		if (done * 20 < rounds * (size_t)19) {
			fit->low[p] = problem->low[p];
			fit->high[p] = problem->high[p];
			continue;
		}
		order_sort(sorted, done);
		fit->low[p] = fmin(fit->low[p], sorted[(done - 1) / 40]);
		fit->high[p] = fmax(fit->high[p], sorted[done - 1 - (done - 1) / 40]);
	}
}

/* ln(high/low)/2 of parameter p, however lopsided. */
static double half_width(const struct flash_fit *fit, unsigned p)
{
	return log(fit->high[p] / fit->low[p]) / 2;
}

/* A product's relative uncertainty, from those of P and of the parameter that it is tied to. */
static void untie(struct flash_fit *fit, const struct fit_problem *problem, double value,
		  unsigned p, double parallel, double other)
{
	double half = sqrt(parallel * parallel + other * other);

	fit->low[p] = fit_tied(problem, p, value * exp(-half));
	fit->high[p] = fit_tied(problem, p, value * exp(half));
}

static void untie_intervals(struct flash_fit *fit, const struct fitting *f, const double *values)
{
	double parallel = half_width(fit, FIT_RATE);

	if (f->problem.tie != FLASH_TIE_PARALLEL)
		return;
	untie(fit, &f->problem, values[FIT_RATE], FIT_RATE, parallel, half_width(fit, FIT_LATENCY));
	untie(fit, &f->problem, values[FIT_PEAK], FIT_PEAK, parallel, half_width(fit, FIT_STREAM));
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
static bool rows_from(struct fit_row *rows, const struct flash_point *points, size_t count,
		      double floor_frac)
{
	double worst = floor_frac;

	for (size_t i = 0; i < count; i++)
		worst = fmax(worst, points[i].noise_frac);
	for (size_t i = 0; i < count; i++) {
		double sigma = points[i].noise_frac > 0 ? points[i].noise_frac : worst;

		sigma = worst > 0 ? fmax(sigma, floor_frac) : 1;
		sigma *= points[i].doubt > 0 ? points[i].doubt : 1;
		rows[i] = (struct fit_row){
			.bytes = (double)points[i].read_bytes,
			.in_flight = points[i].in_flight,
			.log_interval = -log(points[i].reads_per_s / 1e9),
			.noise = points[i].noise_frac,
			.base_sigma = sigma,
			.sigma = sigma,
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
		      isfinite(p->reads_per_s) && p->noise_frac >= 0 && isfinite(p->noise_frac) &&
		      p->doubt >= 0 && isfinite(p->doubt)))
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
static int problem_init(struct fit_problem *problem, const struct flash_fit_options *options,
			struct err *err)
{
	*problem = (struct fit_problem){
		.tie = options->tie,
		.iterations = options->iterations ? options->iterations : ITERATIONS,
	};
	for (size_t p = 0; p < FLASH_FIT_PARAMS; p++) {
		const struct param *row = param_find(&flash_table, flash_fit_names[p]);
		double value = options->fixed[p];

		assert(row != NULL);
		problem->least[p] = fmax(row->min, LEAST); /* its logarithm is taken */
		problem->most[p] = row->max;
		problem->low[p] = problem->least[p];
		problem->high[p] = problem->most[p];
		if (options->tie == FLASH_TIE_PARALLEL && p == FIT_PEAK)
			continue;
		if (isnan(value) || value == 0) {
			problem->param[problem->free_count++] = p;
			continue;
		}
		if (value < row->min || value > row->max)
			return err_set(err, EDOM, "flash fit: %s held at %g: outside [%g, %g]",
				       row->name, value, row->min, row->max);
		problem->fixed[p] = value;
	}
	if (options->tie == FLASH_TIE_PARALLEL) {
		assert(options->fixed[FIT_RATE] == 0 && options->fixed[FIT_PEAK] == 0);
		problem->low[FIT_RATE] = 1;
		problem->high[FIT_RATE] = PARALLEL_MOST;
	}
	return 0;
}

static int best_of_starts(const struct fitting *f, struct fit_solution *best, struct err *err)
{
	const struct fit_problem *problem = &f->problem;
	struct fit_outcome outcome;
	int status;

	if (!problem->free_count)
		return 0;
	status = fit_best(problem, f->starts, f->options->seed, best, &outcome);
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

static void describe(struct flash_fit *fit, const struct fitting *f, const double *values)
{
	const struct fit_problem *problem = &f->problem;

	*fit = (struct flash_fit){
		.point_count = problem->row_count,
		.free_count = (unsigned)problem->free_count,
		.cv_error_frac = NAN,
		.corrected_error_frac = NAN,
		.corrected_cv_error_frac = NAN,
	};
	fit_flash(&fit->flash, values);
	memcpy(fit->low, values, FLASH_FIT_PARAMS * sizeof(*values));
	memcpy(fit->high, values, FLASH_FIT_PARAMS * sizeof(*values));
	fit->error_frac =
		error_sum(&fit->flash, f->rows, problem->row_count) / (double)problem->row_count;
	for (size_t i = 0; i < problem->row_count; i++)
		fit->outlier_count += f->rows[i].sigma * f->rows[i].sigma >
				      2 * f->rows[i].base_sigma * f->rows[i].base_sigma;
}

/* Everything after the checks.  AICc is that of the plain fit: a robust one's residuals are
 * weighed, and those of two forms differently. */
static int fit_rows(struct flash_fit *fit, struct fitting *f, struct err *err)
{
	struct fit_solution best = {.chisq = 0};
	double values[FLASH_FIT_PARAMS], plain_chisq;

	if (best_of_starts(f, &best, err))
		return err->code;
	plain_chisq = best.chisq;
	make_robust(f, &f->problem, f->rows, &best);
	fit_params(&f->problem, best.u, values);
	describe(fit, f, values);
	fit->aicc = aicc(plain_chisq, f->problem.row_count, f->problem.free_count);
	if (f->problem.free_count) {
		covariance_intervals(fit, f, &best);
		if (f->options->bootstrap)
			bootstrap_intervals(fit, f, &best);
		untie_intervals(fit, f, values);
		if (left_out_errors(fit, f, err))
			return err->code;
	}
	for (size_t p = 0; p < FLASH_FIT_PARAMS; p++)
		fit->identified[p] = fit->high[p] <= 3 * fit->low[p];
	return correct(fit, f, err);
}

int flash_fit(struct flash_fit *fit, const struct flash_point *points, size_t count,
	      const struct flash_fit_options *options, struct err *err)
{
	size_t draw_count = (size_t)options->bootstrap * FLASH_FIT_PARAMS + count + 1;
	struct fitting f = {.options = options,
			    .starts = options->starts ? options->starts : STARTS};
	gsl_error_handler_t *handler;

	if (problem_init(&f.problem, options, err) ||
	    points_check(points, count, f.problem.free_count, err))
		return err->code;
	f.rows = calloc(3 * count, sizeof(*f.rows));
	f.room = calloc(draw_count, sizeof(*f.room));
	/* GSL's own handler aborts the process; every status is checked here. */
	handler = gsl_set_error_handler_off();
	if (!f.rows || !f.room) {
		(void)!err_nomem(err, "flash fit",
				 3 * count * sizeof(*f.rows) + draw_count * sizeof(*f.room));
		goto fail;
	}
	f.scratch = f.rows + count;
	f.draws = f.room + count;
	f.noise_known = rows_from(f.rows, points, count, options->noise_floor_frac);
	f.problem.rows = f.rows;
	f.problem.row_count = count;
	(void)!fit_rows(fit, &f, err);
fail:
	gsl_set_error_handler(handler);
	free(f.room);
	free(f.rows);
	return err->code;
}
