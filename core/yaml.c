/* SPDX-License-Identifier: GPL-3.0-or-later */
/* yaml.c - text to trees by libyaml's events, and trees to canonical text */
#include "yaml.h"
#include "ynode.h"

#include FLASH_LIBYAML_H /* libyaml's yaml.h, see CMakeLists.txt */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	NODES_MAX = 100000,
	ANCHORS_MAX = 1000,
	BYTES_MAX = 64 << 20,
};

/* ---- characters ---- */

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
int yaml_plain_safe(const char *text)
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

/* ---- parsing ---- */

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
	const char *text;
	size_t length;
	const char *file; /* of ynode_file_new() */
	int column_base;  /* of line 1: the text may be the tail of an argument */
	int document_count;
	size_t node_count, depth, anchor_count;
	struct ynode *root;
	struct frame frames[YNODE_DEPTH_MAX];
	struct anchor anchors[ANCHORS_MAX];
};

static struct ynode_place mark_place(const struct builder *b, yaml_mark_t mark)
{
	int column = (int)mark.column + 1 + (mark.line == 0 ? b->column_base : 0);

	return (struct ynode_place){b->file, (int)mark.line + 1, column};
}

/* Whether the character at a mark is a tab: the one mistake that an editor hides. */
static int mark_is_tab(const struct builder *b, yaml_mark_t mark)
{
	const char *at = b->text, *end = b->text + b->length;

	for (size_t i = 0; i < mark.index && at < end; i++) {
		uint32_t code;

		at += utf8_decode(&code, (const unsigned char *)at, (size_t)(end - at));
	}
	return at < end && *at == '\t';
}

static int parser_err(const struct builder *b, struct err *err)
{
	const yaml_parser_t *parser = &b->parser;
	struct ynode_place at = mark_place(b, parser->problem_mark);
	struct ynode_place from = mark_place(b, parser->context_mark);
	const char *problem = parser->problem ? parser->problem : "bad YAML";
	const char *tab = "";

	if (parser->error == YAML_MEMORY_ERROR)
		return ynode_nomem(err);
	if (parser->error == YAML_SCANNER_ERROR && mark_is_tab(b, parser->problem_mark))
		tab = " (a tab: indent with spaces)";
	if (!parser->context || (at.line == from.line && at.column == from.column))
		return ynode_place_err(at, err, "%s%s", problem, tab);
	return ynode_place_err(at, err, "%s%s (%s from %d:%d)", problem, tab, parser->context,
			       from.line, from.column);
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
	else if (strlen(node->text) > YNODE_KEY_MAX)
		rc = ynode_err(node, err, "a key is longer than %d bytes", YNODE_KEY_MAX);
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
	return ynode_add(top->node, key, node, err);
}

static int nodes_check(struct builder *b, size_t more, struct ynode_place place, struct err *err)
{
	b->node_count += more;
	if (b->node_count > NODES_MAX)
		return ynode_place_err(place, err, "more than %d nodes", NODES_MAX);
	return 0;
}

static int tag_check(const yaml_char_t *tag, struct ynode_place place, struct err *err)
{
	if (!tag)
		return 0;
	return ynode_place_err(place, err, "tag '%.64s': tags are not used here",
			       (const char *)tag);
}

static int take_scalar(struct builder *b, const yaml_event_t *event, struct err *err)
{
	struct ynode_place place = mark_place(b, event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	int quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	struct ynode *node;

	if (tag_check(event->data.scalar.tag, place, err) || nodes_check(b, 1, place, err))
		return err->code;
	if (memchr(text, '\0', length))
		return ynode_place_err(place, err, "text holds a NUL character");
	node = ynode_new_text(text, length, quoted, place);
	if (!node)
		return ynode_nomem(err);
	if (length > 0 && !yaml_plain_safe(node->text))
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
	struct ynode_place place = mark_place(b, event->start_mark);
	struct ynode *node;

	if (tag_check(tag, place, err) || nodes_check(b, 1, place, err))
		return err->code;
	if (b->depth == YNODE_DEPTH_MAX)
		return ynode_place_err(place, err, "nested deeper than %d levels", YNODE_DEPTH_MAX);
	node = ynode_new(is_map ? YNODE_MAP : YNODE_LIST, place);
	if (!node)
		return ynode_nomem(err);
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
	struct ynode_place place = mark_place(b, event->start_mark);
	const char *name = (const char *)event->data.alias.anchor;
	const struct ynode *node;
	struct ynode *copy;
	size_t i = b->anchor_count;

	while (i > 0 && strcmp(b->anchors[i - 1].name, name) != 0)
		i--;
	if (i == 0)
		return ynode_place_err(place, err, "alias *%.64s: no such anchor before it", name);
	node = b->anchors[i - 1].node;
	if (anchor_is_open(b, node))
		return ynode_place_err(place, err, "alias *%.64s stands inside its own anchor",
				       name);
	if (nodes_check(b, ynode_size(node), place, err))
		return err->code;
	if (b->depth + ynode_depth(node) > YNODE_DEPTH_MAX)
		return ynode_place_err(place, err, "nested deeper than %d levels", YNODE_DEPTH_MAX);
	copy = ynode_clone(node);
	if (!copy)
		return ynode_nomem(err);
	ynode_move(copy, place);
	return take_node(b, copy, err);
}

static int take_event(struct builder *b, const yaml_event_t *event, struct err *err)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->document_count++ > 0)
			return ynode_place_err(mark_place(b, event->start_mark), err,
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
	b->root = ynode_new(YNODE_MAP, (struct ynode_place){b->file, 1, 1 + b->column_base});
	return b->root ? 0 : ynode_nomem(err);
}

static void builder_fini(struct builder *b)
{
	for (size_t i = 0; i < b->depth; i++)
		ynode_free(b->frames[i].key);
	for (size_t i = 0; i < b->anchor_count; i++)
		free(b->anchors[i].name);
	ynode_free(b->root);
	ynode_file_drop(b->file);
	free(b);
}

struct source {
	const char *text;
	size_t length;
	const char *file;
	int column_base;
};

/* libyaml would refuse these too, but without a line and column. */
static int source_check(const struct source *source, struct err *err)
{
	const unsigned char *bytes = (const unsigned char *)source->text;
	struct ynode_place place = {source->file, 1, 1 + source->column_base};

	for (size_t at = 0, size; at < source->length; at += size) {
		uint32_t code = 0;

		size = utf8_decode(&code, bytes + at, source->length - at);
		if (size == 0)
			return ynode_place_err(place, err, "byte 0x%02X is not UTF-8", bytes[at]);
		if (!code_printable(code))
			return ynode_place_err(place, err, "control character 0x%02X",
					       (unsigned)code);
		place.column++;
		if (code_breaks_line(code) &&
		    !(code == '\r' && at + 1 < source->length && bytes[at + 1] == '\n')) {
			place.line++;
			place.column = 1;
		}
	}
	return 0;
}

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
	rc = source_check(&source, err);
	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_nomem(err, "a YAML parser", sizeof(*b));
	b->text = source.text;
	b->length = source.length;
	b->column_base = source.column_base;
	b->file = ynode_file_new(source.file);
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
		errno = 0;
		used += fread(buffer + used, 1, size - used, in);
		if (ferror(in)) {
			int rc = err_errno(err, "cannot read '%s'", path);

			free(buffer);
			return rc;
		}
		if (used < size || used > BYTES_MAX)
			break;
		size = size < BYTES_MAX / 2 ? size * 2 : BYTES_MAX + 1;
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

/* ---- writing ---- */

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
