/* SPDX-License-Identifier: GPL-3.0-or-later */
/* db.h - SQLite with our errors; for db.c and results.c alone
 *
 * A rollback journal (SQLite's default) and not WAL: one file a store, which may lie on a network
 * file system and be read where nobody may write.  synchronous=FULL makes a transaction durable
 * when its COMMIT returns; a writer killed earlier leaves a journal that the next opener rolls
 * back.  Writers start with BEGIN IMMEDIATE, so that two of them wait for each other (at most 30 s,
 * then EBUSY) and never deadlock on an upgrade.
 *
 * Messages are "path: cannot <doing>: <SQLite's words> (<errno's words>)". */
#ifndef FLASH_DB_H
#define FLASH_DB_H

#include "err.h"

#include <stdint.h>

#include <sqlite3.h>

struct db {
	sqlite3 *handle;
	char *path;
};

/* 'create': SQLITE_OPEN_CREATE or 0.  A failed one is to be closed as well. */
MUST_CHECK int db_open(struct db *db, const char *path, int create, struct err *err);
void db_close(struct db *db); /* zeroed is fine; its statements must be gone */

/* What the last call complained about; never 0. */
int db_err(struct db *db, struct err *err, const char *doing);

MUST_CHECK int db_exec(struct db *db, const char *sql, const char *doing, struct err *err);
MUST_CHECK int db_prepare(struct db *db, sqlite3_stmt **stmt, const char *sql, struct err *err);
/* Run a bound statement that gives no rows, and make it ready for the next time. */
MUST_CHECK int db_step(struct db *db, sqlite3_stmt *stmt, const char *doing, struct err *err);
/* One whole number, of a PRAGMA or a count. */
MUST_CHECK int db_number(struct db *db, const char *sql, int64_t *value, struct err *err);

MUST_CHECK int db_begin(struct db *db, struct err *err);
MUST_CHECK int db_commit(struct db *db, struct err *err); /* a failed one is rolled back */
/* After a failure that is reported already; SQLite may have rolled back by itself. */
void db_rollback(struct db *db);

#endif
