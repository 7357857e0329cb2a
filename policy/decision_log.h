/* SPDX-License-Identifier: GPL-3.0-or-later */
/* decision_log.h - every plan of a run, digested and, on request, as text
 *
 * One line a step that does anything:
 *	t3 l2 ffn demand 120 evict 9,12-14 load 5,7 read bundle 2x16384 32768B resident 340
 *	t3 l2 attention read attention 33x1048576+4096 ...
 * Sets are ranges, dense steps are stretches: a dense step costs bytes.  The digest covers the same facts in binary (sets as
 * bitmaps, reads as planes and stretches), not times; equal digests mean equal decisions. */
#ifndef FLASH_DECISION_LOG_H
#define FLASH_DECISION_LOG_H

#include "digest.h"
#include "plan.h"

#include <stdio.h>

struct decision_log;

MUST_CHECK int decision_log_open(struct decision_log **out, FILE *text, struct err *err); /* text may be NULL */
void decision_log_add(struct decision_log *log, const struct plan *plan);
void decision_log_hash(const struct decision_log *log, char hash[DIGEST_TEXT]);
void decision_log_close(struct decision_log *log); /* NULL is fine */

#endif
