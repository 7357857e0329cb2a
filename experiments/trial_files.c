/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_files.c - a trial's config and decisions as files beside the rows */
#include "trial_files.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

static int path_check(int length, const char *dir, struct err *err)
{
	if (length < PATH_MAX)
		return 0;
	return err_set(err, ENAMETOOLONG, "%s: paths below it have %d bytes, expected at most %d",
		       dir, length, PATH_MAX - 1);
}

int trial_model_folder(char path[PATH_MAX], const struct trial *trial, struct err *err)
{
	const char *weights = weight_type_words[trial->policy.weights].text;
	struct stat st;

	if (!trial->run.model_files[0])
		return err_set(
			err, EINVAL,
			"model_files is empty, expected a folder with %s's weights (make one: "
			"flashcast model synth %s -o DIR, then --set model_files=DIR)",
			trial->model.name, trial->model.name);
	snprintf(path, PATH_MAX, "%s/%s", trial->run.model_files, weights);
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		snprintf(path, PATH_MAX, "%s", trial->run.model_files);
	return 0;
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
