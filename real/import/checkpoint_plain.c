/* SPDX-License-Identifier: GPL-3.0-or-later */
/* checkpoint_plain.c - files whose tensors' bytes simply lie in them: safetensors, GGUF */
#include "checkpoint_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct plain_part {
	struct checkpoint_part part;
	int fd;
};

/* What a clone without Git LFS leaves in a big file's place. */
static bool is_pointer(int fd)
{
	static const char start[] = "version https://git-lfs";
	char got[sizeof(start) - 1];

	return pread(fd, got, sizeof(got), 0) == (ssize_t)sizeof(got) &&
	       memcmp(got, start, sizeof(got)) == 0;
}

int checkpoint_open_file(int *fd, uint64_t *bytes, const char *path, struct err *err)
{
	struct stat st;

	/* Not blocking: a FIFO of that name would never open. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return err_errno(err, "%s: cannot open", path);
	if (fstat(*fd, &st) != 0)
		err_errno(err, "%s: cannot stat", path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, EBADMSG, "%s: no regular file", path);
	else if (is_pointer(*fd))
		err_set(err, EBADMSG,
			"%s: a Git LFS pointer, expected the file it stands for (git lfs pull)",
			path);
	if (err->code) {
		close(*fd);
		*fd = -1;
		return err->code;
	}
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int checkpoint_pread(int fd, const char *path, uint64_t from, void *to, size_t bytes,
		     struct err *err)
{
	unsigned char *out = to;

	while (bytes > 0) {
		ssize_t got = pread(fd, out, bytes, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "%s: cannot read at byte %" PRIu64, path, from);
		if (got == 0)
			return err_set(err, EIO,
				       "%s: ends at byte %" PRIu64 ", expected %zu more bytes",
				       path, from, bytes);
		out += got;
		from += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

static int plain_read(struct checkpoint_part *part, const struct checkpoint_entry *entry,
		      uint64_t from, void *to, size_t bytes, struct err *err)
{
	const struct plain_part *plain = (const struct plain_part *)part;

	return checkpoint_pread(plain->fd, part->path, entry->at + from, to, bytes, err);
}

static void plain_close(struct checkpoint_part *part)
{
	struct plain_part *plain = (struct plain_part *)part;

	close(plain->fd);
	free(part->path);
	free(plain);
}

static const struct checkpoint_part_ops plain_ops = {.read = plain_read, .close = plain_close};

int checkpoint_keep_plain(struct checkpoint_part **part, struct checkpoint *checkpoint,
			  const char *path, int fd, struct err *err)
{
	struct plain_part *plain = calloc(1, sizeof(*plain));
	char *copy = strdup(path);

	if (!plain || !copy) {
		free(plain);
		free(copy);
		close(fd);
		return err_nomem(err, "an open checkpoint file", sizeof(*plain) + strlen(path));
	}
	plain->part = (struct checkpoint_part){.ops = &plain_ops, .path = copy};
	plain->fd = fd;
	*part = &plain->part;
	return checkpoint_keep(checkpoint, *part, err);
}
