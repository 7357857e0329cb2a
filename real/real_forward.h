/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_forward.h - one token through OPT or Falcon, in whatever pieces the weights come by
 *
 * Weights are handed in as rows, in the order in which they lie in their region (model.h): all at
 * once where they are resident, tile by tile where they stream from flash.  The forward pass keeps
 * what it needs of them (norms, biases) and multiplies the rest as it passes; it never keeps a
 * matrix.
 *
 *	OPT:     x += Wo attend(qkv(norm(x)));  x += down relu(up norm(x))
 *	Falcon:  n = norm(x);  x += Wo attend(rotate(qkv(n)));  x += down relu(up n)
 *
 * A pass takes one position through the model, or a batch of neighbouring ones (prefill).  In replay
 * token ids are seeded, the KV cache is full of synthetic history, token t stands at slot and
 * position t mod ctx, and attention sees exactly ctx tokens, itself among them.  Live, positions
 * count from 0 and each sees itself and those before it. */
#ifndef FLASH_REAL_FORWARD_H
#define FLASH_REAL_FORWARD_H

#include "model.h"
#include "real_kernels.h"
#include "real_store.h"

/* What a tensor of REGION_ATTENTION or REGION_EMBED is to the pass. */
enum tensor_role {
	ROLE_ATTN_NORM,
	ROLE_ATTN_NORM_BIAS,
	ROLE_QKV,
	ROLE_QKV_BIAS,
	ROLE_OUT,
	ROLE_OUT_BIAS,
	ROLE_FFN_NORM,
	ROLE_FFN_NORM_BIAS,
	ROLE_UP_BIAS,
	ROLE_DOWN_BIAS,
	ROLE_TOKEN,
	ROLE_POSITION,
	ROLE_HEAD_NORM,
	ROLE_HEAD_NORM_BIAS,
	ROLE_HEAD, /* where it is not ROLE_TOKEN */
	ROLE__COUNT
};

struct forward_options {
	const struct model *model; /* outlives the pass, as do kernels and pool */
	enum weight_type weights;
	const struct kernels *kernels;
	struct pool *pool;
	uint64_t ctx, seed;
	bool live;
	uint32_t batch_most; /* live: most positions of one pass */
	bool note_active;    /* live: fill forward.active with the neurons that fire */
};

/* Logits of every position of a batch, as vocabulary rows come by: values [batch][rows], 'stride'
 * floats from position to position. */
struct logits_tile {
	uint64_t first;
	size_t rows, stride;
	const float *values;
};

struct forward {
	struct forward_options o;
	size_t d, head_dim, kv_width, qkv_width, threads;
	float *memory;	      /* all below, one allocation */
	float *x;	      /* [batch][d] the residual stream */
	float *normed;	      /* [batch][d] what the next matrix is multiplied with */
	float *qkv;	      /* [batch][qkv_width] */
	float *mixed;	      /* [batch][d] the heads' outputs, side by side */
	float *out;	      /* [batch][d] of the projection, then of the FFN */
	float *accs;	      /* [threads][d] the FFN's sums */
	float *scores;	      /* [threads][ctx] */
	float *logits;	      /* [vocab_count] of the last position */
	float *turns;	      /* [batch][head_dim] rotary cosines, then sines */
	float *next[2];	      /* replay: [d] rows of the next token's embedding and position */
	float *hidden;	      /* [batch][BATCH_ROWS] the FFN between its halves; or logits */
	float *wide;	      /* [threads][BATCH_ROWS * d] weights as floats */
	float *fired;	      /* note_active: [d_ffn] up . x */
	float *keys, *values; /* [layer][kv head][ctx][head_dim] */
	float *vectors[ROLE__COUNT]; /* of the layer at hand; NULL where the family has none */
	uint64_t *active;	     /* note_active: [layer][bits_words(d_ffn)]; the owner's */
	uint32_t token;		     /* replay */
	uint32_t position, batch;    /* of the pass: its first position, and how many */
	/* Live: told every position's logits; NULL: of the last only. */
	void (*take_logits)(void *arg, const struct logits_tile *tile);
	void *take_logits_arg;
};
/* Rows that a batch handles at once, as floats. */
enum { BATCH_ROWS = 64 };

MUST_CHECK int forward_open(struct forward *f, const struct forward_options *options,
			    struct err *err);
void forward_close(struct forward *f); /* zeroed is fine */
/* What that takes with 'threads' (options->pool is not looked at): the KV cache, and all else. */
void forward_need(uint64_t *kv_bytes, uint64_t *scratch_bytes,
		  const struct forward_options *options, unsigned threads);

uint32_t forward_token_id(const struct forward *f, uint32_t token);
uint32_t forward_position_row(const struct forward *f, uint32_t token); /* OPT */

/* Replay: x = the embedding kept for this token (forward_rows of a head step, or
 * forward_embedding_set). */
void forward_token_begin(struct forward *f, uint32_t token);
/* Live: a pass over 'batch' positions from 'position' on; then x_i += row for every part of every
 * position's embedding. */
void forward_batch_begin(struct forward *f, uint32_t position, uint32_t batch);
void forward_embed(struct forward *f, uint32_t i, const void *row);
/* Keep a row as the embedding (which = 0) or position (1) of the token to come. */
void forward_embedding_set(struct forward *f, unsigned which, const void *row);
/* Normalise x for the head; before its rows. */
void forward_head_begin(struct forward *f);

/* Rows [first, first + count) of a tensor, in order; the last ones bring the pass on. */
struct forward_rows {
	enum tensor_role role;
	const struct model_tensor *tensor;
	uint32_t layer;
	uint64_t first, count;
	const void *rows;
};
void forward_rows(struct forward *f, const struct forward_rows *rows);

/* The FFN over any rows, in any order: begin, rows..., end.  A batch takes all rows of a store. */
void forward_ffn_begin(struct forward *f);
void forward_ffn_rows(struct forward *f, const struct ffn_rows *rows);
/* Rows of a layer's store; only those of 'demanded' where it is not NULL. */
void forward_ffn_store(struct forward *f, const struct store *store, uint32_t layer,
		       const uint64_t *demanded);
/* The rows of a layer's store at 'places'. */
void forward_ffn_places(struct forward *f, const struct store *store, uint32_t layer,
			const uint32_t *places, size_t count);
void forward_ffn_end(struct forward *f); /* out = the sum, x += out and the bias */

/* The role of a region's i-th tensor; false when there is none. */
bool forward_role(enum tensor_role *role, struct model_tensor *tensor, const struct model *model,
		  enum weight_type weights, enum region region, uint32_t layer, uint32_t i);

#endif
