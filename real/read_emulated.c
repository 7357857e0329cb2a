/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_emulated.c - a device process: bytes from its memory, completions when the mechanism says
 * (emulator.h)
 *
 * Host and device share an arena: one command, a ring of request slots, and the buffers that reads
 * go to. The device plays a whole batch in its own time, which starts at the real time of
 * submission: at most in_flight reads are accepted, the next at the *intended* completion of
 * another, so that lateness of this machine never adds up.  It copies each read's data as soon as
 * its completion time is known, ahead of that time, and at the end says when the batch completes.
 * The host's side of the driver then holds the batch back until the clock shows that time: it
 * sleeps, and spins for the last SPIN_NS, which a sleeping thread could oversleep.  One wake a
 * batch, most often before it is due. */
#define _GNU_SOURCE
#include "clock.h"
#include "emulator.h"
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
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum command { COMMAND_SERVE, COMMAND_POPULATE };
enum { SPIN_NS = 150000, ALIVE_CHECK_NS = 50000000, PREFETCH_BYTES = 1024, PAGE_BYTES = 4096 };
enum { CLOSE_MOST = 1024 };
/* Address space only: pages come with their first use. */
#define SLOT_MAX    (UINT64_C(1) << 24)
#define ARENA_BYTES (UINT64_C(1) << 36)

struct slot {
	uint64_t offset, to; /* to: from the arena's start */
	uint32_t bytes, got;
	uint32_t file;
};

struct ring {
	_Atomic uint32_t asked, answered; /* commands so far; both are slept on */
	enum command command;
	uint64_t count;	      /* SERVE: slots; POPULATE: bytes */
	uint64_t at;	      /* SERVE: time of submission; POPULATE: from the arena's start */
	int code;	      /* of the answer: 0 or errno */
	uint64_t complete_ns; /* when the batch completes by the mechanism */
	uint64_t copied_ns;   /* when its last byte was there */
	_Atomic uint64_t served_bytes;
	struct emulated_lateness lateness;
	struct slot slots[];
};

/* A part of a slot that the device has accepted: reads longer than EMULATOR_READ_MAX are cut. */
struct part {
	uint32_t slot, from, bytes;
};

struct emulated_reader {
	struct reader reader;
	unsigned char *arena; /* mapped by both; begins with the ring */
	struct ring *ring;
	uint64_t used_bytes;
	pid_t process; /* of the device; 0 = not started or gone */

	const struct read_request *requests;
	size_t count;
	uint64_t submitted_ns;

	/* The device's own. */
	struct emulator *emulator;
	const unsigned char *content[READER_FILES];
	struct part *parts;   /* [in_flight] by tag */
	uint32_t *free_parts; /* a stack */
};

/* Bytes as a device's DMA brings them: to memory and past the caches, which also is 1.5 times as
 * fast here (memcpy 7.5 GB/s, this 10 to 12 GB/s).  'to' is a multiple of 16. */
#if defined(__x86_64__)
static void copy_past_cache(unsigned char *to, const unsigned char *from, size_t bytes)
{
	const size_t line = 4 * sizeof(__m128i);
	size_t at = 0;

	for (; at + line <= bytes; at += line) {
		const __m128i *source = (const __m128i *)(const void *)(from + at);
		__m128i *target = (__m128i *)(void *)(to + at);

		__builtin_prefetch(from + at + PREFETCH_BYTES);
		for (unsigned i = 0; i < 4; i++)
			_mm_stream_si128(target + i, _mm_loadu_si128(source + i));
	}
	_mm_sfence();
	memcpy(to + at, from + at, bytes - at);
}
#else
static void copy_past_cache(unsigned char *to, const unsigned char *from, size_t bytes)
{
	memcpy(to, from, bytes);
}
#endif

/* ---- the device process: no allocation, no lock (its parent may have had threads), no output ----
 */

struct serving {
	struct emulated_reader *e;
	uint32_t next_slot, next_from; /* what is accepted next */
	unsigned in_flight;
};

static void accept_next(struct serving *s, uint64_t at_ns)
{
	struct emulated_reader *e = s->e;
	const struct slot *slot = &e->ring->slots[s->next_slot];
	const uint32_t left = slot->bytes - s->next_from;
	const uint32_t tag = e->free_parts[e->reader.in_flight - ++s->in_flight];
	struct part *part = &e->parts[tag];

	*part = (struct part){s->next_slot, s->next_from,
			      left < EMULATOR_READ_MAX ? left : EMULATOR_READ_MAX};
	emulator_accept(e->emulator,
			&(struct emulator_read){.tag = tag,
						.file = slot->file,
						.offset = slot->offset + part->from,
						.bytes = part->bytes},
			at_ns);
	s->next_from += part->bytes;
	if (s->next_from == slot->bytes) {
		s->next_slot++;
		s->next_from = 0;
	}
}

static void copy_part(struct emulated_reader *e, const struct part *part, uint64_t due_ns)
{
	struct slot *slot = &e->ring->slots[part->slot];
	const struct reader_file *file = &e->reader.files[slot->file];
	const uint64_t offset = slot->offset + part->from;
	uint64_t bytes = offset < file->bytes ? file->bytes - offset : 0;
	struct emulated_lateness *late = &e->ring->lateness;
	uint64_t now_ns;

	if (bytes > part->bytes)
		bytes = part->bytes;
	if (bytes)
		copy_past_cache(e->arena + slot->to + part->from, e->content[slot->file] + offset,
				bytes);
	slot->got += (uint32_t)bytes;
	atomic_fetch_add_explicit(&e->ring->served_bytes, bytes, memory_order_relaxed);
	now_ns = clock_now_ns();
	late->read_count++;
	if (now_ns <= due_ns)
		return;
	late->late_count++;
	late->late_ns_sum += now_ns - due_ns;
	if (now_ns - due_ns > late->late_ns_max)
		late->late_ns_max = now_ns - due_ns;
}

static void serve(struct emulated_reader *e)
{
	struct ring *ring = e->ring;
	struct serving s = {.e = e};
	struct emulator_done done;

	ring->complete_ns = ring->at;
	while (s.in_flight < e->reader.in_flight && s.next_slot < ring->count)
		accept_next(&s, ring->at);
	while (emulator_next(e->emulator, &done)) {
		const struct part part = e->parts[done.tag];

		e->free_parts[e->reader.in_flight - s.in_flight--] = done.tag;
		if (s.next_slot < ring->count)
			accept_next(&s, done.at_ns);
		copy_part(e, &part, done.at_ns);
		ring->complete_ns = done.at_ns;
	}
	ring->copied_ns = clock_now_ns();
	ring->lateness.batch_intended_ns = ring->complete_ns - ring->at;
}

/* Give this process its own page-table entries for a buffer, so that no read takes its first fault
 * there. */
static int populate(void *at, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL) /* else: a kernel before 5.14 */
		return errno;
#endif
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		((volatile unsigned char *)at)[i] = 0;
	return 0;
}

static int map_files(struct emulated_reader *e)
{
	for (unsigned i = 0; i < READER_FILES; i++) {
		const struct reader_file *file = &e->reader.files[i];
		void *at;

		if (file->fd < 0 || !file->bytes)
			continue;
		at = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file->fd, 0);
		if (at == MAP_FAILED)
			return errno;
		/* Not everybody may lock; then pages can be lost under pressure, and lateness
		 * tells. */
		(void)mlock(at, file->bytes);
		e->content[i] = at;
	}
	return 0;
}

/* A pipe's end that stayed open here would keep its reader from ever seeing the end. */
static void close_inherited(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, STDERR_FILENO + 1, UINT32_MAX, 0) == 0)
		return;
#endif
	for (int fd = STDERR_FILENO + 1; fd < CLOSE_MOST; fd++)
		close(fd);
}

static _Noreturn void device_main(struct emulated_reader *e, pid_t parent)
{
	struct ring *ring = e->ring;
	uint32_t answered = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0); /* it died before prctl() */
	prctl(PR_SET_NAME, "flash-device");
	/* No better priority: a device that preempts whoever submits makes the submission wait for
	 * the batch (tried: 10 us became 450 us). */
	ring->code = map_files(e);
	close_inherited();
	for (;;) {
		uint32_t asked;

		atomic_store(&ring->answered, ++answered); /* the first is that the device is up */
		futex_wake(&ring->answered, 1, FUTEX_SHARED);
		while ((asked = atomic_load(&ring->asked)) == answered - 1)
			futex_wait(&ring->asked, asked, 0, FUTEX_SHARED);
		ring->code = 0;
		if (ring->command == COMMAND_SERVE)
			serve(e);
		else
			ring->code = populate(e->arena + ring->at, ring->count);
	}
}

/* ---- the host's side ---- */

static bool device_alive(struct emulated_reader *e)
{
	int status;

	if (e->process > 0 && waitpid(e->process, &status, WNOHANG) != 0)
		e->process = 0;
	return e->process > 0;
}

static void ask(struct emulated_reader *e, enum command command, uint64_t count, uint64_t at)
{
	e->ring->command = command;
	e->ring->count = count;
	e->ring->at = at;
	atomic_fetch_add(&e->ring->asked, 1);
	futex_wake(&e->ring->asked, 1, FUTEX_SHARED);
}

/* Until the device has answered all that was asked. */
static int await_answer(struct emulated_reader *e, struct err *err)
{
	struct ring *ring = e->ring;
	const uint32_t want = atomic_load(&ring->asked) + 1;
	uint32_t answered;

	while ((answered = atomic_load(&ring->answered)) != want) {
		/* The answer may have come just before the end, but a dead device has no next
		 * batch. */
		if (!device_alive(e))
			return err_set(err, EIO, "the emulated device's process died");
		futex_wait(&ring->answered, answered, ALIVE_CHECK_NS, FUTEX_SHARED);
	}
	if (ring->code)
		return err_set(err, ring->code, "the emulated device: %s", strerror(ring->code));
	return 0;
}

static int map_arena(struct emulated_reader *e, struct err *err)
{
	const uint64_t ring_bytes =
		round_up(sizeof(struct ring) + SLOT_MAX * sizeof(struct slot), PAGE_BYTES);
	void *at = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return err_errno(err, "%llu bytes of address space for an emulated device",
				 (unsigned long long)ARENA_BYTES);
	e->arena = at;
	e->ring = at;
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
		device_main(e, parent);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e->process < 0) {
		e->process = 0;
		return err_errno(err, "starting the emulated device's process");
	}
	return await_answer(e, err);
}

static int emulated_open(struct reader *reader, const struct reader_options *options,
			 struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	const unsigned in_flight = reader->in_flight;

	assert(options->emulated);
	if (reader_open_files(reader, options, READER_BUFFERED, err))
		return err->code;
	e->parts = calloc(in_flight, sizeof(*e->parts));
	e->free_parts = calloc(in_flight, sizeof(*e->free_parts));
	if (!e->parts || !e->free_parts)
		return err_nomem(err, "an emulated device", in_flight * sizeof(*e->parts));
	for (uint32_t i = 0; i < in_flight; i++)
		e->free_parts[i] = i;
	if (emulator_open(&e->emulator, options->emulated, in_flight, options->seed, err))
		return err->code;
	if (map_arena(e, err))
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
	if (e->arena)
		munmap(e->arena, ARENA_BYTES);
	emulator_close(e->emulator);
	free(e->parts);
	free(e->free_parts);
}

static void *emulated_alloc(struct reader *reader, size_t bytes)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	const uint64_t at = e->used_bytes, size = round_up(bytes ? bytes : 1, PAGE_BYTES);
	struct err err = {0};

	assert(!reader->busy);
	if (size > ARENA_BYTES - at || populate(e->arena + at, size))
		return NULL;
	ask(e, COMMAND_POPULATE, size, at);
	if (await_answer(e, &err))
		return NULL;
	e->used_bytes += size;
	return e->arena + at;
}

static int emulated_submit(struct reader *reader, const struct read_request *requests, size_t count,
			   struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	struct ring *ring = e->ring;

	if (count > SLOT_MAX)
		return err_set(err, E2BIG, "a batch of %zu reads; an emulated device takes %llu",
			       count, (unsigned long long)SLOT_MAX);
	if (!device_alive(e))
		return err_set(err, EIO, "the emulated device's process died");
	e->submitted_ns = clock_now_ns();
	e->requests = requests;
	e->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct read_request *r = &requests[i];
		const uint64_t to = (uint64_t)((unsigned char *)r->to - e->arena);

		assert(to < e->used_bytes && r->bytes <= e->used_bytes - to);
		ring->slots[i] = (struct slot){
			.offset = r->offset, .to = to, .bytes = r->bytes, .file = r->file};
	}
	if (count)
		ask(e, COMMAND_SERVE, count, e->submitted_ns);
	return 0;
}

/* Sleep, then spin, until the clock shows 'ns'. */
static void wait_until(uint64_t ns)
{
	uint64_t now_ns = clock_now_ns();

	if (now_ns + SPIN_NS < ns) {
		const uint64_t to = ns - SPIN_NS;
		const struct timespec ts = {.tv_sec = (time_t)(to / 1000000000u),
					    .tv_nsec = (long)(to % 1000000000u)};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
	while (clock_now_ns() < ns)
		;
}

/* Count what the device says it brought, request by request. */
static int count_slots(struct emulated_reader *e, struct read_done *done, struct err *err)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct slot *slot = &e->ring->slots[i];

		if (slot->got != slot->bytes)
			return reader_fail(&e->reader,
					   &(struct read_failure){e->requests[i], 0, slot->got},
					   err);
		done->count++;
		done->bytes += slot->got;
	}
	return 0;
}

static int emulated_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;
	uint64_t complete_ns, came_ns;

	if (!e->count)
		return 0;
	came_ns = clock_now_ns();
	if (await_answer(e, err))
		return err->code;
	complete_ns = e->ring->complete_ns > e->ring->copied_ns ? e->ring->complete_ns
								: e->ring->copied_ns;
	/* Who comes after it is done is told when it was; who waits, when he saw it. */
	if (came_ns < complete_ns) {
		wait_until(complete_ns);
		complete_ns = clock_now_ns();
	}
	done->service_ns = complete_ns - e->submitted_ns;
	return count_slots(e, done, err);
}

static int emulated_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	struct emulated_reader *e = (struct emulated_reader *)reader;

	*have = 0;
	if (!want || !e->count)
		return 0;
	if (await_answer(e, err))
		return err->code;
	wait_until(e->ring->complete_ns);
	*have = e->count;
	return 0;
}

static int emulated_outside(struct reader *reader, uint64_t *bytes, struct err *err)
{
	(void)err;
	*bytes = atomic_load(&((struct emulated_reader *)reader)->ring->served_bytes);
	return 0;
}

struct emulated_lateness emulated_lateness(const struct reader *reader)
{
	assert(reader->ops == &read_emulated && !reader->busy);
	return ((const struct emulated_reader *)reader)->ring->lateness;
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
