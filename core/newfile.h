/* SPDX-License-Identifier: GPL-3.0-or-later */
/* newfile.h - a file that appears under its name whole, or not at all
 *
 * Written as a temporary beside the target, then fsynced and renamed over it, so that neither a
 * crash nor a full disk leaves half a file where a good one stood.  Folders that are missing on the
 * way to it are made.  What a link points at is written; a device, a pipe or a folder is refused (EINVAL).
 *
 *	struct newfile file;
 *
 *	if (newfile_open(&file, path, err))
 *		return err->code;
 *	fprintf(file.stream, ...);       (write errors are found by the commit)
 *	return newfile_commit(&file, err);  (or newfile_drop() when the content cannot be made) */
#ifndef FLASH_NEWFILE_H
#define FLASH_NEWFILE_H

#include "err.h"

#include <stdio.h>

struct newfile {
	FILE *stream;
	char *path; /* the target; owned */
	char *temp; /* the temporary; owned */
};

MUST_CHECK int newfile_open(struct newfile *file, const char *path, struct err *err);
/* Flush, fsync, rename, fsync the folder.  On failure the temporary is gone and the target
 * untouched. Either way 'file' is closed. */
MUST_CHECK int newfile_commit(struct newfile *file, struct err *err);
void newfile_drop(struct newfile *file);

#endif
