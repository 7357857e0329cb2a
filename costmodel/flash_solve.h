/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_solve.h - what flash_fit.c and its solver share; not for others */
#ifndef FLASH_FLASH_SOLVE_H
#define FLASH_FLASH_SOLVE_H

#include "flash_fit.h"

/* One point as the solver sees it. */
struct fit_row {
	double bytes, in_flight;
	double log_interval; /* -ln(reads per ns) */
	double noise;	     /* of the logarithm, 0 = unknown */
	double base_sigma;   /* floored, and with the doubt that the caller has */
	double sigma;	     /* the same over the root of the robust weight */
};

struct fit_problem {
	const struct fit_row *rows;
	size_t row_count;
	enum flash_tie tie;
	double fixed[FLASH_FIT_PARAMS];				/* 0 = free */
	double least[FLASH_FIT_PARAMS], most[FLASH_FIT_PARAMS]; /* as a profile accepts */
	double low[FLASH_FIT_PARAMS], high[FLASH_FIT_PARAMS]; /* the same, but those of P for 1/h */
	size_t param[FLASH_FIT_PARAMS];			      /* of each free variable */
	size_t free_count;
	unsigned iterations; /* limit of one start */
};

struct fit_solution {
	double u[FLASH_FIT_PARAMS];
	double variance[FLASH_FIT_PARAMS]; /* of u, unscaled; 0 = undetermined */
	double chisq;
};

/* What became of all starts, for the message. */
struct fit_outcome {
	unsigned converged, tried;
	int status;
};

/* The value that a free variable stands for, within its range (of P: before it is turned into 1/h). */
double fit_value(const struct fit_problem *problem, size_t param, double u);
/* A product of tied parameters, within its own range. */
double fit_tied(const struct fit_problem *problem, size_t param, double product);
/* Parameters in the order of flash_fit_names. */
void fit_params(const struct fit_problem *problem, const double *u, double *values);
void fit_flash(struct flash_params *flash, const double *values);
/* ln(modelled interval) - ln(measured) over sigma. */
double fit_residual(const double *values, const struct fit_row *row);

/* One start, run to convergence: a GSL status; GSL_EMAXITER where the limit stopped it. */
int fit_from(const struct fit_problem *problem, const double *start, struct fit_solution *out);
/* The best of several jittered starts. */
int fit_best(const struct fit_problem *problem, unsigned starts, uint64_t seed,
	     struct fit_solution *best, struct fit_outcome *outcome);

#endif
