/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_io.h - `bench io`: our read engines beside fio */
#ifndef FLASH_BENCH_IO_H
#define FLASH_BENCH_IO_H

#include "err.h"

MUST_CHECK int bench_io(int argc, char **argv, struct err *err);

#endif
