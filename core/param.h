/* SPDX-License-Identifier: GPL-3.0-or-later */
/* param.h - a parameter is one row, declared once
 *
 * A `*_params.h` file holds rows such as
 *
 *	U64(read_lat_ns, DIM_TIME, 1, 1e9, "80us", "one 4 KiB random read, queue depth 1")
 *	F64(bw_bytes_per_s, DIM_BANDWIDTH, 1, 1e12, NULL, "large sequential reads")
 *	WORD(layout, layout_words, "bundle", "how a neuron's row and column lie on flash")
 *	BOOL(tied, "true", "the head is the embedding matrix")
 *	STR(about, "", "one sentence")
 *
 *	U64W(chunk, DIM_BYTES, 4096, 1 << 20, chunk_words, "row", "a word stands for its index")
 *
 * (name, [dimension, min, max | words,] default as a scalar's text or NULL = required, help) and is
 * read twice: between param_fields.h and param_end.h it becomes the members of a struct (uint64_t,
 * double, unsigned, bool, char[PARAM_STR]); between param_rows.h and param_end.h, with PARAM_OWNER
 * defined as the struct, it becomes the rows of a table for strict reading, writing and help.
 *
 *	struct dram_params {                    static const struct param rows[] = {
 *	#include "param_fields.h"               #define PARAM_OWNER dram_params
 *	#include "dram_params.h"                #include "param_rows.h"
 *	#include "param_end.h"                  #include "dram_params.h"
 *	};                                      #include "param_end.h"
 *	                                        };
 */
#ifndef FLASH_PARAM_H
#define FLASH_PARAM_H

#include "units.h"
#include "yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PARAM_STR = 256 };

enum param_type { PARAM_U64, PARAM_F64, PARAM_WORD, PARAM_BOOL, PARAM_TEXT };

/* The words of an enum: text and help by value, ended by a NULL text. "off" is a named value. */
struct param_word {
	const char *text;
	const char *help;
};

struct param {
	const char *name;
	enum param_type type;
	enum dim dim;
	size_t offset;
	double min, max;
	const struct param_word *words; /* WORD: the values; U64W: beside numbers, word i for i < min */
	const char *dflt; /* a scalar's text; NULL = must be given */
	const char *help;
};

/* One table; a mapping may be read by several at once, each with its own struct. */
struct param_table {
	const char *name; /* "policy", "device.flash", ... as in docs/config.md */
	const char *about;
	const struct param *rows;
	size_t count;
};

struct param_dest {
	const struct param_table *table;
	void *to;
};

/* Fill each dest from 'map' (NULL = an empty mapping): defaults for what is absent, strict for what
 * is there.  Every key of 'map' must be a row of one of the tables or stand in 'also' (NULL-ended
 * names of keys that the caller reads itself; may be NULL).  A number in quotes is text, and
 * refused. Whole numbers in plain digits keep all 64 bits.  EINVAL messages:
 *	f.yaml:3:14: read_lat_ns: 0 is outside [1, 1e+09] ns
 *	f.yaml:3:14: read_lat_ns: '80MB' is bytes, wanted a time
 *	f.yaml:3:1: unknown key read_lat_us (did you mean read_lat_ns?)
 *	f.yaml:1:1: device.flash: read_lat_ns is missing (a time: one 4 KiB ...)
 *	f.yaml:2:9: layout: 'bundel' is none of split, bundle (did you mean bundle?) */
MUST_CHECK int param_read(const struct param_dest *dests, size_t count, const struct ynode *map,
			  const char *const *also, struct err *err);

/* A new map node with every row of the table, as param_read() reads it back.  NULL: no memory. */
struct ynode *param_write(const struct param_table *table, const void *from);
/* Add the rows to a map that stands. */
MUST_CHECK int param_write_into(struct ynode *map, const struct param_table *table,
				const void *from, struct err *err);

/* The value of one row as text (unit_format or the word). Returns 'text'. */
char *param_text(char *text, size_t size, const struct param *row, const void *from);
const struct param *param_find(const struct param_table *table, const char *name); /* or NULL */

/* A table's own rows: names, helps and words are there and unique, min <= max, and min, max and
 * default pass the row's own reading.  EINVAL names the row.  Every table stands in a test that
 * calls this. */
MUST_CHECK int param_table_check(const struct param_table *table, struct err *err);

/* A Markdown section: heading, about, one row a parameter; for --help-config, docs/config.md. */
void param_help(const struct param_table *table, FILE *out);

/* The nearest of 'count' names to 'got' by edit distance (a swap of neighbours is one edit), or
 * NULL when none is near (at most a third of its length, at least 1 allowed).  For every "did you
 * mean". */
const char *near_name(const char *got, const char *const *names, size_t count);

/* A word's value by its text; -1 when unknown. */
int word_value(const struct param_word *words, const char *text);

#endif
