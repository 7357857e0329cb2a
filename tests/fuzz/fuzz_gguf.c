/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_gguf.c - whole GGUF files, and each key asked for as each type */
#include "fuzz.h"
#include "gguf.h"

static const char *const keys[] = {
	"general.alignment",
	"general.architecture",
	"general.name",
	"falcon.block_count",
	"a",
	"tokenizer.ggml.tokens",
	"flashcast.x",
	"tokenizer.ggml.scores",
	"b",
	"tokenizer.ggml.token_type",
	"c",
};

static void ask_scalars(const struct gguf *gguf, const char *key)
{
	struct err errs[5] = {{0}};
	const char *text;
	uint64_t number;
	int64_t integer;
	double real;
	bool truth;
	int got = 0;

	got += gguf_number(gguf, key, &number, &errs[0]) == 0;
	got += gguf_signed(gguf, key, &integer, &errs[1]) == 0;
	got += gguf_float(gguf, key, &real, &errs[2]) == 0;
	got += gguf_bool(gguf, key, &truth, &errs[3]) == 0;
	got += gguf_text(gguf, key, &text, &errs[4]) == 0;
	FUZZ_CHECK(got <= 2); /* number and signed may both do */
	FUZZ_CHECK(got == 0 || gguf_has(gguf, key));
}

static void ask_arrays(const struct gguf *gguf, const char *key)
{
	struct err texts_err = {0}, integers_err = {0}, floats_err = {0};
	const struct gguf_array *array;
	volatile double sum = 0;

	if (gguf_texts(gguf, key, &array, &texts_err) == 0) {
		for (size_t i = 0; i < gguf_array_count(array); i++) {
			size_t bytes;
			const char *text = gguf_text_at(array, i, &bytes);

			FUZZ_CHECK(text[bytes] == '\0');
		}
	}
	if (gguf_integers(gguf, key, &array, &integers_err) == 0)
		for (size_t i = 0; i < gguf_array_count(array); i++)
			sum = sum + (double)gguf_integer_at(array, i);
	if (gguf_floats(gguf, key, &array, &floats_err) == 0)
		for (size_t i = 0; i < gguf_array_count(array); i++)
			sum = sum + gguf_float_at(array, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct gguf *gguf;

	if (gguf_open(&gguf, fuzz_file(data, size), &err)) {
		FUZZ_CHECK(!gguf && err.code != 0 && err.msg[0] != '\0');
		return 0;
	}
	for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
		const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);

		FUZZ_CHECK(tensor->offset <= size && tensor->bytes <= size - tensor->offset);
		FUZZ_CHECK(gguf_find_tensor(gguf, tensor->name) == tensor);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ask_scalars(gguf, keys[i]);
		ask_arrays(gguf, keys[i]);
	}
	gguf_close(gguf);
	return 0;
}
