/* SPDX-License-Identifier: GPL-3.0-or-later */
/* residency_window_params.h - rows of residency window (see param.h) */
U64(window, DIM_COUNT, 1, 64, "5", "tokens whose demand stays in DRAM (the paper's k)")
F64(cap_frac, DIM_FRAC, 0.001, 1, "1", "most resident rows of a layer, as a share of d_ffn; the window shrinks to fit")
