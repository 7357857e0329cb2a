/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cli.h - what main() and the verbs share */
#ifndef FLASH_CLI_H
#define FLASH_CLI_H

#include "args.h"
#include "experiment.h"
#include "json_out.h"
#include "progress.h"
#include "results.h"

/* A verb gets the arguments after its name.  0, or err->code: EINVAL ends the process with 2, all
 * else with 1. */
#define VERB(name, about) MUST_CHECK int verb_##name(int argc, char **argv, struct err *err);
#include "verbs.h"
#undef VERB

/* A verb of verbs ("model synth"): runs the one that argv[0] names. */
struct subverb {
	const char *name, *about;
	int (*run)(int argc, char **argv, struct err *err);
};
MUST_CHECK int subverb_run(const char *verb, const struct subverb *subs, size_t count, int argc,
			   char **argv, struct err *err);

/* An error unless DIR holds a store: results_open() would make one. */
MUST_CHECK int store_wanted(const char *dir, struct err *err);

/* --device: where reads go; an emulated device by name or YAML, NULL the disk. */
struct real_target;
MUST_CHECK int target_load(struct real_target *target, const char *name, struct err *err);

/* Draw figures from the rows in DIR, a set for each device; names NULL: every figure.  A figure
 * that has no rows to show is left out and told; one that fails is told and counted (EIO), and the
 * others go on.  A folder without a store is ENOENT, and is not made.  Each goes into 'report', an
 * open list, as an object too; NULL: none is wanted. */
MUST_CHECK int draw_figures(const char *dir, char *const *names, size_t count, struct json *report,
			    struct err *err);

/* What the rows in DIR say, on standard output: predicted against measured where trials ran in both worlds.
 * Where none did: ENODATA when pairs are wanted, else the rows themselves. */
enum judge_form { JUDGE_TEXT, JUDGE_JSON, JUDGE_MARKDOWN };
enum judge_want { JUDGE_ROWS, JUDGE_PAIRS };
MUST_CHECK int judge(const char *dir, enum judge_form form, enum judge_want want, struct err *err);
/* Of two flags; EINVAL for both. */
MUST_CHECK int judge_form_read(enum judge_form *form, bool json, bool markdown, struct err *err);

/* Rows as a table, one heading for each experiment, model, device and world that follow each other.
 */
void print_rows(FILE *out, const struct result_row *rows, size_t count);
/* Every column of every row, as an array of objects. */
void print_rows_json(FILE *out, const struct result_row *rows, size_t count);

/* A progress line for work that tells how far it is, 0 .. 1; a stage after another begins at 0
 * again, and the line's total is the number of stages.  Hand fraction_tell to the work with a
 * struct fraction_progress * as its argument. */
struct fraction_progress {
	struct progress *line;
	double done;
};
int fraction_tell(void *arg, double done);

/* Every parameter table as Markdown: docs/config.md. */
void config_help(FILE *out);

#endif
