/* SPDX-License-Identifier: GPL-3.0-or-later */
/* yaml.c - libyaml's events become our nodes; nodes become canonical text
 *
 * A file's name is shared by its nodes and counted, since nodes outlive their document when they
 * are cloned or merged into another.  Arrays grow at powers of two, so that 'count' alone says
 * when. */
#include "yaml.h"

#include FLASH_LIBYAML_H /* libyaml's yaml.h, see CMakeLists.txt */

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 64,
	NODES_MAX = 100000,
	ANCHORS_MAX = 1000,
	KEY_MAX = 128,
	BYTES_MAX = 64 << 20,
};

/* ---- file names -------------------------------------------------------------------------------
 */

struct file_name {
	atomic_uint refs;
	char text[];
};

static struct file_name *file_of(const char *name)
{
	return (struct file_name *)(void *)((uintptr_t)name - offsetof(struct file_name, text));
}

static const char *file_new(const char *name)
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

static void file_drop(const char *name)
{
	if (name && atomic_fetch_sub(&file_of(name)->refs, 1) == 1)
		free(file_of(name));
}

/* ---- nodes ------------------------------------------------------------------------------------
 */

struct place {
	const char *file; /* counted */
	int line, column;
};

static struct place place_of(const struct ynode *node)
{
	return (struct place){node->file, node->line, node->column};
}

static struct ynode *node_new(enum ynode_kind kind, struct place place)
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

static void node_move(struct ynode *node, struct place place)
{
	const char *old = node->file;

	node->file = file_hold(place.file);
	node->line = place.line;
	node->column = place.column;
	file_drop(old);
}

static struct ynode *scalar_new(const char *text, size_t length, int quoted, struct place place)
{
	struct ynode *node = node_new(YNODE_SCALAR, place);

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
	file_drop(node->file);
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

/* Takes key and item, also when it fails. */
static int node_add(struct ynode *node, struct ynode *key, struct ynode *item)
{
	assert(item && (node->kind == YNODE_MAP) == (key != NULL));
	if (array_grow(&node->items, node->count) ||
	    (key && array_grow(&node->keys, node->count))) {
		ynode_free(key);
		ynode_free(item);
		return ENOMEM;
	}
	if (key)
		node->keys[node->count] = key;
	node->items[node->count++] = item;
	return 0;
}

struct ynode *ynode_clone(const struct ynode *node)
{
	struct ynode *copy;

	if (node->kind == YNODE_SCALAR)
		return scalar_new(node->text, strlen(node->text), node->quoted, place_of(node));
	copy = node_new(node->kind, place_of(node));
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
		if (node_add(copy, key, item))
			goto fail;
	}
	return copy;
fail:
	ynode_free(copy);
	return NULL;
}

static size_t node_count(const struct ynode *node)
{
	size_t count = 1;

	for (size_t i = 0; i < node->count; i++)
		count += node_count(node->items[i]) + (node->keys != NULL);
	return count;
}

static size_t node_depth(const struct ynode *node)
{
	size_t deepest = 0;

	for (size_t i = 0; i < node->count; i++) {
		size_t depth = node_depth(node->items[i]);

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

int ynode_err(const struct ynode *node, struct err *err, const char *fmt, ...)
{
	char what[sizeof(err->msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return err_set(err, EINVAL, "%s:%d:%d: %s", node->file, node->line, node->column, what);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------
 */

/* One code point; returns its bytes, 0 for what is no UTF-8 (overlong, surrogate, cut off). */
static size_t utf8_decode(uint32_t *code, const unsigned char *text, size_t length)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = text[0] < 0x80		 ? 1
		      : (text[0] & 0xe0) == 0xc0 ? 2
		      : (text[0] & 0xf0) == 0xe0 ? 3
		      : (text[0] & 0xf8) == 0xf0 ? 4
						 : 0;

	if (size == 0 || size > length)
		return 0;
	*code = size == 1 ? text[0] : text[0] & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	if (*code < least[size] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return size;
}

/* What YAML lets stand in a file as it is. */
static int code_printable(uint32_t code)
{
	return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code <= 0x7e) ||
	       code == 0x85 || (code >= 0xa0 && code <= 0xfffd) || code >= 0x10000;
}

static int code_breaks_line(uint32_t code)
{
	return code == '\n' || code == '\r' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* libyaml would refuse these too, but without a line and column. */
static int text_check(const char *text, size_t length, const char *file, struct err *err)
{
	const unsigned char *bytes = (const unsigned char *)text;
	int line = 1, column = 1;

	for (size_t at = 0, size; at < length; at += size) {
		uint32_t code = 0;

		size = utf8_decode(&code, bytes + at, length - at);
		if (size == 0)
			return err_set(err, EINVAL, "%s:%d:%d: byte 0x%02X is not UTF-8", file,
				       line, column, bytes[at]);
		if (!code_printable(code))
			return err_set(err, EINVAL, "%s:%d:%d: control character 0x%02X", file,
				       line, column, (unsigned)code);
		column++;
		if (code_breaks_line(code) &&
		    !(code == '\r' && at + 1 < length && bytes[at + 1] == '\n')) {
			line++;
			column = 1;
		}
	}
	return 0;
}

/* ---- parsing ----------------------------------------------------------------------------------
 */

struct frame {
	struct ynode *node; /* an open list or map, already in the tree */
	struct ynode *key;  /* map: waits for its value */
};

struct anchor {
	char *name;
	const struct ynode *node;
};

struct builder {
	yaml_parser_t parser;
	const char *file; /* counted */
	int column_base;  /* of line 1: the text may be the tail of an argument */
	int document_count;
	size_t node_count, depth, anchor_count;
	struct ynode *root;
	struct frame frames[DEPTH_MAX];
	struct anchor anchors[ANCHORS_MAX];
};

static struct place mark_place(const struct builder *b, yaml_mark_t mark)
{
	int column = (int)mark.column + 1 + (mark.line == 0 ? b->column_base : 0);

	return (struct place){b->file, (int)mark.line + 1, column};
}

static int place_err(struct place place, struct err *err, const char *what)
{
	return err_set(err, EINVAL, "%s:%d:%d: %s", place.file, place.line, place.column, what);
}

static int builder_nomem(struct err *err)
{
	return err_nomem(err, "a YAML node", sizeof(struct ynode));
}

static int parser_err(const struct builder *b, struct err *err)
{
	const yaml_parser_t *parser = &b->parser;
	struct place at = mark_place(b, parser->problem_mark);
	struct place from = mark_place(b, parser->context_mark);
	const char *problem = parser->problem ? parser->problem : "bad YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return builder_nomem(err);
	if (!parser->context)
		return place_err(at, err, problem);
	return err_set(err, EINVAL, "%s:%d:%d: %s (%s from %d:%d)", at.file, at.line, at.column,
		       problem, parser->context, from.line, from.column);
}

static int take_anchor(struct builder *b, const yaml_char_t *name, const struct ynode *node,
		       struct err *err)
{
	struct anchor *anchor = &b->anchors[b->anchor_count];
	size_t size;

	if (!name)
		return 0;
	if (b->anchor_count == ANCHORS_MAX)
		return ynode_err(node, err, "more than %d anchors", ANCHORS_MAX);
	size = strlen((const char *)name) + 1;
	anchor->name = malloc(size);
	if (!anchor->name)
		return err_nomem(err, "an anchor", size);
	memcpy(anchor->name, name, size);
	anchor->node = node;
	b->anchor_count++;
	return 0;
}

/* A key waits in its frame; it must be one that ynode_write() can write back on one line. */
static int take_key(struct frame *top, struct ynode *node, struct err *err)
{
	int rc = 0;

	if (node->kind != YNODE_SCALAR)
		rc = ynode_err(node, err, "a key must be plain text, got a %s",
			       node->kind == YNODE_LIST ? "list" : "mapping");
	else if (node->text[0] == '\0')
		rc = ynode_err(node, err, "a key is empty");
	else if (strlen(node->text) > KEY_MAX)
		rc = ynode_err(node, err, "a key is longer than %d bytes", KEY_MAX);
	if (rc)
		ynode_free(node);
	else
		top->key = node;
	return rc;
}

/* Puts a node where it belongs; takes it, also on failure. */
static int take_node(struct builder *b, struct ynode *node, struct err *err)
{
	struct frame *top = b->depth ? &b->frames[b->depth - 1] : NULL;
	struct ynode *key;

	if (!top) {
		b->root = node;
		return 0;
	}
	if (top->node->kind == YNODE_MAP && !top->key)
		return take_key(top, node, err);
	key = top->key;
	top->key = NULL;
	return node_add(top->node, key, node) ? builder_nomem(err) : 0;
}

static int nodes_check(struct builder *b, size_t more, struct place place, struct err *err)
{
	b->node_count += more;
	if (b->node_count > NODES_MAX)
		return err_set(err, EINVAL, "%s:%d:%d: more than %d nodes", place.file, place.line,
			       place.column, NODES_MAX);
	return 0;
}

static int tag_check(const yaml_char_t *tag, struct place place, struct err *err)
{
	if (!tag)
		return 0;
	return err_set(err, EINVAL, "%s:%d:%d: tag '%.64s': tags are not used here", place.file,
		       place.line, place.column, (const char *)tag);
}

static int plain_safe(const char *text);

static int take_scalar(struct builder *b, const yaml_event_t *event, struct err *err)
{
	struct place place = mark_place(b, event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	int quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	struct ynode *node;

	if (tag_check(event->data.scalar.tag, place, err) || nodes_check(b, 1, place, err))
		return err->code;
	if (memchr(text, '\0', length))
		return place_err(place, err, "text holds a NUL character");
	node = scalar_new(text, length, quoted, place);
	if (!node)
		return builder_nomem(err);
	if (length > 0 && !plain_safe(node->text))
		node->quoted = 1; /* plain over several lines: text and nothing else */
	if (take_anchor(b, event->data.scalar.anchor, node, err)) {
		ynode_free(node);
		return err->code;
	}
	return take_node(b, node, err);
}

static int take_open(struct builder *b, const yaml_event_t *event, struct err *err)
{
	int is_map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *tag =
		is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	const yaml_char_t *anchor =
		is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	struct place place = mark_place(b, event->start_mark);
	struct ynode *node;

	if (tag_check(tag, place, err) || nodes_check(b, 1, place, err))
		return err->code;
	if (b->depth == DEPTH_MAX)
		return err_set(err, EINVAL, "%s:%d:%d: nested deeper than %d levels", place.file,
			       place.line, place.column, DEPTH_MAX);
	node = node_new(is_map ? YNODE_MAP : YNODE_LIST, place);
	if (!node)
		return builder_nomem(err);
	if (take_anchor(b, anchor, node, err)) {
		ynode_free(node);
		return err->code;
	}
	if (take_node(b, node, err))
		return err->code;
	b->frames[b->depth++] = (struct frame){node, NULL};
	return 0;
}

static int key_compare(const void *a, const void *b)
{
	const struct ynode *x = *(struct ynode *const *)a, *y = *(struct ynode *const *)b;
	int order = strcmp(x->text, y->text);

	if (order == 0)
		order = (x->line > y->line) - (x->line < y->line);
	if (order == 0)
		order = (x->column > y->column) - (x->column < y->column);
	return order;
}

static int key_before(const struct ynode *a, const struct ynode *b)
{
	return a->line < b->line || (a->line == b->line && a->column < b->column);
}

/* Sorted, so that a map of 50,000 keys is no trap; the first repetition in the text is named. */
static int keys_check(const struct ynode *map, struct err *err)
{
	const struct ynode *again = NULL, *first = NULL;
	struct ynode **sorted;

	if (map->count < 2)
		return 0;
	sorted = malloc(map->count * sizeof(*sorted));
	if (!sorted)
		return err_nomem(err, "a mapping's keys", map->count * sizeof(*sorted));
	memcpy(sorted, map->keys, map->count * sizeof(*sorted));
	qsort(sorted, map->count, sizeof(*sorted), key_compare);
	for (size_t i = 1; i < map->count; i++) {
		if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0 &&
		    (!again || key_before(sorted[i], again))) {
			first = sorted[i - 1];
			again = sorted[i];
		}
	}
	free(sorted);
	if (!again)
		return 0;
	if (first->line == again->line)
		return ynode_err(again, err, "key %s repeats (first at column %d)", again->text,
				 first->column);
	return ynode_err(again, err, "key %s repeats (first at line %d)", again->text, first->line);
}

static int take_close(struct builder *b, struct err *err)
{
	const struct ynode *node = b->frames[--b->depth].node;

	return node->kind == YNODE_MAP ? keys_check(node, err) : 0;
}

static int anchor_is_open(const struct builder *b, const struct ynode *node)
{
	for (size_t i = 0; i < b->depth; i++) {
		if (b->frames[i].node == node)
			return 1;
	}
	return 0;
}

/* An alias is a copy, counted before it is made: aliases of aliases grow exponentially. */
static int take_alias(struct builder *b, const yaml_event_t *event, struct err *err)
{
	struct place place = mark_place(b, event->start_mark);
	const char *name = (const char *)event->data.alias.anchor;
	const struct ynode *node;
	struct ynode *copy;
	size_t i = b->anchor_count;

	while (i > 0 && strcmp(b->anchors[i - 1].name, name) != 0)
		i--;
	if (i == 0)
		return err_set(err, EINVAL, "%s:%d:%d: alias *%.64s: no such anchor before it",
			       place.file, place.line, place.column, name);
	node = b->anchors[i - 1].node;
	if (anchor_is_open(b, node))
		return err_set(err, EINVAL, "%s:%d:%d: alias *%.64s stands inside its own anchor",
			       place.file, place.line, place.column, name);
	if (nodes_check(b, node_count(node), place, err))
		return err->code;
	if (b->depth + node_depth(node) > DEPTH_MAX + (node->kind == YNODE_SCALAR))
		return err_set(err, EINVAL, "%s:%d:%d: nested deeper than %d levels", place.file,
			       place.line, place.column, DEPTH_MAX);
	copy = ynode_clone(node);
	if (!copy)
		return builder_nomem(err);
	node_move(copy, place);
	return take_node(b, copy, err);
}

static int take_event(struct builder *b, const yaml_event_t *event, struct err *err)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->document_count++ > 0)
			return place_err(mark_place(b, event->start_mark), err,
					 "a second document starts here, a file holds one");
		return 0;
	case YAML_SCALAR_EVENT:
		return take_scalar(b, event, err);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return take_open(b, event, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return take_close(b, err);
	case YAML_ALIAS_EVENT:
		return take_alias(b, event, err);
	default:
		return 0;
	}
}

static int builder_run(struct builder *b, struct err *err)
{
	int done = 0, rc = 0;

	while (!done && rc == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&b->parser, &event))
			return parser_err(b, err);
		done = event.type == YAML_STREAM_END_EVENT;
		rc = take_event(b, &event, err);
		yaml_event_delete(&event);
	}
	return rc;
}

/* An empty document, or one with nothing but comments, is an empty map. */
static int builder_root(struct builder *b, struct err *err)
{
	if (b->root && !(b->root->kind == YNODE_SCALAR && !b->root->quoted && !b->root->text[0]))
		return 0;
	ynode_free(b->root);
	b->root = node_new(YNODE_MAP, (struct place){b->file, 1, 1 + b->column_base});
	return b->root ? 0 : builder_nomem(err);
}

static void builder_fini(struct builder *b)
{
	for (size_t i = 0; i < b->depth; i++)
		ynode_free(b->frames[i].key);
	for (size_t i = 0; i < b->anchor_count; i++)
		free(b->anchors[i].name);
	ynode_free(b->root);
	file_drop(b->file);
	free(b);
}

struct source {
	const char *text;
	size_t length;
	const char *file;
	int column_base;
};

static int source_parse(struct ynode **out, struct source source, struct err *err)
{
	struct builder *b;
	int rc;

	if (source.length > BYTES_MAX)
		return err_set(err, EINVAL, "%s: larger than %d MiB", source.file, BYTES_MAX >> 20);
	if (source.length >= 3 && memcmp(source.text, "\xef\xbb\xbf", 3) == 0) {
		source.text += 3;
		source.length -= 3;
	}
	rc = text_check(source.text, source.length, source.file, err);
	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_nomem(err, "a YAML parser", sizeof(*b));
	b->column_base = source.column_base;
	b->file = file_new(source.file);
	if (!b->file || !yaml_parser_initialize(&b->parser)) {
		builder_fini(b);
		return err_nomem(err, "a YAML parser", sizeof(*b));
	}
	yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b->parser, (const unsigned char *)source.text, source.length);
	rc = builder_run(b, err);
	if (rc == 0)
		rc = builder_root(b, err);
	if (rc == 0) {
		*out = b->root;
		b->root = NULL;
	}
	yaml_parser_delete(&b->parser);
	builder_fini(b);
	return rc;
}

int yaml_parse(struct ynode **out, const char *text, const char *file, struct err *err)
{
	return source_parse(out, (struct source){text, strlen(text), file, 0}, err);
}

/* All of a stream, at most one byte over the limit, so that /dev/zero ends too. */
static int stream_read(char **text, size_t *length, FILE *in, const char *path, struct err *err)
{
	size_t size = 1 << 14, used = 0;
	char *buffer = NULL;

	for (;;) {
		char *grown = realloc(buffer, size);

		if (!grown) {
			free(buffer);
			return err_nomem(err, path, size);
		}
		buffer = grown;
		used += fread(buffer + used, 1, size - used, in);
		if (ferror(in)) {
			free(buffer);
			return err_errno(err, "cannot read '%s'", path);
		}
		if (used < size || used > BYTES_MAX)
			break;
		size *= 2;
	}
	*text = buffer;
	*length = used;
	return 0;
}

int yaml_load(struct ynode **out, const char *path, struct err *err)
{
	FILE *in = fopen(path, "rb");
	size_t length = 0;
	char *text = NULL;
	int rc;

	if (!in)
		return err_errno(err, "cannot read '%s'", path);
	rc = stream_read(&text, &length, in, path, err);
	fclose(in);
	if (rc)
		return rc;
	rc = source_parse(out, (struct source){text, length, path, 0}, err);
	free(text);
	return rc;
}

/* ---- building and overlaying ------------------------------------------------------------------
 */

static struct ynode *origin_new(enum ynode_kind kind, const char *origin)
{
	const char *file = file_new(origin);
	struct ynode *node;

	if (!file)
		return NULL;
	node = node_new(kind, (struct place){file, 1, 1});
	file_drop(file);
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
	const char *file = file_new(origin);
	struct ynode *node;

	if (!file)
		return NULL;
	node = scalar_new(text, strlen(text), quoted || !plain_safe(text),
			  (struct place){file, 1, 1});
	file_drop(file);
	return node;
}

int ynode_append(struct ynode *list, struct ynode *item, struct err *err)
{
	assert(list->kind == YNODE_LIST);
	return node_add(list, NULL, item) ? builder_nomem(err) : 0;
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

		if (length == 0 || length > KEY_MAX)
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

	while ((tail = path_back(path, tail)) != NULL && tail != path) {
		struct place place = place_of(value);
		struct ynode *key = scalar_new(tail, strcspn(tail, "."), 0, place);
		struct ynode *map = node_new(YNODE_MAP, place);

		if (!key || !map) {
			ynode_free(key);
			ynode_free(map);
			ynode_free(value);
			return NULL;
		}
		if (node_add(map, key, value)) {
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
		return builder_nomem(err);
	if (at < map->count) {
		ynode_free(map->items[at]);
		map->items[at] = value;
		return 0;
	}
	key = scalar_new(path, length, 0, place_of(value));
	if (!key) {
		ynode_free(value);
		return builder_nomem(err);
	}
	key->quoted = !plain_safe(key->text);
	return node_add(map, key, value) ? builder_nomem(err) : 0;
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
	if (part_count + node_depth(value) > DEPTH_MAX + (value->kind == YNODE_SCALAR)) {
		rc = err_set(err, EINVAL, "'%.64s' nests deeper than %d levels", path, DEPTH_MAX);
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
		return builder_nomem(err);
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
		return builder_nomem(err);
	}
	return node_add(base, new_key, item) ? builder_nomem(err) : 0;
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
	node_move(base, place_of(over));
	return 0;
}

int ynode_set_arg(struct ynode *map, const char *arg, struct err *err)
{
	size_t length = strcspn(arg, "=");
	struct ynode *value = NULL;
	char *path;
	int rc;

	if (length == 0 || arg[length] == '\0')
		return err_set(err, EINVAL, "--set '%.64s': wanted key=value", arg);
	if (arg[length + 1 + strspn(arg + length + 1, " \t\r\n")] == '\0')
		return err_set(err, EINVAL, "--set '%.64s': no value (empty text is \"\")", arg);
	path = malloc(length + 1);
	if (!path)
		return err_nomem(err, "--set", length + 1);
	memcpy(path, arg, length);
	path[length] = '\0';
	rc = source_parse(&value,
			  (struct source){arg + length + 1, strlen(arg + length + 1), "--set",
					  (int)length + 1},
			  err);
	if (rc == 0)
		rc = ynode_put(map, path, value, err);
	free(path);
	return rc ? err_where(err, "--set '%.64s'", arg) : 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int plain_start(const char *text)
{
	if (strchr(",[]{}#&*!|>'\"%@`", text[0]) || is_blank(text[0]))
		return 0;
	if (strncmp(text, "---", 3) == 0 || strncmp(text, "...", 3) == 0)
		return 0;
	return !strchr("-?:", text[0]) || (text[1] && !is_blank(text[1]));
}

/* Whether 'text' unquoted, in block style, is read back as it is. */
static int plain_safe(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t length = strlen(text);

	if (length == 0)
		return 1;
	if (!plain_start(text) || is_blank(text[length - 1]))
		return 0;
	for (size_t at = 0, size; at < length; at += size) {
		uint32_t code = 0;
		char next;

		size = utf8_decode(&code, bytes + at, length - at);
		if (size == 0 || !code_printable(code) || code_breaks_line(code) || code == 0xfeff)
			return 0;
		next = text[at + 1];
		if (text[at] == ':' && (next == '\0' || is_blank(next)))
			return 0;
		if (is_blank(text[at]) && next == '#')
			return 0;
	}
	return 1;
}

static void code_write(uint32_t code, const char *bytes, size_t size, FILE *out)
{
	if (code == '"' || code == '\\')
		fprintf(out, "\\%c", (char)code);
	else if (code == '\n')
		fputs("\\n", out);
	else if (code == '\t')
		fputs("\\t", out);
	else if (code_printable(code) && !code_breaks_line(code) && code != 0xfeff)
		fwrite(bytes, 1, size, out);
	else
		fprintf(out, code <= 0xff ? "\\x%02X" : "\\u%04X", (unsigned)code);
}

static void quoted_write(const char *text, FILE *out)
{
	size_t length = strlen(text);

	fputc('"', out);
	for (size_t at = 0, size; at < length; at += size) {
		uint32_t code = 0;

		size = utf8_decode(&code, (const unsigned char *)text + at, length - at);
		if (size == 0) { /* no file gives such a text; keep the output readable */
			code = 0xfffd;
			size = 1;
			fputs("\\uFFFD", out);
		} else {
			code_write(code, text + at, size, out);
		}
	}
	fputc('"', out);
}

static void scalar_write(const struct ynode *node, FILE *out)
{
	if (node->quoted)
		quoted_write(node->text, out);
	else
		fputs(node->text, out);
}

static void indent_write(int indent, FILE *out)
{
	fprintf(out, "%*s", indent, "");
}

static void block_write(const struct ynode *node, int indent, FILE *out);

/* What follows "key:" or "-": on the same line, or a block of its own. */
static void value_write(const struct ynode *node, int indent, int in_list, FILE *out)
{
	if (node->kind != YNODE_SCALAR && node->count > 0) {
		fputc(in_list ? ' ' : '\n', out);
		if (!in_list)
			indent_write(indent, out);
		block_write(node, indent, out);
		return;
	}
	if (node->kind != YNODE_SCALAR)
		fputs(node->kind == YNODE_MAP ? " {}" : " []", out);
	else if (node->text[0] || node->quoted)
		fputc(' ', out), scalar_write(node, out);
	fputc('\n', out);
}

/* Entries at 'indent'; the first one's indentation stands already. */
static void block_write(const struct ynode *node, int indent, FILE *out)
{
	for (size_t i = 0; i < node->count; i++) {
		if (i > 0)
			indent_write(indent, out);
		if (node->kind == YNODE_LIST) {
			fputc('-', out);
			value_write(node->items[i], indent + 2, 1, out);
		} else {
			scalar_write(node->keys[i], out);
			fputc(':', out);
			value_write(node->items[i], indent + 2, 0, out);
		}
	}
}

void ynode_write(const struct ynode *node, FILE *out)
{
	if (node->kind != YNODE_SCALAR && node->count > 0) {
		block_write(node, 0, out);
		return;
	}
	if (node->kind == YNODE_SCALAR)
		scalar_write(node, out);
	else
		fputs(node->kind == YNODE_MAP ? "{}" : "[]", out);
	fputc('\n', out);
}

int ynode_text(char **text, const struct ynode *node, struct err *err)
{
	char *buffer = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&buffer, &size);
	int failed;

	if (!out)
		return err_nomem(err, "a YAML text", 0);
	ynode_write(node, out);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(buffer);
		return err_nomem(err, "a YAML text", size);
	}
	*text = buffer;
	return 0;
}
