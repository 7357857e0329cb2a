/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_budget.c - hazard: a budget that is a hope
 *
 * Runs in a memory cgroup of exactly the budget: not killed, and after loading the limit is never hit
 * again.  Needs root and cgroup v1 or v2; sanitizers hold memory of their own, so it runs in release
 * builds only. */
#include "live.h"
#include "rng.h"
#include "worlds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { PROMPT = 16, DECODES = 12, CTX = 32 };
#define MIB (UINT64_C(1) << 20)

/* A group of our own below the root; v2 only where the memory controller is handed down. */
struct group {
	char dir[TINY_PATH];
	bool is_v2;
};

static int put(const struct group *group, const char *file, const char *text)
{
	char path[TINY_PATH * 2];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", group->dir, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return rc;
}

/* How often an allocation ran into the limit, and whether somebody was killed for it. */
static long long hits(const struct group *group, const char *v2_key)
{
	char path[TINY_PATH * 2], line[128];
	long long count = -1;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", group->dir,
		 group->is_v2 ? "memory.events" : "memory.failcnt");
	in = fopen(path, "r");
	while (in && fgets(line, sizeof(line), in))
		if (!group->is_v2 || strncmp(line, v2_key, strlen(v2_key)) == 0)
			sscanf(group->is_v2 ? line + strlen(v2_key) : line, "%lld", &count);
	if (in)
		fclose(in);
	return count;
}

static bool group_open(struct group *group, uint64_t bytes)
{
	static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	for (int i = 0; i < 2; i++) {
		group->is_v2 = i == 1;
		snprintf(group->dir, sizeof(group->dir), "%s/flashcast-test-%d", roots[i],
			 (int)getpid());
		if (mkdir(group->dir, 0755) != 0)
			continue;
		if (put(group, group->is_v2 ? "memory.max" : "memory.limit_in_bytes", text) == 0)
			return true;
		rmdir(group->dir);
	}
	return false;
}

static void group_close(const struct group *group)
{
	for (int i = 0; i < 100 && rmdir(group->dir) != 0; i++)
		nanosleep(&(const struct timespec){0, 10000000}, NULL);
}

static struct model budget_model(void)
{
	struct model m = tiny_model(MODEL_OPT);

	/* 110 MB: big beside the program. */
	m.layer_count = 4;
	m.d_model = 1024;
	m.d_ffn = 4096;
	m.head_count = 16;
	m.kv_head_count = 16;
	m.vocab_count = 8192;
	m.position_count = 64;
	return m;
}

static char dir[TINY_PATH];
static struct live_shape shape;

static void make_dir(void)
{
	struct model m = budget_model();
	struct policy_config config;
	struct err err = {0};

	dir_make(dir);
	tiny_synth(dir, &m, WEIGHT_F16);
	fixture_config(&config, "{demand: dense, residency: none}");
	ck_ok(live_shape_read(&shape, dir, &config, &err));
}

static struct live_options options_of(struct policy_config *config, const char *policy)
{
	fixture_config(config, policy);
	return (struct live_options){
		.model_dir = dir,
		.shape = &shape,
		.config = config,
		.target = &bench_disk,
		.ctx = CTX,
		.prompt_most = PROMPT,
		.threads = 2,
	};
}

static void remove_dir(void)
{
	dir_remove(dir);
}

static const struct budget_case {
	const char *policy;
	bool adapt;
	uint64_t bytes;
} cases[] = {
	{"{demand: dense, persistence: none, residency: none, layout: bundle}", false, 60 * MIB},
	{"{demand: dense, persistence: fraction, persist_frac: 1, residency: none}", true,
	 60 * MIB},
	{"{demand: dense, persistence: fraction, persist_frac: 1, residency: none}", true,
	 100 * MIB},
	{"{demand: dense, persistence: attention, residency: none, layout: split}", false,
	 110 * MIB},
	{"{demand: dense, persistence: fraction, persist_frac: 1, residency: none}", true,
	 200 * MIB},
};

/* In the group: load, tell, run.  Exit status 0: all well, 2: the limit was hit after loading. */
static void run_inside(const struct group *group, const struct budget_case *c)
{
	struct policy_config config;
	struct live_options options = options_of(&config, c->policy);
	uint32_t ids[PROMPT] = {1, 2, 3};
	struct err err = {0};
	struct books books;
	struct live *live;
	long long before;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (put(group, "cgroup.procs", pid))
		_exit(77);
	if (live_fit(&options, &config, c->adapt, c->bytes, &err) ||
	    live_open(&live, &options, &err) || live_prefill(live, ids, PROMPT, &books, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(3);
	}
	before = hits(group, "max ");
	for (uint32_t i = 0; i < DECODES; i++)
		if (live_decode(live, i, &books, &err))
			_exit(4);
	live_close(live);
	_exit(hits(group, "max ") == before ? 0 : 2);
}

START_TEST(a_run_survives_in_a_group_of_exactly_its_budget)
{
	const struct budget_case *c = &cases[_i];
	struct group group;
	int status;
	pid_t pid;

	if (!group_open(&group, c->bytes))
		return; /* told by main */
	pid = fork();
	if (pid == 0)
		run_inside(&group, c);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	group_close(&group);
	ck_assert_msg(WIFEXITED(status), "%s in %llu MiB: killed by signal %d", c->policy,
		      (unsigned long long)(c->bytes / MIB), WTERMSIG(status));
	ck_assert_msg(WEXITSTATUS(status) == 0, "%s in %llu MiB: exit status %d", c->policy,
		      (unsigned long long)(c->bytes / MIB), WEXITSTATUS(status));
}
END_TEST

START_TEST(a_budget_that_cannot_be_met_is_refused_with_every_part)
{
	static const char *const parts[] = {"dram: got 20 MiB, expected at least ",
					    "program ",
					    "weights that stay ",
					    "FFN rows ",
					    "KV cache of 32 tokens ",
					    "read buffers "};
	struct policy_config config;
	struct live_options options = options_of(&config, cases[3].policy);
	struct err err = {0};

	ck_assert_int_eq(live_fit(&options, &config, false, 20 * MIB, &err), EDOM);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		ck_assert_msg(strstr(err.msg, parts[i]) != NULL, "'%s' is not in: %s", parts[i],
			      err.msg);
}
END_TEST

START_TEST(a_window_is_capped_to_fit)
{
	struct policy_config config;
	struct live_options options =
		options_of(&config, "{demand: oracle, residency: window, window: 3}");
	struct err err = {0};
	double wide, narrow;

	ck_ok(live_fit(&options, &config, false, 125 * MIB, &err));
	wide = policy_residency_number(&config, "cap_frac");
	ck_ok(live_fit(&options, &config, false, 105 * MIB, &err));
	narrow = policy_residency_number(&config, "cap_frac");
	ck_assert_double_lt(wide, 1);
	ck_assert_double_lt(narrow, wide);
	/* 20 MiB of 64 MiB of rows. */
	ck_assert_double_eq_tol(wide - narrow, 20.0 / 64.0, 0.03);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("budget");
	TCase *tcase = tcase_create("budget");
	struct group group;

	if (!host_has_direct_io())
		return 77;
	if (!group_open(&group, 64 * MIB)) {
		fprintf(stderr, "no memory cgroup here that this user may make\n");
		return 77;
	}
	group_close(&group);
	tcase_add_unchecked_fixture(tcase, make_dir, remove_dir);
	tcase_add_loop_test(tcase, a_run_survives_in_a_group_of_exactly_its_budget, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tcase, a_budget_that_cannot_be_met_is_refused_with_every_part);
	tcase_add_test(tcase, a_window_is_capped_to_fit);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
