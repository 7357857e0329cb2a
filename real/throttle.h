/* SPDX-License-Identifier: GPL-3.0-or-later */
/* throttle.h - the kernel's own limit on what this process reads from a disk (cgroup blkio or io)
 *
 * A real disk below its speed and so below its noise: the second kind of controlled device beside the
 * emulated one.  The process is put into a cgroup of its own, below (version 1) or beside (version 2)
 * the one that it is in, with the limits set for the disks of the files that it will read; several
 * readers may hold the same limits at once, and the last to leave puts the process back.  What a
 * killed run left behind the next one removes.
 *
 * Worth it for streams alone.  The kernel lets pass at once what the limit allows in its time slice (20 ms
 * where the disk says that it does not rotate, else 100 ms), and then holds everything back until the limit
 * is met: at 100 MB/s of a disk that does 370, streams were within 1 to 5 % of the limit, but of batches of
 * 1 MiB one after another most took 2 ms, as without a limit, and each fifth or so 50 to 75; after pauses none
 * was held back.  Per-token latency below a slice's worth of reads is therefore the disk's, not the limit's. */
#ifndef FLASH_THROTTLE_H
#define FLASH_THROTTLE_H

#include "param.h"

#include <sys/types.h>

/* clang-format off */
struct throttle_params {
#include "param_fields.h"
#include "throttle_params.h"
#include "param_end.h"
};
/* clang-format on */
extern const struct param_table throttle_table;

struct throttle;

/* Limit this process, all its threads, on the disks of 'count' paths (NULL ones are left out).
 * ENOTSUP with what is missing: a controller, rights, a disk; EBUSY: it is limited otherwise. */
MUST_CHECK int throttle_enter(struct throttle **out, const struct throttle_params *params,
			      const char *const *paths, size_t count, struct err *err);
void throttle_leave(struct throttle *throttle); /* NULL is fine */

/* For tests: where cgroups are, from texts as /proc/self/cgroup and /proc/self/mounts are. */
enum { THROTTLE_PATH = 512 };
struct throttle_place {
	unsigned version;	  /* of cgroups: 1 or 2 */
	bool inside;		  /* it is there already, for another reader */
	char home[THROTTLE_PATH]; /* where the process is put back to */
	char own[THROTTLE_PATH];  /* where it is limited */
};
MUST_CHECK int throttle_find(struct throttle_place *place, const char *cgroup_path,
			     const char *mounts_path, pid_t pid, struct err *err);

#endif
