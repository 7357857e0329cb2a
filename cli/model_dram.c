/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_dram.c - asks the policy layer what stays, and the published statistics what a window holds
 * */
#include "model_dram.h"

#include "configs.h"
#include "cores.h"
#include "live.h"
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
	struct live_shape shape;
	uint64_t ctx;
	unsigned threads;
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
static int ask_policy(uint32_t *pinned_rows, const struct policy_config *config,
		      const struct dram_question *q, struct err *err)
{
	struct policy_config dense = *config;
	struct policy *policy;

	dense.demand = (unsigned)word_value(demand_words, "dense");
	if (policy_open(&policy, &dense, &q->shape.model, NULL, err))
		return err->code;
	*pinned_rows = policy_pinned_rows(policy);
	policy_close(policy);
	return 0;
}

/* What a run by the policy would hold, were its demand known: memory follows from which rows may
 * come, not from who says so. */
static int ask_need(struct live_need *need, struct policy_config *config,
		    const struct dram_question *q, struct err *err)
{
	const struct real_target disk = {.name = "disk"};
	const struct live_options options = {
		.shape = &q->shape,
		.config = config,
		.target = &disk,
		.ctx = q->ctx,
		.prompt_most = (uint32_t)q->ctx,
		.threads = q->threads,
	};

	if (!policy_demand(config)->dense)
		config->demand = (unsigned)word_value(demand_words, "oracle");
	return live_need(need, &options, err);
}

/* FFN rows that the policy allows, and that it is expected to hold. */
static int fill_rows(struct dram_row *row, const struct policy_config *config,
		     const struct dram_question *q, uint64_t store_bytes, struct err *err)
{
	const uint64_t d_ffn = q->shape.model.d_ffn;
	const double window = policy_residency_number(config, "window");
	const double cap_frac = policy_residency_number(config, "cap_frac");
	uint32_t pinned = 0;
	double rows, most;

	row->ffn_bytes = row->ffn_most_bytes = store_bytes;
	row->window_frac = (double)NAN;
	if (policy_demand(config)->dense || isnan(window))
		return 0;
	if (ask_policy(&pinned, config, q, err))
		return err->code;
	row->window_tokens = (uint64_t)window;
	row->window_frac = share_of_window(&q->activity, row->window_tokens);
	most = (double)d_ffn * (isnan(cap_frac) ? 1 : cap_frac);
	rows = fmax(pinned, fmin(most, row->window_frac * (double)d_ffn));
	row->ffn_bytes = (uint64_t)((double)store_bytes * rows / most);
	return 0;
}

static int fill_row(struct dram_row *row, struct policy_config *config,
		    const struct dram_question *q, struct err *err)
{
	struct live_need need;

	memset(row, 0, sizeof(*row));
	snprintf(row->policy, sizeof(row->policy), "%s", config->name);
	config->weights = q->shape.weights;
	/* Which gaps are read depends on a device, and what is held does not. */
	if (config->coalesce_gap == COALESCE_GAP_AUTO)
		config->coalesce_gap = COALESCE_GAP_NONE;
	if (ask_need(&need, config, q, err) ||
	    fill_rows(row, config, q, need.world.store_bytes, err))
		return err->code;
	row->kept_bytes = need.world.kept_bytes;
	row->kv_bytes = need.world.kv_bytes;
	row->scratch_bytes = need.world.scratch_bytes;
	row->buffer_bytes = need.world.staging_bytes;
	row->other_bytes = need.program_bytes + need.world.books_bytes;
	row->all_bytes = row->kept_bytes + row->ffn_bytes + row->kv_bytes + row->scratch_bytes +
			 row->buffer_bytes + row->other_bytes;
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

/* By the weights that are held: the rest hardly differs, or by chance. */
static uint64_t weight_bytes_of(const struct dram_row *row)
{
	return row->kept_bytes + row->ffn_bytes;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = weight_bytes_of(a), y = weight_bytes_of(b);

	if (x != y)
		return x < y ? -1 : 1;
	return strcmp(((const struct dram_row *)a)->policy, ((const struct dram_row *)b)->policy);
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
	const struct model *m = &facts->shape;
	struct dram_question q = {
		.shape = {*m, facts->weights},
		.ctx = ctx < m->position_count ? ctx : m->position_count,
		.threads = cores_usable(),
	};
	const char *of = m->family == MODEL_OPT ? "opt-6.7b" : "falcon-7b";
	struct ynode *map = NULL;

	/* What a policy would hold is asked of a GELU model, too, which has no sparsity to run it. */
	q.shape.model.activation = ACT_RELU;
	memset(table, 0, sizeof(*table));
	snprintf(table->activity_of, sizeof(table->activity_of), "%s", of);
	table->ctx = q.ctx;
	table->threads = q.threads;
	if (!config_load(&map, CONFIG_MODEL, of, err) && !activity_read(&q.activity, map, err))
		(void)!add_policies(table, &q, err);
	ynode_free(map);
	return err->code;
}
