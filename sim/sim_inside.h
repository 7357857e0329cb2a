/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_inside.h - what the files of the simulated world share: its state, its clock, what a step's
 * store work and arithmetic cost */
#ifndef FLASH_SIM_INSIDE_H
#define FLASH_SIM_INSIDE_H

#include "dram.h"
#include "rng.h"
#include "sim_flash.h"
#include "sim_world.h"

enum { TICKETS = 64 }; /* most batches submitted and not yet computed */

struct sim_batch {
	uint64_t ticket;
	bool open;
	struct sim_reads reads;
	struct step_cost cost; /* so far: of what was done before the reads */
};

/* Draws of what the token at hand takes beyond its forecast. */
struct sim_tail {
	struct rng rng;
	double *extra_ns; /* [draws]; owned */
	unsigned draws;
};

struct sim_world {
	struct sim_options options;
	enum weight_type weights;
	uint64_t row_bytes; /* of one neuron in the store, unpadded */
	struct sim_flash flash;
	double now_ns; /* since token_begin() */
	uint64_t ticket_next;
	struct sim_batch batches[TICKETS];
	struct sim_tail tail;
	size_t words;
	uint64_t *newest; /* [layer][words]: rows that the layer's last step loaded */
};

/* Move the clock; returns the whole nanoseconds that it passed, which are what is booked, so that
 * the parts of a token sum to its total exactly. */
uint64_t sim_clock_to(struct sim_world *sim, double at_ns);

/* What the clock passes at: a part of one step, for the timeline. */
struct sim_part {
	const struct plan *plan;
	enum timeline_track track;
	uint64_t bytes;
};
/* Wait until 'at_ns', or not at all when that is past. */
uint64_t sim_wait(struct sim_world *sim, double at_ns, const struct plan *plan);
uint64_t sim_work(struct sim_world *sim, double end_ns, const struct sim_part *part);

/* ---- sim_steps.c ---- */

/* What a sparse step asks of its layer's store before any row comes, and for 'rows' that come when
 * 'before' are there. */
struct store_work sim_store_begin(const struct sim_world *sim, const struct plan *plan);
struct store_work sim_store_append(const struct sim_world *sim, const struct plan *plan,
				   uint64_t before, uint64_t rows);
/* Booked as memory management from now on to 'end_ns'. */
void sim_store_work(struct sim_world *sim, const struct plan *plan, const struct store_work *work,
		    double end_ns, struct step_cost *cost);
/* Reads go straight to their rows, so that these are chosen before the reads begin. */
bool sim_store_is_direct(const struct sim_world *sim, const struct plan *plan);
/* The layer's newest rows are this plan's loads now. */
void sim_store_note(struct sim_world *sim, const struct plan *plan);

/* Arithmetic of a whole step; and without its fixed cost, of so many FFN rows, and of the bytes [from,
 * to) of a region of 'total'. */
double sim_arithmetic_ns(const struct sim_world *sim, const struct plan *plan);
uint64_t sim_ffn_rows(const struct sim_world *sim, const struct plan *plan);
double sim_rows_ns(const struct sim_world *sim, const struct plan *plan, uint64_t rows);
double sim_region_ns(const struct sim_world *sim, const struct plan *plan, uint64_t from,
		     uint64_t to, uint64_t total);

/* ---- sim_pipeline.c ---- */

/* The rest of a step whose reads are known, overlapped; adds to 'cost'. */
void sim_pipeline(struct sim_world *sim, const struct plan *plan, const struct sim_reads *reads,
		  struct step_cost *cost);

/* ---- sim_tail.c ---- */

/* A step as it went. */
struct sim_step {
	const struct device *device;
	const struct sim_reads *reads;
	double end_ns, compute_ns;
	bool waited; /* for its reads */
};
MUST_CHECK int sim_tail_open(struct sim_tail *tail, const struct sim_options *options,
			     struct err *err);
void sim_tail_close(struct sim_tail *tail);
void sim_tail_begin(struct sim_tail *tail);
void sim_tail_step(struct sim_tail *tail, const struct sim_step *step);

#endif
