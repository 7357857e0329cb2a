/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text_bpe.h - byte pair encoding: joins neighbouring tokens by the rank of their merge
 *
 * The pair of the lowest rank is joined first, the leftmost of equals; pairs wait in a heap over a
 * linked list, so that a piece of n bytes takes n log n steps, be it one word of a megabyte. */
#ifndef FLASH_TEXT_BPE_H
#define FLASH_TEXT_BPE_H

#include "text_vocab.h"

struct merge {
	uint32_t left, right, id; /* id: of what they make */
};

/* Zeroed has no merges. */
struct text_bpe {
	struct merge *merges; /* by rank */
	size_t count, room;
	uint32_t *table; /* by pair: rank + 1, or 0 */
	size_t table_size;
};

/* The merge of the next rank, by the texts of its parts.  EBADMSG when a part or what they make is no
 * token, or the pair is there already. */
struct merge_text {
	const char *left, *right;
	size_t left_bytes, right_bytes;
};
MUST_CHECK int bpe_add(struct text_bpe *bpe, const struct text_vocab *vocab,
		       const struct merge_text *merge, const char *where, struct err *err);
/* The same from one text, parts apart by a space. */
MUST_CHECK int bpe_add_line(struct text_bpe *bpe, const struct text_vocab *vocab, const char *line,
			    size_t bytes, const char *where, struct err *err);
void bpe_fini(struct text_bpe *bpe);

/* What encoding needs besides; one after the other may use it. Zeroed is new. */
struct bpe_scratch {
	struct bpe_symbol *symbols;
	size_t symbol_room;
	struct bpe_waiting *heap;
	size_t heap_count, heap_room;
};
void bpe_scratch_fini(struct bpe_scratch *scratch);

/* The ids of one piece, of 1 to 2^30 bytes, behind those in 'ids'. EINVAL when a byte has no token. */
MUST_CHECK int bpe_encode(const struct text_bpe *bpe, const struct text_vocab *vocab,
			  const unsigned char *bytes, size_t count, struct bpe_scratch *scratch,
			  struct text_ids *ids, struct err *err);

#endif
