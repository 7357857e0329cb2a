/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_recursion.c - level recursion: every read, over units and a bus that are free again at a
 * known time */
#include "sim_flash.h"

#include <math.h>
#include <stdlib.h>

struct recursion {
	double *unit_free_ns; /* [unit_count] */
	double *ended_ns;     /* [in_flight] ring of completions */
};

static int recursion_open(struct sim_flash *flash, struct err *err)
{
	size_t bytes = ((size_t)flash->unit_count + flash->options.in_flight) * sizeof(double);
	struct recursion *state = malloc(sizeof(*state) + bytes);

	if (!state)
		return err_nomem(err, "a simulated device", sizeof(*state) + bytes);
	state->unit_free_ns = (double *)(void *)(state + 1);
	state->ended_ns = state->unit_free_ns + flash->unit_count;
	flash->state = state;
	return 0;
}

static void recursion_close(struct sim_flash *flash)
{
	free(flash->state);
}

void sim_recursion_start(struct sim_recursion *at, struct sim_flash *flash, double begin_ns,
			 double factor)
{
	const struct recursion *state = flash->state;

	*at = (struct sim_recursion){.flash = flash, .factor = factor, .bus_free_ns = begin_ns};
	for (unsigned i = 0; i < flash->unit_count; i++)
		state->unit_free_ns[i] = begin_ns;
	for (unsigned i = 0; i < flash->options.in_flight; i++)
		state->ended_ns[i] = begin_ns;
}

/* 'count' reads of the size at hand, the bus taking 'bus_ns' for each.
 *
 * The bus serves in order, so that completions come in order and the oldest of a ring of n is the
 * one that a new read waits for. */
static void serve(struct sim_recursion *at, double bus_ns, uint64_t count)
{
	const struct recursion *state = at->flash->state;
	double *unit_free = state->unit_free_ns, *ended = state->ended_ns;
	unsigned units = at->flash->unit_count, slots = at->flash->options.in_flight;
	unsigned unit = at->unit, slot = at->slot;
	double unit_ns = (at->cost.alone_ns - at->cost.bottleneck_ns) * at->factor;
	double bus_free = at->bus_free_ns, start = bus_free;

	for (uint64_t i = 0; i < count; i++) {
		double ready;

		start = ended[slot] > unit_free[unit] ? ended[slot] : unit_free[unit];
		ready = start + unit_ns;
		bus_free = (ready > bus_free ? ready : bus_free) + bus_ns;
		ended[slot] = bus_free;
		unit_free[unit] = bus_free;
		if (++slot == slots)
			slot = 0;
		if (++unit == units)
			unit = 0;
	}
	at->unit = unit;
	at->slot = slot;
	at->index += count;
	at->bus_free_ns = bus_free;
	at->started_ns = start;
}

void sim_recursion_read(struct sim_recursion *at, uint64_t bytes, uint64_t count)
{
	const struct sim_flash_options *options = &at->flash->options;
	double bus_ns;

	if (at->cost.bytes != bytes)
		at->cost = *sim_flash_cost(at->flash, bytes);
	bus_ns = at->cost.bottleneck_ns * at->factor;
	if (options->params->crowd_ns > 0) {
		double crowd_ns = bus_ns + options->params->crowd_ns * at->factor;

		for (; count > 0 && at->index < options->in_flight; count--)
			serve(at, at->index > 0 ? crowd_ns : bus_ns, 1);
	}
	if (count > 0)
		serve(at, bus_ns, count);
}

/* Read by read, for who asks when each arrived, or for a timeline. */
static void each_read(struct sim_reads *reads, struct sim_recursion *at)
{
	struct sim_walk walk;
	struct flash_read read;

	for (sim_walk_init(&walk, reads->plan);
	     reads->count < reads->plan->read_count && sim_walk_next(&walk, &read);
	     reads->count++) {
		sim_recursion_read(at, read.bytes, 1);
		reads->bytes += read.bytes;
		if (reads->wants_arrivals)
			reads->arrived_ns[reads->count] = at->bus_free_ns;
		sim_flash_span(at->flash, reads->plan, at->started_ns, at->bus_free_ns, read.bytes);
	}
}

static void reads_add(struct sim_reads *reads, struct sim_recursion *at, uint64_t bytes,
		      uint64_t count)
{
	sim_recursion_read(at, bytes, count);
	reads->count += count;
	reads->bytes += bytes * count;
}

/* The same where only the end counts: neighbours of one size at once.  Where all are of one size nobody need
 * look where they lie. */
static void equal_reads(struct sim_reads *reads, struct sim_recursion *at)
{
	const struct plan *plan = reads->plan;
	struct sim_walk walk;
	struct flash_read read;
	uint64_t bytes = 0, count = 0;

	if (plan->class_count == 1) {
		reads_add(reads, at, plan->classes[0].bytes, plan->classes[0].count);
		return;
	}
	for (sim_walk_init(&walk, plan); sim_walk_next(&walk, &read); count++) {
		if (read.bytes != bytes && count > 0) {
			reads_add(reads, at, bytes, count);
			count = 0;
		}
		bytes = read.bytes;
	}
	if (count > 0)
		reads_add(reads, at, bytes, count);
}

static int recursion_submit(struct sim_flash *flash, struct sim_reads *reads, struct err *err)
{
	const struct plan *plan = reads->plan;
	struct sim_recursion at;
	double factor;

	(void)err;
	reads->begin_ns = reads->end_ns = fmax(reads->submit_ns, flash->free_ns);
	if (!plan->read_count)
		return 0;
	factor = sim_flash_factor(flash, (double)plan->read_count,
				  (double)plan->read_bytes / (double)plan->read_count);
	sim_recursion_start(&at, flash, reads->begin_ns + flash->options.params->batch_ns * factor,
			    factor);
	if (reads->wants_arrivals || timeline_is_on(flash->options.timeline))
		each_read(reads, &at);
	else
		equal_reads(reads, &at);
	if (reads->count > 0)
		reads->end_ns = flash->free_ns = at.bus_free_ns;
	return 0;
}

const struct sim_flash_ops sim_flash_recursion = {
	.name = "recursion",
	.open = recursion_open,
	.close = recursion_close,
	.submit = recursion_submit,
};
