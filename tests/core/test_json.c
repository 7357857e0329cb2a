/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_json.c - what is written is JSON, whatever the names are; a parser of others reads it back */
#include "json_config.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct json json;
static char *text;
static size_t size;

static void start(void)
{
	json = (struct json){.out = open_memstream(&text, &size)};
	ck_assert(json.out != NULL);
}

static void stop(void)
{
	free(text);
}

/* What was written, parsed strictly; the caller's. */
static json_t *parsed(void)
{
	json_error_t error;
	json_t *root;

	ck_assert_int_eq(fclose(json.out), 0);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(root != NULL, "%s in %s", error.text, text);
	return root;
}

static const struct {
	const char *name, *read_back;
} names[] = {
	{"plain", "plain"},
	{"", ""},
	{"a \"quoted\" name", "a \"quoted\" name"},
	{"C:\\path\\", "C:\\path\\"},
	{"two\nlines\ttab\r\b\f", "two\nlines\ttab\r\b\f"},
	{"\x01\x1f\x7f", "\x01\x1f\x7f"},
	{"c1 \xc2\x9b[2J", "c1 \xc2\x9b[2J"},
	{"\",\"judged\":true}", "\",\"judged\":true}"},
	{"%s%n%d", "%s%n%d"},
	{"</script>", "</script>"},
	{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
	{"latin \xe9!", "latin \xef\xbf\xbd!"},
	{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
	{"overlong \xc0\xaf", "overlong \xef\xbf\xbd\xef\xbf\xbd"},
	{"surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"beyond \xf4\x90\x80\x80", "beyond \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
};

START_TEST(test_any_name_is_read_back_as_key_and_as_value)
{
	const char *key;
	json_t *root, *value;

	json_put_object(&json, NULL);
	json_put_text(&json, names[_i].name, names[_i].name);
	json_put_end(&json);
	root = parsed();
	key = json_object_iter_key(json_object_iter(root));
	value = json_object_get(root, key);
	ck_assert_str_eq(key, names[_i].read_back);
	ck_assert_str_eq(json_string_value(value), names[_i].read_back);
	json_decref(root);
}
END_TEST

static const struct {
	double value;
	const char *says;
} numbers[] = {
	{0, "0"},
	{10, "10"},
	{-3, "-3"},
	{0.1, "0.1"},
	{55000000, "55000000"},
	{1e300, "1e+300"},
	{(double)NAN, "null"},
	{(double)INFINITY, "null"},
	{1.0 / 3, "0.3333333333333333"},
};

START_TEST(test_a_number_is_the_shortest_that_reads_back)
{
	char wanted[64];
	json_t *root;

	json_put_list(&json, NULL);
	json_put_number(&json, NULL, numbers[_i].value);
	json_put_end(&json);
	root = parsed();
	snprintf(wanted, sizeof(wanted), "[%s]\n", numbers[_i].says);
	ck_assert_str_eq(text, wanted);
	if (isfinite(numbers[_i].value))
		ck_assert_double_eq(json_number_value(json_array_get(root, 0)), numbers[_i].value);
	json_decref(root);
}
END_TEST

START_TEST(test_lists_and_objects_lie_in_each_other)
{
	json_put_object(&json, NULL);
	json_put_list(&json, "a");
	for (int i = 0; i < 2; i++) {
		json_put_object(&json, NULL);
		json_put_count(&json, "n", UINT64_MAX / 2 + (uint64_t)i);
		json_put_flag(&json, "yes", i == 0);
		json_put_null(&json, "none");
		json_put_end(&json);
	}
	json_put_list(&json, NULL);
	json_put_end(&json);
	json_put_end(&json);
	json_put_object(&json, "b");
	json_put_end(&json);
	json_put_end(&json);
	json_put_object(&json, NULL); /* another whole, on its own line */
	json_put_end(&json);
	ck_assert_int_eq(fclose(json.out), 0);
	ck_assert_str_eq(text, "{\"a\":[\n"
			       "{\"n\":9223372036854775807,\"yes\":true,\"none\":null},\n"
			       "{\"n\":9223372036854775808,\"yes\":false,\"none\":null},\n"
			       "[]],\"b\":{}}\n{}\n");
}
END_TEST

START_TEST(test_a_tree_keeps_its_numbers_and_texts)
{
	static const char yaml[] = "points: [{read_bytes: 4096, note: \"12\", unit: 16KiB}]\n"
				   "low: -1.5e3\nhex: 0x10\ninf: .inf\nempty: \"\"\nword: e\n";
	struct ynode *map;
	struct err err = {0};
	json_t *root, *point;

	ck_assert_msg(yaml_parse(&map, yaml, "x.yaml", &err) == 0, "%s", err.msg);
	json_put_ynode(&json, NULL, map);
	ynode_free(map);
	root = parsed();
	point = json_array_get(json_object_get(root, "points"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(point, "read_bytes")), 4096);
	ck_assert_str_eq(json_string_value(json_object_get(point, "note")), "12");
	ck_assert_str_eq(json_string_value(json_object_get(point, "unit")), "16KiB");
	ck_assert_double_eq(json_number_value(json_object_get(root, "low")), -1500);
	ck_assert_str_eq(json_string_value(json_object_get(root, "hex")), "0x10");
	ck_assert_str_eq(json_string_value(json_object_get(root, "inf")), ".inf");
	ck_assert_str_eq(json_string_value(json_object_get(root, "empty")), "");
	ck_assert_str_eq(json_string_value(json_object_get(root, "word")), "e");
	json_decref(root);
}
END_TEST

/* One row of each type. */
struct sample {
	uint64_t bytes, threads;
	double rate;
	unsigned kind;
	bool tied;
	char name[PARAM_STR];
};
static const struct param_word kinds[] = {{"flat", "one"}, {"deep", "two"}, {NULL, NULL}};
static const struct param_word all[] = {{"all", "every one"}, {NULL, NULL}};
#define AT(member) .offset = offsetof(struct sample, member), .help = "of the test"
static const struct param rows[] = {
	{.name = "bytes", .type = PARAM_U64, .dim = DIM_BYTES, .max = 1e12, AT(bytes)},
	{.name = "threads", .type = PARAM_U64, .min = 1, .max = 9, .words = all, AT(threads)},
	{.name = "rate", .type = PARAM_F64, .dim = DIM_BANDWIDTH, .max = 1e12, AT(rate)},
	{.name = "kind", .type = PARAM_WORD, .words = kinds, AT(kind)},
	{.name = "tied", .type = PARAM_BOOL, AT(tied)},
	{.name = "name", .type = PARAM_TEXT, AT(name)},
};

START_TEST(test_parameters_are_in_base_units)
{
	const struct param_table table = {"sample", "of the test", rows,
					  sizeof(rows) / sizeof(rows[0])};
	const struct sample sample = {.bytes = 32768,
				      .threads = (uint64_t)_i,
				      .rate = 6.1e9,
				      .kind = 1,
				      .tied = true,
				      .name = "a \"b\""};

	json_put_params(&json, NULL, &table, &sample);
	ck_assert_int_eq(fclose(json.out), 0);
	ck_assert_str_eq(text, _i ? "{\"bytes\":32768,\"threads\":1,\"rate\":6100000000,"
				    "\"kind\":\"deep\",\"tied\":true,\"name\":\"a \\\"b\\\"\"}\n"
				  : "{\"bytes\":32768,\"threads\":\"all\",\"rate\":6100000000,"
				    "\"kind\":\"deep\",\"tied\":true,\"name\":\"a \\\"b\\\"\"}\n");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = tcase_create("json");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, test_any_name_is_read_back_as_key_and_as_value, 0, COUNT(names));
	tcase_add_loop_test(tcase, test_a_number_is_the_shortest_that_reads_back, 0,
			    COUNT(numbers));
	tcase_add_test(tcase, test_lists_and_objects_lie_in_each_other);
	tcase_add_test(tcase, test_a_tree_keeps_its_numbers_and_texts);
	tcase_add_loop_test(tcase, test_parameters_are_in_base_units, 0, 2);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
