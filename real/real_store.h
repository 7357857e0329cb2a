/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_store.h - the DRAM store of FFN rows: the paper's preallocated matrix (3.3), the strawman it beats, and one
 * that flash reads straight into
 *
 * A layer's store: matrix [capacity x row_stride], row = up row, then down column at down_at; pointer[row] = neuron
 * id; bias[row] = up bias; num_used; last_k_active lives with the policy.  One file a member (store_<name>.c). */
#ifndef FLASH_REAL_STORE_H
#define FLASH_REAL_STORE_H

#include "bits.h"
#include "mechanism.h"
#include "model.h"

/* One layer.  Rows 0 .. num_used-1 are in use, in no order that matters; between evict() and the last insert() or
 * place() of a step, fill-hole's holes are among them. */
struct store_layer {
	unsigned char *matrix; /* [capacity][row_stride] */
	size_t matrix_bytes;
	uint32_t *pointer; /* [capacity] neuron id of each row */
	float *bias;	   /* [capacity]; all 0 where the model has none */
	uint32_t num_used, capacity;
	uint32_t *holes; /* fill-hole: [capacity] rows to be filled, the next one last; else NULL */
	uint32_t hole_count;
};

struct store {
	const struct store_ops *ops;
	struct store_layer *layers;
	uint32_t layer_count, neuron_count;
	uint64_t row_bytes; /* 2 * d_model * bytes of a weight */
	uint64_t
		row_stride; /* at least row_bytes: fill-hole takes rows with the padding they have on flash */
	uint64_t down_at; /* of the down column, from the row's begin */
	bool own_memory;  /* matrices are the store's own to free */
};

/* A row to insert: its two halves may lie apart (layout split). */
struct store_row {
	uint32_t neuron;
	const void *up, *down; /* row_bytes / 2 each */
	float bias;
};

/* What a step does to a layer. */
struct store_change {
	const uint64_t *evict; /* set of neurons, all of them in the store */
	uint32_t evict_count;
	uint32_t load_count; /* rows that will be inserted or placed afterwards */
};

struct store_ops {
	const char *name, *help;
	/* Remove rows; returns bytes moved. */
	uint64_t (*evict)(struct store *store, uint32_t layer, const struct store_change *change);
	/* Insert rows; there is room (the caller asserts).  places[i] gets the i-th one's row.  ENOMEM only where a
	 * member allocates.  *moved gets bytes copied. */
	int (*insert)(struct store *store, uint32_t layer, const struct store_row *rows,
		      uint32_t count, uint32_t *places, uint64_t *moved, struct err *err);
	/* The row that takes this neuron; its bytes are the caller's to bring.  NULL: rows must be inserted. */
	uint32_t (*place)(struct store *store, uint32_t layer, uint32_t neuron, float bias);
};
extern const struct store_ops store_compact, store_realloc, store_fill_hole;

struct store_options {
	enum store_kind kind;
	const struct model *model;
	enum weight_type weights;
	unsigned region_count;	  /* of the layout on flash: 2, the halves apart; 1, together */
	const uint32_t *capacity; /* [layer_count] rows, all preallocated and touched */
	/* Memory for fill-hole's matrices, which flash reads go to: zeroed, freed by whoever gave it.  NULL: the
	 * store's own. */
	void *(*alloc)(void *arg, size_t bytes);
	void *alloc_arg;
};
MUST_CHECK int store_open(struct store *store, const struct store_options *options,
			  struct err *err);
void store_close(struct store *store);
/* What that takes: for realloc with the second matrix that its largest layer needs for a moment. */
uint64_t store_need_bytes(const struct store_options *options);

/* For members: memory of the system for a matrix, not touched yet, so that a C library's habit of keeping
 * freed blocks up to some size is in no measurement.  NULL: out of memory. */
void *store_matrix_alloc(size_t bytes);
void store_matrix_free(void *matrix, size_t bytes); /* NULL is fine */

/* For members: copy a row's halves, id and bias to place 'at'; one copy where the halves adjoin. */
void store_row_put(const struct store *store, struct store_layer *layer, uint32_t at,
		   const struct store_row *row);
/* Row 'from' to place 'to'; returns bytes copied. */
uint64_t store_row_move(const struct store *store, struct store_layer *layer, uint32_t to,
			uint32_t from);

#endif
