/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_yaml.c - documents become trees that know their places, and come back as the same text */
#include "yaml.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static struct ynode *parse(const char *text)
{
	struct ynode *root = NULL;
	struct err err = {0};

	ck_assert_msg(yaml_parse(&root, text, "f.yaml", &err) == 0, "%s", err.msg);
	return root;
}

static char *text_of(const struct ynode *node)
{
	struct err err = {0};
	char *text = NULL;

	ck_assert_msg(ynode_text(&text, node, &err) == 0, "%s", err.msg);
	return text;
}

static void assert_text(const struct ynode *node, const char *says)
{
	char *text = text_of(node);

	ck_assert_str_eq(text, says);
	free(text);
}

static int equal(const struct ynode *a, const struct ynode *b)
{
	if (a->kind != b->kind || a->count != b->count)
		return 0;
	if (a->kind == YNODE_SCALAR)
		return strcmp(a->text, b->text) == 0 && !a->quoted == !b->quoted;
	for (size_t i = 0; i < a->count; i++) {
		if (a->keys && !equal(a->keys[i], b->keys[i]))
			return 0;
		if (!equal(a->items[i], b->items[i]))
			return 0;
	}
	return 1;
}

/* ---- reading ---- */

/* What is read, as canonical text. */
static const struct {
	const char *why, *yaml, *says;
} good[] = {
	{"an empty document is an empty map", "", "{}\n"},
	{"comments alone are one too", "# nothing\n\n", "{}\n"},
	{"and so is a bare document", "---\n", "{}\n"},
	{"but quoted nothing is text", "\"\"\n", "\"\"\n"},
	{"scalars keep their text", "a: 010\nb: 0x1F\nc: yes\n", "a: 010\nb: 0x1F\nc: yes\n"},
	{"quotes are kept as a fact", "a: '5'\nb: \"x y\"\n", "a: \"5\"\nb: \"x y\"\n"},
	{"keys keep their order", "z: 1\na: 2\nm: 3\n", "z: 1\na: 2\nm: 3\n"},
	{"flow becomes block", "{a: [1, {b: 2}, []], c: {}}\n",
	 "a:\n  - 1\n  - b: 2\n  - []\nc: {}\n"},
	{"lists in lists", "- [1, [2, 3]]\n- - - 4\n", "- - 1\n  - - 2\n    - 3\n- - - 4\n"},
	{"maps in lists", "- a: 1\n  b: {c: 2}\n- d:\n  - e\n",
	 "- a: 1\n  b:\n    c: 2\n- d:\n    - e\n"},
	{"a value may be absent", "a:\nb: ~\n", "a:\nb: ~\n"},
	{"an absent item", "-\n- x\n", "-\n- x\n"},
	{"literal blocks are text", "a: |\n  one\n  two\n", "a: \"one\\ntwo\\n\"\n"},
	{"folded blocks are text", "a: >-\n  one\n  two\n", "a: \"one two\"\n"},
	{"plain over two lines is folded", "a: one\n  two\n", "a: one two\n"},
	{"plain over a paragraph is text", "a: one\n\n  two\n", "a: \"one\\ntwo\"\n"},
	{"aliases are copies", "a: &x {b: [1, 2]}\nc: *x\n",
	 "a:\n  b:\n    - 1\n    - 2\nc:\n  b:\n    - 1\n    - 2\n"},
	{"an anchor's last meaning holds", "a: &x 1\nb: &x 2\nc: *x\n", "a: 1\nb: 2\nc: 2\n"},
	{"a quoted scalar's alias is quoted", "a: &x '1'\nb: *x\n", "a: \"1\"\nb: \"1\"\n"},
	{"an alias may be a key", "a: &x k\n*x : 1\n", "a: k\nk: 1\n"},
	{"a byte order mark is skipped",
	 "\xef\xbb\xbf"
	 "a: 1\n",
	 "a: 1\n"},
	{"DOS lines", "a: 1\r\nb:\r\n  - 2\r\n", "a: 1\nb:\n  - 2\n"},
	{"a version directive", "%YAML 1.1\n---\na: 1\n...\n", "a: 1\n"},
	{"UTF-8 stays", "\xc3\xa9t\xc3\xa9: \xe2\x82\xac \xf0\x9f\x98\x80\n",
	 "\xc3\xa9t\xc3\xa9: \xe2\x82\xac \xf0\x9f\x98\x80\n"},
	{"escapes", "a: \"\\t\\\\ \\\" \\x01 \\u2028 \\x7f\"\n",
	 "a: \"\\t\\\\ \\\" \\x01 \\u2028 \\x7F\"\n"},
	{"indicators inside words", "a: x:y#z\nb: -1\nc: ?x\nd: a, [b]\n",
	 "a: x:y#z\nb: -1\nc: ?x\nd: a, [b]\n"},
	{"lines of dashes are quoted", "a: ---\n", "a: \"---\"\n"},
	{"keys with spaces", "a b: 1\n\"c: d\": 2\n", "a b: 1\n\"c: d\": 2\n"},
	{"an explicit key", "? a\n: 1\n", "a: 1\n"},
};

START_TEST(test_a_document_is_read_and_written_canonically)
{
	struct ynode *root = parse(good[_i].yaml), *again;
	char *text = text_of(root);

	ck_assert_msg(strcmp(text, good[_i].says) == 0, "%s: got\n%s", good[_i].why, text);
	again = parse(text);
	ck_assert_msg(equal(root, again) || strcmp(text, "{}\n") == 0, "%s", good[_i].why);
	free(text);
	ynode_free(again);
	ynode_free(root);
}
END_TEST

START_TEST(test_every_value_knows_its_place)
{
	struct ynode *root = parse("# comment\n"
				   "name: \xc3\xa9t\xc3\xa9\n"
				   "flash:\n"
				   "  lat: 80us\n"
				   "list: [1, {x: 2}]\n"
				   "\xe2\x82\xac: 3\n"
				   "copy: &c 4\n"
				   "again: *c\n");
	static const struct {
		const char *path;
		int line, column;
	} places[] = {{"name", 2, 7}, {"flash", 4, 3}, {"flash.lat", 4, 8},   {"list", 5, 7},
		      {"copy", 7, 7}, {"again", 8, 8}, {"\xe2\x82\xac", 6, 4}};
	const struct ynode *list = ynode_get(root, "list");

	ck_assert_int_eq(root->line, 2);
	ck_assert_int_eq(root->column, 1);
	for (int i = 0; i < COUNT(places); i++) {
		const struct ynode *node = ynode_at(root, places[i].path);

		ck_assert_msg(node != NULL, "%s", places[i].path);
		ck_assert_msg(node->line == places[i].line && node->column == places[i].column,
			      "%s: %d:%d", places[i].path, node->line, node->column);
		ck_assert_str_eq(node->file, "f.yaml");
	}
	ck_assert_int_eq(list->items[1]->column, 11);
	ck_assert_int_eq(list->items[1]->keys[0]->column, 12);
	ynode_free(root);
}
END_TEST

START_TEST(test_a_node_says_its_place_in_errors)
{
	struct ynode *root = parse("a:\n  b: 5\n");
	struct err err = {0};

	ck_assert_int_eq(ynode_err(ynode_at(root, "a.b"), &err, "%d is odd", 5), EINVAL);
	ck_assert_str_eq(err.msg, "f.yaml:2:6: 5 is odd");
	ck_assert_int_eq(ynode_err(root, &err, "later"), EINVAL);
	ck_assert_str_eq(err.msg, "f.yaml:2:6: 5 is odd");
	ynode_free(root);
}
END_TEST

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"a key repeats", "window: 1\nchunk: 2\nwindow: 3\n",
	 "f.yaml:3:1: key window repeats (first at line 1)"},
	{"a key repeats in a nested map", "a:\n  b: 1\n  c: 2\n  c: 3\n",
	 "f.yaml:4:3: key c repeats (first at line 3)"},
	{"a key repeats in a flow", "{a: 1, b: 2, a: 3}\n",
	 "f.yaml:1:14: key a repeats (first at column 2)"},
	{"a key repeats in quotes", "a: 1\n\"a\": 2\n",
	 "f.yaml:2:1: key a repeats (first at line 1)"},
	{"the first repetition is named", "b: 1\na: 1\na: 2\nb: 2\na: 3\n",
	 "f.yaml:3:1: key a repeats (first at line 2)"},
	{"a key repeats through an alias", "x: &k a\na: 1\n*k : 2\n",
	 "f.yaml:3:1: key a repeats (first at line 2)"},
	{"a tab indents", "a:\n\tb: 1\n",
	 "f.yaml:2:1: found character that cannot start any token (a tab: indent with spaces)"},
	{"a flow list is open", "a: [1, 2\n",
	 "f.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence from 1:4)"},
	{"a flow map is open", "a: {b: 1\n",
	 "f.yaml:2:1: did not find expected ',' or '}' (while parsing a flow mapping from 1:4)"},
	{"a quote is open", "a: \"x\n",
	 "f.yaml:2:1: found unexpected end of stream (while scanning a quoted scalar from 1:4)"},
	{"a map inside a value", "a: b: 1\n",
	 "f.yaml:1:5: mapping values are not allowed in this context"},
	{"wrong indentation", "a:\n    b: 1\n  c: 2\n",
	 "f.yaml:3:3: did not find expected key (while parsing a block mapping from 1:1)"},
	{"no colon", "a: 1\nb\nc: 2\n",
	 "f.yaml:3:1: could not find expected ':' (while scanning a simple key from 2:1)"},
	{"a list in a map", "a: 1\n- b\n",
	 "f.yaml:2:1: did not find expected key (while parsing a block mapping from 1:1)"},
	{"an unknown escape", "a: \"\\q\"\n",
	 "f.yaml:1:5: found unknown escape character (while parsing a quoted scalar from 1:4)"},
	{"a reserved character", "a: @b\n",
	 "f.yaml:1:4: found character that cannot start any token"},
	{"a standard tag", "a: !!int 5\n",
	 "f.yaml:1:4: tag 'tag:yaml.org,2002:int': tags are not used here"},
	{"a private tag on a list", "a: !foo [1]\n",
	 "f.yaml:1:4: tag '!foo': tags are not used here"},
	{"a private tag on a map", "a: !foo {b: 1}\n",
	 "f.yaml:1:4: tag '!foo': tags are not used here"},
	{"two documents", "a: 1\n---\nb: 2\n",
	 "f.yaml:2:1: a second document starts here, a file holds one"},
	{"two documents, the first empty", "---\n---\nb: 2\n",
	 "f.yaml:2:1: a second document starts here, a file holds one"},
	{"a list as a key", "? [a, b]\n: 1\n", "f.yaml:1:3: a key must be plain text, got a list"},
	{"a map as a key", "{a: 1}: 2\n", "f.yaml:1:1: a key must be plain text, got a mapping"},
	{"a map's alias as a key", "a: &x {b: 1}\n*x : 2\n",
	 "f.yaml:2:1: a key must be plain text, got a mapping"},
	{"an empty key", "{a: 1, ? , b: 2}\n", "f.yaml:1:10: a key is empty"},
	{"an empty quoted key", "\"\": 2\n", "f.yaml:1:1: a key is empty"},
	{"no such anchor", "a: *x\n", "f.yaml:1:4: alias *x: no such anchor before it"},
	{"an anchor that comes later", "a: *x\nb: &x 1\n",
	 "f.yaml:1:4: alias *x: no such anchor before it"},
	{"an alias inside its anchor", "a: &x [1, *x]\n",
	 "f.yaml:1:11: alias *x stands inside its own anchor"},
	{"an alias deep inside its anchor", "a: &x\n  b: {c: *x}\n",
	 "f.yaml:2:10: alias *x stands inside its own anchor"},
	{"a lone continuation byte", "a: 1\nb: x\x80\n", "f.yaml:2:5: byte 0x80 is not UTF-8"},
	{"columns count characters", "\xc3\xa9: \xff\n", "f.yaml:1:4: byte 0xFF is not UTF-8"},
	{"an overlong form", "a: \xc0\xaf\n", "f.yaml:1:4: byte 0xC0 is not UTF-8"},
	{"a surrogate", "a: \xed\xa0\x80\n", "f.yaml:1:4: byte 0xED is not UTF-8"},
	{"past the last code point", "a: \xf4\x90\x80\x80\n", "f.yaml:1:4: byte 0xF4 is not UTF-8"},
	{"a cut sequence", "a: \xe2\x82", "f.yaml:1:4: byte 0xE2 is not UTF-8"},
	{"UTF-16",
	 "\xff\xfe"
	 "a",
	 "f.yaml:1:1: byte 0xFF is not UTF-8"},
	{"a control character", "a: x\x01\n", "f.yaml:1:5: control character 0x01"},
	{"a delete character", "a: \x7f\n", "f.yaml:1:4: control character 0x7F"},
	{"no character at all", "a: \xef\xbf\xbf\n", "f.yaml:1:4: control character 0xFFFF"},
	{"places after DOS lines", "a: 1\r\nb: \x02\r\n", "f.yaml:2:4: control character 0x02"},
	{"a NUL by escape", "a: \"x\\0y\"\n", "f.yaml:1:4: text holds a NUL character"},
	{"a surrogate by escape", "a: \"\\ud800\"\n",
	 "f.yaml:1:7: found invalid Unicode character escape code (while parsing a quoted scalar "
	 "from 1:4)"},
	{"an unknown directive's version", "%YAML 3.0\n---\na: 1\n",
	 "f.yaml:1:1: found incompatible YAML document"},
};

START_TEST(test_a_bad_document_is_refused_at_its_place)
{
	struct ynode *root = NULL;
	struct err err = {0};

	ck_assert_msg(yaml_parse(&root, bad[_i].yaml, "f.yaml", &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_str_eq(err.msg, bad[_i].says);
	ck_assert_ptr_null(root);
}
END_TEST

/* ---- limits ---- */

static char *repeat(const char *before, const char *piece, size_t times, const char *after)
{
	size_t size = strlen(before) + times * strlen(piece) + strlen(after) + 1;
	char *text = malloc(size), *at;

	ck_assert_ptr_nonnull(text);
	at = text + sprintf(text, "%s", before);
	for (size_t i = 0; i < times; i++)
		at += sprintf(at, "%s", piece);
	sprintf(at, "%s", after);
	return text;
}

static void assert_parse(char *text, const char *says)
{
	struct ynode *root = NULL;
	struct err err = {0};
	int rc = yaml_parse(&root, text, "f.yaml", &err);

	ck_assert_msg(rc == (says ? EINVAL : 0), "%s", err.msg);
	ck_assert_str_eq(err.msg, says ? says : "");
	ynode_free(root);
	free(text);
}

/* 'times' lists around 'inside', after 'before'. */
static char *nest(const char *before, size_t times, const char *inside)
{
	char *closed = repeat(inside, "]", times, "\n");
	char *text = repeat(before, "[", times, closed);

	free(closed);
	return text;
}

START_TEST(test_depth_is_limited_to_64)
{
	assert_parse(nest("", 64, "1"), NULL);
	assert_parse(nest("", 65, "1"), "f.yaml:1:65: nested deeper than 64 levels");
	assert_parse(repeat("", "[", 100000, ""), "f.yaml:1:65: nested deeper than 64 levels");
	assert_parse(repeat("", "{a: ", 65, ""), "f.yaml:1:257: nested deeper than 64 levels");
	assert_parse(repeat("", "- ", 65, "x"), "f.yaml:1:129: nested deeper than 64 levels");
}
END_TEST

START_TEST(test_aliases_do_not_nest_deeper_than_the_limit)
{
	assert_parse(nest("- &a [[[[1]]]]\n- ", 59, "*a"), NULL);
	assert_parse(nest("- &a [[[[1]]]]\n- ", 60, "*a"),
		     "f.yaml:2:63: nested deeper than 64 levels");
}
END_TEST

START_TEST(test_nodes_are_limited_to_100000)
{
	assert_parse(repeat("", "- 1\n", 99999, ""), NULL);
	assert_parse(repeat("", "- 1\n", 100000, ""), "f.yaml:100000:3: more than 100000 nodes");
}
END_TEST

/* Nine lists of nine aliases would be 3.8e8 nodes; they are counted before any copy is made. */
START_TEST(test_a_billion_laughs_are_refused)
{
	char text[2048], *at = text;
	struct ynode *root = NULL;
	struct err err = {0};

	at += sprintf(at, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 9; i++) {
		at += sprintf(at, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			at += sprintf(at, "%s*a%d", j ? ", " : "", i - 1);
		at += sprintf(at, "]\n");
	}
	ck_assert_int_eq(yaml_parse(&root, text, "f.yaml", &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "more than 100000 nodes") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(test_a_wide_map_is_checked_for_repeats_in_no_time)
{
	enum { KEYS = 49000 };
	char *text = malloc(KEYS * 12 + 16), *at = text;

	ck_assert_ptr_nonnull(text);
	for (int i = 0; i < KEYS; i++)
		at += sprintf(at, "k%d: 1\n", i);
	sprintf(at, "k7: 2\n");
	assert_parse(text, "f.yaml:49001:1: key k7 repeats (first at line 8)");
}
END_TEST

START_TEST(test_anchors_are_limited_to_1000)
{
	assert_parse(repeat("", "- &a 1\n", 1000, ""), NULL);
	assert_parse(repeat("", "- &a 1\n", 1001, ""), "f.yaml:1001:3: more than 1000 anchors");
}
END_TEST

START_TEST(test_keys_are_limited_to_128_bytes)
{
	assert_parse(repeat("", "k", 128, ": 1\n"), NULL);
	assert_parse(repeat("", "k", 129, ": 1\n"), "f.yaml:1:1: a key is longer than 128 bytes");
	assert_parse(repeat("? ", "k", 5000, "\n: 1\n"),
		     "f.yaml:1:3: a key is longer than 128 bytes");
}
END_TEST

/* ---- files ---- */

static char folder[64];

static void folder_make(void)
{
	strcpy(folder, "/tmp/flash_yaml_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void folder_drop(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/f.yaml", folder);
	unlink(path);
	rmdir(folder);
}

static const char *file_write(char *path, size_t size, const char *text, size_t length)
{
	FILE *out;

	snprintf(path, size, "%s/f.yaml", folder);
	out = fopen(path, "wb");
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(text, 1, length, out), length);
	ck_assert_int_eq(fclose(out), 0);
	return path;
}

START_TEST(test_a_file_is_loaded_under_its_path)
{
	struct ynode *root = NULL;
	struct err err = {0};
	char path[128];

	file_write(path, sizeof(path), "a: 1\n", 5);
	ck_assert_int_eq(yaml_load(&root, path, &err), 0);
	ck_assert_str_eq(ynode_get(root, "a")->file, path);
	assert_text(root, "a: 1\n");
	ynode_free(root);
	file_write(path, sizeof(path), "", 0);
	ck_assert_int_eq(yaml_load(&root, path, &err), 0);
	assert_text(root, "{}\n");
	ynode_free(root);
}
END_TEST

START_TEST(test_a_file_larger_than_one_block_is_read_whole)
{
	char *text = repeat("a: \"", "0123456789abcdef", 5000, "\"\n");
	struct ynode *root = NULL;
	struct err err = {0};
	char path[128];

	file_write(path, sizeof(path), text, strlen(text));
	ck_assert_msg(yaml_load(&root, path, &err) == 0, "%s", err.msg);
	assert_text(root, text);
	ynode_free(root);
	free(text);
}
END_TEST

START_TEST(test_a_missing_file_and_a_folder_are_named)
{
	struct ynode *root = NULL;
	struct err err = {0};
	char says[160], path[128];

	snprintf(path, sizeof(path), "%s/f.yaml", folder);
	unlink(path);
	snprintf(says, sizeof(says), "cannot read '%s': %s", path, strerror(ENOENT));
	ck_assert_int_eq(yaml_load(&root, path, &err), ENOENT);
	ck_assert_str_eq(err.msg, says);
	err = (struct err){0};
	snprintf(says, sizeof(says), "cannot read '%s': %s", folder, strerror(EISDIR));
	ck_assert_int_eq(yaml_load(&root, folder, &err), EISDIR);
	ck_assert_str_eq(err.msg, says);
}
END_TEST

START_TEST(test_bytes_that_end_a_text_are_refused_in_a_file)
{
	struct ynode *root = NULL;
	struct err err = {0};
	char path[128], says[160];

	file_write(path, sizeof(path), "a: 1\nb: \0 2\n", 12);
	snprintf(says, sizeof(says), "%s:2:4: control character 0x00", path);
	ck_assert_int_eq(yaml_load(&root, path, &err), EINVAL);
	ck_assert_str_eq(err.msg, says);
}
END_TEST

START_TEST(test_a_file_over_64_mib_is_refused)
{
	struct ynode *root = NULL;
	struct err err = {0};
	char path[128], says[160];

	file_write(path, sizeof(path), "a: 1\n", 5);
	ck_assert_int_eq(truncate(path, (64 << 20) + 1), 0);
	snprintf(says, sizeof(says), "%s: larger than 64 MiB", path);
	ck_assert_int_eq(yaml_load(&root, path, &err), EINVAL);
	ck_assert_str_eq(err.msg, says);
	err = (struct err){0};
	ck_assert_int_eq(yaml_load(&root, "/dev/zero", &err), EINVAL);
	ck_assert_str_eq(err.msg, "/dev/zero: larger than 64 MiB");
}
END_TEST

/* ---- finding and changing ---- */

START_TEST(test_values_are_found_by_key_and_by_path)
{
	struct ynode *root = parse("a: {b: {c: 1}, d: 2}\nab: 3\nl: [1]\n");

	ck_assert_str_eq(ynode_get(root, "ab")->text, "3");
	ck_assert_ptr_null(ynode_get(root, "abc"));
	ck_assert_ptr_null(ynode_get(root, "a.b"));
	ck_assert_str_eq(ynode_at(root, "a.b.c")->text, "1");
	ck_assert_str_eq(ynode_at(root, "a.d")->text, "2");
	ck_assert_ptr_eq(ynode_at(root, "a"), ynode_get(root, "a"));
	ck_assert_ptr_null(ynode_at(root, "a.b.c.d"));
	ck_assert_ptr_null(ynode_at(root, "a.x"));
	ck_assert_ptr_null(ynode_at(root, "l.0"));
	ck_assert_ptr_null(ynode_at(root, ""));
	ck_assert_ptr_null(ynode_at(root, "a."));
	ynode_free(root);
}
END_TEST

START_TEST(test_a_clone_is_deep_and_outlives_its_document)
{
	const char *yaml = "a: {b: [1, \"2\"]}\nc:\n";
	struct ynode *root = parse(yaml), *copy = ynode_clone(root), *part, *same = parse(yaml);

	ck_assert_ptr_nonnull(copy);
	part = ynode_clone(ynode_get(root, "a"));
	ck_assert_ptr_nonnull(part);
	ynode_free(root);
	ck_assert(equal(copy, same));
	ck_assert_str_eq(part->file, "f.yaml");
	ck_assert_int_eq(part->column, 4);
	assert_text(part, "b:\n  - 1\n  - \"2\"\n");
	ynode_free(part);
	ynode_free(copy);
	ynode_free(same);
}
END_TEST

/* base, the argument of --set, and what comes out: the whole text, or the message. */
static const struct {
	const char *base, *arg, *says;
	int code;
} sets[] = {
	{"", "a=1", "a: 1\n", 0},
	{"a: 1\n", "a=2", "a: 2\n", 0},
	{"a: {b: 1}\n", "a.b=2", "a:\n  b: 2\n", 0},
	{"a: {b: 1}\n", "a.c=2", "a:\n  b: 1\n  c: 2\n", 0},
	{"a: {b: 1}\n", "a=2", "a: 2\n", 0},
	{"a: [1]\n", "a={b: 2}", "a:\n  b: 2\n", 0},
	{"", "a.b.c.d=x", "a:\n  b:\n    c:\n      d: x\n", 0},
	{"a: {}\n", "a.b.c=[1, 2]", "a:\n  b:\n    c:\n      - 1\n      - 2\n", 0},
	{"z: 1\n", "policy.window={range: [1, 8]}",
	 "z: 1\npolicy:\n  window:\n    range:\n      - 1\n      - 8\n", 0},
	{"", "a=\"5\"", "a: \"5\"\n", 0},
	{"", "a=\"\"", "a: \"\"\n", 0},
	{"", "a=x=y", "a: x=y\n", 0},
	{"", "a= 5 ", "a: 5\n", 0},
	{"", "a=80 us", "a: 80 us\n", 0},
	{"", "a=- 1\n- 2", "a:\n  - 1\n  - 2\n", 0},
	{"", "a=~", "a: ~\n", 0},
	{"", "a", "--set 'a': wanted key=value", EINVAL},
	{"", "", "--set '': wanted key=value", EINVAL},
	{"", "=5", "--set '=5': wanted key=value", EINVAL},
	{"", "a=", "--set 'a=': no value (empty text is \"\")", EINVAL},
	{"", "a=  ", "--set 'a=  ': no value (empty text is \"\")", EINVAL},
	{"", "a..b=1", "--set 'a..b=1': 'a..b' is not a dotted path of keys", EINVAL},
	{"", ".a=1", "--set '.a=1': '.a' is not a dotted path of keys", EINVAL},
	{"", "a.=1", "--set 'a.=1': 'a.' is not a dotted path of keys", EINVAL},
	{"a: 5\n", "a.b=1", "--set 'a.b=1': 'a.b': a is a value (f.yaml:1:4), not a mapping",
	 EINVAL},
	{"a: {b: [1]}\n", "a.b.c=1",
	 "--set 'a.b.c=1': 'a.b.c': a.b is a list (f.yaml:1:8), not a mapping", EINVAL},
	{"", "a=[1, 2",
	 "--set 'a=[1, 2': --set:2:1: did not find expected ',' or ']' (while parsing a flow "
	 "sequence from 1:3)",
	 EINVAL},
	{"", "a.b={c: 1, c: 2}",
	 "--set 'a.b={c: 1, c: 2}': --set:1:12: key c repeats (first at column 6)", EINVAL},
	{"", "a=\xff", "--set 'a=\xff': --set:1:3: byte 0xFF is not UTF-8", EINVAL},
	{"", "a=!x y", "--set 'a=!x y': --set:1:3: tag '!x': tags are not used here", EINVAL},
};

START_TEST(test_a_set_argument_puts_its_value_or_is_refused)
{
	struct ynode *map = parse(sets[_i].base), *before = ynode_clone(map);
	struct err err = {0};

	ck_assert_ptr_nonnull(before);
	ck_assert_msg(ynode_set_arg(map, sets[_i].arg, &err) == sets[_i].code, "%s: %s",
		      sets[_i].arg, err.msg);
	if (sets[_i].code) {
		ck_assert_str_eq(err.msg, sets[_i].says);
		ck_assert_msg(equal(map, before), "%s changed the map", sets[_i].arg);
	} else {
		assert_text(map, sets[_i].says);
	}
	ynode_free(before);
	ynode_free(map);
}
END_TEST

START_TEST(test_a_set_value_says_where_it_was_written)
{
	struct ynode *map = parse("a: {b: 1}\n");
	struct err err = {0};
	const struct ynode *value;

	ck_assert_int_eq(ynode_set_arg(map, "a.c.d=80us", &err), 0);
	value = ynode_at(map, "a.c.d");
	ck_assert_str_eq(value->file, "--set");
	ck_assert_int_eq(value->line, 1);
	ck_assert_int_eq(value->column, 7);
	ck_assert_str_eq(ynode_at(map, "a.c")->file, "--set");
	ck_assert_str_eq(ynode_at(map, "a")->file, "f.yaml");
	ynode_free(map);
}
END_TEST

START_TEST(test_a_put_that_would_nest_too_deep_is_refused)
{
	char *deep = repeat("a", ".a", 63, ""), *deeper = repeat("a", ".a", 64, "");
	struct ynode *map = ynode_new_map("test");
	struct err err = {0};

	ck_assert_int_eq(ynode_put(map, deep, ynode_new_scalar("test", "1", 0), &err), 0);
	ck_assert_int_eq(ynode_put(map, deeper, ynode_new_scalar("test", "1", 0), &err), EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "nests deeper than 64 levels"));
	err = (struct err){0};
	ck_assert_int_eq(ynode_put(map, deep, ynode_new_list("test"), &err), EINVAL);
	free(deep);
	free(deeper);
	ynode_free(map);
}
END_TEST

START_TEST(test_keys_are_removed_without_disturbing_others)
{
	struct ynode *map = parse("a: 1\nb: {x: 1}\nc: 3\n");

	ynode_remove(map, "b");
	assert_text(map, "a: 1\nc: 3\n");
	ynode_remove(map, "nothing");
	ynode_remove(map, "c");
	ynode_remove(map, "a");
	assert_text(map, "{}\n");
	ynode_free(map);
}
END_TEST

/* Arrays grow at powers of two of the count, which removals pass downwards. */
START_TEST(test_a_map_grows_again_after_it_shrank)
{
	struct ynode *map = ynode_new_map("test");
	struct err err = {0};
	char key[16];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 4 + round; i++) {
			snprintf(key, sizeof(key), "k%d", i);
			ck_assert_int_eq(ynode_put(map, key, ynode_new_scalar("t", key, 0), &err),
					 0);
		}
		for (int i = 0; i < 3 + round; i++) {
			snprintf(key, sizeof(key), "k%d", (i * 7) % (3 + round));
			ynode_remove(map, key);
		}
	}
	ck_assert_uint_ge(map->count, 1);
	ynode_free(map);
}
END_TEST

static const struct {
	const char *base, *over, *says;
} merges[] = {
	{"", "", "{}\n"},
	{"a: 1\n", "", "a: 1\n"},
	{"", "a: 1\n", "a: 1\n"},
	{"a: 1\nb: 2\n", "b: 3\nc: 4\n", "a: 1\nb: 3\nc: 4\n"},
	{"a: {b: 1, c: 2}\n", "a: {c: 3, d: 4}\n", "a:\n  b: 1\n  c: 3\n  d: 4\n"},
	{"a: {b: 1}\n", "a: 5\n", "a: 5\n"},
	{"a: 5\n", "a: {b: 1}\n", "a:\n  b: 1\n"},
	{"a: [1, 2, 3]\n", "a: [4]\n", "a:\n  - 4\n"},
	{"a: {b: {c: {d: 1, e: 2}}}\n", "a: {b: {c: {d: 9}}}\n",
	 "a:\n  b:\n    c:\n      d: 9\n      e: 2\n"},
	{"a: 1\n", "a: \"1\"\n", "a: \"1\"\n"},
	{"a: {b: 1}\n", "a: {}\n", "a:\n  b: 1\n"},
	{"a: {b: 1}\n", "a:\n", "a:\n"},
	{"[1, 2]\n", "{a: 1}\n", "a: 1\n"},
	{"a: 1\n", "[1]\n", "- 1\n"},
};

START_TEST(test_an_overlay_merges_maps_and_replaces_the_rest)
{
	struct ynode *base = parse(merges[_i].base), *over = parse(merges[_i].over);
	struct err err = {0};

	ck_assert_int_eq(ynode_merge(base, over, &err), 0);
	ynode_free(over); /* what was taken from it is a copy */
	assert_text(base, merges[_i].says);
	ynode_free(base);
}
END_TEST

START_TEST(test_merged_values_keep_the_place_where_they_were_written)
{
	struct ynode *base = parse("a: 1\nm:\n  x: 2\n"), *over = NULL;
	struct err err = {0};

	ck_assert_int_eq(yaml_parse(&over, "\nm: {y: 3}\nb: 4\n", "g.yaml", &err), 0);
	ck_assert_int_eq(ynode_merge(base, over, &err), 0);
	ynode_free(over);
	ck_assert_str_eq(ynode_at(base, "a")->file, "f.yaml");
	ck_assert_str_eq(ynode_at(base, "m.x")->file, "f.yaml");
	ck_assert_str_eq(ynode_at(base, "m.y")->file, "g.yaml");
	ck_assert_int_eq(ynode_at(base, "m.y")->line, 2);
	ck_assert_str_eq(ynode_at(base, "m")->file, "g.yaml"); /* a merged map: the last word */
	ck_assert_str_eq(base->file, "g.yaml");
	ynode_free(base);
}
END_TEST

/* ---- properties ---- */

static uint64_t next_u64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static const char *const pieces[] = {
	"a",
	"B",
	"7",
	".5",
	" ",
	"  ",
	"\t",
	":",
	": ",
	"#",
	" #",
	"-",
	"- ",
	"---",
	"...",
	"?",
	",",
	"[",
	"]",
	"{",
	"}",
	"&x",
	"*x",
	"!",
	"|",
	">",
	"'",
	"\"",
	"%",
	"@",
	"`",
	"\\",
	"\n",
	"\r",
	"\x01",
	"\x7f",
	"~",
	"null",
	"true",
	"=",
	"<<",
	"0x",
	"\xc3\xa9",
	"\xc2\x85",
	"\xe2\x80\xa8",
	"\xef\xbb\xbf",
	"\xf0\x9f\x98\x80",
	"e5",
	"\xef\xbf\xbe",
	"\xc2\x80",
};

static void text_random(char *text, size_t size, size_t most, uint64_t *state)
{
	size_t count = next_u64(state) % (most + 1), used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		const char *piece = pieces[next_u64(state) % (uint64_t)COUNT(pieces)];

		if (used + strlen(piece) < size)
			used += (size_t)sprintf(text + used, "%s", piece);
	}
}

static struct ynode *tree_random(int depth, uint64_t *state)
{
	uint64_t kind = depth == 0 ? 0 : next_u64(state) % 3;
	size_t count = next_u64(state) % 5;
	struct err err = {0};
	struct ynode *node;
	char text[128];

	if (kind == 0) {
		text_random(text, sizeof(text), 6, state);
		return ynode_new_scalar("t", text, (int)(next_u64(state) % 2));
	}
	node = kind == 1 ? ynode_new_list("t") : ynode_new_map("t");
	for (size_t i = 0; i < count; i++) {
		struct ynode *item = tree_random(depth - 1, state);

		if (kind == 1) {
			ck_assert_int_eq(ynode_append(node, item, &err), 0);
			continue;
		}
		do { /* keys that a dotted path can name */
			text_random(text, sizeof(text), 4, state);
			for (char *dot = text; (dot = strchr(dot, '.')) != NULL;)
				*dot = '_';
		} while (!text[0]);
		ck_assert_int_eq(ynode_put(node, text, item, &err), 0);
	}
	return node;
}

START_TEST(test_any_tree_is_read_back_as_it_was_written)
{
	uint64_t state = 77 + (uint64_t)_i;

	for (int round = 0; round < 400; round++) {
		struct ynode *tree = tree_random(4, &state), *back;
		char *text;

		if (tree->kind == YNODE_SCALAR && !tree->text[0] && !tree->quoted) {
			ynode_free(tree); /* as a whole document that is an empty map */
			continue;
		}
		text = text_of(tree);
		back = parse(text);
		ck_assert_msg(equal(tree, back), "round %d:\n%s", round, text);
		assert_text(back, text);
		free(text);
		ynode_free(back);
		ynode_free(tree);
	}
}
END_TEST

/* Texts near YAML, most of them broken: each is refused at a place, or read and written stably. */
START_TEST(test_any_text_is_refused_by_place_or_read)
{
	static const char *const lines[] = {"a: 1", "  b: 2",	 "- x",	      "  - y",
					    "c:",   "d: [1, 2]", "e: {f: 3}", "\n",
					    "\n",   "\n",	 "# z\n",     "g: |\n"};
	uint64_t state = 991 + (uint64_t)_i;
	int read = 0;

	for (int round = 0; round < 2000; round++) {
		struct ynode *root = NULL, *back;
		size_t used = 0, count = next_u64(&state) % 12;
		struct err err = {0};
		char text[1024] = "", *canonical;

		for (size_t i = 0; i < count; i++) {
			const char *line = lines[next_u64(&state) % (uint64_t)COUNT(lines)];

			used += (size_t)sprintf(text + used, "%s", line);
			text_random(text + used, 64, next_u64(&state) % 4 == 0, &state);
			used += strlen(text + used);
		}
		if (yaml_parse(&root, text, "f.yaml", &err)) {
			ck_assert_msg(err.code == EINVAL && strncmp(err.msg, "f.yaml:", 7) == 0,
				      "%s", err.msg);
			continue;
		}
		read++;
		canonical = text_of(root);
		back = parse(canonical);
		ck_assert_msg(equal(root, back), "read:\n%s\nwrote:\n%s", text, canonical);
		free(canonical);
		ynode_free(back);
		ynode_free(root);
	}
	ck_assert_int_gt(read, 100); /* else this shows nothing about what is read */
}
END_TEST

static TCase *tcase_files(void)
{
	TCase *tcase = tcase_create("files");

	tcase_add_unchecked_fixture(tcase, folder_make, folder_drop);
	tcase_add_test(tcase, test_a_file_is_loaded_under_its_path);
	tcase_add_test(tcase, test_a_file_larger_than_one_block_is_read_whole);
	tcase_add_test(tcase, test_a_missing_file_and_a_folder_are_named);
	tcase_add_test(tcase, test_bytes_that_end_a_text_are_refused_in_a_file);
	tcase_add_test(tcase, test_a_file_over_64_mib_is_refused);
	return tcase;
}

static TCase *tcase_reading(void)
{
	TCase *tcase = tcase_create("reading");

	tcase_add_loop_test(tcase, test_a_document_is_read_and_written_canonically, 0, COUNT(good));
	tcase_add_test(tcase, test_every_value_knows_its_place);
	tcase_add_test(tcase, test_a_node_says_its_place_in_errors);
	tcase_add_loop_test(tcase, test_a_bad_document_is_refused_at_its_place, 0, COUNT(bad));
	tcase_add_test(tcase, test_depth_is_limited_to_64);
	tcase_add_test(tcase, test_aliases_do_not_nest_deeper_than_the_limit);
	tcase_add_test(tcase, test_nodes_are_limited_to_100000);
	tcase_add_test(tcase, test_a_billion_laughs_are_refused);
	tcase_add_test(tcase, test_a_wide_map_is_checked_for_repeats_in_no_time);
	tcase_add_test(tcase, test_anchors_are_limited_to_1000);
	tcase_add_test(tcase, test_keys_are_limited_to_128_bytes);
	return tcase;
}

static TCase *tcase_changing(void)
{
	TCase *tcase = tcase_create("changing");

	tcase_add_test(tcase, test_values_are_found_by_key_and_by_path);
	tcase_add_test(tcase, test_a_clone_is_deep_and_outlives_its_document);
	tcase_add_loop_test(tcase, test_a_set_argument_puts_its_value_or_is_refused, 0,
			    COUNT(sets));
	tcase_add_test(tcase, test_a_set_value_says_where_it_was_written);
	tcase_add_test(tcase, test_a_put_that_would_nest_too_deep_is_refused);
	tcase_add_test(tcase, test_keys_are_removed_without_disturbing_others);
	tcase_add_test(tcase, test_a_map_grows_again_after_it_shrank);
	tcase_add_loop_test(tcase, test_an_overlay_merges_maps_and_replaces_the_rest, 0,
			    COUNT(merges));
	tcase_add_test(tcase, test_merged_values_keep_the_place_where_they_were_written);
	tcase_add_loop_test(tcase, test_any_tree_is_read_back_as_it_was_written, 0, 4);
	tcase_add_loop_test(tcase, test_any_text_is_refused_by_place_or_read, 0, 4);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("yaml");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, tcase_reading());
	suite_add_tcase(suite, tcase_files());
	suite_add_tcase(suite, tcase_changing());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
