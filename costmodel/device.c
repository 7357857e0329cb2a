/* SPDX-License-Identifier: GPL-3.0-or-later */
/* device.c - device profiles: the parameter tables, strict reading, writing, digest */
#include "device.h"

#include "device_annex.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

const struct param_word origin_words[] = {
	[ORIGIN_MEASURED] = {"measured", "a probe of real hardware on this host"},
	[ORIGIN_EMULATED] = {"emulated",
			     "a probe of an emulated device: never reported as a measured one"},
	[ORIGIN_PUBLISHED] = {"published", "derived by hand from published tables"},
	[ORIGIN_PUBLISHED + 1] = {NULL, NULL},
};

/* Order of the includes matters in every table. */
// clang-format off
static const struct param flash_rows[] = {
#define PARAM_OWNER flash_params
#include "param_rows.h"
#include "flash_params.h"
#include "param_end.h"
};

static const struct param dram_rows[] = {
#define PARAM_OWNER dram_params
#include "param_rows.h"
#include "dram_params.h"
#include "param_end.h"
};

static const struct param compute_rows[] = {
#define PARAM_OWNER compute_params
#include "param_rows.h"
#include "compute_params.h"
#include "param_end.h"
};

static const struct param origin_rows[] = {
#define PARAM_OWNER device_origin
#include "param_rows.h"
#include "origin_params.h"
#include "param_end.h"
};

/* Rows in place too: clang-format would nest them. */
static const struct param name_rows[] = {
#define PARAM_OWNER device
#include "param_rows.h"
STR(name, "", "what results call the device")
STR(about, "", "one sentence")
#include "param_end.h"
};

/* One measured point, for plots and for fitting again elsewhere. */
struct device_point {
	uint64_t read_bytes, in_flight;
	double reads_per_s, noise_frac;
};

static const struct param point_rows[] = {
#define PARAM_OWNER device_point
#include "param_rows.h"
U64(read_bytes, DIM_BYTES, 1, 1e12, NULL, "size of each read")
U64(in_flight, DIM_COUNT, 1, 65536, NULL, "reads kept in flight")
F64(reads_per_s, DIM_RATE, 1e-3, 1e12, NULL, "reads completed a second")
F64(noise_frac, DIM_FRAC, 0, 10, "0", "relative standard error of reads_per_s; 0 = unknown")
#include "param_end.h"
};

// clang-format on

enum { ROWS_MAX = 64 };
#define TABLE(rows, name, about)                                                                   \
	{                                                                                          \
		name, about, rows, sizeof(rows) / sizeof((rows)[0])                                \
	}

const struct param_table flash_table = TABLE(
	flash_rows, "device.flash", "How long reads from flash take (forms: docs/costmodel.md).");
const struct param_table dram_table =
	TABLE(dram_rows, "device.dram", "What the DRAM store's inserts and deletes cost.");
const struct param_table compute_table = TABLE(
	compute_rows, "device.compute", "How fast weights are multiplied once they are in DRAM.");
const struct param_table origin_table =
	TABLE(origin_rows, "device.origin",
	      "Where a profile's figures come from, and how good they are.");
static const struct param_table name_table =
	TABLE(name_rows, "device", "A device profile: configs/device/<name>.yaml.");
static const struct param_table point_table =
	TABLE(point_rows, "device.points", "One measured point of the flash sweep.");

/* A profile's parameter groups, in file order. */
struct group {
	const char *key;
	const struct param_table *table;
	size_t offset;
};

static const struct group groups[] = {
	{"flash", &flash_table, offsetof(struct device, flash)},
	{"dram", &dram_table, offsetof(struct device, dram)},
	{"compute", &compute_table, offsetof(struct device, compute)},
	{"origin", &origin_table, offsetof(struct device, origin)},
};
enum { GROUP_COUNT = sizeof(groups) / sizeof(groups[0]), PREDICTING_GROUPS = 3 };

/* A row of any group that predicts, by name: what `intervals` may speak of. */
static const struct param *predicting_row(const char *name)
{
	const struct param *row = NULL;

	for (size_t g = 0; g < PREDICTING_GROUPS && !row; g++)
		row = param_find(groups[g].table, name);
	return row;
}

static int unknown_interval(const struct ynode *key, struct err *err)
{
	const char *names[ROWS_MAX], *near;
	size_t count = 0;

	for (size_t g = 0; g < PREDICTING_GROUPS; g++)
		for (size_t i = 0; i < groups[g].table->count && count < ROWS_MAX; i++)
			names[count++] = groups[g].table->rows[i].name;
	near = near_name(key->text, names, count);
	if (near)
		return ynode_err(key, err, "intervals: unknown parameter %s (did you mean %s?)",
				 key->text, near);
	return ynode_err(key, err, "intervals: unknown parameter %s", key->text);
}

static int bound_read(double *bound, const struct param *row, const struct ynode *node,
		      struct err *err)
{
	struct err unit = {0};

	if (node->kind != YNODE_SCALAR)
		return ynode_err(node, err, "intervals: %s: wanted %s", row->name,
				 dim_name(row->dim));
	if (unit_parse(bound, node->text, row->dim, &unit))
		return ynode_err(node, err, "intervals: %s: %s", row->name, unit.msg);
	return 0;
}

/* [low, high] in the parameter's own unit, or the words "not identified". */
static int interval_check(const struct param *row, const struct ynode *value, struct err *err)
{
	double low = 0, high = 0;

	if (value->kind == YNODE_SCALAR && strcmp(value->text, "not identified") == 0)
		return 0;
	if (value->kind != YNODE_LIST || value->count != 2)
		return ynode_err(value, err,
				 "intervals: %s: wanted [low, high] or 'not identified'",
				 row->name);
	if (bound_read(&low, row, value->items[0], err) ||
	    bound_read(&high, row, value->items[1], err))
		return err->code;
	if (low > high)
		return ynode_err(value, err, "intervals: %s: low %g is above high %g %s", row->name,
				 low, high, dim_base(row->dim));
	return 0;
}

static int intervals_check(const struct ynode *map, struct err *err)
{
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "intervals: wanted a mapping of parameters");
	for (size_t i = 0; i < map->count; i++) {
		const struct param *row = predicting_row(map->keys[i]->text);

		if (!row)
			return unknown_interval(map->keys[i], err);
		if (interval_check(row, map->items[i], err))
			return err->code;
	}
	return 0;
}

static int points_check(const struct ynode *list, struct err *err)
{
	if (list->kind != YNODE_LIST)
		return ynode_err(list, err, "points: wanted a list of measured points");
	for (size_t i = 0; i < list->count; i++) {
		struct device_point point;
		struct param_dest dest = {&point_table, &point};

		if (list->items[i]->kind != YNODE_MAP)
			return ynode_err(list->items[i], err, "points: wanted a mapping");
		if (param_read(&dest, 1, list->items[i], NULL, err))
			return err->code;
	}
	return 0;
}

/* What was checked varies with the writer, so only the shape is fixed: a flat mapping, or several.
 */
static int check_is_flat(const struct ynode *map, struct err *err)
{
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "checks: wanted a mapping");
	for (size_t i = 0; i < map->count; i++)
		if (map->items[i]->kind != YNODE_SCALAR)
			return ynode_err(map->items[i], err, "checks: %s: wanted one value",
					 map->keys[i]->text);
	return 0;
}

static int checks_check(const struct ynode *checks, struct err *err)
{
	if (checks->kind != YNODE_LIST)
		return check_is_flat(checks, err);
	for (size_t i = 0; i < checks->count; i++)
		if (check_is_flat(checks->items[i], err))
			return err->code;
	return 0;
}

static int annexes_check(const struct ynode *map, struct err *err)
{
	const struct ynode *points = ynode_get(map, "points");
	const struct ynode *intervals = ynode_get(map, "intervals");
	const struct ynode *checks = ynode_get(map, "checks");
	double samples[FLASH_FIT_SAMPLES][FLASH_FIT_PARAMS];
	unsigned sample_count;

	if (points && points_check(points, err))
		return err->code;
	if (intervals && intervals_check(intervals, err))
		return err->code;
	if (checks && checks_check(checks, err))
		return err->code;
	return samples_read(samples, &sample_count, ynode_get(map, "samples"), err);
}

/* The tables of what forms leave over, and their second axes. */
static const struct {
	const char *key, *second;
	size_t offset; /* in struct flash_params */
} corrections[] = {
	{"correction", "in_flight", offsetof(struct flash_params, correction)},
	{"batch_correction", "reads", offsetof(struct flash_params, batch_correction)},
};
enum { CORRECTION_COUNT = sizeof(corrections) / sizeof(corrections[0]) };

static struct flash_correction *correction_of(struct flash_params *flash, size_t i)
{
	return (struct flash_correction *)(void *)((char *)flash + corrections[i].offset);
}

int device_read(struct device *device, const struct ynode *map, struct err *err)
{
	static const char *const also[] = {
		"flash",  "dram",	"compute",	    "origin",  "points", "intervals",
		"checks", "correction", "batch_correction", "samples", NULL};
	struct param_dest top = {&name_table, device};

	memset(device, 0, sizeof(*device));
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "a device profile is a mapping");
	if (param_read(&top, 1, map, also, err))
		return err->code;
	for (size_t g = 0; g < GROUP_COUNT; g++) {
		const struct ynode *part = ynode_get(map, groups[g].key);
		struct param_dest dest = {groups[g].table, (char *)device + groups[g].offset};

		if (!part)
			return ynode_err(map, err, "device: %s is missing (a mapping: %s)",
					 groups[g].key, groups[g].table->about);
		if (part->kind != YNODE_MAP)
			return ynode_err(part, err, "%s: wanted a mapping", groups[g].key);
		if (param_read(&dest, 1, part, NULL, err))
			return err->code;
	}
	for (size_t i = 0; i < CORRECTION_COUNT; i++)
		if (correction_read(correction_of(&device->flash, i),
				    ynode_get(map, corrections[i].key), corrections[i].second, err))
			return err->code;
	return annexes_check(map, err);
}

struct ynode *device_write(const struct device *device)
{
	struct ynode *map = param_write(&name_table, device);
	struct err err = {0};

	for (size_t g = 0; map && g < GROUP_COUNT; g++) {
		struct ynode *part =
			param_write(groups[g].table, (const char *)device + groups[g].offset);

		/* ynode_put() frees 'part' where it fails, which here means out of memory. */
		if (!part || ynode_put(map, groups[g].key, part, &err)) {
			ynode_free(map);
			return NULL;
		}
	}
	for (size_t i = 0; map && i < CORRECTION_COUNT; i++) {
		struct flash_params flash = device->flash;
		const struct flash_correction *c = correction_of(&flash, i);
		struct ynode *table;

		if (!c->size_count)
			continue;
		table = correction_tree(c, corrections[i].second);
		if (!table || ynode_put(map, corrections[i].key, table, &err)) {
			ynode_free(map);
			return NULL;
		}
	}
	return map;
}

void device_hash(const struct device *device, char text[DIGEST_TEXT])
{
	struct flash_params flash = device->flash;
	char all[32768], value[PARAM_STR];
	size_t used = 0;

	for (size_t g = 0; g < PREDICTING_GROUPS; g++) {
		const struct param_table *table = groups[g].table;

		for (size_t i = 0; i < table->count; i++) {
			int n = snprintf(all + used, sizeof(all) - used, "%s.%s=%s\n",
					 groups[g].key, table->rows[i].name,
					 param_text(value, sizeof(value), &table->rows[i],
						    (const char *)device + groups[g].offset));

			assert(n > 0 && (size_t)n < sizeof(all) - used);
			used += (size_t)n;
		}
	}
	for (size_t k = 0; k < CORRECTION_COUNT; k++) {
		const struct flash_correction *c = correction_of(&flash, k);

		for (unsigned i = 0; i < c->size_count * c->depth_count; i++) {
			unsigned s = i / c->depth_count, d = i % c->depth_count;
			int n = snprintf(all + used, sizeof(all) - used, "%zu %.0f %.0f %.6g\n", k,
					 c->read_bytes[s], c->in_flight[d], c->log_factor[s][d]);

			assert(n > 0 && (size_t)n < sizeof(all) - used);
			used += (size_t)n;
		}
	}
	digest_of(all, used, text);
}
