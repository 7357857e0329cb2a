/* SPDX-License-Identifier: GPL-3.0-or-later */
/* probe_memory.h - the part of probe_host() that runs no engine */
#ifndef FLASH_PROBE_MEMORY_H
#define FLASH_PROBE_MEMORY_H

#include "real_probe.h"

/* Fills gemv_s_per_byte, thread_rates and copy_rates. */
MUST_CHECK int probe_memory(struct probe_host *host, const struct probe_host_options *options,
			    struct err *err);

#endif
