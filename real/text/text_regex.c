/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_regex.c - the regular expressions of tokenizer files, with the reference's meaning */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "text_regex.h"

#include "unicode.h"

#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

struct text_regex {
	pcre2_code *code;
	char *where;
};

/* A pattern being translated. */
struct translation {
	const char *where, *pattern, *at;
	struct text_bytes out;
};

/* As Oniguruma has it; PCRE2's own \s has U+180E too, which Unicode no longer calls a space. */
static const char spaces[] = "\\x{9}-\\x{d}\\x{20}\\x{85}\\p{Z}";

static int put(struct translation *t, const char *text, struct err *err)
{
	return text_bytes_add(&t->out, text, strlen(text), err);
}

static int unknown(const struct translation *t, size_t bytes, struct err *err)
{
	return err_set(err, ENOTSUP, "%s: regular expression '%s', byte %zu: '%s' is not supported",
		       t->where, text_quote(t->pattern, strlen(t->pattern)).text,
		       (size_t)(t->at - t->pattern), text_quote(t->at, strnlen(t->at, bytes)).text);
}

/* A class by its members, in brackets of its own unless it stands in some. */
static int put_class(struct translation *t, const char *members, const char *since, bool inside,
		     bool negated, struct err *err)
{
	if (!inside && put(t, negated ? "[^" : "[", err))
		return err->code;
	if (put(t, members, err) || put(t, since, err))
		return err->code;
	return inside ? 0 : put(t, "]", err);
}

/* \p{L} and the like, at the backslash. */
static int take_property(struct translation *t, bool inside, struct err *err)
{
	bool negated = t->at[1] == 'P';
	bool letters = strncmp(t->at + 2, "{L}", 3) == 0;

	if ((negated && inside) || (!letters && strncmp(t->at + 2, "{N}", 3) != 0))
		return unknown(t, 5, err);
	t->at += 5;
	return put_class(t, letters ? "\\p{L}" : "\\p{N}",
			 letters ? unicode_letters_since : unicode_numbers_since, inside, negated,
			 err);
}

static int take_escape(struct translation *t, bool inside, struct err *err)
{
	char what = t->at[1], same[3] = {'\\', what, '\0'};

	if (what == 'p' || what == 'P')
		return take_property(t, inside, err);
	if (inside && (what == 'S' || what == 'D'))
		return unknown(t, 2, err);
	if (what == 's' || what == 'S')
		put_class(t, spaces, "", inside, what == 'S', err);
	else if (what == 'd' || what == 'D')
		put_class(t, "\\p{Nd}", unicode_digits_since, inside, what == 'D', err);
	else if (what == 'r' || what == 'n' || what == 't' || ispunct((unsigned char)what))
		(void)put(t, same, err);
	else
		return unknown(t, 2, err);
	t->at += 2;
	return err->code;
}

/* One character as it stands. */
static int take_same(struct translation *t, struct err *err)
{
	return text_bytes_add(&t->out, t->at++, 1, err);
}

static int take_class(struct translation *t, struct err *err)
{
	const char *start = t->at;

	if (take_same(t, err) || (*t->at == '^' && take_same(t, err)))
		return err->code;
	if (*t->at == ']')
		return unknown(t, 1, err);
	while (*t->at != ']') {
		/* Classes in classes and their intersections mean something there and not here. */
		if (*t->at == '[' || strncmp(t->at, "&&", 2) == 0)
			return unknown(t, 2, err);
		if (*t->at == '\0')
			return err_set(err, EBADMSG, "%s: regular expression: no end of '%s'",
				       t->where, text_quote(start, strlen(start)).text);
		if (*t->at == '\\' ? take_escape(t, true, err) : take_same(t, err))
			return err->code;
	}
	return take_same(t, err);
}

static int take_group(struct translation *t, struct err *err)
{
	static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!"};

	if (t->at[1] == '*')
		return unknown(t, 3, err);
	if (t->at[1] != '?')
		return take_same(t, err);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(t->at, known[i], strlen(known[i])) == 0) {
			t->at += strlen(known[i]);
			return put(t, known[i], err);
		}
	return unknown(t, 4, err);
}

/* {n}, {n,} or {n,m}; what follows may not be a mark that is read in another way there. */
static int take_counts(struct translation *t, struct err *err)
{
	size_t length = 1 + strspn(t->at + 1, "0123456789");
	bool good = length > 1;

	if (t->at[length] == ',')
		length += 1 + strspn(t->at + length + 1, "0123456789");
	good = good && t->at[length] == '}' && t->at[length + 1] != '+' &&
	       t->at[length + 1] != '?' && t->at[length + 1] != '*' && t->at[length + 1] != '{';
	if (!good)
		return unknown(t, length + 2, err);
	if (text_bytes_add(&t->out, t->at, length + 1, err))
		return err->code;
	t->at += length + 1;
	return 0;
}

static int translate(struct translation *t, struct err *err)
{
	while (*t->at) {
		int code;

		switch (*t->at) {
		case '\\':
			code = take_escape(t, false, err);
			break;
		case '[':
			code = take_class(t, err);
			break;
		case '(':
			code = take_group(t, err);
			break;
		case '{':
			code = take_counts(t, err);
			break;
		case '^': /* of a line there, of the text here */
		case '$':
			code = unknown(t, 1, err);
			break;
		default:
			code = take_same(t, err);
		}
		if (code)
			return code;
	}
	return 0;
}

static int compile(struct text_regex *regex, const struct translation *t, uint32_t options,
		   struct err *err)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR message[128];
	PCRE2_SIZE offset;
	int code;

	if (!context)
		return err_nomem(err, "a regular expression", 64);
	pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* of which '.' is none, there as here */
	regex->code = pcre2_compile(t->out.at, t->out.used, options, &code, &offset, context);
	pcre2_compile_context_free(context);
	if (regex->code)
		return 0;
	pcre2_get_error_message(code, message, sizeof(message));
	return err_set(err, EBADMSG, "%s: regular expression '%s': %s", t->where,
		       text_quote(t->pattern, strlen(t->pattern)).text, (const char *)message);
}

int text_regex_open(struct text_regex **out, const char *pattern, enum text_pattern kind,
		    const char *where, struct err *err)
{
	struct translation t = {.where = where, .pattern = pattern, .at = pattern};
	struct text_regex *regex = calloc(1, sizeof(*regex));
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;

	*out = NULL;
	if (!regex || !(regex->where = strdup(where))) {
		err_nomem(err, "a regular expression", sizeof(*regex));
		goto fail;
	}
	if (*pattern == '\0') {
		err_set(err, EBADMSG, "%s: an empty pattern", where);
		goto fail;
	}
	if (kind == PATTERN_LITERAL)
		options = PCRE2_UTF | PCRE2_LITERAL;
	if (kind == PATTERN_LITERAL ? put(&t, pattern, err) : translate(&t, err))
		goto fail;
	if (compile(regex, &t, options, err))
		goto fail;
	*out = regex;
	regex = NULL;
fail:
	free(t.out.at);
	text_regex_close(regex);
	return err->code;
}

void text_regex_close(struct text_regex *regex)
{
	if (!regex)
		return;
	pcre2_code_free(regex->code);
	free(regex->where);
	free(regex);
}

/* One match at or after 'from': 1, none: 0, -1 after err is set. */
static int find(const struct text_regex *regex, const unsigned char *text, size_t bytes,
		size_t from, pcre2_match_data *data, struct err *err)
{
	PCRE2_UCHAR message[128];
	int code = pcre2_match(regex->code, text, bytes, from, PCRE2_NO_UTF_CHECK, data, NULL);

	if (code >= 0 || code == PCRE2_ERROR_NOMATCH)
		return code >= 0;
	pcre2_get_error_message(code, message, sizeof(message));
	err_set(err, code == PCRE2_ERROR_NOMEMORY ? ENOMEM : EINVAL, "%s: regular expression: %s",
		regex->where, (const char *)message);
	return -1;
}

int text_regex_spans(const struct text_regex *regex, const unsigned char *text, size_t bytes,
		     struct text_spans *spans, struct err *err)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	size_t from = 0, told = 0;
	bool before = false; /* a match ended at 'from' */

	if (!data)
		return err_nomem(err, "a match", 64);
	while (from <= bytes && find(regex, text, bytes, from, data, err) > 0) {
		const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);
		uint32_t point;

		/* No empty match where the last one ended. */
		if (ends[0] == ends[1] && ends[1] == from && before) {
			from += from < bytes ? utf8_take(text + from, bytes - from, &point) : 1;
			before = false;
			continue;
		}
		if (ends[0] > told && text_spans_add(spans, told, ends[0], false, err))
			break;
		if (text_spans_add(spans, ends[0], ends[1], true, err))
			break;
		told = from = ends[1];
		before = true;
	}
	pcre2_match_data_free(data);
	if (!err->code && told < bytes)
		(void)text_spans_add(spans, told, bytes, false, err);
	return err->code;
}
