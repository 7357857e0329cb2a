/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reads.c - planes and stretches of a plan, and their sums in closed form */
#include "reads.h"

#include "policy.h"
#include "sets.h"
#include "wide.h"

#include <assert.h>

uint32_t reads_rows_per_slot(uint64_t chunk, uint64_t row_stride)
{
	if (chunk == CHUNK_ROW || chunk < 2 * row_stride)
		return 1;
	return (uint32_t)(chunk / row_stride);
}

struct read_rule read_rule_of(const struct policy_config *config)
{
	return (struct read_rule){
		.chunk = config->chunk,
		.merge = config->coalesce == COALESCE_GAP,
		.gap_bytes = config->coalesce_gap,
		.most_bytes = config->coalesce_most,
	};
}

uint32_t reads_gap_slots(const struct read_rule *rule, uint64_t slot_bytes)
{
	return (uint32_t)(rule->gap_bytes / slot_bytes);
}

static void class_add(struct read_sums *sums, uint64_t bytes, uint64_t count)
{
	unsigned i = 0;

	if (!bytes || !count)
		return;
	while (i < sums->class_count && sums->classes[i].bytes != bytes)
		i++;
	assert(i < PLAN_CLASSES);
	if (i == sums->class_count)
		sums->classes[sums->class_count++] = (struct read_class){.bytes = bytes};
	sums->classes[i].count += count;
	sums->count += count;
	sums->bytes += bytes * count;
}

/* 'count' extents of 'bytes' each, read in pieces. */
static void extents_add(struct read_sums *sums, uint64_t bytes, uint64_t piece, uint64_t count)
{
	assert(piece > 0);
	class_add(sums, piece, bytes / piece * count);
	class_add(sums, bytes % piece, count);
}

static void plane_add(struct read_sums *sums, const struct read_plane *plane, uint64_t slots_read)
{
	uint64_t last_begin = (plane->slot_count - 1) * plane->slot_bytes;
	bool cut = last_begin + plane->slot_bytes > plane->end_bytes &&
		   bits_get(plane->slots, plane->slot_count - 1);

	extents_add(sums, plane->slot_bytes, plane->piece_bytes, slots_read - cut);
	if (cut)
		extents_add(sums, plane->end_bytes - last_begin, plane->piece_bytes, 1);
}

/* 'count' runs of 'slots' slots, none of them the cut one. */
static void runs_add(struct read_sums *sums, const struct read_plane *plane, uint32_t slots,
		     uint64_t count)
{
	uint32_t most = plane_merge_slots(plane);

	class_add(sums, most * plane->slot_bytes, slots / most * count);
	class_add(sums, slots % most * plane->slot_bytes, count);
}

/* The run that holds the last slot, whose last read may be cut.  Returns where it begins: slot_count
 * when the last slot is not read. */
static uint32_t last_run_add(struct read_sums *sums, const struct read_plane *plane, uint64_t times)
{
	uint32_t most = plane_merge_slots(plane), first = plane->slot_count, whole;

	while (first && bits_get(plane->slots, first - 1))
		first--;
	if (first == plane->slot_count)
		return first;
	whole = (plane->slot_count - 1 - first) / most * most;
	runs_add(sums, plane, whole, times);
	class_add(sums, plane->end_bytes - (first + whole) * plane->slot_bytes, times);
	return first;
}

/* Where runs begin and end.  A run of one slot does both in one place: it goes to 'single', the edges of
 * the others to 'edges'.  Word w of the set is framed[w + 1], and an empty word lies on either side. */
WIDE static void find_edges(uint64_t *restrict single, uint64_t *restrict edges,
			    const uint64_t *restrict framed, size_t words)
{
	for (size_t w = 0; w < words; w++) {
		uint64_t below = framed[w], word = framed[w + 1], above = framed[w + 2];
		uint64_t begins = word & ~(word << 1 | below >> 63);
		uint64_t ends = word & ~(word >> 1 | above << 63);

		single[w] = begins & ends;
		edges[w] = begins ^ ends;
	}
}

/* Reads by the lengths of runs, each taken 'times' times, for planes that read the same.  Most runs are
 * of one slot: those are counted by the word. */
static void merged_add(struct read_sums *sums, const struct read_plane *plane, uint64_t times)
{
	enum { COUNTED = 128 }; /* lengths; the few longer runs are added one by one */
	uint32_t counts[COUNTED] = {0};
	uint64_t single[SET_WORDS_MOST], edges[SET_WORDS_MOST], framed[SET_WORDS_MOST + 2];
	uint32_t end = last_run_add(sums, plane, times), first = 0;
	size_t words = bits_words(end);
	bool inside = false;

	assert(words <= SET_WORDS_MOST);
	if (words == 0)
		return;
	memcpy(framed + 1, plane->slots, (words - 1) * sizeof(*framed));
	framed[words] = set_word_below(plane->slots, words - 1, end);
	framed[0] = framed[words + 1] = 0;
	find_edges(single, edges, framed, words);
	for (size_t w = 0; w < words; w++) {
		for (; edges[w]; edges[w] &= edges[w] - 1) {
			uint32_t at = (uint32_t)w * 64 + (uint32_t)__builtin_ctzll(edges[w]);

			if (inside && at + 1 - first < COUNTED)
				counts[at + 1 - first]++;
			else if (inside)
				runs_add(sums, plane, at + 1 - first, times);
			first = at;
			inside = !inside;
		}
	}
	counts[1] = set_count(single, words);
	for (uint32_t slots = 1; slots < COUNTED; slots++)
		if (counts[slots])
			runs_add(sums, plane, slots, counts[slots] * times);
}

/* Do two planes read the same slots at the same places? */
static bool same_reads(const struct read_plane *a, const struct read_plane *b)
{
	return a->slots == b->slots && a->slot_count == b->slot_count &&
	       a->slot_bytes == b->slot_bytes && a->end_bytes == b->end_bytes &&
	       a->merge_bytes == b->merge_bytes;
}

static void planes_add(struct read_sums *sums, const struct plan *plan)
{
	uint64_t slots_read = 0;

	for (unsigned i = 0, times; i < plan->plane_count; i += times) {
		const struct read_plane *plane = &plan->planes[i];

		times = 1;
		/* The two planes of layout split read the same set: count it once. */
		while (i + times < plan->plane_count && same_reads(plane, &plane[times]))
			times++;
		if (plane->merge_bytes) {
			merged_add(sums, plane, times);
			continue;
		}
		slots_read = set_count(plane->slots, bits_words(plane->slot_count));
		for (unsigned same = 0; same < times; same++)
			plane_add(sums, &plane[same], slots_read);
	}
}

void reads_sum(struct read_sums *sums, const struct plan *plan)
{
	sums->class_count = 0;
	sums->count = sums->bytes = 0;
	planes_add(sums, plan);
	for (unsigned i = 0; i < plan->stretch_count; i++)
		extents_add(sums, plan->stretches[i].bytes, plan->stretches[i].piece_bytes, 1);
}

static void sums_put(struct plan *plan)
{
	struct read_sums sums;

	reads_sum(&sums, plan);
	memcpy(plan->classes, sums.classes, sums.class_count * sizeof(*plan->classes));
	plan->class_count = sums.class_count;
	plan->read_count = sums.count;
	plan->read_bytes = sums.bytes;
}

static struct read_plane plane_make(enum region region, uint64_t row_stride,
				    const struct read_rule *rule, uint32_t neuron_total)
{
	uint32_t rows = reads_rows_per_slot(rule->chunk, row_stride);
	bool pieces = !rule->merge && rule->chunk != CHUNK_ROW && rule->chunk < row_stride;
	uint64_t slot_bytes = rows * row_stride;

	return (struct read_plane){
		.region = region,
		.slot_bytes = slot_bytes,
		.piece_bytes = pieces ? rule->chunk : slot_bytes,
		.end_bytes = neuron_total * row_stride,
		.merge_bytes = rule->merge ? rule->most_bytes / slot_bytes * slot_bytes : 0,
		.slot_count = (neuron_total + rows - 1) / rows,
		.rows_per_slot = rows,
		.row_stride = row_stride,
	};
}

/* The slots of the loads, and the gaps between them that are read too. */
static void slots_make(uint64_t *slots, const struct plan *plan, const struct read_plane *plane,
		       const struct read_rule *rule)
{
	set_fold(slots, plan->load, bits_words(plan->neuron_total), plane->rows_per_slot);
	if (rule->merge)
		set_close_gaps(slots, plane->slot_count, reads_gap_slots(rule, plane->slot_bytes),
			       plane_merge_slots(plane));
}

void reads_of_loads(struct plan *plan, const struct layout_ops *layout,
		    const struct region_shape *shapes, const struct read_rule *rule)
{
	assert(layout->region_count <= PLAN_PLANES);
	if (!plan->load_count)
		return;
	for (unsigned i = 0; i < layout->region_count; i++) {
		enum region region = layout->regions[i];
		struct read_plane *plane = &plan->planes[i];

		*plane = plane_make(region, shapes[region].row_stride, rule, plan->neuron_total);
		if (i && plane->rows_per_slot == plane[-1].rows_per_slot &&
		    plane->slot_bytes == plane[-1].slot_bytes) {
			plane->slots = plane[-1].slots;
		} else {
			slots_make(plan->slots[i], plan, plane, rule);
			plane->slots = plan->slots[i];
		}
		plan->needed_bytes += plan->load_count * shapes[region].row_bytes;
	}
	plan->plane_count = layout->region_count;
	sums_put(plan);
}

static void stretch_add(struct plan *plan, enum region region, uint64_t begin, uint64_t end,
			uint64_t piece_bytes)
{
	assert(plan->stretch_count < PLAN_STRETCHES && begin <= end);
	if (begin == end)
		return;
	plan->stretches[plan->stretch_count++] = (struct read_stretch){.region = region,
								       .offset = begin,
								       .bytes = end - begin,
								       .piece_bytes = piece_bytes};
}

void reads_of_stream(struct plan *plan, const struct layout_ops *layout,
		     const struct region_shape *shapes, uint64_t dense_chunk)
{
	uint64_t first = plan->stream_first, end = first + plan->stream_count;

	for (unsigned i = 0; i < layout->region_count; i++) {
		const struct region_shape *shape = &shapes[layout->regions[i]];

		stretch_add(plan, layout->regions[i], first * shape->row_stride,
			    end * shape->row_stride, dense_chunk);
		plan->needed_bytes += plan->stream_count * shape->row_bytes;
	}
	sums_put(plan);
}

void reads_of_region(struct plan *plan, enum region region, const struct region_shape *shape,
		     uint64_t dense_chunk)
{
	stretch_add(plan, region, shape->kept_bytes, shape->bytes, dense_chunk);
	plan->needed_bytes += shape->needed_bytes;
	sums_put(plan);
}
