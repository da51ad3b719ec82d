/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing is counted twice and nothing is lost, whatever restarts; the clock and the data plane's
 * figures are the test's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/traffic/traffic_priv.h"

enum {
	IDS = 64,
	NOON = 1700000000 / 86400 * 86400 + 12 * 3600,
};

static char dir[] = "/tmp/sp-traffic-XXXXXX", path[64];
static struct traffic_counts rows[TRAFFIC_KINDS][IDS];
static bool unreadable;
static unsigned part, parts = 1; /* of the ids, which can be read */

static bool read_row(enum traffic_kind kind, uint32_t id, struct traffic_counts *counts, void *arg)
{
	if (unreadable || id % parts != part)
		return false;
	*counts = rows[kind][id];
	return true;
}

static struct tally_source source = {.instance = 1, .read = read_row};

/* Another data plane: all figures begin at 0. */
static void restart_dataplane(void)
{
	memset(rows, 0, sizeof(rows));
	source.instance++;
}

static void send(enum traffic_kind kind, uint32_t id, unsigned bytes)
{
	rows[kind][id].sent_packets++;
	rows[kind][id].sent_bytes += bytes;
	rows[kind][id].received_packets += 2;
	rows[kind][id].received_bytes += 2 * bytes;
}

static struct tally *open_tally(size_t max)
{
	int error;
	struct tally *tally = tally_open(path, max, &error);

	assert_non_null(tally);
	return tally;
}

static void reopen(struct tally **tally)
{
	tally_close(tally);
	*tally = open_tally(TALLY_SERIES_MAX);
}

static void assign(struct tally *tally, const struct tally_object *objects, size_t n, uint64_t now)
{
	assert_int_equal(tally_assign(tally, &source, objects, n, now), 0);
}

static void book(struct tally *tally, uint64_t now)
{
	assert_int_equal(tally_book(tally, &source, now), 0);
}

struct wanted {
	enum traffic_kind kind;
	const char *key;
	struct traffic_counts counts;
	bool found, gone;
};

static void find_sum(const struct traffic_sum *sum, void *arg)
{
	struct wanted *wanted = arg;

	if (sum->kind != wanted->kind || strcmp(sum->key, wanted->key) != 0)
		return;
	wanted->counts = sum->counts;
	wanted->gone = sum->gone;
	wanted->found = true;
}

static struct wanted sum_of(struct tally *tally, enum traffic_kind kind, const char *key,
	enum traffic_range range, uint64_t now)
{
	struct wanted wanted = {.kind = kind, .key = key};

	assert_int_equal(tally_sums(tally, range, now, find_sum, &wanted), 0);
	return wanted;
}

/* Bytes sent, by every range's sum; what was received is twice that. */
static void expect(
	struct tally *tally, enum traffic_kind kind, const char *key, uint64_t bytes, uint64_t now)
{
	for (unsigned range = 0; range < TRAFFIC_RANGES; range++) {
		struct wanted sum = sum_of(tally, kind, key, range, now);

		assert_true(sum.found);
		assert_int_equal(sum.counts.sent_bytes, bytes);
		assert_int_equal(sum.counts.received_bytes, 2 * bytes);
		assert_int_equal(sum.counts.received_packets, 2 * sum.counts.sent_packets);
	}
}

static const struct tally_object all[] = {
	{TRAFFIC_PEER, "KEY-A", "anna", 1},
	{TRAFFIC_PEER, "KEY-B", "ben", 2},
	{TRAFFIC_EXIT_NODE, "internet", "internet", 1},
	{TRAFFIC_EGRESS, "203.0.113.5", "203.0.113.5", 3},
};

static void test_restarts(void **state)
{
	struct tally *tally = open_tally(TALLY_SERIES_MAX);

	send(TRAFFIC_PEER, 1, 100); /* before the first look */
	assign(tally, all, 4, NOON);
	book(tally, NOON);
	send(TRAFFIC_PEER, 1, 20);
	send(TRAFFIC_EGRESS, 3, 7);
	book(tally, NOON + 1);
	book(tally, NOON + 2); /* nothing new: nothing is counted */
	expect(tally, TRAFFIC_PEER, "KEY-A", 120, NOON + 2);
	expect(tally, TRAFFIC_PEER, "KEY-B", 0, NOON + 2);
	expect(tally, TRAFFIC_EXIT_NODE, "internet", 0, NOON + 2);
	expect(tally, TRAFFIC_EGRESS, "203.0.113.5", 7, NOON + 2);

	/* The control process was away while the data plane forwarded on. */
	send(TRAFFIC_PEER, 1, 3);
	reopen(&tally);
	send(TRAFFIC_PEER, 1, 4);
	assign(tally, all, 4, NOON + 3);
	book(tally, NOON + 4);
	expect(tally, TRAFFIC_PEER, "KEY-A", 127, NOON + 4);

	/* The data plane began anew, and its figure is higher than the old one when it is seen. */
	restart_dataplane();
	for (unsigned i = 0; i < 5; i++)
		send(TRAFFIC_PEER, 1, 100);
	assign(tally, all, 4, NOON + 5);
	book(tally, NOON + 6);
	expect(tally, TRAFFIC_PEER, "KEY-A", 627, NOON + 6);

	/* Both. */
	reopen(&tally);
	restart_dataplane();
	send(TRAFFIC_PEER, 1, 1);
	assign(tally, all, 4, NOON + 7);
	book(tally, NOON + 7);
	expect(tally, TRAFFIC_PEER, "KEY-A", 628, NOON + 7);

	/* No figures to read for a while, and a figure that falls. */
	unreadable = true;
	book(tally, NOON + 8);
	unreadable = false;
	memset(&rows[TRAFFIC_PEER][1], 0, sizeof(rows[0][0]));
	book(tally, NOON + 9);
	send(TRAFFIC_PEER, 1, 2);
	book(tally, NOON + 9);
	expect(tally, TRAFFIC_PEER, "KEY-A", 630, NOON + 9);
	tally_close(&tally);
}

/* Ids go from hand to hand; their figures go on from where they are. */
static void test_ids_change_hands(void **state)
{
	static const struct tally_object first[] = {
		{TRAFFIC_PEER, "A", "anna", 1}, {TRAFFIC_PEER, "B", "ben", 2}};
	static const struct tally_object swapped[] = {
		{TRAFFIC_PEER, "A", "anna", 2}, {TRAFFIC_PEER, "B", "ben", 1}};
	static const struct tally_object other[] = {
		{TRAFFIC_PEER, "C", "cleo", 1}, {TRAFFIC_PEER, "A", "anne", 2}};
	struct tally *tally = open_tally(TALLY_SERIES_MAX);

	assign(tally, first, 2, NOON);
	send(TRAFFIC_PEER, 1, 10);
	send(TRAFFIC_PEER, 2, 1000);
	assign(tally, swapped, 2, NOON); /* before anybody looked */
	send(TRAFFIC_PEER, 1, 3000);
	send(TRAFFIC_PEER, 2, 20);
	book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "A", 30, NOON);
	expect(tally, TRAFFIC_PEER, "B", 4000, NOON);

	send(TRAFFIC_PEER, 1, 5);
	assign(tally, other, 2, NOON); /* B has gone, C has its id, A another name */
	send(TRAFFIC_PEER, 1, 70);
	book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "B", 4005, NOON);
	expect(tally, TRAFFIC_PEER, "C", 70, NOON);
	assert_true(sum_of(tally, TRAFFIC_PEER, "B", TRAFFIC_DAY, NOON).gone);

	reopen(&tally); /* and B comes back, under an id of its own */
	assign(tally, (const struct tally_object[]){{TRAFFIC_PEER, "B", "ben", 9}}, 1, NOON);
	send(TRAFFIC_PEER, 9, 1);
	book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "B", 4006, NOON);
	expect(tally, TRAFFIC_PEER, "A", 30, NOON);

	/* One that went and comes back under its id, which nobody had meanwhile. */
	assign(tally, NULL, 0, NOON);
	send(TRAFFIC_PEER, 9, 1);
	book(tally, NOON); /* nobody's */
	expect(tally, TRAFFIC_PEER, "B", 4006, NOON);
	assign(tally, (const struct tally_object[]){{TRAFFIC_PEER, "B", "ben", 9}}, 1, NOON);
	send(TRAFFIC_PEER, 9, 2);
	book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "B", 4008, NOON);
	tally_close(&tally);
}

/* The data plane begins anew for whoever gets an id: before anybody looked at it, after, and
 * before the one who had it was booked a last time. */
static void test_ids_begin_anew(void **state)
{
	static const struct tally_object first[] = {{TRAFFIC_EGRESS, "A", "A", 1}};
	static const struct tally_object second[] = {{TRAFFIC_EGRESS, "B", "B", 1}};
	struct tally *tally = open_tally(TALLY_SERIES_MAX);

	assign(tally, first, 1, NOON);
	send(TRAFFIC_EGRESS, 1, 1000);
	send(TRAFFIC_EGRESS, 1, 1000);
	book(tally, NOON);
	assign(tally, NULL, 0, NOON);
	memset(&rows[TRAFFIC_EGRESS][1], 0, sizeof(rows[0][0]));
	send(TRAFFIC_EGRESS, 1, 7);
	assign(tally, second, 1, NOON);
	book(tally, NOON);
	expect(tally, TRAFFIC_EGRESS, "A", 2000, NOON);
	expect(tally, TRAFFIC_EGRESS, "B", 7, NOON);

	send(TRAFFIC_EGRESS, 1, 1);
	assign(tally, NULL, 0, NOON);
	assign(tally, first, 1, NOON); /* and only then in the data plane */
	memset(&rows[TRAFFIC_EGRESS][1], 0, sizeof(rows[0][0]));
	send(TRAFFIC_EGRESS, 1, 3);
	book(tally, NOON);
	expect(tally, TRAFFIC_EGRESS, "A", 2003, NOON);
	expect(tally, TRAFFIC_EGRESS, "B", 8, NOON);

	send(TRAFFIC_EGRESS, 1, 500);
	book(tally, NOON);
	memset(&rows[TRAFFIC_EGRESS][1], 0, sizeof(rows[0][0]));
	send(TRAFFIC_EGRESS, 1, 4);
	assign(tally, second, 1, NOON);
	book(tally, NOON);
	expect(tally, TRAFFIC_EGRESS, "A", 2503, NOON);
	expect(tally, TRAFFIC_EGRESS, "B", 12, NOON);
	tally_close(&tally);
}

static uint64_t bytes_at(struct tally *tally, enum traffic_range range, uint64_t now, int from_end)
{
	struct traffic_point points[TRAFFIC_POINTS_MAX];
	int n = tally_points(tally, TRAFFIC_PEER, "anna", range, now, points);

	assert_true(n > from_end);
	return points[n - 1 - from_end].counts.sent_bytes;
}

static void test_slots(void **state)
{
	static const int counts[TRAFFIC_RANGES] = {60, 24, 30, 12};
	struct traffic_point points[TRAFFIC_POINTS_MAX];
	struct tally *tally = open_tally(TALLY_SERIES_MAX);
	uint64_t now = NOON + 59;

	assign(tally, all, 4, now);
	send(TRAFFIC_PEER, 1, 1);
	book(tally, now);
	send(TRAFFIC_PEER, 1, 10);
	book(tally, now + 1); /* the next minute */
	send(TRAFFIC_PEER, 1, 100);
	book(tally, now + 3600); /* an hour, a day, a month later */
	send(TRAFFIC_PEER, 1, 1000);
	book(tally, now + 86400);
	now += 86400;
	assert_int_equal(bytes_at(tally, TRAFFIC_HOUR, now, 0), 1000);
	assert_int_equal(bytes_at(tally, TRAFFIC_DAY, now, 0), 1000);
	assert_int_equal(bytes_at(tally, TRAFFIC_DAY, now, 23), 100);
	assert_int_equal(bytes_at(tally, TRAFFIC_30D, now, 0), 1000);
	assert_int_equal(bytes_at(tally, TRAFFIC_30D, now, 1), 111);
	assert_int_equal(bytes_at(tally, TRAFFIC_MONTH, now, 0), 1111);
	assert_int_equal(bytes_at(tally, TRAFFIC_MONTH, now + 40 * 86400, 0), 0);
	for (unsigned range = 0; range < TRAFFIC_RANGES; range++) {
		int n = tally_points(tally, TRAFFIC_PEER, "anna", range, now, points);

		assert_int_equal(n, counts[range]);
		for (int i = 1; i < n; i++)
			assert_int_equal(slots_next(range, points[i - 1].time_s), points[i].time_s);
		assert_true(points[n - 1].time_s <= now);
		assert_true(slots_next(range, points[n - 1].time_s) > now);
	}
	assert_int_equal(
		tally_points(tally, TRAFFIC_PEER, "nobody", TRAFFIC_DAY, now, points), -ENOENT);
	tally_close(&tally);
}

/* Months have their own lengths, and a year its end: 2023-12-31 23:59:59 UTC and a second later. */
static void test_months(void **state)
{
	struct tally *tally = open_tally(TALLY_SERIES_MAX);
	uint64_t now = 1704067199;

	assign(tally, all, 4, now);
	send(TRAFFIC_PEER, 1, 5);
	book(tally, now);
	send(TRAFFIC_PEER, 1, 6);
	book(tally, now + 1);
	assert_int_equal(bytes_at(tally, TRAFFIC_MONTH, now + 1, 0), 6);
	assert_int_equal(bytes_at(tally, TRAFFIC_MONTH, now + 1, 1), 5);
	assert_int_equal(slots_start(TRAFFIC_MONTH, now + 1), 1704067200);
	assert_int_equal(slots_start(TRAFFIC_MONTH, now), 1701388800);
	/* The sum is of the current month. */
	assert_int_equal(
		sum_of(tally, TRAFFIC_PEER, "KEY-A", TRAFFIC_MONTH, now + 1).counts.sent_bytes, 6);
	tally_close(&tally);
}

static int count_rows(const char *table)
{
	char text[64];
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int n;

	snprintf(text, sizeof(text), "SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return n;
}

/* A year of traffic every 50 minutes, with a clock that jumps; and more objects than may be. */
static void test_bounds(void **state)
{
	struct tally *tally = open_tally(10);
	uint64_t now = NOON;
	char name[16];

	assign(tally, all, 1, now);
	for (unsigned i = 0; i < 10000; i++, now += 3000) {
		send(TRAFFIC_PEER, 1, 1);
		book(tally, now);
	}
	send(TRAFFIC_PEER, 1, 1);
	book(tally, now + 3650ull * 86400); /* the clock was wrong for a moment */
	send(TRAFFIC_PEER, 1, 1);
	book(tally, now);
	assert_true(count_rows("minutes") <= 60);
	assert_true(count_rows("hours") <= 24);
	assert_true(count_rows("days") <= 30);
	assert_true(count_rows("months") <= 12);

	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "k%u", i);
		assign(tally, (const struct tally_object[]){{TRAFFIC_PEER, name, name, 2}}, 1,
			now + i);
		send(TRAFFIC_PEER, 2, 1);
	}
	book(tally, now + 30);
	assert_int_equal(tally_count(tally), 10);
	assert_int_equal(count_rows("series"), 10);
	assert_true(sum_of(tally, TRAFFIC_PEER, "k29", TRAFFIC_DAY, now + 30).found);
	assert_int_equal(
		sum_of(tally, TRAFFIC_PEER, "k28", TRAFFIC_DAY, now + 30).counts.sent_bytes, 1);
	assert_false(sum_of(tally, TRAFFIC_PEER, "k5", TRAFFIC_DAY, now + 30).found);
	/* And those that went too long ago. */
	assign(tally, all, 1, now + 500ull * 86400);
	assert_true(tally_count(tally) <= 2);
	tally_close(&tally);
}

/* What could not be written is counted later. */
static void test_failed_writes(void **state)
{
	struct tally *tally = open_tally(TALLY_SERIES_MAX);
	sqlite3 *db;

	assign(tally, all, 4, NOON);
	send(TRAFFIC_PEER, 1, 10);
	book(tally, NOON);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	send(TRAFFIC_PEER, 1, 5);
	assert_int_equal(tally_book(tally, &source, NOON), -EIO);
	assert_int_equal(tally_assign(tally, &source, all, 1, NOON), -EIO);
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	/* In the middle of a transaction, too. */
	assert_int_equal(sqlite3_exec(db,
				 "CREATE TRIGGER full BEFORE INSERT ON months BEGIN "
				 "SELECT raise(ABORT, 'full'); END",
				 NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(tally_book(tally, &source, NOON), -EIO);
	assert_int_equal(sqlite3_exec(db, "DROP TRIGGER full", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "KEY-A", 15, NOON);
	tally_close(&tally);
}

/* Each object once per round, whatever the number of parts. */
static void test_parts(void **state)
{
	struct tally *tally = open_tally(TALLY_SERIES_MAX);

	assign(tally, all, 4, NOON);
	send(TRAFFIC_PEER, 1, 1);
	send(TRAFFIC_PEER, 2, 2);
	send(TRAFFIC_EXIT_NODE, 1, 3);
	send(TRAFFIC_EGRESS, 3, 4);
	parts = 3;
	for (part = 0; part < parts; part++)
		book(tally, NOON);
	expect(tally, TRAFFIC_PEER, "KEY-A", 1, NOON);
	expect(tally, TRAFFIC_PEER, "KEY-B", 2, NOON);
	expect(tally, TRAFFIC_EXIT_NODE, "internet", 3, NOON);
	expect(tally, TRAFFIC_EGRESS, "203.0.113.5", 4, NOON);
	tally_close(&tally);
}

/* Against a model that only adds, with a fixed seed. */
static void test_random(void **state)
{
	struct tally *tally = open_tally(TALLY_SERIES_MAX);
	struct tally_object objects[8];
	uint64_t sums[8] = {0}, now = NOON;
	char names[8][4];
	bool there[8];

	srandom(7);
	for (unsigned round = 0; round < 400; round++) {
		unsigned shift = (unsigned)random() % 8, n = 0;

		if (random() % 8 == 0)
			restart_dataplane();
		if (random() % 8 == 0)
			reopen(&tally);
		for (unsigned i = 0; i < 8; i++) {
			snprintf(names[i], sizeof(names[i]), "p%u", i);
			there[i] = random() % 4 != 0;
			if (there[i])
				objects[n++] = (struct tally_object){
					TRAFFIC_PEER, names[i], names[i], (i + shift) % 8 + 1};
		}
		assign(tally, objects, n, now);
		for (unsigned k = 0; k < 20; k++) {
			unsigned i = (unsigned)random() % 8, bytes = (unsigned)random() % 1500;

			if (random() % 4 == 0) {
				parts = 3;
				part = (unsigned)random() % parts;
				book(tally, now);
				part = 0;
				parts = 1;
			}
			if (!there[i])
				continue;
			send(TRAFFIC_PEER, (i + shift) % 8 + 1, bytes);
			sums[i] += bytes;
		}
		/* A data plane that ends in order is looked at before. */
		book(tally, now);
	}
	for (unsigned i = 0; i < 8; i++)
		expect(tally, TRAFFIC_PEER, names[i], sums[i], now);
	tally_close(&tally);
}

static int fresh(void **state)
{
	char other[80];

	unlink(path);
	snprintf(other, sizeof(other), "%s-wal", path);
	unlink(other);
	snprintf(other, sizeof(other), "%s-shm", path);
	unlink(other);
	memset(rows, 0, sizeof(rows));
	unreadable = false;
	part = 0;
	parts = 1;
	source.instance = 1;
	return 0;
}

static int set_up(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/traffic.db", dir);
	return 0;
}

static int tear_down(void **state)
{
	fresh(state);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_restarts, fresh),
		cmocka_unit_test_setup(test_ids_change_hands, fresh),
		cmocka_unit_test_setup(test_ids_begin_anew, fresh),
		cmocka_unit_test_setup(test_slots, fresh),
		cmocka_unit_test_setup(test_months, fresh),
		cmocka_unit_test_setup(test_bounds, fresh),
		cmocka_unit_test_setup(test_failed_writes, fresh),
		cmocka_unit_test_setup(test_parts, fresh),
		cmocka_unit_test_setup(test_random, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
