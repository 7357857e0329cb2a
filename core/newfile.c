/* SPDX-License-Identifier: GPL-3.0-or-later */
/* newfile.c - temporary, fsync, rename */
#define _XOPEN_SOURCE 700 /* realpath */
#include "newfile.h"

#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMP_TRIES = 100, TEMP_SUFFIX = 48 };

/* Not mkstemp(): the file keeps the mode that the user's umask gives any new file. */
static int temp_open(struct newfile *file)
{
	size_t size = strlen(file->path) + TEMP_SUFFIX;

	for (int i = 0; i < TEMP_TRIES; i++) {
		int fd;

		snprintf(file->temp, size, "%s.tmp-%ld-%d", file->path, (long)getpid(), i);
		fd = open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

static void file_free(struct newfile *file)
{
	free(file->path);
	free(file->temp);
	memset(file, 0, sizeof(*file));
}

/* What a link points at is written, and the link stays; a rename over a device or a pipe would put a
 * file in its place. */
static int name_target(struct newfile *file, const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: is no plain file, expected one or a new name",
			       path);
	file->path = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? realpath(path, NULL) : NULL;
	if (!file->path)
		file->path = strdup(path);
	if (!file->path)
		return err_nomem(err, "a file's name", strlen(path));
	file->temp = malloc(strlen(file->path) + TEMP_SUFFIX);
	return file->temp ? 0 : err_nomem(err, "a file's name", strlen(file->path) + TEMP_SUFFIX);
}

int newfile_open(struct newfile *file, const char *path, struct err *err)
{
	int fd = -1;

	memset(file, 0, sizeof(*file));
	if (name_target(file, path, err) || folder_make_for(path, err))
		goto fail;
	fd = temp_open(file);
	if (fd < 0) {
		err_errno(err, "%s: cannot create", file->temp);
		goto fail;
	}
	file->stream = fdopen(fd, "w");
	if (!file->stream) {
		err_errno(err, "%s: cannot open a stream", file->temp);
		close(fd);
		unlink(file->temp);
		goto fail;
	}
	return 0;
fail:
	file_free(file);
	return err->code;
}

/* The rename itself is durable only when the folder is on disk as well. */
static int folder_sync(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd;

	if (!folder)
		return err_nomem(err, "a folder's name", strlen(path));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EINVAL: this file system cannot sync a folder, and there is nothing to be done about it.
	 */
	if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
		err_errno(err, "%s: cannot sync the folder", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return err->code;
}

/* stdio remembers that a write failed and not why: one byte more fails for the same reason. */
static int write_err(struct newfile *file, struct err *err)
{
	if (write(fileno(file->stream), "", 1) < 0)
		return err_errno(err, "%s: cannot write", file->path);
	return err_set(err, EIO, "%s: cannot write: an earlier write failed", file->path);
}

int newfile_commit(struct newfile *file, struct err *err)
{
	int closed;

	if (ferror(file->stream))
		write_err(file, err);
	else if (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0)
		err_errno(err, "%s: cannot write", file->path);
	closed = fclose(file->stream);
	if (closed != 0)
		err_errno(err, "%s: cannot write", file->path);
	if (!err->code && rename(file->temp, file->path) != 0)
		err_errno(err, "%s: cannot rename %s to it", file->path, file->temp);
	if (err->code)
		unlink(file->temp);
	else
		folder_sync(file->path, err);
	file_free(file);
	return err->code;
}

void newfile_drop(struct newfile *file)
{
	if (!file->path)
		return;
	fclose(file->stream);
	unlink(file->temp);
	file_free(file);
}
