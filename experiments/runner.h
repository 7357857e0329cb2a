/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.h - runs the trials of an experiment into a result store: parallel in sim, interleaved in
 * real
 *
 * sim trials run on 'jobs' threads, and their rows land in the order of the trials, so that a store
 * does not tell how many threads there were.  real trials run one at a time, repeats interleaved (A
 * B C A B C ..., in as many rounds as run.visits says), each guarded against foreign traffic: a
 * polluted repeat is measured again, twice at most and only while such tries are few beside all
 * repeats, and counted when it stays so.  A real row lands after its last repeat.  On request a trial
 * that is then too noisy to be judged (compare.h) is measured again, all its repeats: such trials in rounds of
 * their own, three times at most and half of all trials together, and the quietest of a trial's rows stays.  A trial that
 * fails is reported at once and the others go on; the run then ends with EIO and the count.
 *
 * DIR gets experiment.yaml, devices/<device_hash>.yaml (profiles.h), configs/<trial_hash>.yaml (all that a
 * trial was, loadable by itself),
 * results.sqlite, and at the end, whatever happened, results.csv; on request timeline.json and
 * decisions/<trial_hash>.<world>.log (trial_files.h), for which each real trial runs once more,
 * unmeasured. */
#ifndef FLASH_RUNNER_H
#define FLASH_RUNNER_H

#include "experiment.h"
#include "progress.h"

#include <signal.h>

struct runner_options {
	const char *dir;
	bool sim, real; /* worlds to run: the experiment's, narrowed by --world */
	unsigned jobs;	/* 0 = all cores */
	bool resume;	/* keep rows that are there (real: of the same weights); without it an
			   existing row is replaced */
	unsigned shard, shard_count; /* run trials i with i % count == shard - 1; count 0 = all */
	bool layers;		     /* per-layer token lines too */
	bool decisions;		     /* decision logs as text */
	bool again;		     /* measure again what is too noisy */
	const char *timeline;	     /* a trial (timelines.h) of which one token is followed into
					DIR/timeline.json, whatever rows are kept; NULL: none */
	struct progress *progress;   /* NULL = silent; its total is the experiment's trial_count */
	const volatile sig_atomic_t *stop; /* set by a signal: finish the runs at hand, export,
					      ECANCELED; NULL = never */
};
struct runner_totals {
	size_t done, kept, failed; /* rows: a trial in two worlds is two */
};
/* EINVAL before anything runs when 'real' is asked and a trial names no model_files. */
MUST_CHECK int runner_run(struct runner_totals *totals, struct experiment *experiment,
			  const struct runner_options *options, struct err *err);

#endif
