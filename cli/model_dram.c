/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_dram.c - asks the policy layer what stays, and the published statistics what a window holds
 * */
#include "model_dram.h"

#include "configs.h"
#include "policy.h"
#include "trace_gen.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

struct dram_question {
	const struct model_facts *facts;
	uint64_t ctx;
	struct activity activity;
};

/* Distinct neurons that k tokens in a row ask for. */
static double share_of_window(const struct activity *a, uint64_t k)
{
	double one = a->active_frac * (1 - a->fn_frac) + (1 - a->active_frac) * a->fp_frac;
	double known = (double)a->window_tokens, share;

	if (k >= a->window_tokens)
		share = a->resident_frac + ((double)k - known) * a->new_frac;
	else
		share = one + (a->resident_frac - one) * ((double)k - 1) / (known - 1);
	return fmin(share, 1);
}

/* A policy that asks for everything keeps what this one keeps, and needs no trace to say so. */
static int ask_policy(struct dram_row *row, const struct policy_config *config,
		      const struct dram_question *q, uint32_t *pinned_rows, struct err *err)
{
	const struct model *m = &q->facts->shape;
	struct policy_config dense = *config;
	struct policy *policy;

	dense.weights = q->facts->weights;
	dense.demand = (unsigned)word_value(demand_words, "dense");
	if (policy_open(&policy, &dense, m, NULL, err))
		return err->code;
	row->kept_bytes = policy_kept_bytes(policy, REGION_EMBED) +
			  m->layer_count * policy_kept_bytes(policy, REGION_ATTENTION);
	*pinned_rows = policy_pinned_rows(policy);
	policy_close(policy);
	return 0;
}

static int fill_row(struct dram_row *row, const struct policy_config *config,
		    const struct dram_question *q, struct err *err)
{
	const struct model *m = &q->facts->shape;
	uint64_t row_bytes = m->layer_count * model_row_bytes(m, q->facts->weights, REGION_BUNDLE);
	double window = policy_residency_number(config, "window");
	double cap_frac = policy_residency_number(config, "cap_frac");
	double rows, most;
	uint32_t pinned = 0;

	memset(row, 0, sizeof(*row));
	if (ask_policy(row, config, q, &pinned, err))
		return err->code;
	snprintf(row->policy, sizeof(row->policy), "%s", config->name);
	rows = most = pinned;
	row->window_frac = (double)NAN;
	if (!policy_demand(config)->dense && !isnan(window)) {
		row->window_tokens = (uint64_t)window;
		row->window_frac = share_of_window(&q->activity, row->window_tokens);
		most = (double)m->d_ffn * (isnan(cap_frac) ? 1 : cap_frac);
		rows = fmax(rows, fmin(most, row->window_frac * (double)m->d_ffn));
	}
	row->ffn_bytes = (uint64_t)rows * row_bytes;
	row->ffn_most_bytes = (uint64_t)most * row_bytes;
	row->kv_bytes = 2 * q->ctx * m->layer_count * sizeof(float) *
			(m->d_model / m->head_count * m->kv_head_count);
	row->all_bytes = row->kept_bytes + row->ffn_bytes + row->kv_bytes;
	return 0;
}

static int add_policy(struct dram_table *table, const char *path, const struct dram_question *q,
		      struct err *err)
{
	struct policy_config *config = calloc(1, sizeof(*config));
	struct ynode *map = NULL;

	if (!config)
		return err_nomem(err, "a policy", sizeof(*config));
	if (!config_load(&map, CONFIG_POLICY, path, err) && !policy_config_read(config, map, err) &&
	    !fill_row(&table->rows[table->count], config, q, err))
		table->count++;
	ynode_free(map);
	free(config);
	return err->code;
}

static int yaml_only(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && end && strcmp(end, ".yaml") == 0;
}

/* The folder in which one of the shipped policies lies. */
static int find_folder(char *path, size_t size, struct err *err)
{
	char *slash;

	if (config_find(path, size, CONFIG_POLICY, "naive", NULL, err))
		return err->code;
	slash = strrchr(path, '/');
	assert(slash);
	*slash = '\0';
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const struct dram_row *x = a, *y = b;

	if (x->all_bytes != y->all_bytes)
		return x->all_bytes < y->all_bytes ? -1 : 1;
	return strcmp(x->policy, y->policy);
}

static int add_policies(struct dram_table *table, const struct dram_question *q, struct err *err)
{
	struct dirent **entries = NULL;
	char folder[PATH_BYTES], path[PATH_BYTES + 300];
	int count;

	if (find_folder(folder, sizeof(folder), err))
		return err->code;
	count = scandir(folder, &entries, yaml_only, alphasort);
	if (count < 0)
		return err_errno(err, "%s: cannot list", folder);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (!err->code && table->count < DRAM_ROWS)
			(void)!add_policy(table, path, q, err);
		free(entries[i]);
	}
	free(entries);
	qsort(table->rows, table->count, sizeof(table->rows[0]), by_size);
	return err->code;
}

int dram_table_make(struct dram_table *table, const struct model_facts *facts, uint64_t ctx,
		    struct err *err)
{
	struct dram_question q = {.facts = facts, .ctx = ctx};
	const char *of = facts->shape.family == MODEL_OPT ? "opt-6.7b" : "falcon-7b";
	struct ynode *map = NULL;

	memset(table, 0, sizeof(*table));
	snprintf(table->activity_of, sizeof(table->activity_of), "%s", of);
	if (!config_load(&map, CONFIG_MODEL, of, err) && !activity_read(&q.activity, map, err))
		(void)!add_policies(table, &q, err);
	ynode_free(map);
	return err->code;
}
