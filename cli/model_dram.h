/* SPDX-License-Identifier: GPL-3.0-or-later */
/* model_dram.h - what a model would hold in DRAM under each shipped policy
 *
 * Weights that stay and the KV cache follow from policy and geometry.  How many FFN rows a window
 * holds follows from what the model does, which its files do not say: taken is s_agg(k) of the
 * family's published model (configs/model/, docs/traces.md), beyond its own k by its slope there,
 * before it along the chord from one token's demand.  Activations, read buffers, predictors and the
 * program itself are not counted here; `generate --dram` counts all. */
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
	uint64_t all_bytes; /* kept, ffn and kv */
	double window_frac; /* expected share of a layer's rows; NaN where no window decides */
	uint64_t window_tokens;
};

enum { DRAM_ROWS = 64 };

struct dram_table {
	struct dram_row rows[DRAM_ROWS];
	size_t count;
	char activity_of[64]; /* whose statistics the shares are */
};

MUST_CHECK int dram_table_make(struct dram_table *table, const struct model_facts *facts,
			       uint64_t ctx, struct err *err);

#endif
