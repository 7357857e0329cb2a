/* SPDX-License-Identifier: GPL-3.0-or-later */
/* decision_log.c - what was decided, as a digest and, on request, as lines of text */
#include "decision_log.h"

#include "sets.h"

#include <inttypes.h>
#include <stdlib.h>

struct decision_log {
	struct digest *digest;
	FILE *text; /* NULL: digest only */
};

int decision_log_open(struct decision_log **out, FILE *text, struct err *err)
{
	struct decision_log *log = calloc(1, sizeof(*log));

	if (!log)
		return err_nomem(err, "a decision log", sizeof(*log));
	log->text = text;
	log->digest = digest_open();
	if (!log->digest) {
		free(log);
		return err_nomem(err, "the digest of a decision log", 0);
	}
	*out = log;
	return 0;
}

void decision_log_close(struct decision_log *log)
{
	if (!log)
		return;
	digest_close(log->digest);
	free(log);
}

void decision_log_hash(const struct decision_log *log, char hash[DIGEST_TEXT])
{
	digest_text(log->digest, hash);
}

/* The second plane of layout split reads the slots of the first: said, not hashed again. */
static bool same_slots(const struct plan *plan, unsigned i)
{
	const struct read_plane *plane = &plan->planes[i];

	return i && plane->slot_count == plane[-1].slot_count &&
	       (plane->slots == plane[-1].slots ||
		memcmp(plane->slots, plane[-1].slots,
		       bits_words(plane->slot_count) * sizeof(*plane->slots)) == 0);
}

static void digest_reads(struct digest *digest, const struct plan *plan)
{
	for (unsigned i = 0; i < plan->plane_count; i++) {
		const struct read_plane *plane = &plan->planes[i];
		bool same = same_slots(plan, i), merged = plane->merge_bytes > 0;
		const uint64_t facts[] = {plane->region,      plane->slot_bytes,
					  plane->piece_bytes, plane->end_bytes,
					  plane->slot_count,  plane->rows_per_slot,
					  plane->row_stride,  same + 2u * merged};

		digest_add(digest, facts, sizeof(facts));
		if (merged)
			digest_add(digest, &plane->merge_bytes, sizeof(plane->merge_bytes));
		if (!same)
			digest_add(digest, plane->slots,
				   bits_words(plane->slot_count) * sizeof(*plane->slots));
	}
	for (unsigned i = 0; i < plan->stretch_count; i++) {
		const struct read_stretch *stretch = &plan->stretches[i];
		const uint64_t facts[] = {stretch->region, stretch->offset, stretch->bytes,
					  stretch->piece_bytes};

		digest_add(digest, facts, sizeof(facts));
	}
}

static void digest_plan(struct digest *digest, const struct plan *plan)
{
	const struct demand *demand = &plan->demand;
	size_t set_bytes = bits_words(plan->neuron_total) * sizeof(uint64_t);
	const uint64_t facts[] = {
		demand->kind,	      demand->token,	  demand->layer,      demand->dense,
		demand->neuron_count, plan->evict_count,  plan->load_count,   plan->resident_before,
		plan->resident_count, plan->stream_first, plan->stream_count, plan->plane_count,
		plan->stretch_count,  plan->read_count,	  plan->read_bytes,
	};

	digest_add(digest, facts, sizeof(facts));
	if (plan->evict_count)
		digest_add(digest, plan->evict, set_bytes);
	if (plan->load_count)
		digest_add(digest, plan->load, set_bytes);
	digest_reads(digest, plan);
}

/* " NAME 5,7,12-14": nothing when empty.  A run of more than 'most' is cut. */
static void text_set(FILE *out, const char *name, const uint64_t *set, uint32_t count,
		     uint32_t most)
{
	const char *comma = " ";
	uint32_t i = set_next(set, 0, count), end;

	if (i == count)
		return;
	fprintf(out, " %s", name);
	for (; i < count; i = set_next(set, end, count)) {
		end = set_next_absent(set, i, most < count - i ? i + most : count);
		fprintf(out, "%s%" PRIu32, comma, i);
		if (end > i + 1)
			fprintf(out, "-%" PRIu32, end - 1);
		comma = ",";
	}
}

/* " read bundle 2x16384", in smaller pieces "/4096"; slots of several rows by their numbers, and
 * where slots are merged, a number or range for each read. */
static void text_plane(FILE *out, const struct read_plane *plane)
{
	fprintf(out, " read %s %" PRIu32 "x%" PRIu64, region_name(plane->region),
		set_count(plane->slots, bits_words(plane->slot_count)), plane->slot_bytes);
	if (plane->piece_bytes != plane->slot_bytes)
		fprintf(out, "/%" PRIu64, plane->piece_bytes);
	if (plane->merge_bytes)
		text_set(out, "as", plane->slots, plane->slot_count, plane_merge_slots(plane));
	else if (plane->rows_per_slot > 1)
		text_set(out, "slots", plane->slots, plane->slot_count, UINT32_MAX);
}

/* " read attention 33x1048576+4096", "@8192" in front when it does not start at 0. */
static void text_stretch(FILE *out, const struct read_stretch *stretch)
{
	uint64_t pieces = stretch->bytes / stretch->piece_bytes;
	uint64_t tail = stretch->bytes % stretch->piece_bytes;

	fprintf(out, " read %s ", region_name(stretch->region));
	if (stretch->offset)
		fprintf(out, "@%" PRIu64 " ", stretch->offset);
	if (pieces)
		fprintf(out, "%" PRIu64 "x%" PRIu64, pieces, stretch->piece_bytes);
	if (tail)
		fprintf(out, "%s%" PRIu64, pieces ? "+" : "", tail);
}

static void text_plan(FILE *out, const struct plan *plan)
{
	const struct demand *demand = &plan->demand;

	fprintf(out, "t%" PRIu32 " l%" PRIu32 " %s", demand->token, demand->layer,
		step_kind_name(demand->kind));
	if (demand->kind == STEP_FFN)
		fprintf(out, " demand %" PRIu32, demand->neuron_count);
	if (plan->evict_count)
		text_set(out, "evict", plan->evict, plan->neuron_total, UINT32_MAX);
	if (plan->load_count)
		text_set(out, "load", plan->load, plan->neuron_total, UINT32_MAX);
	if (plan->stream_count)
		fprintf(out, " stream %" PRIu32 "-%" PRIu32, plan->stream_first,
			plan->stream_first + plan->stream_count - 1);
	for (unsigned i = 0; i < plan->plane_count; i++)
		text_plane(out, &plan->planes[i]);
	for (unsigned i = 0; i < plan->stretch_count; i++)
		text_stretch(out, &plan->stretches[i]);
	fprintf(out, " %" PRIu64 "B", plan->read_bytes);
	if (demand->kind == STEP_FFN)
		fprintf(out, " resident %" PRIu32, plan->resident_count);
	fputc('\n', out);
}

void decision_log_add(struct decision_log *log, const struct plan *plan)
{
	digest_plan(log->digest, plan);
	if (log->text &&
	    (plan->evict_count || plan->load_count || plan->stream_count || plan->read_count))
		text_plan(log->text, plan);
}
