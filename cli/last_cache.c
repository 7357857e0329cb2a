/* SPDX-License-Identifier: GPL-3.0-or-later */
/* last_cache.c - last-level caches as sysfs tells them, or glibc */
#define _GNU_SOURCE
#include "last_cache.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* One short line of a cache's folder; false when there is none. */
static bool read_line(char line[64], long cpu, unsigned index, const char *name)
{
	char path[128];
	FILE *in;
	bool got;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%ld/cache/index%u/%s", cpu, index,
		 name);
	in = fopen(path, "r");
	if (!in)
		return false;
	got = fgets(line, 64, in) != NULL;
	fclose(in);
	return got;
}

/* Bytes of the highest cache of a CPU that is the first of those sharing it; 0 of all others, so
 * that each cache is counted once. */
static uint64_t first_of_cache(long cpu)
{
	unsigned highest = 0, level;
	uint64_t bytes = 0;
	char line[64];

	for (unsigned i = 0; read_line(line, cpu, i, "level"); i++) {
		unsigned long long kib;
		long first;

		if (sscanf(line, "%u", &level) != 1 || level <= highest)
			continue;
		highest = level;
		bytes = 0;
		if (read_line(line, cpu, i, "shared_cpu_list") &&
		    sscanf(line, "%ld", &first) == 1 && first == cpu &&
		    read_line(line, cpu, i, "size") && sscanf(line, "%lluK", &kib) == 1)
			bytes = (uint64_t)kib * 1024;
	}
	return bytes;
}

uint64_t last_cache_bytes(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF), one;
	uint64_t bytes = 0;

	for (long cpu = 0; cpu < cpus; cpu++)
		bytes += first_of_cache(cpu);
	if (bytes)
		return bytes;
	one = sysconf(_SC_LEVEL3_CACHE_SIZE);
	return one > 0 ? (uint64_t)one : 0;
}
