/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read_io_uring.c - one thread that keeps in_flight reads in the kernel's rings, direct I/O
 *
 * The thread owns the ring: it submits as many reads as there is room for, sleeps until some are
 * complete, completes all that are, and fills up again.  So the queue depth holds while the caller's
 * threads compute, nobody spins, and a read costs half a thread switch at most.
 * Between batches it sleeps.  Since ring and requests belong to one thread, the kernel may leave
 * completion work to the moment at which that thread asks for it (IORING_SETUP_DEFER_TASKRUN).
 *
 * Files are registered, and so is memory of reader_alloc(), which saves looking up and pinning pages at
 * every read.  Where the kernel refuses, reads go on without.  Memory is left alone where locking it
 * is limited: the limit holds for all processes of a user together, and newer kernels count rings in
 * it too, so that one reader's buffers would keep the next one from opening. */
#define _GNU_SOURCE
#include "futex.h"
#include "read_batch.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFERS = 1024, TRIES = 64, SUBMIT_MOST = 2 };
/* The kernel registers at most 1 GiB at once. */
static const uint64_t buffer_most_bytes = UINT64_C(1) << 30;

/* A read in flight. */
struct slot {
	uint32_t idx, got;
	unsigned tries;
	bool busy;
};

struct buffer {
	const unsigned char *at;
	uint64_t bytes;
};

/* What the thread is asked to do; all but ORDER_READ are waited for at once. */
enum order { ORDER_OPEN, ORDER_ALLOC, ORDER_READ, ORDER_CLOSE };

struct uring_reader {
	struct reader reader;
	struct read_batch batch;
	pthread_t thread;
	bool started;

	enum order order; /* written before `asked` changes */
	_Atomic uint32_t asked, answered;
	int answer;	     /* 0 or errno, of OPEN */
	struct buffer fresh; /* ALLOC: what to register */

	/* The thread's own. */
	struct io_uring ring;
	bool opened, has_file_table, has_buffer_table;
	struct buffer buffers[BUFFERS];
	unsigned buffer_count, buffer_last; /* the last one read into, likely the next too */
	struct slot *slots;
	uint32_t *free_places; /* of slots; free_count of them */
	unsigned free_count;
	uint32_t next; /* request of the batch */
	int broken;    /* errno of a ring that takes no more; every later read fails with it */
};

/* ---- the ring ---- */

/* From the least work for a kernel to what every one has. */
static const unsigned setups[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
	IORING_SETUP_COOP_TASKRUN,				 /* 5.19 */
	0,
};

static int open_ring(struct uring_reader *u)
{
	int rc = -EINVAL;

	for (unsigned i = 0; i < sizeof(setups) / sizeof(setups[0]) && rc == -EINVAL; i++) {
		struct io_uring_params params = {.flags = setups[i]};

		rc = io_uring_queue_init_params(u->reader.in_flight, &u->ring, &params);
	}
	if (rc)
		return -rc;
	u->opened = true;
	return 0;
}

/* CAP_IPC_LOCK, or no limit. */
static bool may_lock(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	struct rlimit limit;

	if (syscall(SYS_capget, &header, data) == 0 &&
	    (data[0].effective & UINT32_C(1) << CAP_IPC_LOCK))
		return true;
	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

bool io_uring_works(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0) != 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

/* Files, and room for memory (Linux 5.19). */
static void make_tables(struct uring_reader *u)
{
	int fds[READER_FILES];

	for (unsigned i = 0; i < READER_FILES; i++)
		fds[i] = u->reader.files[i].fd; /* -1 leaves the place empty */
	u->has_file_table = io_uring_register_files(&u->ring, fds, READER_FILES) == 0;
	u->has_buffer_table =
		may_lock() && io_uring_register_buffers_sparse(&u->ring, BUFFERS) == 0;
}

static void register_buffer(struct uring_reader *u, const struct buffer *fresh)
{
	for (uint64_t from = 0; from < fresh->bytes; from += buffer_most_bytes) {
		struct buffer part = {fresh->at + from, fresh->bytes - from};
		const __u64 tag = 0;
		struct iovec iov;

		if (!u->has_buffer_table || u->buffer_count == BUFFERS)
			return;
		if (part.bytes > buffer_most_bytes)
			part.bytes = buffer_most_bytes;
		iov = (struct iovec){(void *)part.at, part.bytes};
		if (io_uring_register_buffers_update_tag(&u->ring, u->buffer_count, &iov, &tag,
							 1) != 1)
			return;
		u->buffers[u->buffer_count++] = part;
	}
}

static bool holds(const struct buffer *buffer, const unsigned char *at, uint32_t bytes)
{
	return at >= buffer->at && at + bytes <= buffer->at + buffer->bytes;
}

/* The registered buffer that holds all of it; -1: none. */
static int find_buffer(struct uring_reader *u, const unsigned char *at, uint32_t bytes)
{
	unsigned i = u->buffer_last;

	if (i < u->buffer_count && holds(&u->buffers[i], at, bytes))
		return (int)i;
	for (i = 0; i < u->buffer_count; i++)
		if (holds(&u->buffers[i], at, bytes)) {
			u->buffer_last = i;
			return (int)i;
		}
	return -1;
}

/* ---- reads ---- */

static void put_read(struct uring_reader *u, uint32_t place)
{
	const struct slot *slot = &u->slots[place];
	const struct read_request *request = &u->batch.requests[slot->idx];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	unsigned char *to = (unsigned char *)request->to + slot->got;
	const uint32_t bytes = request->bytes - slot->got;
	const int buffer = find_buffer(u, to, bytes);
	const int file = u->has_file_table ? (int)request->file : u->reader.files[request->file].fd;

	assert(sqe && "as many entries as reads in flight");
	if (buffer >= 0)
		io_uring_prep_read_fixed(sqe, file, to, bytes, request->offset + slot->got, buffer);
	else
		io_uring_prep_read(sqe, file, to, bytes, request->offset + slot->got);
	io_uring_sqe_set_flags(sqe, u->has_file_table ? IOSQE_FIXED_FILE : 0);
	io_uring_sqe_set_data64(sqe, place);
}

static void give_back(struct uring_reader *u, uint32_t place)
{
	u->slots[place].busy = false;
	u->free_places[u->free_count++] = place;
}

/* Reads go to the kernel by twos: it holds back what comes in larger numbers until it has seen all of
 * it (a plug), while the device has room and waits.  Two make a batch of 64 reads a sixth shorter
 * than all at once, for a tenth more processor time. */
static void fill(struct uring_reader *u)
{
	unsigned put = 0;

	for (; u->next < u->batch.count && u->free_count > 0; u->next++) {
		uint32_t place;

		if (read_batch_failed(&u->batch)) {
			read_batch_let_go(&u->batch, u->next);
			continue;
		}
		place = u->free_places[--u->free_count];
		u->slots[place] = (struct slot){.idx = u->next, .busy = true};
		put_read(u, place);
		/* What it refuses stays, and goes with the next turn. */
		if (++put % SUBMIT_MOST == 0)
			(void)io_uring_submit(&u->ring);
	}
}

/* What the kernel says of a read: goes on with a read that broke off, or ends it. */
static void take_answer(struct uring_reader *u, uint32_t place, int res)
{
	struct slot *slot = &u->slots[place];
	const struct read_request *request = &u->batch.requests[slot->idx];
	const bool again = res == -EINTR || res == -EAGAIN;

	if (res > 0)
		slot->got += (uint32_t)res;
	if (slot->got == request->bytes) {
		read_batch_complete(&u->batch, slot->idx);
	} else if ((again && slot->tries < TRIES) ||
		   (res > 0 && slot->tries == 0 && !(slot->got % u->reader.align))) {
		/* A device may stop half-way once; twice, or at the end of the file, is an error. */
		slot->tries++;
		put_read(u, place);
		return;
	} else {
		read_batch_fail(&u->batch, slot->idx, res < 0 ? -res : 0, slot->got);
	}
	give_back(u, place);
}

static unsigned reap(struct uring_reader *u)
{
	struct io_uring_cqe *cqe;
	unsigned head, count = 0;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		take_answer(u, (uint32_t)cqe->user_data, cqe->res);
		count++;
	}
	io_uring_cq_advance(&u->ring, count);
	return count;
}

/* The ring takes no more: whatever is in it, or still to be put, will not be seen to end. */
static void break_ring(struct uring_reader *u, int code)
{
	u->broken = code;
	for (uint32_t place = 0; place < u->reader.in_flight; place++)
		if (u->slots[place].busy) {
			read_batch_fail(&u->batch, u->slots[place].idx, code, u->slots[place].got);
			give_back(u, place);
		}
	for (; u->next < u->batch.count; u->next++)
		read_batch_fail(&u->batch, u->next, code, 0);
}

/* Submit what was put and sleep until something is complete.  0, or errno of a ring that takes no more. */
static int turn(struct uring_reader *u, unsigned *refusals)
{
	const int rc = io_uring_submit_and_wait(&u->ring, 1);
	const struct timespec pause = {.tv_nsec = 1000000};

	if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
		return -rc;
	if (reap(u) > 0 || rc >= 0 || rc == -EINTR) {
		*refusals = 0;
		return 0;
	}
	/* The kernel is out of something, memory most likely: that may pass. */
	if (++*refusals == TRIES)
		return -rc;
	nanosleep(&pause, NULL);
	return 0;
}

static void read_all(struct uring_reader *u)
{
	unsigned refusals = 0;
	int code = u->broken;

	u->next = 0;
	while (!code) {
		fill(u);
		if (u->free_count == u->reader.in_flight)
			return;
		code = turn(u, &refusals);
	}
	break_ring(u, code);
}

/* ---- the thread and its orders ---- */

static int open_all(struct uring_reader *u)
{
	const unsigned in_flight = u->reader.in_flight;
	int code;

	u->slots = calloc(in_flight, sizeof(*u->slots));
	u->free_places = calloc(in_flight, sizeof(*u->free_places));
	if (!u->slots || !u->free_places)
		return ENOMEM;
	for (uint32_t place = 0; place < in_flight; place++)
		give_back(u, place);
	code = open_ring(u);
	if (!code)
		make_tables(u);
	return code;
}

static void *thread_main(void *arg)
{
	struct uring_reader *u = arg;

	for (uint32_t answered = 0;; answered++) {
		while (atomic_load(&u->asked) == answered)
			futex_wait(&u->asked, answered, 0, FUTEX_ONE_PROCESS);
		switch (u->order) {
		case ORDER_OPEN:
			u->answer = open_all(u);
			break;
		case ORDER_ALLOC:
			register_buffer(u, &u->fresh);
			break;
		case ORDER_READ:
			read_all(u);
			break;
		case ORDER_CLOSE:
			if (u->opened)
				io_uring_queue_exit(&u->ring);
			return NULL;
		}
		atomic_store(&u->answered, answered + 1);
		futex_wake(&u->answered, 1, FUTEX_ONE_PROCESS);
	}
}

/* The thread is idle, or about to be: a batch that was waited for may lack only its last step. */
static void await_thread(struct uring_reader *u)
{
	uint32_t answered;

	while ((answered = atomic_load(&u->answered)) != atomic_load(&u->asked))
		futex_wait(&u->answered, answered, 0, FUTEX_ONE_PROCESS);
}

static void give_order(struct uring_reader *u, enum order order)
{
	await_thread(u);
	u->order = order;
	atomic_fetch_add(&u->asked, 1);
	futex_wake(&u->asked, 1, FUTEX_ONE_PROCESS);
}

/* ---- the ops ---- */

static int tell_refusal(int code, struct err *err)
{
	switch (code) {
	case ENOSYS:
		return err_set(err, ENOTSUP, "this kernel has no io_uring");
	case EPERM:
	case EACCES:
		return err_set(err, ENOTSUP,
			       "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a "
			       "container's seccomp filter)");
	case ENOMEM:
		return err_set(err, ENOTSUP,
			       "no memory for a ring of io_uring (newer kernels count it in "
			       "RLIMIT_MEMLOCK: ulimit -l)");
	case EINVAL:
		return err_set(err, ENOTSUP, "this kernel's io_uring lacks what we need");
	default:
		return err_set(err, code, "io_uring: %s", strerror(code));
	}
}

static int uring_open(struct reader *reader, const struct reader_options *options, struct err *err)
{
	struct uring_reader *u = (struct uring_reader *)reader;
	int rc;

	if (reader_open_files(reader, options, READER_DIRECT, err))
		return err->code;
	rc = reader_thread(&u->thread, thread_main, u);
	if (rc)
		return err_set(err, rc, "reader thread: %s", strerror(rc));
	u->started = true;
	give_order(u, ORDER_OPEN);
	await_thread(u);
	return u->answer ? tell_refusal(u->answer, err) : 0;
}

static void uring_close(struct reader *reader)
{
	struct uring_reader *u = (struct uring_reader *)reader;

	if (u->started) {
		give_order(u, ORDER_CLOSE);
		pthread_join(u->thread, NULL);
	}
	free(u->slots);
	free(u->free_places);
	read_batch_fini(&u->batch);
}

static void *uring_alloc(struct reader *reader, size_t bytes)
{
	struct uring_reader *u = (struct uring_reader *)reader;
	void *at = reader_map(reader, bytes);

	if (!at)
		return NULL;
	u->fresh = (struct buffer){at, bytes};
	give_order(u, ORDER_ALLOC);
	await_thread(u);
	return at;
}

static int uring_submit(struct reader *reader, const struct read_request *requests, size_t count,
			struct err *err)
{
	struct uring_reader *u = (struct uring_reader *)reader;

	await_thread(u);
	if (read_batch_begin(&u->batch, requests, count, err))
		return err->code;
	if (count > 0)
		give_order(u, ORDER_READ);
	return 0;
}

static int uring_progress(struct reader *reader, size_t want, size_t *have, struct err *err)
{
	return read_batch_progress(&((struct uring_reader *)reader)->batch, reader, want, have,
				   err);
}

static int uring_wait(struct reader *reader, struct read_done *done, struct err *err)
{
	return read_batch_wait(&((struct uring_reader *)reader)->batch, reader, done, err);
}

uint64_t io_uring_registered_bytes(const struct reader *reader)
{
	const struct uring_reader *u = (const struct uring_reader *)reader;
	uint64_t bytes = 0;

	assert(reader->ops == &read_io_uring);
	for (unsigned i = 0; i < u->buffer_count; i++)
		bytes += u->buffers[i].bytes;
	return bytes;
}

const struct read_engine_ops read_io_uring = {
	.name = "io_uring",
	.help = "one thread and the kernel's rings, direct I/O",
	.reader_bytes = sizeof(struct uring_reader),
	.open = uring_open,
	.close = uring_close,
	.alloc = uring_alloc,
	.submit = uring_submit,
	.progress = uring_progress,
	.wait = uring_wait,
	.outside = reader_kernel_count,
};
