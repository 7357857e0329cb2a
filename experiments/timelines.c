/* SPDX-License-Identifier: GPL-3.0-or-later */
/* timelines.c - the trial whose token is followed in both worlds, and its file */
#include "timelines.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_LEAST = 4 }; /* characters that may stand for a hash */

static bool is_called(const struct trial *trial, size_t number, const char *name)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%zu", number);
	return strcmp(name, trial->name) == 0 || strcmp(name, digits) == 0 ||
	       (!trial->name[0] && strcmp(name, trial->policy.name) == 0) ||
	       (strlen(name) >= HASH_LEAST && strncmp(name, trial->hash, strlen(name)) == 0);
}

int timelines_open(struct timelines *timelines, const struct experiment *experiment,
		   const char *name, struct err *err)
{
	const struct trial *found = NULL;
	uint32_t token;

	*timelines = (struct timelines){0};
	if (!name)
		return 0;
	for (size_t i = 0; i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];

		if (!is_called(trial, i + 1, name))
			continue;
		if (found)
			return err_set(err, EINVAL, "--timeline: '%s' is more than one trial",
				       name);
		found = trial;
	}
	if (!found)
		return err_set(err, EINVAL,
			       "--timeline: '%s' is no trial of %s, expected a name as '%s', the "
			       "beginning of a hash, or a number from 1 to %zu",
			       name, experiment->name,
			       experiment->trial_count ? experiment->trials[0].name : "",
			       experiment->trial_count);
	token = (uint32_t)(found->run.warmup + found->run.tokens / 2);
	timelines->trial = found;
	if (timeline_open(&timelines->predicted, token, TIMELINE_ROOM, err) ||
	    timeline_open(&timelines->measured, token, TIMELINE_ROOM, err))
		timelines_close(timelines);
	return err->code;
}

void timelines_close(struct timelines *timelines)
{
	timeline_close(&timelines->predicted);
	timeline_close(&timelines->measured);
	*timelines = (struct timelines){0};
}

struct timeline *timelines_of(struct timelines *timelines, const struct trial *trial,
			      const char *world)
{
	if (trial != timelines->trial)
		return NULL;
	return strcmp(world, "sim") == 0 ? &timelines->predicted : &timelines->measured;
}

int timelines_write(const struct timelines *timelines, const char *dir, struct err *err)
{
	const struct timeline_process processes[] = {{"predicted", &timelines->predicted},
						     {"measured", &timelines->measured}};
	char path[PATH_MAX];

	if (!timelines->predicted.count && !timelines->measured.count)
		return 0;
	snprintf(path, sizeof(path), "%s/timeline.json", dir);
	return timeline_write(path, processes, 2, err);
}
