/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ynode.h - how nodes are made; for yaml.c and ynode.c alone, everybody else includes yaml.h */
#ifndef FLASH_YNODE_H
#define FLASH_YNODE_H

#include "yaml.h"

enum {
	YNODE_DEPTH_MAX = 64, /* lists and maps inside each other */
	YNODE_KEY_MAX = 128,  /* bytes; written with escapes it still is a "simple key" of YAML */
};

/* The name of a file, shared by its nodes and counted: starts at one holder. NULL: no memory. */
const char *ynode_file_new(const char *name);
void ynode_file_drop(const char *name); /* NULL is fine */

struct ynode_place {
	const char *file; /* of ynode_file_new() */
	int line, column;
};

/* New nodes at a place; they hold its file. NULL: no memory. */
struct ynode *ynode_new(enum ynode_kind kind, struct ynode_place place);
struct ynode *ynode_new_text(const char *text, size_t length, int quoted, struct ynode_place place);
/* From here on 'node', and nothing below it, answers with this place. */
void ynode_move(struct ynode *node, struct ynode_place place);

/* Add to a list (key NULL) or map.  Both are owned by 'node' from here on, freed on ENOMEM. */
MUST_CHECK int ynode_add(struct ynode *node, struct ynode *key, struct ynode *item,
			 struct err *err);

size_t ynode_size(const struct ynode *node);  /* nodes in the tree, keys too */
size_t ynode_depth(const struct ynode *node); /* lists and maps inside each other; a scalar: 0 */

/* As ynode_err() for what is no node yet. */
int ynode_place_err(struct ynode_place place, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
int ynode_nomem(struct err *err);

/* Whether 'text' unquoted, in block style, is read back as it is (yaml.c). */
int yaml_plain_safe(const char *text);

#endif
