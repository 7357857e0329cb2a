/* SPDX-License-Identifier: GPL-3.0-or-later */
/* runner.c - trials become rows: a pool of threads for sim, rounds of repeats for real */
#include "runner.h"

#include "compare.h"
#include "cores.h"
#include "newfile.h"
#include "profiles.h"
#include "timelines.h"
#include "trial_files.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A polluted repeat is tried so often, but on a host that is never quiet that would only make a
 * sweep thrice as long: all tries beyond the first are a quarter of the repeats at most, and a few.
 */
enum { POLLUTED_TRIES = 3, AGAIN_FREE = 4, AGAIN_PER = 4 };
/* The same of whole trials. */
enum { NOISY_FREE = 2, NOISY_PER = 2, NOISY_PASSES = 3 };

/* One trial in one world. */
struct slot {
	const struct trial *trial;
	struct result_row row;
	struct token_list list;
	uint64_t repeats_done; /* real */
	bool done, failed;
	/* Real, while noisy trials are measured again: */
	uint32_t again; /* how often this one was */
	bool idle;	/* not among them this time */
	struct result_row
		*best; /* the least noisy of its measurements so far; NULL: there is one */
};

struct runner {
	const struct runner_options *options;
	struct runner_totals *totals;
	struct results *results;
	struct timelines timelines;
	double trial_units;		       /* progress of one trial in one world */
	uint64_t real_repeats, polluted_again; /* measured, and measured again since polluted */
	bool other_weights;		       /* --resume met a row of theirs */
	char first_failure[1200];
	struct err last_failure;
	pthread_mutex_t lock; /* of everything above and of the slots' order */
	struct slot **slots;
	size_t slot_count, next_run, next_put;
};

static bool is_stopped(const struct runner *runner)
{
	return runner->options->stop && *runner->options->stop;
}

/* ---- failures and rows ------------------------------------------------------------------------
 */

static const char *slot_name(const struct slot *slot)
{
	return slot->trial->name[0] ? slot->trial->name : slot->trial->policy.name;
}

/* Reported at once; the others go on. */
static void slot_fail(struct runner *runner, struct slot *slot, const char *world,
		      const struct err *err)
{
	slot->failed = true;
	runner->totals->failed++;
	if (!runner->first_failure[0])
		snprintf(runner->first_failure, sizeof(runner->first_failure), "%s, %s: %s",
			 slot_name(slot), world, err->msg);
	progress_note(runner->options->progress, "failed: %s, %s: %s", slot_name(slot), world,
		      strcmp(err->msg, runner->last_failure.msg) == 0 ? "the same" : err->msg);
	runner->last_failure = *err;
}

static void slot_put(struct runner *runner, struct slot *slot, const char *world)
{
	struct err err = {0};

	if (results_put(runner->results, &slot->row, slot->list.tokens, slot->list.count, &err))
		slot_fail(runner, slot, world, &err);
	else
		runner->totals->done += slot->best == NULL;
	token_list_fini(&slot->list);
}

/* ---- slots ------------------------------------------------------------------------------------
 */

static void slots_free(struct runner *runner)
{
	for (size_t i = 0; i < runner->slot_count; i++) {
		token_list_fini(&runner->slots[i]->list);
		free(runner->slots[i]->best);
		free(runner->slots[i]);
	}
	free(runner->slots);
	runner->slots = NULL;
	runner->slot_count = 0;
}

static bool is_mine(const struct runner_options *options, size_t i)
{
	return options->shard_count == 0 || i % options->shard_count == options->shard - 1;
}

static void list_open(struct token_list *list, const struct runner_options *options)
{
	*list = (struct token_list){
		.layers = options->layers,
		.decisions = options->decisions ? options->dir : NULL,
	};
}

static int slot_add(struct runner *runner, const struct trial *trial, const char *world,
		    struct err *err)
{
	struct slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return err_nomem(err, "a trial's row", sizeof(*slot));
	slot->trial = trial;
	list_open(&slot->list, runner->options);
	slot->list.timeline = timelines_of(&runner->timelines, trial, world);
	runner->slots[runner->slot_count++] = slot;
	return 0;
}

/* Kept when it measured at least as often as is asked for now, with the weights that are there
 * now.  Where those cannot be told the trial runs, and says why it cannot. */
static bool real_row_is_kept(struct runner *runner, const struct trial *trial)
{
	char digest[DIGEST_TEXT];
	struct err err = {0};
	uint64_t repeats = trial->run.repeats;

	if (!results_have(runner->results, trial->hash, "real", repeats, NULL) ||
	    trial_weights_digest(digest, trial, &err))
		return false;
	if (results_have(runner->results, trial->hash, "real", repeats, digest))
		return true;
	if (!runner->other_weights)
		progress_note(runner->options->progress,
			      "rows of other weights than those in '%s' are measured again",
			      trial->run.model_files);
	runner->other_weights = true;
	return false;
}

static bool row_is_kept(struct runner *runner, const struct trial *trial, const char *world)
{
	if (!runner->options->resume || timelines_of(&runner->timelines, trial, world))
		return false;
	if (strcmp(world, "real") == 0)
		return real_row_is_kept(runner, trial);
	return results_have(runner->results, trial->hash, world, 0, NULL);
}

/* Trials of this shard that have no row yet. */
static int slots_make(struct runner *runner, const struct experiment *experiment, const char *world,
		      struct err *err)
{
	const struct runner_options *options = runner->options;

	runner->next_run = runner->next_put = 0;
	runner->slots = calloc(experiment->trial_count + 1, sizeof(struct slot *));
	if (!runner->slots)
		return err_nomem(err, "trials", experiment->trial_count);
	for (size_t i = 0; i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];

		if (!is_mine(options, i))
			continue;
		if (row_is_kept(runner, trial, world)) {
			runner->totals->kept++;
			progress_add(options->progress, runner->trial_units, NULL);
		} else if (slot_add(runner, trial, world, err)) {
			return err->code;
		}
	}
	return 0;
}

/* ---- sim --------------------------------------------------------------------------------------
 */

/* Rows that are done and whose forerunners are: called with the lock held. */
static void sim_put_ready(struct runner *runner)
{
	while (runner->next_put < runner->slot_count && runner->slots[runner->next_put]->done) {
		struct slot *slot = runner->slots[runner->next_put++];

		if (!slot->failed)
			slot_put(runner, slot, "sim");
	}
}

static void sim_run_slot(struct runner *runner, struct slot *slot, struct trace_cache *cache)
{
	struct err err = {0};

	trial_describe(&slot->row, slot->trial, "sim");
	/* The config of a row is there before the row is. */
	if (trial_config_write(runner->options->dir, slot->trial, &err) == 0 &&
	    trial_run_sim(&slot->row, &slot->list, slot->trial, cache, &err) == 0) {
		trial_summarise(&slot->row, &slot->list);
		trial_sim_uncertainty(&slot->row, slot->trial);
	}
	pthread_mutex_lock(&runner->lock);
	slot->done = true;
	if (err.code)
		slot_fail(runner, slot, "sim", &err);
	sim_put_ready(runner);
	pthread_mutex_unlock(&runner->lock);
	progress_add(runner->options->progress, runner->trial_units, slot_name(slot));
}

static struct slot *sim_next(struct runner *runner)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&runner->lock);
	if (runner->next_run < runner->slot_count && !is_stopped(runner))
		slot = runner->slots[runner->next_run++];
	pthread_mutex_unlock(&runner->lock);
	return slot;
}

static void *sim_worker(void *arg)
{
	struct runner *runner = arg;
	struct trace_cache *cache;
	struct err err = {0};
	struct slot *slot;

	if (trace_cache_open(&cache, &err))
		return NULL; /* the others take its share; runner_run() finds what nobody took */
	while ((slot = sim_next(runner)) != NULL)
		sim_run_slot(runner, slot, cache);
	trace_cache_close(cache);
	return NULL;
}

static unsigned worker_count(const struct runner *runner)
{
	size_t count = runner->options->jobs;

	if (count == 0)
		count = cores_usable();
	return (unsigned)(count < runner->slot_count ? count : runner->slot_count);
}

static int sim_run(struct runner *runner, const struct experiment *experiment, struct err *err)
{
	unsigned workers, started = 0;
	pthread_t *threads;

	if (slots_make(runner, experiment, "sim", err))
		return err->code;
	workers = worker_count(runner);
	threads = calloc(workers + 1, sizeof(*threads));
	if (!threads)
		return err_nomem(err, "threads", workers);
	/* This thread is one of them, so that the work is done even where no other can be had. */
	while (started + 1 < workers &&
	       pthread_create(&threads[started], NULL, sim_worker, runner) == 0)
		started++;
	sim_worker(runner);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	free(threads);
	if (runner->next_put < runner->slot_count && !is_stopped(runner))
		return err_nomem(err, "a trace cache", 0);
	return 0;
}

/* ---- real -------------------------------------------------------------------------------------
 */

/* What every repeat must agree on, and what they add up to. */
static int real_merge(struct slot *slot, const struct result_row *once, struct err *err)
{
	struct result_row *row = &slot->row;
	const struct result_row so_far = *row;
	double done = (double)slot->repeats_done;

	if (done > 0 && strcmp(so_far.decision_hash, once->decision_hash) != 0)
		return err_set(err, EPROTO, "a repeat decided %s, expected %s as in those before",
			       once->decision_hash, so_far.decision_hash);
	if (done > 0 && strcmp(so_far.weights_digest, once->weights_digest) != 0)
		return err_set(err, EPROTO, "a repeat read weights %s, expected %s as before",
			       once->weights_digest, so_far.weights_digest);
	*row = *once;
	slot->repeats_done++;
	if (done <= 0)
		return 0;
	row->polluted += so_far.polluted;
	row->steal_frac = (done * so_far.steal_frac + once->steal_frac) / (done + 1);
	row->pace_frac = (done * so_far.pace_frac + once->pace_frac) / (done + 1);
	if (so_far.dram_peak_bytes > row->dram_peak_bytes)
		row->dram_peak_bytes = so_far.dram_peak_bytes;
	return 0;
}

static bool may_measure_again(struct runner *runner)
{
	if (is_stopped(runner) ||
	    runner->polluted_again >= AGAIN_FREE + runner->real_repeats / AGAIN_PER)
		return false;
	if (runner->polluted_again++ == 0)
		progress_note(
			runner->options->progress,
			"foreign disk traffic, processor time taken away, or memory much slower "
			"than when the host was calibrated: such repeats are measured again, "
			"or counted as polluted when it goes on");
	return true;
}

static int real_repeat(struct runner *runner, struct slot *slot, struct trial_real *real,
		       uint32_t repeat, struct err *err)
{
	size_t lines = slot->list.count;
	struct result_row once;

	for (int tries = 0; tries < POLLUTED_TRIES; tries++) {
		once = slot->row;
		slot->list.count = lines;
		if (trial_real_repeat(real, &once, &slot->list, repeat, err))
			return err->code;
		if (!once.polluted || tries + 1 == POLLUTED_TRIES || !may_measure_again(runner))
			break;
	}
	runner->real_repeats++;
	return real_merge(slot, &once, err);
}

static uint32_t visits_of(const struct trial *trial)
{
	uint64_t repeats = trial->run.repeats, visits = trial->run.visits;

	return (uint32_t)(visits == VISITS_EACH || visits > repeats ? repeats : visits);
}

/* Visit v measures repeats v, v + visits, v + 2 visits, ...: neighbours in number, which the noise
 * floor compares, are never neighbours in time. */
static int real_visit(struct runner *runner, struct slot *slot, struct trace_cache *cache,
		      uint32_t visit, struct err *err)
{
	uint32_t repeats = (uint32_t)slot->trial->run.repeats, visits = visits_of(slot->trial);
	const struct trial_visit opened = {.cache = cache,
					   .timeline = slot->list.timeline,
					   .number = slot->again * visits + visit};
	struct trial_real *real;

	if (trial_real_open(&real, slot->trial, &opened, err))
		return err->code;
	for (uint32_t repeat = visit; repeat < repeats && !is_stopped(runner); repeat += visits) {
		if (real_repeat(runner, slot, real, repeat, err))
			break;
		progress_add(runner->options->progress,
			     slot->again ? 0 : runner->trial_units / repeats, slot_name(slot));
	}
	trial_real_close(real);
	return err->code;
}

/* The lines of a row come by repeat, whatever visit measured them. */
static int line_compare(const void *a, const void *b)
{
	const struct result_token *x = a, *y = b;

	if (x->repeat != y->repeat)
		return x->repeat < y->repeat ? -1 : 1;
	if (x->token != y->token)
		return x->token < y->token ? -1 : 1;
	return (x->layer > y->layer) - (x->layer < y->layer);
}

/* Chosen by the noise alone, which knows nothing of the prediction. */
static bool is_better(const struct result_row *row, const struct result_row *best)
{
	if (compare_is_judged(row) != compare_is_judged(best))
		return compare_is_judged(row);
	return row->noise_floor_frac < best->noise_floor_frac;
}

/* A row that is better than those before takes their place in the store. */
static void real_put(struct runner *runner, struct slot *slot)
{
	if (slot->best && !is_better(&slot->row, slot->best)) {
		token_list_fini(&slot->list);
		return;
	}
	slot_put(runner, slot, "real");
	if (slot->best)
		*slot->best = slot->row;
}

static void real_turn(struct runner *runner, struct slot *slot, struct trace_cache *cache,
		      uint32_t visit)
{
	struct err err = {0};

	if (slot->failed || slot->idle || visit >= visits_of(slot->trial))
		return;
	if (visit == 0) {
		trial_describe(&slot->row, slot->trial, "real");
		(void)!trial_config_write(runner->options->dir, slot->trial, &err);
	}
	if (err.code || real_visit(runner, slot, cache, visit, &err)) {
		slot_fail(runner, slot, "real", &err);
		return;
	}
	if (slot->repeats_done < slot->trial->run.repeats)
		return;
	qsort(slot->list.tokens, slot->list.count, sizeof(*slot->list.tokens), line_compare);
	trial_summarise(&slot->row, &slot->list);
	real_put(runner, slot);
}

static uint32_t most_visits(const struct runner *runner)
{
	uint32_t most = 0;

	for (size_t i = 0; i < runner->slot_count; i++) {
		if (visits_of(runner->slots[i]->trial) > most)
			most = visits_of(runner->slots[i]->trial);
	}
	return most;
}

static void real_rounds(struct runner *runner, struct trace_cache *cache)
{
	uint32_t visits = most_visits(runner);

	for (uint32_t visit = 0; visit < visits; visit++) {
		for (size_t i = 0; i < runner->slot_count && !is_stopped(runner); i++)
			real_turn(runner, runner->slots[i], cache, visit);
	}
}

static bool is_too_noisy(const struct slot *slot)
{
	return !slot->failed && slot->trial->run.repeats >= COMPARE_REPEATS_MIN &&
	       slot->repeats_done >= slot->trial->run.repeats &&
	       !compare_is_judged(slot->best ? slot->best : &slot->row);
}

/* As if it had not run.  Without memory for what stands already it is not measured again. */
static bool begin_again(struct runner *runner, struct slot *slot)
{
	if (!slot->best) {
		slot->best = malloc(sizeof(*slot->best));
		if (!slot->best)
			return false;
		*slot->best = slot->row;
	}
	slot->again++;
	slot->repeats_done = 0;
	list_open(&slot->list, runner->options);
	slot->list.decisions = NULL; /* written already */
	return true;
}

/* Only noisy slots take part, and 'most' of them; how many. */
static size_t noisy_begin(struct runner *runner, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < runner->slot_count; i++) {
		struct slot *slot = runner->slots[i];

		slot->idle = count == most || !is_too_noisy(slot) || !begin_again(runner, slot);
		count += !slot->idle;
	}
	return count;
}

/* A host's noise comes and goes: what is too noisy now may not be a few minutes later.  The rows that are to be told of
 * stand in the store. */
static void real_again(struct runner *runner, struct trace_cache *cache)
{
	size_t left = NOISY_FREE + runner->slot_count / NOISY_PER;

	for (int pass = 0; pass < NOISY_PASSES && !is_stopped(runner); pass++) {
		size_t noisy = noisy_begin(runner, left);

		if (!noisy)
			return;
		left -= noisy;
		progress_note(runner->options->progress,
			      "too noisy to be judged (above %.0f %%, or polluted): %zu trials are "
			      "measured once more",
			      100 * COMPARE_NOISE_MAX, noisy);
		real_rounds(runner, cache);
	}
}

static int real_run(struct runner *runner, const struct experiment *experiment, struct err *err)
{
	struct trace_cache *cache;

	if (slots_make(runner, experiment, "real", err) || trace_cache_open(&cache, err))
		return err->code;
	real_rounds(runner, cache);
	if (runner->options->again)
		real_again(runner, cache);
	trace_cache_close(cache);
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static int model_files_check(const struct experiment *experiment,
			     const struct runner_options *options, struct err *err)
{
	for (size_t i = 0; options->real && i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];

		if (is_mine(options, i) && !trial->run.model_files[0])
			return err_set(
				err, EINVAL,
				"%s: world real needs model_files, the folder with %s's "
				"weights (make one: flashcast model synth %s -o DIR, then --set "
				"model_files=DIR)",
				experiment->name, trial->model.name, trial->model.name);
	}
	return 0;
}

static int source_write(const struct runner *runner, const struct experiment *experiment,
			struct err *err)
{
	char path[PATH_MAX];
	struct newfile file;

	snprintf(path, sizeof(path), "%s/experiment.yaml", runner->options->dir);
	if (newfile_open(&file, path, err))
		return err->code;
	ynode_write(experiment->source, file.stream);
	if (newfile_commit(&file, err))
		return err->code;
	return profiles_write(runner->options->dir, experiment->source, err);
}

static int worlds_run(struct runner *runner, const struct experiment *experiment, struct err *err)
{
	if (runner->options->sim)
		(void)!sim_run(runner, experiment, err);
	slots_free(runner);
	if (err->code == 0 && runner->options->real && !is_stopped(runner))
		(void)!real_run(runner, experiment, err);
	slots_free(runner);
	return err->code;
}

static int verdict(const struct runner *runner, struct err *err)
{
	const struct runner_totals *totals = runner->totals;

	if (err->code)
		return err->code;
	if (is_stopped(runner))
		return err_set(err, ECANCELED, "stopped: %zu rows done, --resume goes on from here",
			       totals->done + totals->kept);
	if (totals->failed)
		return err_set(err, EIO, "%zu of %zu rows failed; the first: %s", totals->failed,
			       totals->done + totals->kept + totals->failed, runner->first_failure);
	return 0;
}

int runner_run(struct runner_totals *totals, struct experiment *experiment,
	       const struct runner_options *options, struct err *err)
{
	struct runner runner = {
		.options = options,
		.totals = totals,
		.trial_units = 1.0 / (options->sim && options->real ? 2 : 1),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	struct err export = {0};

	*totals = (struct runner_totals){0};
	if (model_files_check(experiment, options, err) ||
	    timelines_open(&runner.timelines, experiment, options->timeline, err) ||
	    results_open(&runner.results, options->dir, err)) {
		timelines_close(&runner.timelines);
		return err->code;
	}
	if (source_write(&runner, experiment, err) == 0)
		(void)!worlds_run(&runner, experiment, err);
	if (err->code == 0)
		(void)!timelines_write(&runner.timelines, options->dir, err);
	(void)!verdict(&runner, err);
	/* Even after a failure: what there is, is there in both forms. */
	if (results_export_csv(runner.results, options->dir, &export))
		err_set(err, export.code, "%s", export.msg);
	results_close(runner.results);
	timelines_close(&runner.timelines);
	pthread_mutex_destroy(&runner.lock);
	return err->code;
}
