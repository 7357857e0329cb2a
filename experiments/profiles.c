/* SPDX-License-Identifier: GPL-3.0-or-later */
/* profiles.c - device profiles as files of their own, named by their digest */
#include "profiles.h"

#include "device.h"
#include "newfile.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static int profile_path(char path[PATH_MAX], const char *dir, const char *hash, struct err *err)
{
	if (snprintf(path, PATH_MAX, "%s/devices/%s.yaml", dir, hash) < PATH_MAX)
		return 0;
	return err_set(err, ENAMETOOLONG, "%s: too long a path for its devices", dir);
}

static int profile_write(const char *dir, const struct ynode *profile, struct err *err)
{
	char path[PATH_MAX], hash[DIGEST_TEXT];
	struct err unread = {0};
	struct newfile file;
	struct device device;

	/* What cannot be read alone (a base, a word) is none; its trials have said so. */
	if (profile->kind != YNODE_MAP || device_read(&device, profile, &unread))
		return 0;
	device_hash(&device, hash);
	if (profile_path(path, dir, hash, err) || newfile_open(&file, path, err))
		return err->code;
	ynode_write(profile, file.stream);
	return newfile_commit(&file, err);
}

/* The profiles of one block of a sweep. */
static int block_write(const char *dir, const struct ynode *block, struct err *err)
{
	static const char *const axes[] = {"product", "zip"};

	for (size_t a = 0; block->kind == YNODE_MAP && a < 2; a++) {
		const struct ynode *axis = ynode_get(block, axes[a]);
		const struct ynode *devices =
			axis && axis->kind == YNODE_MAP ? ynode_get(axis, "device") : NULL;

		for (size_t i = 0; devices && devices->kind == YNODE_LIST && i < devices->count;
		     i++) {
			if (profile_write(dir, devices->items[i], err))
				return err->code;
		}
	}
	return 0;
}

int profiles_write(const char *dir, const struct ynode *source, struct err *err)
{
	const struct ynode *device = ynode_get(source, "device");
	const struct ynode *sweep = ynode_get(source, "sweep");

	if (device && profile_write(dir, device, err))
		return err->code;
	if (!sweep)
		return 0;
	if (sweep->kind != YNODE_LIST)
		return block_write(dir, sweep, err);
	for (size_t i = 0; i < sweep->count; i++) {
		if (block_write(dir, sweep->items[i], err))
			return err->code;
	}
	return 0;
}

int profile_load(struct ynode **profile, const char *dir, const char *device_hash, struct err *err)
{
	char path[PATH_MAX];

	*profile = NULL;
	/* A digest, and no path of a row that somebody else wrote. */
	if (!device_hash[0] || device_hash[strspn(device_hash, "0123456789abcdef")])
		return 0;
	if (profile_path(path, dir, device_hash, err))
		return err->code;
	return access(path, R_OK) == 0 ? yaml_load(profile, path, err) : 0;
}
