/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dram.h - memory management as arithmetic: what the store's deletes and inserts cost
 *
 * The paper's structure (3.3): a hole is filled by the last row, new rows are appended. */
#ifndef FLASH_DRAM_H
#define FLASH_DRAM_H

#include "device.h"

/* What one step asks of the store of one layer. */
struct store_work {
	uint64_t neuron_count; /* of the layer: length of the scan; 0 when nothing is decided */
	uint64_t append_rows;
	uint64_t append_bytes; /* copied from read buffers into rows */
	uint64_t delete_rows;
	uint64_t move_bytes; /* rows copied inside the store */
};

double dram_step_ns(const struct dram_params *dram, const struct store_work *work);

/* Expected rows that compact deletion copies: of c deleted rows among n, those not in the tail that
 * is cut off: c * (n - c) / n. */
double dram_compact_moves(uint64_t rows_before, uint64_t rows_deleted);

#endif
