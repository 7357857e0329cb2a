/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_bad_safetensors.c - hazard: safetensors files and shard indexes that lie, each with its message */
#include "files.h"

static void expect(const char *why, int code, const char *says)
{
	struct checkpoint *checkpoint;
	struct err err = {0};
	int got = checkpoint_open(&checkpoint, dir, &err);

	ck_assert_msg(got == code, "%s: code %d, expected %d: %s", why, got, code, err.msg);
	ck_assert_ptr_null(checkpoint);
	ck_assert_msg(strstr(err.msg, says) != NULL, "%s\n  said:     %s\n  expected: %s", why,
		      err.msg, says);
	ck_assert_msg(strncmp(err.msg, dir, strlen(dir)) == 0, "%s: names no file: %s", why,
		      err.msg);
}

#define INFO(dtype, shape, from, to)                                                               \
	"{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
#define F32(shape, from, to) INFO("\"F32\"", shape, from, to)
#define HEAD(name, info)     "{\"" name "\":" info "}"
#define TWO(a, b)	     "{\"a\":" a ",\"b\":" b "}"
#define NAME_50		     "12345678901234567890123456789012345678901234567890"

/* clang-format off */
static const struct {
	const char *why, *header;
	size_t data_bytes;
	int code;
	const char *says;
} bad[] = {
	{"no object", "[1, 2]", 0, EBADMSG, "model.safetensors: no safetensors file: the header begins with no '{'"},
	{"space first", " {}", 0, EBADMSG, "no safetensors file: the header begins with no '{'"},
	{"empty header", "", 0, EBADMSG, "no safetensors file: the header begins with no '{'"},
	{"no tensor", "{}", 0, EBADMSG, "holds no tensor"},
	{"data without a tensor", "{}", 5, EBADMSG, "tensors end at data byte 0, expected 5, the end of the file"},
	{"cut JSON", "{\"w\":{\"dtype\":\"F32\"", 0, EBADMSG, "model.safetensors: header, line 1, column 19: '}' expected near end of file"},
	{"text after JSON", HEAD("w", F32("[1]", "0", "4")) "x", 4, EBADMSG, "end of file expected near 'x'"},
	{"a terminal's command", "{\x1b[2J}", 0, EBADMSG, "string or '}' expected near '?'"},
	{"a tensor twice", "{\"w\":" F32("[1]", "0", "4") ",\"w\":" F32("[1]", "0", "4") "}", 4, EBADMSG, "duplicate object key near '\"w\"'"},
	{"a key twice", "{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, EBADMSG, "duplicate object key near '\"dtype\"'"},
	{"a NUL in a name", HEAD("w\\u0000x", F32("[1]", "0", "4")), 4, EBADMSG, "NUL byte in object key not supported"},
	{"no UTF-8", HEAD("w\xff", F32("[1]", "0", "4")), 4, EBADMSG, "unable to decode byte 0xff"},
	{"deep nesting", "{\"w\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", 0, EBADMSG, "tensor 'w': its value is an array, expected an object"},
	{"int64", HEAD("w", INFO("\"I64\"", "[1]", "0", "8")), 8, ENOTSUP, "tensor 'w': dtype 'I64', expected F32, F16 or BF16"},
	{"fp8", HEAD("w", INFO("\"F8_E4M3\"", "[4]", "0", "4")), 4, ENOTSUP, "tensor 'w': dtype 'F8_E4M3', expected F32, F16 or BF16"},
	{"dtype in small letters", HEAD("w", INFO("\"f32\"", "[1]", "0", "4")), 4, ENOTSUP, "tensor 'w': dtype 'f32', expected F32, F16 or BF16"},
	{"dtype is a number", HEAD("w", INFO("32", "[1]", "0", "4")), 4, EBADMSG, "tensor 'w': dtype is an integer, expected a text"},
	{"no dtype", "{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, EBADMSG, "tensor 'w': dtype is nothing, expected a text"},
	{"no shape", "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, EBADMSG, "tensor 'w': shape is nothing, expected an array"},
	{"no offsets", "{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, EBADMSG, "tensor 'w': data_offsets is nothing, expected an array of two"},
	{"three offsets", "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, EBADMSG, "tensor 'w': data_offsets is an array, expected an array of two"},
	{"unknown key", "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"stride\":[1]}}", 4, EBADMSG, "tensor 'w': unknown key 'stride', expected dtype, shape and data_offsets"},
	{"five dimensions", HEAD("w", F32("[1,1,1,1,1]", "0", "4")), 4, ENOTSUP, "tensor 'w': shape has 5 dimensions, expected at most 4"},
	{"negative dimension", HEAD("w", F32("[-1]", "0", "4")), 4, EBADMSG, "tensor 'w': a dimension of its shape is -1, expected 0 or more"},
	{"fraction of a dimension", HEAD("w", F32("[1.0]", "0", "4")), 4, EBADMSG, "tensor 'w': a dimension of its shape is a fraction, expected an integer"},
	{"product passes 2^63", HEAD("w", F32("[4294967296,4294967296]", "0", "4")), 4, EBADMSG, "tensor 'w': dimension 1 is 4294967296, expected at most 2^63 bytes in all"},
	{"product wraps to 4", HEAD("w", F32("[4611686018427387905]", "0", "4")), 4, EBADMSG, "tensor 'w': dimension 0 is 4611686018427387905, expected at most 2^63 bytes"},
	{"number passes 2^63", HEAD("w", F32("[9223372036854775808]", "0", "4")), 4, EBADMSG, "a dimension of its shape is a fraction, expected an integer"},
	{"span is not the size", HEAD("w", F32("[2]", "0", "4")), 4, EBADMSG, "tensor 'w': data_offsets span 4 bytes, expected 8 from dtype and shape"},
	{"offsets descend", HEAD("w", F32("[1]", "4", "0")), 4, EBADMSG, "tensor 'w': data_offsets [4, 0], expected an ascending pair within 4 bytes of data"},
	{"past the end", HEAD("w", F32("[2]", "0", "8")), 4, EBADMSG, "tensor 'w': data_offsets [0, 8], expected an ascending pair within 4 bytes of data"},
	{"absurd offset", HEAD("w", F32("[1]", "9223372036854775803", "9223372036854775807")), 4, EBADMSG, "tensor 'w': data_offsets [9223372036854775803, 9223372036854775807], expected"},
	{"negative offset", HEAD("w", F32("[1]", "-4", "0")), 4, EBADMSG, "tensor 'w': data_offsets[0] is -4, expected 0 or more"},
	{"overlap", TWO(F32("[2]", "0", "8"), F32("[2]", "4", "12")), 12, EBADMSG, "tensor 'b' begins at data byte 4, expected 8, where 'a' ends: they overlap"},
	{"the same bytes twice", TWO(F32("[1]", "0", "4"), F32("[1]", "0", "4")), 4, EBADMSG, "begins at data byte 0, expected 4, where '"},
	{"hole at the start", HEAD("w", F32("[1]", "4", "8")), 8, EBADMSG, "tensor 'w' begins at data byte 4, expected 0: a hole that no tensor covers"},
	{"hole between", TWO(F32("[1]", "0", "4"), F32("[1]", "8", "12")), 12, EBADMSG, "tensor 'b' begins at data byte 8, expected 4: a hole that no tensor covers"},
	{"bytes left over", HEAD("w", F32("[1]", "0", "4")), 5, EBADMSG, "tensors end at data byte 4, expected 5, the end of the file"},
	{"empty name", HEAD("", F32("[1]", "0", "4")), 4, EBADMSG, "a tensor name of 0 bytes, expected 1 to 127 bytes"},
	{"name too long", HEAD(NAME_50 NAME_50 NAME_50, F32("[1]", "0", "4")), 4, EBADMSG, "a tensor name of 150 bytes, expected 1 to 127 bytes"},
	{"a terminal's command in a name", HEAD("w\\u001b[2J", F32("[1]", "0", "4")), 4, EBADMSG, "byte 1 of a tensor name is 0x1b, a control character"},
	{"metadata is no object", "{\"__metadata__\":3}", 0, EBADMSG, "__metadata__ is an integer, expected an object"},
	{"metadata of numbers", "{\"__metadata__\":{\"step\":3}}", 0, EBADMSG, "__metadata__: 'step' is an integer, expected a text"},
};
/* clang-format on */

START_TEST(a_header_that_lies_is_refused_by_name)
{
	safetensors_spit("model.safetensors", bad[_i].header, bad[_i].data_bytes);
	expect(bad[_i].why, bad[_i].code, bad[_i].says);
}
END_TEST

/* clang-format off */
static const struct {
	const char *why;
	struct bytes file;
	const char *says;
} raw[] = {
	{"an empty file", BYTES(""), "model.safetensors: 0 bytes, expected 8 or more: the file is cut off"},
	{"cut in the length", BYTES("\x02\0\0\0\0\0\0"), "7 bytes, expected 8 or more: the file is cut off"},
	{"a header longer than the file", BYTES("\x03\0\0\0\0\0\0\0{}"), "header length 3, expected at most 2, what is left of the file"},
	{"a huge header", BYTES("\x01\xe1\xf5\x05\0\0\0\0{}"), "header length 100000001, expected at most 100000000"},
	{"an absurd header", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "header length 18446744073709551615, expected at most 100000000"},
	{"a header of 2^63", BYTES("\0\0\0\0\0\0\0\x80{}"), "header length 9223372036854775808, expected at most 100000000"},
	{"a Git LFS pointer", BYTES("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer, expected the file it stands for (git lfs pull)"},
};
/* clang-format on */

START_TEST(a_file_that_is_none_is_told)
{
	file_spit("model.safetensors", raw[_i].file.at, raw[_i].file.size);
	expect(raw[_i].why, EBADMSG, raw[_i].says);
}
END_TEST

START_TEST(a_good_file_cut_anywhere_is_refused)
{
	size_t size;
	unsigned char *file = file_slurp(FIXTURES "/safetensors-f16/model.safetensors", &size);

	for (size_t cut = 0; cut < size; cut += cut < 600 ? 1 : 37) {
		struct checkpoint *checkpoint;
		struct err err = {0};

		file_spit("model.safetensors", file, cut);
		ck_assert_msg(checkpoint_open(&checkpoint, dir, &err) == EBADMSG,
			      "cut at byte %zu: code %d: %s", cut, err.code, err.msg);
	}
	free(file);
}
END_TEST

START_TEST(a_header_of_too_many_values_takes_no_memory)
{
	size_t size = 8 * 1024 * 1024;
	char *header = malloc(size + 1);

	ck_assert_ptr_nonnull(header);
	memcpy(header, "{\"w\":[", 6);
	for (size_t i = 6; i < size; i++)
		header[i] = i % 2 ? ',' : '1';
	header[size] = '\0';
	safetensors_spit("model.safetensors", header, 0);
	expect("millions of values", EBADMSG, "values, expected at most 1048576");
	free(header);
}
END_TEST

START_TEST(a_pipe_or_folder_in_a_files_place_is_refused)
{
	ck_assert_int_eq(mkdir(file_path("model.safetensors"), 0700), 0);
	expect("a folder", EBADMSG, "model.safetensors: no regular file");
	ck_assert_int_eq(rmdir(file_path("model.safetensors")), 0);
	ck_assert_int_eq(mkfifo(file_path("model.safetensors"), 0600), 0);
	expect("a FIFO, which would block", EBADMSG, "model.safetensors: no regular file");
}
END_TEST

#define MAP(map) "{\"metadata\":{\"total_size\":8},\"weight_map\":" map "}"

/* Beside shards 1.safetensors with tensor a, 2.safetensors with tensor b. */
/* clang-format off */
static const struct {
	const char *why, *index;
	int code;
	const char *says;
} indexes[] = {
	{"no JSON", "weights", EBADMSG, "model.safetensors.index.json: index, line 1, column 7: '[' or '{' expected near 'weights'"},
	{"an array", "[]", EBADMSG, "index.json: index is an array, expected an object"},
	{"no map", "{\"metadata\":{}}", EBADMSG, "weight_map is nothing, expected an object"},
	{"map is a text", "{\"weight_map\":\"1.safetensors\"}", EBADMSG, "weight_map is a text, expected an object"},
	{"empty map", MAP("{}"), EBADMSG, "holds no tensor"},
	{"a tensor twice", MAP("{\"a\":\"1.safetensors\",\"a\":\"2.safetensors\"}"), EBADMSG, "duplicate object key near '\"a\"'"},
	{"shard is a number", MAP("{\"a\":1}"), EBADMSG, "tensor 'a': shard is an integer, expected a text"},
	{"path upwards", MAP("{\"a\":\"../1.safetensors\"}"), EBADMSG, "tensor 'a': shard '../1.safetensors', expected the name of a file in the same folder"},
	{"absolute path", MAP("{\"a\":\"/etc/passwd\"}"), EBADMSG, "tensor 'a': shard '/etc/passwd', expected the name of a file in the same folder"},
	{"path downwards", MAP("{\"a\":\"x/1.safetensors\"}"), EBADMSG, "tensor 'a': shard 'x/1.safetensors', expected the name of a file in the same folder"},
	{"this folder", MAP("{\"a\":\".\"}"), EBADMSG, "tensor 'a': shard '.', expected the name of a file in the same folder"},
	{"two dots", MAP("{\"a\":\"..\"}"), EBADMSG, "tensor 'a': shard '..', expected the name of a file in the same folder"},
	{"backslash", MAP("{\"a\":\"..\\\\1.safetensors\"}"), EBADMSG, "expected the name of a file in the same folder"},
	{"no name", MAP("{\"a\":\"\"}"), EBADMSG, "tensor 'a': shard '', expected the name of a file in the same folder"},
	{"NUL in a name", MAP("{\"a\":\"1.safetensors\\u0000.bin\"}"), EBADMSG, "\\u0000 is not allowed"},
	{"control character", MAP("{\"a\":\"1\\u001b.safetensors\"}"), EBADMSG, "tensor 'a': its shard's name holds a control character"},
	{"missing shard", MAP("{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}"), ENOENT, "shard '3.safetensors' is missing, expected it beside the index"},
	{"tensor in another shard", MAP("{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}"), EBADMSG, "tensor 'a' stands in shard '1.safetensors', expected it in '2.safetensors'"},
	{"tensor in no shard", MAP("{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"2.safetensors\"}"), EBADMSG, "tensor 'c' is missing in shard '2.safetensors', where it is expected"},
	{"tensor not in the index", MAP("{\"z\":\"1.safetensors\"}"), EBADMSG, "tensor 'a' of shard '1.safetensors' is missing in the index"},
	{"shard is no safetensors file", MAP("{\"a\":\"model.safetensors.index.json\"}"), EBADMSG, "model.safetensors.index.json: header length"},
};
/* clang-format on */

START_TEST(an_index_that_lies_is_refused_by_name)
{
	safetensors_spit("1.safetensors", HEAD("a", F32("[1]", "0", "4")), 4);
	safetensors_spit("2.safetensors", HEAD("b", F32("[1]", "0", "4")), 4);
	text_spit("model.safetensors.index.json", indexes[_i].index);
	expect(indexes[_i].why, indexes[_i].code, indexes[_i].says);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad_safetensors");
	TCase *tcase = tcase_create("bad_safetensors");

	tcase_add_checked_fixture(tcase, files_setup, files_teardown);
	tcase_add_loop_test(tcase, a_header_that_lies_is_refused_by_name, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tcase, a_file_that_is_none_is_told, 0, sizeof(raw) / sizeof(raw[0]));
	tcase_add_test(tcase, a_good_file_cut_anywhere_is_refused);
	tcase_add_test(tcase, a_header_of_too_many_values_takes_no_memory);
	tcase_add_test(tcase, a_pipe_or_folder_in_a_files_place_is_refused);
	tcase_add_loop_test(tcase, an_index_that_lies_is_refused_by_name, 0,
			    sizeof(indexes) / sizeof(indexes[0]));
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
