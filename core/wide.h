/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wide.h - loops over words, compiled for the registers of the machine that runs them
 *
 * WIDE in front of a function compiles it twice, for AVX2 and for what every machine has; the loader
 * takes one (an ifunc, which glibc has).  For loops of plain words and bits only: their results are
 * the same, and no call of ours is worth it.  Elsewhere, and under a sanitizer, whose runtime is not there yet
 * when the loader chooses, it says nothing. */
#ifndef FLASH_WIDE_H
#define FLASH_WIDE_H

#include <stdint.h> /* says whether the C library is glibc */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLASH_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define FLASH_IS_SANITIZED 1
#endif
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(FLASH_IS_SANITIZED)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

#endif
