/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.h - predicted against measured: pairs of sim and real rows of one trial, and how good the
 * predictions are
 *
 * Definitions after docs/costmodel.md and the design: error = |predicted - measured| / measured; a
 * trial whose noise floor is above 8 %, or rests on fewer than 10 unpolluted repeats, is listed as
 * not judged; a component that measures less than 1 % of the total is left out of that component's
 * errors, which no user would see; two policies closer than the noise floor are not ranked; Kendall
 * tau over policies within 2 x of the best.  Only trials of one experiment, model, device profile and target are
 * ranked against each other. */
#ifndef FLASH_COMPARE_H
#define FLASH_COMPARE_H

#include "results.h"

#include <stdio.h>

enum component {
	COMPONENT_IO,
	COMPONENT_MEM,
	COMPONENT_COMPUTE,
	COMPONENT_TOTAL,
	COMPONENT__COUNT
};

#define COMPARE_NOISE_MAX 0.08
#define COMPARE_SHARE_MIN 0.01
enum { COMPARE_REPEATS_MIN = 10 };

struct comparison {
	const struct result_row *sim, *real; /* same trial_hash */
	double error_frac[COMPONENT__COUNT]; /* signed; NaN when the measured value is 0 */
	bool judged; /* noise floor at most COMPARE_NOISE_MAX over COMPARE_REPEATS_MIN clean repeats
		      */
	bool same_threads;   /* the profile's figures are of as many threads as were measured */
	bool same_decisions; /* decision_hash, reads, bytes, loads are equal */
};
/* Over the judged pairs; NaN where there are none, or no two that can be ranked. */
struct comparison_summary {
	size_t pairs, judged, same_decisions; /* same_decisions: of all pairs */
	double median_frac[COMPONENT__COUNT],
		p90_frac[COMPONENT__COUNT]; /* of the absolute error */
	double bias_frac[COMPONENT__COUNT]; /* mean of the signed error */
	size_t counted[COMPONENT__COUNT];   /* judged pairs whose measured share counts */
	double within_10_all_frac; /* share of all trials whose total is within 10 %, judged or not
				    */
	double within_10_frac;	   /* share of judged trials whose total is within 10 % */
	double kendall_tau;	   /* tau-b over all groups' rankable pairs */
	double regret_frac;	   /* measured cost of what the prediction ranks first over the best
				      measured - 1; the worst group's */
};

/* Whether the component is enough of what was measured to be judged by. */
bool compare_counts(const struct comparison *pair, enum component component);

/* Pair rows; *out is the caller's to free() and borrows the rows.  In the order of the sim rows. */
MUST_CHECK int compare_rows(struct comparison **out, size_t *count, const struct result_row *rows,
			    size_t row_count, struct err *err);
void compare_summarise(struct comparison_summary *summary, const struct comparison *pairs,
		       size_t count);
/* The table that demo and validate print: policy, DRAM, bytes and reads a token, predicted and
 * measured ms by component, error, noise floor. */
void compare_print(FILE *out, const struct comparison *pairs, size_t count,
		   const struct comparison_summary *summary);
/* The same facts as JSON. */
void compare_json(FILE *out, const struct comparison *pairs, size_t count,
		  const struct comparison_summary *summary);

#endif
