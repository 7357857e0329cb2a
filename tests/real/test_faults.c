/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_faults.c - hazard: a file that changes or goes away under a run, and a run that goes on with
 * rubbish
 *
 * Each fault must end the run with a message that names the file and the figures, and close
 * cleanly. */
#include "worlds.h"

/* A file of the model cut to 'bytes'. */
static void cut(const struct bench *b, const char *file, off_t bytes)
{
	char path[TINY_PATH + 32];

	snprintf(path, sizeof(path), "%s/%s", b->dir, file);
	ck_assert_int_eq(truncate(path, bytes), 0);
}

static const struct {
	const char *why, *policy, *file;
	off_t bytes;
} cuts[] = {
	{"FFN, dense", "{demand: dense, residency: none}", "ffn.bundle.gguf", 40000},
	{"FFN, sparse", "{demand: noisy, residency: window, chunk: row}", "ffn.bundle.gguf", 8192},
	{"FFN, pread", "{demand: noisy, residency: window, chunk: row, read_engine: pread}",
	 "ffn.bundle.gguf", 8192},
	{"FFN, mmap", "{demand: noisy, residency: window, chunk: row, read_engine: mmap}",
	 "ffn.bundle.gguf", 8192},
	{"FFN to nothing, mmap", "{demand: oracle, residency: none, read_engine: mmap}",
	 "ffn.bundle.gguf", 0},
	{"FFN to nothing", "{demand: oracle, residency: none}", "ffn.bundle.gguf", 0},
	{"FFN, split", "{demand: noisy, residency: window, layout: split}", "ffn.split.gguf", 8192},
	{"base", "{demand: dense, residency: none, persistence: none}", "base.gguf", 12288},
	{"base, after some resident layers",
	 "{demand: dense, residency: none, persistence: fraction, persist_frac: 0.5, "
	 "dense_chunk: 4KiB}",
	 "base.gguf", 4096 * 9},
};

START_TEST(a_file_cut_while_it_is_read_ends_the_run)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT), .policy = cuts[_i].policy};
	struct run_outcome outcome;
	struct err err = {0};
	struct bench b;

	bench_open(&b, &o);
	b.verify = false;
	cut(&b, cuts[_i].file, cuts[_i].bytes);
	ck_assert_msg(run(&outcome, &b.run, &err) == EIO, "%s: code %d: %s", cuts[_i].why, err.code,
		      err.msg);
	ck_assert_msg(strstr(err.msg, cuts[_i].file) != NULL && strstr(err.msg, "token 0") != NULL,
		      "%s: said '%s'", cuts[_i].why, err.msg);
	bench_close(&b);
}
END_TEST

START_TEST(a_file_that_is_short_before_is_not_opened)
{
	struct bench_options o = {.model = tiny_model(MODEL_FALCON),
				  .policy = "{demand: dense, residency: none}"};
	struct err err = {0};
	struct bench b;

	bench_make(&b, &o);
	cut(&b, "ffn.bundle.gguf", 40000);
	ck_assert_int_eq(bench_open_real(&b, &o, &err), EBADMSG);
	ck_assert_msg(strstr(err.msg, "ffn.bundle.gguf") != NULL, "%s", err.msg);
	bench_close(&b);
}
END_TEST

START_TEST(a_missing_file_is_told_by_name)
{
	static const char *const files[] = {"base.gguf", "ffn.bundle.gguf"};
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: dense, residency: none}"};
	char path[TINY_PATH + 32];
	struct err err = {0};
	struct bench b;

	bench_make(&b, &o);
	snprintf(path, sizeof(path), "%s/%s", b.dir, files[_i]);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(bench_open_real(&b, &o, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, path) != NULL, "%s", err.msg);
	bench_close(&b);
}
END_TEST

START_TEST(changed_weights_are_found_by_verify)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: noisy, residency: window, window: 2}"};
	char path[TINY_PATH + 32];
	struct run_outcome outcome;
	struct err err = {0};
	unsigned char *bytes;
	struct bench b;
	size_t size;

	bench_open(&b, &o);
	b.verify = false;
	ck_ok(run(&outcome, &b.run, &err));
	snprintf(path, sizeof(path), "%s/ffn.bundle.gguf", b.dir);
	bytes = file_slurp(path, &size);
	for (size_t i = 4096; i < size; i += 512)
		bytes[i] ^= 1;
	file_spit(path, bytes, size);
	free(bytes);
	ck_assert_int_eq(real_world_verify(b.real, 0, b.resident[0], &err), EPROTO);
	ck_assert_msg(strstr(err.msg, "as in the file") != NULL, "%s", err.msg);
	bench_close(&b);
}
END_TEST

START_TEST(too_much_memory_is_refused_and_not_taken)
{
	struct bench_options o = {.model = tiny_model(MODEL_OPT),
				  .policy = "{demand: dense, residency: none}"};
	struct err err = {0};
	struct bench b;

	bench_make(&b, &o);
	b.needs.read_bytes_peak = UINT64_C(1) << 50;
	o.tile_bytes = UINT64_C(1) << 50;
	ck_assert_int_eq(bench_open_real(&b, &o, &err), ENOMEM);
	ck_assert_msg(strstr(err.msg, "read buffers") != NULL, "%s", err.msg);
	bench_close(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *tcase = tcase_create("faults");

	if (!host_has_direct_io())
		return 77;
	tcase_add_loop_test(tcase, a_file_cut_while_it_is_read_ends_the_run, 0,
			    sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(tcase, a_file_that_is_short_before_is_not_opened);
	tcase_add_loop_test(tcase, a_missing_file_is_told_by_name, 0, 2);
	tcase_add_test(tcase, changed_weights_are_found_by_verify);
	tcase_add_test(tcase, too_much_memory_is_refused_and_not_taken);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
