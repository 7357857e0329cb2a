/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace.h - which neurons a run's tokens fire: recorded from a model or generated
 *
 * For each (token, layer) a trace holds nested planes: plane p is the set of neurons whose
 * pre-activation margin is above margin[p] (in units of the layer's pre-activation spread,
 * descending); the plane of margin 0 is the truly active set (ReLU fires).  Planes below 0 are what
 * an imperfect predictor takes in as well, planes above 0 what it is sure to find: with them
 * `noisy` draws its errors from the margin.  A trace may also hold one recorded demand (what a real
 * predictor asked for).
 *
 * On disk: a text header, one key a line in any order, then raw little-endian words:
 *
 *	flashcast-trace 1
 *	model: opt-6.7b
 *	layers: 32
 *	neurons: 16384
 *	tokens: 256
 *	margins: 0.5 0 -0.4
 *	demand: none              (or: recorded)
 *	source: <how it was made, one line>
 *	unit: one bit a neuron, 64-bit little-endian words
 *	xxh3: <32 hex digits of the payload>
 *	---
 *
 * and token by token, layer by layer, plane by plane (margins first, then the recorded demand)
 * bits_words(neurons) words.  Reading checks every header line, the size, the digest, and that
 * planes are nested with nothing past the last neuron; what fails is EINVAL. */
#ifndef FLASH_TRACE_H
#define FLASH_TRACE_H

#include "bits.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRACE_PLANES_MAX = 8 };

struct trace {
	char model[64];
	char source[256];
	uint32_t layer_count, neuron_count, token_count;
	uint32_t margin_count;		  /* nested planes, 1 .. TRACE_PLANES_MAX-1 */
	double margins[TRACE_PLANES_MAX]; /* descending; exactly one is 0 */
	uint32_t active_plane;		  /* index of margin 0; trace_init() finds it */
	bool has_demand;		  /* one plane more, at index margin_count */
	size_t words;			  /* a plane's words */
	uint64_t *planes;		  /* [token][layer][plane][words]; owned */
};

/* Check the header fields already set (all but active_plane, words and planes), fill those in, and
 * allocate zeroed planes.  EINVAL names the field. */
MUST_CHECK int trace_init(struct trace *trace, struct err *err);
void trace_fini(struct trace *trace); /* zeroed and half-made are fine */

static inline uint32_t trace_plane_count(const struct trace *trace)
{
	return trace->margin_count + (trace->has_demand ? 1 : 0);
}

static inline uint64_t *trace_plane(const struct trace *trace, uint32_t token, uint32_t layer,
				    uint32_t plane)
{
	size_t step = (size_t)token * trace->layer_count + layer;

	return trace->planes + (step * trace_plane_count(trace) + plane) * trace->words;
}

/* Atomic: temp, fsync, rename.  Refuses what trace_load() would refuse. */
MUST_CHECK int trace_save(const struct trace *trace, const char *path, struct err *err);
MUST_CHECK int trace_load(struct trace *trace, const char *path, struct err *err);

#endif
