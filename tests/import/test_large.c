/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_large.c - hazard: offsets past 4 GiB, as in every published model; the files here are holes
 * and take no space */
#include "files.h"
#include "pickles.h"

#define LARGE_BYTES UINT64_C(0x140000000) /* 5 GiB: 0x50000000 weights of f32 */

static void put(FILE *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		ck_assert_int_ne(fputc((int)(value >> (8 * i) & 0xff), out), EOF);
}

static void check_end(struct checkpoint *checkpoint, const char *large, const char *small)
{
	const struct checkpoint_tensor *tensor = checkpoint_find(checkpoint, large);
	unsigned char bytes[8];
	struct err err = {0};

	ck_assert_ptr_nonnull(tensor);
	ck_assert_uint_eq(tensor->bytes, LARGE_BYTES);
	ck_ok(checkpoint_read(checkpoint, tensor, LARGE_BYTES - 8, bytes, 8, &err));
	ck_assert_mem_eq(bytes, "the end.", 8);
	ck_ok(checkpoint_read(checkpoint, tensor, 1 << 20, bytes, 8, &err));
	ck_assert_mem_eq(bytes, "\0\0\0\0\0\0\0\0", 8);
	tensor = checkpoint_find(checkpoint, small);
	ck_assert_ptr_nonnull(tensor);
	ck_ok(checkpoint_read(checkpoint, tensor, 0, bytes, 4, &err));
	ck_assert_mem_eq(bytes, "tail", 4);
}

START_TEST(safetensors_past_4_gib_are_read)
{
	static const char header[] =
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[1342177280],\"data_offsets\":[0,5368709120]},"
		"\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5368709120,5368709124]}}";
	FILE *out = fopen(file_path("model.safetensors"), "wb");
	struct checkpoint *checkpoint;
	struct err err = {0};

	ck_assert_ptr_nonnull(out);
	put(out, sizeof(header) - 1, 8);
	fputs(header, out);
	ck_assert_int_eq(fseeko(out, (off_t)LARGE_BYTES - 8, SEEK_CUR), 0);
	fputs("the end.tail", out);
	ck_assert_int_eq(fclose(out), 0);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	check_end(checkpoint, "a", "b");
	checkpoint_close(checkpoint);
}
END_TEST

/* Two tensors over storages '0' (5 GiB) and '1' (4 bytes). */
#define LARGE_STORAGE                                                                              \
	"(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x01", "0")                     \
		TEXT("\x03", "cpu") "J\0\0\0\x50"                                                  \
				    "tQ"
#define SMALL_STORAGE                                                                              \
	"(" TEXT("\x07", "storage") "ctorch\nFloatStorage\n" TEXT("\x01", "1") TEXT("\x03", "cpu") \
		ONE("\x01") "tQ"
#define ITEM(name, storage, dim)                                                                   \
	TEXT("\x01", name)                                                                         \
	REBUILD "(" storage ONE("\x00") dim SINGLE ONE("\x01") SINGLE FALSE_ ORDERED_DICT "tRs"

static const char pickle[] = PROTO_2 ORDERED_DICT ITEM("a", LARGE_STORAGE, "J\0\0\0\x50")
	ITEM("b", SMALL_STORAGE, ONE("\x01")) STOP;

static const struct {
	const char *name, *end; /* 'end' stands at its end, zeros before it */
	uint64_t bytes;
} members[] = {
	{"m/data.pkl", NULL, sizeof(pickle) - 1},
	{"m/data/0", "the end.", LARGE_BYTES},
	{"m/data/1", "tail", 4},
};
enum { MEMBER_COUNT = sizeof(members) / sizeof(members[0]) };

static uint32_t crc_of(const char *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)bytes[i];
		for (unsigned b = 0; b < 8; b++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

/* As PyTorch's writer does: sizes and sum behind the data, none in front. */
static uint32_t put_member(FILE *out, size_t i)
{
	uint32_t crc = i == 0 ? crc_of(pickle, sizeof(pickle) - 1) : i == 1 ? 0 : crc_of("tail", 4);

	put(out, 0x04034b50, 4);
	put(out, 0, 2);	    /* version needed */
	put(out, 0x808, 2); /* sizes follow the data; names are UTF-8 */
	put(out, 0, 6);	    /* stored; no time */
	put(out, 0, 8);
	put(out, 0, 4);
	put(out, strlen(members[i].name), 2);
	put(out, 0, 2);
	fputs(members[i].name, out);
	if (i == 0) {
		ck_assert_uint_eq(fwrite(pickle, 1, sizeof(pickle) - 1, out), sizeof(pickle) - 1);
	} else {
		ck_assert_int_eq(
			fseeko(out, (off_t)(members[i].bytes - strlen(members[i].end)), SEEK_CUR),
			0);
		fputs(members[i].end, out);
	}
	put(out, 0x08074b50, 4);
	put(out, crc, 4);
	put(out, members[i].bytes, 8);
	put(out, members[i].bytes, 8);
	return crc;
}

/* In the directory; sizes and offset in the field for 64 bits. */
static void put_entry(FILE *out, size_t i, uint32_t crc, uint64_t offset)
{
	put(out, 0x02014b50, 4);
	put(out, 45, 2);
	put(out, 0, 2);
	put(out, 0x808, 2);
	put(out, 0, 6);
	put(out, crc, 4);
	put(out, UINT32_MAX, 4);
	put(out, UINT32_MAX, 4);
	put(out, strlen(members[i].name), 2);
	put(out, 4 + 24, 2);
	put(out, 0, 6);
	put(out, 0, 4);
	put(out, UINT32_MAX, 4);
	fputs(members[i].name, out);
	put(out, 1, 2);
	put(out, 24, 2);
	put(out, members[i].bytes, 8);
	put(out, members[i].bytes, 8);
	put(out, offset, 8);
}

static void put_end(FILE *out, uint64_t directory_at)
{
	uint64_t end_at = (uint64_t)ftello(out);

	put(out, 0x06064b50, 4); /* for 64 bits */
	put(out, 44, 8);
	put(out, 45, 2);
	put(out, 45, 2);
	put(out, 0, 8);
	put(out, MEMBER_COUNT, 8);
	put(out, MEMBER_COUNT, 8);
	put(out, end_at - directory_at, 8);
	put(out, directory_at, 8);
	put(out, 0x07064b50, 4); /* where that is */
	put(out, 0, 4);
	put(out, end_at, 8);
	put(out, 1, 4);
	put(out, 0x06054b50, 4); /* as it always was */
	put(out, 0, 4);
	put(out, MEMBER_COUNT, 2);
	put(out, MEMBER_COUNT, 2);
	put(out, end_at - directory_at, 4);
	put(out, UINT32_MAX, 4);
	put(out, 0, 2);
}

START_TEST(archives_past_4_gib_are_read)
{
	FILE *out = fopen(file_path("pytorch_model.bin"), "wb");
	uint64_t offsets[MEMBER_COUNT], directory_at;
	uint32_t crcs[MEMBER_COUNT];
	struct checkpoint *checkpoint;
	struct err err = {0};

	ck_assert_ptr_nonnull(out);
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		offsets[i] = (uint64_t)ftello(out);
		crcs[i] = put_member(out, i);
	}
	directory_at = (uint64_t)ftello(out);
	for (size_t i = 0; i < MEMBER_COUNT; i++)
		put_entry(out, i, crcs[i], offsets[i]);
	put_end(out, directory_at);
	ck_assert_int_eq(fclose(out), 0);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	check_end(checkpoint, "a", "b");
	checkpoint_close(checkpoint);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("large");
	TCase *tcase = tcase_create("large");

	tcase_add_checked_fixture(tcase, files_setup, files_teardown);
	tcase_add_test(tcase, safetensors_past_4_gib_are_read);
	tcase_add_test(tcase, archives_past_4_gib_are_read);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
