/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_kernels.h - matrix-vector kernels over f32, f16 and bf16 rows, f32 sums; portable C, AVX2,
 * AVX-512 and NEON, chosen at run time
 *
 * Shapes in the comments; every pointer and stride is aligned as its element. No kernel allocates. */
#ifndef FLASH_REAL_KERNELS_H
#define FLASH_REAL_KERNELS_H

#include "model.h"

#include <stddef.h>

/* Neurons: up and down rows [rows x n], each row_stride bytes apart; a bundle's down row follows its up row, those of layout
 * split lie in two matrices. */
struct ffn_rows {
	const void *up, *down;
	enum weight_type type;
	size_t rows, n, row_stride;
	const float *bias; /* of each neuron, or NULL */
	enum activation activation;
	const uint32_t *
		which; /* [rows]: which neurons, where not all: the i-th is neuron which[i]; or NULL */
};

struct kernels {
	const char *name; /* "portable", "avx2", "avx512", "neon" */
	/* y[i] = row_i . x for rows [rows x n], row_stride bytes apart; x: [n] f32, y: [rows] f32 */
	void (*gemv)(float *y, const void *w, enum weight_type type, size_t rows, size_t n,
		     size_t row_stride, const float *x);
	/* Of every neuron: h = act(up_i . x + bias_i); acc += h * down_i.  x: [n]; acc: [n] f32, added to. */
	void (*ffn)(float *acc, const struct ffn_rows *rows, const float *x);
	/* softmax(q . K / sqrt(dim)) V of one head: k, v: [ctx][dim] f32, stride elements apart; scores: [ctx] scratch; out: [dim] */
	void (*attend)(float *out, const float *q, const float *k, const float *v, size_t ctx,
		       size_t dim, size_t stride, float *scores);
	/* Reads 'count' bytes and does next to nothing with them, which the result depends on: what a
	 * kernel that waits for memory is held against. */
	uint32_t (*read)(const void *bytes, size_t count);
};
/* What this CPU runs, the fastest first, the portable ones last; NULL past them. */
const struct kernels *kernels_at(unsigned i);
const struct kernels *kernels_best(void); /* the first */

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f); /* round to nearest even */
/* 'n' weights of 'type', at any address, to and from floats. */
void weights_widen(float *to, const void *from, enum weight_type type, size_t n);
void weights_narrow(void *to, enum weight_type type, const float *from, size_t n);

double activate(enum activation activation, double h);

/* A pool of threads that run one function each and come back. */
struct pool;
MUST_CHECK int pool_open(struct pool **out, unsigned threads, struct err *err);
void pool_close(struct pool *pool);
unsigned pool_threads(const struct pool *pool);
/* fn(arg, thread, threads) on every thread, the caller's being thread 0; returns when all are done. */
void pool_run(struct pool *pool, void (*fn)(void *arg, unsigned thread, unsigned threads),
	      void *arg);
/* Work is near: workers get up and stay awake, at most some ms, until they may rest. */
void pool_rouse(struct pool *pool);
void pool_rest(struct pool *pool);
/* The caller keeps to the core that it is on until it unpins or closes the pool (threads that it
 * starts meanwhile inherit that core), workers keep to others.  Without effect where the caller may
 * run on fewer cores than there are threads. */
void pool_pin(struct pool *pool);
void pool_unpin(struct pool *pool);

#endif
