/* SPDX-License-Identifier: GPL-3.0-or-later */
/* huge_pages_linux.c - madvise(MADV_HUGEPAGE) */
#define _DEFAULT_SOURCE /* madvise() is in no standard */
#include "huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

void huge_pages_hint(void *data, size_t bytes)
{
	const size_t page = 4096;
	size_t skip = (page - (uintptr_t)data % page) % page;

	/* It may be refused (no such pages, an odd page size): small pages do as well, slower. */
	if (bytes > skip + page)
		(void)madvise((char *)data + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
}
