/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_forms.h - the forms that a device's points may follow, and which of them to take
 *
 * All are cases of the one form of flash.h, with parameters held, so that any of them is a profile. */
#ifndef FLASH_FLASH_FORMS_H
#define FLASH_FLASH_FORMS_H

#include "flash_fit.h"

struct flash_form {
	const char *name, *formula;
	double fixed[FLASH_FIT_PARAMS];
	enum flash_tie tie;
};

enum { FLASH_FORMS = 8 };
extern const struct flash_form
	flash_forms[FLASH_FORMS]; /* from the fewest parameters to the most */

struct flash_form_score {
	bool fitted; /* false: 'why' says why not */
	struct flash_fit fit;
	char why[128];
};

struct flash_choice {
	struct flash_form_score scores[FLASH_FORMS];
	unsigned chosen;
};

/* Fit every form and choose: of those that Akaike's criterion does not rule out (within 10 of the
 * least; a form with too few points for it is not judged by it) the one with the least error at
 * sizes left out, the corrected one where options->correct; of equals (within 2 %) the one
 * with fewer parameters.  Without figures for sizes left out, the least AICc, then the fewest
 * parameters.  options->fixed holds parameters over the form's own, and leaves out tied forms whose
 * tie it would break.  EDOM: no form fits. */
MUST_CHECK int flash_forms_fit(struct flash_choice *choice, const struct flash_point *points,
			       size_t count, const struct flash_fit_options *options,
			       struct err *err);

#endif
