/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_probe.h - measures flash, copies and kernels of this host; raw points only, fits are
 * calibrate's (experiments/)
 *
 * Each probe uses the engine's own code: the read engines, the store, the kernels. */
#ifndef FLASH_REAL_PROBE_H
#define FLASH_REAL_PROBE_H

#include "mechanism.h"
#include "plan.h"
#include "real_emulated.h"
#include "real_model.h"

/* What the flash sweep reads: the FFN rows of a model's layers, where the engine would read them. */
struct probe_file {
	const char *path;
	uint64_t base_bytes;	     /* where the first layer's rows begin */
	uint64_t layer_bytes;	     /* of rows, in each layer */
	uint64_t layer_stride_bytes; /* from layer to layer */
	uint64_t row_bytes;	     /* of one row as it lies there, padded */
	unsigned layer_count;
};

/* What is to be measured: reads of one size, so many in flight. */
struct probe_cell {
	uint64_t read_bytes;
	unsigned in_flight;
	/* 0: the steady state.  Else batches of so many reads, spread over one layer: a layer's misses.
	 */
	uint64_t read_count;
	unsigned share; /* visits in each pass, 0 = 1: how much of the time it is worth */
};

/* One cell's outcome.  'ns' is that of a read in the steady state (time between completions), or of
 * a batch: first submission to last completion as the caller sees it; the drift of the sweep is
 * taken out. */
struct probe_point {
	struct probe_cell cell;
	double mean_ns, error_ns;      /* mean, and its standard error */
	double spread_ns;	       /* robust standard deviation of one sample (1.4826 MAD) */
	double p50_ns, p95_ns, p99_ns; /* of samples */
	unsigned visits, samples;
	double *sample_ns; /* ascending */
	bool settled;	   /* the mean's 95 % interval is within what was asked for */
	bool polluted; /* foreign traffic, stolen time or a late device in every try: no clean sample */
};

struct probe_flash_options {
	struct probe_file file;
	const struct real_target *target;
	enum read_engine engine; /* of the disk; READ_AUTO: what a run would take */
	const struct probe_cell *cells;
	unsigned cell_count;
	unsigned pivot;	      /* index of the cell that is measured again every ten visits */
	double seconds;	      /* in all; each cell gets two visits at least */
	double interval_frac; /* a cell is done when its mean is known within this; 0 = 3 % */
	uint64_t seed;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
struct probe_flash {
	struct probe_point *points; /* in the order of the cells */
	unsigned count;
	double drift_frac; /* of the pivot between visits, beyond its own noise; taken out */
	unsigned visits, pivot_visits, polluted_visits;
};
/* Cells in random order, pass after pass, until all are settled or the time is over.  EINVAL for a
 * size that the file or its alignment does not take. */
MUST_CHECK int probe_flash(struct probe_flash *flash, const struct probe_flash_options *options,
			   struct err *err);
void probe_flash_free(struct probe_flash *flash);

/* What steps of one kind cost in the engine itself, means over tokens (trimmed): flash excluded. */
struct probe_step {
	enum step_kind kind;
	bool dense; /* FFN: every row streamed through */
	enum store_kind store;
	bool pipelined;	      /* with overlap pipeline: beside the step's own reads */
	uint64_t group_bytes; /* pipelined: of a group */
	uint64_t ctx;
	uint64_t rows;		  /* FFN: rows multiplied */
	uint64_t loaded, evicted; /* FFN: rows that entered and left the store */
	uint64_t moved_bytes;	  /* of it, copied inside DRAM: appends and filled holes */
	double mem_ns, compute_ns;
	double io_ns, io_wait_ns;
	double mem_sd_ns, compute_sd_ns; /* robust spread over tokens (1.4826 MAD) */
	unsigned samples;
};

/* How unsteady the engine's arithmetic was, over all steps of all patterns without overlap. */
struct probe_jitter {
	double spread_frac; /* robust standard deviation of a step, as a share of its median */
	double hiccup_rate_per_s; /* steps that took much longer: how often in a second of arithmetic */
	double hiccup_ns;	  /* and by how much, on average */
};

struct probe_host_options {
	const char *model_dir;
	const struct real_target *target;
	unsigned threads;
	/* 0, or: plain products with 1 to so many threads (thread_rates). */
	unsigned threads_most;
	size_t memory_bytes; /* of plain products; 0: more than any cache holds (tests: less) */
	bool coarse;	     /* half of the patterns, and once where the budget lets no more */
	double seconds;	     /* budget */
	uint64_t seed;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
enum { PROBE_STEPS = 64, PROBE_THREADS = 256, PROBE_ROUNDS = 5 };
struct probe_host {
	struct probe_step steps[PROBE_STEPS];
	unsigned count;
	struct probe_jitter jitter;
	/* A plain matrix-vector product over more memory than any cache holds: time a byte, by enum
	 * weight_type. */
	double gemv_s_per_byte[WEIGHT_TYPES];
	/* Bytes a second of it in f16 with 1, 2, ... threads, and of one copy a thread (bytes copied),
	 * in rounds through all numbers of threads. */
	double thread_rates[PROBE_THREADS][PROBE_ROUNDS], copy_rates[PROBE_THREADS][PROBE_ROUNDS];
	unsigned thread_count;
	/* How fast the host read memory between the visits (host_pace.h): the median, and the spread
	 * around it as a share. */
	double pace_bytes_per_s, pace_spread_frac;
};
/* Runs the engine (real_world.h) on made demands of different sizes and reuse, with two contexts
 * and one dense run, and with overlap pipeline in groups of two sizes; every cost is what the engine
 * books, so that a forecast lacks nothing that the engine pays. */
MUST_CHECK int probe_host(struct probe_host *host, const struct probe_host_options *options,
			  struct err *err);

/* Foreign traffic: bytes that others read or wrote on the device under 'path', and CPU time stolen,
 * between two looks. */
struct traffic {
	uint64_t disk_bytes; /* of the block device, all processes (/proc/diskstats) */
	uint64_t own_bytes;  /* of this process (/proc/self/io) */
	uint64_t steal_ticks, total_ticks; /* /proc/stat */
	bool known;			   /* false: no such device or files here */
};
void traffic_look(struct traffic *traffic, const char *path);
/* Foreign disk bytes between two looks as a share of our own (at least 1 MiB counts as own); steal
 * share in *steal_frac. */
double traffic_foreign_frac(const struct traffic *before, const struct traffic *after,
			    double *steal_frac);

/* Whether the host took more than a twentieth of all processor time away between two looks; a time too short for its
 * clock (40 ticks over all processors) says nothing, and no. */
bool traffic_is_stolen(const struct traffic *before, const struct traffic *after);

/* What the kernel reads ahead on the disk under 'path'; 128 KiB, its default, where it does not say. */
uint64_t host_read_ahead_bytes(const char *path);

/* "CPU model, kernel release" of this host, for provenance. Returns 'text'. */
char *host_name(char *text, size_t size);
/* Peak resident bytes of this process since the last reset, or since it began where the kernel
 * resets nothing (0 = unknown). */
void host_peak_reset(void);
uint64_t host_peak_bytes(void);
uint64_t host_resident_bytes(void); /* now */

#endif
