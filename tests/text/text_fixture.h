/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_fixture.h - the fixtures that tests/text/fixtures/make_fixtures.py writes
 *
 * FLASHCAST_TEXT_FIXTURES names another folder of them, made with another seed. */
#ifndef TEST_TEXT_FIXTURE_H
#define TEST_TEXT_FIXTURE_H

#include "tokenizer.h"
#include "unicode.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIXTURE_PATH = 1024 };

#define ck_ok(call)                                                                                \
	ck_assert_msg((call) == 0 && err.code == 0, "%s: code %d: %s", #call, err.code, err.msg)

struct fixture_text {
	char *bytes;
	size_t count;
};

static inline void fixture_path(char path[FIXTURE_PATH], const char *folder, const char *name)
{
	const char *root = getenv("FLASHCAST_TEXT_FIXTURES");

	snprintf(path, FIXTURE_PATH, "%s/%s/%s",
		 root ? root : FLASH_SOURCE_DIR "/tests/text/fixtures", folder, name);
}

static inline struct fixture_text fixture_file(const char *folder, const char *name)
{
	struct fixture_text file = {.count = 0};
	char path[FIXTURE_PATH];
	long size;
	FILE *f;

	fixture_path(path, folder, name);
	f = fopen(path, "rb");
	ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	rewind(f);
	ck_assert_int_ge(size, 0);
	file.bytes = malloc((size_t)size + 1);
	ck_assert_ptr_nonnull(file.bytes);
	file.count = fread(file.bytes, 1, (size_t)size, f);
	ck_assert_uint_eq(file.count, (size_t)size);
	file.bytes[size] = '\0';
	fclose(f);
	return file;
}

static inline uint64_t fnv(uint64_t hash, const void *data, size_t bytes)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#define FNV_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t ids_fnv(uint64_t hash, const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char raw[4];

		for (unsigned b = 0; b < 4; b++)
			raw[b] = (unsigned char)(ids[i] >> (8 * b));
		hash = fnv(hash, raw, sizeof(raw));
	}
	return hash;
}

static inline struct tokenizer *tokenizer_from(const char *folder)
{
	char path[FIXTURE_PATH];
	struct tokenizer *tokenizer;
	struct err err = {0};

	fixture_path(path, folder, "");
	ck_ok(tokenizer_read_folder(&tokenizer, path, &err));
	return tokenizer;
}

static inline uint32_t *encode(const struct tokenizer *tokenizer, const char *text, size_t bytes,
			       bool add_special, size_t *count)
{
	struct err err = {0};
	uint32_t *ids;

	ck_ok(tokenizer_encode(tokenizer, text, bytes, add_special, &ids, count, &err));
	return ids;
}

static inline struct fixture_text decode(const struct tokenizer *tokenizer, const uint32_t *ids,
					 size_t count)
{
	struct fixture_text text = {.count = 0};
	struct err err = {0};
	const char *bytes;
	size_t more, all = 0;

	for (size_t i = 0; i < count; i++) {
		/* A check that holds costs Check a write to a file: too much for each of a million. */
		if (tokenizer_token(tokenizer, ids[i], &bytes, &more, &err))
			ck_abort_msg("id %zu: %s", i, err.msg);
		all += more;
	}
	text.bytes = malloc(all + 1);
	ck_assert_ptr_nonnull(text.bytes);
	for (size_t i = 0; i < count; i++) {
		if (tokenizer_token(tokenizer, ids[i], &bytes, &more, &err))
			ck_abort_msg("id %zu: %s", i, err.msg);
		memcpy(text.bytes + text.count, bytes, more);
		text.count += more;
	}
	return text;
}

static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}

#endif
