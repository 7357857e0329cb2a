/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_table.c - comparisons as a table for people and as JSON for machines */
#include "compare_table.h"

#include "json_out.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CELL_TEXT = 32, NAME_WIDTH_MIN = 12, NAME_WIDTH_MAX = 48 };

static const char *const component_names[] = {
	[COMPONENT_IO] = "io",
	[COMPONENT_MEM] = "mem",
	[COMPONENT_COMPUTE] = "compute",
	[COMPONENT_TOTAL] = "total",
};

/* ---- for people -------------------------------------------------------------------------------
 */

/* Three digits that matter, never an exponent: 2196, 164, 8.65, 0.12. */
static const char *cell(char text[CELL_TEXT], double value)
{
	if (isnan(value))
		snprintf(text, CELL_TEXT, "-");
	else if (fabs(value) >= 99.95)
		snprintf(text, CELL_TEXT, "%.0f", value);
	else
		snprintf(text, CELL_TEXT, "%.*f", fabs(value) >= 9.995 ? 1 : 2, value);
	return text;
}

static const char *percent(char text[CELL_TEXT], double frac, const char *sign)
{
	if (isnan(frac))
		snprintf(text, CELL_TEXT, "-");
	else
		snprintf(text, CELL_TEXT, "%s%.1f", frac >= 0 ? sign : "", 100 * frac);
	return text;
}

static const char *pair_name(const struct comparison *pair)
{
	return pair->sim->trial[0] ? pair->sim->trial : pair->sim->policy;
}

static int name_width(const struct comparison *pairs, size_t count)
{
	size_t width = NAME_WIDTH_MIN;

	for (size_t i = 0; i < count; i++) {
		if (strlen(pair_name(&pairs[i])) > width)
			width = strlen(pair_name(&pairs[i]));
	}
	return (int)(width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX);
}

static void print_heading(FILE *out, const struct comparison *pair, int width)
{
	fprintf(out, "\n%s: %s on %s, predicted from profile %s\n", pair->sim->experiment,
		pair->sim->model, pair->real->target, pair->sim->device);
	fprintf(out, "%-*s %8s %9s %8s |%15s |%15s |%15s |%15s | %6s %6s\n", width, "", "DRAM",
		"read", "reads", "I/O ms  ", "memory ms  ", "compute ms  ", "total ms  ", "error",
		"noise");
	fprintf(out, "%-*s %8s %9s %8s |", width, "policy", "MB", "MB/token", "/token");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		fprintf(out, " %6s %7s |", "pred", "meas");
	fprintf(out, " %6s %6s\n", "%", "%");
}

/* What speaks against a line, after it. */
static void print_remarks(FILE *out, const struct comparison *pair)
{
	uint64_t clean = compare_clean_repeats(pair->real);

	if (!pair->same_decisions)
		fputs("  DECISIONS DIFFER", out);
	if (!pair->same_threads)
		fprintf(out, "  threads: profile %" PRIu64 ", measured %" PRIu64,
			pair->sim->threads, pair->real->threads);
	if (pair->judged)
		return;
	if (clean < COMPARE_REPEATS_MIN)
		fprintf(out, "  not judged: %llu clean repeats, %d wanted",
			(unsigned long long)clean, COMPARE_REPEATS_MIN);
	else
		fprintf(out, "  not judged: noise above %.0f %%", 100 * COMPARE_NOISE_MAX);
}

static double dram_bytes(const struct result_row *row)
{
	return row->dram_weights_bytes == COL_NONE ? (double)NAN : (double)row->dram_weights_bytes;
}

static void print_pair(FILE *out, const struct comparison *pair, int width)
{
	const struct result_row *real = pair->real;
	char a[CELL_TEXT], b[CELL_TEXT], c[CELL_TEXT];

	fprintf(out, "%-*.*s %8s %9s %8s |", width, width, pair_name(pair),
		cell(a, 1e-6 * dram_bytes(real)), cell(b, 1e-6 * real->read_bytes_per_token),
		cell(c, real->read_count_per_token));
	for (int i = 0; i < COMPONENT__COUNT; i++)
		fprintf(out, " %6s %7s |",
			cell(a, 1e-6 * compare_value(pair->sim, (enum component)i)),
			cell(b, 1e-6 * compare_value(real, (enum component)i)));
	fprintf(out, " %6s %6s", percent(a, pair->error_frac[COMPONENT_TOTAL], "+"),
		percent(b, real->noise_floor_frac, ""));
	print_remarks(out, pair);
	fputc('\n', out);
}

static void print_errors(FILE *out, const struct comparison_summary *summary)
{
	char median[CELL_TEXT], p90[CELL_TEXT], bias[CELL_TEXT];

	fprintf(out, "%-10s %10s %8s %8s %8s\n", "error, %", "median", "p90", "bias", "trials");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		fprintf(out, "%-10s %10s %8s %8s %8zu\n", component_names[c],
			percent(median, summary->median_frac[c], ""),
			percent(p90, summary->p90_frac[c], ""),
			percent(bias, summary->bias_frac[c], "+"), summary->counted[c]);
	fprintf(out, "a component counts where it measures at least %.0f %% of the total\n",
		100 * COMPARE_SHARE_MIN);
}

static void print_summary(FILE *out, const struct comparison_summary *summary)
{
	char within[CELL_TEXT], all[CELL_TEXT], regret[CELL_TEXT], tau[CELL_TEXT];

	fprintf(out, "\n%zu trials in both worlds, %zu with equal decisions, %zu judged\n",
		summary->pairs, summary->same_decisions, summary->judged);
	if (summary->judged == 0) {
		fprintf(out,
			"none judged: a noise floor of at most %.0f %% over %d clean repeats is "
			"wanted\npredicted total within 10 %% of the measured: %s %% of all\n",
			100 * COMPARE_NOISE_MAX, COMPARE_REPEATS_MIN,
			percent(all, summary->within_10_all_frac, ""));
		return;
	}
	print_errors(out, summary);
	fprintf(out,
		"predicted total within 10 %% of the measured: %s %% of the judged, %s %% of all\n",
		percent(within, summary->within_10_frac, ""),
		percent(all, summary->within_10_all_frac, ""));
	fprintf(out,
		"ranking: Kendall tau %s among policies within 2 x of the best; regret of the "
		"predicted best %s %%\n",
		cell(tau, summary->kendall_tau), percent(regret, summary->regret_frac, ""));
}

void compare_print(FILE *out, const struct comparison *pairs, size_t count,
		   const struct comparison_summary *summary)
{
	int width = name_width(pairs, count);

	for (size_t i = 0; i < count; i++) {
		if (i == 0 || !compare_same_group(&pairs[i - 1], &pairs[i]))
			print_heading(out, &pairs[i], width);
		print_pair(out, &pairs[i], width);
	}
	print_summary(out, summary);
}

/* ---- for machines -----------------------------------------------------------------------------
 */

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

static void json_threads(struct json *json, const char *key, const struct result_row *row)
{
	if (row->threads == COL_NONE)
		json_put_null(json, key);
	else
		json_put_count(json, key, row->threads);
}

static void json_pair(struct json *json, const struct comparison *pair)
{
	const struct result_row *sim = pair->sim, *real = pair->real;

	json_put_object(json, NULL);
	json_put_text(json, "experiment", sim->experiment);
	json_put_text(json, "trial", sim->trial);
	json_put_text(json, "trial_hash", sim->trial_hash);
	json_put_text(json, "policy", sim->policy);
	json_put_text(json, "model", sim->model);
	json_put_text(json, "device", sim->device);
	json_put_text(json, "target", real->target);
	json_put_number(json, "dram_weights_bytes", dram_bytes(real));
	json_put_number(json, "read_bytes_per_token", real->read_bytes_per_token);
	json_put_number(json, "read_count_per_token", real->read_count_per_token);
	json_times(json, "predicted_ns_per_token", sim);
	json_times(json, "measured_ns_per_token", real);
	json_components(json, "error_frac", pair->error_frac);
	json_put_number(json, "noise_floor_frac", real->noise_floor_frac);
	json_put_flag(json, "judged", pair->judged);
	json_put_flag(json, "same_decisions", pair->same_decisions);
	json_threads(json, "profile_threads", sim);
	json_threads(json, "measured_threads", real);
	json_put_flag(json, "same_threads", pair->same_threads);
	json_put_end(json);
}

static void json_summary(struct json *json, const struct comparison_summary *summary)
{
	json_put_object(json, "summary");
	json_put_count(json, "pairs", summary->pairs);
	json_put_count(json, "judged", summary->judged);
	json_put_count(json, "same_decisions", summary->same_decisions);
	json_components(json, "median_frac", summary->median_frac);
	json_components(json, "p90_frac", summary->p90_frac);
	json_components(json, "bias_frac", summary->bias_frac);
	json_put_object(json, "counted");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		json_put_count(json, component_names[c], summary->counted[c]);
	json_put_end(json);
	json_put_number(json, "within_10_frac", summary->within_10_frac);
	json_put_number(json, "within_10_all_frac", summary->within_10_all_frac);
	json_put_number(json, "kendall_tau", summary->kendall_tau);
	json_put_number(json, "regret_frac", summary->regret_frac);
	json_put_end(json);
}

void compare_json(FILE *out, const struct comparison *pairs, size_t count,
		  const struct comparison_summary *summary)
{
	struct json json = {.out = out};

	json_put_object(&json, NULL);
	json_put_list(&json, "pairs");
	for (size_t i = 0; i < count; i++)
		json_pair(&json, &pairs[i]);
	json_put_end(&json);
	json_summary(&json, summary);
	json_put_end(&json);
}
