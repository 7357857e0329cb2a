/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_sim.c - `bench sim`: reads a second of the recursion, events a second of the heap, seconds a
 * trial, and many trials on several threads with the memory that they take
 *
 * A trial is timed from nothing: its own cache, so that fit and trace generation are paid each time. */
#include "bench_sim.h"

#include "cli.h"
#include "clock.h"
#include "order.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RUNS_MOST = 101, THREADS_MOST = 256 };

struct bench_args {
	uint64_t runs, sweep, jobs;
	bool json;
	struct arg_list sets;
};

static double peak_mib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

/* ---- flash ------------------------------------------------------------------------------------
 */

enum { BENCH_READS = 500000, BENCH_READ_BYTES = 16384 };

static int flash_open(struct sim_flash *flash, const struct trial *trial, enum sim_level level,
		      struct err *err)
{
	const struct sim_flash_options options = {
		.params = &trial->device.flash,
		.in_flight = (unsigned)trial->policy.in_flight,
		.level = level,
		.units = (enum sim_units)trial->run.sim_units,
	};

	return sim_flash_open(flash, &options, err);
}

/* Reads a second. */
static int time_recursion(double *rate, const struct trial *trial, struct err *err)
{
	struct sim_flash flash;
	struct sim_recursion at;
	double start;

	if (flash_open(&flash, trial, SIM_RECURSION, err))
		return err->code;
	start = clock_now_s();
	sim_recursion_start(&at, &flash, 0, 1);
	sim_recursion_read(&at, BENCH_READ_BYTES, 20 * BENCH_READS);
	*rate = 20.0 * BENCH_READS / (clock_now_s() - start);
	/* Looked at, so that it is computed. */
	if (at.bus_free_ns <= 0)
		(void)!err_set(err, EPROTO, "bench sim: reads took no time");
	sim_flash_close(&flash);
	return err->code;
}

/* Events a second: a batch through host, units and bus. */
static int time_events(double *rate, const struct trial *trial, struct err *err)
{
	struct read_class class = {.bytes = BENCH_READ_BYTES, .count = BENCH_READS};
	const struct plan plan = {
		.demand = {.kind = STEP_ATTENTION, .dense = true},
		.stretches = {{.region = REGION_ATTENTION,
			       .bytes = (uint64_t)BENCH_READS * BENCH_READ_BYTES,
			       .piece_bytes = BENCH_READ_BYTES}},
		.stretch_count = 1,
		.classes = &class,
		.class_count = 1,
		.read_count = BENCH_READS,
		.read_bytes = (uint64_t)BENCH_READS * BENCH_READ_BYTES,
	};
	struct sim_reads reads = {0};
	struct sim_flash flash;
	double start;

	if (flash_open(&flash, trial, SIM_EVENTS, err))
		return err->code;
	start = clock_now_s();
	if (!sim_flash_submit(&flash, &reads, &plan, 0, err) &&
	    !sim_flash_finish(&flash, &reads, err) && !sim_flash_check(&flash, err))
		*rate = (double)event_device_books(flash.state)->event_count /
			(clock_now_s() - start);
	sim_reads_fini(&reads);
	sim_flash_close(&flash);
	return err->code;
}

static const struct {
	const char *name, *unit;
	int (*time)(double *rate, const struct trial *trial, struct err *err);
} levels[] = {
	{"recursion", "reads/s", time_recursion},
	{"events", "events/s", time_events},
};

static void print_rate(unsigned level, const double *rates, uint64_t runs, bool is_json)
{
	struct json json = {.out = stdout};

	if (!is_json) {
		printf("%-9s %12.4g %12.4g %12.4g %s\n", levels[level].name, rates[0],
		       rates[runs / 2], rates[runs - 1], levels[level].unit);
		return;
	}
	json_put_object(&json, NULL);
	json_put_text(&json, "level", levels[level].name);
	json_put_text(&json, "unit", levels[level].unit);
	json_put_number(&json, "min", rates[0]);
	json_put_number(&json, "median", rates[runs / 2]);
	json_put_number(&json, "max", rates[runs - 1]);
	json_put_end(&json);
}

static int bench_flash(const struct trial *trial, const struct bench_args *args, struct err *err)
{
	double rates[RUNS_MOST];

	if (!args->json)
		printf("flash on one core, %llu runs, device %s, %u reads in flight\n%-9s "
		       "%12s %12s %12s\n",
		       (unsigned long long)args->runs, trial->device.name,
		       (unsigned)trial->policy.in_flight, "level", "min", "median", "max");
	for (unsigned level = 0; level < sizeof(levels) / sizeof(levels[0]); level++) {
		for (uint64_t run = 0; run < args->runs; run++)
			if (levels[level].time(&rates[run], trial, err))
				return err->code;
		order_sort(rates, args->runs);
		print_rate(level, rates, args->runs, args->json);
	}
	return 0;
}

/* ---- trials -----------------------------------------------------------------------------------
 */

static int time_trial(double *seconds, double *reads, const struct trial *trial, struct err *err)
{
	struct trace_cache *cache = NULL;
	struct token_list list = {0};
	struct result_row row;
	double start = clock_now_s();

	if (!trace_cache_open(&cache, err)) {
		trial_describe(&row, trial, "sim");
		if (!trial_run_sim(&row, &list, trial, cache, err))
			trial_summarise(&row, &list);
	}
	*seconds = clock_now_s() - start;
	*reads = err->code ? 0
			   : row.read_count_per_token *
				     (double)(trial->run.tokens + trial->run.warmup);
	trace_cache_close(cache);
	token_list_fini(&list);
	return err->code;
}

/* 'seconds' in order. */
static void print_trial(const struct trial *trial, const double *seconds, double reads,
			const struct bench_args *args)
{
	double median = seconds[args->runs / 2];
	struct json json = {.out = stdout};

	if (!args->json) {
		printf("%-44s %9.4f %9.4f %9.4f %12.4g\n", trial->name, seconds[0], median,
		       seconds[args->runs - 1], reads / median);
		return;
	}
	json_put_object(&json, NULL);
	json_put_text(&json, "trial", trial->name);
	json_put_number(&json, "min_s", seconds[0]);
	json_put_number(&json, "median_s", median);
	json_put_number(&json, "max_s", seconds[args->runs - 1]);
	json_put_number(&json, "reads_per_s", reads / median);
	json_put_end(&json);
}

static int bench_trials(const struct experiment *experiment, const struct bench_args *args,
			struct err *err)
{
	double seconds[RUNS_MOST], reads = 0;

	if (!args->json)
		printf("\none trial on one core, fit and trace generation included, %llu "
		       "runs\n%-44s %9s %9s %9s %12s\n",
		       (unsigned long long)args->runs, "trial", "min s", "median s", "max s",
		       "reads/s");
	for (size_t i = 0; i < experiment->trial_count; i++) {
		const struct trial *trial = &experiment->trials[i];

		for (uint64_t run = 0; run < args->runs; run++)
			if (time_trial(&seconds[run], &reads, trial, err))
				return err->code;
		order_sort(seconds, args->runs);
		print_trial(trial, seconds, reads, args);
	}
	return 0;
}

/* ---- many trials ------------------------------------------------------------------------------
 */

/* The experiment's trials over and over, each time with another seed, so that no trace is shared. */
struct sweep {
	const struct experiment *experiment;
	uint64_t count;
	pthread_mutex_t lock; /* of what follows */
	uint64_t next;
	double early_mib; /* peak memory when a tenth was done */
	struct err err;
};

static bool sweep_next(struct sweep *sweep, uint64_t *number)
{
	bool more;

	pthread_mutex_lock(&sweep->lock);
	more = sweep->next < sweep->count && !sweep->err.code;
	if (more)
		*number = sweep->next++;
	if (more && *number == sweep->count / 10)
		sweep->early_mib = peak_mib();
	pthread_mutex_unlock(&sweep->lock);
	return more;
}

static void *sweep_worker(void *arg)
{
	struct sweep *sweep = arg;
	double seconds, reads;
	uint64_t number;

	while (sweep_next(sweep, &number)) {
		const struct experiment *experiment = sweep->experiment;
		struct trial trial = experiment->trials[number % experiment->trial_count];
		struct err err = {0};

		trial.run.seed += number;
		if (time_trial(&seconds, &reads, &trial, &err)) {
			pthread_mutex_lock(&sweep->lock);
			sweep->err = err;
			pthread_mutex_unlock(&sweep->lock);
		}
	}
	return NULL;
}

static void print_sweep(const struct sweep *sweep, unsigned threads, double seconds, bool is_json)
{
	struct json json = {.out = stdout};

	if (!is_json) {
		printf("\n%llu trials, a trace of its own each, on %u threads: %.1f s, %.1f "
		       "trials/s\npeak memory after %llu trials %.0f MiB, after all %.0f MiB\n",
		       (unsigned long long)sweep->count, threads, seconds,
		       (double)sweep->count / seconds, (unsigned long long)sweep->count / 10,
		       sweep->early_mib, peak_mib());
		return;
	}
	json_put_object(&json, NULL);
	json_put_count(&json, "trials", sweep->count);
	json_put_count(&json, "threads", threads);
	json_put_number(&json, "seconds", seconds);
	json_put_number(&json, "peak_mib_after_tenth", sweep->early_mib);
	json_put_number(&json, "peak_mib", peak_mib());
	json_put_end(&json);
}

static int bench_sweep(const struct experiment *experiment, const struct bench_args *args,
		       struct err *err)
{
	struct sweep sweep = {
		.experiment = experiment,
		.count = args->sweep,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t threads[THREADS_MOST];
	unsigned started = 0;
	double start = clock_now_s();

	/* This thread is one of them. */
	while (started + 1 < args->jobs &&
	       pthread_create(&threads[started], NULL, sweep_worker, &sweep) == 0)
		started++;
	sweep_worker(&sweep);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&sweep.lock);
	if (sweep.err.code) {
		*err = sweep.err;
		return err->code;
	}
	print_sweep(&sweep, started + 1, clock_now_s() - start, args->json);
	return 0;
}

/* ---- the verb ---------------------------------------------------------------------------------
 */

static int bench_experiment(const char *path, const struct bench_args *args, struct err *err)
{
	struct experiment experiment = {0};

	if (args->runs > RUNS_MOST || args->jobs < 1 || args->jobs > THREADS_MOST)
		return err_set(err, EINVAL,
			       "--runs %llu and --jobs %llu, expected at most %d and 1 to %d",
			       (unsigned long long)args->runs, (unsigned long long)args->jobs,
			       RUNS_MOST, THREADS_MOST);
	if (experiment_load(&experiment, path, args->sets.items, args->sets.count, err))
		return err->code;
	if (!bench_flash(&experiment.trials[0], args, err) &&
	    !bench_trials(&experiment, args, err) && args->sweep > 0)
		(void)!bench_sweep(&experiment, args, err);
	experiment_fini(&experiment);
	return err->code;
}

int bench_sim(int argc, char **argv, struct err *err)
{
	struct bench_args got = {.runs = 5, .jobs = 4};
	const struct opt opts[] = {
		{"runs", 'n', OPT_COUNT, &got.runs, "N", "timed runs of each; default 5", 0, 1},
		{"sweep", 0, OPT_COUNT, &got.sweep, "N",
		 "then N trials, each with its own trace: seconds, and memory after a tenth and "
		 "after all; "
		 "default 0, none",
		 0, 0},
		{"jobs", 'j', OPT_COUNT, &got.jobs, "N", "threads of --sweep; default 4", 0, 1},
		{"set", 's', OPT_LIST, &got.sets, "KEY=VALUE",
		 "overlay a key of the experiment; may be repeated", 0, 0},
		{"json", 0, OPT_FLAG, &got.json, NULL, "one JSON object a line", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench sim [EXPERIMENT.yaml] [OPTIONS]",
		.about = "Times the simulator: the flash levels that go read by read, and every "
			 "trial "
			 "of an experiment (default speed: every\n"
			 "policy in full OPT 6.7B and Falcon 7B geometry) on one core, each run "
			 "from "
			 "nothing.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!bench_experiment(args.operands.count ? args.operands.items[0] : "speed",
					&got, err);
	args_fini(&args, &spec);
	return err->code;
}
