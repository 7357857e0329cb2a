/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_decode.h - `bench decode` */
#ifndef FLASH_BENCH_DECODE_H
#define FLASH_BENCH_DECODE_H

#include "err.h"

MUST_CHECK int bench_decode(int argc, char **argv, struct err *err);

#endif
