/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_machine.h - what the build's kind of machine offers: one file of each kind answers */
#ifndef FLASH_KERNELS_MACHINE_H
#define FLASH_KERNELS_MACHINE_H

#include "real_kernels.h"

extern const struct kernels kernels_portable, kernels_avx2, kernels_avx512, kernels_neon;

/* The i-th of the vector kernels that this very CPU runs, the fastest first; NULL past the last. */
const struct kernels *kernels_vector(unsigned i);

#endif
