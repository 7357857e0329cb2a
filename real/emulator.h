/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulator.h - the mechanism of an emulated device: when would a read that it accepts now be complete?
 *
 * No clock, no process, no data: times go in and out, the caller keeps them.  A read passes
 *	the controller  one read every 1 / request_rate_per_s, in order of acceptance;
 *	its units       it is cut at multiples of stripe_bytes; each stripe belongs to one unit, which serves
 *	                its pieces in order, unit_ns + bytes / unit_bytes_per_s each, twice when the read is
 *	                retried, longer by an exponential time when it stalls (its first piece only);
 *	the bus         pieces in the order in which their units finished, bytes / bus_bytes_per_s each, and
 *	                bus_ns once a read; never idle while a piece is ready;
 *	the host        host_ns after its last piece.
 * Runs of `units` consecutive stripes lie on all units once, each run rotated by a hash: a long read
 * finds them all, and scattered reads collide as they would by chance.  Deterministic by seed. */
#ifndef FLASH_EMULATOR_H
#define FLASH_EMULATOR_H

#include "real_emulated.h"

/* The longest read that the device accepts; the host cuts longer ones, as drivers do. */
enum { EMULATOR_READ_MAX = 1 << 20 };

struct emulator_read {
	uint32_t tag; /* the caller's */
	unsigned file;
	uint64_t offset;
	uint32_t bytes; /* 1 .. EMULATOR_READ_MAX */
};

struct emulator_done {
	uint32_t tag;
	uint64_t at_ns;
};

struct emulator;

/* in_flight = most reads accepted and not yet returned.  Nothing is allocated afterwards. */
MUST_CHECK int emulator_open(struct emulator **out, const struct emulated_params *params,
			     unsigned in_flight, uint64_t seed, struct err *err);
void emulator_close(struct emulator *emulator); /* NULL is fine */

/* Accept a read at at_ns, not before the last completion that was returned or the last acceptance.
 */
void emulator_accept(struct emulator *emulator, const struct emulator_read *read, uint64_t at_ns);
/* The next completion, in order of time; false when nothing is in flight. */
bool emulator_next(struct emulator *emulator, struct emulator_done *done);

/* Where an address lies: 0 .. units - 1. */
uint32_t emulator_unit(const struct emulated_params *params, unsigned file, uint64_t offset);

/* Busy time so far, to hold against elapsed time. */
struct emulator_busy {
	uint64_t bus_ns, unit_ns; /* unit_ns: all units together */
	uint64_t stall_count, retry_count;
};
struct emulator_busy emulator_busy(const struct emulator *emulator);

#endif
