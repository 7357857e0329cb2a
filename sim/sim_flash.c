/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_flash.c - what the three levels of flash share: costs of a read, the units that a profile
 * implies, the spans of a timeline */
#include "sim_flash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct param_word sim_level_words[] = {
	[SIM_CLOSED] = {"closed", "batches of reads in closed form"},
	[SIM_RECURSION] = {"recursion", "every read, over parallel units and a shared bus"},
	[SIM_EVENTS] = {"events",
			"every read as events, where batches overlap and addresses may meet"},
	{NULL, NULL},
};

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

int sim_flash_open(struct sim_flash *flash, const struct sim_flash_options *options,
		   struct err *err)
{
	static const struct sim_flash_ops *const levels[] = {
		[SIM_CLOSED] = &sim_flash_closed,
		[SIM_RECURSION] = &sim_flash_recursion,
		[SIM_EVENTS] = &sim_flash_events,
	};

	assert(options->in_flight > 0);
	assert((size_t)options->level < sizeof(levels) / sizeof(*levels));
	*flash = (struct sim_flash){
		.ops = levels[options->level],
		.options = *options,
		.unit_count = units_needed(options->params),
	};
	return flash->ops->open ? flash->ops->open(flash, err) : 0;
}

void sim_flash_close(struct sim_flash *flash)
{
	if (flash->ops && flash->ops->close)
		flash->ops->close(flash);
	*flash = (struct sim_flash){0};
}

const struct sim_read_cost *sim_flash_cost(struct sim_flash *flash, uint64_t bytes)
{
	const struct flash_params *params = flash->options.params;
	struct sim_read_cost *cost = &flash->sizes[bytes / 512 % SIM_FLASH_SIZES];

	assert(bytes > 0);
	if (cost->bytes == bytes)
		return cost;
	cost->bytes = bytes;
	cost->alone_ns = flash_read_ns(params, (double)bytes);
	cost->bottleneck_ns = flash_bottleneck_ns(params, (double)bytes);
	cost->interval_ns =
		1e9 / flash_reads_per_s(params, (double)bytes, flash->options.in_flight);
	return cost;
}

double sim_flash_factor(const struct sim_flash *flash, double read_count, double read_bytes)
{
	const struct sim_flash_options *o = &flash->options;
	double factor = flash_batch_factor(o->params, read_count, read_bytes, o->in_flight);

	return o->beside_kernels ? factor * flash_computing_factor(o->params, o->in_flight)
				 : factor;
}

void sim_flash_span(const struct sim_flash *flash, const struct plan *plan, double begin_ns,
		    double end_ns, uint64_t bytes)
{
	timeline_add(flash->options.timeline,
		     &(struct timeline_span){.track = TRACK_FLASH,
					     .name = step_kind_name(plan->demand.kind),
					     .layer = plan->demand.layer,
					     .bytes = bytes,
					     .begin_ns = begin_ns,
					     .end_ns = end_ns});
}

int sim_reads_room(struct sim_reads *reads, uint64_t count, struct err *err)
{
	double *grown;

	if (reads->arrived_ns && count <= reads->arrived_room)
		return 0;
	count += count / 4 + 1;
	grown = realloc(reads->arrived_ns, count * sizeof(*grown));
	if (!grown)
		return err_nomem(err, "arrivals of a plan's reads", count * sizeof(*grown));
	reads->arrived_ns = grown;
	reads->arrived_room = count;
	return 0;
}

void sim_reads_fini(struct sim_reads *reads)
{
	free(reads->arrived_ns);
	*reads = (struct sim_reads){0};
}

void sim_reads_rebase(struct sim_reads *reads, double ns)
{
	reads->submit_ns -= ns;
	reads->begin_ns -= ns;
	reads->end_ns -= ns;
	for (uint64_t i = 0; reads->wants_arrivals && i < reads->plan->read_count; i++)
		reads->arrived_ns[i] -= ns;
}

int sim_flash_submit(struct sim_flash *flash, struct sim_reads *reads, const struct plan *plan,
		     double now_ns, struct err *err)
{
	struct sim_reads fresh = {
		.plan = plan,
		.submit_ns = now_ns,
		.wants_arrivals = reads->wants_arrivals,
		.arrived_ns = reads->arrived_ns,
		.arrived_room = reads->arrived_room,
	};

	*reads = fresh;
	if (reads->wants_arrivals) {
		if (sim_reads_room(reads, plan->read_count, err))
			return err->code;
		memset(reads->arrived_ns, 0, plan->read_count * sizeof(*reads->arrived_ns));
	}
	return flash->ops->submit(flash, reads, err);
}

int sim_flash_finish(struct sim_flash *flash, struct sim_reads *reads, struct err *err)
{
	return flash->ops->finish ? flash->ops->finish(flash, reads, err) : 0;
}

void sim_flash_rebase(struct sim_flash *flash, double ns)
{
	flash->free_ns -= ns;
	if (flash->ops->rebase)
		flash->ops->rebase(flash, ns);
}

int sim_flash_check(const struct sim_flash *flash, struct err *err)
{
	return flash->ops->check ? flash->ops->check(flash, err) : 0;
}
