/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trial_books.h - what both worlds' runs of a trial share: token lines from books, and what DRAM
 * holds */
#ifndef FLASH_TRIAL_BOOKS_H
#define FLASH_TRIAL_BOOKS_H

#include "run.h"
#include "trial.h"

/* Collects one run; book() of run_options with this as its argument. */
struct trial_books {
	struct token_list *list;
	uint32_t repeat;
	double dropped_bytes, resident_neurons; /* sums over the measured tokens */
	uint64_t measured;
};
int trial_books_take(void *arg, uint32_t token, int32_t layer, const struct books *books);

/* Put what the run's outcome and books say into the row: decision_hash, dram_weights_bytes,
 * resident_frac, dropped_bytes_per_token. */
void trial_books_put(struct result_row *row, const struct trial_books *books,
		     const struct trial *trial, const struct run_outcome *outcome);

/* KV cache for run.ctx tokens: f32 keys and values. */
uint64_t trial_kv_bytes(const struct trial *trial);
/* Cores of this host, or what the trial says. */
unsigned trial_threads(const struct trial *trial);
/* The profile's compute figures as the trial asks for them: with its threads, where it names a number and the profile
 * knows what that does. */
struct compute_params trial_sim_compute(const struct trial *trial);

#endif
