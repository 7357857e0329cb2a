/* SPDX-License-Identifier: GPL-3.0-or-later */
/* result_row.h - a row's values by column; for result_row.c and results.c alone */
#ifndef FLASH_RESULT_ROW_H
#define FLASH_RESULT_ROW_H

#include "results.h"

/* The column must be of the type that the function's name says. */
const char *row_text(const struct result_row *row, const struct result_column *column);
uint64_t row_u64(const struct result_row *row, const struct result_column *column);
double row_f64(const struct result_row *row, const struct result_column *column);

#endif
