/* SPDX-License-Identifier: GPL-3.0-or-later */
/* db.c - SQLite with our errors */
#include "db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUSY_TIMEOUT_MS = 30000 };

int db_open(struct db *db, const char *path, int create, struct err *err)
{
	memset(db, 0, sizeof(*db));
	db->path = strdup(path);
	if (!db->path)
		return err_nomem(err, "a file's name", strlen(path));
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | create, NULL) != SQLITE_OK)
		return db_err(db, err, "open");
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	return db_exec(db, "PRAGMA synchronous = FULL", "set up", err);
}

void db_close(struct db *db)
{
	sqlite3_close(db->handle);
	free(db->path);
	memset(db, 0, sizeof(*db));
}

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

int db_err(struct db *db, struct err *err, const char *doing)
{
	int code = db->handle ? sqlite3_extended_errcode(db->handle) : SQLITE_NOMEM;
	int number = db_errno(db->handle, code);

	if ((code & 0xff) == SQLITE_NOTADB)
		return err_set(err, number, "%s: is no SQLite database, expected a result store",
			       db->path);
	return err_set(err, number, "%s: cannot %s: %s (%s)", db->path, doing,
		       db->handle ? sqlite3_errmsg(db->handle) : "out of memory", strerror(number));
}

int db_exec(struct db *db, const char *sql, const char *doing, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_err(db, err, doing);
	return 0;
}

int db_prepare(struct db *db, sqlite3_stmt **stmt, const char *sql, struct err *err)
{
	if (sqlite3_prepare_v2(db->handle, sql, -1, stmt, NULL) != SQLITE_OK)
		return db_err(db, err, "prepare a statement");
	return 0;
}

int db_step(struct db *db, sqlite3_stmt *stmt, const char *doing, struct err *err)
{
	if (sqlite3_step(stmt) != SQLITE_DONE)
		db_err(db, err, doing);
	sqlite3_reset(stmt);
	return err->code;
}

void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int db_begin(struct db *db, struct err *err)
{
	return db_exec(db, "BEGIN IMMEDIATE", "start writing", err);
}

int db_commit(struct db *db, struct err *err)
{
	if (db_exec(db, "COMMIT", "write to disk", err))
		db_rollback(db);
	return err->code;
}

int db_number(struct db *db, const char *sql, int64_t *value, struct err *err)
{
	sqlite3_stmt *stmt = NULL;

	if (db_prepare(db, &stmt, sql, err))
		return err->code;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	else
		db_err(db, err, "read");
	sqlite3_finalize(stmt);
	return err->code;
}
