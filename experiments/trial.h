/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.h - one point of a sweep, wholly resolved, and what runs it in either world */
#ifndef FLASH_TRIAL_H
#define FLASH_TRIAL_H

#include "device.h"
#include "forecast_error.h"
#include "policy.h"
#include "real_emulated.h"
#include "results.h"
#include "sim_world.h"
#include "trace_gen.h"

// clang-format off
struct trial_run {
#include "param_fields.h"
#include "experiment_params.h"
#include "param_end.h"
};
// clang-format on

enum { THREADS_ALL = 0 }; /* run.threads: every core */
enum { VISITS_EACH = 0 }; /* run.visits: as many as repeats */
extern const struct param_word threads_words[], visits_words[];
extern const struct param_table trial_run_table;

struct trial {
	char name[RESULT_TEXT]; /* "policy.window=5 policy.chunk=16KiB"; empty for a sweep of one */
	char hash[DIGEST_TEXT]; /* of what is computed: no names, abouts, repeats, worlds, figures,
				   file names */
	struct ynode *resolved; /* every default written out; owned */
	struct trial_run run;
	struct model model;
	struct activity activity;
	bool has_activity;		/* the model YAML has one */
	struct device device;		/* the profile that sim predicts with */
	struct forecast_error forecast; /* of that profile */
	struct ynode *checks;		/* of that profile, until they stand in 'resolved' */
	struct policy_config policy;
	struct real_target target;
};

/* Keys of an experiment that are parts or lists, not rows of trial_run_table; NULL-ended. */
extern const char *const trial_other_keys[];

/* From a resolved experiment mapping (parts in place, no sweep). EINVAL with place. */
MUST_CHECK int trial_read(struct trial *trial, const struct ynode *map, struct err *err);
void trial_fini(struct trial *trial);

/* Tokens of a row, collected while it runs: the warm-up's too, so that a plot can show how a run
 * begins. */
struct token_list {
	struct result_token *tokens;
	size_t count, room;
	uint32_t warmup;       /* tokens below this are not measured */
	bool layers;	       /* a line for each layer as well */
	const char *decisions; /* a folder: the run's decision log as text goes below it
				  (trial_files.h); NULL: nowhere */
	/* Totals that a measured token may take, several of each: the world's own draws of what scatters
	 * around the tokens' totals.  NULL: quantiles are of the tokens themselves. */
	double *draws;
	size_t draw_count, draw_room;
	struct timeline *timeline; /* where one token's spans go; NULL: nowhere */
};
void token_list_fini(struct token_list *list);

/* Keeps generated traces and fitted shapes between trials that share them; one a thread. */
struct trace_cache;
MUST_CHECK int trace_cache_open(struct trace_cache **out, struct err *err);
void trace_cache_close(struct trace_cache *cache); /* NULL is fine */
/* The trial's trace: loaded, or generated; NULL in *trace for dense demand. Valid until the next
 * call. */
MUST_CHECK int trace_cache_get(struct trace_cache *cache, const struct trial *trial,
			       const struct trace **trace, struct err *err);

/* Fill everything but the world's own columns: names, hashes, axes. */
void trial_describe(struct result_row *row, const struct trial *trial, const char *world);

/* Run once. 'row' gets decision_hash, what DRAM holds, resident and dropped; 'list' one line a
 * token. trial_summarise() does the rest. */
MUST_CHECK int trial_run_sim(struct result_row *row, struct token_list *list,
			     const struct trial *trial, struct trace_cache *cache, struct err *err);
/* A trial opened in the real world for one repeat after the other; the cache may not be asked for
 * another trace meanwhile.  EINVAL when the trial names no model_files. */
struct trial_real;
struct trial_visit {
	struct trace_cache *cache;
	struct timeline *timeline; /* gets one token's spans; NULL: none does */
	uint32_t number;	   /* an emulated device stalls at other reads in each visit */
};
MUST_CHECK int trial_real_open(struct trial_real **out, const struct trial *trial,
			       const struct trial_visit *visit, struct err *err);
void trial_real_close(struct trial_real *real); /* NULL is fine */
/* One repeat from an empty store; 'repeat' goes into the token lines.  row->polluted is 1 when
 * foreign disk traffic was seen (0 on an emulated device, which no disk slows down),
 * row->steal_frac is this repeat's.  A decision log is written by a run of its own before repeat 0,
 * which no clock is held to.  After a failure only closing is left. */
MUST_CHECK int trial_real_repeat(struct trial_real *real, struct result_row *row,
				 struct token_list *list, uint32_t repeat, struct err *err);
/* Of the weights that the trial would read (32 hexadecimal digits): trial_hash knows the geometry
 * alone, since sim has no weights, and a row of other weights is another measurement. */
MUST_CHECK int trial_weights_digest(char digest[DIGEST_TEXT], const struct trial *trial,
				    struct err *err);

/* After the summary of a sim row: how far the prediction may be off, from its profile's own errors
 * (forecast_error.h), into total_ns_low, total_ns_high and spread_frac. */
void trial_sim_uncertainty(struct result_row *row, const struct trial *trial);
/* Means, quantiles, spread and noise floor of all repeats, from the token lines.
 *
 * With m_i the mean total of repeat i over the measured tokens, over n repeats: spread_frac is half
 * the 95 % interval of their mean (Student's t, n - 1 degrees) over that mean; total_ns_low and
 * total_ns_high are where the median of the m_i lies by their order alone (order.h); noise_floor_frac is
 * the median of |m_2i - m_2i+1| / (their mean) over the pairs of successive repeats, a last odd one
 * left out.  All need n >= 2, and the floor is worth judging by from n = 10 on
 * (docs/costmodel.md), which compare.h asks for. */
void trial_summarise(struct result_row *row, const struct token_list *list);

#endif
