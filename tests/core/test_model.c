/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_model.c - shapes, sizes and totals of the shipped models, against published ones */
#include "configs.h"
#include "model.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static void load_model(struct model *model, const char *name)
{
	struct ynode *map;
	struct err err = {0};

	ck_assert_msg(config_load(&map, CONFIG_MODEL, name, &err) == 0, "%s", err.msg);
	ck_assert_msg(model_read(model, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
}

/* Parameters as in the checkpoints (paper.md 11 and the sizes that transformers prints). */
static const struct {
	const char *name;
	uint64_t param_count;
} totals[] = {
	{"opt-6.7b", UINT64_C(6658473984)}, {"falcon-7b", UINT64_C(6921720704)},
	{"opt-1.3b", UINT64_C(1315758080)}, {"opt-125m", UINT64_C(125239296)},
	{"opt-2.7b", UINT64_C(2651596800)}, {"opt-13b", UINT64_C(12853473280)},
	{"opt-30b", UINT64_C(29974540288)}, {"opt-66b", UINT64_C(65719701504)},
	{"demo-opt", UINT64_C(420700160)},
};

START_TEST(test_a_shipped_model_has_its_published_parameters)
{
	struct model model;

	load_model(&model, totals[_i].name);
	ck_assert_str_eq(model.name, totals[_i].name);
	ck_assert_uint_eq(model_param_count(&model), totals[_i].param_count);
	ck_assert_uint_eq(model_param_bytes(&model, WEIGHT_F16), 2 * totals[_i].param_count);
	ck_assert_uint_eq(model_param_bytes(&model, WEIGHT_F32), 4 * totals[_i].param_count);
	for (unsigned w = WEIGHT_F32; w < WEIGHT_TYPES; w++)
		ck_assert_uint_eq(model_ffn_bytes(&model, w) + model_attention_bytes(&model, w) +
					  model_embed_bytes(&model, w),
				  model_param_bytes(&model, w));
}
END_TEST

/* Per cent of the parameters; the paper says 32.3, 64.62, 3 and 19.4, 76.8, 4.2. */
static const struct {
	const char *name;
	double attention, ffn, embed;
} shares[] = {
	/* FFN biases and norms, 0.02 %, count as attention: they stay with it in DRAM. */
	{"opt-6.7b", 32.26 + 0.02, 64.50, 3.09 + 0.13},
	{"falcon-7b", 19.36, 76.37, 4.27},
};

START_TEST(test_the_parts_of_a_model_have_the_papers_shares)
{
	struct model model;
	double all;

	load_model(&model, shares[_i].name);
	all = (double)model_param_bytes(&model, WEIGHT_F16) / 100;
	ck_assert_double_eq_tol((double)model_attention_bytes(&model, WEIGHT_F16) / all,
				shares[_i].attention, 0.006);
	ck_assert_double_eq_tol((double)model_ffn_bytes(&model, WEIGHT_F16) / all, shares[_i].ffn,
				0.006);
	ck_assert_double_eq_tol((double)model_embed_bytes(&model, WEIGHT_F16) / all,
				shares[_i].embed, 0.006);
}
END_TEST

/* Falcon checkpoints saved untied: 7,217,189,760 parameters, as the index of one says (paper.md 11). */
START_TEST(test_a_head_of_its_own_is_one_matrix_more)
{
	struct model model;
	struct model_tensor t;
	uint32_t i = 0;

	load_model(&model, "falcon-7b");
	model.own_head = true;
	ck_assert_uint_eq(model_param_count(&model), UINT64_C(7217189760));
	while (model_tensor_at(&t, &model, WEIGHT_F16, REGION_EMBED, 0, i))
		i++;
	ck_assert_str_eq(t.name, "output.weight"); /* after the norm that comes before it */
	ck_assert_uint_eq(t.dims[1], model.vocab_count);
}
END_TEST

START_TEST(test_the_demo_has_half_a_gibibyte_of_ffn)
{
	struct model model;

	load_model(&model, "demo-opt");
	ck_assert_uint_eq(model_ffn_bytes(&model, WEIGHT_F16), UINT64_C(512) << 20);
	ck_assert_uint_eq(model.layer_count * model_region_bytes(&model, WEIGHT_F16, REGION_BUNDLE),
			  UINT64_C(512) << 20);
}
END_TEST

/* One FFN row of each kind, unpadded and padded. */
static const struct {
	const char *name;
	uint64_t align;
	enum weight_type weights;
	uint64_t row, row_stride, bundle, bundle_stride;
} rows[] = {
	{"falcon-7b", 512, WEIGHT_F16, 9088, 9216, 18176, 18432},
	{"falcon-7b", 4096, WEIGHT_F16, 9088, 12288, 18176, 20480},
	{"falcon-7b", 512, WEIGHT_F32, 18176, 18432, 36352, 36352},
	{"falcon-7b", 4096, WEIGHT_F32, 18176, 20480, 36352, 36864},
	{"opt-6.7b", 512, WEIGHT_F16, 8192, 8192, 16384, 16384},
	{"opt-6.7b", 4096, WEIGHT_F32, 16384, 16384, 32768, 32768},
	{"opt-125m", 512, WEIGHT_F16, 1536, 1536, 3072, 3072},
	{"opt-125m", 4096, WEIGHT_F16, 1536, 4096, 3072, 4096},
};

START_TEST(test_ffn_rows_are_padded_to_what_direct_reads_need)
{
	struct model model;

	load_model(&model, rows[_i].name);
	ck_assert_uint_eq(model.row_align, 512);
	model.row_align = rows[_i].align;
	for (unsigned region = REGION_UP; region <= REGION_DOWN; region++) {
		ck_assert_uint_eq(model_row_bytes(&model, rows[_i].weights, region), rows[_i].row);
		ck_assert_uint_eq(model_row_stride(&model, rows[_i].weights, region),
				  rows[_i].row_stride);
	}
	ck_assert_uint_eq(model_row_bytes(&model, rows[_i].weights, REGION_BUNDLE),
			  rows[_i].bundle);
	ck_assert_uint_eq(model_row_stride(&model, rows[_i].weights, REGION_BUNDLE),
			  rows[_i].bundle_stride);
	ck_assert_uint_eq(model_region_bytes(&model, rows[_i].weights, REGION_BUNDLE),
			  model.d_ffn * rows[_i].bundle_stride);
}
END_TEST

/* Every tensor of both families in f16: what files hold and other programs list. */
static const struct {
	const char *model;
	enum region region;
	uint32_t i;
	const char *name;
	enum weight_type type;
	uint64_t dims[2];
} tensors[] = {
	{"opt-6.7b", REGION_EMBED, 0, "token_embd.weight", WEIGHT_F16, {4096, 50272}},
	{"opt-6.7b", REGION_EMBED, 1, "position_embd.weight", WEIGHT_F16, {4096, 2050}},
	{"opt-6.7b", REGION_EMBED, 2, "output_norm.weight", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_EMBED, 3, "output_norm.bias", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_EMBED, 4, NULL, 0, {0, 0}},
	{"opt-6.7b", REGION_ATTENTION, 0, "blk.31.attn_norm.weight", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 1, "blk.31.attn_norm.bias", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 2, "blk.31.attn_qkv.weight", WEIGHT_F16, {4096, 12288}},
	{"opt-6.7b", REGION_ATTENTION, 3, "blk.31.attn_qkv.bias", WEIGHT_F32, {12288, 1}},
	{"opt-6.7b", REGION_ATTENTION, 4, "blk.31.attn_output.weight", WEIGHT_F16, {4096, 4096}},
	{"opt-6.7b", REGION_ATTENTION, 5, "blk.31.attn_output.bias", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 6, "blk.31.ffn_norm.weight", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 7, "blk.31.ffn_norm.bias", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 8, "blk.31.ffn_up.bias", WEIGHT_F32, {16384, 1}},
	{"opt-6.7b", REGION_ATTENTION, 9, "blk.31.ffn_down.bias", WEIGHT_F32, {4096, 1}},
	{"opt-6.7b", REGION_ATTENTION, 10, NULL, 0, {0, 0}},
	{"opt-6.7b", REGION_UP, 0, "blk.31.ffn_up.weight", WEIGHT_F16, {4096, 16384}},
	{"opt-6.7b", REGION_UP, 1, NULL, 0, {0, 0}},
	{"opt-6.7b", REGION_DOWN, 0, "blk.31.ffn_down_t.weight", WEIGHT_F16, {4096, 16384}},
	{"opt-6.7b", REGION_DOWN, 1, NULL, 0, {0, 0}},
	{"opt-6.7b", REGION_BUNDLE, 0, "blk.31.ffn_bundle.weight", WEIGHT_F16, {8192, 16384}},
	{"opt-6.7b", REGION_BUNDLE, 1, NULL, 0, {0, 0}},
	{"falcon-7b", REGION_EMBED, 0, "token_embd.weight", WEIGHT_F16, {4544, 65024}},
	{"falcon-7b", REGION_EMBED, 1, "output_norm.weight", WEIGHT_F32, {4544, 1}},
	{"falcon-7b", REGION_EMBED, 2, "output_norm.bias", WEIGHT_F32, {4544, 1}},
	{"falcon-7b", REGION_EMBED, 3, NULL, 0, {0, 0}},
	{"falcon-7b", REGION_ATTENTION, 0, "blk.31.attn_norm.weight", WEIGHT_F32, {4544, 1}},
	{"falcon-7b", REGION_ATTENTION, 1, "blk.31.attn_norm.bias", WEIGHT_F32, {4544, 1}},
	{"falcon-7b", REGION_ATTENTION, 2, "blk.31.attn_qkv.weight", WEIGHT_F16, {4544, 4672}},
	{"falcon-7b", REGION_ATTENTION, 3, "blk.31.attn_output.weight", WEIGHT_F16, {4544, 4544}},
	{"falcon-7b", REGION_ATTENTION, 4, NULL, 0, {0, 0}},
	/* padded to 512 bytes: 9,216 and 18,432 of them */
	{"falcon-7b", REGION_UP, 0, "blk.31.ffn_up.weight", WEIGHT_F16, {4608, 18176}},
	{"falcon-7b", REGION_DOWN, 0, "blk.31.ffn_down_t.weight", WEIGHT_F16, {4608, 18176}},
	{"falcon-7b", REGION_BUNDLE, 0, "blk.31.ffn_bundle.weight", WEIGHT_F16, {9216, 18176}},
	{"falcon-7b", REGION_BUNDLE, 1, NULL, 0, {0, 0}},
};

START_TEST(test_tensors_have_the_names_and_shapes_of_their_family)
{
	struct model_tensor tensor;
	struct model model;
	bool there;

	load_model(&model, tensors[_i].model);
	there = model_tensor_at(&tensor, &model, WEIGHT_F16, tensors[_i].region, 31, tensors[_i].i);
	ck_assert_int_eq(there, tensors[_i].name != NULL);
	if (!there)
		return;
	ck_assert_str_eq(tensor.name, tensors[_i].name);
	ck_assert_int_eq(tensor.type, tensors[_i].type);
	ck_assert_uint_eq(tensor.dims[0], tensors[_i].dims[0]);
	ck_assert_uint_eq(tensor.dims[1], tensors[_i].dims[1]);
	/* Norms and biases stay f32 in an f32 file as well. */
	model_tensor_at(&tensor, &model, WEIGHT_F32, tensors[_i].region, 31, tensors[_i].i);
	ck_assert_int_eq(tensor.type, WEIGHT_F32);
}
END_TEST

static void check_region(const struct model *model, enum weight_type weights, enum region region)
{
	struct model_tensor t;
	uint64_t end = 0;

	for (uint32_t i = 0; model_tensor_at(&t, model, weights, region, 0, i); i++) {
		ck_assert_uint_eq(t.offset % TENSOR_ALIGN, 0);
		ck_assert_uint_ge(t.offset, end);
		ck_assert_uint_lt(t.offset, end + TENSOR_ALIGN); /* and no hole */
		ck_assert_uint_eq(t.row_stride, t.dims[0] * weight_bytes(t.type));
		ck_assert_uint_le(t.row_bytes, t.row_stride);
		if (region >= REGION_UP) {
			ck_assert_uint_eq(t.row_stride % model->row_align, 0);
			ck_assert_uint_eq(t.row_stride, model_row_stride(model, weights, region));
			ck_assert_uint_eq(t.row_bytes, model_row_bytes(model, weights, region));
		} else {
			ck_assert_uint_eq(t.row_bytes, t.row_stride);
		}
		end = t.offset + t.row_stride * t.dims[1];
	}
	ck_assert_uint_gt(end, 0);
	end = (end + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
	ck_assert_uint_eq(model_region_bytes(model, weights, region), end);
}

START_TEST(test_tensors_lie_aligned_and_apart_and_fill_their_region)
{
	struct model model;

	load_model(&model, totals[_i].name);
	for (unsigned region = 0; region < REGION__COUNT; region++)
		for (unsigned weights = WEIGHT_F32; weights < WEIGHT_TYPES; weights++)
			for (model.row_align = 512; model.row_align <= 4096; model.row_align *= 8)
				check_region(&model, weights, region);
}
END_TEST

START_TEST(test_regions_and_weights_have_names)
{
	static const char *const names[REGION__COUNT] = {"embed", "attention", "up", "down",
							 "bundle"};

	for (unsigned region = 0; region < REGION__COUNT; region++)
		ck_assert_str_eq(region_name(region), names[region]);
	ck_assert_int_eq(word_value(weight_type_words, "f32"), WEIGHT_F32);
	ck_assert_int_eq(word_value(weight_type_words, "f16"), WEIGHT_F16);
	ck_assert_int_eq(word_value(weight_type_words, "bf16"), WEIGHT_BF16);
	ck_assert_int_eq(word_value(weight_type_words, "f64"), -1);
	ck_assert_int_eq(word_value(model_family_words, "opt"), MODEL_OPT);
	ck_assert_int_eq(word_value(model_family_words, "falcon"), MODEL_FALCON);
	ck_assert_uint_eq(weight_bytes(WEIGHT_F32), 4);
	ck_assert_uint_eq(weight_bytes(WEIGHT_F16), 2);
	ck_assert_uint_eq(weight_bytes(WEIGHT_BF16), 2);
}
END_TEST

#define GOOD                                                                                       \
	"family: %s\nlayer_count: %s\nd_model: %s\nd_ffn: %s\nhead_count: %s\n"                    \
	"kv_head_count: %s\nvocab_count: %s\nrow_align: %s\n"

static const struct {
	const char *why, *family, *layers, *d_model, *d_ffn, *heads, *kv_heads, *align, *says;
} bad[] = {
	{"heads of equal size", "opt", "2", "128", "512", "3", "3", "512B",
	 "m.yaml:5:13: head_count: 3, expected a divisor of d_model 128"},
	{"heads that rotate in pairs", "falcon", "2", "96", "512", "32", "1", "512B",
	 "m.yaml:5:13: head_count: 32 makes heads of 3, expected an even size"},
	{"no shared heads in OPT", "opt", "2", "128", "512", "8", "4", "512B",
	 "m.yaml:6:16: kv_head_count: 4, expected head_count 8 in family opt"},
	{"groups of equal size", "falcon", "2", "128", "512", "8", "3", "512B",
	 "m.yaml:6:16: kv_head_count: 3, expected a divisor of head_count 8"},
	{"no more groups than heads", "falcon", "2", "128", "512", "4", "8", "512B",
	 "m.yaml:6:16: kv_head_count: 8, expected a divisor of head_count 4"},
	{"vectors of 32", "falcon", "2", "144", "512", "8", "8", "512B",
	 "m.yaml:3:10: d_model: 144, expected a multiple of 32"},
	{"neurons by 64", "opt", "2", "128", "500", "8", "8", "512B",
	 "m.yaml:4:8: d_ffn: 500, expected a multiple of 64"},
	{"a known alignment", "opt", "2", "128", "512", "8", "8", "1KiB",
	 "m.yaml:8:12: row_align: 1024 B, expected 512B or 4KiB"},
	{"a known family", "llama", "2", "128", "512", "8", "8", "512B", "m.yaml:1:9: family: "},
	{"at least a layer", "opt", "0", "128", "512", "8", "8", "512B",
	 "m.yaml:2:14: layer_count: 0 is outside [1, 1024]"},
	{"an alignment in bytes", "opt", "2", "128", "512", "8", "8", "1us",
	 "m.yaml:8:12: row_align: '1us' is a time, wanted bytes"},
	{"whole heads", "opt", "2", "128", "512", "8.5", "8", "512B", "m.yaml:5:13: head_count: "},
};

START_TEST(test_an_impossible_geometry_is_refused_by_place)
{
	char text[512];
	struct ynode *map;
	struct model model;
	struct err err = {0};

	snprintf(text, sizeof(text), GOOD, bad[_i].family, bad[_i].layers, bad[_i].d_model,
		 bad[_i].d_ffn, bad[_i].heads, bad[_i].kv_heads, "1000", bad[_i].align);
	ck_assert_msg(yaml_parse(&map, text, "m.yaml", &err) == 0, "%s", err.msg);
	ck_assert_msg(model_read(&model, map, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strncmp(err.msg, bad[_i].says, strlen(bad[_i].says)) == 0, "said: %s",
		      err.msg);
	ynode_free(map);
}
END_TEST

START_TEST(test_a_geometry_with_a_key_missing_is_refused)
{
	struct ynode *map;
	struct model model;
	struct err err = {0};

	ck_assert_int_eq(yaml_parse(&map, "family: opt\nlayer_count: 2\n", "m.yaml", &err), 0);
	ck_assert_int_eq(model_read(&model, map, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "d_model is missing") != NULL, "said: %s", err.msg);
	ynode_free(map);
}
END_TEST

/* What a model is called when it does not say so itself. */
static const struct {
	const char *file, *name, *says;
} named[] = {
	{"configs/model/opt-6.7b.yaml", "", "opt-6.7b"},
	{"tiny.yaml", "", "tiny"},
	{"./a.b/tiny.v2.yaml", "", "tiny.v2"},
	{"/models/tiny.yml", "", "tiny.yml"},
	{"--set", "", "--set"},
	{"tiny.yaml", "name: huge\n", "huge"},
};

START_TEST(test_a_model_is_called_what_it_says_or_after_its_file)
{
	char text[512];
	struct ynode *map;
	struct model model;
	struct err err = {0};
	int length;

	length = snprintf(text, sizeof(text), GOOD, "opt", "2", "128", "512", "8", "8", "1000",
			  "512B");
	snprintf(text + length, sizeof(text) - (size_t)length, "%s", named[_i].name);
	ck_assert_int_eq(yaml_parse(&map, text, named[_i].file, &err), 0);
	ck_assert_msg(model_read(&model, map, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(model.name, named[_i].says);
	ck_assert_uint_eq(model.position_count, 2048);
	ynode_free(map);
}
END_TEST

START_TEST(test_the_table_of_a_models_keys_is_sound)
{
	struct err err = {0};

	ck_assert_msg(param_table_check(&model_table, &err) == 0, "%s", err.msg);
}
END_TEST

/* The largest geometry that the ranges allow stays far from 2^64 bytes. */
START_TEST(test_no_allowed_geometry_overflows)
{
	const struct model model = {
		.family = MODEL_OPT,
		.layer_count = 1024,
		.d_model = 65536,
		.d_ffn = 262144,
		.head_count = 1,
		.kv_head_count = 1,
		.vocab_count = 1048576,
		.position_count = 1048576,
		.row_align = 4096,
	};
	const double matrices = 1024.0 * (4.0 * 65536 * 65536 + 2.0 * 65536 * 262144);
	const double rest = 65536.0 * (2 * 1048576.0 + 4) + 1024.0 * (8.0 * 65536 + 262144 + 65536);
	const double got = (double)model_param_bytes(&model, WEIGHT_F32);

	ck_assert_double_eq_tol(got / (4 * (matrices + rest)), 1, 1e-4);
	ck_assert_double_lt(got, 0x1p50);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_a_shipped_model_has_its_published_parameters, 0,
			    COUNT(totals));
	tcase_add_loop_test(tcase, test_the_parts_of_a_model_have_the_papers_shares, 0,
			    COUNT(shares));
	tcase_add_test(tcase, test_a_head_of_its_own_is_one_matrix_more);
	tcase_add_test(tcase, test_the_demo_has_half_a_gibibyte_of_ffn);
	tcase_add_loop_test(tcase, test_ffn_rows_are_padded_to_what_direct_reads_need, 0,
			    COUNT(rows));
	tcase_add_loop_test(tcase, test_tensors_have_the_names_and_shapes_of_their_family, 0,
			    COUNT(tensors));
	tcase_add_loop_test(tcase, test_tensors_lie_aligned_and_apart_and_fill_their_region, 0,
			    COUNT(totals));
	tcase_add_test(tcase, test_regions_and_weights_have_names);
	tcase_add_loop_test(tcase, test_an_impossible_geometry_is_refused_by_place, 0, COUNT(bad));
	tcase_add_test(tcase, test_a_geometry_with_a_key_missing_is_refused);
	tcase_add_loop_test(tcase, test_a_model_is_called_what_it_says_or_after_its_file, 0,
			    COUNT(named));
	tcase_add_test(tcase, test_the_table_of_a_models_keys_is_sound);
	tcase_add_test(tcase, test_no_allowed_geometry_overflows);
}

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tcase = tcase_create("model");
	SRunner *runner = srunner_create(suite);
	int failed;

	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
