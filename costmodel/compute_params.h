/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compute_params.h - rows of a device profile's `compute:` (forms: compute.h) */
F64(gemv_f32_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "matrix times vector, f32 weights read (attention, head)")
F64(gemv_f16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, f16 weights")
F64(gemv_bf16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, bf16 weights")
F64(ffn_f32_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "FFN over resident rows, f32 weights read")
F64(ffn_f16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, f16 weights")
F64(ffn_bf16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, bf16 weights")
F64(kv_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "attention over the KV cache, f32 elements read")
F64(flops_per_s, DIM_FLOPS, 1e6, 1e16, NULL, "arithmetic cap of every kernel")
F64(attention_ns, DIM_TIME, 0, 1e9, "0ns", "fixed cost of one layer's attention step: norms, softmax, thread hand-off")
F64(ffn_ns, DIM_TIME, 0, 1e9, "0ns", "fixed cost of one layer's FFN step")
F64(head_ns, DIM_TIME, 0, 1e9, "0ns", "fixed cost of the head step and of the token around it")
U64(threads, DIM_COUNT, 1, 4096, "1", "compute threads that these figures were measured with")
