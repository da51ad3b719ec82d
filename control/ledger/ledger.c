/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows are found by block and begin: "who had it at T" is the last row of the block that began
 * before T, and those that shared it then. Open rows have until 0 and an index of their own, so
 * that an event touches one row however many there are. An event that is told twice changes
 * nothing: a block has at most one open row per user.
 *
 * A database of its own, because it is written at another pace than the store and may be thrown
 * away without harm to the gateway.
 */
#include "control/ledger/ledger.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"

LOG_TYPE(ledger);

enum statement {
	CLOSE_OTHERS, /* of a block that somebody else has now */
	CLOSE_BLOCK,
	OPEN,
	MARK,
	CLOSE_UNSEEN,
	ASK,
	FORGET,
	STATEMENTS,
};

/* ?1 address ?2 proto ?3 block ?4 who ?5 time ?6 sync ?7 shared */
static const char *const sql[STATEMENTS] = {
	[CLOSE_OTHERS] =
		"UPDATE blocks SET until = max(?5, since) WHERE address = ?1 AND proto = ?2 "
		"AND block = ?3 AND until = 0 AND who <> ?4 AND shared <= ?7",
	[CLOSE_BLOCK] =
		"UPDATE blocks SET until = max(?5, since) WHERE address = ?1 AND proto = ?2 "
		"AND block = ?3 AND until = 0",
	[OPEN] = "INSERT INTO blocks (address, proto, block, who, since, until, sync, shared) "
		 "SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM blocks "
		 "WHERE address = ?1 AND proto = ?2 AND block = ?3 AND until = 0 AND who = ?4)",
	[MARK] = "UPDATE blocks SET sync = ?6 WHERE address = ?1 AND proto = ?2 AND block = ?3 "
		 "AND until = 0",
	[CLOSE_UNSEEN] = "UPDATE blocks SET until = max(?5, since) WHERE until = 0 AND sync <> ?6",
	[ASK] = "SELECT who, proto, since, until, shared FROM blocks WHERE address = ?1 "
		"AND (?2 = 0 OR proto = ?2) AND block = ?3 AND since <= ?5 "
		"AND (until = 0 OR until >= ?5) ORDER BY since DESC LIMIT ?8",
	[FORGET] = "DELETE FROM blocks WHERE rowid IN (SELECT rowid FROM blocks "
		   "WHERE until > 0 AND until < ?5 ORDER BY until LIMIT ?8)",
};

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	sqlite3_int64 sync; /* grows with each SYNC_BEGIN */
	bool writing;       /* a transaction is open */
};

static const char schema[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = NORMAL;"
	"CREATE TABLE IF NOT EXISTS blocks (address BLOB NOT NULL, proto INTEGER NOT NULL, "
	"  block INTEGER NOT NULL, who TEXT NOT NULL, since INTEGER NOT NULL, "
	"  until INTEGER NOT NULL, sync INTEGER NOT NULL, shared INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS blocks_when ON blocks (address, block, since);"
	"CREATE INDEX IF NOT EXISTS blocks_open ON blocks (address, proto, block) WHERE until = 0;"
	"CREATE INDEX IF NOT EXISTS blocks_end ON blocks (until) WHERE until > 0;"
	"PRAGMA user_version = 1;";

static int report(struct ledger *ledger, const char *what)
{
	log_error(ledger, "%s: %s", what, sqlite3_errmsg(ledger->db));
	return -EIO;
}

static sqlite3_int64 last_sync(struct ledger *ledger)
{
	sqlite3_stmt *stmt;
	sqlite3_int64 last = 0;

	if (sqlite3_prepare_v2(ledger->db, "SELECT max(sync) FROM blocks WHERE until = 0", -1,
		    &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		last = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return last;
}

struct ledger *ledger_open(const char *path, int *error)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	*error = -ENOMEM;
	if (ledger == NULL)
		return NULL;
	if (sqlite3_open_v2(path == NULL ? ":memory:" : path, &ledger->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK ||
		sqlite3_exec(ledger->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		goto err;
	for (size_t i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(ledger->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &ledger->statements[i], NULL) != SQLITE_OK)
			goto err;
	}
	ledger->sync = last_sync(ledger);
	return ledger;
err:
	*error = report(ledger, path == NULL ? "memory" : path);
	ledger_close(&ledger);
	return NULL;
}

void ledger_close(struct ledger **ledger)
{
	struct ledger *l = *ledger;

	if (l == NULL)
		return;
	if (ledger_flush(l) < 0)
		log_warn(ledger, "the last port blocks are not written");
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(l->statements[i]);
	sqlite3_close(l->db);
	free(l);
	*ledger = NULL;
}

static void bind_addr(sqlite3_stmt *stmt, const struct addr *addr)
{
	sqlite3_bind_blob(stmt, 1, addr->bytes, (int)addr_size(addr->family), SQLITE_STATIC);
}

static int run(struct ledger *ledger, enum statement which, const struct api_event_block *event,
	const char *who, bool shared)
{
	sqlite3_stmt *stmt = ledger->statements[which];
	int rc;

	sqlite3_reset(stmt);
	if (which != CLOSE_UNSEEN) {
		bind_addr(stmt, &event->addr);
		sqlite3_bind_int(stmt, 2, event->proto);
		sqlite3_bind_int(stmt, 3, event->port_first / API_BLOCK_PORTS);
	}
	if (which == CLOSE_OTHERS || which == OPEN)
		sqlite3_bind_text(stmt, 4, who, -1, SQLITE_STATIC);
	if (which != MARK)
		sqlite3_bind_int64(stmt, 5, (sqlite3_int64)event->at_ms);
	if (which == OPEN || which == MARK || which == CLOSE_UNSEEN)
		sqlite3_bind_int64(stmt, 6, ledger->sync);
	if (which == OPEN || which == CLOSE_OTHERS)
		sqlite3_bind_int(stmt, 7, shared);
	rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : report(ledger, "writing a port block");
	sqlite3_reset(stmt);
	return rc;
}

/* A new user of the block, whose others are gone, but those that share it if it was merely told
 * again. */
static int begin_use(struct ledger *ledger, const struct api_event_block *event, const char *who,
	bool shares_end)
{
	int rc = run(ledger, CLOSE_OTHERS, event, who, shares_end);

	if (rc == 0)
		rc = run(ledger, OPEN, event, who, false);
	return rc == 0 ? run(ledger, MARK, event, who, false) : rc;
}

int ledger_note(struct ledger *ledger, const struct api_event_block *event, const char *who)
{
	if (!ledger->writing && sqlite3_exec(ledger->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return report(ledger, "beginning a batch");
	ledger->writing = true;
	switch (event->kind) {
	case API_BLOCK_TAKEN:
		return begin_use(ledger, event, who, true);
	case API_BLOCK_HELD:
		return begin_use(ledger, event, who, false);
	case API_BLOCK_SHARED:
		return run(ledger, OPEN, event, who, true);
	case API_BLOCK_RELEASED:
		return run(ledger, CLOSE_BLOCK, event, who, false);
	case API_BLOCK_SYNC_BEGIN:
		ledger->sync++;
		return 0;
	case API_BLOCK_SYNC_END:
		return run(ledger, CLOSE_UNSEEN, event, who, false);
	default:
		return 0; /* a newer data plane's */
	}
}

int ledger_flush(struct ledger *ledger)
{
	if (!ledger->writing)
		return 0;
	ledger->writing = false;
	if (sqlite3_exec(ledger->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	report(ledger, "ending a batch");
	sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
	return -EIO;
}

int ledger_ask(struct ledger *ledger, const struct addr *addr, uint16_t port, uint8_t proto,
	uint64_t at_ms, size_t max, void (*each)(const struct ledger_row *row, void *arg),
	void *arg)
{
	sqlite3_stmt *stmt = ledger->statements[ASK];
	int rc, n = 0;

	sqlite3_reset(stmt);
	bind_addr(stmt, addr);
	sqlite3_bind_int(stmt, 2, proto);
	sqlite3_bind_int(stmt, 3, port / API_BLOCK_PORTS);
	sqlite3_bind_int64(stmt, 5, (sqlite3_int64)at_ms);
	sqlite3_bind_int64(stmt, 8, (sqlite3_int64)max);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct ledger_row row = {
			.who = (const char *)sqlite3_column_text(stmt, 0),
			.proto = (uint8_t)sqlite3_column_int(stmt, 1),
			.port_first = (uint16_t)(port / API_BLOCK_PORTS * API_BLOCK_PORTS),
			.since_ms = (uint64_t)sqlite3_column_int64(stmt, 2),
			.until_ms = (uint64_t)sqlite3_column_int64(stmt, 3),
			.shared = sqlite3_column_int(stmt, 4) != 0,
		};

		each(&row, arg);
		n++;
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? n : report(ledger, "reading port blocks");
}

int ledger_forget(struct ledger *ledger, uint64_t before_ms, size_t max)
{
	sqlite3_stmt *stmt = ledger->statements[FORGET];
	int rc;

	sqlite3_reset(stmt);
	sqlite3_bind_int64(stmt, 5, (sqlite3_int64)before_ms);
	sqlite3_bind_int64(stmt, 8, (sqlite3_int64)max);
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? sqlite3_changes(ledger->db)
				 : report(ledger, "deleting port blocks");
}
