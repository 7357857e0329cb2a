/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulated_device.c - the process of an emulated device: plays a batch by the mechanism, brings its
 * bytes
 *
 * A batch is played in the device's own time, which starts at the real time of submission: at most
 * in_flight reads are accepted, the next at the *intended* completion of another, so that lateness
 * of this machine never adds up.  Some PLAY_AHEAD reads are played at a time; then the host is told
 * when they complete, and then their data is copied, in order of completion and ahead of time: by
 * LEAD_NS at least and by twice that at most, so that a slow device's bytes cross the memory bus at
 * about its own pace, and not all at once beside the first rows that are computed.
 *
 * Once forked: no allocation, no lock (its parent may have had threads), no output. */
#define _GNU_SOURCE
#include "emulated_device.h"

#include "clock.h"
#include "futex.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* Playing a read of 4 to 16 KiB takes 0.1 us here, one of 1 MiB 5 us: these many are timed in less
 * than what a device's first read takes, or its own 256 do. */
enum { PLAY_AHEAD = 256 };
/* A sleep may last 60 us too long, and some hundred where others compute. */
enum { LEAD_NS = 1000000 };
enum { CLOSE_MOST = 1024 };

int emulated_device_init(struct emulated_device *device, const struct reader_options *options,
			 struct err *err)
{
	const unsigned in_flight = options->in_flight;

	device->in_flight = in_flight;
	device->parts = calloc(in_flight, sizeof(*device->parts));
	device->free_parts = calloc(in_flight, sizeof(*device->free_parts));
	device->copies = calloc(PLAY_AHEAD, sizeof(*device->copies));
	if (!device->parts || !device->free_parts || !device->copies)
		return err_nomem(err, "an emulated device",
				 in_flight * sizeof(*device->parts) +
					 PLAY_AHEAD * sizeof(*device->copies));
	for (uint32_t i = 0; i < in_flight; i++)
		device->free_parts[i] = i;
	device->params = options->emulated;
	if (emulator_open(&device->trial, options->emulated, in_flight, options->seed, err))
		return err->code;
	return emulator_open(&device->emulator, options->emulated, in_flight, options->seed, err);
}

void emulated_device_fini(struct emulated_device *device)
{
	emulator_close(device->emulator);
	emulator_close(device->trial);
	free(device->parts);
	free(device->free_parts);
	free(device->copies);
}

/* A batch that is being played. */
struct serving {
	struct emulated_device *d;
	uint32_t next_slot, next_from; /* what is accepted next */
	unsigned in_flight;
	uint32_t known, copied; /* slots without a gap */
};

static void accept_next(struct serving *s, uint64_t at_ns)
{
	struct emulated_device *d = s->d;
	const struct emulated_slot *slot = &d->ring->slots[s->next_slot];
	const uint32_t left = slot->bytes - s->next_from;
	const uint32_t tag = d->free_parts[d->in_flight - ++s->in_flight];
	struct emulated_part *part = &d->parts[tag];

	*part = (struct emulated_part){s->next_slot, s->next_from,
				       left < EMULATOR_READ_MAX ? left : EMULATOR_READ_MAX};
	emulator_accept(d->emulator,
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

/* The next completion of the batch; false when all have been played. */
static bool play_one(struct serving *s, struct emulated_copy *copy)
{
	struct emulated_device *d = s->d;
	struct emulated_slot *slot;
	struct emulator_done done;

	if (!emulator_next(d->emulator, &done))
		return false;
	*copy = (struct emulated_copy){d->parts[done.tag], done.at_ns};
	d->free_parts[d->in_flight - s->in_flight--] = done.tag;
	if (s->next_slot < d->ring->count)
		accept_next(s, done.at_ns);
	slot = &d->ring->slots[copy->part.slot];
	slot->played += copy->part.bytes;
	slot->due_ns = done.at_ns; /* of its last part: completions come in order of time */
	d->ring->complete_ns = done.at_ns;
	return true;
}

/* The order matters: either the waiter sees what is reached before it sleeps, or we see that it
 * waits. */
static void mark_reach(struct emulated_mark *mark, uint32_t reached)
{
	uint32_t wanted;

	atomic_store(&mark->reached, reached);
	wanted = atomic_load(&mark->wanted);
	if (wanted && reached >= wanted &&
	    atomic_compare_exchange_strong(&mark->wanted, &wanted, 0))
		futex_wake(&mark->reached, 1, FUTEX_SHARED);
}

static void tell_known(struct serving *s)
{
	struct emulated_ring *ring = s->d->ring;
	const uint32_t before = s->known;

	while (s->known < ring->count &&
	       ring->slots[s->known].played == ring->slots[s->known].bytes)
		s->known++;
	if (s->known != before)
		mark_reach(&ring->known, s->known);
}

static void tell_copied(struct serving *s)
{
	struct emulated_ring *ring = s->d->ring;
	const uint32_t before = s->copied;

	while (s->copied < ring->count &&
	       ring->slots[s->copied].handled == ring->slots[s->copied].bytes)
		s->copied++;
	if (s->copied != before)
		mark_reach(&ring->copied, s->copied);
}

static void note_lateness(struct emulated_lateness *late, uint64_t due_ns)
{
	const uint64_t now_ns = clock_now_ns();

	late->read_count++;
	if (now_ns <= due_ns)
		return;
	late->late_count++;
	late->late_ns_sum += now_ns - due_ns;
	if (now_ns - due_ns > late->late_ns_max)
		late->late_ns_max = now_ns - due_ns;
}

static void copy_part(struct serving *s, const struct emulated_part *part)
{
	struct emulated_device *d = s->d;
	struct emulated_slot *slot = &d->ring->slots[part->slot];
	const struct reader_file *file = &d->files[slot->file];
	const uint64_t offset = slot->offset + part->from;
	uint64_t bytes = offset < file->bytes ? file->bytes - offset : 0;

	if (bytes > part->bytes)
		bytes = part->bytes;
	if (bytes)
		emulated_copy_bytes(d->arena + slot->to + part->from,
				    d->content[slot->file] + offset, bytes);
	slot->got += (uint32_t)bytes;
	slot->handled += part->bytes;
	atomic_fetch_add_explicit(&d->ring->served_bytes, bytes, memory_order_relaxed);
}

static void copy_one(struct serving *s, const struct emulated_copy *copy)
{
	copy_part(s, &copy->part);
	note_lateness(&s->d->ring->lateness, copy->due_ns);
	tell_copied(s);
}

static void keep_pace(uint64_t due_ns)
{
	const uint64_t to_ns = due_ns - LEAD_NS;
	const struct timespec ts = {.tv_sec = (time_t)(to_ns / 1000000000u),
				    .tv_nsec = (long)(to_ns % 1000000000u)};

	if (due_ns > clock_now_ns() + 2 * LEAD_NS)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void serve(struct emulated_device *d)
{
	struct emulated_ring *ring = d->ring;
	struct serving s = {.d = d};
	unsigned played;

	ring->complete_ns = ring->at;
	while (s.in_flight < d->in_flight && s.next_slot < ring->count)
		accept_next(&s, ring->at);
	do {
		for (played = 0; played < PLAY_AHEAD && play_one(&s, &d->copies[played]); played++)
			;
		tell_known(&s);
		for (unsigned i = 0; i < played; i++) {
			keep_pace(d->copies[i].due_ns);
			copy_one(&s, &d->copies[i]);
		}
	} while (played == PLAY_AHEAD);
	ring->copied_ns = clock_now_ns();
	ring->lateness.batch_intended_ns = ring->complete_ns - ring->at;
}

/* By no mechanism: each read is due when it is asked for, and there as soon as it is copied. */
static void serve_at_once(struct emulated_device *d)
{
	struct emulated_ring *ring = d->ring;
	struct serving s = {.d = d};

	ring->complete_ns = ring->at;
	for (uint32_t i = 0; i < ring->count; i++) {
		struct emulated_slot *slot = &ring->slots[i];

		slot->due_ns = ring->at;
		slot->played = slot->bytes;
		tell_known(&s);
		copy_part(&s, &(struct emulated_part){i, 0, slot->bytes});
		tell_copied(&s);
	}
	ring->copied_ns = clock_now_ns();
}

int emulated_populate(void *at, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
	if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL) /* else: a kernel before 5.14 */
		return errno;
#endif
	for (size_t i = 0; i < bytes; i += EMULATED_PAGE_BYTES)
		((volatile unsigned char *)at)[i] = 0;
	return 0;
}

static int map_files(struct emulated_device *d)
{
	for (unsigned i = 0; i < READER_FILES; i++) {
		const struct reader_file *file = &d->files[i];
		void *at;

		if (file->fd < 0 || !file->bytes)
			continue;
		at = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file->fd, 0);
		if (at == MAP_FAILED)
			return errno;
		/* Not everybody may lock; then pages can be lost under pressure, and lateness
		 * tells. */
		(void)mlock(at, file->bytes);
		d->content[i] = at;
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

void emulated_device_main(struct emulated_device *d, pid_t parent)
{
	struct emulated_ring *ring = d->ring;
	uint32_t answered = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0); /* it died before prctl() */
	prctl(PR_SET_NAME, "flash-device");
	prctl(PR_SET_TIMERSLACK, 1);
	/* No better priority: a device that preempts whoever submits makes the submission wait for
	 * the batch (tried: 10 us became 450 us). */
	ring->code = map_files(d);
	if (!ring->code)
		ring->code = emulated_measure(d, &ring->able);
	close_inherited();
	for (;;) {
		uint32_t asked;

		atomic_store(&ring->answered, ++answered); /* the first is that the device is up */
		/* After a batch most often nobody sleeps here, and this costs nobody anything. */
		futex_wake(&ring->answered, 1, FUTEX_SHARED);
		while ((asked = atomic_load(&ring->asked)) == answered - 1)
			futex_wait(&ring->asked, asked, 0, FUTEX_SHARED);
		ring->code = 0;
		if (ring->command == EMULATED_SERVE)
			serve(d);
		else if (ring->command == EMULATED_SERVE_AT_ONCE)
			serve_at_once(d);
		else
			ring->code = emulated_populate(d->arena + ring->at, ring->count);
	}
}
