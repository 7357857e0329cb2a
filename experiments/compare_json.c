/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_json.c - comparisons as JSON for machines */
#include "compare_table.h"

#include "json_config.h"

#include <math.h>

/* One member a component. */
static void json_components(struct json *json, const char *key,
			    const double values[COMPONENT__COUNT])
{
	json_put_object(json, key);
	for (int c = 0; c < COMPONENT__COUNT; c++)
		json_put_number(json, component_names[c], values[c]);
	json_put_end(json);
}

static void json_times(struct json *json, const char *key, const struct result_row *row)
{
	double values[COMPONENT__COUNT];

	for (int c = 0; c < COMPONENT__COUNT; c++)
		values[c] = compare_value(row, (enum component)c);
	json_components(json, key, values);
}

static void json_quantiles(struct json *json, const char *key, const struct result_row *row)
{
	json_put_object(json, key);
	for (int q = 0; q < QUANTILE__COUNT; q++)
		json_put_number(json, quantile_names[q], compare_quantile(row, (enum quantile)q));
	json_put_end(json);
}

static void json_interval(struct json *json, const char *key, const struct result_row *row)
{
	json_put_list(json, key);
	json_put_number(json, NULL, row->total_ns_low);
	json_put_number(json, NULL, row->total_ns_high);
	json_put_end(json);
}

static void json_threads(struct json *json, const char *key, const struct result_row *row)
{
	if (row->threads == COL_NONE)
		json_put_null(json, key);
	else
		json_put_count(json, key, row->threads);
}

static void json_name(struct json *json, const struct comparison *pair)
{
	json_put_text(json, "experiment", pair->sim->experiment);
	json_put_text(json, "model", pair->sim->model);
	json_put_text(json, "device", pair->sim->device);
	json_put_text(json, "target", pair->real->target);
}

static void json_pair_errors(struct json *json, const struct comparison *pair)
{
	json_components(json, "error_frac", pair->error_frac);
	json_put_object(json, "quantile_error_frac");
	for (int q = 0; q < QUANTILE__COUNT; q++)
		json_put_number(json, quantile_names[q], pair->quantile_error_frac[q]);
	json_put_end(json);
	json_put_count(json, "pooled_tokens", pair->pooled_tokens);
	json_put_number(json, "noise_floor_frac", pair->real->noise_floor_frac);
}

static void json_pair(struct json *json, const struct comparison *pair)
{
	const struct result_row *sim = pair->sim, *real = pair->real;

	json_put_object(json, NULL);
	json_name(json, pair);
	json_put_text(json, "trial", sim->trial);
	json_put_text(json, "trial_hash", sim->trial_hash);
	json_put_text(json, "policy", sim->policy);
	json_put_number(json, "dram_weights_bytes", compare_dram_bytes(real));
	json_put_number(json, "read_bytes_per_token", real->read_bytes_per_token);
	json_put_number(json, "read_count_per_token", real->read_count_per_token);
	json_times(json, "predicted_ns_per_token", sim);
	json_times(json, "measured_ns_per_token", real);
	json_interval(json, "predicted_total_ns_interval", sim);
	json_interval(json, "measured_total_ns_interval", real);
	json_quantiles(json, "predicted_total_ns_quantiles", sim);
	json_quantiles(json, "measured_total_ns_quantiles", real);
	json_pair_errors(json, pair);
	json_put_flag(json, "judged", pair->judged);
	json_put_flag(json, "same_decisions", pair->same_decisions);
	json_threads(json, "profile_threads", sim);
	json_threads(json, "measured_threads", real);
	json_put_flag(json, "same_threads", pair->same_threads);
	json_put_text(json, "profile_read_engine", sim->read_engine);
	json_put_text(json, "measured_read_engine", real->read_engine);
	json_put_flag(json, "same_read_engine", pair->same_engine);
	json_put_end(json);
}

static void json_error(struct json *json, const char *key, const struct error_summary *error)
{
	json_put_object(json, key);
	json_put_number(json, "median_frac", error->median_frac);
	json_put_number(json, "p90_frac", error->p90_frac);
	json_put_number(json, "bias_frac", error->bias_frac);
	json_put_number(json, "over_floor", error->over_floor);
	json_put_count(json, "trials", error->counted);
	json_put_end(json);
}

static void json_summary(struct json *json, const struct comparison_summary *summary)
{
	json_put_object(json, "summary");
	json_put_count(json, "pairs", summary->pairs);
	json_put_count(json, "judged", summary->judged);
	json_put_count(json, "same_decisions", summary->same_decisions);
	json_put_object(json, "errors");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		json_error(json, component_names[c], &summary->component[c]);
	for (int q = 0; q < QUANTILE__COUNT; q++)
		json_error(json, quantile_names[q], &summary->quantile[q]);
	json_put_end(json);
	json_put_number(json, "noise_floor_frac", summary->floor_frac);
	json_put_number(json, "host_pace_frac", summary->pace_frac);
	json_put_number(json, "within_5_frac", summary->within_5_frac);
	json_put_number(json, "within_10_frac", summary->within_10_frac);
	json_put_number(json, "within_10_all_frac", summary->within_10_all_frac);
	json_put_number(json, "covered_frac", summary->covered_frac);
	json_put_number(json, "kendall_tau", summary->kendall_tau);
	json_put_count(json, "ranked_pairs", summary->ranked_pairs);
	json_put_number(json, "regret_frac", summary->regret_frac);
	json_put_end(json);
}

static void json_fitted(struct json *json, const struct comparison *first,
			const struct ynode *profile)
{
	static const char *const kept[] = {"origin", "points", "intervals", "checks"};
	static const char *const parts[] = {"flash", "dram", "compute", "correction",
					    "batch_correction"};

	json_put_object(json, "fitted");
	json_put_text(json, "device", first->sim->device);
	json_put_text(json, "device_hash", first->sim->device_hash);
	for (size_t i = 0; profile && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (ynode_get(profile, parts[i]))
			json_put_ynode(json, parts[i], ynode_get(profile, parts[i]));
	}
	for (size_t i = 0; profile && i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (ynode_get(profile, kept[i]))
			json_put_ynode(json, kept[i], ynode_get(profile, kept[i]));
	}
	json_put_end(json);
}

static void json_group(struct json *json, const struct comparison_report *report, size_t i)
{
	const struct comparison_group *group = &report->groups[i];
	const struct comparison *first = &report->pairs[group->first];

	json_put_object(json, NULL);
	json_name(json, first);
	json_fitted(json, first, report->profiles[i]);
	json_put_list(json, "held_out");
	for (size_t p = 0; p < group->count; p++)
		json_put_text(json, NULL, first[p].sim->trial_hash);
	json_put_end(json);
	json_summary(json, &group->summary);
	json_put_end(json);
}

static void json_not_judged(struct json *json, const struct comparison_report *report)
{
	char why[WHY_TEXT], name[RESULT_TEXT];

	json_put_list(json, "not_judged");
	for (size_t i = 0; i < report->pair_count; i++) {
		const struct comparison *pair = &report->pairs[i];

		if (pair->judged)
			continue;
		json_put_object(json, NULL);
		json_put_text(json, "trial_hash", pair->sim->trial_hash);
		json_put_text(json, "trial", compare_name(name, pair));
		json_put_number(json, "noise_floor_frac", pair->real->noise_floor_frac);
		json_put_text(json, "why", compare_why(why, pair));
		json_put_end(json);
	}
	json_put_end(json);
}

void compare_json(FILE *out, const struct comparison_report *report)
{
	struct json json = {.out = out};

	json_put_object(&json, NULL);
	json_put_list(&json, "pairs");
	for (size_t i = 0; i < report->pair_count; i++)
		json_pair(&json, &report->pairs[i]);
	json_put_end(&json);
	json_put_list(&json, "groups");
	for (size_t i = 0; i < report->group_count; i++)
		json_group(&json, report, i);
	json_put_end(&json);
	json_not_judged(&json, report);
	json_summary(&json, &report->all);
	json_put_end(&json);
}
