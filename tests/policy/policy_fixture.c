/* SPDX-License-Identifier: GPL-3.0-or-later */
/* policy_fixture.c - models, traces and policies for the tests of this folder */
#include "policy_fixture.h"

#include "rng.h"

#include <check.h>

void fixture_model(struct model *model, uint32_t layers, uint32_t d_model, uint32_t d_ffn,
		   uint32_t row_align)
{
	struct err err = {0};
	struct ynode *map = NULL;
	char yaml[512];

	snprintf(
		yaml, sizeof(yaml),
		"{name: tiny, family: opt, layer_count: %u, d_model: %u, d_ffn: %u, head_count: 32,"
		" kv_head_count: 32, vocab_count: 64, position_count: 64, row_align: %u}",
		layers, d_model, d_ffn, row_align);
	if (d_model % 64) /* Falcon 7B: 71 heads of 64 */
		snprintf(yaml, sizeof(yaml),
			 "{name: tiny, family: falcon, layer_count: %u, d_model: %u, d_ffn: %u,"
			 " head_count: %u, kv_head_count: 1, vocab_count: 64, row_align: %u}",
			 layers, d_model, d_ffn, d_model / 32, row_align);
	ck_assert_msg(yaml_parse(&map, yaml, "model.yaml", &err) == 0, "%s", err.msg);
	ck_assert_msg(model_read(model, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
}

void fixture_config(struct policy_config *config, const char *yaml)
{
	struct err err = {0};
	struct ynode *map = NULL;

	ck_assert_msg(yaml_parse(&map, yaml, "policy.yaml", &err) == 0, "%s", err.msg);
	ck_assert_msg(policy_config_read(config, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
}

/* Layer by layer, since a neuron's rate and its last margin are its own. */
static void trace_layer(struct trace *trace, uint32_t layer, uint64_t seed, double density)
{
	for (uint32_t n = 0; n < trace->neuron_count; n++) {
		struct rng rng = {rng_mix(seed ^ ((uint64_t)layer << 32 | n))};
		double rate = density * 3 * rng_unit(&rng) * rng_unit(&rng) * 4 / 3;
		double margin = rate - rng_unit(&rng);

		for (uint32_t token = 0; token < trace->token_count; token++) {
			if (rng_below(&rng, 3) == 0)
				margin = rate - rng_unit(&rng);
			for (uint32_t p = 0; p < trace->margin_count; p++)
				if (margin > trace->margins[p] * density)
					bits_put(trace_plane(trace, token, layer, p), n);
			if (rng_below(&rng, 10) == 0)
				bits_put(trace_plane(trace, token, layer, trace->margin_count), n);
		}
	}
}

void fixture_trace(struct trace *trace, const struct model *model, uint32_t tokens, uint64_t seed,
		   double density)
{
	struct err err = {0};

	*trace = (struct trace){
		.model = "tiny",
		.source = "policy_fixture",
		.layer_count = (uint32_t)model->layer_count,
		.neuron_count = (uint32_t)model->d_ffn,
		.token_count = tokens,
		.margin_count = 3,
		.margins = {0.5, 0, -2},
		.active_plane = 1,
		.has_demand = true,
	};
	ck_assert_msg(trace_init(trace, &err) == 0, "%s", err.msg);
	for (uint32_t layer = 0; layer < trace->layer_count; layer++)
		trace_layer(trace, layer, seed, density);
}

void fixture_open(struct fixture *fixture, const char *yaml, uint32_t d_model, uint32_t d_ffn,
		  uint32_t tokens, uint64_t seed)
{
	struct err err = {0};

	fixture_model(&fixture->model, 2, d_model, d_ffn, 512);
	fixture_trace(&fixture->trace, &fixture->model, tokens, seed, 0.1);
	fixture_config(&fixture->config, yaml);
	ck_assert_msg(policy_open(&fixture->policy, &fixture->config, &fixture->model,
				  &fixture->trace, &err) == 0,
		      "%s", err.msg);
}

void fixture_close(struct fixture *fixture)
{
	policy_close(fixture->policy);
	trace_fini(&fixture->trace);
	*fixture = (struct fixture){0};
}

struct run_options fixture_options(struct fixture *fixture)
{
	return (struct run_options){
		.model = &fixture->model,
		.policy = fixture->policy,
		.token_count = fixture->trace.token_count,
		.ops = &world_null,
	};
}
