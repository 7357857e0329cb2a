/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mechanism.c - the words of the mechanisms, with their help */
#include "mechanism.h"

const struct param_word read_engine_words[] = {
	[READ_AUTO] = {"auto", "what the place to run names: emulated for an emulated device, else "
			       "io_uring, or pread where there is none"},
	[READ_PREAD] = {"pread", "a pool of threads that read past the page cache (O_DIRECT)"},
	[READ_IO_URING] = {"io_uring",
			   "one thread and the kernel's rings, past the page cache (O_DIRECT)"},
	[READ_MMAP] = {"mmap",
		       "mapped files through the page cache: what people use; limit it by a "
		       "memory cgroup"},
	[READ_EMULATED] =
		{"emulated",
		 "a device process that serves bytes from memory as a slower device would"},
	[READ_NULL] = {"null",
		       "completes every read at once and brings nothing: measures the harness"},
	{0},
};

const struct param_word store_words[] = {
	[STORE_REALLOC] =
		{"realloc",
		 "every step a new matrix and a copy of what stays (the paper's strawman)"},
	[STORE_COMPACT] = {"compact",
			   "the last row moves into the hole, loads are appended (the paper's)"},
	[STORE_FILL_HOLE] = {"fill-hole",
			     "loads are read straight into the holes, then behind the last row"},
	{0},
};

const struct param_word overlap_words[] = {
	[OVERLAP_NONE] = {"none", "reads first, then memory, then arithmetic"},
	[OVERLAP_PIPELINE] = {"pipeline",
			      "rows that stay are computed while a step's reads are in flight, the "
			      "others as they arrive"},
	{0},
};

const struct param_word decode_words[] = {
	[DECODE_PLAIN] = {"plain", "one token a pass"},
	{0},
};

const struct param_word coalesce_words[] = {
	[COALESCE_NONE] = {"none", "every slot is a read of its own"},
	[COALESCE_GAP] = {"gap",
			  "neighbours are one read; a gap of at most coalesce_gap between two is "
			  "read with them and dropped"},
	{0},
};

const struct param_word coalesce_gap_words[] = {
	[COALESCE_GAP_AUTO] =
		{"auto",
		 "where one longer read is not slower than two, by the trial's device profile"},
	[COALESCE_GAP_NONE] = {"none", "neighbours only"},
	{0},
};

const struct param_word compute_rows_words[] = {
	[COMPUTE_RESIDENT] = {"resident",
			      "every row in DRAM, whether asked for or not (the paper)"},
	[COMPUTE_DEMANDED] = {"demanded", "the demanded rows only"},
	{0},
};

const struct param_word chunk_words[] = {
	[CHUNK_ROW] = {"row", "one row (split) or one bundle a request"},
	{0},
};
