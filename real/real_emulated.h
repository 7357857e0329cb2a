/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_emulated.h - a device process that serves bytes from memory and completes reads on the real clock as a slower device would
 *
 * A mechanism of its own, never the simulator's code or fitted form: addresses hash to units, so requests
 * collide; units share a bus; the controller has a request rate; reads stall and are retried at random (seeded).  It is calibrated from
 * outside like any disk.  The process is forked at reader_open(), maps the files into its own memory (locked where it may), and
 * is killed with its parent: more exactly, with the *thread* that opened the reader, so that thread must outlive it.
 * A setting whose peak of bytes or reads a second this host cannot serve is refused there, ENOTSUP with both figures.
 * Open readers before the large allocations of a run: memory that stands at the fork is shared copy-on-write, and the engine's
 * first write to each page of it then costs a page fault. */
#ifndef FLASH_REAL_EMULATED_H
#define FLASH_REAL_EMULATED_H

#include "param.h"
#include "throttle.h"

/* clang-format off */
struct emulated_params {
#include "param_fields.h"
#include "emulated_params.h"
#include "param_end.h"
};
/* clang-format on */
extern const struct param_table emulated_table;

/* Where a real run reads from: `target:` of an experiment. */
struct real_target {
	char name[64];        /* "disk" or the device's own name */
	bool is_emulated, is_throttled; /* neither: the disk as it is */
	struct emulated_params emulated;
	struct throttle_params throttle;
};

/* "disk", or a device YAML with an `emulated:` or a `throttle:` mapping. EINVAL with place. */
MUST_CHECK int real_target_read(struct real_target *target, const struct ynode *named, struct err *err);

/* How exact a reader's emulated device has been so far: data is copied ahead of the time at which the mechanism says that a
 * read completes; a read is late when it was copied after it. */
struct emulated_lateness {
	uint64_t read_count;
	uint64_t late_count, late_ns_max, late_ns_sum;
	uint64_t batch_intended_ns; /* of the last batch: service time by the mechanism alone */
};
struct reader;
struct emulated_lateness emulated_lateness(const struct reader *reader);
/* When request i of the last batch completes by the mechanism, since its submission; i is one that reader_progress() or
 * reader_wait() has told of. */
uint64_t emulated_due_ns(const struct reader *reader, size_t i);

#endif
