/* SPDX-License-Identifier: GPL-3.0-or-later */
/* event_device.c - host, units and bus as queues; a heap says what happens next */
#include "event_device.h"

#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

const struct param_word sim_units_words[] = {
	[SIM_UNITS_ROUND_ROBIN] = {"round-robin", "the next unit for each read"},
	[SIM_UNITS_HASHED] = {"hashed", "by its address, so that two reads may meet in one unit"},
	[SIM_UNITS_IDLE] = {"idle", "one that has nothing to do, where there is one"},
	{NULL, NULL},
};

enum event_kind { EVENT_ARRIVED, EVENT_READY, EVENT_DONE };
#define NOBODY UINT32_MAX

/* A read in flight. */
struct slot {
	struct event_batch *batch;
	uint64_t index, bytes;
	double arrived_ns, issued_ns, unit_ns, bus_ns;
	uint32_t unit;
	uint32_t behind; /* the next in the same queue */
};

struct queue {
	uint32_t first, last;
};

struct unit {
	struct queue waiting;
	bool is_busy;
};

struct event_device {
	struct event_device_options options;
	struct event_heap heap;
	double now_ns;
	struct event_batch *arriving, *arriving_last; /* submitted; their events lie in the heap */
	struct event_batch *waiting, *waiting_last;   /* at the host */
	struct slot *slots;			      /* [slot_count]; owned */
	uint32_t slot_free;			      /* a list of those */
	uint64_t in_flight;
	struct unit *units; /* [unit_count]; owned */
	unsigned unit_next;
	struct queue bus_waiting;
	bool bus_is_busy;
	struct event_books books;
};

/* ---- queues -----------------------------------------------------------------------------------
 */

static void queue_put(struct slot *slots, struct queue *queue, uint32_t who)
{
	slots[who].behind = NOBODY;
	if (queue->first == NOBODY)
		queue->first = who;
	else
		slots[queue->last].behind = who;
	queue->last = who;
}

static uint32_t queue_take(const struct slot *slots, struct queue *queue)
{
	uint32_t who = queue->first;

	if (who != NOBODY)
		queue->first = slots[who].behind;
	return who;
}

static void batches_put(struct event_batch **first, struct event_batch **last,
			struct event_batch *batch)
{
	batch->following = NULL;
	if (*first)
		(*last)->following = batch;
	else
		*first = batch;
	*last = batch;
}

/* ---- the stations -----------------------------------------------------------------------------
 */

static int unit_start(struct event_device *device, uint32_t who, struct err *err)
{
	const struct slot *slot = &device->slots[who];

	device->units[slot->unit].is_busy = true;
	device->books.wait_ns += device->now_ns - slot->arrived_ns;
	device->books.unit_ns += slot->unit_ns;
	return event_heap_put(&device->heap, device->now_ns + slot->unit_ns, EVENT_READY, who, err);
}

static int bus_start(struct event_device *device, uint32_t who, struct err *err)
{
	const struct slot *slot = &device->slots[who];

	device->bus_is_busy = true;
	device->books.bus_ns += slot->bus_ns;
	return event_heap_put(&device->heap, device->now_ns + slot->bus_ns, EVENT_DONE, who, err);
}

static uint32_t unit_after(const struct event_device *device, uint32_t unit)
{
	return unit + 1 == device->options.unit_count ? 0 : unit + 1;
}

static uint32_t unit_choose(struct event_device *device, const struct event_read *read)
{
	uint32_t unit = device->unit_next;

	if (device->options.units == SIM_UNITS_HASHED)
		return (uint32_t)(rng_mix(read->place) % device->options.unit_count);
	if (device->options.units == SIM_UNITS_IDLE)
		for (unsigned i = 0; device->units[unit].is_busy && i < device->options.unit_count;
		     i++)
			unit = unit_after(device, unit);
	device->unit_next = unit_after(device, unit);
	return unit;
}

/* The first read that waits at the host takes a place in flight. */
static int issue(struct event_device *device, struct err *err)
{
	struct event_batch *batch = device->waiting;
	uint32_t who = device->slot_free;
	struct slot *slot = &device->slots[who];
	struct event_read read;
	struct unit *unit;

	batch->next(batch, &read);
	device->slot_free = slot->behind;
	slot->batch = batch;
	slot->index = batch->issued++;
	slot->bytes = read.bytes;
	slot->arrived_ns = batch->arrived_ns;
	slot->issued_ns = device->now_ns;
	slot->unit_ns = read.unit_ns;
	slot->bus_ns = read.bus_ns;
	slot->unit = unit_choose(device, &read);
	if (batch->issued == batch->count)
		device->waiting = batch->following;
	if (++device->in_flight > device->books.in_flight_most)
		device->books.in_flight_most = device->in_flight;
	unit = &device->units[slot->unit];
	if (!unit->is_busy)
		return unit_start(device, who, err);
	queue_put(device->slots, &unit->waiting, who);
	return 0;
}

static int issue_all(struct event_device *device, struct err *err)
{
	while (device->waiting && device->slot_free != NOBODY)
		if (issue(device, err))
			return err->code;
	return 0;
}

/* ---- events -----------------------------------------------------------------------------------
 */

static int on_arrived(struct event_device *device, struct err *err)
{
	struct event_batch *batch = device->arriving;

	device->arriving = batch->following;
	device->books.reads_in += batch->count;
	device->books.bytes_in += batch->bytes;
	batches_put(&device->waiting, &device->waiting_last, batch);
	return issue_all(device, err);
}

static int on_ready(struct event_device *device, uint32_t who, struct err *err)
{
	if (!device->bus_is_busy)
		return bus_start(device, who, err);
	queue_put(device->slots, &device->bus_waiting, who);
	return 0;
}

static void complete(struct event_device *device, uint32_t who)
{
	struct slot *slot = &device->slots[who];
	struct event_batch *batch = slot->batch;

	device->books.reads_out++;
	device->books.bytes_out += slot->bytes;
	device->books.sojourn_ns += device->now_ns - slot->arrived_ns;
	device->in_flight--;
	batch->unfinished--;
	if (batch->done)
		batch->done(batch, slot->index, slot->issued_ns, device->now_ns, slot->bytes);
	slot->behind = device->slot_free;
	device->slot_free = who;
}

static int on_done(struct event_device *device, uint32_t who, struct err *err)
{
	struct unit *unit = &device->units[device->slots[who].unit];
	uint32_t for_bus = queue_take(device->slots, &device->bus_waiting);
	uint32_t for_unit = queue_take(device->slots, &unit->waiting);

	complete(device, who);
	device->bus_is_busy = unit->is_busy = false;
	if (for_bus != NOBODY && bus_start(device, for_bus, err))
		return err->code;
	if (for_unit != NOBODY && unit_start(device, for_unit, err))
		return err->code;
	return issue_all(device, err);
}

static void clock_to(struct event_device *device, double at_ns)
{
	struct event_books *books = &device->books;

	books->area_ns += (double)(books->reads_in - books->reads_out) * (at_ns - device->now_ns);
	device->now_ns = at_ns;
}

static int step(struct event_device *device, struct err *err)
{
	const struct event event = event_heap_take(&device->heap);

	clock_to(device, event.at_ns);
	device->books.event_count++;
	if (event.kind == EVENT_DONE)
		return on_done(device, event.who, err);
	if (event.kind == EVENT_READY)
		return on_ready(device, event.who, err);
	return on_arrived(device, err);
}

/* ---- the device -------------------------------------------------------------------------------
 */

int event_device_open(struct event_device **out, const struct event_device_options *options,
		      struct err *err)
{
	struct event_device *device = calloc(1, sizeof(*device));

	assert(options->unit_count > 0 && options->slot_count > 0);
	if (!device)
		return err_nomem(err, "a simulated device", sizeof(*device));
	device->options = *options;
	device->slots = calloc(options->slot_count, sizeof(*device->slots));
	device->units = calloc(options->unit_count, sizeof(*device->units));
	if (!device->slots || !device->units) {
		event_device_close(device);
		return err_nomem(err, "a simulated device's units and places",
				 options->slot_count * sizeof(*device->slots));
	}
	for (uint32_t i = 0; i < options->slot_count; i++)
		device->slots[i].behind = i + 1 < options->slot_count ? i + 1 : NOBODY;
	for (uint32_t i = 0; i < options->unit_count; i++)
		device->units[i].waiting.first = NOBODY;
	device->bus_waiting.first = NOBODY;
	*out = device;
	return 0;
}

void event_device_close(struct event_device *device)
{
	if (!device)
		return;
	event_heap_fini(&device->heap);
	free(device->slots);
	free(device->units);
	free(device);
}

int event_device_submit(struct event_device *device, struct event_batch *batch, double at_ns,
			struct err *err)
{
	assert(batch->count > 0);
	assert(at_ns >= device->now_ns &&
	       (!device->arriving || at_ns >= device->arriving_last->arrived_ns));
	batch->arrived_ns = at_ns;
	batch->issued = 0;
	batch->unfinished = batch->count;
	if (event_heap_put(&device->heap, at_ns, EVENT_ARRIVED, 0, err))
		return err->code;
	batches_put(&device->arriving, &device->arriving_last, batch);
	return 0;
}

int event_device_finish(struct event_device *device, const struct event_batch *batch,
			struct err *err)
{
	while (batch->unfinished > 0) {
		assert(device->heap.count > 0);
		if (step(device, err))
			return err->code;
	}
	return 0;
}

int event_device_run(struct event_device *device, double until_ns, struct err *err)
{
	while (device->heap.count > 0 && device->heap.events[0].at_ns < until_ns)
		if (step(device, err))
			return err->code;
	if (until_ns > device->now_ns)
		clock_to(device, until_ns);
	return 0;
}

void event_device_rebase(struct event_device *device, double ns)
{
	device->now_ns -= ns;
	for (size_t i = 0; i < device->heap.count; i++)
		device->heap.events[i].at_ns -= ns;
	for (struct event_batch *b = device->arriving; b; b = b->following)
		b->arrived_ns -= ns;
	for (struct event_batch *b = device->waiting; b; b = b->following)
		b->arrived_ns -= ns;
	for (unsigned i = 0; device->in_flight > 0 && i < device->options.slot_count; i++) {
		device->slots[i].arrived_ns -= ns;
		device->slots[i].issued_ns -= ns;
	}
}

double event_device_now_ns(const struct event_device *device)
{
	return device->now_ns;
}

const struct event_books *event_device_books(const struct event_device *device)
{
	return &device->books;
}

int event_device_check(const struct event_device *device, struct err *err)
{
	const struct event_books *books = &device->books;

	if (device->in_flight > 0 || device->arriving || device->waiting)
		return 0;
	if (books->bytes_in != books->bytes_out || books->reads_in != books->reads_out)
		return err_set(err, EPROTO,
			       "simulated device: %" PRIu64 " reads of %" PRIu64
			       " bytes came out, %" PRIu64 " of %" PRIu64 " went in",
			       books->reads_out, books->bytes_out, books->reads_in,
			       books->bytes_in);
	if (!(fabs(books->area_ns - books->sojourn_ns) <= 1e-9 * books->sojourn_ns))
		return err_set(err, EPROTO,
			       "simulated device: reads in the system over time are %.17g ns, "
			       "their sojourns %.17g ns (Little's law)",
			       books->area_ns, books->sojourn_ns);
	return 0;
}
