/* SPDX-License-Identifier: GPL-3.0-or-later */
/* yaml.h - YAML documents as trees whose every node knows its file, line and column
 *
 * Read with libyaml, then kept as our own nodes, so that a document can be overlaid (--set, sweeps,
 * `base:` includes) while each value still answers where it was written.  Anchors and aliases are
 * resolved; tags, several documents in one file, and repeated keys are refused.  Depth is limited
 * to 64, a document to 100,000 nodes (an alias counts as what it stands for), 1,000 anchors and 64
 * MiB, a key to 128 bytes. */
#ifndef FLASH_YAML_H
#define FLASH_YAML_H

#include "err.h"

#include <stddef.h>
#include <stdio.h>

enum ynode_kind { YNODE_SCALAR, YNODE_LIST, YNODE_MAP };

/* Read-only for everybody but yaml.c. */
struct ynode {
	enum ynode_kind kind;
	const char *file; /* or "--set", or an origin; lives as long as any node that has it */
	int line, column; /* of the value, from 1 */
	char *text;	  /* scalar: its text; else NULL */
	int quoted;	  /* scalar: was in quotes or a block, so it is text and nothing else */
	size_t count;	  /* list: items; map: pairs */
	struct ynode **items;
	struct ynode **keys; /* map: scalars, same order as items */
};

/* Load a file or a text (named 'file' in messages).  *out is the root (an empty document is an
 * empty map); the caller frees it with ynode_free().  EINVAL with "file:line:column: ..." for bad
 * YAML. */
MUST_CHECK int yaml_load(struct ynode **out, const char *path, struct err *err);
MUST_CHECK int yaml_parse(struct ynode **out, const char *text, const char *file, struct err *err);

void ynode_free(struct ynode *node);		     /* deep; NULL is fine */
struct ynode *ynode_clone(const struct ynode *node); /* deep; NULL: out of memory */

/* New nodes that no file holds; 'origin' stands for the file in messages, line and column are 1.
 * A scalar that YAML could not give back unquoted becomes quoted.  NULL: out of memory. */
struct ynode *ynode_new_map(const char *origin);
struct ynode *ynode_new_list(const char *origin);
struct ynode *ynode_new_scalar(const char *origin, const char *text, int quoted);
/* Add to a list's end; 'item' is owned by 'list' from here on, freed on failure (ENOMEM). */
MUST_CHECK int ynode_append(struct ynode *list, struct ynode *item, struct err *err);

/* The value of 'key', or NULL.  'map' must be a map. */
struct ynode *ynode_get(const struct ynode *map, const char *key);
/* As ynode_get() along "a.b.c"; NULL when any part is missing or no map. */
struct ynode *ynode_at(const struct ynode *map, const char *path);
/* Put 'value' (owned by 'map' from here on, freed on failure) at dotted 'path', making maps on the
 * way and replacing what stands there.  EINVAL when the path runs through a scalar or a list; on
 * any failure 'map' is as it was. */
MUST_CHECK int ynode_put(struct ynode *map, const char *path, struct ynode *value, struct err *err);
/* Remove a key; 0 whether or not it was there. */
void ynode_remove(struct ynode *map, const char *key);
/* Deep overlay: maps merge key by key, anything else in 'over' replaces what stands in 'base'.  A
 * merged map answers with the place of 'over'.  ENOMEM may leave 'base' merged in part. */
MUST_CHECK int ynode_merge(struct ynode *base, const struct ynode *over, struct err *err);

/* "key=value" of --set, the value read as YAML; columns count from the argument's start.  EINVAL
 * names the argument. */
MUST_CHECK int ynode_set_arg(struct ynode *map, const char *arg, struct err *err);

/* err_set(EINVAL) with "file:line:column: " of the node in front.  Returns EINVAL (or the first
 * code). */
int ynode_err(const struct ynode *node, struct err *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Canonical text: block style, keys in their order, strings quoted where they must be. yaml_parse()
 * of it gives an equal tree.  EIO and friends from the stream are the caller's to check. */
void ynode_write(const struct ynode *node, FILE *out);
/* The same into memory: *text is the caller's to free(). */
MUST_CHECK int ynode_text(char **text, const struct ynode *node, struct err *err);

#endif
