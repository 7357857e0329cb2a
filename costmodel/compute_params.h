/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compute_params.h - rows of a device profile's `compute:` (forms: compute.h) */
F64(gemv_f32_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL,
    "matrix times vector, f32 weights read (attention, head)")
F64(gemv_f16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, f16 weights")
F64(gemv_bf16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, bf16 weights")
F64(ffn_f32_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "FFN over resident rows, f32 weights read")
F64(ffn_f16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, f16 weights")
F64(ffn_bf16_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL, "the same, bf16 weights")
F64(kv_bytes_per_s, DIM_BANDWIDTH, 1e6, 1e14, NULL,
    "attention over the KV cache, f32 elements read")
F64(flops_per_s, DIM_FLOPS, 1e6, 1e16, NULL, "arithmetic cap of every kernel")
F64(attention_ns, DIM_TIME, 0, 1e9, "0ns",
    "fixed cost of one layer's attention step: norms, softmax, thread hand-off")
F64(ffn_ns, DIM_TIME, 0, 1e9, "0ns", "fixed cost of one layer's FFN step")
F64(head_ns, DIM_TIME, 0, 1e9, "0ns", "fixed cost of the head step and of the token around it")
F64(group_ns, DIM_TIME, 0, 1e9, "0ns",
    "pipeline: fixed cost of each group of arrived rows beyond a step's first")
F64(reading_slowdown, DIM_NONE, 1, 10, "1",
    "how many times as long kernels take while reads are in flight")
F64(dense_slowdown, DIM_NONE, 0, 10, "0",
    "how many times as long a row takes in a dense FFN step, which no cache holds, as in a sparse "
    "one; 0: not measured, as long")
F64(spread_frac, DIM_FRAC, 0, 10, "0",
    "tail: standard deviation of a step's arithmetic, as a share (tail.h)")
F64(hiccup_rate_per_s, DIM_RATE, 0, 1e9, "0/s",
    "tail: how often in a second of arithmetic something holds it up")
F64(hiccup_ns, DIM_TIME, 0, 1e10, "0ns",
    "tail: for how long, on average (exponential); means hold it already")
U64(threads, DIM_COUNT, 1, 4096, "1", "compute threads that these figures were measured with")
F64(thread_bytes_per_s, DIM_BANDWIDTH, 0, 1e14, "0B/s",
    "what a thread would read at with memory to itself (plain f16 product); 0: not measured, "
    "nothing is known of other numbers of threads")
F64(threads_bytes_per_s, DIM_BANDWIDTH, 0, 1e14, "0B/s", "what many threads together tend to")
F64(threads_knee, DIM_NONE, 0.5, 64, "4",
    "how sharply the one turns into the other (saturation.h); large is a roofline")
