/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cores.c - the affinity mask, counted */
#define _GNU_SOURCE
#include "cores.h"

#include <sched.h>
#include <unistd.h>

unsigned cores_usable(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	/* More than 1024 cores: the mask does not fit. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}
