/* SPDX-License-Identifier: BSD-3-Clause */
/* Routing peers that did not answer when last heard of. */
#include "control/store/store_priv.h"

#include <errno.h>

static int insert(struct store *store, sqlite3_stmt *stmt, const struct key *key)
{
	char text[KEY_TEXT_MAX];
	int rc;

	sqlite3_bind_text(stmt, 1, key_format(key, text), -1, SQLITE_TRANSIENT);
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "writing routing peers");
}

int store_down_set(struct store *store, const struct key *keys, size_t n)
{
	sqlite3_stmt *stmt = store_prepare(store, "INSERT OR IGNORE INTO down (key) VALUES (?1)");
	int rc = stmt == NULL ? -EIO : 0;

	store_batch_begin(store);
	if (rc == 0 && sqlite3_exec(store->db, "DELETE FROM down", NULL, NULL, NULL) != SQLITE_OK)
		rc = store_report(store, "writing routing peers");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = insert(store, stmt, &keys[i]);
	sqlite3_finalize(stmt);
	if (rc == 0)
		return store_batch_end(store);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int store_down_each(struct store *store, void (*each)(const struct key *key, void *arg), void *arg)
{
	sqlite3_stmt *stmt = store_prepare(store, "SELECT key FROM down ORDER BY key");
	int rc = SQLITE_ERROR;
	struct key key;

	while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (key_parse((const char *)sqlite3_column_text(stmt, 0), &key) == 0)
			each(&key, arg);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "reading routing peers");
}
