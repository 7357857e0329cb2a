/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_x86.c - which vector kernels an x86-64 CPU runs */
#include "kernels_machine.h"

#include <cpuid.h>

/* Of AVX2 and AVX-512 the builtins answer for the system too, which must save the registers. */
static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

static bool has_avx2(void)
{
	unsigned a, b, c, d;

	/* Not every compiler knows "f16c" as a name. */
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

const struct kernels *kernels_vector(unsigned i)
{
	const struct kernels *found[2];
	unsigned count = 0;

	if (has_avx512())
		found[count++] = &kernels_avx512;
	if (has_avx2())
		found[count++] = &kernels_avx2;
	return i < count ? found[i] : NULL;
}
