/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_emulated.c - a device process: bytes from its memory, completions when the mechanism says
 * (emulator.h); the host's side of it
 *
 * The device (emulated_device.c) tells ahead of time when each read completes, and copies its data
 * ahead of that time.  This side holds a read back until the clock shows its time.  So nobody is
 * woken for a completion: whoever waits sleeps by the clock, and spins at the end, as below. */
#define _GNU_SOURCE
#include "clock.h"
#include "emulated_device.h"
#include "futex.h"
#include "read_engine.h"
#include "round.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ALIVE_CHECK_NS = 50000000 };

/* A device's interrupt is there within microseconds, but a thread that sleeps until a given time is
 * up later than that: here 31 to 60 us, 110 at p99 (and 50 us more with the kernel's usual slack of
 * timers).  So the last of each wait is spun, as part of emulating the device and on its account:
 * with a real device nobody spins.  As much as the last sleeps were overslept by, so that one sleep
 * in SPIN_MISS or so takes longer: a late one adds SPIN_STEP_NS, any other takes SPIN_MISS-th of
 * that away.  A thread that is later by more than SPIN_MOST_NS had lost its core to somebody, which
 * no spin makes good and nothing is learnt from. */
enum { SPIN_LEAST_NS = 10000, SPIN_MOST_NS = 150000, SPIN_STEP_NS = 16000, SPIN_MISS = 32 };

struct emulated_reader {
	struct reader reader;
	struct emulated_device device;
	uint64_t used_bytes; /* of the arena */
	pid_t process;	     /* of the device; 0 = not started or gone */
	uint64_t spin_ns;

	const struct read_request *requests;
	size_t count;
	uint64_t submitted_ns;
	size_t have;	  /* complete, without a gap */
	size_t due_count; /* slots from the first that due_ns is of */
	uint64_t due_ns;  /* when they all are complete */
	uint64_t came_ns; /* when somebody began to wait for the whole batch; 0 = not yet */
	uint64_t seen_ns; /* when he saw it; 0 = not yet */
};

static bool device_alive(struct emulated_reader *e)
{
	int status;

	if (e->process > 0 && waitpid(e->process, &status, WNOHANG) != 0)
		e->process = 0;
	return e->process > 0;
}

static int fail_dead(struct err *err)
{
	return err_set(err, EIO, "the emulated device's process died");
}

static void ask(struct emulated_reader *e, enum emulated_command command, uint64_t count,
		uint64_t at)
{
	struct emulated_ring *ring = e->device.ring;

	ring->command = command;
	ring->count = count;
	ring->at = at;
	atomic_fetch_add(&ring->asked, 1);
	futex_wake(&ring->asked, 1, FUTEX_SHARED);
}

/* Until the device has answered all that was asked. */
static int await_answer(struct emulated_reader *e, struct err *err)
{
	struct emulated_ring *ring = e->device.ring;
	const uint32_t want = atomic_load(&ring->asked) + 1;
	uint32_t answered;

	while ((answered = atomic_load(&ring->answered)) != want) {
		/* The answer may have come just before the end, but a dead device has no next
		 * batch. */
		if (!device_alive(e))
			return fail_dead(err);
		futex_wait(&ring->answered, answered, ALIVE_CHECK_NS, FUTEX_SHARED);
	}
	if (ring->code)
		return err_set(err, ring->code, "the emulated device: %s", strerror(ring->code));
	return 0;
}

/* Until the device has come to slot 'want'. */
static int await_mark(struct emulated_reader *e, struct emulated_mark *mark, uint32_t want,
		      struct err *err)
{
	uint32_t reached = atomic_load(&mark->reached);

	if (reached >= want)
		return 0;
	atomic_store(&mark->wanted, want);
	while ((reached = atomic_load(&mark->reached)) < want) {
		if (!device_alive(e))
			return fail_dead(err);
		futex_wait(&mark->reached, reached, ALIVE_CHECK_NS, FUTEX_SHARED);
	}
	return 0;
}

static int map_arena(struct emulated_reader *e, struct err *err)
{
	const uint64_t ring_bytes = round_up(
		sizeof(struct emulated_ring) + EMULATED_SLOT_MAX * sizeof(struct emulated_slot),
		EMULATED_PAGE_BYTES);
	void *at = mmap(NULL, EMULATED_ARENA_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return err_errno(err, "%llu bytes of address space for an emulated device",
				 (unsigned long long)EMULATED_ARENA_BYTES);
	e->device.arena = at;
	e->device.ring = at;
	e->used_bytes = ring_bytes;
	return 0;
}

static int start_device(struct emulated_reader *e, struct err *err)
{
	const pid_t parent = getpid();
	sigset_t all, old;

	/* The device takes no signal meant for the run: Ctrl-C goes to the whole process group, and
	 * the run must still be able to end its batch.  SIGKILL, its own or its parent's, ends it.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e->process = fork();
	if (e->process == 0)
		emulated_device_main(&e->device, parent);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e->process < 0) {
		e->process = 0;
		return err_errno(err, "starting the emulated device's process");
	}
	if (await_answer(e, err))
		return err->code;
	return emulated_judge(&e->device, &e->device.ring->able, err);
}

static int emulated_open(struct reader *reader, const struct reader_options *options,
			 struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;

	assert(options->emulated);
	e->spin_ns = SPIN_MOST_NS / 2;
	e->device.files = reader->files;
	if (reader_open_files(reader, options, READER_BUFFERED, err) ||
	    emulated_device_init(&e->device, options, err) || map_arena(e, err))
		return err->code;
	return start_device(e, err);
}

static void emulated_close(struct reader *reader)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;

	/* The device holds nothing that could be lost. */
	if (device_alive(e)) {
		kill(e->process, SIGKILL);
		while (waitpid(e->process, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (e->device.arena)
		munmap(e->device.arena, EMULATED_ARENA_BYTES);
	emulated_device_fini(&e->device);
}

static void *emulated_alloc(struct reader *reader, size_t bytes)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	const uint64_t at = e->used_bytes, size = round_up(bytes ? bytes : 1, EMULATED_PAGE_BYTES);
	struct err err = {0};

	assert(!reader->busy);
	if (size > EMULATED_ARENA_BYTES - at || emulated_populate(e->device.arena + at, size))
		return NULL;
	ask(e, EMULATED_POPULATE, size, at);
	if (await_answer(e, &err))
		return NULL;
	e->used_bytes += size;
	return e->device.arena + at;
}

static void fill_slots(struct emulated_reader *e)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct read_request *r = &e->requests[i];
		const uint64_t to = (uint64_t)((unsigned char *)r->to - e->device.arena);

		assert(to < e->used_bytes && r->bytes <= e->used_bytes - to);
		e->device.ring->slots[i] = (struct emulated_slot){
			.offset = r->offset, .to = to, .bytes = r->bytes, .file = r->file};
	}
}

static int emulated_submit(struct reader *reader, const struct read_request *requests, size_t count,
			   struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	struct emulated_ring *ring = e->device.ring;

	if (count > EMULATED_SLOT_MAX)
		return err_set(err, E2BIG, "a batch of %zu reads; an emulated device takes %llu",
			       count, (unsigned long long)EMULATED_SLOT_MAX);
	if (!device_alive(e))
		return fail_dead(err);
	e->submitted_ns = clock_now_ns();
	e->requests = requests;
	e->count = count;
	e->have = e->due_count = 0;
	e->due_ns = e->submitted_ns;
	e->came_ns = e->seen_ns = 0;
	fill_slots(e);
	atomic_store(&ring->known.reached, 0);
	atomic_store(&ring->copied.reached, 0);
	if (count)
		ask(e, reader->at_once ? EMULATED_SERVE_AT_ONCE : EMULATED_SERVE, count,
		    e->submitted_ns);
	return 0;
}

/* Sleep until 'to_ns' and learn from it how long to spin the next time. */
static void sleep_until(struct emulated_reader *e, uint64_t to_ns)
{
	const struct timespec ts = {.tv_sec = (time_t)(to_ns / 1000000000u),
				    .tv_nsec = (long)(to_ns % 1000000000u)};
	const int slack_ns = prctl(PR_GET_TIMERSLACK);
	uint64_t late_ns;

	prctl(PR_SET_TIMERSLACK, 1);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;	  /* a signal must not turn the rest of a sleep into a spin */
	if (slack_ns > 0) /* the caller's thread, and its own again */
		prctl(PR_SET_TIMERSLACK, slack_ns);
	late_ns = clock_now_ns() - to_ns;
	if (late_ns > SPIN_MOST_NS)
		return;
	if (late_ns > e->spin_ns)
		e->spin_ns += SPIN_STEP_NS;
	else if (e->spin_ns > SPIN_LEAST_NS)
		e->spin_ns -= SPIN_STEP_NS / SPIN_MISS;
}

static void wait_until(struct emulated_reader *e, uint64_t ns)
{
	if (clock_now_ns() + e->spin_ns < ns)
		sleep_until(e, ns - e->spin_ns);
	while (clock_now_ns() < ns)
		;
}

/* When the first 'want' are complete; their times are known. */
static uint64_t prefix_due_ns(struct emulated_reader *e, size_t want)
{
	for (; e->due_count < want; e->due_count++) {
		const uint64_t due_ns = e->device.ring->slots[e->due_count].due_ns;

		if (due_ns > e->due_ns)
			e->due_ns = due_ns;
	}
	return e->due_ns;
}

/* Count what the clock and the device say is complete. */
static int look(struct emulated_reader *e, struct err *err)
{
	const size_t there = atomic_load(&e->device.ring->copied.reached);
	const uint64_t now_ns = clock_now_ns();

	for (; e->have < there && e->device.ring->slots[e->have].due_ns <= now_ns; e->have++) {
		const struct emulated_slot *slot = &e->device.ring->slots[e->have];

		if (slot->got != slot->bytes)
			return reader_fail(
				&e->reader,
				&(struct read_failure){e->requests[e->have], 0, slot->got}, err);
	}
	if (e->have == e->count && !e->seen_ns)
		e->seen_ns = now_ns;
	return 0;
}

static int emulated_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	struct emulated_ring *ring = e->device.ring;

	if (want > e->count)
		want = e->count;
	if (want == e->count && !e->came_ns)
		e->came_ns = clock_now_ns();
	if (want > e->have) {
		if (await_mark(e, &ring->known, (uint32_t)want, err))
			return err->code;
		wait_until(e, prefix_due_ns(e, want));
		if (await_mark(e, &ring->copied, (uint32_t)want, err))
			return err->code;
	}
	(void)!look(e, err);
	*have = e->have;
	return err->code;
}

static int emulated_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	const struct emulated_ring *ring = e->device.ring;
	struct err failed = {0};
	uint64_t complete_ns;
	size_t have;

	if (!e->count)
		return 0;
	/* Whatever failed: the device must be through with this batch before there is another. */
	(void)!emulated_progress(reader, e->count, &have, &failed);
	(void)!await_answer(e, failed.code ? &(struct err){0} : &failed);
	for (size_t i = 0; i < e->have; i++)
		done->bytes += ring->slots[i].got;
	done->count = e->have;
	if (failed.code) {
		*err = failed;
		return err->code;
	}
	/* Who comes after it is done is told when it was; who waits, when he saw it. */
	complete_ns = ring->complete_ns > ring->copied_ns ? ring->complete_ns : ring->copied_ns;
	if (e->came_ns < complete_ns)
		complete_ns = e->seen_ns;
	done->service_ns = complete_ns - e->submitted_ns;
	return 0;
}

static int emulated_outside(struct reader *reader, uint64_t *bytes, struct err *err)
{
	(void)err;
	*bytes = atomic_load(&((struct emulated_reader *)reader)->device.ring->served_bytes);
	return 0;
}

struct emulated_lateness emulated_lateness(const struct reader *reader)
{
	assert(reader->ops == &read_emulated && !reader->busy);
	return ((const struct emulated_reader *)reader)->device.ring->lateness;
}

uint64_t emulated_due_ns(const struct reader *reader, size_t i)
{
	const struct emulated_reader *e = (const struct emulated_reader *)reader;

	assert(reader->ops == &read_emulated && i < e->have);
	return e->device.ring->slots[i].due_ns - e->submitted_ns;
}

long emulated_process(const struct reader *reader)
{
	assert(reader->ops == &read_emulated);
	return ((const struct emulated_reader *)reader)->process;
}

const struct read_engine_ops read_emulated = {
	.name = "emulated",
	.help = "a device process that serves from memory at a slower device's pace",
	.reader_bytes = sizeof(struct emulated_reader),
	.open = emulated_open,
	.close = emulated_close,
	.alloc = emulated_alloc,
	.submit = emulated_submit,
	.progress = emulated_progress,
	.wait = emulated_wait,
	.outside = emulated_outside,
};
