/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calibrate_first.c - one calibration of what an experiment's trials share, before they run */
#include "calibrate_first.h"

#include "calibrate.h"
#include "cli.h"
#include "trial_books.h"
#include "trial_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* As issue and manual have it: a quick one takes at most 20 s, a full one a few minutes. */
static const struct {
	const char *name;
	double seconds;
} modes[] = {{"quick", CALIBRATE_QUICK_SECONDS}, {"full", CALIBRATE_FULL_SECONDS}};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static double mode_seconds(const char *mode)
{
	for (size_t i = 0; i < MODES; i++) {
		if (strcmp(modes[i].name, mode) == 0)
			return modes[i].seconds;
	}
	return 0;
}

int calibrate_first_check(const char *mode, const char *const *sets, size_t set_count,
			  struct err *err)
{
	if (mode_seconds(mode) <= 0)
		return err_set(err, EINVAL, "--calibrate: got '%s', expected quick or full", mode);
	for (size_t i = 0; i < set_count; i++) {
		if (strncmp(sets[i], "device=", strlen("device=")) == 0)
			return err_set(err, EINVAL,
				       "--calibrate makes the profile that --set %s names: one of "
				       "them, please",
				       sets[i]);
	}
	return 0;
}

/* One profile is of one device, one number of threads and one model's files. */
static int check_same(const struct experiment *experiment, struct err *err)
{
	const struct trial *first = &experiment->trials[0];

	for (size_t i = 1; i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];

		if (strcmp(trial->target.name, first->target.name) != 0)
			return err_set(err, EINVAL,
				       "--calibrate: trials run on targets %s and %s, and one "
				       "profile is of one",
				       first->target.name, trial->target.name);
		if (trial_threads(trial) != trial_threads(first))
			return err_set(err, EINVAL,
				       "--calibrate: trials compute with %u and %u threads, and "
				       "one profile is of one number",
				       trial_threads(first), trial_threads(trial));
		if (strcmp(trial->run.model_files, first->run.model_files) != 0)
			return err_set(err, EINVAL,
				       "--calibrate: trials read '%s' and '%s', and one profile is "
				       "measured on one",
				       first->run.model_files, trial->run.model_files);
	}
	return 0;
}

static int run_calibration(const char *path, const struct calibrate_first *first,
			   const struct trial *trial, struct err *err)
{
	struct fraction_progress progress = {NULL, 0};
	char folder[PATH_MAX], name[RESULT_TEXT];
	struct calibrate_options options = {
		.mode = strcmp(first->mode, "full") == 0 ? CALIBRATE_FULL : CALIBRATE_QUICK,
		.model_dir = folder,
		.target = &trial->target,
		.threads = trial_threads(trial),
		.seconds = mode_seconds(first->mode),
		.seed = trial->run.seed,
		.name = name,
		.progress = fraction_tell,
		.progress_arg = &progress,
	};

	if (trial_model_folder(folder, trial, err))
		return err->code;
	snprintf(name, sizeof(name), "%.200s%s",
		 trial->target.is_emulated ? trial->target.name : "this-host",
		 trial->target.is_emulated ? "-calibrated" : "");
	progress.line = progress_open("calibrate", 2); /* flash, then the engine's steps */
	(void)!calibrate(&options, path, first->report, err);
	progress_close(progress.line);
	return err->code;
}

int calibrate_first(char path[PATH_MAX], const struct calibrate_first *first,
		    const struct experiment *experiment, struct err *err)
{
	if (snprintf(path, PATH_MAX, "%s/device.yaml", first->dir) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "-o: '%.200s' is too long", first->dir);
	if (check_same(experiment, err))
		return err->code;
	if (first->keep && access(path, R_OK) == 0) {
		fprintf(stderr, "flashcast: %s is used again\n", path);
		return 0;
	}
	return run_calibration(path, first, &experiment->trials[0], err);
}
