/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dram.c - what the store's deletes and inserts cost */
#include "dram.h"

#include <assert.h>

/* A profile that knows nothing of new memory takes it for memory that is there. */
static double fresh_rate(const struct dram_params *dram)
{
	return dram->fresh_bytes_per_s > 0 ? dram->fresh_bytes_per_s : dram->move_bytes_per_s;
}

double dram_far_frac(double near_bytes, double staged_bytes)
{
	return near_bytes > 0 && staged_bytes > near_bytes ? 1 - near_bytes / staged_bytes : 0;
}

static double append_ns(const struct dram_params *dram, const struct store_work *work)
{
	double far = dram_far_frac((double)dram->near_bytes, (double)work->staged_bytes);
	double ns = (double)work->append_bytes / dram->append_bytes_per_s * 1e9;

	if (!(dram->append_far_bytes_per_s > 0))
		return ns;
	return (1 - far) * ns +
	       far * (double)work->append_bytes / dram->append_far_bytes_per_s * 1e9;
}

double dram_step_ns(const struct dram_params *dram, const struct store_work *work)
{
	return (double)work->step_count * dram->step_ns + append_ns(dram, work) +
	       (double)work->append_rows * dram->append_row_ns +
	       (double)work->move_bytes / dram->move_bytes_per_s * 1e9 +
	       (double)work->fresh_bytes / fresh_rate(dram) * 1e9 +
	       (double)work->delete_rows * dram->move_row_ns +
	       (double)work->neuron_count * dram->scan_neuron_ns;
}

/* Deleted rows that are expected among the last 'deleted' places, which are cut off: the newest
 * rows lie there, and how many of those go is known; the others count as lying anywhere. */
static double cut_off(const struct compact_rows *rows)
{
	double deleted = (double)rows->deleted, newest = (double)rows->newest;
	double others = (double)rows->before - newest;

	if (newest >= deleted)
		return newest > 0 ? (double)rows->newest_deleted * deleted / newest : 0;
	return (double)rows->newest_deleted +
	       (deleted - (double)rows->newest_deleted) * (deleted - newest) / others;
}

double dram_compact_moves(const struct compact_rows *rows)
{
	assert(rows->deleted <= rows->before && rows->newest <= rows->before);
	assert(rows->newest_deleted <= rows->newest && rows->newest_deleted <= rows->deleted);
	return (double)rows->deleted - cut_off(rows);
}
