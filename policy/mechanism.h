/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mechanism.h - the mechanisms that a policy YAML names; each has one file in sim/ and one in real/
 *
 * Decisions (demand, persistence, residency, layout) are tables of functions in this folder;
 * mechanisms are only names here, since what they do differs by world. */
#ifndef FLASH_MECHANISM_H
#define FLASH_MECHANISM_H

#include "param.h"

enum read_engine { READ_AUTO, READ_PREAD, READ_IO_URING, READ_MMAP, READ_EMULATED, READ_NULL };
enum store_kind { STORE_REALLOC, STORE_COMPACT, STORE_FILL_HOLE };
enum overlap_kind { OVERLAP_NONE, OVERLAP_PIPELINE };
enum decode_kind { DECODE_PLAIN };
enum coalesce_kind { COALESCE_NONE, COALESCE_GAP };
enum { COALESCE_GAP_AUTO = 0, COALESCE_GAP_NONE = 1 }; /* 1 B: shorter than any slot */
enum compute_rows { COMPUTE_RESIDENT, COMPUTE_DEMANDED };
enum { CHUNK_ROW = 0 }; /* one row (split) or bundle a request */
/* Overlap pipeline: arriving bytes are used in groups of at least this many (the last group is what is left), so that
 * handing a group to the compute threads costs little beside computing it. */
enum { PIPELINE_GROUP_BYTES = 512 * 1024 };

extern const struct param_word read_engine_words[], store_words[], overlap_words[], decode_words[],
	coalesce_words[], coalesce_gap_words[], compute_rows_words[], chunk_words[];

#endif
