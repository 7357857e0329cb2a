/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_world.c - hazard: a forward pass that is quick, plausible and wrong; and options that do not
 * fit
 *
 * Logits are held against a pass written here from the papers' formulas, in double, over the plain
 * weights; and against each other over everything that must not change them: how much persists, the
 * layout, the tiles, the threads. */
#include "real_files.h"
#include "real_state.h"
#include "worlds.h"

#include <math.h>

enum { D_MOST = 64, VOCAB = 128, QKV_MOST = 192, FFN = 256, LAST = 2 };

static const struct {
	enum model_family family;
	enum weight_type weights;
	enum activation activation;
} kinds[] = {
	{MODEL_OPT, WEIGHT_F16, ACT_RELU},	   {MODEL_OPT, WEIGHT_F32, ACT_RELU},
	{MODEL_OPT, WEIGHT_BF16, ACT_RELU},	   {MODEL_FALCON, WEIGHT_F16, ACT_RELU},
	{MODEL_FALCON, WEIGHT_F32, ACT_RELU},	   {MODEL_FALCON, WEIGHT_BF16, ACT_GELU},
	{MODEL_FALCON, WEIGHT_F32, ACT_GELU_TANH},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* A tensor of the plain model as doubles: made again from the seed, not read. */
static double *tensor_of(const struct model *m, enum weight_type type, enum region region,
			 uint32_t layer, const char *end)
{
	const struct layout_ops *layout =
		region == REGION_UP || region == REGION_DOWN ? &layout_split : NULL;
	const struct file_map map = {m, type, layout};
	struct file_tensors it = {.map = &map};
	unsigned char row[4096];
	double *all;

	while (file_tensors_next(&it)) {
		const struct model_tensor *t = &it.tensor;
		size_t n = t->row_bytes / weight_bytes(t->type);
		const char *found = strstr(t->name, end);

		if (it.region != region || it.layer != layer || !found || found[strlen(end)])
			continue;
		all = calloc(n * t->dims[1], sizeof(*all));
		ck_assert_ptr_nonnull(all);
		for (uint64_t r = 0; r < t->dims[1]; r++) {
			synth_row(row, &it, m, 11, r);
			for (size_t i = 0; i < n; i++) {
				float f;

				weights_widen(&f, row + i * weight_bytes(t->type), t->type, 1);
				all[r * n + i] = (double)f;
			}
		}
		return all;
	}
	return NULL; /* this family has none */
}

/* The reference: x, and the whole history of keys and values in double. */
struct reference {
	const struct model *m;
	enum weight_type type;
	size_t d, heads, kv_heads, dim;
	double x[D_MOST], normed[D_MOST];
	double *keys, *values; /* [layer][kv head][ctx][dim] */
};

/* y = W x + b, b may be absent; frees both. */
static void affine(double *y, double *w, double *b, const double *x, size_t rows, size_t n)
{
	for (size_t r = 0; r < rows; r++) {
		y[r] = b ? b[r] : 0;
		for (size_t i = 0; i < n; i++)
			y[r] += w[r * n + i] * x[i];
	}
	free(w);
	free(b);
}

static void norm(double *y, const double *x, double *w, double *b, size_t n)
{
	double mean = 0, variance = 0;

	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean) / (double)n;
	for (size_t i = 0; i < n; i++)
		y[i] = (x[i] - mean) / sqrt(variance + 1e-5) * w[i] + b[i];
	free(w);
	free(b);
}

static double *part(const struct reference *r, uint32_t layer, const char *name)
{
	return tensor_of(r->m, r->type, REGION_ATTENTION, layer, name);
}

static void turn(double *head, size_t dim, double position)
{
	for (size_t i = 0; i < dim / 2; i++) {
		double angle = position / pow(10000, 2.0 * (double)i / (double)dim);
		double a = head[i], b = head[dim / 2 + i];

		head[i] = a * cos(angle) - b * sin(angle);
		head[dim / 2 + i] = b * cos(angle) + a * sin(angle);
	}
}

static void reference_head(double *out, const struct reference *r, const double *q, size_t at)
{
	double scores[WORLD_CTX], sum = 0;

	for (size_t t = 0; t < WORLD_CTX; t++) {
		scores[t] = 0;
		for (size_t i = 0; i < r->dim; i++)
			scores[t] += q[i] * r->keys[at + t * r->dim + i];
		scores[t] = exp(scores[t] / sqrt((double)r->dim));
		sum += scores[t];
	}
	for (size_t i = 0; i < r->dim; i++) {
		out[i] = 0;
		for (size_t t = 0; t < WORLD_CTX; t++)
			out[i] += scores[t] / sum * r->values[at + t * r->dim + i];
	}
}

static void reference_attention(struct reference *r, uint32_t layer, uint32_t token)
{
	size_t kv = r->kv_heads * r->dim, slot = token % WORLD_CTX;
	double qkv[QKV_MOST], mixed[D_MOST], out[D_MOST];

	norm(r->normed, r->x, part(r, layer, "attn_norm.weight"), part(r, layer, "attn_norm.bias"),
	     r->d);
	affine(qkv, part(r, layer, "attn_qkv.weight"), part(r, layer, "attn_qkv.bias"), r->normed,
	       r->d + 2 * kv, r->d);
	for (size_t h = 0; r->m->family == MODEL_FALCON && h < r->heads + r->kv_heads; h++)
		turn(qkv + h * r->dim, r->dim, (double)slot);
	for (size_t h = 0; h < r->kv_heads; h++)
		for (size_t i = 0; i < r->dim; i++) {
			size_t at = ((layer * r->kv_heads + h) * WORLD_CTX + slot) * r->dim + i;

			r->keys[at] = qkv[r->d + h * r->dim + i];
			r->values[at] = qkv[r->d + kv + h * r->dim + i];
		}
	for (size_t h = 0; h < r->heads; h++)
		reference_head(mixed + h * r->dim, r, qkv + h * r->dim,
			       (layer * r->kv_heads + h / (r->heads / r->kv_heads)) * WORLD_CTX *
				       r->dim);
	affine(out, part(r, layer, "attn_output.weight"), part(r, layer, "attn_output.bias"), mixed,
	       r->d, r->d);
	for (size_t i = 0; i < r->d; i++)
		r->x[i] += out[i];
}

/* The textbook's, not the engine's own. */
static double fired(const struct model *m, double h)
{
	switch ((enum activation)m->activation) {
	case ACT_RELU:
		break;
	case ACT_GELU:
		return h * 0.5 * erfc(-h / sqrt(2));
	case ACT_GELU_TANH:
		return h / (1 + exp(-2 * sqrt(2 / acos(-1)) * (h + 0.044715 * pow(h, 3))));
	}
	return fmax(h, 0);
}

static void reference_ffn(struct reference *r, uint32_t layer)
{
	double *down = tensor_of(r->m, r->type, REGION_DOWN, layer, "ffn_down_t.weight");
	double *bias = part(r, layer, "ffn_down.bias"), h[FFN];

	if (r->m->family == MODEL_OPT)
		norm(r->normed, r->x, part(r, layer, "ffn_norm.weight"),
		     part(r, layer, "ffn_norm.bias"), r->d);
	affine(h, tensor_of(r->m, r->type, REGION_UP, layer, "ffn_up.weight"),
	       part(r, layer, "ffn_up.bias"), r->normed, FFN, r->d);
	for (size_t i = 0; i < r->d; i++) {
		for (size_t n = 0; n < FFN; n++)
			r->x[i] += fired(r->m, h[n]) * down[n * r->d + i];
		r->x[i] += bias ? bias[i] : 0;
	}
	free(down);
	free(bias);
}

static void reference_token(struct reference *r, double *logits, const struct forward *f,
			    uint32_t token)
{
	const enum region embed = REGION_EMBED;
	double *tokens = tensor_of(r->m, r->type, embed, 0, "token_embd.weight");
	double *positions = tensor_of(r->m, r->type, embed, 0, "position_embd.weight");

	for (size_t i = 0; i < r->d; i++) {
		r->x[i] = tokens[forward_token_id(f, token) * r->d + i];
		r->x[i] += positions ? positions[(token % WORLD_CTX + 2) * r->d + i] : 0;
	}
	for (uint32_t layer = 0; layer < WORLD_LAYERS; layer++) {
		reference_attention(r, layer, token);
		reference_ffn(r, layer);
	}
	norm(r->normed, r->x, tensor_of(r->m, r->type, embed, 0, "output_norm.weight"),
	     tensor_of(r->m, r->type, embed, 0, "output_norm.bias"), r->d);
	affine(logits, tokens, NULL, r->normed, VOCAB, r->d);
	free(positions);
}

static struct reference reference_of(const struct bench *b)
{
	const struct forward *f = &b->real->forward;
	struct reference r = {
		.m = &b->model,
		.type = (enum weight_type)b->config.weights,
		.d = b->model.d_model,
		.heads = b->model.head_count,
		.kv_heads = b->model.kv_head_count,
		.dim = b->model.d_model / b->model.head_count,
	};
	size_t count = WORLD_LAYERS * r.kv_heads * WORLD_CTX * r.dim;

	r.keys = calloc(count, sizeof(*r.keys));
	r.values = calloc(count, sizeof(*r.values));
	ck_assert(r.keys && r.values);
	for (size_t i = 0; i < count; i++) {
		r.keys[i] = (double)f->keys[i];
		r.values[i] = (double)f->values[i];
	}
	return r;
}

START_TEST(a_dense_pass_gives_the_logits_of_the_formulas)
{
	char policy[256];
	struct bench_options o = {.model = tiny_model(kinds[_i].family),
				  .policy = policy,
				  .token_count = WORLD_CTX + 3};
	struct run_outcome outcome;
	struct reference r;
	struct err err = {0};
	double logits[VOCAB];
	struct bench b;

	snprintf(policy, sizeof(policy),
		 "{demand: dense, persistence: none, residency: none, weights: %s}",
		 weight_type_words[kinds[_i].weights].text);
	o.model.activation = kinds[_i].activation;
	bench_open(&b, &o);
	r = reference_of(&b);
	ck_ok(run(&outcome, &b.run, &err));
	for (uint32_t token = 0; token < o.token_count; token++)
		reference_token(&r, logits, &b.real->forward, token);
	for (size_t i = 0; i < VOCAB; i++) {
		double got = (double)b.real->forward.logits[i];

		ck_assert_msg(fabs(got - logits[i]) < 1e-4, "logit %zu: got %g, expected %g", i,
			      got, logits[i]);
	}
	free(r.keys);
	free(r.values);
	bench_close(&b);
}
END_TEST

/* What must not change a dense token's logits. */
static const struct {
	const char *policy;
	uint64_t tile_bytes;
	unsigned threads;
} same[] = {
	{"persistence: none, layout: split", 0, 1},
	{"persistence: none, layout: bundle", 0, 3},
	{"persistence: none, layout: split, dense_chunk: 4KiB", 8192, 2},
	{"persistence: none, layout: bundle, dense_chunk: 20KiB, in_flight: 1", 20480, 2},
	{"persistence: attention, layout: split", 0, 2},
	{"persistence: fraction, persist_frac: 0.5, layout: bundle", 0, 4},
	{"persistence: fraction, persist_frac: 0.3, layout: split, dense_chunk: 4KiB", 8192, 2},
	{"persistence: fraction, persist_frac: 0.97, layout: bundle, dense_chunk: 8KiB", 1, 2},
	{"persistence: fraction, persist_frac: 1, layout: split", 0, 2},
};

static void dense_logits(float *logits, int i, enum model_family family)
{
	char policy[256];
	struct bench_options o = {.model = tiny_model(family),
				  .policy = policy,
				  .tile_bytes = same[i].tile_bytes,
				  .threads = same[i].threads,
				  .token_count = LAST + 1};
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	o.model.d_model = 96; /* rows of 192 bytes: tiles of 4 KiB cut them */
	snprintf(policy, sizeof(policy), "{demand: dense, residency: none, %s}", same[i].policy);
	bench_open(&b, &o);
	ck_ok(run(&outcome, &b.run, &err));
	memcpy(logits, b.real->forward.logits, VOCAB * sizeof(*logits));
	bench_close(&b);
}

START_TEST(logits_do_not_depend_on_where_weights_come_from)
{
	enum model_family family = _i % 2 ? MODEL_FALCON : MODEL_OPT;
	float want[VOCAB], got[VOCAB];

	dense_logits(want, 0, family);
	dense_logits(got, 1 + _i / 2, family);
	for (size_t i = 0; i < VOCAB; i++)
		ck_assert_msg(fabsf(got[i] - want[i]) < 1e-4F, "%s: logit %zu: %g and %g",
			      same[1 + _i / 2].policy, i, (double)got[i], (double)want[i]);
}
END_TEST

START_TEST(the_null_engine_reads_nothing_and_counts_all)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: noisy, persistence: none, residency: window, "
					    "window: 3, read_engine: \"null\"}"};
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	bench_open(&b, &o);
	b.verify = false;
	ck_ok(run(&outcome, &b.run, &err));
	ck_assert_str_eq(outcome.decision_hash, b.needs.decision_hash);
	ck_assert_uint_gt(b.sums.read_bytes, 0);
	for (size_t i = 0; i < VOCAB; i++)
		ck_assert(isfinite(b.real->forward.logits[i]));
	ck_assert_int_eq(real_world_verify(b.real, 0, b.resident[0], &err), ENOTSUP);
	bench_close(&b);
}
END_TEST

static void other_weights(struct real_options *o, struct policy_config *config)
{
	config->weights = WEIGHT_F32;
	o->config = config;
}

static void long_context(struct real_options *o, struct policy_config *config)
{
	(void)config;
	o->ctx = 33;
}

static void engine_without_device(struct real_options *o, struct policy_config *config)
{
	config->read_engine = READ_EMULATED;
	o->config = config;
}

static void device_without_engine(struct real_options *o, struct policy_config *config)
{
	static const struct real_target target = {.name = "slow", .is_emulated = true};

	config->read_engine = READ_PREAD;
	o->config = config;
	o->target = &target;
}

static void other_geometry(struct real_options *o, struct policy_config *config)
{
	static struct model m;

	(void)config;
	m = *o->model;
	m.vocab_count++;
	o->model = &m;
}

static const struct {
	void (*spoil)(struct real_options *o, struct policy_config *config);
	const char *says;
} misfits[] = {
	{other_weights, "holds f16 weights, the policy says f32"},
	{long_context, "ctx: got 33 tokens, expected 1 to 32"},
	{engine_without_device, "the target is the disk"},
	{device_without_engine, "the target 'slow' is an emulated device"},
	{other_geometry, "vocab_count: got 128, expected 129"},
};

START_TEST(options_that_do_not_fit_are_the_users_mistake)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: dense, residency: none}"};
	struct policy_config config;
	struct real_options options;
	struct real_world *real;
	struct err err = {0};
	struct bench b;

	bench_make(&b, &o);
	config = b.config;
	options = (struct real_options){.model_dir = b.dir,
					.model = &b.model,
					.config = &b.config,
					.policy = b.policy,
					.target = &bench_disk,
					.ctx = WORLD_CTX,
					.threads = 1,
					.needs = b.needs};
	misfits[_i].spoil(&options, &config);
	ck_assert_msg(real_world_open(&real, &options, &err) == EINVAL, "code %d: %s", err.code,
		      err.msg);
	ck_assert_msg(strstr(err.msg, misfits[_i].says) != NULL, "said '%s'", err.msg);
	bench_close(&b);
}
END_TEST

START_TEST(a_step_is_computed_before_the_next_is_submitted)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: dense, residency: none}"};
	uint64_t resident[WORLD_WORDS] = {0}, ticket;
	struct step_cost cost;
	struct demand demand;
	struct err err = {0};
	struct plan plan;
	struct bench b;

	bench_open(&b, &o);
	ck_ok(plan_init(&plan, FFN, &err));
	ck_ok(world_real.token_begin(b.real, 0, &err));
	policy_demand_at(b.policy, &demand, 0, 0, STEP_ATTENTION);
	ck_ok(policy_step(b.policy, &demand, resident, &plan, &err));
	ck_ok(world_real.submit(b.real, &plan, &ticket, &err));
	ck_assert_int_eq(world_real.submit(b.real, &plan, &ticket, &err), EBUSY);
	err.code = 0;
	ck_assert_int_eq(world_real.compute(b.real, &plan, ticket + 1, &cost, &err), EINVAL);
	err.code = 0;
	ck_ok(world_real.compute(b.real, &plan, ticket, &cost, &err));
	ck_assert_int_eq(world_real.compute(b.real, &plan, ticket, &cost, &err), EINVAL);
	plan_fini(&plan);
	bench_close(&b);
}
END_TEST

START_TEST(our_count_is_held_against_the_kernels)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: dense, residency: none}"};
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	bench_open(&b, &o);
	ck_ok(run(&outcome, &b.run, &err));
	if (real_world_reconcile(b.real, &err) == 0) {
		b.real->own_bytes += 512; /* one read that nobody made */
		ck_assert_int_eq(real_world_reconcile(b.real, &err), EPROTO);
		err.code = 0;
		b.real->own_bytes -= 4 << 20; /* reads that we did not count */
		ck_assert_int_eq(real_world_reconcile(b.real, &err), EPROTO);
	} else {
		ck_assert_msg(err.code == ENOTSUP, "%s", err.msg);
	}
	bench_close(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("world");
	TCase *tcase = tcase_create("world");

	if (!host_has_direct_io())
		return 77;
	tcase_add_loop_test(tcase, a_dense_pass_gives_the_logits_of_the_formulas, 0, KINDS);
	tcase_add_loop_test(tcase, logits_do_not_depend_on_where_weights_come_from, 0,
			    2 * (sizeof(same) / sizeof(same[0]) - 1));
	tcase_add_test(tcase, the_null_engine_reads_nothing_and_counts_all);
	tcase_add_loop_test(tcase, options_that_do_not_fit_are_the_users_mistake, 0,
			    sizeof(misfits) / sizeof(misfits[0]));
	tcase_add_test(tcase, a_step_is_computed_before_the_next_is_submitted);
	tcase_add_test(tcase, our_count_is_held_against_the_kernels);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
