/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_events.c - level events: a plan's reads as a batch on the event device */
#include "sim_flash.h"

#include "rng.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

static struct sim_reads *reads_of(struct event_batch *batch)
{
	return (struct sim_reads *)(void *)((char *)batch - offsetof(struct sim_reads, batch));
}

static void reads_next(struct event_batch *batch, struct event_read *to)
{
	struct sim_reads *reads = reads_of(batch);
	const struct sim_read_cost *cost;
	struct flash_read read;
	double bus_ns;
	bool more = sim_walk_next(&reads->walk, &read);

	assert(more && "a plan has as many reads as it says (plan_check)");
	(void)more;
	cost = sim_flash_cost(reads->flash, read.bytes);
	bus_ns = cost->bottleneck_ns;
	if (batch->issued > 0 && batch->issued < reads->flash->options.in_flight)
		bus_ns += reads->flash->options.params->crowd_ns;
	*to = (struct event_read){
		.unit_ns = (cost->alone_ns - cost->bottleneck_ns) * reads->factor,
		.bus_ns = bus_ns * reads->factor,
		.bytes = read.bytes,
		.place = rng_mix((uint64_t)read.region << 32 | read.layer) ^ read.offset,
	};
}

static void reads_done(struct event_batch *batch, uint64_t index, double issued_ns, double done_ns,
		       uint64_t bytes)
{
	struct sim_reads *reads = reads_of(batch);

	reads->count++;
	reads->bytes += bytes;
	reads->end_ns = done_ns;
	if (reads->wants_arrivals)
		reads->arrived_ns[index] = done_ns;
	sim_flash_span(reads->flash, reads->plan, issued_ns, done_ns, bytes);
}

static int events_open(struct sim_flash *flash, struct err *err)
{
	const struct event_device_options options = {
		.unit_count = flash->unit_count,
		.slot_count = flash->options.in_flight,
		.units = flash->options.units,
	};
	struct event_device *device;

	if (event_device_open(&device, &options, err))
		return err->code;
	flash->state = device;
	return 0;
}

static void events_close(struct sim_flash *flash)
{
	event_device_close(flash->state);
}

static int events_submit(struct sim_flash *flash, struct sim_reads *reads, struct err *err)
{
	const struct plan *plan = reads->plan;

	reads->begin_ns = reads->end_ns = reads->submit_ns;
	if (!plan->read_count)
		return 0;
	reads->flash = flash;
	reads->factor = sim_flash_factor(flash, (double)plan->read_count,
					 (double)plan->read_bytes / (double)plan->read_count);
	sim_walk_init(&reads->walk, plan);
	reads->batch = (struct event_batch){
		.count = plan->read_count,
		.bytes = plan->read_bytes,
		.next = reads_next,
		.done = reads_done,
	};
	return event_device_submit(
		flash->state, &reads->batch,
		reads->submit_ns + flash->options.params->batch_ns * reads->factor, err);
}

/* Reads may overtake each other: one counts as arrived when all before it are complete. */
static int events_finish(struct sim_flash *flash, struct sim_reads *reads, struct err *err)
{
	if (event_device_finish(flash->state, &reads->batch, err))
		return err->code;
	for (uint64_t i = 1; reads->wants_arrivals && i < reads->count; i++)
		reads->arrived_ns[i] = fmax(reads->arrived_ns[i], reads->arrived_ns[i - 1]);
	return 0;
}

static void events_rebase(struct sim_flash *flash, double ns)
{
	event_device_rebase(flash->state, ns);
}

static int events_check(const struct sim_flash *flash, struct err *err)
{
	return event_device_check(flash->state, err);
}

const struct sim_flash_ops sim_flash_events = {
	.name = "events",
	.open = events_open,
	.close = events_close,
	.submit = events_submit,
	.finish = events_finish,
	.rebase = events_rebase,
	.check = events_check,
};
