/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_alloc.c - every allocation of the checkpoint readers fails once: an error comes back, and
 * nothing leaks
 *
 * Linked with --wrap, so that our calls come here first; the libraries' are their own.  Leaks and
 * double frees are the address sanitizer's to find (dev preset). */
#include "alloc_fails.h"
#include "files.h"
#include "hf_config.h"

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

/* A config, and the token that it says ends a text. */
START_TEST(each_allocation_for_a_config_may_fail)
{
	static const char fixture[] = FLASH_SOURCE_DIR "/tests/forward/fixtures/opt-f32";
	bool is_through = false;
	long n;

	for (n = 1; !is_through; n++) {
		struct hf_config config;
		struct err err = {0};
		int64_t eos = -1;

		until_failure = n;
		if (!hf_config_read(&config,
				    FLASH_SOURCE_DIR "/tests/forward/fixtures/opt-f32/config.json",
				    &err))
			(void)!hf_eos_read(&eos, fixture, &err);
		is_through = until_failure > 0;
		until_failure = 0;
		ck_assert_msg(err.code == (is_through ? 0 : ENOMEM), "allocation %ld: code %d: %s",
			      n, err.code, err.msg);
		ck_assert_int_eq(eos, is_through ? 2 : -1);
	}
	ck_assert_int_gt(n, 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("import_alloc");
	TCase *tcase = tcase_create("import_alloc");

	tcase_add_loop_test(tcase, each_allocation_may_fail, 0,
			    sizeof(folders) / sizeof(folders[0]));
	tcase_add_test(tcase, each_allocation_for_a_config_may_fail);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
