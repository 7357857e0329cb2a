/* SPDX-License-Identifier: GPL-3.0-or-later */
/* program_run.h - runs a peer's program and keeps what it prints */
#ifndef FLASH_PROGRAM_RUN_H
#define FLASH_PROGRAM_RUN_H

#include "err.h"

#include <stddef.h>

struct program {
	const char *const *argv; /* a name without '/' is looked for on PATH; ends in NULL */
	const char *dir;	 /* where it runs; NULL: here */
};
/* Its standard output goes to 'output', cut at 'size'; what it says on stderr is told when it fails.
 * ENOENT: there is no such program. EIO: it ended with another status than 0. */
MUST_CHECK int program_run(const struct program *program, char *output, size_t size,
			   struct err *err);

#endif
