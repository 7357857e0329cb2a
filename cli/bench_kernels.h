/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_kernels.h - how near the kernels come to what the machine can read */
#ifndef FLASH_BENCH_KERNELS_H
#define FLASH_BENCH_KERNELS_H

#include "err.h"

/* `flashcast bench kernels`. */
MUST_CHECK int bench_kernels(int argc, char **argv, struct err *err);

#endif
