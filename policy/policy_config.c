/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy_config.c - a policy's keys: the axes, and the own parameters of every residency beside
 * them */
#include "policy.h"

#include "configs.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

/* Words and members come from the same lists, so that word i is member i. */
const struct param_word demand_words[] = {
#define DEMAND(name) {#name, demand_##name##_help},
#include "demands.h"
#undef DEMAND
	{0},
};

static const struct demand_ops *const demands[] = {
#define DEMAND(name) &demand_##name,
#include "demands.h"
#undef DEMAND
};

const struct param_word persistence_words[] = {
#define PERSISTENCE(name) {#name, persistence_##name##_help},
#include "persistences.h"
#undef PERSISTENCE
	{0},
};

static const struct persistence_ops *const persistences[] = {
#define PERSISTENCE(name) &persistence_##name,
#include "persistences.h"
#undef PERSISTENCE
};

const struct param_word residency_words[] = {
#define RESIDENCY(name) {#name, residency_##name##_help},
#include "residencies.h"
#undef RESIDENCY
	{0},
};

static const struct residency_ops *const residencies[] = {
#define RESIDENCY(name) &residency_##name,
#include "residencies.h"
#undef RESIDENCY
};
enum { RESIDENCIES = sizeof(residencies) / sizeof(*residencies) };

const struct param_word layout_words[] = {
#define LAYOUT(name) {#name, layout_##name##_help},
#include "layouts.h"
#undef LAYOUT
	{0},
};

static const struct layout_ops *const layouts[] = {
#define LAYOUT(name) &layout_##name,
#include "layouts.h"
#undef LAYOUT
};

/* clang-format off */
static const struct param policy_rows[] = {
#define PARAM_OWNER policy_config
#include "param_rows.h"
#include "policy_params.h"
#include "param_end.h"
};
/* clang-format on */

const struct param_table policy_table = {
	.name = "policy",
	.about = "One key an axis; a residency's own keys stand beside them.",
	.rows = policy_rows,
	.count = sizeof(policy_rows) / sizeof(*policy_rows),
};

/* Where residency i's own struct lies in residency_params: one after the other, each aligned for
 * any type. */
static size_t residency_offset(unsigned residency)
{
	size_t offset = 0;

	for (unsigned i = 0; i < residency; i++)
		offset += (residencies[i]->params_bytes + 15) / 16 * 16;
	assert(offset + residencies[residency]->params_bytes <= POLICY_RESIDENCY_PARAMS);
	return offset;
}

/* Keys that are wrong only together. */
static int check_axes(const struct policy_config *config, const struct ynode *map, struct err *err)
{
	const struct ynode *at = map ? ynode_get(map, "dense_chunk") : NULL;

	if (config->dense_chunk % TENSOR_ALIGN == 0)
		return 0;
	if (!at)
		at = map;
	return at ? ynode_err(at, err, "dense_chunk: %llu is no multiple of %d B",
			      (unsigned long long)config->dense_chunk, TENSOR_ALIGN)
		  : err_set(err, EINVAL, "dense_chunk: %llu is no multiple of %d B",
			    (unsigned long long)config->dense_chunk, TENSOR_ALIGN);
}

int policy_config_read(struct policy_config *config, const struct ynode *map, struct err *err)
{
	struct param_dest dests[1 + RESIDENCIES] = {{&policy_table, config}};
	size_t count = 1;
	int rc;

	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < RESIDENCIES; i++)
		if (residencies[i]->params)
			dests[count++] =
				(struct param_dest){residencies[i]->params,
						    config->residency_params + residency_offset(i)};
	rc = param_read(dests, count, map, NULL, err);
	if (rc)
		return rc;
	if (map && !config->name[0])
		config_name(config->name, map->file);
	return check_axes(config, map, err);
}

struct ynode *policy_config_write(const struct policy_config *config)
{
	const struct residency_ops *residency = policy_residency(config);
	struct ynode *map = param_write(&policy_table, config);
	struct err err = {0};

	if (!map)
		return NULL;
	if (residency->params &&
	    param_write_into(map, residency->params, policy_residency_params(config), &err) != 0) {
		ynode_free(map);
		return NULL;
	}
	return map;
}

const struct demand_ops *policy_demand(const struct policy_config *config)
{
	return demands[config->demand];
}

const struct persistence_ops *policy_persistence(const struct policy_config *config)
{
	return persistences[config->persistence];
}

const struct residency_ops *policy_residency(const struct policy_config *config)
{
	return residencies[config->residency];
}

const struct layout_ops *policy_layout(const struct policy_config *config)
{
	return layouts[config->layout];
}

const void *policy_residency_params(const struct policy_config *config)
{
	return config->residency_params + residency_offset(config->residency);
}

double policy_residency_number(const struct policy_config *config, const char *name)
{
	const struct residency_ops *residency = policy_residency(config);
	const struct param *row = residency->params ? param_find(residency->params, name) : NULL;
	const unsigned char *at;
	uint64_t whole;
	double number;

	if (!row)
		return NAN;
	at = (const unsigned char *)policy_residency_params(config) + row->offset;
	switch (row->type) {
	case PARAM_U64:
		memcpy(&whole, at, sizeof(whole));
		return (double)whole;
	case PARAM_F64:
		memcpy(&number, at, sizeof(number));
		return number;
	case PARAM_WORD:
	case PARAM_BOOL:
	case PARAM_TEXT:
		break;
	}
	return NAN;
}

bool policy_residency_put(struct policy_config *config, const char *name, double value)
{
	const struct residency_ops *residency = policy_residency(config);
	const struct param *row = residency->params ? param_find(residency->params, name) : NULL;

	if (!row || row->type != PARAM_F64)
		return false;
	memcpy((unsigned char *)config->residency_params +
		       ((const unsigned char *)policy_residency_params(config) -
			config->residency_params) +
		       row->offset,
	       &value, sizeof(value));
	return true;
}

static void members_help(const char *axis, const struct param_word *words, FILE *out)
{
	fprintf(out, "\n`%s` is one of\n\n", axis);
	for (; words->text; words++)
		fprintf(out, "- `%s`: %s\n", words->text, words->help);
}

void policy_help(FILE *out)
{
	param_help(&policy_table, out);
	for (size_t i = 0; i < policy_table.count; i++)
		if (policy_rows[i].words)
			members_help(policy_rows[i].name, policy_rows[i].words, out);
	for (unsigned i = 0; i < RESIDENCIES; i++) {
		if (!residencies[i]->params)
			continue;
		fputc('\n', out);
		param_help(residencies[i]->params, out);
	}
}
