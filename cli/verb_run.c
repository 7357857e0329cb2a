/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_run.c - `run` sweeps an experiment; `validate` runs both worlds and judges the predictions
 */
#include "cli.h"

#include "calibrate_first.h"
#include "runner.h"
#include "trial_books.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Set by the first ctrl-C: the runs at hand finish and land; a second one ends the process. */
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void stop_on_interrupt(void)
{
	struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND | SA_RESTART};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

struct run_args {
	const char *dir, *world, *shard, *calibrate, *timeline;
	uint64_t jobs;
	bool resume, layers, decisions, json, markdown, no_figures;
	struct arg_list sets;
};

static int choose_worlds(struct runner_options *options, const struct experiment *experiment,
			 const char *world, struct err *err)
{
	bool sim = experiment->in_sim, real = experiment->in_real;

	if (world && strcmp(world, "both") != 0 && strcmp(world, "sim") != 0 &&
	    strcmp(world, "real") != 0)
		return err_set(err, EINVAL, "--world: got '%s', expected sim, real or both", world);
	if (world) {
		sim = strcmp(world, "real") != 0;
		real = strcmp(world, "sim") != 0;
	}
	options->sim = sim;
	options->real = real;
	return 0;
}

enum { SHARDS_MOST = 100000 };

/* "2/5": the second of five shards. */
static int read_shard(struct runner_options *options, const char *text, struct err *err)
{
	char *slash = NULL, *end = NULL;
	unsigned long shard, count;

	if (!text)
		return 0;
	errno = 0;
	shard = strtoul(text, &slash, 10);
	count = *slash == '/' ? strtoul(slash + 1, &end, 10) : 0;
	if (strspn(text, "0123456789/") != strlen(text) || !end || *end || errno || shard < 1 ||
	    shard > count || count > SHARDS_MOST)
		return err_set(err, EINVAL,
			       "--shard: got '%s', expected I/N with 1 <= I <= N <= %d", text,
			       SHARDS_MOST);
	options->shard = (unsigned)shard;
	options->shard_count = (unsigned)count;
	return 0;
}

/* One message before anything runs, not one for each trial. */
static int check_model_files(const struct experiment *experiment, struct err *err)
{
	for (size_t i = 0; i < experiment->trial_count; i++) {
		const char *dir = experiment->trials[i].run.model_files;
		const char *model = experiment->trials[i].model.name;

		/* an empty one has its own message */
		if (dir[0] && access(dir, R_OK | X_OK) != 0)
			return err_set(err, errno,
				       "model_files: %s: %s (make one: flashcast model synth %s -o "
				       "%s)",
				       dir, strerror(errno), model, dir);
	}
	return 0;
}

static bool is_first_of_device(const struct experiment *experiment, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		const struct trial *a = &experiment->trials[i], *b = &experiment->trials[j];

		if (strcmp(a->device.name, b->device.name) == 0 &&
		    trial_sim_compute(a).threads == trial_sim_compute(b).threads &&
		    trial_threads(a) == trial_threads(b))
			return false;
	}
	return true;
}

/* A prediction for 8 threads says little of 2: told once for each device, before the wait. */
static void warn_of_threads(const struct experiment *experiment)
{
	for (size_t i = 0; i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];
		uint64_t profile = trial_sim_compute(trial).threads;

		if (profile == trial_threads(trial) || !is_first_of_device(experiment, i))
			continue;
		fprintf(stderr,
			"flashcast: warning: profile %s has compute figures of %" PRIu64
			" threads and %u will be measured: compute is not comparable (threads: "
			"%" PRIu64 ", or calibrate --threads %u)\n",
			trial->device.name, profile, trial_threads(trial), profile,
			trial_threads(trial));
	}
}

/* The sets, and behind them the profile. */
static int load_with_device(struct experiment *experiment, const char *path,
			    const struct arg_list *sets, const char *device, struct err *err)
{
	const char **all = malloc((sets->count + 1) * sizeof(*all));
	char set[PATH_MAX + sizeof("device=")];

	if (!all)
		return err_nomem(err, "settings", (sets->count + 1) * sizeof(*all));
	for (size_t i = 0; i < sets->count; i++)
		all[i] = sets->items[i];
	snprintf(set, sizeof(set), "device=%s", device);
	all[sets->count] = set;
	(void)!experiment_load(experiment, path, all, sets->count + 1, err);
	free(all);
	return err->code;
}

/* The experiment, predicted from a profile that is made first where that is asked for. */
static int load(struct experiment *experiment, const char *path, const struct run_args *args,
		struct err *err)
{
	const struct calibrate_first first = {.dir = args->dir,
					      .mode = args->calibrate,
					      .keep = args->resume,
					      .report = args->json || args->markdown ? stderr
										     : stdout};
	const struct arg_list *sets = &args->sets;
	char device[PATH_MAX];

	if (args->calibrate &&
	    calibrate_first_check(args->calibrate, sets->items, sets->count, err))
		return err->code;
	if (experiment_load(experiment, path, sets->items, sets->count, err) || !args->calibrate)
		return err->code;
	if (check_model_files(experiment, err) || calibrate_first(device, &first, experiment, err))
		return err->code;
	experiment_fini(experiment);
	return load_with_device(experiment, path, sets, device, err);
}

/* Comparison, figures and the closing line. */
static int tell(const struct run_args *args, bool validate, const struct experiment *experiment,
		const struct runner_totals *totals, struct err *err)
{
	enum judge_form form;

	if (judge_form_read(&form, args->json, args->markdown, err) ||
	    judge(args->dir, form, validate ? JUDGE_PAIRS : JUDGE_ROWS, err))
		return err->code;
	if (!args->no_figures && experiment->figure_count)
		(void)!draw_figures(args->dir, experiment->figures, experiment->figure_count, NULL,
				    err);
	fprintf(form == JUDGE_TEXT ? stdout : stderr,
		"%zu rows done, %zu kept, %zu failed: %s/results.csv, %s/results.sqlite%s\n",
		totals->done, totals->kept, totals->failed, args->dir, args->dir,
		experiment->figure_count && !args->no_figures ? ", figures/" : "");
	return err->code;
}

static int run_experiment(const char *path, const struct run_args *args, bool validate,
			  struct err *err)
{
	struct experiment experiment = {0};
	struct runner_options options = {.dir = args->dir,
					 .jobs = (unsigned)args->jobs,
					 .resume = args->resume,
					 .layers = args->layers,
					 .decisions = args->decisions,
					 .again = validate,
					 .timeline = args->timeline,
					 .stop = &stopped};
	struct runner_totals totals = {0};
	struct err later = {
		0}; /* what failed in some trial must not keep the figures from being drawn */
	enum judge_form form;

	if (!args->dir)
		return err_set(err, EINVAL, "-o DIR is missing: where rows and figures go");
	/* The run that writes decisions is no run to look at the time of. */
	if (args->timeline && args->decisions)
		return err_set(err, EINVAL, "--timeline and --decisions: one at a time");
	if (judge_form_read(&form, args->json, args->markdown, err) ||
	    read_shard(&options, args->shard, err) || load(&experiment, path, args, err) ||
	    choose_worlds(&options, &experiment, validate ? "both" : args->world, err) ||
	    (options.real && check_model_files(&experiment, err)))
		goto out;
	if (options.sim && options.real)
		warn_of_threads(&experiment);
	stop_on_interrupt();
	options.progress = progress_open(experiment.name, (double)experiment.trial_count);
	if (runner_run(&totals, &experiment, &options, &later) && totals.done + totals.kept == 0) {
		*err = later;
		goto out;
	}
	progress_close(options.progress);
	options.progress = NULL;
	if (tell(args, validate, &experiment, &totals, err) == 0 && later.code)
		*err = later;
out:
	progress_close(options.progress);
	experiment_fini(&experiment);
	return err->code;
}

static const char run_about[] =
	"Runs the sweep of an experiment: one row a trial and world. Rows land as they are done;\n"
	"a killed run goes on with --resume. EXPERIMENT is a path or a name under "
	"configs/experiment.";
static const char validate_about[] =
	"Runs every trial in both worlds, the measurements interleaved, and judges the predictions "
	"against them;\n"
	"a trial too noisy to be judged is measured again. Definitions: docs/validation.md.";

static int run_or_validate(int argc, char **argv, bool validate, struct err *err)
{
	struct run_args got = {.jobs = 0};
	/* Each verb has one of these. */
	const struct opt calibrate = {
		"calibrate",
		0,
		OPT_TEXT,
		&got.calibrate,
		"MODE",
		"first calibrate the target, quick or full, into DIR/device.yaml and predict from "
		"that; with --resume one that is there is used again",
		0,
		0};
	const struct opt world = {"world",  'w',
				  OPT_TEXT, &got.world,
				  "WORLD",  "sim, real or both, whatever the experiment says",
				  0,	    0};
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &got.dir, "DIR",
		 "where rows, resolved configs and figures go", 0, 0},
		{"set", 's', OPT_LIST, &got.sets, "KEY=VALUE",
		 "overlay a key of the experiment by its dotted path; may be repeated", 0, 0},
		{"jobs", 'j', OPT_COUNT, &got.jobs, "N",
		 "threads of the simulator; 0 or none: all cores", 0, 0},
		{"resume", 'r', OPT_FLAG, &got.resume, NULL, "keep rows that DIR holds already", 0,
		 0},
		{"shard", 0, OPT_TEXT, &got.shard, "I/N",
		 "run only every N-th trial, from the I-th", 0, 0},
		{"layers", 0, OPT_FLAG, &got.layers, NULL,
		 "keep a line a layer in table `tokens` too", 0, 0},
		{"decisions", 0, OPT_FLAG, &got.decisions, NULL,
		 "write what was decided as text: DIR/decisions/<trial_hash>.<world>.log, the same "
		 "in both worlds",
		 0, 0},
		{"timeline", 0, OPT_TEXT, &got.timeline, "TRIAL",
		 "follow one token of a trial (its name, number or hash) into DIR/timeline.json, "
		 "for chrome://tracing or Perfetto",
		 0, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL,
		 "the comparison, or the rows of one world, as JSON on standard output", 0, 0},
		{"markdown", 0, OPT_FLAG, &got.markdown, NULL,
		 "the comparison as tables of Markdown", 0, 0},
		{"no-figures", 0, OPT_FLAG, &got.no_figures, NULL, "rows only", 0, 0},
		validate ? calibrate : world,
	};
	const struct verb_spec spec = {
		.usage = validate ? "validate EXPERIMENT.yaml -o DIR [OPTIONS]"
				  : "run EXPERIMENT.yaml -o DIR [OPTIONS]",
		.about = validate ? validate_about : run_about,
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!run_experiment(args.operands.items[0], &got, validate, err);
	args_fini(&args, &spec);
	return err->code;
}

int verb_run(int argc, char **argv, struct err *err)
{
	return run_or_validate(argc, argv, false, err);
}

int verb_validate(int argc, char **argv, struct err *err)
{
	return run_or_validate(argc, argv, true, err);
}
