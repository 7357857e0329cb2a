/* SPDX-License-Identifier: GPL-3.0-or-later */
/* files.h - what the tests of import/ share: a folder that goes away, and files written into it */
#ifndef TEST_IMPORT_FILES_H
#define TEST_IMPORT_FILES_H

#include "checkpoint.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

enum { FILES_PATH = 768 };
#define FIXTURES FLASH_SOURCE_DIR "/tests/import/fixtures"

/* Bytes that may hold zeros, from a literal. */
struct bytes {
	const void *at;
	size_t size;
};
#define BYTES(literal)                                                                             \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

#define ck_ok(call)                                                                                \
	ck_assert_msg((call) == 0 && err.code == 0, "%s: code %d: %s", #call, err.code, err.msg)

static char dir[FILES_PATH / 2];

static inline void files_setup(void)
{
	snprintf(dir, sizeof(dir), "%s/import-XXXXXX", FLASH_BINARY_DIR);
	ck_assert_msg(mkdtemp(dir) != NULL, "mkdtemp %s: %s", dir, strerror(errno));
}

static inline void files_clear(void)
{
	DIR *stream = opendir(dir);

	ck_assert_ptr_nonnull(stream);
	for (const struct dirent *e = readdir(stream); e; e = readdir(stream)) {
		char file[FILES_PATH];

		snprintf(file, sizeof(file), "%s/%s", dir, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ck_assert_int_eq(remove(file), 0);
	}
	closedir(stream);
}

static inline void files_teardown(void)
{
	files_clear();
	rmdir(dir);
}

static inline const char *file_path(const char *name)
{
	static char path[FILES_PATH];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static inline unsigned char *file_slurp(const char *path, size_t *size)
{
	FILE *in = fopen(path, "rb");
	unsigned char *bytes;
	struct stat st;

	ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fileno(in), &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, *size, in), *size);
	fclose(in);
	return bytes;
}

/* In the test's folder. */
static inline void file_spit(const char *name, const void *bytes, size_t size)
{
	FILE *out = fopen(file_path(name), "wb");

	ck_assert_msg(out != NULL, "%s: %s", name, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
	ck_assert_int_eq(fclose(out), 0);
}

static inline void text_spit(const char *name, const char *text)
{
	file_spit(name, text, strlen(text));
}

static inline void file_copy(const char *from, const char *name)
{
	size_t size;
	unsigned char *bytes = file_slurp(from, &size);

	file_spit(name, bytes, size);
	free(bytes);
}

/* A safetensors file of that header and 'data_bytes' bytes 0, 1, 2, ... */
static inline void safetensors_spit(const char *name, const char *header, size_t data_bytes)
{
	size_t length = strlen(header), size = 8 + length + data_bytes;
	unsigned char *file = malloc(size);

	ck_assert_ptr_nonnull(file);
	for (unsigned i = 0; i < 8; i++)
		file[i] = (unsigned char)((uint64_t)length >> (8 * i));
	memcpy(file + 8, header, length);
	for (size_t i = 0; i < data_bytes; i++)
		file[8 + length + i] = (unsigned char)i;
	file_spit(name, file, size);
	free(file);
}

struct member {
	const char *name;
	struct bytes bytes;
	int32_t method; /* ZIP_CM_STORE, ... */
};

/* A zip archive of those members, up to one without a name. */
static inline void zip_spit(const char *name, const struct member *members)
{
	zip_t *zip = zip_open(file_path(name), ZIP_CREATE | ZIP_TRUNCATE, NULL);

	ck_assert_ptr_nonnull(zip);
	for (size_t i = 0; members[i].name; i++) {
		const struct member *m = &members[i];
		zip_source_t *source = zip_source_buffer(zip, m->bytes.at, m->bytes.size, 0);
		zip_int64_t at = zip_file_add(zip, m->name, source, ZIP_FL_ENC_UTF_8);

		ck_assert_msg(at >= 0, "%s: %s", m->name, zip_strerror(zip));
		ck_assert_int_eq(zip_set_file_compression(zip, (zip_uint64_t)at, m->method, 0), 0);
	}
	ck_assert_msg(zip_close(zip) == 0, "%s: %s", name, zip_strerror(zip));
}

static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
