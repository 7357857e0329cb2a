/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_emulated.c - hazard: an emulated device that brings wrong bytes, is early, hangs, or is not
 * the one described */
#define _GNU_SOURCE
#include "clock.h"
#include "emulator.h"
#include "read_engine.h"
#include "rng.h"
#include "tiny.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { FFN_BYTES = 8 << 20, BASE_BYTES = 64 << 10, MANY = 4000 };

/* Round figures, so that a test can say what must come out: 10 us + bytes / 1 GB/s on a unit, 1 us
 * + bytes / 4 GB/s on the bus. */
static const struct emulated_params plain = {
	.units = 8,
	.unit_ns = 10e3,
	.unit_bytes_per_s = 1e9,
	.stripe_bytes = 16384,
	.bus_bytes_per_s = 4e9,
	.bus_ns = 1e3,
	.request_rate_per_s = 1e6,
	.host_ns = 5e3,
};

static char dir[TINY_PATH], paths[READER_FILES][TINY_PATH + 16];
static unsigned char *contents[READER_FILES];

/* ---- the mechanism ---- */

static struct emulator *open_mechanism(const struct emulated_params *params, unsigned in_flight,
				       uint64_t seed)
{
	struct emulator *emulator = NULL;
	struct err err = {0};

	ck_ok(emulator_open(&emulator, params, in_flight, seed, &err));
	return emulator;
}

/* Where in the file the i-th read of a pattern lies. */
static uint64_t scattered(uint64_t i, uint32_t bytes)
{
	return rng_mix(i ^ (uint64_t)bytes << 32) % ((UINT64_C(1) << 30) / bytes) * bytes;
}

/* Keep n in flight until 'count' have completed, as the host does; returns the time of the last.
 * at[i]: completion of the i-th to complete, unless NULL. */
static uint64_t closed_loop(struct emulator *e, unsigned n, unsigned count, uint32_t bytes,
			    uint64_t *at)
{
	struct emulator_done done = {0, 0};

	for (unsigned sent = 0, came = 0; came < count; came++) {
		for (; sent < count && sent - came < n; sent++)
			emulator_accept(e,
					&(struct emulator_read){.tag = sent,
								.file = 1,
								.offset = scattered(sent, bytes),
								.bytes = bytes},
					done.at_ns);
		ck_assert(emulator_next(e, &done));
		if (at)
			at[came] = done.at_ns;
	}
	ck_assert(!emulator_next(e, &done));
	return done.at_ns;
}

START_TEST(a_lone_read_takes_the_sum_of_its_parts)
{
	struct emulator *e = open_mechanism(&plain, 1, 1);
	struct emulator_done done;

	emulator_accept(e, &(struct emulator_read){7, 1, 16384, 8192}, 1000);
	ck_assert(emulator_next(e, &done));
	ck_assert_uint_eq(done.tag, 7);
	/* unit 10000 + 8192, bus 1000 + 2048, host 5000 */
	ck_assert_uint_eq(done.at_ns, 1000 + 18192 + 3048 + 5000);
	/* Across a stripe's end: two units at once, 12 KiB and 4 KiB; the later piece finds the bus
	 * free. */
	emulator_accept(e, &(struct emulator_read){8, 1, 4096, 16384}, 100000);
	ck_assert(emulator_next(e, &done));
	ck_assert_uint_eq(done.at_ns, 100000 + 10000 + 12288 + 3072 + 5000);
	emulator_close(e);
}
END_TEST

struct ready {
	uint64_t ns;
	unsigned order;
};

static int ready_compare(const void *a, const void *b)
{
	const struct ready *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* All at once, written down plainly: units in order of acceptance, then the bus in order of
 * readiness, which is never idle while a piece waits. */
START_TEST(a_burst_is_served_as_a_plain_reference_says)
{
	struct emulated_params params = plain;
	struct emulator *e;
	struct ready ready[256];
	uint64_t unit_free[8] = {0}, controller = 0, bus = 0;
	const uint32_t bytes = 4096;

	params.request_rate_per_s = _i ? 1e6 : 1e9;
	e = open_mechanism(&params, 256, 1);
	for (unsigned i = 0; i < 256; i++) {
		const uint64_t offset = scattered(i, bytes);
		const uint32_t unit = emulator_unit(&params, 1, offset);

		unit_free[unit] = (unit_free[unit] > controller ? unit_free[unit] : controller) +
				  10000 + bytes;
		ready[i] = (struct ready){unit_free[unit], i};
		controller += (uint64_t)(1e9 / params.request_rate_per_s);
		emulator_accept(e, &(struct emulator_read){i, 1, offset, bytes}, 0);
	}
	qsort(ready, 256, sizeof(ready[0]), ready_compare);
	for (unsigned i = 0; i < 256; i++) {
		struct emulator_done done;

		bus = (bus > ready[i].ns ? bus : ready[i].ns) + 1000 + bytes / 4;
		ck_assert(emulator_next(e, &done));
		ck_assert_uint_eq(done.tag, ready[i].order);
		ck_assert_uint_eq(done.at_ns, bus + 5000);
	}
	emulator_close(e);
}
END_TEST

START_TEST(one_unit_serves_one_read_at_a_time)
{
	struct emulator *e = open_mechanism(&plain, 16, 1);
	struct emulator_done done = {0, 0};
	uint64_t before;

	for (unsigned i = 0; i < 16; i++) /* one stripe, so one unit */
		emulator_accept(e, &(struct emulator_read){i, 1, 16384 + i % 4 * 4096, 4096}, 0);
	ck_assert(emulator_next(e, &done));
	for (unsigned i = 1; i < 16; i++) {
		before = done.at_ns;
		ck_assert(emulator_next(e, &done));
		ck_assert_uint_eq(done.at_ns - before, 10000 + 4096);
	}
	emulator_close(e);
}
END_TEST

START_TEST(completions_never_pass_the_request_rate_the_bus_or_the_units)
{
	static const uint32_t bytes[] = {512, 4096, 16384, 65536, 1 << 20};
	struct emulated_params params = plain;
	struct emulator *e;
	struct emulator_busy busy;
	uint64_t last;

	params.request_rate_per_s = 200e3;
	params.units = 64;
	e = open_mechanism(&params, 32, 1);
	last = closed_loop(e, 32, MANY, bytes[_i], NULL);
	busy = emulator_busy(e);
	ck_assert_double_le((MANY - 1) / ((double)last * 1e-9), 200e3);
	ck_assert_uint_le(busy.bus_ns, last);
	ck_assert_uint_le(busy.unit_ns, last * params.units);
	/* A long stream keeps the bus busy all the time but for the first read's way to it. */
	if (bytes[_i] == 1 << 20)
		ck_assert_double_ge((double)busy.bus_ns, 0.999 * (double)last);
	emulator_close(e);
}
END_TEST

START_TEST(consecutive_stripes_lie_on_all_units_and_scattered_ones_on_each_alike)
{
	unsigned hits[8] = {0};

	for (uint64_t run = 0; run < 100; run++) {
		unsigned seen = 0;

		for (uint64_t k = 0; k < 8; k++)
			seen |= 1U << emulator_unit(&plain, 1, (run * 8 + k) * 16384);
		ck_assert_uint_eq(seen, 255);
	}
	for (uint64_t i = 0; i < MANY; i++)
		hits[emulator_unit(&plain, 1, scattered(i, 4096))]++;
	for (unsigned u = 0; u < 8; u++) {
		ck_assert_uint_gt(hits[u], MANY / 8 * 4 / 5);
		ck_assert_uint_lt(hits[u], MANY / 8 * 6 / 5);
	}
}
END_TEST

START_TEST(stalls_and_retries_repeat_with_the_seed_and_have_their_share)
{
	static uint64_t at[3][MANY];
	struct emulated_params params = plain;
	struct emulator_busy busy = {0};

	params.stall_frac = 0.05;
	params.stall_ns = 1e6;
	params.retry_frac = 0.1;
	for (unsigned i = 0; i < 3; i++) {
		struct emulator *e = open_mechanism(&params, 8, i / 2);

		closed_loop(e, 8, MANY, 4096, at[i]);
		busy = emulator_busy(e);
		emulator_close(e);
	}
	ck_assert_mem_eq(at[0], at[1], sizeof(at[0]));
	ck_assert_mem_ne(at[0], at[2], sizeof(at[0]));
	ck_assert_uint_gt(busy.stall_count, MANY / 20 * 3 / 4);
	ck_assert_uint_lt(busy.stall_count, MANY / 20 * 5 / 4);
	ck_assert_uint_gt(busy.retry_count, MANY / 10 * 3 / 4);
	ck_assert_uint_lt(busy.retry_count, MANY / 10 * 5 / 4);
	/* 4 KiB on a unit: 14.1 us, and 1.4 us of retries and 50 us of stalls at the mean. */
	ck_assert_double_gt((double)busy.unit_ns / MANY, 14096 * 1.1 + 50e3 * 0.7);
	ck_assert_double_lt((double)busy.unit_ns / MANY, 14096 * 1.1 + 50e3 * 1.3);
}
END_TEST

static void named_target(struct real_target *target, const char *name)
{
	struct ynode *named = ynode_new_scalar("test", name, 0);
	struct err err = {0};

	ck_assert_ptr_nonnull(named);
	ck_ok(real_target_read(target, named, &err));
	ynode_free(named);
}

/* What each setting's YAML states of it.  M1 Max: paper.md 2, reads a second with 32 in flight, from
 * the paper's tables; one lone 4 KiB read is assumed. */
static const struct {
	const char *device;
	unsigned in_flight;
	uint32_t bytes;
	double reads_per_s;
} stated[] = {
	{"emulated-m1-max", 32, 8192, 153e3},
	{"emulated-m1-max", 32, 16384, 141e3},
	{"emulated-m1-max", 32, 32768, 115e3},
	{"emulated-m1-max", 32, 36352, 112e3},
	{"emulated-m1-max", 32, 1 << 20, 6.1e9 / (1 << 20)},
	{"emulated-m1-max", 1, 4096, 10e3},
	{"emulated-sata-ssd", 1, 4096, 10e3},
	{"emulated-sata-ssd", 4, 4096, 37.5e3},
	{"emulated-sata-ssd", 32, 4096, 95e3},
	{"emulated-sata-ssd", 32, 16384, 30.5e3},
	{"emulated-sata-ssd", 32, 32768, 16.2e3},
	{"emulated-sata-ssd", 32, 1 << 20, 550e6 / (1 << 20)},
	{"emulated-emmc", 1, 4096, 5.5e3},
	{"emulated-emmc", 1, 1 << 20, 240e6 / (1 << 20)},
	{"emulated-emmc", 8, 4096, 9e3},
	{"emulated-emmc", 8, 32768, 6.5e3},
	{"emulated-emmc", 32, 4096, 9e3},
	{"emulated-emmc", 32, 1 << 20, 260e6 / (1 << 20)},
};

START_TEST(a_setting_reads_as_fast_as_its_yaml_states)
{
	static uint64_t at[MANY * 5];
	/* A long read is of many pieces, and few of them are as many. */
	const unsigned warm = stated[_i].bytes > 65536 ? MANY / 10 : MANY / 2, count = 5 * warm;
	struct real_target target;
	struct emulator *e;
	double reads_per_s;

	named_target(&target, stated[_i].device);
	ck_assert(target.is_emulated);
	ck_assert_str_eq(target.name, stated[_i].device);
	e = open_mechanism(&target.emulated, stated[_i].in_flight, 1);
	closed_loop(e, stated[_i].in_flight, count, stated[_i].bytes, at);
	reads_per_s = (count - warm) * 1e9 / (double)(at[count - 1] - at[warm - 1]);
	ck_assert_double_gt(reads_per_s / stated[_i].reads_per_s, 0.97);
	ck_assert_double_lt(reads_per_s / stated[_i].reads_per_s, 1.03);
	emulator_close(e);
}
END_TEST

/* ---- effects that no level of the simulator models ---- */

static const char *const settings[] = {"emulated-m1-max", "emulated-sata-ssd", "emulated-emmc"};

/* Address of the i-th stripe of a unit. */
static uint64_t stripe_of_unit(const struct emulated_params *params, uint32_t unit, unsigned i)
{
	for (uint64_t stripe = (uint64_t)i * params->units;; stripe++)
		if (emulator_unit(params, 1, stripe * params->stripe_bytes) == unit)
			return stripe * params->stripe_bytes;
}

/* All at once: when the last of a batch of 4 KiB reads completes whose i-th lies on unit
 * i % spread. */
static uint64_t batch_over_units(const struct emulated_params *params, uint32_t spread,
				 unsigned count)
{
	struct emulator *e = open_mechanism(params, count, 1);
	struct emulator_done done = {0, 0};

	for (unsigned i = 0; i < count; i++)
		emulator_accept(e,
				&(struct emulator_read){
					i, 1, stripe_of_unit(params, i % spread, i / spread), 4096},
				0);
	for (unsigned i = 0; i < count; i++)
		ck_assert(emulator_next(e, &done));
	emulator_close(e);
	return done.at_ns;
}

START_TEST(reads_on_one_unit_take_as_many_times_as_long_as_there_are_units)
{
	const unsigned each = 50;
	struct emulated_params params = plain;
	uint64_t on_one, on_all;

	/* The way to the unit and from it must not bind. */
	params.units = _i ? 32 : 8;
	params.request_rate_per_s = 1e9;
	params.bus_bytes_per_s = 1e13;
	params.bus_ns = 0;
	on_one = batch_over_units(&params, 1, each * (unsigned)params.units);
	on_all = batch_over_units(&params, (uint32_t)params.units, each * (unsigned)params.units);
	ck_assert_double_gt((double)on_one / (double)on_all, 0.98 * (double)params.units);
	ck_assert_double_lt((double)on_one / (double)on_all, 1.001 * (double)params.units);
}
END_TEST

START_TEST(every_setting_is_slowed_down_by_addresses_that_collide)
{
	struct real_target target;
	const unsigned count = 256;
	uint64_t on_one, on_all;

	named_target(&target, settings[_i]);
	target.emulated.stall_frac = 0;
	target.emulated.retry_frac = 0;
	on_one = batch_over_units(&target.emulated, 1, count);
	on_all = batch_over_units(&target.emulated, (uint32_t)target.emulated.units, count);
	/* One unit alone serves them one by one; all together are bound by bus or controller. */
	ck_assert_double_ge((double)on_one, count * target.emulated.unit_ns);
	ck_assert_double_gt((double)on_one, 1.1 * (double)on_all);
}
END_TEST

/* The same batch at the same addresses, again and again: what differs is the hiccups' seed. */
START_TEST(stalls_and_retries_make_batches_of_every_setting_differ)
{
	enum { BATCHES = 200, READS = 128 };
	static uint64_t took[2][BATCHES];
	struct real_target target;

	named_target(&target, settings[_i]);
	for (unsigned calm = 0; calm < 2; calm++) {
		struct emulated_params params = target.emulated;
		uint64_t sum = 0, most = 0, least = UINT64_MAX;

		if (calm)
			params.stall_frac = params.retry_frac = 0;
		for (unsigned i = 0; i < BATCHES; i++) {
			struct emulator *e = open_mechanism(&params, 32, i);

			took[calm][i] = closed_loop(e, 32, READS, 16384, NULL);
			emulator_close(e);
			sum += took[calm][i];
			most = took[calm][i] > most ? took[calm][i] : most;
			least = took[calm][i] < least ? took[calm][i] : least;
		}
		if (calm)
			ck_assert_uint_eq(most, least);
		else
			ck_assert_double_gt((double)(most - least) * BATCHES, 0.05 * (double)sum);
	}
}
END_TEST

START_TEST(a_retry_doubles_the_units_time_and_a_stall_lengthens_it)
{
	struct emulated_params params = plain;
	struct emulator *e;
	struct emulator_done done;
	uint64_t sum = 0;

	params.retry_frac = 1;
	e = open_mechanism(&params, 1, 1);
	emulator_accept(e, &(struct emulator_read){7, 1, 16384, 8192}, 0);
	ck_assert(emulator_next(e, &done));
	ck_assert_uint_eq(done.at_ns, 2 * 18192 + 3048 + 5000);
	emulator_close(e);
	params.retry_frac = 0;
	params.stall_frac = 1;
	params.stall_ns = 1e6;
	e = open_mechanism(&params, 1, 1);
	for (unsigned i = 0; i < MANY; i++) {
		const uint64_t from_ns = i ? done.at_ns : 0;

		emulator_accept(e, &(struct emulator_read){7, 1, 16384, 8192}, from_ns);
		ck_assert(emulator_next(e, &done));
		ck_assert_uint_ge(done.at_ns - from_ns, 18192 + 3048 + 5000);
		sum += done.at_ns - from_ns - (18192 + 3048 + 5000);
	}
	/* Exponential: the mean of 4000 is within 5 sigmas = 8 %. */
	ck_assert_double_gt((double)sum / MANY, 0.92e6);
	ck_assert_double_lt((double)sum / MANY, 1.08e6);
	emulator_close(e);
}
END_TEST

/* ---- the process ---- */

static void write_file(unsigned i, size_t size)
{
	struct rng rng = {i + 1};

	contents[i] = malloc(size);
	ck_assert_ptr_nonnull(contents[i]);
	for (size_t k = 0; k < size; k += 8) {
		const uint64_t word = rng_next(&rng);

		memcpy(contents[i] + k, &word, 8);
	}
	snprintf(paths[i], sizeof(paths[i]), "%s/file%u", dir, i);
	file_spit(paths[i], contents[i], size);
}

static void setup(void)
{
	dir_make(dir);
	write_file(0, BASE_BYTES);
	write_file(1, FFN_BYTES);
}

static void teardown(void)
{
	dir_remove(dir);
	free(contents[0]);
	free(contents[1]);
}

static struct reader *open_device(const struct emulated_params *params, unsigned in_flight)
{
	const struct reader_options options = {.engine = READ_EMULATED,
					       .paths = {paths[0], paths[1]},
					       .in_flight = in_flight,
					       .emulated = params,
					       .seed = 5};
	struct reader *reader = NULL;
	struct err err = {0};

	ck_ok(reader_open(&reader, &options, &err));
	return reader;
}

static const struct {
	uint32_t bytes;
	unsigned in_flight, count;
} reads[] = {
	{512, 1, 1},	 {4096, 32, 64},   {16384, 32, 200}, {18432, 4, 30},
	{65536, 8, 100}, {1 << 20, 32, 8}, {3 << 20, 2, 3},  {(1 << 20) + 512, 1, 2},
};

static void make_batch(struct read_request *requests, size_t count, uint32_t bytes,
		       unsigned char *to)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned file = bytes <= BASE_BYTES && i % 3 == 0 ? 0 : 1;
		const uint64_t size = file ? FFN_BYTES : BASE_BYTES;

		requests[i] = (struct read_request){
			file, rng_mix(i) % ((size - bytes) / 512 + 1) * 512, bytes, to + i * bytes};
	}
}

/* The mechanism alone, asked for the same batch (reads that need no cutting). */
static uint64_t intended_ns(const struct emulated_params *params, unsigned in_flight,
			    const struct read_request *requests, unsigned count)
{
	struct emulator *e = open_mechanism(params, in_flight, 5);
	struct emulator_done done = {0, 0};

	for (unsigned sent = 0, came = 0; came < count; came++) {
		for (; sent < count && sent - came < in_flight; sent++)
			emulator_accept(e,
					&(struct emulator_read){sent, requests[sent].file,
								requests[sent].offset,
								requests[sent].bytes},
					done.at_ns);
		ck_assert(emulator_next(e, &done));
	}
	emulator_close(e);
	return done.at_ns;
}

START_TEST(a_batch_brings_the_files_bytes_and_is_never_early)
{
	const unsigned count = reads[_i].count;
	struct reader *reader = open_device(&plain, reads[_i].in_flight);
	unsigned char *to = reader_alloc(reader, (size_t)reads[_i].bytes * count);
	struct read_request requests[200];
	struct emulated_lateness late;
	struct read_done done;
	struct err err = {0};
	uint64_t outside;

	ck_assert_ptr_nonnull(to);
	make_batch(requests, count, reads[_i].bytes, to);
	ck_ok(reader_submit(reader, requests, count, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_uint_eq(done.count, count);
	ck_assert_uint_eq(done.bytes, (uint64_t)count * reads[_i].bytes);
	for (unsigned i = 0; i < count; i++)
		ck_assert_mem_eq(requests[i].to, contents[requests[i].file] + requests[i].offset,
				 reads[_i].bytes);
	late = emulated_lateness(reader);
	ck_assert_uint_ge(done.service_ns, late.batch_intended_ns);
	ck_assert_uint_lt(done.service_ns, late.batch_intended_ns + UINT64_C(5000000000));
	if (reads[_i].bytes <= EMULATOR_READ_MAX)
		ck_assert_uint_eq(late.batch_intended_ns,
				  intended_ns(&plain, reads[_i].in_flight, requests, count));
	ck_ok(reader_outside_count(reader, &outside, &err));
	ck_assert_uint_eq(outside, done.bytes);
	reader_close(reader);
}
END_TEST

START_TEST(batches_follow_each_other_and_an_empty_one_is_fine)
{
	struct reader *reader = open_device(&plain, 32);
	unsigned char *to = reader_alloc(reader, 64 * 4096);
	struct read_request requests[64];

	ck_assert_ptr_nonnull(to);
	make_batch(requests, 64, 4096, to);
	for (unsigned batch = 0; batch < 50; batch++) {
		struct read_done done;
		struct err err = {0};

		ck_ok(reader_submit(reader, requests, batch % 5 * 16, &err));
		ck_ok(reader_wait(reader, &done, &err));
		ck_assert_uint_eq(done.count, batch % 5 * 16);
	}
	reader_close(reader);
}
END_TEST

START_TEST(what_nobody_times_comes_at_once_and_leaves_the_mechanism_as_it_was)
{
	struct emulated_params slow = plain;
	struct reader *reader, *fresh;
	struct read_request requests[64];
	struct emulated_lateness late;
	struct read_done done;
	struct err err = {0};
	unsigned char *to;
	uint64_t loaded_ns;

	slow.unit_ns = 20e6; /* 64 reads on 8 units: 160 ms */
	slow.request_rate_per_s = 1e3;
	slow.stall_frac = 0.5;
	slow.stall_ns = 5e6;
	reader = open_device(&slow, 32);
	to = reader_alloc(reader, 64 * 4096);
	ck_assert_ptr_nonnull(to);
	make_batch(requests, 64, 4096, to);
	reader_set_at_once(reader, true);
	ck_ok(reader_submit(reader, requests, 64, &err));
	ck_ok(reader_wait(reader, &done, &err));
	for (unsigned i = 0; i < 64; i++)
		ck_assert_mem_eq(requests[i].to, contents[requests[i].file] + requests[i].offset,
				 4096);
	loaded_ns = done.service_ns;
	ck_assert_uint_eq(emulated_lateness(reader).read_count, 0);
	reader_set_at_once(reader, false);
	ck_ok(reader_submit(reader, requests, 64, &err));
	ck_ok(reader_wait(reader, &done, &err));
	late = emulated_lateness(reader);
	ck_assert_uint_ge(done.service_ns, UINT64_C(160000000));
	ck_assert_uint_lt(loaded_ns, done.service_ns);
	reader_close(reader);

	fresh = open_device(&slow, 32);
	to = reader_alloc(fresh, 64 * 4096);
	ck_assert_ptr_nonnull(to);
	make_batch(requests, 64, 4096, to);
	ck_ok(reader_submit(fresh, requests, 64, &err));
	ck_ok(reader_wait(fresh, &done, &err));
	ck_assert_uint_eq(emulated_lateness(fresh).batch_intended_ns, late.batch_intended_ns);
	reader_close(fresh);
}
END_TEST

START_TEST(a_read_past_the_end_is_told_with_offset_got_and_expected)
{
	struct reader *reader = open_device(&plain, 4);
	unsigned char *to = reader_alloc(reader, 2 * 8192);
	const struct read_request requests[] = {{1, 0, 8192, to},
						{1, FFN_BYTES - 4096, 8192, to + 8192}};
	char says[64];
	struct read_done done;
	struct err err = {0};

	ck_assert_ptr_nonnull(to);
	snprintf(says, sizeof(says), "offset %d: got 4096 bytes, expected 8192", FFN_BYTES - 4096);
	ck_ok(reader_submit(reader, requests, 2, &err));
	ck_assert_int_eq(reader_wait(reader, &done, &err), EIO);
	ck_assert_msg(strstr(err.msg, says) != NULL, "%s", err.msg);
	reader_close(reader);
}
END_TEST

/* Of a batch submitted not after 'since_ns': all that is told of is there, and not before its time. */
static void check_told(struct reader *reader, const struct read_request *requests, size_t have,
		       uint64_t since_ns)
{
	const uint64_t now_ns = clock_now_ns();

	for (size_t i = 0; i < have; i++) {
		ck_assert_uint_ge(now_ns - since_ns, emulated_due_ns(reader, i));
		ck_assert_mem_eq(requests[i].to, contents[requests[i].file] + requests[i].offset,
				 requests[i].bytes);
	}
}

START_TEST(progress_tells_of_prefixes_that_are_there_and_never_early)
{
	static const size_t steps[] = {1, 7, 1000};
	const unsigned count = reads[_i].count;
	struct reader *reader = open_device(&plain, reads[_i].in_flight);
	unsigned char *to = reader_alloc(reader, (size_t)reads[_i].bytes * count);
	struct read_request requests[200];

	ck_assert_ptr_nonnull(to);
	make_batch(requests, count, reads[_i].bytes, to);
	for (unsigned k = 0; k < 3; k++) {
		const uint64_t since_ns = clock_now_ns();
		struct read_done done;
		struct err err = {0};
		size_t have = 0, before;

		memset(to, 0, (size_t)reads[_i].bytes * count);
		ck_ok(reader_submit(reader, requests, count, &err));
		while (have < count) {
			before = have;
			ck_ok(reader_progress(reader, before + steps[k], &have, &err));
			ck_assert_uint_ge(have,
					  before + steps[k] < count ? before + steps[k] : count);
			check_told(reader, requests, have, since_ns);
		}
		ck_assert_uint_eq(have, count);
		ck_ok(reader_wait(reader, &done, &err));
		ck_assert_uint_eq(done.count, count);
		ck_assert_uint_eq(done.bytes, (uint64_t)count * reads[_i].bytes);
		ck_assert_uint_ge(done.service_ns, emulated_lateness(reader).batch_intended_ns);
	}
	reader_close(reader);
}
END_TEST

/* One read in three stalls, so that most complete behind a gap. */
START_TEST(looking_counts_nothing_behind_a_gap)
{
	struct emulated_params params = plain;
	struct reader *reader;
	struct read_request requests[200];
	struct read_done done;
	struct err err = {0};
	unsigned char *to;
	unsigned overtaken = 0;
	uint64_t since_ns;
	size_t have = 0;

	params.stall_frac = 0.3;
	params.stall_ns = 1e6;
	reader = open_device(&params, 32);
	to = reader_alloc(reader, 200 * 4096);
	ck_assert_ptr_nonnull(to);
	make_batch(requests, 200, 4096, to);
	since_ns = clock_now_ns();
	ck_ok(reader_submit(reader, requests, 200, &err));
	while (have < 200) {
		const size_t before = have;

		ck_ok(reader_progress(reader, 0, &have, &err));
		ck_assert_uint_ge(have, before);
		check_told(reader, requests, have, since_ns);
	}
	for (size_t i = 1; i < 200; i++)
		overtaken += emulated_due_ns(reader, i) < emulated_due_ns(reader, i - 1);
	ck_assert_uint_gt(overtaken, 20);
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_uint_eq(done.count, 200);
	reader_close(reader);
}
END_TEST

START_TEST(progress_tells_of_a_failure_and_the_next_batch_is_sound)
{
	struct reader *reader = open_device(&plain, 4);
	unsigned char *to = reader_alloc(reader, 2 * 8192);
	const struct read_request requests[] = {{1, 0, 8192, to},
						{1, FFN_BYTES - 4096, 8192, to + 8192}};
	struct read_done done;

	ck_assert_ptr_nonnull(to);
	for (unsigned i = 0; i < 3; i++) {
		struct err err = {0}, again = {0};
		size_t have;

		ck_ok(reader_submit(reader, requests, 2, &err));
		ck_assert_int_eq(reader_progress(reader, 2, &have, &err), EIO);
		ck_assert_msg(strstr(err.msg, "got 4096 bytes, expected 8192") != NULL, "%s",
			      err.msg);
		ck_assert_uint_eq(have, 1);
		ck_assert_int_eq(reader_wait(reader, &done, &again), EIO);
		ck_assert_uint_eq(done.count, 1);
		err = (struct err){0};
		ck_ok(reader_submit(reader, requests, 1, &err));
		ck_ok(reader_wait(reader, &done, &err));
		ck_assert_uint_eq(done.bytes, 8192);
	}
	reader_close(reader);
}
END_TEST

START_TEST(progress_of_a_dead_device_is_an_error_and_no_hang)
{
	struct reader *reader = open_device(&plain, 4);
	unsigned char *to = reader_alloc(reader, 4096);
	const struct read_request request = {1, FFN_BYTES / 2, 4096, to};
	struct read_done done;
	struct err err = {0}, again = {0};
	size_t have;

	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(truncate(paths[1], 4096), 0);
	ck_ok(reader_submit(reader, &request, 1, &err));
	ck_assert_int_eq(reader_progress(reader, 1, &have, &err), EIO);
	ck_assert_uint_eq(have, 0);
	ck_assert_int_eq(reader_wait(reader, &done, &again), EIO);
	reader_close(reader);
}
END_TEST

static void check_dead(struct reader *reader, const struct read_request *request)
{
	struct read_done done;
	struct err err = {0};

	ck_assert_int_eq(reader_wait(reader, &done, &err), EIO);
	ck_assert_msg(strstr(err.msg, "process died") != NULL, "%s", err.msg);
	err = (struct err){0};
	ck_assert_int_eq(reader_submit(reader, request, 1, &err), EIO);
	reader_close(reader);
}

static void *kill_soon(void *process)
{
	const struct timespec soon = {.tv_nsec = 50000000};

	nanosleep(&soon, NULL);
	kill(*(const pid_t *)process, SIGKILL);
	return NULL;
}

START_TEST(a_device_killed_during_a_batch_is_an_error_and_no_hang)
{
	struct reader *reader = open_device(&plain, 4);
	unsigned char *to = reader_alloc(reader, 4096);
	const struct read_request request = {1, 0, 4096, to};
	pid_t process = (pid_t)emulated_process(reader);
	struct err err = {0};
	pthread_t killer;

	ck_assert_ptr_nonnull(to);
	kill(process, SIGSTOP); /* so that it cannot answer first */
	ck_ok(reader_submit(reader, &request, 1, &err));
	ck_assert_int_eq(pthread_create(&killer, NULL, kill_soon, &process), 0);
	check_dead(reader, &request);
	pthread_join(killer, NULL);
}
END_TEST

START_TEST(a_file_cut_under_the_device_is_an_error_and_no_hang)
{
	struct reader *reader = open_device(&plain, 4);
	unsigned char *to = reader_alloc(reader, 4096);
	const struct read_request request = {1, FFN_BYTES / 2, 4096, to};
	struct err err = {0};

	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(truncate(paths[1], 4096), 0);
	ck_ok(reader_submit(reader, &request, 1, &err));
	check_dead(reader, &request);
}
END_TEST

START_TEST(closing_ends_the_process_and_leaves_no_zombie)
{
	struct reader *reader = open_device(&plain, 4);
	const pid_t process = (pid_t)emulated_process(reader);

	ck_assert_int_eq(kill(process, 0), 0);
	reader_close(reader);
	ck_assert_int_eq(waitpid(process, NULL, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(the_device_holds_no_file_of_its_parent_open)
{
	int ends[2];
	char byte;
	struct reader *reader;

	ck_assert_int_eq(pipe(ends), 0);
	reader = open_device(&plain, 4);
	close(ends[1]);
	/* Would wait for ever, were the other end still open somewhere. */
	ck_assert_int_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	reader_close(reader);
}
END_TEST

/* As after kill -9 of a run: we adopt the orphan, to see that and how it ends. */
START_TEST(the_device_dies_with_its_parent)
{
	int ends[2], status = 0;
	pid_t parent, device = 0;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		const struct reader_options options = {.engine = READ_EMULATED,
						       .paths = {paths[0], paths[1]},
						       .in_flight = 1,
						       .emulated = &plain};
		struct reader *reader;
		struct err err = {0};

		if (reader_open(&reader, &options, &err) == 0)
			device = (pid_t)emulated_process(reader);
		if (write(ends[1], &device, sizeof(device)) != sizeof(device))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_gt(parent, 0);
	ck_assert_int_eq(read(ends[0], &device, sizeof(device)), sizeof(device));
	ck_assert_int_gt(device, 0);
	ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
	ck_assert_int_eq(waitpid(device, &status, 0), device);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

static const struct {
	double bus_bytes_per_s, request_rate_per_s;
	const char *says;
} too_fast[] = {
	{1e13, 1e5, "GB/s copied, expected at least the setting's peak, 10000.00 GB/s"},
	{1e9, 1e9, "k reads/s served, expected at least the setting's peak, 1000000 k reads/s"},
};

START_TEST(a_setting_that_no_host_can_play_is_refused_with_both_figures)
{
	const struct emulated_params params = {
		.units = 4096,
		.unit_bytes_per_s = 1e13,
		.stripe_bytes = 16384,
		.bus_bytes_per_s = too_fast[_i].bus_bytes_per_s,
		.request_rate_per_s = too_fast[_i].request_rate_per_s,
	};
	const struct reader_options options = {.engine = READ_EMULATED,
					       .paths = {paths[0], paths[1]},
					       .in_flight = 32,
					       .emulated = &params};
	struct reader *reader = NULL;
	struct err err = {0};

	ck_assert_int_eq(reader_open(&reader, &options, &err), ENOTSUP);
	ck_assert_msg(strstr(err.msg, too_fast[_i].says) != NULL, "said: %s", err.msg);
	ck_assert_msg(strstr(err.msg, "got ") != NULL, "said: %s", err.msg);
	ck_assert_ptr_null(reader);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* and its process is gone */
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

/* ---- the YAML ---- */

#define EMULATED                                                                                   \
	"emulated:\n  units: 8\n  unit_ns: 10us\n  unit_bytes_per_s: 1GB/s\n  stripe_bytes: "      \
	"16KiB\n"                                                                                  \
	"  bus_bytes_per_s: 4GB/s\n"
#define RATE "  request_rate_per_s: 1M/s\n"

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"a profile cannot be run on", "name: x\nflash:\n  units: 8\n",
	 ":1:1: a real run needs a device with an `emulated:` mapping (or `throttle:`), or the "
	 "word disk"},
	{"results need a name", EMULATED RATE, "name is missing"},
	{"nothing emulated is called disk", "name: disk\n" EMULATED RATE,
	 ":1:7: name: 'disk' is this host's own"},
	{"a name fits", "name: ''\n" EMULATED RATE, ":1:7: name: wanted 1 to 63 characters"},
	{"a required key", "name: x\n" EMULATED, "request_rate_per_s is missing"},
	{"a wrong dimension", "name: x\n" EMULATED "  request_rate_per_s: 8us\n",
	 ":8:23: request_rate_per_s: '8us' is a time, wanted a rate"},
	{"an unknown key", "name: x\n" EMULATED RATE "  bus_n: 1us\n", ":9:3: unknown key bus_n"},
	{"an unknown part", "name: x\nflash: {}\n" EMULATED RATE, ":2:1: unknown key flash"},
	{"out of range", "name: x\n" EMULATED RATE "  stall_frac: 2\n",
	 ":9:15: stall_frac: 2 is outside [0, 1]"},
	{"no mapping", "name: x\nemulated: 3\n", ":2:11: emulated: wanted a mapping"},
};

static int read_yaml(struct real_target *target, const char *yaml, struct err *err)
{
	struct ynode *map = NULL;

	ck_assert_int_eq(yaml_parse(&map, yaml, "dev.yaml", err), 0);
	(void)!real_target_read(target, map, err);
	ynode_free(map);
	return err->code;
}

START_TEST(a_bad_device_is_refused_by_line_and_column)
{
	struct real_target target;
	struct err err = {0};

	ck_assert_msg(read_yaml(&target, bad[_i].yaml, &err) == EINVAL, "%s", bad[_i].why);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: said: %s", bad[_i].why, err.msg);
	ck_assert_msg(strstr(err.msg, "dev.yaml") != NULL, "said: %s", err.msg);
}
END_TEST

START_TEST(a_target_is_the_disk_a_name_or_a_mapping)
{
	struct real_target target;
	struct err err = {0};

	named_target(&target, "disk");
	ck_assert(!target.is_emulated);
	ck_assert_str_eq(target.name, "disk");
	ck_ok(read_yaml(&target, "name: own\nabout: mine\n" EMULATED RATE, &err));
	ck_assert(target.is_emulated);
	ck_assert_str_eq(target.name, "own");
	ck_assert_uint_eq(target.emulated.units, 8);
	ck_assert_double_eq(target.emulated.unit_ns, 10e3);
	ck_assert_double_eq(target.emulated.stall_frac, 0);
	ck_assert_int_eq(read_yaml(&target, "m1-maxx", &err), EINVAL);
}
END_TEST

#define LOOP(test, table)                                                                          \
	tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

static TCase *mechanism_cases(void)
{
	TCase *tcase = tcase_create("mechanism");

	tcase_add_test(tcase, a_lone_read_takes_the_sum_of_its_parts);
	tcase_add_loop_test(tcase, a_burst_is_served_as_a_plain_reference_says, 0, 2);
	tcase_add_test(tcase, one_unit_serves_one_read_at_a_time);
	tcase_add_loop_test(tcase, completions_never_pass_the_request_rate_the_bus_or_the_units, 0,
			    5);
	tcase_add_test(tcase,
		       consecutive_stripes_lie_on_all_units_and_scattered_ones_on_each_alike);
	tcase_add_test(tcase, stalls_and_retries_repeat_with_the_seed_and_have_their_share);
	LOOP(a_setting_reads_as_fast_as_its_yaml_states, stated);
	tcase_add_loop_test(tcase, reads_on_one_unit_take_as_many_times_as_long_as_there_are_units,
			    0, 2);
	LOOP(every_setting_is_slowed_down_by_addresses_that_collide, settings);
	LOOP(stalls_and_retries_make_batches_of_every_setting_differ, settings);
	tcase_add_test(tcase, a_retry_doubles_the_units_time_and_a_stall_lengthens_it);
	tcase_set_timeout(tcase, 60);
	return tcase;
}

static TCase *process_cases(void)
{
	TCase *tcase = tcase_create("process");

	tcase_add_checked_fixture(tcase, setup, teardown);
	LOOP(a_batch_brings_the_files_bytes_and_is_never_early, reads);
	tcase_add_test(tcase, batches_follow_each_other_and_an_empty_one_is_fine);
	tcase_add_test(tcase, what_nobody_times_comes_at_once_and_leaves_the_mechanism_as_it_was);
	tcase_add_test(tcase, a_read_past_the_end_is_told_with_offset_got_and_expected);
	LOOP(progress_tells_of_prefixes_that_are_there_and_never_early, reads);
	tcase_add_test(tcase, looking_counts_nothing_behind_a_gap);
	tcase_add_test(tcase, progress_tells_of_a_failure_and_the_next_batch_is_sound);
	tcase_add_test(tcase, progress_of_a_dead_device_is_an_error_and_no_hang);
	tcase_add_test(tcase, a_device_killed_during_a_batch_is_an_error_and_no_hang);
	tcase_add_test(tcase, a_file_cut_under_the_device_is_an_error_and_no_hang);
	tcase_add_test(tcase, closing_ends_the_process_and_leaves_no_zombie);
	tcase_add_test(tcase, the_device_holds_no_file_of_its_parent_open);
	tcase_add_test(tcase, the_device_dies_with_its_parent);
	LOOP(a_setting_that_no_host_can_play_is_refused_with_both_figures, too_fast);
	tcase_set_timeout(tcase, 60);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("emulated");
	TCase *tcase = tcase_create("yaml");

	LOOP(a_bad_device_is_refused_by_line_and_column, bad);
	tcase_add_test(tcase, a_target_is_the_disk_a_name_or_a_mapping);
	suite_add_tcase(suite, mechanism_cases());
	suite_add_tcase(suite, process_cases());
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
