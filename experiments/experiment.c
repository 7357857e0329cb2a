/* SPDX-License-Identifier: GPL-3.0-or-later */
/* experiment.c - file, --set and sweep put on top of each other, point by point */
#include "experiment.h"

#include "configs.h"
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- parts ------------------------------------------------------------------------------------
 */

/* A target is a device YAML too, or the word disk. */
static const struct part {
	const char *key;
	enum config_kind kind;
	const char *word; /* stands for itself */
} parts[] = {
	{"model", CONFIG_MODEL, NULL},
	{"device", CONFIG_DEVICE, NULL},
	{"policy", CONFIG_POLICY, NULL},
	{"target", CONFIG_DEVICE, "disk"},
};
enum { PARTS = sizeof(parts) / sizeof(*parts) };

static const struct part *part_find(const char *path)
{
	for (size_t i = 0; i < PARTS; i++) {
		if (strcmp(parts[i].key, path) == 0)
			return &parts[i];
	}
	return NULL;
}

/* A mapping's name where its file is all that says it, before it is overlaid and that is forgotten.
 */
static int name_part(struct ynode *map, const struct part *part, const struct ynode *named,
		     struct err *err)
{
	struct ynode *name;
	char text[PARAM_STR];

	if (named->kind != YNODE_SCALAR || map->kind != YNODE_MAP || ynode_get(map, "name"))
		return 0;
	config_name(text, named->text);
	name = ynode_new_scalar(part->key, text, 0);
	return name ? ynode_put(map, "name", name, err) : err_nomem(err, "a name", strlen(text));
}

/* '*node' becomes the part's own mapping; a part that is one already, and needs no base, stays. */
static int part_resolve(struct ynode **out, const struct part *part, const struct ynode *named,
			struct err *err)
{
	*out = NULL;
	if (named->kind == YNODE_MAP && !ynode_get(named, "base"))
		return 0;
	if (named->kind == YNODE_SCALAR && part->word && strcmp(named->text, part->word) == 0)
		return 0;
	if (config_resolve(out, part->kind, named, err))
		return err->code;
	if (name_part(*out, part, named, err)) {
		ynode_free(*out);
		*out = NULL;
	}
	return err->code;
}

static int parts_resolve(struct ynode *map, struct err *err)
{
	for (size_t i = 0; i < PARTS; i++) {
		const struct ynode *named = ynode_get(map, parts[i].key);
		struct ynode *part;

		if (!named)
			continue;
		if (part_resolve(&part, &parts[i], named, err) ||
		    (part && ynode_put(map, parts[i].key, part, err)))
			return err->code;
	}
	return 0;
}

/* ---- file and sets ----------------------------------------------------------------------------
 */

static int sets_apply(struct ynode *map, const char *const *args, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (ynode_set_arg(map, args[i], err) || parts_resolve(map, err))
			return err->code;
	}
	return 0;
}

/* The sets that go inside a part, once more by themselves: they go on top of parts that are swept
 * by name too.  A part that was set whole is replaced by the sweep. */
static int sets_collect(struct ynode *sets, const char *const *args, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(args[i], "=");
		char key[PARAM_STR];

		snprintf(key, sizeof(key), "%.*s", (int)length, args[i]);
		if (!part_find(key) && ynode_set_arg(sets, args[i], err))
			return err->code;
	}
	return 0;
}

/* ---- worlds and figures -----------------------------------------------------------------------
 */

static int world_add(struct experiment *experiment, const struct ynode *node, struct err *err)
{
	if (node->kind != YNODE_SCALAR)
		return ynode_err(node, err, "worlds: wanted sim or real");
	if (strcmp(node->text, "sim") == 0)
		experiment->in_sim = true;
	else if (strcmp(node->text, "real") == 0)
		experiment->in_real = true;
	else
		return ynode_err(node, err, "worlds: '%.64s' is none of sim, real", node->text);
	return 0;
}

static int read_worlds(struct experiment *experiment, const struct ynode *map, struct err *err)
{
	const struct ynode *worlds = ynode_get(map, "worlds");

	if (!worlds) {
		experiment->in_sim = true;
		return 0;
	}
	if (worlds->kind == YNODE_SCALAR)
		return world_add(experiment, worlds, err);
	if (worlds->kind != YNODE_LIST || worlds->count == 0)
		return ynode_err(worlds, err, "worlds: wanted a list of sim and real, got %s",
				 worlds->kind == YNODE_MAP ? "a mapping" : "an empty list");
	for (size_t i = 0; i < worlds->count; i++) {
		if (world_add(experiment, worlds->items[i], err))
			return err->code;
	}
	return 0;
}

/* As C names have it: predicted-vs-measured is predicted_vs_measured. */
static const char *const figure_names[] = {
#define FIGURE(name) #name,
#include "figures.h"
#undef FIGURE
};
enum { FIGURE_NAMES = sizeof(figure_names) / sizeof(*figure_names) };

static bool figure_matches(const char *text, const char *name)
{
	for (; *text && *name; text++, name++) {
		if (*text != *name && !(*text == '-' && *name == '_'))
			return false;
	}
	return *text == *name;
}

static int figure_add(struct experiment *experiment, const struct ynode *node, struct err *err)
{
	const char *text = node->kind == YNODE_SCALAR ? node->text : "", *near;

	for (size_t i = 0; i < FIGURE_NAMES; i++) {
		char *copy;

		if (!figure_matches(text, figure_names[i]))
			continue;
		copy = strdup(figure_names[i]);
		if (!copy)
			return err_nomem(err, "a figure's name", strlen(text));
		experiment->figures[experiment->figure_count++] = copy;
		return 0;
	}
	near = near_name(text, figure_names, FIGURE_NAMES);
	return ynode_err(node, err,
			 "figures: no figure '%.64s'%s%s%s (`flashcast plot --help` lists them)",
			 text, near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

static int read_figures(struct experiment *experiment, const struct ynode *map, struct err *err)
{
	const struct ynode *figures = ynode_get(map, "figures");

	if (!figures)
		return 0;
	if (figures->kind != YNODE_LIST)
		return ynode_err(figures, err, "figures: wanted a list of names, got a %s",
				 figures->kind == YNODE_MAP ? "mapping" : "value");
	experiment->figures = calloc(figures->count + 1, sizeof(*experiment->figures));
	if (!experiment->figures)
		return err_nomem(err, "figures", figures->count);
	for (size_t i = 0; i < figures->count; i++) {
		if (figure_add(experiment, figures->items[i], err))
			return err->code;
	}
	return 0;
}

/* ---- parts inside a sweep ---------------------------------------------------------------------
 */

/* A policy with every default, so that a `where` can ask for any of its keys. */
static int policy_complete(struct ynode **policy, struct err *err)
{
	struct policy_config config;
	struct ynode *full;

	if (policy_config_read(&config, *policy, err))
		return err->code;
	full = policy_config_write(&config);
	if (!full)
		return err_nomem(err, "a policy", sizeof(config));
	/* What the file says keeps its place; the rest is filled in. */
	if (ynode_merge(full, *policy, err)) {
		ynode_free(full);
		return err->code;
	}
	ynode_free(*policy);
	*policy = full;
	return 0;
}

/* One value of a part that is swept whole: its mapping, under the sets that go inside it. */
static int swept_part(struct ynode **out, const struct part *part, const struct ynode *named,
		      const struct ynode *sets, struct err *err)
{
	const struct ynode *over = ynode_get(sets, part->key);
	struct ynode *map;

	if (part_resolve(&map, part, named, err))
		return err->code;
	if (!map)
		map = ynode_clone(named);
	if (!map)
		return err_nomem(err, part->key, sizeof(*map));
	*out = map;
	if (map->kind != YNODE_MAP)
		return 0;
	if (over && ynode_merge(map, over, err))
		return err->code;
	return part->kind == CONFIG_POLICY ? policy_complete(out, err) : 0;
}

static int swept_list(struct ynode *list, const struct part *part, const struct ynode *values,
		      const struct ynode *sets, struct err *err)
{
	size_t count = values->kind == YNODE_LIST ? values->count : 1;

	for (size_t i = 0; i < count; i++) {
		const struct ynode *named = values->kind == YNODE_LIST ? values->items[i] : values;
		struct ynode *map = NULL;

		if (swept_part(&map, part, named, sets, err)) {
			ynode_free(map);
			return err->code;
		}
		if (ynode_append(list, map, err))
			return err->code;
	}
	return 0;
}

static int swept_axis(struct ynode *axes, size_t i, const struct ynode *sets, struct err *err)
{
	const struct part *part = part_find(axes->keys[i]->text);
	struct ynode *list;

	if (!part)
		return 0;
	if (axes->items[i]->kind == YNODE_MAP)
		return ynode_err(axes->items[i], err,
				 "%s: wanted a list of names, paths or mappings", part->key);
	if (axes->items[i]->kind == YNODE_LIST && axes->items[i]->count == 0)
		return 0; /* the sweep says what is wrong, at its place */
	list = ynode_new_list(axes->items[i]->file);
	if (!list)
		return err_nomem(err, part->key, sizeof(*list));
	if (swept_list(list, part, axes->items[i], sets, err)) {
		ynode_free(list);
		return err->code;
	}
	return ynode_put(axes, part->key, list, err);
}

static int swept_block(struct ynode *block, const struct ynode *sets, struct err *err)
{
	static const char *const names[] = {"product", "zip"};

	for (size_t n = 0; block->kind == YNODE_MAP && n < 2; n++) {
		struct ynode *axes = ynode_get(block, names[n]);

		for (size_t i = 0; axes && axes->kind == YNODE_MAP && i < axes->count; i++) {
			if (swept_axis(axes, i, sets, err))
				return err->code;
		}
	}
	return 0;
}

/* Put every part that the sweep names in its place. */
static int swept_parts(struct ynode *sweep, const struct ynode *sets, struct err *err)
{
	if (!sweep)
		return 0;
	if (sweep->kind != YNODE_LIST)
		return swept_block(sweep, sets, err);
	for (size_t i = 0; i < sweep->count; i++) {
		if (swept_block(sweep->items[i], sets, err))
			return err->code;
	}
	return 0;
}

/* ---- trials -----------------------------------------------------------------------------------
 */

static size_t depth_of(const char *path)
{
	size_t depth = 0;

	for (; *path; path++)
		depth += *path == '.';
	return depth;
}

static int value_put(struct ynode *map, const char *path, const struct ynode *value,
		     struct err *err)
{
	struct ynode *copy = ynode_clone(value);
	struct err local = {0};

	if (!copy)
		return err_nomem(err, "a sweep's value", sizeof(*copy));
	if (ynode_put(map, path, copy, &local))
		return local.code == EINVAL ? ynode_err(value, err, "%s", local.msg)
					    : err_set(err, local.code, "%s", local.msg);
	return 0;
}

/* A whole part goes in before what is put on top of it, in whatever order they are written. */
static int point_apply(struct ynode *map, const struct sweep_point *point, struct err *err)
{
	size_t deepest = 0;

	for (size_t i = 0; i < point->count; i++) {
		if (depth_of(point->paths[i]) > deepest)
			deepest = depth_of(point->paths[i]);
	}
	for (size_t depth = 0; depth <= deepest; depth++) {
		for (size_t i = 0; i < point->count; i++) {
			if (depth_of(point->paths[i]) == depth &&
			    value_put(map, point->paths[i], point->values[i], err))
				return err->code;
		}
	}
	return 0;
}

static const char *value_text(const struct ynode *value)
{
	if (value->kind == YNODE_MAP)
		value = ynode_get(value, "name");
	return value && value->kind == YNODE_SCALAR ? value->text : "...";
}

static void trial_name(char name[RESULT_TEXT], const struct sweep_point *point)
{
	size_t used = 0;

	name[0] = '\0';
	for (size_t i = 0; i < point->count && used < RESULT_TEXT; i++) {
		if (!(point->tells >> i & 1))
			continue;
		used += (size_t)snprintf(name + used, RESULT_TEXT - used, "%s%s=%s",
					 used ? " " : "", point->paths[i],
					 value_text(point->values[i]));
	}
}

static int trial_add(struct experiment *experiment, const struct ynode *base,
		     const struct sweep_point *point, struct err *err)
{
	struct trial *trial = &experiment->trials[experiment->trial_count];
	struct ynode *map = ynode_clone(base);

	if (!map)
		return err_nomem(err, "a trial's config", sizeof(*map));
	if (point_apply(map, point, err) || trial_read(trial, map, err)) {
		ynode_free(map);
		return err->code;
	}
	ynode_free(map);
	trial_name(trial->name, point);
	experiment->trial_count++;
	return 0;
}

static int index_compare(const void *a, const void *b)
{
	const struct trial *const *x = a, *const *y = b;
	int order = strcmp((*x)->hash, (*y)->hash);

	return order ? order : (*x > *y) - (*x < *y);
}

/* The first of equal trials stays. */
static int trials_unique(struct experiment *experiment, struct err *err)
{
	size_t count = experiment->trial_count, kept = 0;
	struct trial **order = malloc((count + 1) * sizeof(struct trial *));
	bool *twice = calloc(count + 1, sizeof(*twice));

	if (!order || !twice) {
		free(order);
		free(twice);
		return err_nomem(err, "trials", count * sizeof(*order));
	}
	for (size_t i = 0; i < count; i++)
		order[i] = &experiment->trials[i];
	qsort(order, count, sizeof(struct trial *), index_compare);
	for (size_t i = 1; i < count; i++)
		twice[order[i] - experiment->trials] =
			strcmp(order[i]->hash, order[i - 1]->hash) == 0;
	for (size_t i = 0; i < count; i++) {
		if (twice[i])
			trial_fini(&experiment->trials[i]);
		else if (kept++ != i)
			experiment->trials[kept - 1] = experiment->trials[i];
	}
	experiment->trial_count = kept;
	free(order);
	free(twice);
	return 0;
}

static int trials_make(struct experiment *experiment, const struct ynode *base,
		       const struct sweep *sweep, struct err *err)
{
	experiment->trials = calloc(sweep->count, sizeof(*experiment->trials));
	if (!experiment->trials)
		return err_nomem(err, "trials", sweep->count * sizeof(*experiment->trials));
	for (size_t i = 0; i < sweep->count; i++) {
		if (trial_add(experiment, base, &sweep->points[i], err))
			return err->code;
	}
	return trials_unique(experiment, err);
}

/* What a `where` may ask for besides the swept: the experiment with its own and its policy's
 * defaults. */
static int where_base(struct ynode **out, const struct ynode *base, struct err *err)
{
	struct ynode *full = ynode_clone(base);
	struct ynode *policy;

	*out = full;
	if (!full)
		return err_nomem(err, "a sweep's base", sizeof(*full));
	for (size_t i = 0; i < trial_run_table.count; i++) {
		const struct param *row = &trial_run_table.rows[i];
		struct ynode *value;

		if (!row->dflt || ynode_get(full, row->name))
			continue;
		value = ynode_new_scalar("default", row->dflt, 0);
		if (!value)
			return err_nomem(err, row->name, sizeof(*value));
		if (ynode_put(full, row->name, value, err))
			return err->code;
	}
	policy = ynode_get(full, "policy");
	policy = policy ? ynode_clone(policy) : NULL;
	if (!policy)
		return 0;
	if (policy_complete(&policy, err)) {
		ynode_free(policy);
		return err->code;
	}
	return ynode_put(full, "policy", policy, err);
}

/* 'base' is the experiment without its sweep. */
static int trials_expand(struct experiment *experiment, const struct ynode *base,
			 struct ynode *sweep_node, struct err *err)
{
	struct ynode *full = NULL;
	struct sweep sweep = {0};

	if (where_base(&full, base, err) == 0 && sweep_expand(&sweep, sweep_node, full, err) == 0)
		(void)!trials_make(experiment, base, &sweep, err);
	sweep_fini(&sweep);
	ynode_free(full);
	return err->code;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static int source_load(struct ynode **out, const char *path, const char *const *args, size_t count,
		       struct err *err)
{
	struct ynode *sets = ynode_new_map("--set"), *sweep;

	if (!sets)
		return err_nomem(err, "--set", sizeof(*sets));
	if (config_load(out, CONFIG_EXPERIMENT, path, err) || parts_resolve(*out, err) ||
	    sets_apply(*out, args, count, err) || sets_collect(sets, args, count, err))
		goto out;
	sweep = ynode_get(*out, "sweep");
	if (sweep)
		(void)!swept_parts(sweep, sets, err);
out:
	ynode_free(sets);
	return err->code;
}

static int trials_load(struct experiment *experiment, struct err *err)
{
	struct ynode *base = ynode_clone(experiment->source);

	if (!base)
		return err_nomem(err, "an experiment", sizeof(*base));
	ynode_remove(base, "sweep");
	(void)!trials_expand(experiment, base, ynode_get(experiment->source, "sweep"), err);
	ynode_free(base);
	return err->code;
}

int experiment_load(struct experiment *experiment, const char *path, const char *const *sets,
		    size_t set_count, struct err *err)
{
	const struct trial_run *run;

	*experiment = (struct experiment){0};
	if (source_load(&experiment->source, path, sets, set_count, err) ||
	    read_worlds(experiment, experiment->source, err) ||
	    read_figures(experiment, experiment->source, err) || trials_load(experiment, err)) {
		experiment_fini(experiment);
		return err->code;
	}
	run = &experiment->trials[0].run;
	memcpy(experiment->name, run->experiment, sizeof(experiment->name));
	memcpy(experiment->about, run->about, sizeof(experiment->about));
	return 0;
}

void experiment_fini(struct experiment *experiment)
{
	for (size_t i = 0; i < experiment->trial_count; i++)
		trial_fini(&experiment->trials[i]);
	for (size_t i = 0; i < experiment->figure_count; i++)
		free(experiment->figures[i]);
	free(experiment->trials);
	free(experiment->figures);
	ynode_free(experiment->source);
	*experiment = (struct experiment){0};
}
