/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_tokenizer_bad.c - hazard: tokenizer files that are malformed, or of a kind that we do not do
 *
 * Each row says what to spoil of a good file: a text of it is replaced by another. */
#include "gguf.h"
#include "text_fixture.h"

#include <unistd.h>

static char dir[256];

static const char *const names[] = {
	"tokenizer.json",	   "vocab.json",	"merges.txt",	   "tokenizer_config.json",
	"special_tokens_map.json", "added_tokens.json", "tokenizer.model", "x.gguf"};

static void setup(void)
{
	snprintf(dir, sizeof(dir), "%s/text-XXXXXX", FLASH_BINARY_DIR);
	ck_assert_msg(mkdtemp(dir) != NULL, "mkdtemp: %s", strerror(errno));
}

static void teardown(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void spit(const char *name, const char *bytes, size_t count)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, count, f), count);
	fclose(f);
}

/* The tokens of the byte alphabet as members of an object, from id 0 on. */
static size_t put_alphabet(char *at)
{
	char *start = at;

	for (unsigned byte = 0; byte < 256; byte++) {
		uint32_t point = alphabet_point((unsigned char)byte);

		*at++ = '"';
		if (point == '"' || point == '\\')
			*at++ = '\\';
		at += utf8_put((unsigned char *)at, point);
		at += sprintf(at, "\":%u,", byte);
	}
	*at = '\0';
	return (size_t)(at - start);
}

#define MODEL_TAIL "\"ab\":256,\"abc\":257,\"<e>\":258},\"merges\":[\"a b\",[\"ab\",\"c\"]]},"
#define PRE                                                                                        \
	"\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}" \
	","
#define POST "\"post_processor\":null,"
#define ADDED                                                                                      \
	"\"added_tokens\":[{\"id\":258,\"content\":\"<e>\",\"special\":true,\"lstrip\":false}],"
#define REST "\"normalizer\":null,\"decoder\":{\"type\":\"ByteLevel\"}}"

/* A good tokenizer.json, with the first 'from' replaced by 'to'. */
static void spit_json(const char *from, const char *to)
{
	static char good[16384], spoilt[32768];
	char *at = good, *place;

	at += sprintf(at, "{\"model\":{\"type\":\"BPE\",\"dropout\":null,\"vocab\":{");
	at += put_alphabet(at);
	strcpy(at, MODEL_TAIL PRE POST ADDED REST);
	place = *from ? strstr(good, from) : good + strlen(good);
	ck_assert_msg(place != NULL, "the good file has no '%s'", from);
	snprintf(spoilt, sizeof(spoilt), "%.*s%s%s", (int)(place - good), good, to,
		 place + strlen(from));
	spit("tokenizer.json", spoilt, strlen(spoilt));
}

static void must_say(int code, int want, const struct err *err, const char *says)
{
	ck_assert_msg(code == want, "code %d, expected %d: '%s'", code, want, err->msg);
	ck_assert_msg(code == 0 || strstr(err->msg, says) != NULL, "said '%s', expected '%s'",
		      err->msg, says);
}

#define TEMPLATE(single, tokens)                                                                   \
	"\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single                  \
	"],\"special_tokens\":{" tokens "}},"
#define SPLIT(regex)                                                                               \
	"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","         \
	"\"pattern\":{\"Regex\":\"" regex                                                          \
	"\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\"}]},"
#define TEXT_A "{\"Sequence\":{\"id\":\"A\"}}"

static const struct {
	const char *from, *to;
	int code;
	const char *says;
} bad[] = {
	{"", "", 0, ""},
	{"{\"model\"", "\"model\"", EBADMSG, "tokenizer.json: JSON, line 1"},
	{"", "}", EBADMSG, "tokenizer.json: JSON, line 1"},
	{"\"ab\":256", "\"ab\":256,\"ab\":260", EBADMSG, "tokenizer.json: JSON, line 1"},
	{"\"<e>\":258", "\"\xff\":258", EBADMSG, "tokenizer.json: JSON, line 1"},
	{"\"ab\":256", "\"ab\":257", EBADMSG, "id 257 is token 'ab' and token 'abc'"},
	{"\"ab\":256", "\"ab\":-1", EBADMSG, "token 'ab': id is negative, expected 0 or more"},
	{"\"ab\":256", "\"ab\":\"256\"", EBADMSG, "token 'ab': id is a text, expected 0 or more"},
	{"\"ab\":256", "\"ab\":4294967296", EBADMSG, "token 'ab': id 4294967296, expected below"},
	{"\"ab\":256", "\"ab\":9000", EBADMSG, "token 'ab': id 9000, expected below 4616"},
	{"\"<e>\":258", "\"\":258", EBADMSG, "the token of id 258 is empty"},
	{"\"a\":97,", "", EBADMSG, "merge 1: 'a' is no token of the vocabulary"},
	{"\"z\":122,", "", EBADMSG, "no token 'z' for byte 0x7a: the byte alphabet is not whole"},
	{"\"a b\"", "\"a q\"", EBADMSG, "merge 1: 'aq' is no token of the vocabulary"},
	{"\"a b\"", "\"ab\"", EBADMSG, "merge 1: got 'ab', expected two tokens apart by a space"},
	{"\"a b\"", "\"a b c\"", EBADMSG, "merge 1: got 'a b c', expected two tokens"},
	{"\"a b\"", "\"a b\",\"a b\"", EBADMSG, "merges 1 and 2 are the same: 'a' 'b'"},
	{"[\"ab\",\"c\"]", "[\"ab\"]", EBADMSG, "merge 2 is an array, expected two texts"},
	{"[\"ab\",\"c\"]", "7", EBADMSG, "merge 2 is an integer, expected two texts"},
	{"\"merges\":[", "\"merges\":7,\"x\":[", EBADMSG,
	 "merges is an integer, expected an array"},
	{"\"vocab\"", "\"vocabulary\"", EBADMSG, "the vocabulary is nothing, expected an object"},
	{"\"model\"", "\"models\"", EBADMSG, "model is nothing, expected an object"},
	{"\"BPE\"", "\"WordPiece\"", ENOTSUP, "model: type 'WordPiece' is not supported"},
	{"\"BPE\"", "\"Unigram\"", ENOTSUP, "model: type 'Unigram' is not supported"},
	{"\"dropout\":null", "\"dropout\":0.1", ENOTSUP, "model: dropout is not supported"},
	{"\"dropout\":null", "\"byte_fallback\":true", ENOTSUP, "byte_fallback is not supported"},
	{"\"dropout\":null", "\"end_of_word_suffix\":\"</w>\"", ENOTSUP,
	 "end_of_word_suffix is not"},
	{"\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}", ENOTSUP, "normalizer 'NFC'"},
	{"\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"WordPiece\"}", ENOTSUP,
	 "decoder 'WordPiece' is not supported"},
	{"\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":null", ENOTSUP, "decoder 'null'"},
	{PRE, "", EBADMSG, "pre_tokenizer is nothing, expected an object with a type"},
	{"\"type\":\"ByteLevel\"", "\"type\":\"Metaspace\"", ENOTSUP, "pre_tokenizer 'Metaspace'"},
	{"\"type\":\"ByteLevel\"", "\"type\":\"Digits\"", ENOTSUP,
	 "pre_tokenizer without ByteLevel"},
	{"\"use_regex\":true", "\"use_regex\":1", EBADMSG,
	 "use_regex is an integer, expected true"},
	{PRE, SPLIT("(?i:a)"), ENOTSUP, "byte 0: '(?i:' is not supported"},
	{PRE, SPLIT("a\\\\wb"), ENOTSUP, "byte 1: '\\w' is not supported"},
	{PRE, SPLIT("\\\\p{Lu}"), ENOTSUP, "is not supported"},
	{PRE, SPLIT("[a-z&&[^b]]"), ENOTSUP, "'&&' is not supported"},
	{PRE, SPLIT("[^\\\\S]"), ENOTSUP, "'\\S' is not supported"},
	{PRE, SPLIT("^a"), ENOTSUP, "'^' is not supported"},
	{PRE, SPLIT("a{2}+"), ENOTSUP, "is not supported"},
	{PRE, SPLIT("[a"), EBADMSG, "no end of '[a'"},
	{PRE, SPLIT("(a"), EBADMSG, "missing closing parenthesis"},
	{PRE, SPLIT("a**"), EBADMSG, "quantifier does not follow a repeatable item"},
	{PRE, SPLIT("\\\\"), ENOTSUP, "is not supported"},
	{PRE, SPLIT(""), EBADMSG, "an empty pattern"},
	{PRE,
	 "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
	 "{\"type\":\"ByteLevel\"}]},",
	 ENOTSUP, "a second ByteLevel is not supported"},
	{PRE, "\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Sometimes\"},", ENOTSUP,
	 "behavior 'Sometimes' is not supported"},
	{PRE, "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{},\"behavior\":\"Isolated\"},",
	 EBADMSG, "pattern is an object, expected a Regex or a String"},
	{POST, "\"post_processor\":{\"type\":\"Bogus\"},", ENOTSUP, "post_processor 'Bogus'"},
	{POST, TEMPLATE("{\"SpecialToken\":{\"id\":\"<e>\"}}," TEXT_A, ""), EBADMSG,
	 "special_tokens has no ids for '<e>'"},
	{POST, TEMPLATE("", ""), EBADMSG, "single is an array, expected an array with the text"},
	{POST, TEMPLATE(TEXT_A "," TEXT_A, ""), ENOTSUP, "a template with more than one text"},
	{POST, TEMPLATE("{\"SpecialToken\":{\"id\":\"x\"}}," TEXT_A, "\"x\":{\"ids\":[999]}"),
	 EBADMSG, "special id 999 is no token"},
	{POST, TEMPLATE("{\"SpecialToken\":{\"id\":\"x\"}}," TEXT_A, "\"x\":{\"ids\":[-1]}"),
	 EBADMSG, "a special token's id is an integer, expected 0 to"},
	{"\"content\":\"<e>\"", "\"content\":\"ab\"", EBADMSG,
	 "added token 'ab' has id 258, but is there already with id 256"},
	{"\"content\":\"<e>\"", "\"content\":\"<f>\"", EBADMSG,
	 "id 258 is token '<e>' and token '<f>'"},
	{"\"content\":\"<e>\"", "\"content\":7", EBADMSG,
	 "content of an added token is an integer"},
	{"\"id\":258", "\"id\":-3", EBADMSG, "an added token without an id"},
	{"\"lstrip\":false", "\"lstrip\":\"no\"", EBADMSG,
	 "lstrip is a text, expected true or false"},
	{"\"added_tokens\":[", "\"added_tokens\":7,\"x\":[", EBADMSG, "added_tokens is an integer"},
};

START_TEST(a_bad_tokenizer_json_is_refused_by_name)
{
	struct tokenizer *tokenizer;
	struct err err = {0};
	int code;

	spit_json(bad[_i].from, bad[_i].to);
	code = tokenizer_read_folder(&tokenizer, dir, &err);
	must_say(code, bad[_i].code, &err, bad[_i].says);
	ck_assert((tokenizer == NULL) == (code != 0));
	tokenizer_close(tokenizer);
}
END_TEST

/* Files of the older kind: a vocabulary of the alphabet, "ab" and "<e>". */
static const struct {
	const char *merges, *config, *specials, *added; /* NULL: no such file */
	int code;
	const char *says;
} plain[] = {
	{"#version: 0.2\na b\n", NULL, NULL, NULL, 0, ""},
	{"a b\r\n", "{}", "{\"eos_token\":\"<e>\"}", "{\"<n>\":258}", 0, ""},
	{NULL, NULL, NULL, NULL, EBADMSG, "merges.txt: missing, but vocab.json is there"},
	{"a b\n\n", NULL, NULL, NULL, EBADMSG, "merges.txt: merge 2: got ''"},
	{"a b\n#version\n", NULL, NULL, NULL, EBADMSG, "merges.txt: merge 2: got '#version'"},
	{"a c\n", NULL, NULL, NULL, EBADMSG, "merges.txt: merge 1: 'ac' is no token"},
	{"a b\n", "[]", NULL, NULL, EBADMSG, "tokenizer_config.json"},
	{"a b\n", "{\"add_bos_token\":true}", NULL, NULL, EBADMSG,
	 "tokenizer_config.json: add_bos_token without a bos_token"},
	{"a b\n", "{\"eos_token\":\"<x>\"}", NULL, NULL, EBADMSG,
	 "eos_token '<x>' is no token of the vocabulary"},
	{"a b\n", "{\"eos_token\":7}", NULL, NULL, EBADMSG, "eos_token is an integer"},
	{"a b\n", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<n>\"}}}", NULL, NULL, EBADMSG,
	 "an added token without an id"},
	{"a b\n", NULL, "{\"pad_token\":\"<p>\"}", NULL, EBADMSG,
	 "special_tokens_map.json: pad_token '<p>' is no token"},
	{"a b\n", NULL, NULL, "{\"<n>\":257}", EBADMSG, "id 257 is token '<e>' and token '<n>'"},
	{"a b\n", NULL, NULL, "{\"<n>\":\"258\"}", EBADMSG, "an added token without an id"},
	{"a b\n", NULL, NULL, "{\"<n>\":100000000}", EBADMSG, "id 100000000, expected below"},
};

START_TEST(bad_older_files_are_refused_by_name)
{
	const char *const texts[] = {plain[_i].merges, plain[_i].config, plain[_i].specials,
				     plain[_i].added};
	static char vocab[16384];
	struct tokenizer *tokenizer;
	struct err err = {0};
	size_t used = 1;

	vocab[0] = '{';
	used += put_alphabet(vocab + used);
	strcpy(vocab + used, "\"ab\":256,\"<e>\":257}");
	spit("vocab.json", vocab, strlen(vocab));
	for (size_t i = 0; i < 4; i++)
		if (texts[i])
			spit(names[2 + i], texts[i], strlen(texts[i]));
	must_say(tokenizer_read_folder(&tokenizer, dir, &err), plain[_i].code, &err,
		 plain[_i].says);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(no_tokenizer_and_another_kind_of_it_are_told_apart)
{
	struct tokenizer *tokenizer;
	struct err err = {0};

	ck_assert_int_eq(tokenizer_read_folder(&tokenizer, dir, &err), ENOENT);
	err.code = 0;
	spit("tokenizer.model", "x", 1);
	ck_assert_int_eq(tokenizer_read_folder(&tokenizer, dir, &err), ENOTSUP);
	ck_assert_msg(strstr(err.msg, "SentencePiece") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(a_pattern_that_never_ends_is_stopped)
{
	struct tokenizer *tokenizer;
	struct err err = {0};
	uint32_t *ids;
	size_t count;

	spit_json(PRE, SPLIT("(a+)+\\\\d"));
	ck_ok(tokenizer_read_folder(&tokenizer, dir, &err));
	ck_assert_int_eq(tokenizer_encode(tokenizer, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
					  42, false, &ids, &count, &err),
			 EINVAL);
	ck_assert_msg(strstr(err.msg, "match limit") != NULL, "%s", err.msg);
	ck_assert_ptr_null(ids);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(a_byte_without_a_token_is_told)
{
	struct tokenizer *tokenizer;
	struct err err = {0};
	uint32_t *ids;
	size_t count;

	spit_json("\"ÿ\":255,", "");
	ck_ok(tokenizer_read_folder(&tokenizer, dir, &err));
	ck_assert_int_eq(tokenizer_encode(tokenizer, "a\xff", 2, false, &ids, &count, &err),
			 EINVAL);
	ck_assert_msg(strstr(err.msg, "byte 0xff has no token") != NULL, "%s", err.msg);
	tokenizer_close(tokenizer);
}
END_TEST

/* What a GGUF file may say of a tokenizer of "a" and "b" or less. */
static void spit_gguf(unsigned which)
{
	static const int32_t types[] = {1, 1};
	struct gguf_head head;
	struct err err = {0};

	gguf_head_init(&head);
	if (which > 0)
		gguf_head_text(&head, "tokenizer.ggml.model", which == 1 ? "llama" : "gpt2");
	if (which > 2) {
		gguf_head_texts(&head, "tokenizer.ggml.tokens", 2);
		gguf_head_next_text(&head, "a", 1);
		gguf_head_next_text(&head, which == 3 ? "a" : "b", 1);
		gguf_head_integers(&head, "tokenizer.ggml.token_type", types, which == 4 ? 1 : 2);
		gguf_head_texts(&head, "tokenizer.ggml.merges", which == 5);
	}
	if (which == 5)
		gguf_head_next_text(&head, "a b", 3);
	if (which == 6)
		gguf_head_number(&head, "tokenizer.ggml.eos_token_id", 2);
	if (which == 7)
		gguf_head_text(&head, "tokenizer.ggml.pre", "llama-bpe");
	if (which == 8)
		gguf_head_bool(&head, "tokenizer.ggml.add_bos_token", true);
	if (which == 9)
		gguf_head_text(&head, "flashcast.tokenizer.pre_tokenizer", "{\"type\":");
	ck_ok(gguf_head_finish(&head, 32, &err));
	spit("x.gguf", (const char *)head.bytes, head.used);
	gguf_head_fini(&head);
}

static const struct {
	int code;
	const char *says;
} ggufs[] = {
	{ENOENT, "no tokenizer"},
	{ENOTSUP, "tokenizer 'llama' is not supported, 'gpt2' is"},
	{EBADMSG, "key tokenizer.ggml.tokens is missing"},
	{EBADMSG, "token 'a' has id 0 and id 1"},
	{EBADMSG, "1 token types, expected one for each of 2"},
	{EBADMSG, "merge 1: 'ab' is no token"},
	{EBADMSG, "tokenizer.ggml.eos_token_id: 2 is no token"},
	{ENOTSUP, "pre-tokenizer 'llama-bpe' is not supported"},
	{EBADMSG, "add_bos_token without that token's id"},
	{EBADMSG, "flashcast.tokenizer.pre_tokenizer, line 1"},
	{EBADMSG, "the byte alphabet is not whole"},
};

START_TEST(bad_keys_of_a_gguf_file_are_refused_by_name)
{
	struct tokenizer *tokenizer;
	struct err err = {0};
	struct gguf *gguf;
	char path[512];

	spit_gguf((unsigned)_i);
	snprintf(path, sizeof(path), "%s/x.gguf", dir);
	ck_ok(gguf_open(&gguf, path, &err));
	must_say(tokenizer_read_gguf(&tokenizer, gguf, &err), ggufs[_i].code, &err, ggufs[_i].says);
	ck_assert_ptr_null(tokenizer);
	gguf_close(gguf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tokenizer_bad");
	TCase *tcase = tcase_create("tokenizer_bad");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_bad_tokenizer_json_is_refused_by_name, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tcase, bad_older_files_are_refused_by_name, 0,
			    sizeof(plain) / sizeof(plain[0]));
	tcase_add_test(tcase, no_tokenizer_and_another_kind_of_it_are_told_apart);
	tcase_add_test(tcase, a_pattern_that_never_ends_is_stopped);
	tcase_add_test(tcase, a_byte_without_a_token_is_told);
	tcase_add_loop_test(tcase, bad_keys_of_a_gguf_file_are_refused_by_name, 0,
			    sizeof(ggufs) / sizeof(ggufs[0]));
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
