/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_bench.c - our own speed; `bench sim`: how long the simulator takes for a trial, trace
 * generation included */
#include "bench_decode.h"
#include "bench_device.h"
#include "bench_io.h"
#include "bench_kernels.h"
#include "cli.h"
#include "clock.h"

#include "order.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One trial from nothing: its own cache, so that fit and trace generation are paid each time. */
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
	free(list.tokens);
	return err->code;
}

/* 'seconds' in order. */
static void print_json(const char *trial, const double *seconds, uint64_t runs, double reads)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "trial", trial);
	json_put_number(&json, "min_s", seconds[0]);
	json_put_number(&json, "median_s", seconds[runs / 2]);
	json_put_number(&json, "max_s", seconds[runs - 1]);
	json_put_number(&json, "reads_per_s", reads / seconds[runs / 2]);
	json_put_end(&json);
}

enum { RUNS_MOST = 101 };

static int bench_experiment(const char *path, const struct arg_list *sets, uint64_t runs, bool json,
			    struct err *err)
{
	struct experiment experiment = {0};
	double seconds[RUNS_MOST], reads = 0;

	if (runs > RUNS_MOST)
		return err_set(err, EINVAL, "--runs: got %llu, expected at most %d",
			       (unsigned long long)runs, RUNS_MOST);
	if (experiment_load(&experiment, path, sets->items, sets->count, err))
		return err->code;
	if (!json)
		printf("one trial on one core, fit and trace generation included, %llu runs\n%-44s "
		       "%9s %9s %9s %12s\n",
		       (unsigned long long)runs, "trial", "min s", "median s", "max s", "reads/s");
	for (size_t i = 0; i < experiment.trial_count && !err->code; i++) {
		const struct trial *trial = &experiment.trials[i];

		for (uint64_t run = 0; run < runs && !err->code; run++)
			(void)!time_trial(&seconds[run], &reads, trial, err);
		if (err->code)
			break;
		order_sort(seconds, runs);
		if (json)
			print_json(trial->name, seconds, runs, reads);
		else
			printf("%-44s %9.4f %9.4f %9.4f %12.4g\n", trial->name, seconds[0],
			       seconds[runs / 2], seconds[runs - 1], reads / seconds[runs / 2]);
	}
	experiment_fini(&experiment);
	return err->code;
}

static int bench_sim(int argc, char **argv, struct err *err)
{
	struct arg_list sets = {0};
	uint64_t runs = 5;
	bool json = false;
	const struct opt opts[] = {
		{"runs", 'n', OPT_COUNT, &runs, "N", "timed runs of each trial; default 5", 0, 1},
		{"set", 's', OPT_LIST, &sets, "KEY=VALUE",
		 "overlay a key of the experiment; may be repeated", 0, 0},
		{"json", 0, OPT_FLAG, &json, NULL, "one JSON object a line", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "bench sim [EXPERIMENT.yaml] [OPTIONS]",
		.about = "Times every trial of an experiment (default paper/table2: the ladder in "
			 "full OPT 6.7B geometry) in the\n"
			 "simulator on one core, each run from nothing.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!bench_experiment(args.operands.count ? args.operands.items[0]
							    : "paper/table2",
					&sets, runs, json, err);
	args_fini(&args, &spec);
	return err->code;
}

int verb_bench(int argc, char **argv, struct err *err)
{
	static const struct subverb subs[] = {
		{"decode", "tokens a second, beside llama.cpp", bench_decode},
		{"device", "how exactly this host plays an emulated device", bench_device},
		{"io", "MB/s of the read engines, beside fio", bench_io},
		{"kernels", "GB/s of the kernels, beside a plain read", bench_kernels},
		{"sim", "seconds a simulated trial takes", bench_sim},
	};

	return subverb_run("bench", subs, sizeof(subs) / sizeof(subs[0]), argc, argv, err);
}
