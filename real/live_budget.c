/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live_budget.c - a run is made to fit a DRAM budget, or refused with every figure */
#include "live.h"

#include "units.h"

#include <errno.h>
#include <math.h>

enum { TILE_LEAST_BYTES = 2 * 1024 * 1024, TILE_MOST_BYTES = 64 * 1024 * 1024, TILE_PART = 64 };
enum { HALVINGS = 20 };

static const char *human(char *text, size_t size, uint64_t bytes)
{
	return unit_human(text, size, (double)bytes, DIM_BYTES);
}

static int refuse(const struct live_need *need, const struct live_options *options,
		  uint64_t budget_bytes, struct err *err)
{
	char got[32], total[32], program[32], kept[32], store[32], kv[32], scratch[32], staging[32],
		books[32];
	const struct real_need *w = &need->world;

	return err_set(err, EDOM,
		       "dram: got %s, expected at least %s: program %s, weights that stay %s, FFN "
		       "rows %s, KV cache of %llu tokens %s, activations %s, read buffers %s, "
		       "tables %s",
		       human(got, sizeof(got), budget_bytes),
		       human(total, sizeof(total), need->total_bytes),
		       human(program, sizeof(program), need->program_bytes),
		       human(kept, sizeof(kept), w->kept_bytes),
		       human(store, sizeof(store), w->store_bytes),
		       (unsigned long long)options->ctx, human(kv, sizeof(kv), w->kv_bytes),
		       human(scratch, sizeof(scratch), w->scratch_bytes),
		       human(staging, sizeof(staging), w->staging_bytes),
		       human(books, sizeof(books), w->books_bytes));
}

/* One share that decides how much stays in DRAM, and where it stands in a policy. */
struct knob {
	struct policy_config *config;
	bool is_cap;
	double least, most;
};

static void turn(const struct knob *knob, double value)
{
	if (knob->is_cap)
		(void)policy_residency_put(knob->config, "cap_frac", value);
	else
		knob->config->persist_frac = value;
}

static int needs_at(struct live_need *need, const struct knob *knob, double value,
		    const struct live_options *options, struct err *err)
{
	turn(knob, value);
	return live_need(need, options, err);
}

/* The largest share that fits, between one that does and one that does not. */
static int find_share(const struct knob *knob, const struct live_options *options,
		      uint64_t budget_bytes, struct err *err)
{
	double fits = knob->least, over = knob->most;
	struct live_need need;

	if (needs_at(&need, knob, fits, options, err))
		return err->code;
	if (need.total_bytes > budget_bytes)
		return refuse(&need, options, budget_bytes, err);
	for (int i = 0; i < HALVINGS; i++) {
		double middle = (fits + over) / 2;

		if (needs_at(&need, knob, middle, options, err))
			return err->code;
		if (need.total_bytes > budget_bytes)
			over = middle;
		else
			fits = middle;
	}
	turn(knob, fits);
	return 0;
}

int live_fit(struct live_options *options, struct policy_config *config, bool adapt_persistence,
	     uint64_t budget_bytes, struct err *err)
{
	const double cap_frac = policy_residency_number(config, "cap_frac");
	struct knob knob = {config, !isnan(cap_frac) && !policy_demand(config)->dense, 0,
			    config->persist_frac};
	struct live_need need;

	options->tile_bytes = budget_bytes / TILE_PART;
	if (options->tile_bytes < TILE_LEAST_BYTES)
		options->tile_bytes = TILE_LEAST_BYTES;
	if (options->tile_bytes > TILE_MOST_BYTES)
		options->tile_bytes = TILE_MOST_BYTES;
	if (live_need(&need, options, err))
		return err->code;
	if (need.total_bytes <= budget_bytes)
		return 0;
	if (knob.is_cap) {
		knob.least = 0.001;
		knob.most = cap_frac;
	} else if (!adapt_persistence) {
		return refuse(&need, options, budget_bytes, err);
	}
	return find_share(&knob, options, budget_bytes, err);
}
