/* SPDX-License-Identifier: BSD-3-Clause */
/* Which exit nodes peers selected, by public key: a peer that is renamed keeps its choice. */
#include <errno.h>

#include "control/store/store_priv.h"

int store_selections_set(struct store *store, const struct store_selection *selections, size_t n)
{
	sqlite3_stmt *stmt = store_prepare(
		store, "INSERT OR REPLACE INTO selections (key, exit_node) VALUES (?1, ?2)");
	int rc = stmt == NULL ? -EIO : 0;

	store_batch_begin(store);
	if (rc == 0 &&
		sqlite3_exec(store->db, "DELETE FROM selections", NULL, NULL, NULL) != SQLITE_OK)
		rc = store_report(store, "writing selections");
	for (size_t i = 0; rc == 0 && i < n; i++) {
		sqlite3_bind_text(stmt, 1, selections[i].public_key, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, selections[i].exit_node, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			rc = store_report(store, "writing selections");
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	if (rc == 0)
		return store_batch_end(store);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int store_selections_each(struct store *store,
	void (*each)(const struct store_selection *selection, void *arg), void *arg)
{
	sqlite3_stmt *stmt =
		store_prepare(store, "SELECT key, exit_node FROM selections ORDER BY key");
	int rc = SQLITE_ERROR;

	while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_selection selection = {
			.public_key = (const char *)sqlite3_column_text(stmt, 0),
			.exit_node = (const char *)sqlite3_column_text(stmt, 1),
		};

		each(&selection, arg);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "reading selections");
}
