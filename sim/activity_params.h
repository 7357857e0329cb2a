/* SPDX-License-Identifier: GPL-3.0-or-later */
/* activity_params.h - rows of a model YAML's `activity:`: what the trace generator must reproduce
 *
 * Shares are of a layer's neurons, averaged over layers unless a layer is named.  "Demanded" is the
 * noisy demand with the fn_frac and fp_frac given here (a predictor's); sources: docs/traces.md. */
F64(active_frac, DIM_FRAC, 1e-4, 0.5, NULL, "truly active (ReLU fires), mean over layers")
F64(active_first_frac, DIM_FRAC, 1e-4, 0.9, NULL, "the same in the first layer")
F64(active_last_frac, DIM_FRAC, 1e-4, 0.9, NULL, "the same in the last layer")
F64(fn_frac, DIM_FRAC, 0, 0.5, "0.05", "predictor: truly active neurons missed")
F64(fp_frac, DIM_FRAC, 0, 0.5, "0.07", "predictor: truly inactive neurons asked for")
U64(window_tokens, DIM_COUNT, 2, 64, NULL, "k at which the next two are given")
F64(resident_frac, DIM_FRAC, 1e-3, 0.99, NULL, "s_agg(k): distinct neurons demanded by k successive tokens")
F64(new_frac, DIM_FRAC, 1e-5, 0.5, NULL, "s_agg(k+1) - s_agg(k): neurons that a further token adds")
F64(overlap_frac, DIM_FRAC, 0, 0.99, NULL, "share of a token's demanded neurons that the token before demanded too")
F64(hot_frac, DIM_FRAC, 0.01, 0.79, NULL, "share of neurons that give 80 % of all demands over a long run")
