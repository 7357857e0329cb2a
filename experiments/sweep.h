/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep.h - product, zip, range, where: a sweep becomes points (experiment.h says how it reads) */
#ifndef FLASH_SWEEP_H
#define FLASH_SWEEP_H

#include "yaml.h"

#include <stdint.h>

enum { SWEEP_POINTS_MAX = 1000000 };

struct sweep_point {
	const char **paths; /* borrowed from the sweep's mapping */
	const struct ynode **values;
	size_t count;
	size_t block; /* which mapping of a list of sweeps it comes from; 0 without a list */
	/* Bit i: paths[i] helps to tell this point from the others.  A part, or a key of one, of one value does
	 * so only among several blocks; never another path of one value, one whose values are all equal, nor what is zipped to a path that
	 * tells all by itself. */
	uint32_t tells;
};
struct sweep {
	struct sweep_point *points;
	size_t count;
	struct ynode *made; /* nodes that range made; owned */
	size_t blocks;	    /* mappings in the list; 0 without one */
};

/* 'node': a block {product, zip, where}, or a list of blocks whose points follow each other; NULL:
 * one empty point.  'base' gives the value of paths that a `where` names and the sweep does not.
 * EINVAL with place; more than SWEEP_POINTS_MAX points is refused with the count.  'node' and
 * 'base' must outlive it. */
MUST_CHECK int sweep_expand(struct sweep *sweep, const struct ynode *node, const struct ynode *base,
			    struct err *err);
void sweep_fini(struct sweep *sweep); /* zeroed is fine */

#endif
