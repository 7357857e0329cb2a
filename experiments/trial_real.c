/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_real.c - one repeat of a trial in the real world, watched for foreign traffic */
#include "real_probe.h"
#include "real_world.h"
#include "trial_books.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* Foreign bytes over our own from which a repeat is thrown away: a twentieth of the disk's work
 * moves a mean by about as much as a good noise floor. */
#define FOREIGN_FRAC_MAX 0.05

/* `model synth` may have made several types, each in its own folder. */
static int model_folder(char path[PATH_MAX], const struct trial *trial, struct err *err)
{
	const char *weights = weight_type_words[trial->policy.weights].text;
	struct stat st;

	if (!trial->run.model_files[0])
		return err_set(
			err, EINVAL,
			"model_files is empty, expected a folder with %s's weights (make one: "
			"flashcast model synth %s -o DIR, then --set model_files=DIR)",
			trial->model.name, trial->model.name);
	snprintf(path, PATH_MAX, "%s/%s", trial->run.model_files, weights);
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		snprintf(path, PATH_MAX, "%s", trial->run.model_files);
	return 0;
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

static int run_watched(struct result_row *row, struct trial_books *books, const struct trial *trial,
		       struct real_world *real, struct policy *policy, const char *folder,
		       struct err *err)
{
	struct run_options options = run_options_of(trial, policy);
	struct traffic before, after;
	struct run_outcome outcome;
	double foreign;

	options.ops = &world_real;
	options.world = real;
	options.book = trial_books_take;
	options.book_arg = books;
	options.layers = books->list->layers;
	traffic_look(&before, folder);
	if (run(&outcome, &options, err) || reconcile(real, err))
		return err->code;
	traffic_look(&after, folder);
	foreign = traffic_foreign_frac(&before, &after, &row->steal_frac);
	row->polluted = !trial->target.is_emulated && foreign > FOREIGN_FRAC_MAX;
	trial_books_put(row, books, trial, &outcome);
	row->dram_peak_bytes = host_peak_bytes();
	return 0;
}

static int run_policy(struct result_row *row, struct trial_books *books, const struct trial *trial,
		      struct policy *policy, struct err *err)
{
	char folder[PATH_MAX];
	struct real_options options = {
		.model_dir = folder,
		.model = &trial->model,
		.config = &trial->policy,
		.policy = policy,
		.target = &trial->target,
		.ctx = trial->run.ctx,
		.threads = trial_threads(trial),
		.seed = trial->run.seed,
	};
	struct real_world *real;

	if (model_folder(folder, trial, err) || dry_run(&options.needs, trial, policy, err) ||
	    real_world_open(&real, &options, err))
		return err->code;
	(void)!run_watched(row, books, trial, real, policy, folder, err);
	real_world_close(real);
	return err->code;
}

int trial_run_real(struct result_row *row, struct token_list *list, const struct trial *trial,
		   struct trace_cache *cache, uint32_t repeat, struct err *err)
{
	struct trial_books books = {.list = list, .repeat = repeat};
	const struct trace *trace;
	struct policy *policy;

	list->warmup = (uint32_t)trial->run.warmup;
	if (trace_cache_get(cache, trial, &trace, err) ||
	    policy_open(&policy, &trial->policy, &trial->model, trace, err))
		return err->code;
	(void)!run_policy(row, &books, trial, policy, err);
	policy_close(policy);
	return err->code;
}
