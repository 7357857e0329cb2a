/* SPDX-License-Identifier: GPL-3.0-or-later */
/* run.c - the run loop: demand, plan, check, log, submit, compute, book; the same in both worlds */
#include "run.h"

#include "decision_log.h"
#include "wide.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct run {
	const struct run_options *options;
	struct run_outcome *outcome;
	struct decision_log *log;
	struct plan plan;
	uint32_t layer_count, neuron_count;
	size_t words;
	uint64_t *resident; /* [layer][words] */
	struct books token, layer;
};

static void books_add(struct books *books, const struct plan *plan, const struct step_cost *cost)
{
	books->demand_neurons += plan->demand.neuron_count;
	books->load_neurons += plan->load_count + plan->stream_count;
	books->resident_neurons += plan->resident_count;
	books->read_count += cost->read_count;
	books->read_bytes += cost->read_bytes;
	books->dropped_bytes += plan->read_bytes - plan->needed_bytes;
	books->moved_bytes += cost->moved_bytes;
	books->io_ns += cost->io_ns;
	books->io_wait_ns += cost->io_wait_ns;
	books->mem_ns += cost->mem_ns;
	books->compute_ns += cost->compute_ns;
	books->total_ns += cost->io_wait_ns + cost->mem_ns + cost->compute_ns;
}

static void outcome_add(struct run *loop, const struct plan *plan)
{
	struct run_outcome *outcome = loop->outcome;

	if (plan->demand.kind == STEP_FFN &&
	    plan->resident_count > outcome->rows_peaks[plan->demand.layer])
		outcome->rows_peaks[plan->demand.layer] = plan->resident_count;
	if (plan->load_count > outcome->load_peak)
		outcome->load_peak = plan->load_count;
	if (plan->read_bytes > outcome->read_bytes_peak)
		outcome->read_bytes_peak = plan->read_bytes;
}

/* What the world completed is what was planned, to the byte. */
static int completed_check(const struct plan *plan, const struct step_cost *cost,
			   const struct world_ops *ops, struct err *err)
{
	if (cost->read_count == plan->read_count && cost->read_bytes == plan->read_bytes)
		return 0;
	return err_set(
		err, EPROTO,
		"world %s completed %llu reads of %llu bytes, expected %llu reads of %llu bytes",
		ops->name, (unsigned long long)cost->read_count,
		(unsigned long long)cost->read_bytes, (unsigned long long)plan->read_count,
		(unsigned long long)plan->read_bytes);
}

WIDE static void resident_apply(uint64_t *restrict resident, const uint64_t *restrict evict,
				const uint64_t *restrict load, size_t words)
{
	for (size_t w = 0; w < words; w++)
		resident[w] = (resident[w] & ~evict[w]) | load[w];
}

/* Decide: from a demand to a plan that has been checked and logged, and applied to the resident
 * set. */
static int step_decide(struct run *loop, const struct demand *demand, uint64_t *resident,
		       struct err *err)
{
	const struct run_options *options = loop->options;
	struct plan *plan = &loop->plan;
	int rc = policy_step(options->policy, demand, resident, plan, err);

	if (rc)
		return err_where(err, "token %u layer %u %s", demand->token, demand->layer,
				 step_kind_name(demand->kind));
	if (options->tamper)
		options->tamper(options->tamper_arg, plan);
	rc = plan_check(plan, options->model, options->policy, resident, err);
	if (rc)
		return rc;
	if (!demand->dense)
		resident_apply(resident, plan->evict, plan->load, loop->words);
	plan->resident = demand->kind == STEP_FFN ? resident : NULL;
	decision_log_add(loop->log, plan);
	return 0;
}

static int step_execute(struct run *loop, struct err *err)
{
	const struct run_options *options = loop->options;
	const struct plan *plan = &loop->plan;
	struct step_cost cost = {0};
	uint64_t ticket = 0;
	int rc = options->ops->submit(options->world, plan, &ticket, err);

	if (!rc)
		rc = options->ops->compute(options->world, plan, ticket, &cost, err);
	if (!rc)
		rc = completed_check(plan, &cost, options->ops, err);
	if (rc)
		return err_where(err, "token %u layer %u %s", plan->demand.token,
				 plan->demand.layer, step_kind_name(plan->demand.kind));
	books_add(&loop->token, plan, &cost);
	books_add(&loop->layer, plan, &cost);
	outcome_add(loop, plan);
	return 0;
}

static int step_run(struct run *loop, uint32_t token, uint32_t layer, enum step_kind kind,
		    struct err *err)
{
	/* The head has no rows: any set will do, it is not looked at. */
	uint64_t *resident = loop->resident + (kind == STEP_HEAD ? 0 : layer * loop->words);
	struct demand demand;
	int rc;

	policy_demand_at(loop->options->policy, &demand, token, layer, kind);
	rc = step_decide(loop, &demand, resident, err);
	return rc ? rc : step_execute(loop, err);
}

static int book(const struct run *loop, uint32_t token, int32_t layer, const struct books *books,
		struct err *err)
{
	const struct run_options *options = loop->options;

	if (!options->book || options->book(options->book_arg, token, layer, books) == 0)
		return 0;
	return err_set(err, ECANCELED, "token %u: stopped by the caller", token);
}

static int layer_run(struct run *loop, uint32_t token, uint32_t layer, struct err *err)
{
	bool head = layer == loop->layer_count;
	int rc;

	loop->layer = (struct books){0};
	rc = step_run(loop, token, layer, head ? STEP_HEAD : STEP_ATTENTION, err);
	if (!rc && !head)
		rc = step_run(loop, token, layer, STEP_FFN, err);
	if (!rc && loop->options->layers)
		rc = book(loop, token, (int32_t)layer, &loop->layer, err);
	return rc;
}

int run_token(struct run *loop, uint32_t token, struct err *err)
{
	const struct run_options *options = loop->options;
	uint64_t total_ns = 0;
	int rc = options->ops->token_begin(options->world, token, err);

	loop->token = (struct books){0};
	for (uint32_t layer = 0; !rc && layer <= loop->layer_count; layer++)
		rc = layer_run(loop, token, layer, err);
	if (!rc)
		rc = options->ops->token_end(options->world, &total_ns, err);
	if (rc)
		return rc;
	loop->token.total_ns = total_ns; /* the world's clock, not the sum of the parts */
	return book(loop, token, -1, &loop->token, err);
}

static int allocate_sets(struct run *loop, struct err *err)
{
	size_t sets = loop->layer_count * loop->words;

	assert(loop->layer_count <= RUN_LAYERS_MOST);
	loop->resident = calloc(sets, sizeof(*loop->resident));
	if (!loop->resident)
		return err_nomem(err, "resident sets", sets * sizeof(*loop->resident));
	for (uint32_t layer = 0; layer < loop->layer_count; layer++)
		bits_fill(loop->resident + layer * loop->words,
			  policy_pinned_rows(loop->options->policy));
	return 0;
}

int run_open(struct run **out, struct run_outcome *outcome, const struct run_options *options,
	     struct err *err)
{
	struct run *loop = calloc(1, sizeof(*loop));

	*out = NULL;
	if (!loop)
		return err_nomem(err, "a run", sizeof(*loop));
	*outcome = (struct run_outcome){0};
	loop->options = options;
	loop->outcome = outcome;
	loop->layer_count = (uint32_t)options->model->layer_count;
	loop->neuron_count = (uint32_t)options->model->d_ffn;
	loop->words = bits_words(loop->neuron_count);
	if (allocate_sets(loop, err) || plan_init(&loop->plan, loop->neuron_count, err) ||
	    decision_log_open(&loop->log, options->decisions, err)) {
		run_close(loop);
		return err->code;
	}
	policy_restart(options->policy);
	*out = loop;
	return 0;
}

void run_close(struct run *loop)
{
	if (!loop)
		return;
	decision_log_close(loop->log);
	plan_fini(&loop->plan);
	free(loop->resident);
	free(loop);
}

static int decisions_flush(FILE *decisions, struct err *err)
{
	if (!decisions || (fflush(decisions) == 0 && !ferror(decisions)))
		return 0;
	return err_errno(err, "decision log");
}

int run_finish(struct run *loop, struct err *err)
{
	struct run_outcome *outcome = loop->outcome;

	if (decisions_flush(loop->options->decisions, err))
		return err->code;
	decision_log_hash(loop->log, outcome->decision_hash);
	outcome->rows_peak_sum = outcome->rows_peak = 0;
	for (uint32_t layer = 0; layer < loop->layer_count; layer++) {
		outcome->rows_peak_sum += outcome->rows_peaks[layer];
		if (outcome->rows_peaks[layer] > outcome->rows_peak)
			outcome->rows_peak = outcome->rows_peaks[layer];
	}
	return 0;
}

int run(struct run_outcome *outcome, const struct run_options *options, struct err *err)
{
	uint32_t tokens = policy_token_count(options->policy);
	struct run *loop;
	int rc;

	*outcome = (struct run_outcome){0};
	if (options->token_count > tokens)
		return err_set(err, EINVAL, "%u tokens, the trace has %u", options->token_count,
			       tokens);
	rc = run_open(&loop, outcome, options, err);
	for (uint32_t token = 0; !rc && token < options->token_count; token++)
		rc = run_token(loop, token, err);
	if (!rc)
		rc = run_finish(loop, err);
	run_close(loop);
	return rc;
}
