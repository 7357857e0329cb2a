/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compute.c - roofline compute of one token */
#include "compute.h"

#include "saturation.h"

#include <math.h>

void compute_set_threads(struct compute_params *compute, uint64_t threads)
{
	const double params[SATURATION_PARAMS] = {
		compute->thread_bytes_per_s, compute->threads_bytes_per_s, compute->threads_knee};
	double gain;

	if (!(compute->thread_bytes_per_s > 0 && compute->threads_bytes_per_s > 0))
		return;
	gain = saturation_rate(params, (double)threads) /
	       saturation_rate(params, (double)compute->threads);
	compute->gemv_f32_bytes_per_s *= gain;
	compute->gemv_f16_bytes_per_s *= gain;
	compute->gemv_bf16_bytes_per_s *= gain;
	compute->ffn_f32_bytes_per_s *= gain;
	compute->ffn_f16_bytes_per_s *= gain;
	compute->ffn_bf16_bytes_per_s *= gain;
	compute->kv_bytes_per_s *= gain;
	compute->flops_per_s *= (double)threads / (double)compute->threads;
	compute->threads = threads;
}

/* One kernel: as slow as the slower of its memory traffic and its arithmetic. */
static double kernel_ns(const struct compute_params *compute, double bytes, double bytes_per_s,
			double flops)
{
	return fmax(bytes / bytes_per_s, flops / compute->flops_per_s) * 1e9;
}

/* Matrix times vector: each weight is read once, multiplied and added. */
static double gemv_ns(const struct compute_params *compute, enum weight_type weights,
		      double weight_count)
{
	const double bytes_per_s[WEIGHT_TYPES] = {
		[WEIGHT_F32] = compute->gemv_f32_bytes_per_s,
		[WEIGHT_F16] = compute->gemv_f16_bytes_per_s,
		[WEIGHT_BF16] = compute->gemv_bf16_bytes_per_s,
	};

	return kernel_ns(compute, weight_count * weight_bytes(weights), bytes_per_s[weights],
			 2 * weight_count);
}

static double kv_width(const struct model *model)
{
	return (double)model->d_model / (double)model->head_count * (double)model->kv_head_count;
}

double compute_attention_bytes(const struct model *model, enum weight_type weights)
{
	double d_model = (double)model->d_model;

	return (2 * d_model * d_model + 2 * d_model * kv_width(model)) * weight_bytes(weights);
}

double compute_kv_bytes(const struct model *model, uint64_t ctx)
{
	return (double)ctx * 2 * kv_width(model) * 4;
}

double compute_attention_ns(const struct compute_params *compute, const struct model *model,
			    enum weight_type weights, uint64_t ctx)
{
	double matrices = compute_attention_bytes(model, weights) / weight_bytes(weights);
	/* Every query head passes over the keys and the values, shared or not. */
	double cache_flops = 2 * (double)ctx * 2 * (double)model->d_model;

	return gemv_ns(compute, weights, matrices) +
	       kernel_ns(compute, compute_kv_bytes(model, ctx), compute->kv_bytes_per_s,
			 cache_flops) +
	       compute->attention_ns;
}

double compute_ffn_ns(const struct compute_params *compute, const struct model *model,
		      enum weight_type weights, uint64_t rows)
{
	double weight_count = (double)rows * 2 * (double)model->d_model;
	const double bytes_per_s[WEIGHT_TYPES] = {
		[WEIGHT_F32] = compute->ffn_f32_bytes_per_s,
		[WEIGHT_F16] = compute->ffn_f16_bytes_per_s,
		[WEIGHT_BF16] = compute->ffn_bf16_bytes_per_s,
	};

	return kernel_ns(compute, weight_count * weight_bytes(weights), bytes_per_s[weights],
			 2 * weight_count) +
	       compute->ffn_ns;
}

double compute_dense_ffn_ns(const struct compute_params *compute, const struct model *model,
			    enum weight_type weights, uint64_t rows)
{
	double ns = compute_ffn_ns(compute, model, weights, rows);
	double slowdown = compute->dense_slowdown > 0 ? compute->dense_slowdown : 1;

	return compute->ffn_ns + slowdown * (ns - compute->ffn_ns);
}

double compute_head_ns(const struct compute_params *compute, const struct model *model,
		       enum weight_type weights)
{
	return gemv_ns(compute, weights, (double)model->vocab_count * (double)model->d_model) +
	       compute->head_ns;
}
