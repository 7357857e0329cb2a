/* SPDX-License-Identifier: GPL-3.0-or-later */
/* err.h - what went wrong outside the program: where, got, expected
 *
 * A bug is an assert.  The outside world (file, config, device, memory) is a return code: 0, or an
 * errno value that also stands in err->code.  EINVAL means "the user's config or usage is wrong"
 * (exit status 2); every other code is a failure (exit status 1).  The first error wins; callers put
 * their place in front with err_where().  Only main() prints. */
#ifndef FLASH_ERR_H
#define FLASH_ERR_H

#define MUST_CHECK	      __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, arg) __attribute__((format(printf, fmt, arg)))

struct err {
	int code; /* 0 = no error yet */
	char msg[768];
};

/* Record an error unless one stands already.  Returns err->code, never 0. 'err' may not be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set() with code = errno and ": <strerror>" at the end.  Keeps errno. */
int err_errno(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Put "where: " in front of the message that stands.  Returns err->code. */
int err_where(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Out of memory while allocating 'bytes' for 'what': ENOMEM. */
int err_nomem(struct err *err, const char *what, unsigned long long bytes);

#endif
