/* SPDX-License-Identifier: GPL-3.0-or-later */
/* experiment.h - an experiment YAML becomes trials
 *
 * Parts by name (device, model, policy, target), then overlays in this order: the file, --set, the
 * sweep's point.  A sweep's keys are dotted paths: policy.window, model.layer_count,
 * device.flash.latency_ns, ctx, ...
 *
 *	sweep:
 *	  product: {path: [values] | {range: [first, last, step]}}   every combination, in the order
 *	                                                             written, last key fastest
 *	  zip:     {path: [values], ...}    side by side, equal lengths; multiplied with product
 *	  where:   {path: {at_least|at_most|is|is_not: v, unless: {path: v}}}
 *	                                    keeps the points that satisfy all
 *
 * or a list of such blocks, whose points follow each other; a trial that stands already is not
 * repeated.  A whole part is swept by name, `policy: [naive, all]`; dotted paths of it that the same
 * point or --set names go on top of each.  In `where`, `path: v` is short for {is: v}, and v may be
 * a list of which any will do; values are compared as numbers where both are numbers of one
 * dimension, else as text; a part has its name for a value; a path that a point's part does not
 * have restricts nothing.
 *
 * Paths of files are meant from the folder of the file that names them; on the command line, from
 * here. */
#ifndef FLASH_EXPERIMENT_H
#define FLASH_EXPERIMENT_H

#include "trial.h"

struct experiment {
	char name[PARAM_STR], about[PARAM_STR];
	bool in_sim, in_real;
	struct trial *trials;
	size_t trial_count;
	char **figures; /* names of plots/figures.h */
	size_t figure_count;
	struct ynode *source; /* parts in place, overlaid with the sets, sweep unexpanded: what
				 DIR/experiment.yaml says */
};

/* Load a file (or a word, looked up in configs/experiment), overlay 'sets' ("key=value"), expand
 * the sweep, resolve and check every trial. EINVAL with place. */
MUST_CHECK int experiment_load(struct experiment *experiment, const char *path,
			       const char *const *sets, size_t set_count, struct err *err);
void experiment_fini(struct experiment *experiment); /* zeroed is fine */

#endif
