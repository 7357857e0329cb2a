/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_tokenizer.c - a tokenizer.json, a NUL, and a text to encode with it; or a GGUF file
 *
 * A tokenizer.json without `model`, `decoder` or `pre_tokenizer` gets a small good one, so that short
 * inputs come far. */
#include "checkpoint_json.h"
#include "fuzz.h"
#include "gguf.h"
#include "tokenizer_inside.h"
#include "unicode.h"

enum { TEXT_MOST = 256 };

static json_t *small_model(void)
{
	json_t *vocab = json_object();

	for (unsigned byte = 0; byte < 256; byte++) {
		char text[5] = "";

		(void)utf8_put((unsigned char *)text, alphabet_point((unsigned char)byte));
		json_object_set_new(vocab, text, json_integer(byte));
	}
	json_object_set_new(vocab, "ab", json_integer(256));
	json_object_set_new(vocab, "abc", json_integer(257));
	json_object_set_new(vocab, "<e>", json_integer(258));
	return json_pack("{s:s, s:o, s:[s, [s, s]]}", "type", "BPE", "vocab", vocab, "merges",
			 "a b", "ab", "c");
}

/* Supply what is missing; true where nothing is then dropped or put in. */
static bool complete(json_t *root)
{
	if (!json_object_get(root, "model"))
		json_object_set_new(root, "model", small_model());
	if (!json_object_get(root, "decoder"))
		json_object_set_new(root, "decoder", json_pack("{s:s}", "type", "ByteLevel"));
	if (json_object_get(root, "pre_tokenizer"))
		return false;
	json_object_set_new(root, "pre_tokenizer",
			    json_pack("{s:s, s:b}", "type", "ByteLevel", "add_prefix_space", 0));
	return !json_object_get(root, "added_tokens") && !json_object_get(root, "post_processor");
}

/* The text is in the tokens, where nothing may be dropped. */
static void check_tokens(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
			 const char *text, size_t size, bool whole)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		struct err err = {0};
		const char *bytes;
		size_t more;

		FUZZ_CHECK(tokenizer_token(tokenizer, ids[i], &bytes, &more, &err) == 0);
		FUZZ_CHECK(!whole || (more <= size - at && memcmp(bytes, text + at, more) == 0));
		at += more;
	}
	FUZZ_CHECK(!whole || at == size);
}

/* A tokenizer that was written encodes as the one that was read. */
static void check_round_trip(const struct tokenizer *tokenizer, const char *text, size_t size,
			     const uint32_t *ids, size_t count)
{
	struct tokenizer *again;
	struct gguf_head head;
	struct err err = {0};
	struct gguf *gguf;
	uint32_t *same;
	size_t same_count;

	gguf_head_init(&head);
	tokenizer_write_gguf(tokenizer, &head);
	FUZZ_CHECK(gguf_head_finish(&head, 32, &err) == 0);
	FUZZ_CHECK(gguf_open(&gguf, fuzz_file(head.bytes, head.used), &err) == 0);
	gguf_head_fini(&head);
	FUZZ_CHECK(tokenizer_read_gguf(&again, gguf, &err) == 0);
	gguf_close(gguf);
	FUZZ_CHECK(tokenizer_encode(again, text, size, true, &same, &same_count, &err) == 0);
	FUZZ_CHECK(same_count == count && memcmp(same, ids, count * sizeof(*ids)) == 0);
	free(same);
	tokenizer_close(again);
}

static void use(const struct tokenizer *tokenizer, const char *text, size_t size, bool whole)
{
	struct err err = {0};
	uint32_t *ids;
	size_t count;

	if (size > TEXT_MOST)
		size = TEXT_MOST;
	if (tokenizer_encode(tokenizer, text, size, true, &ids, &count, &err)) {
		FUZZ_CHECK(!ids && err.msg[0] != '\0');
		return;
	}
	check_tokens(tokenizer, ids, count, text, size, whole);
	check_round_trip(tokenizer, text, size, ids, count);
	free(ids);
}

static void read_file(const uint8_t *data, size_t size)
{
	static const char text[] = "it's a1234 \xff\xc3\xa9\n\n <e> abc";
	struct tokenizer *tokenizer = NULL;
	struct err err = {0};
	struct gguf *gguf;

	if (gguf_open(&gguf, fuzz_file(data, size), &err))
		return;
	if (tokenizer_read_gguf(&tokenizer, gguf, &err))
		FUZZ_CHECK(!tokenizer && err.msg[0] != '\0');
	else
		use(tokenizer, text, sizeof(text) - 1, false);
	tokenizer_close(tokenizer);
	gguf_close(gguf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\0', size);
	size_t json_bytes = end ? (size_t)(end - data) : size;
	struct tokenizer *tokenizer = NULL;
	struct err err = {0};
	json_t *root;
	bool whole;

	if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
		read_file(data, size);
		return 0;
	}
	if (checkpoint_json(&root, (const char *)data, json_bytes, "x", "JSON", &err))
		return 0;
	whole = complete(root);
	if (tokenizer_read_json(&tokenizer, root, "x", &err))
		FUZZ_CHECK(!tokenizer && err.msg[0] != '\0');
	else if (end)
		use(tokenizer, (const char *)end + 1, size - json_bytes - 1, whole);
	tokenizer_close(tokenizer);
	json_decref(root);
	return 0;
}
