/* SPDX-License-Identifier: GPL-3.0-or-later */
/* units.h - values that carry their unit, read whole and strictly
 *
 * A value in YAML or on the command line is a plain number in the base unit, or a number and a unit
 * of the right dimension, with or without a space: 32KiB, 80us, 6.1GB/s, 150k/s, 50%.  KiB, MiB,
 * GiB are powers of 1024; kB, MB, GB are powers of 1000, everywhere.  A wrong dimension, a trailing
 * letter, a sign where none fits (only DIM_NONE takes one), "010", "nan", "0x10" and "" are
 * refused. A decimal unit shifts the exponent before the one rounding: 4.35us is exactly 4350. */
#ifndef FLASH_UNITS_H
#define FLASH_UNITS_H

#include "err.h"

#include <stddef.h>

enum dim {
	DIM_NONE,      /* a plain number */
	DIM_COUNT,     /* a plain whole number */
	DIM_FRAC,      /* 0.5 or 50% */
	DIM_TIME,      /* base: ns;  ns us ms s min */
	DIM_BYTES,     /* base: B;   B kB MB GB TB KiB MiB GiB TiB */
	DIM_BANDWIDTH, /* base: B/s; any size of DIM_BYTES followed by /s */
	DIM_RATE,      /* base: 1/s; /s k/s M/s G/s */
	DIM_FLOPS,     /* base: flop/s; flop/s Mflop/s Gflop/s Tflop/s */
	DIM_ENERGY,    /* base: J; pJ nJ uJ mJ J */
	DIM__COUNT
};

/* Name for messages: "a time", "bytes", "a bandwidth", ... */
const char *dim_name(enum dim dim);
/* The base unit: "ns", "B", "B/s", "" ... */
const char *dim_base(enum dim dim);

/* Read all of 'text' as a value of 'dim' in its base unit.  0 or EINVAL (or ENOMEM, for texts
 * longer than any number); the message says what stands there and what was wanted ("'80MB' is
 * bytes, wanted a time"), without any place: callers add it. */
MUST_CHECK int unit_parse(double *value, const char *text, enum dim dim, struct err *err);

/* Write 'value' (finite, in the base unit) so that unit_parse() gives it back exactly, in the unit
 * that makes it shortest; of equals the one in whole numbers, then the largest: 32768 -> "32KiB",
 * 80000 ns -> "80us", 1500 -> "1500B", 6.1e9 -> "6.1GB/s".  64 bytes hold any value.  Returns
 * 'text'. */
char *unit_format(char *text, size_t size, double value, enum dim dim);

/* For people: three significant digits, "6.1 GB/s", "1.28 ms"; sizes that are whole in a binary
 * unit in that ("32 KiB"), counts in full.  Returns 'text'. */
char *unit_human(char *text, size_t size, double value, enum dim dim);

#endif
