/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_results.c - the result store: exact, whole and once, whatever kills or fills */
#include "results.h"

#include "rng.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

enum { TOKENS = 20 };

static char folder[] = "/tmp/flash-results-XXXXXX";
static char dir[64], other[64], path[128];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(dir, sizeof(dir), "%s/a", folder);
	snprintf(other, sizeof(other), "%s/b", folder);
	snprintf(path, sizeof(path), "%s/results.sqlite", dir);
}

static void remove_store(const char *where)
{
	static const char *const files[] = {"results.sqlite", "results.sqlite-journal",
					    "results.csv"};
	char name[128];

	for (int i = 0; i < COUNT(files); i++) {
		snprintf(name, sizeof(name), "%s/%s", where, files[i]);
		unlink(name);
	}
	rmdir(where);
}

static void remove_folder(void)
{
	remove_store(dir);
	remove_store(other);
	ck_assert_msg(rmdir(folder) == 0, "something was left in %s", folder);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static struct results *must_open(const char *where)
{
	struct results *results = NULL;
	struct err err = {0};

	ck_assert_msg(results_open(&results, where, &err) == 0, "%s", err.msg);
	return results;
}

/* --- rows whose every field follows from a number -------------------------------------------- */

static void make_row(struct result_row *row, uint64_t n, const char *world)
{
	result_row_init(row);
	for (size_t i = 0; i < result_column_count; i++) {
		char *to = (char *)row + result_columns[i].offset;
		uint64_t whole = rng_mix(n * 1000 + i) >> 1;
		double number = (double)rng_mix(n * 1000 + i) / (double)(i + 1) * 1e-7;

		if (result_columns[i].type == COLUMN_TEXT)
			snprintf(to, RESULT_TEXT, "%s %zu of %ju", result_columns[i].name, i,
				 (uintmax_t)n);
		else if (result_columns[i].type == COLUMN_U64)
			memcpy(to, &whole, sizeof(whole));
		else
			memcpy(to, &number, sizeof(number));
	}
	snprintf(row->trial_hash, sizeof(row->trial_hash), "%032jx", (uintmax_t)n);
	strcpy(row->world, world);
	row->seed = n;
}

static void make_token(struct result_token *token, uint64_t n, uint32_t i)
{
	uint64_t draw = rng_mix(n * 4096 + i);

	memset(token, 0, sizeof(*token));
	token->repeat = i / 10;
	token->token = i / 2 % 5;
	token->layer = i % 2 ? 31 : -1;
	token->read_count = draw >> 1;
	token->read_bytes = INT64_MAX;
	token->moved_bytes = i;
	token->demand_neurons = UINT32_MAX;
	token->load_neurons = (uint32_t)draw;
	token->resident_neurons = i + 1;
	token->io_ns = draw >> 2;
	token->io_wait_ns = draw >> 3;
	token->mem_ns = draw >> 4;
	token->compute_ns = draw >> 5;
	token->total_ns = draw >> 6;
}

/* No assertions: children call this, and what they would say goes to Check's own pipe. */
static int put(struct results *results, uint64_t n, const char *world, size_t token_count,
	       struct err *err)
{
	struct result_token *tokens = calloc(token_count + 1, sizeof(*tokens));
	struct result_row row;

	if (!tokens)
		return err_nomem(err, "tokens", token_count);
	make_row(&row, n, world);
	for (uint32_t i = 0; i < token_count; i++) {
		make_token(&tokens[i], n, i % TOKENS);
		tokens[i].repeat += i / TOKENS * 10;
	}
	err->code = results_put(results, &row, tokens, token_count, err);
	free(tokens);
	return err->code;
}

static void must_put(struct results *results, uint64_t n, const char *world)
{
	struct err err = {0};

	ck_assert_msg(put(results, n, world, TOKENS, &err) == 0, "%s", err.msg);
}

static void assert_same_row(const struct result_row *got, const struct result_row *want)
{
	for (size_t i = 0; i < result_column_count; i++) {
		const struct result_column *column = &result_columns[i];
		const char *a = (const char *)got + column->offset;
		const char *b = (const char *)want + column->offset;

		if (column->type == COLUMN_TEXT)
			ck_assert_str_eq(a, b);
		else
			ck_assert_msg(memcmp(a, b, 8) == 0, "%s differs", column->name);
	}
}

static void assert_tokens(struct results *results, uint64_t n, const char *world, size_t want)
{
	struct result_token *tokens, expected;
	struct result_row row;
	struct err err = {0};
	size_t count;

	make_row(&row, n, world);
	ck_assert_msg(results_tokens(results, row.trial_hash, world, &tokens, &count, &err) == 0,
		      "%s", err.msg);
	ck_assert_uint_eq(count, want);
	for (uint32_t i = 0; i < count; i++) {
		make_token(&expected, n, i % TOKENS);
		expected.repeat += i / TOKENS * 10;
		ck_assert_mem_eq(&tokens[i], &expected, sizeof(expected));
	}
	free(tokens);
}

/* Rows first .. first+count-1 of 'world', in this order, each exact and with all its tokens. */
static void assert_rows(struct results *results, uint64_t first, uint64_t count, const char *world)
{
	struct result_row *rows, want;
	struct err err = {0};
	size_t got;

	ck_assert_msg(results_all(results, &rows, &got, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(got, count);
	for (uint64_t i = 0; i < count; i++) {
		make_row(&want, first + i, world);
		assert_same_row(&rows[i], &want);
		ck_assert(results_have(results, want.trial_hash, world, 0, NULL));
		assert_tokens(results, first + i, world, TOKENS);
	}
	free(rows);
}

/* One whole number by SQL, past the code under test. */
static int64_t sql_number(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t value;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
		      sqlite3_errmsg(db));
	ck_assert_msg(sqlite3_step(stmt) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static void sql_run(const char *file, const char *sql)
{
	char *message = NULL;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql,
		      message);
	sqlite3_close(db);
}

static void assert_sound(void)
{
	ck_assert_int_eq(sql_number("SELECT count(*) FROM pragma_integrity_check"
				    " WHERE integrity_check = 'ok'"),
			 1);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM tokens"
				    " WHERE result_id NOT IN (SELECT id FROM results)"),
			 0);
}

/* --- one process ------------------------------------------------------------------------------ */

START_TEST(test_a_new_store_makes_its_folders_and_explains_its_columns)
{
	struct results *results;
	char deep[160];

	snprintf(deep, sizeof(deep), "%s//c/d/", dir);
	results = must_open(deep);
	results_close(results);
	snprintf(deep, sizeof(deep), "%s/c/d/results.sqlite", dir);
	ck_assert_int_eq(unlink(deep), 0);
	snprintf(deep, sizeof(deep), "%s/c/d", dir);
	ck_assert_int_eq(rmdir(deep), 0);
	snprintf(deep, sizeof(deep), "%s/c", dir);
	ck_assert_int_eq(rmdir(deep), 0);
	results = must_open(dir);
	assert_rows(results, 0, 0, "sim");
	results_close(results);
	results_close(NULL);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM columns WHERE of = 'results'"
				    " AND length(help) > 0 AND name IN"
				    " (SELECT name FROM pragma_table_info('results'))"),
			 (int64_t)result_column_count);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM pragma_table_info('tokens')"
				    " WHERE name <> 'result_id' AND name NOT IN"
				    " (SELECT name FROM columns WHERE of = 'tokens')"),
			 0);
}
END_TEST

START_TEST(test_a_row_comes_back_to_the_bit)
{
	struct results *results = must_open(dir);

	for (uint64_t n = 7; n < 40; n++)
		must_put(results, n, "real");
	assert_rows(results, 7, 33, "real");
	results_close(results);
	results = must_open(dir);
	assert_rows(results, 7, 33, "real");
	results_close(results);
	assert_sound();
}
END_TEST

START_TEST(test_what_a_trial_does_not_have_is_null)
{
	struct results *results = must_open(dir);
	struct result_row row, *rows;
	struct err err = {0};
	size_t count;

	result_row_init(&row);
	strcpy(row.trial_hash, "h");
	strcpy(row.world, "sim");
	ck_assert_int_eq(results_put(results, &row, NULL, 0, &err), 0);
	ck_assert_int_eq(results_all(results, &rows, &count, &err), 0);
	ck_assert_uint_eq(count, 1);
	for (size_t i = 0; i < result_column_count; i++) {
		char text[RESULT_TEXT], sql[128];

		ck_assert(isnan(result_number(rows, &result_columns[i])));
		snprintf(sql, sizeof(sql), "SELECT \"%s\" IS NULL FROM results",
			 result_columns[i].name);
		ck_assert_int_eq(sql_number(sql), result_columns[i].type != COLUMN_TEXT);
		if (result_columns[i].type != COLUMN_TEXT)
			ck_assert_str_eq(result_text(text, sizeof(text), rows, &result_columns[i]),
					 "");
	}
	free(rows);
	results_close(results);
}
END_TEST

START_TEST(test_a_row_put_again_replaces_itself_and_its_tokens)
{
	struct results *results = must_open(dir);
	struct err err = {0};

	must_put(results, 1, "sim");
	must_put(results, 1, "real");
	ck_assert_int_eq(put(results, 1, "sim", 3, &err), 0);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM results"), 2);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM tokens"), TOKENS + 3);
	assert_tokens(results, 1, "sim", 3);
	assert_tokens(results, 1, "real", TOKENS);
	ck_assert_int_eq(put(results, 1, "sim", 0, &err), 0);
	assert_tokens(results, 1, "sim", 0);
	results_close(results);
	assert_sound();
}
END_TEST

START_TEST(test_only_rows_that_stand_are_had)
{
	struct results *results = must_open(dir);
	struct result_token *tokens;
	struct result_row row;
	struct err err = {0};
	size_t count = 9;

	must_put(results, 5, "sim");
	make_row(&row, 5, "sim");
	ck_assert(results_have(results, row.trial_hash, "sim", 0, NULL));
	ck_assert(!results_have(results, row.trial_hash, "real", 0, NULL));
	ck_assert(results_have(results, row.trial_hash, "sim", row.repeats, NULL));
	ck_assert(!results_have(results, row.trial_hash, "sim", row.repeats + 1, NULL));
	ck_assert(results_have(results, row.trial_hash, "sim", 0, row.weights_digest));
	ck_assert(!results_have(results, row.trial_hash, "sim", 0, "other"));
	ck_assert(!results_have(results, row.trial_hash, "sim", 0, ""));
	ck_assert(!results_have(results, "", "sim", 0, NULL));
	ck_assert(!results_have(results, "' OR 1=1 --", "sim", 0, NULL));
	ck_assert_int_eq(results_tokens(results, "none", "sim", &tokens, &count, &err), 0);
	ck_assert_uint_eq(count, 0);
	free(tokens);
	results_close(results);
}
END_TEST

START_TEST(test_tokens_come_in_order_however_they_went)
{
	struct results *results = must_open(dir);
	struct result_token tokens[TOKENS];
	struct result_row row;
	struct err err = {0};

	make_row(&row, 3, "sim");
	for (uint32_t i = 0; i < TOKENS; i++)
		make_token(&tokens[i], 3, (i * 7 + 3) % TOKENS);
	ck_assert_int_eq(results_put(results, &row, tokens, TOKENS, &err), 0);
	assert_tokens(results, 3, "sim", TOKENS);
	results_close(results);
}
END_TEST

/* Rows and tokens that cannot be kept are refused whole. */
static const struct {
	const char *why;
	uint64_t seed, io_ns;
	uint32_t second_token;
	const char *says;
} refused[] = {
	{"a number past 2^63-1", UINT64_C(1) << 63, 1, 1,
	 "seed: 9223372036854775808, expected at most 9223372036854775807"},
	{"the last number before 'absent'", UINT64_MAX - 1, 1, 1, "seed: 18446744073709551614"},
	{"a token's number past 2^63-1", 1, UINT64_C(1) << 63, 1, "io_ns of token 0: expected at"},
	{"a token twice", 1, 1, 0, "UNIQUE constraint failed: tokens"},
};

START_TEST(test_a_row_that_cannot_be_kept_is_refused_whole)
{
	struct results *results = must_open(dir);
	struct result_token tokens[2] = {{.layer = -1}, {.layer = -1}};
	struct result_row row;
	struct err err = {0};

	must_put(results, 1, "sim");
	make_row(&row, 2, "sim");
	row.seed = refused[_i].seed;
	tokens[0].io_ns = refused[_i].io_ns;
	tokens[1].token = refused[_i].second_token;
	ck_assert_msg(results_put(results, &row, tokens, 2, &err) == EINVAL, "%s", refused[_i].why);
	ck_assert_msg(strstr(err.msg, refused[_i].says) != NULL, "said: %s", err.msg);
	ck_assert_msg(strstr(err.msg, row.trial_hash) != NULL, "said: %s", err.msg);
	assert_rows(results, 1, 1, "sim");
	must_put(results, 2, "sim");
	assert_rows(results, 1, 2, "sim");
	results_close(results);
}
END_TEST

START_TEST(test_columns_are_found_by_name)
{
	ck_assert_ptr_null(result_column_find("total_ns"));
	ck_assert_ptr_null(result_column_find(""));
	for (size_t i = 0; i < result_column_count; i++)
		ck_assert_ptr_eq(result_column_find(result_columns[i].name), &result_columns[i]);
}
END_TEST

static const struct {
	double value;
	const char *text;
} numbers[] = {
	{0, "0"},
	{1, "1"},
	{-1.5, "-1.5"},
	{0.1, "0.1"},
	{1.0 / 3, "0.3333333333333333"},
	{0.1 + 0.2, "0.30000000000000004"},
	{1e-9, "1e-09"},
	{123456789, "123456789"},
	{9007199254740993.0, "9007199254740992"},
	{1.7976931348623157e308, "1.7976931348623157e+308"},
	{5e-324, "5e-324"},
	{2.2250738585072014e-308, "2.2250738585072014e-308"},
	{(double)INFINITY, "inf"},
};

START_TEST(test_numbers_are_the_shortest_text_that_reads_back)
{
	const struct result_column *column = result_column_find("total_ns_per_token");
	struct results *results = must_open(dir);
	struct result_row row, *rows;
	char text[RESULT_TEXT];
	struct err err = {0};
	size_t count;

	make_row(&row, 1, "sim");
	row.total_ns_per_token = numbers[_i].value;
	ck_assert_str_eq(result_text(text, sizeof(text), &row, column), numbers[_i].text);
	ck_assert_double_eq(strtod(text, NULL), numbers[_i].value);
	ck_assert_double_eq(result_number(&row, column), numbers[_i].value);
	ck_assert_int_eq(results_put(results, &row, NULL, 0, &err), 0);
	ck_assert_int_eq(results_all(results, &rows, &count, &err), 0);
	ck_assert_double_eq(rows[0].total_ns_per_token, numbers[_i].value);
	free(rows);
	results_close(results);
}
END_TEST

START_TEST(test_text_is_cut_to_the_size_given)
{
	struct result_row row;
	char text[8];

	make_row(&row, 1, "sim");
	strcpy(row.experiment, "window-by-chunk");
	row.seed = 12345678;
	ck_assert_str_eq(result_text(text, sizeof(text), &row, result_column_find("experiment")),
			 "window-");
	ck_assert_str_eq(result_text(text, sizeof(text), &row, result_column_find("seed")),
			 "1234567");
	ck_assert(isnan(result_number(&row, result_column_find("experiment"))));
	ck_assert_double_eq(result_number(&row, result_column_find("seed")), 12345678);
}
END_TEST

/* --- CSV -------------------------------------------------------------------------------------- */

/* The next field of RFC 4180 text; returns what ended it: ',', '\n' or EOF. */
static int csv_field(FILE *in, char field[RESULT_TEXT])
{
	int c = getc(in);
	bool quoted = c == '"';
	size_t length = 0;

	if (quoted)
		c = getc(in);
	for (; c != EOF; c = getc(in)) {
		if (quoted && c == '"') {
			c = getc(in);
			if (c != '"')
				quoted = false;
		}
		if (!quoted && (c == ',' || c == '\n'))
			break;
		ck_assert_uint_lt(length, RESULT_TEXT - 1);
		field[length++] = (char)c;
	}
	ck_assert(!quoted);
	field[length] = '\0';
	return c;
}

static void assert_csv_row(FILE *in, const struct result_row *row)
{
	char got[RESULT_TEXT], want[RESULT_TEXT];

	for (size_t i = 0; i < result_column_count; i++) {
		int end = csv_field(in, got);

		ck_assert_int_eq(end, i + 1 < result_column_count ? ',' : '\n');
		result_text(want, sizeof(want), row, &result_columns[i]);
		ck_assert_str_eq(got, want);
		if (result_columns[i].type == COLUMN_F64 && want[0])
			ck_assert_double_eq(strtod(got, NULL),
					    result_number(row, &result_columns[i]));
	}
}

static const char *const nasty[] = {
	"",	"plain", "a,b",	     "say \"no\"", "two\nlines",	   "cr\rlf\r\n", "\"",
	"\"\"", ",",	 " leading", "trailing ",  "\xc3\xa9\xe2\x82\xac", "'",		 ";\t|",
};

START_TEST(test_csv_gives_every_value_back)
{
	struct results *results = must_open(dir);
	struct result_row row, *rows;
	struct err err = {0};
	char name[RESULT_TEXT];
	size_t count;
	FILE *in;

	for (uint64_t n = 0; n < (uint64_t)COUNT(nasty); n++) {
		make_row(&row, n, "sim");
		strcpy(row.trial, nasty[n]);
		strcpy(row.started_at, nasty[n]); /* the last column: its end is the line's */
		row.dram_budget_bytes = n % 2 ? COL_NONE : n;
		row.spread_frac = n % 3 ? (double)NAN : 0.1;
		ck_assert_int_eq(results_put(results, &row, NULL, 0, &err), 0);
	}
	ck_assert_msg(results_export_csv(results, dir, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(results_all(results, &rows, &count, &err), 0);
	ck_assert_uint_eq(count, (size_t)COUNT(nasty));
	snprintf(path, sizeof(path), "%s/results.csv", dir);
	in = fopen(path, "rb");
	ck_assert_ptr_nonnull(in);
	for (size_t i = 0; i < result_column_count; i++) {
		ck_assert_int_eq(csv_field(in, name), i + 1 < result_column_count ? ',' : '\n');
		ck_assert_str_eq(name, result_columns[i].name);
	}
	for (size_t i = 0; i < count; i++)
		assert_csv_row(in, &rows[i]);
	ck_assert_int_eq(getc(in), EOF);
	fclose(in);
	free(rows);
	results_close(results);
}
END_TEST

START_TEST(test_a_csv_that_cannot_be_written_leaves_the_old_one)
{
	struct rlimit limit = {8192, RLIM_INFINITY};
	struct results *results = must_open(dir);
	struct stat before, after;
	struct err err = {0};
	char csv[128];

	snprintf(csv, sizeof(csv), "%s/results.csv", dir);
	must_put(results, 0, "sim");
	ck_assert_int_eq(results_export_csv(results, dir, &err), 0);
	ck_assert_int_eq(stat(csv, &before), 0);
	for (uint64_t n = 1; n < 20; n++)
		must_put(results, n, "sim");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(results_export_csv(results, dir, &err), EFBIG);
	ck_assert_msg(strstr(err.msg, "results.csv") != NULL, "said: %s", err.msg);
	ck_assert_int_eq(stat(csv, &after), 0);
	ck_assert(before.st_ino == after.st_ino && before.st_size == after.st_size);
	err.code = 0;
	ck_assert_int_eq(results_export_csv(results, "/proc/nowhere/at/all", &err), ENOENT);
	results_close(results);
}
END_TEST

/* --- other stores ----------------------------------------------------------------------------- */

START_TEST(test_merging_takes_what_is_missing_and_leaves_what_stands)
{
	struct results *results = must_open(dir), *from = must_open(other);
	struct result_row row, *rows;
	struct err err = {0};
	size_t count;

	must_put(results, 1, "sim");
	make_row(&row, 1, "sim");
	strcpy(row.host, "elsewhere");
	ck_assert_int_eq(results_put(from, &row, NULL, 0, &err), 0);
	for (uint64_t n = 2; n < 6; n++)
		must_put(from, n, "sim");
	for (int again = 0; again < 2; again++) {
		ck_assert_msg(results_merge(results, other, &err) == 0, "%s", err.msg);
		assert_rows(results, 1, 5, "sim");
	}
	ck_assert_msg(results_merge(results, dir, &err) == 0, "with itself: %s", err.msg);
	assert_rows(results, 1, 5, "sim");
	ck_assert_int_eq(results_all(from, &rows, &count, &err), 0);
	ck_assert_uint_eq(count, 5);
	ck_assert_str_eq(rows[0].host, "elsewhere");
	free(rows);
	results_close(from);
	results_close(results);
	assert_sound();
}
END_TEST

START_TEST(test_merging_from_nowhere_is_an_error_and_makes_nothing)
{
	struct results *results = must_open(dir);
	struct stat st;
	struct err err = {0};

	must_put(results, 1, "sim");
	ck_assert_int_eq(results_merge(results, other, &err), ENOENT);
	ck_assert_msg(strstr(err.msg, other) != NULL, "said: %s", err.msg);
	ck_assert_int_ne(stat(other, &st), 0);
	assert_rows(results, 1, 1, "sim");
	results_close(results);
}
END_TEST

static const struct {
	const char *why, *sql, *says;
} foreign[] = {
	{"another program's database", "CREATE TABLE songs (name TEXT)",
	 "application id 0x0, expected 0x666c6373: no result store"},
	{"its version without its id", "PRAGMA user_version = 1", "application id 0x0, expected"},
	{"an older schema", "PRAGMA application_id = 0x666c6373; CREATE TABLE results (x)",
	 "schema version 0, expected 1"},
	{"a newer schema",
	 "PRAGMA application_id = 0x666c6373; PRAGMA user_version = 2; CREATE TABLE results (x)",
	 "schema version 2, expected 1"},
	{"no table",
	 "PRAGMA application_id = 0x666c6373; PRAGMA user_version = 1; CREATE TABLE result (x)",
	 "table results has 0 columns, expected "},
	{"another column",
	 "PRAGMA application_id = 0x666c6373; PRAGMA user_version = 1;"
	 "CREATE TABLE results (id, experiment, trail)",
	 "column 2 of table results is trail, expected trial"},
	{"a column fewer",
	 "PRAGMA application_id = 0x666c6373; PRAGMA user_version = 1;"
	 "CREATE TABLE results (id, experiment, trial)",
	 "table results has 2 columns, expected "},
};

START_TEST(test_a_foreign_store_is_refused_and_left_alone)
{
	struct results *results = NULL, *mine;
	struct err err = {0};
	int64_t before;

	ck_assert_int_eq(mkdir(dir, 0777), 0);
	sql_run(path, foreign[_i].sql);
	before = sql_number("SELECT count(*) FROM sqlite_schema");
	ck_assert_msg(results_open(&results, dir, &err) == EINVAL, "%s", foreign[_i].why);
	ck_assert_msg(strncmp(err.msg, path, strlen(path)) == 0, "said: %s", err.msg);
	ck_assert_msg(strstr(err.msg, foreign[_i].says) != NULL, "said: %s", err.msg);
	ck_assert_ptr_null(results);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM sqlite_schema"), before);
	err.code = 0;
	mine = must_open(other);
	ck_assert_int_eq(results_merge(mine, dir, &err), EINVAL);
	results_close(mine);
}
END_TEST

START_TEST(test_a_column_more_is_refused)
{
	struct results *results = must_open(dir);
	struct err err = {0};

	results_close(results);
	sql_run(path, "ALTER TABLE results ADD COLUMN joules REAL");
	ck_assert_int_eq(results_open(&results, dir, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "is joules, expected no more") != NULL, "%s", err.msg);
}
END_TEST

START_TEST(test_what_is_no_database_is_refused)
{
	struct results *results;
	struct err err = {0};
	FILE *out;

	ck_assert_int_eq(mkdir(dir, 0777), 0);
	out = fopen(path, "w");
	for (int i = 0; i < 200; i++)
		fputs("experiment,trial,trial_hash\n", out);
	fclose(out);
	ck_assert_int_eq(results_open(&results, dir, &err), EINVAL);
	ck_assert_msg(strstr(err.msg, "is no SQLite database") != NULL, "said: %s", err.msg);
}
END_TEST

START_TEST(test_a_folder_that_cannot_be_made_is_named)
{
	struct results *results;
	struct err err = {0};
	char file[128];
	FILE *out;

	ck_assert_int_eq(mkdir(dir, 0777), 0);
	snprintf(file, sizeof(file), "%s/results.csv", dir);
	out = fopen(file, "w");
	fclose(out);
	ck_assert_int_eq(results_open(&results, file, &err), ENOTDIR);
	ck_assert_msg(strstr(err.msg, file) != NULL, "said: %s", err.msg);
	snprintf(file, sizeof(file), "%s/results.csv/deeper", dir);
	err.code = 0;
	ck_assert_int_eq(results_open(&results, file, &err), ENOTDIR);
}
END_TEST

/* --- failing disks ---------------------------------------------------------------------------- */

/* Put rows until one fails or 'rows' stand; returns how many stand. */
static uint64_t put_until_full(struct results *results, uint64_t rows, struct err *err)
{
	for (uint64_t n = 0; n < rows; n++)
		if (put(results, n, "sim", TOKENS, err))
			return n;
	return rows;
}

START_TEST(test_a_row_that_does_not_fit_on_disk_is_lost_alone)
{
	struct rlimit limit = {65536, RLIM_INFINITY};
	struct results *results = must_open(dir);
	struct err err = {0};
	uint64_t stand;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	stand = put_until_full(results, 100, &err);
	ck_assert_uint_gt(stand, 0);
	ck_assert_uint_lt(stand, 100);
	ck_assert_int_eq(err.code, EFBIG);
	ck_assert_msg(strstr(err.msg, path) != NULL, "said: %s", err.msg);
	assert_rows(results, 0, stand, "sim");
	limit.rlim_cur = RLIM_INFINITY; /* space again, same handle */
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	must_put(results, stand, "sim");
	assert_rows(results, 0, stand + 1, "sim");
	results_close(results);
	assert_sound();
}
END_TEST

START_TEST(test_a_full_file_system_is_said_and_the_store_stays_whole)
{
	struct results *results = NULL;
	struct err err = {0}, reopened = {0};
	uint64_t stand = 0;
	size_t count = 0;
	struct result_row *rows = NULL;

	ck_assert_int_eq(mkdir(dir, 0777), 0);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=256k") != 0) {
		printf("skipped: no tmpfs can be mounted here\n");
		return;
	}
	/* No assertion until the file system is gone again: one that fails would leave it mounted.
	 */
	if (results_open(&results, dir, &err) == 0)
		stand = put_until_full(results, 1000, &err);
	results_close(results);
	if (results_open(&results, dir, &reopened) == 0 &&
	    results_all(results, &rows, &count, &reopened) == 0)
		free(rows);
	results_close(reopened.code ? NULL : results);
	ck_assert_int_eq(umount(dir), 0);
	ck_assert_uint_gt(stand, 0);
	ck_assert_int_eq(err.code, ENOSPC);
	ck_assert_msg(strstr(err.msg, path) != NULL, "said: %s", err.msg);
	ck_assert_msg(reopened.code == 0, "%s", reopened.msg);
	ck_assert_uint_eq(count, stand);
}
END_TEST

/* Root may write anywhere, so that the test becomes nobody first. */
START_TEST(test_a_read_only_store_can_be_read_and_says_why_it_is_not_written)
{
	struct results *results = must_open(dir);
	struct err err = {0};

	must_put(results, 0, "sim");
	results_close(results);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(chmod(path, 0444), 0);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	results = must_open(dir);
	assert_rows(results, 0, 1, "sim");
	ck_assert_int_eq(put(results, 1, "sim", TOKENS, &err), EROFS);
	ck_assert_msg(strstr(err.msg, path) != NULL, "said: %s", err.msg);
	assert_rows(results, 0, 1, "sim");
	err.code = 0;
	ck_assert_int_eq(results_export_csv(results, dir, &err), EACCES);
	results_close(results);
	err.code = 0;
	snprintf(path, sizeof(path), "%s/new", dir);
	ck_assert_int_eq(results_open(&results, path, &err), EACCES);
	ck_assert_msg(strstr(err.msg, path) != NULL, "said: %s", err.msg);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
}
END_TEST

/* --- several processes, and dead ones --------------------------------------------------------- */

static void wait_for(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a writer failed");
}

enum { WRITERS = 4, WRITER_ROWS = 12 };

/* All open at once, so that one of them makes the tables; half of the rows are the same for all. */
static int write_rows(uint64_t writer)
{
	struct results *results = NULL;
	struct err err = {0};

	if (results_open(&results, dir, &err))
		fprintf(stderr, "%s\n", err.msg);
	for (uint64_t n = 0; n < WRITER_ROWS && !err.code; n++)
		if (put(results, n, "sim", TOKENS, &err) ||
		    put(results, 1000 * (writer + 1) + n, "real", TOKENS, &err))
			fprintf(stderr, "%s\n", err.msg);
	results_close(results);
	return err.code;
}

START_TEST(test_several_processes_write_one_store)
{
	struct results *results;
	pid_t writers[WRITERS];

	for (uint64_t w = 0; w < WRITERS; w++) {
		writers[w] = fork();
		ck_assert_int_ge(writers[w], 0);
		if (writers[w] == 0)
			_exit(write_rows(w) == 0 ? 0 : 1);
	}
	for (int w = 0; w < WRITERS; w++)
		wait_for(writers[w]);
	results = must_open(dir);
	ck_assert_int_eq(sql_number("SELECT count(*) FROM results"),
			 WRITER_ROWS + WRITERS * WRITER_ROWS);
	for (uint64_t n = 0; n < WRITER_ROWS; n++) {
		assert_tokens(results, n, "sim", TOKENS);
		for (uint64_t w = 0; w < WRITERS; w++)
			assert_tokens(results, 1000 * (w + 1) + n, "real", TOKENS);
	}
	results_close(results);
	assert_sound();
}
END_TEST

/* A sweep as --resume runs it: skip what stands, put the rest, tell the parent of each row put. */
static int sweep(uint64_t rows, int told)
{
	struct results *results = NULL;
	struct result_row row;
	struct err err = {0};

	if (results_open(&results, dir, &err))
		fprintf(stderr, "%s\n", err.msg);
	for (uint64_t n = 0; n < rows && !err.code; n++) {
		make_row(&row, n, "sim");
		if (results_have(results, row.trial_hash, "sim", 0, NULL))
			continue;
		if (put(results, n, "sim", TOKENS, &err))
			fprintf(stderr, "%s\n", err.msg);
		else if (write(told, "x", 1) != 1)
			err.code = errno;
	}
	results_close(results);
	return err.code;
}

/* How many rows a child said it had put; closes the pipe. */
static uint64_t told_count(int pipe_end)
{
	char buffer[4096];
	uint64_t count = 0;
	ssize_t got;

	while ((got = read(pipe_end, buffer, sizeof(buffer))) > 0)
		count += (uint64_t)got;
	close(pipe_end);
	return count;
}

/* Start sweep() in a child under 'file_limit'; returns its end of the pipe. */
static int start_sweep(pid_t *child, uint64_t rows, rlim_t file_limit)
{
	const struct rlimit limit = {file_limit, RLIM_INFINITY}, no_core = {0, 0};
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	*child = fork();
	ck_assert_int_ge(*child, 0);
	if (*child) {
		close(ends[1]);
		return ends[0];
	}
	close(ends[0]);
	if (setrlimit(RLIMIT_CORE, &no_core) || setrlimit(RLIMIT_FSIZE, &limit))
		_exit(1);
	_exit(sweep(rows, ends[1]) == 0 ? 0 : 1);
}

/* After a death: sound, every row told of is there, none half, none twice.  Returns the rows. */
static uint64_t assert_survived(uint64_t before, uint64_t told)
{
	struct results *results = must_open(dir);
	uint64_t stand;

	assert_sound();
	stand = (uint64_t)sql_number("SELECT count(*) FROM results");
	ck_assert_uint_ge(stand, before + told);
	ck_assert_uint_le(stand, before + told + 1); /* killed between its commit and its word */
	assert_rows(results, 0, stand, "sim");
	results_close(results);
	return stand;
}

START_TEST(test_a_sweep_killed_at_any_moment_loses_no_row_and_has_none_twice)
{
	enum { KILLS = 20, ROWS = 100000 };
	struct rng rng = {2024};
	uint64_t stand = 0;

	for (int i = 0; i < KILLS; i++) {
		const struct timespec nap = {0, (long)rng_below(&rng, 30000000)};
		pid_t child;
		int status, told = start_sweep(&child, ROWS, RLIM_INFINITY);

		nanosleep(&nap, NULL);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		stand = assert_survived(stand, told_count(told));
	}
}
END_TEST

/* Death inside a write, at places that do not depend on the clock: SIGXFSZ where a file would pass
 * a size, in the journal or in the database, from the first page on. */
START_TEST(test_a_sweep_that_dies_inside_a_write_leaves_whole_rows)
{
	enum { ROWS = 24, PAGE = 4096 };
	uint64_t stand = 0, deaths = 0;

	for (rlim_t limit = 512; stand < ROWS; limit += limit < PAGE ? 512 : PAGE / 2) {
		pid_t child;
		int status, told = start_sweep(&child, ROWS, limit);

		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status) ? WEXITSTATUS(status) == 0
					    : WTERMSIG(status) == SIGXFSZ);
		deaths += WIFSIGNALED(status);
		stand = assert_survived(stand, told_count(told));
	}
	ck_assert_uint_eq(stand, ROWS);
	ck_assert_uint_gt(deaths, 20);
}
END_TEST

/* --- no memory -------------------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static long allocations_left = -1; /* fails the one that makes it 0, and all after; -1: none */

static bool allocation_fails(void)
{
	if (allocations_left > 0)
		allocations_left--;
	return allocations_left == 0;
}

static void *scarce_malloc(int size)
{
	return allocation_fails() ? NULL : real_memory.xMalloc(size);
}

static void *scarce_realloc(void *old, int size)
{
	return allocation_fails() ? NULL : real_memory.xRealloc(old, size);
}

static int use_store(struct err *err)
{
	struct results *results = NULL;
	struct result_row *rows = NULL;
	size_t count;
	int code = results_open(&results, dir, err);

	if (!code)
		code = put(results, 1, "sim", TOKENS, err);
	if (!code)
		code = results_all(results, &rows, &count, err);
	free(rows);
	results_close(results);
	return code;
}

START_TEST(test_sqlite_without_memory_is_an_error_and_no_harm)
{
	sqlite3_mem_methods scarce;
	struct err err = {0};
	long n;

	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
	scarce = real_memory;
	scarce.xMalloc = scarce_malloc;
	scarce.xRealloc = scarce_realloc;
	ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce), SQLITE_OK);
	ck_assert_int_eq(use_store(&err), 0);
	for (n = 1;; n += 1 + n / 16) {
		memset(&err, 0, sizeof(err));
		allocations_left = n;
		if (use_store(&err) == 0)
			break;
		allocations_left = -1;
		ck_assert_msg(err.code == ENOMEM, "allocation %ld: %s", n, err.msg);
	}
	ck_assert_int_gt(n, 100);
	allocations_left = -1;
	assert_sound();
	ck_assert_int_eq(sql_number("SELECT count(*) FROM results"), 1);
}
END_TEST

static void add_row_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_a_new_store_makes_its_folders_and_explains_its_columns);
	tcase_add_test(tcase, test_a_row_comes_back_to_the_bit);
	tcase_add_test(tcase, test_what_a_trial_does_not_have_is_null);
	tcase_add_test(tcase, test_a_row_put_again_replaces_itself_and_its_tokens);
	tcase_add_test(tcase, test_only_rows_that_stand_are_had);
	tcase_add_test(tcase, test_tokens_come_in_order_however_they_went);
	tcase_add_loop_test(tcase, test_a_row_that_cannot_be_kept_is_refused_whole, 0,
			    COUNT(refused));
	tcase_add_test(tcase, test_columns_are_found_by_name);
	tcase_add_loop_test(tcase, test_numbers_are_the_shortest_text_that_reads_back, 0,
			    COUNT(numbers));
	tcase_add_test(tcase, test_text_is_cut_to_the_size_given);
	tcase_add_test(tcase, test_csv_gives_every_value_back);
	tcase_add_test(tcase, test_a_csv_that_cannot_be_written_leaves_the_old_one);
}

static void add_store_tests(TCase *tcase)
{
	tcase_add_test(tcase, test_merging_takes_what_is_missing_and_leaves_what_stands);
	tcase_add_test(tcase, test_merging_from_nowhere_is_an_error_and_makes_nothing);
	tcase_add_loop_test(tcase, test_a_foreign_store_is_refused_and_left_alone, 0,
			    COUNT(foreign));
	tcase_add_test(tcase, test_a_column_more_is_refused);
	tcase_add_test(tcase, test_what_is_no_database_is_refused);
	tcase_add_test(tcase, test_a_folder_that_cannot_be_made_is_named);
	tcase_add_test(tcase, test_a_row_that_does_not_fit_on_disk_is_lost_alone);
	tcase_add_test(tcase, test_a_full_file_system_is_said_and_the_store_stays_whole);
	tcase_add_test(tcase, test_a_read_only_store_can_be_read_and_says_why_it_is_not_written);
	tcase_add_test(tcase, test_several_processes_write_one_store);
	tcase_add_test(tcase, test_a_sweep_killed_at_any_moment_loses_no_row_and_has_none_twice);
	tcase_add_test(tcase, test_a_sweep_that_dies_inside_a_write_leaves_whole_rows);
	tcase_add_test(tcase, test_sqlite_without_memory_is_an_error_and_no_harm);
}

int main(void)
{
	Suite *suite = suite_create("results");
	TCase *tcase = tcase_create("results");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	add_row_tests(tcase);
	add_store_tests(tcase);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
