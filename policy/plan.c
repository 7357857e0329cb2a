/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plan.c - a plan's memory, and the walk over its reads */
#include "plan.h"

#include "sets.h"

#include <assert.h>
#include <stdlib.h>

const char *step_kind_name(enum step_kind kind)
{
	static const char *const names[] = {
		[STEP_ATTENTION] = "attention", [STEP_FFN] = "ffn", [STEP_HEAD] = "head"};

	assert((size_t)kind < sizeof(names) / sizeof(*names));
	return names[kind];
}

int plan_init(struct plan *plan, uint32_t neuron_total, struct err *err)
{
	size_t words = bits_words(neuron_total);
	size_t sets_bytes = (2 + PLAN_PLANES) * words * sizeof(*plan->evict);
	size_t bytes = sets_bytes + PLAN_CLASSES * sizeof(*plan->classes);

	*plan = (struct plan){.neuron_total = neuron_total};
	/* Sets and classes are in one block, which plan->evict owns. */
	plan->evict = calloc(1, bytes);
	if (!plan->evict)
		return err_nomem(err, "a plan", bytes);
	plan->load = plan->evict + words;
	for (unsigned i = 0; i < PLAN_PLANES; i++)
		plan->slots[i] = plan->load + (i + 1) * words;
	plan->classes = (struct read_class *)(void *)(plan->load + (1 + PLAN_PLANES) * words);
	return 0;
}

void plan_fini(struct plan *plan)
{
	free(plan->evict);
	*plan = (struct plan){0};
}

void plan_reset(struct plan *plan, const struct demand *demand)
{
	struct plan empty = {.demand = *demand, .neuron_total = plan->neuron_total};

	/* Dense steps, two of three, leave the sets as empty as they found them. */
	if (plan->evict_count)
		bits_clear(plan->evict, plan->neuron_total);
	if (plan->load_count)
		bits_clear(plan->load, plan->neuron_total);
	empty.evict = plan->evict;
	empty.load = plan->load;
	empty.classes = plan->classes;
	memcpy(empty.slots, plan->slots, sizeof(empty.slots));
	*plan = empty;
}

void plan_reads_init(struct plan_reads *it, const struct plan *plan)
{
	*it = (struct plan_reads){.plan = plan};
}

/* A run of slots, or what is left of it: one read as far as merge_bytes goes. */
static bool run_next(struct plan_reads *it, const struct read_plane *plane, struct flash_read *read)
{
	uint32_t first = set_next(plane->slots, (uint32_t)it->slot, plane->slot_count);
	uint32_t most = plane->slot_count - first, end;

	if (first == plane->slot_count)
		return false;
	if (most > plane_merge_slots(plane))
		most = plane_merge_slots(plane);
	end = set_next_absent(plane->slots, first, first + most);
	read->region = plane->region;
	read->offset = first * plane->slot_bytes;
	read->bytes = end * plane->slot_bytes - read->offset;
	if (read->bytes > plane->end_bytes - read->offset)
		read->bytes = plane->end_bytes - read->offset;
	it->slot = end;
	return true;
}

static bool plane_next(struct plan_reads *it, const struct read_plane *plane,
		       struct flash_read *read)
{
	uint64_t begin, end, left;

	if (plane->merge_bytes)
		return run_next(it, plane, read);
	if (!it->within)
		it->slot = set_next(plane->slots, (uint32_t)it->slot, plane->slot_count);
	if (it->slot >= plane->slot_count)
		return false;
	begin = it->slot * plane->slot_bytes;
	end = begin + plane->slot_bytes < plane->end_bytes ? begin + plane->slot_bytes
							   : plane->end_bytes;
	left = end - begin - it->within;
	read->region = plane->region;
	read->offset = begin + it->within;
	read->bytes = left < plane->piece_bytes ? left : plane->piece_bytes;
	it->within += read->bytes;
	if (read->bytes == left) {
		it->slot++;
		it->within = 0;
	}
	return true;
}

static bool stretch_next(struct plan_reads *it, const struct read_stretch *stretch,
			 struct flash_read *read)
{
	uint64_t left = stretch->bytes - it->within;

	if (!left)
		return false;
	read->region = stretch->region;
	read->offset = stretch->offset + it->within;
	read->bytes = left < stretch->piece_bytes ? left : stretch->piece_bytes;
	it->within += read->bytes;
	return true;
}

bool plan_reads_next(struct plan_reads *it, struct flash_read *read)
{
	const struct plan *plan = it->plan;

	read->layer = plan->demand.layer;
	while (it->group < plan->plane_count + plan->stretch_count) {
		if (it->group < plan->plane_count
			    ? plane_next(it, &plan->planes[it->group], read)
			    : stretch_next(it, &plan->stretches[it->group - plan->plane_count],
					   read))
			return true;
		it->group++;
		it->slot = 0;
		it->within = 0;
	}
	return false;
}
