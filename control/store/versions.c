/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/store/store_priv.h"

enum {
	DIGEST_SIZE = (STORE_TEXT_DIGEST_MAX - 1) / 2,
	VERSIONS_MIN = 2, /* however large: the one in force and the one before */
};

static void text_digest(const struct store_text *text, char digest[STORE_TEXT_DIGEST_MAX])
{
	unsigned char bytes[DIGEST_SIZE];

	crypto_generichash(
		bytes, sizeof(bytes), (const unsigned char *)text->text, text->size, NULL, 0);
	sodium_bin2hex(digest, STORE_TEXT_DIGEST_MAX, bytes, sizeof(bytes));
}

void store_texts_digest(
	const struct store_text *texts, size_t n, char digest[STORE_TEXT_DIGEST_MAX])
{
	crypto_generichash_state state;
	unsigned char bytes[DIGEST_SIZE];
	char one[STORE_TEXT_DIGEST_MAX];

	crypto_generichash_init(&state, NULL, 0, sizeof(bytes));
	for (size_t i = 0; i < n; i++) {
		text_digest(&texts[i], one);
		/* With the terminators, so that names cannot run into digests. */
		crypto_generichash_update(
			&state, (const unsigned char *)texts[i].name, strlen(texts[i].name) + 1);
		crypto_generichash_update(&state, (const unsigned char *)one, sizeof(one));
	}
	crypto_generichash_final(&state, bytes, sizeof(bytes));
	sodium_bin2hex(digest, STORE_TEXT_DIGEST_MAX, bytes, sizeof(bytes));
}

static int add_text(
	struct store *store, uint64_t version, size_t position, const struct store_text *text)
{
	char digest[STORE_TEXT_DIGEST_MAX];
	sqlite3_stmt *stmt =
		store_prepare(store, "INSERT OR IGNORE INTO texts (digest, text) VALUES (?1, ?2)");
	int rc;

	text_digest(text, digest);
	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, digest, -1, SQLITE_STATIC);
		/* An empty blob, not NULL. */
		sqlite3_bind_blob64(
			stmt, 2, text->size == 0 ? "" : text->text, text->size, SQLITE_STATIC);
	}
	rc = store_finish(store, stmt, "writing a text");
	if (rc < 0)
		return rc;
	stmt = store_prepare(store, "INSERT INTO version_files (version, position, name, digest) "
				    "VALUES (?1, ?2, ?3, ?4)");
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)version);
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)position);
		sqlite3_bind_text(stmt, 3, text->name, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, digest, -1, SQLITE_STATIC);
	}
	return store_finish(store, stmt, "writing a version");
}

static sqlite3_int64 ask_number(struct store *store, const char *sql)
{
	sqlite3_stmt *stmt = store_prepare(store, sql);
	sqlite3_int64 value = 0;

	if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static int drop_oldest(struct store *store)
{
	static const char sql[] =
		"DELETE FROM versions WHERE id = (SELECT min(id) FROM versions);"
		"DELETE FROM version_files WHERE version NOT IN (SELECT id FROM versions);"
		"DELETE FROM texts WHERE digest NOT IN (SELECT digest FROM version_files);";

	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : store_report(store, "dropping the oldest version");
}

/* What an intent names must stay, however old: it stands for what is to come back. */
static int prune(struct store *store)
{
	for (;;) {
		sqlite3_int64 n = ask_number(store, "SELECT count(*) FROM versions");
		sqlite3_int64 bytes = ask_number(store, "SELECT total(length(text)) FROM texts");

		if (n <= VERSIONS_MIN ||
			(n <= STORE_VERSIONS_MAX && bytes <= STORE_VERSIONS_BYTES_MAX) ||
			ask_number(store, "SELECT version = (SELECT min(id) FROM versions) "
					  "FROM intent") != 0)
			return 0;
		if (drop_oldest(store) < 0)
			return -EIO;
	}
}

int store_version_add(struct store *store, struct store_version *version,
	const struct store_text *texts, size_t n)
{
	sqlite3_stmt *stmt;
	int rc;

	store_texts_digest(texts, n, version->digest);
	store_batch_begin(store);
	stmt = store_prepare(store, "INSERT INTO versions (time, who, what, message, digest) "
				    "VALUES (?1, ?2, ?3, ?4, ?5)");
	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)version->time_s);
		sqlite3_bind_text(stmt, 2, version->who, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, version->what, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 4, version->message, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 5, version->digest, -1, SQLITE_STATIC);
	}
	rc = store_finish(store, stmt, "writing a version");
	version->id = (uint64_t)sqlite3_last_insert_rowid(store->db);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_text(store, version->id, i, &texts[i]);
	if (rc == 0)
		rc = prune(store);
	if (rc == 0)
		return store_batch_end(store);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int store_versions_each(struct store *store,
	void (*each)(const struct store_version *version, void *arg), void *arg)
{
	sqlite3_stmt *stmt = store_prepare(store,
		"SELECT id, time, who, what, message, digest FROM versions ORDER BY id DESC");
	int rc = SQLITE_ERROR;

	while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_version version = {
			.id = (uint64_t)sqlite3_column_int64(stmt, 0),
			.time_s = (uint64_t)sqlite3_column_int64(stmt, 1),
			.who = (const char *)sqlite3_column_text(stmt, 2),
			.what = (const char *)sqlite3_column_text(stmt, 3),
			.message = (const char *)sqlite3_column_text(stmt, 4),
		};

		strncpy(version.digest, (const char *)sqlite3_column_text(stmt, 5),
			sizeof(version.digest) - 1);
		each(&version, arg);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "reading versions");
}

int store_version_texts(struct store *store, uint64_t id,
	void (*each)(const struct store_text *text, void *arg), void *arg)
{
	sqlite3_stmt *stmt = store_prepare(store,
		"SELECT name, text FROM version_files JOIN texts USING (digest) "
		"WHERE version = ?1 ORDER BY position");
	bool any = false;
	int rc = SQLITE_ERROR;

	if (stmt != NULL)
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)id);
	while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_text text = {
			.name = (const char *)sqlite3_column_text(stmt, 0),
			.text = sqlite3_column_blob(stmt, 1),
			.size = (size_t)sqlite3_column_bytes(stmt, 1),
		};

		any = true;
		each(&text, arg);
	}
	sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE)
		return store_report(store, "reading a version");
	return any ? 0 : -ENOENT;
}

bool store_has_text(struct store *store, const struct store_text *text)
{
	sqlite3_stmt *stmt = store_prepare(
		store, "SELECT 1 FROM version_files WHERE name = ?1 AND digest = ?2 LIMIT 1");
	char digest[STORE_TEXT_DIGEST_MAX];
	bool found = false;

	text_digest(text, digest);
	if (stmt != NULL) {
		sqlite3_bind_text(stmt, 1, text->name, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, digest, -1, SQLITE_STATIC);
		found = sqlite3_step(stmt) == SQLITE_ROW;
	}
	sqlite3_finalize(stmt);
	return found;
}

int store_intent_set(struct store *store, const struct store_intent *intent)
{
	sqlite3_stmt *stmt = store_prepare(
		store, intent == NULL ? "DELETE FROM intent"
				      : "INSERT OR REPLACE INTO intent (one, version, deadline) "
					"VALUES (1, ?1, ?2)");

	if (stmt != NULL && intent != NULL) {
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)intent->version);
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)intent->deadline_s);
	}
	return store_finish(store, stmt, "writing what is to be done");
}

bool store_intent_get(struct store *store, struct store_intent *intent)
{
	sqlite3_stmt *stmt = store_prepare(store, "SELECT version, deadline FROM intent");
	bool found = stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW;

	if (found) {
		intent->version = (uint64_t)sqlite3_column_int64(stmt, 0);
		intent->deadline_s = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	sqlite3_finalize(stmt);
	return found;
}
