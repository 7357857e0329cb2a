/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_sim.c - a trial in the simulator */
#include "trial_books.h"
#include "trial_files.h"

/* What is in DRAM at once: weights, keys and values, and the largest step's reads on their way in.
 */
static uint64_t peak_bytes(const struct result_row *row, const struct trial *trial,
			   const struct run_outcome *outcome)
{
	return row->dram_weights_bytes + trial_kv_bytes(trial) + outcome->read_bytes_peak;
}

/* run() with the decision log that the list asks for. */
static int run_logged(struct run_outcome *outcome, struct run_options *options,
		      const struct token_list *list, const struct trial *trial, struct err *err)
{
	struct newfile log;

	if (!list->decisions)
		return run(outcome, options, err);
	if (trial_decisions_open(&log, list->decisions, trial, "sim", err))
		return err->code;
	options->decisions = log.stream;
	if (run(outcome, options, err)) {
		newfile_drop(&log);
		return err->code;
	}
	return newfile_commit(&log, err);
}

static int run_policy(struct result_row *row, struct token_list *list, const struct trial *trial,
		      struct policy *policy, struct err *err)
{
	const struct sim_options sim_options = {
		.device = &trial->device,
		.model = &trial->model,
		.config = &trial->policy,
		.policy = policy,
		.ctx = trial->run.ctx,
		.level = (enum sim_level)trial->run.sim_level,
		.units = (enum sim_units)trial->run.sim_units,
		.timeline = list->timeline,
	};
	struct trial_books books = {.list = list};
	struct run_outcome outcome;
	struct sim_world *sim;
	struct run_options options = {
		.model = &trial->model,
		.policy = policy,
		.token_count = (uint32_t)(trial->run.warmup + trial->run.tokens),
		.ops = &world_sim,
		.book = trial_books_take,
		.book_arg = &books,
		.layers = list->layers,
	};

	if (sim_world_open(&sim, &sim_options, err))
		return err->code;
	options.world = sim;
	if (run_logged(&outcome, &options, list, trial, err) == 0) {
		trial_books_put(row, &books, trial, &outcome);
		row->dram_peak_bytes = peak_bytes(row, trial, &outcome);
	}
	sim_world_close(sim);
	return err->code;
}

int trial_run_sim(struct result_row *row, struct token_list *list, const struct trial *trial,
		  struct trace_cache *cache, struct err *err)
{
	const struct trace *trace;
	struct policy *policy;

	list->warmup = (uint32_t)trial->run.warmup;
	if (trace_cache_get(cache, trial, &trace, err) ||
	    policy_open(&policy, &trial->policy, &trial->model, trace, err))
		return err->code;
	(void)!run_policy(row, list, trial, policy, err);
	policy_close(policy);
	return err->code;
}

void trial_sim_uncertainty(struct result_row *row, const struct trial *trial)
{
	forecast_error_put(row, &trial->forecast, policy_demand(&trial->policy)->dense);
}
