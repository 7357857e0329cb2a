/* SPDX-License-Identifier: GPL-3.0-or-later */
/* device_annex.h - the parts of a profile that are no rows: correction and samples */
#ifndef FLASH_DEVICE_ANNEX_H
#define FLASH_DEVICE_ANNEX_H

#include "device.h"
#include "flash_fit.h"
#include "order.h"

#include <stdio.h>

/* A mapping of three lists: read_bytes and a second axis (in_flight of `correction:`, reads of
 * `batch_correction:`), ascending, and factor, for each size a list of what a throughput (of
 * batches: a time) is multiplied by.  NULL: an empty table.  EINVAL with place. */
MUST_CHECK int correction_read(struct flash_correction *correction, const struct ynode *map,
			       const char *second, struct err *err);
/* NULL: out of memory. */
struct ynode *correction_tree(const struct flash_correction *correction, const char *second);
/* As YAML for people; nothing for an empty table. */
void correction_write(FILE *out, const char *key, const struct flash_correction *correction,
		      const char *second);

/* `samples:`, a list of fits to resampled points, each [latency_ns, stream_bytes_per_s,
 * request_rate_per_s, peak_bytes_per_s, size_norm, knee] in base units: what prediction intervals
 * are drawn from.  'samples' has room for FLASH_FIT_SAMPLES. */
MUST_CHECK int samples_read(double (*samples)[FLASH_FIT_PARAMS], unsigned *count,
			    const struct ynode *list, struct err *err);
void samples_write(FILE *out, const struct flash_fit *fit);

#endif
