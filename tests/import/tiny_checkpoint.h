/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tiny_checkpoint.h - whole tiny checkpoints, made by the test that needs them
 *
 * A safetensors folder with its config.json, whose weights are drawn by (tensor's name, index) alone, so that
 * a test can say what any weight of the imported model must be without asking the code under test. */
#ifndef TEST_TINY_CHECKPOINT_H
#define TEST_TINY_CHECKPOINT_H

#include "../real/tiny.h"

#include <math.h>
#include <stdint.h>

/* The shapes of all of them. */
enum { TC_LAYERS = 2, TC_D = 32, TC_FFN = 192, TC_VOCAB = 96, TC_POSITIONS = 24, TC_HEADS = 4 };
enum { TC_TENSORS = 64, TC_NAME = 128 };

struct tc_tensor {
	char name[TC_NAME];
	uint64_t rows, width; /* rows 0: a vector */
	enum weight_type type;
	const char *values_of; /* another tensor's name; NULL: its own */
};

struct tiny_checkpoint {
	struct tc_tensor tensors[TC_TENSORS];
	unsigned count;
};

static inline uint64_t tc_mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	x ^= x >> 29;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 32;
}

static inline uint64_t tc_hash(const char *name)
{
	uint64_t bits = 1;

	for (const char *c = name; *c; c++)
		bits = tc_mix(bits * 131 + (unsigned char)*c);
	return bits;
}

/* 24 random bits, spread over 2^-20 .. 2: rounding, and f16's subnormals, are in it. */
static inline float tc_drawn(uint64_t hash, uint64_t i)
{
	uint64_t bits = tc_mix(hash + tc_mix(i + 1));

	return (float)ldexp(((double)(bits >> 40) / (1 << 24) + 1) * (bits & 1 ? -1 : 1),
			    -(int)(bits >> 8 & 31) % 20);
}

/* To nearest, ties to even, with 'digits' binary digits and no exponent below 'least': by arithmetic, where
 * the code under test goes by bits. */
static inline double tc_round(double x, int digits, int least)
{
	int exponent;

	frexp(x, &exponent);
	if (exponent < least)
		exponent = least;
	return ldexp(rint(ldexp(x, digits - exponent)), exponent - digits);
}

static inline double tc_as(double x, enum weight_type type)
{
	if (type == WEIGHT_F32)
		return tc_round(x, 24, -125);
	return type == WEIGHT_F16 ? tc_round(x, 11, -13) : tc_round(x, 8, -125);
}

/* The weight as the checkpoint holds it; 'hash' is its tensor's. */
static inline double tc_value(uint64_t hash, uint64_t i, enum weight_type type)
{
	return tc_as((double)tc_drawn(hash, i), type);
}

static inline void tc_encode(unsigned char *to, double x, enum weight_type type)
{
	float f = (float)x;
	uint32_t bits;
	uint16_t half;
	int exponent;

	memcpy(&bits, &f, 4);
	if (type == WEIGHT_F32) {
		memcpy(to, &bits, 4);
		return;
	}
	half = (uint16_t)(bits >> 16);
	if (type == WEIGHT_F16) {
		double m = frexp(fabs(x), &exponent);

		if (exponent < -13) /* subnormal: a multiple of 2^-24 */
			half = (uint16_t)ldexp(fabs(x), 24);
		else
			half = (uint16_t)(((unsigned)(exponent + 14) << 10) +
					  (unsigned)ldexp(m, 11) - 1024);
		half = (uint16_t)(half | (x < 0 ? 0x8000 : 0));
	}
	memcpy(to, &half, 2);
}

static inline double tc_decode(const unsigned char *from, enum weight_type type)
{
	uint32_t bits = 0;
	uint16_t half;
	double x;
	float f;

	if (type == WEIGHT_F32) {
		memcpy(&f, from, 4);
		return (double)f;
	}
	memcpy(&half, from, 2);
	if (type == WEIGHT_BF16) {
		bits = (uint32_t)half << 16;
		memcpy(&f, &bits, 4);
		return (double)f;
	}
	x = (half >> 10 & 31) == 0 ? ldexp(half & 1023, -24)
				   : ldexp((half & 1023) + 1024, (half >> 10 & 31) - 25);
	return half & 0x8000 ? -x : x;
}

static inline struct tc_tensor *tc_find(struct tiny_checkpoint *tc, const char *end)
{
	for (unsigned i = 0; i < tc->count; i++) {
		size_t a = strlen(tc->tensors[i].name), b = strlen(end);

		if (a >= b && strcmp(tc->tensors[i].name + a - b, end) == 0)
			return &tc->tensors[i];
	}
	ck_abort_msg("no tensor ...%s", end);
	return NULL;
}

static inline struct tc_tensor *tc_add(struct tiny_checkpoint *tc, const char *prefix,
				       const char *name, uint64_t rows, uint64_t width)
{
	struct tc_tensor *t = &tc->tensors[tc->count++];

	ck_assert_uint_le(tc->count, TC_TENSORS);
	*t = (struct tc_tensor){.rows = rows, .width = width};
	ck_assert_int_lt(snprintf(t->name, TC_NAME, "%s%s", prefix, name), TC_NAME);
	return t;
}

static inline void tc_both(struct tiny_checkpoint *tc, const char *prefix, const char *stem,
			   uint64_t rows, uint64_t width)
{
	char name[TC_NAME];

	snprintf(name, sizeof(name), "%s.weight", stem);
	tc_add(tc, prefix, name, rows, width);
	snprintf(name, sizeof(name), "%s.bias", stem);
	tc_add(tc, prefix, name, 0, rows ? rows : width);
}

static inline void tc_opt(struct tiny_checkpoint *tc, const char *prefix)
{
	static const char *const proj[] = {"self_attn.q_proj", "self_attn.k_proj",
					   "self_attn.v_proj", "self_attn.out_proj"};

	tc->count = 0;
	tc_add(tc, prefix, "embed_tokens.weight", TC_VOCAB, TC_D);
	tc_add(tc, prefix, "embed_positions.weight", TC_POSITIONS + 2, TC_D);
	tc_both(tc, prefix, "final_layer_norm", 0, TC_D);
	for (unsigned layer = 0; layer < TC_LAYERS; layer++) {
		char at[64];

		snprintf(at, sizeof(at), "%slayers.%u.", prefix, layer);
		for (unsigned i = 0; i < 4; i++)
			tc_both(tc, at, proj[i], TC_D, TC_D);
		tc_both(tc, at, "self_attn_layer_norm", 0, TC_D);
		tc_both(tc, at, "fc1", TC_FFN, TC_D);
		tc_both(tc, at, "fc2", TC_D, TC_FFN);
		tc_both(tc, at, "final_layer_norm", 0, TC_D);
	}
}

static inline void tc_falcon(struct tiny_checkpoint *tc, const char *prefix)
{
	tc->count = 0;
	tc_add(tc, prefix, "word_embeddings.weight", TC_VOCAB, TC_D);
	tc_both(tc, prefix, "ln_f", 0, TC_D);
	for (unsigned layer = 0; layer < TC_LAYERS; layer++) {
		char at[64];

		snprintf(at, sizeof(at), "%sh.%u.", prefix, layer);
		tc_both(tc, at, "input_layernorm", 0, TC_D);
		tc_add(tc, at, "self_attention.query_key_value.weight", TC_D + 2 * TC_D / TC_HEADS,
		       TC_D);
		tc_add(tc, at, "self_attention.dense.weight", TC_D, TC_D);
		tc_add(tc, at, "mlp.dense_h_to_4h.weight", TC_FFN, TC_D);
		tc_add(tc, at, "mlp.dense_4h_to_h.weight", TC_D, TC_FFN);
	}
}

static inline void tc_set_type(struct tiny_checkpoint *tc, enum weight_type type)
{
	for (unsigned i = 0; i < tc->count; i++)
		tc->tensors[i].type = type;
}

/* model.safetensors: the header's length, the header, the tensors in their order. */
static inline void tc_write(const struct tiny_checkpoint *tc, const char *dir)
{
	static const char *const types[WEIGHT_TYPES] = {"F32", "F16", "BF16"};
	char path[TINY_PATH + 32], *head = NULL;
	size_t head_bytes;
	uint64_t at = 0;
	FILE *text = open_memstream(&head, &head_bytes), *out;

	for (unsigned i = 0; i < tc->count; i++) {
		const struct tc_tensor *t = &tc->tensors[i];
		uint64_t bytes = (t->rows ? t->rows : 1) * t->width * weight_bytes(t->type);

		fprintf(text, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", t->name,
			types[t->type]);
		if (t->rows)
			fprintf(text, "%llu,", (unsigned long long)t->rows);
		fprintf(text, "%llu],\"data_offsets\":[%llu,%llu]}", (unsigned long long)t->width,
			(unsigned long long)at, (unsigned long long)(at + bytes));
		at += bytes;
	}
	fprintf(text, "}");
	fclose(text);
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	out = fopen(path, "wb");
	ck_assert_ptr_nonnull(out);
	for (unsigned i = 0; i < 8; i++)
		fputc((int)((uint64_t)head_bytes >> (8 * i) & 255), out);
	fwrite(head, 1, head_bytes, out);
	free(head);
	for (unsigned i = 0; i < tc->count; i++) {
		const struct tc_tensor *t = &tc->tensors[i];
		uint64_t n = (t->rows ? t->rows : 1) * t->width;
		uint64_t hash = tc_hash(t->values_of ? t->values_of : t->name);

		for (uint64_t k = 0; k < n; k++) {
			unsigned char raw[4];

			tc_encode(raw, tc_value(hash, k, t->type), t->type);
			fwrite(raw, 1, weight_bytes(t->type), out);
		}
	}
	ck_assert_int_eq(fclose(out), 0);
}

static const char tc_opt_config[] = "{\n"
				    "  \"architectures\": [\"OPTForCausalLM\"],\n"
				    "  \"model_type\": \"opt\",\n"
				    "  \"_name_or_path\": \"some/tiny-opt\",\n"
				    "  \"activation_function\": \"relu\",\n"
				    "  \"do_layer_norm_before\": true,\n"
				    "  \"hidden_size\": 32,\n"
				    "  \"word_embed_proj_dim\": 32,\n"
				    "  \"ffn_dim\": 192,\n"
				    "  \"num_hidden_layers\": 2,\n"
				    "  \"num_attention_heads\": 4,\n"
				    "  \"max_position_embeddings\": 24,\n"
				    "  \"vocab_size\": 96,\n"
				    "  \"enable_bias\": true,\n"
				    "  \"layer_norm_elementwise_affine\": true,\n"
				    "  \"_remove_final_layer_norm\": false,\n"
				    "  \"torch_dtype\": \"float16\",\n"
				    "  \"dropout\": 0.1\n"
				    "}\n";

static const char tc_falcon_config[] = "{\n"
				       "  \"model_type\": \"falcon\",\n"
				       "  \"hidden_size\": 32,\n"
				       "  \"num_hidden_layers\": 2,\n"
				       "  \"num_attention_heads\": 4,\n"
				       "  \"num_kv_heads\": 4,\n"
				       "  \"ffn_hidden_size\": 192,\n"
				       "  \"vocab_size\": 96,\n"
				       "  \"max_position_embeddings\": 24,\n"
				       "  \"activation\": \"relu\",\n"
				       "  \"layer_norm_epsilon\": 1e-05,\n"
				       "  \"multi_query\": true,\n"
				       "  \"parallel_attn\": true,\n"
				       "  \"new_decoder_architecture\": false,\n"
				       "  \"bias\": false,\n"
				       "  \"alibi\": false,\n"
				       "  \"rope_theta\": 10000.0,\n"
				       "  \"rope_scaling\": null\n"
				       "}\n";

/* config.json: 'text' with the first 'find' replaced by 'with' (NULL: as it is). */
static inline void tc_config(const char *dir, const char *text, const char *find, const char *with)
{
	char path[TINY_PATH + 32];
	const char *at = find ? strstr(text, find) : NULL;
	FILE *out;

	ck_assert_msg(!find || at, "the config has no %s", find);
	snprintf(path, sizeof(path), "%s/config.json", dir);
	out = fopen(path, "wb");
	ck_assert_ptr_nonnull(out);
	if (at)
		fprintf(out, "%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
	else
		fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
}

#endif
