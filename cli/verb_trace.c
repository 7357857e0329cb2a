/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verb_trace.c - `trace synth` generates a trace, `trace stats` describes one */
#include "cli.h"

#include "configs.h"
#include "trace_stats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int synth(const char *geometry, const char *path, uint64_t tokens, uint64_t seed,
		 struct err *err)
{
	struct trace_shape *shape = NULL;
	struct trace trace = {0};
	struct ynode *map = NULL;
	struct activity activity;
	struct model model;

	if (!path)
		return err_set(err, EINVAL, "-o FILE is missing: the trace to write");
	if (tokens > UINT32_MAX)
		return err_set(err, EINVAL, "--tokens: got %llu, expected at most %u",
			       (unsigned long long)tokens, UINT32_MAX);
	if (config_load(&map, CONFIG_MODEL, geometry, err) || model_read(&model, map, err) ||
	    activity_read(&activity, map, err) ||
	    trace_shape_fit(&shape, &activity, (uint32_t)model.layer_count, err) ||
	    trace_generate(&trace, shape, &model, (uint32_t)tokens, seed, err) ||
	    trace_save(&trace, path, err))
		goto out;
	printf("wrote %s: %s, %u layers, %u neurons, %u tokens\n", path, trace.model,
	       trace.layer_count, trace.neuron_count, trace.token_count);
out:
	trace_shape_free(shape);
	trace_fini(&trace);
	ynode_free(map);
	return err->code;
}

static int trace_synth(int argc, char **argv, struct err *err)
{
	const char *path = NULL;
	uint64_t tokens = 256, seed = 7;
	const struct opt opts[] = {
		{"out", 'o', OPT_TEXT, &path, "FILE", "the trace to write", 0, 0},
		{"tokens", 'n', OPT_COUNT, &tokens, "N", "tokens; default 256", 0, 1},
		{"seed", 0, OPT_COUNT, &seed, "N", "default 7", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "trace synth GEOMETRY -o FILE [OPTIONS]",
		.about = "Generates an activation trace with the statistics of a model YAML's "
			 "`activity:` section.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!synth(args.operands.items[0], path, tokens, seed, err);
	args_fini(&args, &spec);
	return err->code;
}

static void print_stats(const struct trace *trace, const char *demand,
			const struct trace_stats *stats)
{
	printf("source    %s\n", trace->source);
	printf("geometry  %s: %u layers x %u neurons, %u tokens, margins", trace->model,
	       trace->layer_count, trace->neuron_count, trace->token_count);
	for (uint32_t i = 0; i < trace->margin_count; i++)
		printf(" %g", trace->margins[i]);
	printf("%s\n", trace->has_demand ? ", recorded demand" : "");
	printf("demand    %s: %.2f %% of a layer's neurons a token; first layer %.2f %%, last %.2f "
	       "%%\n",
	       demand, stats->density_frac * 100, stats->density_first_frac * 100,
	       stats->density_last_frac * 100);
	printf("overlap   %.1f %% with the token before\n", stats->overlap_frac * 100);
	printf("hot set   %.1f %% of neurons give 80 %% of firings\n", stats->hot_frac * 100);
	printf("s_agg(k)  distinct neurons in k successive tokens, %% of a layer, and what one "
	       "token more adds\n");
	for (unsigned k = 1; k < TRACE_STATS_K && isfinite(stats->aggregated_frac[k + 1]); k++)
		if (k <= 8 || k % 4 == 0)
			printf("  k %2u    %6.2f   +%.2f\n", k, stats->aggregated_frac[k] * 100,
			       (stats->aggregated_frac[k + 1] - stats->aggregated_frac[k]) * 100);
}

static void print_json(const struct trace *trace, const char *demand,
		       const struct trace_stats *stats)
{
	struct json json = {.out = stdout};

	json_put_object(&json, NULL);
	json_put_text(&json, "source", trace->source);
	json_put_text(&json, "model", trace->model);
	json_put_count(&json, "layers", trace->layer_count);
	json_put_count(&json, "neurons", trace->neuron_count);
	json_put_count(&json, "tokens", trace->token_count);
	json_put_list(&json, "margins");
	for (uint32_t i = 0; i < trace->margin_count; i++)
		json_put_number(&json, NULL, trace->margins[i]);
	json_put_end(&json);
	json_put_flag(&json, "recorded_demand", trace->has_demand);
	json_put_text(&json, "demand", demand);
	json_put_number(&json, "density_frac", stats->density_frac);
	json_put_number(&json, "density_first_frac", stats->density_first_frac);
	json_put_number(&json, "density_last_frac", stats->density_last_frac);
	json_put_number(&json, "overlap_frac", stats->overlap_frac);
	json_put_number(&json, "hot_frac", stats->hot_frac);
	json_put_list(&json, "aggregated_frac");
	for (unsigned k = 1; k <= TRACE_STATS_K && isfinite(stats->aggregated_frac[k]); k++)
		json_put_number(&json, NULL, stats->aggregated_frac[k]);
	json_put_end(&json);
	json_put_end(&json);
}

/* The trace's own geometry is all that its statistics need of a model. */
static void shape_of(struct model *model, const struct trace *trace)
{
	*model = (struct model){
		.family = MODEL_OPT,
		.layer_count = trace->layer_count,
		.d_model = 64,
		.d_ffn = trace->neuron_count,
		.head_count = 1,
		.kv_head_count = 1,
		.vocab_count = 16,
		.position_count = 16,
		.row_align = 512,
	};
}

static int stats(const char *path, const char *demand, bool json, struct err *err)
{
	struct policy_config config;
	struct trace_stats got;
	struct trace trace = {0};
	struct ynode *map = NULL;
	struct model model;
	char text[128];

	snprintf(text, sizeof(text), "{demand: %s}", demand);
	if (strlen(demand) > 32)
		return err_set(err, EINVAL, "--demand: got '%s', expected oracle, noisy or trace",
			       demand);
	if (trace_load(&trace, path, err) || yaml_parse(&map, text, "--demand", err) ||
	    policy_config_read(&config, map, err))
		goto out;
	shape_of(&model, &trace);
	if (trace_stats(&got, &trace, &model, &config, 0, err))
		goto out;
	if (json)
		print_json(&trace, demand, &got);
	else
		print_stats(&trace, demand, &got);
out:
	ynode_free(map);
	trace_fini(&trace);
	return err->code;
}

static int trace_stats_verb(int argc, char **argv, struct err *err)
{
	const char *demand = "oracle";
	bool json = false;
	const struct opt opts[] = {
		{"demand", 'd', OPT_TEXT, &demand, "NAME",
		 "whose sets: oracle (truly active, default), noisy, trace (recorded)", 0, 0},
		{"json", 0, OPT_FLAG, &json, NULL, "as JSON", 0, 0},
	};
	const struct verb_spec spec = {
		.usage = "trace stats FILE [OPTIONS]",
		.about = "Describes a trace: density by layer, s_agg(k), overlap with the token "
			 "before, hot set.",
		.opts = opts,
		.opt_count = sizeof(opts) / sizeof(opts[0]),
		.operands_least = 1,
		.operands_most = 1,
	};
	struct args args;

	if (!args_parse(&args, &spec, argc, argv, err) && !args.helped)
		(void)!stats(args.operands.items[0], demand, json, err);
	args_fini(&args, &spec);
	return err->code;
}

int verb_trace(int argc, char **argv, struct err *err)
{
	static const struct subverb subs[] = {
		{"synth", "generates an activation trace", trace_synth},
		{"stats", "describes one", trace_stats_verb},
	};

	return subverb_run("trace", subs, sizeof(subs) / sizeof(subs[0]), argc, argv, err);
}
