/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fio_job.c - job file, logs of offsets, and fio's JSON */
#define _GNU_SOURCE
#include "fio_job.h"

#include "folder.h"
#include "program_run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, OUTPUT_MOST = 1 << 20 };

static const char link_name[] = "data";

int fio_job_folder(const char *dir, const char *file, struct err *err)
{
	char target[PATH_BYTES], link[PATH_BYTES];

	if (!realpath(file, target))
		return err_errno(err, "'%s'", file);
	if (folder_make(dir, err))
		return err->code;
	snprintf(link, sizeof(link), "%s/%s", dir, link_name);
	/* A link of an earlier run may point elsewhere; what is no link is not ours to take away. */
	if (readlink(link, (char[1]){0}, 1) > 0)
		unlink(link);
	if (symlink(target, link) != 0)
		return err_errno(err, "'%s'", link);
	return 0;
}

static FILE *open_file(const struct fio_job *job, const char *suffix, struct err *err)
{
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s%s", job->dir, job->name, suffix);
	file = fopen(path, "w");
	if (!file)
		(void)!err_errno(err, "'%s'", path);
	return file;
}

static int close_file(FILE *file, const struct fio_job *job, struct err *err)
{
	const bool bad = ferror(file);

	if (fclose(file) != 0 || bad)
		return err_set(err, EIO, "'%s/%s': cannot write", job->dir, job->name);
	return 0;
}

static unsigned log_count(const struct fio_job *job)
{
	return job->engine == READ_PREAD ? job->in_flight : 1;
}

/* Every log_count-th request, as they would be dealt to threads in turns. */
static int write_log(const struct fio_job *job, unsigned log, struct err *err)
{
	char suffix[32];
	FILE *file;

	snprintf(suffix, sizeof(suffix), ".%u.log", log);
	file = open_file(job, suffix, err);
	if (!file)
		return err->code;
	fprintf(file, "fio version 2 iolog\n%s add\n%s open\n", link_name, link_name);
	for (size_t i = log; i < job->count; i += log_count(job))
		fprintf(file, "%s read %" PRIu64 " %" PRIu32 "\n", link_name,
			job->requests[i].offset, job->requests[i].bytes);
	fprintf(file, "%s close\n", link_name);
	return close_file(file, job, err);
}

int fio_job_write(const struct fio_job *job, struct err *err)
{
	const bool rings = job->engine == READ_IO_URING;
	FILE *file = open_file(job, ".fio", err);

	if (!file)
		return err->code;
	fprintf(file,
		"; %zu reads of %" PRIu32 " bytes, %u in flight: the offsets are in the logs\n"
		"[global]\nthread\ndirect=1\ninvalidate=0\nbs=%" PRIu32 "\ngroup_reporting\n",
		job->count, job->read_bytes, job->in_flight, job->read_bytes);
	if (rings)
		fprintf(file, "ioengine=io_uring\niodepth=%u\n%s", job->in_flight,
			job->fixed_buffers ? "fixedbufs=1\n" : "");
	else
		fprintf(file, "ioengine=psync\n");
	for (unsigned log = 0; log < log_count(job); log++)
		fprintf(file, "[reads%u]\nread_iolog=%s.%u.log\n", log, job->name, log);
	if (close_file(file, job, err))
		return err->code;
	for (unsigned log = 0; log < log_count(job); log++)
		if (write_log(job, log, err))
			return err->code;
	return 0;
}

/* From the text of a --output-format=json. */
static int parse_output(double *bytes_per_s, const struct fio_job *job, const char *text,
			struct err *err)
{
	const char *begin = strchr(text, '{'); /* warnings may stand before it */
	json_t *root = begin ? json_loads(begin, 0, NULL) : NULL;
	json_t *read = json_object_get(json_array_get(json_object_get(root, "jobs"), 0), "read");
	const json_t *count = json_object_get(read, "total_ios");
	const json_t *bytes = json_object_get(read, "io_bytes");
	const json_t *runtime = json_object_get(read, "runtime");

	if (!json_is_integer(count) || !json_is_integer(bytes) || !json_is_integer(runtime))
		err_set(err, EBADMSG,
			"%s: no total_ios, io_bytes and runtime of reads in what it printed, "
			"expected JSON",
			job->fio);
	else if ((uint64_t)json_integer_value(count) != job->count)
		err_set(err, EBADMSG, "%s: made %lld reads, expected the log's %zu", job->fio,
			(long long)json_integer_value(count), job->count);
	else if (json_integer_value(bytes) <= 0 || json_integer_value(runtime) <= 0)
		err_set(err, EBADMSG, "%s: %lld bytes in %lld ms, expected more than none",
			job->fio, (long long)json_integer_value(bytes),
			(long long)json_integer_value(runtime));
	else
		*bytes_per_s = (double)json_integer_value(bytes) /
			       ((double)json_integer_value(runtime) / 1e3);
	json_decref(root);
	return err->code;
}

int fio_job_run(const struct fio_job *job, double *bytes_per_s, struct err *err)
{
	char file[PATH_BYTES];
	const char *const argv[] = {job->fio, "--output-format=json", "--eta=never", file, NULL};
	const struct program program = {argv, job->dir};
	char *output = malloc(OUTPUT_MOST);

	if (!output)
		return err_nomem(err, "what fio prints", OUTPUT_MOST);
	snprintf(file, sizeof(file), "%s.fio", job->name);
	if (!program_run(&program, output, OUTPUT_MOST, err))
		(void)!parse_output(bytes_per_s, job, output, err);
	free(output);
	return err->code;
}

int fio_version(char *text, size_t size, const char *fio, struct err *err)
{
	const char *const argv[] = {fio, "--version", NULL};
	const struct program program = {argv, NULL};
	struct err why = {0};

	if (program_run(&program, text, size, &why))
		return err_set(err, why.code, "%s%s", why.msg,
			       why.code == ENOENT
				       ? ": install fio (Debian: apt-get install fio), or name it "
					 "with --fio PATH"
				       : "");
	text[strcspn(text, "\n")] = 0;
	return 0;
}
