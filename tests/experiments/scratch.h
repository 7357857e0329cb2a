/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scratch.h - a folder of its own for a test, and the small model and experiment that most tests
 * start from */
#ifndef FLASH_TEST_SCRATCH_H
#define FLASH_TEST_SCRATCH_H

#include "experiment.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Geometry as small as it may be, with OPT 6.7B's activity. */
static const char tiny_yaml[] = "family: opt\n"
				"layer_count: 2\n"
				"d_model: 64\n"
				"d_ffn: 1024\n"
				"head_count: 4\n"
				"kv_head_count: 4\n"
				"vocab_count: 64\n"
				"position_count: 512\n"
				"activity:\n"
				"  active_frac: 3.3%\n"
				"  active_first_frac: 1.6%\n"
				"  active_last_frac: 5.4%\n"
				"  window_tokens: 5\n"
				"  resident_frac: 24%\n"
				"  new_frac: 2.4%\n"
				"  overlap_frac: 53%\n"
				"  hot_frac: 28%\n";

#define TINY	 "experiment: tiny\nmodel: tiny.yaml\ndevice: m1-max\nctx: 64\ntokens: 12\nwarmup: 4\n"
#define TINY_ALL TINY "policy: all\n"

static char scratch_dir[64], scratch_home[4096];

/* The test's own folder, which is also where it stands. */
static inline void scratch_open(void)
{
	snprintf(scratch_dir, sizeof(scratch_dir), "/tmp/flash-exp-XXXXXX");
	ck_assert(getcwd(scratch_home, sizeof(scratch_home)) != NULL);
	ck_assert(mkdtemp(scratch_dir) != NULL);
	ck_assert_int_eq(chdir(scratch_dir), 0);
}

static inline void scratch_close(void)
{
	char command[128];

	ck_assert_int_eq(chdir(scratch_home), 0);
	snprintf(command, sizeof(command), "rm -rf %s", scratch_dir);
	ck_assert_int_eq(system(command), 0);
}

static inline void scratch_write(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	ck_assert(out != NULL);
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
}

/* x.yaml beside tiny.yaml, loaded. */
static inline int scratch_load(struct experiment *experiment, const char *yaml,
			       const char *const *sets, size_t set_count, struct err *err)
{
	scratch_write("tiny.yaml", tiny_yaml);
	scratch_write("x.yaml", yaml);
	return experiment_load(experiment, "x.yaml", sets, set_count, err);
}

/* The same, which must work. */
static inline void scratch_experiment(struct experiment *experiment, const char *yaml)
{
	struct err err = {0};

	ck_assert_msg(scratch_load(experiment, yaml, NULL, 0, &err) == 0, "%s", err.msg);
}

#endif
