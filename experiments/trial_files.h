/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_files.h - what a trial leaves beside its row in the folder of a sweep
 *
 * DIR/configs/<trial_hash>.yaml, all that a trial was, loadable by itself; and on request
 * DIR/decisions/<trial_hash>.<world>.log, the text that its decision_hash digests
 * (decision_log.h): equal to the byte in sim and real, so that diff(1) names the first step that
 * is not.  Each appears whole or not at all. */
#ifndef FLASH_TRIAL_FILES_H
#define FLASH_TRIAL_FILES_H

#include "newfile.h"
#include "trial.h"

#include <limits.h>

/* The folder that the trial's weights lie in: model_files, or its <weights>/ where `model synth` made several
 * types.  EINVAL when the trial names none. */
MUST_CHECK int trial_model_folder(char path[PATH_MAX], const struct trial *trial, struct err *err);

MUST_CHECK int trial_config_write(const char *dir, const struct trial *trial, struct err *err);

/* A log to be written into and then committed, or dropped. */
MUST_CHECK int trial_decisions_open(struct newfile *log, const char *dir, const struct trial *trial,
				    const char *world, struct err *err);

#endif
