/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fio_job.h - a batch of reads as a job file of fio's, and what fio says of it
 *
 * fio replays logs of offsets (its read_iolog), so that it reads exactly what our engine read, at the
 * same depth: one log and ioengine=io_uring, or ioengine=psync and as many threads as there are reads
 * in flight, with a log each.  Job and logs lie in one folder, beside a link `data` to the file that
 * is read, and can be run again there: `cd DIR && fio NAME.fio`. */
#ifndef FLASH_FIO_JOB_H
#define FLASH_FIO_JOB_H

#include "mechanism.h"
#include "real_read.h"

struct fio_job {
	const char *fio;	 /* the program */
	const char *dir;	 /* where it works: fio_job_folder() made it */
	const char *name;	 /* of the job's files */
	enum read_engine engine; /* READ_IO_URING or READ_PREAD, and fio does likewise */
	unsigned in_flight;
	uint32_t read_bytes;
	bool fixed_buffers; /* io_uring: registered, as ours are where that is allowed */
	const struct read_request *requests;
	size_t count; /* at least in_flight */
};

/* Make 'dir' and its link to 'file'. */
MUST_CHECK int fio_job_folder(const char *dir, const char *file, struct err *err);
/* Write job and logs. */
MUST_CHECK int fio_job_write(const struct fio_job *job, struct err *err);
/* Run it.  fio times to the millisecond, and a replay only until its log is at an end: the last reads,
 * at most in_flight - 1 of them, are in neither its bytes nor its time. */
MUST_CHECK int fio_job_run(const struct fio_job *job, double *bytes_per_s, struct err *err);
/* The first line of `fio --version`; ENOENT when there is no fio, with where to get one. */
MUST_CHECK int fio_version(char *text, size_t size, const char *fio, struct err *err);

#endif
