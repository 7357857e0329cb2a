/* SPDX-License-Identifier: GPL-3.0-or-later */
/* results.c - result rows in SQLite
 *
 * Every statement is made from result_columns[] and token_columns[]; a column exists by standing in
 * its table.
 *
 * A rollback journal and not WAL: one file a store, which may lie on a network file system and be
 * read where nobody may write.  synchronous=FULL makes a row durable when its COMMIT returns; a
 * writer killed earlier leaves a journal that the next opener rolls back.  Writers start with BEGIN
 * IMMEDIATE, so that two of them wait for each other and never deadlock on an upgrade.
 *
 * A handle belongs to one thread at a time and is not carried over a fork(): SQLite's rules. */
#include "results.h"

#include "newfile.h"
#include "number.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sqlite3.h>

enum {
	SCHEMA_VERSION = 1,
	APPLICATION_ID =
		0x666c6373, /* "flcs", so that `file` and we know a store from any database */
	BUSY_TIMEOUT_MS = 30000,
};

const struct result_column result_columns[] = {
#define COL_TEXT(name, help) {#name, COLUMN_TEXT, offsetof(struct result_row, name), help},
#define COL_U64(name, help)  {#name, COLUMN_U64, offsetof(struct result_row, name), help},
#define COL_F64(name, help)  {#name, COLUMN_F64, offsetof(struct result_row, name), help},
#include "result_columns.h"
#undef COL_TEXT
#undef COL_U64
#undef COL_F64
};

const size_t result_column_count = sizeof(result_columns) / sizeof(result_columns[0]);

enum token_type { TOKEN_U32, TOKEN_I32, TOKEN_U64 };

static const struct token_column {
	const char *name;
	enum token_type type;
	size_t offset;
	const char *help;
} token_columns[] = {
#define TOKEN(name, type, help)                                                                    \
	{                                                                                          \
#name, type, offsetof(struct result_token, name), help                             \
	}
	TOKEN(repeat, TOKEN_U32, "which repeat of the trial, from 0"),
	TOKEN(token, TOKEN_U32, "which token of the run, from 0"),
	TOKEN(layer, TOKEN_I32, "which layer; -1 is the whole token"),
	TOKEN(read_count, TOKEN_U64, "flash requests"),
	TOKEN(read_bytes, TOKEN_U64, "bytes of those requests"),
	TOKEN(moved_bytes, TOKEN_U64, "bytes copied inside DRAM by the store"),
	TOKEN(demand_neurons, TOKEN_U32, "neurons demanded"),
	TOKEN(load_neurons, TOKEN_U32, "neurons loaded"),
	TOKEN(resident_neurons, TOKEN_U32, "neurons in DRAM at compute"),
	TOKEN(io_ns, TOKEN_U64, "time that reads were in service"),
	TOKEN(io_wait_ns, TOKEN_U64, "time that compute waited for reads"),
	TOKEN(mem_ns, TOKEN_U64, "memory management"),
	TOKEN(compute_ns, TOKEN_U64, "attention, FFN and head"),
	TOKEN(total_ns, TOKEN_U64, "wall time"),
#undef TOKEN
};

enum { TOKEN_COLUMN_COUNT = sizeof(token_columns) / sizeof(token_columns[0]) };

/* --- rows without a store ------------------------------------------------------------------- */

const struct result_column *result_column_find(const char *name)
{
	for (size_t i = 0; i < result_column_count; i++)
		if (strcmp(result_columns[i].name, name) == 0)
			return &result_columns[i];
	return NULL;
}

static const char *row_text(const struct result_row *row, const struct result_column *column)
{
	assert(column->type == COLUMN_TEXT);
	return (const char *)row + column->offset;
}

static uint64_t row_u64(const struct result_row *row, const struct result_column *column)
{
	uint64_t value;

	assert(column->type == COLUMN_U64);
	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

static double row_f64(const struct result_row *row, const struct result_column *column)
{
	double value;

	assert(column->type == COLUMN_F64);
	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

void result_row_init(struct result_row *row)
{
	const uint64_t none = COL_NONE;
	const double absent = (double)NAN;

	memset(row, 0, sizeof(*row));
	for (size_t i = 0; i < result_column_count; i++) {
		char *to = (char *)row + result_columns[i].offset;

		if (result_columns[i].type == COLUMN_U64)
			memcpy(to, &none, sizeof(none));
		else if (result_columns[i].type == COLUMN_F64)
			memcpy(to, &absent, sizeof(absent));
	}
}

char *result_text(char *text, size_t size, const struct result_row *row,
		  const struct result_column *column)
{
	char number[NUMBER_TEXT] = "";

	switch (column->type) {
	case COLUMN_TEXT:
		snprintf(text, size, "%s", row_text(row, column));
		return text;
	case COLUMN_U64:
		if (row_u64(row, column) != COL_NONE)
			snprintf(number, sizeof(number), "%" PRIu64, row_u64(row, column));
		break;
	case COLUMN_F64:
		if (!isnan(row_f64(row, column)))
			number_text(number, row_f64(row, column));
		break;
	}
	snprintf(text, size, "%s", number);
	return text;
}

double result_number(const struct result_row *row, const struct result_column *column)
{
	if (column->type == COLUMN_F64)
		return row_f64(row, column);
	if (column->type == COLUMN_U64 && row_u64(row, column) != COL_NONE)
		return (double)row_u64(row, column);
	return (double)NAN;
}

/* --- the store ------------------------------------------------------------------------------ */

struct results {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *find;	    /* id of (trial_hash, world) */
	sqlite3_stmt *drop;	    /* a row by id */
	sqlite3_stmt *drop_tokens;  /* the tokens of a row by id */
	sqlite3_stmt *insert;	    /* a row */
	sqlite3_stmt *insert_token; /* a token: its row's id first */
};

/* The system's error behind SQLite's: of the call or, as of a failed COMMIT, of the database's
 * file. */
static int db_system_errno(sqlite3 *db)
{
	int system = db ? sqlite3_system_errno(db) : 0;

	if (db && !system)
		sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &system);
	return system ? system : EIO;
}

/* SQLite's code as ours: EINVAL where another file was given, the system's own where it knows. */
static int db_errno(sqlite3 *db, int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
		return EINVAL;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return db_system_errno(db);
	default:
		return EIO;
	}
}

static int db_err(struct results *r, struct err *err, const char *doing)
{
	int code = r->db ? sqlite3_extended_errcode(r->db) : SQLITE_NOMEM;
	int number = db_errno(r->db, code);

	if ((code & 0xff) == SQLITE_NOTADB)
		return err_set(err, number, "%s: is no SQLite database, expected a result store",
			       r->path);
	return err_set(err, number, "%s: cannot %s: %s (%s)", r->path, doing,
		       r->db ? sqlite3_errmsg(r->db) : "out of memory", strerror(number));
}

static int db_exec(struct results *r, const char *sql, const char *doing, struct err *err)
{
	if (sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_err(r, err, doing);
	return 0;
}

static int db_prepare(struct results *r, sqlite3_stmt **stmt, const char *sql, struct err *err)
{
	if (sqlite3_prepare_v2(r->db, sql, -1, stmt, NULL) != SQLITE_OK)
		return db_err(r, err, "prepare a statement");
	return 0;
}

/* Run a bound statement that gives no rows, and make it ready for the next time. */
static int db_step(struct results *r, sqlite3_stmt *stmt, const char *doing, struct err *err)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		db_err(r, err, doing);
	sqlite3_reset(stmt);
	return err->code;
}

/* Best effort after a failure that is reported already; SQLite may have rolled back by itself. */
static void db_rollback(struct results *r)
{
	if (!sqlite3_get_autocommit(r->db))
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
}

static int db_begin(struct results *r, struct err *err)
{
	return db_exec(r, "BEGIN IMMEDIATE", "start writing", err);
}

static int db_commit(struct results *r, struct err *err)
{
	if (db_exec(r, "COMMIT", "write to disk", err))
		db_rollback(r);
	return err->code;
}

/* One whole number, of a PRAGMA or a count. */
static int db_number(struct results *r, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt;

	if (db_prepare(r, &stmt, sql, err))
		return err->code;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	else
		db_err(r, err, "read");
	sqlite3_finalize(stmt);
	return err->code;
}

/* --- statements out of the column tables ---------------------------------------------------- */

static const char *const column_sql[] = {
	[COLUMN_TEXT] = "TEXT NOT NULL",
	[COLUMN_U64] = "INTEGER",
	[COLUMN_F64] = "REAL",
};

/* A list of all column names, each through 'format' (which may use its name and SQL type). */
static void write_names(FILE *out, bool tokens, bool types)
{
	size_t count = tokens ? (size_t)TOKEN_COLUMN_COUNT : result_column_count;

	for (size_t i = 0; i < count; i++) {
		const char *type = tokens ? "INTEGER NOT NULL" : column_sql[result_columns[i].type];

		fprintf(out, "%s\"%s\"%s%s", i ? ", " : "",
			tokens ? token_columns[i].name : result_columns[i].name, types ? " " : "",
			types ? type : "");
	}
}

static void write_marks(FILE *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fputs(i ? ", ?" : "?", out);
}

static void write_schema(FILE *out)
{
	fputs("CREATE TABLE results (id INTEGER PRIMARY KEY, ", out);
	write_names(out, false, true);
	fputs(", UNIQUE (trial_hash, world)) STRICT;\n"
	      "CREATE TABLE tokens (result_id INTEGER NOT NULL REFERENCES results (id), ",
	      out);
	write_names(out, true, true);
	fputs(", PRIMARY KEY (result_id, repeat, token, layer)) STRICT, WITHOUT ROWID;\n"
	      "CREATE TABLE columns (of TEXT NOT NULL, name TEXT NOT NULL, help TEXT NOT NULL,"
	      " UNIQUE (of, name)) STRICT;\n",
	      out);
	fprintf(out, "PRAGMA application_id = %d;\nPRAGMA user_version = %d;\n", APPLICATION_ID,
		SCHEMA_VERSION);
}

static void write_insert(FILE *out)
{
	fputs("INSERT INTO results (", out);
	write_names(out, false, false);
	fputs(") VALUES (", out);
	write_marks(out, result_column_count);
	fputs(")", out);
}

static void write_insert_token(FILE *out)
{
	fputs("INSERT INTO tokens (result_id, ", out);
	write_names(out, true, false);
	fputs(") VALUES (", out);
	write_marks(out, TOKEN_COLUMN_COUNT + 1);
	fputs(")", out);
}

static void write_select(FILE *out)
{
	fputs("SELECT ", out);
	write_names(out, false, false);
	fputs(" FROM results ORDER BY id", out);
}

static void write_select_tokens(FILE *out)
{
	fputs("SELECT ", out);
	write_names(out, true, false);
	fputs(" FROM tokens WHERE result_id = ? ORDER BY repeat, token, layer", out);
}

/* What 'write' writes, in memory; the caller frees it. */
static int sql_text(char **sql, void (*write)(FILE *out), struct err *err)
{
	size_t size = 0;
	FILE *out = open_memstream(sql, &size);
	int failed;

	if (!out)
		return err_nomem(err, "a statement", 0);
	write(out);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(*sql);
		*sql = NULL;
		return err_nomem(err, "a statement", size);
	}
	return 0;
}

static int prepare_written(struct results *r, sqlite3_stmt **stmt, void (*write)(FILE *out),
			   struct err *err)
{
	char *sql;

	if (sql_text(&sql, write, err))
		return err->code;
	if (db_prepare(r, stmt, sql, err))
		*stmt = NULL;
	free(sql);
	return err->code;
}

/* --- opening -------------------------------------------------------------------------------- */

static int make_folders(const char *dir, struct err *err)
{
	char *path = strdup(dir);

	if (!path)
		return err_nomem(err, "a folder's name", strlen(dir));
	for (char *at = path + 1;; at++) {
		char end = *at;

		if (end != '/' && end != '\0')
			continue;
		*at = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST) {
			err_errno(err, "%s: cannot make the folder", path);
			break;
		}
		*at = end;
		if (end == '\0')
			break;
	}
	free(path);
	return err->code;
}

static int insert_help(struct results *r, sqlite3_stmt *stmt, const char *of, const char *name,
		       const char *help, struct err *err)
{
	sqlite3_bind_text(stmt, 1, of, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, help, -1, SQLITE_STATIC);
	return db_step(r, stmt, "describe the columns", err);
}

static int insert_helps(struct results *r, struct err *err)
{
	sqlite3_stmt *stmt;

	if (db_prepare(r, &stmt, "INSERT INTO columns VALUES (?, ?, ?)", err))
		return err->code;
	for (size_t i = 0; i < result_column_count && !err->code; i++)
		insert_help(r, stmt, "results", result_columns[i].name, result_columns[i].help,
			    err);
	for (size_t i = 0; i < TOKEN_COLUMN_COUNT && !err->code; i++)
		insert_help(r, stmt, "tokens", token_columns[i].name, token_columns[i].help, err);
	sqlite3_finalize(stmt);
	return err->code;
}

static int store_is_new(struct results *r, bool *is_new, struct err *err)
{
	int64_t table_count, version;

	if (db_number(r, "SELECT count(*) FROM sqlite_schema", &table_count, err) ||
	    db_number(r, "PRAGMA user_version", &version, err))
		return err->code;
	*is_new = table_count == 0 && version == 0;
	return 0;
}

/* In one transaction, so that a store is either empty or whole. */
static int make_tables(struct results *r, struct err *err)
{
	char *sql = NULL;
	bool is_new;

	if (db_begin(r, err))
		return err->code;
	if (store_is_new(r, &is_new, err)) /* another process may have been here before the lock */
		goto fail;
	if (is_new && (sql_text(&sql, write_schema, err) ||
		       db_exec(r, sql, "make the tables", err) || insert_helps(r, err)))
		goto fail;
	free(sql);
	return db_commit(r, err);
fail:
	free(sql);
	db_rollback(r);
	return err->code;
}

/* The stored table has our columns in our order, or it is another flashcast's. */
static int check_columns(struct results *r, struct err *err)
{
	sqlite3_stmt *stmt;
	size_t i = 0;
	int code;

	if (db_prepare(r, &stmt, "SELECT name FROM pragma_table_info('results') WHERE cid > 0",
		       err))
		return err->code;
	for (; (code = sqlite3_step(stmt)) == SQLITE_ROW && !err->code; i++) {
		const char *got = (const char *)sqlite3_column_text(stmt, 0);
		const char *want = i < result_column_count ? result_columns[i].name : "no more";

		if (!got)
			err_nomem(err, "a column's name", 0);
		else if (strcmp(got, want) != 0)
			err_set(err, EINVAL,
				"%s: column %zu of table results is %s, expected %s:"
				" written by another version",
				r->path, i + 1, got, want);
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		db_err(r, err, "read its columns");
	else if (i < result_column_count)
		err_set(err, EINVAL,
			"%s: table results has %zu columns, expected %zu:"
			" written by another version",
			r->path, i, result_column_count);
	sqlite3_finalize(stmt);
	return err->code;
}

static int check_schema(struct results *r, struct err *err)
{
	int64_t application, version;

	if (db_number(r, "PRAGMA application_id", &application, err) ||
	    db_number(r, "PRAGMA user_version", &version, err))
		return err->code;
	if (application != APPLICATION_ID)
		return err_set(err, EINVAL,
			       "%s: application id 0x%" PRIx64 ", expected 0x%x: no result store",
			       r->path, (uint64_t)application, (unsigned)APPLICATION_ID);
	if (version != SCHEMA_VERSION)
		return err_set(err, EINVAL, "%s: schema version %" PRId64 ", expected %d", r->path,
			       version, SCHEMA_VERSION);
	return check_columns(r, err);
}

static int prepare_all(struct results *r, struct err *err)
{
	if (db_prepare(r, &r->find, "SELECT id FROM results WHERE trial_hash = ? AND world = ?",
		       err) ||
	    db_prepare(r, &r->drop, "DELETE FROM results WHERE id = ?", err) ||
	    db_prepare(r, &r->drop_tokens, "DELETE FROM tokens WHERE result_id = ?", err) ||
	    prepare_written(r, &r->insert, write_insert, err) ||
	    prepare_written(r, &r->insert_token, write_insert_token, err))
		return err->code;
	return 0;
}

/* DIR/name; NULL: out of memory. */
static char *path_in(const char *dir, const char *name)
{
	size_t size = strlen(dir) + strlen(name) + 2;
	char *path = malloc(size);

	if (path)
		snprintf(path, size, "%s/%s", dir, name);
	return path;
}

static int store_open(struct results **out, const char *dir, int create, struct err *err)
{
	struct results *r = calloc(1, sizeof(*r));
	bool is_new;

	if (!r || !(r->path = path_in(dir, "results.sqlite"))) {
		err_nomem(err, "a result store", sizeof(*r));
		goto fail;
	}
	if (sqlite3_open_v2(r->path, &r->db, SQLITE_OPEN_READWRITE | create, NULL) != SQLITE_OK) {
		db_err(r, err, "open");
		goto fail;
	}
	sqlite3_extended_result_codes(r->db, 1);
	sqlite3_busy_timeout(r->db, BUSY_TIMEOUT_MS);
	if (db_exec(r, "PRAGMA synchronous = FULL", "set up", err) || store_is_new(r, &is_new, err))
		goto fail;
	if (is_new && create && make_tables(r, err))
		goto fail;
	if (check_schema(r, err) || prepare_all(r, err))
		goto fail;
	*out = r;
	return 0;
fail:
	results_close(r);
	return err->code;
}

int results_open(struct results **out, const char *dir, struct err *err)
{
	if (make_folders(dir, err))
		return err->code;
	return store_open(out, dir, SQLITE_OPEN_CREATE, err);
}

void results_close(struct results *results)
{
	if (!results)
		return;
	sqlite3_finalize(results->find);
	sqlite3_finalize(results->drop);
	sqlite3_finalize(results->drop_tokens);
	sqlite3_finalize(results->insert);
	sqlite3_finalize(results->insert_token);
	sqlite3_close(results->db);
	free(results->path);
	free(results);
}

/* --- writing -------------------------------------------------------------------------------- */

/* The id of a row, -1 when there is none. */
static int find_id(struct results *r, const char *trial_hash, const char *world, int64_t *id,
		   struct err *err)
{
	int code;

	*id = -1;
	sqlite3_bind_text(r->find, 1, trial_hash, -1, SQLITE_STATIC);
	sqlite3_bind_text(r->find, 2, world, -1, SQLITE_STATIC);
	code = sqlite3_step(r->find);
	if (code == SQLITE_ROW)
		*id = sqlite3_column_int64(r->find, 0);
	else if (code != SQLITE_DONE)
		db_err(r, err, "look up a row");
	sqlite3_reset(r->find);
	sqlite3_clear_bindings(r->find);
	return err->code;
}

bool results_have(struct results *results, const char *trial_hash, const char *world)
{
	struct err err = {0};
	int64_t id;

	/* What cannot be read is not there: the trial runs again, and its row replaces this one. */
	return find_id(results, trial_hash, world, &id, &err) == 0 && id >= 0;
}

/* SQLite's integers are signed. */
static int check_u64(const char *name, uint64_t value, struct err *err)
{
	if (value > INT64_MAX)
		return err_set(err, EINVAL, "%s: %" PRIu64 ", expected at most %" PRId64, name,
			       value, INT64_MAX);
	return 0;
}

static int bind_column(sqlite3_stmt *stmt, int at, const struct result_row *row,
		       const struct result_column *column, struct err *err)
{
	switch (column->type) {
	case COLUMN_TEXT:
		assert(memchr(row_text(row, column), '\0', RESULT_TEXT));
		sqlite3_bind_text(stmt, at, row_text(row, column), -1, SQLITE_STATIC);
		return 0;
	case COLUMN_U64:
		if (row_u64(row, column) == COL_NONE)
			sqlite3_bind_null(stmt, at);
		else if (check_u64(column->name, row_u64(row, column), err))
			return err->code;
		else
			sqlite3_bind_int64(stmt, at, (int64_t)row_u64(row, column));
		return 0;
	case COLUMN_F64:
		sqlite3_bind_double(stmt, at, row_f64(row, column)); /* NaN becomes NULL there */
		return 0;
	}
	assert(0 && "a column type");
	return 0;
}

static int insert_row(struct results *r, const struct result_row *row, struct err *err)
{
	for (size_t i = 0; i < result_column_count; i++)
		if (bind_column(r->insert, (int)i + 1, row, &result_columns[i], err))
			return err->code;
	return db_step(r, r->insert, "insert a row", err);
}

static int64_t token_get(const struct result_token *token, const struct token_column *column)
{
	const char *from = (const char *)token + column->offset;
	uint64_t wide;
	uint32_t narrow;
	int32_t with_sign;

	switch (column->type) {
	case TOKEN_U32:
		memcpy(&narrow, from, sizeof(narrow));
		return narrow;
	case TOKEN_I32:
		memcpy(&with_sign, from, sizeof(with_sign));
		return with_sign;
	case TOKEN_U64:
		memcpy(&wide, from, sizeof(wide));
		return wide > INT64_MAX ? INT64_MIN : (int64_t)wide;
	}
	assert(0 && "a token column type");
	return 0;
}

static int insert_token(struct results *r, int64_t id, const struct result_token *token,
			struct err *err)
{
	sqlite3_bind_int64(r->insert_token, 1, id);
	for (int i = 0; i < TOKEN_COLUMN_COUNT; i++) {
		int64_t value = token_get(token, &token_columns[i]);

		if (value == INT64_MIN)
			return err_set(err, EINVAL,
				       "tokens: %s of token %" PRIu32 ": expected at most %" PRId64,
				       token_columns[i].name, token->token, INT64_MAX);
		sqlite3_bind_int64(r->insert_token, i + 2, value);
	}
	return db_step(r, r->insert_token, "insert a token", err);
}

static int drop_row(struct results *r, int64_t id, struct err *err)
{
	sqlite3_bind_int64(r->drop_tokens, 1, id);
	sqlite3_bind_int64(r->drop, 1, id);
	if (db_step(r, r->drop_tokens, "replace tokens", err) ||
	    db_step(r, r->drop, "replace a row", err))
		return err->code;
	return 0;
}

/* Inside a transaction. */
static int put_row(struct results *r, const struct result_row *row,
		   const struct result_token *tokens, size_t token_count, struct err *err)
{
	int64_t id;

	if (find_id(r, row->trial_hash, row->world, &id, err) ||
	    (id >= 0 && drop_row(r, id, err)) || insert_row(r, row, err))
		return err->code;
	id = sqlite3_last_insert_rowid(r->db);
	for (size_t i = 0; i < token_count; i++)
		if (insert_token(r, id, &tokens[i], err))
			return err->code;
	return 0;
}

int results_put(struct results *results, const struct result_row *row,
		const struct result_token *tokens, size_t token_count, struct err *err)
{
	assert(row->trial_hash[0] && row->world[0]);
	if (db_begin(results, err))
		return err->code;
	if (put_row(results, row, tokens, token_count, err) == 0)
		return db_commit(results, err);
	db_rollback(results);
	return err_where(err, "row %s %s", row->trial_hash, row->world);
}

/* --- reading -------------------------------------------------------------------------------- */

static int read_column(struct results *r, sqlite3_stmt *stmt, int at,
		       const struct result_column *column, struct result_row *row, struct err *err)
{
	char *to = (char *)row + column->offset;
	bool absent = sqlite3_column_type(stmt, at) == SQLITE_NULL;
	const char *text = "";
	uint64_t whole = absent ? COL_NONE : (uint64_t)sqlite3_column_int64(stmt, at);
	double number = absent ? (double)NAN : sqlite3_column_double(stmt, at);

	switch (column->type) {
	case COLUMN_TEXT:
		text = (const char *)sqlite3_column_text(stmt, at);
		if (!text)
			return err_nomem(err, "a result's text", RESULT_TEXT);
		if (strlen(text) >= RESULT_TEXT)
			return err_set(err, EINVAL, "%s: %s has %zu bytes, expected at most %d",
				       r->path, column->name, strlen(text), RESULT_TEXT - 1);
		memcpy(to, text, strlen(text) + 1);
		break;
	case COLUMN_U64:
		memcpy(to, &whole, sizeof(whole));
		break;
	case COLUMN_F64:
		memcpy(to, &number, sizeof(number));
		break;
	}
	return 0;
}

/* Each row to 'take', in insertion order, until one fails. */
static int each_row(struct results *r,
		    int (*take)(void *to, const struct result_row *row, struct err *err), void *to,
		    struct err *err)
{
	struct result_row row;
	sqlite3_stmt *stmt;
	int code = SQLITE_DONE;

	if (prepare_written(r, &stmt, write_select, err))
		return err->code;
	while (!err->code && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
		result_row_init(&row);
		for (size_t i = 0; i < result_column_count && !err->code; i++)
			read_column(r, stmt, (int)i, &result_columns[i], &row, err);
		if (!err->code)
			take(to, &row, err);
	}
	if (!err->code && code != SQLITE_DONE)
		db_err(r, err, "read rows");
	sqlite3_finalize(stmt);
	return err->code;
}

struct row_list {
	struct result_row *rows;
	size_t count, room;
};

static int list_take(void *to, const struct result_row *row, struct err *err)
{
	struct row_list *list = to;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		struct result_row *rows = realloc(list->rows, room * sizeof(*rows));

		if (!rows)
			return err_nomem(err, "result rows", room * sizeof(*rows));
		list->rows = rows;
		list->room = room;
	}
	list->rows[list->count++] = *row;
	return 0;
}

int results_all(struct results *results, struct result_row **rows, size_t *count, struct err *err)
{
	struct row_list list = {NULL, 0, 0};

	if (each_row(results, list_take, &list, err)) {
		free(list.rows);
		return err->code;
	}
	*rows = list.rows;
	*count = list.count;
	return 0;
}

static void token_put(struct result_token *token, const struct token_column *column, int64_t value)
{
	char *to = (char *)token + column->offset;
	const uint64_t wide = (uint64_t)value;
	const uint32_t narrow = (uint32_t)value;

	if (column->type == TOKEN_U64)
		memcpy(to, &wide, sizeof(wide));
	else
		memcpy(to, &narrow, sizeof(narrow));
}

struct token_list {
	struct result_token *tokens;
	size_t count, room;
};

static int list_token(struct token_list *list, sqlite3_stmt *stmt, struct err *err)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct result_token *tokens = realloc(list->tokens, room * sizeof(*tokens));

		if (!tokens)
			return err_nomem(err, "token rows", room * sizeof(*tokens));
		list->tokens = tokens;
		list->room = room;
	}
	memset(&list->tokens[list->count], 0, sizeof(*list->tokens)); /* its padding, too */
	for (int i = 0; i < TOKEN_COLUMN_COUNT; i++)
		token_put(&list->tokens[list->count], &token_columns[i],
			  sqlite3_column_int64(stmt, i));
	list->count++;
	return 0;
}

static int read_tokens(struct results *r, int64_t id, struct token_list *list, struct err *err)
{
	sqlite3_stmt *stmt;
	int code = SQLITE_DONE;

	if (prepare_written(r, &stmt, write_select_tokens, err))
		return err->code;
	sqlite3_bind_int64(stmt, 1, id);
	while (!err->code && (code = sqlite3_step(stmt)) == SQLITE_ROW)
		list_token(list, stmt, err);
	if (!err->code && code != SQLITE_DONE)
		db_err(r, err, "read tokens");
	sqlite3_finalize(stmt);
	return err->code;
}

int results_tokens(struct results *results, const char *trial_hash, const char *world,
		   struct result_token **tokens, size_t *count, struct err *err)
{
	struct token_list list = {NULL, 0, 0};
	int64_t id;

	if (find_id(results, trial_hash, world, &id, err) ||
	    (id >= 0 && read_tokens(results, id, &list, err))) {
		free(list.tokens);
		return err->code;
	}
	*tokens = list.tokens;
	*count = list.count;
	return 0;
}

/* --- export and merge ----------------------------------------------------------------------- */

/* RFC 4180: quoted where a comma, a quote or a line's end stands in it, quotes doubled. */
static void write_field(FILE *out, const char *text)
{
	if (strpbrk(text, ",\"\r\n") == NULL) {
		fputs(text, out);
		return;
	}
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

static int csv_take(void *to, const struct result_row *row, struct err *err)
{
	FILE *out = to;
	char text[RESULT_TEXT];

	(void)err; /* the stream remembers: newfile_commit() */
	for (size_t i = 0; i < result_column_count; i++) {
		if (i)
			putc(',', out);
		write_field(out, result_text(text, sizeof(text), row, &result_columns[i]));
	}
	putc('\n', out);
	return 0;
}

int results_export_csv(struct results *results, const char *dir, struct err *err)
{
	char *path = path_in(dir, "results.csv");
	struct newfile file;

	if (!path)
		return err_nomem(err, "a file's name", strlen(dir));
	if (newfile_open(&file, path, err)) {
		free(path);
		return err->code;
	}
	free(path);
	for (size_t i = 0; i < result_column_count; i++)
		fprintf(file.stream, "%s%s", i ? "," : "", result_columns[i].name);
	putc('\n', file.stream);
	if (each_row(results, csv_take, file.stream, err)) {
		newfile_drop(&file);
		return err->code;
	}
	return newfile_commit(&file, err);
}

struct merging {
	struct results *to, *from;
};

static int merge_take(void *to, const struct result_row *row, struct err *err)
{
	const struct merging *merging = to;
	struct result_token *tokens;
	size_t count;
	int64_t id;

	if (find_id(merging->to, row->trial_hash, row->world, &id, err) || id >= 0)
		return err->code;
	if (results_tokens(merging->from, row->trial_hash, row->world, &tokens, &count, err))
		return err->code;
	put_row(merging->to, row, tokens, count, err);
	free(tokens);
	return err->code;
}

int results_merge(struct results *results, const char *other_dir, struct err *err)
{
	struct merging merging = {.to = results};

	if (store_open(&merging.from, other_dir, 0, err))
		return err->code;
	if (db_begin(results, err) == 0) {
		if (each_row(merging.from, merge_take, &merging, err) == 0)
			db_commit(results, err);
		else
			db_rollback(results);
	}
	results_close(merging.from);
	return err->code;
}
