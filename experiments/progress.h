/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.h - one line on a terminal: what, how far, time left; silent when stderr is no terminal;
 * thread-safe */
#ifndef FLASH_PROGRESS_H
#define FLASH_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress;
struct progress *progress_open(const char *what,
			       double total); /* NULL: out of memory; then every call is a no-op */
void progress_add(struct progress *progress, double done,
		  const char *now); /* 'now': short text of the current item, may be NULL */
/* A line that stays, above the progress line; also when no terminal. */
void progress_note(struct progress *progress, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void progress_close(struct progress *progress);

#endif
