/* SPDX-License-Identifier: GPL-3.0-or-later */
/* timelines.h - where the time of one token of one trial goes, predicted and measured side by side
 *
 * The middle one of the measured tokens, in real of the first repeat. */
#ifndef FLASH_TIMELINES_H
#define FLASH_TIMELINES_H

#include "experiment.h"
#include "timeline.h"

struct timelines {
	const struct trial *trial; /* NULL: none was asked for */
	struct timeline predicted, measured;
};

/* 'name': the trial's as the tables print it, the beginning of its hash, or its number from 1; NULL: none.
 * EINVAL when it is no trial's, or more than one's. */
MUST_CHECK int timelines_open(struct timelines *timelines, const struct experiment *experiment,
			      const char *name, struct err *err);
void timelines_close(struct timelines *timelines);

/* NULL where it is another trial's. */
struct timeline *timelines_of(struct timelines *timelines, const struct trial *trial,
			      const char *world);
/* DIR/timeline.json; nothing where neither world ran the trial. */
MUST_CHECK int timelines_write(const struct timelines *timelines, const char *dir, struct err *err);

#endif
