/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_tail.c - what single tokens take beyond their forecast: several draws of each, beside the clock
 *
 * The clock shows means, so that decisions, components and totals do not depend on any draw.  A batch's
 * stalls and a step's hiccups (tail.h) are added up along the token instead, 'draws' times over. */
#include "flash.h"
#include "sim_inside.h"
#include "tail.h"

#include <math.h>
#include <stdlib.h>

static bool has_tail(const struct device *device)
{
	return device->flash.batch_spread_ns > 0 || device->flash.stall_frac > 0 ||
	       device->compute.spread_frac > 0 || device->compute.hiccup_rate_per_s > 0;
}

int sim_tail_open(struct sim_tail *tail, const struct sim_options *options, struct err *err)
{
	*tail = (struct sim_tail){.rng = {options->seed}};
	if (options->tail_draws == 0 || !has_tail(options->device))
		return 0;
	tail->extra_ns = calloc(options->tail_draws, sizeof(*tail->extra_ns));
	if (!tail->extra_ns)
		return err_nomem(err, "draws of a token's tail",
				 options->tail_draws * sizeof(*tail->extra_ns));
	tail->draws = options->tail_draws;
	return 0;
}

void sim_tail_close(struct sim_tail *tail)
{
	free(tail->extra_ns);
}

void sim_tail_begin(struct sim_tail *tail)
{
	for (unsigned i = 0; i < tail->draws; i++)
		tail->extra_ns[i] = 0;
}

/* What a batch's draw does to its step: nothing before the time is used up by which other work outlasted
 * it, and no batch is quicker than one read. */
static double batch_extra_ns(struct sim_tail *tail, const struct sim_step *step, double slack_ns)
{
	const struct sim_reads *reads = step->reads;
	const struct flash_params *flash = &step->device->flash;
	double bytes = (double)reads->bytes / (double)reads->count;
	double ns = tail_batch_ns(flash, &tail->rng, (double)reads->count, bytes);
	double least = flash_read_ns(flash, bytes) - (reads->end_ns - reads->begin_ns);

	ns = fmax(ns, fmin(least, 0));
	return slack_ns > 0 ? fmax(ns - slack_ns, 0) : ns;
}

void sim_tail_step(struct sim_tail *tail, const struct sim_step *step)
{
	const bool has_reads = step->reads->count > 0;
	/* Who waited at last was held up by the reads; who did not, by what he had to do. */
	double slack_ns = step->waited ? 0 : step->end_ns - step->reads->end_ns;

	for (unsigned i = 0; i < tail->draws; i++) {
		if (has_reads)
			tail->extra_ns[i] += batch_extra_ns(tail, step, slack_ns);
		tail->extra_ns[i] +=
			tail_compute_ns(&step->device->compute, &tail->rng, step->compute_ns);
	}
}

const double *sim_world_tail(const struct sim_world *sim, unsigned *count)
{
	*count = sim->tail.draws;
	return sim->tail.extra_ns;
}
