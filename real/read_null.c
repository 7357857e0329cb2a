/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_null.c - completes at once, counts, brings no data: what the harness costs without any flash
 */
#include "read_engine.h"

#include <errno.h>

struct null_reader {
	struct reader reader;
	struct read_done batch;
};

static int null_open(struct reader *reader, const struct reader_options *options, struct err *err)
{
	(void)options;
	(void)err;
	reader->align = 512;
	return 0;
}

static void null_close(struct reader *reader)
{
	(void)reader;
}

static int null_submit(struct reader *reader, const struct read_request *requests, size_t count,
		       struct err *err)
{
	struct null_reader *null = (struct null_reader *)reader;

	(void)err;
	null->batch = (struct read_done){.count = count};
	for (size_t i = 0; i < count; i++)
		null->batch.bytes += requests[i].bytes;
	return 0;
}

static int null_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	(void)want;
	(void)err;
	*have = (size_t)((struct null_reader *)reader)->batch.count;
	return 0;
}

static int null_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	(void)err;
	*done = ((struct null_reader *)reader)->batch;
	return 0;
}

static int null_outside(struct reader *reader, uint64_t *bytes, struct err *err)
{
	(void)reader;
	(void)bytes;
	return err_set(err, ENOTSUP, "read engine null reads nothing, so nobody else counts it");
}

const struct read_engine_ops read_null = {
	.name = "null",
	.help = "completes at once without data: measures the harness",
	.reader_bytes = sizeof(struct null_reader),
	.open = null_open,
	.close = null_close,
	.alloc = reader_map,
	.submit = null_submit,
	.progress = null_progress,
	.wait = null_wait,
	.outside = null_outside,
};
