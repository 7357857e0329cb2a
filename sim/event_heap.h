/* SPDX-License-Identifier: GPL-3.0-or-later */
/* event_heap.h - what happens next: a binary heap of events by time, then by the order in which they
 * were put in
 *
 * Ties are decided by design, so that runs repeat exactly.  In a header, since a simulator spends
 * its time here. */
#ifndef FLASH_EVENT_HEAP_H
#define FLASH_EVENT_HEAP_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct event {
	double at_ns;
	uint64_t order; /* given by event_heap_put() */
	uint32_t kind, who;
};

struct event_heap {
	struct event *events; /* owned; event_heap_fini() */
	size_t count, room;
	uint64_t order_next;
};

static inline void event_heap_fini(struct event_heap *heap)
{
	free(heap->events);
	*heap = (struct event_heap){0};
}

static inline bool event_before(const struct event *a, const struct event *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

MUST_CHECK static inline int event_heap_grow(struct event_heap *heap, struct err *err)
{
	size_t room = heap->room ? 2 * heap->room : 64;
	struct event *events = realloc(heap->events, room * sizeof(*events));

	if (!events)
		return err_nomem(err, "events", room * sizeof(*events));
	heap->events = events;
	heap->room = room;
	return 0;
}

MUST_CHECK static inline int event_heap_put(struct event_heap *heap, double at_ns, uint32_t kind,
					    uint32_t who, struct err *err)
{
	const struct event event = {at_ns, heap->order_next++, kind, who};
	size_t at = heap->count;

	if (at == heap->room && event_heap_grow(heap, err))
		return err->code;
	heap->count++;
	while (at > 0 && event_before(&event, &heap->events[(at - 1) / 2])) {
		heap->events[at] = heap->events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->events[at] = event;
	return 0;
}

/* The hole at the top goes down to a leaf along the earlier children, and the last event comes up
 * from there: it is mostly a late one, so that this compares half as often as sifting it down. */
static inline struct event event_heap_take(struct event_heap *heap)
{
	struct event *events = heap->events;
	const struct event first = events[0], last = events[--heap->count];
	size_t at = 0, child;

	for (child = 1; child + 1 < heap->count; child = 2 * at + 1) {
		child += event_before(&events[child + 1], &events[child]);
		events[at] = events[child];
		at = child;
	}
	if (child < heap->count) {
		events[at] = events[child];
		at = child;
	}
	while (at > 0 && event_before(&last, &events[(at - 1) / 2])) {
		events[at] = events[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	events[at] = last;
	return first;
}

#endif
