/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_trace.c - whole trace files, as they are and with the digest put right, which no fuzzer would */
#include "digest.h"
#include "fuzz.h"
#include "trace.h"

/* Planes of margins lie in each other, and nothing stands past the last neuron. */
static void check_step(const struct trace *trace, uint32_t token, uint32_t layer)
{
	unsigned past = trace->neuron_count % 64;

	for (uint32_t p = 0; p < trace_plane_count(trace); p++) {
		const uint64_t *plane = trace_plane(trace, token, layer, p);

		FUZZ_CHECK(past == 0 || plane[trace->words - 1] >> past == 0);
		for (size_t w = 0; p + 1 < trace->margin_count && w < trace->words; w++)
			FUZZ_CHECK((plane[w] & ~plane[trace->words + w]) == 0);
	}
}

static void load(const uint8_t *data, size_t size)
{
	struct trace trace = {.planes = NULL};
	struct err err = {0};

	if (trace_load(&trace, fuzz_file(data, size), &err) == 0) {
		FUZZ_CHECK(trace.active_plane < trace.margin_count);
		for (uint32_t token = 0; token < trace.token_count; token++)
			for (uint32_t layer = 0; layer < trace.layer_count; layer++)
				check_step(&trace, token, layer);
	} else {
		FUZZ_CHECK(err.code != 0 && err.msg[0] != '\0');
	}
	trace_fini(&trace);
}

static uint8_t *find(uint8_t *data, size_t size, const char *what)
{
	size_t length = strlen(what);

	for (size_t i = 0; i + length <= size; i++)
		if (memcmp(data + i, what, length) == 0)
			return data + i;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1), *payload, *digest;

	FUZZ_CHECK(copy);
	load(data, size);
	memcpy(copy, data, size);
	digest = find(copy, size, "\nxxh3: ");
	payload = find(copy, size, "\n---\n");
	if (digest && payload && payload - digest >= 7 + DIGEST_TEXT - 1) {
		char text[DIGEST_TEXT];

		digest_of(payload + 5, size - (size_t)(payload + 5 - copy), text);
		memcpy(digest + 7, text, DIGEST_TEXT - 1);
		load(copy, size);
	}
	free(copy);
	return 0;
}
