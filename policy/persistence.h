/* SPDX-License-Identifier: GPL-3.0-or-later */
/* persistence.h - what stays in DRAM whatever is demanded; one file a member, one line in
 * persistences.h */
#ifndef FLASH_PERSISTENCE_H
#define FLASH_PERSISTENCE_H

#include "model.h"

struct policy_config;

struct persistence_ops {
	const char *name, *help;
	/* Share of a region that is always resident: its leading bytes, or its first rows for FFN
	 * regions. 0 .. 1. */
	double (*kept_frac)(const struct policy_config *config, enum region region);
};

#define PERSISTENCE(name)                                                                          \
	extern const char persistence_##name##_help[];                                             \
	extern const struct persistence_ops persistence_##name;
#include "persistences.h"
#undef PERSISTENCE

#endif
