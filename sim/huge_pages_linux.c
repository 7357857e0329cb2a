/* SPDX-License-Identifier: GPL-3.0-or-later */
/* huge_pages_linux.c - madvise(MADV_HUGEPAGE) */
#define _DEFAULT_SOURCE /* madvise() is in no standard */
#include "huge_pages.h"

#include <stdint.h>
#include <sys/mman.h>

void huge_pages_hint(void *data, size_t bytes)
{
	const uintptr_t page = 4096;
	uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)data + bytes) / page * page;

	/* It may be refused (no such pages, an odd page size): small pages do as well, slower. */
	if (end > begin)
		(void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}
