/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_arm.c - which vector kernels a 64-bit Arm CPU runs: all have NEON */
#include "kernels_machine.h"

const struct kernels *kernels_vector(unsigned i)
{
	return i == 0 ? &kernels_neon : NULL;
}
