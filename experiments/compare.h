/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.h - predicted against measured: pairs of sim and real rows of one trial, and how good the
 * predictions are
 *
 * Definitions, the same in docs/validation.md:
 *
 * error        (predicted - measured) / measured, signed; its median and p90 are of its size, its bias is the
 *              mean with the sign.
 * components   each against its like: flash I/O (time that reads were in service, io_ns), I/O wait (time that
 *              nothing else was done, io_wait_ns; the same unless reads overlap), memory management, compute,
 *              and the total, which is wall time.  One that measures less than 1 % of the total is left out of
 *              that component's errors, which no user would see.
 * noise floor  of a trial: the median gap between two interleaved repeats (trial.h).  Above 8 %, or with
 *              fewer than 10 unpolluted repeats, the trial is listed as not judged.
 * over floor   an error's size over the noise floor of its trial's total: under 1, the forecast was as good as
 *              another measurement.
 * quantiles    p50, p95 and p99 of a token's total, over the tokens of all repeats; each is judged where at
 *              least ten tokens lie beyond it: 20, 200 and 1,000 pooled tokens.
 * ranking      two policies closer than the larger of their noise floors are not ranked; Kendall's tau-b over
 *              policies within 2 x of the best of their rivals; regret: what the predicted best measures over
 *              the best measured, less 1 (0 where the two are not ranked), the worst of all.  Rivals are
 *              trials of one group (experiment, model, device profile and target) that read from flash at
 *              all, or that all do not: a model that stays in DRAM is no choice where DRAM is short.
 * host pace    how fast the host read memory beside the trials, over the pace at which their profile was calibrated
 *              (host_pace.h): the median.  Kernels and copies wait for memory, so that a host which has changed
 *              since is an error of theirs.
 * covered      the measurement's and the forecast's intervals (total_ns_low .. total_ns_high) have a value
 *              in common. */
#ifndef FLASH_COMPARE_H
#define FLASH_COMPARE_H

#include "results.h"

#include <stdio.h>

enum component {
	COMPONENT_IO,
	COMPONENT_WAIT,
	COMPONENT_MEM,
	COMPONENT_COMPUTE,
	COMPONENT_TOTAL,
	COMPONENT__COUNT
};
enum quantile { QUANTILE_P50, QUANTILE_P95, QUANTILE_P99, QUANTILE__COUNT };

#define COMPARE_NOISE_MAX 0.08
#define COMPARE_SHARE_MIN 0.01
enum { COMPARE_REPEATS_MIN = 10, COMPARE_BEYOND_MIN = 10 };

struct comparison {
	const struct result_row *sim, *real;	     /* same trial_hash */
	double error_frac[COMPONENT__COUNT];	     /* signed; NaN when the measured value is 0 */
	double quantile_error_frac[QUANTILE__COUNT]; /* NaN where it is not judged */
	uint64_t pooled_tokens;
	bool judged;	     /* little noise over enough clean repeats */
	bool same_threads;   /* the profile's figures are of as many threads as were measured */
	bool same_engine;    /* and of the read engine that was */
	bool same_decisions; /* decision_hash, reads, bytes, loads are equal */
	bool has_interval;   /* both rows have one */
	bool covered;
};

/* Sizes of errors over trials; NaN of none. */
struct error_summary {
	double median_frac, p90_frac, bias_frac;
	double over_floor; /* the median of it */
	size_t counted;
};
/* Over the judged pairs; NaN where there are none, or no two that can be ranked. */
struct comparison_summary {
	size_t pairs, judged, same_decisions; /* same_decisions: of all pairs */
	struct error_summary component[COMPONENT__COUNT], quantile[QUANTILE__COUNT];
	double floor_frac; /* median noise floor */
	double pace_frac;  /* median pace of the host's memory, over the profile's */
	double within_5_frac, within_10_frac; /* shares of judged trials by their total's error */
	double within_10_all_frac;	      /* of all trials, judged or not */
	double covered_frac;		      /* of the judged that have intervals */
	size_t ranked_pairs;
	double kendall_tau; /* over all groups' rankable pairs */
	double regret_frac;
};

/* Little noise over enough clean repeats. */
bool compare_is_judged(const struct result_row *real);
/* Whether the component is enough of what was measured to be judged by. */
bool compare_counts(const struct comparison *pair, enum component component);

/* Pair rows; *out is the caller's to free() and borrows the rows.  In the order of the sim rows. */
MUST_CHECK int compare_rows(struct comparison **out, size_t *count, const struct result_row *rows,
			    size_t row_count, struct err *err);
void compare_summarise(struct comparison_summary *summary, const struct comparison *pairs,
		       size_t count);

/* What is ranked against each other: pairs[first] .. */
struct comparison_group {
	size_t first, count;
	struct comparison_summary summary;
};
/* Everything that is told of a store's rows: the pairs, group after group, and what the profiles were fitted
 * to.  Borrows the rows. */
struct comparison_report {
	struct comparison *pairs;
	size_t pair_count;
	struct comparison_group *groups;
	size_t group_count;
	struct comparison_summary all;
	struct ynode **profiles; /* of groups[i]; NULL where DIR does not tell */
};
/* 'dir': the store's folder, for the profiles; NULL: there are none. */
MUST_CHECK int compare_report_make(struct comparison_report *report, const struct result_row *rows,
				   size_t row_count, const char *dir, struct err *err);
void compare_report_fini(struct comparison_report *report); /* zeroed is fine */

/* For people: a line a trial, then errors by component and quantile, ranking, what was not judged, what was
 * fitted and what was held out. */
void compare_print(FILE *out, const struct comparison_report *report);
/* The same as tables of Markdown, for docs/validation.md. */
void compare_markdown(FILE *out, const struct comparison_report *report);
/* The same as JSON. */
void compare_json(FILE *out, const struct comparison_report *report);

#endif
