/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_emulated.h - a device process that serves bytes from memory and completes reads on the real clock as a slower device would
 *
 * A mechanism of its own, never the simulator's code or fitted form: addresses hash to units, so requests
 * collide; units share a bus; the controller has a request rate; reads stall and are retried at random (seeded).  It is calibrated from
 * outside like any disk.  The process is forked at reader_open(), holds the files in its own memory, and is killed with its parent. */
#ifndef FLASH_REAL_EMULATED_H
#define FLASH_REAL_EMULATED_H

#include "param.h"

struct emulated_params {
#include "param_fields.h"
#include "emulated_params.h"
#include "param_end.h"
};
extern const struct param_table emulated_table;

/* Where a real run reads from: `target:` of an experiment. */
struct real_target {
	char name[64];        /* "disk" or the emulated device's name */
	bool is_emulated;
	struct emulated_params emulated;
};

/* "disk", or a device YAML with an `emulated:` mapping. EINVAL with place. */
MUST_CHECK int real_target_read(struct real_target *target, const struct ynode *named, struct err *err);

#endif
