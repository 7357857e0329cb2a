/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_files.c - a trial's config and decisions as files beside the rows */
#include "trial_files.h"

#include <errno.h>
#include <limits.h>

static int path_check(int length, const char *dir, struct err *err)
{
	if (length < PATH_MAX)
		return 0;
	return err_set(err, ENAMETOOLONG, "%s: paths below it have %d bytes, expected at most %d",
		       dir, length, PATH_MAX - 1);
}

int trial_config_write(const char *dir, const struct trial *trial, struct err *err)
{
	char path[PATH_MAX];
	struct newfile file;

	if (path_check(snprintf(path, sizeof(path), "%s/configs/%s.yaml", dir, trial->hash), dir,
		       err) ||
	    newfile_open(&file, path, err))
		return err->code;
	ynode_write(trial->resolved, file.stream);
	return newfile_commit(&file, err);
}

int trial_decisions_open(struct newfile *log, const char *dir, const struct trial *trial,
			 const char *world, struct err *err)
{
	char path[PATH_MAX];

	if (path_check(
		    snprintf(path, sizeof(path), "%s/decisions/%s.%s.log", dir, trial->hash, world),
		    dir, err))
		return err->code;
	return newfile_open(log, path, err);
}
