/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_gguf.c - hazard: a model file that lies about its counts, lengths, offsets or sizes */
#include "gguf.h"
#include "tiny.h"

/* The good file, byte by byte: three keys, two tensors, data at 4096. */
enum {
	AT_VERSION = 4,
	AT_TENSORS = 8,
	AT_KEYS = 16,
	AT_KEY0 = 24, /* general.alignment, u32 */
	AT_KEY0_NAME = 32,
	AT_KEY0_TYPE = 49,
	AT_KEY0_VALUE = 53,
	AT_KEY1 = 57, /* general.name, text */
	AT_KEY1_TYPE = 77,
	AT_KEY1_LENGTH = 81,
	AT_KEY2 = 93, /* some.array, of two u32 */
	AT_KEY2_TYPE = 115,
	AT_KEY2_LENGTH = 119,
	AT_ALPHA = 135, /* f32 [8 x 64] */
	AT_ALPHA_NAME = 143,
	AT_ALPHA_DIMS = 148,
	AT_ALPHA_DIM0 = 152,
	AT_ALPHA_DIM1 = 160,
	AT_ALPHA_TYPE = 168,
	AT_ALPHA_OFFSET = 172,
	AT_BETA = 180, /* f16 [4 x 64] */
	AT_BETA_NAME = 188,
	AT_BETA_OFFSET = 217,
	AT_END = 225,
	DATA_AT = 4096,
	FILE_BYTES = DATA_AT + 4096 + 512,
};

static unsigned char *put(unsigned char *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (unsigned char)(value >> (8 * i));
	return at + bytes;
}

static unsigned char *put_text(unsigned char *at, const char *text)
{
	at = put(at, strlen(text), 8);
	memcpy(at, text, strlen(text));
	return at + strlen(text);
}

static unsigned char *put_tensor(unsigned char *at, const char *name, uint64_t rows, uint32_t type,
				 uint64_t offset)
{
	at = put_text(at, name);
	at = put(at, 2, 4);
	at = put(at, 64, 8);
	at = put(at, rows, 8);
	at = put(at, type, 4);
	return put(at, offset, 8);
}

static void good_file(unsigned char file[FILE_BYTES])
{
	unsigned char *at = file;

	memset(file, 0, FILE_BYTES);
	memcpy(at, "GGUF", 4);
	at = put(put(put(at + 4, 3, 4), 2, 8), 3, 8);
	at = put(put(put_text(at, "general.alignment"), 4, 4), 4096, 4);
	at = put_text(put(put_text(at, "general.name"), 8, 4), "tiny");
	at = put(put(put(put_text(at, "some.array"), 9, 4), 4, 4), 2, 8);
	at = put(put(at, 7, 4), 8, 4);
	ck_assert_int_eq(at - file, AT_ALPHA);
	at = put_tensor(at, "alpha", 8, GGUF_F32, 0);
	ck_assert_int_eq(at - file, AT_BETA);
	at = put_tensor(at, "betas", 4, GGUF_F16, 4096);
	ck_assert_int_eq(at - file, AT_END);
}

static char dir[TINY_PATH], path[TINY_PATH + 16];

static void setup(void)
{
	dir_make(dir);
	snprintf(path, sizeof(path), "%s/x.gguf", dir);
}

static void teardown(void)
{
	dir_remove(dir);
}

static int open_bytes(const unsigned char *bytes, size_t size, struct gguf **gguf, struct err *err)
{
	file_spit(path, bytes, size);
	return gguf_open(gguf, path, err);
}

START_TEST(a_good_file_reads_as_it_was_written)
{
	unsigned char file[FILE_BYTES];
	struct err err = {0};
	struct gguf *gguf;
	const char *name;
	uint64_t number;

	good_file(file);
	ck_ok(open_bytes(file, sizeof(file), &gguf, &err));
	ck_ok(gguf_number(gguf, "general.alignment", &number, &err));
	ck_assert_uint_eq(number, 4096);
	ck_ok(gguf_text(gguf, "general.name", &name, &err));
	ck_assert_str_eq(name, "tiny");
	ck_assert(gguf_has(gguf, "some.array") && !gguf_has(gguf, "other"));
	ck_assert_uint_eq(gguf_tensor_count(gguf), 2);
	ck_assert_str_eq(gguf_tensor_at(gguf, 1)->name, "betas");
	ck_assert_uint_eq(gguf_tensor_at(gguf, 0)->bytes, 2048);
	ck_assert_uint_eq(gguf_tensor_at(gguf, 1)->offset, DATA_AT + 4096);
	ck_assert_int_eq(gguf_number(gguf, "general.name", &number, &err), EBADMSG);
	gguf_close(gguf);
}
END_TEST

START_TEST(what_the_writer_writes_the_reader_reads)
{
	struct gguf_tensor tensor = {
		.name = "t", .type = GGUF_F16, .dim_count = 1, .dims = {32}, .offset = 0};
	unsigned char data[4096 + 64] = {0};
	struct gguf_head head;
	struct err err = {0};
	struct gguf *gguf;
	uint64_t number;
	const char *text;

	gguf_head_init(&head);
	gguf_head_number(&head, "a", 7);
	gguf_head_wide(&head, "b", UINT64_C(1) << 40);
	gguf_head_text(&head, "c", "see");
	gguf_head_number(&head, "general.alignment", 4096);
	gguf_head_tensor(&head, &tensor);
	ck_ok(gguf_head_finish(&head, 4096, &err));
	ck_assert_uint_eq(head.used, 4096);
	memcpy(data, head.bytes, head.used);
	ck_ok(open_bytes(data, sizeof(data), &gguf, &err));
	ck_ok(gguf_number(gguf, "a", &number, &err));
	ck_assert_uint_eq(number, 7);
	ck_ok(gguf_number(gguf, "b", &number, &err));
	ck_assert_uint_eq(number, UINT64_C(1) << 40);
	ck_ok(gguf_text(gguf, "c", &text, &err));
	ck_assert_str_eq(text, "see");
	ck_assert_uint_eq(gguf_tensor_at(gguf, 0)->offset, 4096);
	gguf_close(gguf);
	gguf_head_fini(&head);
}
END_TEST

#define HUGE_COUNT UINT64_C(0xffffffffffffffff)

static const struct {
	const char *why;
	unsigned at, bytes;
	uint64_t value;
	const char *says;
} bad[] = {
	{"another magic", 0, 4, 0x46554748, "no GGUF file"},
	{"an older version", AT_VERSION, 4, 2, "version 2, expected 3"},
	{"a byte-swapped version", AT_VERSION, 4, 0x03000000, "expected 3"},
	{"more tensors than bytes", AT_TENSORS, 8, HUGE_COUNT, "tensor count"},
	{"more tensors than any model", AT_TENSORS, 8, 70000, "tensor count"},
	{"more tensors than there are", AT_TENSORS, 8, 3, "x.gguf"},
	{"fewer tensors: not an error of the table itself", AT_TENSORS, 8, 1, NULL},
	{"more keys than bytes", AT_KEYS, 8, HUGE_COUNT, "key count"},
	{"fewer keys: the table is read out of step", AT_KEYS, 8, 2, "x.gguf"},
	{"a key longer than the file", AT_KEY0, 8, HUGE_COUNT, "key at byte"},
	{"a key longer than keys are", AT_KEY0, 8, 65536, "key at byte"},
	{"a zero byte in a key", AT_KEY0_NAME + 3, 1, 0, "holds a zero byte"},
	{"no such key type", AT_KEY0_TYPE, 4, 13, "type 13, expected 0 to 12"},
	{"an alignment that is no number", AT_KEY0_TYPE, 4, 6, "general.alignment is no unsigned"},
	{"an alignment of zero", AT_KEY0_VALUE, 4, 0, "general.alignment: got 0"},
	{"an alignment that is no power of two", AT_KEY0_VALUE, 4, 4095, "got 4095"},
	{"an alignment beyond reason", AT_KEY0_VALUE, 4, 0x80000000, "got 2147483648"},
	{"a text longer than the file", AT_KEY1_LENGTH, 8, HUGE_COUNT, "text"},
	{"a text a little longer than the file", AT_KEY1_LENGTH, 8, FILE_BYTES, "text"},
	{"an array of arrays", AT_KEY2_TYPE, 4, 9, "array type"},
	{"an array of no type", AT_KEY2_TYPE, 4, 99, "array type"},
	{"an array longer than the file", AT_KEY2_LENGTH, 8, HUGE_COUNT, "array length"},
	{"an array whose bytes overflow", AT_KEY2_LENGTH, 8, UINT64_C(1) << 62, "array length"},
	{"texts instead of numbers", AT_KEY2_TYPE, 4, 8, "text in an array"},
	{"a tensor name too long", AT_ALPHA, 8, 65, "tensor name"},
	{"a tensor name of all bytes", AT_ALPHA, 8, HUGE_COUNT, "tensor name"},
	{"no dimension", AT_ALPHA_DIMS, 4, 0, "0 dimensions, expected 1 to 4"},
	{"five dimensions", AT_ALPHA_DIMS, 4, 5, "5 dimensions"},
	{"a dimension of zero", AT_ALPHA_DIM0, 8, 0, "dimension 0 is 0"},
	{"dimensions whose product overflows", AT_ALPHA_DIM1, 8, UINT64_C(1) << 60, "below 2^64"},
	{"bytes that overflow", AT_ALPHA_DIM1, 8, UINT64_C(1) << 57, "2^64 bytes or more"},
	{"a tensor larger than the file", AT_ALPHA_DIM1, 8, 1 << 20, "the file holds 4608"},
	{"a tensor over its neighbour", AT_ALPHA_DIM1, 8, 17, "overlaps"},
	{"a quantised type", AT_ALPHA_TYPE, 4, 2, "type 2, expected 0 (f32)"},
	{"a type of no meaning", AT_ALPHA_TYPE, 4, 0xffffffff, "type 4294967295"},
	{"an unaligned offset", AT_ALPHA_OFFSET, 8, 512, "offset 512, expected a multiple of 4096"},
	{"an offset past the end", AT_ALPHA_OFFSET, 8, 8192, "2048 bytes at offset 8192"},
	{"an offset that overflows", AT_ALPHA_OFFSET, 8, UINT64_C(0xfffffffffffff000),
	 "at offset 18446744073709547520"},
	{"two tensors at one place", AT_BETA_OFFSET, 8, 0, "overlaps"},
	{"two tensors of one name", AT_BETA_NAME, 5, UINT64_C(0x6168706c61), "stands twice"},
};

START_TEST(a_lie_is_told_by_name)
{
	unsigned char file[FILE_BYTES];
	struct gguf *gguf = NULL;
	struct err err = {0};
	int code;

	good_file(file);
	put(file + bad[_i].at, bad[_i].value, bad[_i].bytes);
	code = open_bytes(file, sizeof(file), &gguf, &err);
	if (bad[_i].says) {
		ck_assert_msg(code == EBADMSG, "%s: code %d", bad[_i].why, code);
		ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: said '%s'", bad[_i].why,
			      err.msg);
		ck_assert_msg(strstr(err.msg, "x.gguf") != NULL, "names the file: '%s'", err.msg);
		ck_assert_ptr_null(gguf);
	} else {
		ck_assert_msg(code == 0, "%s: %s", bad[_i].why, err.msg);
	}
	gguf_close(gguf);
}
END_TEST

START_TEST(a_repeated_key_is_refused)
{
	unsigned char bytes[256] = "GGUF", *at = bytes + 4;
	struct err err = {0};
	struct gguf *gguf;

	at = put(put(put(at, 3, 4), 0, 8), 2, 8);
	at = put(put(put_text(at, "k"), 4, 4), 1, 4);
	at = put(put(put_text(at, "k"), 4, 4), 2, 4);
	ck_assert_int_eq(open_bytes(bytes, (size_t)(at - bytes), &gguf, &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, "key 'k' stands twice") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
	unsigned char file[FILE_BYTES];

	good_file(file);
	for (size_t size = 0; size < FILE_BYTES; size += size < AT_END + 8 ? 1 : 127) {
		struct gguf *gguf;
		struct err err = {0};

		ck_assert_msg(open_bytes(file, size, &gguf, &err) == EBADMSG, "cut at %zu: code %d",
			      size, err.code);
	}
}
END_TEST

START_TEST(no_flipped_bit_of_a_header_does_harm)
{
	unsigned char file[FILE_BYTES];
	unsigned refused = 0;

	good_file(file);
	for (unsigned bit = 0; bit < AT_END * 8; bit++) {
		struct gguf *gguf;
		struct err err = {0};

		file[bit / 8] ^= (unsigned char)(1U << bit % 8);
		if (open_bytes(file, sizeof(file), &gguf, &err)) {
			ck_assert_int_eq(err.code, EBADMSG);
			refused++;
		}
		gguf_close(gguf);
		file[bit / 8] ^= (unsigned char)(1U << bit % 8);
	}
	ck_assert_uint_gt(refused, AT_END * 8 / 4);
}
END_TEST

START_TEST(a_missing_file_and_a_folder_are_told_apart)
{
	struct gguf *gguf;
	struct err err = {0};

	ck_assert_int_eq(gguf_open(&gguf, path, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, path) != NULL, "%s", err.msg);
	err.code = 0;
	ck_assert_int_eq(gguf_open(&gguf, dir, &err), EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gguf");
	TCase *tcase = tcase_create("gguf");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_good_file_reads_as_it_was_written);
	tcase_add_test(tcase, what_the_writer_writes_the_reader_reads);
	tcase_add_loop_test(tcase, a_lie_is_told_by_name, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tcase, a_repeated_key_is_refused);
	tcase_add_test(tcase, a_file_cut_anywhere_is_refused);
	tcase_add_test(tcase, no_flipped_bit_of_a_header_does_harm);
	tcase_add_test(tcase, a_missing_file_and_a_folder_are_told_apart);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
