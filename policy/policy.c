/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy.c - the chosen members put together: a demand goes in, a plan comes out */
#include "policy.h"

#include "reads.h"
#include "sets.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct policy {
	const struct policy_config *config;
	const struct model *model;
	const struct trace *trace; /* NULL when the demand is dense */
	const struct demand_ops *demand;
	const struct residency_ops *residency;
	const struct layout_ops *layout;
	struct residency_env env;
	struct region_shape shapes[REGION__COUNT];
	struct read_rule rule;
	void *demand_state;    /* NULL when it needs none */
	void *residency_state; /* NULL when the demand is dense */
	size_t residency_state_bytes;
	uint64_t *neurons; /* room for one demand */
};

/* Unpadded bytes of a region from 'begin' on. */
static uint64_t unpadded_bytes(const struct model *model, enum weight_type weights,
			       enum region region, uint64_t begin)
{
	struct model_tensor tensor;
	uint64_t bytes = 0;

	for (uint32_t i = 0; model_tensor_at(&tensor, model, weights, region, 0, i); i++) {
		uint64_t end = tensor.offset + tensor.row_bytes * tensor.dims[1];

		if (end > begin)
			bytes += end - (tensor.offset > begin ? tensor.offset : begin);
	}
	return bytes;
}

static struct region_shape region_shape(const struct policy_config *config,
					const struct model *model, enum region region)
{
	enum weight_type weights = (enum weight_type)config->weights;
	double frac = policy_persistence(config)->kept_frac(config, region);
	struct region_shape shape = {.bytes = model_region_bytes(model, weights, region)};

	assert(frac >= 0 && frac <= 1);
	if (region == REGION_EMBED || region == REGION_ATTENTION) {
		shape.kept_bytes = (uint64_t)(frac * (double)shape.bytes);
		if (frac < 1)
			shape.kept_bytes -= shape.kept_bytes % TENSOR_ALIGN;
		else
			shape.kept_bytes = shape.bytes;
		shape.needed_bytes = unpadded_bytes(model, weights, region, shape.kept_bytes);
		return shape;
	}
	shape.row_bytes = model_row_bytes(model, weights, region);
	shape.row_stride = model_row_stride(model, weights, region);
	shape.kept_bytes = (uint64_t)(frac * (double)model->d_ffn) * shape.row_stride;
	shape.needed_bytes =
		(model->d_ffn - (uint64_t)(frac * (double)model->d_ffn)) * shape.row_bytes;
	return shape;
}

uint64_t policy_slot_bytes(const struct policy_config *config, const struct model *model)
{
	uint64_t stride = model_row_stride(model, (enum weight_type)config->weights,
					   policy_layout(config)->regions[0]);

	return reads_rows_per_slot(config->chunk, stride) * stride;
}

/* The trace must be of this model's geometry. */
static int check_trace(const struct policy *policy, struct err *err)
{
	const struct trace *trace = policy->trace;
	const struct model *model = policy->model;

	if (!trace)
		return err_set(
			err, EINVAL,
			"demand %s needs a trace (sim: a generated or recorded one); only dense "
			"needs none",
			policy->demand->name);
	if (trace->layer_count != model->layer_count || trace->neuron_count != model->d_ffn)
		return err_set(err, EINVAL,
			       "trace of %s: %u layers of %u neurons, model %s has %llu of %llu",
			       trace->model, trace->layer_count, trace->neuron_count, model->name,
			       (unsigned long long)model->layer_count,
			       (unsigned long long)model->d_ffn);
	if (!trace->token_count)
		return err_set(err, EINVAL, "trace of %s: no tokens", trace->model);
	return 0;
}

/* Direct I/O can make requests of the model's alignment only. */
static int check_chunks(const struct policy *policy, struct err *err)
{
	const struct policy_config *config = policy->config;

	if (config->chunk != CHUNK_ROW && config->chunk % policy->model->row_align)
		return err_set(
			err, EINVAL,
			"policy %s: chunk %llu B is no multiple of model %s's row_align %llu B",
			config->name, (unsigned long long)config->chunk, policy->model->name,
			(unsigned long long)policy->model->row_align);
	if (config->dense_chunk % TENSOR_ALIGN)
		return err_set(err, EINVAL, "policy %s: dense_chunk %llu B is no multiple of %d B",
			       config->name, (unsigned long long)config->dense_chunk, TENSOR_ALIGN);
	return 0;
}

/* A read that may hold several slots holds at least one, and knows what gap it may hold. */
static int check_merge(const struct policy *policy, struct err *err)
{
	const struct policy_config *config = policy->config;
	uint64_t slot = policy_slot_bytes(config, policy->model);

	if (!policy->rule.merge)
		return 0;
	if (config->coalesce_gap == COALESCE_GAP_AUTO)
		return err_set(
			err, EINVAL,
			"policy %s: coalesce_gap: auto comes from a device profile, and there is "
			"none here; give a size (16KiB), or none to join neighbours only",
			config->name);
	if (config->coalesce_most < slot)
		return err_set(err, EINVAL,
			       "policy %s: coalesce_most %llu B is less than one slot of %llu B (a "
			       "row, or a chunk of rows)",
			       config->name, (unsigned long long)config->coalesce_most,
			       (unsigned long long)slot);
	return 0;
}

static int check_capacity(const struct policy *policy, struct err *err)
{
	const struct residency_env *env = &policy->env;

	if (env->capacity_rows >= env->pinned_rows && env->capacity_rows)
		return 0;
	return err_set(
		err, EINVAL,
		"policy %s: cap_frac leaves room for %u rows of a layer, persistence %s keeps %u "
		"of %u there; raise cap_frac or lower persist_frac",
		policy->config->name, env->capacity_rows, policy_persistence(policy->config)->name,
		env->pinned_rows, env->neuron_count);
}

static void find_env(struct policy *policy)
{
	double rows = (double)policy->model->d_ffn;
	double cap_frac = policy_residency_number(policy->config, "cap_frac");
	enum region region = policy->layout->regions[0];

	policy->env = (struct residency_env){
		.layer_count = (uint32_t)policy->model->layer_count,
		.neuron_count = (uint32_t)policy->model->d_ffn,
		.capacity_rows = (uint32_t)(isnan(cap_frac) ? rows : cap_frac * rows),
		.pinned_rows = (uint32_t)(policy->shapes[region].kept_bytes /
					  policy->shapes[region].row_stride),
	};
}

static int zalloc(void **out, size_t bytes, const char *what, struct err *err)
{
	*out = calloc(1, bytes);
	return *out ? 0 : err_nomem(err, what, bytes);
}

/* What only sparse demands need: the trace's set of a step, and the states of both members. */
static int open_sparse(struct policy *policy, struct err *err)
{
	void *neurons;
	int rc = check_trace(policy, err);

	if (!rc)
		rc = check_capacity(policy, err);
	if (!rc)
		rc = check_merge(policy, err);
	if (!rc)
		rc = zalloc(&neurons, policy->trace->words * sizeof(uint64_t), "a demand", err);
	if (rc)
		return rc;
	policy->neurons = neurons;
	policy->residency_state_bytes = policy->residency->state_bytes(
		&policy->env, policy_residency_params(policy->config));
	rc = zalloc(&policy->residency_state, policy->residency_state_bytes, "residency state",
		    err);
	if (!rc && policy->demand->state_bytes)
		rc = zalloc(&policy->demand_state, policy->demand->state_bytes(policy->trace),
			    "demand state", err);
	if (!rc && policy->demand->init)
		rc = policy->demand->init(policy->demand_state, policy->config, policy->trace, err);
	return rc;
}

static int check_mechanisms(const struct policy *policy, struct err *err)
{
	const struct policy_config *config = policy->config;

	if (config->overlap != OVERLAP_PIPELINE || config->store != STORE_REALLOC)
		return 0;
	return err_set(
		err, EINVAL,
		"policy %s: overlap pipeline brings rows in groups, and store realloc copies "
		"all rows for each: give store compact or fill-hole",
		config->name);
}

int policy_open(struct policy **out, const struct policy_config *config, const struct model *model,
		const struct trace *trace, struct err *err)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return err_nomem(err, "a policy", sizeof(*policy));
	policy->config = config;
	policy->model = model;
	policy->demand = policy_demand(config);
	policy->residency = policy_residency(config);
	policy->layout = policy_layout(config);
	for (int region = 0; region < REGION__COUNT; region++)
		policy->shapes[region] = region_shape(config, model, (enum region)region);
	policy->rule = read_rule_of(config);
	find_env(policy);
	if (check_mechanisms(policy, err) || check_chunks(policy, err))
		goto fail;
	if (policy->demand->dense) {
		policy->env.capacity_rows = policy->env.pinned_rows; /* rows stream past */
	} else {
		policy->trace = trace;
		if (open_sparse(policy, err) != 0)
			goto fail;
	}
	policy_restart(policy);
	*out = policy;
	return 0;
fail:
	policy_close(policy);
	return err->code;
}

void policy_close(struct policy *policy)
{
	if (!policy)
		return;
	free(policy->demand_state);
	free(policy->residency_state);
	free(policy->neurons);
	free(policy);
}

void policy_restart(struct policy *policy)
{
	if (!policy->residency_state)
		return;
	memset(policy->residency_state, 0, policy->residency_state_bytes);
	policy->residency->init(policy->residency_state, &policy->env,
				policy_residency_params(policy->config));
}

void policy_demand_at(struct policy *policy, struct demand *demand, uint32_t token, uint32_t layer,
		      enum step_kind kind)
{
	*demand = (struct demand){.kind = kind, .token = token, .layer = layer, .dense = true};
	if (kind != STEP_FFN)
		return;
	if (policy->demand->dense) {
		demand->neuron_count = policy->env.neuron_count;
		return;
	}
	demand->dense = false;
	demand->neurons = policy->demand->step(policy->demand_state, policy->trace, token, layer,
					       policy->neurons);
	demand->neuron_count = set_count(demand->neurons, policy->trace->words);
}

static int step_sparse(struct policy *policy, const uint64_t *resident, struct plan *plan,
		       struct err *err)
{
	size_t words = bits_words(plan->neuron_total);
	const struct moves moves = {.evict = plan->evict, .load = plan->load};
	int rc = policy->residency->step(policy->residency_state, &plan->demand, resident, &moves,
					 err);

	if (rc) { /* leave no half-made sets behind */
		bits_clear(plan->evict, plan->neuron_total);
		bits_clear(plan->load, plan->neuron_total);
		return rc;
	}
	plan->evict_count = set_count(plan->evict, words);
	plan->load_count = set_count(plan->load, words);
	plan->resident_before = set_count(resident, words);
	plan->resident_count = plan->resident_before - plan->evict_count + plan->load_count;
	reads_of_loads(plan, policy->layout, policy->shapes, &policy->rule);
	return 0;
}

int policy_step(struct policy *policy, const struct demand *demand, const uint64_t *resident,
		struct plan *plan, struct err *err)
{
	uint64_t dense_chunk = policy->config->dense_chunk;
	enum region region = demand->kind == STEP_HEAD ? REGION_EMBED : REGION_ATTENTION;

	plan_reset(plan, demand);
	if (demand->kind != STEP_FFN) {
		reads_of_region(plan, region, &policy->shapes[region], dense_chunk);
		return 0;
	}
	if (!demand->dense)
		return step_sparse(policy, resident, plan, err);
	plan->resident_before = plan->resident_count = policy->env.pinned_rows;
	plan->stream_first = policy->env.pinned_rows;
	plan->stream_count = policy->env.neuron_count - policy->env.pinned_rows;
	reads_of_stream(plan, policy->layout, policy->shapes, dense_chunk);
	return 0;
}

const struct policy_config *policy_config_of(const struct policy *policy)
{
	return policy->config;
}

uint32_t policy_token_count(const struct policy *policy)
{
	return policy->trace ? policy->trace->token_count : UINT32_MAX;
}

const struct region_shape *policy_region_shapes(const struct policy *policy)
{
	return policy->shapes;
}

size_t policy_state_bytes(const struct policy *policy)
{
	return policy->residency_state_bytes;
}

uint32_t policy_capacity_rows(const struct policy *policy)
{
	return policy->env.capacity_rows;
}

uint32_t policy_pinned_rows(const struct policy *policy)
{
	return policy->env.pinned_rows;
}

uint64_t policy_kept_bytes(const struct policy *policy, enum region region)
{
	return policy->shapes[region].kept_bytes;
}
