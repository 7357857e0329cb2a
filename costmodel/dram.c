/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dram.c - what the store's deletes and inserts cost */
#include "dram.h"

#include <assert.h>

double dram_step_ns(const struct dram_params *dram, const struct store_work *work)
{
	return (double)work->append_bytes / dram->append_bytes_per_s * 1e9 +
	       (double)work->append_rows * dram->append_row_ns +
	       (double)work->move_bytes / dram->move_bytes_per_s * 1e9 +
	       (double)work->delete_rows * dram->move_row_ns +
	       (double)work->neuron_count * dram->scan_neuron_ns;
}

double dram_compact_moves(uint64_t rows_before, uint64_t rows_deleted)
{
	assert(rows_deleted <= rows_before);
	if (rows_before == 0)
		return 0;
	return (double)rows_deleted * (double)(rows_before - rows_deleted) / (double)rows_before;
}
