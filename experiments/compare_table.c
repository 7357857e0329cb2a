/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_table.c - comparisons as a table for people and as JSON for machines */
#include "compare_table.h"

#include "number.h"

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
	if (pair->judged)
		return;
	if (clean < COMPARE_REPEATS_MIN)
		fprintf(out, "  not judged: %llu clean repeats, %d wanted",
			(unsigned long long)clean, COMPARE_REPEATS_MIN);
	else
		fprintf(out, "  not judged: noise above %.0f %%", 100 * COMPARE_NOISE_MAX);
}

static void print_pair(FILE *out, const struct comparison *pair, int width)
{
	const struct result_row *real = pair->real;
	char a[CELL_TEXT], b[CELL_TEXT], c[CELL_TEXT];
	double dram = real->dram_weights_bytes == COL_NONE
			      ? (double)NAN
			      : 1e-6 * (double)real->dram_weights_bytes;

	fprintf(out, "%-*.*s %8s %9s %8s |", width, width, pair_name(pair), cell(a, dram),
		cell(b, 1e-6 * real->read_bytes_per_token), cell(c, real->read_count_per_token));
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

	fprintf(out, "%-10s %10s %8s %8s\n", "error, %", "median", "p90", "bias");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		fprintf(out, "%-10s %10s %8s %8s\n", component_names[c],
			percent(median, summary->median_frac[c], ""),
			percent(p90, summary->p90_frac[c], ""),
			percent(bias, summary->bias_frac[c], "+"));
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

static void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void json_string(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\":", key);
	json_text(out, text);
	fputc(',', out);
}

static void json_number(FILE *out, const char *key, double value)
{
	char text[NUMBER_TEXT];

	if (!isfinite(value))
		snprintf(text, sizeof(text), "null");
	else if (value == floor(value) && fabs(value) < 0x1p53)
		snprintf(text, sizeof(text), "%.0f", value); /* 10 and not 1e+01 */
	else
		number_text(text, value);
	fprintf(out, "\"%s\":%s", key, text);
}

/* One member a component. */
static void json_components(FILE *out, const char *key, const double values[COMPONENT__COUNT])
{
	fprintf(out, "\"%s\":{", key);
	for (int c = 0; c < COMPONENT__COUNT; c++) {
		if (c)
			fputc(',', out);
		json_number(out, component_names[c], values[c]);
	}
	fputc('}', out);
}

static void json_row(FILE *out, const char *key, const struct result_row *row)
{
	double values[COMPONENT__COUNT];

	for (int c = 0; c < COMPONENT__COUNT; c++)
		values[c] = compare_value(row, (enum component)c);
	json_components(out, key, values);
	fputc(',', out);
}

static void json_pair(FILE *out, const struct comparison *pair)
{
	const struct result_row *real = pair->real;

	fputc('{', out);
	json_string(out, "experiment", pair->sim->experiment);
	json_string(out, "trial", pair->sim->trial);
	json_string(out, "trial_hash", pair->sim->trial_hash);
	json_string(out, "policy", pair->sim->policy);
	json_string(out, "model", pair->sim->model);
	json_string(out, "device", pair->sim->device);
	json_string(out, "target", real->target);
	json_number(out, "dram_weights_bytes",
		    real->dram_weights_bytes == COL_NONE ? (double)NAN
							 : (double)real->dram_weights_bytes);
	fputc(',', out);
	json_number(out, "read_bytes_per_token", real->read_bytes_per_token);
	fputc(',', out);
	json_number(out, "read_count_per_token", real->read_count_per_token);
	fputc(',', out);
	json_row(out, "predicted_ns_per_token", pair->sim);
	json_row(out, "measured_ns_per_token", real);
	json_components(out, "error_frac", pair->error_frac);
	fputc(',', out);
	json_number(out, "noise_floor_frac", real->noise_floor_frac);
	fprintf(out, ",\"judged\":%s,\"same_decisions\":%s}", pair->judged ? "true" : "false",
		pair->same_decisions ? "true" : "false");
}

void compare_json(FILE *out, const struct comparison *pairs, size_t count,
		  const struct comparison_summary *summary)
{
	fputs("{\"pairs\":[", out);
	for (size_t i = 0; i < count; i++) {
		fputs(i ? ",\n" : "\n", out);
		json_pair(out, &pairs[i]);
	}
	fprintf(out, "],\n\"summary\":{\"pairs\":%zu,\"judged\":%zu,\"same_decisions\":%zu,",
		summary->pairs, summary->judged, summary->same_decisions);
	json_components(out, "median_frac", summary->median_frac);
	fputc(',', out);
	json_components(out, "p90_frac", summary->p90_frac);
	fputc(',', out);
	json_components(out, "bias_frac", summary->bias_frac);
	fputc(',', out);
	json_number(out, "within_10_frac", summary->within_10_frac);
	json_number(out, "within_10_all_frac", summary->within_10_all_frac);
	fputc(',', out);
	json_number(out, "kendall_tau", summary->kendall_tau);
	fputc(',', out);
	json_number(out, "regret_frac", summary->regret_frac);
	fputs("}}\n", out);
}
