/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_world.c - a virtual clock that plans move forward by what the cost model says
 *
 * Flash serves batches one after the other; a ticket is a batch's place in line.  compute() waits
 * for the whole of its ticket (overlap none), then pays for the store's work, then for the
 * arithmetic.  Within a token the clock is a double that starts at 0, so that fractions of a
 * nanosecond add up; what is booked is the difference of its whole nanoseconds, so that the parts
 * of a token sum to its total exactly. */
#include "sim_world.h"

#include "compute.h"
#include "dram.h"
#include "sim_flash.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct param_word sim_level_words[] = {
	[SIM_CLOSED] = {"closed", "batches of reads in closed form"},
	[SIM_RECURSION] = {"recursion", "every read, over parallel units and a shared bus"},
	{NULL, NULL},
};

enum { TICKETS = 64 }; /* most batches submitted and not yet computed */

struct batch {
	uint64_t ticket;
	double begin_ns, end_ns;
	bool open;
};

struct sim_world {
	struct sim_options options;
	enum weight_type weights;
	uint64_t row_bytes; /* of one neuron in the store, unpadded */
	struct sim_flash flash;
	double now_ns;	      /* since token_begin() */
	double flash_free_ns; /* when the last batch submitted ends */
	uint64_t ticket_next;
	struct batch batches[TICKETS]; /* by ticket modulo TICKETS */
	size_t words;
	uint64_t *newest; /* [layer][words]: rows that the layer's last step loaded */
};

int sim_world_open(struct sim_world **out, const struct sim_options *options, struct err *err)
{
	struct sim_world *sim = calloc(1, sizeof(*sim));

	assert(options->device && options->model && options->config);
	if (options->config->overlap != OVERLAP_NONE || options->config->store == STORE_FILL_HOLE)
		return err_set(err, ENOTSUP,
			       "overlap pipeline and store fill-hole are not built in the simulator");
	if (!sim)
		return err_nomem(err, "the simulator", sizeof(*sim));
	sim->options = *options;
	sim->weights = (enum weight_type)options->config->weights;
	sim->row_bytes = model_row_bytes(options->model, sim->weights, REGION_BUNDLE);
	if (sim_flash_open(&sim->flash, &options->device->flash,
			   (unsigned)options->config->in_flight, err)) {
		free(sim);
		return err->code;
	}
	sim->words = bits_words((uint32_t)options->model->d_ffn);
	sim->newest = calloc(options->model->layer_count * sim->words, sizeof(*sim->newest));
	if (!sim->newest) {
		(void)!err_nomem(err, "the simulator's rows",
				 options->model->layer_count * sim->words * sizeof(*sim->newest));
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
	free(sim->newest);
	free(sim);
}

static int sim_token_begin(void *world, uint32_t token, struct err *err)
{
	struct sim_world *sim = world;

	(void)token;
	(void)err;
	/* Batches in flight across tokens keep their distance to the clock. */
	for (unsigned i = 0; i < TICKETS; i++) {
		sim->batches[i].begin_ns -= sim->now_ns;
		sim->batches[i].end_ns -= sim->now_ns;
	}
	sim->flash_free_ns -= sim->now_ns;
	sim->now_ns = 0;
	return 0;
}

static int sim_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	struct sim_world *sim = world;
	struct batch *batch = &sim->batches[sim->ticket_next % TICKETS];
	double service_ns;

	if (batch->open)
		return err_set(err, EBUSY,
			       "world sim: more than %d batches submitted and not computed",
			       TICKETS);
	if (sim->options.level == SIM_RECURSION)
		service_ns = sim_flash_recursion_ns(&sim->flash, plan);
	else
		service_ns = sim_flash_closed_ns(&sim->flash, plan->classes, plan->class_count);
	*batch = (struct batch){.ticket = sim->ticket_next++, .open = true};
	batch->begin_ns = fmax(sim->now_ns, sim->flash_free_ns);
	batch->end_ns = batch->begin_ns + service_ns;
	if (plan->read_count > 0)
		sim->flash_free_ns = batch->end_ns;
	*ticket = batch->ticket;
	return 0;
}

/* Rows that real/store_*.c copy inside the store: compact closes each hole but those in the tail
 * that is cut off (how many depends on the order of rows: here its expectation); realloc copies
 * every row that stays, once when rows go and once when rows come. */
static double moved_rows(const struct sim_world *sim, const struct plan *plan)
{
	const uint64_t *newest = sim->newest + plan->demand.layer * sim->words;
	double kept = (double)plan->resident_before - (double)plan->evict_count;
	struct compact_rows rows = {.before = plan->resident_before, .deleted = plan->evict_count};

	if (sim->options.config->store == STORE_COMPACT) {
		for (size_t w = 0; w < sim->words; w++) {
			rows.newest += (uint64_t)__builtin_popcountll(newest[w]);
			rows.newest_deleted +=
				(uint64_t)__builtin_popcountll(newest[w] & plan->evict[w]);
		}
		return dram_compact_moves(&rows);
	}
	return kept * ((plan->evict_count > 0) + (plan->load_count > 0));
}

/* Dense steps pass through and leave the store alone. */
static double store_ns(struct sim_world *sim, const struct plan *plan, uint64_t *moved_bytes)
{
	struct store_work work = {0};

	*moved_bytes = 0;
	if (plan->demand.dense)
		return 0;
	work.neuron_count = plan->neuron_total;
	work.append_rows = plan->load_count;
	work.append_bytes = plan->load_count * sim->row_bytes;
	work.delete_rows = plan->evict_count;
	work.move_bytes = (uint64_t)llround(moved_rows(sim, plan) * (double)sim->row_bytes);
	*moved_bytes = work.append_bytes + work.move_bytes;
	memcpy(sim->newest + plan->demand.layer * sim->words, plan->load,
	       sim->words * sizeof(*sim->newest));
	return dram_step_ns(&sim->options.device->dram, &work);
}

static double arithmetic_ns(const struct sim_world *sim, const struct plan *plan)
{
	const struct compute_params *compute = &sim->options.device->compute;
	const struct model *model = sim->options.model;
	uint64_t rows;

	if (plan->demand.kind == STEP_ATTENTION)
		return compute_attention_ns(compute, model, sim->weights, sim->options.ctx);
	if (plan->demand.kind == STEP_HEAD)
		return compute_head_ns(compute, model, sim->weights);
	if (plan->demand.dense)
		rows = plan->neuron_total;
	else if (sim->options.config->compute_rows == COMPUTE_DEMANDED)
		rows = plan->demand.neuron_count;
	else
		rows = plan->resident_count;
	return compute_ffn_ns(compute, model, sim->weights, rows);
}

/* Moves the clock; returns the whole nanoseconds that it passed. */
static uint64_t clock_to(struct sim_world *sim, double at_ns)
{
	uint64_t before = (uint64_t)sim->now_ns;

	sim->now_ns = at_ns;
	return (uint64_t)at_ns - before;
}

static int sim_compute(void *world, const struct plan *plan, uint64_t ticket,
		       struct step_cost *cost, struct err *err)
{
	struct sim_world *sim = world;
	struct batch *batch = &sim->batches[ticket % TICKETS];
	double mem_ns;

	if (!batch->open || batch->ticket != ticket)
		return err_set(err, EINVAL, "world sim: ticket %llu is not open",
			       (unsigned long long)ticket);
	batch->open = false;
	*cost = (struct step_cost){
		.read_count = plan->read_count,
		.read_bytes = plan->read_bytes,
	};
	/* Waited for from its start, a batch's service is the wait, to the nanosecond. */
	cost->io_ns = (uint64_t)(batch->end_ns - floor(batch->begin_ns));
	cost->io_wait_ns = clock_to(sim, fmax(sim->now_ns, batch->end_ns));
	mem_ns = store_ns(sim, plan, &cost->moved_bytes);
	cost->mem_ns = clock_to(sim, sim->now_ns + mem_ns);
	cost->compute_ns = clock_to(sim, sim->now_ns + arithmetic_ns(sim, plan));
	return 0;
}

static int sim_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	const struct sim_world *sim = world;

	(void)err;
	*total_ns = (uint64_t)sim->now_ns;
	return 0;
}

const struct world_ops world_sim = {
	.name = "sim",
	.token_begin = sim_token_begin,
	.submit = sim_submit,
	.compute = sim_compute,
	.token_end = sim_token_end,
};
