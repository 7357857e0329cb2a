/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ynode.c - trees of YAML nodes: made, found, overlaid, freed
 *
 * A file's name is shared by its nodes and counted, since nodes outlive their document when they
 * are cloned or merged into another.  Arrays grow at powers of two, so that 'count' alone says
 * when. */
#include "ynode.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- file names ---- */

struct file_name {
	atomic_uint refs;
	char text[];
};

static struct file_name *file_of(const char *name)
{
	return (struct file_name *)(void *)((char *)name - offsetof(struct file_name, text));
}

const char *ynode_file_new(const char *name)
{
	size_t size = strlen(name) + 1;
	struct file_name *file = malloc(sizeof(*file) + size);

	if (!file)
		return NULL;
	atomic_init(&file->refs, 1);
	memcpy(file->text, name, size);
	return file->text;
}

static const char *file_hold(const char *name)
{
	atomic_fetch_add(&file_of(name)->refs, 1);
	return name;
}

void ynode_file_drop(const char *name)
{
	if (name && atomic_fetch_sub(&file_of(name)->refs, 1) == 1)
		free(file_of(name));
}

/* ---- nodes ---- */

static struct ynode_place place_of(const struct ynode *node)
{
	return (struct ynode_place){node->file, node->line, node->column};
}

struct ynode *ynode_new(enum ynode_kind kind, struct ynode_place place)
{
	struct ynode *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->file = file_hold(place.file);
	node->line = place.line;
	node->column = place.column;
	return node;
}

void ynode_move(struct ynode *node, struct ynode_place place)
{
	const char *old = node->file;

	node->file = file_hold(place.file);
	node->line = place.line;
	node->column = place.column;
	ynode_file_drop(old);
}

struct ynode *ynode_new_text(const char *text, size_t length, int quoted, struct ynode_place place)
{
	struct ynode *node = ynode_new(YNODE_SCALAR, place);

	if (!node)
		return NULL;
	node->text = malloc(length + 1);
	if (!node->text) {
		ynode_free(node);
		return NULL;
	}
	memcpy(node->text, text, length);
	node->text[length] = '\0';
	node->quoted = quoted;
	return node;
}

void ynode_free(struct ynode *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++) {
		ynode_free(node->items[i]);
		if (node->keys)
			ynode_free(node->keys[i]);
	}
	free(node->items);
	free(node->keys);
	free(node->text);
	ynode_file_drop(node->file);
	free(node);
}

static int array_grow(struct ynode ***array, size_t count)
{
	struct ynode **grown;

	if (count & (count - 1))
		return 0;
	grown = realloc(*array, (count ? 2 * count : 1) * sizeof(*grown));
	if (!grown)
		return ENOMEM;
	*array = grown;
	return 0;
}

int ynode_nomem(struct err *err)
{
	return err_nomem(err, "a YAML node", sizeof(struct ynode));
}

int ynode_add(struct ynode *node, struct ynode *key, struct ynode *item, struct err *err)
{
	assert(item && (node->kind == YNODE_MAP) == (key != NULL));
	if (array_grow(&node->items, node->count) ||
	    (key && array_grow(&node->keys, node->count))) {
		ynode_free(key);
		ynode_free(item);
		return ynode_nomem(err);
	}
	if (key)
		node->keys[node->count] = key;
	node->items[node->count++] = item;
	return 0;
}

struct ynode *ynode_clone(const struct ynode *node)
{
	struct err ignored = {0};
	struct ynode *copy;

	if (node->kind == YNODE_SCALAR)
		return ynode_new_text(node->text, strlen(node->text), node->quoted, place_of(node));
	copy = ynode_new(node->kind, place_of(node));
	if (!copy)
		return NULL;
	for (size_t i = 0; i < node->count; i++) {
		struct ynode *item = ynode_clone(node->items[i]);
		struct ynode *key = node->keys ? ynode_clone(node->keys[i]) : NULL;

		if (!item || (node->keys && !key)) {
			ynode_free(item);
			ynode_free(key);
			goto fail;
		}
		if (ynode_add(copy, key, item, &ignored))
			goto fail;
	}
	return copy;
fail:
	ynode_free(copy);
	return NULL;
}

size_t ynode_size(const struct ynode *node)
{
	size_t count = 1;

	for (size_t i = 0; i < node->count; i++)
		count += ynode_size(node->items[i]) + (node->keys != NULL);
	return count;
}

size_t ynode_depth(const struct ynode *node)
{
	size_t deepest = 0;

	if (node->kind == YNODE_SCALAR)
		return 0;
	for (size_t i = 0; i < node->count; i++) {
		size_t depth = ynode_depth(node->items[i]);

		deepest = depth > deepest ? depth : deepest;
	}
	return 1 + deepest;
}

static size_t map_find(const struct ynode *map, const char *key, size_t length)
{
	size_t i;

	assert(map->kind == YNODE_MAP);
	for (i = 0; i < map->count; i++) {
		if (strncmp(map->keys[i]->text, key, length) == 0 &&
		    map->keys[i]->text[length] == '\0')
			break;
	}
	return i;
}

struct ynode *ynode_get(const struct ynode *map, const char *key)
{
	size_t i = map_find(map, key, strlen(key));

	return i < map->count ? map->items[i] : NULL;
}

struct ynode *ynode_at(const struct ynode *map, const char *path)
{
	const struct ynode *node = map;

	for (;;) {
		size_t length = strcspn(path, "."), i;

		if (node->kind != YNODE_MAP)
			return NULL;
		i = map_find(node, path, length);
		if (i == node->count)
			return NULL;
		if (path[length] == '\0')
			return node->items[i];
		node = node->items[i];
		path += length + 1;
	}
}

static int place_err_args(struct ynode_place place, struct err *err, const char *fmt, va_list args)
{
	char what[sizeof(err->msg)];

	vsnprintf(what, sizeof(what), fmt, args);
	return err_set(err, EINVAL, "%s:%d:%d: %s", place.file, place.line, place.column, what);
}

int ynode_place_err(struct ynode_place place, struct err *err, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = place_err_args(place, err, fmt, args);
	va_end(args);
	return rc;
}

int ynode_err(const struct ynode *node, struct err *err, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = place_err_args(place_of(node), err, fmt, args);
	va_end(args);
	return rc;
}

/* ---- overlaying ---- */

static struct ynode *origin_new(enum ynode_kind kind, const char *origin)
{
	const char *file = ynode_file_new(origin);
	struct ynode *node;

	if (!file)
		return NULL;
	node = ynode_new(kind, (struct ynode_place){file, 1, 1});
	ynode_file_drop(file);
	return node;
}

struct ynode *ynode_new_map(const char *origin)
{
	return origin_new(YNODE_MAP, origin);
}

struct ynode *ynode_new_list(const char *origin)
{
	return origin_new(YNODE_LIST, origin);
}

struct ynode *ynode_new_scalar(const char *origin, const char *text, int quoted)
{
	const char *file = ynode_file_new(origin);
	struct ynode *node;

	if (!file)
		return NULL;
	node = ynode_new_text(text, strlen(text), quoted || !yaml_plain_safe(text),
			      (struct ynode_place){file, 1, 1});
	ynode_file_drop(file);
	return node;
}

int ynode_append(struct ynode *list, struct ynode *item, struct err *err)
{
	assert(list->kind == YNODE_LIST);
	return ynode_add(list, NULL, item, err);
}

static const char *kind_name(const struct ynode *node)
{
	return node->kind == YNODE_MAP	  ? "a mapping"
	       : node->kind == YNODE_LIST ? "a list"
					  : "a value";
}

/* How many parts 'path' has; EINVAL for an empty part or one too long. */
static int path_check(const char *path, size_t *part_count, struct err *err)
{
	const char *part = path;

	*part_count = 0;
	for (;;) {
		size_t length = strcspn(part, ".");

		if (length == 0 || length > YNODE_KEY_MAX)
			return err_set(err, EINVAL, "'%.64s' is not a dotted path of keys", path);
		++*part_count;
		if (part[length] == '\0')
			return 0;
		part += length + 1;
	}
}

/* Where the part of 'path' before 'tail' begins, or NULL at the first part. */
static const char *path_back(const char *path, const char *tail)
{
	if (tail == path)
		return NULL;
	tail--;
	while (tail > path && tail[-1] != '.')
		tail--;
	return tail;
}

/* 'value' under a map for each part of 'path' after the first; takes 'value'. NULL: no memory. */
static struct ynode *path_wrap(const char *path, struct ynode *value)
{
	const char *tail = path + strlen(path) + 1;
	struct err ignored = {0};

	while ((tail = path_back(path, tail)) != NULL && tail != path) {
		struct ynode_place place = place_of(value);
		struct ynode *key = ynode_new_text(tail, strcspn(tail, "."), 0, place);
		struct ynode *map = ynode_new(YNODE_MAP, place);

		if (!key || !map) {
			ynode_free(key);
			ynode_free(map);
			ynode_free(value);
			return NULL;
		}
		if (ynode_add(map, key, value, &ignored)) {
			ynode_free(map);
			return NULL;
		}
		value = map;
	}
	return value;
}

/* Under the first key of 'path', which 'map' may have or not; takes 'value'. */
static int path_attach(struct ynode *map, const char *path, struct ynode *value, struct err *err)
{
	size_t length = strcspn(path, ".");
	size_t at = map_find(map, path, length);
	struct ynode *key;

	value = path_wrap(path, value);
	if (!value)
		return ynode_nomem(err);
	if (at < map->count) {
		ynode_free(map->items[at]);
		map->items[at] = value;
		return 0;
	}
	key = ynode_new_text(path, length, 0, place_of(value));
	if (!key) {
		ynode_free(value);
		return ynode_nomem(err);
	}
	key->quoted = !yaml_plain_safe(key->text);
	return ynode_add(map, key, value, err);
}

int ynode_put(struct ynode *map, const char *path, struct ynode *value, struct err *err)
{
	size_t part_count, length;
	const char *rest = path;
	int rc;

	assert(map->kind == YNODE_MAP && value);
	rc = path_check(path, &part_count, err);
	if (rc)
		goto fail;
	if (part_count + ynode_depth(value) > YNODE_DEPTH_MAX) {
		rc = err_set(err, EINVAL, "'%.64s' nests deeper than %d levels", path,
			     YNODE_DEPTH_MAX);
		goto fail;
	}
	for (; length = strcspn(rest, "."), rest[length] == '.'; rest += length + 1) {
		size_t at = map_find(map, rest, length);

		if (at == map->count)
			break;
		map = map->items[at];
		if (map->kind != YNODE_MAP) {
			rc = err_set(err, EINVAL, "'%.64s': %.*s is %s (%s:%d:%d), not a mapping",
				     path, (int)(rest + length - path), path, kind_name(map),
				     map->file, map->line, map->column);
			goto fail;
		}
	}
	return path_attach(map, rest, value, err);
fail:
	ynode_free(value);
	return rc;
}

void ynode_remove(struct ynode *map, const char *key)
{
	size_t at = map_find(map, key, strlen(key)), tail;

	if (at == map->count)
		return;
	ynode_free(map->keys[at]);
	ynode_free(map->items[at]);
	tail = --map->count - at;
	memmove(map->keys + at, map->keys + at + 1, tail * sizeof(*map->keys));
	memmove(map->items + at, map->items + at + 1, tail * sizeof(*map->items));
}

/* What 'node' holds becomes a copy of 'over'; the node itself stays where it is. */
static int node_replace(struct ynode *node, const struct ynode *over, struct err *err)
{
	struct ynode *copy = ynode_clone(over), old = *node;

	if (!copy)
		return ynode_nomem(err);
	*node = *copy;
	*copy = old;
	ynode_free(copy);
	return 0;
}

static int pair_merge(struct ynode *base, const struct ynode *key, const struct ynode *over,
		      struct err *err)
{
	size_t at = map_find(base, key->text, strlen(key->text));
	struct ynode *new_key, *item;

	if (at < base->count)
		return ynode_merge(base->items[at], over, err);
	new_key = ynode_clone(key);
	item = ynode_clone(over);
	if (!new_key || !item) {
		ynode_free(new_key);
		ynode_free(item);
		return ynode_nomem(err);
	}
	return ynode_add(base, new_key, item, err);
}

int ynode_merge(struct ynode *base, const struct ynode *over, struct err *err)
{
	if (base->kind != YNODE_MAP || over->kind != YNODE_MAP)
		return node_replace(base, over, err);
	for (size_t i = 0; i < over->count; i++) {
		int rc = pair_merge(base, over->keys[i], over->items[i], err);

		if (rc)
			return rc;
	}
	ynode_move(base, place_of(over));
	return 0;
}
