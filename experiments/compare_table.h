/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_table.h - what the comparison and its printed forms share */
#ifndef FLASH_COMPARE_TABLE_H
#define FLASH_COMPARE_TABLE_H

#include "compare.h"
#include "yaml.h"

enum { CELL_TEXT = 32 };

double compare_value(const struct result_row *row, enum component component);
double compare_quantile(const struct result_row *row, enum quantile quantile);
uint64_t compare_clean_repeats(const struct result_row *real);
/* One experiment, model, device profile and target: what may be ranked against each other. */
bool compare_same_group(const struct comparison *a, const struct comparison *b);
/* Kendall's tau, the pairs that it is over, and the regret. */
void compare_rank(struct comparison_summary *summary, const struct comparison *pairs, size_t count);

/* ---- words and numbers ---- */

extern const char *const component_names[COMPONENT__COUNT]; /* keys */
extern const char *const component_titles[COMPONENT__COUNT];
extern const char *const quantile_names[QUANTILE__COUNT];
/* What the trial sweeps, or its policy's name; returns 'name'. */
const char *compare_name(char name[RESULT_TEXT], const struct comparison *pair);
/* Why it is not judged; "" when it is. */
enum { WHY_TEXT = 96 };
const char *compare_why(char why[WHY_TEXT], const struct comparison *pair);
/* What speaks against a line, with 'before' in front of each remark; nothing for most. */
void compare_put_remarks(FILE *out, const struct comparison *pair, const char *before);
double compare_dram_bytes(const struct result_row *row); /* NaN when absent */
/* Three digits that matter, never an exponent: 2196, 164, 8.65, 0.12; "-" for NaN. */
const char *compare_cell(char text[CELL_TEXT], double value);
/* In percent with one digit; 'sign' stands in front of what is not negative. */
const char *compare_percent(char text[CELL_TEXT], double frac, const char *sign);

/* What a profile's flash form was fitted to. */
struct fitted_points {
	size_t count, sizes;		/* points; distinct request sizes */
	size_t batches;			/* of reads, that the form was corrected by */
	double least_bytes, most_bytes; /* NaN of none */
	double least_in_flight, most_in_flight;
};
struct fitted_points compare_fitted(const struct ynode *profile);
/* A scalar of the profile's origin; "" when it is not there. */
const char *compare_origin(const struct ynode *profile, const char *key);

#endif
