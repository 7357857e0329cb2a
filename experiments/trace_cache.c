/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trace_cache.c - the last few traces and generator shapes, since a sweep's trials mostly share one
 */
#include "trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A 272-token trace of OPT 6.7B is some 70 MB: few are kept, and old ones go before the sum passes
 * this. */
enum { TRACES = 4, SHAPES = 4 };
#define TRACE_BYTES_MAX (UINT64_C(192) << 20)

/* Whole words only: compared as bytes. */
struct shape_key {
	struct activity activity;
	uint64_t layer_count;
};

struct trace_key {
	struct shape_key shape;
	uint64_t neuron_count, token_count, seed;
};

struct trace_cache {
	struct {
		struct trace_key key;
		char path[PARAM_STR]; /* a loaded one's; "" = generated */
		struct trace trace;
		uint64_t used_at; /* 0 = free */
	} traces[TRACES];
	struct {
		struct shape_key key;
		struct trace_shape *shape;
		uint64_t used_at;
	} shapes[SHAPES];
	uint64_t clock;
};

int trace_cache_open(struct trace_cache **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : err_nomem(err, "a trace cache", sizeof(**out));
}

static void trace_drop(struct trace_cache *cache, size_t i)
{
	trace_fini(&cache->traces[i].trace);
	memset(&cache->traces[i], 0, sizeof(cache->traces[i]));
}

void trace_cache_close(struct trace_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < TRACES; i++)
		trace_drop(cache, i);
	for (size_t i = 0; i < SHAPES; i++)
		trace_shape_free(cache->shapes[i].shape);
	free(cache);
}

static uint64_t trace_bytes(const struct trace *trace)
{
	return (uint64_t)trace->token_count * trace->layer_count * trace_plane_count(trace) *
	       trace->words * sizeof(*trace->planes);
}

static uint64_t traces_bytes(const struct trace_cache *cache)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < TRACES; i++)
		bytes += trace_bytes(&cache->traces[i].trace);
	return bytes;
}

/* The slot used longest ago; a free one first. */
static size_t trace_oldest(const struct trace_cache *cache, bool used_only)
{
	size_t oldest = TRACES;

	for (size_t i = 0; i < TRACES; i++) {
		if (used_only && cache->traces[i].used_at == 0)
			continue;
		if (oldest == TRACES || cache->traces[i].used_at < cache->traces[oldest].used_at)
			oldest = i;
	}
	return oldest;
}

static int shape_get(const struct trace_shape **out, struct trace_cache *cache,
		     const struct shape_key *key, struct err *err)
{
	size_t oldest = 0;

	for (size_t i = 0; i < SHAPES; i++) {
		if (cache->shapes[i].shape &&
		    memcmp(&cache->shapes[i].key, key, sizeof(*key)) == 0) {
			cache->shapes[i].used_at = ++cache->clock;
			*out = cache->shapes[i].shape;
			return 0;
		}
		if (cache->shapes[i].used_at < cache->shapes[oldest].used_at)
			oldest = i;
	}
	trace_shape_free(cache->shapes[oldest].shape);
	memset(&cache->shapes[oldest], 0, sizeof(cache->shapes[oldest]));
	if (trace_shape_fit(&cache->shapes[oldest].shape, &key->activity,
			    (uint32_t)key->layer_count, err)) {
		cache->shapes[oldest].shape = NULL;
		return err->code;
	}
	cache->shapes[oldest].key = *key;
	cache->shapes[oldest].used_at = ++cache->clock;
	*out = cache->shapes[oldest].shape;
	return 0;
}

static struct trace_key trace_key_of(const struct trial *trial)
{
	struct trace_key key;

	memset(&key, 0, sizeof(key));
	if (trial->run.trace[0])
		return key; /* the path says it all */
	key.shape.activity = trial->activity;
	key.shape.layer_count = trial->model.layer_count;
	key.neuron_count = trial->model.d_ffn;
	key.token_count = trial->run.warmup + trial->run.tokens;
	key.seed = trial->run.seed;
	return key;
}

static int trace_make(struct trace *trace, struct trace_cache *cache, const struct trial *trial,
		      const struct trace_key *key, struct err *err)
{
	const struct trace_shape *shape = NULL;

	if (trial->run.trace[0])
		return trace_load(trace, trial->run.trace, err);
	if (!trial->has_activity)
		return err_set(
			err, EINVAL,
			"model %s has no activity: to generate a trace from; give trace: a file",
			trial->model.name);
	if (shape_get(&shape, cache, &key->shape, err))
		return err_where(err, "activity of model %s", trial->model.name);
	return trace_generate(trace, shape, &trial->model, (uint32_t)key->token_count, key->seed,
			      err);
}

static int trace_length_check(const struct trace *trace, const struct trial *trial, struct err *err)
{
	uint64_t wanted = trial->run.warmup + trial->run.tokens;

	if (trace->token_count >= wanted)
		return 0;
	return err_set(
		err, EINVAL,
		"trace '%s' has %u tokens, expected at least %llu (warmup %llu, tokens %llu)",
		trial->run.trace, trace->token_count, (unsigned long long)wanted,
		(unsigned long long)trial->run.warmup, (unsigned long long)trial->run.tokens);
}

static int trace_new(size_t *slot, struct trace_cache *cache, const struct trial *trial,
		     const struct trace_key *key, struct err *err)
{
	size_t i = trace_oldest(cache, false);

	trace_drop(cache, i);
	if (trace_make(&cache->traces[i].trace, cache, trial, key, err)) {
		memset(&cache->traces[i], 0, sizeof(cache->traces[i])); /* it owns nothing */
		return err->code;
	}
	cache->traces[i].key = *key;
	memcpy(cache->traces[i].path, trial->run.trace, sizeof(cache->traces[i].path));
	cache->traces[i].used_at = ++cache->clock;
	while (traces_bytes(cache) > TRACE_BYTES_MAX && trace_oldest(cache, true) != i)
		trace_drop(cache, trace_oldest(cache, true));
	*slot = i;
	return 0;
}

int trace_cache_get(struct trace_cache *cache, const struct trial *trial,
		    const struct trace **trace, struct err *err)
{
	const struct trace_key key = trace_key_of(trial);
	size_t slot;

	*trace = NULL;
	if (policy_demand(&trial->policy)->dense)
		return 0;
	for (slot = 0; slot < TRACES; slot++) {
		if (cache->traces[slot].used_at &&
		    strcmp(cache->traces[slot].path, trial->run.trace) == 0 &&
		    memcmp(&cache->traces[slot].key, &key, sizeof(key)) == 0)
			break;
	}
	if (slot == TRACES && trace_new(&slot, cache, trial, &key, err))
		return err->code;
	cache->traces[slot].used_at = ++cache->clock;
	if (trace_length_check(&cache->traces[slot].trace, trial, err))
		return err->code;
	*trace = &cache->traces[slot].trace;
	return 0;
}
