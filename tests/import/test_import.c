/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_import.c - whole checkpoints become models: every weight in its place, in the type asked
 * for, and whole or not there */
#include "checkpoint.h"
#include "hf_config.h"
#include "import.h"
#include "real_files.h"
#include "tiny_checkpoint.h"
#include "tokenizer.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char from[TINY_PATH], to[TINY_PATH];
static char warnings[4096];

static void setup(void)
{
	dir_make(from);
	dir_make(to);
	warnings[0] = '\0';
}

static void teardown(void)
{
	dir_remove(from);
	dir_remove(to);
}

static void keep_warning(void *arg, const char *text)
{
	size_t used = strlen(warnings);

	(void)arg;
	snprintf(warnings + used, sizeof(warnings) - used, "%s\n", text);
}

static struct import_options options_for(int weights)
{
	return (struct import_options){.layouts = tiny_layouts,
				       .layout_count = 2,
				       .weights = weights,
				       .activation = -1,
				       .row_align = 512,
				       .threads = 1,
				       .warn = keep_warning};
}

static struct import_report import_with(const struct import_options *options)
{
	struct import_report report;
	struct err err = {0};

	ck_ok(model_import(to, from, options, &report, &err));
	return report;
}

static struct import_report import_as(int weights)
{
	const struct import_options options = options_for(weights);

	return import_with(&options);
}

static void import_fails(const struct import_options *options, int code, const char *says)
{
	struct import_report report;
	struct err err = {0};

	ck_assert_int_eq(model_import(to, from, options, &report, &err), code);
	ck_assert_msg(strstr(err.msg, says) != NULL, "said '%s', expected '%s' in it", err.msg,
		      says);
}

/* Which tensor of the checkpoint, and which of its elements, a weight of ours must be.  Written
 * down a second time, element by element, from the shapes that transformers' classes have. */
struct origin {
	const char *end; /* of the tensor's name, after the prefix */
	uint64_t index;
	bool of_layer;
};

static struct origin opt_origin(const char *ours, uint64_t i)
{
	static const struct {
		const char *ours, *theirs;
		bool of_layer;
	} plain[] = {
		{"token_embd.weight", "embed_tokens.weight", false},
		{"position_embd.weight", "embed_positions.weight", false},
		{"output_norm.weight", "final_layer_norm.weight", false},
		{"output.weight", "lm_head.weight", false},
		{"output_norm.bias", "final_layer_norm.bias", false},
		{"attn_norm.weight", "self_attn_layer_norm.weight", true},
		{"attn_norm.bias", "self_attn_layer_norm.bias", true},
		{"attn_output.weight", "self_attn.out_proj.weight", true},
		{"attn_output.bias", "self_attn.out_proj.bias", true},
		{"ffn_norm.weight", "final_layer_norm.weight", true},
		{"ffn_norm.bias", "final_layer_norm.bias", true},
		{"ffn_up.bias", "fc1.bias", true},
		{"ffn_down.bias", "fc2.bias", true},
		{"ffn_up.weight", "fc1.weight", true},
	};
	static const char *const qkv[2][3] = {
		{"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
		{"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"},
	};
	const bool bias = strcmp(ours, "attn_qkv.bias") == 0;
	const uint64_t each = bias ? TC_D : (uint64_t)TC_D * TC_D;

	for (size_t k = 0; k < sizeof(plain) / sizeof(plain[0]); k++)
		if (strcmp(ours, plain[k].ours) == 0)
			return (struct origin){plain[k].theirs, i, plain[k].of_layer};
	if (strcmp(ours, "ffn_down_t.weight") == 0) /* row = neuron: [d, ffn] of theirs */
		return (struct origin){"fc2.weight", i % TC_D * TC_FFN + i / TC_D, true};
	ck_assert(bias || strcmp(ours, "attn_qkv.weight") == 0);
	return (struct origin){qkv[bias][i / each], i % each, true};
}

static struct origin falcon_origin(const char *ours, uint64_t i)
{
	static const struct {
		const char *ours, *theirs;
		bool of_layer;
	} plain[] = {
		{"token_embd.weight", "word_embeddings.weight", false},
		{"output_norm.weight", "ln_f.weight", false},
		{"output.weight", "lm_head.weight", false},
		{"output_norm.bias", "ln_f.bias", false},
		{"attn_norm.weight", "input_layernorm.weight", true},
		{"attn_norm.bias", "input_layernorm.bias", true},
		{"attn_qkv.weight", "self_attention.query_key_value.weight", true},
		{"attn_output.weight", "self_attention.dense.weight", true},
		{"ffn_up.weight", "mlp.dense_h_to_4h.weight", true},
	};

	for (size_t k = 0; k < sizeof(plain) / sizeof(plain[0]); k++)
		if (strcmp(ours, plain[k].ours) == 0)
			return (struct origin){plain[k].theirs, i, plain[k].of_layer};
	ck_assert_str_eq(ours, "ffn_down_t.weight");
	return (struct origin){"mlp.dense_4h_to_h.weight", i % TC_D * TC_FFN + i / TC_D, true};
}

/* What the elements of one tensor must be; remembers the last name that it hashed. */
struct expected {
	enum model_family family;
	const char *prefix;
	enum weight_type in;
	uint32_t layer;
	const char *end;
	uint64_t hash;
};

static void expect_name(struct expected *e, const struct origin *o)
{
	char name[TC_NAME];

	if (o->of_layer)
		snprintf(name, sizeof(name), "%s%s.%u.%s", e->prefix,
			 e->family == MODEL_OPT ? "layers" : "h", e->layer, o->end);
	else if (strcmp(o->end, "lm_head.weight") == 0)
		snprintf(name, sizeof(name), "%s", o->end);
	else
		snprintf(name, sizeof(name), "%s%s", e->prefix, o->end);
	e->hash = tc_hash(name);
	e->end = o->end;
}

/* The weight that 'ours' must hold at element i. */
static double expected(struct expected *e, const char *ours, uint64_t i)
{
	struct origin o = e->family == MODEL_OPT ? opt_origin(ours, i) : falcon_origin(ours, i);

	if (o.end != e->end)
		expect_name(e, &o);
	return tc_value(e->hash, o.index, e->in);
}

/* Element i of one of our tensors, of which a bundle is two. */
static double expected_in(struct expected *e, const struct file_tensors *it, uint64_t width,
			  uint64_t i)
{
	const char *name = it->tensor.name;
	uint64_t row = i / width, column = i % width;

	if (it->region == REGION_BUNDLE)
		return expected(e, column < TC_D ? "ffn_up.weight" : "ffn_down_t.weight",
				row * TC_D + column % TC_D);
	if (strncmp(name, "blk.", 4) == 0)
		name = strchr(name + 4, '.') + 1;
	return expected(e, name, i);
}

/* Every weight of one file against what it must be. */
static void check_file(const struct real_model *rm, const struct layout_ops *layout,
		       const char *prefix, enum weight_type in)
{
	const struct model *m = real_model_shape(rm);
	const struct file_map map = {m, real_model_weights(rm), layout};
	struct file_tensors it = {.map = &map};
	size_t size;
	unsigned char *bytes = file_slurp(real_model_path(rm, layout != NULL), &size);
	unsigned file;
	uint64_t data;

	while (file_tensors_next(&it)) {
		const struct model_tensor *t = &it.tensor;
		uint64_t width = t->row_bytes / weight_bytes(t->type);
		struct expected e = {m->family, prefix, in, it.layer, NULL, 0};

		real_model_at(rm, it.region, it.layer, t->offset, &file, &data);
		for (uint64_t i = 0; i < width * t->dims[1]; i++) {
			const unsigned char *at = bytes + data + i / width * t->row_stride +
						  i % width * weight_bytes(t->type);
			double want = expected_in(&e, &it, width, i);

			if (tc_decode(at, t->type) != tc_as(want, t->type))
				ck_abort_msg("%s[%llu][%llu]: %a, expected %a of %a", t->name,
					     (unsigned long long)(i / width),
					     (unsigned long long)(i % width),
					     tc_decode(at, t->type), tc_as(want, t->type), want);
		}
	}
	free(bytes);
}

static void check_weights(const char *prefix, enum weight_type in, char digest[33])
{
	for (unsigned i = 0; i < 2; i++) {
		struct real_model *rm;
		struct err err = {0};

		ck_ok(real_model_open(&rm, to, tiny_layouts[i], NULL, &err));
		if (i == 0)
			check_file(rm, NULL, prefix, in);
		check_file(rm, tiny_layouts[i], prefix, in);
		if (digest)
			snprintf(digest, 33, "%s", real_model_digest(rm));
		real_model_close(rm);
	}
}

static const struct {
	enum model_family family;
	const char *prefix, *head; /* head NULL: the checkpoint has none */
} names[] = {
	{MODEL_OPT, "model.decoder.", "lm_head.weight"},
	{MODEL_OPT, "model.decoder.", NULL},
	{MODEL_OPT, "decoder.", NULL},
	{MODEL_OPT, "decoder.", "lm_head.weight"},
	{MODEL_OPT, "", NULL},
	{MODEL_FALCON, "transformer.", "lm_head.weight"},
	{MODEL_FALCON, "transformer.", NULL},
	{MODEL_FALCON, "", NULL},
	{MODEL_FALCON, "", "lm_head.weight"},
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static void make_checkpoint(struct tiny_checkpoint *tc, enum model_family family,
			    const char *prefix, const char *head)
{
	if (family == MODEL_OPT)
		tc_opt(tc, prefix);
	else
		tc_falcon(tc, prefix);
	if (head)
		tc_add(tc, "", head, TC_VOCAB, TC_D)->values_of = tc->tensors[0].name;
	tc_config(from, family == MODEL_OPT ? tc_opt_config : tc_falcon_config, NULL, NULL);
}

/* A plain one in its folder. */
static void write_checkpoint(enum model_family family)
{
	struct tiny_checkpoint tc;

	make_checkpoint(&tc, family, family == MODEL_OPT ? "decoder." : "transformer.", NULL);
	tc_write(&tc, from);
}

START_TEST(every_weight_is_in_its_place_whatever_the_prefix)
{
	struct tiny_checkpoint tc;

	make_checkpoint(&tc, names[_i].family, names[_i].prefix, names[_i].head);
	tc_write(&tc, from);
	import_as(-1);
	check_weights(names[_i].prefix, WEIGHT_F32, NULL);
}
END_TEST

START_TEST(every_type_converts_into_every_other_to_nearest_even)
{
	const enum weight_type in = (enum weight_type)(_i / WEIGHT_TYPES % WEIGHT_TYPES);
	const enum weight_type out = (enum weight_type)(_i % WEIGHT_TYPES);
	const unsigned name = _i < WEIGHT_TYPES * WEIGHT_TYPES ? 0 : 6;
	struct tiny_checkpoint tc;
	struct real_model *rm;
	struct err err = {0};

	make_checkpoint(&tc, names[name].family, names[name].prefix, NULL);
	tc_set_type(&tc, in);
	tc_write(&tc, from);
	import_as(in == out ? -1 : (int)out);
	ck_ok(real_model_open(&rm, to, &layout_bundle, NULL, &err));
	ck_assert_int_eq(real_model_weights(rm), out);
	real_model_close(rm);
	check_weights(names[name].prefix, in, NULL);
}
END_TEST

/* transformers upcasts norms in some versions: types differ within a checkpoint. */
START_TEST(tensors_may_differ_in_type)
{
	struct tiny_checkpoint tc;

	make_checkpoint(&tc, MODEL_OPT, "decoder.", NULL);
	tc_set_type(&tc, WEIGHT_F16);
	for (unsigned i = 0; i < tc.count; i++)
		if (strstr(tc.tensors[i].name, "bias") || strstr(tc.tensors[i].name, "layer_norm"))
			tc.tensors[i].type = WEIGHT_F32;
	tc_write(&tc, from);
	import_as(-1);
}
END_TEST

START_TEST(the_digest_says_which_weights_whatever_the_names_layouts_and_blocks)
{
	static const size_t column_bytes[] = {0, 1, 4 * TC_D * 50}, buffer_bytes[] = {0, 0, 3000};
	static const char *const prefixes[] = {"decoder.", "decoder.", "decoder."};
	char digest[33], again[33];

	for (unsigned i = 0; i < 3; i++) {
		struct import_options options = options_for(-1);
		struct tiny_checkpoint tc;

		make_checkpoint(&tc, MODEL_OPT, prefixes[i], i == 1 ? "lm_head.weight" : NULL);
		tc_write(&tc, from);
		options.column_bytes = column_bytes[i];
		options.buffer_bytes = buffer_bytes[i];
		options.threads = 1 + i;
		import_with(&options);
		check_weights(prefixes[i], WEIGHT_F32, i ? again : digest);
		if (i)
			ck_assert_str_eq(again, digest);
	}
	import_as(WEIGHT_BF16);
	check_weights("decoder.", WEIGHT_F32, again);
	ck_assert_str_ne(again, digest);
}
END_TEST

/* Rows asked for at once and columns read at once end where they like: neither shows in the model.
 * One layer, so that a second file begins in the layer that the first ended in. */
START_TEST(pieces_of_any_size_make_the_same_model)
{
	static const struct {
		size_t buffer_bytes, column_bytes;
	} pieces[] = {{1, 0}, {1, 1}, {5000, 0}, {5000, 1500}, {0, 1500}, {9999, 4 * TC_D * 191}};
	struct import_options options = options_for(-1);
	struct tiny_checkpoint tc, kept = {.count = 0};

	make_checkpoint(&tc, MODEL_OPT, "decoder.", NULL);
	for (unsigned i = 0; i < tc.count; i++)
		if (!strstr(tc.tensors[i].name, "layers.1."))
			kept.tensors[kept.count++] = tc.tensors[i];
	tc_write(&kept, from);
	tc_config(from, tc_opt_config, "layers\": 2", "layers\": 1");
	options.threads = 3;
	options.buffer_bytes = pieces[_i].buffer_bytes;
	options.column_bytes = pieces[_i].column_bytes;
	import_with(&options);
	check_weights("decoder.", WEIGHT_F32, NULL);
}
END_TEST

/* A layout may come later, from the same checkpoint. */
START_TEST(two_imports_make_one_model)
{
	struct import_options options = options_for(-1);

	write_checkpoint(MODEL_FALCON);
	for (unsigned i = 0; i < 2; i++) {
		options.layouts = tiny_layouts + i;
		options.layout_count = 1;
		import_with(&options);
	}
	check_weights("transformer.", WEIGHT_F32, NULL);
	ck_assert_uint_eq(dir_count(to), 3);
}
END_TEST

/* OPTs without biases, or with norms that have no weights: what is not there counts as zeros and
 * ones. */
START_TEST(what_an_opt_leaves_out_is_filled_in)
{
	struct tiny_checkpoint tc, kept = {.count = 0};
	const char *cut = _i ? "layer_norm" : ".bias";
	struct real_model *rm;
	struct err err = {0};
	size_t size;
	unsigned char *bytes;
	unsigned file;
	uint64_t at;

	make_checkpoint(&tc, MODEL_OPT, "model.decoder.", NULL);
	for (unsigned i = 0; i < tc.count; i++) {
		bool norm = strstr(tc.tensors[i].name, "layer_norm") != NULL;

		if (strstr(tc.tensors[i].name, cut) && (_i || !norm))
			continue;
		kept.tensors[kept.count++] = tc.tensors[i];
	}
	ck_assert_uint_lt(kept.count, tc.count);
	tc_write(&kept, from);
	if (_i)
		tc_config(from, tc_opt_config, "affine\": true", "affine\": false");
	else
		tc_config(from, tc_opt_config, "enable_bias\": true", "enable_bias\": false");
	import_as(-1);
	ck_ok(real_model_open(&rm, to, &layout_split, NULL, &err));
	bytes = file_slurp(real_model_path(rm, 0), &size);
	for (uint32_t i = 0;; i++) {
		struct model_tensor t;

		ck_assert(model_tensor_at(&t, real_model_shape(rm), WEIGHT_F32, REGION_ATTENTION, 1,
					  i));
		if (strcmp(t.name, _i ? "blk.1.ffn_norm.weight" : "blk.1.ffn_up.bias") != 0)
			continue;
		real_model_at(rm, REGION_ATTENTION, 1, t.offset, &file, &at);
		for (uint64_t k = 0; k < t.dims[0]; k++)
			ck_assert(tc_decode(bytes + at + 4 * k, WEIGHT_F32) == (_i ? 1 : 0));
		break;
	}
	free(bytes);
	real_model_close(rm);
}
END_TEST

/* The folders that transformers and torch wrote, read back weight by weight through the checkpoint
 * alone. */
static const struct {
	const char *name;
	const char *prefix;
} saved[] = {
	{"opt-f32", "model.decoder."},
	{"opt-f16-bin", "model.decoder."},
	{"opt-bf16-sharded", "model.decoder."},
	{"falcon-f32", "transformer."},
	{"falcon-bf16-gelu-bin", "transformer."},
};

static double source_value(struct checkpoint *checkpoint, const char *name, uint64_t i)
{
	const struct checkpoint_tensor *t = checkpoint_find(checkpoint, name);
	unsigned char raw[4];
	struct err err = {0};

	ck_assert_msg(t != NULL, "no %s", name);
	ck_ok(checkpoint_read(checkpoint, t, i * weight_bytes(t->type), raw, weight_bytes(t->type),
			      &err));
	return tc_decode(raw, t->type);
}

START_TEST(what_transformers_saved_is_what_the_model_holds)
{
	const bool opt = strncmp(saved[_i].name, "opt", 3) == 0;
	struct import_options options = options_for(-1);
	struct checkpoint *checkpoint;
	struct import_report report;
	struct real_model *rm;
	struct err err = {0};
	size_t size, each;
	unsigned char *bytes;
	uint64_t d, at;
	unsigned file;

	snprintf(from, sizeof(from), "%s/tests/forward/fixtures/%s", FLASH_SOURCE_DIR,
		 saved[_i].name);
	report = import_with(&options);
	ck_ok(checkpoint_open(&checkpoint, from, &err));
	ck_ok(real_model_open(&rm, to, &layout_bundle, NULL, &err));
	bytes = file_slurp(real_model_path(rm, 1), &size);
	d = report.model.d_model;
	each = weight_bytes(report.weights);
	for (uint32_t layer = 0; layer < report.model.layer_count; layer++)
		for (uint64_t i = 0; i < report.model.d_ffn * 2 * d; i += 5 + i % 7) {
			uint64_t row = i / (2 * d), column = i % (2 * d);
			char name[TC_NAME];
			double want;

			snprintf(name, sizeof(name), "%s%s.%u.%s.weight", saved[_i].prefix,
				 opt ? "layers" : "h", layer,
				 column < d ? (opt ? "fc1" : "mlp.dense_h_to_4h")
					    : (opt ? "fc2" : "mlp.dense_4h_to_h"));
			want = source_value(checkpoint, name,
					    column < d ? row * d + column
						       : (column - d) * report.model.d_ffn + row);
			real_model_at(rm, REGION_BUNDLE, layer,
				      row * model_row_stride(&report.model, report.weights,
							     REGION_BUNDLE) +
					      column * each,
				      &file, &at);
			ck_assert(tc_decode(bytes + at, report.weights) == want);
		}
	free(bytes);
	real_model_close(rm);
	checkpoint_close(checkpoint);
	dir_make(from); /* for teardown */
}
END_TEST

static struct gguf_tensor gguf_of(const struct tc_tensor *t, uint64_t *at)
{
	static const uint32_t types[WEIGHT_TYPES] = {GGUF_F32, GGUF_F16, GGUF_BF16};
	uint64_t n = (t->rows ? t->rows : 1) * t->width;
	struct gguf_tensor g = {.type = types[t->type],
				.dim_count = t->rows ? 2 : 1,
				.dims = {t->width, t->rows ? t->rows : 1, 1, 1},
				.offset = *at,
				.bytes = n * weight_bytes(t->type)};

	ck_assert_int_lt(snprintf(g.name, sizeof(g.name), "%s", t->name), GGUF_NAME);
	*at = (*at + g.bytes + 31) / 32 * 32;
	return g;
}

/* A Falcon GGUF as llama.cpp's converter writes it: vectors in f32, no vocab_size, no activation.
 * */
static void write_gguf(const struct tiny_checkpoint *tc, const struct tokenizer *tokenizer,
		       const char *path)
{
	struct gguf_head head;
	struct err err = {0};
	uint64_t at = 0, start;
	FILE *out = fopen(path, "wb");

	ck_assert_ptr_nonnull(out);
	gguf_head_init(&head);
	gguf_head_text(&head, "general.architecture", "falcon");
	gguf_head_text(&head, "general.name", "Falcon");
	gguf_head_number(&head, "general.file_type", 1);
	gguf_head_number(&head, "falcon.context_length", TC_POSITIONS);
	gguf_head_text(&head, "falcon.tensor_data_layout", "jploski");
	gguf_head_number(&head, "falcon.embedding_length", TC_D);
	gguf_head_number(&head, "falcon.feed_forward_length", TC_FFN);
	gguf_head_number(&head, "falcon.block_count", TC_LAYERS);
	gguf_head_number(&head, "falcon.attention.head_count", TC_HEADS);
	gguf_head_number(&head, "falcon.attention.head_count_kv", 1);
	gguf_head_float(&head, "falcon.attention.layer_norm_epsilon", 1e-5F);
	if (tokenizer)
		tokenizer_write_gguf(tokenizer, &head);
	for (unsigned i = 0; i < tc->count; i++) {
		struct gguf_tensor g = gguf_of(&tc->tensors[i], &at);

		gguf_head_tensor(&head, &g);
	}
	ck_ok(gguf_head_finish(&head, 32, &err));
	fwrite(head.bytes, 1, head.used, out);
	start = head.used;
	at = 0;
	for (unsigned i = 0; i < tc->count; i++) {
		const struct tc_tensor *t = &tc->tensors[i];
		struct gguf_tensor g = gguf_of(t, &at);

		uint64_t hash = tc_hash(t->values_of);

		fseek(out, (long)(start + g.offset), SEEK_SET);
		for (uint64_t k = 0; k < g.dims[0] * g.dims[1]; k++) {
			unsigned char raw[4];

			tc_encode(raw, tc_value(hash, k, t->type), t->type);
			fwrite(raw, 1, weight_bytes(t->type), out);
		}
	}
	gguf_head_fini(&head);
	ck_assert_int_eq(fclose(out), 0);
}

/* Falcon's tensors under llama.cpp's names, with the values of transformers' names. */
static void make_gguf(struct tiny_checkpoint *tc, const struct tiny_checkpoint *hf,
		      enum weight_type type)
{
	static const struct {
		const char *theirs, *ours;
	} renamed[] = {
		{"word_embeddings.weight", "token_embd.weight"},
		{"ln_f.weight", "output_norm.weight"},
		{"ln_f.bias", "output_norm.bias"},
		{"input_layernorm.weight", "attn_norm.weight"},
		{"input_layernorm.bias", "attn_norm.bias"},
		{"self_attention.query_key_value.weight", "attn_qkv.weight"},
		{"self_attention.dense.weight", "attn_output.weight"},
		{"mlp.dense_h_to_4h.weight", "ffn_up.weight"},
		{"mlp.dense_4h_to_h.weight", "ffn_down.weight"},
		{"lm_head.weight", "output.weight"},
	};

	*tc = *hf;
	for (unsigned i = 0; i < tc->count; i++) {
		const char *theirs = hf->tensors[i].name;
		unsigned layer = 0;
		bool of_layer = sscanf(theirs, "transformer.h.%u.", &layer) == 1;

		for (size_t k = 0; k < sizeof(renamed) / sizeof(renamed[0]); k++)
			if (strstr(theirs, renamed[k].theirs)) {
				snprintf(tc->tensors[i].name, TC_NAME,
					 of_layer ? "blk.%u.%s" : "%.0u%s", layer, renamed[k].ours);
			}
		if (!tc->tensors[i].values_of)
			tc->tensors[i].values_of = theirs;
		tc->tensors[i].type = tc->tensors[i].rows ? type : WEIGHT_F32;
	}
}

START_TEST(a_falcon_of_llama_cpp_imports_from_its_file)
{
	struct tiny_checkpoint hf, tc;
	char dir[TINY_PATH], path[TINY_PATH + 32];
	struct import_report report;
	struct import_options options = options_for(-1);
	struct err err = {0};

	make_checkpoint(&hf, MODEL_FALCON, "transformer.", _i % 2 ? "lm_head.weight" : NULL);
	make_gguf(&tc, &hf, _i / 2 ? WEIGHT_F16 : WEIGHT_F32);
	memcpy(dir, from, sizeof(dir));
	snprintf(path, sizeof(path), "%s/falcon.gguf", dir);
	write_gguf(&tc, NULL, path);
	ck_ok(model_import(to, path, &options, &report, &err));
	ck_assert_int_eq(report.model.activation, ACT_GELU);
	ck_assert_int_eq(report.weights, _i / 2 ? WEIGHT_F16 : WEIGHT_F32);
	ck_assert_str_eq(report.model.name, "Falcon");
	ck_assert_msg(strstr(warnings, "no sparsity") != NULL, "%s", warnings);
	if (_i / 2 == 0)
		check_weights("transformer.", WEIGHT_F32, NULL);
	/* A relufied one's file does not say so; its user may. */
	options.activation = ACT_RELU;
	ck_ok(model_import(to, path, &options, &report, &err));
	ck_assert_int_eq(report.model.activation, ACT_RELU);
}
END_TEST

/* OPT, Falcon, and a GGUF file, which does not say whether the head is the embedding. */
START_TEST(a_head_of_its_own_is_kept)
{
	struct import_options options = options_for(-1);
	struct tiny_checkpoint tc, gguf;
	struct import_report report;
	char path[TINY_PATH + 32];
	struct err err = {0};

	make_checkpoint(&tc, _i ? MODEL_FALCON : MODEL_OPT, _i ? "transformer." : "decoder.", NULL);
	tc_add(&tc, "", "lm_head.weight", TC_VOCAB, TC_D);
	snprintf(path, sizeof(path), "%s", from);
	if (_i < 2) {
		tc_write(&tc, from);
		tc_config(from, _i ? tc_falcon_config : tc_opt_config, "{",
			  "{\"tie_word_embeddings\": false,");
	} else {
		make_gguf(&gguf, &tc, WEIGHT_F32);
		snprintf(path, sizeof(path), "%s/x.gguf", from);
		write_gguf(&gguf, NULL, path);
	}
	ck_ok(model_import(to, path, &options, &report, &err));
	ck_assert(report.model.own_head);
	check_weights(_i ? "transformer." : "decoder.", WEIGHT_F32, NULL);
	/* The same matrix twice is one. */
	tc.tensors[tc.count - 1].values_of = tc.tensors[0].name;
	if (_i == 2)
		return;
	tc_write(&tc, from);
	ck_ok(model_import(to, path, &options, &report, &err));
	ck_assert(!report.model.own_head);
	check_weights(_i ? "transformer." : "decoder.", WEIGHT_F32, NULL);
}
END_TEST

static const char *const token_files[] = {"vocab.json", "merges.txt", "tokenizer.json",
					  "tokenizer_config.json", "special_tokens_map.json"};

static void copy_tokenizer(const char *name)
{
	char path[TINY_PATH];
	unsigned char *bytes;
	size_t size;

	for (size_t i = 0; i < sizeof(token_files) / sizeof(token_files[0]); i++) {
		snprintf(path, sizeof(path), "%s/tests/text/fixtures/%s/%s", FLASH_SOURCE_DIR, name,
			 token_files[i]);
		if (access(path, R_OK) != 0)
			continue;
		bytes = file_slurp(path, &size);
		snprintf(path, sizeof(path), "%.400s/%s", from, token_files[i]);
		file_spit(path, bytes, size);
		free(bytes);
	}
}

/* The one in base.gguf makes of a text what the checkpoint's makes of it. */
static void check_tokenizer(const struct tokenizer *want)
{
	static const char text[] = "Once upon a time, 1999  newlines\n\n\xe2\x82\xac \xff </s>!";
	char path[TINY_PATH + 32];
	struct tokenizer *got;
	struct gguf *gguf;
	uint32_t *ids[2];
	size_t counts[2];
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/base.gguf", to);
	ck_ok(gguf_open(&gguf, path, &err));
	ck_ok(tokenizer_read_gguf(&got, gguf, &err));
	ck_assert_uint_eq(tokenizer_vocab_count(got), tokenizer_vocab_count(want));
	ck_ok(tokenizer_encode(want, text, sizeof(text) - 1, true, &ids[0], &counts[0], &err));
	ck_ok(tokenizer_encode(got, text, sizeof(text) - 1, true, &ids[1], &counts[1], &err));
	ck_assert_uint_eq(counts[0], counts[1]);
	ck_assert_mem_eq(ids[0], ids[1], counts[0] * sizeof(ids[0][0]));
	free(ids[0]);
	free(ids[1]);
	tokenizer_close(got);
	gguf_close(gguf);
}

/* Hugging Face folders of both families, and a GGUF file. */
START_TEST(the_tokenizer_comes_along)
{
	const bool opt = _i == 0;
	struct import_options options = options_for(-1);
	struct tiny_checkpoint tc, gguf;
	struct import_report report;
	struct tokenizer *tokenizer;
	char path[TINY_PATH + 32];
	struct err err = {0};

	make_checkpoint(&tc, opt ? MODEL_OPT : MODEL_FALCON, opt ? "decoder." : "transformer.",
			NULL);
	tc_write(&tc, from);
	copy_tokenizer(opt ? "opt" : "falcon");
	ck_ok(tokenizer_read_folder(&tokenizer, from, &err));
	snprintf(path, sizeof(path), "%s", from);
	if (_i == 2) {
		make_gguf(&gguf, &tc, WEIGHT_F32);
		snprintf(path, sizeof(path), "%s/x.gguf", from);
		write_gguf(&gguf, tokenizer, path);
	}
	ck_ok(model_import(to, path, &options, &report, &err));
	ck_assert(report.has_tokenizer);
	ck_assert_msg(strstr(warnings, "no tokenizer") == NULL, "%s", warnings);
	/* The fixtures' vocabularies are larger than the tiny models'. */
	ck_assert_msg(strstr(warnings, "text with the others cannot be run") != NULL, "%s",
		      warnings);
	check_tokenizer(tokenizer);
	check_weights(opt ? "decoder." : "transformer.", WEIGHT_F32, NULL);
	tokenizer_close(tokenizer);
}
END_TEST

START_TEST(a_malformed_tokenizer_is_no_missing_one)
{
	struct import_options options = options_for(-1);
	char path[TINY_PATH + 32];

	write_checkpoint(MODEL_OPT);
	copy_tokenizer("opt");
	snprintf(path, sizeof(path), "%s/vocab.json", from);
	ck_assert_int_eq(truncate(path, 1000), 0);
	import_fails(&options, EBADMSG, "vocab.json");
	ck_assert_uint_eq(dir_count(to), 0);
}
END_TEST

/* Which token ends a text: what the tokenizer says, then generation_config.json, then config.json. */
static const struct {
	const char *config, *generation; /* NULL: not said */
	bool tokenizer_says;
	int64_t id; /* -1: none */
	const char *warns;
} ends[] = {
	{NULL, NULL, false, -1, NULL},
	{"{\"eos_token_id\": 5,", NULL, false, 5, NULL},
	{"{\"eos_token_id\": 5,", "{\"eos_token_id\": [7, 8]}", false, 7, NULL},
	{"{\"eos_token_id\": 5,", "{\"eos_token_id\": null}", false, 5, NULL},
	{"{\"eos_token_id\": 5,", "{\"eos_token_id\": []}", false, 5, NULL},
	{"{\"eos_token_id\": 5,", "{\"eos_token_id\": 7}", true, 0, NULL},
	{"{\"eos_token_id\": 99999,", NULL, false, -1,
	 "no token ends a text: eos_token_id: got 99999, expected a token of the vocabulary"},
	{"{\"eos_token_id\": \"</s>\",", NULL, false, -1,
	 "config.json:1:18: eos_token_id: got \"</s>\", expected a whole number"},
	{NULL, "{\"eos_token_id\": -1}", false, -1,
	 "generation_config.json:1:18: eos_token_id: got -1, expected a whole number"},
};

static void write_text(const char *name, const char *text)
{
	char path[TINY_PATH + 32];

	snprintf(path, sizeof(path), "%s/%s", from, name);
	file_spit(path, (const unsigned char *)text, strlen(text));
}

START_TEST(the_end_of_a_text_is_the_tokenizers_or_the_configs)
{
	struct tokenizer *tokenizer;
	struct gguf *gguf;
	char path[TINY_PATH + 32];
	struct err err = {0};
	uint32_t id = 0;

	write_checkpoint(MODEL_FALCON);
	if (ends[_i].config)
		tc_config(from, tc_falcon_config, "{", ends[_i].config);
	copy_tokenizer("falcon");
	if (!ends[_i].tokenizer_says) {
		write_text("special_tokens_map.json", "{}");
		write_text("tokenizer_config.json", "{}");
	}
	if (ends[_i].generation)
		write_text("generation_config.json", ends[_i].generation);
	import_as(-1);
	snprintf(path, sizeof(path), "%s/base.gguf", to);
	ck_ok(gguf_open(&gguf, path, &err));
	ck_ok(tokenizer_read_gguf(&tokenizer, gguf, &err));
	ck_assert_int_eq(tokenizer_eos(tokenizer, &id), ends[_i].id >= 0);
	if (ends[_i].tokenizer_says)
		ck_assert(id != 5 && id != 7);
	else if (ends[_i].id >= 0)
		ck_assert_int_eq(id, ends[_i].id);
	if (ends[_i].warns)
		ck_assert_msg(strstr(warnings, ends[_i].warns) != NULL, "%s", warnings);
	else
		ck_assert_msg(strstr(warnings, "ends a text") == NULL, "%s", warnings);
	tokenizer_close(tokenizer);
	gguf_close(gguf);
}
END_TEST

START_TEST(the_user_is_told_what_a_model_lacks)
{
	struct import_report report;
	struct import_options options = options_for(-1);

	write_checkpoint(MODEL_FALCON);
	report = import_with(&options);
	ck_assert(!report.has_tokenizer);
	ck_assert_msg(strstr(warnings, "no tokenizer") != NULL, "%s", warnings);
	ck_assert_msg(strstr(warnings, "no sparsity") == NULL, "%s", warnings);
	tc_config(from, tc_falcon_config, "\"relu\"", "\"gelu\"");
	report = import_with(&options);
	ck_assert_msg(strstr(warnings, "no sparsity") != NULL, "%s", warnings);
	ck_assert_int_eq(report.model.activation, ACT_GELU);
}
END_TEST

/* config.json as published, other keys among them, and the parameters that such a model has. */
static const struct {
	const char *config;
	uint64_t param_count;
	enum activation activation;
} published[] = {
#define OPT(d, ffn, layers, heads)                                                                 \
	"{\"_name_or_path\": \"facebook/opt\", \"activation_dropout\": 0.0, "                      \
	"\"activation_function\": \"relu\", \"architectures\": [\"OPTForCausalLM\"], "             \
	"\"bos_token_id\": 2, \"do_layer_norm_before\": true, \"ffn_dim\": " #ffn                  \
	", \"hidden_size\": " #d ", \"init_std\": 0.02, \"max_position_embeddings\": 2048, "       \
	"\"model_type\": \"opt\", \"num_attention_heads\": " #heads                                \
	", \"num_hidden_layers\": " #layers ", \"prefix\": \"</s>\", \"torch_dtype\": "            \
	"\"float16\", \"vocab_size\": 50272, \"word_embed_proj_dim\": " #d "}"
	{OPT(768, 3072, 12, 12), UINT64_C(125239296), ACT_RELU},
	{OPT(2048, 8192, 24, 32), UINT64_C(1315758080), ACT_RELU},
	{OPT(2560, 10240, 32, 32), UINT64_C(2651596800), ACT_RELU},
	{OPT(4096, 16384, 32, 32), UINT64_C(6658473984), ACT_RELU},
	{OPT(5120, 20480, 40, 40), UINT64_C(12853473280), ACT_RELU},
	{OPT(7168, 28672, 48, 56), UINT64_C(29974540288), ACT_RELU},
	{OPT(9216, 36864, 64, 72), UINT64_C(65719701504), ACT_RELU},
	/* Falcon 7B as first published, and as of today. */
	{"{\"alibi\": false, \"apply_residual_connection_post_layernorm\": false, \"bias\": false, "
	 "\"hidden_size\": 4544, \"layer_norm_epsilon\": 1e-05, \"model_type\": "
	 "\"RefinedWebModel\", \"multi_query\": true, \"n_head\": 71, \"n_layer\": 32, "
	 "\"parallel_attn\": true, \"torch_dtype\": \"bfloat16\", \"vocab_size\": 65024}",
	 UINT64_C(6921720704), ACT_GELU},
	{"{\"alibi\": false, \"bias\": false, \"hidden_size\": 4544, \"layer_norm_epsilon\": "
	 "1e-05, "
	 "\"model_type\": \"falcon\", \"multi_query\": true, \"new_decoder_architecture\": false, "
	 "\"num_attention_heads\": 71, \"num_hidden_layers\": 32, \"num_kv_heads\": 71, "
	 "\"parallel_attn\": true, \"vocab_size\": 65024, \"activation\": \"relu\"}",
	 UINT64_C(6921720704), ACT_RELU},
};

START_TEST(the_published_shapes_are_read)
{
	char path[TINY_PATH + 32];
	struct hf_config config;
	struct err err = {0};

	tc_config(from, published[_i].config, NULL, NULL);
	snprintf(path, sizeof(path), "%s/config.json", from);
	ck_ok(hf_config_read(&config, path, &err));
	ck_assert_uint_eq(model_param_count(&config.model), published[_i].param_count);
	ck_assert_int_eq(config.model.activation, published[_i].activation);
	ck_assert_uint_eq(config.model.position_count, 2048);
	ck_assert(config.tied && !config.no_biases && !config.plain_norms);
}
END_TEST

/* What a model is called: in tables, on terminals. */
static const struct {
	const char *says, *name; /* NULL: the folder's */
} called[] = {
	{"\"some/tiny-opt\"", "tiny-opt"},
	{"\"/models/opt-6.7b/\"", "opt-6.7b"},
	{"\"opt\"", "opt"},
	{"\"\"", NULL},
	{"\"..\"", NULL},
	{"\"a/\\u001b[31mred\"", NULL},
	{"\"a/\\uD83D\\uDE00 \\u00e9\\/\"", "\xf0\x9f\x98\x80 \xc3\xa9"},
	{"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
	{"\"a\\\\uD83D\"", "a\\uD83D"},
	{"null", NULL},
	{"17", NULL},
};

START_TEST(a_model_is_called_what_its_config_remembers_or_its_folder)
{
	struct import_options options = options_for(-1);
	struct import_report report;

	write_checkpoint(MODEL_OPT);
	tc_config(from, tc_opt_config, "\"some/tiny-opt\"", called[_i].says);
	report = import_with(&options);
	ck_assert_str_eq(report.model.name,
			 called[_i].name ? called[_i].name : strrchr(from, '/') + 1);
}
END_TEST

static int stop_half_way(void *arg, double done)
{
	(void)arg;
	return done > 0.5;
}

static int kill_half_way(void *arg, double done)
{
	(void)arg;
	if (done > 0.5)
		kill(getpid(), SIGKILL);
	return 0;
}

static void check_nothing_whole(void)
{
	struct real_model *rm = NULL;
	struct err err = {0};
	char path[TINY_PATH + 32];

	for (unsigned i = 0; i < 2; i++) {
		err.code = 0;
		ck_assert_int_eq(real_model_open(&rm, to, tiny_layouts[i], NULL, &err), ENOENT);
		ck_assert_ptr_null(rm);
		snprintf(path, sizeof(path), "%s/ffn.%s.gguf", to, tiny_layouts[i]->name);
		ck_assert_int_ne(access(path, F_OK), 0);
	}
	snprintf(path, sizeof(path), "%s/base.gguf", to);
	ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(a_stopped_import_leaves_nothing)
{
	struct import_options options = options_for(-1);

	write_checkpoint(MODEL_OPT);
	options.progress = stop_half_way;
	import_fails(&options, ECANCELED, "stopped; no model was written");
	ck_assert_uint_eq(dir_count(to), 0);
}
END_TEST

START_TEST(a_killed_import_leaves_nothing_that_looks_whole)
{
	int status;
	pid_t child;

	write_checkpoint(MODEL_OPT);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct import_options options = options_for(-1);
		struct import_report report;
		struct err err = {0};

		options.progress = kill_half_way;
		(void)!model_import(to, from, &options, &report, &err);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_nothing_whole();
	/* What it left does not disturb the next one. */
	import_as(-1);
	check_weights("decoder.", WEIGHT_F32, NULL);
}
END_TEST

START_TEST(a_disk_that_fills_up_is_told_and_leaves_nothing)
{
	const struct rlimit limit = {50000, 50000};
	struct import_options options = options_for(-1);

	write_checkpoint(MODEL_OPT);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0); /* Check forks: of this test only */
	import_fails(&options, EFBIG, "ffn.split.gguf: cannot write");
	ck_assert_uint_eq(dir_count(to), 0);
}
END_TEST

START_TEST(a_model_that_stands_survives_a_failed_import_over_it)
{
	struct import_options options = options_for(WEIGHT_F16);

	write_checkpoint(MODEL_OPT);
	import_as(-1);
	options.progress = stop_half_way;
	import_fails(&options, ECANCELED, "stopped; no model was written");
	check_weights("decoder.", WEIGHT_F32, NULL);
	ck_assert_uint_eq(dir_count(to), 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import");
	TCase *tcase = tcase_create("import");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_weight_is_in_its_place_whatever_the_prefix, 0, NAMES);
	tcase_add_loop_test(tcase, every_type_converts_into_every_other_to_nearest_even, 0,
			    WEIGHT_TYPES * WEIGHT_TYPES + WEIGHT_TYPES);
	tcase_add_test(tcase, tensors_may_differ_in_type);
	tcase_add_test(tcase, the_digest_says_which_weights_whatever_the_names_layouts_and_blocks);
	tcase_add_loop_test(tcase, pieces_of_any_size_make_the_same_model, 0, 6);
	tcase_add_test(tcase, two_imports_make_one_model);
	tcase_add_loop_test(tcase, what_an_opt_leaves_out_is_filled_in, 0, 2);
	tcase_add_loop_test(tcase, what_transformers_saved_is_what_the_model_holds, 0,
			    sizeof(saved) / sizeof(saved[0]));
	tcase_add_loop_test(tcase, a_falcon_of_llama_cpp_imports_from_its_file, 0, 4);
	tcase_add_loop_test(tcase, a_head_of_its_own_is_kept, 0, 3);
	tcase_add_loop_test(tcase, the_tokenizer_comes_along, 0, 3);
	tcase_add_test(tcase, a_malformed_tokenizer_is_no_missing_one);
	tcase_add_loop_test(tcase, the_end_of_a_text_is_the_tokenizers_or_the_configs, 0,
			    sizeof(ends) / sizeof(ends[0]));
	tcase_add_test(tcase, the_user_is_told_what_a_model_lacks);
	tcase_add_loop_test(tcase, the_published_shapes_are_read, 0,
			    sizeof(published) / sizeof(published[0]));
	tcase_add_loop_test(tcase, a_model_is_called_what_its_config_remembers_or_its_folder, 0,
			    sizeof(called) / sizeof(called[0]));
	tcase_add_test(tcase, a_stopped_import_leaves_nothing);
	tcase_add_test(tcase, a_killed_import_leaves_nothing_that_looks_whole);
	tcase_add_test(tcase, a_disk_that_fills_up_is_told_and_leaves_nothing);
	tcase_add_test(tcase, a_model_that_stands_survives_a_failed_import_over_it);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
