/* SPDX-License-Identifier: GPL-3.0-or-later */
/* round.h - whole multiples, for strides, offsets and pages */
#ifndef FLASH_ROUND_H
#define FLASH_ROUND_H

#include <stdint.h>

/* The least multiple of 'to' that is at least 'value'. */
static inline uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

#endif
