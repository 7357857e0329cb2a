/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernel_checks.h - what holds for every set of kernels; needs libc alone, so that it runs under
 * emulators too */
#ifndef TEST_KERNEL_CHECKS_H
#define TEST_KERNEL_CHECKS_H

#include "real_kernels.h"

enum { CHECK_WHY = 256 };

struct kernel_check {
	const char *name; /* a sentence */
	unsigned cases;
	/* One case. False: 'why' says what is off. */
	bool (*holds)(const struct kernels *kernels, unsigned i, char why[CHECK_WHY]);
};
extern const struct kernel_check kernel_checks[];
enum { KERNEL_CHECKS = 5 };

#endif
