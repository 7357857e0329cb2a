/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_steps.c - what a step asks of store and kernels, in bytes and rows, and the cost model's answer
 *
 * The same work is done whether at once (overlap none) or in groups (pipeline). */
#include "compute.h"
#include "sets.h"
#include "sim_inside.h"

#include <math.h>
#include <string.h>

/* ---- store ------------------------------------------------------------------------------------
 */

/* Rows that real/store_compact.c moves: one for each hole but those in the tail that is cut off (how
 * many depends on the order of rows: here its expectation). */
static double compact_moves(const struct sim_world *sim, const struct plan *plan)
{
	const uint64_t *newest = sim->newest + plan->demand.layer * sim->words;
	const struct compact_rows rows = {
		.before = plan->resident_before,
		.deleted = plan->evict_count,
		.newest = set_count(newest, sim->words),
		.newest_deleted = set_count_both(newest, plan->evict, sim->words),
	};

	return plan->evict_count > 0 ? dram_compact_moves(&rows) : 0;
}

/* Holes that no load fills shorten the store by as many rows; those of its tail that are no holes
 * move.  Holes lie anywhere, since rows of all ages do. */
static double fill_hole_moves(const struct plan *plan)
{
	double closed = (double)plan->evict_count - (double)plan->load_count;
	double before = plan->resident_before;

	if (closed <= 0)
		return 0;
	return closed * (before - (double)plan->evict_count) / before;
}

struct store_work sim_store_begin(const struct sim_world *sim, const struct plan *plan)
{
	struct store_work work = {
		.step_count = 1,
		.neuron_count = plan->neuron_total,
		.delete_rows = plan->evict_count,
	};
	double moves = 0;

	switch ((enum store_kind)sim->options.config->store) {
	case STORE_COMPACT:
		moves = compact_moves(sim, plan);
		break;
	case STORE_FILL_HOLE:
		moves = fill_hole_moves(plan);
		break;
	case STORE_REALLOC: /* a new matrix, and a copy of what stays */
		if (plan->evict_count > 0)
			moves = (double)plan->resident_before - (double)plan->evict_count;
		break;
	}
	if (sim->options.config->store == STORE_REALLOC)
		work.fresh_bytes = (uint64_t)llround(moves * (double)sim->row_bytes);
	else
		work.move_bytes = (uint64_t)llround(moves * (double)sim->row_bytes);
	return work;
}

struct store_work sim_store_append(const struct sim_world *sim, const struct plan *plan,
				   uint64_t before, uint64_t rows)
{
	struct store_work work = {.append_rows = rows, .append_bytes = rows * sim->row_bytes};

	if (sim_store_is_direct(sim, plan))
		work.append_bytes = 0;
	if (sim->options.config->store == STORE_REALLOC && rows > 0) {
		work.append_bytes = 0;
		work.fresh_bytes = (before + rows) * sim->row_bytes;
	}
	return work;
}

void sim_store_work(struct sim_world *sim, const struct plan *plan, const struct store_work *work,
		    double end_ns, struct step_cost *cost)
{
	const struct sim_part part = {
		.plan = plan,
		.track = TRACK_MEMORY,
		.bytes = work->append_bytes + work->move_bytes + work->fresh_bytes,
	};

	cost->moved_bytes += part.bytes;
	cost->mem_ns += sim_work(sim, end_ns, &part);
}

/* A slot is one row, or one half of one. */
bool sim_store_is_direct(const struct sim_world *sim, const struct plan *plan)
{
	if (sim->options.config->store != STORE_FILL_HOLE || plan->demand.dense)
		return false;
	for (unsigned i = 0; i < plan->plane_count; i++) {
		const struct read_plane *plane = &plan->planes[i];

		if (plane->rows_per_slot != 1 || plane->merge_bytes)
			return false;
	}
	return plan->plane_count > 0;
}

void sim_store_note(struct sim_world *sim, const struct plan *plan)
{
	memcpy(sim->newest + plan->demand.layer * sim->words, plan->load,
	       sim->words * sizeof(*sim->newest));
}

/* ---- arithmetic -------------------------------------------------------------------------------
 */

uint64_t sim_ffn_rows(const struct sim_world *sim, const struct plan *plan)
{
	if (plan->demand.dense)
		return plan->neuron_total;
	if (sim->options.config->compute_rows == COMPUTE_DEMANDED)
		return plan->demand.neuron_count;
	return plan->resident_count;
}

double sim_arithmetic_ns(const struct sim_world *sim, const struct plan *plan)
{
	const struct compute_params *compute = &sim->options.device->compute;
	const struct model *model = sim->options.model;

	if (plan->demand.kind == STEP_ATTENTION)
		return compute_attention_ns(compute, model, sim->weights, sim->options.ctx);
	if (plan->demand.kind == STEP_HEAD)
		return compute_head_ns(compute, model, sim->weights);
	return compute->ffn_ns + sim_rows_ns(sim, plan, sim_ffn_rows(sim, plan));
}

double sim_rows_ns(const struct sim_world *sim, const struct plan *plan, uint64_t rows)
{
	const struct compute_params *compute = &sim->options.device->compute;
	const struct model *model = sim->options.model;
	double ns = plan->demand.dense ? compute_dense_ffn_ns(compute, model, sim->weights, rows)
				       : compute_ffn_ns(compute, model, sim->weights, rows);

	return ns - compute->ffn_ns;
}

/* Of q, k, v and output, in this order, what lies before the output matrix. */
static double before_output_frac(const struct model *model)
{
	double out = (double)model->d_model * (double)model->d_model;
	double kv = (double)model->d_model * (double)model->d_model / (double)model->head_count *
		    (double)model->kv_head_count;

	return (out + 2 * kv) / (2 * out + 2 * kv);
}

/* Matrices by their share of the bytes; the KV cache when q, k and v are complete. */
double sim_region_ns(const struct sim_world *sim, const struct plan *plan, uint64_t from,
		     uint64_t to, uint64_t total)
{
	const struct compute_params *compute = &sim->options.device->compute;
	const struct model *model = sim->options.model;
	double fixed, whole, at = (double)from / (double)total, end = (double)to / (double)total;
	double cache = 0, ns;

	if (plan->demand.kind == STEP_ATTENTION) {
		fixed = compute->attention_ns;
		whole = compute_attention_ns(compute, model, sim->weights, 0) - fixed;
		cache = sim_arithmetic_ns(sim, plan) - fixed - whole;
	} else {
		fixed = compute->head_ns;
		whole = compute_head_ns(compute, model, sim->weights) - fixed;
	}
	ns = (end - at) * whole;
	if (at < before_output_frac(model) && end >= before_output_frac(model))
		ns += cache;
	return ns;
}
