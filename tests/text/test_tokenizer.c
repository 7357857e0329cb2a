/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_tokenizer.c - ids and decodings are those of the reference, from a folder and after a GGUF file */
#include "gguf.h"
#include "rng.h"
#include "text_fixture.h"

#include <unistd.h>

/* Each is a folder of fixtures; the first three are the families' own. */
static const char *const folders[] = {
	"opt",
	"opt-json",
	"falcon",
	"variant/added",
	"variant/digits",
	"variant/digits-after-bytes",
	"variant/empty-matches",
	"variant/gpt2-as-split",
	"variant/invert",
	"variant/invert-previous",
	"variant/look-behind",
	"variant/newer",
	"variant/prefix-space",
	"variant/prefix-space-late",
	"variant/punctuation-after-bytes",
	"variant/punctuation-contiguous",
	"variant/punctuation-isolated",
	"variant/punctuation-merged_with_next",
	"variant/punctuation-merged_with_previous",
	"variant/punctuation-removed",
	"variant/split-contiguous",
	"variant/split-isolated",
	"variant/split-merged_with_next",
	"variant/split-merged_with_previous",
	"variant/split-removed",
	"variant/string",
	"variant/whitespace",
	"variant/whitespace-split",
};

enum { FOLDERS = sizeof(folders) / sizeof(folders[0]) };

static struct tokenizer *from_head(struct gguf_head *head)
{
	char path[] = FLASH_BINARY_DIR "/text-XXXXXX";
	struct tokenizer *tokenizer;
	struct err err = {0};
	struct gguf *gguf;
	int fd;

	ck_ok(gguf_head_finish(head, 32, &err));
	fd = mkstemp(path);
	ck_assert_msg(fd >= 0, "mkstemp: %s", strerror(errno));
	ck_assert_int_eq(write(fd, head->bytes, head->used), (ssize_t)head->used);
	close(fd);
	ck_ok(gguf_open(&gguf, path, &err));
	unlink(path);
	ck_ok(tokenizer_read_gguf(&tokenizer, gguf, &err));
	gguf_close(gguf);
	gguf_head_fini(head);
	return tokenizer;
}

/* Writes a tokenizer, and reads it again. */
static struct tokenizer *through_gguf(struct tokenizer *tokenizer)
{
	struct gguf_head head;

	gguf_head_init(&head);
	tokenizer_write_gguf(tokenizer, &head);
	tokenizer_close(tokenizer);
	return from_head(&head);
}

/* The ids that the reference gives stand behind its digests, in some folders. */
static void check_each_id(const char *line, const uint32_t *ids, size_t count, const char *what)
{
	char *end;

	for (size_t i = 0; *line == ' ' && i < count; i++) {
		unsigned long want = strtoul(line, &end, 10);

		if (ids[i] != want)
			ck_abort_msg("%s: id %zu is %" PRIu32 ", the reference has %lu", what, i,
				     ids[i], want);
		line = end;
	}
}

/* One text against one line of expected.txt: returns where the next line begins. */
static const char *check_text(const struct tokenizer *tokenizer, const char *text, size_t bytes,
			      const char *line, const char *what)
{
	uint64_t ids_hash, special_hash, decoded_hash;
	size_t count, special_count, got;
	struct fixture_text decoded;
	uint32_t *ids;
	int used;

	ck_assert_int_eq(sscanf(line, "%zu %" SCNx64 " %zu %" SCNx64 " %" SCNx64 "%n", &count,
				&ids_hash, &special_count, &special_hash, &decoded_hash, &used),
			 5);
	ids = encode(tokenizer, text, bytes, false, &got);
	check_each_id(line + used, ids, got, what);
	ck_assert_msg(got == count && ids_fnv(FNV_START, ids, got) == ids_hash,
		      "%s: %zu ids, the reference has %zu: or others: '%s'", what, got, count,
		      text);
	decoded = decode(tokenizer, ids, got);
	ck_assert_msg(fnv(FNV_START, decoded.bytes, decoded.count) == decoded_hash,
		      "%s: decodes to '%.*s', from '%s'", what, (int)decoded.count, decoded.bytes,
		      text);
	free(decoded.bytes);
	free(ids);
	ids = encode(tokenizer, text, bytes, true, &got);
	ck_assert_msg(got == special_count && ids_fnv(FNV_START, ids, got) == special_hash,
		      "%s: %zu ids with special ones, the reference has %zu", what, got,
		      special_count);
	free(ids);
	return strchr(line, '\n') + 1;
}

static uint32_t take_u32(const unsigned char **at)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (uint32_t)(*at)[i] << (8 * i);
	*at += 4;
	return value;
}

static void check_all_texts(const struct tokenizer *tokenizer, const char *folder)
{
	struct fixture_text texts = fixture_file(".", "texts.bin");
	struct fixture_text expected = fixture_file(folder, "expected.txt");
	const unsigned char *at = (const unsigned char *)texts.bytes;
	const char *line = expected.bytes;
	uint32_t count = take_u32(&at);

	ck_assert_uint_gt(count, 300);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bytes = take_u32(&at);
		char what[128], *text = malloc(bytes + 1);

		ck_assert_ptr_nonnull(text);
		memcpy(text, at, bytes);
		text[bytes] = '\0';
		snprintf(what, sizeof(what), "%s, text %" PRIu32, folder, i);
		line = check_text(tokenizer, text, bytes, line, what);
		at += bytes;
		free(text);
	}
	ck_assert_int_eq(*line, '\0');
	free(texts.bytes);
	free(expected.bytes);
}

START_TEST(every_text_gets_the_ids_of_the_reference)
{
	struct tokenizer *tokenizer = tokenizer_from(folders[_i]);

	check_all_texts(tokenizer, folders[_i]);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(and_gets_them_after_a_gguf_file)
{
	struct tokenizer *tokenizer = through_gguf(tokenizer_from(folders[_i]));

	check_all_texts(tokenizer, folders[_i]);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(any_bytes_come_back)
{
	static const char *const both[] = {"opt", "falcon"};
	struct tokenizer *tokenizer = tokenizer_from(both[_i]);

	for (unsigned seed = 0; seed < 400; seed++) {
		struct fixture_text decoded;
		struct rng rng = {.state = seed};
		char text[200];
		size_t bytes = seed % sizeof(text), count;
		uint32_t *ids;

		for (size_t i = 0; i < bytes; i++) {
			bool any = rng_below(&rng, 3) != 0;

			text[i] = any ? (char)rng_below(&rng, 256) : " aé1<"[rng_below(&rng, 6)];
		}
		ids = encode(tokenizer, text, bytes, false, &count);
		decoded = decode(tokenizer, ids, count);
		ck_assert_uint_eq(decoded.count, bytes);
		ck_assert_mem_eq(decoded.bytes, text, bytes);
		free(decoded.bytes);
		free(ids);
	}
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(invalid_bytes_part_the_text_around_them)
{
	static const char text[] = "the row\xff\xc0\xaf it's";
	struct tokenizer *tokenizer = tokenizer_from("opt");
	size_t whole_count, left_count, right_count;
	uint32_t *whole = encode(tokenizer, text, sizeof(text) - 1, false, &whole_count);
	uint32_t *left = encode(tokenizer, text, 7, false, &left_count);
	uint32_t *right = encode(tokenizer, text + 10, 5, false, &right_count);

	ck_assert_uint_eq(whole_count, left_count + 3 + right_count);
	ck_assert_mem_eq(whole, left, left_count * sizeof(*left));
	ck_assert_mem_eq(whole + left_count + 3, right, right_count * sizeof(*right));
	free(whole);
	free(left);
	free(right);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(specials_are_those_of_the_family)
{
	static const struct {
		const char *folder;
		bool bos;
		uint32_t bos_id, eos_id;
	} rows[] = {{"opt", true, 2, 2}, {"opt-json", true, 2, 2}, {"falcon", false, 0, 11}};

	for (unsigned i = 0; i < 6; i++) {
		struct tokenizer *tokenizer = tokenizer_from(rows[i / 2].folder);
		uint32_t id = 0;

		if (i % 2)
			tokenizer = through_gguf(tokenizer);
		ck_assert_int_eq(tokenizer_bos(tokenizer, &id), rows[i / 2].bos);
		ck_assert_uint_eq(id, rows[i / 2].bos_id);
		ck_assert(tokenizer_eos(tokenizer, &id));
		ck_assert_uint_eq(id, rows[i / 2].eos_id);
		ck_assert_uint_gt(tokenizer_vocab_count(tokenizer), 1000);
		tokenizer_close(tokenizer);
	}
}
END_TEST

START_TEST(an_id_beyond_the_vocabulary_is_told)
{
	struct tokenizer *tokenizer = tokenizer_from("falcon");
	uint32_t beyond = tokenizer_vocab_count(tokenizer);
	struct err err = {0};
	const char *bytes;
	size_t count;

	ck_assert_int_eq(tokenizer_token(tokenizer, beyond, &bytes, &count, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "no token has id") != NULL, "%s", err.msg);
	err.code = 0;
	ck_ok(tokenizer_token(tokenizer, beyond - 1, &bytes, &count, &err));
	tokenizer_close(tokenizer);
}
END_TEST

/* The keys that llama.cpp's converter writes, and none of ours. */
static struct tokenizer *as_llama_cpp(const char *folder, const char *pre, bool add_bos)
{
	struct tokenizer *own = tokenizer_from(folder);
	struct gguf_head head;
	struct err err = {0};
	const struct gguf_array *tokens, *types, *merges;
	char path[] = FLASH_BINARY_DIR "/text-XXXXXX";
	struct gguf *gguf;
	uint32_t eos;
	int32_t *values;
	int fd;

	gguf_head_init(&head);
	tokenizer_write_gguf(own, &head);
	ck_ok(gguf_head_finish(&head, 32, &err));
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, head.bytes, head.used), (ssize_t)head.used);
	close(fd);
	ck_ok(gguf_open(&gguf, path, &err));
	unlink(path);
	gguf_head_fini(&head);
	ck_ok(gguf_texts(gguf, "tokenizer.ggml.tokens", &tokens, &err));
	ck_ok(gguf_integers(gguf, "tokenizer.ggml.token_type", &types, &err));
	ck_ok(gguf_texts(gguf, "tokenizer.ggml.merges", &merges, &err));
	values = malloc(gguf_array_count(types) * sizeof(*values));
	ck_assert_ptr_nonnull(values);
	gguf_head_init(&head);
	gguf_head_text(&head, "tokenizer.ggml.model", "gpt2");
	if (pre)
		gguf_head_text(&head, "tokenizer.ggml.pre", pre);
	gguf_head_texts(&head, "tokenizer.ggml.tokens", gguf_array_count(tokens));
	for (size_t i = 0; i < gguf_array_count(tokens); i++) {
		size_t bytes;
		const char *text = gguf_text_at(tokens, i, &bytes);

		gguf_head_next_text(&head, text, bytes);
		values[i] = (int32_t)gguf_integer_at(types, i);
	}
	gguf_head_integers(&head, "tokenizer.ggml.token_type", values, gguf_array_count(types));
	gguf_head_texts(&head, "tokenizer.ggml.merges", gguf_array_count(merges));
	for (size_t i = 0; i < gguf_array_count(merges); i++) {
		size_t bytes;
		const char *text = gguf_text_at(merges, i, &bytes);

		gguf_head_next_text(&head, text, bytes);
	}
	ck_assert(tokenizer_eos(own, &eos));
	gguf_head_number(&head, "tokenizer.ggml.bos_token_id", eos);
	gguf_head_number(&head, "tokenizer.ggml.eos_token_id", eos);
	if (add_bos)
		gguf_head_bool(&head, "tokenizer.ggml.add_bos_token", true);
	free(values);
	gguf_close(gguf);
	tokenizer_close(own);
	return from_head(&head);
}

START_TEST(a_file_of_llama_cpp_is_read_by_its_rules)
{
	static const struct {
		const char *folder, *pre;
		bool add_bos;
	} rows[] = {{"falcon", "falcon", false},
		    {"falcon", "default", false},
		    {"falcon", NULL, false},
		    {"opt", "gpt-2", true}};
	struct tokenizer *tokenizer = as_llama_cpp(rows[_i].folder, rows[_i].pre, rows[_i].add_bos);

	check_all_texts(tokenizer, rows[_i].folder);
	tokenizer_close(tokenizer);
}
END_TEST

static Suite *tokenizer_suite(void)
{
	Suite *suite = suite_create("tokenizer");
	TCase *tcase = tcase_create("tokenizer");

	tcase_add_loop_test(tcase, every_text_gets_the_ids_of_the_reference, 0, FOLDERS);
	tcase_add_loop_test(tcase, and_gets_them_after_a_gguf_file, 0, FOLDERS);
	tcase_add_loop_test(tcase, any_bytes_come_back, 0, 2);
	tcase_add_test(tcase, invalid_bytes_part_the_text_around_them);
	tcase_add_test(tcase, specials_are_those_of_the_family);
	tcase_add_test(tcase, an_id_beyond_the_vocabulary_is_told);
	tcase_add_loop_test(tcase, a_file_of_llama_cpp_is_read_by_its_rules, 0, 4);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return suite_run(tokenizer_suite());
}
