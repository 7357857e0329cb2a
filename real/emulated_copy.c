/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulated_copy.c - how an emulated device brings bytes
 *
 * In a file of its own, which every build optimises and none sanitizes: this stands for a device's
 * hardware, and at a quarter of its speed, as in a debug build, few devices could be played. */
#include "emulated_device.h"

#include <string.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum { PREFETCH_BYTES = 1024 };

#if defined(__x86_64__)
void emulated_copy_bytes(unsigned char *to, const unsigned char *from, size_t bytes)
{
	const size_t line = 4 * sizeof(__m128i);
	size_t at = 0;

	for (; at + line <= bytes; at += line) {
		const __m128i *source = (const __m128i *)(const void *)(from + at);
		__m128i *target = (__m128i *)(void *)(to + at);

		__builtin_prefetch(from + at + PREFETCH_BYTES);
		for (unsigned i = 0; i < 4; i++)
			_mm_stream_si128(target + i, _mm_loadu_si128(source + i));
	}
	_mm_sfence();
	memcpy(to + at, from + at, bytes - at);
}
#else
void emulated_copy_bytes(unsigned char *to, const unsigned char *from, size_t bytes)
{
	memcpy(to, from, bytes);
}
#endif
