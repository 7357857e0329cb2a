/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_real.c - one repeat of a trial in the real world, watched for foreign traffic */
#include "host_pace.h"
#include "real_model.h"
#include "real_probe.h"
#include "real_world.h"
#include "rng.h"
#include "trial_books.h"
#include "trial_drain.h"
#include "trial_files.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Foreign bytes over our own from which a repeat is thrown away: a twentieth of the disk's work
 * moves a mean by about as much as a good noise floor. */
#define FOREIGN_FRAC_MAX 0.05

static int folder_digest(char digest[DIGEST_TEXT], const char *folder, const struct trial *trial,
			 struct err *err)
{
	struct real_model *rm;

	if (real_model_open(&rm, folder, policy_layout(&trial->policy), &trial->model, err))
		return err->code;
	memcpy(digest, real_model_digest(rm), DIGEST_TEXT);
	real_model_close(rm);
	return 0;
}

int trial_weights_digest(char digest[DIGEST_TEXT], const struct trial *trial, struct err *err)
{
	char folder[PATH_MAX];

	if (trial_model_folder(folder, trial, err))
		return err->code;
	return folder_digest(digest, folder, trial, err);
}

static struct run_options run_options_of(const struct trial *trial, struct policy *policy)
{
	return (struct run_options){
		.model = &trial->model,
		.policy = policy,
		.token_count = (uint32_t)(trial->run.warmup + trial->run.tokens),
	};
}

/* Sizes of everything that is allocated before the clock starts. */
static int dry_run(struct run_outcome *needs, const struct trial *trial, struct policy *policy,
		   struct err *err)
{
	struct run_options options = run_options_of(trial, policy);

	options.ops = &world_null;
	return run(needs, &options, err);
}

/* Own completions against the kernel's count; where there is none, nothing can be said. */
static int reconcile(struct real_world *real, struct err *err)
{
	struct err local = {0};

	if (real_world_reconcile(real, &local) && local.code != ENOTSUP)
		return err_set(err, local.code, "%s", local.msg);
	return 0;
}

struct trial_real {
	const struct trial *trial;
	char folder[PATH_MAX];
	struct policy *policy;
	struct real_world *world;
	struct trial_drain drain;
	uint64_t open_peak_bytes; /* of the process, while it loaded */
	double pace_frac;	  /* since the world was opened, or the repeat before ended */
	bool is_used;
	char weights_digest[DIGEST_TEXT];
	char logged_hash[DIGEST_TEXT]; /* of the decision log that was written; "" = none */
};

/* Other stalls for each trial and visit: were they the same, two visits would look alike however much the
 * device scatters, and all trials would share one stretch of luck. */
static uint64_t stall_seed(const struct trial *trial, uint32_t visit)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < sizeof(trial->hash) && trial->hash[i]; i++)
		hash = rng_mix(hash ^ (unsigned char)trial->hash[i]);
	return rng_mix(trial->run.seed ^ rng_mix(hash ^ visit));
}

static int open_world(struct trial_real *real, const struct trial_visit *visit, struct err *err)
{
	const struct trial *trial = real->trial;
	struct real_options options = {
		.model_dir = real->folder,
		.model = &trial->model,
		.config = &trial->policy,
		.policy = real->policy,
		.target = &trial->target,
		.ctx = trial->run.ctx,
		.threads = trial_threads(trial),
		.seed = trial->run.seed,
		.stall_seed = stall_seed(trial, visit->number),
		.timeline = visit->timeline,
	};

	if (dry_run(&options.needs, trial, real->policy, err) ||
	    real_world_open(&real->world, &options, err))
		return err->code;
	return trial_drain_open(&real->drain, &world_real, real->world, &trial->model, real->policy,
				err);
}

/* The host's pace now over the one that the profile was calibrated at; NaN where that says nothing. */
static double pace_frac(const struct trial *trial)
{
	const struct device *device = &trial->device;

	if (device->origin.pace_bytes_per_s <= 0 || device->compute.threads != trial_threads(trial))
		return NAN;
	return host_pace(trial_threads(trial)) / device->origin.pace_bytes_per_s;
}

int trial_real_open(struct trial_real **out, const struct trial *trial,
		    const struct trial_visit *visit, struct err *err)
{
	struct trial_real *real = calloc(1, sizeof(*real));
	const struct trace *trace;

	if (!real)
		return err_nomem(err, "a real trial", sizeof(*real));
	real->trial = trial;
	host_peak_reset();
	if (trial_model_folder(real->folder, trial, err) ||
	    folder_digest(real->weights_digest, real->folder, trial, err) ||
	    trace_cache_get(visit->cache, trial, &trace, err) ||
	    policy_open(&real->policy, &trial->policy, &trial->model, trace, err) ||
	    open_world(real, visit, err)) {
		trial_real_close(real);
		return err->code;
	}
	real->open_peak_bytes = host_peak_bytes();
	real->pace_frac = pace_frac(trial);
	*out = real;
	return 0;
}

void trial_real_close(struct trial_real *real)
{
	if (!real)
		return;
	trial_drain_close(&real->drain);
	real_world_close(real->world);
	policy_close(real->policy);
	free(real);
}

/* From an empty store; no line and no row is told of it, since writing the log takes time. */
static int run_logged(struct trial_real *real, const char *dir, struct err *err)
{
	struct run_options options = run_options_of(real->trial, real->policy);
	struct run_outcome outcome;
	struct newfile log;

	if (trial_decisions_open(&log, dir, real->trial, "real", err))
		return err->code;
	options.ops = &trial_drain_ops;
	options.world = &real->drain;
	options.decisions = log.stream;
	if (run(&outcome, &options, err)) {
		newfile_drop(&log);
		return err->code;
	}
	memcpy(real->logged_hash, outcome.decision_hash, sizeof(real->logged_hash));
	return newfile_commit(&log, err);
}

static int logged_check(const struct trial_real *real, const struct run_outcome *outcome,
			struct err *err)
{
	if (!real->logged_hash[0] || strcmp(real->logged_hash, outcome->decision_hash) == 0)
		return 0;
	return err_set(err, EPROTO, "decided %s, expected %s as the run that was logged",
		       outcome->decision_hash, real->logged_hash);
}

struct watch {
	struct traffic traffic;
	double pace_frac;
};

static void watch_begin(struct watch *watch, const struct trial_real *real)
{
	/* Repeats of a visit follow each other: one's end is the next one's beginning. */
	watch->pace_frac = real->pace_frac;
	host_peak_reset(); /* looking at it took memory for a moment */
	traffic_look(&watch->traffic, real->folder);
}

/* What went on beside the run, into its row. */
static void watch_end(const struct watch *watch, struct trial_real *real, struct result_row *row)
{
	const double spread = real->trial->device.origin.pace_spread_frac;
	struct traffic after;
	double foreign;

	traffic_look(&after, real->folder);
	row->dram_peak_bytes = host_peak_bytes();
	if (row->dram_peak_bytes < real->open_peak_bytes)
		row->dram_peak_bytes = real->open_peak_bytes;
	foreign = traffic_foreign_frac(&watch->traffic, &after, &row->steal_frac);
	real->pace_frac = pace_frac(real->trial);
	row->pace_frac = (watch->pace_frac + real->pace_frac) / 2;
	row->polluted = (!real->trial->target.is_emulated && foreign > FOREIGN_FRAC_MAX) ||
			traffic_is_stolen(&watch->traffic, &after) ||
			(host_pace_is_slow(watch->pace_frac, spread) &&
			 host_pace_is_slow(real->pace_frac, spread));
}

static int run_watched(struct trial_real *real, struct result_row *row, struct trial_books *books,
		       struct err *err)
{
	struct run_options options = run_options_of(real->trial, real->policy);
	struct run_outcome outcome;
	struct watch watch;

	options.ops = &trial_drain_ops;
	options.world = &real->drain;
	options.book = trial_books_take;
	options.book_arg = books;
	options.layers = books->list->layers;
	watch_begin(&watch, real);
	if (run(&outcome, &options, err) || reconcile(real->world, err) ||
	    logged_check(real, &outcome, err))
		return err->code;
	watch_end(&watch, real, row);
	trial_books_put(row, books, real->trial, &outcome);
	memcpy(row->weights_digest, real->weights_digest, DIGEST_TEXT);
	return 0;
}

/* Whatever runs next starts from an empty store. */
static int store_empty(struct trial_real *real, struct err *err)
{
	bool is_used = real->is_used;

	real->is_used = true;
	return is_used ? trial_drain_empty(&real->drain, err) : 0;
}

int trial_real_repeat(struct trial_real *real, struct result_row *row, struct token_list *list,
		      uint32_t repeat, struct err *err)
{
	struct trial_books books = {.list = list, .repeat = repeat};

	list->warmup = (uint32_t)real->trial->run.warmup;
	if (store_empty(real, err))
		return err->code;
	if (list->decisions && repeat == 0 && !real->logged_hash[0] &&
	    (run_logged(real, list->decisions, err) || store_empty(real, err)))
		return err->code;
	return run_watched(real, row, &books, err);
}
