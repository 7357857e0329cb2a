/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_logits.c - hazard: a model imported and run gives other logits than transformers gives
 *
 * Every case in fixtures/ (made by fixtures/make_fixtures.py, whose head says what its files hold)
 * goes through the command as a user runs it: `model import`, then `score --logits`.  With
 * FLASHCAST_CASES in the environment its folders are taken instead, so that checkpoints of any seed
 * are held to the same. */
#include "worlds.h"

#include <fcntl.h>
#include <math.h>
#include <sys/wait.h>

enum { PATH_BYTES = TINY_PATH, TEXT_BYTES = 16384, CASES_MOST = 256, ALL = 1 << 20 };

/* How a case is imported and run, and how far off it may be: of the logits' spread.  16-bit weights
 * too: the references are computed in f32 from the rounded weights, as ours are.  Rounding them once
 * more, to f16, is another matter. */
static const struct way {
	const char *name, *weights; /* --weights; NULL: as in the checkpoint */
	bool decode;		    /* token by token */
	unsigned counts[5];	    /* so many tokens at once; ALL as many as there are, then 0 */
	double limit_frac;
} ways[] = {
	{"as a dense pass", NULL, false, {1, 2, 24, 60, ALL}, 1e-4},
	{"token by token", NULL, true, {24}, 1e-4},
	{"widened to f32", "f32", false, {ALL}, 1e-4},
	{"rounded to f16", "f16", false, {ALL}, 1e-2},
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static char names[CASES_MOST][64];
static char work[PATH_BYTES], model[PATH_BYTES + 8];

static const char *cases_dir(void)
{
	const char *dir = getenv("FLASHCAST_CASES");

	return dir ? dir : FLASH_SOURCE_DIR "/tests/forward/fixtures";
}

/* Folders that hold a reference.txt; their order is nobody's business. */
static int find_cases(void)
{
	DIR *dir = opendir(cases_dir());
	int count = 0;

	if (!dir)
		return 0;
	for (const struct dirent *e = readdir(dir); e && count < CASES_MOST; e = readdir(dir)) {
		char path[2 * PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s/reference.txt", cases_dir(), e->d_name);
		if (access(path, R_OK) == 0 && strlen(e->d_name) < sizeof(names[0]))
			memcpy(names[count++], e->d_name, strlen(e->d_name) + 1);
	}
	closedir(dir);
	return count;
}

/* With a zero behind it, for text. */
static char *read_file(const char *dir, const char *name, size_t *bytes)
{
	char path[2 * PATH_BYTES], *content;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	content = (char *)file_slurp(path, bytes);
	content[*bytes] = '\0';
	return content;
}

/* What follows 'key ' on its line; free() it. */
static char *fact_of(const char *dir, const char *key)
{
	size_t bytes, length = strlen(key);
	char *text = read_file(dir, "reference.txt", &bytes), *fact = NULL;

	for (char *line = strtok(text, "\n"); line && !fact; line = strtok(NULL, "\n"))
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			fact = strdup(line + length + 1);
	free(text);
	ck_assert_msg(fact != NULL, "%s/reference.txt has no '%s'", dir, key);
	return fact;
}

/* Run it with its output in work/said; true when it ends with 0. */
static bool command_run(const char *const argv[])
{
	char said[2 * PATH_BYTES];
	int status;
	pid_t child;

	snprintf(said, sizeof(said), "%s/said", work);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int fd = open(said, O_CREAT | O_TRUNC | O_WRONLY, 0600);

		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execv(argv[0], (char *const *)argv);
		_exit(126);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) <= 2), "%s %s: died with status %x",
		      argv[1], argv[2], (unsigned)status);
	return WEXITSTATUS(status) == 0;
}

/* What the last command said, for messages. */
static char *said_last(void)
{
	size_t bytes;

	return read_file(work, "said", &bytes);
}

/* The folder of the case, or the file in it where that is the whole checkpoint. */
static void checkpoint_of(char path[PATH_BYTES], const char *dir)
{
	snprintf(path, PATH_BYTES, "%.480s/model.gguf", dir);
	if (access(path, R_OK) != 0)
		snprintf(path, PATH_BYTES, "%s", dir);
}

/* False when it is refused where it may be, with a reason. */
static bool import_case(const char *dir, const struct way *way)
{
	char from[PATH_BYTES];
	char *may = fact_of(dir, "import"), *said;
	bool good;

	checkpoint_of(from, dir);
	good = command_run((const char *const[]){FLASHCAST, "model", "import", from, "-o", model,
						 way->weights ? "--weights" : NULL, way->weights,
						 NULL});
	said = said_last();
	ck_assert_msg(good || strcmp(may, "refuse-ok") == 0, "import: %s", said);
	ck_assert_msg(good || strlen(said) > 20, "refused without a reason: '%s'", said);
	if (!good)
		printf("%s: refused: %s", strrchr(dir, '/') + 1, said);
	free(said);
	free(may);
	return good;
}

/* At most 'count' ids of "5 7 9", with commas. Returns how many. */
static unsigned tokens_of(char to[TEXT_BYTES], const char *ids, unsigned count)
{
	unsigned n = 0;
	size_t at = 0;

	for (const char *p = ids; *p && n < count; n++) {
		size_t length = strcspn(p, " ");

		ck_assert_uint_lt(at + length + 2, TEXT_BYTES);
		if (n)
			to[at++] = ',';
		memcpy(to + at, p, length);
		at += length;
		p += length + (p[length] == ' ');
	}
	to[at] = '\0';
	return n;
}

static size_t likeliest(const float *logits, size_t vocab)
{
	size_t best = 0;

	for (size_t i = 1; i < vocab; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

static double spread_of(const float *logits, size_t count)
{
	float least = logits[0], most = logits[0];

	for (size_t i = 1; i < count; i++) {
		least = fminf(least, logits[i]);
		most = fmaxf(most, logits[i]);
	}
	return (double)most - (double)least;
}

/* Largest difference of two tables, of the spread; a NaN is the largest of all. */
static double difference_of(const float *ours, const float *theirs, size_t count, double spread)
{
	double most = 0;

	for (size_t i = 0; i < count; i++) {
		double difference = fabs((double)ours[i] - (double)theirs[i]) / spread;

		if (!(difference <= most))
			most = isnan(difference) ? INFINITY : difference;
	}
	return most;
}

static char *score(const char *tokens, const struct way *way, size_t *bytes)
{
	char file[2 * PATH_BYTES];

	snprintf(file, sizeof(file), "%s/logits", work);
	unlink(file);
	if (!command_run((const char *const[]){FLASHCAST, "score", model, "--tokens", tokens,
					       "--logits", file, way->decode ? "--decode" : NULL,
					       NULL}))
		ck_abort_msg("score: %s", said_last());
	return read_file(work, "logits", bytes);
}

/* Score at most 'most' tokens and hold every position against the reference. */
static double score_and_compare(const char *dir, unsigned most, const struct way *way)
{
	size_t our_bytes, their_bytes, vocab;
	char tokens[TEXT_BYTES], *ids = fact_of(dir, "tokens");
	float *theirs = (float *)(void *)read_file(dir, "logits.f32", &their_bytes), *ours;
	double spread = spread_of(theirs, their_bytes / sizeof(float)), difference;
	unsigned count;

	vocab = their_bytes / sizeof(float) / tokens_of(tokens, ids, ALL);
	count = tokens_of(tokens, ids, most);
	ours = (float *)(void *)score(tokens, way, &our_bytes);
	ck_assert_uint_eq(our_bytes, count * vocab * sizeof(float));
	difference = difference_of(ours, theirs, count * vocab, spread);
	ck_assert_msg(difference <= way->limit_frac, "%s %s, %u tokens: %.3g of the spread off",
		      dir, way->name, count, difference);
	for (size_t t = 0; t < count && way->limit_frac <= 1e-4; t++)
		ck_assert_msg(likeliest(ours + t * vocab, vocab) ==
				      likeliest(theirs + t * vocab, vocab),
			      "%s %s: another likeliest token at %zu", dir, way->name, t);
	free(ids);
	free(theirs);
	free(ours);
	return difference;
}

static void setup(void)
{
	dir_make(work);
	snprintf(model, sizeof(model), "%s/model", work);
}

static void teardown(void)
{
	dir_remove(model);
	dir_remove(work);
}

START_TEST(logits_at_every_position_are_those_of_transformers)
{
	const char *name = names[_i / WAYS];
	const struct way *way = &ways[_i % WAYS];
	char dir[PATH_BYTES];
	double most = 0;

	snprintf(dir, sizeof(dir), "%s/%s", cases_dir(), name);
	if (!import_case(dir, way))
		return;
	for (const unsigned *count = way->counts; count < way->counts + 5 && *count; count++)
		most = fmax(most, score_and_compare(dir, *count, way));
	printf("%s %s: %.2e of the spread off\n", name, way->name, most);
}
END_TEST

START_TEST(there_are_cases)
{
	ck_assert_int_gt(find_cases(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("logits");
	TCase *tcase = tcase_create("logits");

	if (!host_has_direct_io())
		return 77;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, there_are_cases);
	tcase_add_loop_test(tcase, logits_at_every_position_are_those_of_transformers, 0,
			    find_cases() * WAYS);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
