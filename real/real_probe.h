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

/* One flash point: batches of 'read_count' random reads. */
struct probe_flash_point {
	uint64_t read_bytes;
	unsigned in_flight;
	uint64_t read_count;
	double batch_ns; /* median over batches: first submission to last completion as the caller
			    sees it */
	double batch_sd_ns; /* robust spread of batches (1.4826 MAD) */
	bool polluted;	    /* foreign traffic was seen during every try */
};

struct probe_flash_options {
	const char *model_dir; /* its FFN file is what is read: what is measured is what calibration
				  read */
	const struct layout_ops *layout;
	const struct real_target *target;
	enum read_engine engine; /* of the disk; READ_AUTO: what a run would take */
	const uint64_t *sizes;	 /* request sizes, multiples of the alignment */
	unsigned size_count;
	const unsigned *in_flight;
	unsigned in_flight_count;
	double seconds_per_point; /* time to spend on a point, all passes together */
	unsigned passes;	  /* interleaved over the whole grid, in random order */
	uint64_t seed;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
/* Fill points[size_count * in_flight_count * 2]: each pair once as a long batch (steady state) and
 * once as a short one (a layer's misses, 4 x in_flight reads at least); *count says how many. */
MUST_CHECK int probe_flash(struct probe_flash_point *points, size_t *count,
			   const struct probe_flash_options *options, struct err *err);

/* What steps of one kind cost in the engine itself, means over tokens (trimmed): flash excluded. */
struct probe_step {
	enum step_kind kind;
	bool dense; /* FFN: every row streamed through */
	uint64_t ctx;
	uint64_t rows;		  /* FFN: rows multiplied */
	uint64_t loaded, evicted; /* FFN: rows that entered and left the store */
	uint64_t moved_bytes;	  /* of it, copied inside DRAM: appends and filled holes */
	double mem_ns, compute_ns;
	double mem_sd_ns, compute_sd_ns; /* robust spread over tokens (1.4826 MAD) */
	unsigned samples;
};

struct probe_host_options {
	const char *model_dir;
	const struct real_target *target;
	enum store_kind store;
	unsigned threads;
	double seconds; /* budget */
	uint64_t seed;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
enum { PROBE_STEPS = 64 };
struct probe_host {
	struct probe_step steps[PROBE_STEPS];
	unsigned count;
	/* A plain matrix-vector product over more memory than any cache holds: time a byte, by enum
	 * weight_type. */
	double gemv_s_per_byte[WEIGHT_TYPES];
	/* How fast the host read memory between the visits (host_pace.h): the median, and the spread
	 * around it as a share. */
	double pace_bytes_per_s, pace_spread_frac;
};
/* Runs the engine (real_world.h) on made demands of different sizes and reuse, with two contexts
 * and one dense run; every cost is what the engine books, so that a forecast lacks nothing that the
 * engine pays. */
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

/* "CPU model, kernel release" of this host, for provenance. Returns 'text'. */
char *host_name(char *text, size_t size);
/* Peak resident bytes of this process since the last reset, or since it began where the kernel
 * resets nothing (0 = unknown). */
void host_peak_reset(void);
uint64_t host_peak_bytes(void);
uint64_t host_resident_bytes(void); /* now */

#endif
