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
	{"a quantised type is listed", AT_ALPHA_TYPE, 4, 2, NULL},
	{"a quantised type of longer blocks than a row", AT_ALPHA_TYPE, 4, 12,
	 "rows of 64 elements, expected a multiple of 256 for type Q4_K"},
	{"a type that was withdrawn", AT_ALPHA_TYPE, 4, 4, "'alpha': type 4 is none that we know"},
	{"a type of no meaning", AT_ALPHA_TYPE, 4, 0xffffffff, "type 4294967295 is none"},
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

START_TEST(tensor_types_of_others_are_listed_by_name)
{
	unsigned char file[FILE_BYTES];
	struct err err = {0};
	struct gguf *gguf;

	good_file(file);
	put(file + AT_ALPHA_TYPE, 2, 4);
	put(file + AT_BETA_OFFSET - 4, GGUF_BF16, 4);
	ck_ok(open_bytes(file, sizeof(file), &gguf, &err));
	ck_assert_str_eq(gguf_type_name(gguf_find_tensor(gguf, "alpha")->type), "Q4_0");
	ck_assert_uint_eq(gguf_find_tensor(gguf, "alpha")->bytes, 512 / 32 * 18);
	ck_assert_uint_eq(gguf_type_bytes(gguf_find_tensor(gguf, "alpha")->type), 0);
	ck_assert_str_eq(gguf_type_name(gguf_find_tensor(gguf, "betas")->type), "bf16");
	ck_assert_uint_eq(gguf_find_tensor(gguf, "betas")->bytes, 512);
	ck_assert_ptr_null(gguf_find_tensor(gguf, "gamma"));
	ck_assert_ptr_null(gguf_type_name(4));
	ck_assert_ptr_null(gguf_type_name(UINT64_MAX));
	gguf_close(gguf);
}
END_TEST

/* Every type of key that the writer knows. */
static void write_keys(struct gguf_head *head)
{
	static const int32_t integers[] = {-1, 0, INT32_MAX, INT32_MIN};
	static const float floats[] = {0.5F, -2.0F};

	gguf_head_init(head);
	gguf_head_signed(head, "minus", -5);
	gguf_head_wide(head, "most", UINT64_MAX);
	gguf_head_float(head, "eps", 0.125F);
	gguf_head_bool(head, "yes", true);
	gguf_head_bool(head, "no", false);
	gguf_head_text(head, "text", "t");
	gguf_head_integers(head, "integers", integers, 4);
	gguf_head_integers(head, "none", integers, 0);
	gguf_head_floats(head, "floats", floats, 2);
	gguf_head_texts(head, "texts", 4);
	gguf_head_next_text(head, "first", 5);
	gguf_head_next_text(head, "", 0);
	gguf_head_next_text(head, "a\0b", 3);
	gguf_head_next_text(head, "last", 4);
	gguf_head_texts(head, "no texts", 0);
}

static struct gguf *keys_file(void)
{
	struct gguf_head head;
	struct err err = {0};
	struct gguf *gguf;

	write_keys(&head);
	ck_ok(gguf_head_finish(&head, 32, &err));
	ck_ok(open_bytes(head.bytes, head.used, &gguf, &err));
	gguf_head_fini(&head);
	return gguf;
}

START_TEST(keys_of_every_type_read_as_they_were_written)
{
	struct gguf *gguf = keys_file();
	struct err err = {0};
	int64_t integer;
	uint64_t number;
	double real;
	bool truth;

	ck_ok(gguf_signed(gguf, "minus", &integer, &err));
	ck_assert_int_eq(integer, -5);
	ck_ok(gguf_number(gguf, "most", &number, &err));
	ck_assert(number == UINT64_MAX);
	ck_ok(gguf_float(gguf, "eps", &real, &err));
	ck_assert(real == 0.125);
	ck_ok(gguf_bool(gguf, "yes", &truth, &err));
	ck_assert(truth);
	ck_ok(gguf_bool(gguf, "no", &truth, &err));
	ck_assert(!truth);
	gguf_close(gguf);
}
END_TEST

START_TEST(arrays_read_as_they_were_written)
{
	struct gguf *gguf = keys_file();
	const struct gguf_array *array;
	struct err err = {0};
	size_t bytes;

	ck_ok(gguf_integers(gguf, "integers", &array, &err));
	ck_assert_uint_eq(gguf_array_count(array), 4);
	ck_assert_int_eq(gguf_integer_at(array, 0), -1);
	ck_assert_int_eq(gguf_integer_at(array, 2), INT32_MAX);
	ck_assert_int_eq(gguf_integer_at(array, 3), INT32_MIN);
	ck_ok(gguf_integers(gguf, "none", &array, &err));
	ck_assert_uint_eq(gguf_array_count(array), 0);
	ck_ok(gguf_floats(gguf, "floats", &array, &err));
	ck_assert(gguf_array_count(array) == 2 && gguf_float_at(array, 1) == -2.0);
	ck_ok(gguf_texts(gguf, "texts", &array, &err));
	ck_assert_uint_eq(gguf_array_count(array), 4);
	ck_assert_str_eq(gguf_text_at(array, 0, &bytes), "first");
	ck_assert_str_eq(gguf_text_at(array, 1, &bytes), "");
	ck_assert_uint_eq(bytes, 0);
	ck_assert_mem_eq(gguf_text_at(array, 2, &bytes), "a\0b", 4);
	ck_assert_uint_eq(bytes, 3);
	ck_assert_str_eq(gguf_text_at(array, 3, &bytes), "last");
	ck_ok(gguf_texts(gguf, "no texts", &array, &err));
	ck_assert_uint_eq(gguf_array_count(array), 0);
	gguf_close(gguf);
}
END_TEST

enum ask { ASK_NUMBER, ASK_SIGNED, ASK_FLOAT, ASK_BOOL, ASK_TEXT, ASK_TEXTS, ASK_INTS, ASK_FLOATS };

static int ask(const struct gguf *gguf, enum ask kind, const char *key, struct err *err)
{
	const struct gguf_array *array;
	const char *text;
	uint64_t number;
	int64_t integer;
	double real;
	bool truth;

	switch (kind) {
	case ASK_NUMBER:
		return gguf_number(gguf, key, &number, err);
	case ASK_SIGNED:
		return gguf_signed(gguf, key, &integer, err);
	case ASK_FLOAT:
		return gguf_float(gguf, key, &real, err);
	case ASK_BOOL:
		return gguf_bool(gguf, key, &truth, err);
	case ASK_TEXT:
		return gguf_text(gguf, key, &text, err);
	case ASK_TEXTS:
		return gguf_texts(gguf, key, &array, err);
	case ASK_INTS:
		return gguf_integers(gguf, key, &array, err);
	default:
		return gguf_floats(gguf, key, &array, err);
	}
}

static const struct {
	enum ask kind;
	const char *key, *says;
} wrong[] = {
	{ASK_NUMBER, "other", "key other is missing"},
	{ASK_NUMBER, "minus", "key minus is no unsigned number: got -5"},
	{ASK_NUMBER, "eps", "key eps is no unsigned number: got f32"},
	{ASK_NUMBER, "yes", "key yes is no unsigned number: got bool"},
	{ASK_NUMBER, "integers", "key integers is no unsigned number: got an array of i32"},
	{ASK_SIGNED, "most", "key most: got 18446744073709551615, expected below 2^63"},
	{ASK_SIGNED, "text", "key text is no integer: got text"},
	{ASK_FLOAT, "minus", "key minus is no floating-point number: got i32"},
	{ASK_BOOL, "minus", "key minus is no bool: got i32"},
	{ASK_TEXT, "texts", "key texts is no text: got an array of text"},
	{ASK_TEXTS, "text", "key text is no array: got text"},
	{ASK_TEXTS, "integers", "key integers is no array of texts: got an array of i32"},
	{ASK_INTS, "floats", "key floats is no array of integers: got an array of f32"},
	{ASK_INTS, "other", "key other is missing"},
	{ASK_FLOATS, "integers", "no array of floating-point numbers: got an array of i32"},
	{ASK_FLOATS, "texts", "no array of floating-point numbers: got an array of text"},
};

START_TEST(a_key_asked_for_as_something_else_is_told)
{
	struct gguf *gguf = keys_file();
	struct err err = {0};

	ck_assert_int_eq(ask(gguf, wrong[_i].kind, wrong[_i].key, &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, wrong[_i].says) != NULL, "said '%s'", err.msg);
	gguf_close(gguf);
}
END_TEST

/* One key of an array, and nothing else: what its count and lengths may say. */
static const struct {
	const char *why;
	uint32_t type;
	uint64_t count;
	const char *bytes;
	unsigned byte_count;
	const char *says;
} arrays[] = {
	{"texts: the second is longer than the file", 8, 2, "\1\0\0\0\0\0\0\0x\377\377\0\0\0\0\0\0",
	 17, "text in an array at byte"},
	{"texts: a length of all bits", 8, 1, "\377\377\377\377\377\377\377\377", 8,
	 "text in an array at byte"},
	{"texts: one that ends with the file is fine", 8, 1, "\1\0\0\0\0\0\0\0x", 9, NULL},
	{"texts: one byte short", 8, 1, "\2\0\0\0\0\0\0\0x", 9, "got 2, expected at most 1"},
	{"texts: cut within a length", 8, 1, "\1\0\0\0", 4, "array length at byte"},
	{"texts: more than their lengths have room", 8, 1 << 20, "\0\0\0\0\0\0\0\0", 8,
	 "array length at byte"},
	{"texts: fewer follow than said", 8, 2, "\10\0\0\0\0\0\0\0abcdefgh", 16,
	 "text length in an array"},
	{"bools that fit", 7, 3, "\1\0\1", 3, NULL},
	{"numbers: one byte short", 4, 2, "\1\0\0\0\2\0\0", 7, "got 2, expected at most 1"},
	{"numbers: a count whose bytes overflow", 10, UINT64_C(1) << 61, "\0\0\0\0\0\0\0\0", 8,
	 "array length at byte"},
	{"an array of arrays", 9, 1, "\4\0\0\0\0\0\0\0\0\0\0\0", 12, "expected a scalar's type"},
	{"a type past the last", 13, 1, "\0\0\0\0\0\0\0\0", 8, "got 13, expected a scalar's type"},
};

START_TEST(an_array_that_lies_is_refused)
{
	unsigned char bytes[256] = "GGUF", *at = bytes + 4;
	struct err err = {0};
	struct gguf *gguf;
	int code;

	at = put(put(put(at, 3, 4), 0, 8), 1, 8);
	at = put(put_text(at, "k"), 9, 4);
	at = put(put(at, arrays[_i].type, 4), arrays[_i].count, 8);
	memcpy(at, arrays[_i].bytes, arrays[_i].byte_count);
	at += arrays[_i].byte_count;
	code = open_bytes(bytes, (size_t)(at - bytes), &gguf, &err);
	ck_assert_msg(code == (arrays[_i].says ? EBADMSG : 0), "%s: code %d: %s", arrays[_i].why,
		      code, err.msg);
	if (arrays[_i].says)
		ck_assert_msg(strstr(err.msg, arrays[_i].says) != NULL, "%s: said '%s'",
			      arrays[_i].why, err.msg);
	gguf_close(gguf);
}
END_TEST

START_TEST(numbers_of_every_width_keep_their_sign)
{
	static const struct {
		uint32_t type;
		unsigned bytes;
		int64_t means;
	} widths[] = {{0, 1, 0xfe}, {1, 1, -2},		{2, 2, 0xfffe},
		      {3, 2, -2},   {4, 4, 0xfffffffe}, {5, 4, -2},
		      {7, 1, 1},    {11, 8, -2},	{10, 8, INT64_MAX}};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		unsigned char bytes[256] = "GGUF", *at = bytes + 4;
		uint64_t raw = widths[i].means < 0 ? UINT64_MAX - 1 : (uint64_t)widths[i].means;
		const struct gguf_array *array;
		struct gguf *gguf;
		int64_t integer;

		at = put(put(put(at, 3, 4), 0, 8), 2, 8);
		at = put(put(put_text(at, "k"), widths[i].type, 4), raw, widths[i].bytes);
		at = put(put_text(at, "a"), 9, 4);
		at = put(put(put(at, widths[i].type, 4), 1, 8), raw, widths[i].bytes);
		ck_ok(open_bytes(bytes, (size_t)(at - bytes), &gguf, &err));
		if (widths[i].type != 7) {
			ck_ok(gguf_signed(gguf, "k", &integer, &err));
			ck_assert_int_eq(integer, widths[i].means);
		}
		ck_ok(gguf_integers(gguf, "a", &array, &err));
		ck_assert_int_eq(gguf_integer_at(array, 0), widths[i].means);
		gguf_close(gguf);
	}
}
END_TEST

START_TEST(a_bool_of_two_is_refused)
{
	unsigned char bytes[256] = "GGUF", *at = bytes + 4;
	struct err err = {0};
	struct gguf *gguf;

	at = put(put(put(at, 3, 4), 0, 8), 1, 8);
	at = put(put(put_text(at, "k"), 7, 4), 2, 1);
	ck_assert_int_eq(open_bytes(bytes, (size_t)(at - bytes), &gguf, &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, "key 'k': bool 2, expected 0 or 1") != NULL, "%s", err.msg);
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
	tcase_add_test(tcase, tensor_types_of_others_are_listed_by_name);
	tcase_add_test(tcase, keys_of_every_type_read_as_they_were_written);
	tcase_add_test(tcase, arrays_read_as_they_were_written);
	tcase_add_loop_test(tcase, a_key_asked_for_as_something_else_is_told, 0,
			    sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_loop_test(tcase, an_array_that_lies_is_refused, 0,
			    sizeof(arrays) / sizeof(arrays[0]));
	tcase_add_test(tcase, numbers_of_every_width_keep_their_sign);
	tcase_add_test(tcase, a_bool_of_two_is_refused);
	tcase_add_test(tcase, a_repeated_key_is_refused);
	tcase_add_test(tcase, a_file_cut_anywhere_is_refused);
	tcase_add_test(tcase, no_flipped_bit_of_a_header_does_harm);
	tcase_add_test(tcase, a_missing_file_and_a_folder_are_told_apart);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
