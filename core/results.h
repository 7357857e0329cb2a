/* SPDX-License-Identifier: GPL-3.0-or-later */
/* results.h - result rows and the store that keeps them
 *
 * DIR/results.sqlite, tables `results` (id, then result_columns.h; unique on trial_hash, world),
 * `tokens` (result_id, then one line a measured token, and a layer on request) and `columns` (of,
 * name, help: what each number means).  One row with its tokens is one transaction: a killed sweep
 * loses no row and has none twice.  Several processes may write one store (30 s of patience, then
 * EBUSY); a handle belongs to one thread at a time and must not be carried over a fork(). */
#ifndef FLASH_RESULTS_H
#define FLASH_RESULTS_H

#include "digest.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESULT_TEXT = 256 };
#define COL_NONE UINT64_MAX

struct result_row {
#define COL_TEXT(name, help) char name[RESULT_TEXT];
#define COL_U64(name, help)  uint64_t name;
#define COL_F64(name, help)  double name;
#include "result_columns.h"
#undef COL_TEXT
#undef COL_U64
#undef COL_F64
};

enum column_type { COLUMN_TEXT, COLUMN_U64, COLUMN_F64 };
struct result_column {
	const char *name;
	enum column_type type;
	size_t offset;
	const char *help;
};
extern const struct result_column result_columns[];
extern const size_t result_column_count;
const struct result_column *result_column_find(const char *name); /* or NULL */

/* Every text empty, every number absent. */
void result_row_init(struct result_row *row);
/* The value as CSV writes it: shortest text that reads back exactly, "" when absent. Returns
 * 'text'. */
char *result_text(char *text, size_t size, const struct result_row *row,
		  const struct result_column *column);
/* As a double; NaN when absent or text. */
double result_number(const struct result_row *row, const struct result_column *column);

/* One line of table `tokens`. layer -1: the whole token. */
struct result_token {
	uint32_t repeat, token;
	int32_t layer;
	uint64_t read_count, read_bytes, moved_bytes;
	uint32_t demand_neurons, load_neurons, resident_neurons;
	uint64_t io_ns, io_wait_ns, mem_ns, compute_ns, total_ns;
};

struct results;

/* Open DIR/results.sqlite; makes DIR and the tables when missing.  A store that may not be written
 * opens for reading.  An older or foreign schema is EINVAL. */
MUST_CHECK int results_open(struct results **out, const char *dir, struct err *err);
void results_close(struct results *results); /* NULL is fine */

/* Whether there is a row of at least 'repeats' measurements (0 = of any number) with these weights
 * (NULL: whatever they were).  False as well when that cannot be told: the trial runs again and
 * replaces its row. */
bool results_have(struct results *results, const char *trial_hash, const char *world,
		  uint64_t repeats, const char *weights_digest);
/* Insert or replace one row (it stands last then) and its tokens in one transaction, durable on
 * return. trial_hash and world may not be empty, numbers not above 2^63-1 (EINVAL), tokens not
 * there twice. ENOSPC and EIO lose only this row. */
MUST_CHECK int results_put(struct results *results, const struct result_row *row,
			   const struct result_token *tokens, size_t token_count, struct err *err);
/* All rows in insertion order; *rows is the caller's to free(). */
MUST_CHECK int results_all(struct results *results, struct result_row **rows, size_t *count,
			   struct err *err);
/* The tokens of one row in order (repeat, token, layer), none when there is no such row; *tokens is
 * the caller's to free(). */
MUST_CHECK int results_tokens(struct results *results, const char *trial_hash, const char *world,
			      struct result_token **tokens, size_t *count, struct err *err);
/* Write DIR/results.csv anew (temp, fsync, rename): RFC 4180 quoting, lines ended by LF. */
MUST_CHECK int results_export_csv(struct results *results, const char *dir, struct err *err);
/* Take in every row of another store, all or none; one that stands here already with equal
 * trial_hash and world stays.  ENOENT when there is no other store. */
MUST_CHECK int results_merge(struct results *results, const char *other_dir, struct err *err);

#endif
