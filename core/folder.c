/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folder.c - one mkdir() for each part of a path */
#include "folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* 'part' is the whole path or the beginning of it. */
static int folder_make_one(const char *part, const char *path, struct err *err)
{
	struct stat st;
	int why;

	if (mkdir(part, 0777) == 0)
		return 0;
	why = errno;
	/* A folder that stands may be refused for other reasons too, such as a read-only root. */
	if (stat(part, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	errno = why == EEXIST ? ENOTDIR : why;
	if (strcmp(part, path) != 0)
		return err_errno(err, "%s: cannot make the folder %s on the way", path, part);
	return err_errno(err, "%s: cannot make the folder", path);
}

int folder_make(const char *path, struct err *err)
{
	char *part = strdup(path);

	if (!part)
		return err_nomem(err, "a folder's name", strlen(path));
	/* From the second character: "/" and "" are there. */
	for (char *at = part; *at && !err->code;) {
		char end;

		at += 1 + strcspn(at + 1, "/");
		end = *at;
		*at = '\0';
		(void)!folder_make_one(part, path, err);
		*at = end;
	}
	free(part);
	return err->code;
}

int folder_make_for(const char *file, struct err *err)
{
	const char *slash = strrchr(file, '/');
	char *folder;

	if (!slash || slash == file)
		return 0;
	folder = strndup(file, (size_t)(slash - file));
	if (!folder)
		return err_nomem(err, "a folder's name", strlen(file));
	(void)!folder_make(folder, err);
	free(folder);
	return err->code;
}
