/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_table.c - comparisons as a table for people */
#include "compare_table.h"

#include "units.h"

#include <math.h>
#include <string.h>

enum { NAME_WIDTH_MIN = 12, NAME_WIDTH_MAX = 56, NUMBER_TEXT = 32 };

static int name_width(const struct comparison_report *report)
{
	size_t width = NAME_WIDTH_MIN;
	char name[RESULT_TEXT];

	for (size_t i = 0; i < report->pair_count; i++) {
		size_t length = strlen(compare_name(name, &report->pairs[i]));

		if (length > width)
			width = length;
	}
	return (int)(width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX);
}

/* ---- a line a trial --------------------------------------------------------------------------- */

static void print_heading(FILE *out, const struct comparison *pair, int width)
{
	fprintf(out, "\n%s: %s on %s, predicted from profile %s\n", pair->sim->experiment,
		pair->sim->model, pair->real->target, pair->sim->device);
	fprintf(out, "%-*s %8s %9s %8s |%15s |%15s |%15s |%15s | %6s %6s\n", width, "", "DRAM",
		"read", "reads", "I/O wait ms  ", "memory ms  ", "compute ms  ", "total ms  ",
		"error", "noise");
	fprintf(out, "%-*s %8s %9s %8s |", width, "policy", "MB", "MB/token", "/token");
	for (int c = COMPONENT_WAIT; c < COMPONENT__COUNT; c++)
		fprintf(out, " %6s %7s |", "pred", "meas");
	fprintf(out, " %6s %6s\n", "%", "%");
}

static void print_pair(FILE *out, const struct comparison *pair, int width)
{
	const struct result_row *real = pair->real;
	char a[CELL_TEXT], b[CELL_TEXT], c[CELL_TEXT], name[RESULT_TEXT];

	fprintf(out, "%-*.*s %8s %9s %8s |", width, width, compare_name(name, pair),
		compare_cell(a, 1e-6 * compare_dram_bytes(real)),
		compare_cell(b, 1e-6 * real->read_bytes_per_token),
		compare_cell(c, real->read_count_per_token));
	for (int i = COMPONENT_WAIT; i < COMPONENT__COUNT; i++)
		fprintf(out, " %6s %7s |",
			compare_cell(a, 1e-6 * compare_value(pair->sim, (enum component)i)),
			compare_cell(b, 1e-6 * compare_value(real, (enum component)i)));
	fprintf(out, " %6s %6s", compare_percent(a, pair->error_frac[COMPONENT_TOTAL], "+"),
		compare_percent(b, real->noise_floor_frac, ""));
	compare_put_remarks(out, pair, "  ");
	fputc('\n', out);
}

/* ---- errors ----------------------------------------------------------------------------------- */

static void print_error(FILE *out, const char *name, const struct error_summary *error)
{
	char median[CELL_TEXT], p90[CELL_TEXT], bias[CELL_TEXT], over[CELL_TEXT];

	fprintf(out, "%-10s %10s %8s %8s %10s %8zu\n", name,
		compare_percent(median, error->median_frac, ""),
		compare_percent(p90, error->p90_frac, ""),
		compare_percent(bias, error->bias_frac, "+"), compare_cell(over, error->over_floor),
		error->counted);
}

static void print_errors(FILE *out, const struct comparison_summary *summary)
{
	fprintf(out, "%-10s %10s %8s %8s %10s %8s\n", "error, %", "median", "p90", "bias",
		"over floor", "trials");
	for (int c = 0; c < COMPONENT__COUNT; c++)
		print_error(out, component_titles[c], &summary->component[c]);
	for (int q = 0; q < QUANTILE__COUNT; q++) {
		if (summary->quantile[q].counted)
			print_error(out, quantile_names[q], &summary->quantile[q]);
		else
			fprintf(out, "%-10s %10s\n", quantile_names[q],
				"not judged: too few tokens pooled");
	}
	fprintf(out,
		"a component counts where it measures at least %.0f %% of the total; p50, p95 and "
		"p99 need 20, 200 and 1000 pooled tokens\n",
		100 * COMPARE_SHARE_MIN);
}

static void print_shares(FILE *out, const struct comparison_summary *summary)
{
	char a[CELL_TEXT], b[CELL_TEXT], c[CELL_TEXT], d[CELL_TEXT], e[CELL_TEXT];

	fprintf(out,
		"predicted total within 10 %% of the measured: %s %% of the judged, %s %% of all; "
		"within 5 %%: %s %%\n",
		compare_percent(a, summary->within_10_frac, ""),
		compare_percent(b, summary->within_10_all_frac, ""),
		compare_percent(c, summary->within_5_frac, ""));
	fprintf(out,
		"intervals of prediction and measurement meet: %s %%; median noise floor %s %%\n",
		compare_percent(d, summary->covered_frac, ""),
		compare_percent(e, summary->floor_frac, ""));
	fprintf(out,
		"the host read memory at %s %% of the pace at which it was calibrated (median)\n",
		compare_percent(a, summary->pace_frac, ""));
}

static void print_ranking(FILE *out, const struct comparison_summary *summary)
{
	char tau[CELL_TEXT], regret[CELL_TEXT];

	fprintf(out,
		"ranking: Kendall tau %s among policies within 2 x of the best (%zu pairs); regret "
		"of the predicted best %s %%\n",
		compare_cell(tau, summary->kendall_tau), summary->ranked_pairs,
		compare_percent(regret, summary->regret_frac, ""));
}

static void print_summary(FILE *out, const struct comparison_summary *summary)
{
	char all[CELL_TEXT];

	fprintf(out, "\n%zu trials in both worlds, %zu with equal decisions, %zu judged\n",
		summary->pairs, summary->same_decisions, summary->judged);
	if (summary->judged == 0) {
		fprintf(out,
			"none judged: a noise floor of at most %.0f %% over %d clean repeats is "
			"wanted\npredicted total within 10 %% of the measured: %s %% of all\n",
			100 * COMPARE_NOISE_MAX, COMPARE_REPEATS_MIN,
			compare_percent(all, summary->within_10_all_frac, ""));
		return;
	}
	print_errors(out, summary);
	print_shares(out, summary);
	print_ranking(out, summary);
}

/* ---- fitted and held out ---------------------------------------------------------------------- */

static void print_points(FILE *out, const struct ynode *profile)
{
	const struct fitted_points points = compare_fitted(profile);
	char least[NUMBER_TEXT], most[NUMBER_TEXT];

	if (!points.count)
		return;
	fprintf(out,
		"; flash form to %zu measured points (%zu sizes from %s to %s, %.0f to %.0f in "
		"flight)",
		points.count, points.sizes,
		unit_human(least, sizeof(least), points.least_bytes, DIM_BYTES),
		unit_human(most, sizeof(most), points.most_bytes, DIM_BYTES),
		points.least_in_flight, points.most_in_flight);
	if (points.batches)
		fprintf(out, ", its batches to %zu", points.batches);
}

static bool is_first_of_profile(const struct comparison_report *report, size_t group)
{
	const struct comparison *pairs = report->pairs;
	const char *hash = pairs[report->groups[group].first].sim->device_hash;

	for (size_t i = 0; i < group; i++) {
		if (strcmp(pairs[report->groups[i].first].sim->device_hash, hash) == 0)
			return false;
	}
	return true;
}

static void print_fitted(FILE *out, const struct comparison_report *report)
{
	fputc('\n', out);
	for (size_t i = 0; i < report->group_count; i++) {
		const struct ynode *profile = report->profiles[i];

		if (!is_first_of_profile(report, i))
			continue;
		fprintf(out, "fitted: profile %s",
			report->pairs[report->groups[i].first].sim->device);
		if (profile)
			fprintf(out, ", %s, %s", compare_origin(profile, "kind"),
				compare_origin(profile, "date"));
		else
			fputs(", which the store does not keep", out);
		print_points(out, profile);
		fputc('\n', out);
	}
	fprintf(out, "held out: all %zu trials: calibrations run micro-benchmarks, never a trial\n",
		report->pair_count);
}

void compare_print(FILE *out, const struct comparison_report *report)
{
	int width = name_width(report);

	for (size_t g = 0; g < report->group_count; g++) {
		const struct comparison_group *group = &report->groups[g];

		print_heading(out, &report->pairs[group->first], width);
		for (size_t i = 0; i < group->count; i++)
			print_pair(out, &report->pairs[group->first + i], width);
		if (report->group_count > 1)
			print_summary(out, &group->summary);
	}
	if (report->group_count > 1)
		fprintf(out, "\nall %zu groups:", report->group_count);
	print_summary(out, &report->all);
	print_fitted(out, report);
}
