/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_profiles.c - the shipped device profiles against the paper's tables, and their own
 * arithmetic again
 *
 * A row's I/O time is 32 batches, one a layer, of the reads that the row's volumes imply.  Volumes
 * are the paper's (2.4 % of OPT's FFN new a token, 10 % demanded, 3.1 % of Falcon's new), not a
 * trace's. */
#include "compute.h"
#include "configs.h"
#include "device.h"
#include "dram.h"
#include "flash.h"
#include "flash_fit.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 32, IN_FLIGHT = 32 };
#define KIB UINT64_C(1024)
#define MIB UINT64_C(1048576)

static void device_get(struct device *device, const char *name)
{
	struct err err = {0};
	struct ynode *map;

	ck_assert_msg(config_load(&map, CONFIG_DEVICE, name, &err) == 0, "%s", err.msg);
	ck_assert_msg(device_read(device, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
	ck_assert_str_eq(device->name, name);
}

static void model_get(struct model *model, const char *name)
{
	struct err err = {0};
	struct ynode *map;

	ck_assert_msg(config_load(&map, CONFIG_MODEL, name, &err) == 0, "%s", err.msg);
	ck_assert_msg(model_read(model, map, &err) == 0, "%s", err.msg);
	ynode_free(map);
}

/* Milliseconds a token: one batch a layer. */
static double io_ms(const struct flash_params *flash, double reads_per_layer, uint64_t read_bytes)
{
	uint64_t whole = (uint64_t)reads_per_layer;
	double part = reads_per_layer - (double)whole;
	double low = flash_batch_ns(flash, whole, read_bytes, IN_FLIGHT);
	double high = flash_batch_ns(flash, whole + 1, read_bytes, IN_FLIGHT);

	return LAYERS * (low + part * (high - low)) / 1e6;
}

static void assert_within(double got, double wanted, double frac, const char *what)
{
	ck_assert_msg(fabs(got / wanted - 1) <= frac, "%s: %.4g, paper %.4g (%+.1f %%)", what, got,
		      wanted, 100 * (got / wanted - 1));
}

/* --- M1 Max: Table 2 and the rows beside it --- */

/* What a layer reads: a share of OPT 6.7B's 16,384 neurons, or all of its 1/32 of the model's
 * bytes. */
static const struct {
	const char *what;
	double reads_per_layer;
	uint64_t read_bytes;
	double paper_ms, within;
} m1_rows[] = {
	{"Table 2, naive (bandwidth given)", 13316947968.0 / LAYERS / (double)MIB, MIB, 2196, 0.02},
	{"Table 2, hybrid (bandwidth given)", 13316947968.0 / 2 / LAYERS / (double)MIB, MIB, 1090,
	 0.02},
	{"Table 2, predictor (fitted)", 0.10 * 16384 * 2, 8 * KIB, 738, 0.06},
	{"Table 2, window (fitted)", 0.024 * 16384 * 2, 8 * KIB, 164, 0.05},
	{"Table 2, bundle (fitted)", 0.024 * 16384, 16 * KIB, 87, 0.05},
	{"Table 3, OPT All CPU (fitted)", 0.024 * 16384, 32 * KIB, 105, 0.05},
	{"Table 3, Falcon All CPU (fitted)", 0.031 * 18176, 36352, 161, 0.05},
	{"Table 3, OPT All Metal M1 (forecast)", 0.024 * 16384, 16 * KIB, 92, 0.05},
};
enum { FITTED_FROM = 2, FITTED_TO = 7 };

START_TEST(test_m1_max_gives_the_papers_io_rows)
{
	struct device device;

	device_get(&device, "m1-max");
	assert_within(io_ms(&device.flash, m1_rows[_i].reads_per_layer, m1_rows[_i].read_bytes),
		      m1_rows[_i].paper_ms, m1_rows[_i].within, m1_rows[_i].what);
}
END_TEST

/* A saturated row solved for 1/D: T = 32 (R(b,1) + (N - 1) D). */
static struct flash_point m1_point(const struct flash_params *flash, size_t row)
{
	double layer_ns = m1_rows[row].paper_ms * 1e6 / LAYERS;
	double bytes = (double)m1_rows[row].read_bytes;

	return (struct flash_point){
		.read_bytes = m1_rows[row].read_bytes,
		.in_flight = IN_FLIGHT,
		.reads_per_s =
			1e9 * (m1_rows[row].reads_per_layer - 1) /
			(layer_ns - flash->latency_ns - bytes / flash->stream_bytes_per_s * 1e9),
	};
}

static void m1_fit(struct flash_fit *fit, const struct flash_params *flash, size_t left_out)
{
	const struct flash_fit_options options = {
		.seed = 1,
		.fixed = {flash->latency_ns, flash->stream_bytes_per_s, 0, flash->peak_bytes_per_s,
			  0, flash->knee},
	};
	struct flash_point points[FITTED_TO - FITTED_FROM];
	struct err err = {0};
	size_t count = 0;

	for (size_t row = FITTED_FROM; row < FITTED_TO; row++)
		if (row != left_out)
			points[count++] = m1_point(flash, row);
	ck_assert_msg(flash_fit(fit, points, count, &options, &err) == 0, "%s", err.msg);
}

START_TEST(test_m1_max_is_the_fit_that_it_says_it_is)
{
	struct device device;
	struct flash_fit fit;

	device_get(&device, "m1-max");
	m1_fit(&fit, &device.flash, FITTED_TO);
	assert_within(device.flash.request_rate_per_s, fit.flash.request_rate_per_s, 2e-3, "1/h");
	assert_within(device.flash.size_norm, fit.flash.size_norm, 2e-3, "r");
	assert_within(device.origin.flash_fit_error_frac, fit.error_frac, 0.02, "fit error");
	assert_within(device.origin.flash_cv_error_frac, fit.cv_error_frac, 0.02, "left out");
}
END_TEST

START_TEST(test_each_fitted_row_is_forecast_by_the_other_four)
{
	size_t row = (size_t)_i;
	struct device device;
	struct flash_fit fit;

	device_get(&device, "m1-max");
	m1_fit(&fit, &device.flash, row);
	assert_within(io_ms(&fit.flash, m1_rows[row].reads_per_layer, m1_rows[row].read_bytes),
		      m1_rows[row].paper_ms, 0.10, m1_rows[row].what);
}
END_TEST

START_TEST(test_m1_max_gives_the_papers_memory_and_compute_rows)
{
	struct model opt, falcon;
	struct device device;
	double ms;

	device_get(&device, "m1-max");
	model_get(&opt, "opt-6.7b");
	model_get(&falcon, "falcon-7b");
	/* Memory management a token: 2.4 % (3.1 %) new, as many deleted from 24 % (33 %), f32. */
	for (int i = 0; i < 2; i++) {
		const struct model *model = i ? &falcon : &opt;
		double row = 2.0 * 4 * (double)model->d_model;
		uint64_t held = (uint64_t)((i ? 0.33 : 0.24) * (double)model->d_ffn);
		uint64_t fresh = (uint64_t)((i ? 0.031 : 0.024) * (double)model->d_ffn);
		struct store_work work = {
			.neuron_count = model->d_ffn,
			.append_rows = fresh,
			.append_bytes = (uint64_t)(row * (double)fresh),
			.delete_rows = fresh,
			.move_bytes = (uint64_t)(row * dram_compact_moves(&(struct compact_rows){
							       held, fresh, fresh, 0})),
		};

		assert_within(LAYERS * dram_step_ns(&device.dram, &work) / 1e6, i ? 92 : 57.8, 0.02,
			      i ? "Falcon memory" : "OPT memory");
	}
	/* Compute a token, context 256: every neuron, then those that are cached. */
	ms = (LAYERS * (compute_attention_ns(&device.compute, &opt, WEIGHT_F32, 256) +
			compute_ffn_ns(&device.compute, &opt, WEIGHT_F32, opt.d_ffn)) +
	      compute_head_ns(&device.compute, &opt, WEIGHT_F32)) /
	     1e6;
	assert_within(ms, 986, 0.01, "OPT Naive CPU compute (fitted)");
	ms = (LAYERS * (compute_attention_ns(&device.compute, &opt, WEIGHT_F32, 256) +
			compute_ffn_ns(&device.compute, &opt, WEIGHT_F32, opt.d_ffn * 24 / 100)) +
	      compute_head_ns(&device.compute, &opt, WEIGHT_F32)) /
	     1e6;
	assert_within(ms, 506, 0.05, "OPT All CPU compute (forecast)");
	ms = (LAYERS * (compute_attention_ns(&device.compute, &falcon, WEIGHT_F32, 256) +
			compute_ffn_ns(&device.compute, &falcon, WEIGHT_F32,
				       falcon.d_ffn * 33 / 100)) +
	      compute_head_ns(&device.compute, &falcon, WEIGHT_F32)) /
	     1e6;
	assert_within(ms, 453, 0.12, "Falcon All CPU compute (forecast)");
}
END_TEST

/* --- the other profiles: totals a token of OPT 6.7B in 16 bit --- */

static const struct {
	const char *device, *what;
	double cached_frac, paper_io, io_within, paper_mem, paper_compute, compute_within;
} gpu_rows[] = {
	{"m1-max-metal", "OPT All Metal M1", 0.24, 92, 0.05, 35, 438, 0.02},
	{"m2-ultra", "OPT Naive Metal M2", 1, 2145, 0.15, 0, 0, 0},
	{"m2-ultra", "OPT All Metal M2", 0.24, 26, 0.18, 8, 271, 0.02},
	{"rtx4090-box", "OPT Naive GPU", 1, 2196, 0.09, 0, 22, 0.12},
	{"rtx4090-box", "OPT All GPU", 0.24, 30.5, 0.12, 34.11, 20, 0.12},
};

START_TEST(test_gpu_profiles_give_the_papers_rows_as_far_as_they_say)
{
	bool naive = gpu_rows[_i].cached_frac == 1;
	struct store_work work = {0};
	struct device device;
	struct model opt;
	double ms;

	device_get(&device, gpu_rows[_i].device);
	model_get(&opt, "opt-6.7b");
	if (naive)
		ms = io_ms(&device.flash, 13316947968.0 / LAYERS / (double)MIB, MIB);
	else
		ms = io_ms(&device.flash, 0.024 * 16384, 16 * KIB);
	assert_within(ms, gpu_rows[_i].paper_io, gpu_rows[_i].io_within, gpu_rows[_i].what);
	if (!naive) {
		work.append_bytes = UINT64_C(393) * 16384;
		work.move_bytes =
			(uint64_t)(16384 *
				   dram_compact_moves(&(struct compact_rows){3932, 393, 393, 0}));
		assert_within(LAYERS * dram_step_ns(&device.dram, &work) / 1e6,
			      gpu_rows[_i].paper_mem, 0.02, gpu_rows[_i].what);
	}
	if (gpu_rows[_i].paper_compute > 0) {
		uint64_t rows = (uint64_t)(gpu_rows[_i].cached_frac * (double)opt.d_ffn);

		ms = (LAYERS * (compute_attention_ns(&device.compute, &opt, WEIGHT_F16, 256) +
				compute_ffn_ns(&device.compute, &opt, WEIGHT_F16, rows)) +
		      compute_head_ns(&device.compute, &opt, WEIGHT_F16)) /
		     1e6;
		assert_within(ms, gpu_rows[_i].paper_compute, gpu_rows[_i].compute_within,
			      gpu_rows[_i].what);
	}
}
END_TEST

/* --- every shipped profile --- */

static const struct {
	const char *device;
	double peak_bytes_per_s, saturation_16kib, half_bytes;
} figures[] = {
	{"m1-max", 6.1e9, 9.4, 39921},
	{"m1-max-metal", 6.1e9, 9.4, 39921},
	{"m2-ultra", 7.2e9, 15.3, 3600},
	{"rtx4090-box", 6.64e9, 18.0, 4024},
};

START_TEST(test_derived_figures_of_a_profile_are_what_its_comments_say)
{
	struct device device;
	double peak;

	device_get(&device, figures[_i].device);
	peak = flash_reads_per_s(&device.flash, (double)MIB, IN_FLIGHT) * (double)MIB;
	/* 1 MiB, 32 in flight: at most the request cap's share below the peak. */
	assert_within(peak, figures[_i].peak_bytes_per_s, 0.01, "peak at 1 MiB");
	assert_within(flash_saturation_in_flight(&device.flash, 16384),
		      figures[_i].saturation_16kib, 0.02, "n* at 16 KiB");
	assert_within(flash_half_bandwidth_bytes(&device.flash), figures[_i].half_bytes, 0.01,
		      "half-bandwidth size");
	/* The paper's 32 threads saturate all of them. */
	ck_assert_double_lt(flash_saturation_in_flight(&device.flash, 8192), IN_FLIGHT);
	ck_assert_uint_eq(device.origin.kind, ORIGIN_PUBLISHED);
	ck_assert_double_gt(device.origin.noise_floor_frac, 0.05);
}
END_TEST

static double number_at(const struct ynode *map, const char *key, enum dim dim)
{
	const struct ynode *node = ynode_get(map, key);
	struct err err = {0};
	double value;

	ck_assert_msg(node != NULL, "%s", key);
	ck_assert_msg(unit_parse(&value, node->text, dim, &err) == 0, "%s", err.msg);
	return value;
}

/* The figures printed beside the paper's in `checks` are those that the profile gives. */
static void checks_hold(const char *name)
{
	struct err err = {0};
	struct ynode *map, *checks;
	struct device device;

	ck_assert_msg(config_load(&map, CONFIG_DEVICE, name, &err) == 0, "%s", err.msg);
	ck_assert_msg(device_read(&device, map, &err) == 0, "%s", err.msg);
	checks = ynode_get(map, "checks");
	ck_assert_ptr_nonnull(checks);
	ck_assert_uint_ge(checks->count, 2);
	for (size_t i = 0; i < checks->count; i++) {
		const struct ynode *row = checks->items[i];
		double model = number_at(row, "model", DIM_TIME) / 1e6;
		double got = io_ms(&device.flash, number_at(row, "reads_per_layer", DIM_COUNT),
				   (uint64_t)number_at(row, "read_bytes", DIM_BYTES));

		ck_assert_ptr_nonnull(ynode_get(row, "paper"));
		assert_within(model, got, 0.005, ynode_get(row, "what")->text);
	}
	ynode_free(map);
}

START_TEST(test_every_shipped_profile_reads_and_its_checks_hold)
{
	DIR *dir = opendir(FLASH_SOURCE_DIR "/configs/device");
	struct dirent *entry;
	int seen = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);
		char name[256];

		if (length < 6 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
			continue;
		memcpy(name, entry->d_name, length - 5);
		name[length - 5] = '\0';
		for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
			if (strcmp(name, figures[i].device) == 0) {
				checks_hold(name);
				seen++;
			}
		}
	}
	closedir(dir);
	ck_assert_int_eq(seen, sizeof(figures) / sizeof(figures[0]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("profiles");
	TCase *tcase = tcase_create("profiles");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tcase, test_m1_max_gives_the_papers_io_rows, 0,
			    sizeof(m1_rows) / sizeof(m1_rows[0]));
	tcase_add_test(tcase, test_m1_max_is_the_fit_that_it_says_it_is);
	tcase_add_loop_test(tcase, test_each_fitted_row_is_forecast_by_the_other_four, FITTED_FROM,
			    FITTED_TO);
	tcase_add_test(tcase, test_m1_max_gives_the_papers_memory_and_compute_rows);
	tcase_add_loop_test(tcase, test_gpu_profiles_give_the_papers_rows_as_far_as_they_say, 0,
			    sizeof(gpu_rows) / sizeof(gpu_rows[0]));
	tcase_add_loop_test(tcase, test_derived_figures_of_a_profile_are_what_its_comments_say, 0,
			    sizeof(figures) / sizeof(figures[0]));
	tcase_add_test(tcase, test_every_shipped_profile_reads_and_its_checks_hold);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
