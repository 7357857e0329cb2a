/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_forms.c - eight cases of the flash form, fitted side by side */
#include "flash_forms.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* No latency bound: as little as the ranges of flash_params.h let it be. */
#define NO_LATENCY 1e-3, 1e13
#define SHARP	   64
/* Where r and q are held and not sharp: costmodel's defaults (flash_params.h). */
#define HELD_R 2
#define HELD_Q 4

const struct flash_form flash_forms[FLASH_FORMS] = {
	{"affine", "1/(h + b/BM)", {NO_LATENCY, 0, 0, 1, SHARP}, FLASH_TIE_NONE},
	{"pdam", "min(n, P) / (s + b/B1)", {0, 0, 0, 0, 1, SHARP}, FLASH_TIE_PARALLEL},
	{"saturated", "1/(h^r + (b/BM)^r)^(1/r)", {NO_LATENCY, 0, 0, 0, SHARP}, FLASH_TIE_NONE},
	{"roofline", "min(n/(s + b/B1), 1/h, BM/b)", {0, 0, 0, 0, SHARP, SHARP}, FLASH_TIE_NONE},
	{"soft", "soft minimum, r = 2, q = 4", {0, 0, 0, 0, HELD_R, HELD_Q}, FLASH_TIE_NONE},
	{"soft-sum", "soft minimum, r = 1, q free", {0, 0, 0, 0, 1, 0}, FLASH_TIE_NONE},
	{"soft-size", "soft minimum, r free, q = 4", {0, 0, 0, 0, 0, HELD_Q}, FLASH_TIE_NONE},
	{"soft-both", "soft minimum, r and q free", {0, 0, 0, 0, 0, 0}, FLASH_TIE_NONE},
};

static const double AICC_APART = 10, AS_GOOD = 1.02;

static bool is_held(double value)
{
	return value != 0 && !isnan(value);
}

/* The form's own held parameters, under those that the caller holds. */
static bool form_options(struct flash_fit_options *to, const struct flash_form *form,
			 const struct flash_fit_options *options)
{
	*to = *options;
	to->tie = form->tie;
	for (unsigned p = 0; p < FLASH_FIT_PARAMS; p++) {
		if (form->tie != FLASH_TIE_NONE && is_held(options->fixed[p]))
			return false;
		if (!is_held(options->fixed[p]))
			to->fixed[p] = form->fixed[p];
	}
	return true;
}

static double left_out(const struct flash_fit *fit)
{
	return isfinite(fit->corrected_cv_error_frac)
		       ? fmin(fit->cv_error_frac, fit->corrected_cv_error_frac)
		       : fit->cv_error_frac;
}

/* Is 'a' to be taken rather than 'b', which has fewer parameters? */
static bool is_better(const struct flash_fit *a, const struct flash_fit *b)
{
	if (isfinite(left_out(a)) && isfinite(left_out(b)))
		return left_out(a) * AS_GOOD < left_out(b);
	if (isfinite(left_out(a)) != isfinite(left_out(b)))
		return isfinite(left_out(a));
	return a->aicc < b->aicc;
}

static int choose(struct flash_choice *choice, struct err *err)
{
	double least = INFINITY;
	unsigned best = FLASH_FORMS;

	for (unsigned i = 0; i < FLASH_FORMS; i++)
		if (choice->scores[i].fitted)
			least = fmin(least, choice->scores[i].fit.aicc);
	for (unsigned i = 0; i < FLASH_FORMS; i++) {
		const struct flash_form_score *score = &choice->scores[i];

		if (!score->fitted ||
		    (isfinite(score->fit.aicc) && score->fit.aicc > least + AICC_APART))
			continue;
		if (best == FLASH_FORMS || is_better(&score->fit, &choice->scores[best].fit))
			best = i;
	}
	if (best == FLASH_FORMS)
		return err_set(err, EDOM, "no form fits the points: %s", choice->scores[0].why);
	choice->chosen = best;
	return 0;
}

int flash_forms_fit(struct flash_choice *choice, const struct flash_point *points, size_t count,
		    const struct flash_fit_options *options, struct err *err)
{
	memset(choice, 0, sizeof(*choice));
	for (unsigned i = 0; i < FLASH_FORMS; i++) {
		struct flash_form_score *score = &choice->scores[i];
		struct flash_fit_options own;
		struct err why = {0};

		if (!form_options(&own, &flash_forms[i], options)) {
			snprintf(score->why, sizeof(score->why), "parameters are held");
			continue;
		}
		score->fitted = !flash_fit(&score->fit, points, count, &own, &why);
		snprintf(score->why, sizeof(score->why), "%.127s", why.msg);
		if (why.code == ENOMEM)
			return err_set(err, ENOMEM, "%s", why.msg);
	}
	return choose(choice, err);
}
