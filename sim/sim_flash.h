/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_flash.h - how long a plan's reads take: three levels of detail behind one interface
 *
 * What one read of b bytes costs is the profile's at every level (flash.h): alone R(b,1), of it the
 * bottleneck's D(b), and 1/X(b,n) in the steady state of n in flight.
 *
 * closed     (flash_closed.c) the batch in closed form; batches one after the other.
 * recursion  (flash_recursion.c) every read, over P parallel units and one shared bus, each free
 *            again at a known time; batches one after the other.
 * events     (flash_events.c, event_device.h) the same device as a heap of events, where batches share it, a read's
 *            unit may depend on its address, and reads may overtake each other.
 *
 * P is the fewest units that never limit: the largest R/D of any size.  So all levels agree for one
 * read, for a saturated device and for one outstanding read, recursion and events for any batch of
 * one size; between them the closed form's knee rounds off what is there a corner
 * (tests/sim/test_levels.c). */
#ifndef FLASH_SIM_FLASH_H
#define FLASH_SIM_FLASH_H

#include "event_device.h"
#include "flash.h"
#include "sim_walk.h"
#include "timeline.h"

enum sim_level { SIM_CLOSED, SIM_RECURSION, SIM_EVENTS };
extern const struct param_word sim_level_words[];

/* What one read of a size costs. */
struct sim_read_cost {
	uint64_t bytes;
	double alone_ns;      /* R(b,1) */
	double bottleneck_ns; /* D(b) */
	double interval_ns;   /* 1/X(b,n) */
};

struct sim_flash_options {
	const struct flash_params *params; /* these outlive the flash */
	struct timeline *timeline;	   /* of the reads; NULL: nowhere */
	unsigned in_flight;		   /* reads outstanding at most, > 0 */
	enum sim_level level;
	enum sim_units units; /* level events */
	bool beside_kernels;  /* kernels run while reads are in flight (overlap pipeline) */
};

/* A plan's reads from submission to the last completion.  Zeroed before its first use; its memory is
 * kept from one plan to the next. */
struct sim_reads {
	const struct plan *plan; /* must stay until the reads are finished */
	double submit_ns;	 /* when they may begin */
	double begin_ns;	 /* when the device took them up */
	double end_ns;		 /* last completion; = begin_ns without reads */
	uint64_t count, bytes;	 /* completed */
	/* Asked for: when read i and all before it were complete, [count]. */
	bool wants_arrivals;
	double *arrived_ns; /* owned: sim_reads_fini() */
	size_t arrived_room;
	/* Level events: */
	struct sim_flash *flash;
	double factor;
	struct event_batch batch;
	struct sim_walk walk; /* what is not issued yet */
};
void sim_reads_fini(struct sim_reads *reads);
/* The clock goes back by 'ns' while they are under way. */
void sim_reads_rebase(struct sim_reads *reads, double ns);

enum { SIM_FLASH_SIZES = 512 };

struct sim_flash {
	const struct sim_flash_ops *ops;
	struct sim_flash_options options;
	unsigned unit_count; /* P */
	double free_ns;	     /* when the last batch submitted ends (closed, recursion) */
	void *state;	     /* the level's; owned */
	/* Costs of sizes seen lately, by size: a plan's are few, and pow() is slow. */
	struct sim_read_cost sizes[SIM_FLASH_SIZES];
};

/* One file a level.  All but submit may be NULL: nothing to do. */
struct sim_flash_ops {
	const char *name;
	int (*open)(struct sim_flash *flash, struct err *err);
	void (*close)(struct sim_flash *flash);
	/* Take the reads in; those that need no more are finished here. */
	int (*submit)(struct sim_flash *flash, struct sim_reads *reads, struct err *err);
	/* Go on until they are complete. */
	int (*finish)(struct sim_flash *flash, struct sim_reads *reads, struct err *err);
	/* All times move back. */
	void (*rebase)(struct sim_flash *flash, double ns);
	/* EPROTO when the books do not close. */
	int (*check)(const struct sim_flash *flash, struct err *err);
};
extern const struct sim_flash_ops sim_flash_closed, sim_flash_recursion, sim_flash_events;

MUST_CHECK int sim_flash_open(struct sim_flash *flash, const struct sim_flash_options *options,
			      struct err *err);
void sim_flash_close(struct sim_flash *flash);

/* Submit a plan's reads at 'now_ns'; sim_flash_finish() completes them, in any order of batches.
 * Where 'wants_arrivals' was set, arrived_ns is filled. */
MUST_CHECK int sim_flash_submit(struct sim_flash *flash, struct sim_reads *reads,
				const struct plan *plan, double now_ns, struct err *err);
MUST_CHECK int sim_flash_finish(struct sim_flash *flash, struct sim_reads *reads, struct err *err);
/* The clock goes back by 'ns', for a new token. */
void sim_flash_rebase(struct sim_flash *flash, double ns);
/* Little's law, and as many bytes out as in, over all that went through.  EPROTO with both figures. */
MUST_CHECK int sim_flash_check(const struct sim_flash *flash, struct err *err);

/* For the levels: what a batch's every time is multiplied by (flash_batch_factor(), flash_computing_factor()). */
double sim_flash_factor(const struct sim_flash *flash, double read_count, double read_bytes);
const struct sim_read_cost *sim_flash_cost(struct sim_flash *flash, uint64_t bytes);
void sim_flash_span(const struct sim_flash *flash, const struct plan *plan, double begin_ns,
		    double end_ns, uint64_t bytes);
/* Room for arrivals of 'count' reads. */
MUST_CHECK int sim_reads_room(struct sim_reads *reads, uint64_t count, struct err *err);

/* Time from a batch's submission to its last completion, on an idle device, in closed form. 0 reads:
 * 0 ns.  For one size it is flash_batch_ns().  Of several sizes b, N_b reads each and N in all,
 *	batch_ns + max (R(b,1) - D(b)) + sum N_b D(b)        one ramp, every read's bottleneck
 *	+ (min(N,n) - 1) crowd_ns                              the first round's
 *	+ (N - n) (1 + (n-1)/2N) sum N_b/N (1/X(b,n) - D(b))   where N > n: what latency costs beyond it
 * times the factor of N reads of their mean size. */
double sim_flash_closed_ns(struct sim_flash *flash, const struct read_class *classes,
			   unsigned class_count);

/* The recursion, read by read: start, then the reads in order, then the time of the last completion
 * since the start (0 when there was none).  Read i
 *	starts    when read i-n has completed and its unit (i mod P) is free; then
 *	occupies  the unit for U(b) = R(b,1) - D(b), and the unit with its data waits for the bus; then
 *	occupies  the bus for D(b), requests and bytes both being a cost of the one path to the host, and
 *	          for crowd_ns more in the first round but one;
 * all times the batch's factor. */
struct sim_recursion {
	struct sim_flash *flash;
	struct sim_read_cost cost;
	unsigned unit, slot;
	double factor;
	uint64_t index; /* of the next read */
	double bus_free_ns;
	double started_ns; /* of the last read */
};
/* The first read may begin at 'begin_ns'. */
void sim_recursion_start(struct sim_recursion *at, struct sim_flash *flash, double begin_ns,
			 double factor);
void sim_recursion_read(struct sim_recursion *at, uint64_t bytes, uint64_t count);

#endif
