/* SPDX-License-Identifier: GPL-3.0-or-later */
/* timeline.h - where the time of one token went, as spans, and as Chrome trace JSON
 *
 * A world that is given a timeline (NULL: none) calls timeline_token() where a token begins and
 * timeline_add() for what it did, in any order; only the token that was asked for is kept, the
 * first time that it comes by.  Room is taken at open, since the real world allocates nothing while
 * it is measured: spans beyond it are counted and told in the file.
 *
 * chrome://tracing and Perfetto load what timeline_write() writes: a process for each timeline, in
 * it a track for each kind of span, and as many tracks of a kind as spans of it overlap. */
#ifndef FLASH_TIMELINE_H
#define FLASH_TIMELINE_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum timeline_track {
	TRACK_WAIT,    /* compute threads wait for flash */
	TRACK_FLASH,   /* reads in service */
	TRACK_MEMORY,  /* deletes, inserts, deciding */
	TRACK_COMPUTE, /* kernels */
	TIMELINE_TRACKS
};

struct timeline_span {
	enum timeline_track track;
	const char *name; /* of static lifetime: "attention", "rows that stay", ... */
	uint32_t layer;
	uint64_t bytes;		 /* read, copied or multiplied; 0 = not said */
	double begin_ns, end_ns; /* since the token began; end >= begin */
};

enum { TIMELINE_ROOM = 1 << 18 }; /* spans: a token of single reads of a whole model */

struct timeline {
	uint32_t token; /* the one that is wanted */
	bool is_on, is_done;
	struct timeline_span *spans; /* owned */
	size_t count, room;
	uint64_t dropped_count;
};

/* 'room' spans at most. */
MUST_CHECK int timeline_open(struct timeline *timeline, uint32_t token, size_t room,
			     struct err *err);
void timeline_close(struct timeline *timeline); /* zeroed is fine */

/* A token begins (NULL is fine): spans are kept from here on if it is the one, and has not been
 * kept yet. */
void timeline_token(struct timeline *timeline, uint32_t token);
/* Ask before working out what to add. */
static inline bool timeline_is_on(const struct timeline *timeline)
{
	return timeline && timeline->is_on;
}
/* Nothing where the timeline is off or NULL, or the span takes no time. */
void timeline_add(struct timeline *timeline, const struct timeline_span *span);

struct timeline_process {
	const char *name; /* "predicted", "measured" */
	const struct timeline *timeline;
};
/* Write 'path'; times become microseconds. */
MUST_CHECK int timeline_write(const char *path, const struct timeline_process *processes,
			      size_t count, struct err *err);

#endif
