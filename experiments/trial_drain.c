/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_drain.c - follows a run from before the world, and evicts what it left */
#include "trial_drain.h"

#include <stdlib.h>
#include <string.h>

static int drain_token_begin(void *world, uint32_t token, struct err *err)
{
	struct trial_drain *drain = world;

	return drain->ops->token_begin(drain->world, token, err);
}

static int drain_submit(void *world, const struct plan *plan, uint64_t *ticket, struct err *err)
{
	struct trial_drain *drain = world;

	/* A copy of a kilobyte or two, while the reads before it are not yet submitted. */
	if (plan->demand.kind == STEP_FFN && !plan->demand.dense)
		memcpy(drain->resident + plan->demand.layer * drain->words, plan->resident,
		       drain->words * sizeof(*drain->resident));
	return drain->ops->submit(drain->world, plan, ticket, err);
}

static int drain_compute(void *world, const struct plan *plan, uint64_t ticket,
			 struct step_cost *cost, struct err *err)
{
	struct trial_drain *drain = world;

	return drain->ops->compute(drain->world, plan, ticket, cost, err);
}

static int drain_token_end(void *world, uint64_t *total_ns, struct err *err)
{
	struct trial_drain *drain = world;

	return drain->ops->token_end(drain->world, total_ns, err);
}

const struct world_ops trial_drain_ops = {
	.name = "real",
	.token_begin = drain_token_begin,
	.submit = drain_submit,
	.compute = drain_compute,
	.token_end = drain_token_end,
};

int trial_drain_open(struct trial_drain *drain, const struct world_ops *ops, void *world,
		     const struct model *model, const struct policy *policy, struct err *err)
{
	size_t words = bits_words((uint32_t)model->d_ffn);

	*drain = (struct trial_drain){
		.ops = ops,
		.world = world,
		.layer_count = (uint32_t)model->layer_count,
		.neuron_count = (uint32_t)model->d_ffn,
		.pinned_rows = policy_pinned_rows(policy),
		.words = words,
		.resident = calloc(model->layer_count * words, sizeof(uint64_t)),
	};
	return drain->resident ? 0 : err_nomem(err, "resident sets", words * sizeof(uint64_t));
}

void trial_drain_close(struct trial_drain *drain)
{
	free(drain->resident);
	*drain = (struct trial_drain){0};
}

/* One step that wants nothing: evict, load nothing, compute over what is pinned. */
static int layer_empty(struct trial_drain *drain, struct plan *plan, uint32_t layer,
		       const uint64_t *nothing, const uint64_t *pinned, struct err *err)
{
	const struct demand demand = {.kind = STEP_FFN, .layer = layer, .neurons = nothing};
	const uint64_t *resident = drain->resident + layer * drain->words;
	struct step_cost cost = {0};
	uint64_t ticket;

	plan_reset(plan, &demand);
	for (size_t w = 0; w < drain->words; w++)
		plan->evict[w] = resident[w] & ~pinned[w];
	plan->evict_count = bits_count(plan->evict, drain->neuron_count);
	plan->resident = pinned;
	plan->resident_count = drain->pinned_rows;
	plan->resident_before = drain->pinned_rows + plan->evict_count;
	if (!plan->evict_count)
		return 0;
	if (drain->ops->submit(drain->world, plan, &ticket, err) ||
	    drain->ops->compute(drain->world, plan, ticket, &cost, err))
		return err->code;
	return 0;
}

static int layers_empty(struct trial_drain *drain, struct plan *plan, const uint64_t *nothing,
			const uint64_t *pinned, struct err *err)
{
	uint64_t total_ns;

	if (drain->ops->token_begin(drain->world, 0, err))
		return err->code;
	for (uint32_t layer = 0; layer < drain->layer_count; layer++) {
		if (layer_empty(drain, plan, layer, nothing, pinned, err))
			return err_where(err, "emptying layer %u between repeats", layer);
	}
	memset(drain->resident, 0, drain->layer_count * drain->words * sizeof(*drain->resident));
	return drain->ops->token_end(drain->world, &total_ns, err);
}

int trial_drain_empty(struct trial_drain *drain, struct err *err)
{
	uint64_t *sets = calloc(2 * drain->words, sizeof(*sets)); /* nothing; the pinned rows */
	struct plan plan;

	if (!sets)
		return err_nomem(err, "sets of neurons", 2 * drain->words * sizeof(*sets));
	for (uint32_t row = 0; row < drain->pinned_rows; row++)
		bits_put(sets + drain->words, row);
	if (plan_init(&plan, drain->neuron_count, err) == 0) {
		(void)!layers_empty(drain, &plan, sets, sets + drain->words, err);
		plan_fini(&plan);
	}
	free(sets);
	return err->code;
}
