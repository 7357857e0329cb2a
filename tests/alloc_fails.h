/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alloc_fails.h - the n-th allocation fails: what stands between our libraries and the C library's
 * allocator
 *
 * For one file of a test that is linked with flash_alloc_fails(), whose --wrap sends our calls here
 * first; other libraries keep their own.  Leaks and double frees are the address sanitizer's to
 * find (dev preset). */
#ifndef TEST_ALLOC_FAILS_H
#define TEST_ALLOC_FAILS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The linker's names for what --wrap took away, and for what stands in. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
FILE *__wrap_open_memstream(char **text, size_t *size);

static long until_failure; /* 0: none fails; 1: the next one does, once */

static bool alloc_fails(void)
{
	if (until_failure == 0 || --until_failure > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return alloc_fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return alloc_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return alloc_fails() ? NULL : __real_strndup(text, size);
}

FILE *__wrap_open_memstream(char **text, size_t *size)
{
	return alloc_fails() ? NULL : __real_open_memstream(text, size);
}

#endif
