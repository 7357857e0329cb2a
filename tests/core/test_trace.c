/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_trace.c - traces come back as they went, and a damaged one is refused by name */
#include "trace.h"

#include "digest.h"
#include "rng.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/flash-trace-XXXXXX";
static char path[128];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/x.trace", folder);
}

static unsigned folder_count(void)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void remove_folder(void)
{
	unlink(path);
	ck_assert_msg(rmdir(folder) == 0, "something was left in %s", folder);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

/* Nested planes from a seeded margin a neuron; the demand is drawn apart from them. */
static void fill_planes(struct trace *trace)
{
	struct rng rng = {42};

	for (uint32_t token = 0; token < trace->token_count; token++)
		for (uint32_t layer = 0; layer < trace->layer_count; layer++)
			for (uint32_t n = 0; n < trace->neuron_count; n++) {
				double margin = 4 * rng_unit(&rng) - 2;

				for (uint32_t p = 0; p < trace->margin_count; p++)
					if (margin > trace->margins[p])
						bits_put(trace_plane(trace, token, layer, p), n);
				if (trace->has_demand && rng_below(&rng, 3) == 0)
					bits_put(trace_plane(trace, token, layer,
							     trace->margin_count),
						 n);
			}
}

/* Model "tiny", margins 0.5, 0, -0.4. */
static void make_trace(struct trace *trace, uint32_t tokens, uint32_t layers, uint32_t neurons,
		       bool has_demand)
{
	struct err err = {0};

	memset(trace, 0, sizeof(*trace));
	strcpy(trace->model, "tiny");
	strcpy(trace->source, "made by test_trace, seed 42");
	trace->token_count = tokens;
	trace->layer_count = layers;
	trace->neuron_count = neurons;
	trace->margin_count = 3;
	trace->margins[0] = 0.5;
	trace->margins[2] = -0.4;
	trace->has_demand = has_demand;
	ck_assert_msg(trace_init(trace, &err) == 0, "%s", err.msg);
	fill_planes(trace);
}

static size_t planes_bytes(const struct trace *trace)
{
	return trace->words * sizeof(uint64_t) * trace->token_count * trace->layer_count *
	       trace_plane_count(trace);
}

static const struct {
	uint32_t tokens, layers, neurons;
	bool has_demand;
} sizes[] = {
	{1, 1, 1, false}, {1, 1, 63, true},    {2, 1, 64, true},
	{3, 2, 65, true}, {5, 4, 1000, false}, {16, 8, 2048, true},
};

START_TEST(test_a_trace_comes_back_as_it_was_saved)
{
	struct trace saved, loaded;
	struct err err = {0};

	make_trace(&saved, sizes[_i].tokens, sizes[_i].layers, sizes[_i].neurons,
		   sizes[_i].has_demand);
	ck_assert_uint_eq(saved.active_plane, 1);
	ck_assert_msg(trace_save(&saved, path, &err) == 0, "%s", err.msg);
	ck_assert_msg(trace_load(&loaded, path, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(loaded.model, saved.model);
	ck_assert_str_eq(loaded.source, saved.source);
	ck_assert_uint_eq(loaded.token_count, saved.token_count);
	ck_assert_uint_eq(loaded.layer_count, saved.layer_count);
	ck_assert_uint_eq(loaded.neuron_count, saved.neuron_count);
	ck_assert_uint_eq(loaded.margin_count, 3);
	ck_assert_mem_eq(loaded.margins, saved.margins, 3 * sizeof(double));
	ck_assert_uint_eq(loaded.active_plane, 1);
	ck_assert_int_eq(loaded.has_demand, saved.has_demand);
	ck_assert_uint_eq(loaded.words, saved.words);
	ck_assert_mem_eq(loaded.planes, saved.planes, planes_bytes(&saved));
	trace_fini(&saved);
	trace_fini(&loaded);
}
END_TEST

/* The header to the letter: other programs read it. */
START_TEST(test_the_file_starts_with_the_documented_header)
{
	static const char header[] = "flashcast-trace 1\n"
				     "model: tiny\n"
				     "layers: 1\n"
				     "neurons: 8\n"
				     "tokens: 1\n"
				     "margins: 0.5 0 -0.4\n"
				     "demand: recorded\n"
				     "source: made by test_trace, seed 42\n"
				     "unit: one bit a neuron, 64-bit little-endian words\n"
				     "xxh3: ";
	char text[1024] = "", digest[DIGEST_TEXT];
	struct trace trace;
	struct err err = {0};
	size_t size;
	FILE *in;

	make_trace(&trace, 1, 1, 8, true);
	ck_assert_int_eq(trace_save(&trace, path, &err), 0);
	in = fopen(path, "rb");
	size = fread(text, 1, sizeof(text), in);
	fclose(in);
	ck_assert_uint_eq(size, sizeof(header) - 1 + 32 + strlen("\n---\n") + 4 * 8);
	ck_assert_mem_eq(text, header, sizeof(header) - 1);
	digest_of(trace.planes, 4 * 8, digest);
	ck_assert_mem_eq(text + sizeof(header) - 1, digest, 32);
	ck_assert_mem_eq(text + size - 4 * 8, trace.planes, 4 * 8);
	trace_fini(&trace);
}
END_TEST

/* Margins that no short text holds come back to the bit. */
START_TEST(test_margins_come_back_to_the_bit)
{
	const double margins[] = {3.0000000000000004, 1.0 / 3, 1e-300, 0, -5e-324, -0.1, -1e300};
	struct trace saved = {.model = "m", .layer_count = 1, .neuron_count = 1, .token_count = 1};
	struct trace loaded;
	struct err err = {0};

	saved.margin_count = 7;
	memcpy(saved.margins, margins, sizeof(margins));
	ck_assert_int_eq(trace_init(&saved, &err), 0);
	ck_assert_uint_eq(saved.active_plane, 3);
	ck_assert_int_eq(trace_save(&saved, path, &err), 0);
	ck_assert_msg(trace_load(&loaded, path, &err) == 0, "%s", err.msg);
	ck_assert_mem_eq(loaded.margins, margins, sizeof(margins));
	ck_assert_str_eq(loaded.source, "");
	trace_fini(&saved);
	trace_fini(&loaded);
}
END_TEST

#define MODEL	"model: tiny\n"
#define LAYERS	"layers: 2\n"
#define NEURONS "neurons: 70\n"
#define TOKENS	"tokens: 1\n"
#define MARGINS "margins: 0.5 0\n"
#define DEMAND	"demand: none\n"
#define SOURCE	"source: by hand\n"
#define UNIT	"unit: one bit a neuron, 64-bit little-endian words\n"
#define XXH3	"xxh3: 0123456789abcdef0123456789abcdef\n"
#define MAGIC	"flashcast-trace 1\n"
#define REST	DEMAND SOURCE UNIT XXH3 "---\n"
#define X100                                                                                       \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789"

/* Line numbers are those of the offending line; a missing line is told where the header ends. */
static const struct {
	const char *why, *header, *says;
} bad_headers[] = {
	{"an empty file", "", "x.trace:1: the file ends"},
	{"another file", "GGUF\3\n", "x.trace:1: 'GGUF\3', expected 'flashcast-trace 1'"},
	{"a name that goes on", "flashcast-tracer 1\n", "expected 'flashcast-trace 1'"},
	{"another version", "flashcast-trace 2\n", "x.trace:1: trace version '2', expected 1"},
	{"a version and more", "flashcast-trace 10\n", "trace version '10', expected 1"},
	{"no version", "flashcast-trace \n", "trace version '', expected 1"},
	{"no line's end", "flashcast-trace 1", "x.trace:1: expected a text line"},
	{"a header that stops", MAGIC MODEL, "x.trace:3: the file ends, expected a header up to"},
	{"a line too long", MAGIC "source: " X100 X100 X100 X100 X100 X100 "\n",
	 "x.trace:2: expected a text line of at most 510 bytes"},
	{"a source too long", MAGIC "source: " X100 X100 X100 "\n",
	 "x.trace:2: source: 300 characters, expected at most 255"},
	{"a model too long", MAGIC "model: " X100 "\n",
	 "x.trace:2: model: 100 characters, expected at most 63"},
	{"a model without a name", MAGIC "model: \n", "x.trace:2: model: '', expected a name"},
	{"a control character", MAGIC "model: a\tb\n", "all printable"},
	{"no colon", MAGIC "layers 2\n", "x.trace:2: 'layers 2', expected 'key: value'"},
	{"no space", MAGIC "layers:2\n", "x.trace:2: 'layers:2', expected 'key: value'"},
	{"an unknown key", MAGIC "layer: 2\n", "x.trace:2: unknown key 'layer'"},
	{"a key twice", MAGIC LAYERS MODEL LAYERS, "x.trace:4: layers stands twice"},
	{"no layers", MAGIC "layers: 0\n", "layers: '0', expected a whole number, 1 to 4096"},
	{"a sign", MAGIC "layers: +2\n", "layers: '+2', expected a whole number"},
	{"less than none", MAGIC "tokens: -1\n", "tokens: '-1', expected a whole number"},
	{"a leading zero", MAGIC "tokens: 010\n", "tokens: '010', expected a whole number"},
	{"a trailing letter", MAGIC "tokens: 64k\n", "tokens: '64k', expected a whole number"},
	{"a trailing space", MAGIC "tokens: 64 \n", "tokens: '64 ', expected a whole number"},
	{"a fraction", MAGIC "tokens: 1.5\n", "tokens: '1.5', expected a whole number"},
	{"no number", MAGIC "tokens: \n", "tokens: '', expected a whole number"},
	{"too many layers", MAGIC "layers: 4097\n", "'4097', expected a whole number, 1 to 4096"},
	{"absurd neurons", MAGIC "neurons: 16777217\n", "expected a whole number, 1 to 16777216"},
	{"absurd tokens", MAGIC "tokens: 4294967297\n", "expected a whole number, 1 to 268435456"},
	{"past 64 bits", MAGIC "tokens: 18446744073709551617\n", "expected a whole number, 1 to"},
	{"no margins", MAGIC "margins: \n", "margins: '', expected numbers with one space"},
	{"a margin that is none", MAGIC "margins: 0 x\n", "'0 x', expected numbers"},
	{"a margin nan", MAGIC "margins: nan 0\n", "'nan 0', expected numbers"},
	{"a margin past all", MAGIC "margins: 1e999 0\n", "'1e999 0', expected numbers"},
	{"a hexadecimal margin", MAGIC "margins: 0x1p3 0\n", "'0x1p3 0', expected numbers"},
	{"two spaces", MAGIC "margins: 1  0\n", "'1  0', expected numbers with one space"},
	{"a trailing space", MAGIC "margins: 1 0 \n", "'1 0 ', expected numbers"},
	{"eight margins", MAGIC "margins: 7 6 5 4 3 2 1 0\n", "expected at most 7"},
	{"half a demand", MAGIC "demand: some\n", "demand: 'some', expected none or recorded"},
	{"another unit", MAGIC "unit: one byte a neuron\n",
	 "unit: 'one byte a neuron', expected 'one bit"},
	{"a short digest", MAGIC "xxh3: 0123\n", "xxh3: '0123', expected 32 hexadecimal digits"},
	{"a digest in capitals", MAGIC "xxh3: 0123456789ABCDEF0123456789ABCDEF\n",
	 "expected 32 hexadecimal digits"},
	{"ascending margins", MAGIC MODEL LAYERS NEURONS TOKENS "margins: 0 0.5\n" REST,
	 "x.trace:11: margins: 0.5 after 0, expected descending"},
	{"equal margins", MAGIC MODEL LAYERS NEURONS TOKENS "margins: 0 0\n" REST,
	 "margins: 0 after 0, expected descending"},
	{"no active set", MAGIC MODEL LAYERS NEURONS TOKENS "margins: 0.5 -0.4\n" REST,
	 "margins: none is 0, expected one"},
	{"no model", MAGIC LAYERS NEURONS TOKENS MARGINS REST,
	 "x.trace:10: the header has no line 'model'"},
	{"no layers", MAGIC MODEL NEURONS TOKENS MARGINS REST, "no line 'layers'"},
	{"no neurons", MAGIC MODEL LAYERS TOKENS MARGINS REST, "no line 'neurons'"},
	{"no tokens", MAGIC MODEL LAYERS NEURONS MARGINS REST, "no line 'tokens'"},
	{"no margins", MAGIC MODEL LAYERS NEURONS TOKENS REST, "no line 'margins'"},
	{"no demand", MAGIC MODEL LAYERS NEURONS TOKENS MARGINS SOURCE UNIT XXH3 "---\n",
	 "no line 'demand'"},
	{"no source", MAGIC MODEL LAYERS NEURONS TOKENS MARGINS DEMAND UNIT XXH3 "---\n",
	 "no line 'source'"},
	{"no unit", MAGIC MODEL LAYERS NEURONS TOKENS MARGINS DEMAND SOURCE XXH3 "---\n",
	 "no line 'unit'"},
	{"no digest", MAGIC MODEL LAYERS NEURONS TOKENS MARGINS DEMAND SOURCE UNIT "---\n",
	 "no line 'xxh3'"},
	{"no payload", MAGIC MODEL LAYERS NEURONS TOKENS MARGINS REST,
	 "x.trace: 0 bytes follow the header, expected 64 (1 tokens, 2 layers, 2 planes of 2 "
	 "words)"},
	/* 2^28 tokens of 4096 layers of 2^24 neurons, 7 planes and a demand: 2^64 bytes, 0 in a
	   size_t */
	{"a size that wraps round to the payload's",
	 MAGIC MODEL "layers: 4096\nneurons: 16777216\ntokens: 268435456\n"
		     "margins: 6 5 4 3 2 1 0\ndemand: recorded\n" SOURCE UNIT XXH3 "---\n",
	 "x.trace: 268435456 tokens are more than memory can address"},
	{"a size that no memory holds is not asked for",
	 MAGIC MODEL "layers: 4096\nneurons: 16777216\ntokens: 100000000\n" MARGINS REST,
	 "x.trace: 0 bytes follow the header, expected 1717986918400000000"},
};

static void write_file(const void *text, size_t size, const char *mode)
{
	FILE *out = fopen(path, mode);

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(text, 1, size, out), size);
	ck_assert_int_eq(fclose(out), 0);
}

static void assert_refused(const char *why, const char *says)
{
	struct trace trace;
	struct err err = {0};

	ck_assert_msg(trace_load(&trace, path, &err) == EINVAL, "%s: not refused", why);
	ck_assert_msg(strncmp(err.msg, folder, strlen(folder)) == 0, "%s: no path: %s", why,
		      err.msg);
	ck_assert_msg(strstr(err.msg, says) != NULL, "%s: said: %s", why, err.msg);
	ck_assert_ptr_null(trace.planes);
	trace_fini(&trace); /* is fine after a failure */
}

START_TEST(test_a_bad_header_is_refused_by_line)
{
	write_file(bad_headers[_i].header, strlen(bad_headers[_i].header), "wb");
	assert_refused(bad_headers[_i].why, bad_headers[_i].says);
}
END_TEST

START_TEST(test_a_nul_in_the_header_is_no_line)
{
	static const char text[] = MAGIC "model: a\0b\n" LAYERS;

	write_file(text, sizeof(text) - 1, "wb");
	assert_refused("a NUL", "x.trace:2: expected a text line");
}
END_TEST

START_TEST(test_header_lines_may_stand_in_any_order)
{
	uint64_t planes[8] = {0};
	char text[512], digest[DIGEST_TEXT];
	struct trace trace;
	struct err err = {0};

	digest_of(planes, sizeof(planes), digest);
	snprintf(text, sizeof(text),
		 MAGIC UNIT SOURCE "xxh3: %s\n" MARGINS DEMAND TOKENS NEURONS LAYERS MODEL "---\n",
		 digest);
	write_file(text, strlen(text), "wb");
	write_file(planes, sizeof(planes), "ab");
	ck_assert_msg(trace_load(&trace, path, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(trace.words, 2);
	trace_fini(&trace);
}
END_TEST

/* Changes to a payload of 1 token, 2 layers, 2 planes of 2 words (70 neurons), digest kept right.
 */
static const struct {
	const char *why;
	unsigned word;
	uint64_t value;
	const char *says;
} bad_planes[] = {
	{"a bit past the last neuron", 1, UINT64_C(1) << 6,
	 "token 0, layer 0, plane 0: neuron 70 is set, expected 0 to 69"},
	{"the last bit of the last word", 7, UINT64_C(1) << 63,
	 "token 0, layer 1, plane 1: neuron 127 is set, expected 0 to 69"},
	{"a neuron that is surer than active", 4, UINT64_C(1) << 5,
	 "token 0, layer 1: neuron 5 is in plane 0 (margin 0.5) and not in plane 1 (margin 0)"},
	{"the same in the second word", 1, UINT64_C(1) << 3, "layer 0: neuron 67 is in plane 0"},
};

START_TEST(test_planes_that_contradict_are_refused)
{
	uint64_t planes[8] = {0};
	char text[512], digest[DIGEST_TEXT];

	planes[bad_planes[_i].word] = bad_planes[_i].value;
	digest_of(planes, sizeof(planes), digest);
	snprintf(text, sizeof(text),
		 MAGIC MODEL LAYERS NEURONS TOKENS MARGINS DEMAND SOURCE UNIT "xxh3: %s\n---\n",
		 digest);
	write_file(text, strlen(text), "wb");
	write_file(planes, sizeof(planes), "ab");
	assert_refused(bad_planes[_i].why, bad_planes[_i].says);
}
END_TEST

/* What disks and copies do to a file. */
static const struct {
	const char *why;
	long change; /* of the file's size */
	long flip;   /* byte from the end; 0: none */
	const char *says;
} damages[] = {
	{"a byte lost", -1, 0, "x.trace: 383 bytes follow the header, expected 384"},
	{"a plane lost", -16, 0, "x.trace: 368 bytes follow the header, expected 384"},
	{"all lost", -384, 0, "x.trace: 0 bytes follow the header, expected 384"},
	{"a byte more", 1, 0, "x.trace: 385 bytes follow the header, expected 384"},
	{"a word more", 8, 0, "x.trace: 392 bytes follow the header, expected 384"},
	{"the last byte flipped", 0, 1, "x.trace: the payload's digest is "},
	{"the first byte flipped", 0, 384, "x.trace: the payload's digest is "},
	{"the digest flipped", 0, 384 + 5 + 3, "x.trace: the payload's digest is "},
};

START_TEST(test_a_damaged_file_is_refused)
{
	struct trace trace;
	struct stat st;
	struct err err = {0};

	make_trace(&trace, 3, 2, 70, true);
	ck_assert_int_eq(trace_save(&trace, path, &err), 0);
	trace_fini(&trace);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size + damages[_i].change), 0);
	if (damages[_i].flip) {
		FILE *file = fopen(path, "r+b");
		int byte;

		ck_assert_int_eq(fseek(file, -damages[_i].flip, SEEK_END), 0);
		byte = getc(file);
		ck_assert_int_eq(fseek(file, -damages[_i].flip, SEEK_END), 0);
		putc(damages[_i].flip > 384 ? (byte == '0' ? '1' : '0') : byte ^ 0x10, file);
		ck_assert_int_eq(fclose(file), 0);
	}
	assert_refused(damages[_i].why, damages[_i].says);
}
END_TEST

START_TEST(test_what_is_no_file_is_an_error_with_its_path)
{
	struct trace trace;
	struct err err = {0};

	ck_assert_int_eq(trace_load(&trace, path, &err), ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, path));
	err.code = 0;
	ck_assert_int_eq(trace_load(&trace, folder, &err), EISDIR);
	ck_assert_ptr_nonnull(strstr(err.msg, folder));
}
END_TEST

static void set_margins(struct trace *t)
{
	t->margin_count = 2;
	t->margins[0] = 0.5;
}

static void spoil_model(struct trace *t)
{
	t->model[0] = '\0';
}

static void spoil_model_line(struct trace *t)
{
	strcpy(t->model, "a\nlayers: 9");
}

static void spoil_source(struct trace *t)
{
	strcpy(t->source, "two\nlines");
}

static void spoil_source_end(struct trace *t)
{
	memset(t->source, 'x', sizeof(t->source));
}

static void spoil_layers(struct trace *t)
{
	t->layer_count = 0;
}

static void spoil_neurons(struct trace *t)
{
	t->neuron_count = 0;
}

static void spoil_tokens(struct trace *t)
{
	t->token_count = 0;
}

static void spoil_margins(struct trace *t)
{
	t->margin_count = 0;
}

static void spoil_margins_many(struct trace *t)
{
	t->margin_count = TRACE_PLANES_MAX;
}

static void spoil_margin_infinite(struct trace *t)
{
	t->margins[0] = 1e300 * 1e300;
}

static void spoil_margin_zero(struct trace *t)
{
	t->margins[1] = -1;
}

static void spoil_size(struct trace *t)
{
	t->layer_count = 4096;
	t->neuron_count = 1 << 24;
	t->token_count = 1 << 28;
	t->margin_count = 7;
	for (uint32_t p = 0; p < 7; p++)
		t->margins[p] = 6 - (double)p;
	t->has_demand = true;
}

static const struct {
	void (*spoil)(struct trace *t);
	const char *says;
} bad_shapes[] = {
	{spoil_model, "model: expected a name"},
	{spoil_model_line, "model: expected a name"},
	{spoil_source, "source: expected one line"},
	{spoil_source_end, "source: expected one line of at most 255"},
	{spoil_layers, "layers: 0, expected 1 to 4096"},
	{spoil_neurons, "neurons: 0, expected 1 to 16777216"},
	{spoil_tokens, "tokens: 0, expected 1 to 268435456"},
	{spoil_margins, "margins: 0, expected 1 to 7"},
	{spoil_margins_many, "margins: 8, expected 1 to 7"},
	{spoil_margin_infinite, "margins: inf, expected a finite number"},
	{spoil_margin_zero, "margins: none is 0"},
	{spoil_size, "more than memory can address"},
};

START_TEST(test_a_trace_of_no_sensible_shape_is_not_made)
{
	struct trace trace = {.model = "m", .layer_count = 1, .neuron_count = 9, .token_count = 1};
	struct err err = {0};

	set_margins(&trace);
	bad_shapes[_i].spoil(&trace);
	ck_assert_int_eq(trace_init(&trace, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, bad_shapes[_i].says) != NULL, "said: %s", err.msg);
	trace_fini(&trace);
}
END_TEST

START_TEST(test_planes_that_contradict_are_not_written)
{
	struct trace trace;
	struct err err = {0};

	make_trace(&trace, 2, 2, 70, false);
	bits_put(trace_plane(&trace, 1, 0, 0), 6);
	bits_drop(trace_plane(&trace, 1, 0, 1), 6);
	ck_assert_int_eq(trace_save(&trace, path, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "not written: token 1, layer 0: neuron 6") != NULL, "%s",
		      err.msg);
	ck_assert_uint_eq(folder_count(), 0);
	trace_fini(&trace);
}
END_TEST

/* A disk that fills in the middle: the file that stood stays, and nothing else does. */
START_TEST(test_a_failed_write_leaves_the_old_file)
{
	struct rlimit limit = {4096, RLIM_INFINITY};
	struct trace old, big;
	struct err err = {0};

	make_trace(&old, 1, 1, 64, false);
	ck_assert_int_eq(trace_save(&old, path, &err), 0);
	make_trace(&big, 16, 8, 2048, true);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(trace_save(&big, path, &err), EFBIG);
	ck_assert_msg(strstr(err.msg, path) != NULL, "said: %s", err.msg);
	trace_fini(&big);
	ck_assert_uint_eq(folder_count(), 1);
	err.code = 0;
	ck_assert_msg(trace_load(&big, path, &err) == 0, "%s", err.msg);
	ck_assert_mem_eq(big.planes, old.planes, planes_bytes(&old));
	trace_fini(&old);
	trace_fini(&big);
}
END_TEST

START_TEST(test_a_file_that_cannot_be_made_is_named)
{
	static const char nowhere[] = "/proc/no/x.trace";
	struct trace trace;
	struct err err = {0};

	make_trace(&trace, 1, 1, 8, false);
	ck_assert_int_eq(trace_save(&trace, nowhere, &err), ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "/proc/no"));
	err.code =
		0; /* a folder stands where the file should: the rename fails, the temporary goes */
	ck_assert_int_eq(mkdir(path, 0777), 0);
	ck_assert_int_ne(trace_save(&trace, path, &err), 0);
	ck_assert_uint_eq(folder_count(), 1);
	ck_assert_int_eq(rmdir(path), 0);
	trace_fini(&trace);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("trace");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_loop_test(tcase, test_a_trace_comes_back_as_it_was_saved, 0, COUNT(sizes));
	tcase_add_test(tcase, test_the_file_starts_with_the_documented_header);
	tcase_add_test(tcase, test_margins_come_back_to_the_bit);
	tcase_add_loop_test(tcase, test_a_bad_header_is_refused_by_line, 0, COUNT(bad_headers));
	tcase_add_test(tcase, test_a_nul_in_the_header_is_no_line);
	tcase_add_test(tcase, test_header_lines_may_stand_in_any_order);
	tcase_add_loop_test(tcase, test_planes_that_contradict_are_refused, 0, COUNT(bad_planes));
	tcase_add_loop_test(tcase, test_a_damaged_file_is_refused, 0, COUNT(damages));
	tcase_add_test(tcase, test_what_is_no_file_is_an_error_with_its_path);
	tcase_add_loop_test(tcase, test_a_trace_of_no_sensible_shape_is_not_made, 0,
			    COUNT(bad_shapes));
	tcase_add_test(tcase, test_planes_that_contradict_are_not_written);
	tcase_add_test(tcase, test_a_failed_write_leaves_the_old_file);
	tcase_add_test(tcase, test_a_file_that_cannot_be_made_is_named);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
