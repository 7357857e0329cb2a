/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate_first.h - `validate --calibrate`: the profile that the trials will be predicted from */
#ifndef FLASH_CALIBRATE_FIRST_H
#define FLASH_CALIBRATE_FIRST_H

#include "experiment.h"

#include <limits.h>

struct calibrate_first {
	const char *dir;  /* DIR/device.yaml is written */
	const char *mode; /* quick or full */
	bool keep;	  /* one that is there is used again */
	FILE *report;	  /* may be NULL */
};
/* Calibrate the target of all the experiment's trials with their threads and weights; the profile's path.
 * EINVAL where they have several. */
MUST_CHECK int calibrate_first(char path[PATH_MAX], const struct calibrate_first *first,
			       const struct experiment *experiment, struct err *err);
/* EINVAL unless 'mode' is one, and no set names a device too. */
MUST_CHECK int calibrate_first_check(const char *mode, const char *const *sets, size_t set_count,
				     struct err *err);

#endif
