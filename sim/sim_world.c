/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_world.c - a virtual clock that plans move forward by what the cost model says
 *
 * A ticket is a batch's place in line.  Within a token the clock is a double that starts at 0, so
 * that fractions of a nanosecond add up; what is booked is the difference of its whole nanoseconds,
 * so that the parts of a token sum to its total exactly. */
#include "sim_inside.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

int sim_world_open(struct sim_world **out, const struct sim_options *options, struct err *err)
{
	struct sim_world *sim = calloc(1, sizeof(*sim));
	const struct sim_flash_options flash = {
		.params = &options->device->flash,
		.timeline = options->timeline,
		.in_flight = (unsigned)options->config->in_flight,
		.level = options->level,
		.units = options->units,
		.beside_kernels = options->config->overlap == OVERLAP_PIPELINE,
	};

	assert(options->device && options->model && options->config);
	if (!sim)
		return err_nomem(err, "the simulator", sizeof(*sim));
	sim->options = *options;
	sim->weights = (enum weight_type)options->config->weights;
	sim->row_bytes = model_row_bytes(options->model, sim->weights, REGION_BUNDLE);
	sim->words = bits_words((uint32_t)options->model->d_ffn);
	sim->newest = calloc(options->model->layer_count * sim->words, sizeof(*sim->newest));
	if (!sim->newest)
		(void)!err_nomem(err, "the simulator's rows",
				 options->model->layer_count * sim->words * sizeof(*sim->newest));
	if (err->code || sim_tail_open(&sim->tail, options, err) ||
	    sim_flash_open(&sim->flash, &flash, err)) {
		sim_world_close(sim);
		return err->code;
	}
	*out = sim;
	return 0;
}

void sim_world_close(struct sim_world *sim)
{
	if (!sim)
		return;
	sim_flash_close(&sim->flash);
	sim_tail_close(&sim->tail);
	for (unsigned i = 0; i < TICKETS; i++)
		sim_reads_fini(&sim->batches[i].reads);
	free(sim->newest);
	free(sim);
}

/* ---- the clock --------------------------------------------------------------------------------
 */

uint64_t sim_clock_to(struct sim_world *sim, double at_ns)
{
	uint64_t before = (uint64_t)sim->now_ns;

	sim->now_ns = at_ns;
	return (uint64_t)at_ns - before;
}

uint64_t sim_work(struct sim_world *sim, double end_ns, const struct sim_part *part)
{
	timeline_add(sim->options.timeline,
		     &(struct timeline_span){.track = part->track,
					     .name = step_kind_name(part->plan->demand.kind),
					     .layer = part->plan->demand.layer,
					     .bytes = part->bytes,
					     .begin_ns = sim->now_ns,
					     .end_ns = end_ns});
	return sim_clock_to(sim, end_ns);
}

uint64_t sim_wait(struct sim_world *sim, double at_ns, const struct plan *plan)
{
	const struct sim_part part = {
		.plan = plan,
		.track = TRACK_WAIT,
	};

	return sim_work(sim, fmax(sim->now_ns, at_ns), &part);
}

static int sim_token_begin(void *world, uint32_t token, struct err *err)
{
	struct sim_world *sim = world;

	(void)err;
	/* Batches in flight across tokens keep their distance to the clock. */
	for (unsigned i = 0; i < TICKETS; i++) {
		if (sim->batches[i].open)
			sim_reads_rebase(&sim->batches[i].reads, sim->now_ns);
	}
	sim_flash_rebase(&sim->flash, sim->now_ns);
	sim->now_ns = 0;
	sim_tail_begin(&sim->tail);
	timeline_token(sim->options.timeline, token);
	return 0;
}

static int sim_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	const struct sim_world *sim = world;

	*total_ns = (uint64_t)sim->now_ns;
	return sim_flash_check(&sim->flash, err);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static struct store_work work_sum(const struct store_work *a, const struct store_work *b)
{
	return (struct store_work){
		.step_count = a->step_count + b->step_count,
		.neuron_count = a->neuron_count + b->neuron_count,
		.append_rows = a->append_rows + b->append_rows,
		.append_bytes = a->append_bytes + b->append_bytes,
		.delete_rows = a->delete_rows + b->delete_rows,
		.move_bytes = a->move_bytes + b->move_bytes,
		.fresh_bytes = a->fresh_bytes + b->fresh_bytes,
	};
}

static void store_work(struct sim_world *sim, const struct plan *plan,
		       const struct store_work *work, struct step_cost *cost)
{
	double ns = dram_step_ns(&sim->options.device->dram, work);

	sim_store_work(sim, plan, work, sim->now_ns + ns, cost);
}

/* All that a step does to its store, at once. */
static void store_at_once(struct sim_world *sim, const struct plan *plan, struct step_cost *cost)
{
	const struct store_work begin = sim_store_begin(sim, plan);
	const struct store_work append = sim_store_append(
		sim, plan, plan->resident_before - plan->evict_count, plan->load_count);
	struct store_work work = work_sum(&begin, &append);

	work.staged_bytes = plan->read_bytes;
	store_work(sim, plan, &work, cost);
}

static struct sim_batch *batch_free(struct sim_world *sim)
{
	for (unsigned i = 0; i < TICKETS; i++)
		if (!sim->batches[i].open)
			return &sim->batches[i];
	return NULL;
}

static struct sim_batch *batch_find(struct sim_world *sim, uint64_t ticket)
{
	for (unsigned i = 0; i < TICKETS; i++)
		if (sim->batches[i].open && sim->batches[i].ticket == ticket)
			return &sim->batches[i];
	return NULL;
}

static int sim_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	struct sim_world *sim = world;
	struct sim_batch *batch = batch_free(sim);

	if (!batch)
		return err_set(err, EBUSY,
			       "world sim: more than %d batches submitted and not computed",
			       TICKETS);
	batch->cost = (struct step_cost){0};
	if (plan->demand.dense && sim->options.device->dram.step_ns > 0)
		store_work(sim, plan, &(struct store_work){.step_count = 1}, &batch->cost);
	else if (sim_store_is_direct(sim, plan))
		store_at_once(sim, plan, &batch->cost);
	batch->reads.wants_arrivals = sim->options.config->overlap == OVERLAP_PIPELINE;
	if (sim_flash_submit(&sim->flash, &batch->reads, plan, sim->now_ns, err))
		return err->code;
	batch->open = true;
	batch->ticket = sim->ticket_next++;
	*ticket = batch->ticket;
	return 0;
}

/* Overlap none: reads, then the store, then the arithmetic. */
static void step_in_turn(struct sim_world *sim, const struct plan *plan,
			 const struct sim_reads *reads, struct step_cost *cost)
{
	const struct sim_part part = {
		.plan = plan,
		.track = TRACK_COMPUTE,
	};

	cost->io_wait_ns += sim_wait(sim, reads->end_ns, plan);
	if (!plan->demand.dense && !sim_store_is_direct(sim, plan))
		store_at_once(sim, plan, cost);
	cost->compute_ns += sim_work(sim, sim->now_ns + sim_arithmetic_ns(sim, plan), &part);
}

static int sim_compute(void *world, const struct plan *plan, uint64_t ticket,
		       struct step_cost *cost, struct err *err)
{
	struct sim_world *sim = world;
	struct sim_batch *batch = batch_find(sim, ticket);
	const struct sim_reads *reads;

	if (!batch)
		return err_set(err, EINVAL, "world sim: ticket %llu is not open",
			       (unsigned long long)ticket);
	batch->open = false;
	if (sim_flash_finish(&sim->flash, &batch->reads, err))
		return err->code;
	reads = &batch->reads;
	*cost = batch->cost;
	cost->read_count = reads->count;
	cost->read_bytes = reads->bytes;
	/* Waited for from its start, a batch's service is the wait, to the nanosecond. */
	if (reads->count > 0)
		cost->io_ns = (uint64_t)(reads->end_ns - floor(reads->begin_ns));
	if (sim->options.config->overlap == OVERLAP_PIPELINE)
		sim_pipeline(sim, plan, reads, cost);
	else
		step_in_turn(sim, plan, reads, cost);
	sim_tail_step(&sim->tail, &(struct sim_step){
					  .device = sim->options.device,
					  .reads = reads,
					  .end_ns = sim->now_ns,
					  .compute_ns = (double)cost->compute_ns,
					  .waited = cost->io_wait_ns > 0,
				  });
	if (!plan->demand.dense)
		sim_store_note(sim, plan);
	return 0;
}

const struct world_ops world_sim = {
	.name = "sim",
	.token_begin = sim_token_begin,
	.submit = sim_submit,
	.compute = sim_compute,
	.token_end = sim_token_end,
};
