/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is remembered of each peer. A data plane that has just started gets the marks of all, one by
 * one, so the statements are prepared once and kept.
 */
#include "control/store/store_priv.h"

#include <errno.h>
#include <string.h>

#include "common/base/addr.h"

/* NULL after a report. */
static sqlite3_stmt *keep(struct store *store, sqlite3_stmt **kept, const char *sql)
{
	if (*kept == NULL)
		*kept = store_prepare(store, sql);
	return *kept;
}

/* A statement that is not reset would hold its transaction open, and texts that may go. */
static void give_back(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

int store_marks_set(struct store *store, const char *key, const struct store_marks *marks)
{
	sqlite3_stmt *stmt = keep(store, &store->marks_set,
		"INSERT OR REPLACE INTO marks (key, endpoint, last_handshake, received, sent) "
		"VALUES (?1, ?2, ?3, ?4, ?5)");
	char text[ENDPOINT_TEXT_MAX] = "";
	int rc;

	if (stmt == NULL)
		return -EIO;
	if (marks->endpoint.addr.family != ADDR_NONE)
		endpoint_format(&marks->endpoint, text);
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, (sqlite3_int64)marks->last_handshake_s);
	sqlite3_bind_blob(stmt, 4, marks->tai64n_received, API_TAI64N_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 5, marks->tai64n_sent, API_TAI64N_SIZE, SQLITE_STATIC);
	rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : store_report(store, "writing marks");
	give_back(stmt);
	return rc;
}

bool store_marks_get(struct store *store, const char *key, struct store_marks *marks)
{
	sqlite3_stmt *stmt = keep(store, &store->marks_get,
		"SELECT endpoint, last_handshake, received, sent FROM marks WHERE key = ?1");
	bool found = false;

	memset(marks, 0, sizeof(*marks));
	if (stmt == NULL)
		return false;
	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);

		if (endpoint_parse(text, &marks->endpoint) < 0)
			memset(&marks->endpoint, 0, sizeof(marks->endpoint));
		marks->last_handshake_s = (uint64_t)sqlite3_column_int64(stmt, 1);
		found = store_get_blob(stmt, 2, marks->tai64n_received, API_TAI64N_SIZE) &&
			store_get_blob(stmt, 3, marks->tai64n_sent, API_TAI64N_SIZE);
	}
	give_back(stmt);
	return found;
}
