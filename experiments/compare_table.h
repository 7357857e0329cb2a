/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_table.h - what the comparison and its printed forms share */
#ifndef FLASH_COMPARE_TABLE_H
#define FLASH_COMPARE_TABLE_H

#include "compare.h"

double compare_value(const struct result_row *row, enum component component);
uint64_t compare_clean_repeats(const struct result_row *real);
/* One experiment, model, device profile and target: what may be ranked against each other. */
bool compare_same_group(const struct comparison *a, const struct comparison *b);

#endif
