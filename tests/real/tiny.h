/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tiny.h - what the tests of real/ share: tiny models of both families and folders that go away */
#ifndef TEST_REAL_TINY_H
#define TEST_REAL_TINY_H

#include "model.h"
#include "real_model.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TINY_PATH = 512 };

#define ck_ok(call)                                                                                \
	ck_assert_msg((call) == 0 && err.code == 0, "%s: code %d: %s", #call, err.code, err.msg)

/* On the disk that the build is on, since /tmp may be a file system without direct I/O. */
static inline void dir_make(char path[TINY_PATH])
{
	snprintf(path, TINY_PATH, "%s/real-XXXXXX", FLASH_BINARY_DIR);
	ck_assert_msg(mkdtemp(path) != NULL, "mkdtemp %s: %s", path, strerror(errno));
}

static inline unsigned dir_count(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static inline void dir_remove(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char file[TINY_PATH * 2];

		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlink(file);
	}
	closedir(dir);
	rmdir(path);
}

static inline struct model tiny_model(enum model_family family)
{
	struct model m = {
		.family = family,
		.layer_count = 2,
		.d_model = 64,
		.d_ffn = 256,
		.head_count = 4,
		.kv_head_count = family == MODEL_OPT ? 4 : 1,
		.vocab_count = 128,
		.position_count = 32,
		.row_align = 512,
	};

	snprintf(m.name, sizeof(m.name), "tiny-%s", family == MODEL_OPT ? "opt" : "falcon");
	return m;
}

static const struct layout_ops *const tiny_layouts[] = {&layout_split, &layout_bundle};

static inline void tiny_synth(const char *dir, const struct model *model, enum weight_type weights)
{
	const struct synth_options options = {
		.model = model,
		.weights = weights,
		.layouts = tiny_layouts,
		.layout_count = 2,
		.seed = 11,
	};
	struct err err = {0};

	ck_ok(real_model_synth(dir, &options, &err));
}

static inline unsigned char *file_slurp(const char *path, size_t *size)
{
	FILE *in = fopen(path, "rb");
	struct stat st;
	unsigned char *bytes;

	ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fileno(in), &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, *size, in), *size);
	fclose(in);
	return bytes;
}

static inline void file_spit(const char *path, const unsigned char *bytes, size_t size)
{
	FILE *out = fopen(path, "wb");

	ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
	ck_assert_int_eq(fclose(out), 0);
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
