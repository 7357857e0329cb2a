/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_store.h - the DRAM store of FFN rows: the paper's preallocated matrix (3.3), and the strawman it beats
 *
 * A layer's store: matrix [capacity x 2*d_model], row = up row then down column; pointer[row] = neuron id;
 * bias[row] = up bias; num_used; last_k_active lives with the policy.  One file a member (store_<name>.c). */
#ifndef FLASH_REAL_STORE_H
#define FLASH_REAL_STORE_H

#include "bits.h"
#include "mechanism.h"
#include "model.h"

/* One layer. Rows 0 .. num_used-1 are in use, in no order that matters. */
struct store_layer {
	unsigned char *matrix; /* [capacity][row_bytes] */
	uint32_t *pointer;     /* [capacity] neuron id of each row */
	float *bias;	       /* [capacity]; all 0 where the model has none */
	uint32_t num_used, capacity;
};

struct store {
	const struct store_ops *ops;
	struct store_layer *layers;
	uint32_t layer_count, neuron_count;
	uint64_t row_bytes; /* 2 * d_model * bytes of a weight */
};

/* A row to insert: its two halves may lie apart (layout split). */
struct store_row {
	uint32_t neuron;
	const void *up, *down; /* row_bytes / 2 each */
	float bias;
};

struct store_ops {
	const char *name, *help;
	/* Remove the rows whose neuron is in 'evict'; returns bytes moved. */
	uint64_t (*evict)(struct store *store, uint32_t layer, const uint64_t *evict,
			  uint32_t count);
	/* Insert rows; there is room (the caller asserts). ENOMEM only where a member allocates. *moved gets bytes copied. */
	int (*insert)(struct store *store, uint32_t layer, const struct store_row *rows,
		      uint32_t count, uint64_t *moved, struct err *err);
};
extern const struct store_ops store_compact, store_realloc;

/* capacity[layer] rows each, preallocated and touched. */
MUST_CHECK int store_open(struct store *store, enum store_kind kind, const struct model *model,
			  enum weight_type weights, const uint32_t *capacity, struct err *err);
void store_close(struct store *store);
/* What that takes: for realloc with the second matrix that its largest layer needs for a moment. */
uint64_t store_need_bytes(enum store_kind kind, const struct model *model, enum weight_type weights,
			  const uint32_t *capacity);

/* For members: copy a row's halves, id and bias to place 'at'; one copy where the halves adjoin. */
void store_row_put(const struct store *store, struct store_layer *layer, uint32_t at,
		   const struct store_row *row);

#endif
