/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_model.c - synthetic models: same rows in every layout, whole or not there, and opened only
 * when they fit */
#include "digest.h"
#include "real_files.h"
#include "real_inspect.h"
#include "tiny.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static char dir[TINY_PATH];

static void setup(void)
{
	dir_make(dir);
}

static void teardown(void)
{
	dir_remove(dir);
}

static const struct {
	enum model_family family;
	enum weight_type weights;
} kinds[] = {
	{MODEL_OPT, WEIGHT_F16},    {MODEL_OPT, WEIGHT_F32},  {MODEL_FALCON, WEIGHT_F16},
	{MODEL_FALCON, WEIGHT_F32}, {MODEL_OPT, WEIGHT_BF16},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Bytes of one region's row, as the file has them. */
static void row_of(unsigned char *to, const struct real_model *rm, enum region region,
		   uint32_t layer, uint64_t offset, size_t bytes)
{
	unsigned file;
	uint64_t at;
	FILE *in;

	real_model_at(rm, region, layer, offset, &file, &at);
	in = fopen(real_model_path(rm, file), "rb");
	ck_assert_ptr_nonnull(in);
	ck_assert_int_eq(fseek(in, (long)at, SEEK_SET), 0);
	ck_assert_uint_eq(fread(to, 1, bytes, in), bytes);
	fclose(in);
}

START_TEST(every_layout_holds_the_same_rows)
{
	struct model m = tiny_model(kinds[_i].family);
	struct real_model *split, *bundle;
	struct err err = {0};
	uint64_t half, up_stride, both_stride;

	tiny_synth(dir, &m, kinds[_i].weights);
	ck_ok(real_model_open(&split, dir, &layout_split, &m, &err));
	ck_ok(real_model_open(&bundle, dir, &layout_bundle, &m, &err));
	half = model_row_bytes(&m, kinds[_i].weights, REGION_UP);
	up_stride = model_row_stride(&m, kinds[_i].weights, REGION_UP);
	both_stride = model_row_stride(&m, kinds[_i].weights, REGION_BUNDLE);
	for (uint32_t layer = 0; layer < m.layer_count; layer++)
		for (uint64_t row = 0; row < m.d_ffn; row += 17) {
			unsigned char a[512], b[512];

			row_of(a, split, REGION_UP, layer, row * up_stride, half);
			row_of(a + half, split, REGION_DOWN, layer, row * up_stride, half);
			row_of(b, bundle, REGION_BUNDLE, layer, row * both_stride, 2 * half);
			ck_assert_mem_eq(a, b, 2 * half);
			ck_assert_mem_ne(a, a + half, half);
		}
	real_model_close(split);
	real_model_close(bundle);
}
END_TEST

START_TEST(a_row_of_the_file_can_be_made_again_by_itself)
{
	struct model m = tiny_model(MODEL_OPT);
	const struct file_map map = {&m, WEIGHT_F16, &layout_bundle};
	struct file_tensors it = {.map = &map};
	struct real_model *rm;
	struct err err = {0};

	tiny_synth(dir, &m, WEIGHT_F16);
	ck_ok(real_model_open(&rm, dir, &layout_bundle, &m, &err));
	while (file_tensors_next(&it)) {
		unsigned char made[512], read[512];

		synth_row(made, &it, &m, 11, 200);
		row_of(read, rm, it.region, it.layer, 200 * it.tensor.row_stride,
		       it.tensor.row_stride);
		ck_assert_mem_eq(made, read, it.tensor.row_stride);
	}
	real_model_close(rm);
}
END_TEST

static float weight_at(const unsigned char *row, enum weight_type type, size_t i)
{
	unsigned char wide[4] = {0};
	uint16_t h;
	float f;

	if (type != WEIGHT_F16) {
		memcpy(wide + 4 - weight_bytes(type), row + weight_bytes(type) * i,
		       weight_bytes(type));
		memcpy(&f, wide, 4);
		return f;
	}
	memcpy(&h, row + 2 * i, 2);
	f = ldexpf((float)((h & 1023) + 1024), (h >> 10 & 31) - 25);
	return h & 0x8000 ? -f : f;
}

START_TEST(weights_have_a_trained_models_scale)
{
	struct model m = tiny_model(MODEL_OPT);
	enum weight_type type = (enum weight_type)_i;
	const struct file_map map = {&m, type, &layout_split};
	struct file_tensors it = {.map = &map};
	unsigned char *row = malloc(1 << 20);
	double sum = 0, squares = 0;

	m.d_model = 4096;
	m.d_ffn = 64;
	ck_assert(row && file_tensors_next(&it));
	synth_row(row, &it, &m, 3, 5);
	for (size_t i = 0; i < m.d_model; i++) {
		double w = (double)weight_at(row, type, i);

		sum += w;
		squares += w * w;
	}
	ck_assert_double_lt(fabs(sum / 4096), 0.002);
	ck_assert_double_gt(sqrt(squares / 4096), 0.010);
	ck_assert_double_lt(sqrt(squares / 4096), 0.025);
	free(row);
}
END_TEST

START_TEST(the_file_is_incompressible_and_has_every_block)
{
	struct model m = tiny_model(MODEL_FALCON);
	size_t size, counts[256] = {0};
	char path[TINY_PATH + 32];
	double bits = 0;
	unsigned char *bytes;
	struct stat st;

	m.d_ffn = 1024;
	tiny_synth(dir, &m, _i ? WEIGHT_F32 : WEIGHT_F16);
	snprintf(path, sizeof(path), "%s/ffn.bundle.gguf", dir);
	bytes = file_slurp(path, &size);
	for (size_t i = 4096; i < size; i++)
		counts[bytes[i]]++;
	for (int i = 0; i < 256; i++) {
		double p = (double)counts[i] / (double)(size - 4096);

		bits -= counts[i] ? p * log2(p) : 0;
	}
	ck_assert_double_gt(bits, 7.3);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	free(bytes);
}
END_TEST

static int stop_half_way(void *arg, double done)
{
	(void)arg;
	return done > 0.5;
}

static struct synth_options options_for(const struct model *m)
{
	return (struct synth_options){.model = m,
				      .weights = WEIGHT_F16,
				      .layouts = tiny_layouts,
				      .layout_count = 2,
				      .seed = 1};
}

START_TEST(an_interrupted_synth_leaves_nothing)
{
	struct model m = tiny_model(MODEL_OPT);
	struct synth_options options = options_for(&m);
	struct err err = {0};

	options.progress = stop_half_way;
	ck_assert_int_eq(real_model_synth(dir, &options, &err), ECANCELED);
	ck_assert_uint_eq(dir_count(dir), 0);
}
END_TEST

START_TEST(a_file_size_limit_is_told_and_leaves_nothing)
{
	const struct rlimit limit = {100000, 100000};
	struct model m = tiny_model(MODEL_OPT);
	struct synth_options options = options_for(&m);
	struct err err = {0};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0); /* Check forks: of this test only */
	ck_assert_int_eq(real_model_synth(dir, &options, &err), EFBIG);
	ck_assert_msg(strstr(err.msg, "ffn.split.gguf: cannot write") != NULL, "%s", err.msg);
	ck_assert_uint_eq(dir_count(dir), 0);
}
END_TEST

START_TEST(a_disk_too_small_is_refused_before_a_byte_is_written)
{
	struct model m = tiny_model(MODEL_OPT);
	struct synth_options options = options_for(&m);
	struct err err = {0};

	m.layer_count = 1024;
	m.d_model = 65536;
	m.d_ffn = 262144;
	ck_assert_int_eq(real_model_synth(dir, &options, &err), ENOSPC);
	ck_assert_msg(strstr(err.msg, "bytes are free") || strstr(err.msg, "are free"), "%s",
		      err.msg);
	ck_assert_uint_eq(dir_count(dir), 0);
}
END_TEST

START_TEST(parent_folders_are_made)
{
	struct model m = tiny_model(MODEL_OPT);
	struct real_model *rm;
	struct err err = {0};
	char deep[TINY_PATH + 16];

	snprintf(deep, sizeof(deep), "%s/a/b/", dir);
	tiny_synth(deep, &m, WEIGHT_F16);
	ck_ok(real_model_open(&rm, deep, &layout_split, &m, &err));
	real_model_close(rm);
	dir_remove(deep);
	deep[strlen(dir) + 2] = '\0';
	ck_assert_int_eq(rmdir(deep), 0);
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_is_told)
{
	struct model m = tiny_model(MODEL_OPT);
	struct synth_options options = options_for(&m);
	struct err err = {0};
	char deep[TINY_PATH + 16];

	snprintf(deep, sizeof(deep), "%s/file", dir);
	file_spit(deep, (const unsigned char *)"x", 1);
	snprintf(deep, sizeof(deep), "%s/file/b", dir);
	ck_assert_int_eq(real_model_synth(deep, &options, &err), ENOTDIR);
	ck_assert_msg(strstr(err.msg, deep) != NULL, "%s", err.msg);
}
END_TEST

/* What is done to a good model's folder, and what opening says. */
static const struct {
	const char *why, *file;
	long cut;		 /* bytes off the end; -1: the file is removed */
	const char *find, *with; /* bytes changed in place, first match */
	int code;
	const char *says;
} broken[] = {
	{"no base", "base.gguf", -1, NULL, NULL, ENOENT, "base.gguf: cannot open"},
	{"no FFN", "ffn.bundle.gguf", -1, NULL, NULL, ENOENT, "ffn.bundle.gguf: cannot open"},
	{"base cut off", "base.gguf", 1, NULL, NULL, EBADMSG, "bytes"},
	{"FFN cut by a row", "ffn.bundle.gguf", 512, NULL, NULL, EBADMSG,
	 "tensor 'blk.1.ffn_bundle.weight': "},
	{"another family", "base.gguf", 0, "opt", "tpo", EBADMSG, "expected one of opt falcon"},
	{"another type", "base.gguf", 0, "f16", "f99", EBADMSG, "expected one of f32 f16 bf16"},
	{"a tensor of another name", "base.gguf", 0, "attn_qkv", "attn_kqv", EBADMSG,
	 "expected 'blk.0.attn_qkv.weight'"},
	{"another layout inside", "ffn.bundle.gguf", 0, "bundle", "bandle", EBADMSG,
	 "flashcast.layout: got 'bandle'"},
	{"a key missing", "base.gguf", 0, "block_count", "clock_bount", EBADMSG,
	 "key opt.block_count is missing"},
};

START_TEST(a_broken_model_is_not_opened)
{
	struct model m = tiny_model(MODEL_OPT);
	char path[TINY_PATH + 32];
	struct real_model *rm = NULL;
	struct err err = {0};
	unsigned char *bytes;
	size_t size, at = 0;

	tiny_synth(dir, &m, WEIGHT_F16);
	snprintf(path, sizeof(path), "%s/%s", dir, broken[_i].file);
	bytes = file_slurp(path, &size);
	if (broken[_i].find) {
		while (memcmp(bytes + at, broken[_i].find, strlen(broken[_i].find)) != 0)
			at++;
		memcpy(bytes + at, broken[_i].with, strlen(broken[_i].with));
	}
	if (broken[_i].cut < 0)
		unlink(path);
	else
		file_spit(path, bytes, size - (size_t)broken[_i].cut);
	free(bytes);
	ck_assert_msg(real_model_open(&rm, dir, &layout_bundle, &m, &err) == broken[_i].code,
		      "%s: code %d: %s", broken[_i].why, err.code, err.msg);
	ck_assert_msg(strstr(err.msg, broken[_i].says) != NULL, "%s: said '%s'", broken[_i].why,
		      err.msg);
	ck_assert_ptr_null(rm);
}
END_TEST

START_TEST(another_geometry_than_expected_is_the_users_mistake)
{
	struct model m = tiny_model(MODEL_OPT), want = m;
	struct real_model *rm;
	struct err err = {0};

	tiny_synth(dir, &m, WEIGHT_F16);
	want.d_ffn = 512;
	ck_assert_int_eq(real_model_open(&rm, dir, &layout_split, &want, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "d_ffn: got 256, expected 512") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(files_of_two_models_do_not_mix)
{
	struct model m = tiny_model(MODEL_OPT);
	struct synth_options options = options_for(&m);
	char path[TINY_PATH + 32];
	struct real_model *rm;
	struct err err = {0};
	unsigned char *bytes;
	size_t size;

	tiny_synth(dir, &m, WEIGHT_F16);
	snprintf(path, sizeof(path), "%s/ffn.bundle.gguf", dir);
	bytes = file_slurp(path, &size);
	options.seed = 99;
	ck_ok(real_model_synth(dir, &options, &err));
	file_spit(path, bytes, size);
	free(bytes);
	ck_assert_int_eq(real_model_open(&rm, dir, &layout_bundle, &m, &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, "of different models") != NULL, "%s", err.msg);
}
END_TEST

/* Geometry and weights alone: not the layouts, the folder, or the rows' padding. */
START_TEST(the_digest_is_of_the_weights)
{
	struct model m = tiny_model(kinds[_i].family);
	struct synth_options options = options_for(&m);
	struct real_model *rm;
	struct err err = {0};
	char digest[DIGEST_TEXT];

	options.weights = kinds[_i].weights;
	ck_ok(real_model_synth(dir, &options, &err));
	ck_ok(real_model_open(&rm, dir, &layout_split, &m, &err));
	ck_assert_uint_eq(strlen(real_model_digest(rm)), DIGEST_TEXT - 1);
	memcpy(digest, real_model_digest(rm), DIGEST_TEXT);
	real_model_close(rm);
	m.row_align = 4096;
	options.layouts = tiny_layouts + 1;
	options.layout_count = 1;
	ck_ok(real_model_synth(dir, &options, &err));
	ck_ok(real_model_open(&rm, dir, &layout_bundle, &m, &err));
	ck_assert_str_eq(real_model_digest(rm), digest);
	real_model_close(rm);
	options.seed++;
	ck_ok(real_model_synth(dir, &options, &err));
	ck_ok(real_model_open(&rm, dir, &layout_bundle, &m, &err));
	ck_assert_str_ne(real_model_digest(rm), digest);
	real_model_close(rm);
}
END_TEST

START_TEST(inspect_says_what_is_inside)
{
	struct model m = tiny_model(kinds[_i].family);
	struct model_facts facts;
	struct err err = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	uint64_t base, ffn;

	tiny_synth(dir, &m, kinds[_i].weights);
	ck_ok(model_facts_read(&facts, dir, &err));
	ck_assert_str_eq(facts.shape.name, m.name);
	ck_assert_str_eq(facts.source, "synthetic");
	ck_assert_str_eq(facts.tokenizer, "");
	ck_assert_uint_eq(facts.file_count, 3);
	ck_assert_str_eq(facts.files[0].name, "base.gguf");
	ffn = model_ffn_bytes(&m, kinds[_i].weights);
	base = facts.files[0].weight_bytes;
	/* Vectors are f32 whatever the matrices are. */
	ck_assert_uint_ge(base, model_param_bytes(&m, kinds[_i].weights) - ffn);
	for (unsigned i = 0; i < facts.file_count; i++) {
		const struct model_file *f = &facts.files[i];

		ck_assert(i == 0 || f->weight_bytes == ffn);
		ck_assert_uint_eq(f->header_bytes + f->weight_bytes + f->padding_bytes, f->bytes);
		model_file_list(&facts, f, out);
	}
	fclose(out);
	ck_assert_msg(strstr(text, "blk.0.ffn_bundle.weight") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "token_embd.weight") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "blk.1.") == NULL, "%s", text);
	free(text);
	ck_assert_int_eq(model_facts_read(&facts, "/nonexistent", &err), ENOENT);
}
END_TEST

/* Any bit of a file, keys and padding too. */
START_TEST(a_flipped_bit_is_found)
{
	struct model m = tiny_model(MODEL_FALCON);
	struct model_facts facts;
	char path[TINY_PATH + 80];
	struct err err = {0};

	tiny_synth(dir, &m, WEIGHT_F16);
	ck_ok(model_facts_read(&facts, dir, &err));
	for (unsigned i = 0; i < facts.file_count; i++) {
		const struct model_file *f = &facts.files[i];
		unsigned char *bytes;
		size_t size;

		ck_ok(model_file_verify(dir, f, NULL, NULL, &err));
		snprintf(path, sizeof(path), "%s/%s", dir, f->name);
		bytes = file_slurp(path, &size);
		for (size_t at = 24; at < size; at += size / 9) {
			bytes[at] ^= 16;
			file_spit(path, bytes, size);
			ck_assert_msg(model_file_verify(dir, f, NULL, NULL, &err) == EBADMSG,
				      "%s, byte %zu", f->name, at);
			ck_assert_msg(strstr(err.msg, f->name) != NULL, "%s", err.msg);
			err.code = 0;
			bytes[at] ^= 16;
		}
		file_spit(path, bytes, size);
		ck_ok(model_file_verify(dir, f, NULL, NULL, &err));
		free(bytes);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model");
	TCase *tcase = tcase_create("model");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_layout_holds_the_same_rows, 0, KINDS);
	tcase_add_test(tcase, a_row_of_the_file_can_be_made_again_by_itself);
	tcase_add_loop_test(tcase, weights_have_a_trained_models_scale, 0, WEIGHT_TYPES);
	tcase_add_loop_test(tcase, the_file_is_incompressible_and_has_every_block, 0, 2);
	tcase_add_test(tcase, an_interrupted_synth_leaves_nothing);
	tcase_add_test(tcase, a_file_size_limit_is_told_and_leaves_nothing);
	tcase_add_test(tcase, a_disk_too_small_is_refused_before_a_byte_is_written);
	tcase_add_test(tcase, parent_folders_are_made);
	tcase_add_test(tcase, a_folder_that_cannot_be_made_is_told);
	tcase_add_loop_test(tcase, a_broken_model_is_not_opened, 0,
			    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tcase, another_geometry_than_expected_is_the_users_mistake);
	tcase_add_test(tcase, files_of_two_models_do_not_mix);
	tcase_add_loop_test(tcase, the_digest_is_of_the_weights, 0, KINDS);
	tcase_add_loop_test(tcase, inspect_says_what_is_inside, 0, KINDS);
	tcase_add_test(tcase, a_flipped_bit_is_found);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
