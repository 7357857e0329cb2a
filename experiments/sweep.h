/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep.h - product, zip, range, where: a sweep mapping becomes points (experiment.h says how it reads) */
#ifndef FLASH_SWEEP_H
#define FLASH_SWEEP_H

#include "yaml.h"

struct sweep_point {
	const char **paths;           /* borrowed from the sweep's mapping */
	const struct ynode **values;
	size_t count;
};
struct sweep {
	struct sweep_point *points;
	size_t count;
	struct ynode *made; /* nodes that range made; owned */
};

/* 'map' NULL: one empty point.  'base' gives the value of paths that a `where` names and the sweep does not. EINVAL with place;
 * more than 1,000,000 points is refused with the count. */
MUST_CHECK int sweep_expand(struct sweep *sweep, const struct ynode *map, const struct ynode *base,
			    struct err *err);
void sweep_fini(struct sweep *sweep);

#endif
