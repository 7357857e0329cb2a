/* SPDX-License-Identifier: GPL-3.0-or-later */
/* program_run.c - fork, exec, and two pipes */
#define _GNU_SOURCE
#include "program_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT = 512, NOT_FOUND = 127 };

/* A pipe that is being emptied into a text; what does not fit is read and dropped. */
struct drain {
	int fd;
	char *text;
	size_t size, used;
};

static void become(const struct program *program, const int out[2], const int complaints[2])
{
	dup2(out[1], STDOUT_FILENO);
	dup2(complaints[1], STDERR_FILENO);
	if (program->dir && chdir(program->dir) != 0)
		_exit(126);
	execvp(program->argv[0], (char *const *)program->argv);
	_exit(NOT_FOUND);
}

static void drain_some(struct drain *drain)
{
	const size_t room = drain->size - 1 - drain->used;
	char dropped[4096];
	const ssize_t got = room ? read(drain->fd, drain->text + drain->used, room)
				 : read(drain->fd, dropped, sizeof(dropped));

	if (got > 0 && room)
		drain->used += (size_t)got;
	if (got == 0 || (got < 0 && errno != EINTR)) {
		close(drain->fd);
		drain->fd = -1;
	}
}

/* Both at once: a program that fills one pipe must not wait for us at the other. */
static void drain_both(struct drain drains[2])
{
	while (drains[0].fd >= 0 || drains[1].fd >= 0) {
		struct pollfd polls[2] = {{drains[0].fd, POLLIN, 0}, {drains[1].fd, POLLIN, 0}};

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			break;
		for (unsigned i = 0; i < 2; i++)
			if (polls[i].revents)
				drain_some(&drains[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		drains[i].text[drains[i].used] = 0;
}

static int tell_status(const char *name, int status, char *complaint, struct err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return err_set(err, ENOENT, "%s: no such program", name);
	complaint[strcspn(complaint, "\n")] = 0;
	return err_set(err, EIO, "%s ended with status %d, expected 0%s%s", name,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
		       complaint[0] ? ": " : "", complaint);
}

static int make_pipes(int out[2], int complaints[2])
{
	if (pipe2(out, O_CLOEXEC) != 0)
		return errno;
	if (pipe2(complaints, O_CLOEXEC) != 0) {
		const int code = errno;

		close(out[0]);
		close(out[1]);
		return code;
	}
	return 0;
}

int program_run(const struct program *program, char *output, size_t size, struct err *err)
{
	const char *name = program->argv[0];
	char complaint[COMPLAINT];
	int out[2], complaints[2], status;
	struct drain drains[2];
	pid_t pid;

	errno = make_pipes(out, complaints);
	if (errno)
		return err_errno(err, "a pipe to %s", name);
	pid = fork();
	if (pid == 0)
		become(program, out, complaints);
	close(out[1]);
	close(complaints[1]);
	drains[0] = (struct drain){out[0], output, size, 0};
	drains[1] = (struct drain){complaints[0], complaint, sizeof(complaint), 0};
	drain_both(drains);
	if (pid < 0)
		return err_errno(err, "cannot start %s", name);
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return err_errno(err, "%s", name);
	return tell_status(name, status, complaint, err);
}
