/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_sim.c - a trial in the simulator */
#include "trial_books.h"
#include "trial_files.h"

#include <stdlib.h>

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

/* Draws of a trial, so that its 99th percentile rests on forty of them at least, and of a token. */
enum { TAIL_DRAWS = 4096, TAIL_DRAWS_LEAST = 8, TAIL_DRAWS_MOST = 1024 };

static unsigned tail_draws(const struct trial *trial)
{
	uint64_t draws = TAIL_DRAWS / trial->run.tokens;

	if (draws > TAIL_DRAWS_MOST)
		return TAIL_DRAWS_MOST;
	return draws < TAIL_DRAWS_LEAST ? TAIL_DRAWS_LEAST : (unsigned)draws;
}

/* A simulated run's books: token lines, and the draws of each measured token. */
struct sim_books {
	struct trial_books books;
	const struct sim_world *sim;
};

static int take_draws(struct token_list *list, const struct sim_world *sim, uint64_t total_ns)
{
	unsigned count;
	const double *extra_ns = sim_world_tail(sim, &count);

	if (list->draw_room - list->draw_count < count) {
		size_t room = 2 * list->draw_room + count;
		double *draws = realloc(list->draws, room * sizeof(*draws));

		if (!draws)
			return -1;
		list->draws = draws;
		list->draw_room = room;
	}
	for (unsigned i = 0; i < count; i++)
		list->draws[list->draw_count++] = (double)total_ns + extra_ns[i];
	return 0;
}

static int take_books(void *arg, uint32_t token, int32_t layer, const struct books *books)
{
	struct sim_books *to = arg;
	struct token_list *list = to->books.list;

	if (trial_books_take(&to->books, token, layer, books))
		return -1;
	if (layer >= 0 || token < list->warmup)
		return 0;
	return take_draws(list, to->sim, books->total_ns);
}

static int run_policy(struct result_row *row, struct token_list *list, const struct trial *trial,
		      struct policy *policy, struct err *err)
{
	struct device device = trial->device;
	const struct sim_options sim_options = {
		.device = &device,
		.model = &trial->model,
		.config = &trial->policy,
		.policy = policy,
		.ctx = trial->run.ctx,
		.level = (enum sim_level)trial->run.sim_level,
		.units = (enum sim_units)trial->run.sim_units,
		.timeline = list->timeline,
		.seed = trial->run.seed,
		.tail_draws = tail_draws(trial),
	};
	struct sim_books books = {.books = {.list = list}};
	struct run_outcome outcome;
	struct sim_world *sim;
	struct run_options options = {
		.model = &trial->model,
		.policy = policy,
		.token_count = (uint32_t)(trial->run.warmup + trial->run.tokens),
		.ops = &world_sim,
		.book = take_books,
		.book_arg = &books,
		.layers = list->layers,
	};

	device.compute = trial_sim_compute(trial);
	if (sim_world_open(&sim, &sim_options, err))
		return err->code;
	options.world = sim;
	books.sim = sim;
	if (run_logged(&outcome, &options, list, trial, err) == 0) {
		trial_books_put(row, &books.books, trial, &outcome);
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
	forecast_error_put(row, &trial->forecast);
}
