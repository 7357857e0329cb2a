/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernel_checks.c - hazard: a fast kernel that is a little wrong, at an odd length or address above
 * all
 *
 * Each is held against sums in double and against the portable one, within what rounding may do to
 * what is added up: n roundings of 2^-24 each, and never more than 1e-5 of it.  Rows lie at odd
 * addresses and end where their memory ends, so that a sanitizer sees one read too many. */
#include "kernel_checks.h"

#include "rng.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool off(char why[CHECK_WHY], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool off(char why[CHECK_WHY], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, CHECK_WHY, format, args);
	va_end(args);
	return false;
}

/* Memory for a test: its failure is no finding. */
static void *grab(size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (!p)
		abort();
	return p;
}

static float draw(struct rng *rng)
{
	return (float)(rng_unit(rng) * 2 - 1);
}

/* What weight_bytes() says, which would bring all of core/ along. */
static size_t weight_size(enum weight_type type)
{
	return type == WEIGHT_F32 ? 4 : 2;
}

static const struct kernels *kernels_plainest(void)
{
	unsigned i = 0;

	while (kernels_at(i + 1))
		i++;
	return kernels_at(i);
}

static const struct {
	size_t rows, n;
} shapes[] = {
	{1, 1},	   {3, 2},    {2, 7},	{5, 8},	   {4, 15},   {7, 16},	  {9, 17},
	{0, 64},   {11, 40},  {6, 61},	{13, 64},  {17, 104}, {70, 33},	  {64, 48},
	{131, 24}, {200, 13}, {8, 128}, {12, 131}, {6, 4544}, {11, 4559},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* A matrix of 'width' weights a row, and what it really holds. */
struct matrix {
	double *exact; /* [rows][width] as the type has it */
	unsigned char *memory, *bytes;
	size_t width, stride;
};

static struct matrix matrix_make(size_t rows, size_t width, enum weight_type type, struct rng *rng)
{
	/* One weight off any vector's address, and off any vector's multiple from row to row. */
	struct matrix m = {.width = width, .stride = (width + 3) * weight_size(type)};

	m.exact = grab(rows * width * sizeof(*m.exact));
	m.memory = grab(weight_size(type) + (rows ? (rows - 1) * m.stride : 0) +
			(rows ? width * weight_size(type) : 0));
	m.bytes = m.memory + weight_size(type);
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < width; i++) {
			float f = draw(rng);
			void *to = m.bytes + r * m.stride + i * weight_size(type);

			weights_narrow(to, type, &f, 1);
			weights_widen(&f, to, type, 1);
			m.exact[r * width + i] = (double)f;
		}
	return m;
}

static void matrix_free(struct matrix *m)
{
	free(m->exact);
	free(m->memory);
}

/* 'size': of all that is added up, in 'terms' steps. */
static bool near(double got, double want, double size, size_t terms)
{
	double share = ((double)terms + 8) * 0x1p-24;

	return fabs(got - want) <= (share < 1e-5 ? share : 1e-5) * size + 1e-30;
}

static bool gemv_holds(const struct kernels *k, unsigned at, char why[CHECK_WHY])
{
	enum weight_type type = (enum weight_type)(at % WEIGHT_TYPES);
	size_t rows = shapes[at / WEIGHT_TYPES].rows, n = shapes[at / WEIGHT_TYPES].n;
	struct rng rng = {at};
	struct matrix m = matrix_make(rows, n, type, &rng);
	float *memory = grab((n + 1 + 2 * (rows + 1)) * sizeof(float)), *x = memory + 1;
	float *y = x + n, *plain = y + rows + 1;
	bool good = true;

	for (size_t i = 0; i < n; i++)
		x[i] = draw(&rng);
	y[rows] = 7;
	k->gemv(y, m.bytes, type, rows, n, m.stride, x);
	kernels_plainest()->gemv(plain, m.bytes, type, rows, n, m.stride, x);
	for (size_t r = 0; good && r < rows; r++) {
		double want = 0, size = 0;

		for (size_t i = 0; i < n; i++) {
			want += m.exact[r * n + i] * (double)x[i];
			size += fabs(m.exact[r * n + i] * (double)x[i]);
		}
		good = near((double)y[r], want, size, n) &&
		       near((double)y[r], (double)plain[r], 2 * size, n);
		if (!good)
			off(why,
			    "%zu rows of %zu, type %u, row %zu: got %.9g, expected %.9g, "
			    "portable %.9g (sizes %.3g)",
			    rows, n, type, r, (double)y[r], want, (double)plain[r], size);
	}
	if (good && !(y[rows] == 7))
		good = off(why, "%zu rows of %zu, type %u: writes past the end", rows, n, type);
	matrix_free(&m);
	free(memory);
	return good;
}

/* acc += act(up . x + bias) * down over all rows, and the size of all that is added and multiplied
 * on the way. */
static void ffn_exact(double *acc, double *size, const struct matrix *m,
		      const struct ffn_rows *rows, const float *x)
{
	size_t n = rows->n;

	for (size_t k = 0; k < rows->rows; k++) {
		size_t r = rows->which ? rows->which[k] : k;
		const double *up = m->exact + r * m->width, *down = up + n;
		double h = rows->bias ? (double)rows->bias[r] : 0, of_h = fabs(h);

		for (size_t i = 0; i < n; i++) {
			h += up[i] * (double)x[i];
			of_h += fabs(up[i] * (double)x[i]);
		}
		h = activate(rows->activation, h);
		for (size_t i = 0; i < n; i++) {
			acc[i] += h * down[i];
			/* A GELU is nowhere steeper than 1.13. */
			size[i] += 1.13 * of_h * fabs(down[i]) + fabs(h * down[i]);
		}
	}
}

static bool ffn_holds(const struct kernels *k, unsigned at, char why[CHECK_WHY])
{
	enum weight_type type = (enum weight_type)(at % WEIGHT_TYPES);
	enum activation activation = (enum activation)(at / WEIGHT_TYPES % 3);
	size_t rows = shapes[at / WEIGHT_TYPES / 3].rows, n = shapes[at / WEIGHT_TYPES / 3].n;
	struct rng rng = {at + 1000};
	struct matrix m = matrix_make(rows, 2 * n, type, &rng);
	float *memory = grab((1 + 3 * n + rows) * sizeof(float)), *x = memory + 1, *acc = x + n;
	float *plain = acc + n, *bias = plain + n;
	uint32_t *which = grab(rows * sizeof(*which));
	double *want = grab(2 * n * sizeof(*want)), *size = want + n;
	const struct ffn_rows f = {
		.up = m.bytes,
		.down = m.bytes + n * weight_size(type),
		.type = type,
		.rows = at % 4 < 2 ? rows : rows / 2,
		.n = n,
		.row_stride = m.stride,
		.bias = at % 2 ? bias : NULL,
		.activation = activation,
		.which = at % 4 < 2 ? NULL : which,
	};
	bool good = true;

	for (size_t i = 0; i < n; i++) {
		x[i] = draw(&rng);
		acc[i] = plain[i] = draw(&rng);
		want[i] = (double)acc[i];
		size[i] = fabs(want[i]);
	}
	for (size_t r = 0; r < rows; r++) {
		bias[r] = draw(&rng);
		which[r] = (uint32_t)(rows - 1 - 2 * r % rows); /* half of them, the last first */
	}
	k->ffn(acc, &f, x);
	kernels_plainest()->ffn(plain, &f, x);
	ffn_exact(want, size, &m, &f, x);
	for (size_t i = 0; good && i < n; i++) {
		good = near((double)acc[i], want[i], size[i], n + rows) &&
		       near((double)acc[i], (double)plain[i], 2 * size[i], n + rows);
		if (!good)
			off(why,
			    "%zu rows of %zu, type %u, activation %u, sum %zu: got %.9g, "
			    "expected %.9g, portable %.9g (sizes %.3g)",
			    rows, n, type, activation, i, (double)acc[i], want[i], (double)plain[i],
			    size[i]);
	}
	matrix_free(&m);
	free(memory);
	free(which);
	free(want);
	return good;
}

/* Down rows of neurons that do not fire hold what no sum survives. */
static bool silence_holds(const struct kernels *k, unsigned at, char why[CHECK_WHY])
{
	enum weight_type type = (enum weight_type)(at % WEIGHT_TYPES);
	unsigned quarters = at / WEIGHT_TYPES; /* of the neurons fire */
	enum { ROWS = 150, N = 40 };
	struct rng rng = {at + 2000};
	struct matrix m = matrix_make(ROWS, 2 * N, type, &rng);
	float x[N], acc[N] = {0}, bias[ROWS], nan = NAN;
	double want[N] = {0};
	const struct ffn_rows f = {
		.up = m.bytes,
		.down = m.bytes + N * weight_size(type),
		.type = type,
		.rows = ROWS,
		.n = N,
		.row_stride = m.stride,
		.bias = bias,
		.activation = ACT_RELU,
	};
	bool good = true;

	for (size_t i = 0; i < N; i++)
		x[i] = draw(&rng);
	for (size_t r = 0; r < ROWS; r++) {
		bool fires = rng_unit(&rng) < quarters / 4.0;

		bias[r] = fires ? 100 : -100;
		for (size_t i = 0; i < N; i++)
			if (!fires)
				weights_narrow(m.bytes + r * m.stride + (N + i) * weight_size(type),
					       type, &nan, 1);
		for (size_t i = 0; fires && i < N; i++) {
			double h = 100;

			for (size_t j = 0; j < N; j++)
				h += m.exact[r * 2 * N + j] * (double)x[j];
			want[i] += h * m.exact[r * 2 * N + N + i];
		}
	}
	k->ffn(acc, &f, x);
	for (size_t i = 0; good && i < N; i++)
		if (!near((double)acc[i], want[i], 150.0 * ROWS, ROWS))
			good = off(why, "type %u, %u of 4 fire, sum %zu: got %.9g, expected %.9g",
				   type, quarters, i, (double)acc[i], want[i]);
	matrix_free(&m);
	return good;
}

static const struct {
	size_t ctx, dim, stride;
} heads[] = {{1, 16, 16},     {5, 14, 20}, {8, 64, 64}, {37, 64, 256},
	     {384, 128, 128}, {3, 6, 6},   {67, 80, 80}};
enum { HEADS = sizeof(heads) / sizeof(heads[0]), CTX_MOST = 384, DIM_MOST = 128 };

static void attend_exact(double *out, const float *q, const float *k, unsigned at)
{
	size_t ctx = heads[at].ctx, dim = heads[at].dim, stride = heads[at].stride;
	const float *v = k + ctx * stride;
	double score[CTX_MOST], most = -1e300, sum = 0;

	for (size_t t = 0; t < ctx; t++) {
		score[t] = 0;
		for (size_t i = 0; i < dim; i++)
			score[t] += (double)q[i] * (double)k[t * stride + i];
		score[t] /= sqrt((double)dim);
		most = score[t] > most ? score[t] : most;
	}
	for (size_t t = 0; t < ctx; t++)
		sum += exp(score[t] - most);
	for (size_t i = 0; i < dim; i++) {
		out[i] = 0;
		for (size_t t = 0; t < ctx; t++)
			out[i] += exp(score[t] - most) / sum * (double)v[t * stride + i];
	}
}

static bool attention_holds(const struct kernels *kernels, unsigned at, char why[CHECK_WHY])
{
	size_t ctx = heads[at].ctx, dim = heads[at].dim, stride = heads[at].stride;
	struct rng rng = {at + 3000};
	float *k = grab(ctx * stride * 2 * sizeof(*k)), *v = k + ctx * stride;
	float q[DIM_MOST] = {0}, out[DIM_MOST] = {0}, scores[CTX_MOST];
	double want[DIM_MOST] = {0};
	bool good = true;

	for (size_t i = 0; i < ctx * stride; i++) {
		k[i] = 4 * draw(&rng);
		v[i] = draw(&rng);
	}
	for (size_t i = 0; i < dim; i++)
		q[i] = 4 * draw(&rng);
	kernels->attend(out, q, k, v, ctx, dim, stride, scores);
	attend_exact(want, q, k, at);
	for (size_t i = 0; good && i < dim; i++)
		if (!(fabs((double)out[i] - want[i]) <= 2e-5))
			good = off(why, "%zu tokens of %zu: sum %zu: got %.9g, expected %.9g", ctx,
				   dim, i, (double)out[i], want[i]);
	free(k);
	return good;
}

static bool reading_holds(const struct kernels *k, unsigned at, char why[CHECK_WHY])
{
	static const size_t counts[] = {0, 1, 255, 256, 4096 + 37, 300000, 1 << 20};
	size_t count = counts[at];
	unsigned char *bytes = grab(count);
	uint32_t first = k->read(bytes, count), changed;
	bool good = first == 0;

	/* A change of any byte shows. */
	for (size_t i = 0; good && i < count; i += 1 + count / 97) {
		bytes[i] = 0x5a;
		changed = k->read(bytes, count);
		good = changed == UINT32_C(0x5a) << (i % 4 * 8);
		bytes[i] = 0;
		if (!good)
			off(why, "%zu bytes: byte %zu set: got %08x", count, i, changed);
	}
	if (first != 0)
		off(why, "%zu zeros: got %08x", count, first);
	free(bytes);
	return good;
}

const struct kernel_check kernel_checks[] = {
	{"gemv is every row times x", SHAPES *WEIGHT_TYPES, gemv_holds},
	{"an ffn adds every neuron once", SHAPES *WEIGHT_TYPES * 3, ffn_holds},
	{"a neuron that does not fire is not read on", 5 * WEIGHT_TYPES, silence_holds},
	{"attention is a softmax over the whole context", HEADS, attention_holds},
	{"reading reads every byte", 7, reading_holds},
};
_Static_assert(sizeof(kernel_checks) / sizeof(kernel_checks[0]) == KERNEL_CHECKS, "all counted");
