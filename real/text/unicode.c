/* SPDX-License-Identifier: GPL-3.0-or-later */
/* unicode.c - UTF-8, the byte alphabet of GPT-2, and classes of characters */
#include "unicode.h"

unsigned utf8_take(const unsigned char *at, size_t left, uint32_t *point)
{
	/* What fewer bytes could say is no valid way to say it. */
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned length;

	if (left == 0)
		return 0;
	if (at[0] < 0x80) {
		*point = at[0];
		return 1;
	}
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (left < length)
		return 0;
	*point = at[0] & (0x7fU >> length);
	for (unsigned i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (at[i] & 0x3f);
	}
	if (*point < least[length] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return length;
}

unsigned utf8_take_back(const unsigned char *end, size_t before, uint32_t *point)
{
	for (unsigned length = 1; length <= 4 && length <= before; length++)
		if (utf8_take(end - length, length, point) == length)
			return length;
	return 0;
}

unsigned utf8_put(unsigned char to[4], uint32_t point)
{
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	unsigned length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

	for (unsigned i = length - 1; i > 0; i--) {
		to[i] = (unsigned char)(0x80 | (point & 0x3f));
		point >>= 6;
	}
	to[0] = (unsigned char)(lead[length] | point);
	return length;
}

/* The bytes that do not stand for themselves: 0 to 32, 127 to 160, 173. */
enum { LOW = 33, MIDDLE = 34, FIRST = 256, SOFT_HYPHEN = 173 };

uint32_t alphabet_point(unsigned char byte)
{
	if (byte < LOW)
		return (uint32_t)FIRST + byte;
	if (byte >= 127 && byte < 127 + MIDDLE)
		return (uint32_t)FIRST + LOW + (byte - 127U);
	return byte == SOFT_HYPHEN ? FIRST + LOW + MIDDLE : byte;
}

int alphabet_byte(uint32_t point)
{
	if (point >= FIRST) {
		if (point < FIRST + LOW)
			return (int)point - FIRST;
		if (point < FIRST + LOW + MIDDLE)
			return (int)point - FIRST - LOW + 127;
		return point == FIRST + LOW + MIDDLE ? SOFT_HYPHEN : -1;
	}
	return alphabet_point((unsigned char)point) == point ? (int)point : -1;
}

bool unicode_is(const struct unicode_ranges *ranges, uint32_t point)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (point > ranges->ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->count && point >= ranges->ranges[low].first;
}

bool unicode_is_space(uint32_t point)
{
	return (point >= 9 && point <= 13) || point == ' ' || point == 0x85 || point == 0xa0 ||
	       point == 0x1680 || (point >= 0x2000 && point <= 0x200a) || point == 0x2028 ||
	       point == 0x2029 || point == 0x202f || point == 0x205f || point == 0x3000;
}
