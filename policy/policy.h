/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy.h - decides which weights are in DRAM and what is read from flash; read this first
 *
 * Written once, run in both worlds.  A policy is a point on the axes of policy_params.h: where
 * demands come from (demand.h), what persists (persistence.h), which FFN rows stay (residency.h),
 * how they lie on flash (layout.h) and in what requests they are read (reads.c).  It sees demands
 * in program order and nothing else: no clock, no file, no allocator, no rand().  So one trace
 * gives one list of decisions in sim/ and in real/, byte for byte (tests/real/test_twin.c).
 *
 * Where the paper is: 3.1 window and selective persistence, 3.2 bundling and chunks, 3.3 the store
 * (dram.h, real_store.h). */
#ifndef FLASH_POLICY_H
#define FLASH_POLICY_H

#include "demand.h"
#include "layout.h"
#include "mechanism.h"
#include "persistence.h"
#include "plan.h"
#include "residency.h"

enum { POLICY_RESIDENCY_PARAMS = 512 };

struct policy_config {
/* clang-format off */
#include "param_fields.h"
#include "policy_params.h"
#include "param_end.h"
	/* clang-format on */
	/* Every residency's own parameters, each at its offset (policy_residency_params). */
	_Alignas(16) unsigned char residency_params[POLICY_RESIDENCY_PARAMS];
};

extern const struct param_table policy_table;
extern const struct param_word demand_words[], persistence_words[], residency_words[],
	layout_words[];

/* Read a policy mapping: the axes and the own parameters of every residency. EINVAL with place. */
MUST_CHECK int policy_config_read(struct policy_config *config, const struct ynode *map,
				  struct err *err);
/* All of it as a map, the chosen residency's parameters only. NULL: out of memory. */
struct ynode *policy_config_write(const struct policy_config *config);
/* The chosen members. */
const struct demand_ops *policy_demand(const struct policy_config *config);
const struct persistence_ops *policy_persistence(const struct policy_config *config);
const struct residency_ops *policy_residency(const struct policy_config *config);
const struct layout_ops *policy_layout(const struct policy_config *config);
const void *policy_residency_params(const struct policy_config *config);
/* A residency parameter by name as a number (window -> k); NaN when the chosen residency has no
 * such row. */
double policy_residency_number(const struct policy_config *config, const char *name);
/* Set a residency parameter that is a share; false when the chosen residency has no such row. */
bool policy_residency_put(struct policy_config *config, const char *name, double value);
/* Bytes of one slot of its sparse reads on a model: a row, or a chunk of rows (reads.h). */
uint64_t policy_slot_bytes(const struct policy_config *config, const struct model *model);
/* Markdown for docs/config.md and --help: every axis, every member with its help line and
 * parameters. */
void policy_help(FILE *out);

struct policy;

/* 'config', 'model' and 'trace' (NULL when the demand is dense) must outlive it. EINVAL when they
 * do not fit together (trace of another geometry, chunk that is no multiple of row_align, ...). */
MUST_CHECK int policy_open(struct policy **out, const struct policy_config *config,
			   const struct model *model, const struct trace *trace, struct err *err);
void policy_close(struct policy *policy); /* NULL is fine */

/* The demand of a step of the trace (or dense); valid until the next call. */
void policy_demand_at(struct policy *policy, struct demand *demand, uint32_t token, uint32_t layer,
		      enum step_kind kind);
/* Fill 'plan' (plan_init) for 'demand': evict, load, reads.  'resident' is the layer's set now. */
MUST_CHECK int policy_step(struct policy *policy, const struct demand *demand,
			   const uint64_t *resident, struct plan *plan, struct err *err);

/* Forget what the steps so far left behind (residency state): run() begins with it. */
void policy_restart(struct policy *policy);
size_t policy_state_bytes(const struct policy *policy); /* what a residency remembers */
const struct policy_config *policy_config_of(const struct policy *policy);
uint32_t policy_token_count(const struct policy *policy); /* of the trace; UINT32_MAX without one */
struct region_shape;
const struct region_shape *
policy_region_shapes(const struct policy *policy); /* by region (reads.h) */

uint32_t policy_capacity_rows(const struct policy *policy); /* most resident rows of a layer */
uint32_t policy_pinned_rows(const struct policy *policy);   /* rows 0 .. n-1 that always stay */
/* Leading bytes of a region that always stay in DRAM (a multiple of TENSOR_ALIGN, or all of it;
 * FFN regions: the pinned rows). */
uint64_t policy_kept_bytes(const struct policy *policy, enum region region);

#endif
