/* SPDX-License-Identifier: GPL-3.0-or-later */
/* residency_window.c - the paper's sliding window (3.1): what the last k tokens asked for stays
 *
 * At token t delete the rows not in demand(t-k+1 .. t), then load demand(t) less what is resident.
 * So after the step a layer holds exactly the union of its window (and its pinned rows).
 *
 * Under a cap a layer's window loses its oldest tokens until the union fits.  What is lost stays
 * lost: at the next token the window is one longer at most, so that it grows again by what is
 * demanded and never by rows that would have to be read for their age. */
#include "residency.h"

#include "sets.h"
#include "wide.h"

#include <errno.h>

/* clang-format off */
struct window_params {
#include "param_fields.h"
#include "residency_window_params.h"
#include "param_end.h"
};

static const struct param window_rows[] = {
#define PARAM_OWNER window_params
#include "param_rows.h"
#include "residency_window_params.h"
#include "param_end.h"
};
/* clang-format on */

static const struct param_table window_table = {
	.name = "policy.window",
	.about = "residency window: own keys of the policy mapping",
	.rows = window_rows,
	.count = sizeof(window_rows) / sizeof(*window_rows),
};

/* A ring of the last demands of each layer.  sets: pinned, then [layer][slot of the ring]. */
struct window {
	struct residency_env env;
	uint32_t window;
	size_t words;
	uint64_t *pinned, *ring;
	struct window_layer {
		uint32_t length; /* demands in the ring, the newest at 'newest' */
		uint32_t newest;
	} layers[];
};

static size_t layers_bytes(const struct residency_env *env)
{
	size_t bytes = env->layer_count * sizeof(struct window_layer);

	return (bytes + 7) / 8 * 8; /* the sets behind them are words */
}

static size_t window_state_bytes(const struct residency_env *env, const void *params)
{
	const struct window_params *own = params;
	size_t sets = 1 + (size_t)env->layer_count * own->window;

	return sizeof(struct window) + layers_bytes(env) +
	       sets * bits_words(env->neuron_count) * sizeof(uint64_t);
}

static void window_init(void *state, const struct residency_env *env, const void *params)
{
	struct window *window = state;
	unsigned char *sets = (unsigned char *)state + sizeof(*window) + layers_bytes(env);

	window->env = *env;
	window->window = (uint32_t)((const struct window_params *)params)->window;
	window->words = bits_words(env->neuron_count);
	window->pinned = (uint64_t *)(void *)sets;
	window->ring = window->pinned + window->words;
	bits_fill(window->pinned, env->pinned_rows);
}

/* The demand 'age' tokens back. */
static uint64_t *ring_at(const struct window *window, uint32_t layer, uint32_t age)
{
	uint32_t newest = window->layers[layer].newest;
	uint32_t slot = (newest + window->window - age) % window->window;

	return window->ring + ((size_t)layer * window->window + slot) * window->words;
}

static void window_push(struct window *window, const struct demand *demand)
{
	struct window_layer *layer = &window->layers[demand->layer];

	layer->newest = (layer->newest + 1) % window->window;
	if (layer->length < window->window)
		layer->length++;
	memcpy(ring_at(window, demand->layer, 0), demand->neurons,
	       window->words * sizeof(*demand->neurons));
}

WIDE static void join(uint64_t *restrict to, const uint64_t *restrict set, size_t words)
{
	for (size_t w = 0; w < words; w++)
		to[w] |= set[w];
}

/* 'moves->evict' holds what is to be kept. */
WIDE static void split(const struct moves *moves, const uint64_t *restrict resident,
		       const uint64_t *restrict demand, size_t words)
{
	uint64_t *restrict evict = moves->evict, *restrict load = moves->load;

	for (size_t w = 0; w < words; w++) {
		evict[w] = resident[w] & ~evict[w];
		load[w] = demand[w] & ~resident[w];
	}
}

/* Into 'keep': pinned rows and the newest 'length' demands. */
static void window_union(const struct window *window, uint32_t layer, uint32_t length,
			 uint64_t *keep)
{
	memcpy(keep, window->pinned, window->words * sizeof(*keep));
	for (uint32_t age = 0; age < length; age++)
		join(keep, ring_at(window, layer, age), window->words);
}

/* Shorten the layer's window until its union fits the capacity. */
static int window_fit(struct window *window, const struct demand *demand, uint64_t *keep,
		      struct err *err)
{
	struct window_layer *layer = &window->layers[demand->layer];
	uint32_t rows;

	window_union(window, demand->layer, layer->length, keep);
	if (window->env.capacity_rows >= window->env.neuron_count)
		return 0;
	while ((rows = set_count(keep, window->words)) > window->env.capacity_rows) {
		if (layer->length == 1)
			return err_set(
				err, EDOM,
				"residency window: this demand and the pinned rows are %u rows, "
				"the cap is %u of %u; raise cap_frac",
				rows, window->env.capacity_rows, window->env.neuron_count);
		layer->length--;
		window_union(window, demand->layer, layer->length, keep);
	}
	return 0;
}

static int window_step(void *state, const struct demand *demand, const uint64_t *resident,
		       const struct moves *moves, struct err *err)
{
	struct window *window = state;
	int rc;

	window_push(window, demand);
	rc = window_fit(window, demand, moves->evict, err); /* the union, for a moment */
	if (rc)
		return rc;
	split(moves, resident, demand->neurons, window->words);
	return 0;
}

const char residency_window_help[] =
	"rows that the last `window` tokens asked for, at most cap_frac of a layer";

const struct residency_ops residency_window = {
	.name = "window",
	.help = residency_window_help,
	.params = &window_table,
	.params_bytes = sizeof(struct window_params),
	.state_bytes = window_state_bytes,
	.init = window_init,
	.step = window_step,
};
