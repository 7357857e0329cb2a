/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_batch.h - readers of a sweep, one for each number in flight, and one timed batch */
#ifndef FLASH_PROBE_BATCH_H
#define FLASH_PROBE_BATCH_H

#include "real_probe.h"
#include "real_read.h"
#include "rng.h"

enum { PROBE_LANES = 16, PROBE_READS_MAX = 1 << 16 };

struct probe_lane {
	struct reader *reader;
	unsigned in_flight;
	unsigned char *buffer;
	size_t buffer_bytes;
};

struct probe_readers {
	const struct probe_flash_options *options;
	struct probe_lane lanes[PROBE_LANES];
	unsigned lane_count;
	struct read_request *requests;
	struct rng rng;
};

/* One lane for each in_flight of the cells. */
MUST_CHECK int probe_readers_open(struct probe_readers *readers,
				  const struct probe_flash_options *options, struct err *err);
void probe_readers_close(struct probe_readers *readers);

struct probe_timed {
	double ns;	 /* of a read in the steady state, of a batch else (struct probe_point) */
	double whole_ns; /* of all of it */
	bool late;	 /* an emulated device that could not keep its pace here */
};
/* Read 'count' reads of a cell: those of a batch spread evenly over one layer, those of the steady
 * state over layer after layer, as sparse as a layer's misses of that size are. */
MUST_CHECK int probe_time(struct probe_timed *timed, struct probe_readers *readers,
			  const struct probe_cell *cell, uint64_t count, struct err *err);

#endif
