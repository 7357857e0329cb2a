/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_regex.h - the regular expressions of tokenizer files, with the reference's meaning
 *
 * Tokenizer files are written for Oniguruma.  PCRE2 runs them here, after a translation that keeps the
 * meaning where the two differ (white space, letters and numbers of newer Unicode versions) and
 * refuses by name what it does not know: look-arounds, groups, alternatives, classes, quantifiers,
 * \s \S \d \D \p{L} \P{L} \p{N} \P{N} \r \n \t and escaped punctuation are what it knows. */
#ifndef FLASH_TEXT_REGEX_H
#define FLASH_TEXT_REGEX_H

#include "text_span.h"

enum text_pattern { PATTERN_REGEX, PATTERN_LITERAL };

struct text_regex;

/* ENOTSUP names what is unknown; EBADMSG says where a pattern is malformed. 'where' begins messages. */
MUST_CHECK int text_regex_open(struct text_regex **out, const char *pattern, enum text_pattern kind,
			       const char *where, struct err *err);
void text_regex_close(struct text_regex *regex); /* NULL is fine */

/* Every match of valid UTF-8 and what lies between, in order, behind what 'spans' holds; matches may be
 * empty.  EINVAL when the pattern needs more steps than a sane one would. */
MUST_CHECK int text_regex_spans(const struct text_regex *regex, const unsigned char *text,
				size_t bytes, struct text_spans *spans, struct err *err);

#endif
