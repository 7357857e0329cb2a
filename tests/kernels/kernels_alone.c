/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_alone.c - the kernels' checks with libc alone, for machines that are emulated
 *
 * kernels_alone [NAME]  checks every set of kernels that the CPU runs; NAME must be among them */
#include "kernel_checks.h"

#include <stdio.h>
#include <string.h>

static unsigned check_all(const struct kernels *kernels)
{
	unsigned failed = 0, cases = 0;

	for (unsigned c = 0; c < KERNEL_CHECKS; c++)
		for (unsigned i = 0; i < kernel_checks[c].cases; i++, cases++) {
			char why[CHECK_WHY];

			if (kernel_checks[c].holds(kernels, i, why))
				continue;
			printf("%s: %s: case %u: %s\n", kernels->name, kernel_checks[c].name, i,
			       why);
			failed++;
		}
	printf("%s: %u cases, %u failed\n", kernels->name, cases, failed);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned failed = 0;
	bool found = argc < 2;

	for (unsigned i = 0; kernels_at(i); i++) {
		failed += check_all(kernels_at(i));
		found = found || strcmp(argv[1], kernels_at(i)->name) == 0;
	}
	if (!found)
		printf("%s: this CPU does not run them\n", argv[1]);
	return failed || !found;
}
