/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ids live in one hash table per kind and in a map of which are taken; the database sees them
 * only in store_save(). Marks and commits are written as they come, in WAL mode without a sync
 * per write: after a power cut the data plane is gone too, and then an older mark is made good by
 * the reserve that the data plane keeps ahead.
 */
#include "control/store/store_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/egress.h"
#include "common/api/forward.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/base/log.h"

LOG_TYPE(store);

static const struct {
	const char *name;
	uint32_t limit; /* ids are below it */
} kinds[STORE_KINDS] = {
	[STORE_PORT] = {"port", API_PORT_MAX},
	[STORE_PEER] = {"peer", API_PEER_MAX},
	[STORE_SET] = {"set", API_SET_MAX},
	[STORE_ROUTE] = {"route", 1 << 20},
	[STORE_EGRESS_ADDR] = {"egress_addr", API_EGRESS_ADDR_MAX},
	[STORE_EGRESS_POOL] = {"egress_pool", API_EGRESS_POOL_MAX},
	[STORE_EGRESS_RULE] = {"egress_rule", 1 << 20},
	[STORE_POLICY_RULE] = {"policy_rule", API_POLICY_MAX},
	[STORE_FORWARD] = {"forward", API_FORWARD_MAX},
};

static const char schema[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = NORMAL;"
	"CREATE TABLE IF NOT EXISTS ids (kind TEXT NOT NULL, name TEXT NOT NULL, "
	"  id INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, "
	"  last_handshake INTEGER NOT NULL, received BLOB NOT NULL, sent BLOB NOT NULL) "
	"  WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS committed (one INTEGER PRIMARY KEY CHECK (one = 1), "
	"  instance INTEGER NOT NULL, generation INTEGER NOT NULL, digest BLOB NOT NULL);"
	"CREATE TABLE IF NOT EXISTS peers (key TEXT PRIMARY KEY, name TEXT NOT NULL, "
	"  addresses TEXT NOT NULL, endpoint TEXT NOT NULL, preshared_key_file TEXT, "
	"  keepalive INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS selections (key TEXT PRIMARY KEY, exit_node TEXT NOT NULL) "
	"  WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS down (key TEXT PRIMARY KEY) "
	"  WITHOUT ROWID;" STORE_VERSIONS_SCHEMA "PRAGMA user_version = 1;";

static void *check(void *memory)
{
	if (memory == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

int store_report(const struct store *store, const char *what)
{
	log_error(store, "%s: %s", what, sqlite3_errmsg(store->db));
	return -EIO;
}

static void take(struct id_space *space, uint32_t id)
{
	uint32_t size = space->size == 0 ? 64 : space->size;

	while (size <= id)
		size *= 2;
	if (size != space->size) {
		space->taken = check(realloc(space->taken, size));
		memset(space->taken + space->size, 0, size - space->size);
		space->size = size;
	}
	space->taken[id] = 1;
}

static struct id_entry *add_entry(struct id_space *space, const char *name, uint32_t id)
{
	struct id_entry *entry = check(calloc(1, sizeof(*entry) + strlen(name) + 1));

	strcpy(entry->name, name);
	entry->id = id;
	take(space, id);
	HASH_ADD_KEYPTR(hh, space->by_name, entry->name, strlen(entry->name), entry);
	return entry;
}

static int load_ids(struct store *store)
{
	sqlite3_stmt *stmt;
	int rc;

	if (sqlite3_prepare_v2(store->db, "SELECT kind, name, id FROM ids", -1, &stmt, NULL) !=
		SQLITE_OK)
		return store_report(store, "reading ids");
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *kind = (const char *)sqlite3_column_text(stmt, 0);
		const char *name = (const char *)sqlite3_column_text(stmt, 1);
		sqlite3_int64 id = sqlite3_column_int64(stmt, 2);

		for (size_t i = 0; i < STORE_KINDS; i++) {
			struct id_space *space = &store->spaces[i];

			if (strcmp(kinds[i].name, kind) != 0 || id < 1 || id >= kinds[i].limit ||
				(id < space->size && space->taken[id]))
				continue;
			add_entry(space, name, (uint32_t)id)->saved = true;
		}
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "reading ids");
}

struct store *store_open(const char *path, int *error)
{
	struct store *store = check(calloc(1, sizeof(*store)));

	for (size_t i = 0; i < STORE_KINDS; i++)
		store->spaces[i].first_free = 1;
	if (sqlite3_open_v2(path == NULL ? ":memory:" : path, &store->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK) {
		*error = store_report(store, path == NULL ? "memory" : path);
		goto err;
	}
	sqlite3_busy_timeout(store->db, 2000);
	if (sqlite3_exec(store->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
		*error = store_report(store, "making tables");
		goto err;
	}
	*error = load_ids(store);
	if (*error < 0)
		goto err;
	return store;
err:
	store_close(&store);
	return NULL;
}

void store_close(struct store **store)
{
	if (*store == NULL)
		return;
	for (size_t i = 0; i < STORE_KINDS; i++) {
		struct id_space *space = &(*store)->spaces[i];
		struct id_entry *entry, *next;

		HASH_ITER (hh, space->by_name, entry, next) {
			HASH_DEL(space->by_name, entry);
			free(entry);
		}
		free(space->taken);
	}
	sqlite3_finalize((*store)->marks_get);
	sqlite3_finalize((*store)->marks_set);
	sqlite3_close((*store)->db);
	free(*store);
	*store = NULL;
}

uint32_t store_id(struct store *store, enum store_kind kind, const char *name)
{
	struct id_space *space = &store->spaces[kind];
	struct id_entry *entry;
	uint32_t id;

	HASH_FIND(hh, space->by_name, name, strlen(name), entry);
	if (entry == NULL) {
		for (id = space->first_free; id < space->size && space->taken[id]; id++)
			;
		if (id >= kinds[kind].limit)
			return 0;
		entry = add_entry(space, name, id);
		space->first_free = id + 1;
	}
	entry->used = true;
	return entry->id;
}

struct store *store_copy_ids(const struct store *store, int *error)
{
	struct store *copy = store_open(NULL, error);

	for (size_t i = 0; copy != NULL && i < STORE_KINDS; i++) {
		const struct id_entry *entry, *next;

		/* Nothing of the copy is ever written: it may count as saved. */
		HASH_ITER (hh, store->spaces[i].by_name, entry, next)
			add_entry(&copy->spaces[i], entry->name, entry->id)->saved = true;
	}
	return copy;
}

void store_ids_begin(struct store *store)
{
	for (size_t i = 0; i < STORE_KINDS; i++) {
		struct id_entry *entry, *next;

		HASH_ITER (hh, store->spaces[i].by_name, entry, next)
			entry->used = false;
	}
}

sqlite3_stmt *store_prepare(struct store *store, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		store_report(store, sql);
	return stmt;
}

void store_ids_sweep(struct store *store)
{
	sqlite3_stmt *stmt = store_prepare(store, "DELETE FROM ids WHERE kind = ?1 AND name = ?2");

	store_batch_begin(store);
	for (size_t i = 0; i < STORE_KINDS; i++) {
		struct id_space *space = &store->spaces[i];
		struct id_entry *entry, *next;

		HASH_ITER (hh, space->by_name, entry, next) {
			if (entry->used)
				continue;
			if (entry->saved && stmt != NULL) {
				sqlite3_bind_text(stmt, 1, kinds[i].name, -1, SQLITE_STATIC);
				sqlite3_bind_text(stmt, 2, entry->name, -1, SQLITE_STATIC);
				sqlite3_step(stmt);
				sqlite3_reset(stmt);
			}
			space->taken[entry->id] = 0;
			if (entry->id < space->first_free)
				space->first_free = entry->id;
			HASH_DEL(space->by_name, entry);
			free(entry);
		}
	}
	sqlite3_finalize(stmt);
	if (store_batch_end(store) < 0)
		log_warn(store, "freed ids are not written yet");
}

int store_save(struct store *store)
{
	sqlite3_stmt *stmt = store_prepare(
		store, "INSERT OR REPLACE INTO ids (kind, name, id) VALUES (?1, ?2, ?3)");
	int rc = stmt == NULL ? -EIO : 0;

	store_batch_begin(store);
	for (size_t i = 0; i < STORE_KINDS; i++) {
		struct id_entry *entry, *next;

		HASH_ITER (hh, store->spaces[i].by_name, entry, next) {
			if (entry->saved || rc < 0)
				continue;
			sqlite3_bind_text(stmt, 1, kinds[i].name, -1, SQLITE_STATIC);
			sqlite3_bind_text(stmt, 2, entry->name, -1, SQLITE_STATIC);
			sqlite3_bind_int64(stmt, 3, entry->id);
			if (sqlite3_step(stmt) != SQLITE_DONE)
				rc = store_report(store, "writing ids");
			sqlite3_reset(stmt);
			entry->saved = rc == 0;
		}
	}
	sqlite3_finalize(stmt);
	if (store_batch_end(store) < 0)
		rc = -EIO;
	return rc;
}

bool store_get_blob(sqlite3_stmt *stmt, int column, void *out, size_t size)
{
	if ((size_t)sqlite3_column_bytes(stmt, column) != size)
		return false;
	memcpy(out, sqlite3_column_blob(stmt, column), size);
	return true;
}

int store_finish(struct store *store, sqlite3_stmt *stmt, const char *what)
{
	int rc = stmt != NULL && sqlite3_step(stmt) == SQLITE_DONE ? 0 : store_report(store, what);

	sqlite3_finalize(stmt);
	return rc;
}

int store_commit_set(struct store *store, const struct store_commit *commit)
{
	sqlite3_stmt *stmt = store_prepare(store,
		"INSERT OR REPLACE INTO committed (one, instance, generation, digest) "
		"VALUES (1, ?1, ?2, ?3)");

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)commit->instance);
		sqlite3_bind_int64(stmt, 2, (sqlite3_int64)commit->generation);
		sqlite3_bind_blob(stmt, 3, commit->digest, STORE_DIGEST_SIZE, SQLITE_STATIC);
	}
	return store_finish(store, stmt, "writing the commit");
}

bool store_commit_get(struct store *store, struct store_commit *commit)
{
	sqlite3_stmt *stmt =
		store_prepare(store, "SELECT instance, generation, digest FROM committed");
	bool found = false;

	if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW) {
		commit->instance = (uint64_t)sqlite3_column_int64(stmt, 0);
		commit->generation = (uint64_t)sqlite3_column_int64(stmt, 1);
		found = store_get_blob(stmt, 2, commit->digest, STORE_DIGEST_SIZE);
	}
	sqlite3_finalize(stmt);
	return found;
}

static int peer_set(struct store *store, sqlite3_stmt *stmt, const struct store_peer *peer)
{
	int rc;

	sqlite3_bind_text(stmt, 1, peer->public_key, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, peer->name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, peer->addresses, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 4, peer->endpoint, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 5, peer->preshared_key_file, -1, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 6, peer->persistent_keepalive);
	rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : store_report(store, "writing peers");
	sqlite3_reset(stmt);
	return rc;
}

int store_peers_set(struct store *store, const struct store_peer *peers, size_t n)
{
	sqlite3_stmt *stmt = store_prepare(store,
		"INSERT INTO peers (key, name, addresses, endpoint, preshared_key_file, keepalive) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
	int rc = stmt == NULL ? -EIO : 0;

	store_batch_begin(store);
	if (rc == 0 && sqlite3_exec(store->db, "DELETE FROM peers", NULL, NULL, NULL) != SQLITE_OK)
		rc = store_report(store, "writing peers");
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = peer_set(store, stmt, &peers[i]);
	sqlite3_finalize(stmt);
	if (rc == 0)
		return store_batch_end(store);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int store_peers_each(
	struct store *store, void (*each)(const struct store_peer *peer, void *arg), void *arg)
{
	sqlite3_stmt *stmt = store_prepare(store,
		"SELECT key, name, addresses, endpoint, preshared_key_file, keepalive FROM peers "
		"ORDER BY key");
	int rc = SQLITE_ERROR;

	while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct store_peer peer = {
			.public_key = (const char *)sqlite3_column_text(stmt, 0),
			.name = (const char *)sqlite3_column_text(stmt, 1),
			.addresses = (const char *)sqlite3_column_text(stmt, 2),
			.endpoint = (const char *)sqlite3_column_text(stmt, 3),
			.preshared_key_file = (const char *)sqlite3_column_text(stmt, 4),
			.persistent_keepalive = (uint16_t)sqlite3_column_int(stmt, 5),
		};

		each(&peer, arg);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : store_report(store, "reading peers");
}

void store_batch_begin(struct store *store)
{
	if (sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		store_report(store, "beginning a batch");
}

int store_batch_end(struct store *store)
{
	if (sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	store_report(store, "ending a batch");
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return -EIO;
}
