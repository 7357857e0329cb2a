/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sweep.c - axes are read, multiplied and filtered, one block after the other */
#include "sweep.h"

#include "param.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AXES_MAX = 32, PATH_PART_MAX = 128, LIST_TEXT = 300, DISTINCT_MAX = 1000 };

/* One swept path. All zipped axes of a block have one length and move together. */
struct axis {
	const char *path;
	struct ynode *const *values;
	size_t count;
	bool zipped;
};

struct block {
	const struct ynode *map, *where;
	struct axis axes[AXES_MAX];
	size_t axis_count;
	size_t point_count; /* before 'where' */
	uint32_t tells;	    /* as in struct sweep_point */
};

static const char *kind_text(const struct ynode *node)
{
	return node->kind == YNODE_MAP	  ? "a mapping"
	       : node->kind == YNODE_LIST ? "a list"
					  : "a value";
}

/* Refuse a key that is none of 'names' (NULL-ended), with all of them and the nearest. */
static int key_check(const struct ynode *key, const char *what, const char *const *names,
		     struct err *err)
{
	char list[LIST_TEXT] = "";
	const char *near;
	size_t count, used = 0;

	for (count = 0; names[count]; count++) {
		if (strcmp(names[count], key->text) == 0)
			return 0;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 count ? ", " : "", names[count]);
		assert(used < sizeof(list));
	}
	near = near_name(key->text, names, count);
	return ynode_err(key, err, "%s: unknown key %.64s, expected %s%s%s%s", what, key->text,
			 list, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool is_path_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int path_check(const struct ynode *key, struct err *err)
{
	size_t part = 0;

	for (const char *c = key->text;; c++) {
		if (is_path_char(*c)) {
			part++;
			continue;
		}
		if (part == 0 || part > PATH_PART_MAX || (*c && *c != '.'))
			return ynode_err(
				key, err,
				"'%.64s' is no dotted path of keys (such as policy.window)",
				key->text);
		if (!*c)
			return 0;
		part = 0;
	}
}

/* ---- range ------------------------------------------------------------------------------------
 */

struct range {
	double first, last, step;
	enum dim dim;
};

/* A scalar that answers with the place of 'at': parsed as if it stood there. NULL: no memory. */
static struct ynode *scalar_at(const struct ynode *at, const char *text)
{
	size_t lines = (size_t)at->line - 1, spaces = (size_t)at->column - 1;
	char *yaml = malloc(lines + spaces + strlen(text) + 1);
	struct ynode *node = NULL;
	struct err err = {0};

	if (!yaml)
		return NULL;
	memset(yaml, '\n', lines);
	memset(yaml + lines, ' ', spaces);
	memcpy(yaml + lines + spaces, text, strlen(text) + 1);
	if (yaml_parse(&node, yaml, at->file, &err))
		node = NULL;
	free(yaml);
	return node;
}

static bool range_parse(struct range *range, const struct ynode *list, enum dim dim)
{
	double values[3] = {0, 0, 1};

	for (size_t i = 0; i < list->count; i++) {
		struct err ignored = {0};

		if (unit_parse(&values[i], list->items[i]->text, dim, &ignored))
			return false;
	}
	*range = (struct range){values[0], values[1], values[2], dim};
	return true;
}

static int range_read(struct range *range, const struct ynode *list, struct err *err)
{
	if (list->kind != YNODE_LIST || list->count < 2 || list->count > 3)
		return ynode_err(list, err,
				 "range: wanted [first, last] or [first, last, step], got %s",
				 kind_text(list));
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i]->kind != YNODE_SCALAR)
			return ynode_err(list->items[i], err, "range: wanted a number, got %s",
					 kind_text(list->items[i]));
	}
	for (int dim = 0; dim < DIM__COUNT; dim++) {
		if (!range_parse(range, list, (enum dim)dim))
			continue;
		if (list->count == 2 && dim != DIM_NONE)
			return ynode_err(list, err,
					 "range: [%s, %s] has a unit, so wanted a step as well",
					 list->items[0]->text, list->items[1]->text);
		return 0;
	}
	return ynode_err(list, err, "range: [%.32s, %.32s%s%.32s] are not numbers of one dimension",
			 list->items[0]->text, list->items[1]->text, list->count > 2 ? ", " : "",
			 list->count > 2 ? list->items[2]->text : "");
}

/* first + i * step, in decimal where the two are short decimals: 0.1, 0.2, 0.3 and not
 * 0.30000000000000004. */
static double range_value(const struct range *range, size_t i)
{
	double scale = 1;

	for (int digits = 0; digits < 10; digits++, scale *= 10) {
		double first = range->first * scale, step = range->step * scale;

		if (fabs(first - round(first)) <= 1e-12 * fabs(first) &&
		    fabs(step - round(step)) <= 1e-12 * fabs(step))
			return (round(first) + (double)i * round(step)) / scale;
	}
	return range->first + (double)i * range->step;
}

static int range_count(size_t *count, const struct range *range, const struct ynode *list,
		       struct err *err)
{
	double steps = (range->last - range->first) / range->step;

	if (range->step == 0 || steps < 0)
		return ynode_err(list, err, "range: step %g never gets from %g to %g", range->step,
				 range->first, range->last);
	if (steps > SWEEP_POINTS_MAX)
		return ynode_err(list, err, "range: %.0f values, at most %d", steps + 1,
				 SWEEP_POINTS_MAX);
	*count = (size_t)floor(steps + 1e-9) + 1;
	return 0;
}

/* The values of {range: list}, as a list that 'made' owns. */
static int range_make(const struct ynode **out, const struct ynode *list, struct ynode *made,
		      struct err *err)
{
	struct ynode *values;
	struct range range = {0};
	size_t count = 0;
	int rc;

	if (range_read(&range, list, err) || range_count(&count, &range, list, err))
		return err->code;
	values = ynode_new_list(list->file);
	if (!values)
		return err_nomem(err, "a range", count);
	for (size_t i = 0; i < count; i++) {
		char text[64];
		struct ynode *value = scalar_at(
			list, unit_format(text, sizeof(text), range_value(&range, i), range.dim));

		rc = value ? ynode_append(values, value, err) : err_nomem(err, "a range", count);
		if (rc) {
			ynode_free(values);
			return rc;
		}
	}
	rc = ynode_append(made, values, err);
	if (rc)
		return rc;
	*out = values;
	return 0;
}

/* ---- axes -------------------------------------------------------------------------------------
 */

static int values_check(const struct ynode *key, const struct ynode *list, struct err *err)
{
	if (list->count == 0)
		return ynode_err(list, err, "%.64s: an empty list sweeps nothing", key->text);
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i]->kind == YNODE_LIST)
			return ynode_err(list->items[i], err,
					 "%.64s: wanted a value or a part's mapping, got a list",
					 key->text);
	}
	return 0;
}

/* [a, b], {range: ...}, or one value alone. */
static int axis_values(struct axis *axis, const struct ynode *key, struct ynode *const *value,
		       struct ynode *made, struct err *err)
{
	static const char *const names[] = {"range", NULL};
	const struct ynode *list = *value;

	if (list->kind == YNODE_SCALAR) {
		axis->values = value;
		axis->count = 1;
		return 0;
	}
	if (list->kind == YNODE_MAP) {
		for (size_t i = 0; i < list->count; i++) {
			if (key_check(list->keys[i], key->text, names, err))
				return err->code;
		}
		if (list->count == 0)
			return ynode_err(list, err,
					 "%.64s: wanted [values] or {range: [first, last]}",
					 key->text);
		if (range_make(&list, list->items[0], made, err))
			return err->code;
	}
	if (values_check(key, list, err))
		return err->code;
	axis->values = list->items;
	axis->count = list->count;
	return 0;
}

static int axis_add(struct block *block, const struct ynode *key, struct ynode *const *value,
		    bool zipped, struct ynode *made, struct err *err)
{
	struct axis *axis = &block->axes[block->axis_count];

	if (path_check(key, err))
		return err->code;
	for (size_t i = 0; i < block->axis_count; i++) {
		if (strcmp(block->axes[i].path, key->text) == 0)
			return ynode_err(key, err, "%.64s is swept twice: in product and in zip",
					 key->text);
	}
	if (block->axis_count == AXES_MAX)
		return ynode_err(key, err, "more than %d swept paths", AXES_MAX);
	*axis = (struct axis){.path = key->text, .zipped = zipped};
	if (axis_values(axis, key, value, made, err))
		return err->code;
	block->axis_count++;
	return 0;
}

/* Axes of one length, or an error with both lengths. */
static int zip_check(const struct block *block, const struct ynode *zip, struct err *err)
{
	const struct axis *first = NULL;

	for (size_t i = 0; i < block->axis_count; i++) {
		const struct axis *axis = &block->axes[i];

		if (!axis->zipped)
			continue;
		if (!first)
			first = axis;
		else if (axis->count != first->count)
			return ynode_err(zip, err,
					 "zip: %.64s has %zu values and %.64s has %zu, expected "
					 "equal lengths",
					 first->path, first->count, axis->path, axis->count);
	}
	return 0;
}

static int axes_read(struct block *block, const char *name, struct ynode *made, struct err *err)
{
	const struct ynode *map = ynode_get(block->map, name);
	bool zipped = strcmp(name, "zip") == 0;

	if (!map)
		return 0;
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err, "%s: wanted a mapping of paths to values, got %s", name,
				 kind_text(map));
	for (size_t i = 0; i < map->count; i++) {
		if (axis_add(block, map->keys[i], &map->items[i], zipped, made, err))
			return err->code;
	}
	return zipped ? zip_check(block, map, err) : 0;
}

static int block_count(struct block *block, struct err *err)
{
	double count = 1;
	bool zip_counted = false;

	for (size_t i = 0; i < block->axis_count; i++) {
		if (block->axes[i].zipped && zip_counted)
			continue;
		zip_counted |= block->axes[i].zipped;
		count *= (double)block->axes[i].count;
	}
	if (count > SWEEP_POINTS_MAX)
		return ynode_err(block->map, err, "sweep: %.0f points, at most %d", count,
				 SWEEP_POINTS_MAX);
	block->point_count = (size_t)count;
	return 0;
}

/* A part goes by its name. */
static const char *text_of(const struct ynode *node)
{
	if (node->kind == YNODE_MAP)
		node = ynode_get(node, "name");
	return node && node->kind == YNODE_SCALAR ? node->text : "";
}

/* Whether no two values are equal; long lists, which nobody writes by hand, are not looked at. */
static bool axis_is_distinct(const struct axis *axis)
{
	if (axis->count > DISTINCT_MAX)
		return false;
	for (size_t i = 0; i < axis->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(text_of(axis->values[i]), text_of(axis->values[j])) == 0)
				return false;
		}
	}
	return true;
}

/* Several values that are one all the same. */
static bool axis_is_even(const struct axis *axis)
{
	if (axis->count == 1 || axis->count > DISTINCT_MAX)
		return false;
	for (size_t i = 1; i < axis->count; i++) {
		if (strcmp(text_of(axis->values[i]), text_of(axis->values[0])) != 0)
			return false;
	}
	return true;
}

/* A part or a key of one: what is run, where tokens and their like are how long. */
static bool axis_is_of_part(const struct axis *axis)
{
	return strchr(axis->path, '.') || axis->values[0]->kind == YNODE_MAP;
}

static void block_tells(struct block *block, bool is_alone)
{
	bool zip_told = false;

	for (size_t i = 0; i < block->axis_count; i++) {
		const struct axis *axis = &block->axes[i];

		if ((axis->count == 1 && (is_alone || !axis_is_of_part(axis))) ||
		    axis_is_even(axis) || (axis->zipped && zip_told))
			continue;
		block->tells |= UINT32_C(1) << i;
		zip_told |= axis->zipped && axis_is_distinct(axis);
	}
}

static int block_read(struct block *block, const struct ynode *map, const struct sweep *sweep,
		      struct err *err)
{
	static const char *const names[] = {"product", "zip", "where", NULL};

	*block = (struct block){.map = map};
	if (map->kind != YNODE_MAP)
		return ynode_err(map, err,
				 "sweep: wanted a mapping of product, zip and where, got %s",
				 kind_text(map));
	for (size_t i = 0; i < map->count; i++) {
		if (key_check(map->keys[i], "sweep", names, err))
			return err->code;
	}
	if (axes_read(block, "product", sweep->made, err) ||
	    axes_read(block, "zip", sweep->made, err))
		return err->code;
	block->where = ynode_get(map, "where");
	block_tells(block, sweep->blocks <= 1);
	return block_count(block, err);
}

/* ---- points -----------------------------------------------------------------------------------
 */

static void point_fini(struct sweep_point *point)
{
	free(point->paths);
	free(point->values);
	*point = (struct sweep_point){0};
}

/* The last key moves fastest; what is zipped moves as one key. */
static int point_make(struct sweep_point *point, const struct block *block, size_t index,
		      struct err *err)
{
	size_t count = block->axis_count, zip_at = SIZE_MAX;

	point->paths = malloc((count + 1) * sizeof(*point->paths));
	point->values = malloc((count + 1) * sizeof(*point->values));
	point->count = count;
	if (!point->paths || !point->values) {
		point_fini(point);
		return err_nomem(err, "a sweep's point", count * sizeof(*point->values));
	}
	for (size_t i = count; i-- > 0;) {
		const struct axis *axis = &block->axes[i];
		size_t at = axis->zipped && zip_at != SIZE_MAX ? zip_at : index % axis->count;

		if (!axis->zipped || zip_at == SIZE_MAX)
			index /= axis->count;
		if (axis->zipped)
			zip_at = at;
		point->paths[i] = axis->path;
		point->values[i] = axis->values[at];
	}
	return 0;
}

/* ---- where ------------------------------------------------------------------------------------
 */

/* The value of 'path' at a point, or NULL: swept itself, or inside a part that is swept whole, or
 * the experiment's own. */
static const struct ynode *value_at(const struct sweep_point *point, const struct ynode *base,
				    const char *path)
{
	const struct ynode *part = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < point->count; i++) {
		size_t length = strlen(point->paths[i]);

		if (strcmp(point->paths[i], path) == 0)
			return point->values[i];
		if (length > longest && strncmp(point->paths[i], path, length) == 0 &&
		    path[length] == '.' && point->values[i]->kind == YNODE_MAP) {
			part = point->values[i];
			longest = length;
		}
	}
	if (part)
		return ynode_at(part, path + longest + 1);
	return base ? ynode_at(base, path) : NULL;
}

/* Both as numbers of one dimension. */
static bool as_numbers(double *a, double *b, const char *a_text, const char *b_text)
{
	for (int dim = 0; dim < DIM__COUNT; dim++) {
		struct err ignored = {0};

		if (unit_parse(a, a_text, (enum dim)dim, &ignored) == 0 &&
		    unit_parse(b, b_text, (enum dim)dim, &ignored) == 0)
			return true;
	}
	return false;
}

static bool is_equal(const struct ynode *value, const struct ynode *wanted)
{
	const char *a_text = text_of(value), *b_text = text_of(wanted);
	double a, b;

	if (as_numbers(&a, &b, a_text, b_text))
		return a == b;
	return strcmp(a_text, b_text) == 0;
}

/* 'wanted' is one value, or a list of which any will do. */
static bool is_any(const struct ynode *value, const struct ynode *wanted)
{
	if (wanted->kind != YNODE_LIST)
		return is_equal(value, wanted);
	for (size_t i = 0; i < wanted->count; i++) {
		if (is_equal(value, wanted->items[i]))
			return true;
	}
	return false;
}

enum relation { AT_LEAST, AT_MOST, IS, IS_NOT, UNLESS, RELATION__COUNT };
static const char *const relation_names[] = {"at_least", "at_most", "is", "is_not", "unless", NULL};

static enum relation relation_of(const char *name)
{
	for (int i = 0; i < RELATION__COUNT; i++) {
		if (strcmp(relation_names[i], name) == 0)
			return (enum relation)i;
	}
	assert(0 && "checked by where_check()");
	return RELATION__COUNT;
}

static int order_holds(bool *holds, enum relation relation, const struct ynode *value,
		       const struct ynode *bound, const char *path, struct err *err)
{
	double a, b;

	if (!as_numbers(&a, &b, text_of(value), text_of(bound)))
		return ynode_err(bound, err, "where: %.64s: cannot order '%.32s' and '%.32s'", path,
				 text_of(value), text_of(bound));
	*holds = relation == AT_LEAST ? a >= b : a <= b;
	return 0;
}

static int relation_holds(bool *holds, enum relation relation, const struct ynode *value,
			  const struct ynode *wanted, const char *path, struct err *err)
{
	switch (relation) {
	case AT_LEAST:
	case AT_MOST:
		return order_holds(holds, relation, value, wanted, path, err);
	case IS:
		*holds = is_any(value, wanted);
		return 0;
	case IS_NOT:
		*holds = !is_any(value, wanted);
		return 0;
	case UNLESS:
	case RELATION__COUNT:
		break;
	}
	*holds = true;
	return 0;
}

/* All that `unless` names is so: the condition is waived. */
static bool is_waived(const struct ynode *unless, const struct sweep_point *point,
		      const struct ynode *base)
{
	if (!unless)
		return false;
	for (size_t i = 0; i < unless->count; i++) {
		const struct ynode *value = value_at(point, base, unless->keys[i]->text);

		if (!value || !is_any(value, unless->items[i]))
			return false;
	}
	return true;
}

/* One path's conditions; a path that the point's part does not have (the window of a policy without
 * one) is no condition on it. */
static int condition_holds(bool *holds, const struct ynode *key, const struct ynode *conditions,
			   const struct sweep_point *point, const struct ynode *base,
			   struct err *err)
{
	const struct ynode *value = value_at(point, base, key->text);

	*holds = true;
	if (!value)
		return 0;
	if (conditions->kind != YNODE_MAP) {
		*holds = is_any(value, conditions);
		return 0;
	}
	if (is_waived(ynode_get(conditions, "unless"), point, base))
		return 0;
	for (size_t i = 0; i < conditions->count && *holds; i++) {
		if (relation_holds(holds, relation_of(conditions->keys[i]->text), value,
				   conditions->items[i], key->text, err))
			return err->code;
	}
	return 0;
}

static int where_holds(bool *holds, const struct block *block, const struct sweep_point *point,
		       const struct ynode *base, struct err *err)
{
	*holds = true;
	for (size_t i = 0; block->where && i < block->where->count && *holds; i++) {
		if (condition_holds(holds, block->where->keys[i], block->where->items[i], point,
				    base, err))
			return err->code;
	}
	return 0;
}

/* ---- where: its form --------------------------------------------------------------------------
 */

/* Whether any value of the sweep has 'path', or the base. */
static bool path_is_known(const struct block *block, const struct ynode *base, const char *path)
{
	for (size_t i = 0; i < block->axis_count; i++) {
		const struct axis *axis = &block->axes[i];

		for (size_t v = 0; v < axis->count; v++) {
			const char *paths[] = {axis->path};
			const struct ynode *values[] = {axis->values[v]};
			const struct sweep_point point = {paths, values, 1, 0, 0};

			if (value_at(&point, NULL, path))
				return true;
		}
	}
	return base && ynode_at(base, path);
}

static int where_path_check(const struct block *block, const struct ynode *base,
			    const struct ynode *key, struct err *err)
{
	const char *names[AXES_MAX], *near;

	if (path_check(key, err))
		return err->code;
	if (path_is_known(block, base, key->text))
		return 0;
	for (size_t i = 0; i < block->axis_count; i++)
		names[i] = block->axes[i].path;
	near = near_name(key->text, names, block->axis_count);
	return ynode_err(key, err, "where: %.64s is neither swept nor in the experiment%s%s%s",
			 key->text, near ? " (did you mean " : "", near ? near : "",
			 near ? "?)" : "");
}

static int unless_check(const struct block *block, const struct ynode *base,
			const struct ynode *unless, struct err *err)
{
	if (unless->kind != YNODE_MAP || unless->count == 0)
		return ynode_err(unless, err, "unless: wanted a mapping of paths to values, got %s",
				 kind_text(unless));
	for (size_t i = 0; i < unless->count; i++) {
		if (where_path_check(block, base, unless->keys[i], err))
			return err->code;
		if (unless->items[i]->kind == YNODE_MAP)
			return ynode_err(unless->items[i], err,
					 "unless: wanted a value or a list, got a mapping");
	}
	return 0;
}

static int conditions_check(const struct block *block, const struct ynode *base,
			    const struct ynode *conditions, struct err *err)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const struct ynode *wanted = conditions->items[i];
		enum relation relation;

		if (key_check(conditions->keys[i], "where", relation_names, err))
			return err->code;
		relation = relation_of(conditions->keys[i]->text);
		if (relation == UNLESS) {
			if (unless_check(block, base, wanted, err))
				return err->code;
		} else if (wanted->kind == YNODE_MAP ||
			   (wanted->kind == YNODE_LIST && relation < IS)) {
			return ynode_err(wanted, err, "where: %s: wanted a value, got %s",
					 relation_names[relation], kind_text(wanted));
		}
	}
	if (conditions->count == 0 || (conditions->count == 1 && ynode_get(conditions, "unless")))
		return ynode_err(conditions, err,
				 "where: no condition, expected at_least, at_most, is or is_not");
	return 0;
}

static int where_check(const struct block *block, const struct ynode *base, struct err *err)
{
	const struct ynode *where = block->where;

	if (!where)
		return 0;
	if (where->kind != YNODE_MAP)
		return ynode_err(where, err,
				 "where: wanted a mapping of paths to conditions, got %s",
				 kind_text(where));
	for (size_t i = 0; i < where->count; i++) {
		if (where_path_check(block, base, where->keys[i], err))
			return err->code;
		if (where->items[i]->kind == YNODE_MAP &&
		    conditions_check(block, base, where->items[i], err))
			return err->code;
	}
	return 0;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static int points_room(struct sweep *sweep, const struct block *block, struct err *err)
{
	size_t room = sweep->count + block->point_count;
	struct sweep_point *points;

	if (room > SWEEP_POINTS_MAX)
		return ynode_err(block->map, err, "sweep: %zu points, at most %d", room,
				 SWEEP_POINTS_MAX);
	points = realloc(sweep->points, room * sizeof(*points));
	if (!points)
		return err_nomem(err, "a sweep's points", room * sizeof(*points));
	sweep->points = points;
	return 0;
}

static int block_expand(struct sweep *sweep, const struct ynode *map, size_t index,
			const struct ynode *base, struct err *err)
{
	size_t before = sweep->count;
	struct block block;

	if (block_read(&block, map, sweep, err) || where_check(&block, base, err) ||
	    points_room(sweep, &block, err))
		return err->code;
	for (size_t i = 0; i < block.point_count; i++) {
		struct sweep_point *point = &sweep->points[sweep->count];
		bool holds;

		if (point_make(point, &block, i, err))
			return err->code;
		point->block = index;
		point->tells = block.tells;
		sweep->count++; /* sweep_fini() has it from here on */
		if (where_holds(&holds, &block, point, base, err))
			return err->code;
		if (!holds) {
			point_fini(point);
			sweep->count--;
		}
	}
	if (sweep->count == before)
		return ynode_err(block.where, err, "where: keeps none of %zu points",
				 block.point_count);
	return 0;
}

static int blocks_expand(struct sweep *sweep, const struct ynode *node, const struct ynode *base,
			 struct err *err)
{
	static const struct ynode empty = {.kind = YNODE_MAP, .file = "", .line = 1, .column = 1};

	if (!node)
		return block_expand(sweep, &empty, 0, base, err);
	if (node->kind != YNODE_LIST)
		return block_expand(sweep, node, 0, base, err);
	if (node->count == 0)
		return ynode_err(node, err, "sweep: an empty list sweeps nothing");
	sweep->blocks = node->count;
	for (size_t i = 0; i < node->count; i++) {
		if (block_expand(sweep, node->items[i], i, base, err))
			return err->code;
	}
	return 0;
}

int sweep_expand(struct sweep *sweep, const struct ynode *node, const struct ynode *base,
		 struct err *err)
{
	*sweep = (struct sweep){.made = ynode_new_list("range")};
	if (!sweep->made)
		return err_nomem(err, "a sweep", sizeof(*sweep->made));
	if (blocks_expand(sweep, node, base, err)) {
		sweep_fini(sweep);
		return err->code;
	}
	return 0;
}

void sweep_fini(struct sweep *sweep)
{
	for (size_t i = 0; i < sweep->count; i++)
		point_fini(&sweep->points[i]);
	free(sweep->points);
	ynode_free(sweep->made);
	*sweep = (struct sweep){0};
}
