/* SPDX-License-Identifier: GPL-3.0-or-later */
/* units.c - one table of units, read both ways
 *
 * A decimal unit is a shift of the number's exponent, done in its text before strtod() rounds: so
 * 4.35us is exactly the double nearest to 4350, and a whole value stays whole. */
#include "units.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 64, DIGITS_MAX = 17, SHOWN_MAX = 64 };

struct unit {
	enum dim dim;
	const char *text;
	int exp10;   /* of the base unit */
	double mult; /* the rest of it: a power of two, or 6 for minutes */
	int binary;
};

/* Within a dimension the smallest first; the base unit is the one with exp10 0 and mult 1. */
static const struct unit units[] = {
	{DIM_FRAC, "%", -2, 1, 0},

	{DIM_TIME, "ns", 0, 1, 0},
	{DIM_TIME, "us", 3, 1, 0},
	{DIM_TIME, "ms", 6, 1, 0},
	{DIM_TIME, "s", 9, 1, 0},
	{DIM_TIME, "min", 10, 6, 0},

	{DIM_BYTES, "B", 0, 1, 0},
	{DIM_BYTES, "kB", 3, 1, 0},
	{DIM_BYTES, "KiB", 0, 0x1p10, 1},
	{DIM_BYTES, "MB", 6, 1, 0},
	{DIM_BYTES, "MiB", 0, 0x1p20, 1},
	{DIM_BYTES, "GB", 9, 1, 0},
	{DIM_BYTES, "GiB", 0, 0x1p30, 1},
	{DIM_BYTES, "TB", 12, 1, 0},
	{DIM_BYTES, "TiB", 0, 0x1p40, 1},

	{DIM_BANDWIDTH, "B/s", 0, 1, 0},
	{DIM_BANDWIDTH, "kB/s", 3, 1, 0},
	{DIM_BANDWIDTH, "KiB/s", 0, 0x1p10, 1},
	{DIM_BANDWIDTH, "MB/s", 6, 1, 0},
	{DIM_BANDWIDTH, "MiB/s", 0, 0x1p20, 1},
	{DIM_BANDWIDTH, "GB/s", 9, 1, 0},
	{DIM_BANDWIDTH, "GiB/s", 0, 0x1p30, 1},
	{DIM_BANDWIDTH, "TB/s", 12, 1, 0},
	{DIM_BANDWIDTH, "TiB/s", 0, 0x1p40, 1},

	{DIM_RATE, "/s", 0, 1, 0},
	{DIM_RATE, "k/s", 3, 1, 0},
	{DIM_RATE, "M/s", 6, 1, 0},
	{DIM_RATE, "G/s", 9, 1, 0},

	{DIM_FLOPS, "flop/s", 0, 1, 0},
	{DIM_FLOPS, "Mflop/s", 6, 1, 0},
	{DIM_FLOPS, "Gflop/s", 9, 1, 0},
	{DIM_FLOPS, "Tflop/s", 12, 1, 0},

	{DIM_ENERGY, "pJ", -12, 1, 0},
	{DIM_ENERGY, "nJ", -9, 1, 0},
	{DIM_ENERGY, "uJ", -6, 1, 0},
	{DIM_ENERGY, "mJ", -3, 1, 0},
	{DIM_ENERGY, "J", 0, 1, 0},
};
enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]) };

static const struct {
	const char *name, *base;
} dims[DIM__COUNT] = {
	[DIM_NONE] = {"a number", ""},	   [DIM_COUNT] = {"a whole number", ""},
	[DIM_FRAC] = {"a fraction", ""},   [DIM_TIME] = {"a time", "ns"},
	[DIM_BYTES] = {"bytes", "B"},	   [DIM_BANDWIDTH] = {"a bandwidth", "B/s"},
	[DIM_RATE] = {"a rate", "/s"},	   [DIM_FLOPS] = {"a compute rate", "flop/s"},
	[DIM_ENERGY] = {"an energy", "J"},
};

const char *dim_name(enum dim dim)
{
	assert((unsigned)dim < DIM__COUNT);
	return dims[dim].name;
}

const char *dim_base(enum dim dim)
{
	assert((unsigned)dim < DIM__COUNT);
	return dims[dim].base;
}

/* A number as it stands in a text: where its parts end. */
struct number {
	size_t mantissa; /* bytes of sign, digits and fraction */
	size_t length;	 /* with the exponent */
	int exp10;	 /* the exponent's value, clamped far outside what a double holds */
	int nonzero;
};

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits_scan(const char *text, int *nonzero)
{
	size_t n = 0;

	for (; is_digit(text[n]); n++)
		*nonzero |= text[n] != '0';
	return n;
}

/* An exponent needs digits: "1e" and "1em" are a number and an (unknown) unit. */
static void exponent_scan(const char *text, struct number *num)
{
	size_t n = num->length + 1;
	int negative = text[n] == '-';

	if (text[n] == '-' || text[n] == '+')
		n++;
	if (!is_digit(text[n]))
		return;
	for (; is_digit(text[n]); n++) {
		if (num->exp10 < 100000)
			num->exp10 = num->exp10 * 10 + (text[n] - '0');
	}
	num->exp10 = negative ? -num->exp10 : num->exp10;
	num->length = n;
}

static int number_scan(struct number *num, const char *text, enum dim dim, struct err *err)
{
	size_t n = text[0] == '-' || text[0] == '+';
	size_t whole;

	*num = (struct number){0};
	whole = digits_scan(text + n, &num->nonzero);
	if (whole == 0)
		return err_set(err, EINVAL, "'%.*s' is not a number, wanted %s", SHOWN_MAX, text,
			       dim_name(dim));
	if (n == 1 && dim != DIM_NONE)
		return err_set(err, EINVAL, "'%.*s' has a sign, wanted %s", SHOWN_MAX, text,
			       dim_name(dim));
	if (whole > 1 && text[n] == '0')
		return err_set(err, EINVAL, "'%.*s' has a leading zero, wanted %s", SHOWN_MAX, text,
			       dim_name(dim));
	n += whole;
	if (text[n] == '.') {
		size_t part = digits_scan(text + n + 1, &num->nonzero);

		if (part == 0)
			return err_set(err, EINVAL,
				       "'%.*s' has no digit after the point, wanted %s", SHOWN_MAX,
				       text, dim_name(dim));
		n += 1 + part;
	}
	num->mantissa = n;
	num->length = n;
	if (text[n] == 'e' || text[n] == 'E')
		exponent_scan(text, num);
	return 0;
}

static void unit_list(char *text, size_t size, enum dim dim)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (units[i].dim != dim || used >= size)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
					 units[i].text);
	}
}

static int unit_unknown(const char *text, const char *suffix, enum dim dim, struct err *err)
{
	char list[160];

	unit_list(list, sizeof(list), dim);
	if (!list[0])
		return err_set(err, EINVAL, "'%.*s' ends in '%.*s', wanted %s without a unit",
			       SHOWN_MAX, text, SHOWN_MAX, suffix, dim_name(dim));
	return err_set(err, EINVAL, "'%.*s' has an unknown unit '%.*s', wanted %s in %s", SHOWN_MAX,
		       text, SHOWN_MAX, suffix, dim_name(dim), list);
}

/* The unit that all of 'suffix' names; of another dimension only to say which it is. */
static const struct unit *unit_find(const char *suffix, enum dim dim)
{
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (units[i].dim == dim && strcmp(units[i].text, suffix) == 0)
			return &units[i];
	}
	return NULL;
}

static int unit_of(const struct unit **out, const char *text, const char *suffix, enum dim dim,
		   struct err *err)
{
	static const struct unit plain = {DIM_NONE, "", 0, 1, 0};

	if (suffix[0] == ' ' && suffix[1] != '\0' && suffix[1] != ' ')
		suffix++;
	*out = suffix[0] ? unit_find(suffix, dim) : &plain;
	if (*out)
		return 0;
	for (int other = 0; other < DIM__COUNT; other++) {
		if (unit_find(suffix, (enum dim)other))
			return err_set(err, EINVAL, "'%.*s' is %s, wanted %s", SHOWN_MAX, text,
				       dim_name((enum dim)other), dim_name(dim));
	}
	return unit_unknown(text, suffix, dim, err);
}

/* The number's text with the unit's power of ten put into its exponent: rounded once, by strtod().
 */
static int number_value(double *value, const char *text, const struct number *num,
			const struct unit *unit, struct err *err)
{
	char stack[NUMBER_MAX];
	size_t size = num->mantissa + 16;
	char *copy = size <= sizeof(stack) ? stack : malloc(size);

	if (!copy)
		return err_nomem(err, "a number", size);
	snprintf(copy, size, "%.*se%d", (int)num->mantissa, text, num->exp10 + unit->exp10);
	*value = strtod(copy, NULL) * unit->mult;
	if (copy != stack)
		free(copy);
	if (!isfinite(*value))
		return err_set(err, EINVAL, "'%.*s' is too large", SHOWN_MAX, text);
	if (*value == 0 && num->nonzero)
		return err_set(err, EINVAL, "'%.*s' is too small", SHOWN_MAX, text);
	return 0;
}

int unit_parse(double *value, const char *text, enum dim dim, struct err *err)
{
	const struct unit *unit;
	struct number num;
	int rc;

	assert((unsigned)dim < DIM__COUNT);
	rc = number_scan(&num, text, dim, err);
	if (rc)
		return rc;
	rc = unit_of(&unit, text, text + num.length, dim, err);
	if (rc)
		return rc;
	rc = number_value(value, text, &num, unit, err);
	if (rc)
		return rc;
	if (dim == DIM_COUNT && *value != floor(*value))
		return err_set(err, EINVAL, "%.*s is not a whole number", SHOWN_MAX, text);
	return 0;
}

/* Write 0.digits * 10^point: in place where that is short, with an exponent else. */
static void digits_place(char *text, const char *digits, int point)
{
	int count = (int)strlen(digits);

	if (point > 16 || point < -3)
		snprintf(text, NUMBER_MAX, "%.1s%s%se%d", digits, count > 1 ? "." : "", digits + 1,
			 point - 1);
	else if (point <= 0)
		snprintf(text, NUMBER_MAX, "0.%.*s%s", -point, "000", digits);
	else if (point >= count)
		snprintf(text, NUMBER_MAX, "%s%.*s", digits, point - count, "0000000000000000");
	else
		snprintf(text, NUMBER_MAX, "%.*s.%s", point, digits, digits + point);
}

/* 'value' > 0 with 'precision' significant digits, trailing zeros dropped, times 10^shift. */
static void number_format(char *text, double value, int precision, int shift)
{
	char raw[NUMBER_MAX], digits[DIGITS_MAX + 1];
	size_t count = 0;
	const char *c;

	snprintf(raw, sizeof(raw), "%.*e", precision - 1, value);
	for (c = raw; *c != 'e'; c++) {
		if (is_digit(*c))
			digits[count++] = *c;
	}
	while (count > 1 && digits[count - 1] == '0')
		count--;
	digits[count] = '\0';
	digits_place(text, digits, atoi(c + 1) + 1 + shift);
}

/* The fewest digits in 'unit' that give 'value' back; 0 when none do.  Where 15 digits do, dropping
 * their zeros leaves the fewest. */
static int unit_try(char *text, size_t size, double value, const struct unit *unit, enum dim dim)
{
	double in_unit = value / unit->mult;
	char number[NUMBER_MAX];

	if (!isfinite(in_unit) || in_unit == 0)
		return 0;
	for (int precision = 15; precision <= DIGITS_MAX; precision++) {
		struct err ignored = {0};
		double back;

		number_format(number, in_unit, precision, -unit->exp10);
		snprintf(text, size, "%s%s", number, unit->text);
		if (unit_parse(&back, text, dim, &ignored) == 0 && back == value)
			return 1;
	}
	return 0;
}

/* Without an exponent, then shorter reads better; of equals whole numbers, then the larger unit. */
static int text_better(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	int a_exp = strchr(a, 'e') != NULL, b_exp = strchr(b, 'e') != NULL;

	if (!b[0] || a_exp != b_exp)
		return !b[0] || b_exp;
	if (a_len != b_len)
		return a_len < b_len;
	return strchr(a, '.') == NULL || strchr(b, '.') != NULL;
}

char *unit_format(char *text, size_t size, double value, enum dim dim)
{
	static const struct unit plain = {DIM_NONE, "", 0, 1, 0};
	char best[NUMBER_MAX + 16] = "", tried[NUMBER_MAX + 16];
	double magnitude = fabs(value);

	assert(isfinite(value) && (unsigned)dim < DIM__COUNT);
	if (value == 0) {
		snprintf(text, size, "0%s", dims[dim].base);
		return text;
	}
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (units[i].dim == dim && dim != DIM_FRAC &&
		    unit_try(tried, sizeof(tried), magnitude, &units[i], dim) &&
		    text_better(tried, best))
			memcpy(best, tried, sizeof(best));
	}
	if (!best[0]) {
		int known = unit_try(best, sizeof(best), magnitude, &plain, dim);

		assert(known);
	}
	snprintf(text, size, "%s%s", value < 0 ? "-" : "", best);
	return text;
}

/* Sizes that are whole in a binary unit are meant in it: 32 KiB, but 13.4 GB. */
static const struct unit *unit_for_people(double value, enum dim dim)
{
	const struct unit *best = NULL;

	for (size_t i = 0; i < UNIT_COUNT; i++) {
		double in_unit = value / units[i].mult * pow(10, -units[i].exp10);

		if (units[i].dim != dim)
			continue;
		if (units[i].binary && (dim != DIM_BYTES || in_unit != floor(in_unit) ||
					in_unit < 1 || in_unit > 1023))
			continue;
		if (units[i].mult == 6)
			continue; /* seconds read better beside each other */
		if (units[i].binary)
			return &units[i];
		if (!best || in_unit >= 0.9995)
			best = &units[i];
	}
	return best;
}

char *unit_human(char *text, size_t size, double value, enum dim dim)
{
	const struct unit *unit = unit_for_people(fabs(value), dim);
	double scale = unit ? unit->mult * pow(10, unit->exp10) : 1;
	char number[NUMBER_MAX];
	int precision = 3;

	if (!isfinite(value) || value == 0) {
		snprintf(text, size, "%g%s%s", value, dims[dim].base[0] ? " " : "", dims[dim].base);
		return text;
	}
	if (dim == DIM_COUNT || (unit && unit->binary))
		precision = DIGITS_MAX - 2; /* all of it: it is whole, and short or meant exactly */
	number_format(number, fabs(value) / scale, precision, 0);
	snprintf(text, size, "%s%s%s%s", value < 0 ? "-" : "", number, unit ? " " : "",
		 unit ? unit->text : "");
	return text;
}
