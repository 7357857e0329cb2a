/* SPDX-License-Identifier: GPL-3.0-or-later */
/* throttle.c - a cgroup of this process's own, and the kernel's limits on it
 *
 * What is known of it stands in the kernel and nowhere else: the cgroup's name tells whose it is and
 * where the process came from, and each reader that holds it has an empty child in it. */
#define _GNU_SOURCE
#include "throttle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define OWN_PREFIX "flashcast-"
enum { HOLDERS_MOST = 256, LINE_BYTES = 128 };

// clang-format off
static const struct param throttle_rows[] = {
#define PARAM_OWNER throttle_params
#include "param_rows.h"
#include "throttle_params.h"
#include "param_end.h"
};
// clang-format on

const struct param_table throttle_table = {
	"device.throttle",
	"A limit of the kernel's on what a run reads from this host's disk (cgroups; as root).",
	throttle_rows,
	sizeof(throttle_rows) / sizeof(throttle_rows[0]),
};

struct throttle {
	struct throttle_place place;
	char holder[THROTTLE_PATH + 32]; /* our child of place.own; "" = not made */
};

/* ---- where cgroups are ---- */

static bool word_in(const char *words, const char *word, const char *separators)
{
	const size_t length = strlen(word);

	while (*words) {
		const size_t here = strcspn(words, separators);

		if (here == length && strncmp(words, word, length) == 0)
			return true;
		words += here;
		words += strspn(words, separators);
	}
	return false;
}

/* "io" among what a version 2 hierarchy controls. */
static bool controls_io(const char *mount)
{
	char path[THROTTLE_PATH + 32], line[LINE_BYTES] = "";
	FILE *in;

	snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
	in = fopen(path, "r");
	if (!in)
		return false;
	(void)!fgets(line, sizeof(line), in);
	fclose(in);
	return word_in(line, "io", " \n");
}

/* Where the hierarchy that limits block I/O is mounted; its version, or 0. */
static unsigned find_mount(char mount[THROTTLE_PATH], const char *mounts_path)
{
	FILE *in = setmntent(mounts_path, "r");
	char text[2 * THROTTLE_PATH];
	unsigned version = 0;
	struct mntent entry;

	if (!in)
		return 0;
	while (!version && getmntent_r(in, &entry, text, sizeof(text))) {
		if (strlen(entry.mnt_dir) >= THROTTLE_PATH / 2)
			continue;
		if (strcmp(entry.mnt_type, "cgroup") == 0 && word_in(entry.mnt_opts, "blkio", ","))
			version = 1;
		if (strcmp(entry.mnt_type, "cgroup2") == 0 && controls_io(entry.mnt_dir))
			version = 2;
		if (version)
			snprintf(mount, THROTTLE_PATH, "%s", entry.mnt_dir);
	}
	endmntent(in);
	return version;
}

/* The process's own path in the hierarchy: a line "7:blkio:/path", "0::/path" in version 2. */
static bool find_path(char path[THROTTLE_PATH], const char *cgroup_path, unsigned version)
{
	FILE *in = fopen(cgroup_path, "r");
	char line[THROTTLE_PATH];
	bool found = false;

	while (in && !found && fgets(line, sizeof(line), in)) {
		char *controllers = strchr(line, ':'), *at;

		at = controllers ? strchr(++controllers, ':') : NULL;
		if (!at)
			continue;
		*at++ = '\0';
		at[strcspn(at, "\n")] = '\0';
		found = version == 1 ? word_in(controllers, "blkio", ",") : !*controllers;
		/* The root is "/": then nothing follows the mount's own path. */
		snprintf(path, THROTTLE_PATH, "%s", at[0] && at[1] ? at : "");
	}
	if (in)
		fclose(in);
	return found;
}

/* A process of version 2 must not be in a group that has children with controllers, so its own is
 * beside the one that it comes from, whose name it bears behind an '@'. */
static int name_own(struct throttle_place *place, pid_t pid, const char *mount, const char *path,
		    struct err *err)
{
	char from[THROTTLE_PATH], own_name[64];
	const char *base, *at;
	int length;

	snprintf(own_name, sizeof(own_name), OWN_PREFIX "%ld", (long)pid);
	length = snprintf(from, sizeof(from), "%s%s", mount, path);
	if (length >= THROTTLE_PATH)
		return err_set(err, ENAMETOOLONG, "cgroup '%s'", from);
	base = *path ? strrchr(from, '/') + 1 : "";
	at = strchr(base, '@');
	if (strncmp(base, own_name, strlen(own_name)) == 0 &&
	    (at ? (size_t)(at - base) : strlen(base)) == strlen(own_name)) {
		place->inside = true;
		snprintf(place->own, sizeof(place->own), "%s", from);
		length = snprintf(place->home, sizeof(place->home), "%.*s%s",
				  (int)(base - from - (at ? 0 : 1)), from, at ? at + 1 : "");
	} else if (place->version == 1 || !*path) {
		snprintf(place->home, sizeof(place->home), "%s", from);
		length = snprintf(place->own, sizeof(place->own), "%s/%s", from, own_name);
	} else {
		snprintf(place->home, sizeof(place->home), "%s", from);
		length = snprintf(place->own, sizeof(place->own), "%.*s%s@%s", (int)(base - from),
				  from, own_name, base);
	}
	if (length >= THROTTLE_PATH)
		return err_set(err, ENAMETOOLONG, "cgroup '%s'", from);
	return 0;
}

int throttle_find(struct throttle_place *place, const char *cgroup_path, const char *mounts_path,
		  pid_t pid, struct err *err)
{
	char mount[THROTTLE_PATH], path[THROTTLE_PATH];

	place->version = find_mount(mount, mounts_path);
	if (!place->version)
		return err_set(err, ENOTSUP,
			       "a throttled disk needs the kernel's block-I/O controller: %s has "
			       "neither a cgroup mount with blkio nor a cgroup2 mount with io",
			       mounts_path);
	if (!find_path(path, cgroup_path, place->version))
		return err_set(err, ENOTSUP,
			       "a throttled disk: %s does not tell this process's cgroup in '%s'",
			       cgroup_path, mount);
	return name_own(place, pid, mount, path, err);
}

/* ---- the disk below a file ---- */

static int disk_of(dev_t *disk, const char *path, struct err *err)
{
	char node[128];
	unsigned major_no, minor_no;
	struct stat st;
	FILE *in;

	if (stat(path, &st) != 0)
		return err_errno(err, "'%s'", path);
	*disk = st.st_dev;
	snprintf(node, sizeof(node), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	if (access(node, F_OK) != 0)
		return err_set(err, ENOTSUP,
			       "a throttled disk: '%s' lies on a file system without a block "
			       "device of its own (%u:%u)",
			       path, major(st.st_dev), minor(st.st_dev));
	/* Limits are set for whole disks. */
	snprintf(node, sizeof(node), "/sys/dev/block/%u:%u/partition", major(st.st_dev),
		 minor(st.st_dev));
	if (access(node, F_OK) != 0)
		return 0;
	snprintf(node, sizeof(node), "/sys/dev/block/%u:%u/../dev", major(st.st_dev),
		 minor(st.st_dev));
	in = fopen(node, "r");
	if (!in || fscanf(in, "%u:%u", &major_no, &minor_no) != 2)
		err_set(err, ENOTSUP, "a throttled disk: '%s' does not tell the disk of '%s'", node,
			path);
	else
		*disk = makedev(major_no, minor_no);
	if (in)
		fclose(in);
	return err->code;
}

/* ---- the cgroup ---- */

static int put_line(const char *folder, const char *file, const char *line, struct err *err)
{
	char path[THROTTLE_PATH + 64];
	ssize_t put;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	put = fd < 0 ? -1 : write(fd, line, strlen(line));
	if (put < 0)
		err_set(err, ENOTSUP, "a throttled disk: '%s' to '%s': %s", line, path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return err->code;
}

/* A limit of this disk that stands already and is not 'line' belongs to another reader. */
static int check_same(const char *folder, const char *file, const char *line, struct err *err)
{
	const size_t disk_length = strcspn(line, " ") + 1;
	char path[THROTTLE_PATH + 64], got[LINE_BYTES];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	in = fopen(path, "r");
	while (in && fgets(got, sizeof(got), in) && !err->code) {
		got[strcspn(got, "\n")] = '\0';
		/* Version 2 tells limits on writes behind those on reads. */
		if (strncmp(got, line, disk_length) == 0 && strncmp(got, line, strlen(line)) != 0)
			err_set(err, EBUSY,
				"a throttled disk: this process is limited to '%s' (%s) by another "
				"reader, expected '%s'",
				got, file, line);
	}
	if (in)
		fclose(in);
	return err->code;
}

static int put_limit(const char *folder, const char *file, const char *line, struct err *err)
{
	if (check_same(folder, file, line, err))
		return err->code;
	return put_line(folder, file, line, err);
}

static int put_limits(const struct throttle_place *place, const struct throttle_params *params,
		      dev_t disk, struct err *err)
{
	const uint64_t bytes = (uint64_t)params->read_bytes_per_s,
		       reads = (uint64_t)params->reads_per_s;
	char line[LINE_BYTES];

	if (place->version == 2) {
		snprintf(line, sizeof(line), "%u:%u rbps=%" PRIu64 " riops=%" PRIu64, major(disk),
			 minor(disk), bytes, reads);
		return put_limit(place->own, "io.max", line, err);
	}
	snprintf(line, sizeof(line), "%u:%u %" PRIu64, major(disk), minor(disk), bytes);
	if (put_limit(place->own, "blkio.throttle.read_bps_device", line, err))
		return err->code;
	snprintf(line, sizeof(line), "%u:%u %" PRIu64, major(disk), minor(disk), reads);
	return put_limit(place->own, "blkio.throttle.read_iops_device", line, err);
}

/* A cgroup's children are folders, and only empty ones can be removed. */
static void remove_group(int folder, const char *name)
{
	const int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			(void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	(void)unlinkat(folder, name, AT_REMOVEDIR);
	if (dir)
		closedir(dir); /* and fd */
	else if (fd >= 0)
		close(fd);
}

/* Groups of processes that are gone, beside our own; and one that had our number. */
static void sweep(const struct throttle_place *place)
{
	char folder[THROTTLE_PATH];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s", place->own);
	*strrchr(folder, '/') = '\0';
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		long pid;

		if (sscanf(entry->d_name, OWN_PREFIX "%ld", &pid) != 1 || pid <= 0)
			continue;
		if (pid == getpid() ? place->inside : kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		remove_group(dirfd(dir), entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int make_own(const struct throttle_place *place, struct err *err)
{
	sweep(place);
	if (mkdir(place->own, 0755) != 0 && errno != EEXIST)
		return err_set(err, ENOTSUP,
			       "a throttled disk needs a cgroup of its own, mostly as root: '%s': "
			       "%s",
			       place->own, strerror(errno));
	return 0;
}

/* An empty child for each reader, so that the last one can tell that it is the last. */
static int hold(struct throttle *throttle, struct err *err)
{
	for (unsigned i = 0; i < HOLDERS_MOST; i++) {
		snprintf(throttle->holder, sizeof(throttle->holder), "%s/reader-%u",
			 throttle->place.own, i);
		if (mkdir(throttle->holder, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	err_set(err, ENOTSUP, "a throttled disk: '%s': %s", throttle->holder, strerror(errno));
	throttle->holder[0] = '\0';
	return err->code;
}

static int put_process(const char *group, struct err *err)
{
	char line[32];

	snprintf(line, sizeof(line), "%ld", (long)getpid());
	return put_line(group, "cgroup.procs", line, err);
}

int throttle_enter(struct throttle **out, const struct throttle_params *params,
		   const char *const *paths, size_t count, struct err *err)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));

	if (!throttle)
		return err_nomem(err, "a throttle", sizeof(*throttle));
	if (throttle_find(&throttle->place, "/proc/self/cgroup", "/proc/self/mounts", getpid(),
			  err) ||
	    make_own(&throttle->place, err) || hold(throttle, err))
		goto fail;
	for (size_t i = 0; i < count; i++) {
		dev_t disk;

		if (paths[i] && (disk_of(&disk, paths[i], err) ||
				 put_limits(&throttle->place, params, disk, err)))
			goto fail;
	}
	if (put_process(throttle->place.own, err))
		goto fail;
	*out = throttle; /* the caller owns it now: throttle_leave() */
	return 0;
fail:
	throttle_leave(throttle);
	return err->code;
}

static bool is_held(const char *group)
{
	DIR *dir = opendir(group);
	struct dirent *entry;
	bool held = false;

	while (dir && !held && (entry = readdir(dir)))
		held = strncmp(entry->d_name, "reader-", 7) == 0;
	if (dir)
		closedir(dir);
	return held;
}

void throttle_leave(struct throttle *throttle)
{
	struct err ignored = {0};

	if (!throttle)
		return;
	if (throttle->holder[0])
		(void)rmdir(throttle->holder);
	if (throttle->place.own[0] && !is_held(throttle->place.own)) {
		(void)!put_process(throttle->place.home, &ignored);
		(void)rmdir(throttle->place.own);
	}
	free(throttle);
}
