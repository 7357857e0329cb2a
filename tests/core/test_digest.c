/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_digest.c - digests against published answers, and in pieces against in one go */
#include "digest.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* XXH3-128 with seed 0, as `xxhsum -H2` prints it. */
static const struct {
	const char *text, *says;
} known[] = {
	{"", "99aa06d3014798d86001c324468d497f"},
	{"a", "a96faf705af16834e6c632b61e964e1f"},
	{"abc", "06b05ab6733a618578af5f94892f3950"},
	{"layer 3 token 7: load 12 evict 4", NULL}, /* only that both ways agree */
};

START_TEST(test_a_digest_is_the_published_one)
{
	struct digest *digest = digest_open();
	char once[DIGEST_TEXT], pieces[DIGEST_TEXT];

	ck_assert_ptr_nonnull(digest);
	digest_of(known[_i].text, strlen(known[_i].text), once);
	digest_add(digest, known[_i].text, strlen(known[_i].text));
	digest_text(digest, pieces);
	ck_assert_str_eq(once, pieces);
	if (known[_i].says)
		ck_assert_str_eq(once, known[_i].says);
	digest_close(digest);
}
END_TEST

/* Lengths on both sides of XXH3's internal blocks: short, 128, 240, and its 256-byte buffer. */
static const size_t lengths[] = {1, 16, 17, 128, 129, 240, 241, 255, 256, 257, 1024, 4096, 100003};

START_TEST(test_pieces_of_any_size_give_the_digest_of_the_whole)
{
	static const size_t pieces[] = {1, 7, 64, 256, 1000};
	size_t length = lengths[_i];
	unsigned char *data = malloc(length);
	char once[DIGEST_TEXT], text[DIGEST_TEXT];

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < length; i++)
		data[i] = (unsigned char)(i * 131 + i / 256);
	digest_of(data, length, once);
	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		struct digest *digest = digest_open();

		ck_assert_ptr_nonnull(digest);
		for (size_t at = 0; at < length; at += pieces[p]) {
			size_t left = length - at;

			digest_add(digest, data + at, left < pieces[p] ? left : pieces[p]);
			digest_add(digest, NULL, 0);
		}
		digest_text(digest, text);
		ck_assert_str_eq(text, once);
		digest_close(digest);
	}
	data[length / 2] ^= 1;
	digest_of(data, length, text);
	ck_assert_str_ne(text, once);
	free(data);
}
END_TEST

START_TEST(test_adding_goes_on_after_the_text_was_asked_for)
{
	struct digest *digest = digest_open();
	char first[DIGEST_TEXT], again[DIGEST_TEXT], whole[DIGEST_TEXT];

	ck_assert_ptr_nonnull(digest);
	digest_add(digest, "ab", 2);
	digest_text(digest, first);
	digest_text(digest, again);
	ck_assert_str_eq(first, again);
	digest_add(digest, "c", 1);
	digest_text(digest, whole);
	ck_assert_str_eq(whole, known[2].says);
	digest_close(digest);
	digest_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digest");
	TCase *tcase = tcase_create("digest");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, test_a_digest_is_the_published_one, 0,
			    (int)(sizeof(known) / sizeof(known[0])));
	tcase_add_loop_test(tcase, test_pieces_of_any_size_give_the_digest_of_the_whole, 0,
			    (int)(sizeof(lengths) / sizeof(lengths[0])));
	tcase_add_test(tcase, test_adding_goes_on_after_the_text_was_asked_for);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
