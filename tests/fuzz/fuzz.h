/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz.h - what the fuzz targets share: the input as a file, and a check that stops the fuzzer
 *
 * A target holds what its parser promises against what it gave: FUZZ_CHECK() aborts, as a finding
 * must. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(promise)                                                                        \
	do {                                                                                       \
		if (!(promise)) {                                                                  \
			fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__,         \
				#promise);                                                         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The path of a file of those bytes: one file in memory, whose content changes. */
static inline const char *fuzz_file(const void *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		snprintf(path, sizeof(path), "/flashcast-fuzz-%ld", (long)getpid());
		fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		FUZZ_CHECK(fd >= 0);
		shm_unlink(path);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	FUZZ_CHECK(ftruncate(fd, (off_t)size) == 0);
	FUZZ_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

#endif
