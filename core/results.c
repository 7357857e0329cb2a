/* SPDX-License-Identifier: GPL-3.0-or-later */
/* results.c - result rows in SQLite
 *
 * Every statement is made from result_columns[] and token_columns[]; a column exists by standing in
 * its table.
 *
 * A handle belongs to one thread at a time and is not carried over a fork(): SQLite's rules. */
#include "results.h"

#include "db.h"
#include "folder.h"
#include "newfile.h"
#include "result_row.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SCHEMA_VERSION = 1,
	APPLICATION_ID = 0x666c6373, /* "flcs": a store is known from any other database */
};

enum token_type { TOKEN_U32, TOKEN_I32, TOKEN_U64 };

static const struct token_column {
	const char *name;
	enum token_type type;
	size_t offset;
	const char *help;
} token_columns[] = {
/* clang-format off */
#define TOKEN(name, type, help) {#name, type, offsetof(struct result_token, name), help}
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
	/* clang-format on */
};

enum { TOKEN_COLUMN_COUNT = sizeof(token_columns) / sizeof(token_columns[0]) };

struct results {
	struct db db;
	sqlite3_stmt *find;	    /* id of (trial_hash, world) */
	sqlite3_stmt *drop;	    /* a row by id */
	sqlite3_stmt *drop_tokens;  /* the tokens of a row by id */
	sqlite3_stmt *insert;	    /* a row */
	sqlite3_stmt *insert_token; /* a token: its row's id first */
};

/* --- statements out of the column tables ---------------------------------------------------- */

static void write_name(FILE *out, size_t i, const char *name, const char *type)
{
	fprintf(out, "%s\"%s\" %s", i ? ", " : "", name, type);
}

static void write_row_names(FILE *out)
{
	for (size_t i = 0; i < result_column_count; i++)
		write_name(out, i, result_columns[i].name, "");
}

static void write_token_names(FILE *out)
{
	for (size_t i = 0; i < TOKEN_COLUMN_COUNT; i++)
		write_name(out, i, token_columns[i].name, "");
}

static void write_row_columns(FILE *out)
{
	static const char *const types[] = {
		[COLUMN_TEXT] = "TEXT NOT NULL",
		[COLUMN_U64] = "INTEGER",
		[COLUMN_F64] = "REAL",
	};

	for (size_t i = 0; i < result_column_count; i++)
		write_name(out, i, result_columns[i].name, types[result_columns[i].type]);
}

static void write_token_columns(FILE *out)
{
	for (size_t i = 0; i < TOKEN_COLUMN_COUNT; i++)
		write_name(out, i, token_columns[i].name, "INTEGER NOT NULL");
}

static void write_marks(FILE *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fputs(i ? ", ?" : "?", out);
}

static void write_schema(FILE *out)
{
	fputs("CREATE TABLE results (id INTEGER PRIMARY KEY, ", out);
	write_row_columns(out);
	fputs(", UNIQUE (trial_hash, world)) STRICT;\n"
	      "CREATE TABLE tokens (result_id INTEGER NOT NULL REFERENCES results (id), ",
	      out);
	write_token_columns(out);
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
	write_row_names(out);
	fputs(") VALUES (", out);
	write_marks(out, result_column_count);
	fputs(")", out);
}

static void write_insert_token(FILE *out)
{
	fputs("INSERT INTO tokens (result_id, ", out);
	write_token_names(out);
	fputs(") VALUES (", out);
	write_marks(out, TOKEN_COLUMN_COUNT + 1);
	fputs(")", out);
}

static void write_select(FILE *out)
{
	fputs("SELECT ", out);
	write_row_names(out);
	fputs(" FROM results ORDER BY id", out);
}

static void write_select_tokens(FILE *out)
{
	fputs("SELECT ", out);
	write_token_names(out);
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
	if (db_prepare(&r->db, stmt, sql, err))
		*stmt = NULL;
	free(sql);
	return err->code;
}

/* --- opening -------------------------------------------------------------------------------- */

static int insert_help(struct results *r, sqlite3_stmt *stmt, const char *of, const char *name,
		       const char *help, struct err *err)
{
	sqlite3_bind_text(stmt, 1, of, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, help, -1, SQLITE_STATIC);
	return db_step(&r->db, stmt, "describe the columns", err);
}

static int insert_helps(struct results *r, struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(&r->db, &stmt, "INSERT INTO columns VALUES (?, ?, ?)", err))
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
	int64_t table_count = 0, version = 0;

	if (db_number(&r->db, "SELECT count(*) FROM sqlite_schema", &table_count, err) ||
	    db_number(&r->db, "PRAGMA user_version", &version, err))
		return err->code;
	*is_new = table_count == 0 && version == 0;
	return 0;
}

/* In one transaction, so that a store is either empty or whole. */
static int make_tables(struct results *r, struct err *err)
{
	char *sql = NULL;
	bool is_new = false;

	if (db_begin(&r->db, err))
		return err->code;
	if (store_is_new(r, &is_new, err)) /* another process may have been here before the lock */
		goto fail;
	if (is_new && (sql_text(&sql, write_schema, err) ||
		       db_exec(&r->db, sql, "make the tables", err) || insert_helps(r, err)))
		goto fail;
	free(sql);
	return db_commit(&r->db, err);
fail:
	free(sql);
	db_rollback(&r->db);
	return err->code;
}

/* The stored table has our columns in our order, or it is another flashcast's. */
static int check_columns(struct results *r, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	size_t i = 0;
	int code;

	if (db_prepare(&r->db, &stmt, "SELECT name FROM pragma_table_info('results') WHERE cid > 0",
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
				r->db.path, i + 1, got, want);
	}
	if (code != SQLITE_DONE && code != SQLITE_ROW)
		db_err(&r->db, err, "read its columns");
	else if (i < result_column_count)
		err_set(err, EINVAL,
			"%s: table results has %zu columns, expected %zu:"
			" written by another version",
			r->db.path, i, result_column_count);
	sqlite3_finalize(stmt);
	return err->code;
}

static int check_schema(struct results *r, struct err *err)
{
	int64_t application = 0, version = 0;

	if (db_number(&r->db, "PRAGMA application_id", &application, err) ||
	    db_number(&r->db, "PRAGMA user_version", &version, err))
		return err->code;
	if (application != APPLICATION_ID)
		return err_set(err, EINVAL,
			       "%s: application id 0x%" PRIx64 ", expected 0x%x: no result store",
			       r->db.path, (uint64_t)application, (unsigned)APPLICATION_ID);
	if (version != SCHEMA_VERSION)
		return err_set(err, EINVAL, "%s: schema version %" PRId64 ", expected %d",
			       r->db.path, version, SCHEMA_VERSION);
	return check_columns(r, err);
}

static int prepare_all(struct results *r, struct err *err)
{
	if (db_prepare(&r->db, &r->find,
		       "SELECT id, repeats, weights_digest FROM results WHERE trial_hash = ? AND "
		       "world = ?",
		       err) ||
	    db_prepare(&r->db, &r->drop, "DELETE FROM results WHERE id = ?", err) ||
	    db_prepare(&r->db, &r->drop_tokens, "DELETE FROM tokens WHERE result_id = ?", err) ||
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
	char *path = path_in(dir, "results.sqlite");
	bool is_new = false;

	if (!r || !path) {
		err_nomem(err, "a result store", sizeof(*r) + strlen(dir));
		goto fail;
	}
	if (db_open(&r->db, path, create, err) || store_is_new(r, &is_new, err))
		goto fail;
	if (is_new && create && make_tables(r, err))
		goto fail;
	if (check_schema(r, err) || prepare_all(r, err))
		goto fail;
	free(path);
	*out = r;
	return 0;
fail:
	free(path);
	results_close(r);
	return err->code;
}

int results_open(struct results **out, const char *dir, struct err *err)
{
	if (folder_make(dir, err))
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
	db_close(&results->db);
	free(results);
}

/* --- writing -------------------------------------------------------------------------------- */

/* The id of a row, -1 when there is none. */
struct found {
	int64_t id; /* -1: no such row */
	uint64_t repeats;
	char weights_digest[DIGEST_TEXT];
};

static int find_row(struct results *r, const char *trial_hash, const char *world,
		    struct found *found, struct err *err)
{
	int code;

	*found = (struct found){.id = -1};
	sqlite3_bind_text(r->find, 1, trial_hash, -1, SQLITE_STATIC);
	sqlite3_bind_text(r->find, 2, world, -1, SQLITE_STATIC);
	code = sqlite3_step(r->find);
	if (code == SQLITE_ROW) {
		const char *digest = (const char *)sqlite3_column_text(r->find, 2);

		found->id = sqlite3_column_int64(r->find, 0);
		/* an absent number of repeats reads as 0 */
		found->repeats = (uint64_t)sqlite3_column_int64(r->find, 1);
		snprintf(found->weights_digest, sizeof(found->weights_digest), "%s",
			 digest ? digest : "");
	} else if (code != SQLITE_DONE)
		db_err(&r->db, err, "look up a row");
	sqlite3_reset(r->find);
	sqlite3_clear_bindings(r->find);
	return err->code;
}

static int find_id(struct results *r, const char *trial_hash, const char *world, int64_t *id,
		   struct err *err)
{
	struct found found;
	int code = find_row(r, trial_hash, world, &found, err);

	*id = found.id;
	return code;
}

bool results_have(struct results *results, const char *trial_hash, const char *world,
		  uint64_t repeats, const char *weights_digest)
{
	struct err err = {0};
	struct found found;

	/* What cannot be read is not there: the trial runs again, and its row replaces this one. */
	return find_row(results, trial_hash, world, &found, &err) == 0 && found.id >= 0 &&
	       found.repeats >= repeats &&
	       (!weights_digest || strcmp(found.weights_digest, weights_digest) == 0);
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
	return db_step(&r->db, r->insert, "insert a row", err);
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
	return db_step(&r->db, r->insert_token, "insert a token", err);
}

static int drop_row(struct results *r, int64_t id, struct err *err)
{
	sqlite3_bind_int64(r->drop_tokens, 1, id);
	sqlite3_bind_int64(r->drop, 1, id);
	if (db_step(&r->db, r->drop_tokens, "replace tokens", err) ||
	    db_step(&r->db, r->drop, "replace a row", err))
		return err->code;
	return 0;
}

/* Inside a transaction. */
static int put_row(struct results *r, const struct result_row *row,
		   const struct result_token *tokens, size_t token_count, struct err *err)
{
	int64_t id = -1;

	if (find_id(r, row->trial_hash, row->world, &id, err) ||
	    (id >= 0 && drop_row(r, id, err)) || insert_row(r, row, err))
		return err->code;
	id = sqlite3_last_insert_rowid(r->db.handle);
	for (size_t i = 0; i < token_count; i++)
		if (insert_token(r, id, &tokens[i], err))
			return err->code;
	return 0;
}

int results_put(struct results *results, const struct result_row *row,
		const struct result_token *tokens, size_t token_count, struct err *err)
{
	assert(row->trial_hash[0] && row->world[0]);
	if (db_begin(&results->db, err))
		return err->code;
	if (put_row(results, row, tokens, token_count, err) == 0)
		return db_commit(&results->db, err);
	db_rollback(&results->db);
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
				       r->db.path, column->name, strlen(text), RESULT_TEXT - 1);
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
	sqlite3_stmt *stmt = NULL;
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
		db_err(&r->db, err, "read rows");
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
	sqlite3_stmt *stmt = NULL;
	int code = SQLITE_DONE;

	if (prepare_written(r, &stmt, write_select_tokens, err))
		return err->code;
	sqlite3_bind_int64(stmt, 1, id);
	while (!err->code && (code = sqlite3_step(stmt)) == SQLITE_ROW)
		list_token(list, stmt, err);
	if (!err->code && code != SQLITE_DONE)
		db_err(&r->db, err, "read tokens");
	sqlite3_finalize(stmt);
	return err->code;
}

int results_tokens(struct results *results, const char *trial_hash, const char *world,
		   struct result_token **tokens, size_t *count, struct err *err)
{
	struct token_list list = {NULL, 0, 0};
	int64_t id = -1;

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
	struct result_token *tokens = NULL;
	size_t count = 0;
	int64_t id = -1;

	if (find_id(merging->to, row->trial_hash, row->world, &id, err) || id >= 0)
		return err->code;
	if (results_tokens(merging->from, row->trial_hash, row->world, &tokens, &count, err))
		return err->code;
	put_row(merging->to, row, tokens, count, err);
	free(tokens);
	return err->code;
}

/* All rows or none. */
static int merge_rows(struct merging *merging, struct err *err)
{
	if (db_begin(&merging->to->db, err))
		return err->code;
	if (each_row(merging->from, merge_take, merging, err) == 0)
		return db_commit(&merging->to->db, err);
	db_rollback(&merging->to->db);
	return err->code;
}

int results_merge(struct results *results, const char *other_dir, struct err *err)
{
	struct merging merging = {.to = results};

	if (store_open(&merging.from, other_dir, 0, err))
		return err->code;
	merge_rows(&merging, err);
	results_close(merging.from);
	return err->code;
}
