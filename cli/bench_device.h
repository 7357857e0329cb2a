/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_device.h - how exactly this host plays an emulated device */
#ifndef FLASH_BENCH_DEVICE_H
#define FLASH_BENCH_DEVICE_H

#include "err.h"

/* `flashcast bench device`. */
MUST_CHECK int bench_device(int argc, char **argv, struct err *err);

#endif
