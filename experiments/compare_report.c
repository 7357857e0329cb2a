/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare_report.c - pairs put together by group, with the profiles that predicted them */
#include "compare_table.h"
#include "profiles.h"
#include "units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Groups in the order of their first pairs, the pairs of each in their own. */
static void group_pairs(struct comparison_report *report, struct comparison *from, size_t count)
{
	bool *is_taken = (bool *)(from + count);

	memset(is_taken, 0, count * sizeof(*is_taken));
	for (size_t i = 0; i < count; i++) {
		struct comparison_group *group = &report->groups[report->group_count];

		if (is_taken[i])
			continue;
		report->group_count++;
		group->first = report->pair_count;
		for (size_t j = i; j < count; j++) {
			if (is_taken[j] || !compare_same_group(&from[i], &from[j]))
				continue;
			is_taken[j] = true;
			report->pairs[report->pair_count++] = from[j];
		}
		group->count = report->pair_count - group->first;
	}
}

static int load_profiles(struct comparison_report *report, const char *dir, struct err *err)
{
	for (size_t i = 0; dir && i < report->group_count; i++) {
		const struct comparison *pair = &report->pairs[report->groups[i].first];

		if (profile_load(&report->profiles[i], dir, pair->sim->device_hash, err))
			return err->code;
	}
	return 0;
}

int compare_report_make(struct comparison_report *report, const struct result_row *rows,
			size_t row_count, const char *dir, struct err *err)
{
	struct comparison *pairs = NULL, *mixed = NULL;
	size_t count = 0;

	*report = (struct comparison_report){0};
	if (compare_rows(&pairs, &count, rows, row_count, err))
		return err->code;
	mixed = malloc((count + 1) * (sizeof(*mixed) + sizeof(bool)));
	report->pairs = pairs;
	report->groups = calloc(count + 1, sizeof(*report->groups));
	report->profiles = calloc(count + 1, sizeof(*report->profiles));
	if (!mixed || !report->groups || !report->profiles) {
		err_nomem(err, "a comparison", count * sizeof(*mixed));
		goto out;
	}
	memcpy(mixed, pairs, count * sizeof(*mixed));
	group_pairs(report, mixed, count);
	for (size_t i = 0; i < report->group_count; i++) {
		struct comparison_group *group = &report->groups[i];

		compare_summarise(&group->summary, pairs + group->first, group->count);
	}
	compare_summarise(&report->all, pairs, count);
	(void)!load_profiles(report, dir, err);
out:
	free(mixed);
	if (err->code)
		compare_report_fini(report);
	return err->code;
}

void compare_report_fini(struct comparison_report *report)
{
	for (size_t i = 0; i < report->group_count; i++)
		ynode_free(report->profiles[i]);
	free(report->profiles);
	free(report->groups);
	free(report->pairs);
	*report = (struct comparison_report){0};
}

/* ---- what was fitted -------------------------------------------------------------------------- */

static double point_number(const struct ynode *point, const char *key, enum dim dim)
{
	const struct ynode *value = point->kind == YNODE_MAP ? ynode_get(point, key) : NULL;
	struct err err = {0};
	double number;

	if (!value || value->kind != YNODE_SCALAR || unit_parse(&number, value->text, dim, &err))
		return (double)NAN;
	return number;
}

static bool is_new_size(const struct ynode *points, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (point_number(points->items[j], "read_bytes", DIM_BYTES) ==
		    point_number(points->items[i], "read_bytes", DIM_BYTES))
			return false;
	}
	return true;
}

static size_t count_batches(const struct ynode *profile)
{
	const struct ynode *checks = profile ? ynode_get(profile, "checks") : NULL;
	size_t count = 0;

	for (size_t i = 0; checks && checks->kind == YNODE_LIST && i < checks->count; i++) {
		const struct ynode *check = checks->items[i];
		const struct ynode *what =
			check->kind == YNODE_MAP ? ynode_get(check, "what") : NULL;

		count += what && what->kind == YNODE_SCALAR && strcmp(what->text, "batch") == 0;
	}
	return count;
}

struct fitted_points compare_fitted(const struct ynode *profile)
{
	const struct ynode *points = profile ? ynode_get(profile, "points") : NULL;
	struct fitted_points fitted = {.batches = count_batches(profile),
				       .least_bytes = (double)NAN,
				       .most_bytes = (double)NAN,
				       .least_in_flight = (double)NAN,
				       .most_in_flight = (double)NAN};

	for (size_t i = 0; points && points->kind == YNODE_LIST && i < points->count; i++) {
		double bytes = point_number(points->items[i], "read_bytes", DIM_BYTES);
		double in_flight = point_number(points->items[i], "in_flight", DIM_COUNT);

		fitted.count++;
		fitted.sizes += is_new_size(points, i);
		fitted.least_bytes =
			fmin(fitted.least_bytes, bytes); /* of a number and NaN: the number */
		fitted.most_bytes = fmax(fitted.most_bytes, bytes);
		fitted.least_in_flight = fmin(fitted.least_in_flight, in_flight);
		fitted.most_in_flight = fmax(fitted.most_in_flight, in_flight);
	}
	return fitted;
}

const char *compare_origin(const struct ynode *profile, const char *key)
{
	const struct ynode *origin = profile ? ynode_get(profile, "origin") : NULL;
	const struct ynode *value =
		origin && origin->kind == YNODE_MAP ? ynode_get(origin, key) : NULL;

	return value && value->kind == YNODE_SCALAR ? value->text : "";
}
