/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dram.h - memory management as arithmetic: what the store's deletes and inserts cost
 *
 * The paper's structure (3.3): a hole is filled by the last row, new rows are appended. */
#ifndef FLASH_DRAM_H
#define FLASH_DRAM_H

#include "device.h"

/* What one step asks of the store of one layer. */
struct store_work {
	uint64_t step_count;   /* decided */
	uint64_t neuron_count; /* of the layer: length of the scan; 0 when no rows are decided on */
	uint64_t append_rows;
	uint64_t append_bytes; /* copied from read buffers into rows; 0 where reads land in them */
	/* All that was read before the first of them is copied, neighbours that are dropped too; 0: each is copied as it
	 * comes. */
	uint64_t staged_bytes;
	uint64_t delete_rows;
	uint64_t move_bytes;  /* rows copied inside the store */
	uint64_t fresh_bytes; /* rows copied into newly allocated memory */
};

double dram_step_ns(const struct dram_params *dram, const struct store_work *work);
/* Share of what was read that has left the caches by then: the rest is as much as they keep. */
double dram_far_frac(double near_bytes, double staged_bytes);

/* What a compacting delete finds: rows appended last lie at the end. */
struct compact_rows {
	uint64_t before, deleted;
	uint64_t newest; /* of 'before', those that the step before appended; 0 = not known */
	uint64_t newest_deleted; /* of them, how many are deleted */
};
/* Expected rows that compact deletion copies: the deleted ones, less those in the tail that is cut
 * off. A window of two tokens and more never deletes what it loaded last, so that every hole costs
 * a row; where nothing is known of the newest this is c (n - c) / n. */
double dram_compact_moves(const struct compact_rows *rows);

#endif
