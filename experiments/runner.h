/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.h - runs the trials of an experiment into a result store: parallel in sim, interleaved in real
 *
 * sim trials run on 'jobs' threads; real trials run one at a time, repeats interleaved (A B C A B C ...), each
 * guarded against foreign traffic.  A trial that fails is reported at once and the others go on; the run then ends with
 * EIO and the count.  Rows land as they are done. */
#ifndef FLASH_RUNNER_H
#define FLASH_RUNNER_H

#include "experiment.h"
#include "progress.h"

struct runner_options {
	const char *dir;
	bool sim, real;          /* worlds to run: the experiment's, narrowed by --world */
	unsigned jobs;           /* 0 = all cores */
	bool resume;             /* keep rows that are there; without it an existing row is replaced */
	unsigned shard, shard_count; /* run trials i with i % count == shard - 1; count 0 = all */
	bool layers;             /* per-layer token lines too */
	struct progress *progress; /* NULL = silent */
};
struct runner_totals {
	size_t done, kept, failed;
};
MUST_CHECK int runner_run(struct runner_totals *totals, struct experiment *experiment,
			  const struct runner_options *options, struct err *err);

#endif
