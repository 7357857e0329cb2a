/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clock.h - the one clock that times are measured with
 *
 * In a folder and target (flash_clock) of its own, so that only who asks for it has it: a policy, the
 * cost model and the simulator never see time pass. */
#ifndef FLASH_CLOCK_H
#define FLASH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Since some moment in the past; never set back. */
static inline uint64_t clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static inline double clock_now_s(void)
{
	return 1e-9 * (double)clock_now_ns();
}

#endif
