/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_checkpoint.c - checkpoints that torch, safetensors and our GGUF writer wrote, read to the bit */
#include "files.h"
#include "gguf.h"
#include "rng.h"

/* As fixtures/make_fixtures.py fills them. */
static int fixture_sixteenths(const char *name, uint64_t i)
{
	uint64_t sum = 0;

	for (const char *c = name; *c; c++)
		sum += (unsigned char)*c;
	return (int)((37 * i + sum) % 255) - 127;
}

/* n / 16 in a type; each of the three holds it exactly. */
static uint32_t bits_of(enum weight_type type, int n)
{
	uint32_t sign = n < 0, size = (uint32_t)abs(n), high = 0, bits;
	float value = (float)n / 16;

	memcpy(&bits, &value, sizeof(bits));
	if (type == WEIGHT_F32)
		return bits;
	if (type == WEIGHT_BF16)
		return bits >> 16;
	if (n == 0)
		return 0;
	while (size >> (high + 1))
		high++;
	return sign << 15 | (high - 4 + 15) << 10 | (size << (10 - high) & 0x3ff);
}

/* All bytes of a tensor, read in pieces whose sizes 'seed' gives. */
static unsigned char *read_in_pieces(struct checkpoint *checkpoint,
				     const struct checkpoint_tensor *tensor, uint64_t seed)
{
	unsigned char *bytes = malloc(tensor->bytes + 1);
	struct rng rng = {.state = seed};
	struct err err = {0};

	ck_assert_ptr_nonnull(bytes);
	for (uint64_t at = 0; at < tensor->bytes;) {
		uint64_t piece = 1 + rng_below(&rng, 100);

		if (piece > tensor->bytes - at)
			piece = tensor->bytes - at;
		ck_ok(checkpoint_read(checkpoint, tensor, at, bytes + at, piece, &err));
		at += piece;
	}
	return bytes;
}

static void check_values(const unsigned char *bytes, const struct checkpoint_tensor *tensor,
			 const char *filled_as, uint64_t first)
{
	uint32_t each = weight_bytes(tensor->type);

	for (uint64_t i = 0; i < tensor->bytes / each; i++) {
		uint32_t expected = bits_of(tensor->type, fixture_sixteenths(filled_as, first + i));
		uint32_t got = 0;

		for (uint32_t b = 0; b < each; b++)
			got |= (uint32_t)bytes[i * each + b] << (8 * b);
		ck_assert_msg(got == expected, "%s[%ju]: %08x, expected %08x", tensor->name,
			      (uintmax_t)i, got, expected);
	}
}

struct shape {
	const char *name;
	uint32_t dim_count;
	uint64_t dims[2];
	const char *filled_as; /* NULL: its own name */
	uint64_t first;
};

#define EMBED "model.decoder.embed_tokens.weight"
/* clang-format off */
#define BODY {"model.decoder.final_layer_norm.weight", 1, {8, 1}, NULL, 0}, \
	     {"model.decoder.layers.0.fc1.bias", 1, {32, 1}, NULL, 0}, \
	     {"model.decoder.layers.0.fc1.weight", 2, {32, 8}, NULL, 0}, \
	     {"model.decoder.layers.0.fc2.weight", 2, {8, 32}, NULL, 0}
/* In the order of their names. */
static const struct shape plain[] = {{EMBED, 2, {24, 8}, NULL, 0}, BODY};
static const struct shape tied[] = {{"lm_head.weight", 2, {24, 8}, EMBED, 0}, {EMBED, 2, {24, 8}, NULL, 0}, BODY};
static const struct shape head_only[] = {{"lm_head.weight", 2, {24, 8}, EMBED, 0}, BODY};
static const struct shape module[] = {{"fc.bias", 1, {6, 1}, NULL, 0}, {"fc.weight", 2, {6, 4}, NULL, 0}};
static const struct shape views[] = {{"scalar", 0, {1, 1}, "whole", 14}, {"tail", 2, {4, 4}, "whole", 32},
				     {"whole", 2, {12, 4}, NULL, 0}};
#define SHAPES(array) (array), sizeof(array) / sizeof((array)[0])
static const struct {
	const char *folder;
	enum weight_type type;
	const struct shape *shapes;
	size_t count;
} good[] = {
	{"safetensors-f32", WEIGHT_F32, SHAPES(plain)},
	{"safetensors-f16", WEIGHT_F16, SHAPES(plain)},
	{"safetensors-bf16", WEIGHT_BF16, SHAPES(plain)},
	{"safetensors-sharded", WEIGHT_F16, SHAPES(head_only)},
	{"torch-f32", WEIGHT_F32, SHAPES(plain)},
	{"torch-f16", WEIGHT_F16, SHAPES(plain)},
	{"torch-bf16", WEIGHT_BF16, SHAPES(plain)},
	{"torch-tied", WEIGHT_F16, SHAPES(tied)},
	{"torch-sharded", WEIGHT_F16, SHAPES(tied)},
	{"torch-module", WEIGHT_F32, SHAPES(module)},
	{"torch-parameters", WEIGHT_F32, SHAPES(module)},
	{"torch-views", WEIGHT_F32, SHAPES(views)},
};
/* clang-format on */

START_TEST(what_the_reference_writers_wrote_is_read_to_the_bit)
{
	struct checkpoint *checkpoint;
	char path[FILES_PATH];
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, good[_i].folder);
	ck_ok(checkpoint_open(&checkpoint, path, &err));
	ck_assert_uint_eq(checkpoint_tensor_count(checkpoint), good[_i].count);
	for (size_t i = 0; i < good[_i].count; i++) {
		const struct shape *shape = &good[_i].shapes[i];
		const struct checkpoint_tensor *tensor = checkpoint_tensor_at(checkpoint, i);
		unsigned char *bytes = read_in_pieces(checkpoint, tensor, 7 + i);

		ck_assert_str_eq(tensor->name, shape->name);
		ck_assert_ptr_eq(checkpoint_find(checkpoint, shape->name), tensor);
		ck_assert_int_eq((int)tensor->type, (int)good[_i].type);
		ck_assert_uint_eq(tensor->dim_count, shape->dim_count);
		for (unsigned d = 0; d < CHECKPOINT_DIMS; d++)
			ck_assert_uint_eq(tensor->dims[d], d < 2 ? shape->dims[d] : 1);
		ck_assert_uint_eq(tensor->bytes,
				  shape->dims[0] * shape->dims[1] * weight_bytes(tensor->type));
		check_values(bytes, tensor, shape->filled_as ? shape->filled_as : shape->name,
			     shape->first);
		free(bytes);
	}
	ck_assert_ptr_null(checkpoint_find(checkpoint, "fc"));
	checkpoint_close(checkpoint);
}
END_TEST

START_TEST(ranges_come_in_any_order)
{
	static const char *const folders[] = {FIXTURES "/torch-f32", FIXTURES "/safetensors-f32"};
	const struct checkpoint_tensor *tensors[2];
	struct checkpoint *checkpoint;
	unsigned char whole[2][1024], part[64];
	struct rng rng = {.state = 3};
	struct err err = {0};

	ck_ok(checkpoint_open(&checkpoint, folders[_i], &err));
	tensors[0] = checkpoint_find(checkpoint, "model.decoder.layers.0.fc1.weight");
	tensors[1] = checkpoint_find(checkpoint, "model.decoder.layers.0.fc2.weight");
	for (unsigned t = 0; t < 2; t++)
		ck_ok(checkpoint_read(checkpoint, tensors[t], 0, whole[t], 1024, &err));
	for (unsigned i = 0; i < 500; i++) {
		unsigned t = rng_below(&rng, 2), bytes = rng_below(&rng, sizeof(part) + 1);
		unsigned from = rng_below(&rng, 1025 - bytes);

		ck_ok(checkpoint_read(checkpoint, tensors[t], from, part, bytes, &err));
		ck_assert_mem_eq(part, whole[t] + from, bytes);
	}
	checkpoint_close(checkpoint);
}
END_TEST

static void gguf_add(struct gguf_head *head, const char *name, uint32_t type, uint64_t columns,
		     uint64_t rows, uint64_t offset)
{
	struct gguf_tensor tensor = {.type = type,
				     .dim_count = rows > 1 ? 2 : 1,
				     .dims = {columns, rows, 1, 1},
				     .offset = offset};

	snprintf(tensor.name, sizeof(tensor.name), "%s", name);
	gguf_head_tensor(head, &tensor);
}

/* A header with three tensors, 32 bytes apart, and 96 bytes of data 0, 1, 2, ... */
static void gguf_spit(const char *name, uint32_t second_type)
{
	struct gguf_head head;
	struct err err = {0};
	unsigned char *file;

	gguf_head_init(&head);
	gguf_head_text(&head, "general.architecture", "falcon");
	gguf_add(&head, "output_norm.weight", GGUF_F32, 4, 1, 0);
	gguf_add(&head, "blk.0.ffn_up.weight", second_type, 4, 3, 32);
	gguf_add(&head, "token_embd.weight", GGUF_BF16, 2, 5, 64);
	ck_ok(gguf_head_finish(&head, 32, &err));
	file = malloc(head.used + 96);
	ck_assert_ptr_nonnull(file);
	memcpy(file, head.bytes, head.used);
	for (unsigned i = 0; i < 96; i++)
		file[head.used + i] = (unsigned char)i;
	file_spit(name, file, head.used + 96);
	free(file);
	gguf_head_fini(&head);
}

START_TEST(dims_of_gguf_are_turned_round)
{
	const struct checkpoint_tensor *up;
	struct checkpoint *checkpoint;
	unsigned char bytes[24];
	struct err err = {0};

	gguf_spit("falcon.gguf", GGUF_F16);
	ck_ok(checkpoint_open(&checkpoint, file_path("falcon.gguf"), &err));
	ck_assert_uint_eq(checkpoint_tensor_count(checkpoint), 3);
	up = checkpoint_tensor_at(checkpoint, 0);
	ck_assert_str_eq(up->name, "blk.0.ffn_up.weight");
	ck_assert_int_eq((int)up->type, WEIGHT_F16);
	ck_assert_uint_eq(up->dim_count, 2);
	ck_assert(up->dims[0] == 3 && up->dims[1] == 4 && up->dims[2] == 1 && up->dims[3] == 1);
	ck_assert_uint_eq(up->bytes, 24);
	ck_ok(checkpoint_read(checkpoint, up, 1, bytes, 23, &err));
	for (unsigned i = 0; i < 23; i++)
		ck_assert_uint_eq(bytes[i], 32 + 1 + i);
	ck_assert_int_eq((int)checkpoint_find(checkpoint, "token_embd.weight")->type, WEIGHT_BF16);
	ck_assert_int_eq((int)checkpoint_find(checkpoint, "output_norm.weight")->type, WEIGHT_F32);
	checkpoint_close(checkpoint);
}
END_TEST

#define W "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"

START_TEST(safetensors_come_before_pytorch_and_one_file_before_shards)
{
	struct checkpoint *checkpoint;
	struct err err = {0};

	file_copy(FIXTURES "/torch-f16/pytorch_model.bin", "pytorch_model.bin");
	text_spit("pytorch_model.bin.index.json", "broken");
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	ck_assert_uint_eq(checkpoint_tensor_count(checkpoint), 5);
	checkpoint_close(checkpoint);
	text_spit("model.safetensors.index.json", "{\"weight_map\":{\"w\":\"a.safetensors\"}}");
	safetensors_spit("a.safetensors", W, 4);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	ck_assert_uint_eq(checkpoint_tensor_count(checkpoint), 1);
	checkpoint_close(checkpoint);
	text_spit("model.safetensors.index.json", "broken");
	safetensors_spit("model.safetensors", W, 4);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	checkpoint_close(checkpoint);
}
END_TEST

START_TEST(empty_tensors_and_padded_headers_are_fine)
{
	static const char header[] =
		"{\"__metadata__\":{\"format\":\"pt\"},"
		"\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]},"
		"\"a\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
		"\"c\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[4,6]}}      ";
	struct checkpoint *checkpoint;
	unsigned char bytes[2];
	struct err err = {0};

	safetensors_spit("model.safetensors", header, 6);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	ck_assert_uint_eq(checkpoint_find(checkpoint, "a")->bytes, 0);
	ck_ok(checkpoint_read(checkpoint, checkpoint_find(checkpoint, "a"), 0, bytes, 0, &err));
	ck_assert_uint_eq(checkpoint_find(checkpoint, "c")->dim_count, 0);
	ck_ok(checkpoint_read(checkpoint, checkpoint_find(checkpoint, "c"), 0, bytes, 2, &err));
	ck_assert(bytes[0] == 4 && bytes[1] == 5);
	checkpoint_close(checkpoint);
}
END_TEST

START_TEST(a_file_that_shrank_since_is_a_short_read)
{
	struct checkpoint *checkpoint;
	unsigned char bytes[4];
	struct err err = {0};

	safetensors_spit("model.safetensors", W, 4);
	ck_ok(checkpoint_open(&checkpoint, dir, &err));
	ck_assert_int_eq(truncate(file_path("model.safetensors"), (off_t)(8 + strlen(W) + 1)), 0);
	ck_assert_int_eq(
		checkpoint_read(checkpoint, checkpoint_tensor_at(checkpoint, 0), 0, bytes, 4, &err),
		EIO);
	ck_assert_msg(strstr(err.msg, "tensor 'w': ") && strstr(err.msg, "expected 3 more bytes"),
		      "said: %s", err.msg);
	checkpoint_close(checkpoint);
}
END_TEST

START_TEST(what_is_no_checkpoint_is_told_what_would_be)
{
	struct checkpoint *checkpoint;
	struct err err = {0};

	ck_assert_int_eq(checkpoint_open(&checkpoint, dir, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, "no checkpoint in this folder, expected one of "
				      "model.safetensors, model.safetensors.index.json, "
				      "pytorch_model.bin, pytorch_model.bin.index.json"),
		      "said: %s", err.msg);
	err.code = 0;
	safetensors_spit("model.safetensors", W, 4);
	ck_assert_int_eq(checkpoint_open(&checkpoint, file_path("model.safetensors"), &err),
			 EINVAL);
	ck_assert_msg(strstr(err.msg, "a file, expected the folder it is in"), "said: %s", err.msg);
	err.code = 0;
	ck_assert_int_eq(checkpoint_open(&checkpoint, file_path("nothing"), &err), ENOENT);
	err.code = 0;
	gguf_spit("quantised.gguf", 25);
	ck_assert_int_eq(checkpoint_open(&checkpoint, file_path("quantised.gguf"), &err), ENOTSUP);
	ck_assert_msg(strstr(err.msg,
			     "tensor 'blk.0.ffn_up.weight': type I16, expected f32, f16 or bf16"),
		      "said: %s", err.msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checkpoint");
	TCase *tcase = tcase_create("checkpoint");

	tcase_add_checked_fixture(tcase, files_setup, files_teardown);
	tcase_add_loop_test(tcase, what_the_reference_writers_wrote_is_read_to_the_bit, 0,
			    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tcase, ranges_come_in_any_order, 0, 2);
	tcase_add_test(tcase, dims_of_gguf_are_turned_round);
	tcase_add_test(tcase, safetensors_come_before_pytorch_and_one_file_before_shards);
	tcase_add_test(tcase, empty_tensors_and_padded_headers_are_fine);
	tcase_add_test(tcase, a_file_that_shrank_since_is_a_short_read);
	tcase_add_test(tcase, what_is_no_checkpoint_is_told_what_would_be);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
