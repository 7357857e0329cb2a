/* SPDX-License-Identifier: GPL-3.0-or-later */
/* device_correction.c - a profile's `correction:` and `samples:`, read and written */
#include "device_annex.h"

#include <errno.h>
#include <math.h>

#define ORIGIN "a calibration"
static const double FACTOR_LEAST = 0.01, FACTOR_MOST = 100;

/* A scalar of a dimension, above 'least' and up to 'most'. */
static int number_read(double *to, const struct ynode *node, enum dim dim, const double range[2],
		       struct err *err)
{
	struct err unit = {0};

	if (node->kind != YNODE_SCALAR || unit_parse(to, node->text, dim, &unit))
		return ynode_err(node, err, "correction: wanted %s%s%s", dim_name(dim),
				 unit.msg[0] ? ": " : "", unit.msg);
	if (!(*to >= range[0] && *to <= range[1]))
		return ynode_err(node, err, "correction: %g is outside [%g, %g]", *to, range[0],
				 range[1]);
	return 0;
}

/* An ascending list of at most 'room' numbers from 1 up. */
static int axis_read(double *axis, unsigned *count, unsigned room, const struct ynode *map,
		     const struct param *row, struct err *err)
{
	const struct ynode *list = ynode_get(map, row->name);
	const double range[2] = {row->min, row->max};

	if (!list || list->kind != YNODE_LIST || !list->count || list->count > room)
		return ynode_err(list ? list : map, err,
				 "correction: %s: wanted a list of 1 to %u (%s)", row->name, room,
				 row->help);
	for (*count = 0; *count < list->count; ++*count) {
		if (number_read(&axis[*count], list->items[*count], row->dim, range, err))
			return err->code;
		if (*count && axis[*count] <= axis[*count - 1])
			return ynode_err(list->items[*count], err,
					 "correction: %s: %g after %g, wanted ascending values",
					 row->name, axis[*count], axis[*count - 1]);
	}
	return 0;
}

static int factors_read(struct flash_correction *c, const struct ynode *map, struct err *err)
{
	const struct ynode *rows = ynode_get(map, "factor");
	const double range[2] = {FACTOR_LEAST, FACTOR_MOST};

	if (!rows || rows->kind != YNODE_LIST || rows->count != c->size_count)
		return ynode_err(rows ? rows : map, err,
				 "correction: factor: wanted a list for each of %u sizes",
				 c->size_count);
	for (unsigned s = 0; s < c->size_count; s++) {
		const struct ynode *row = rows->items[s];

		if (row->kind != YNODE_LIST || row->count != c->depth_count)
			return ynode_err(row, err,
					 "correction: factor: wanted %u of them, one for each of "
					 "the columns",
					 c->depth_count);
		for (unsigned d = 0; d < c->depth_count; d++) {
			double factor;

			if (number_read(&factor, row->items[d], DIM_NONE, range, err))
				return err->code;
			c->log_factor[s][d] = log(factor);
		}
	}
	return 0;
}

int correction_read(struct flash_correction *c, const struct ynode *map, const char *second,
		    struct err *err)
{
	static const struct param sizes = {.name = "read_bytes",
					   .dim = DIM_BYTES,
					   .min = 1,
					   .max = 1e12,
					   .help = "sizes of reads"};
	const struct param depths = {
		.name = second, .dim = DIM_COUNT, .min = 1, .max = 1e9, .help = "a count"};
	static const struct param_table none = {.name = "device.correction"};
	const char *const keys[] = {"read_bytes", second, "factor", NULL};
	struct param_dest dest = {&none, NULL};

	*c = (struct flash_correction){0};
	if (!map)
		return 0;
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err,
				 "correction: wanted a mapping of read_bytes, %s and factor",
				 second);
	if (param_read(&dest, 1, map, keys, err) ||
	    axis_read(c->read_bytes, &c->size_count, CORRECTION_SIZES, map, &sizes, err) ||
	    axis_read(c->in_flight, &c->depth_count, CORRECTION_DEPTHS, map, &depths, err))
		return err->code;
	return factors_read(c, map, err);
}

/* Items may be NULL where memory ran out. */
static int append(struct ynode *list, struct ynode *item, struct err *err)
{
	if (!list || !item) {
		ynode_free(item);
		return err_nomem(err, "a correction", sizeof(*item));
	}
	return ynode_append(list, item, err);
}

static int put(struct ynode *map, const char *key, struct ynode *list, struct err *err)
{
	if (err->code || !list) {
		ynode_free(list);
		return err->code ? err->code : err_nomem(err, "a correction", sizeof(*list));
	}
	return ynode_put(map, key, list, err);
}

static struct ynode *numbers(const double *values, unsigned count, int digits, struct err *err)
{
	struct ynode *list = ynode_new_list(ORIGIN);

	for (unsigned i = 0; i < count && !err->code; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%.*g", digits, values[i]);
		(void)!append(list, ynode_new_scalar(ORIGIN, text, 0), err);
	}
	return list;
}

static struct ynode *factors(const struct flash_correction *c, struct err *err)
{
	struct ynode *rows = ynode_new_list(ORIGIN);

	for (unsigned s = 0; s < c->size_count && !err->code; s++) {
		double row[CORRECTION_DEPTHS];

		for (unsigned d = 0; d < c->depth_count; d++)
			row[d] = exp(c->log_factor[s][d]);
		(void)!append(rows, numbers(row, c->depth_count, 6, err), err);
	}
	return rows;
}

struct ynode *correction_tree(const struct flash_correction *c, const char *second)
{
	struct ynode *map = ynode_new_map(ORIGIN);
	struct err err = {0};

	if (map && (put(map, "read_bytes", numbers(c->read_bytes, c->size_count, 12, &err), &err) ||
		    put(map, second, numbers(c->in_flight, c->depth_count, 12, &err), &err) ||
		    put(map, "factor", factors(c, &err), &err))) {
		ynode_free(map);
		return NULL;
	}
	return map;
}

static void write_axis(FILE *out, const char *key, const double *axis, unsigned count)
{
	fprintf(out, "  %s: [", key);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "%s%.0f", i ? ", " : "", axis[i]);
	fprintf(out, "]\n");
}

void correction_write(FILE *out, const char *key, const struct flash_correction *c,
		      const char *second)
{
	if (!c->size_count)
		return;
	fprintf(out, "%s:\n", key);
	write_axis(out, "read_bytes", c->read_bytes, c->size_count);
	write_axis(out, second, c->in_flight, c->depth_count);
	fprintf(out, "  factor:\n");
	for (unsigned s = 0; s < c->size_count; s++) {
		fprintf(out, "    - [");
		for (unsigned d = 0; d < c->depth_count; d++)
			fprintf(out, "%s%.6g", d ? ", " : "", exp(c->log_factor[s][d]));
		fprintf(out, "]\n");
	}
}

/* --- samples --- */

int samples_read(double (*samples)[FLASH_FIT_PARAMS], unsigned *count, const struct ynode *list,
		 struct err *err)
{
	*count = 0;
	if (!list)
		return 0;
	if (list->kind != YNODE_LIST || list->count > FLASH_FIT_SAMPLES)
		return ynode_err(list, err, "samples: wanted a list of at most %d resamplings",
				 FLASH_FIT_SAMPLES);
	for (size_t i = 0; i < list->count; i++) {
		const struct ynode *row = list->items[i];

		if (row->kind != YNODE_LIST || row->count != FLASH_FIT_PARAMS)
			return ynode_err(row, err, "samples: wanted a list of %d parameters",
					 FLASH_FIT_PARAMS);
		for (size_t p = 0; p < FLASH_FIT_PARAMS; p++) {
			const struct param *param = param_find(&flash_table, flash_fit_names[p]);
			const struct ynode *node = row->items[p];
			struct err unit = {0};

			if (node->kind != YNODE_SCALAR ||
			    unit_parse(&samples[i][p], node->text, param->dim, &unit))
				return ynode_err(node, err, "samples: %s: wanted %s", param->name,
						 dim_name(param->dim));
			if (!(samples[i][p] >= param->min && samples[i][p] <= param->max))
				return ynode_err(node, err, "samples: %s: %g is outside [%g, %g]",
						 param->name, samples[i][p], param->min,
						 param->max);
		}
		++*count;
	}
	return 0;
}

void samples_write(FILE *out, const struct flash_fit *fit)
{
	if (!fit->sample_count)
		return;
	fprintf(out, "samples:\n");
	for (unsigned i = 0; i < fit->sample_count; i++) {
		fprintf(out, "  - [");
		for (unsigned p = 0; p < FLASH_FIT_PARAMS; p++)
			fprintf(out, "%s%.6g", p ? ", " : "", fit->samples[i][p]);
		fprintf(out, "]\n");
	}
}
