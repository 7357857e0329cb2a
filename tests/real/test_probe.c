/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_probe.c - hazard: a flash sweep that leaves points out, never ends, or measures something
 * else
 *
 * Times of a shared machine prove little, so the device here is an emulated one, whose batches have
 * a least time that the mechanism fixes. */
#include "layout.h"
#include "real_probe.h"
#include "rng.h"
#include "tiny.h"

#include <math.h>
#include <time.h>

enum { FILE_BYTES = 8 << 20, SIZES = 2, DEPTHS = 2, POINTS = SIZES * DEPTHS * 2 };

static const uint64_t sizes[SIZES] = {4096, 65536};
static const unsigned depths[DEPTHS] = {1, 8};
/* 100 us and 1 GB/s a lone read; 8 in flight meet only the bus. */
static const struct real_target device = {
	.name = "test",
	.is_emulated = true,
	.emulated = {.units = 64,
		     .unit_ns = 100e3,
		     .unit_bytes_per_s = 1e9,
		     .stripe_bytes = 65536,
		     .bus_bytes_per_s = 2e9,
		     .request_rate_per_s = 1e6},
};
static const struct real_target disk = {.name = "disk"};

static char dir[TINY_PATH];

static void setup(void)
{
	char path[TINY_PATH + 32];
	unsigned char *bytes = malloc(FILE_BYTES);
	struct rng rng = {1};

	dir_make(dir);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < FILE_BYTES; i++)
		bytes[i] = (unsigned char)rng_next(&rng);
	snprintf(path, sizeof(path), "%s/ffn.bundle.gguf", dir);
	file_spit(path, bytes, FILE_BYTES);
	free(bytes);
}

static void teardown(void)
{
	dir_remove(dir);
}

static struct probe_flash_options sweep(const struct real_target *target)
{
	return (struct probe_flash_options){
		.model_dir = dir,
		.layout = &layout_bundle,
		.target = target,
		.sizes = sizes,
		.size_count = SIZES,
		.in_flight = depths,
		.in_flight_count = DEPTHS,
		.seconds_per_point = 0.06,
		.passes = 3,
		.seed = 3,
	};
}

static void check_pair(const struct probe_flash_point *a, const struct probe_flash_point *b)
{
	ck_assert_uint_eq(a->read_bytes, b->read_bytes);
	ck_assert_uint_eq(a->in_flight, b->in_flight);
	ck_assert_uint_ge(a->read_count, b->read_count); /* long, then short */
	ck_assert_uint_ge(b->read_count, 4 * b->in_flight);
}

static void check_points(const struct probe_flash_point *points, size_t count)
{
	ck_assert_uint_eq(count, POINTS);
	for (unsigned i = 0; i < POINTS; i += 2)
		check_pair(&points[i], &points[i + 1]);
	for (unsigned s = 0, i = 0; s < SIZES; s++)
		for (unsigned d = 0; d < DEPTHS; d++, i += 2) {
			ck_assert_uint_eq(points[i].read_bytes, sizes[s]);
			ck_assert_uint_eq(points[i].in_flight, depths[d]);
		}
	for (unsigned i = 0; i < POINTS; i++) {
		ck_assert(points[i].batch_ns > 0 && isfinite(points[i].batch_ns));
		ck_assert(points[i].batch_sd_ns >= 0 && isfinite(points[i].batch_sd_ns));
	}
}

START_TEST(every_point_is_measured_long_and_short_and_never_faster_than_the_device)
{
	const struct probe_flash_options options = sweep(&device);
	struct probe_flash_point points[POINTS];
	struct err err = {0};
	size_t count = 0;

	ck_ok(probe_flash(points, &count, &options, &err));
	check_points(points, count);
	for (unsigned i = 0; i < POINTS; i++) {
		const struct probe_flash_point *p = &points[i];
		const double lone_ns = 100e3 + (double)p->read_bytes * 1.5;
		const double rounds = (double)p->read_count / p->in_flight;
		const double bus_ns = (double)(p->read_bytes * p->read_count) * 0.5;

		ck_assert_double_ge(p->batch_ns, 0.999 * lone_ns * rounds);
		ck_assert_double_ge(p->batch_ns, 0.999 * bus_ns);
		/* A lone stream is nothing but its reads; the rest is this machine's lateness. */
		if (p->in_flight == 1 && !p->polluted)
			ck_assert_double_le(p->batch_ns, 1.06 * lone_ns * rounds);
	}
}
END_TEST

START_TEST(a_sweep_of_the_disk_fills_every_point)
{
	const struct probe_flash_options options = sweep(&disk);
	struct probe_flash_point points[POINTS];
	struct err err = {0};
	size_t count = 0;

	if (probe_flash(points, &count, &options, &err) == ENOTSUP)
		return; /* no direct I/O here: test_read says so */
	ck_ok(err.code);
	check_points(points, count);
}
END_TEST

/* 20 ms a read: one batch of four rounds is more than a point's time, and must do. */
START_TEST(a_slow_device_gets_one_short_batch_a_point)
{
	struct real_target slow = device;
	struct probe_flash_options options = sweep(&slow);
	struct probe_flash_point points[2];
	struct timespec from, to;
	struct err err = {0};
	size_t count = 0;

	slow.emulated.unit_ns = 20e6;
	options.size_count = 1;
	options.in_flight_count = 1;
	clock_gettime(CLOCK_MONOTONIC, &from);
	ck_ok(probe_flash(points, &count, &options, &err));
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_uint_eq(count, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(points[i].read_count, 4);
		ck_assert_double_ge(points[i].batch_ns, 4 * 20e6);
	}
	/* Each point: two reads to size it, one batch, and two tries more if this machine is late.
	 */
	ck_assert_double_lt(difftime(to.tv_sec, from.tv_sec), 5);
}
END_TEST

struct seen {
	double last;
	unsigned calls, stop_at;
};

static int note(void *arg, double done)
{
	struct seen *seen = arg;

	ck_assert_double_gt(done, seen->last);
	seen->last = done;
	return ++seen->calls == seen->stop_at;
}

START_TEST(progress_rises_to_one_and_can_stop_the_sweep)
{
	struct probe_flash_options options = sweep(&device);
	struct probe_flash_point points[POINTS];
	struct seen seen = {0, 0, _i ? 5 : 0};
	struct err err = {0};
	size_t count = 0;

	options.seconds_per_point = 0.003;
	options.progress = note;
	options.progress_arg = &seen;
	ck_assert_int_eq(probe_flash(points, &count, &options, &err), _i ? ECANCELED : 0);
	ck_assert_uint_eq(seen.calls, _i ? 5 : POINTS * 3);
	if (!_i)
		ck_assert_double_eq(seen.last, 1);
}
END_TEST

START_TEST(what_cannot_be_swept_is_refused_with_figures)
{
	static const uint64_t large[] = {FILE_BYTES + 4096}, odd[] = {4096, 5000};
	struct probe_flash_options options = sweep(&device);
	struct probe_flash_point points[POINTS];
	struct err err = {0};
	size_t count = 0;

	options.sizes = large;
	options.size_count = 1;
	ck_assert_int_eq(probe_flash(points, &count, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "8388608 bytes, wanted at least one read of 8392704"), "%s",
		      err.msg);
	err = (struct err){0};
	options.sizes = odd;
	options.size_count = 2;
	ck_assert_int_eq(probe_flash(points, &count, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "size 5000 is no multiple of 512"), "%s", err.msg);
	err = (struct err){0};
	options.layout = &layout_split;
	ck_assert_int_eq(probe_flash(points, &count, &options, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, "ffn.split.gguf"), "%s", err.msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("flash");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase,
		       every_point_is_measured_long_and_short_and_never_faster_than_the_device);
	tcase_add_test(tcase, a_sweep_of_the_disk_fills_every_point);
	tcase_add_test(tcase, a_slow_device_gets_one_short_batch_a_point);
	tcase_add_loop_test(tcase, progress_rises_to_one_and_can_stop_the_sweep, 0, 2);
	tcase_add_test(tcase, what_cannot_be_swept_is_refused_with_figures);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
