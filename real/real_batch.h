/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_batch.h - matrices times many positions at once (prefill), through a BLAS library
 *
 * Weights become floats BATCH_ROWS rows at a time, so that no matrix is ever held twice.  Each
 * thread of the pool calls a BLAS that runs no threads of its own. */
#ifndef FLASH_REAL_BATCH_H
#define FLASH_REAL_BATCH_H

#include "real_forward.h"

/* y[p][i] = row_i . x[p]:  x [batch][d], y [batch] rows, 'width' floats apart. */
void batch_multiply(struct forward *f, float *y, size_t width, const float *x,
		    const struct forward_rows *rows);
/* Hand every position's logits of these rows to f->take_logits. */
void batch_logits(struct forward *f, const struct forward_rows *rows);
/* out[p] += act(up . normed[p] + bias) down, over all rows. */
void batch_ffn(struct forward *f, const struct ffn_rows *rows);

#endif
