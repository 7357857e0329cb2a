/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_probe.h - measures flash, copies and kernels of this host; raw points only, fits are calibrate's (experiments/)
 *
 * Each probe uses the engine's own code: the read engines, the store, the kernels. */
#ifndef FLASH_REAL_PROBE_H
#define FLASH_REAL_PROBE_H

#include "real_emulated.h"
#include "mechanism.h"
#include "real_model.h"

/* One flash point: batches of 'read_count' random reads. */
struct probe_flash_point {
	uint64_t read_bytes;
	unsigned in_flight;
	uint64_t read_count;
	double batch_ns;      /* median over batches: first submission to last completion as the caller sees it */
	double batch_sd_ns;   /* robust spread of batches (1.4826 MAD) */
	bool polluted;        /* foreign traffic was seen during every try */
};

struct probe_flash_options {
	const char *model_dir;           /* its FFN file is what is read: what is measured is what calibration read */
	const struct layout_ops *layout;
	const struct real_target *target;
	const uint64_t *sizes;           /* request sizes, multiples of the alignment */
	unsigned size_count;
	const unsigned *in_flight;
	unsigned in_flight_count;
	double seconds_per_point;        /* time to spend on a point, all passes together */
	unsigned passes;                 /* interleaved over the whole grid, in random order */
	uint64_t seed;
	int (*progress)(void *arg, double done);
	void *progress_arg;
};
/* Fill points[size_count * in_flight_count * 2]: each pair once as a long batch (steady state) and once as a short one
 * (a layer's misses, 4 x in_flight reads at least); *count says how many. */
MUST_CHECK int probe_flash(struct probe_flash_point *points, size_t *count,
			   const struct probe_flash_options *options, struct err *err);

/* One timed piece of work: x units of work (rows or bytes, as named) took ns (median of repeats). */
struct probe_point {
	double rows, bytes, ns, sd_ns;
};
enum probe_work {
	PROBE_APPEND,    /* store inserts from read buffers: rows, bytes */
	PROBE_DELETE,    /* store deletes with holes filled: rows moved, bytes */
	PROBE_DECIDE,    /* policy step of the window: rows = neurons of the layer */
	PROBE_GEMV,      /* attention matrices times vector: bytes of weights */
	PROBE_FFN,       /* FFN over rows: rows, bytes */
	PROBE_KV,        /* attention over the KV cache: bytes */
	PROBE_HEAD,      /* head: bytes */
	PROBE__COUNT
};
const char *probe_work_name(enum probe_work work);

struct probe_host_options {
	const struct model *model;
	enum weight_type weights;
	enum store_kind store;
	unsigned threads;
	double seconds; /* budget, all works together */
	uint64_t seed;
};
enum { PROBE_POINTS = 16 };
struct probe_host {
	struct probe_point points[PROBE__COUNT][PROBE_POINTS];
	unsigned count[PROBE__COUNT];
	double step_ns[3]; /* fixed cost by step_kind that is not in the works above: harness and thread hand-off */
};
MUST_CHECK int probe_host(struct probe_host *host, const struct probe_host_options *options, struct err *err);

/* Foreign traffic: bytes that others read or wrote on the device under 'path', and CPU time stolen, between two looks. */
struct traffic {
	uint64_t disk_bytes;   /* of the block device, all processes (/proc/diskstats) */
	uint64_t own_bytes;    /* of this process (/proc/self/io) */
	uint64_t steal_ticks, total_ticks; /* /proc/stat */
	bool known;            /* false: no such device or files here */
};
void traffic_look(struct traffic *traffic, const char *path);
/* Foreign disk bytes between two looks as a share of our own (at least 1 MiB counts as own); steal share in *steal_frac. */
double traffic_foreign_frac(const struct traffic *before, const struct traffic *after, double *steal_frac);

/* "CPU model, kernel release" of this host, for provenance. Returns 'text'. */
char *host_name(char *text, size_t size);
/* Peak resident bytes of this process so far (0 = unknown). */
uint64_t host_peak_bytes(void);

#endif
