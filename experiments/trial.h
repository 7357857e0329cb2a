/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial.h - one point of a sweep, wholly resolved, and what runs it in either world */
#ifndef FLASH_TRIAL_H
#define FLASH_TRIAL_H

#include "device.h"
#include "policy.h"
#include "real_emulated.h"
#include "results.h"
#include "sim_world.h"
#include "trace_gen.h"

struct trial_run {
#include "param_fields.h"
#include "experiment_params.h"
#include "param_end.h"
};
extern const struct param_table trial_run_table;

struct trial {
	char name[RESULT_TEXT];       /* "policy.window=5 policy.chunk=16KiB"; empty for a sweep of one */
	char hash[DIGEST_TEXT];       /* of the resolved config without name, about, figures, repeats */
	struct ynode *resolved;       /* every default written out; owned */
	struct trial_run run;
	struct model model;
	struct activity activity;
	struct device device;         /* the profile that sim predicts with */
	struct policy_config policy;
	struct real_target target;
};

/* From a resolved experiment mapping (parts in place, no sweep). EINVAL with place. */
MUST_CHECK int trial_read(struct trial *trial, const struct ynode *map, struct err *err);
void trial_fini(struct trial *trial);

/* Tokens of a row, collected while it runs. */
struct token_list {
	struct result_token *tokens;
	size_t count, room;
};

/* Keeps generated traces and fitted shapes between trials that share them; one a thread. */
struct trace_cache;
MUST_CHECK int trace_cache_open(struct trace_cache **out, struct err *err);
void trace_cache_close(struct trace_cache *cache);
/* The trial's trace: loaded, or generated; NULL in *trace for dense demand. Valid until the next call. */
MUST_CHECK int trace_cache_get(struct trace_cache *cache, const struct trial *trial,
			       const struct trace **trace, struct err *err);

/* Fill everything but the world's own columns: names, hashes, axes. */
void trial_describe(struct result_row *row, const struct trial *trial, const char *world);

/* Run once. 'row' gets the world's columns (means over the tokens after the warm-up), 'list' one line a token. */
MUST_CHECK int trial_run_sim(struct result_row *row, struct token_list *list, const struct trial *trial,
			     struct trace_cache *cache, struct err *err);
/* One repeat in the real world; 'repeat' goes into the token lines. */
MUST_CHECK int trial_run_real(struct result_row *row, struct token_list *list, const struct trial *trial,
			      struct trace_cache *cache, uint32_t repeat, struct err *err);
/* Means, quantiles, spread and noise floor of all repeats from the token lines. */
void trial_summarise(struct result_row *row, const struct token_list *list);

#endif
