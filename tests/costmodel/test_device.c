/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_device.c - device profiles are read strictly, written back whole, and digested by what
 * predicts */
#include "device.h"
#include "flash.h"
#include "yaml.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLASH                                                                                      \
	"flash:\n  latency_ns: 60us\n  stream_bytes_per_s: 3GB/s\n  request_rate_per_s: 150k/s\n"  \
	"  peak_bytes_per_s: 6.1GB/s\n"
#define DRAM "dram: {append_bytes_per_s: 8GB/s, move_bytes_per_s: 9GB/s}\n"
#define COMPUTE                                                                                    \
	"compute: {gemv_f32_bytes_per_s: 27GB/s, gemv_f16_bytes_per_s: 20GB/s, "                   \
	"gemv_bf16_bytes_per_s: 20GB/s, "                                                          \
	"ffn_f32_bytes_per_s: 26GB/s, ffn_f16_bytes_per_s: 19GB/s, ffn_bf16_bytes_per_s: 19GB/s, " \
	"kv_bytes_per_s: 15GB/s, "                                                                 \
	"flops_per_s: 1Tflop/s}\n"
#define ORIGIN "origin: {kind: measured, noise_floor_frac: 5%}\n"
#define WHOLE  FLASH DRAM COMPUTE ORIGIN

static int read_text(struct device *device, const char *text, struct err *err)
{
	struct ynode *map;
	int rc;

	ck_assert_msg(yaml_parse(&map, text, "d.yaml", err) == 0, "%s", err->msg);
	rc = device_read(device, map, err);
	ynode_free(map);
	return rc;
}

static void must_read(struct device *device, const char *text)
{
	struct err err = {0};

	ck_assert_msg(read_text(device, text, &err) == 0, "%s", err.msg);
}

START_TEST(test_a_profile_is_read_with_its_units_and_defaults)
{
	struct device device;

	must_read(&device, "name: here\nabout: a test\n" WHOLE);
	ck_assert_str_eq(device.name, "here");
	ck_assert_str_eq(device.about, "a test");
	ck_assert_double_eq(device.flash.latency_ns, 60e3);
	ck_assert_double_eq(device.flash.request_rate_per_s, 150e3);
	ck_assert_double_eq(device.flash.peak_bytes_per_s, 6.1e9);
	ck_assert_double_eq(device.flash.size_norm, 2);
	ck_assert_double_eq(device.flash.knee, 4);
	ck_assert_double_eq(device.dram.move_bytes_per_s, 9e9);
	ck_assert_double_eq(device.dram.append_row_ns, 0);
	ck_assert_double_eq(device.compute.flops_per_s, 1e12);
	ck_assert_uint_eq(device.origin.kind, ORIGIN_MEASURED);
	ck_assert_double_eq(device.origin.noise_floor_frac, 0.05);
}
END_TEST

START_TEST(test_what_is_kept_for_readers_may_stand_in_a_profile)
{
	struct device device;

	must_read(&device, WHOLE "points:\n"
				 "  - {read_bytes: 4KiB, in_flight: 1, reads_per_s: 15k/s}\n"
				 "  - {read_bytes: 8192, in_flight: 32, reads_per_s: 150000, "
				 "noise_frac: 2%}\n"
				 "intervals:\n"
				 "  latency_ns: [55us, 66us]\n"
				 "  knee: not identified\n"
				 "  append_bytes_per_s: [7GB/s, 9GB/s]\n"
				 "checks:\n"
				 "  - {what: batch of 393, predicted: 2.8ms, measured: 2.7ms}\n"
				 "  - {anything: else}\n");
	must_read(&device, WHOLE "points: []\nintervals: {}\nchecks: []\n");
	must_read(&device, WHOLE "checks: {batch_error_frac: 0.03}\n");
}
END_TEST

START_TEST(test_what_is_written_reads_back_the_same)
{
	struct device device, again;
	struct err err = {0};
	struct ynode *map;
	char *text;

	must_read(&device, "name: here\nabout: 'a: test'\n" WHOLE);
	device.flash.latency_ns = 12345.678901234567;
	device.flash.size_norm = 1.0 / 3 + 1;
	device.origin.flash_fit_error_frac = 0.0432109876;
	strcpy(device.origin.source, "a disk, virtio");
	map = device_write(&device);
	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(ynode_text(&text, map, &err), 0);
	must_read(&again, text);
	ck_assert_mem_eq(&again.flash, &device.flash, sizeof(device.flash));
	ck_assert_mem_eq(&again.dram, &device.dram, sizeof(device.dram));
	ck_assert_mem_eq(&again.compute, &device.compute, sizeof(device.compute));
	ck_assert_str_eq(again.name, device.name);
	ck_assert_str_eq(again.about, device.about);
	ck_assert_str_eq(again.origin.source, device.origin.source);
	ck_assert_double_eq(again.origin.flash_fit_error_frac, device.origin.flash_fit_error_frac);
	free(text);
	ynode_free(map);
}
END_TEST

#define TABLES                                                                                     \
	"correction:\n  read_bytes: [4KiB, 16384]\n  in_flight: [1, 8, 32]\n"                      \
	"  factor:\n    - [1.1, 1, 0.95]\n    - [0.9, 1.02, 1.03]\n"                               \
	"batch_correction:\n  read_bytes: [16KiB]\n  reads: [16, 256]\n  factor: [[1.2, 1]]\n"

START_TEST(test_tables_are_read_used_and_written)
{
	struct device device, again, plain;
	char hash[DIGEST_TEXT], other[DIGEST_TEXT];
	struct err err = {0};
	struct ynode *map;
	char *text;

	must_read(&plain, WHOLE);
	must_read(&device, WHOLE TABLES "samples:\n  - [80us, 2GB/s, 150k/s, 6GB/s, 2, 4]\n");
	ck_assert_double_eq_tol(flash_reads_per_s(&device.flash, 4096, 32) /
					flash_reads_per_s(&plain.flash, 4096, 32),
				0.95, 1e-12);
	device.flash.batch_in_flight = 32;
	ck_assert_double_eq_tol(flash_batch_factor(&device.flash, 16, 16384, 32), 1.2, 1e-12);
	ck_assert_double_eq_tol(flash_batch_factor(&device.flash, 16, 16384, 1), 1, 1e-12);
	map = device_write(&device);
	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(ynode_text(&text, map, &err), 0);
	must_read(&again, text);
	for (unsigned d = 0; d < 3; d++)
		ck_assert_double_eq_tol(again.flash.correction.log_factor[1][d],
					device.flash.correction.log_factor[1][d], 1e-6);
	device_hash(&device, hash);
	device_hash(&again, other);
	ck_assert_str_eq(hash, other);
	device_hash(&plain, other);
	ck_assert_str_ne(hash, other);
	free(text);
	ynode_free(map);
}
END_TEST

static const struct {
	const char *why, *yaml, *says;
} bad_tables[] = {
	{"no list", "correction: []\n", "correction: wanted a mapping of read_bytes, in_flight"},
	{"an axis is missing", "correction: {read_bytes: [4KiB], factor: [[1]]}\n",
	 "correction: in_flight: wanted a list"},
	{"an axis falls",
	 "correction: {read_bytes: [8KiB, 4KiB], in_flight: [1], factor: [[1], [1]]}\n",
	 "4096 after 8192, wanted ascending"},
	{"a row is missing",
	 "correction: {read_bytes: [4KiB, 8KiB], in_flight: [1], factor: [[1]]}\n",
	 "factor: wanted a list for each of 2 sizes"},
	{"a cell is missing",
	 "correction: {read_bytes: [4KiB], in_flight: [1, 2], factor: [[1]]}\n",
	 "factor: wanted 2 of them"},
	{"no factor is 0", "correction: {read_bytes: [4KiB], in_flight: [1], factor: [[0]]}\n",
	 "0 is outside [0.01, 100]"},
	{"a wrong dimension", "correction: {read_bytes: [4us], in_flight: [1], factor: [[1]]}\n",
	 "is a time"},
	{"no key is ignored",
	 "correction: {read_bytes: [4KiB], in_flight: [1], factor: [[1]], factors: 1}\n",
	 "unknown key factors"},
	{"batches have reads",
	 "batch_correction: {read_bytes: [4KiB], in_flight: [1], factor: [[1]]}\n",
	 "unknown key in_flight"},
	{"a sample lacks one", "samples: [[80us, 2GB/s, 150k/s, 6GB/s, 2]]\n",
	 "samples: wanted a list of 6 parameters"},
	{"a sample is impossible", "samples: [[80us, 2GB/s, 150k/s, 6GB/s, 0.5, 4]]\n",
	 "size_norm: 0.5 is outside"},
};

START_TEST(test_a_bad_table_is_refused_by_name)
{
	char yaml[4096];
	struct device device;
	struct err err = {0};

	snprintf(yaml, sizeof(yaml), "%s%s", WHOLE, bad_tables[_i].yaml);
	ck_assert_msg(read_text(&device, yaml, &err) == EINVAL, "%s", bad_tables[_i].why);
	ck_assert_msg(strstr(err.msg, bad_tables[_i].says) != NULL, "said: %s", err.msg);
}
END_TEST

START_TEST(test_the_digest_sees_what_predicts_and_nothing_else)
{
	char hash[DIGEST_TEXT], other[DIGEST_TEXT];
	struct device device, changed;

	must_read(&device, WHOLE);
	device_hash(&device, hash);
	ck_assert_uint_eq(strlen(hash), DIGEST_TEXT - 1);
	must_read(&changed, "name: other\nabout: elsewhere\n" FLASH DRAM COMPUTE
			    "origin: {kind: emulated, noise_floor_frac: 1%, date: today}\n"
			    "checks: [{a: 1}]\n");
	device_hash(&changed, other);
	ck_assert_str_eq(hash, other);
	for (size_t i = 0; i < flash_table.count; i++) {
		changed = device;
		*(double *)((char *)&changed.flash + flash_table.rows[i].offset) += 1.0 / 1024;
		device_hash(&changed, other);
		ck_assert_msg(strcmp(hash, other) != 0, "%s", flash_table.rows[i].name);
	}
	changed = device;
	changed.dram.scan_neuron_ns = 1;
	device_hash(&changed, other);
	ck_assert_str_ne(hash, other);
	changed = device;
	changed.compute.threads = 2;
	device_hash(&changed, other);
	ck_assert_str_ne(hash, other);
}
END_TEST

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"a noise floor is required", FLASH DRAM COMPUTE "origin: {kind: measured}\n",
	 "noise_floor_frac is missing"},
	{"an origin is required", FLASH DRAM COMPUTE, "d.yaml:1:1: device: origin is missing"},
	{"flash is required", DRAM COMPUTE ORIGIN, "device: flash is missing"},
	{"every flash figure without a default is required",
	 "flash: {latency_ns: 1us}\n" DRAM COMPUTE ORIGIN, "stream_bytes_per_s is missing"},
	{"no group is a scalar", "flash: 3\n" DRAM COMPUTE ORIGIN,
	 "d.yaml:1:8: flash: wanted a mapping"},
	{"a profile is a mapping", "[1, 2]\n", "a device profile is a mapping"},
	{"no key is ignored", WHOLE "flashes: 1\n", "unknown key flashes (did you mean flash?)"},
	{"no key of a group is ignored", "flash:\n  latency_us: 60\n" DRAM COMPUTE ORIGIN,
	 "d.yaml:2:3: unknown key latency_us (did you mean latency_ns?)"},
	{"no wrong dimension", FLASH "  knee: 4us\n" DRAM COMPUTE ORIGIN, "knee: '4us' is a time"},
	{"a norm under 1 is none", FLASH "  size_norm: 0.5\n" DRAM COMPUTE ORIGIN,
	 "size_norm: 0.5 is outside [1, 64]"},
	{"an origin is one of three",
	 FLASH DRAM COMPUTE "origin: {kind: guessed, noise_floor_frac: 1%}\n",
	 "'guessed' is none of measured, emulated, published"},
	{"points are a list", WHOLE "points: {a: 1}\n", "points: wanted a list"},
	{"a point is a mapping", WHOLE "points: [4KiB]\n", "points: wanted a mapping"},
	{"a point is whole", WHOLE "points: [{read_bytes: 4KiB, in_flight: 1}]\n",
	 "reads_per_s is missing"},
	{"a point has no key of its own",
	 WHOLE "points: [{read_bytes: 4KiB, in_flight: 1, reads_per_s: 9, mood: 3}]\n",
	 "unknown key mood"},
	{"a point reads something",
	 WHOLE "points: [{read_bytes: 0B, in_flight: 1, reads_per_s: 9}]\n",
	 "read_bytes: 0B is outside"},
	{"intervals are a mapping", WHOLE "intervals: [1, 2]\n", "intervals: wanted a mapping"},
	{"an interval is of a parameter", WHOLE "intervals: {latency: [1us, 2us]}\n",
	 "intervals: unknown parameter latency"},
	{"an interval has two ends", WHOLE "intervals: {latency_ns: [1us]}\n",
	 "wanted [low, high] or 'not identified'"},
	{"an interval has its parameter's unit", WHOLE "intervals: {latency_ns: [1us, 2GB/s]}\n",
	 "intervals: latency_ns: '2GB/s' is a bandwidth"},
	{"an interval's ends are scalars", WHOLE "intervals: {latency_ns: [1us, [2]]}\n",
	 "intervals: latency_ns: wanted a time"},
	{"an interval is the right way round", WHOLE "intervals: {latency_ns: [3us, 2us]}\n",
	 "low 3000 is above high 2000 ns"},
	{"no other words for an interval", WHOLE "intervals: {latency_ns: unknown}\n",
	 "wanted [low, high] or 'not identified'"},
	{"checks are mappings", WHOLE "checks: 3\n", "checks: wanted a mapping"},
	{"a check is a mapping", WHOLE "checks: [3]\n", "checks: wanted a mapping"},
	{"a check is flat", WHOLE "checks: [{what: [1, 2]}]\n", "checks: what: wanted one value"},
};

START_TEST(test_a_bad_profile_is_refused_by_place_and_name)
{
	struct err err = {0};
	struct device device;

	ck_assert_msg(read_text(&device, bad[_i].yaml, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: said: %s", bad[_i].why, err.msg);
	ck_assert_msg(strncmp(err.msg, "d.yaml:", 7) == 0, "%s: said: %s", bad[_i].why, err.msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *tcase = tcase_create("device");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, test_a_profile_is_read_with_its_units_and_defaults);
	tcase_add_test(tcase, test_what_is_kept_for_readers_may_stand_in_a_profile);
	tcase_add_test(tcase, test_what_is_written_reads_back_the_same);
	tcase_add_test(tcase, test_tables_are_read_used_and_written);
	tcase_add_loop_test(tcase, test_a_bad_table_is_refused_by_name, 0,
			    sizeof(bad_tables) / sizeof(bad_tables[0]));
	tcase_add_test(tcase, test_the_digest_sees_what_predicts_and_nothing_else);
	tcase_add_loop_test(tcase, test_a_bad_profile_is_refused_by_place_and_name, 0,
			    sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
