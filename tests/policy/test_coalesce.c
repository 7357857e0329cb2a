/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_coalesce.c - reads that hold several slots and the gaps between them
 *
 * Held against a definition so slow that it can be read: the slots that are needed, one after the
 * other, each joined to the read at hand or beginning a new one. */
#include "policy_fixture.h"
#include "reads.h"
#include "rng.h"
#include "sets.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

enum { NEURONS = 640, TOKENS = 2 };

static const struct {
	const char *why, *yaml;
	uint32_t d_model, row_align;
	uint64_t gap, most; /* bytes, as in the YAML */
} cases[] = {
	{"neighbours only", "{coalesce_gap: none}", 4096, 512, 0, 1048576},
	{"one bundle of gap", "{coalesce_gap: 16KiB}", 4096, 512, 16384, 1048576},
	{"less than a bundle is no gap", "{coalesce_gap: 15KiB}", 4096, 512, 15360, 1048576},
	{"three bundles and a bit", "{coalesce_gap: 60KiB}", 4096, 512, 61440, 1048576},
	{"reads of two bundles at most", "{coalesce_gap: 64KiB, coalesce_most: 32KiB}", 4096, 512,
	 65536, 32768},
	{"reads of three and a half", "{coalesce_gap: 64KiB, coalesce_most: 56KiB}", 4096, 512,
	 65536, 57344},
	{"reads of one bundle", "{coalesce_gap: 64KiB, coalesce_most: 16KiB}", 4096, 512, 65536,
	 16384},
	{"all of it at once", "{coalesce_gap: 16MiB, coalesce_most: 16MiB}", 4096, 512, 16777216,
	 16777216},
	{"rows apart", "{layout: split, coalesce_gap: 24KiB}", 4096, 512, 24576, 1048576},
	{"a chunk below a row is a row", "{layout: split, chunk: 4KiB, coalesce_gap: 8KiB}", 4096,
	 512, 8192, 1048576},
	{"slots of two rows", "{chunk: 32KiB, coalesce_gap: 32KiB}", 4096, 512, 32768, 1048576},
	{"slots of three rows, reads of two slots",
	 "{chunk: 48KiB, coalesce_gap: 48KiB, coalesce_most: 100KiB}", 4096, 512, 49152, 102400},
	{"slots of 17 rows, the last one cut", "{chunk: 272KiB, coalesce_gap: 512KiB}", 4096, 512,
	 524288, 1048576},
	{"Falcon's padded rows", "{layout: split, coalesce_gap: 20KiB}", 4544, 512, 20480, 1048576},
	{"Falcon's bundles, padded to 4096", "{coalesce_gap: 40KiB, coalesce_most: 128KiB}", 4544,
	 4096, 40960, 131072},
	{"32-bit bundles", "{weights: f32, coalesce_gap: 96KiB}", 4096, 512, 98304, 1048576},
};

struct sparse {
	struct model model;
	struct trace trace;
	struct policy_config config;
	struct policy *policy;
	struct plan plan;
	uint64_t none[(NEURONS + 63) / 64];
};

/* A plan for nothing resident and about 'density' demanded. */
static void sparse_open(struct sparse *sparse, int i, enum coalesce_kind coalesce, double density,
			uint64_t seed)
{
	struct demand demand;
	struct err err = {0};

	fixture_model(&sparse->model, 1, cases[i].d_model, NEURONS, cases[i].row_align);
	fixture_trace(&sparse->trace, &sparse->model, TOKENS, seed, density);
	fixture_config(&sparse->config, cases[i].yaml);
	sparse->config.demand = 1; /* oracle */
	sparse->config.coalesce = coalesce;
	ck_assert_msg(policy_open(&sparse->policy, &sparse->config, &sparse->model, &sparse->trace,
				  &err) == 0,
		      "%s: %s", cases[i].why, err.msg);
	ck_assert_int_eq(plan_init(&sparse->plan, NEURONS, &err), 0);
	memset(sparse->none, 0, sizeof(sparse->none));
	policy_demand_at(sparse->policy, &demand, 0, 0, STEP_FFN);
	ck_assert_int_eq(policy_step(sparse->policy, &demand, sparse->none, &sparse->plan, &err),
			 0);
	ck_assert_uint_gt(sparse->plan.load_count, 0);
	sparse->plan.demand.neurons = sparse->plan.load; /* the policy's own is lent */
}

static void sparse_close(struct sparse *sparse)
{
	plan_fini(&sparse->plan);
	policy_close(sparse->policy);
	trace_fini(&sparse->trace);
}

struct range {
	uint64_t offset, bytes;
};

/* The reads of a plane by their definition; returns how many. */
static uint32_t slow_reads(struct range *reads, const struct plan *plan,
			   const struct read_plane *plane, int i)
{
	uint32_t count = 0, rows = plane->rows_per_slot;
	uint64_t slot_bytes = rows * plane->row_stride, end = NEURONS * plane->row_stride;

	for (uint32_t slot = 0; slot * rows < NEURONS; slot++) {
		uint64_t begin = slot * slot_bytes;
		struct range *last = count ? &reads[count - 1] : NULL;
		bool needed = false;

		for (uint32_t row = slot * rows; row < (slot + 1) * rows && row < NEURONS; row++)
			needed |= bits_get(plan->load, row);
		if (!needed)
			continue;
		if (last && begin - (last->offset + last->bytes) <= cases[i].gap &&
		    begin + slot_bytes - last->offset <= cases[i].most)
			last->bytes = begin + slot_bytes - last->offset;
		else
			reads[count++] = (struct range){begin, slot_bytes};
	}
	if (reads[count - 1].offset + reads[count - 1].bytes > end)
		reads[count - 1].bytes = end - reads[count - 1].offset;
	return count;
}

static const double densities[] = {0.003, 0.03, 0.2, 0.7};

START_TEST(test_reads_are_those_of_the_definition)
{
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct range want[NEURONS];
		struct plan_reads it;
		struct flash_read read;
		struct sparse sparse;

		sparse_open(&sparse, _i, COALESCE_GAP, densities[seed % 4], seed);
		plan_reads_init(&it, &sparse.plan);
		for (unsigned p = 0; p < sparse.plan.plane_count; p++) {
			const struct read_plane *plane = &sparse.plan.planes[p];
			uint32_t count = slow_reads(want, &sparse.plan, plane, _i);

			for (uint32_t r = 0; r < count; r++) {
				ck_assert_msg(plan_reads_next(&it, &read) &&
						      read.region == plane->region &&
						      read.offset == want[r].offset &&
						      read.bytes == want[r].bytes,
					      "%s: read %u", cases[_i].why, r);
			}
		}
		ck_assert(!plan_reads_next(&it, &read));
		sparse_close(&sparse);
	}
}
END_TEST

/* Counts, bytes and classes of a plan, read by read. */
static void check_sums(const struct plan *plan)
{
	static uint64_t counts[PLAN_CLASSES];
	uint64_t count = 0, bytes = 0;
	struct plan_reads it;
	struct flash_read read;

	memset(counts, 0, sizeof(counts));
	for (plan_reads_init(&it, plan); plan_reads_next(&it, &read);) {
		unsigned c = 0;

		while (c < plan->class_count && plan->classes[c].bytes != read.bytes)
			c++;
		if (c == plan->class_count)
			ck_abort_msg("no class of %llu bytes", (unsigned long long)read.bytes);
		counts[c]++;
		count++;
		bytes += read.bytes;
	}
	for (unsigned c = 0; c < plan->class_count; c++)
		ck_assert_uint_eq(counts[c], plan->classes[c].count);
	ck_assert_uint_eq(count, plan->read_count);
	ck_assert_uint_eq(bytes, plan->read_bytes);
}

START_TEST(test_the_sums_are_those_of_the_single_reads_and_the_check_agrees)
{
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct sparse sparse;
		struct err err = {0};

		sparse_open(&sparse, _i, COALESCE_GAP, densities[seed % 4], seed);
		check_sums(&sparse.plan);
		ck_assert_msg(plan_check(&sparse.plan, &sparse.model, sparse.policy, sparse.none,
					 &err) == 0,
			      "%s", err.msg);
		sparse_close(&sparse);
	}
}
END_TEST

/* How often each sector of a region is read. */
static unsigned char *sectors_read(const struct plan *plan, const struct read_plane *plane)
{
	unsigned char *sectors = calloc(plane->end_bytes / 512, 1);
	struct plan_reads it;
	struct flash_read read;

	ck_assert_ptr_nonnull(sectors);
	for (plan_reads_init(&it, plan); plan_reads_next(&it, &read);) {
		if (read.region != plane->region)
			continue;
		ck_assert_msg(read.offset + read.bytes <= plane->end_bytes &&
				      read.offset % 512 == 0 && read.bytes % 512 == 0,
			      "%llu bytes at %llu of %llu", (unsigned long long)read.bytes,
			      (unsigned long long)read.offset,
			      (unsigned long long)plane->end_bytes);
		for (uint64_t s = read.offset / 512; s < (read.offset + read.bytes) / 512; s++)
			sectors[s]++;
	}
	return sectors;
}

START_TEST(test_every_load_is_read_once_and_no_read_leaves_its_region)
{
	for (uint64_t seed = 20; seed < 28; seed++) {
		struct sparse sparse;

		sparse_open(&sparse, _i, COALESCE_GAP, densities[seed % 4], seed);
		for (unsigned p = 0; p < sparse.plan.plane_count; p++) {
			const struct read_plane *plane = &sparse.plan.planes[p];
			unsigned char *sectors = sectors_read(&sparse.plan, plane);
			uint64_t stride = plane->row_stride / 512, unread = 0, twice = 0;

			for (uint64_t s = 0; s < plane->end_bytes / 512; s++) {
				unread += bits_get(sparse.plan.load, (uint32_t)(s / stride)) &&
					  sectors[s] == 0;
				twice += sectors[s] > 1;
			}
			ck_assert_msg(!unread && !twice, "%s: %llu sectors unread, %llu twice",
				      cases[_i].why, (unsigned long long)unread,
				      (unsigned long long)twice);
			free(sectors);
		}
		sparse_close(&sparse);
	}
}
END_TEST

START_TEST(test_joined_reads_are_never_more_and_bring_no_less)
{
	for (uint64_t seed = 40; seed < 52; seed++) {
		struct sparse joined, apart;

		sparse_open(&joined, _i, COALESCE_GAP, densities[seed % 4], seed);
		sparse_open(&apart, _i, COALESCE_NONE, densities[seed % 4], seed);
		ck_assert_mem_eq(joined.plan.load, apart.plan.load, sizeof(joined.none));
		ck_assert_uint_le(joined.plan.read_count, apart.plan.read_count);
		ck_assert_uint_ge(joined.plan.read_bytes, apart.plan.read_bytes);
		ck_assert_uint_eq(joined.plan.needed_bytes, apart.plan.needed_bytes);
		/* Each read that is saved costs at most the gaps that it closed. */
		ck_assert_uint_le(joined.plan.read_bytes,
				  apart.plan.read_bytes +
					  (apart.plan.read_count - joined.plan.read_count) *
						  cases[_i].gap);
		if (cases[_i].gap == 0)
			ck_assert_uint_eq(joined.plan.read_bytes, apart.plan.read_bytes);
		sparse_close(&joined);
		sparse_close(&apart);
	}
}
END_TEST

/* ---- what the check catches ---- */

static void put_loads(struct plan *plan, const char *bits)
{
	bits_clear(plan->load, NEURONS);
	for (uint32_t n = 0; bits[n]; n++)
		if (bits[n] == 'x')
			bits_put(plan->load, n);
	plan->load_count = set_count(plan->load, bits_words(NEURONS));
	plan->demand.neuron_count = plan->load_count;
	plan->resident_count = plan->load_count;
	plan->needed_bytes = 0;
}

/* Bundles of 16 KiB, gaps of one, reads of at most four.  'reads' is the set that is read. */
static const struct {
	const char *why, *loads, *reads, *says; /* says: NULL = allowed */
} gaps[] = {
	{"as the policy does it", "x.x..x", "xxx..x", NULL},
	{"a gap may be left alone", "x.x..x", "x.x..x", NULL},
	{"a load is left out", "x.x..x", "xx...x", "slot 2 of bundle is not read"},
	{"a gap is too long", "x.x..x", "x.xxxx",
	 "slot 3 of bundle is read, expected no longer gap"},
	{"something before the first", ".x.x..", "xx.x..",
	 "slot 0 of bundle is read, expected loads"},
	{"something behind the last", "x.x...", "xxxx..",
	 "slot 3 of bundle is read, expected loads"},
	{"something on its own", "x.x.....", "xxx..x..",
	 "slot 5 of bundle is read, expected loads"},
	{"a gap that ends a read", "xxx.xx", "xxxxxx", "slot 3 of bundle is read, expected loads"},
	{"a gap that begins a read", "xxxx.x", "xxxxxx",
	 "slot 4 of bundle is read, expected loads"},
	{"a gap that ends the second read", "xxxxxxx.x", "xxxxxxxxx",
	 "slot 7 of bundle is read, expected loads"},
	{"a gap inside the second read", "xxxxx.xx", "xxxxxxxx", NULL},
};

START_TEST(test_only_gaps_inside_a_read_are_read_without_a_load)
{
	struct sparse sparse;
	struct read_rule rule;
	struct read_sums sums;
	struct plan *plan = &sparse.plan;
	struct err err = {0};
	int rc;

	sparse_open(&sparse, 0, COALESCE_GAP, 0.1, 1);
	sparse.config.coalesce_gap = 16384;
	sparse.config.coalesce_most = 65536;
	rule = read_rule_of(&sparse.config);
	put_loads(plan, gaps[_i].loads);
	reads_of_loads(plan, policy_layout(&sparse.config), policy_region_shapes(sparse.policy),
		       &rule);
	bits_clear(plan->slots[0], NEURONS);
	for (uint32_t n = 0; gaps[_i].reads[n]; n++)
		if (gaps[_i].reads[n] == 'x')
			bits_put(plan->slots[0], n);
	reads_sum(&sums, plan);
	plan->class_count = sums.class_count;
	plan->read_count = sums.count;
	plan->read_bytes = sums.bytes;
	memcpy(plan->classes, sums.classes, sums.class_count * sizeof(*plan->classes));
	rc = plan_check(plan, &sparse.model, sparse.policy, sparse.none, &err);
	if (gaps[_i].says)
		ck_assert_msg(rc == EPROTO && strstr(err.msg, gaps[_i].says), "%s: said '%s'",
			      gaps[_i].why, err.msg);
	else
		ck_assert_msg(rc == 0, "%s: said '%s'", gaps[_i].why, err.msg);
	sparse_close(&sparse);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
	const char *why, *yaml, *says;
} bad[] = {
	{"nobody resolved it", "{coalesce: gap}", "coalesce_gap: auto comes from a device profile"},
	{"a row does not fit", "{coalesce: gap, coalesce_gap: none, coalesce_most: 8KiB}",
	 "coalesce_most 8192 B is less than one slot of 16384 B"},
	{"a chunk does not fit",
	 "{coalesce: gap, coalesce_gap: none, chunk: 64KiB, coalesce_most: 32KiB}",
	 "coalesce_most 32768 B is less than one slot of 65536 B"},
};

START_TEST(test_what_cannot_be_done_is_refused_with_figures)
{
	struct fixture fixture = {0};
	struct policy_config dense;
	struct policy *policy;
	struct err err = {0}, none = {0};

	fixture_open(&fixture, "{}", 4096, NEURONS, TOKENS, 1);
	fixture_config(&fixture.config, bad[_i].yaml);
	ck_assert_int_eq(
		policy_open(&policy, &fixture.config, &fixture.model, &fixture.trace, &err),
		EINVAL);
	ck_assert_msg(strstr(err.msg, bad[_i].says) != NULL, "%s: said '%s'", bad[_i].why, err.msg);
	/* Dense steps have no slots. */
	dense = fixture.config;
	dense.demand = (unsigned)word_value(demand_words, "dense");
	ck_assert_msg(policy_open(&policy, &dense, &fixture.model, NULL, &none) == 0, "%s",
		      none.msg);
	policy_close(policy);
	fixture_close(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("coalesce");
	TCase *tc = tcase_create("coalesce");
	SRunner *runner = srunner_create(suite);
	int count = (int)(sizeof(cases) / sizeof(*cases)), failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_reads_are_those_of_the_definition, 0, count);
	tcase_add_loop_test(tc, test_the_sums_are_those_of_the_single_reads_and_the_check_agrees, 0,
			    count);
	tcase_add_loop_test(tc, test_every_load_is_read_once_and_no_read_leaves_its_region, 0,
			    count);
	tcase_add_loop_test(tc, test_joined_reads_are_never_more_and_bring_no_less, 0, count);
	tcase_add_loop_test(tc, test_only_gaps_inside_a_read_are_read_without_a_load, 0,
			    (int)(sizeof(gaps) / sizeof(*gaps)));
	tcase_add_loop_test(tc, test_what_cannot_be_done_is_refused_with_figures, 0,
			    (int)(sizeof(bad) / sizeof(*bad)));
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
