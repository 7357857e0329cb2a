/* SPDX-License-Identifier: GPL-3.0-or-later */
/* linear_fit.c - non-negative relative least squares over few terms */
#include "linear_fit.h"

#include <assert.h>
#include <errno.h>
#include <gsl/gsl_multifit.h>
#include <math.h>

struct problem {
	const double *x, *y;
	const double *base; /* NULL: 0 */
	size_t count, terms;
};

struct solution {
	double coefficients[LINEAR_FIT_TERMS];
	double residual; /* sum of squared relative errors */
};

static size_t bits_of(unsigned subset)
{
	size_t count = 0;

	for (; subset; subset &= subset - 1)
		count++;
	return count;
}

static double base_at(const struct problem *p, size_t i)
{
	return p->base ? p->base[i] : 0;
}

/* Least squares over the terms in 'subset', rows divided by y. */
static int solve_subset(struct solution *s, const struct problem *p, unsigned subset,
			struct err *err)
{
	size_t used = bits_of(subset), column = 0;
	gsl_matrix *x = gsl_matrix_alloc(p->count, used);
	gsl_matrix *covariance = gsl_matrix_alloc(used, used);
	gsl_vector *y = gsl_vector_alloc(p->count), *c = gsl_vector_alloc(used);
	gsl_multifit_linear_workspace *work = gsl_multifit_linear_alloc(p->count, used);
	int status;

	if (!x || !covariance || !y || !c || !work) {
		err_nomem(err, "a linear fit", p->count * used * sizeof(double));
		goto out;
	}
	for (size_t i = 0; i < p->count; i++)
		gsl_vector_set(y, i, 1 - base_at(p, i) / p->y[i]);
	for (size_t j = 0; j < p->terms; j++) {
		if (!(subset >> j & 1))
			continue;
		for (size_t i = 0; i < p->count; i++)
			gsl_matrix_set(x, i, column, p->x[i * p->terms + j] / p->y[i]);
		column++;
	}
	status = gsl_multifit_linear(x, y, c, covariance, &s->residual, work);
	if (status) {
		err_set(err, EDOM, "linear fit: %s", gsl_strerror(status));
		goto out;
	}
	column = 0;
	for (size_t j = 0; j < p->terms; j++)
		s->coefficients[j] = subset >> j & 1 ? gsl_vector_get(c, column++) : 0;
out:
	gsl_multifit_linear_free(work);
	gsl_vector_free(c);
	gsl_vector_free(y);
	gsl_matrix_free(covariance);
	gsl_matrix_free(x);
	return err->code;
}

static int is_feasible(const struct solution *s, size_t terms)
{
	for (size_t j = 0; j < terms; j++)
		if (!(s->coefficients[j] >= 0))
			return 0;
	return 1;
}

static double mean_error(const struct problem *p, const double *coefficients)
{
	double sum = 0;

	for (size_t i = 0; i < p->count; i++) {
		double fit = base_at(p, i);

		for (size_t j = 0; j < p->terms; j++)
			fit += coefficients[j] * p->x[i * p->terms + j];
		sum += fabs(fit / p->y[i] - 1);
	}
	return sum / (double)p->count;
}

/* No term at all: all that is left to do where the base is too much. */
static double residual_of_none(const struct problem *p)
{
	double sum = 0;

	for (size_t i = 0; i < p->count; i++)
		sum += pow(1 - base_at(p, i) / p->y[i], 2);
	return sum;
}

int linear_fit_over(double *coefficients, double *error_frac, const double *x, const double *y,
		    const double *base, size_t count, size_t terms, struct err *err)
{
	const struct problem p = {x, y, base, count, terms};
	struct solution best = {{0}, INFINITY};

	assert(terms >= 1 && terms <= LINEAR_FIT_TERMS);
	if (count < terms)
		return err_set(err, EDOM, "linear fit: %zu points, expected at least %zu", count,
			       terms);
	for (size_t i = 0; i < count; i++)
		if (!(y[i] > 0) || !isfinite(y[i]))
			return err_set(err, EDOM, "linear fit: point %zu is %g, expected above 0",
				       i, y[i]);
	best.residual = residual_of_none(&p);
	for (unsigned subset = 1; subset < 1u << terms; subset++) {
		struct solution s = {{0}, INFINITY};

		if (solve_subset(&s, &p, subset, err))
			return err->code;
		if (is_feasible(&s, terms) && s.residual < best.residual)
			best = s;
	}
	for (size_t j = 0; j < terms; j++)
		coefficients[j] = best.coefficients[j];
	*error_frac = mean_error(&p, coefficients);
	return 0;
}

int linear_fit(double *coefficients, double *error_frac, const double *x, const double *y,
	       size_t count, size_t terms, struct err *err)
{
	return linear_fit_over(coefficients, error_frac, x, y, NULL, count, terms, err);
}
