/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_dram.h - what a model would hold in DRAM under each shipped policy
 *
 * Parts are those of `generate --dram` (live_need()), for a prompt as long as the context, which
 * wants the most activations, and read buffers as large as without a budget.  The program is this
 * process: code, libraries, what its caller holds open.
 *
 * How many FFN rows a window holds follows from what the model does, which its files do not say:
 * taken is s_agg(k) of the family's published model (configs/model/, docs/traces.md), beyond its own
 * k by its slope there, before it along the chord from one token's demand. */
#ifndef FLASH_MODEL_DRAM_H
#define FLASH_MODEL_DRAM_H

#include "real_inspect.h"

#include <stdbool.h>

struct dram_row {
	char policy[PARAM_STR];
	uint64_t kept_bytes;	 /* of embeddings and attention */
	uint64_t ffn_bytes;	 /* rows that stay or are expected to */
	uint64_t ffn_most_bytes; /* rows that the policy allows */
	uint64_t kv_bytes;
	uint64_t scratch_bytes; /* activations */
	uint64_t buffer_bytes;	/* of reads */
	uint64_t other_bytes;	/* the program, tables, the kernel's for them */
	uint64_t all_bytes;	/* with 'ffn_bytes' */
	double window_frac;	/* expected share of a layer's rows; NaN where no window decides */
	uint64_t window_tokens;
};

enum { DRAM_ROWS = 64 };

struct dram_table {
	struct dram_row rows[DRAM_ROWS];
	size_t count;
	uint64_t ctx;	      /* asked for, or as many positions as the model has */
	unsigned threads;     /* of compute */
	char activity_of[64]; /* whose statistics the shares are */
};

MUST_CHECK int dram_table_make(struct dram_table *table, const struct model_facts *facts,
			       uint64_t ctx, struct err *err);

#endif
