/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param_test_params.h - a row of every kind, for test_param.c (see param.h) */
U64(read_lat_ns, DIM_TIME, 1, 1e9, "80us", "one 4 KiB random read, queue depth 1")
U64(seed, DIM_COUNT, 0, 18446744073709551615.0, "7", "of the trial")
U64W(chunk, DIM_BYTES, 4096, 1048576, chunk_words, "row", "request size")
F64(bw_bytes_per_s, DIM_BANDWIDTH, 1, 1e12, NULL, "large sequential reads")
F64(bias, DIM_NONE, -10, 10, "-0.5", "of the fit, a | b")
F64(hot_frac, DIM_FRAC, 0, 1, "20%", "share of hot neurons")
WORD(layout, layout_words, "bundle", "how a neuron lies on flash")
BOOL(tied, "true", "the head is the embedding matrix")
STR(about, "", "one sentence")
