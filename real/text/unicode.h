/* SPDX-License-Identifier: GPL-3.0-or-later */
/* unicode.h - UTF-8, the byte alphabet of GPT-2, and classes of characters as the reference has them
 *
 * The byte alphabet gives each byte a printable character of its own, so that byte sequences can stand
 * in JSON and in word lists: printable Latin-1 bytes stand for themselves, the others are U+0100
 * onwards in order. */
#ifndef FLASH_UNICODE_H
#define FLASH_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the UTF-8 character at 'at', and its code point; 0 where there is no valid one. */
unsigned utf8_take(const unsigned char *at, size_t left, uint32_t *point);
/* The same for the character that ends before 'end', of the 'before' bytes there. */
unsigned utf8_take_back(const unsigned char *end, size_t before, uint32_t *point);
unsigned utf8_put(unsigned char to[4], uint32_t point);

uint32_t alphabet_point(unsigned char byte);
int alphabet_byte(uint32_t point); /* -1: not of the alphabet */

struct unicode_range {
	uint32_t first, last;
};
struct unicode_ranges {
	const struct unicode_range *ranges; /* ascending, apart */
	size_t count;
};
extern const struct unicode_ranges unicode_word, unicode_numeric, unicode_punctuation;
/* Letters, numbers and decimal digits newer than Unicode 14, as part of a class of a regex. */
extern const char unicode_letters_since[], unicode_numbers_since[], unicode_digits_since[];

bool unicode_is(const struct unicode_ranges *ranges, uint32_t point);
bool unicode_is_space(uint32_t point);

#endif
