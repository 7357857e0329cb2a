/* SPDX-License-Identifier: GPL-3.0-or-later */
/* event_device.h - a flash device as a network of queues, moved by events
 *
 *	host    arrived reads wait for one of 'slots' places in flight (first come first served);
 *	unit    then for their unit, which works for unit_ns and then holds the data;
 *	bus     then for the one bus, which takes bus_ns and frees bus, unit and place.
 *
 * With one place, or one unit and no bus, and random times, this is M/M/1; with c units of which any
 * idle one will do, M/M/c; with fixed times D/D/1.  tests/sim/test_queues.c holds it against their
 * closed forms.  A read is two events, a batch one; ties go to what was put in first. */
#ifndef FLASH_EVENT_DEVICE_H
#define FLASH_EVENT_DEVICE_H

#include "event_heap.h"
#include "sim_units.h"

struct event_read {
	double unit_ns, bus_ns;
	uint64_t bytes;
	uint64_t place; /* what units are hashed by */
};

/* Reads that arrive together. */
struct event_batch {
	/* The owner's.  next() gives 'count' reads, one when it is issued; done() may be NULL. */
	uint64_t count, bytes;
	void (*next)(struct event_batch *batch, struct event_read *read);
	void (*done)(struct event_batch *batch, uint64_t index, double issued_ns, double done_ns,
		     uint64_t bytes);
	/* The device's. */
	double arrived_ns;
	uint64_t issued, unfinished;
	struct event_batch *following;
};

/* Sums since the device was opened. */
struct event_books {
	uint64_t event_count;
	uint64_t reads_in, reads_out, bytes_in, bytes_out;
	double area_ns;	   /* reads in the system, over time */
	double sojourn_ns; /* completion less arrival, over completed reads */
	double wait_ns;	   /* begin of unit service less arrival, over started reads */
	double unit_ns;	   /* in service in units, over started reads */
	double bus_ns;	   /* the same of the bus */
	uint64_t in_flight_most;
};

struct event_device_options {
	unsigned unit_count, slot_count; /* > 0 */
	enum sim_units units;
};

struct event_device;
MUST_CHECK int event_device_open(struct event_device **out,
				 const struct event_device_options *options, struct err *err);
void event_device_close(struct event_device *device); /* NULL is fine */

/* The batch arrives at 'at_ns', no earlier than the one before and than the device's clock; it must
 * stay until it is finished.  count > 0. */
MUST_CHECK int event_device_submit(struct event_device *device, struct event_batch *batch,
				   double at_ns, struct err *err);
/* Go on until the batch is finished. */
MUST_CHECK int event_device_finish(struct event_device *device, const struct event_batch *batch,
				   struct err *err);
/* Take every event before 'until_ns'; the clock then stands there. */
MUST_CHECK int event_device_run(struct event_device *device, double until_ns, struct err *err);
/* All times, the clock's too, go back by 'ns'. */
void event_device_rebase(struct event_device *device, double ns);

double event_device_now_ns(const struct event_device *device);
const struct event_books *event_device_books(const struct event_device *device);
/* Nothing under way: as many reads and bytes out as in, and Little's law between two sums that are
 * made apart (area over time = sum of sojourns).  EPROTO with the figures. */
MUST_CHECK int event_device_check(const struct event_device *device, struct err *err);

#endif
