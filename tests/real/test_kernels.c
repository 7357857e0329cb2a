/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_kernels.c - hazard: a fast kernel that is a little wrong, at an odd length above all
 *
 * Each kernel is held against sums in double, with an error bound in terms of what is added up. */
#define _GNU_SOURCE
#include "real_kernels.h"
#include "rng.h"
#include "tiny.h"

#include <float.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { ROWS_MAX = 11, N_MAX = 4544, PAD = 24 };

static const struct kernels *const all[] = {
	&kernels_portable,
#if defined(__x86_64__)
	&kernels_avx2,
#endif
};
enum { KERNELS = sizeof(all) / sizeof(all[0]) };

static const struct {
	size_t rows, n;
} shapes[] = {{1, 8}, {2, 16}, {3, 24}, {4, 40}, {5, 64}, {7, 104}, {8, 128}, {11, 4544}, {0, 64}};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* One matrix, and what it really holds. */
struct matrix {
	double *exact; /* [rows][2 n] as the type has it */
	unsigned char *bytes;
	size_t stride; /* bytes */
};

static float draw(struct rng *rng)
{
	return (float)(rng_unit(rng) * 2 - 1);
}

static struct matrix matrix_make(size_t rows, size_t width, enum weight_type type, struct rng *rng)
{
	struct matrix m = {.stride = width * weight_bytes(type) + PAD};

	m.exact = calloc(rows * width + 1, sizeof(*m.exact));
	m.bytes = calloc(rows + 1, m.stride);
	ck_assert(m.exact && m.bytes);
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < width; i++) {
			float f = draw(rng);
			void *to = m.bytes + r * m.stride + i * weight_bytes(type);

			weights_narrow(to, type, &f, 1);
			weights_widen(&f, to, type, 1);
			m.exact[r * width + i] = (double)f;
		}
	return m;
}

static void matrix_free(struct matrix *m)
{
	free(m->exact);
	free(m->bytes);
}

static const struct kernels *kernels_of(int i)
{
	const struct kernels *k = all[i % KERNELS];

	/* The best kernels are the ones that this machine can run. */
	return k == &kernels_portable ? k : kernels_best();
}

static void near(float got, double want, double size, const char *what)
{
	ck_assert_msg(fabs((double)got - want) <= 1e-5 * size + 1e-12,
		      "%s: got %.9g, expected %.9g (sum of sizes %.3g)", what, (double)got, want,
		      size);
}

START_TEST(gemv_is_every_row_times_x)
{
	const struct kernels *k = kernels_of(_i);
	enum weight_type type = (enum weight_type)(_i / KERNELS % WEIGHT_TYPES);
	size_t rows = shapes[_i / KERNELS / WEIGHT_TYPES].rows;
	size_t n = shapes[_i / KERNELS / WEIGHT_TYPES].n;
	struct rng rng = {(uint64_t)_i};
	struct matrix m = matrix_make(rows, n, type, &rng);
	float x[N_MAX], y[ROWS_MAX + 1];

	for (size_t i = 0; i < n; i++)
		x[i] = draw(&rng);
	y[rows] = 7;
	k->gemv(y, m.bytes, type, rows, n, m.stride, x);
	for (size_t r = 0; r < rows; r++) {
		double want = 0, size = 0;

		for (size_t i = 0; i < n; i++) {
			want += m.exact[r * n + i] * (double)x[i];
			size += fabs(m.exact[r * n + i] * (double)x[i]);
		}
		near(y[r], want, size, k->name);
	}
	ck_assert_float_eq(y[rows], 7); /* nothing past the end */
	matrix_free(&m);
}
END_TEST

/* acc += act(up . x + bias) * down over all rows, and the size of what is added. */
static void ffn_exact(double *acc, double *size, const struct matrix *m,
		      const struct ffn_rows *rows, const float *x)
{
	size_t n = rows->n;

	for (size_t r = 0; r < rows->rows; r++) {
		double h = rows->bias ? (double)rows->bias[r] : 0;

		for (size_t i = 0; i < n; i++)
			h += m->exact[r * 2 * n + i] * (double)x[i];
		h = activate(rows->activation, h);
		for (size_t i = 0; i < n; i++) {
			acc[i] += h * m->exact[r * 2 * n + n + i];
			size[i] += fabs(h * m->exact[r * 2 * n + n + i]) + 1;
		}
	}
}

START_TEST(ffn_adds_every_neuron_once)
{
	const struct kernels *k = kernels_of(_i);
	enum weight_type type = (enum weight_type)(_i / KERNELS % WEIGHT_TYPES);
	size_t rows = shapes[_i / KERNELS / WEIGHT_TYPES].rows;
	size_t n = shapes[_i / KERNELS / WEIGHT_TYPES].n;
	struct rng rng = {(uint64_t)_i + 100};
	struct matrix m = matrix_make(rows, 2 * n, type, &rng);
	float *x = calloc(N_MAX * 2, sizeof(*x)), *acc = x + N_MAX;
	double *want = calloc(N_MAX * 2, sizeof(*want)), *size = want + N_MAX;
	float bias[ROWS_MAX];
	const struct ffn_rows all_rows = {
		.up = m.bytes,
		.down = m.bytes + n * weight_bytes(type),
		.type = type,
		.rows = rows,
		.n = n,
		.row_stride = m.stride,
		.bias = _i % 4 ? bias : NULL,
		.activation = (enum activation)(_i % 3),
	};

	ck_assert(x && want);
	for (size_t i = 0; i < n; i++) {
		x[i] = draw(&rng);
		acc[i] = draw(&rng);
		want[i] = (double)acc[i];
		size[i] = 1;
	}
	for (size_t r = 0; r < rows; r++)
		bias[r] = draw(&rng);
	k->ffn(acc, &all_rows, x);
	ffn_exact(want, size, &m, &all_rows, x);
	for (size_t i = 0; i < n; i++)
		near(acc[i], want[i], size[i], k->name);
	matrix_free(&m);
	free(x);
	free(want);
}
END_TEST

static const struct {
	size_t ctx, dim, stride;
} heads[] = {{1, 16, 16}, {5, 14, 20}, {8, 64, 64}, {37, 64, 256}, {384, 128, 128}, {3, 6, 6}};
enum { HEADS = sizeof(heads) / sizeof(heads[0]) };

START_TEST(attention_is_a_softmax_over_the_whole_context)
{
	const struct kernels *kern = kernels_of(_i);
	size_t ctx = heads[_i / KERNELS].ctx, dim = heads[_i / KERNELS].dim;
	size_t stride = heads[_i / KERNELS].stride;
	struct rng rng = {(uint64_t)_i + 200};
	float *k = calloc(ctx * stride * 2, sizeof(*k)), *v = k + ctx * stride;
	float q[128], out[128], scores[384];
	double exact[384], most = -1e300, sum = 0;

	ck_assert_ptr_nonnull(k);
	for (size_t i = 0; i < ctx * stride; i++) {
		k[i] = 4 * draw(&rng);
		v[i] = draw(&rng);
	}
	for (size_t i = 0; i < dim; i++)
		q[i] = 4 * draw(&rng);
	kern->attend(out, q, k, v, ctx, dim, stride, scores);
	for (size_t t = 0; t < ctx; t++) {
		exact[t] = 0;
		for (size_t i = 0; i < dim; i++)
			exact[t] += (double)q[i] * (double)k[t * stride + i];
		exact[t] /= sqrt((double)dim);
		most = exact[t] > most ? exact[t] : most;
	}
	for (size_t t = 0; t < ctx; t++)
		sum += exp(exact[t] - most);
	for (size_t i = 0; i < dim; i++) {
		double want = 0;

		for (size_t t = 0; t < ctx; t++)
			want += exp(exact[t] - most) / sum * (double)v[t * stride + i];
		near(out[i], want, 2, kern->name);
	}
	free(k);
}
END_TEST

START_TEST(every_half_goes_there_and_back)
{
	for (uint32_t h = 0; h < 65536; h++) {
		bool nan = (h & 0x7fff) > 0x7c00;
		float f = f16_to_f32((uint16_t)h);

		if (nan)
			ck_assert(isnan(f) && isnan(f16_to_f32(f32_to_f16(f))));
		else
			ck_assert_uint_eq(f32_to_f16(f), h);
	}
}
END_TEST

static const struct {
	const char *why;
	float f;
	uint16_t h;
} rounded[] = {
	{"a tie goes to the even one below", 1 + 0x1p-11F, 0x3c00},
	{"a tie goes to the even one above", 1 + 3 * 0x1p-11F, 0x3c02},
	{"above a tie goes up", 1 + 0x1p-11F + 0x1p-20F, 0x3c01},
	{"the largest", 65504, 0x7bff},
	{"just below infinity", 65519, 0x7bff},
	{"just infinity", 65520, 0x7c00},
	{"far above", 1e30F, 0x7c00},
	{"the smallest normal", 0x1p-14F, 0x0400},
	{"the smallest", 0x1p-24F, 0x0001},
	{"half of the smallest ties to zero", 0x1p-25F, 0x0000},
	{"a little more does not", 0x1.01p-25F, 0x0001},
	{"a subnormal tie", 3 * 0x1p-25F, 0x0002},
	{"rounding up into the normals", 0x1.fffp-15F, 0x0400},
	{"minus zero", -0.0F, 0x8000},
	{"minus one", -1, 0xbc00},
};

START_TEST(floats_round_to_the_nearest_half)
{
	ck_assert_msg(f32_to_f16(rounded[_i].f) == rounded[_i].h, "%s: %a gave %04x, expected %04x",
		      rounded[_i].why, (double)rounded[_i].f, f32_to_f16(rounded[_i].f),
		      rounded[_i].h);
}
END_TEST

struct tally {
	atomic_uint calls, threads_seen;
};

static void count_call(void *arg, unsigned thread, unsigned threads)
{
	struct tally *tally = arg;

	ck_assert_uint_lt(thread, threads);
	atomic_fetch_add(&tally->calls, 1);
	atomic_fetch_or(&tally->threads_seen, 1U << thread);
}

START_TEST(a_pool_runs_each_thread_once_and_waits)
{
	unsigned threads = (unsigned)_i + 1;
	struct err err = {0};
	struct pool *pool;

	ck_ok(pool_open(&pool, threads, &err));
	ck_assert_uint_eq(pool_threads(pool), threads);
	for (int round = 0; round < 300; round++) {
		struct tally tally = {0};

		pool_run(pool, count_call, &tally);
		ck_assert_uint_eq(tally.calls, threads);
		ck_assert_uint_eq(tally.threads_seen, (1U << threads) - 1);
		if (round % 100 == 50) /* asleep by now */
			nanosleep(&(const struct timespec){0, 2000000}, NULL);
	}
	pool_close(pool);
}
END_TEST

START_TEST(a_roused_pool_works_on_and_a_resting_one_too)
{
	struct err err = {0};
	struct pool *pool;

	ck_ok(pool_open(&pool, 3, &err));
	for (int round = 0; round < 30; round++) {
		struct tally tally = {0};

		if (round % 3 == 0)
			pool_rouse(pool);
		if (round % 3 == 2)
			pool_rest(pool);
		if (round % 5 == 0) /* longer than anybody stays awake */
			nanosleep(&(const struct timespec){0, 4000000}, NULL);
		pool_run(pool, count_call, &tally);
		ck_assert_uint_eq(tally.calls, 3);
	}
	pool_close(pool);
}
END_TEST

struct places {
	atomic_uint cores[2];
};

static void note_core(void *arg, unsigned thread, unsigned threads)
{
	struct places *places = arg;

	(void)threads;
	atomic_store(&places->cores[thread], (unsigned)sched_getcpu());
}

START_TEST(a_pinned_pool_keeps_to_cores_of_its_own_until_it_lets_go)
{
	struct err err = {0};
	struct pool *pool;
	struct places places = {0};
	cpu_set_t before, during, after;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	ck_ok(pool_open(&pool, 2, &err));
	pool_pin(pool);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(during), &during), 0);
	pool_run(pool, note_core, &places);
	if (CPU_COUNT(&before) >= 2) {
		ck_assert_int_eq(CPU_COUNT(&during), 1);
		ck_assert_uint_ne(places.cores[0], places.cores[1]);
		ck_assert(CPU_ISSET(places.cores[1], &before));
	} else {
		ck_assert(CPU_EQUAL(&before, &during));
	}
	if (_i == 0)
		pool_unpin(pool);
	else
		pool_close(pool);
	ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
	ck_assert(CPU_EQUAL(&before, &after));
	if (_i == 0)
		pool_close(pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernels");
	TCase *tcase = tcase_create("kernels");

	tcase_add_loop_test(tcase, gemv_is_every_row_times_x, 0, SHAPES * WEIGHT_TYPES * KERNELS);
	tcase_add_loop_test(tcase, ffn_adds_every_neuron_once, 0, SHAPES * WEIGHT_TYPES * KERNELS);
	tcase_add_loop_test(tcase, attention_is_a_softmax_over_the_whole_context, 0,
			    HEADS * KERNELS);
	tcase_add_test(tcase, every_half_goes_there_and_back);
	tcase_add_loop_test(tcase, floats_round_to_the_nearest_half, 0,
			    sizeof(rounded) / sizeof(rounded[0]));
	tcase_add_loop_test(tcase, a_pool_runs_each_thread_once_and_waits, 0, 5);
	tcase_add_test(tcase, a_roused_pool_works_on_and_a_resting_one_too);
	tcase_add_loop_test(tcase, a_pinned_pool_keeps_to_cores_of_its_own_until_it_lets_go, 0, 2);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
