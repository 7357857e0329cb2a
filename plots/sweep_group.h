/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep_group.h - finds the rows that differ in the swept axes only, so that a curve compares like
 * with like */
#ifndef FLASH_SWEEP_GROUP_H
#define FLASH_SWEEP_GROUP_H

#include "results.h"

#include <stdbool.h>

struct sweep_group {
	const struct result_row **rows; /* both worlds, ordered by chunk, then window; borrowed, the
					   array is the caller's to free() */
	size_t count;
};

/* Of the rows with residency window: those that agree in all axes but the window (and, when
 * 'with_chunk', the chunk), for the combination that has most different points.  Empty when there
 * is none. ENOMEM. */
MUST_CHECK int sweep_group_find(struct sweep_group *group, const struct result_row *rows,
				size_t count, bool with_chunk, struct err *err);

#endif
