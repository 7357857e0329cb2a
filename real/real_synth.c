/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_synth.c - writes synthetic models: rows made by all cores, put into files by real_write.c */
#include "real_model.h"

#include "cores.h"
#include "real_kernels.h"
#include "real_write.h"

#include <inttypes.h>

enum { THREADS_MAX = 16 };

struct synth {
	const struct synth_options *options;
	struct pool *pool;
};

/* One buffer's rows, made by all threads. */
struct synth_job {
	const struct synth *synth;
	const struct file_tensors *it;
	const struct row_span *span;
};

static void job_run(void *arg, unsigned thread, unsigned threads)
{
	const struct synth_job *job = arg;
	uint64_t begin = job->span->count * thread / threads;
	uint64_t end = job->span->count * (thread + 1) / threads;

	for (uint64_t i = begin; i < end; i++)
		synth_row(job->span->to + i * job->it->tensor.row_stride, job->it,
			  job->it->map->model, job->synth->options->seed, job->span->first + i);
}

static int synth_rows(void *arg, const struct file_tensors *it, const struct row_span *span,
		      struct err *err)
{
	const struct synth *synth = arg;
	struct synth_job job = {synth, it, span};

	(void)err;
	pool_run(synth->pool, job_run, &job);
	return 0;
}

static void synth_keys(void *arg, struct gguf_head *head, const struct file_map *map)
{
	const struct synth *synth = arg;

	(void)map;
	gguf_head_wide(head, "flashcast.seed", synth->options->seed);
}

int real_model_synth(const char *dir, const struct synth_options *options, struct err *err)
{
	unsigned cores = cores_usable(), threads = cores > THREADS_MAX ? THREADS_MAX : cores;
	struct synth synth = {options, NULL};
	const struct row_source source = {&synth, synth_rows, synth_keys};
	const struct write_options write = {
		.model = options->model,
		.weights = options->weights,
		.layouts = options->layouts,
		.layout_count = options->layout_count,
		.source = "synthetic",
		.progress = options->progress,
		.progress_arg = options->progress_arg,
	};

	if (!pool_open(&synth.pool, threads, err))
		(void)!model_write(dir, &write, &source, err);
	pool_close(synth.pool);
	return err->code;
}
