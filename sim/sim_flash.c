/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_flash.c - a batch of reads: in closed form, and as a recursion over units and a bus */
#include "sim_flash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* R/D has its largest value at one end or where both caps meet; powers of two come near enough, and
 * a unit too many does no harm. */
static unsigned units_needed(const struct flash_params *params)
{
	double most = 1;

	for (unsigned log2 = 9; log2 <= 24; log2++) {
		double bytes = 1u << log2;

		most = fmax(most,
			    flash_read_ns(params, bytes) / flash_bottleneck_ns(params, bytes));
	}
	return (unsigned)fmin(ceil(most) + 1, 0x1p20);
}

int sim_flash_open(struct sim_flash *flash, const struct flash_params *params, unsigned in_flight,
		   struct err *err)
{
	unsigned units = units_needed(params);
	size_t bytes = ((size_t)units + in_flight) * sizeof(double);

	assert(in_flight > 0);
	*flash = (struct sim_flash){.params = params, .in_flight = in_flight, .unit_count = units};
	flash->unit_free_ns = malloc(bytes);
	if (!flash->unit_free_ns)
		return err_nomem(err, "a simulated device", bytes);
	flash->ended_ns = flash->unit_free_ns + units;
	return 0;
}

void sim_flash_close(struct sim_flash *flash)
{
	free(flash->unit_free_ns);
	*flash = (struct sim_flash){0};
}

static const struct sim_read_cost *cost_of(struct sim_flash *flash, uint64_t bytes)
{
	struct sim_read_cost *cost;

	for (unsigned i = 0; i < flash->size_count; i++)
		if (flash->sizes[i].bytes == bytes)
			return &flash->sizes[i];
	cost = &flash->sizes[flash->size_next];
	flash->size_next = (flash->size_next + 1) % SIM_FLASH_SIZES;
	if (flash->size_count < SIM_FLASH_SIZES)
		flash->size_count++;
	cost->bytes = bytes;
	cost->alone_ns = flash_read_ns(flash->params, (double)bytes);
	cost->bottleneck_ns = flash_bottleneck_ns(flash->params, (double)bytes);
	cost->interval_ns = 1e9 / flash_reads_per_s(flash->params, (double)bytes, flash->in_flight);
	return cost;
}

double sim_flash_closed_ns(struct sim_flash *flash, const struct read_class *classes,
			   unsigned class_count)
{
	double reads = 0, ramp = 0, apart = 0, beyond = 0, width = flash->in_flight, ns;

	for (unsigned i = 0; i < class_count; i++) {
		const struct sim_read_cost *cost = cost_of(flash, classes[i].bytes);
		double count = (double)classes[i].count;

		if (classes[i].count == 0)
			continue;
		reads += count;
		ramp = fmax(ramp, cost->alone_ns - cost->bottleneck_ns);
		apart += count * cost->bottleneck_ns;
		beyond += count * (cost->interval_ns - cost->bottleneck_ns);
	}
	if (reads <= 0)
		return 0;
	ns = flash->params->batch_ns + ramp + apart;
	if (reads > width)
		ns += (reads - width) * (1 + (width - 1) / (2 * reads)) * beyond / reads;
	return ns;
}

void sim_batch_start(struct sim_batch *batch, struct sim_flash *flash)
{
	double begin = flash->params->batch_ns;

	*batch = (struct sim_batch){.flash = flash};
	for (unsigned i = 0; i < flash->unit_count; i++)
		flash->unit_free_ns[i] = begin;
	for (unsigned i = 0; i < flash->in_flight; i++)
		flash->ended_ns[i] = begin;
}

/* The bus serves in order, so that completions come in order and the oldest of a ring of n is the
 * one that a new read waits for. */
void sim_batch_read(struct sim_batch *batch, uint64_t bytes, uint64_t count)
{
	const struct sim_flash *flash = batch->flash;
	double *unit_free = flash->unit_free_ns, *ended = flash->ended_ns;
	unsigned unit = batch->unit, slot = batch->slot;
	double bus_free = batch->bus_free_ns, unit_ns, bus_ns;

	if (batch->cost.bytes != bytes)
		batch->cost = *cost_of(batch->flash, bytes);
	bus_ns = batch->cost.bottleneck_ns;
	unit_ns = batch->cost.alone_ns - bus_ns;
	for (uint64_t i = 0; i < count; i++) {
		double start = ended[slot] > unit_free[unit] ? ended[slot] : unit_free[unit];
		double ready = start + unit_ns;

		bus_free = (ready > bus_free ? ready : bus_free) + bus_ns;
		ended[slot] = bus_free;
		unit_free[unit] = bus_free;
		if (++slot == flash->in_flight)
			slot = 0;
		if (++unit == flash->unit_count)
			unit = 0;
	}
	batch->unit = unit;
	batch->slot = slot;
	batch->bus_free_ns = bus_free;
}

double sim_batch_end_ns(const struct sim_batch *batch)
{
	return batch->bus_free_ns;
}

double sim_flash_recursion_ns(struct sim_flash *flash, const struct plan *plan)
{
	struct plan_reads it;
	struct flash_read read;
	struct sim_batch batch;

	sim_batch_start(&batch, flash);
	for (plan_reads_init(&it, plan); plan_reads_next(&it, &read);)
		sim_batch_read(&batch, read.bytes, 1);
	return sim_batch_end_ns(&batch);
}
