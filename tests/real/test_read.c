/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_read.c - hazard: a read engine that brings wrong bytes, loses a request, or hides a short
 * read */
#define _GNU_SOURCE
#include "read_engine.h"
#include "rng.h"
#include "tiny.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { BASE_BYTES = 256 << 10, FFN_BYTES = 4 << 20, BATCH_MOST = 96 };

static char dir[TINY_PATH], paths[READER_FILES][TINY_PATH + 16];
static unsigned char *contents[READER_FILES];
static const size_t sizes[READER_FILES] = {BASE_BYTES, FFN_BYTES};

static void write_file(unsigned i)
{
	struct rng rng = {i + 1};
	unsigned char *bytes = malloc(sizes[i]);

	ck_assert_ptr_nonnull(bytes);
	for (size_t k = 0; k < sizes[i]; k += 8) {
		const uint64_t word = rng_next(&rng);

		memcpy(bytes + k, &word, 8);
	}
	snprintf(paths[i], sizeof(paths[i]), "%s/file%u", dir, i);
	file_spit(paths[i], bytes, sizes[i]);
	contents[i] = bytes;
}

static void setup(void)
{
	dir_make(dir);
	for (unsigned i = 0; i < READER_FILES; i++)
		write_file(i);
}

static void teardown(void)
{
	dir_remove(dir);
	for (unsigned i = 0; i < READER_FILES; i++)
		free(contents[i]);
}

static int open_engine(struct reader **reader, enum read_engine engine, unsigned in_flight,
		       struct err *err)
{
	const struct reader_options options = {
		.engine = engine, .paths = {paths[0], paths[1]}, .in_flight = in_flight};

	return reader_open(reader, &options, err);
}

/* The engines of this host: each test runs over all of them (main() leaves out what is not there). */
static enum read_engine engines[] = {READ_PREAD, READ_MMAP, READ_IO_URING};
static int engine_count;

static struct reader *open_reader(enum read_engine engine, unsigned in_flight)
{
	struct reader *reader = NULL;
	struct err err = {0};

	ck_ok(open_engine(&reader, engine, in_flight, &err));
	return reader;
}

static void check_bytes(const struct read_request *requests, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(memcmp(requests[i].to,
				     contents[requests[i].file] + requests[i].offset,
				     requests[i].bytes) == 0,
			      "request %zu: file %u offset %llu bytes %u", i, requests[i].file,
			      (unsigned long long)requests[i].offset, requests[i].bytes);
}

/* Requests of 'bytes' at random aligned places of both files, each to a place of its own. */
static uint64_t make_batch(struct read_request *requests, size_t count, uint32_t bytes,
			   unsigned char *to, struct rng *rng)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned file = bytes <= BASE_BYTES ? rng_below(rng, READER_FILES) : 1;
		const uint32_t places = (uint32_t)((sizes[file] - bytes) / 4096 + 1);

		requests[i] = (struct read_request){file, rng_below(rng, places) * UINT64_C(4096),
						    bytes, to + i * bytes};
	}
	return count * bytes;
}

static const struct {
	uint32_t bytes;
	unsigned in_flight, count;
} reads[] = {
	{4096, 1, 1},	{4096, 1, 17},	 {4096, 32, 96},  {8192, 8, 5},	    {16384, 32, 96},
	{20480, 3, 50}, {65536, 16, 33}, {1 << 20, 4, 8}, {1 << 20, 32, 8},
};

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

START_TEST(a_batch_brings_the_files_bytes)
{
	const int i = _i % COUNT(reads);
	struct reader *reader = open_reader(engines[_i / COUNT(reads)], reads[i].in_flight);
	unsigned char *to = reader_alloc(reader, (size_t)reads[i].bytes * reads[i].count);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {(uint64_t)_i};
	struct read_done done;
	struct err err = {0};
	uint64_t bytes;

	ck_assert_ptr_nonnull(to);
	ck_assert_uint_eq((uintptr_t)to % 4096, 0);
	bytes = make_batch(requests, reads[i].count, reads[i].bytes, to, &rng);
	ck_ok(reader_submit(reader, requests, reads[i].count, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_uint_eq(done.count, reads[i].count);
	ck_assert_uint_eq(done.bytes, bytes);
	ck_assert_uint_gt(done.service_ns, 0);
	check_bytes(requests, reads[i].count);
	reader_close(reader);
}
END_TEST

/* Threads oversleep batches and meet the next one; none may be lost or done twice. */
START_TEST(batch_after_batch_of_any_size_is_whole)
{
	struct reader *reader = open_reader(engines[_i / 2], _i % 2 ? 7 : 32);
	unsigned char *to = reader_alloc(reader, (size_t)BATCH_MOST * 4096);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {3};

	ck_assert_ptr_nonnull(to);
	for (unsigned batch = 0; batch < 150; batch++) {
		const size_t count = rng_below(&rng, batch % 3 ? 6 : BATCH_MOST + 1);
		struct read_done done;
		struct err err = {0};
		uint64_t bytes;

		memset(to, 0xee, (size_t)BATCH_MOST * 4096);
		bytes = make_batch(requests, count, 4096, to, &rng);
		ck_ok(reader_submit(reader, requests, count, &err));
		ck_ok(reader_wait(reader, &done, &err));
		ck_assert_uint_eq(done.count, count);
		ck_assert_uint_eq(done.bytes, bytes);
		check_bytes(requests, count);
	}
	reader_close(reader);
}
END_TEST

/* Requests of 4 to 64 KiB at random places, file after file, none of them twice the same place of
 * 'to'. */
static size_t make_mixed(struct read_request *requests, size_t count, unsigned char *to,
			 struct rng *rng)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t bytes = (1 + rng_below(rng, 16)) * 4096;
		const unsigned file = rng_below(rng, READER_FILES);
		const uint32_t places = (uint32_t)((sizes[file] - bytes) / 4096 + 1);

		requests[i] = (struct read_request){file, rng_below(rng, places) * UINT64_C(4096),
						    bytes, to};
		to += bytes;
	}
	return count;
}

/* Wait for ever more of the first ones, and hold each to its file as soon as it is said to be there. */
static void follow(struct reader *reader, const struct read_request *requests, size_t count,
		   struct rng *rng)
{
	size_t seen = 0, have, want;
	struct err err = {0};

	ck_ok(reader_progress(reader, 0, &have, &err));
	while (seen < count) {
		want = seen + rng_below(rng, 12);
		ck_ok(reader_progress(reader, want, &have, &err));
		ck_assert_uint_ge(have, want < count ? want : count);
		ck_assert_uint_ge(have, seen);
		check_bytes(requests + seen, have - seen);
		seen = have;
	}
}

START_TEST(the_first_requests_are_there_when_progress_says_so)
{
	static const unsigned in_flight[] = {1, 3, 32};
	struct reader *reader = open_reader(engines[_i / 3], in_flight[_i % 3]);
	const size_t room = (size_t)BATCH_MOST << 16;
	unsigned char *to = reader_alloc(reader, room);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {(uint64_t)_i + 20};

	ck_assert_ptr_nonnull(to);
	for (unsigned batch = 0; batch < 20; batch++) {
		const size_t count =
			make_mixed(requests, rng_below(&rng, BATCH_MOST + 1), to, &rng);
		struct read_done done;
		struct err err = {0};
		size_t have;

		memset(to, 0xee, room);
		ck_ok(reader_submit(reader, requests, count, &err));
		/* Some are left to reader_wait(), as a caller would who needs no more of them. */
		follow(reader, requests, batch % 4 ? count : count / 2, &rng);
		if (batch % 4 == 1) {
			ck_ok(reader_progress(reader, count + 5, &have, &err));
			ck_assert_uint_eq(have, count);
		}
		ck_ok(reader_wait(reader, &done, &err));
		ck_assert_uint_eq(done.count, count);
		check_bytes(requests, count);
	}
	reader_close(reader);
}
END_TEST

START_TEST(memory_may_be_taken_between_batches)
{
	struct reader *reader = open_reader(engines[_i], 8);
	const bool registers = engines[_i] == READ_IO_URING;
	uint64_t registered = 0;

	for (unsigned i = 1; i <= 5; i++) {
		struct read_request requests[BATCH_MOST];
		struct rng rng = {i};
		struct read_done done;
		struct err err = {0};
		unsigned char *to = reader_alloc(reader, (size_t)BATCH_MOST * 4096 * i);

		ck_assert_ptr_nonnull(to);
		/* Where the first one could be registered, so can the others. */
		if (registers && (i == 1 || registered > 0)) {
			const uint64_t now = io_uring_registered_bytes(reader);

			ck_assert_uint_eq(
				now,
				i == 1 && !now ? 0 : registered + BATCH_MOST * UINT64_C(4096) * i);
			registered = now;
		}
		make_batch(requests, BATCH_MOST, 4096 * i, to, &rng);
		ck_ok(reader_submit(reader, requests, BATCH_MOST, &err));
		ck_ok(reader_wait(reader, &done, &err));
		check_bytes(requests, BATCH_MOST);
	}
	reader_close(reader);
}
END_TEST

START_TEST(the_smallest_alignment_that_is_told_can_be_read)
{
	struct reader *reader = open_reader(engines[_i], 2);
	const size_t align = reader_align(reader);
	unsigned char *to = reader_alloc(reader, 4 * align);
	const struct read_request request = {1, 3 * align, (uint32_t)align, to + align};
	struct read_done done;
	struct err err = {0};

	ck_assert_ptr_nonnull(to);
	ck_assert_uint_ge(align, 512);
	ck_assert_uint_le(align, 4096);
	ck_assert_uint_eq(align & (align - 1), 0);
	ck_ok(reader_submit(reader, &request, 1, &err));
	ck_ok(reader_wait(reader, &done, &err));
	check_bytes(&request, 1);
	reader_close(reader);
}
END_TEST

static const struct {
	const char *why;
	uint64_t offset;
	uint32_t bytes;
	size_t to;
} misaligned[] = {
	{"offset", 100, 4096, 0},
	{"bytes", 4096, 4097, 0},
	{"buffer", 4096, 4096, 8},
};

START_TEST(a_misaligned_request_is_a_bug)
{
	struct reader *reader = open_reader(READ_PREAD, 1);
	unsigned char *to = reader_alloc(reader, 3 * 4096);
	const struct read_request request = {1, misaligned[_i].offset, misaligned[_i].bytes,
					     to + misaligned[_i].to};
	struct err err = {0};

	(void)!reader_submit(reader, &request, 1, &err);
}
END_TEST

START_TEST(the_kernel_counts_what_the_engine_counts)
{
	struct reader *reader = open_reader(engines[_i], 8);
	unsigned char *to = reader_alloc(reader, (size_t)BATCH_MOST * 8192);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {5};
	struct read_done done;
	struct err err = {0};
	uint64_t before, after;

	ck_assert_ptr_nonnull(to);
	make_batch(requests, BATCH_MOST, 8192, to, &rng);
	if (reader_outside_count(reader, &before, &err) == ENOTSUP) {
		if (engines[_i] == READ_MMAP)
			ck_assert_msg(strstr(err.msg, "page cache") != NULL, "%s", err.msg);
		reader_close(reader);
		return;
	}
	ck_ok(reader_submit(reader, requests, BATCH_MOST, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_ok(reader_outside_count(reader, &after, &err));
	ck_assert_uint_ge(after - before, done.bytes);
	/* The kernel may have read the file system's own blocks besides. */
	ck_assert_uint_le(after - before, done.bytes + (64 << 10));
	reader_close(reader);
}
END_TEST

/* ---- what goes wrong ---- */

static void check_fails(struct reader *reader, const struct read_request *requests, size_t count,
			const char *says)
{
	struct read_done done;
	struct err err = {0};

	ck_ok(reader_submit(reader, requests, count, &err));
	ck_assert_int_eq(reader_wait(reader, &done, &err), EIO);
	ck_assert_msg(strstr(err.msg, says) != NULL, "said: %s; wanted: %s", err.msg, says);
	ck_assert_msg(strstr(err.msg, paths[1]) != NULL, "said: %s", err.msg);
	ck_assert_uint_lt(done.count, count);
}

static void check_works(struct reader *reader, unsigned char *to)
{
	const struct read_request request = {0, 8192, 4096, to};
	struct read_done done;
	struct err err = {0};

	ck_ok(reader_submit(reader, &request, 1, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_uint_eq(done.count, 1);
	check_bytes(&request, 1);
}

static const struct {
	const char *why;
	off_t left; /* of file 1 after it was opened */
	uint64_t offset;
	uint32_t bytes;
	const char *says;
} cut[] = {
	{"all of it is gone", 8192, 16384, 8192, "offset 16384: got 0 bytes, expected 8192"},
	{"half of it is gone", 20480, 16384, 8192, "offset 16384: got 4096 bytes, expected 8192"},
	{"it ends at an odd place", 16484, 16384, 8192, "bytes, expected 8192"},
};

START_TEST(a_short_read_is_told_with_offset_got_and_expected)
{
	const int i = _i % COUNT(cut);
	struct reader *reader = open_reader(engines[_i / COUNT(cut)], 4);
	unsigned char *to = reader_alloc(reader, 4 * 8192);
	const struct read_request requests[] = {
		{0, 0, 4096, to},
		{1, cut[i].offset, cut[i].bytes, to + 8192},
		{0, 4096, 4096, to + 16384},
	};

	ck_assert_ptr_nonnull(to);
	ck_assert_int_eq(truncate(paths[1], cut[i].left), 0);
	check_fails(reader, requests, 3, cut[i].says);
	check_works(reader, to);
	reader_close(reader);
}
END_TEST

START_TEST(a_device_error_is_told_and_the_rest_is_let_go)
{
	struct reader *reader = open_reader(engines[_i], 1);
	unsigned char *to = reader_alloc(reader, 4 * 4096);
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The nearest to a broken device that a test can have: a file that is not open, or, where
	 * the kernel holds the file itself, no place to read to. */
	const bool holds_file = engines[_i] == READ_IO_URING;
	const struct read_request requests[] = {
		{0, 0, 4096, to},
		{1, 4096, 4096, holds_file ? nowhere : to + 4096},
		{0, 4096, 4096, to + 8192},
	};
	const int fd = reader->files[1].fd;

	ck_assert_ptr_nonnull(to);
	ck_assert_ptr_ne(nowhere, MAP_FAILED);
	if (!holds_file)
		reader->files[1].fd = -1;
	memset(to, 0, 4 * 4096);
	check_fails(reader, requests, 3, holds_file ? "Bad address" : "Bad file descriptor");
	for (unsigned i = 0; i < 4096; i++)
		ck_assert_uint_eq(to[8192 + i], 0);
	reader->files[1].fd = fd;
	check_works(reader, to);
	reader_close(reader);
	munmap(nowhere, 4096);
}
END_TEST

START_TEST(progress_tells_a_failure_and_the_batch_is_still_waited_for)
{
	struct reader *reader = open_reader(engines[_i], 2);
	unsigned char *to = reader_alloc(reader, 40 * 4096);
	struct read_request requests[40];
	struct read_done done;
	struct err err = {0};
	size_t have;

	ck_assert_ptr_nonnull(to);
	for (unsigned i = 0; i < 40; i++)
		requests[i] = (struct read_request){0, i * 4096, 4096, to + i * 4096};
	requests[20] = (struct read_request){1, 65536, 4096, to + 20 * 4096};
	ck_assert_int_eq(truncate(paths[1], 65536), 0);
	ck_ok(reader_submit(reader, requests, 40, &err));
	ck_assert_int_eq(reader_progress(reader, 40, &have, &err), EIO);
	ck_assert_msg(strstr(err.msg, "got 0 bytes, expected 4096") != NULL, "%s", err.msg);
	ck_assert_uint_le(have, 20);
	check_bytes(requests, have);
	err = (struct err){0};
	ck_assert_int_eq(reader_wait(reader, &done, &err), EIO);
	ck_assert_uint_lt(done.count, 40);
	check_works(reader, to);
	reader_close(reader);
}
END_TEST

/* ---- io_uring where it is kept from us ---- */

static bool has_io_uring(void)
{
	for (int i = 0; i < engine_count; i++)
		if (engines[i] == READ_IO_URING)
			return true;
	return false;
}

/* Let a system call fail with 'code' in this process from here on, as a container's filter does. */
static void forbid(unsigned call, int code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static const struct {
	int code;
	const char *says;
} forbidden[] = {
	{EPERM, "read engine io_uring: io_uring is forbidden here"},
	{ENOSYS, "read engine io_uring: this kernel has no io_uring"},
	{ENOMEM, "read engine io_uring: no memory for a ring"},
};

START_TEST(io_uring_that_is_not_there_is_told_with_the_reason)
{
	struct reader *reader = NULL;
	struct err err = {0};

	forbid(SYS_io_uring_setup, forbidden[_i].code);
	ck_assert_int_eq(open_engine(&reader, READ_IO_URING, 4, &err), ENOTSUP);
	ck_assert_ptr_null(reader);
	ck_assert_msg(strstr(err.msg, forbidden[_i].says) != NULL, "%s", err.msg);
	ck_assert(!reader_engine_works(READ_IO_URING));
	ck_assert(reader_engine_works(READ_PREAD));
}
END_TEST

/* EAGAIN may pass, and is waited for a while. */
static const int refusals[] = {EBADF, EAGAIN};

START_TEST(a_ring_that_takes_no_more_fails_its_reads_and_can_be_closed)
{
	struct read_request requests[20];
	struct reader *reader;
	struct read_done done;
	unsigned char *to;

	if (!has_io_uring())
		return;
	forbid(SYS_io_uring_enter, refusals[_i]);
	reader = open_reader(READ_IO_URING, 8);
	to = reader_alloc(reader, 20 * 4096);
	ck_assert_ptr_nonnull(to);
	for (unsigned i = 0; i < 20; i++)
		requests[i] = (struct read_request){0, i * 4096, 4096, to + i * 4096};
	for (unsigned batch = 0; batch < 3; batch++) {
		struct err err = {0};

		ck_ok(reader_submit(reader, requests, 20, &err));
		ck_assert_int_eq(reader_wait(reader, &done, &err), EIO);
		ck_assert_msg(strstr(err.msg, strerror(refusals[_i])) != NULL, "%s", err.msg);
		ck_assert_uint_eq(done.count, 0);
	}
	reader_close(reader);
}
END_TEST

/* Without the right to lock memory beyond a limit, which root has. */
static void limit_locked_memory(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (limit.rlim_cur == RLIM_INFINITY) {
		limit.rlim_cur = 64 << 20;
		ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	}
	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(UINT32_C(1) << CAP_IPC_LOCK);
	ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

static void check_unregistered(void)
{
	struct reader *reader = open_reader(READ_IO_URING, 8);
	unsigned char *to = reader_alloc(reader, (size_t)BATCH_MOST * 8192);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {4};
	struct read_done done;
	struct err err = {0};

	ck_assert_ptr_nonnull(to);
	ck_assert_uint_eq(io_uring_registered_bytes(reader), 0);
	make_batch(requests, BATCH_MOST, 8192, to, &rng);
	ck_ok(reader_submit(reader, requests, BATCH_MOST, &err));
	ck_ok(reader_wait(reader, &done, &err));
	check_bytes(requests, BATCH_MOST);
	reader_close(reader);
}

START_TEST(where_locked_memory_is_limited_it_is_left_to_others)
{
	if (!has_io_uring())
		return;
	limit_locked_memory();
	check_unregistered();
}
END_TEST

START_TEST(a_kernel_that_registers_nothing_reads_all_the_same)
{
	if (!has_io_uring())
		return;
	forbid(SYS_io_uring_register, ENOMEM);
	check_unregistered();
}
END_TEST

START_TEST(closing_waits_for_what_is_in_flight)
{
	struct reader *reader = open_reader(engines[_i], 4);
	unsigned char *to = reader_alloc(reader, (size_t)BATCH_MOST * 4096);
	struct read_request requests[BATCH_MOST];
	struct rng rng = {9};
	struct err err = {0};

	ck_assert_ptr_nonnull(to);
	make_batch(requests, BATCH_MOST, 4096, to, &rng);
	ck_ok(reader_submit(reader, requests, BATCH_MOST, &err));
	reader_close(reader);
	reader_close(NULL);
}
END_TEST

START_TEST(what_cannot_be_opened_is_told_by_name)
{
	struct reader *reader = NULL;
	struct err err = {0};

	snprintf(paths[1], sizeof(paths[1]), "%s/nowhere", dir);
	ck_assert_int_eq(open_engine(&reader, engines[_i], 2, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, paths[1]) != NULL, "%s", err.msg);
	err = (struct err){0};
	snprintf(paths[1], sizeof(paths[1]), "%s", dir);
	ck_assert_int_eq(open_engine(&reader, engines[_i], 2, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "is a directory, wanted a file") != NULL, "%s", err.msg);
	err = (struct err){0};
	ck_assert_int_eq(open_engine(&reader, engines[_i], 0, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "in_flight: 0 is outside [1, 4096]") != NULL, "%s", err.msg);
	ck_assert_ptr_null(reader);
}
END_TEST

START_TEST(a_memory_file_system_is_refused_with_the_reason)
{
	char path[] = "/dev/shm/real-read-XXXXXX";
	const int fd = mkstemp(path);
	struct reader *reader = NULL;
	struct err err = {0};

	if (fd < 0 || engines[_i] == READ_MMAP)
		return; /* this host has no such file system to refuse */
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	close(fd);
	snprintf(paths[1], sizeof(paths[1]), "%s", path);
	(void)!open_engine(&reader, engines[_i], 2, &err);
	unlink(path);
	ck_assert_int_eq(err.code, ENOTSUP);
	ck_assert_msg(strstr(err.msg, "no direct I/O") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(the_null_engine_counts_and_brings_nothing)
{
	struct read_request requests[BATCH_MOST];
	struct reader *reader = NULL;
	struct rng rng = {1};
	struct read_done done;
	struct err err = {0};
	unsigned char *to;
	uint64_t bytes;

	ck_ok(open_engine(&reader, READ_NULL, 32, &err));
	to = reader_alloc(reader, (size_t)BATCH_MOST * 4096);
	ck_assert_ptr_nonnull(to);
	memset(to, 0xee, (size_t)BATCH_MOST * 4096);
	bytes = make_batch(requests, BATCH_MOST, 4096, to, &rng);
	ck_ok(reader_submit(reader, requests, BATCH_MOST, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_uint_eq(done.count, BATCH_MOST);
	ck_assert_uint_eq(done.bytes, bytes);
	for (size_t i = 0; i < (size_t)BATCH_MOST * 4096; i++)
		ck_assert_uint_eq(to[i], 0xee);
	ck_assert_int_eq(reader_outside_count(reader, &bytes, &err), ENOTSUP);
	reader_close(reader);
}
END_TEST

/* Outside any test, so without Check's asserts. */
static bool host_has(enum read_engine engine)
{
	char path[] = FLASH_BINARY_DIR "/real-read-XXXXXX";
	const struct reader_options options = {
		.engine = engine, .paths = {NULL, path}, .in_flight = 1};
	const int fd = mkstemp(path);
	struct reader *reader = NULL;
	struct err err = {0};

	if (fd < 0 || ftruncate(fd, 8192) != 0)
		return true; /* let the tests say what is wrong */
	close(fd);
	if (reader_open(&reader, &options, &err) == ENOTSUP)
		printf("skipped: %s\n", err.msg);
	reader_close(reader);
	unlink(path);
	return err.code != ENOTSUP;
}

static void find_engines(void)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (host_has(engines[i]))
			engines[engine_count++] = engines[i];
}

#define EACH_ENGINE(test, cases) tcase_add_loop_test(tcase, test, 0, engine_count *(cases))

int main(void)
{
	Suite *suite = suite_create("read");
	TCase *tcase = tcase_create("read");

	find_engines();
	if (!engine_count || engines[0] != READ_PREAD)
		return 77;
	tcase_add_checked_fixture(tcase, setup, teardown);
	EACH_ENGINE(a_batch_brings_the_files_bytes, COUNT(reads));
	EACH_ENGINE(batch_after_batch_of_any_size_is_whole, 2);
	EACH_ENGINE(the_first_requests_are_there_when_progress_says_so, 3);
	EACH_ENGINE(memory_may_be_taken_between_batches, 1);
	EACH_ENGINE(the_smallest_alignment_that_is_told_can_be_read, 1);
	tcase_add_loop_test_raise_signal(tcase, a_misaligned_request_is_a_bug, SIGABRT, 0,
					 COUNT(misaligned));
	EACH_ENGINE(the_kernel_counts_what_the_engine_counts, 1);
	EACH_ENGINE(a_short_read_is_told_with_offset_got_and_expected, COUNT(cut));
	EACH_ENGINE(a_device_error_is_told_and_the_rest_is_let_go, 1);
	EACH_ENGINE(progress_tells_a_failure_and_the_batch_is_still_waited_for, 1);
	tcase_add_loop_test(tcase, io_uring_that_is_not_there_is_told_with_the_reason, 0,
			    COUNT(forbidden));
	tcase_add_loop_test(tcase, a_ring_that_takes_no_more_fails_its_reads_and_can_be_closed, 0,
			    COUNT(refusals));
	tcase_add_test(tcase, where_locked_memory_is_limited_it_is_left_to_others);
	tcase_add_test(tcase, a_kernel_that_registers_nothing_reads_all_the_same);
	EACH_ENGINE(closing_waits_for_what_is_in_flight, 1);
	EACH_ENGINE(what_cannot_be_opened_is_told_by_name, 1);
	EACH_ENGINE(a_memory_file_system_is_refused_with_the_reason, 1);
	tcase_add_test(tcase, the_null_engine_counts_and_brings_nothing);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
