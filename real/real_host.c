/* SPDX-License-Identifier: GPL-3.0-or-later */
/* real_host.c - this host: its name, its memory, and who else uses its disk and processors */
#define _DEFAULT_SOURCE /* major(), minor() */
#include "real_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

enum { LINE = 512, SECTOR_BYTES = 512, READ_AHEAD_KIB = 128 };
#define STOLEN_TICKS_LEAST 40
#define STOLEN_FRAC_MAX	   0.05

/* Bytes read and written on the block device (major, minor), from /proc/diskstats. */
static bool disk_bytes(uint64_t *bytes, unsigned major_number, unsigned minor_number)
{
	char line[LINE];
	FILE *file = fopen("/proc/diskstats", "r");
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		unsigned got_major, got_minor;
		unsigned long long sectors_read, sectors_written;

		if (sscanf(line, " %u %u %*s %*u %*u %llu %*u %*u %*u %llu", &got_major, &got_minor,
			   &sectors_read, &sectors_written) != 4)
			continue;
		found = got_major == major_number && got_minor == minor_number;
		if (found)
			*bytes = (sectors_read + sectors_written) * SECTOR_BYTES;
	}
	if (file)
		fclose(file);
	return found;
}

static bool own_bytes(uint64_t *bytes)
{
	char line[LINE];
	FILE *file = fopen("/proc/self/io", "r");
	unsigned long long value;
	unsigned found = 0;

	*bytes = 0;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "read_bytes: %llu", &value) == 1 ||
		    sscanf(line, "write_bytes: %llu", &value) == 1) {
			*bytes += value;
			found++;
		}
	if (file)
		fclose(file);
	return found == 2;
}

static bool cpu_ticks(uint64_t *steal, uint64_t *total)
{
	FILE *file = fopen("/proc/stat", "r");
	unsigned long long ticks[8];
	bool known;

	if (!file)
		return false;
	known = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1],
		       &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) == 8;
	fclose(file);
	*total = 0;
	for (unsigned i = 0; known && i < 8; i++)
		*total += ticks[i];
	*steal = known ? ticks[7] : 0;
	return known;
}

void traffic_look(struct traffic *traffic, const char *path)
{
	struct stat st;
	bool cpu;

	*traffic = (struct traffic){0};
	cpu = cpu_ticks(&traffic->steal_ticks, &traffic->total_ticks);
	traffic->known = cpu && stat(path, &st) == 0 && own_bytes(&traffic->own_bytes) &&
			 disk_bytes(&traffic->disk_bytes, major(st.st_dev), minor(st.st_dev));
}

static double ticks_between(const struct traffic *before, const struct traffic *after)
{
	return (double)(after->total_ticks - before->total_ticks);
}

/* 0 where no tick passed. */
static double steal_frac_between(const struct traffic *before, const struct traffic *after)
{
	double ticks = ticks_between(before, after);

	return ticks > 0 ? (double)(after->steal_ticks - before->steal_ticks) / ticks : 0;
}

double traffic_foreign_frac(const struct traffic *before, const struct traffic *after,
			    double *steal_frac)
{
	double own = (double)(after->own_bytes - before->own_bytes), foreign;

	*steal_frac = steal_frac_between(before, after);
	if (!before->known || !after->known)
		return 0;
	/* A process may count bytes a moment before the disk does: a small deficit is none. */
	foreign = (double)(after->disk_bytes - before->disk_bytes) - own;
	if (foreign < 0)
		foreign = 0;
	return foreign / (own > 0x1p20 ? own : 0x1p20);
}

bool traffic_is_stolen(const struct traffic *before, const struct traffic *after)
{
	return ticks_between(before, after) >= STOLEN_TICKS_LEAST &&
	       steal_frac_between(before, after) > STOLEN_FRAC_MAX;
}

uint64_t host_read_ahead_bytes(const char *path)
{
	static const char *const queues[] = {"queue", "../queue"}; /* of a disk, of a partition */
	unsigned long long kib = READ_AHEAD_KIB;
	char name[LINE];
	struct stat st;

	for (size_t i = 0; i < 2 && stat(path, &st) == 0; i++) {
		FILE *file;

		snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/%s/read_ahead_kb",
			 major(st.st_dev), minor(st.st_dev), queues[i]);
		file = fopen(name, "r");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &kib) != 1)
			kib = READ_AHEAD_KIB;
		fclose(file);
		break;
	}
	return kib * 1024;
}

/* The first "model name" of /proc/cpuinfo; machines that have none are named by their architecture.
 */
static void cpu_name(char *text, size_t size, const char *otherwise)
{
	char line[LINE];
	FILE *file = fopen("/proc/cpuinfo", "r");

	snprintf(text, size, "%s", otherwise);
	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value[strcspn(value, "\n")] = 0;
		snprintf(text, size, "%s", value + 2);
		break;
	}
	if (file)
		fclose(file);
}

char *host_name(char *text, size_t size)
{
	struct utsname name;
	char cpu[128];

	if (uname(&name) != 0) {
		snprintf(text, size, "unknown");
		return text;
	}
	cpu_name(cpu, sizeof(cpu), name.machine);
	snprintf(text, size, "%s, %s %s", cpu, name.sysname, name.release);
	return text;
}

void host_peak_reset(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");

	if (!file)
		return;
	fputs("5", file); /* the peak only, see proc(5) */
	fclose(file);
}

/* A line of /proc/self/status in KiB, as bytes; 0 where there is none. */
static uint64_t status_bytes(const char *key)
{
	char line[LINE];
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0) {
			sscanf(line + strlen(key), ": %llu kB", &kib);
			break;
		}
	if (file)
		fclose(file);
	return kib * 1024;
}

uint64_t host_peak_bytes(void)
{
	return status_bytes("VmHWM");
}

uint64_t host_resident_bytes(void)
{
	return status_bytes("VmRSS");
}
