/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_reads.c - every chunk size reads what it must, and the closed sums are those of the single
 * reads */
#include "policy_fixture.h"
#include "reads.h"
#include "rng.h"
#include "sets.h"

#include <check.h>
#include <stdlib.h>

/* What one chunk case must give: the size of a slot, and the sizes of its pieces. */
static const struct chunk_case {
	const char *why, *yaml;
	uint32_t d_model, row_align;
	uint64_t slot_bytes, piece_bytes, last_piece_bytes;
	uint32_t rows_per_slot;
} cases[] = {
	{"a row a read", "{layout: split, chunk: row}", 4096, 512, 8192, 8192, 8192, 1},
	{"a bundle a read", "{layout: bundle, chunk: row}", 4096, 512, 16384, 16384, 16384, 1},
	{"half a row a read", "{layout: split, chunk: 4KiB}", 4096, 512, 8192, 4096, 4096, 1},
	{"a piece that does not divide the bundle", "{layout: bundle, chunk: 12KiB}", 4096, 512,
	 16384, 12288, 4096, 1},
	{"chunk of exactly a row", "{layout: split, chunk: 8KiB}", 4096, 512, 8192, 8192, 8192, 1},
	{"less than two rows is one row", "{layout: split, chunk: 12KiB}", 4096, 512, 8192, 8192,
	 8192, 1},
	{"two bundles", "{layout: bundle, chunk: 32KiB}", 4096, 512, 32768, 32768, 32768, 2},
	{"three bundles: no power of two", "{layout: bundle, chunk: 48KiB}", 4096, 512, 49152,
	 49152, 49152, 3},
	{"three and a half are three", "{layout: bundle, chunk: 56KiB}", 4096, 512, 49152, 49152,
	 49152, 3},
	{"64 bundles are 1 MiB", "{layout: bundle, chunk: 1MiB}", 4096, 512, 1048576, 1048576,
	 1048576, 64},
	{"128 rows of a split layout", "{layout: split, chunk: 1MiB}", 4096, 512, 1048576, 1048576,
	 1048576, 128},
	{"Falcon's bundle is padded to 512", "{layout: bundle, chunk: row}", 4544, 512, 18432,
	 18432, 18432, 1},
	{"Falcon's bundle is padded to 4096", "{layout: bundle, chunk: row}", 4544, 4096, 20480,
	 20480, 20480, 1},
	{"Falcon's bundle in pieces of 8 KiB", "{layout: bundle, chunk: 8KiB}", 4544, 512, 18432,
	 8192, 2048, 1},
	{"Falcon's rows are padded each for itself", "{layout: split, chunk: row}", 4544, 512, 9216,
	 9216, 9216, 1},
	{"Falcon: 56 bundles in 1 MiB", "{layout: bundle, chunk: 1MiB}", 4544, 512, 1032192,
	 1032192, 1032192, 56},
	{"32-bit bundles", "{layout: bundle, weights: f32, chunk: 64KiB}", 4096, 512, 65536, 65536,
	 65536, 2},
};

enum { NEURONS = 640, TOKENS = 4 };

struct sparse {
	struct model model;
	struct trace trace;
	struct policy_config config;
	struct policy *policy;
	struct plan plan;
	struct demand demand;
	uint64_t none[NEURONS / 64];
};

static void sparse_open(struct sparse *sparse, const struct chunk_case *chunk, double density)
{
	struct err err = {0};

	fixture_model(&sparse->model, 1, chunk->d_model, NEURONS, chunk->row_align);
	fixture_trace(&sparse->trace, &sparse->model, TOKENS, 3, density);
	fixture_config(&sparse->config, chunk->yaml);
	sparse->config.demand = 1; /* oracle */
	ck_assert_str_eq(policy_demand(&sparse->config)->name, "oracle");
	ck_assert_msg(policy_open(&sparse->policy, &sparse->config, &sparse->model, &sparse->trace,
				  &err) == 0,
		      "%s", err.msg);
	ck_assert_int_eq(plan_init(&sparse->plan, NEURONS, &err), 0);
	memset(sparse->none, 0, sizeof(sparse->none));
	policy_demand_at(sparse->policy, &sparse->demand, 0, 0, STEP_FFN);
	ck_assert_msg(policy_step(sparse->policy, &sparse->demand, sparse->none, &sparse->plan,
				  &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_gt(sparse->plan.load_count, 0);
}

static void sparse_close(struct sparse *sparse)
{
	plan_fini(&sparse->plan);
	policy_close(sparse->policy);
	trace_fini(&sparse->trace);
}

/* Sums of the single reads beside the plan's own. */
static void check_sums(const struct plan *plan)
{
	uint64_t counts[PLAN_CLASSES] = {0}, count = 0, bytes = 0;
	struct plan_reads it;
	struct flash_read read;

	plan_reads_init(&it, plan);
	while (plan_reads_next(&it, &read)) {
		unsigned c = 0;

		while (c < plan->class_count && plan->classes[c].bytes != read.bytes)
			c++;
		ck_assert_msg(c < plan->class_count, "no class of %llu bytes",
			      (unsigned long long)read.bytes);
		counts[c]++;
		count++;
		bytes += read.bytes;
		ck_assert_uint_eq(read.layer, plan->demand.layer);
	}
	ck_assert(!plan_reads_next(&it, &read));
	for (unsigned c = 0; c < plan->class_count; c++)
		ck_assert_uint_eq(counts[c], plan->classes[c].count);
	ck_assert_uint_eq(count, plan->read_count);
	ck_assert_uint_eq(bytes, plan->read_bytes);
}

START_TEST(test_a_chunk_gives_the_slots_and_pieces_it_says)
{
	const struct chunk_case *want = &cases[_i];
	struct sparse sparse;

	sparse_open(&sparse, want, 0.05);
	ck_assert_uint_eq(sparse.plan.plane_count, policy_layout(&sparse.config)->region_count);
	for (unsigned i = 0; i < sparse.plan.plane_count; i++) {
		const struct read_plane *plane = &sparse.plan.planes[i];
		struct plan_reads it;
		struct flash_read read;

		ck_assert_msg(plane->slot_bytes == want->slot_bytes, "%s: slot of %llu", want->why,
			      (unsigned long long)plane->slot_bytes);
		ck_assert_uint_eq(plane->piece_bytes, want->piece_bytes);
		ck_assert_uint_eq(plane->rows_per_slot, want->rows_per_slot);
		ck_assert_uint_eq(plane->region, policy_layout(&sparse.config)->regions[i]);
		plan_reads_init(&it, &sparse.plan);
		while (plan_reads_next(&it, &read)) {
			bool cut = read.offset + read.bytes == plane->end_bytes;

			ck_assert_msg(cut || read.bytes == want->piece_bytes ||
					      read.bytes == want->last_piece_bytes,
				      "%s: a read of %llu", want->why,
				      (unsigned long long)read.bytes);
			ck_assert_uint_eq(read.offset % want->row_align, 0);
			ck_assert_uint_eq(read.bytes % want->row_align, 0);
		}
	}
	sparse_close(&sparse);
}
END_TEST

START_TEST(test_classes_and_sums_are_those_of_the_single_reads)
{
	static const double densities[] = {0.01, 0.1, 0.7};

	for (unsigned i = 0; i < 3; i++) {
		struct sparse sparse;

		sparse_open(&sparse, &cases[_i], densities[i]);
		check_sums(&sparse.plan);
		sparse_close(&sparse);
	}
}
END_TEST

/* Byte by byte: 1 where a read covers it. Overlapping reads fail. */
static unsigned char *covered(const struct plan *plan, enum region region, uint64_t bytes)
{
	unsigned char *map = calloc(bytes / 512, 1);
	struct plan_reads it;
	struct flash_read read;
	uint64_t last = 0;

	ck_assert_ptr_nonnull(map);
	plan_reads_init(&it, plan);
	while (plan_reads_next(&it, &read)) {
		if (read.region != region)
			continue;
		ck_assert_uint_ge(read.offset, last); /* ascending, apart */
		last = read.offset + read.bytes;
		ck_assert_uint_le(last, bytes);
		memset(map + read.offset / 512, 1, read.bytes / 512);
	}
	return map;
}

START_TEST(test_every_load_is_read_whole_and_nothing_but_its_slot)
{
	struct sparse sparse;

	sparse_open(&sparse, &cases[_i], 0.05);
	for (unsigned i = 0; i < sparse.plan.plane_count; i++) {
		const struct read_plane *plane = &sparse.plan.planes[i];
		uint64_t stride = plane->row_stride / 512, wrong = 0;
		unsigned char *map =
			covered(&sparse.plan, plane->region, NEURONS * plane->row_stride);

		for (uint32_t row = 0; row < NEURONS; row++) {
			uint32_t first = row / plane->rows_per_slot * plane->rows_per_slot;
			uint32_t end = first + plane->rows_per_slot < NEURONS
					       ? first + plane->rows_per_slot
					       : NEURONS;
			bool wanted = set_next(sparse.plan.load, first, end) < end;

			for (uint64_t b = 0; b < stride; b++)
				wrong += map[row * stride + b] != wanted;
			ck_assert_msg(!wrong, "%s: row %u, want %d", cases[_i].why, row, wanted);
		}
		free(map);
	}
	sparse_close(&sparse);
}
END_TEST

START_TEST(test_padding_and_neighbours_are_booked_as_dropped)
{
	struct sparse sparse;
	uint64_t row_bytes;

	sparse_open(&sparse, &cases[_i], 0.05);
	row_bytes =
		2 * sparse.model.d_model * weight_bytes((enum weight_type)sparse.config.weights);
	ck_assert_uint_eq(sparse.plan.needed_bytes, sparse.plan.load_count * row_bytes);
	ck_assert_uint_ge(sparse.plan.read_bytes, sparse.plan.needed_bytes);
	sparse_close(&sparse);
}
END_TEST

START_TEST(test_nothing_is_read_when_all_of_it_is_resident)
{
	struct sparse sparse;
	struct err err = {0};
	struct plan_reads it;
	struct flash_read read;

	sparse_open(&sparse, &cases[0], 0.05);
	ck_assert_int_eq(policy_step(sparse.policy, &sparse.demand, sparse.demand.neurons,
				     &sparse.plan, &err),
			 0);
	ck_assert_uint_eq(sparse.plan.read_count, 0);
	ck_assert_uint_eq(sparse.plan.plane_count, 0);
	plan_reads_init(&it, &sparse.plan);
	ck_assert(!plan_reads_next(&it, &read));
	sparse_close(&sparse);
}
END_TEST

/* Dense steps: {policy, step, what is read} in bytes of the region. */
static const struct {
	const char *why, *yaml;
	enum step_kind kind;
	bool nothing;
} dense[] = {
	{"naive reads all of attention", "{demand: dense, persistence: none}", STEP_ATTENTION,
	 false},
	{"naive reads the head", "{demand: dense, persistence: none}", STEP_HEAD, false},
	{"naive reads every row", "{demand: dense, persistence: none, layout: split}", STEP_FFN,
	 false},
	{"naive reads every bundle", "{demand: dense, persistence: none, dense_chunk: 20KiB}",
	 STEP_FFN, false},
	{"hybrid reads the rest of attention", "{demand: dense, persistence: fraction}",
	 STEP_ATTENTION, false},
	{"hybrid reads a tenth", "{demand: dense, persistence: fraction, persist_frac: 0.9}",
	 STEP_HEAD, false},
	{"hybrid reads half of the rows", "{demand: dense, persistence: fraction, layout: split}",
	 STEP_FFN, false},
	{"all kept: nothing of attention",
	 "{demand: dense, persistence: fraction, persist_frac: 1}", STEP_ATTENTION, true},
	{"all kept: no rows", "{demand: dense, persistence: fraction, persist_frac: 1}", STEP_FFN,
	 true},
	{"attention stays", "{demand: dense, persistence: attention}", STEP_ATTENTION, true},
	{"the head stays", "{demand: dense, persistence: attention}", STEP_HEAD, true},
};

START_TEST(test_a_dense_step_reads_what_is_not_kept)
{
	struct fixture fixture = {0};
	struct plan plan;
	struct demand demand;
	struct err err = {0};
	uint64_t none[NEURONS / 64] = {0}, expected = 0;

	fixture_open(&fixture, dense[_i].yaml, 4544, NEURONS, 1, 1);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	policy_demand_at(fixture.policy, &demand, 0, 1, dense[_i].kind);
	ck_assert(demand.dense);
	ck_assert_int_eq(policy_step(fixture.policy, &demand, none, &plan, &err), 0);
	check_sums(&plan);
	for (unsigned i = 0; i < plan.stretch_count; i++) {
		enum region region = plan.stretches[i].region;
		uint64_t kept = policy_kept_bytes(fixture.policy, region);
		uint64_t bytes = model_region_bytes(
			&fixture.model, (enum weight_type)fixture.config.weights, region);
		unsigned char *map = covered(&plan, region, bytes);
		uint64_t wrong = 0;

		for (uint64_t b = 0; b < bytes / 512; b++)
			wrong += map[b] != (b * 512 >= kept);
		ck_assert_msg(!wrong, "%s: %llu sectors of %s", dense[_i].why,
			      (unsigned long long)wrong, region_name(region));
		expected += bytes - kept;
		free(map);
	}
	ck_assert_msg(plan.read_bytes == expected && (expected == 0) == dense[_i].nothing,
		      "%s: %llu", dense[_i].why, (unsigned long long)plan.read_bytes);
	ck_assert_uint_le(plan.needed_bytes, plan.read_bytes);
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

START_TEST(test_a_whole_token_needs_exactly_the_models_parameters)
{
	struct fixture fixture = {0};
	struct plan plan;
	struct demand demand;
	struct err err = {0};
	uint64_t none[NEURONS / 64] = {0}, needed = 0;

	fixture_open(&fixture,
		     _i ? "{demand: dense, persistence: none, layout: split}"
			: "{demand: dense, persistence: none, layout: bundle}",
		     4544, NEURONS, 1, 1);
	ck_assert_int_eq(plan_init(&plan, NEURONS, &err), 0);
	for (uint32_t layer = 0; layer <= 2; layer++)
		for (int kind = STEP_ATTENTION; kind <= STEP_HEAD; kind++) {
			if ((kind == STEP_HEAD) != (layer == 2))
				continue;
			policy_demand_at(fixture.policy, &demand, 0, layer, (enum step_kind)kind);
			ck_assert_int_eq(policy_step(fixture.policy, &demand, none, &plan, &err),
					 0);
			needed += plan.needed_bytes;
		}
	/* Norms and biases are f32 on flash whatever the weights' type: a little more than f16
	 * parameters. */
	ck_assert_uint_ge(needed, model_param_bytes(&fixture.model, WEIGHT_F16));
	ck_assert_uint_le(needed, model_param_bytes(&fixture.model, WEIGHT_F16) * 1005 / 1000);
	plan_fini(&plan);
	fixture_close(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reads");
	TCase *tc = tcase_create("reads");
	SRunner *runner = srunner_create(suite);
	int count = (int)(sizeof(cases) / sizeof(*cases)), failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_a_chunk_gives_the_slots_and_pieces_it_says, 0, count);
	tcase_add_loop_test(tc, test_classes_and_sums_are_those_of_the_single_reads, 0, count);
	tcase_add_loop_test(tc, test_every_load_is_read_whole_and_nothing_but_its_slot, 0, count);
	tcase_add_loop_test(tc, test_padding_and_neighbours_are_booked_as_dropped, 0, count);
	tcase_add_test(tc, test_nothing_is_read_when_all_of_it_is_resident);
	tcase_add_loop_test(tc, test_a_dense_step_reads_what_is_not_kept, 0,
			    (int)(sizeof(dense) / sizeof(*dense)));
	tcase_add_loop_test(tc, test_a_whole_token_needs_exactly_the_models_parameters, 0, 2);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
