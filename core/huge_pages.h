/* SPDX-License-Identifier: GPL-3.0-or-later */
/* huge_pages.h - asks for large pages under a large fresh allocation
 *
 * 64 MB of trace fault in twice as fast; weights are multiplied 1.15 times as fast, since the
 * prefetchers go no further than a page (docs/kernels.md). */
#ifndef FLASH_HUGE_PAGES_H
#define FLASH_HUGE_PAGES_H

#include <stddef.h>

/* A hint: never fails, and changes no byte.  huge_pages_linux.c or, elsewhere, huge_pages_none.c.
 */
void huge_pages_hint(void *data, size_t bytes);

#endif
