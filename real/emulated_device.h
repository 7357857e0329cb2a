/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulated_device.h - what the host's side of an emulated device (read_emulated.c) shares with its
 * process (emulated_device.c); private to the two
 *
 * Both map one arena: the ring below, then the buffers that reads go to.  The host fills slots and
 * asks; the device tells of two prefixes of the batch, as they grow: the slots whose completion
 * time is known, and those whose data is there.  A slot is complete when it is in both and the
 * clock shows its time. */
#ifndef FLASH_EMULATED_DEVICE_H
#define FLASH_EMULATED_DEVICE_H

#include "emulator.h"
#include "read_engine.h"

#include <stdatomic.h>
#include <sys/types.h>

/* Address space only: pages come with their first use. */
#define EMULATED_SLOT_MAX    (UINT64_C(1) << 24)
#define EMULATED_ARENA_BYTES (UINT64_C(1) << 36)

enum { EMULATED_PAGE_BYTES = 4096 };

enum emulated_command { EMULATED_SERVE, EMULATED_SERVE_AT_ONCE, EMULATED_POPULATE };

/* Written by the host before it asks; then by the device, for the host from the moment on that a
 * mark is past it. */
struct emulated_slot {
	uint64_t offset, to;	       /* to: from the arena's start */
	uint64_t due_ns;	       /* when it completes by the mechanism, on the real clock */
	uint32_t bytes, file;	       /* as asked for */
	uint32_t played, handled, got; /* bytes: timed, dealt with, brought */
};

/* How many slots, from the first without a gap, have come so far.  Who waits for 'wanted' of them
 * sleeps on 'reached'; the device wakes it once, when they are there, and not with every read. */
struct emulated_mark {
	_Atomic uint32_t reached, wanted; /* wanted: 0 = nobody waits */
};

struct emulated_rates {
	double bytes_per_s, reads_per_s;
};

struct emulated_ring {
	_Atomic uint32_t asked, answered; /* commands so far; both are slept on */
	enum emulated_command command;
	uint64_t count; /* SERVE: slots; POPULATE: bytes */
	uint64_t at;	/* SERVE: time of submission; POPULATE: from the arena's start */
	int code;	/* of the answer: 0 or errno */
	struct emulated_rates able; /* with the first answer: what this host can do */
	struct emulated_mark known, copied;
	uint64_t complete_ns; /* when the batch completes by the mechanism */
	uint64_t copied_ns;   /* when its last byte was there */
	_Atomic uint64_t served_bytes;
	struct emulated_lateness lateness;
	struct emulated_slot slots[];
};

/* A part of a slot that the mechanism has accepted: reads longer than EMULATOR_READ_MAX are cut. */
struct emulated_part {
	uint32_t slot, from, bytes;
};

/* A part whose time is known and whose data is still to be copied. */
struct emulated_copy {
	struct emulated_part part;
	uint64_t due_ns;
};

/* Filled before the process is forked, and its own from then on. */
struct emulated_device {
	unsigned char *arena; /* begins with the ring */
	struct emulated_ring *ring;
	const struct reader_file *files; /* [READER_FILES] */
	const unsigned char *content[READER_FILES];
	const struct emulated_params *params; /* the caller's, while it opens */
	struct emulator *emulator, *trial;    /* trial: to measure with */
	unsigned in_flight;
	struct emulated_part *parts; /* [in_flight] by tag */
	uint32_t *free_parts;	     /* a stack */
	struct emulated_copy *copies;
};

/* Allocate what the process needs; the arena and the ring are the caller's. */
MUST_CHECK int emulated_device_init(struct emulated_device *device,
				    const struct reader_options *options, struct err *err);
void emulated_device_fini(struct emulated_device *device);

/* The forked process: serves until it is killed or its parent is gone. */
_Noreturn void emulated_device_main(struct emulated_device *device, pid_t parent);

/* Bytes as a device's DMA brings them: to memory and past the caches, which also is 1.5 times as
 * fast here (memcpy 7.5 GB/s, this 10 to 12 GB/s).  'to' is a multiple of 16.  Ends with a fence, so
 * that a store which tells of them comes after them. */
void emulated_copy_bytes(unsigned char *to, const unsigned char *from, size_t bytes);

/* What this host can serve at most, measured by the device's process; 0 or errno. */
int emulated_measure(struct emulated_device *device, struct emulated_rates *able);
/* ENOTSUP with both figures when that is less than the setting's peak. */
MUST_CHECK int emulated_judge(const struct emulated_device *device,
			      const struct emulated_rates *able, struct err *err);

/* Give this process its own page-table entries for a buffer, so that no read takes its first fault
 * there.  0 or errno. */
int emulated_populate(void *at, size_t bytes);

#endif
