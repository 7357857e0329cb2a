/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulator.c - controller, units and bus of an emulated device, each a first-come queue
 *
 * Controller and units serve in order of acceptance, so a piece's time of leaving its unit is known
 * when its read is accepted.  The bus serves in order of *those* times: ready pieces wait in a
 * heap, and one is taken off only when no read accepted later could be ready before it, that is,
 * when the next completion (on which the host accepts the next read) lies behind it. */
#include "emulator.h"

#include "rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* A piece that has left its unit at ready_ns and waits for the bus. */
struct piece {
	uint64_t ready_ns, order; /* order of acceptance breaks ties */
	uint32_t slot, bytes;
};

/* A read in flight. */
struct flight {
	uint32_t tag, pieces_left;
	bool bus_started; /* bus_ns is paid */
};

/* A read whose last piece has crossed the bus. */
struct finished {
	uint32_t slot;
	uint64_t at_ns;
};

struct emulator {
	struct emulated_params params;
	struct rng rng;
	unsigned in_flight, accepted; /* accepted: and not yet returned */
	uint64_t now_ns;	      /* of the last acceptance or completion */
	uint64_t controller_free_ns, bus_free_ns, order;
	uint64_t *unit_free_ns;
	struct flight *flights;
	uint32_t *free_slots; /* a stack of in_flight - accepted */
	struct piece *heap;
	size_t heap_count, heap_room;
	struct finished *done; /* circular, in order of time */
	unsigned done_first, done_count;
	struct emulator_busy busy;
};

static uint64_t transfer_ns(uint64_t bytes, double bytes_per_s)
{
	return (uint64_t)llround((double)bytes * 1e9 / bytes_per_s);
}

uint32_t emulator_unit(const struct emulated_params *params, unsigned file, uint64_t offset)
{
	const uint64_t stripe = offset / params->stripe_bytes;
	const uint64_t run = stripe / params->units;

	return (uint32_t)((stripe + rng_mix(run ^ (uint64_t)file << 56)) % params->units);
}

int emulator_open(struct emulator **out, const struct emulated_params *params, unsigned in_flight,
		  uint64_t seed, struct err *err)
{
	struct emulator *e = calloc(1, sizeof(*e));

	assert(in_flight > 0);
	if (!e)
		return err_nomem(err, "an emulated device", sizeof(*e));
	e->params = *params;
	e->rng.state = rng_mix(seed);
	e->in_flight = in_flight;
	e->heap_room = in_flight * (EMULATOR_READ_MAX / params->stripe_bytes + 2);
	e->unit_free_ns = calloc(params->units, sizeof(*e->unit_free_ns));
	e->flights = calloc(in_flight, sizeof(*e->flights));
	e->free_slots = calloc(in_flight, sizeof(*e->free_slots));
	e->heap = calloc(e->heap_room, sizeof(*e->heap));
	e->done = calloc(in_flight, sizeof(*e->done));
	if (!e->unit_free_ns || !e->flights || !e->free_slots || !e->heap || !e->done) {
		err_nomem(err, "an emulated device", e->heap_room * sizeof(*e->heap));
		emulator_close(e);
		return err->code;
	}
	for (uint32_t i = 0; i < in_flight; i++)
		e->free_slots[i] = i;
	*out = e;
	return 0;
}

void emulator_close(struct emulator *e)
{
	if (!e)
		return;
	free(e->unit_free_ns);
	free(e->flights);
	free(e->free_slots);
	free(e->heap);
	free(e->done);
	free(e);
}

static bool piece_before(const struct piece *a, const struct piece *b)
{
	return a->ready_ns != b->ready_ns ? a->ready_ns < b->ready_ns : a->order < b->order;
}

static void heap_push(struct emulator *e, struct piece piece)
{
	size_t i = e->heap_count++;

	assert(e->heap_count <= e->heap_room);
	while (i > 0 && piece_before(&piece, &e->heap[(i - 1) / 2])) {
		e->heap[i] = e->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	e->heap[i] = piece;
}

static struct piece heap_pop(struct emulator *e)
{
	const struct piece top = e->heap[0], last = e->heap[--e->heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < e->heap_count && piece_before(&e->heap[child + 1], &e->heap[child]))
			child++;
		if (child >= e->heap_count || !piece_before(&e->heap[child], &last))
			break;
		e->heap[i] = e->heap[child];
		i = child;
	}
	e->heap[i] = last;
	return top;
}

/* The hiccups of one read, drawn in order of acceptance: extra time of its first piece. */
static uint64_t draw_extra_ns(struct emulator *e, uint64_t piece_ns)
{
	const double stall = rng_unit(&e->rng), length = rng_unit(&e->rng),
		     retry = rng_unit(&e->rng);
	uint64_t extra_ns = 0;

	if (stall < e->params.stall_frac) {
		extra_ns += (uint64_t)llround(-log1p(-length) * e->params.stall_ns);
		e->busy.stall_count++;
	}
	if (retry < e->params.retry_frac) {
		extra_ns += piece_ns;
		e->busy.retry_count++;
	}
	return extra_ns;
}

static uint64_t max_ns(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void emulator_accept(struct emulator *e, const struct emulator_read *read, uint64_t at_ns)
{
	const struct emulated_params *p = &e->params;
	const uint64_t end = read->offset + read->bytes;
	const uint64_t start_ns = max_ns(at_ns, e->controller_free_ns);
	uint32_t slot;

	assert(e->accepted < e->in_flight && at_ns >= e->now_ns);
	assert(read->bytes > 0 && read->bytes <= EMULATOR_READ_MAX);
	e->now_ns = at_ns;
	slot = e->free_slots[e->in_flight - ++e->accepted];
	e->flights[slot] = (struct flight){.tag = read->tag};
	e->controller_free_ns = start_ns + (uint64_t)llround(1e9 / p->request_rate_per_s);
	for (uint64_t at = read->offset, next; at < end; at = next) {
		const uint32_t unit = emulator_unit(p, read->file, at);
		uint64_t piece_ns, from_ns;

		next = (at / p->stripe_bytes + 1) * p->stripe_bytes;
		if (next > end)
			next = end;
		piece_ns =
			(uint64_t)llround(p->unit_ns) + transfer_ns(next - at, p->unit_bytes_per_s);
		if (at == read->offset)
			piece_ns += draw_extra_ns(e, piece_ns);
		from_ns = max_ns(start_ns, e->unit_free_ns[unit]);
		e->unit_free_ns[unit] = from_ns + piece_ns;
		e->busy.unit_ns += piece_ns;
		e->flights[slot].pieces_left++;
		heap_push(e, (struct piece){from_ns + piece_ns, e->order++, slot,
					    (uint32_t)(next - at)});
	}
}

/* Give the bus to the piece that was ready first; note its read's completion when it was the last.
 */
static void serve_bus(struct emulator *e)
{
	const struct piece piece = heap_pop(e);
	struct flight *flight = &e->flights[piece.slot];
	uint64_t bus_ns = transfer_ns(piece.bytes, e->params.bus_bytes_per_s);

	if (!flight->bus_started)
		bus_ns += (uint64_t)llround(e->params.bus_ns);
	flight->bus_started = true;
	e->bus_free_ns = max_ns(piece.ready_ns, e->bus_free_ns) + bus_ns;
	e->busy.bus_ns += bus_ns;
	if (--flight->pieces_left)
		return;
	/* The bus finishes in order and host_ns is one for all: so completions are in order, too.
	 */
	e->done[(e->done_first + e->done_count++) % e->in_flight] = (struct finished){
		piece.slot, e->bus_free_ns + (uint64_t)llround(e->params.host_ns)};
}

bool emulator_next(struct emulator *e, struct emulator_done *done)
{
	const struct finished *first;

	while (e->heap_count &&
	       (!e->done_count || e->heap[0].ready_ns < e->done[e->done_first].at_ns))
		serve_bus(e);
	if (!e->done_count)
		return false;
	first = &e->done[e->done_first];
	*done = (struct emulator_done){e->flights[first->slot].tag, first->at_ns};
	e->free_slots[e->in_flight - e->accepted--] = first->slot;
	e->done_first = (e->done_first + 1) % e->in_flight;
	e->done_count--;
	e->now_ns = max_ns(e->now_ns, done->at_ns);
	return true;
}

struct emulator_busy emulator_busy(const struct emulator *e)
{
	return e->busy;
}
