/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_flash.h - how long a plan's reads take, at two levels of detail
 *
 * Closed form: flash_batch_ns() where all reads are of one size.  Of several sizes b, N_b reads each
 * and N in all,
 *	batch_ns + max (R(b,1) - D(b)) + sum N_b D(b)        one ramp, every read's bottleneck
 *	+ (N - n) (1 + (n-1)/2N) sum N_b/N (1/X(b,n) - D(b))   where N > n: what latency costs beyond it
 * which for one size is the same.
 *
 * Recursion: reads in order over P parallel units and one shared bus, at most n outstanding.  Read i
 *	starts    when read i-n has completed and its unit (i mod P) is free; then
 *	occupies  the unit for U(b) = R(b,1) - D(b), and the unit with its data waits for the bus; then
 *	occupies  the bus for D(b), requests and bytes both being a cost of the one path to the host.
 * P is the fewest units that never limit: the largest R/D of any size.  So it agrees with the closed
 * form for one read, for a saturated device, and for one outstanding read; between them the closed
 * form's knee q rounds off what is here a corner. */
#ifndef FLASH_SIM_FLASH_H
#define FLASH_SIM_FLASH_H

#include "flash.h"
#include "plan.h"

/* What one read of a size costs. */
struct sim_read_cost {
	uint64_t bytes;
	double alone_ns;      /* R(b,1) */
	double bottleneck_ns; /* D(b) */
	double interval_ns;   /* 1/X(b,n) */
};

enum { SIM_FLASH_SIZES = 16 };

struct sim_flash {
	const struct flash_params *params;
	unsigned in_flight;
	unsigned unit_count;  /* P */
	double *unit_free_ns; /* [unit_count]; owned */
	double *ended_ns;     /* [in_flight] ring of completions; owned */
	/* Sizes seen lately: a plan's are few, and pow() is slow. */
	struct sim_read_cost sizes[SIM_FLASH_SIZES];
	unsigned size_count, size_next;
};

MUST_CHECK int sim_flash_open(struct sim_flash *flash, const struct flash_params *params,
			      unsigned in_flight, struct err *err);
void sim_flash_close(struct sim_flash *flash);

/* Time from a batch's submission to its last completion, on an idle device.  0 reads: 0 ns. */
double sim_flash_closed_ns(struct sim_flash *flash, const struct read_class *classes,
			   unsigned class_count);

/* The recursion, read by read: start, then the reads in order, then the time since start of the
 * last completion (0 when there was none). */
struct sim_batch {
	struct sim_flash *flash;
	struct sim_read_cost cost;
	unsigned unit, slot;
	double bus_free_ns;
};
void sim_batch_start(struct sim_batch *batch, struct sim_flash *flash);
void sim_batch_read(struct sim_batch *batch, uint64_t bytes, uint64_t count);
double sim_batch_end_ns(const struct sim_batch *batch);

/* All reads of a plan through the recursion. */
double sim_flash_recursion_ns(struct sim_flash *flash, const struct plan *plan);

#endif
