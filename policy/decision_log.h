/* SPDX-License-Identifier: GPL-3.0-or-later */
/* decision_log.h - every plan of a run, digested and, on request, as text
 *
 * One line a step that evicts, loads, streams or reads anything:
 *	t3 l2 ffn demand 120 evict 9,12-14 load 5,7 read bundle 2x16384 32768B resident 340
 *	t3 l2 ffn demand 120 load 5,7 read up 2x8192/4096 read down 2x8192/4096 32768B resident 342
 *	t3 l2 ffn demand 120 load 5,7 read bundle 1x65536 slots 1 65536B resident 342
 *	t3 l2 attention read attention @8192 33x1048576+4096 34607104B
 *	t3 l2 ffn demand 64 stream 32-63 read bundle @524288 524288 524288B resident 32
 *
 * Planes are slots x bytes, then "/" the piece when slots are read in pieces, then the slots'
 * numbers when a slot carries several rows (else the slots are the loads).  Stretches are "@" the
 * offset when it is not 0, then pieces x bytes + tail.  Sets are ranges, so that a dense step costs
 * bytes.
 *
 * The digest covers every step and the same facts in binary (sets as bitmaps, reads as planes and
 * stretches), not times; equal digests mean equal decisions. */
#ifndef FLASH_DECISION_LOG_H
#define FLASH_DECISION_LOG_H

#include "digest.h"
#include "plan.h"

#include <stdio.h>

struct decision_log;

MUST_CHECK int decision_log_open(struct decision_log **out, FILE *text,
				 struct err *err); /* text may be NULL */
void decision_log_add(struct decision_log *log, const struct plan *plan);
void decision_log_hash(const struct decision_log *log, char hash[DIGEST_TEXT]);
void decision_log_close(struct decision_log *log); /* NULL is fine */

#endif
