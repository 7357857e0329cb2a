/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plain_text.c - characters one by one, those that a terminal obeys as their bytes in hexadecimal */
#include "plain_text.h"

#include <string.h>

/* What a character's first byte, from .. to, says of it. */
struct utf8_form {
	unsigned char first, last, least, most; /* lead byte, then the second */
	size_t length;
};

static const struct utf8_form *form_of(unsigned char lead)
{
	static const struct utf8_form forms[] = {
		{0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (lead >= forms[i].first && lead <= forms[i].last)
			return &forms[i];
	return NULL;
}

/* The form of what may become a character, or is one: NULL when no further byte makes it one. */
static const struct utf8_form *form_begun(const unsigned char *text, size_t left)
{
	const struct utf8_form *form = left > 0 ? form_of(text[0]) : NULL;

	if (!form || form->length == 1 || left == 1)
		return form;
	if (text[1] < form->least || text[1] > form->most)
		return NULL;
	for (size_t b = 2; b < form->length && b < left; b++)
		if (text[b] < 0x80 || text[b] > 0xbf)
			return NULL;
	return form;
}

size_t utf8_length(const unsigned char *text, size_t left)
{
	const struct utf8_form *form = form_begun(text, left);

	return form && form->length <= left ? form->length : 0;
}

/* U+0080 to U+009F are c2 80 to c2 9f. */
static bool is_control(const unsigned char *at, size_t length)
{
	return length == 1 ? *at < 0x20 || *at == 0x7f : at[0] == 0xc2 && at[1] < 0xa0;
}

enum { SHOWN = 4 * 4 + 1 }; /* four bytes in hexadecimal, and a NUL */

/* One character, or a byte that is none (length 0), as it may stand on a terminal; its bytes. */
static size_t show(char shown[SHOWN], const unsigned char *at, size_t length)
{
	size_t used = 0;

	if (length > 0 && !is_control(at, length)) {
		memcpy(shown, at, length);
		return length;
	}
	for (size_t i = 0; i < (length ? length : 1); i++)
		used += (size_t)snprintf(shown + used, SHOWN - used, "\\x%02x", at[i]);
	return used;
}

void plain_write(FILE *out, const char *text)
{
	struct plain_stream stream = {.out = out};

	plain_put(&stream, text, strlen(text));
	plain_end(&stream);
}

char *plain_text(char *to, size_t size, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text), used = 0;

	while (left > 0) {
		size_t length = utf8_length(at, left), taken = length ? length : 1;
		char shown[SHOWN];
		size_t bytes = show(shown, at, length);

		if (used + bytes >= size)
			break;
		memcpy(to + used, shown, bytes);
		used += bytes;
		at += taken;
		left -= taken;
	}
	to[used] = '\0';
	return to;
}

/* The first of the bytes that are held: a character of 'length', or a byte that is none (0). */
static void let_go(struct plain_stream *stream, size_t length)
{
	size_t taken = length ? length : 1;
	char shown[SHOWN];

	if (stream->keeps_lines && (stream->held[0] == '\n' || stream->held[0] == '\t'))
		fputc(stream->held[0], stream->out);
	else
		fwrite(shown, 1, show(shown, stream->held, length), stream->out);
	stream->held_count -= taken;
	memmove(stream->held, stream->held + taken, stream->held_count);
}

void plain_put(struct plain_stream *stream, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		stream->held[stream->held_count++] = (unsigned char)bytes[i];
		while (stream->held_count > 0) {
			const struct utf8_form *form = form_begun(stream->held, stream->held_count);

			if (form && form->length > stream->held_count)
				break; /* more is to come */
			let_go(stream, form ? form->length : 0);
		}
	}
}

void plain_end(struct plain_stream *stream)
{
	while (stream->held_count > 0)
		let_go(stream, 0);
}
