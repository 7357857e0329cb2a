/* SPDX-License-Identifier: GPL-3.0-or-later */
/* linear_fit.h - y = sum of c_j x_j with every c_j >= 0, by relative least squares (GSL)
 *
 * For costs that add up: so much a neuron looked at, a byte copied, a byte moved. */
#ifndef FLASH_LINEAR_FIT_H
#define FLASH_LINEAR_FIT_H

#include "err.h"

#include <stddef.h>

enum { LINEAR_FIT_TERMS = 5 };

/* 'x' is [count][terms], 'y' [count], all y > 0.  Minimises sum ((fit - y) / y)^2 over non-negative
 * coefficients, exactly: every subset of the terms is tried.  *error_frac is the mean absolute
 * relative error. EDOM: fewer points than terms, or a y that is not positive. */
MUST_CHECK int linear_fit(double *coefficients, double *error_frac, const double *x,
			  const double *y, size_t count, size_t terms, struct err *err);
/* The same over what is known already: minimises sum ((base + fit - y) / y)^2; coefficients are 0
 * where the base alone is too much. */
MUST_CHECK int linear_fit_over(double *coefficients, double *error_frac, const double *x,
			       const double *y, const double *base, size_t count, size_t terms,
			       struct err *err);

#endif
