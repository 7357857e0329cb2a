/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_memory.c - hazard: an import that holds the model
 *
 * The checkpoint is a hole of some 600 MB with a header; what it becomes is written out and removed
 * again.  Sanitizers hold memory of their own, so this is of release builds. */
#include "../real/tiny.h"
#include "import.h"

#include <inttypes.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { LAYERS = 2, D = 4096, FFN = 8192, VOCAB = 4096, POSITIONS = 2048, LIMIT_MB = 300 };

static char from[TINY_PATH], to[TINY_PATH];

static void setup(void)
{
	dir_make(from);
	dir_make(to);
}

static void teardown(void)
{
	dir_remove(from);
	dir_remove(to);
}

static FILE *file_in(const char *dir, const char *name)
{
	char path[TINY_PATH + 32];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "wb");
	ck_assert_ptr_nonnull(out);
	return out;
}

static void write_config(void)
{
	FILE *out = file_in(from, "config.json");

	fprintf(out,
		"{\"model_type\": \"opt\", \"hidden_size\": %d, \"word_embed_proj_dim\": %d, "
		"\"ffn_dim\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": 32, "
		"\"vocab_size\": %d, \"max_position_embeddings\": %d, "
		"\"activation_function\": \"relu\", \"do_layer_norm_before\": true}",
		D, D, FFN, LAYERS, VOCAB, POSITIONS);
	ck_assert_int_eq(fclose(out), 0);
}

/* One tensor of the header, in f16; columns 0: a vector. */
static void put_tensor(FILE *head, const char *name, uint64_t rows, uint64_t columns, uint64_t *at)
{
	const uint64_t bytes = 2 * rows * (columns ? columns : 1);

	fprintf(head, "%s\"%s\":{\"dtype\":\"F16\",\"shape\":[%" PRIu64, *at ? "," : "{", name,
		rows);
	if (columns)
		fprintf(head, ",%" PRIu64, columns);
	fprintf(head, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", *at, *at + bytes);
	*at += bytes;
}

static void put_both(FILE *head, const char *stem, uint64_t rows, uint64_t columns, uint64_t *at)
{
	char name[128];

	snprintf(name, sizeof(name), "%s.weight", stem);
	put_tensor(head, name, rows, columns, at);
	snprintf(name, sizeof(name), "%s.bias", stem);
	put_tensor(head, name, rows, 0, at);
}

static void put_layer(FILE *head, unsigned layer, uint64_t *at)
{
	static const struct {
		const char *stem;
		uint64_t rows, columns;
	} parts[] = {
		{"self_attn.q_proj", D, D},
		{"self_attn.k_proj", D, D},
		{"self_attn.v_proj", D, D},
		{"self_attn.out_proj", D, D},
		{"self_attn_layer_norm", D, 0},
		{"fc1", FFN, D},
		{"fc2", D, FFN},
		{"final_layer_norm", D, 0},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char stem[96];

		snprintf(stem, sizeof(stem), "model.decoder.layers.%u.%s", layer, parts[i].stem);
		put_both(head, stem, parts[i].rows, parts[i].columns, at);
	}
}

/* Returns the bytes of its weights, all zeros and none of them on disk. */
static uint64_t write_hollow(void)
{
	char *header = NULL;
	size_t header_bytes;
	FILE *head = open_memstream(&header, &header_bytes), *out;
	uint64_t at = 0;

	put_tensor(head, "model.decoder.embed_tokens.weight", VOCAB, D, &at);
	put_tensor(head, "model.decoder.embed_positions.weight", POSITIONS + 2, D, &at);
	put_both(head, "model.decoder.final_layer_norm", D, 0, &at);
	for (unsigned layer = 0; layer < LAYERS; layer++)
		put_layer(head, layer, &at);
	fputc('}', head);
	ck_assert_int_eq(fclose(head), 0);
	out = file_in(from, "model.safetensors");
	for (unsigned i = 0; i < 8; i++)
		fputc((int)((uint64_t)header_bytes >> (8 * i) & 0xff), out);
	ck_assert_uint_eq(fwrite(header, 1, header_bytes, out), header_bytes);
	ck_assert_int_eq(fflush(out), 0);
	ck_assert_int_eq(ftruncate(fileno(out), (off_t)(8 + header_bytes + at)), 0);
	ck_assert_int_eq(fclose(out), 0);
	free(header);
	return at;
}

static void import_and_exit(void)
{
	static const struct layout_ops *const layouts[] = {&layout_bundle};
	const struct import_options options = {.layouts = layouts,
					       .layout_count = 1,
					       .weights = -1,
					       .activation = -1,
					       .row_align = 512,
					       .threads = 2};
	struct import_report report;
	struct err err = {0};

	if (model_import(to, from, &options, &report, &err))
		fprintf(stderr, "%s\n", err.msg);
	_exit(err.code ? 1 : 0);
}

START_TEST(an_import_streams)
{
	struct rusage usage = {0};
	uint64_t bytes;
	pid_t child;
	int status;

	write_config();
	bytes = write_hollow();
	ck_assert_uint_gt(bytes, UINT64_C(550000000));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		import_and_exit();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(getrusage(RUSAGE_CHILDREN, &usage), 0);
	printf("%.0f MB imported in %.0f MB of memory\n", (double)bytes / 1e6,
	       (double)usage.ru_maxrss * 1024 / 1e6);
	ck_assert_msg(usage.ru_maxrss * INT64_C(1024) < LIMIT_MB * INT64_C(1000000), "held %ld KiB",
		      usage.ru_maxrss);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import memory");
	TCase *tcase = tcase_create("import memory");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_import_streams);
	tcase_set_timeout(tcase, 100);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
