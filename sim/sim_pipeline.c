/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_pipeline.c - overlap pipeline: what stays is computed while a step's reads are in flight, what
 * arrives is computed in groups
 *
 * The same algorithm as the real engine's.  Reads are submitted after the layer's attention, and
 * nothing of them before.  Then: deletes; the rows that stay; then, until all came: wait until reads
 * (in the order of submission) that bring at least PIPELINE_GROUP_BYTES more, or the rest, are
 * complete; take all that has come by then; append it; compute it.  Dense steps do the same with
 * bytes of a region, or rows that pass through, and append nothing.
 *
 * While reads are in flight, copies and kernels take reading_slowdown times as long. */
#include "sim_inside.h"

#include "mechanism.h"

#include <math.h>

/* What arrives, read by read: 'have' is how much of it is whole once the read and all before it are
 * complete, in rows of the load, rows that stream past, or bytes of a region. */
struct arrivals {
	const struct plan *plan;
	const struct sim_reads *reads;
	struct sim_walk walk;
	uint64_t index;	  /* of the next read */
	uint64_t have;	  /* after those before it */
	uint32_t row_end; /* loads below it are counted */
	uint64_t row_stride;
};

static void arrivals_init(struct arrivals *a, const struct plan *plan,
			  const struct sim_reads *reads, uint64_t row_stride)
{
	*a = (struct arrivals){.plan = plan, .reads = reads, .row_stride = row_stride};
	sim_walk_init(&a->walk, plan);
}

/* Loads in [first, end). */
static uint32_t loads_within(const uint64_t *load, uint32_t first, uint32_t end)
{
	uint32_t count = 0;

	while (first < end) {
		uint64_t word = load[first / 64] >> first % 64;
		uint32_t width = 64 - first % 64;

		if (width > end - first) {
			width = end - first;
			word &= (UINT64_C(1) << width) - 1;
		}
		count += (uint32_t)__builtin_popcountll(word);
		first += width;
	}
	return count;
}

/* Take in one more read; false when there is none. */
static bool arrivals_next(struct arrivals *a)
{
	const struct plan *plan = a->plan;
	struct flash_read read;
	uint64_t end;

	if (a->index >= a->reads->count || !sim_walk_next(&a->walk, &read))
		return false;
	a->index++;
	if (!a->row_stride) {
		a->have += read.bytes;
		return true;
	}
	if (!sim_walk_is_even(&a->walk))
		return true;
	end = (read.offset + read.bytes) / a->row_stride;
	if (plan->demand.dense) {
		a->have = end - plan->stream_first;
	} else {
		if (end > plan->neuron_total)
			end = plan->neuron_total;
		a->have += loads_within(plan->load, a->row_end, (uint32_t)end);
		a->row_end = (uint32_t)end;
	}
	return true;
}

/* The moment when at least 'want' has come, or all. */
static double arrivals_until(struct arrivals *a, uint64_t want)
{
	while (a->have < want && arrivals_next(a))
		;
	return a->index > 0 ? a->reads->arrived_ns[a->index - 1] : a->reads->begin_ns;
}

/* What has come by 'at_ns', in 'have'. */
static void arrivals_take(struct arrivals *a, double at_ns)
{
	while (a->index < a->reads->count && a->reads->arrived_ns[a->index] <= at_ns &&
	       arrivals_next(a))
		;
}

/* ---- a step -----------------------------------------------------------------------------------
 */

struct step {
	struct sim_world *sim;
	const struct plan *plan;
	const struct sim_reads *reads;
	struct step_cost *cost;
	double fixed_ns; /* of the first hand-off to the compute threads; each other one's is group_ns */
	bool has_computed;
};

/* When work of 'ns' that begins now ends. */
static double work_end(const struct step *step, double ns, double slowdown)
{
	double now = step->sim->now_ns, left = step->reads->end_ns - now;

	if (left <= 0)
		return now + ns;
	if (ns * slowdown <= left)
		return now + ns * slowdown;
	return now + left + (ns - left / slowdown);
}

static void store_work(struct step *step, const struct store_work *work)
{
	const struct dram_params *dram = &step->sim->options.device->dram;
	double end = work_end(step, dram_step_ns(dram, work), dram->reading_slowdown);

	sim_store_work(step->sim, step->plan, work, end, step->cost);
}

/* 'ns' without the fixed cost. */
static void arithmetic(struct step *step, double ns, uint64_t bytes)
{
	const struct compute_params *compute = &step->sim->options.device->compute;
	const struct sim_part part = {
		.plan = step->plan,
		.track = TRACK_COMPUTE,
		.bytes = bytes,
	};

	ns += step->has_computed ? compute->group_ns : step->fixed_ns;
	step->has_computed = true;
	step->cost->compute_ns +=
		sim_work(step->sim, work_end(step, ns, compute->reading_slowdown), &part);
}

/* Wait until 'group' more has come, or the rest, and take what has; returns how much. */
static uint64_t next_group(struct step *step, struct arrivals *a, uint64_t group)
{
	uint64_t before = a->have;

	step->cost->io_wait_ns +=
		sim_wait(step->sim, arrivals_until(a, before + group), step->plan);
	arrivals_take(a, step->sim->now_ns);
	return a->have - before;
}

static void append(struct step *step, uint64_t before, uint64_t rows)
{
	const struct store_work work = sim_store_append(step->sim, step->plan, before, rows);

	if (!step->plan->demand.dense && !sim_store_is_direct(step->sim, step->plan))
		store_work(step, &work);
}

static void multiply(struct step *step, uint64_t rows)
{
	arithmetic(step, sim_rows_ns(step->sim, step->plan, rows), rows * step->sim->row_bytes);
}

/* Rows of a group: unpadded ones of a load, of a stream as they lie on flash. */
static uint64_t group_rows(const struct step *step, uint64_t row_stride)
{
	uint64_t bytes = step->sim->row_bytes;

	if (step->plan->demand.dense)
		bytes = row_stride * step->plan->stretch_count;
	return bytes > 0 ? (PIPELINE_GROUP_BYTES + bytes - 1) / bytes : 1;
}

/* 'coming' rows, of which 'left' are multiplied. */
static void rows_in_groups(struct step *step, struct arrivals *a, uint64_t coming, uint64_t left)
{
	uint64_t group = group_rows(step, a->row_stride);
	uint64_t before = step->plan->resident_before - step->plan->evict_count;

	while (a->have < coming) {
		uint64_t rows = next_group(step, a, group), multiplied;

		if (rows == 0) /* a plan of sums without reads: all at its end */
			a->have += rows = coming - a->have;
		append(step, before, rows);
		before += rows;
		multiplied = rows < left ? rows : left;
		left -= multiplied;
		multiply(step, multiplied);
	}
}

static uint64_t row_stride(const struct sim_world *sim, const struct plan *plan)
{
	if (plan->plane_count > 0)
		return plan->planes[plan->plane_count - 1].row_stride;
	if (plan->stretch_count > 0)
		return model_row_stride(sim->options.model, sim->weights,
					plan->stretches[plan->stretch_count - 1].region);
	return 1;
}

static void ffn(struct step *step)
{
	const struct sim_world *sim = step->sim;
	const struct plan *plan = step->plan;
	uint64_t all = sim_ffn_rows(sim, plan);
	uint64_t coming = plan->demand.dense ? plan->stream_count : plan->load_count;
	uint64_t stay = all > coming ? all - coming : 0;
	struct arrivals a;

	step->fixed_ns = sim->options.device->compute.ffn_ns;
	if (!plan->demand.dense && !sim_store_is_direct(sim, plan)) {
		const struct store_work work = sim_store_begin(sim, plan);

		store_work(step, &work);
	}
	multiply(step, stay);
	arrivals_init(&a, plan, step->reads, row_stride(sim, plan));
	rows_in_groups(step, &a, coming, all - stay);
}

/* Attention and head: bytes of the region that stay, then those that come. */
static void region(struct step *step)
{
	const struct sim_world *sim = step->sim;
	const struct plan *plan = step->plan;
	const struct compute_params *compute = &sim->options.device->compute;
	uint64_t kept = plan->stretch_count > 0 ? plan->stretches[0].offset : 1;
	uint64_t total = kept + plan->read_bytes, at = kept;
	struct arrivals a;

	step->fixed_ns = plan->demand.kind == STEP_HEAD ? compute->head_ns : compute->attention_ns;
	if (kept > 0)
		arithmetic(step, sim_region_ns(sim, plan, 0, kept, total),
			   plan->stretch_count > 0 ? kept : 0);
	arrivals_init(&a, plan, step->reads, 0);
	while (at < total) {
		uint64_t bytes = next_group(step, &a, PIPELINE_GROUP_BYTES);

		if (bytes == 0)
			bytes = total - at;
		arithmetic(step, sim_region_ns(sim, plan, at, at + bytes, total), bytes);
		at += bytes;
	}
}

void sim_pipeline(struct sim_world *sim, const struct plan *plan, const struct sim_reads *reads,
		  struct step_cost *cost)
{
	struct step step = {.sim = sim, .plan = plan, .reads = reads, .cost = cost};

	if (plan->demand.kind == STEP_FFN)
		ffn(&step);
	else
		region(&step);
}
