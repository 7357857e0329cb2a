/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sim_units.h - which unit of a simulated device a read goes to (level events) */
#ifndef FLASH_SIM_UNITS_H
#define FLASH_SIM_UNITS_H

#include "param.h"

enum sim_units { SIM_UNITS_ROUND_ROBIN, SIM_UNITS_HASHED, SIM_UNITS_IDLE };
extern const struct param_word sim_units_words[];

#endif
