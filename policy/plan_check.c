/* SPDX-License-Identifier: GPL-3.0-or-later */
/* plan_check.c - the rules that every plan keeps, whatever policy made it
 *
 * Looked at from the plan alone: nothing here is shared with the member that decided.  The rules on
 * sets are first tried for a whole layer without a branch; only a broken plan is searched for the
 * neuron that breaks it. */
#include "reads.h"
#include "run.h"
#include "sets.h"
#include "wide.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>

static int broken(struct err *err, const struct plan *plan, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int broken(struct err *err, const struct plan *plan, const char *fmt, ...)
{
	const struct demand *demand = &plan->demand;
	char msg[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	return err_set(err, EPROTO, "token %u layer %u %s: bad plan: %s", demand->token,
		       demand->layer, step_kind_name(demand->kind), msg);
}

enum set_rule {
	RULE_EVICT_ABSENT,
	RULE_EVICT_DEMANDED,
	RULE_LOAD_TWICE,
	RULE_DEMAND_ABSENT,
	RULE_TRANSIENT_EVICT,
	RULE_TRANSIENT_LOAD,
	SET_RULES
};

static const char *const set_rules[SET_RULES] = {
	[RULE_EVICT_ABSENT] = "is evicted, expected only resident neurons",
	[RULE_EVICT_DEMANDED] = "is evicted, expected no demanded neuron",
	[RULE_LOAD_TWICE] = "is loaded, expected only neurons that are not resident",
	[RULE_DEMAND_ABSENT] = "is demanded and would not be resident, expected the whole demand",
	[RULE_TRANSIENT_EVICT] =
		"breaks residency without reuse, expected all resident rows but the pinned evicted",
	[RULE_TRANSIENT_LOAD] =
		"breaks residency without reuse, expected all of the demand but the pinned loaded",
};

/* The neurons of word w that break a rule. */
struct word_faults {
	uint64_t of[SET_RULES];
};

static inline uint64_t pinned_word(uint32_t pinned, size_t w)
{
	if (w >= pinned / 64)
		return w > pinned / 64 ? 0 : (UINT64_C(1) << (pinned % 64)) - 1;
	return UINT64_MAX;
}

static inline struct word_faults reuse_faults(const struct plan *plan, const uint64_t *resident,
					      size_t w)
{
	uint64_t evict = plan->evict[w], load = plan->load[w], demand = plan->demand.neurons[w];
	uint64_t stays = resident[w] & ~evict;

	return (struct word_faults){{
		[RULE_EVICT_ABSENT] = evict & ~resident[w],
		[RULE_EVICT_DEMANDED] = evict & demand,
		[RULE_LOAD_TWICE] = load & stays,
		[RULE_DEMAND_ABSENT] = demand & ~(stays | load),
	}};
}

static inline struct word_faults transient_faults(const struct plan *plan, const uint64_t *resident,
						  uint32_t pinned, size_t w)
{
	uint64_t leaves = ~pinned_word(pinned, w);

	return (struct word_faults){{
		[RULE_TRANSIENT_EVICT] = plan->evict[w] ^ (resident[w] & leaves),
		[RULE_TRANSIENT_LOAD] = plan->load[w] ^ (plan->demand.neurons[w] & leaves),
	}};
}

static int report_faults(const struct plan *plan, const struct word_faults *faults, size_t w,
			 struct err *err)
{
	for (unsigned rule = 0; rule < SET_RULES; rule++)
		if (faults->of[rule])
			return broken(err, plan, "neuron %zu %s",
				      w * 64 + (size_t)__builtin_ctzll(faults->of[rule]),
				      set_rules[rule]);
	return 0;
}

/* Not 0 where reuse_faults() of some word has one. */
WIDE static uint64_t any_reuse_fault(const struct plan *plan, const uint64_t *restrict resident,
				     size_t words)
{
	const uint64_t *restrict evict = plan->evict, *restrict load = plan->load;
	const uint64_t *restrict demand = plan->demand.neurons;
	uint64_t any = 0;

	for (size_t w = 0; w < words; w++) {
		uint64_t stays = resident[w] & ~evict[w];

		any |= evict[w] & (~resident[w] | demand[w]);
		any |= load[w] & stays;
		any |= demand[w] & ~(stays | load[w]);
	}
	return any;
}

static int check_reuse(const struct plan *plan, const struct policy *policy,
		       const uint64_t *resident, struct err *err)
{
	size_t words = bits_words(plan->neuron_total);
	uint32_t pinned = policy_pinned_rows(policy);
	uint32_t first = set_next(plan->evict, 0, pinned);
	uint64_t any = any_reuse_fault(plan, resident, words);
	int rc = 0;

	for (size_t w = 0; any && !rc && w < words; w++) {
		struct word_faults faults = reuse_faults(plan, resident, w);

		rc = report_faults(plan, &faults, w, err);
	}
	if (!rc && first < pinned)
		rc = broken(err, plan, "neuron %u is evicted, expected none of the %u pinned rows",
			    first, pinned);
	return rc;
}

static int check_transient(const struct plan *plan, const struct policy *policy,
			   const uint64_t *resident, struct err *err)
{
	uint32_t pinned = policy_pinned_rows(policy);
	int rc = 0;

	for (size_t w = 0; !rc && w < bits_words(plan->neuron_total); w++) {
		struct word_faults faults = transient_faults(plan, resident, pinned, w);

		if (faults.of[RULE_TRANSIENT_EVICT] | faults.of[RULE_TRANSIENT_LOAD])
			rc = report_faults(plan, &faults, w, err);
	}
	return rc;
}

static int check_count(const struct plan *plan, const char *what, uint64_t got, uint64_t expected,
		       struct err *err)
{
	if (got == expected)
		return 0;
	return broken(err, plan, "%s is %llu, expected %llu", what, (unsigned long long)got,
		      (unsigned long long)expected);
}

static int check_counts(const struct plan *plan, const struct policy *policy,
			const uint64_t *resident, struct err *err)
{
	size_t words = bits_words(plan->neuron_total);
	uint32_t before = set_count(resident, words);
	uint32_t evicts = set_count(plan->evict, words), loads = set_count(plan->load, words);
	/* The sets were found to be nested and apart, so that the sum is the size of the union. */
	uint32_t after = before - evicts + loads;
	int rc = check_count(plan, "evict_count", plan->evict_count, evicts, err);

	if (!rc)
		rc = check_count(plan, "load_count", plan->load_count, loads, err);
	if (!rc)
		rc = check_count(plan, "resident_before", plan->resident_before, before, err);
	if (!rc)
		rc = check_count(plan, "resident_count", plan->resident_count, after, err);
	if (!rc && after > policy_capacity_rows(policy))
		rc = broken(err, plan, "%u resident rows, expected at most the capacity %u", after,
			    policy_capacity_rows(policy));
	return rc;
}

static int bad_slot(const struct plan *plan, const struct read_plane *plane, size_t slot,
		    const char *rule, struct err *err)
{
	return broken(err, plan, "slot %zu of %s is %s", slot, region_name(plane->region), rule);
}

/* Slots without a load are read only in a gap that the policy allows, between two slots with loads
 * that the same read brings. */
static int check_gaps_in_turn(const struct plan *plan, const struct read_plane *plane,
			      const uint64_t *needless, uint32_t gap_most, struct err *err)
{
	uint32_t count = plane->slot_count, most = plane_merge_slots(plane);
	uint32_t run = 0, end = 0; /* of the run of slots, and of the gap before */

	for (uint32_t i = set_next(needless, 0, count); i < count;
	     i = set_next(needless, end, count)) {
		uint32_t back = i, first;

		while (back > end && bits_get(plane->slots, back - 1))
			back--;
		if (back > end)
			run = back;
		first = i - (i - run) % most; /* of the read */
		end = set_next_absent(needless, i, count);
		if (end - i > gap_most)
			return bad_slot(plan, plane, i,
					"read, expected no longer gap than coalesce_gap", err);
		if (i == first || end == count || !bits_get(plane->slots, end) ||
		    end - first >= most)
			return bad_slot(plan, plane, i,
					"read, expected loads on both sides of a gap in its read",
					err);
	}
	return 0;
}

/* The same without a branch for gaps that are right, where every run is one read. */
static int check_gaps(const struct plan *plan, const struct read_plane *plane,
		      const uint64_t *needless, uint32_t gap_most, struct err *err)
{
	size_t words = bits_words(plane->slot_count);
	uint64_t below = 0, open = 0;
	bool at_end = bits_get(needless, 0) || bits_get(needless, plane->slot_count - 1);

	for (size_t w = 0; w < words; w++) {
		uint64_t above = w + 1 < words ? needless[w + 1] : 0;

		open |= (needless[w] << 1 | below >> 63) & ~plane->slots[w];
		open |= (needless[w] >> 1 | above << 63) & ~plane->slots[w];
		below = needless[w];
	}
	if (!open && !at_end && !set_has_run(needless, words, gap_most) &&
	    !set_has_run(plane->slots, words, plane_merge_slots(plane)))
		return 0;
	return check_gaps_in_turn(plan, plane, needless, gap_most, err);
}

/* needless = slots less wanted; tells of what is wanted and not in slots, and of what is needless. */
WIDE static void cover(uint64_t *restrict needless, const uint64_t *restrict wanted,
		       const uint64_t *restrict slots, size_t words, uint64_t any[2])
{
	uint64_t unread = 0, more = 0;

	for (size_t w = 0; w < words; w++) {
		needless[w] = slots[w] & ~wanted[w];
		unread |= wanted[w] & ~slots[w];
		more |= needless[w];
	}
	any[0] = unread;
	any[1] = more;
}

/* The slots that are read are those of the loaded rows, none less; none more but gaps. */
static int check_cover(const struct plan *plan, const struct read_plane *plane,
		       const struct read_rule *rule, struct err *err)
{
	uint64_t folded[SET_WORDS_MOST], gaps[SET_WORDS_MOST], any[2];
	const uint64_t *wanted = plan->load;
	size_t words = bits_words(plan->neuron_total);

	assert(words <= SET_WORDS_MOST);
	if (plane->rows_per_slot > 1) {
		set_fold(folded, plan->load, words, plane->rows_per_slot);
		wanted = folded;
	}
	cover(gaps, wanted, plane->slots, bits_words(plane->slot_count), any);
	if (!any[0] && !any[1])
		return 0;
	for (size_t w = 0; w < bits_words(plane->slot_count) && (any[0] || !rule->merge); w++) {
		uint64_t unread = wanted[w] & ~plane->slots[w];
		uint64_t needless = plane->slots[w] & ~wanted[w];

		if (unread)
			return bad_slot(plan, plane, w * 64 + (size_t)__builtin_ctzll(unread),
					"not read, expected a read for every load", err);
		if (needless && !rule->merge)
			return bad_slot(plan, plane, w * 64 + (size_t)__builtin_ctzll(needless),
					"read, expected no read without a load", err);
	}
	return check_gaps(plan, plane, gaps, reads_gap_slots(rule, plane->slot_bytes), err);
}

static int check_plane(const struct plan *plan, const struct read_plane *plane,
		       const struct region_shape *shape, const struct read_rule *rule,
		       struct err *err)
{
	uint32_t rows = plane->rows_per_slot;
	uint64_t slot_bytes = rows * shape->row_stride, piece_bytes = slot_bytes;
	int rc;

	if (!rule->merge && rule->chunk != CHUNK_ROW && rule->chunk < shape->row_stride)
		piece_bytes = rule->chunk;

	if (!rows || !plane->piece_bytes || !plane->slots)
		return broken(err, plan, "plane of %s without rows, pieces or slots",
			      region_name(plane->region));
	rc = check_count(plan, "row_stride", plane->row_stride, shape->row_stride, err);
	if (!rc)
		rc = check_count(plan, "rows_per_slot", rows,
				 reads_rows_per_slot(rule->chunk, shape->row_stride), err);
	if (!rc)
		rc = check_count(plan, "piece_bytes", plane->piece_bytes, piece_bytes, err);
	if (!rc)
		rc = check_count(plan, "slot_bytes", plane->slot_bytes, slot_bytes, err);
	if (!rc)
		rc = check_count(plan, "merge_bytes", plane->merge_bytes,
				 rule->merge ? rule->most_bytes - rule->most_bytes % slot_bytes : 0,
				 err);
	if (!rc)
		rc = check_count(plan, "slot_count", plane->slot_count,
				 (plan->neuron_total + rows - 1) / rows, err);
	if (!rc)
		rc = check_count(plan, "end_bytes", plane->end_bytes,
				 plan->neuron_total * shape->row_stride, err);
	return rc;
}

static int check_planes(const struct plan *plan, const struct policy *policy, struct err *err)
{
	const struct layout_ops *layout = policy_layout(policy_config_of(policy));
	const struct region_shape *shapes = policy_region_shapes(policy);
	const struct read_rule rule = read_rule_of(policy_config_of(policy));
	unsigned expected = plan->load_count ? layout->region_count : 0;
	int rc = check_count(plan, "plane_count", plan->plane_count, expected, err);

	for (unsigned i = 0; !rc && i < plan->plane_count; i++) {
		const struct read_plane *plane = &plan->planes[i];
		enum region region = layout->regions[i];

		if (plane->region != region)
			return broken(err, plan, "plane of %s, expected %s",
				      region_name(plane->region), region_name(region));
		rc = check_plane(plan, plane, &shapes[region], &rule, err);
		if (!rc && (!i || plane->slots != plane[-1].slots))
			rc = check_cover(plan, plane, &rule, err);
	}
	return rc;
}

static int check_stretch(const struct plan *plan, unsigned i, const struct read_stretch *want,
			 struct err *err)
{
	const struct read_stretch *stretch = &plan->stretches[i];

	if (i >= plan->stretch_count)
		return broken(err, plan, "no stretch of %s, expected bytes %llu to %llu",
			      region_name(want->region), (unsigned long long)want->offset,
			      (unsigned long long)(want->offset + want->bytes));
	if (stretch->region != want->region || stretch->offset != want->offset ||
	    stretch->bytes != want->bytes || !stretch->piece_bytes)
		return broken(err, plan,
			      "stretch of %s at %llu of %llu bytes, expected %s at %llu of %llu",
			      region_name(stretch->region), (unsigned long long)stretch->offset,
			      (unsigned long long)stretch->bytes, region_name(want->region),
			      (unsigned long long)want->offset, (unsigned long long)want->bytes);
	return 0;
}

/* Dense FFN steps read the rows that stream past; others what is not kept of their region. */
static int check_stretches(const struct plan *plan, const struct policy *policy, struct err *err)
{
	const struct layout_ops *layout = policy_layout(policy_config_of(policy));
	const struct region_shape *shapes = policy_region_shapes(policy);
	const enum region whole[] = {plan->demand.kind == STEP_HEAD ? REGION_EMBED
								    : REGION_ATTENTION};
	const enum region *regions = whole;
	unsigned count = 1, expected = 0;
	int rc = 0;

	if (plan->demand.kind == STEP_FFN) {
		regions = layout->regions;
		count = plan->demand.dense ? layout->region_count : 0;
	}
	for (unsigned i = 0; !rc && i < count; i++) {
		const struct region_shape *shape = &shapes[regions[i]];
		uint64_t end = plan->demand.kind == STEP_FFN
				       ? plan->neuron_total * shape->row_stride
				       : shape->bytes;
		const struct read_stretch want = {.region = regions[i],
						  .offset = shape->kept_bytes,
						  .bytes = end - shape->kept_bytes};

		if (shape->kept_bytes < end)
			rc = check_stretch(plan, expected++, &want, err);
	}
	return rc ? rc : check_count(plan, "stretch_count", plan->stretch_count, expected, err);
}

static uint64_t needed_bytes(const struct plan *plan, const struct policy *policy)
{
	const struct layout_ops *layout = policy_layout(policy_config_of(policy));
	const struct region_shape *shapes = policy_region_shapes(policy);
	uint64_t rows = (uint64_t)plan->load_count + plan->stream_count, bytes = 0;

	if (plan->demand.kind != STEP_FFN)
		return shapes[plan->demand.kind == STEP_HEAD ? REGION_EMBED : REGION_ATTENTION]
			.needed_bytes;
	for (unsigned i = 0; i < layout->region_count; i++)
		bytes += rows * shapes[layout->regions[i]].row_bytes;
	return bytes;
}

static int check_sums(const struct plan *plan, const struct policy *policy, struct err *err)
{
	struct read_sums sums;
	int rc;

	reads_sum(&sums, plan);
	rc = check_count(plan, "read_count", plan->read_count, sums.count, err);
	if (!rc)
		rc = check_count(plan, "read_bytes", plan->read_bytes, sums.bytes, err);
	if (!rc)
		rc = check_count(plan, "class_count", plan->class_count, sums.class_count, err);
	for (unsigned i = 0; !rc && i < sums.class_count; i++) {
		rc = check_count(plan, "class bytes", plan->classes[i].bytes, sums.classes[i].bytes,
				 err);
		if (!rc)
			rc = check_count(plan, "class count", plan->classes[i].count,
					 sums.classes[i].count, err);
	}
	if (!rc)
		rc = check_count(plan, "needed_bytes", plan->needed_bytes,
				 needed_bytes(plan, policy), err);
	return rc;
}

static int check_dense(const struct plan *plan, const struct policy *policy, struct err *err)
{
	bool ffn = plan->demand.kind == STEP_FFN;
	uint32_t pinned = policy_pinned_rows(policy), rows = ffn ? pinned : 0;
	int rc = check_count(plan, "evict_count of a dense step", plan->evict_count, 0, err);

	if (!rc)
		rc = check_count(plan, "load_count of a dense step", plan->load_count, 0, err);
	if (!rc)
		rc = check_count(plan, "resident_count", plan->resident_count, rows, err);
	if (!rc)
		rc = check_count(plan, "stream_first", plan->stream_first, rows, err);
	if (!rc)
		rc = check_count(plan, "stream_count", plan->stream_count,
				 ffn ? plan->neuron_total - pinned : 0, err);
	return rc;
}

static int check_sparse(const struct plan *plan, const struct policy *policy,
			const uint64_t *resident, struct err *err)
{
	bool transient = policy_residency(policy_config_of(policy))->transient;
	int rc = transient ? check_transient(plan, policy, resident, err)
			   : check_reuse(plan, policy, resident, err);

	if (!rc)
		rc = check_count(plan, "stream_count of a sparse step", plan->stream_count, 0, err);
	if (!rc)
		rc = check_counts(plan, policy, resident, err);
	return rc;
}

int plan_check(const struct plan *plan, const struct model *model, const struct policy *policy,
	       const uint64_t *resident, struct err *err)
{
	int rc = check_count(plan, "neuron_total", plan->neuron_total, model->d_ffn, err);

	if (!rc)
		rc = plan->demand.dense ? check_dense(plan, policy, err)
					: check_sparse(plan, policy, resident, err);
	if (!rc)
		rc = check_planes(plan, policy, err);
	if (!rc)
		rc = check_stretches(plan, policy, err);
	if (!rc)
		rc = check_sums(plan, policy, err);
	return rc;
}
