/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench_sim.h - how fast the simulator is: reads, events, trials, many trials */
#ifndef FLASH_BENCH_SIM_H
#define FLASH_BENCH_SIM_H

#include "err.h"

/* `flashcast bench sim`. */
MUST_CHECK int bench_sim(int argc, char **argv, struct err *err);

#endif
