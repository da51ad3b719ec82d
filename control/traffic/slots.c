/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table per resolution, each written as traffic comes: no roll-up that could be missed while
 * the process is down. Slots are pruned when their object begins a new one, so an object has at
 * most 60 + 24 + 30 + 12 rows, about 6 kB.
 *
 * A database of its own: it is written at another pace than the store, and may be deleted without
 * harm to the gateway.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/log.h"
#include "control/traffic/traffic_priv.h"

LOG_TYPE(traffic);

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	SERIES,
	FIGURES,
	INSERT,
	UPDATE,
	FORGET,
	SAVE_FIGURE,
	FORGET_FIGURE,
	ADD, /* one of each kind per range from here on */
	PRUNE = ADD + TRAFFIC_RANGES,
	CLEAR = PRUNE + TRAFFIC_RANGES,
	READ = CLEAR + TRAFFIC_RANGES,
	SUMS = READ + TRAFFIC_RANGES,
	STATEMENTS = SUMS + TRAFFIC_RANGES,
};

static const struct {
	const char *name, *table;
	unsigned step_s, points;
} ranges[TRAFFIC_RANGES] = {
	[TRAFFIC_HOUR] = {"hour", "minutes", 60, 60},
	[TRAFFIC_DAY] = {"day", "hours", 3600, 24},
	[TRAFFIC_30D] = {"30d", "days", 86400, 30},
	[TRAFFIC_MONTH] = {"month", "months", 0, 12},
};

static const char *const kind_names[TRAFFIC_KINDS] = {"peer", "exit-node", "egress"};

struct slots {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
};

#define TABLE(name)                                                                                \
	"CREATE TABLE IF NOT EXISTS " name " (series INTEGER NOT NULL, time INTEGER NOT NULL, "    \
	"  sent_packets INTEGER NOT NULL, sent_bytes INTEGER NOT NULL, "                           \
	"  received_packets INTEGER NOT NULL, received_bytes INTEGER NOT NULL, "                   \
	"  PRIMARY KEY (series, time)) WITHOUT ROWID;"

static const char schema[] =
	"PRAGMA journal_mode = WAL;"
	"PRAGMA synchronous = NORMAL;"
	"CREATE TABLE IF NOT EXISTS series (row INTEGER PRIMARY KEY, kind INTEGER NOT NULL, "
	"  key TEXT NOT NULL, name TEXT NOT NULL, gone INTEGER NOT NULL, seen INTEGER NOT NULL, "
	"  UNIQUE (kind, key));"
	"CREATE TABLE IF NOT EXISTS figures (kind INTEGER NOT NULL, id INTEGER NOT NULL, "
	"  owner INTEGER NOT NULL, instance INTEGER NOT NULL, "
	"  sent_packets INTEGER NOT NULL, sent_bytes INTEGER NOT NULL, "
	"  received_packets INTEGER NOT NULL, received_bytes INTEGER NOT NULL, "
	"  PRIMARY KEY (kind, id)) WITHOUT ROWID;" TABLE("minutes") TABLE("hours") TABLE("days")
		TABLE("months") "PRAGMA user_version = 1;";

static const char figures_sql[] =
	"SELECT kind, id, owner, instance, sent_packets, sent_bytes, received_packets, "
	"received_bytes FROM figures";

static const char *const plain[ADD] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[SERIES] = "SELECT row, kind, key, name, gone, seen FROM series",
	[FIGURES] = figures_sql,
	[INSERT] = "INSERT INTO series (kind, key, name, gone, seen) VALUES (?2, ?3, ?4, ?5, ?6)",
	[UPDATE] = "UPDATE series SET name = ?4, gone = ?5, seen = ?6 WHERE row = ?1",
	[SAVE_FIGURE] = "INSERT OR REPLACE INTO figures VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[FORGET_FIGURE] = "DELETE FROM figures WHERE kind = ?1 AND id = ?2",
	[FORGET] = "DELETE FROM series WHERE row = ?1",
};

static const struct {
	enum statement first;
	const char *before, *after; /* of the table's name */
} per_range[] = {
	{ADD, "INSERT INTO",
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (series, time) DO UPDATE SET "
		"sent_packets = sent_packets + ?3, sent_bytes = sent_bytes + ?4, "
		"received_packets = received_packets + ?5, "
		"received_bytes = received_bytes + ?6"},
	{PRUNE, "DELETE FROM", "WHERE series = ?1 AND (time < ?2 OR time > ?3)"},
	{CLEAR, "DELETE FROM", "WHERE series = ?1"},
	{READ, "SELECT time, sent_packets, sent_bytes, received_packets, received_bytes FROM",
		"WHERE series = ?1 AND time >= ?2 ORDER BY time"},
	{SUMS,
		"SELECT s.kind, s.key, s.name, s.gone, sum(t.sent_packets), sum(t.sent_bytes), "
		"sum(t.received_packets), sum(t.received_bytes) FROM series s LEFT JOIN",
		"t ON t.series = s.row AND t.time BETWEEN ?2 AND ?3 GROUP BY s.row "
		"ORDER BY s.kind, s.name, s.key"},
};

static int report(struct slots *slots, const char *what)
{
	log_error(traffic, "%s: %s", what, sqlite3_errmsg(slots->db));
	return -EIO;
}

static int prepare(struct slots *slots, unsigned statement, const char *text)
{
	return sqlite3_prepare_v3(slots->db, text, -1, SQLITE_PREPARE_PERSISTENT,
		       &slots->statements[statement], NULL) == SQLITE_OK
		       ? 0
		       : -EIO;
}

static int prepare_all(struct slots *slots)
{
	char text[512];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < ADD; i++)
		rc = prepare(slots, i, plain[i]);
	for (size_t i = 0; i < sizeof(per_range) / sizeof(per_range[0]); i++) {
		for (unsigned range = 0; rc == 0 && range < TRAFFIC_RANGES; range++) {
			snprintf(text, sizeof(text), "%s %s %s", per_range[i].before,
				ranges[range].table, per_range[i].after);
			rc = prepare(slots, per_range[i].first + range, text);
		}
	}
	return rc;
}

struct slots *slots_open(const char *path, int *error)
{
	struct slots *slots = calloc(1, sizeof(*slots));

	*error = -ENOMEM;
	if (slots == NULL)
		return NULL;
	if (sqlite3_open_v2(path == NULL ? ":memory:" : path, &slots->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK ||
		sqlite3_exec(slots->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
		prepare_all(slots) < 0) {
		*error = report(slots, path == NULL ? "memory" : path);
		slots_close(&slots);
	}
	return slots;
}

void slots_close(struct slots **slots)
{
	if (*slots == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize((*slots)->statements[i]);
	sqlite3_close((*slots)->db);
	free(*slots);
	*slots = NULL;
}

/* Runs what returns no rows. */
static int run(struct slots *slots, unsigned statement, const char *what)
{
	sqlite3_stmt *stmt = slots->statements[statement];
	int rc = sqlite3_step(stmt) == SQLITE_DONE ? 0 : report(slots, what);

	sqlite3_reset(stmt);
	return rc;
}

int slots_begin(struct slots *slots)
{
	return run(slots, BEGIN, "beginning to write");
}

int slots_commit(struct slots *slots)
{
	return run(slots, COMMIT, "writing");
}

void slots_rollback(struct slots *slots)
{
	/* After some errors SQLite has done so itself. */
	if (!sqlite3_get_autocommit(slots->db))
		run(slots, ROLLBACK, "taking back");
}

static void bind_counts(sqlite3_stmt *stmt, int at, const struct traffic_counts *counts)
{
	sqlite3_bind_int64(stmt, at, (sqlite3_int64)counts->sent_packets);
	sqlite3_bind_int64(stmt, at + 1, (sqlite3_int64)counts->sent_bytes);
	sqlite3_bind_int64(stmt, at + 2, (sqlite3_int64)counts->received_packets);
	sqlite3_bind_int64(stmt, at + 3, (sqlite3_int64)counts->received_bytes);
}

static struct traffic_counts counts_at(sqlite3_stmt *stmt, int at)
{
	return (struct traffic_counts){
		.sent_packets = (uint64_t)sqlite3_column_int64(stmt, at),
		.sent_bytes = (uint64_t)sqlite3_column_int64(stmt, at + 1),
		.received_packets = (uint64_t)sqlite3_column_int64(stmt, at + 2),
		.received_bytes = (uint64_t)sqlite3_column_int64(stmt, at + 3),
	};
}

static const char *text_at(sqlite3_stmt *stmt, int at)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return text == NULL ? "" : text;
}

static int each_series(
	struct slots *slots, int (*each)(const struct slots_series *series, void *arg), void *arg)
{
	sqlite3_stmt *stmt = slots->statements[SERIES];
	int step, rc = 0;

	while ((step = sqlite3_step(stmt)) == SQLITE_ROW && rc == 0) {
		const struct slots_series series = {
			.row = sqlite3_column_int64(stmt, 0),
			.kind = (enum traffic_kind)sqlite3_column_int(stmt, 1),
			.key = text_at(stmt, 2),
			.name = text_at(stmt, 3),
			.gone = sqlite3_column_int(stmt, 4) != 0,
			.seen_s = (uint64_t)sqlite3_column_int64(stmt, 5),
		};

		if ((unsigned)series.kind < TRAFFIC_KINDS)
			rc = each(&series, arg);
	}
	if (rc == 0 && step != SQLITE_DONE)
		rc = report(slots, "reading");
	sqlite3_reset(stmt);
	return rc;
}

static int each_figure(
	struct slots *slots, int (*each)(const struct slots_figure *figure, void *arg), void *arg)
{
	sqlite3_stmt *stmt = slots->statements[FIGURES];
	int step, rc = 0;

	while ((step = sqlite3_step(stmt)) == SQLITE_ROW && rc == 0) {
		const struct slots_figure figure = {
			.kind = (enum traffic_kind)sqlite3_column_int(stmt, 0),
			.id = (uint32_t)sqlite3_column_int64(stmt, 1),
			.owner = sqlite3_column_int64(stmt, 2),
			.instance = (uint64_t)sqlite3_column_int64(stmt, 3),
			.last = counts_at(stmt, 4),
		};

		if ((unsigned)figure.kind < TRAFFIC_KINDS)
			rc = each(&figure, arg);
	}
	if (rc == 0 && step != SQLITE_DONE)
		rc = report(slots, "reading");
	sqlite3_reset(stmt);
	return rc;
}

int slots_each(struct slots *slots, int (*series)(const struct slots_series *series, void *arg),
	int (*figure)(const struct slots_figure *figure, void *arg), void *arg)
{
	int rc = each_series(slots, series, arg);

	return rc == 0 ? each_figure(slots, figure, arg) : rc;
}

int slots_save(struct slots *slots, struct slots_series *series)
{
	unsigned statement = series->row == 0 ? INSERT : UPDATE;
	sqlite3_stmt *stmt = slots->statements[statement];
	int rc;

	if (statement == UPDATE) {
		sqlite3_bind_int64(stmt, 1, series->row);
	} else {
		sqlite3_bind_int(stmt, 2, (int)series->kind);
		sqlite3_bind_text(stmt, 3, series->key, -1, SQLITE_STATIC);
	}
	sqlite3_bind_text(stmt, 4, series->name, -1, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 5, series->gone);
	sqlite3_bind_int64(stmt, 6, (sqlite3_int64)series->seen_s);
	rc = run(slots, statement, "writing a series");
	sqlite3_clear_bindings(stmt);
	if (rc == 0 && statement == INSERT)
		series->row = sqlite3_last_insert_rowid(slots->db);
	return rc;
}

int slots_save_figure(struct slots *slots, const struct slots_figure *figure)
{
	sqlite3_stmt *stmt = slots->statements[SAVE_FIGURE];

	sqlite3_bind_int(stmt, 1, (int)figure->kind);
	sqlite3_bind_int64(stmt, 2, figure->id);
	sqlite3_bind_int64(stmt, 3, figure->owner);
	sqlite3_bind_int64(stmt, 4, (sqlite3_int64)figure->instance);
	bind_counts(stmt, 5, &figure->last);
	return run(slots, SAVE_FIGURE, "writing a figure");
}

int slots_forget_figure(struct slots *slots, const struct slots_figure *figure)
{
	sqlite3_stmt *stmt = slots->statements[FORGET_FIGURE];

	sqlite3_bind_int(stmt, 1, (int)figure->kind);
	sqlite3_bind_int64(stmt, 2, figure->id);
	return run(slots, FORGET_FIGURE, "forgetting");
}

int slots_forget(struct slots *slots, int64_t row)
{
	int rc = 0;

	for (unsigned range = 0; rc == 0 && range < TRAFFIC_RANGES; range++) {
		sqlite3_bind_int64(slots->statements[CLEAR + range], 1, row);
		rc = run(slots, CLEAR + range, "forgetting");
	}
	if (rc < 0)
		return rc;
	sqlite3_bind_int64(slots->statements[FORGET], 1, row);
	return run(slots, FORGET, "forgetting");
}

int slots_add(struct slots *slots, int64_t row, enum traffic_range range, uint64_t slot_s,
	const struct traffic_counts *counts)
{
	sqlite3_stmt *stmt = slots->statements[ADD + range];

	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)slot_s);
	bind_counts(stmt, 3, counts);
	return run(slots, ADD + range, "adding up");
}

int slots_prune(
	struct slots *slots, int64_t row, enum traffic_range range, uint64_t from_s, uint64_t to_s)
{
	sqlite3_stmt *stmt = slots->statements[PRUNE + range];

	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)from_s);
	sqlite3_bind_int64(stmt, 3, (sqlite3_int64)to_s);
	return run(slots, PRUNE + range, "pruning");
}

int slots_read(struct slots *slots, int64_t row, enum traffic_range range, uint64_t from_s,
	void (*each)(const struct traffic_point *point, void *arg), void *arg)
{
	sqlite3_stmt *stmt = slots->statements[READ + range];
	int step;

	sqlite3_bind_int64(stmt, 1, row);
	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)from_s);
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct traffic_point point = {
			.time_s = (uint64_t)sqlite3_column_int64(stmt, 0),
			.counts = counts_at(stmt, 1),
		};

		each(&point, arg);
	}
	sqlite3_reset(stmt);
	return step == SQLITE_DONE ? 0 : report(slots, "reading");
}

int slots_sums(struct slots *slots, enum traffic_range range, uint64_t from_s, uint64_t to_s,
	void (*each)(const struct traffic_sum *sum, void *arg), void *arg)
{
	sqlite3_stmt *stmt = slots->statements[SUMS + range];
	int step;

	sqlite3_bind_int64(stmt, 2, (sqlite3_int64)from_s);
	sqlite3_bind_int64(stmt, 3, (sqlite3_int64)to_s);
	while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
		const struct traffic_sum sum = {
			.kind = (enum traffic_kind)sqlite3_column_int(stmt, 0),
			.key = text_at(stmt, 1),
			.name = text_at(stmt, 2),
			.gone = sqlite3_column_int(stmt, 3) != 0,
			.counts = counts_at(stmt, 4),
		};

		if ((unsigned)sum.kind < TRAFFIC_KINDS)
			each(&sum, arg);
	}
	sqlite3_reset(stmt);
	return step == SQLITE_DONE ? 0 : report(slots, "reading");
}

/* The first second of a month, so many months later (or earlier). */
static uint64_t month_start(uint64_t time_s, int later)
{
	time_t t = (time_t)time_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		return 0;
	tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + later, .tm_mday = 1};
	t = timegm(&tm);
	return t < 0 ? 0 : (uint64_t)t;
}

uint64_t slots_start(enum traffic_range range, uint64_t time_s)
{
	unsigned step = ranges[range].step_s;

	return step == 0 ? month_start(time_s, 0) : time_s - time_s % step;
}

uint64_t slots_from(enum traffic_range range, uint64_t now_s)
{
	unsigned step = ranges[range].step_s, before = ranges[range].points - 1;
	uint64_t start = slots_start(range, now_s);

	if (step == 0)
		return month_start(start, -(int)before);
	return start < (uint64_t)step * before ? 0 : start - (uint64_t)step * before;
}

uint64_t slots_next(enum traffic_range range, uint64_t slot_s)
{
	unsigned step = ranges[range].step_s;

	return step == 0 ? month_start(slot_s, 1) : slot_s + step;
}

unsigned traffic_step_s(enum traffic_range range)
{
	return ranges[range].step_s;
}

const char *traffic_kind_name(enum traffic_kind kind)
{
	return kind_names[kind];
}

bool traffic_kind_parse(const char *text, enum traffic_kind *kind)
{
	for (unsigned i = 0; i < TRAFFIC_KINDS; i++) {
		if (strcmp(kind_names[i], text) != 0)
			continue;
		*kind = (enum traffic_kind)i;
		return true;
	}
	return false;
}

bool traffic_range_parse(const char *text, enum traffic_range *range)
{
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++) {
		if (strcmp(ranges[i].name, text) != 0)
			continue;
		*range = (enum traffic_range)i;
		return true;
	}
	return false;
}
