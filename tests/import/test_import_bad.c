/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_import_bad.c - checkpoints that are no model, or another one than we compute, are refused by
 * name */
#include "import.h"
#include "tiny_checkpoint.h"

#include "gguf.h"

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

static int import_from(const char *path, int weights, struct err *err)
{
	const struct import_options options = {.layouts = tiny_layouts,
					       .layout_count = 2,
					       .weights = weights,
					       .activation = -1,
					       .row_align = 512,
					       .threads = 1};
	struct import_report report;

	return model_import(to, path, &options, &report, err);
}

static void check_refused(const char *why, int code, int want, const char *says,
			  const struct err *err)
{
	ck_assert_msg(code == want && err->code == want, "%s: code %d, expected %d: %s", why, code,
		      want, err->msg);
	ck_assert_msg(strstr(err->msg, says) != NULL, "%s: said '%s', expected '%s' in it", why,
		      err->msg, says);
	ck_assert_uint_eq(dir_count(to), 0);
}

/* One change to a good config.json, and what is said. */
static const struct {
	enum model_family family;
	const char *find, *with;
	int code;
	const char *says;
} configs[] = {
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": 0", EINVAL,
	 "config.json:7:18: hidden_size: got 0, expected a whole number, 32 to 65536"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": -32", EINVAL,
	 "config.json:7:18: hidden_size: got -32, expected a whole number, 32 to 65536"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": 1e18", EINVAL,
	 "hidden_size: got 1e18, expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": 1000000000000000000", EINVAL,
	 "hidden_size: got 1000000000000000000, expected"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": 99999999999999999999999999", EINVAL,
	 "hidden_size: got 99999999999999999999999999, expected"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": \"32\"", EINVAL,
	 "hidden_size: got \"32\", expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": NaN", EINVAL,
	 "hidden_size: got NaN, expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": 32.5", EINVAL,
	 "hidden_size: got 32.5, expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": [32]", EINVAL,
	 "hidden_size: got a list, expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": true", EINVAL,
	 "hidden_size: got true, expected a whole number"},
	{MODEL_OPT, "\"hidden_size\": 32,", "", EINVAL, "config.json:1:1: hidden_size is missing"},
	{MODEL_OPT, "\"hidden_size\": 32", "\"hidden_size\": null", EINVAL,
	 "config.json:1:1: hidden_size is missing"},
	{MODEL_OPT, "\"hidden_size\": 32,\n  \"word_embed_proj_dim\": 32", "\"hidden_size\": 40",
	 ENOTSUP,
	 "config.json: hidden_size: got 40, which is not supported: expected a multiple of 32"},
	{MODEL_OPT, "\"ffn_dim\": 192", "\"ffn_dim\": 190", ENOTSUP,
	 "the FFN's size: got 190, which is not supported: expected a multiple of 64"},
	{MODEL_OPT, "\"ffn_dim\": 192", "\"ffn_dim\": {}", EINVAL,
	 "ffn_dim: got a mapping, expected a whole number"},
	{MODEL_OPT, "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", EINVAL,
	 "5 attention heads do not fit hidden_size 32"},
	{MODEL_OPT, "\"num_attention_heads\": 4", "\"num_attention_heads\": 32", EINVAL,
	 "32 attention heads do not fit hidden_size 32: expected heads of an even whole size"},
	{MODEL_OPT, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 100000", EINVAL,
	 "num_hidden_layers: got 100000, expected a whole number, 1 to 1024"},
	{MODEL_OPT, "\"vocab_size\": 96", "\"vocab_size\": 4294967296", EINVAL,
	 "vocab_size: got 4294967296, expected a whole number, 16 to 1048576"},
	{MODEL_OPT, "\"max_position_embeddings\": 24", "\"max_position_embeddings\": -1", EINVAL,
	 "max_position_embeddings: got -1, expected"},
	{MODEL_OPT, "\"do_layer_norm_before\": true", "\"do_layer_norm_before\": false", ENOTSUP,
	 "do_layer_norm_before: got false, which is not supported: expected true: norms before "
	 "each half, as in all OPT but 350M"},
	{MODEL_OPT, "\"do_layer_norm_before\": true", "\"do_layer_norm_before\": 1", EINVAL,
	 "do_layer_norm_before: got 1, expected true or false"},
	{MODEL_OPT, "\"word_embed_proj_dim\": 32", "\"word_embed_proj_dim\": 16", ENOTSUP,
	 "word_embed_proj_dim: got 16, which is not supported: expected hidden_size"},
	{MODEL_OPT, "norm\": false", "norm\": true", ENOTSUP,
	 "_remove_final_layer_norm: got true, which is not supported"},
	{MODEL_OPT, "\"relu\"", "\"silu\"", ENOTSUP,
	 "activation_function: got silu, which is not supported: expected relu, gelu or gelu_new"},
	{MODEL_OPT, "\"relu\"", "3", EINVAL, "activation_function: got 3, expected \"relu\""},
	{MODEL_OPT, "\"enable_bias\": true", "\"enable_bias\": \"yes\"", EINVAL,
	 "enable_bias: got \"yes\", expected true or false"},
	{MODEL_OPT, "\"opt\"", "\"llama\"", ENOTSUP,
	 "config.json:3:17: model_type: got llama, which is not supported: expected opt or falcon"},
	{MODEL_OPT, "\"opt\"", "[\"opt\"]", ENOTSUP, "model_type: got a list"},
	{MODEL_OPT, "  \"model_type\": \"opt\",\n", "", EINVAL, "model_type is missing"},
	{MODEL_OPT, "\"vocab_size\": 96", "\"vocab_size\": 96, \"vocab_size\": 97", EINVAL,
	 "vocab_size"},
	{MODEL_OPT, "}\n", "", EINVAL, "config.json:"},
	/* A character beyond U+FFFF is two surrogates, the higher first. */
	{MODEL_OPT, "some/tiny-opt", "\\uD83D", EINVAL, "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uDE00", EINVAL, "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uDE00\\uD83D", EINVAL,
	 "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uD83D\\uD83D", EINVAL,
	 "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uD83D\\\\uDE00", EINVAL,
	 "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uD83D\\uDE0", EINVAL,
	 "config.json:4:23: found invalid Unicode"},
	{MODEL_OPT, "some/tiny-opt", "\\uD83D\\", EINVAL,
	 "config.json:4:23: found invalid Unicode"},
	{MODEL_FALCON, "e\": false", "e\": true", ENOTSUP,
	 "new_decoder_architecture: got true, which is not supported: expected false: one norm a "
	 "block, as in Falcon 7B"},
	{MODEL_FALCON, "\"alibi\": false", "\"alibi\": true", ENOTSUP,
	 "alibi: got true, which is not supported: expected false: rotary positions"},
	{MODEL_FALCON, "\"bias\": false", "\"bias\": true", ENOTSUP,
	 "bias: got true, which is not supported: expected false: no biases"},
	{MODEL_FALCON, "\"multi_query\": true", "\"multi_query\": false", ENOTSUP,
	 "multi_query: got false, which is not supported"},
	{MODEL_FALCON, "\"parallel_attn\": true", "\"parallel_attn\": false", ENOTSUP,
	 "parallel_attn: got false, which is not supported"},
	{MODEL_FALCON, "1e-05", "1e-06", ENOTSUP,
	 "layer_norm_epsilon: got 1e-06, which is not supported: expected 1e-05"},
	{MODEL_FALCON, "1e-05", "NaN", EINVAL, "layer_norm_epsilon: got NaN, expected a number"},
	{MODEL_FALCON, "1e-05", "\"1e-5\"", EINVAL,
	 "layer_norm_epsilon: got \"1e-5\", expected a number"},
	{MODEL_FALCON, "10000.0", "500000", ENOTSUP, "rope_theta: got 500000, which is not"},
	{MODEL_FALCON, "10000.0", "1e999", EINVAL, "rope_theta: got 1e999, expected a number"},
	{MODEL_FALCON, "\"rope_scaling\": null",
	 "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}", ENOTSUP,
	 "type: got linear, which is not supported: expected default"},
	{MODEL_FALCON, "\"rope_scaling\": null",
	 "\"rope_parameters\": {\"rope_type\": \"default\"}, "
	 "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}",
	 ENOTSUP, "type: got linear, which is not supported: expected default"},
	{MODEL_FALCON, "\"rope_scaling\": null", "\"rope_scaling\": 2", EINVAL,
	 "rope_scaling: got 2, expected a mapping"},
	{MODEL_FALCON, "\"rope_scaling\": null",
	 "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5.0}", ENOTSUP,
	 "rope_theta: got 5.0, which is not supported: expected 10000"},
	{MODEL_FALCON, "\"relu\"", "\"mish\"", ENOTSUP, "activation: got mish, which is not"},
	{MODEL_FALCON, "\"ffn_hidden_size\": 192", "\"ffn_hidden_size\": 0", EINVAL,
	 "ffn_hidden_size: got 0, expected a whole number, 64 to 262144"},
};

static void good_checkpoint(struct tiny_checkpoint *tc, enum model_family family)
{
	if (family == MODEL_OPT)
		tc_opt(tc, "model.decoder.");
	else
		tc_falcon(tc, "transformer.");
}

/* With its config, one change to it. */
static void save(const struct tiny_checkpoint *tc, enum model_family family, const char *find,
		 const char *with)
{
	tc_write(tc, from);
	tc_config(from, family == MODEL_OPT ? tc_opt_config : tc_falcon_config, find, with);
}

START_TEST(a_bad_config_is_refused_with_its_place)
{
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, configs[_i].family);
	save(&tc, configs[_i].family, configs[_i].find, configs[_i].with);
	check_refused(configs[_i].with, import_from(from, -1, &err), configs[_i].code,
		      configs[_i].says, &err);
}
END_TEST

/* One change to a good checkpoint's tensors. */
static const struct {
	const char *why;
	enum model_family family;
	const char *end;      /* of the tensor's name */
	const char *rename;   /* "": it is gone */
	uint64_t rows, width; /* 0: as they are; rows 1 of a matrix: a vector */
	const char *extra;    /* another tensor, besides */
	int code;
	const char *says;
} tensors[] = {
	{"a bias is gone", MODEL_OPT, "layers.1.fc1.bias", "", 0, 0, NULL, EBADMSG,
	 "tensor 'model.decoder.layers.1.fc1.bias' is missing"},
	{"q is gone", MODEL_OPT, "layers.0.self_attn.q_proj.weight", "", 0, 0, NULL, EBADMSG,
	 "tensor 'model.decoder.layers.0.self_attn.q_proj.weight' is missing"},
	{"positions are gone", MODEL_OPT, "embed_positions.weight", "", 0, 0, NULL, EBADMSG,
	 "tensor 'model.decoder.embed_positions.weight' is missing"},
	{"the embedding is gone", MODEL_OPT, "embed_tokens.weight", "", 0, 0, NULL, EBADMSG,
	 "tensor 'model.decoder.embed_tokens.weight' is missing, under shorter prefixes too"},
	{"the last norm is gone", MODEL_FALCON, "ln_f.bias", "", 0, 0, NULL, EBADMSG,
	 "tensor 'transformer.ln_f.bias' is missing"},
	{"a matrix lies the other way", MODEL_OPT, "layers.0.fc2.weight", NULL, 192, 32, NULL,
	 EBADMSG,
	 "tensor 'model.decoder.layers.0.fc2.weight': got shape [192, 32], expected [32, 192]"},
	{"a matrix has a row less", MODEL_OPT, "layers.1.self_attn.v_proj.weight", NULL, 31, 32,
	 NULL, EBADMSG, "v_proj.weight': got shape [31, 32], expected [32, 32]"},
	{"a bias has an element more", MODEL_OPT, "layers.1.fc1.bias", NULL, 0, 193, NULL, EBADMSG,
	 "fc1.bias': got shape [193], expected [192]"},
	{"a bias is a matrix", MODEL_OPT, "layers.1.fc1.bias", NULL, 1, 192, NULL, EBADMSG,
	 "fc1.bias': got shape [1, 192], expected [192]"},
	{"the embedding has too few rows", MODEL_OPT, "embed_tokens.weight", NULL, 90, 32, NULL,
	 EBADMSG, "embed_tokens.weight': got shape [90, 32], expected [96, 32]"},
	{"positions without OPT's two", MODEL_OPT, "embed_positions.weight", NULL, 24, 32, NULL,
	 EBADMSG, "embed_positions.weight': got shape [24, 32], expected [26, 32]"},
	{"a key/value head for each", MODEL_FALCON, "h.0.self_attention.query_key_value.weight",
	 NULL, 96, 32, NULL, EBADMSG,
	 "query_key_value.weight': got shape [96, 32], expected [48, 32]"},
	{"a layer more than the config says", MODEL_FALCON, NULL, NULL, 0, 0,
	 "transformer.h.2.self_attention.dense.weight", EBADMSG,
	 "tensor 'transformer.h.2.self_attention.dense.weight' is none of the falcon model"},
	{"Falcon 40B's second norm", MODEL_FALCON, NULL, NULL, 0, 0,
	 "transformer.h.0.ln_mlp.weight", EBADMSG,
	 "tensor 'transformer.h.0.ln_mlp.weight' is none of the falcon model"},
	{"OPT 350M's projection", MODEL_OPT, NULL, NULL, 0, 0, "model.decoder.project_in.weight",
	 EBADMSG, "tensor 'model.decoder.project_in.weight' is none of the opt model"},
	{"two prefixes at once", MODEL_OPT, NULL, NULL, 0, 0, "decoder.embed_tokens.weight",
	 EBADMSG, "tensor 'decoder.embed_tokens.weight' is none of the opt model"},
	{"an adapter", MODEL_OPT, NULL, NULL, 0, 0,
	 "model.decoder.layers.0.self_attn.q_proj.lora_A.weight", EBADMSG,
	 "lora_A.weight' is none"},
	{"a name that only begins like one to pass over", MODEL_FALCON, NULL, NULL, 0, 0,
	 "transformer.rotary_emb.inv_freq.weight", EBADMSG, "inv_freq.weight' is none"},
};

START_TEST(bad_tensors_are_refused_by_name)
{
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, tensors[_i].family);
	if (tensors[_i].end) {
		struct tc_tensor *t = tc_find(&tc, tensors[_i].end);

		if (tensors[_i].rename)
			*t = tc.tensors[--tc.count];
		else
			*t = (struct tc_tensor){.rows = tensors[_i].rows,
						.width = tensors[_i].width,
						.type = t->type,
						.values_of = t->values_of};
		if (!tensors[_i].rename)
			snprintf(t->name, TC_NAME, "%s%s",
				 tensors[_i].family == MODEL_OPT ? "model.decoder."
								 : "transformer.",
				 tensors[_i].end);
	}
	if (tensors[_i].extra)
		tc_add(&tc, "", tensors[_i].extra, 32, 32);
	save(&tc, tensors[_i].family, NULL, NULL);
	check_refused(tensors[_i].why, import_from(from, -1, &err), tensors[_i].code,
		      tensors[_i].says, &err);
}
END_TEST

/* Overwrites element 'i' of a tensor in model.safetensors; data begins after the header. */
static void patch(struct tiny_checkpoint *tc, const char *end, uint64_t i, const void *bytes,
		  size_t count)
{
	const struct tc_tensor *want = tc_find(tc, end);
	char path[TINY_PATH + 32];
	unsigned char *file;
	uint64_t at = 8;
	size_t size;

	snprintf(path, sizeof(path), "%s/model.safetensors", from);
	file = file_slurp(path, &size);
	for (unsigned k = 0; k < 4; k++)
		at += (uint64_t)file[k] << (8 * k);
	for (const struct tc_tensor *t = tc->tensors; t < want; t++)
		at += (t->rows ? t->rows : 1) * t->width * weight_bytes(t->type);
	at += i * weight_bytes(want->type);
	ck_assert_uint_le(at + count, size);
	memcpy(file + at, bytes, count);
	file_spit(path, file, size);
	free(file);
}

/* What the config says of the head, and what the checkpoint holds. */
START_TEST(a_head_that_is_not_as_the_config_says_is_refused)
{
	const float other = 77;
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, MODEL_OPT);
	tc_add(&tc, "", "lm_head.weight", TC_VOCAB, TC_D)->values_of = tc.tensors[0].name;
	tc_write(&tc, from);
	patch(&tc, "lm_head.weight", 5 * TC_D + 7, &other, 4);
	tc_config(from, tc_opt_config, NULL, NULL);
	check_refused("tied, and two", import_from(from, -1, &err), EBADMSG,
		      "tensor 'lm_head.weight': row 5, column 7: got 77, expected ", &err);
	tc.count--;
	save(&tc, MODEL_OPT, "{", "{\"tie_word_embeddings\": false,");
	err.code = 0;
	check_refused("not tied, and one", import_from(from, -1, &err), EBADMSG,
		      "tensor 'lm_head.weight' is missing: the config says", &err);
	tc_add(&tc, "", "lm_head.weight", TC_VOCAB - 1, TC_D);
	tc_write(&tc, from);
	err.code = 0;
	check_refused("a head too small", import_from(from, -1, &err), EBADMSG,
		      "tensor 'lm_head.weight': got shape [95, 32], expected [96, 32]", &err);
}
END_TEST

/* What follows from the config and some versions save all the same. */
START_TEST(tables_that_hold_nothing_are_passed_over)
{
	static const char *const tables[] = {
		"transformer.h.0.self_attention.rotary_emb.inv_freq",
		"transformer.h.1.self_attention.maybe_rotary.inv_freq",
		"transformer.rotary_emb.inv_freq",
	};
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, MODEL_FALCON);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		tc_add(&tc, "", tables[i], 0, 4);
	save(&tc, MODEL_FALCON, NULL, NULL);
	ck_assert_msg(import_from(from, -1, &err) == 0, "%s", err.msg);
}
END_TEST

static const struct {
	const char *why, *end;
	enum weight_type in;
	int out; /* -1: as it is */
	uint32_t bits[2];
	uint64_t i[2];
	const char *says;
} weights[] = {
	{"infinity in f32",
	 "layers.0.fc1.weight",
	 WEIGHT_F32,
	 -1,
	 {0x7f800000, 0},
	 {7, 0},
	 "tensor 'model.decoder.layers.0.fc1.weight': 1 weights are infinite or no number"},
	{"no number, twice",
	 "layers.1.fc2.weight",
	 WEIGHT_F32,
	 WEIGHT_F16,
	 {0x7fc00000, 0xffc00001},
	 {0, 32 * 192 - 1},
	 "tensor 'model.decoder.layers.1.fc2.weight': 2 weights are infinite or no number"},
	{"no number in f16",
	 "embed_positions.weight",
	 WEIGHT_F16,
	 -1,
	 {0x7e00, 0},
	 {33, 0},
	 "tensor 'model.decoder.embed_positions.weight': 1 weights are infinite"},
	{"infinity in bf16",
	 "layers.1.self_attn.k_proj.bias",
	 WEIGHT_BF16,
	 WEIGHT_F32,
	 {0xff80, 0},
	 {31, 0},
	 "tensor 'model.decoder.layers.1.self_attn.k_proj.bias': 1 weights are infinite"},
	{"65520 rounds to f16's infinity",
	 "layers.0.fc2.weight",
	 WEIGHT_F32,
	 WEIGHT_F16,
	 {0x477ff000, 0xc77ff000},
	 {5, 192},
	 "tensor 'model.decoder.layers.0.fc2.weight': 2 weights are too large for f16"},
	{"bf16's range in f16",
	 "embed_tokens.weight",
	 WEIGHT_BF16,
	 WEIGHT_F16,
	 {0x4780, 0},
	 {0, 0},
	 "tensor 'model.decoder.embed_tokens.weight': 1 weights are too large for f16"},
	{"the largest float has no bf16",
	 "layers.1.fc1.weight",
	 WEIGHT_F32,
	 WEIGHT_BF16,
	 {0x7f7fffff, 0},
	 {192 * 32 - 1, 0},
	 "tensor 'model.decoder.layers.1.fc1.weight': 1 weights are too large for bf16"},
};

START_TEST(weights_that_do_not_fit_are_counted)
{
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, MODEL_OPT);
	tc_set_type(&tc, weights[_i].in);
	save(&tc, MODEL_OPT, NULL, NULL);
	for (unsigned k = 0; k < 2; k++)
		if (weights[_i].bits[k])
			patch(&tc, weights[_i].end, weights[_i].i[k], &weights[_i].bits[k],
			      weight_bytes(weights[_i].in));
	check_refused(weights[_i].why, import_from(from, weights[_i].out, &err), ERANGE,
		      weights[_i].says, &err);
}
END_TEST

/* 65504 is f16's largest, and 65519.996 rounds to it. */
START_TEST(the_largest_half_still_fits)
{
	const uint32_t largest = 0x477fefff;
	struct tiny_checkpoint tc;
	struct err err = {0};

	good_checkpoint(&tc, MODEL_OPT);
	save(&tc, MODEL_OPT, NULL, NULL);
	patch(&tc, "layers.0.fc2.weight", 9, &largest, 4);
	ck_assert_msg(import_from(from, WEIGHT_F16, &err) == 0, "%s", err.msg);
}
END_TEST

/* The keys of a Falcon GGUF, one of them changed, over no tensors but the embedding. */
static const struct {
	const char *key;
	double number; /* NaN: the key is left out */
	const char *text;
	int code;
	const char *says;
} ggufs[] = {
	{"general.architecture", 0, "opt", ENOTSUP,
	 "general.architecture: got 'opt', which is not supported: expected 'falcon'"},
	{"general.architecture", 0, "llama", ENOTSUP, "got 'llama', which is not supported"},
	{"flashcast.layout", 0, "base", EINVAL, "already a flashcast model"},
	{"falcon.embedding_length", (double)NAN, NULL, EBADMSG,
	 "key falcon.embedding_length is missing"},
	{"falcon.embedding_length", 0, NULL, EBADMSG, "d_model: got 0, expected 32 to 65536"},
	{"falcon.block_count", 4294967295.0, NULL, EBADMSG,
	 "layer_count: got 4294967295, expected 1 to 1024"},
	{"falcon.attention.head_count", 5, NULL, EBADMSG, "do not fit together"},
	{"falcon.attention.head_count", 0, NULL, EBADMSG, "head_count: got 0, expected 1"},
	{"falcon.attention.layer_norm_epsilon", 1e-6, NULL, ENOTSUP,
	 "falcon.attention.layer_norm_epsilon: got 1e-06, which is not supported"},
	{"falcon.attention.layer_norm_epsilon", (double)INFINITY, NULL, ENOTSUP,
	 "falcon.attention.layer_norm_epsilon: got inf, which is not supported"},
	{"falcon.rope.freq_base", 1e6, NULL, ENOTSUP,
	 "falcon.rope.freq_base: got 1e+06, which is not supported: expected 10000"},
	{"falcon.tensor_data_layout", 0, "other", ENOTSUP,
	 "falcon.tensor_data_layout: got 'other', which is not supported"},
	{"falcon.rope.scaling.type", 0, "yarn", ENOTSUP, "got 'yarn', which is not supported"},
	{"falcon.rope.dimension_count", 4, NULL, ENOTSUP,
	 "falcon.rope.dimension_count: got 4, which is not supported: expected 8, a whole head"},
	{"none", 0, "", EBADMSG, "tensor 'output_norm.weight' is missing"},
};

static void put_key(struct gguf_head *head, const char *key, double number, const char *text)
{
	if (text)
		gguf_head_text(head, key, text);
	else if (strstr(key, "epsilon") || strstr(key, "freq_base"))
		gguf_head_float(head, key, (float)number);
	else
		gguf_head_number(head, key, (uint32_t)number);
}

static void write_keys(struct gguf_head *head, int i)
{
	static const struct {
		const char *key;
		double number;
		const char *text;
	} good[] = {
		{"general.architecture", 0, "falcon"},
		{"falcon.context_length", 24, NULL},
		{"falcon.embedding_length", 32, NULL},
		{"falcon.feed_forward_length", 192, NULL},
		{"falcon.block_count", 2, NULL},
		{"falcon.attention.head_count", 4, NULL},
		{"falcon.attention.head_count_kv", 1, NULL},
	};
	bool put = false;

	for (size_t k = 0; k < sizeof(good) / sizeof(good[0]); k++) {
		bool here = strcmp(good[k].key, ggufs[i].key) == 0;

		put = put || here;
		if (!here)
			put_key(head, good[k].key, good[k].number, good[k].text);
		else if (!isnan(ggufs[i].number))
			put_key(head, good[k].key, ggufs[i].number, ggufs[i].text);
	}
	if (!put)
		put_key(head, ggufs[i].key, ggufs[i].number, ggufs[i].text);
}

START_TEST(a_bad_gguf_is_refused_by_its_key)
{
	const struct gguf_tensor embedding = {.name = "token_embd.weight",
					      .type = GGUF_F32,
					      .dim_count = 2,
					      .dims = {32, 96, 1, 1},
					      .bytes = 32 * 96 * 4};
	static const unsigned char zeros[32 * 96 * 4];
	char path[TINY_PATH + 32];
	struct gguf_head head;
	struct err err = {0};
	FILE *out;

	gguf_head_init(&head);
	write_keys(&head, _i);
	gguf_head_tensor(&head, &embedding);
	ck_ok(gguf_head_finish(&head, 32, &err));
	snprintf(path, sizeof(path), "%s/falcon.gguf", from);
	out = fopen(path, "wb");
	ck_assert_ptr_nonnull(out);
	fwrite(head.bytes, 1, head.used, out);
	fwrite(zeros, 1, sizeof(zeros), out);
	ck_assert_int_eq(fclose(out), 0);
	gguf_head_fini(&head);
	check_refused(ggufs[_i].key, import_from(path, -1, &err), ggufs[_i].code, ggufs[_i].says,
		      &err);
}
END_TEST

START_TEST(what_is_no_checkpoint_is_told)
{
	struct tiny_checkpoint tc;
	char path[TINY_PATH + 32];
	struct err err = {0};

	check_refused("an empty folder", import_from(from, -1, &err), ENOENT, "config.json", &err);
	err.code = 0;
	check_refused("nothing", import_from("/nonexistent/x", -1, &err), ENOENT, "/nonexistent/x",
		      &err);
	err.code = 0;
	check_refused("no GGUF", import_from("/nonexistent/x.gguf", -1, &err), ENOENT, "x.gguf",
		      &err);
	tc_config(from, tc_opt_config, NULL, NULL);
	snprintf(path, sizeof(path), "%s/config.json", from);
	err.code = 0;
	check_refused("a file", import_from(path, -1, &err), EINVAL,
		      "expected a folder with config.json or a file that ends in .gguf", &err);
	err.code = 0;
	check_refused("no weights", import_from(from, -1, &err), ENOENT, "", &err);
	good_checkpoint(&tc, MODEL_FALCON);
	tc_write(&tc, from);
	err.code = 0;
	check_refused("another family's weights", import_from(from, -1, &err), EBADMSG,
		      "these are no weights of a model of family opt", &err);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import_bad");
	TCase *tcase = tcase_create("import_bad");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_bad_config_is_refused_with_its_place, 0,
			    sizeof(configs) / sizeof(configs[0]));
	tcase_add_loop_test(tcase, bad_tensors_are_refused_by_name, 0,
			    sizeof(tensors) / sizeof(tensors[0]));
	tcase_add_test(tcase, a_head_that_is_not_as_the_config_says_is_refused);
	tcase_add_test(tcase, tables_that_hold_nothing_are_passed_over);
	tcase_add_loop_test(tcase, weights_that_do_not_fit_are_counted, 0,
			    sizeof(weights) / sizeof(weights[0]));
	tcase_add_test(tcase, the_largest_half_still_fits);
	tcase_add_loop_test(tcase, a_bad_gguf_is_refused_by_its_key, 0,
			    sizeof(ggufs) / sizeof(ggufs[0]));
	tcase_add_test(tcase, what_is_no_checkpoint_is_told);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
