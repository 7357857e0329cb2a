/* SPDX-License-Identifier: GPL-3.0-or-later */
/* err.c - first error wins; places are put in front on the way up */
#include "err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int set_args(struct err *err, int code, const char *fmt, va_list args)
{
	assert(err && code != 0);
	if (err->code)
		return err->code;
	err->code = code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	return code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	code = set_args(err, code, fmt, args);
	va_end(args);
	return code;
}

int err_errno(struct err *err, const char *fmt, ...)
{
	int saved = errno ? errno : EIO;
	size_t used;
	va_list args;

	if (err->code)
		return err->code;
	va_start(args, fmt);
	set_args(err, saved, fmt, args);
	va_end(args);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", strerror(saved));
	errno = saved;
	return saved;
}

int err_where(struct err *err, const char *fmt, ...)
{
	char tail[sizeof(err->msg)];
	size_t used;
	va_list args;

	assert(err->code != 0);
	memcpy(tail, err->msg, sizeof(tail));
	va_start(args, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, args);
	va_end(args);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", tail);
	return err->code;
}

int err_nomem(struct err *err, const char *what, unsigned long long bytes)
{
	return err_set(err, ENOMEM, "out of memory: %llu bytes for %s", bytes, what);
}
