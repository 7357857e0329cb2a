/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_bpe.c - byte pair encoding */
#include "text_bpe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct bpe_symbol {
	uint32_t id;
	uint32_t before, after; /* NONE at the ends */
	bool gone;		/* joined into the one before */
};

/* A pair that may be joined, by the place of its left part. */
struct bpe_waiting {
	uint32_t rank, at, id;
};

static size_t hash_of(uint32_t left, uint32_t right)
{
	uint64_t x = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(x ^ x >> 32);
}

static uint32_t *slot_of(const struct text_bpe *bpe, uint32_t left, uint32_t right)
{
	size_t mask = bpe->table_size - 1, i = hash_of(left, right) & mask;

	for (; bpe->table[i]; i = (i + 1) & mask) {
		const struct merge *merge = &bpe->merges[bpe->table[i] - 1];

		if (merge->left == left && merge->right == right)
			break;
	}
	return &bpe->table[i];
}

/* At most half full. */
static int table_grow(struct text_bpe *bpe, struct err *err)
{
	size_t size = bpe->table_size ? bpe->table_size * 2 : 1024;

	if ((bpe->count + 1) * 2 <= bpe->table_size)
		return 0;
	free(bpe->table);
	bpe->table = calloc(size, sizeof(*bpe->table));
	bpe->table_size = bpe->table ? size : 0;
	if (!bpe->table)
		return err_nomem(err, "merges", size * sizeof(*bpe->table));
	for (size_t rank = 0; rank < bpe->count; rank++)
		*slot_of(bpe, bpe->merges[rank].left, bpe->merges[rank].right) = (uint32_t)rank + 1;
	return 0;
}

static int64_t part_id(const struct text_vocab *vocab, const char *text, size_t bytes,
		       const struct text_bpe *bpe, const char *where, struct err *err)
{
	int64_t id = vocab_find(vocab, text, bytes);

	if (id == TOKEN_ABSENT)
		err_set(err, EBADMSG, "%s: merge %zu: '%s' is no token of the vocabulary", where,
			bpe->count + 1, text_quote(text, bytes).text);
	return id;
}

static int64_t whole_id(const struct text_vocab *vocab, const struct merge_text *merge,
			const struct text_bpe *bpe, const char *where, struct err *err)
{
	struct text_bytes whole = {.at = NULL};
	int64_t id = TOKEN_ABSENT;

	if (!text_bytes_add(&whole, merge->left, merge->left_bytes, err) &&
	    !text_bytes_add(&whole, merge->right, merge->right_bytes, err))
		id = part_id(vocab, (const char *)whole.at, whole.used, bpe, where, err);
	free(whole.at);
	return id;
}

int bpe_add(struct text_bpe *bpe, const struct text_vocab *vocab, const struct merge_text *merge,
	    const char *where, struct err *err)
{
	int64_t left = part_id(vocab, merge->left, merge->left_bytes, bpe, where, err);
	int64_t right = part_id(vocab, merge->right, merge->right_bytes, bpe, where, err);
	int64_t whole = err->code ? TOKEN_ABSENT : whole_id(vocab, merge, bpe, where, err);
	struct merge *merges;
	uint32_t *slot;

	if (err->code || table_grow(bpe, err))
		return err->code;
	slot = slot_of(bpe, (uint32_t)left, (uint32_t)right);
	if (*slot)
		return err_set(err, EBADMSG, "%s: merges %u and %zu are the same: '%s' '%s'", where,
			       *slot, bpe->count + 1,
			       text_quote(merge->left, merge->left_bytes).text,
			       text_quote(merge->right, merge->right_bytes).text);
	merges = text_room(bpe->merges, bpe->count, 1, &bpe->room, sizeof(*merges), err);
	if (!merges)
		return err->code;
	bpe->merges = merges;
	merges[bpe->count++] = (struct merge){(uint32_t)left, (uint32_t)right, (uint32_t)whole};
	*slot = (uint32_t)bpe->count;
	return 0;
}

int bpe_add_line(struct text_bpe *bpe, const struct text_vocab *vocab, const char *line,
		 size_t bytes, const char *where, struct err *err)
{
	const char *space = memchr(line, ' ', bytes);
	size_t left = space ? (size_t)(space - line) : 0, right = space ? bytes - left - 1 : 0;
	struct merge_text merge = {line, space ? space + 1 : line, left, right};

	if (left == 0 || right == 0 || memchr(merge.right, ' ', right))
		return err_set(err, EBADMSG,
			       "%s: merge %zu: got '%s', expected two tokens apart by a space",
			       where, bpe->count + 1, text_quote(line, bytes).text);
	return bpe_add(bpe, vocab, &merge, where, err);
}

void bpe_fini(struct text_bpe *bpe)
{
	free(bpe->merges);
	free(bpe->table);
	memset(bpe, 0, sizeof(*bpe));
}

void bpe_scratch_fini(struct bpe_scratch *scratch)
{
	free(scratch->symbols);
	free(scratch->heap);
	memset(scratch, 0, sizeof(*scratch));
}

static bool before(const struct bpe_waiting *a, const struct bpe_waiting *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static int heap_push(struct bpe_scratch *s, struct bpe_waiting waiting, struct err *err)
{
	struct bpe_waiting *heap =
		text_room(s->heap, s->heap_count, 1, &s->heap_room, sizeof(*heap), err);
	size_t i = s->heap_count;

	if (!heap)
		return err->code;
	s->heap = heap;
	s->heap_count++;
	for (; i > 0 && before(&waiting, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = waiting;
	return 0;
}

static struct bpe_waiting heap_pop(struct bpe_scratch *s)
{
	struct bpe_waiting first = s->heap[0], last = s->heap[--s->heap_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < s->heap_count) {
		if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return first;
}

/* The merge of the symbol at 'at' and the one after it, or NULL. */
static const struct merge *merge_at(const struct text_bpe *bpe, const struct bpe_scratch *s,
				    uint32_t at)
{
	uint32_t after = s->symbols[at].after, slot = 0;

	if (after != NONE && bpe->count > 0)
		slot = *slot_of(bpe, s->symbols[at].id, s->symbols[after].id);
	return slot ? &bpe->merges[slot - 1] : NULL;
}

static int wait_at(const struct text_bpe *bpe, struct bpe_scratch *s, uint32_t at, struct err *err)
{
	const struct merge *merge = merge_at(bpe, s, at);

	if (!merge)
		return 0;
	return heap_push(s, (struct bpe_waiting){(uint32_t)(merge - bpe->merges), at, merge->id},
			 err);
}

static int place_bytes(const struct text_vocab *vocab, const unsigned char *bytes, size_t count,
		       struct bpe_scratch *s, struct err *err)
{
	struct bpe_symbol *symbols =
		text_room(s->symbols, 0, count, &s->symbol_room, sizeof(*symbols), err);

	if (!symbols)
		return err->code;
	s->symbols = symbols;
	for (uint32_t i = 0; i < count; i++) {
		if (!vocab->byte_has[bytes[i]])
			return err_set(err, EINVAL, "byte 0x%02x has no token in this vocabulary",
				       bytes[i]);
		symbols[i] = (struct bpe_symbol){.id = vocab->byte_ids[bytes[i]],
						 .before = i > 0 ? i - 1 : NONE,
						 .after = i + 1 < count ? i + 1 : NONE};
	}
	return 0;
}

/* Join the pair that waited, if it still stands there. */
static int join(const struct text_bpe *bpe, struct bpe_scratch *s, const struct bpe_waiting *w,
		struct err *err)
{
	struct bpe_symbol *left = &s->symbols[w->at];
	const struct merge *merge = left->gone ? NULL : merge_at(bpe, s, w->at);
	struct bpe_symbol *right;

	/* By what it makes, not by its rank: so the reference tells a pair that has changed. */
	if (!merge || merge->id != w->id)
		return 0;
	right = &s->symbols[left->after];
	right->gone = true;
	left->id = w->id;
	left->after = right->after;
	if (left->after != NONE)
		s->symbols[left->after].before = w->at;
	if (left->before != NONE && wait_at(bpe, s, left->before, err))
		return err->code;
	return wait_at(bpe, s, w->at, err);
}

int bpe_encode(const struct text_bpe *bpe, const struct text_vocab *vocab,
	       const unsigned char *bytes, size_t count, struct bpe_scratch *scratch,
	       struct text_ids *ids, struct err *err)
{
	assert(count > 0 && count <= UINT32_C(1) << 30);
	if (place_bytes(vocab, bytes, count, scratch, err))
		return err->code;
	scratch->heap_count = 0;
	for (uint32_t i = 0; i + 1 < count; i++)
		if (wait_at(bpe, scratch, i, err))
			return err->code;
	while (scratch->heap_count > 0) {
		struct bpe_waiting waiting = heap_pop(scratch);

		if (join(bpe, scratch, &waiting, err))
			return err->code;
	}
	for (uint32_t i = 0; i != NONE; i = scratch->symbols[i].after)
		if (text_ids_add(ids, scratch->symbols[i].id, err))
			return err->code;
	return 0;
}
