/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compute.h - roofline compute: max(bytes / bandwidth, flops / rate) + fixed cost, for one token */
#ifndef FLASH_COMPUTE_H
#define FLASH_COMPUTE_H

#include "device.h"
#include "model.h"

/* Figures as with so many threads: bandwidths as the profile's saturation has them (saturation.h), arithmetic by their
 * number, fixed costs as they are.  Unchanged where the profile knows no saturation. */
void compute_set_threads(struct compute_params *compute, uint64_t threads);

/* What one layer's attention step reads: its four matrices (q, out; k, v), and 'ctx' tokens of the
 * KV cache. */
double compute_attention_bytes(const struct model *model, enum weight_type weights);
double compute_kv_bytes(const struct model *model, uint64_t ctx);

/* One layer's attention step with 'ctx' tokens in the KV cache (f32 keys and values). */
double compute_attention_ns(const struct compute_params *compute, const struct model *model,
			    enum weight_type weights, uint64_t ctx);
/* One layer's FFN over 'rows' neurons (resident or demanded rows, as the policy says). */
double compute_ffn_ns(const struct compute_params *compute, const struct model *model,
		      enum weight_type weights, uint64_t rows);
/* The same where all rows are demanded, whether they stay or stream past. */
double compute_dense_ffn_ns(const struct compute_params *compute, const struct model *model,
			    enum weight_type weights, uint64_t rows);
/* The head: every embedding row times the last hidden state. */
double compute_head_ns(const struct compute_params *compute, const struct model *model,
		       enum weight_type weights);

#endif
