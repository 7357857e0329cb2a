/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_markdown.c - comparisons as tables of Markdown, so that no figure in docs/ is typed by hand */
#include "compare_table.h"

#include "units.h"

#include <math.h>
#include <string.h>

enum { NUMBER_TEXT = 32 };

static void put_name(FILE *out, const struct comparison *first)
{
	fprintf(out, "%s, `%s` on %s", first->sim->experiment, first->sim->model,
		first->real->target);
}

static void put_frac(FILE *out, double frac, const char *sign)
{
	char text[CELL_TEXT];

	fprintf(out, " %s |", compare_percent(text, frac, sign));
}

/* ---- one row a group -------------------------------------------------------------------------- */

static void put_summary_row(FILE *out, const struct comparison_summary *summary)
{
	const struct error_summary *total = &summary->component[COMPONENT_TOTAL];
	const struct error_summary *p99 = &summary->quantile[QUANTILE_P99];
	char over[CELL_TEXT], tau[CELL_TEXT];

	fprintf(out, " %zu of %zu |", summary->judged, summary->pairs);
	put_frac(out, total->median_frac, "");
	put_frac(out, total->p90_frac, "");
	put_frac(out, total->bias_frac, "+");
	put_frac(out, summary->within_5_frac, "");
	put_frac(out, summary->within_10_frac, "");
	put_frac(out, summary->floor_frac, "");
	fprintf(out, " %s |", compare_cell(over, total->over_floor));
	put_frac(out, p99->median_frac, "");
	put_frac(out, p99->p90_frac, "");
	fprintf(out, " %zu | %s |", p99->counted, compare_cell(tau, summary->kendall_tau));
	put_frac(out, summary->regret_frac, "");
	put_frac(out, summary->covered_frac, "");
	put_frac(out, summary->pace_frac, "");
	fputc('\n', out);
}

static void put_summaries(FILE *out, const struct comparison_report *report)
{
	fputs("| total a token, errors in % | judged | median | p90 | bias | within 5 | within 10 "
	      "| "
	      "noise floor | over floor | p99: median | p90 | trials | Kendall tau | regret | "
	      "covered | host pace |\n"
	      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
	      out);
	for (size_t i = 0; i < report->group_count; i++) {
		fputs("| ", out);
		put_name(out, &report->pairs[report->groups[i].first]);
		fputs(" |", out);
		put_summary_row(out, &report->groups[i].summary);
	}
	if (report->group_count != 1) {
		fputs("| **all** |", out);
		put_summary_row(out, &report->all);
	}
}

/* ---- one row a component ---------------------------------------------------------------------- */

static void put_error(FILE *out, const char *title, const struct error_summary *error)
{
	char over[CELL_TEXT];

	fprintf(out, "| %s |", title);
	if (!error->counted) {
		fputs(" not judged | | | | 0 |\n", out);
		return;
	}
	put_frac(out, error->median_frac, "");
	put_frac(out, error->p90_frac, "");
	put_frac(out, error->bias_frac, "+");
	fprintf(out, " %s | %zu |\n", compare_cell(over, error->over_floor), error->counted);
}

static void put_components(FILE *out, const struct comparison_summary *summary)
{
	fputs("\n| error, % | median | p90 | bias | over floor | trials "
	      "|\n|---|---|---|---|---|---|\n",
	      out);
	for (int c = 0; c < COMPONENT__COUNT; c++)
		put_error(out, component_titles[c], &summary->component[c]);
	for (int q = 0; q < QUANTILE__COUNT; q++)
		put_error(out, quantile_names[q], &summary->quantile[q]);
}

/* ---- one row a trial -------------------------------------------------------------------------- */

static void put_pair(FILE *out, const struct comparison *pair)
{
	char a[CELL_TEXT], b[CELL_TEXT], name[RESULT_TEXT];

	fprintf(out, "| %s |", compare_name(name, pair));
	for (int c = COMPONENT_WAIT; c < COMPONENT__COUNT; c++)
		fprintf(out, " %s / %s |",
			compare_cell(a, 1e-6 * compare_value(pair->sim, (enum component)c)),
			compare_cell(b, 1e-6 * compare_value(pair->real, (enum component)c)));
	put_frac(out, pair->error_frac[COMPONENT_TOTAL], "+");
	put_frac(out, pair->quantile_error_frac[QUANTILE_P99], "+");
	put_frac(out, pair->real->noise_floor_frac, "");
	compare_put_remarks(out, pair, " ");
	fputs(" |\n", out);
}

static void put_pairs(FILE *out, const struct comparison_report *report)
{
	for (size_t i = 0; i < report->group_count; i++) {
		const struct comparison_group *group = &report->groups[i];

		fputs("\n<details><summary>", out);
		fprintf(out, "%zu trials: ", group->count);
		put_name(out, &report->pairs[group->first]);
		fputs("</summary>\n\n"
		      "| trial | I/O wait ms, predicted / measured | memory ms | compute ms | "
		      "total "
		      "ms | error % | of p99 | noise % | |\n"
		      "|---|---|---|---|---|---|---|---|---|\n",
		      out);
		for (size_t p = 0; p < group->count; p++)
			put_pair(out, &report->pairs[group->first + p]);
		fputs("\n</details>\n", out);
	}
}

/* ---- what was fitted -------------------------------------------------------------------------- */

static void put_parts(FILE *out, const struct ynode *profile)
{
	static const char *const parts[] = {"flash", "dram", "compute"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct ynode *part = ynode_get(profile, parts[i]);

		if (!part || part->kind != YNODE_MAP)
			continue;
		fprintf(out, "%s%s", i ? "; " : "", parts[i]);
		for (size_t k = 0; k < part->count; k++)
			fprintf(out, "%s `%s`", k ? "," : "", part->keys[k]->text);
	}
}

static void put_fitted(FILE *out, const struct comparison *first, const struct ynode *profile)
{
	const struct fitted_points points = compare_fitted(profile);
	char least[NUMBER_TEXT], most[NUMBER_TEXT];

	fprintf(out, "\nFitted: profile `%s`", first->sim->device);
	if (!profile) {
		fputs(", which the store does not keep.\n", out);
		return;
	}
	fprintf(out, " (%s, %s): ", compare_origin(profile, "kind"),
		compare_origin(profile, "date"));
	put_parts(out, profile);
	if (points.count)
		fprintf(out,
			"; the flash form to %zu points (%zu sizes from %s to %s, %.0f to %.0f in "
			"flight)",
			points.count, points.sizes,
			unit_human(least, sizeof(least), points.least_bytes, DIM_BYTES),
			unit_human(most, sizeof(most), points.most_bytes, DIM_BYTES),
			points.least_in_flight, points.most_in_flight);
	if (points.batches)
		fprintf(out, ", its batches to %zu", points.batches);
	fputs(".\n", out);
}

/* Where and when, by what: of the rows themselves, since nobody else was there. */
static void put_measured(FILE *out, const struct comparison_report *report)
{
	const struct result_row *first = NULL, *last = NULL;

	for (size_t i = 0; i < report->pair_count; i++) {
		const struct result_row *real = report->pairs[i].real;

		if (!first || strcmp(real->started_at, first->started_at) < 0)
			first = real;
		if (!last || strcmp(real->started_at, last->started_at) > 0)
			last = real;
	}
	if (first && first->started_at[0])
		fprintf(out, "\nMeasured from %s to %s, %s; flashcast %s (%s).\n",
			first->started_at, last->started_at, last->host, last->version,
			last->git_rev);
}

void compare_markdown(FILE *out, const struct comparison_report *report)
{
	put_summaries(out, report);
	put_components(out, &report->all);
	for (size_t i = 0; i < report->group_count; i++) {
		const struct comparison *first = &report->pairs[report->groups[i].first];

		if (i == 0 ||
		    strcmp(first->sim->device_hash,
			   report->pairs[report->groups[i - 1].first].sim->device_hash) != 0)
			put_fitted(out, first, report->profiles[i]);
	}
	fprintf(out,
		"\nHeld out: all %zu trials below; a calibration runs micro-benchmarks and no "
		"trial.\n",
		report->pair_count);
	put_measured(out, report);
	put_pairs(out, report);
}
