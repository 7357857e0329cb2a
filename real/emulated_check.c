/* SPDX-License-Identifier: GPL-3.0-or-later */
/* emulated_check.c - can this host play the device that a setting describes?
 *
 * Measured when a device is opened, by its own process and with its own hands: bytes of the files a
 * second, and reads of the least size, the mechanism's arithmetic included.  The best of many short
 * tries counts, and the first that is good enough ends the measurement, most often within a
 * millisecond: so what else the machine does at the moment refuses nothing. */
#define _GNU_SOURCE
#include "clock.h"
#include "emulated_device.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

enum { CHECK_NS = 100000000, CHUNK_BYTES = 1 << 20, CHECK_READS = 256, LEAST_BYTES = 512 };
#define ENOUGH 1.25 /* times what is needed */

/* What no stream of reads of this setting exceeds. */
static struct emulated_rates needed_rates(const struct emulated_params *p, unsigned in_flight)
{
	const double way_ns = p->unit_ns + p->bus_ns + p->host_ns;
	const double units = (double)p->units;

	return (struct emulated_rates){
		.bytes_per_s = fmin(p->bus_bytes_per_s, units * p->unit_bytes_per_s),
		/* A time of 0 is no bound: 1e9 / 0 is infinite. */
		.reads_per_s = fmin(fmin(p->request_rate_per_s, 1e9 / p->bus_ns),
				    fmin(units * 1e9 / p->unit_ns, in_flight * 1e9 / way_ns)),
	};
}

/* Bytes a second of the next chunk, as the caches do not hold it. */
static double try_bytes(const struct emulated_device *d, unsigned file, uint64_t *at)
{
	const uint64_t size = d->files[file].bytes;
	const uint64_t bytes = size < CHUNK_BYTES ? size : CHUNK_BYTES;
	unsigned char *to = d->arena + EMULATED_ARENA_BYTES - CHUNK_BYTES;
	uint64_t copied = 0, from_ns;

	from_ns = clock_now_ns();
	do { /* a small file is copied often: the clock's own time must not count */
		if (*at + bytes > size)
			*at = 0;
		emulated_copy_bytes(to, d->content[file] + *at, bytes);
		*at += bytes;
		copied += bytes;
	} while (copied < CHUNK_BYTES);
	return (double)copied * 1e9 / (double)(clock_now_ns() - from_ns + 1);
}

static double try_reads(const struct emulated_device *d, uint64_t *at_ns)
{
	struct emulator_done done = {0, *at_ns};
	unsigned char *to = d->arena + EMULATED_ARENA_BYTES - CHUNK_BYTES;
	const uint64_t from_ns = clock_now_ns();
	uint64_t now_ns = from_ns;

	for (unsigned sent = 0, came = 0; came < CHECK_READS; came++) {
		for (; sent < CHECK_READS && sent - came < d->in_flight; sent++)
			emulator_accept(
				d->trial,
				&(struct emulator_read){.tag = sent,
							.offset = (uint64_t)sent * LEAST_BYTES,
							.bytes = LEAST_BYTES},
				done.at_ns);
		if (!emulator_next(d->trial, &done))
			break;
		memcpy(to, to + LEAST_BYTES, LEAST_BYTES);
		now_ns = clock_now_ns();
	}
	*at_ns = done.at_ns;
	return CHECK_READS * 1e9 / (double)(now_ns - from_ns + 1);
}

/* The file whose bytes are copied: the longest, since it is the least in the caches. */
static unsigned longest_file(const struct emulated_device *d)
{
	unsigned longest = 0;

	for (unsigned i = 1; i < READER_FILES; i++)
		if (!d->content[longest] ||
		    (d->content[i] && d->files[i].bytes > d->files[longest].bytes))
			longest = i;
	return longest;
}

int emulated_measure(struct emulated_device *d, struct emulated_rates *able)
{
	unsigned char *scratch = d->arena + EMULATED_ARENA_BYTES - CHUNK_BYTES;
	const struct emulated_rates need = needed_rates(d->params, d->in_flight);
	const unsigned file = longest_file(d);
	const uint64_t until_ns = clock_now_ns() + CHECK_NS;
	uint64_t at = 0, at_ns = 0;
	int code;

	*able = (struct emulated_rates){d->content[file] ? 0 : INFINITY, 0};
	code = emulated_populate(scratch, CHUNK_BYTES);
	if (code)
		return code;
	do {
		if (able->bytes_per_s < ENOUGH * need.bytes_per_s)
			able->bytes_per_s = fmax(able->bytes_per_s, try_bytes(d, file, &at));
		if (able->reads_per_s < ENOUGH * need.reads_per_s)
			able->reads_per_s = fmax(able->reads_per_s, try_reads(d, &at_ns));
	} while ((able->bytes_per_s < ENOUGH * need.bytes_per_s ||
		  able->reads_per_s < ENOUGH * need.reads_per_s) &&
		 clock_now_ns() < until_ns);
	(void)madvise(scratch, CHUNK_BYTES, MADV_REMOVE); /* memory that nobody needs any more */
	return 0;
}

int emulated_judge(const struct emulated_device *d, const struct emulated_rates *able,
		   struct err *err)
{
	const struct emulated_rates need = needed_rates(d->params, d->in_flight);

	if (able->bytes_per_s < need.bytes_per_s)
		return err_set(err, ENOTSUP,
			       "this host is too slow to play the emulated device: got %.2f GB/s "
			       "copied, expected at least the setting's peak, %.2f GB/s",
			       able->bytes_per_s / 1e9, need.bytes_per_s / 1e9);
	if (able->reads_per_s < need.reads_per_s)
		return err_set(err, ENOTSUP,
			       "this host is too slow to play the emulated device: got %.0f k "
			       "reads/s served, expected at least the setting's peak, %.0f k "
			       "reads/s with %u in flight",
			       able->reads_per_s / 1e3, need.reads_per_s / 1e3, d->in_flight);
	return 0;
}
