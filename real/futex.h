/* SPDX-License-Identifier: GPL-3.0-or-later */
/* futex.h - sleep until a word changes, and wake who sleeps on it; and the clock that all reads are
 * timed by
 *
 * The includer defines _GNU_SOURCE first (syscall()).  'shared' is for words that lie in memory
 * which two processes map; words of one process are cheaper with FUTEX_PRIVATE_FLAG. */
#ifndef FLASH_FUTEX_H
#define FLASH_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum futex_scope { FUTEX_ONE_PROCESS = FUTEX_PRIVATE_FLAG, FUTEX_SHARED = 0 };

/* Sleep while *word == seen, at most timeout_ns (0 = for ever); may return early for no reason. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t timeout_ns,
			      enum futex_scope scope)
{
	const struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
				    .tv_nsec = (long)(timeout_ns % 1000000000u)};

	(void)syscall(SYS_futex, word, FUTEX_WAIT | (int)scope, seen, timeout_ns ? &ts : NULL, NULL,
		      0);
}

static inline void futex_wake(_Atomic uint32_t *word, int count, enum futex_scope scope)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE | (int)scope, count, NULL, NULL, 0);
}

#endif
