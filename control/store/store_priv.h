/* SPDX-License-Identifier: BSD-3-Clause */
/* What store.c (ids, peers), marks.c, selections.c and versions.c (configurations) share. */
#pragma once

#include <sqlite3.h>
#include <uthash.h>

#include "control/store/store.h"

struct id_entry {
	UT_hash_handle hh;
	uint32_t id;
	bool used;  /* asked for since store_ids_begin() */
	bool saved; /* in the database */
	char name[];
};

struct id_space {
	struct id_entry *by_name;
	uint8_t *taken; /* a byte per id; grows */
	uint32_t size;
	uint32_t first_free; /* nothing below is free */
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *marks_get, *marks_set; /* marks.c; NULL = not asked for yet */
	struct id_space spaces[STORE_KINDS];
};

/* Texts are kept once however many versions have them; `intent` is what a start must finish. */
#define STORE_VERSIONS_SCHEMA                                                                      \
	"CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, text BLOB NOT NULL) "          \
	"  WITHOUT ROWID;"                                                                         \
	"CREATE TABLE IF NOT EXISTS versions (id INTEGER PRIMARY KEY AUTOINCREMENT, "              \
	"  time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, message TEXT NOT NULL, "  \
	"  digest TEXT NOT NULL);"                                                                 \
	"CREATE TABLE IF NOT EXISTS version_files (version INTEGER NOT NULL, "                     \
	"  position INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, "                  \
	"  PRIMARY KEY (version, position)) WITHOUT ROWID;"                                        \
	"CREATE TABLE IF NOT EXISTS intent (one INTEGER PRIMARY KEY CHECK (one = 1), "             \
	"  version INTEGER NOT NULL, deadline INTEGER NOT NULL);"

/* Logs what the database says; -EIO. */
int store_report(const struct store *store, const char *what);

/* NULL after a report. */
sqlite3_stmt *store_prepare(struct store *store, const char *sql);

/* Copies a blob of exactly this size; false otherwise. */
bool store_get_blob(sqlite3_stmt *stmt, int column, void *out, size_t size);

/* Runs a statement that returns nothing, and ends it; NULL is a failure. 0 or -EIO. */
int store_finish(struct store *store, sqlite3_stmt *stmt, const char *what);
