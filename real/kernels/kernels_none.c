/* SPDX-License-Identifier: GPL-3.0-or-later */
/* kernels_none.c - machines that we have no vector kernels for */
#include "kernels_machine.h"

const struct kernels *kernels_vector(unsigned i)
{
	(void)i;
	return NULL;
}
