/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_probe.c - hazard: a flash sweep that leaves points out, never ends, or measures something
 * else
 *
 * Times of a shared machine prove little, so the device here is an emulated one, whose batches have
 * a least time that the mechanism fixes. */
#include "probe_drift.h"
#include "real_probe.h"
#include "rng.h"
#include "tiny.h"

#include <math.h>
#include <time.h>

enum { FILE_BYTES = 8 << 20, CELLS = 6, LAYERS = 2, BASE = 65536 };
enum { LAYER_BYTES = (FILE_BYTES - BASE) / LAYERS / 65536 * 65536 };

static const struct probe_cell cells[CELLS] = {
	{.read_bytes = 4096, .in_flight = 1},
	{.read_bytes = 65536, .in_flight = 8, .share = 2},
	{.read_bytes = 16384, .in_flight = 8},
	{.read_bytes = 16384, .in_flight = 8, .read_count = 4},
	{.read_bytes = 16384, .in_flight = 8, .read_count = 64},
	{.read_bytes = 65536, .in_flight = 1, .read_count = 16},
};
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

static char dir[TINY_PATH], path[TINY_PATH + 32];

static void setup(void)
{
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

/* ---- what others do ---- */

static const struct {
	uint64_t ticks, stolen;
	bool is_stolen;
} thefts[] = {
	{1000, 0, false}, {1000, 50, false}, {1000, 51, true},
	{40, 3, true},	  {39, 39, false}, /* one tick more or less would decide */
	{0, 0, false},
};

START_TEST(time_that_the_host_took_is_seen_where_its_clock_can_tell)
{
	const struct traffic before = {.total_ticks = 7000, .steal_ticks = 300};
	const struct traffic after = {.total_ticks = 7000 + thefts[_i].ticks,
				      .steal_ticks = 300 + thefts[_i].stolen};

	ck_assert(traffic_is_stolen(&before, &after) == thefts[_i].is_stolen);
}
END_TEST

START_TEST(what_is_read_ahead_is_the_disk_s_own_or_the_default)
{
	uint64_t here = host_read_ahead_bytes(dir);

	ck_assert_uint_eq(here % 1024, 0);
	ck_assert_uint_eq(host_read_ahead_bytes("/proc/self/exe") % 1024, 0);
	ck_assert_uint_eq(host_read_ahead_bytes("/proc"), 128 * 1024); /* no disk */
	ck_assert_uint_eq(host_read_ahead_bytes("/no/such/path"), 128 * 1024);
}
END_TEST

/* ---- the sweep ---- */

static struct probe_flash_options sweep(const struct real_target *target)
{
	return (struct probe_flash_options){
		.file = {.path = path,
			 .base_bytes = BASE,
			 .layer_bytes = LAYER_BYTES,
			 .layer_stride_bytes = LAYER_BYTES,
			 .row_bytes = 16384,
			 .layer_count = LAYERS},
		.target = target,
		.cells = cells,
		.cell_count = CELLS,
		.pivot = 2,
		.seconds = 0.6,
		.seed = 3,
	};
}

static void check_points(const struct probe_flash *flash)
{
	ck_assert_uint_eq(flash->count, CELLS);
	for (unsigned i = 0; i < CELLS; i++) {
		const struct probe_point *p = &flash->points[i];

		ck_assert_uint_eq(p->cell.read_bytes, cells[i].read_bytes);
		ck_assert_uint_eq(p->cell.in_flight, cells[i].in_flight);
		ck_assert_uint_eq(p->cell.read_count, cells[i].read_count);
		ck_assert(p->mean_ns > 0 && isfinite(p->mean_ns));
		ck_assert(p->error_ns >= 0 && isfinite(p->error_ns));
		ck_assert_uint_ge(p->samples, 1); /* two visits, one of which may be polluted */
		ck_assert_uint_ge(p->visits, 2);
		for (unsigned k = 1; k < p->samples; k++)
			ck_assert_double_ge(p->sample_ns[k], p->sample_ns[k - 1]);
		ck_assert(p->sample_ns[0] <= p->p50_ns && p->p50_ns <= p->p95_ns &&
			  p->p95_ns <= p->p99_ns);
	}
}

START_TEST(every_cell_is_measured_and_never_faster_than_the_device)
{
	const struct probe_flash_options options = sweep(&device);
	struct err err = {0};
	struct probe_flash flash;

	ck_ok(probe_flash(&flash, &options, &err));
	check_points(&flash);
	ck_assert_uint_ge(flash.pivot_visits, 1);
	for (unsigned i = 0; i < CELLS; i++) {
		const struct probe_point *p = &flash.points[i];
		const struct probe_cell *cell = &p->cell;
		const double bytes = (double)cell->read_bytes, lone_ns = 100e3 + bytes * 1.5;
		double least_ns = fmax(lone_ns / cell->in_flight, bytes * 0.5);

		if (cell->read_count) {
			double rounds = ceil((double)cell->read_count / cell->in_flight);

			least_ns = fmax(lone_ns * rounds, bytes * 0.5 * (double)cell->read_count);
		}
		/* The middle of a steady batch is seen between wake-ups: to a few percent. */
		ck_assert_double_ge(p->mean_ns, (cell->read_count ? 0.999 : 0.95) * least_ns);
		/* A lone stream is nothing but its reads; the rest is this machine's lateness. */
		if (cell->in_flight == 1 && !p->polluted)
			ck_assert_double_le(p->p50_ns, 1.1 * least_ns + 60e3);
	}
	probe_flash_free(&flash);
}
END_TEST

START_TEST(a_sweep_of_the_disk_fills_every_point)
{
	const struct probe_flash_options options = sweep(&disk);
	struct err err = {0};
	struct probe_flash flash;

	if (probe_flash(&flash, &options, &err) == ENOTSUP)
		return; /* no direct I/O here: test_read says so */
	ck_ok(err.code);
	check_points(&flash);
	probe_flash_free(&flash);
}
END_TEST

/* 8 ms a read, no time at all: every cell gets its two visits all the same, and no more. */
START_TEST(a_slow_device_gets_a_few_short_batches_a_cell)
{
	static const struct probe_cell one = {.read_bytes = 4096, .in_flight = 1};
	struct real_target slow = device;
	struct probe_flash_options options = sweep(&slow);
	struct timespec from, to;
	struct err err = {0};
	struct probe_flash flash;

	slow.emulated.unit_ns = 8e6;
	options.cells = &one;
	options.cell_count = 1;
	options.pivot = 0;
	options.seconds = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	ck_ok(probe_flash(&flash, &options, &err));
	clock_gettime(CLOCK_MONOTONIC, &to);
	ck_assert_uint_eq(flash.count, 1);
	ck_assert_double_ge(flash.points[0].mean_ns, 0.95 * 8e6);
	/* Batches of 16: one to size, and three visits (one of them the pivot's) with two tries
	 * more each if this machine is late. */
	ck_assert_double_lt(difftime(to.tv_sec, from.tv_sec), 8);
	probe_flash_free(&flash);
}
END_TEST

START_TEST(a_settled_sweep_ends_before_its_time)
{
	struct probe_flash_options options = sweep(&device);
	bool clean = true;
	struct timespec from, to;
	struct err err = {0};
	struct probe_flash flash;

	options.seconds = 6;
	options.interval_frac = 0.5;
	clock_gettime(CLOCK_MONOTONIC, &from);
	ck_ok(probe_flash(&flash, &options, &err));
	clock_gettime(CLOCK_MONOTONIC, &to);
	for (unsigned i = 0; i < CELLS; i++) {
		ck_assert(flash.points[i].settled || flash.points[i].polluted);
		clean = clean && !flash.points[i].polluted;
	}
	/* Three visits of a sixth of their share each; this machine may have been late. */
	if (clean && flash.polluted_visits == 0)
		ck_assert_double_lt(difftime(to.tv_sec, from.tv_sec), 5.5);
	probe_flash_free(&flash);
}
END_TEST

struct seen {
	double last;
	unsigned calls, stop_at;
};

static int note(void *arg, double done)
{
	struct seen *seen = arg;

	ck_assert_double_ge(done, seen->last);
	seen->last = done;
	return ++seen->calls == seen->stop_at;
}

START_TEST(progress_rises_to_one_and_can_stop_the_sweep)
{
	struct probe_flash_options options = sweep(&device);
	struct seen seen = {0, 0, _i ? 5 : 0};
	struct err err = {0};
	struct probe_flash flash;

	options.seconds = 0.01;
	options.progress = note;
	options.progress_arg = &seen;
	ck_assert_int_eq(probe_flash(&flash, &options, &err), _i ? ECANCELED : 0);
	if (_i)
		ck_assert_uint_eq(seen.calls, 5);
	else
		ck_assert_double_eq(seen.last, 1);
	if (_i)
		ck_assert_ptr_null(flash.points);
	probe_flash_free(&flash);
}
END_TEST

START_TEST(what_cannot_be_swept_is_refused_with_figures)
{
	static const struct probe_cell large = {.read_bytes = 8 << 20, .in_flight = 1};
	static const struct probe_cell odd = {.read_bytes = 5000, .in_flight = 1};
	struct probe_flash_options options = sweep(&device);
	struct err err = {0};
	struct probe_flash flash;

	options.cells = &large;
	options.cell_count = 1;
	options.pivot = 0;
	ck_assert_int_eq(probe_flash(&flash, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "wanted at least one read of 8388608"), "%s", err.msg);
	err = (struct err){0};
	options.cells = &odd;
	ck_assert_int_eq(probe_flash(&flash, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "size 5000 is no multiple of 512"), "%s", err.msg);
	err = (struct err){0};
	options.cells = cells;
	options.file.layer_count = 9;
	ck_assert_int_eq(probe_flash(&flash, &options, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "too short for 9 layers"), "%s", err.msg);
	err = (struct err){0};
	options.file.path = "/nowhere/ffn.bundle.gguf";
	ck_assert_int_eq(probe_flash(&flash, &options, &err), ENOENT);
}
END_TEST

/* ---- drift ---- */

static void note_line(struct probe_drift *drift, double rise, double noise, double claimed)
{
	for (unsigned i = 0; i < 40; i++)
		drift_note(drift, i, 1e6 * exp(rise * i / 40) * (i % 2 ? 1 + noise : 1 - noise),
			   1e6 * claimed);
	drift_settle(drift);
}

START_TEST(a_drift_is_followed_between_its_notes)
{
	struct probe_drift drift = {.count = 0};

	note_line(&drift, 0.4, 0, 0.002);
	ck_assert_double_eq_tol(drift.frac, 0.4 / sqrt(12), 0.01);
	for (double at = 0; at < 39; at += 0.7)
		ck_assert_double_eq_tol(drift_at(&drift, at) / drift_at(&drift, 0),
					exp(0.4 * at / 40), 0.002);
	/* Beyond its ends it stays. */
	ck_assert_double_eq(drift_at(&drift, 1000), drift_at(&drift, 39));
	ck_assert_double_eq(drift_at(&drift, -5), drift_at(&drift, 0));
}
END_TEST

START_TEST(noise_is_not_taken_for_drift)
{
	struct probe_drift drift = {.count = 0}, none = {.count = 0};

	note_line(&drift, 0, 0.02, 0.021);
	ck_assert_double_eq(drift.frac, 0);
	for (double at = 0; at < 39; at += 0.7)
		ck_assert_double_eq(drift_at(&drift, at), 1);
	drift_settle(&none);
	ck_assert_double_eq(drift_at(&none, 3), 1);
}
END_TEST

START_TEST(more_notes_than_there_is_room_for_thin_out)
{
	struct probe_drift drift = {.count = 0};

	for (unsigned i = 0; i < 3 * DRIFT_NOTES; i++)
		drift_note(&drift, i, 1e6 * exp(i / 10000.0), 1e3);
	drift_settle(&drift);
	ck_assert_uint_le(drift.count, DRIFT_NOTES);
	for (unsigned i = 1; i < drift.count; i++)
		ck_assert_double_gt(drift.notes[i].at_s, drift.notes[i - 1].at_s);
	ck_assert_double_eq_tol(drift_at(&drift, 1500) / drift_at(&drift, 100), exp(0.14), 0.01);
}
END_TEST

/* ---- the engine's steps ---- */

START_TEST(the_engine_is_seen_at_work_alone_and_beside_reads)
{
	const struct model model = tiny_model(MODEL_OPT);
	struct probe_host_options options = {
		.model_dir = dir,
		.target = &device,
		.threads = 2,
		.threads_most = 2,
		.memory_bytes = 4 << 20,
		.seed = 1,
	};
	unsigned dense = 0, pipelined = 0, heads = 0;
	struct probe_host host;
	struct err err = {0};

	tiny_synth(dir, &model, WEIGHT_F16);
	ck_ok(probe_host(&host, &options, &err));
	for (unsigned i = 0; i < host.count; i++) {
		const struct probe_step *step = &host.steps[i];

		ck_assert_uint_ge(step->samples, 1);
		ck_assert(step->compute_ns > 0 && isfinite(step->compute_ns));
		ck_assert(step->mem_ns >= 0 && isfinite(step->mem_ns));
		ck_assert(!step->pipelined == !step->group_bytes);
		heads += step->kind == STEP_HEAD;
		if (step->kind != STEP_FFN)
			continue;
		dense += step->dense;
		pipelined += step->pipelined;
		ck_assert_uint_le(step->loaded, step->rows);
		if (step->loaded)
			ck_assert_double_ge(step->io_ns, 100e3); /* one read's time at least */
		/* No upper bound: who waits may lose its core for longer than the reads take. */
		ck_assert_double_ge(step->io_wait_ns, 0);
	}
	ck_assert_uint_eq(dense, 1);
	ck_assert_uint_eq(pipelined, 4);
	ck_assert_uint_ge(heads, 10);
	ck_assert_uint_eq(host.thread_count, 2);
	for (unsigned round = 0; round < PROBE_ROUNDS; round++)
		ck_assert(host.thread_rates[0][round] > 0 && host.thread_rates[1][round] > 0 &&
			  host.copy_rates[1][round] > 0);
	ck_assert(host.pace_bytes_per_s > 0);
	ck_assert(host.jitter.spread_frac >= 0 && isfinite(host.jitter.spread_frac));
	ck_assert(host.jitter.hiccup_ns >= 0 && isfinite(host.jitter.hiccup_ns));
}
END_TEST

static void setup_empty(void)
{
	dir_make(dir);
}

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("flash"), *drift = tcase_create("drift");
	TCase *host = tcase_create("host");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, time_that_the_host_took_is_seen_where_its_clock_can_tell, 0,
			    sizeof(thefts) / sizeof(thefts[0]));
	tcase_add_test(tcase, what_is_read_ahead_is_the_disk_s_own_or_the_default);
	tcase_add_test(tcase, every_cell_is_measured_and_never_faster_than_the_device);
	tcase_add_test(tcase, a_sweep_of_the_disk_fills_every_point);
	tcase_add_test(tcase, a_slow_device_gets_a_few_short_batches_a_cell);
	tcase_add_test(tcase, a_settled_sweep_ends_before_its_time);
	tcase_add_loop_test(tcase, progress_rises_to_one_and_can_stop_the_sweep, 0, 2);
	tcase_add_test(tcase, what_cannot_be_swept_is_refused_with_figures);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(drift, a_drift_is_followed_between_its_notes);
	tcase_add_test(drift, noise_is_not_taken_for_drift);
	tcase_add_test(drift, more_notes_than_there_is_room_for_thin_out);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, drift);
	tcase_add_checked_fixture(host, setup_empty, teardown);
	tcase_add_test(host, the_engine_is_seen_at_work_alone_and_beside_reads);
	tcase_set_timeout(host, 60);
	suite_add_tcase(suite, host);
	return suite_run(suite);
}
