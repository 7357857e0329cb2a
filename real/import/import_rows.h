/* SPDX-License-Identifier: GPL-3.0-or-later */
/* import_rows.h - a checkpoint's weights as rows for real_write.c: read by range, converted,
 * transposed
 *
 * The down projection lies [d_model, d_ffn] and its columns are wanted.  Neighbouring columns are
 * read into one block, as many as fit into 'column_bytes', and handed out from there: a matrix of
 * OPT 6.7B in 16 bits fits whole, so that its file is read from front to back; of larger ones a
 * part of each row is read in turn. */
#ifndef FLASH_IMPORT_ROWS_H
#define FLASH_IMPORT_ROWS_H

#include "import_source.h"
#include "real_write.h"

struct import_rows;
struct pool;

struct import_rows_options {
	const struct source *source; /* outlives the rows, as does the pool */
	struct pool *pool;
	size_t column_bytes;
};
MUST_CHECK int import_rows_open(struct import_rows **out, const struct import_rows_options *options,
				struct err *err);
void import_rows_close(struct import_rows *rows); /* NULL is fine */

/* For struct row_source.  ERANGE, when a tensor's last row came by, names one with weights that are
 * no finite number, or too large for the type wanted, and counts them. */
MUST_CHECK int import_rows_get(void *import_rows, const struct file_tensors *it,
			       const struct row_span *span, struct err *err);

/* Whether the head holds the embedding's weights; if not, the first row and column where it does
 * not. */
struct head_difference {
	bool differs;
	uint64_t row, column;
	double head, embedding;
};
MUST_CHECK int import_compare_head(struct import_rows *rows, struct head_difference *difference,
				   struct err *err);

#endif
