/* SPDX-License-Identifier: GPL-3.0-or-later */
/* experiment_params.h - rows of an experiment YAML beside its parts (model, device, policy, target, worlds, sweep, figures) */
STR(experiment, NULL, "name of the experiment")
STR(about, "", "one sentence")
U64(ctx, DIM_COUNT, 1, 1048576, "384", "context length that attention sees, tokens")
U64(tokens, DIM_COUNT, 1, 1000000, "256", "tokens measured, after the warm-up")
U64(warmup, DIM_COUNT, 0, 100000, "16", "tokens run before measuring")
U64(seed, DIM_COUNT, 0, 9007199254740992.0, "7",
    "master seed: trace, replayed tokens, emulated stalls")
U64(repeats, DIM_COUNT, 1, 1000, "5",
    "real: measurements of a trial, interleaved with those of the others; 10 to be judged")
U64W(visits, DIM_COUNT, 1, 1000, visits_words, "each",
     "real: rounds that the repeats are spread over; those of one round share what was opened, "
     "with an emptied store")
U64W(threads, DIM_COUNT, 1, 1024, threads_words, "all",
     "compute threads; sim: of a profile that knows what other numbers do (calibrate, full); all: "
     "of the host, and as the profile was measured")
WORD(sim_level, sim_level_words, "closed",
     "sim: how reads from flash are told: in closed form, or each by itself")
WORD(sim_units, sim_units_words, "round-robin",
     "sim_level events: which of the device's parallel units a read goes to")
STR(model_files, "",
    "real: folder that `model synth` made (its <weights>/ subfolder when there is one)")
STR(trace, "", "trace file; empty: generated from the model's activity")
