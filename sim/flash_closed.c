/* SPDX-License-Identifier: GPL-3.0-or-later */
/* flash_closed.c - level closed: a batch of reads as one formula
 *
 * Who asks when each read arrives is told when the formula says that so many reads, alone, would be
 * complete.  That is exact where the formula is, and ends where the whole batch does. */
#include "sim_flash.h"

#include <math.h>

/* The formula's sums, over some reads. */
struct sums {
	double reads, bytes, ramp, apart, beyond;
};

static void sums_add(struct sums *sums, const struct sim_read_cost *cost, double count)
{
	sums->reads += count;
	sums->bytes += count * (double)cost->bytes;
	sums->ramp = fmax(sums->ramp, cost->alone_ns - cost->bottleneck_ns);
	sums->apart += count * cost->bottleneck_ns;
	sums->beyond += count * fmax(0, cost->interval_ns - cost->bottleneck_ns);
}

/* Before the batch's factor. */
static double sums_ns(const struct sums *sums, const struct sim_flash_options *options)
{
	double width = options->in_flight, reads = sums->reads;
	double ns = options->params->batch_ns + sums->ramp + sums->apart;

	if (reads <= 0)
		return 0;
	ns += (fmin(reads, width) - 1) * options->params->crowd_ns;
	if (reads > width)
		ns += (reads - width) * (1 + (width - 1) / (2 * reads)) * sums->beyond / reads;
	return ns;
}

double sim_flash_closed_ns(struct sim_flash *flash, const struct read_class *classes,
			   unsigned class_count)
{
	struct sums sums = {0};

	for (unsigned i = 0; i < class_count; i++)
		if (classes[i].count > 0)
			sums_add(&sums, sim_flash_cost(flash, classes[i].bytes),
				 (double)classes[i].count);
	if (sums.reads <= 0)
		return 0;
	return sums_ns(&sums, &flash->options) *
	       sim_flash_factor(flash, sums.reads, sums.bytes / sums.reads);
}

/* Sums of one read after the other lose a bit here and there: never past the batch's end, and the
 * last at it. */
static void put_arrivals(struct sim_flash *flash, struct sim_reads *reads)
{
	struct sim_walk walk;
	struct flash_read read;
	struct sums sums = {0};
	uint64_t i = 0;
	double factor;

	if (!reads->count)
		return;
	factor = sim_flash_factor(flash, (double)reads->count,
				  (double)reads->bytes / (double)reads->count);
	for (sim_walk_init(&walk, reads->plan); i < reads->count && sim_walk_next(&walk, &read);
	     i++) {
		sums_add(&sums, sim_flash_cost(flash, read.bytes), 1);
		reads->arrived_ns[i] = fmin(
			reads->begin_ns + factor * sums_ns(&sums, &flash->options), reads->end_ns);
	}
	if (i > 0)
		reads->arrived_ns[i - 1] = reads->end_ns;
}

static int closed_submit(struct sim_flash *flash, struct sim_reads *reads, struct err *err)
{
	const struct plan *plan = reads->plan;

	(void)err;
	for (unsigned i = 0; i < plan->class_count; i++) {
		reads->count += plan->classes[i].count;
		reads->bytes += plan->classes[i].count * plan->classes[i].bytes;
	}
	reads->begin_ns = fmax(reads->submit_ns, flash->free_ns);
	reads->end_ns =
		reads->begin_ns + sim_flash_closed_ns(flash, plan->classes, plan->class_count);
	if (reads->wants_arrivals)
		put_arrivals(flash, reads);
	if (reads->count > 0)
		flash->free_ns = reads->end_ns;
	sim_flash_span(flash, plan, reads->begin_ns, reads->end_ns, reads->bytes);
	return 0;
}

const struct sim_flash_ops sim_flash_closed = {
	.name = "closed",
	.submit = closed_submit,
};
