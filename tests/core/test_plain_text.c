/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_plain_text.c - hazard: a file's name for something that a terminal takes for a command */
#include "plain_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text, *shown;
} texts[] = {
	{"", ""},
	{"opt-6.7b", "opt-6.7b"},
	{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
	{"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"},
	{"two\nlines\ttab\r", "two\\x0alines\\x09tab\\x0d"},
	{"del \x7f", "del \\x7f"},
	{"c1 \xc2\x9b[31m", "c1 \\xc2\\x9b[31m"},
	{"a raw \x9b", "a raw \\x9b"},
	{"just above \xc2\xa0", "just above \xc2\xa0"},
	{"overlong escape \xc0\x9b", "overlong escape \\xc0\\x9b"},
	{"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
	{"beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80"},
	{"cut \xe2\x82", "cut \\xe2\\x82"},
	{"cut by another \xe2\x1b", "cut by another \\xe2\\x1b"},
	{"a backslash \\x1b", "a backslash \\x1b"},
};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

START_TEST(test_controls_are_shown_and_text_is_kept)
{
	char *out, to[128];
	size_t size;
	FILE *stream = open_memstream(&out, &size);

	plain_write(stream, texts[_i].text);
	ck_assert_int_eq(fclose(stream), 0);
	ck_assert_str_eq(out, texts[_i].shown);
	ck_assert_str_eq(plain_text(to, sizeof(to), texts[_i].text), texts[_i].shown);
	free(out);
}
END_TEST

START_TEST(test_pieces_say_what_the_whole_says)
{
	const char *text = texts[_i].text;
	size_t length = strlen(text), size;

	for (size_t cut = 0; cut <= length; cut++) {
		struct plain_stream stream = {0};
		char *out;

		stream.out = open_memstream(&out, &size);
		plain_put(&stream, text, cut);
		plain_put(&stream, text + cut, length - cut);
		plain_end(&stream);
		ck_assert_int_eq(fclose(stream.out), 0);
		ck_assert_msg(strcmp(out, texts[_i].shown) == 0, "cut at %zu: %s", cut, out);
		free(out);
	}
}
END_TEST

START_TEST(test_a_stream_keeps_its_lines_and_shows_nul)
{
	struct plain_stream stream = {.keeps_lines = true};
	char *out;
	size_t size;

	stream.out = open_memstream(&out, &size);
	plain_put(&stream, "a\n\tb\r\0c\x1b", 8);
	plain_end(&stream);
	ck_assert_int_eq(fclose(stream.out), 0);
	ck_assert_str_eq(out, "a\n\tb\\x0d\\x00c\\x1b");
	free(out);
}
END_TEST

START_TEST(test_what_does_not_fit_is_cut_between_characters)
{
	char to[8];

	ck_assert_str_eq(plain_text(to, 8, "abcdefgh"), "abcdefg");
	ck_assert_str_eq(plain_text(to, 8, "abcde\x1b"), "abcde");
	ck_assert_str_eq(plain_text(to, 8, "abcdef\xc3\xa9"), "abcdef");
	ck_assert_str_eq(plain_text(to, 1, "a"), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plain text");
	TCase *tcase = tcase_create("plain text");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, test_controls_are_shown_and_text_is_kept, 0, TEXTS);
	tcase_add_loop_test(tcase, test_pieces_say_what_the_whole_says, 0, TEXTS);
	tcase_add_test(tcase, test_a_stream_keeps_its_lines_and_shows_nul);
	tcase_add_test(tcase, test_what_does_not_fit_is_cut_between_characters);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
