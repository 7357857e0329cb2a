/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_throttle.c - hazard: a limit that does not limit, stays after a run, or is another's
 *
 * What needs the kernel's controller and the right to use it is skipped, with the reason, where
 * they are not. */
#define _GNU_SOURCE
#include "throttle.h"

#include "clock.h"
#include "real_emulated.h"
#include "real_read.h"
#include "tiny.h"

#include <signal.h>
#include <sys/wait.h>

enum { FILE_BYTES = 8 << 20 };

static char dir[TINY_PATH], file[TINY_PATH + 16];

static void setup(void)
{
	static unsigned char bytes[FILE_BYTES];

	dir_make(dir);
	snprintf(file, sizeof(file), "%s/file", dir);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 2654435761U >> 13);
	file_spit(file, bytes, sizeof(bytes));
}

static void teardown(void)
{
	dir_remove(dir);
}

/* ---- where cgroups are ---- */

#define V1    "cgroup /cg/blkio cgroup rw,relatime,blkio 0 0\n"
#define CPU   "cgroup /cg/cpu cgroup rw,relatime,cpu 0 0\n"
#define OTHER "tmpfs /cg tmpfs rw 0 0\n"
#define V2    "cgroup2 %s cgroup2 rw 0 0\n" /* %s: a folder whose cgroup.controllers names io */
#define BARE  "cgroup2 /nowhere cgroup2 rw 0 0\n"

static const struct {
	const char *mounts, *cgroup;
	unsigned version;
	bool inside;
	const char *home, *own; /* '%' stands for the mount of V2 */
} places[] = {
	{OTHER CPU V1, "8:cpu:/x\n7:blkio:/\n0::/\n", 1, false, "/cg/blkio",
	 "/cg/blkio/flashcast-42"},
	{V1 CPU, "7:blkio:/a/b\n", 1, false, "/cg/blkio/a/b", "/cg/blkio/a/b/flashcast-42"},
	{V1, "7:blkio:/a/flashcast-42\n", 1, true, "/cg/blkio/a", "/cg/blkio/a/flashcast-42"},
	{V1, "7:blkio:/flashcast-42\n", 1, true, "/cg/blkio", "/cg/blkio/flashcast-42"},
	{V1, "7:blkio:/flashcast-421\n", 1, false, "/cg/blkio/flashcast-421",
	 "/cg/blkio/flashcast-421/flashcast-42"},
	{BARE V2, "0::/\n", 2, false, "%", "%/flashcast-42"},
	{V2, "0::/user/shell\n", 2, false, "%/user/shell", "%/user/flashcast-42@shell"},
	{V2, "0::/user/flashcast-42@shell\n", 2, true, "%/user/shell", "%/user/flashcast-42@shell"},
	{V2 V1, "7:blkio:/a\n0::/b\n", 2, false, "%/b", "%/flashcast-42@b"},
};

static void write_text(const char *path, const char *format)
{
	char text[4096];
	const char *hole = strstr(format, "%s");

	if (hole)
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(hole - format), format, dir,
			 hole + 2);
	else
		snprintf(text, sizeof(text), "%s", format);
	file_spit(path, (const unsigned char *)text, strlen(text));
}

static int find(struct throttle_place *place, const char *mounts, const char *cgroup,
		struct err *err)
{
	char at[3][TINY_PATH + 32];

	snprintf(at[0], sizeof(at[0]), "%s/cgroup.controllers", dir);
	snprintf(at[1], sizeof(at[1]), "%s/mounts", dir);
	snprintf(at[2], sizeof(at[2]), "%s/cgroup", dir);
	write_text(at[0], "cpuset cpu io memory\n");
	write_text(at[1], mounts);
	write_text(at[2], cgroup);
	return throttle_find(place, at[2], at[1], 42, err);
}

static void check_path(const char *got, const char *want)
{
	char whole[TINY_PATH * 2];

	snprintf(whole, sizeof(whole), "%s%s", *want == '%' ? dir : "",
		 *want == '%' ? want + 1 : want);
	ck_assert_str_eq(got, whole);
}

START_TEST(its_own_cgroup_is_found_in_either_version)
{
	struct throttle_place place = {0};
	struct err err = {0};

	ck_ok(find(&place, places[_i].mounts, places[_i].cgroup, &err));
	ck_assert_uint_eq(place.version, places[_i].version);
	ck_assert_int_eq(place.inside, places[_i].inside);
	check_path(place.home, places[_i].home);
	check_path(place.own, places[_i].own);
}
END_TEST

START_TEST(a_host_without_the_controller_is_told_so)
{
	struct throttle_place place = {0};
	struct err err = {0};

	ck_assert_int_eq(find(&place, OTHER CPU BARE, "0::/\n", &err), ENOTSUP);
	ck_assert_msg(strstr(err.msg, "neither a cgroup mount with blkio nor a cgroup2 mount with "
				      "io") != NULL,
		      "said: %s", err.msg);
	err = (struct err){0};
	ck_assert_int_eq(find(&place, V1, "8:cpu:/x\n0::/\n", &err), ENOTSUP);
}
END_TEST

/* ---- the target ---- */

static const struct {
	const char *yaml, *says; /* NULL: it is good */
} targets[] = {
	{"name: slow\nthrottle: {read_bytes_per_s: 50MB/s, reads_per_s: 2k/s}\n", NULL},
	{"name: slow\nthrottle: {read_bytes_per_s: 50MB/s}\n", "reads_per_s is missing"},
	{"name: slow\nthrottle: 3\n", ":2:11: throttle: wanted a mapping"},
	{"name: slow\nthrottle: {read_bytes_per_s: 50MB/s, reads_per_s: 0}\n",
	 "reads_per_s: 0 is outside"},
	{"name: slow\nemulated: {}\nthrottle: {}\n", "wanted one of emulated and throttle"},
	{"name: disk\nthrottle: {read_bytes_per_s: 50MB/s, reads_per_s: 2k/s}\n",
	 "'disk' is this host's own"},
};

START_TEST(a_target_may_be_the_disk_under_a_limit)
{
	struct real_target target;
	struct ynode *map = NULL;
	struct err err = {0};

	ck_ok(yaml_parse(&map, targets[_i].yaml, "dev.yaml", &err));
	if (targets[_i].says) {
		ck_assert_int_eq(real_target_read(&target, map, &err), EINVAL);
		ck_assert_msg(strstr(err.msg, targets[_i].says) != NULL, "said: %s", err.msg);
	} else {
		ck_ok(real_target_read(&target, map, &err));
		ck_assert(target.is_throttled && !target.is_emulated);
		ck_assert_str_eq(target.name, "slow");
		ck_assert_double_eq(target.throttle.read_bytes_per_s, 50e6);
		ck_assert_double_eq(target.throttle.reads_per_s, 2e3);
	}
	ynode_free(map);
}
END_TEST

START_TEST(the_shipped_setting_is_sound)
{
	struct ynode *named = ynode_new_scalar("test", "throttled-disk", 0);
	struct real_target target;
	struct err err = {0};

	ck_assert_ptr_nonnull(named);
	ck_ok(real_target_read(&target, named, &err));
	ck_assert(target.is_throttled);
	ck_assert_str_eq(target.name, "throttled-disk");
	ynode_free(named);
}
END_TEST

/* ---- the kernel ---- */

static const struct throttle_params wide = {.read_bytes_per_s = 1e9, .reads_per_s = 1e6};

static struct throttle *enter(const struct throttle_params *params)
{
	const char *const paths[] = {NULL, file};
	struct throttle *throttle = NULL;
	struct err err = {0};

	ck_ok(throttle_enter(&throttle, params, paths, 2, &err));
	return throttle;
}

static struct throttle_place place_now(void)
{
	struct throttle_place place = {0};
	struct err err = {0};

	ck_ok(throttle_find(&place, "/proc/self/cgroup", "/proc/self/mounts", getpid(), &err));
	return place;
}

START_TEST(the_last_reader_to_leave_puts_the_process_back)
{
	const struct throttle_place before = place_now();
	struct throttle *first = enter(&wide), *second = enter(&wide);
	struct throttle_place now = place_now();

	ck_assert(now.inside);
	ck_assert_str_eq(now.own, before.own);
	ck_assert_str_eq(now.home, before.home);
	throttle_leave(first);
	now = place_now();
	ck_assert(now.inside);
	throttle_leave(second);
	now = place_now();
	ck_assert(!now.inside);
	ck_assert_str_eq(now.home, before.home);
	ck_assert_int_eq(access(before.own, F_OK), -1);
}
END_TEST

START_TEST(two_limits_at_once_are_refused_and_the_first_stays)
{
	const char *const paths[] = {file};
	const struct throttle_params other = {.read_bytes_per_s = 2e9, .reads_per_s = 1e6};
	struct throttle *first = enter(&wide), *second = NULL;
	struct err err = {0};

	ck_assert_int_eq(throttle_enter(&second, &other, paths, 1, &err), EBUSY);
	ck_assert_msg(strstr(err.msg, "1000000000") && strstr(err.msg, "2000000000"), "said: %s",
		      err.msg);
	ck_assert_ptr_null(second);
	ck_assert(place_now().inside);
	throttle_leave(first);
	ck_assert(!place_now().inside);
}
END_TEST

START_TEST(what_a_killed_run_left_is_removed_by_the_next)
{
	struct throttle_place left = place_now();
	const pid_t pid = fork();
	char own[THROTTLE_PATH + 32];
	int status;

	if (pid == 0) {
		(void)enter(&wide);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	snprintf(own, sizeof(own), "%.*s/flashcast-%ld", (int)(strrchr(left.own, '/') - left.own),
		 left.own, (long)pid);
	if (left.version == 1)
		ck_assert_int_eq(access(own, F_OK), 0);
	throttle_leave(enter(&wide));
	ck_assert_int_eq(access(own, F_OK), -1);
}
END_TEST

/* At least so long, however fast the disk and however busy the machine. */
static const struct {
	enum read_engine engine;
	struct throttle_params limit;
	unsigned count;
	uint32_t bytes;
	double least_s; /* a second, less what time slices of 100 ms let pass before */
} limited[] = {
	{READ_PREAD, {4e6, 1e6}, 64, 65536, 0.6},
	{READ_PREAD, {1e12, 200}, 200, 4096, 0.6},
	{READ_IO_URING, {4e6, 1e6}, 64, 65536, 0.6},
	{READ_IO_URING, {1e12, 200}, 200, 4096, 0.6},
};

START_TEST(reads_are_held_to_the_limit)
{
	const struct reader_options options = {.engine = limited[_i].engine,
					       .paths = {NULL, file},
					       .in_flight = 8,
					       .throttle = &limited[_i].limit};
	struct read_request requests[200];
	struct reader *reader = NULL;
	struct read_done done;
	struct err err = {0};
	unsigned char *to;
	double start;

	if (reader_open(&reader, &options, &err) == ENOTSUP) {
		printf("skipped: %s\n", err.msg);
		return;
	}
	ck_ok(err.code);
	to = reader_alloc(reader, (size_t)limited[_i].count * limited[_i].bytes);
	ck_assert_ptr_nonnull(to);
	for (unsigned i = 0; i < limited[_i].count; i++)
		requests[i] =
			(struct read_request){1, (uint64_t)i * limited[_i].bytes, limited[_i].bytes,
					      to + (size_t)i * limited[_i].bytes};
	start = clock_now_s();
	ck_ok(reader_submit(reader, requests, limited[_i].count, &err));
	ck_ok(reader_wait(reader, &done, &err));
	ck_assert_double_ge(clock_now_s() - start, limited[_i].least_s);
	ck_assert_uint_eq(done.count, limited[_i].count);
	reader_close(reader);
	ck_assert(!place_now().inside);
}
END_TEST

#define LOOP(test, table)                                                                          \
	tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

/* Why the kernel's part cannot be tried here; "" where it can. */
static void why_not(char *why, size_t size)
{
	const char *const paths[] = {FLASH_BINARY_DIR};
	struct throttle *throttle = NULL;
	struct err err = {0};

	why[0] = '\0';
	if (throttle_enter(&throttle, &wide, paths, 1, &err))
		snprintf(why, size, "%s", err.msg);
	throttle_leave(throttle);
}

int main(void)
{
	Suite *suite = suite_create("throttle");
	TCase *tcase = tcase_create("places");
	char why[sizeof(((struct err *)NULL)->msg)];

	tcase_add_checked_fixture(tcase, setup, teardown);
	LOOP(its_own_cgroup_is_found_in_either_version, places);
	tcase_add_test(tcase, a_host_without_the_controller_is_told_so);
	LOOP(a_target_may_be_the_disk_under_a_limit, targets);
	tcase_add_test(tcase, the_shipped_setting_is_sound);
	suite_add_tcase(suite, tcase);
	why_not(why, sizeof(why));
	if (why[0]) {
		printf("skipped: what needs the kernel: %s\n", why);
		return suite_run(suite);
	}
	tcase = tcase_create("kernel");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_last_reader_to_leave_puts_the_process_back);
	tcase_add_test(tcase, two_limits_at_once_are_refused_and_the_first_stays);
	tcase_add_test(tcase, what_a_killed_run_left_is_removed_by_the_next);
	LOOP(reads_are_held_to_the_limit, limited);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
