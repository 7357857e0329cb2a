/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_units.c - values are read whole or refused, and what is written is read back to the bit */
#include "units.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *text;
	enum dim dim;
	double value;
} good[] = {
	{"0", DIM_NONE, 0},
	{"5", DIM_NONE, 5},
	{"-5", DIM_NONE, -5},
	{"+5", DIM_NONE, 5},
	{"-0.25", DIM_NONE, -0.25},
	{"0.1", DIM_NONE, 0.1},
	{"1e3", DIM_NONE, 1000},
	{"1E3", DIM_NONE, 1000},
	{"1e+3", DIM_NONE, 1000},
	{"2.5e-3", DIM_NONE, 0.0025},
	{"1e03", DIM_NONE, 1000},
	{"4096", DIM_COUNT, 4096},
	{"1e6", DIM_COUNT, 1e6},
	{"2.5e3", DIM_COUNT, 2500},
	{"50%", DIM_FRAC, 0.5},
	{"50 %", DIM_FRAC, 0.5},
	{"0.5", DIM_FRAC, 0.5},
	{"2.4%", DIM_FRAC, 0.024},
	{"12.5%", DIM_FRAC, 0.125},
	{"80us", DIM_TIME, 80000},
	{"80 us", DIM_TIME, 80000},
	{"80", DIM_TIME, 80},
	{"80ns", DIM_TIME, 80},
	{"1.5ms", DIM_TIME, 1.5e6},
	{"2s", DIM_TIME, 2e9},
	{"1min", DIM_TIME, 6e10},
	{"0.5min", DIM_TIME, 3e10},
	{"1e3us", DIM_TIME, 1e6},
	/* One rounding: 4.35 * 1000 and 1.005 * 1e9 in doubles would be off by one bit. */
	{"4.35us", DIM_TIME, 4350},
	{"1.005s", DIM_TIME, 1005000000},
	{"8.41ms", DIM_TIME, 8410000},
	{"32KiB", DIM_BYTES, 32768},
	{"32 KiB", DIM_BYTES, 32768},
	{"32kB", DIM_BYTES, 32000},
	{"1MB", DIM_BYTES, 1e6},
	{"1MiB", DIM_BYTES, 1048576},
	{"6.7GB", DIM_BYTES, 6.7e9},
	{"1.5GiB", DIM_BYTES, 1610612736},
	{"2TB", DIM_BYTES, 2e12},
	{"1TiB", DIM_BYTES, 1099511627776.0},
	{"512B", DIM_BYTES, 512},
	{"6.1GB/s", DIM_BANDWIDTH, 6.1e9},
	{"1GiB/s", DIM_BANDWIDTH, 1073741824},
	{"100B/s", DIM_BANDWIDTH, 100},
	{"150k/s", DIM_RATE, 150000},
	{"1.2M/s", DIM_RATE, 1.2e6},
	{"1G/s", DIM_RATE, 1e9},
	{"7/s", DIM_RATE, 7},
	{"1.3Tflop/s", DIM_FLOPS, 1.3e12},
	{"90Gflop/s", DIM_FLOPS, 9e10},
	{"3Mflop/s", DIM_FLOPS, 3e6},
	{"5flop/s", DIM_FLOPS, 5},
	{"20pJ", DIM_ENERGY, 20e-12},
	{"3nJ", DIM_ENERGY, 3e-9},
	{"7uJ", DIM_ENERGY, 7e-6},
	{"1.1mJ", DIM_ENERGY, 1.1e-3},
	{"2J", DIM_ENERGY, 2},
	{"0e999999", DIM_NONE, 0},
	{"1000000000000000000000e-21", DIM_COUNT, 1},
};

START_TEST(test_a_value_is_read_in_its_base_unit)
{
	struct err err = {0};
	double value = NAN;

	ck_assert_msg(unit_parse(&value, good[_i].text, good[_i].dim, &err) == 0, "%s", err.msg);
	ck_assert_msg(value == good[_i].value, "%s: got %.17g", good[_i].text, value);
}
END_TEST

/* Whatever is read is read whole: one more character of most kinds makes it something else. */
START_TEST(test_nothing_may_follow_a_value)
{
	static const char *const tails[] = {" ", "x",  "\n", ".", "-", "_",
					    ";", "  ", "\t", "i", ","};

	for (int t = 0; t < COUNT(tails); t++) {
		struct err err = {0};
		char text[64];
		double value;

		snprintf(text, sizeof(text), "%s%s", good[_i].text, tails[t]);
		ck_assert_msg(unit_parse(&value, text, good[_i].dim, &err) == EINVAL, "'%s'", text);
		snprintf(text, sizeof(text), "%s%s", tails[t], good[_i].text);
		if (strcmp(tails[t], "-") == 0 && good[_i].dim == DIM_NONE)
			continue;
		err = (struct err){0};
		ck_assert_msg(unit_parse(&value, text, good[_i].dim, &err) == EINVAL, "'%s'", text);
	}
}
END_TEST

static const struct {
	const char *text;
	enum dim dim;
	const char *says;
} bad[] = {
	{"", DIM_TIME, "'' is not a number, wanted a time"},
	{" ", DIM_TIME, "' ' is not a number, wanted a time"},
	{"fast", DIM_TIME, "'fast' is not a number, wanted a time"},
	{"nan", DIM_NONE, "'nan' is not a number, wanted a number"},
	{"inf", DIM_NONE, "'inf' is not a number, wanted a number"},
	{"-inf", DIM_NONE, "'-inf' is not a number, wanted a number"},
	{"-", DIM_NONE, "'-' is not a number, wanted a number"},
	{"--5", DIM_NONE, "'--5' is not a number, wanted a number"},
	{".5", DIM_NONE, "'.5' is not a number, wanted a number"},
	{"5.", DIM_NONE, "'5.' has no digit after the point, wanted a number"},
	{"5.s", DIM_TIME, "'5.s' has no digit after the point, wanted a time"},
	{"1.2.3", DIM_NONE, "'1.2.3' ends in '.3', wanted a number without a unit"},
	{"1,5", DIM_NONE, "'1,5' ends in ',5', wanted a number without a unit"},
	{"1_000", DIM_COUNT, "'1_000' ends in '_000', wanted a whole number without a unit"},
	{"010", DIM_COUNT, "'010' has a leading zero, wanted a whole number"},
	{"-010", DIM_NONE, "'-010' has a leading zero, wanted a number"},
	{"00", DIM_COUNT, "'00' has a leading zero, wanted a whole number"},
	{"00.5", DIM_FRAC, "'00.5' has a leading zero, wanted a fraction"},
	{"0x10", DIM_COUNT, "'0x10' ends in 'x10', wanted a whole number without a unit"},
	{"0x10", DIM_TIME, "'0x10' has an unknown unit 'x10', wanted a time in ns, us, ms, s, min"},
	{"1e", DIM_NONE, "'1e' ends in 'e', wanted a number without a unit"},
	{"1e+", DIM_NONE, "'1e+' ends in 'e+', wanted a number without a unit"},
	{"1e3.5", DIM_NONE, "'1e3.5' ends in '.5', wanted a number without a unit"},
	{"64k", DIM_BYTES,
	 "'64k' has an unknown unit 'k', wanted bytes in B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
	{"64Kb", DIM_BYTES,
	 "'64Kb' has an unknown unit 'Kb', wanted bytes in B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"},
	{"5 kb", DIM_TIME, "'5 kb' has an unknown unit 'kb', wanted a time in ns, us, ms, s, min"},
	{"80 ", DIM_TIME, "'80 ' has an unknown unit ' ', wanted a time in ns, us, ms, s, min"},
	{"80  us", DIM_TIME,
	 "'80  us' has an unknown unit '  us', wanted a time in ns, us, ms, s, min"},
	{"80 us ", DIM_TIME,
	 "'80 us ' has an unknown unit 'us ', wanted a time in ns, us, ms, s, min"},
	{"50%%", DIM_FRAC, "'50%%' has an unknown unit '%%', wanted a fraction in %"},
	{"80MB", DIM_TIME, "'80MB' is bytes, wanted a time"},
	{"80 MB", DIM_TIME, "'80 MB' is bytes, wanted a time"},
	{"80us", DIM_BYTES, "'80us' is a time, wanted bytes"},
	{"1GB", DIM_BANDWIDTH, "'1GB' is bytes, wanted a bandwidth"},
	{"1GB/s", DIM_BYTES, "'1GB/s' is a bandwidth, wanted bytes"},
	{"1GB/s", DIM_COUNT, "'1GB/s' is a bandwidth, wanted a whole number"},
	{"150k/s", DIM_BANDWIDTH, "'150k/s' is a rate, wanted a bandwidth"},
	{"5J", DIM_TIME, "'5J' is an energy, wanted a time"},
	{"50%", DIM_TIME, "'50%' is a fraction, wanted a time"},
	{"50%", DIM_NONE, "'50%' is a fraction, wanted a number"},
	{"1Gflop/s", DIM_RATE, "'1Gflop/s' is a compute rate, wanted a rate"},
	{"-5", DIM_COUNT, "'-5' has a sign, wanted a whole number"},
	{"-5ms", DIM_TIME, "'-5ms' has a sign, wanted a time"},
	{"+5ms", DIM_TIME, "'+5ms' has a sign, wanted a time"},
	{"-0", DIM_BYTES, "'-0' has a sign, wanted bytes"},
	{"3.5", DIM_COUNT, "3.5 is not a whole number"},
	{"1e-1", DIM_COUNT, "1e-1 is not a whole number"},
	{"1e999", DIM_NONE, "'1e999' is too large"},
	{"1e300TiB", DIM_BYTES, "'1e300TiB' is too large"},
	{"1e99999999999999999999", DIM_NONE, "'1e99999999999999999999' is too large"},
	{"1e-999", DIM_NONE, "'1e-999' is too small"},
	{"1e-320pJ", DIM_ENERGY, "'1e-320pJ' is too small"},
};

START_TEST(test_a_bad_value_is_refused_with_what_was_wanted)
{
	struct err err = {0};
	double value;

	ck_assert_msg(unit_parse(&value, bad[_i].text, bad[_i].dim, &err) == EINVAL, "'%s'",
		      bad[_i].text);
	ck_assert_str_eq(err.msg, bad[_i].says);
}
END_TEST

START_TEST(test_a_text_of_any_length_is_read_or_refused)
{
	enum { LENGTH = 100000 };
	char *text = malloc(LENGTH + 4);
	struct err err = {0};
	double value;

	ck_assert_ptr_nonnull(text);
	memset(text, '1', LENGTH);
	text[LENGTH] = '\0';
	ck_assert_int_eq(unit_parse(&value, text, DIM_NONE, &err), EINVAL);
	ck_assert_ptr_nonnull(strstr(err.msg, "1' is too large"));
	ck_assert_uint_lt(strlen(err.msg), 100);
	err = (struct err){0};
	memcpy(text, "0.", 2);
	strcpy(text + LENGTH, "us");
	ck_assert_int_eq(unit_parse(&value, text, DIM_TIME, &err), 0);
	ck_assert(value == 1000.0 / 9.0);
	free(text);
}
END_TEST

static const struct {
	double value;
	enum dim dim;
	const char *text;
} formatted[] = {
	{0, DIM_NONE, "0"},
	{0, DIM_TIME, "0ns"},
	{0, DIM_BYTES, "0B"},
	{32768, DIM_BYTES, "32KiB"},
	{512, DIM_BYTES, "512B"},
	{1000, DIM_BYTES, "1kB"},
	{1024, DIM_BYTES, "1KiB"},
	{1500, DIM_BYTES, "1500B"},
	{1536, DIM_BYTES, "1536B"},
	{18176, DIM_BYTES, "18176B"},
	{1048576, DIM_BYTES, "1MiB"},
	{13.4e9, DIM_BYTES, "13.4GB"},
	{1099511627776.0, DIM_BYTES, "1TiB"},
	{80000, DIM_TIME, "80us"},
	{500, DIM_TIME, "500ns"},
	{1.5e6, DIM_TIME, "1.5ms"},
	{1e9, DIM_TIME, "1s"},
	{6e10, DIM_TIME, "60s"},
	{6e13, DIM_TIME, "60000s"},
	{3.6e15, DIM_TIME, "60000min"},
	{12345678, DIM_TIME, "12345678ns"},
	{6.1e9, DIM_BANDWIDTH, "6.1GB/s"},
	{150000, DIM_RATE, "150k/s"},
	{1.3e12, DIM_FLOPS, "1.3Tflop/s"},
	{20e-12, DIM_ENERGY, "20pJ"},
	{0.5, DIM_FRAC, "0.5"},
	{0.024, DIM_FRAC, "0.024"},
	{1, DIM_FRAC, "1"},
	{1000, DIM_COUNT, "1000"},
	{1048576, DIM_COUNT, "1048576"},
	{-0.25, DIM_NONE, "-0.25"},
	{0.1, DIM_NONE, "0.1"},
	{1e-9, DIM_NONE, "1e-9"},
	{0.0001, DIM_NONE, "0.0001"},
	{1.25e300, DIM_NONE, "1.25e300"},
	{9007199254740992.0, DIM_COUNT, "9007199254740992"},
};

START_TEST(test_a_value_is_written_in_its_shortest_unit)
{
	char text[64];

	unit_format(text, sizeof(text), formatted[_i].value, formatted[_i].dim);
	ck_assert_str_eq(text, formatted[_i].text);
}
END_TEST

/* SplitMix64: a fixed seed gives fixed values on every machine. */
static uint64_t next_u64(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Values of the kinds that occur: any bits at all, whole, decimal, powers of two, and neighbours.
 */
static double next_value(uint64_t *state)
{
	uint64_t bits = next_u64(state);
	double value;

	switch (next_u64(state) % 6) {
	case 0:
		memcpy(&value, &bits, sizeof(value));
		return isfinite(value) ? fabs(value) : 1;
	case 1:
		return (double)(bits >> (next_u64(state) % 64));
	case 2:
		return (double)(bits % 10000) / 100 * pow(10, (double)(next_u64(state) % 13));
	case 3:
		return ldexp(1, (int)(bits % 60));
	case 4:
		return nextafter((double)(bits % 1000000), 1e300);
	default:
		return (double)(bits >> 11) * 0x1p-53;
	}
}

START_TEST(test_what_is_written_is_read_back_to_the_bit)
{
	uint64_t state = 20240601 + (uint64_t)_i;
	enum dim dim = (enum dim)_i;

	for (int round = 0; round < 2000; round++) {
		double value = next_value(&state), back = NAN;
		struct err err = {0};
		char text[64];

		if (dim == DIM_COUNT)
			value = floor(value);
		if (dim == DIM_NONE && round % 2)
			value = -value;
		unit_format(text, sizeof(text), value, dim);
		ck_assert_uint_lt(strlen(text), sizeof(text) - 1);
		ck_assert_msg(unit_parse(&back, text, dim, &err) == 0, "%.17g: %s", value, err.msg);
		ck_assert_msg(back == value, "%.17g was written %s", value, text);
	}
}
END_TEST

static const struct {
	double value;
	enum dim dim;
	const char *text;
} human[] = {
	{0, DIM_TIME, "0 ns"},
	{0, DIM_COUNT, "0"},
	{1284000, DIM_TIME, "1.28 ms"},
	{87e6, DIM_TIME, "87 ms"},
	{2196e6, DIM_TIME, "2.2 s"},
	{999.6, DIM_TIME, "1 us"},
	{999.4, DIM_TIME, "999 ns"},
	{0.25, DIM_TIME, "0.25 ns"},
	{9e10, DIM_TIME, "90 s"},
	{6.1e9, DIM_BANDWIDTH, "6.1 GB/s"},
	{32768, DIM_BYTES, "32 KiB"},
	{1048576, DIM_BYTES, "1 MiB"},
	{18176, DIM_BYTES, "18.2 kB"},
	{13.4e9, DIM_BYTES, "13.4 GB"},
	{6658473984.0, DIM_BYTES, "6.66 GB"},
	{0.0237, DIM_FRAC, "2.37 %"},
	{1, DIM_FRAC, "100 %"},
	{12345, DIM_COUNT, "12345"},
	{0.33333, DIM_NONE, "0.333"},
	{-1284000, DIM_TIME, "-1.28 ms"},
	{150000, DIM_RATE, "150 k/s"},
	{3.5e-12, DIM_ENERGY, "3.5 pJ"},
	{4e-6, DIM_ENERGY, "4 uJ"},
};

START_TEST(test_people_get_three_digits)
{
	char text[64];

	unit_human(text, sizeof(text), human[_i].value, human[_i].dim);
	ck_assert_str_eq(text, human[_i].text);
}
END_TEST

START_TEST(test_people_are_told_of_what_is_no_number)
{
	char text[64];

	ck_assert_str_eq(unit_human(text, sizeof(text), NAN, DIM_TIME), "nan ns");
	ck_assert_str_eq(unit_human(text, sizeof(text), INFINITY, DIM_COUNT), "inf");
}
END_TEST

START_TEST(test_every_dimension_has_a_name_and_reads_its_base)
{
	enum dim dim = (enum dim)_i;
	struct err err = {0};
	char text[32];
	double value;

	ck_assert_ptr_nonnull(dim_name(dim));
	snprintf(text, sizeof(text), "7%s", dim_base(dim));
	ck_assert_int_eq(unit_parse(&value, text, dim, &err), 0);
	ck_assert(value == 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *tcase = tcase_create("units");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_a_value_is_read_in_its_base_unit, 0, COUNT(good));
	tcase_add_loop_test(tcase, test_nothing_may_follow_a_value, 0, COUNT(good));
	tcase_add_loop_test(tcase, test_a_bad_value_is_refused_with_what_was_wanted, 0, COUNT(bad));
	tcase_add_test(tcase, test_a_text_of_any_length_is_read_or_refused);
	tcase_add_loop_test(tcase, test_a_value_is_written_in_its_shortest_unit, 0,
			    COUNT(formatted));
	tcase_add_loop_test(tcase, test_what_is_written_is_read_back_to_the_bit, 0, DIM__COUNT);
	tcase_add_loop_test(tcase, test_people_get_three_digits, 0, COUNT(human));
	tcase_add_test(tcase, test_people_are_told_of_what_is_no_number);
	tcase_add_loop_test(tcase, test_every_dimension_has_a_name_and_reads_its_base, 0,
			    DIM__COUNT);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
