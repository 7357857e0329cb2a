/* SPDX-License-Identifier: GPL-3.0-or-later */
/* huge_pages_none.c - for systems without madvise(MADV_HUGEPAGE) */
#include "huge_pages.h"

void huge_pages_hint(void *data, size_t bytes)
{
	(void)data;
	(void)bytes;
}
