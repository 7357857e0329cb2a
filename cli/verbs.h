/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs.h - every verb of the command, one line each: VERB(name, "what it does"); one file a verb (verb_<name>.c) */
VERB(run, "the sweep: one row a trial and world in DIR/results.sqlite and DIR/results.csv")
VERB(validate, "both worlds; predicted against measured per component, error table, scatter")
VERB(compare, "the comparison again from stored rows: text, JSON or Markdown")
VERB(plot, "figures again from stored rows, nothing re-run")
VERB(calibrate, "measures flash, DRAM and compute here, or an emulated device, and fits a device profile")
VERB(generate, "text from a model, with its weights on flash, and what each token cost")
VERB(score, "log-probabilities and perplexity of tokens or a text; raw logits")
VERB(bench, "the simulator's own speed")
VERB(model, "synth: a synthetic model in exact geometry; inspect: what is inside a model's files")
VERB(trace, "synth: generates an activation trace; stats: describes one")
VERB(merge, "shards of a sweep into one store")
