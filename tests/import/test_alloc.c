/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_alloc.c - every allocation of the checkpoint readers fails once: an error comes back, and
 * nothing leaks
 *
 * Linked with --wrap, so that our calls come here first; the libraries' are their own.  Leaks and
 * double frees are the address sanitizer's to find (dev preset). */
#include "files.h"

/* The linker's names for what --wrap took away, and for what stands in. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static long until_failure; /* 0: none fails; 1: the next one does, once */

static bool fails(void)
{
	if (until_failure == 0 || --until_failure > 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static const char *const folders[] = {
	"safetensors-f16", "safetensors-sharded", "torch-f16", "torch-sharded", "torch-module",
};

START_TEST(each_allocation_may_fail)
{
	char path[FILES_PATH];
	bool is_through = false;
	long n;

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, folders[_i]);
	for (n = 1; !is_through; n++) {
		struct checkpoint *checkpoint = NULL;
		struct err err = {0};
		int code;

		until_failure = n;
		code = checkpoint_open(&checkpoint, path, &err);
		is_through = until_failure > 0;
		until_failure = 0;
		ck_assert_msg(code == (is_through ? 0 : ENOMEM), "allocation %ld: code %d: %s", n,
			      code, err.msg);
		ck_assert(is_through == (checkpoint != NULL));
		checkpoint_close(checkpoint);
	}
	ck_assert_int_gt(n, 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import_alloc");
	TCase *tcase = tcase_create("import_alloc");

	tcase_add_loop_test(tcase, each_allocation_may_fail, 0,
			    sizeof(folders) / sizeof(folders[0]));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
