/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_world.h - the world of files, memory, kernels and wall clock */
#ifndef FLASH_REAL_WORLD_H
#define FLASH_REAL_WORLD_H

#include "policy.h"
#include "real_emulated.h"
#include "real_model.h"
#include "run.h"
#include "world.h"

struct real_options {
	const char *model_dir;
	const struct model *model; /* must equal what the files say */
	const struct policy_config *config;
	const struct policy *policy;
	const struct real_target *target;
	uint64_t
		ctx; /* context that attention sees at every token (the KV cache is full of synthetic history) */
	unsigned threads; /* compute threads, at least 1 */
	struct run_outcome
		needs; /* of a dry run with world_null: sizes the store and the buffers */
	uint64_t seed;
	uint64_t
		tile_bytes; /* most bytes of a step that are read before they are used; 0 = 64 MiB (tests: less) */
	bool keep_outputs; /* for real_world_verify(): keep each layer's last FFN input and output */
};

extern const struct world_ops world_real; /* 'world' is a struct real_world * */

struct real_world;
/* Open files, allocate every buffer, load what persists.  Nothing is allocated afterwards. */
MUST_CHECK int real_world_open(struct real_world **out, const struct real_options *options,
			       struct err *err);
void real_world_close(struct real_world *real); /* NULL is fine */

/* Hold our own completion counts since open against the kernel's (or the device process's) count. EPROTO with both figures when they differ by
 * more than the kernel's own metadata reads allow; ENOTSUP where there is no outside count. */
MUST_CHECK int real_world_reconcile(struct real_world *real, struct err *err);

/* For tests: hold the store against 'resident' (pointer table) and against the file (row checksums), and the last FFN step's output
 * against one computed from the plain weights over the rows that the plan says. EPROTO names layer, row and neuron. */
MUST_CHECK int real_world_verify(struct real_world *real, uint32_t layer, const uint64_t *resident,
				 struct err *err);
/* For tests: damage one row of a layer's store, to show that verify finds it. */
void real_world_tamper_row(struct real_world *real, uint32_t layer);

#endif
