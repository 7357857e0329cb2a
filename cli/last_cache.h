/* SPDX-License-Identifier: GPL-3.0-or-later */
/* last_cache.h - how much the caches nearest to DRAM hold */
#ifndef FLASH_LAST_CACHE_H
#define FLASH_LAST_CACHE_H

#include <stdint.h>

/* Bytes of the machine's last-level caches together (a machine may have one for each group of
 * cores); 0 where neither sysfs nor sysconf() says. */
uint64_t last_cache_bytes(void);

#endif
