/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cores.h - how many threads this process should start to use all it may run on */
#ifndef FLASH_CORES_H
#define FLASH_CORES_H

/* Cores in this process's affinity mask (taskset, a container's or a batch system's CPU set), not
 * those of the machine: threads that share a core wait for each other.  At least 1. */
unsigned cores_usable(void);

#endif
