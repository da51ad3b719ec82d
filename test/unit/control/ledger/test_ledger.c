/* SPDX-License-Identifier: BSD-3-Clause */
/* Who had which port when: from events, told once, twice or not at all; and over 90 days of them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/ledger/ledger.h"

enum { ROWS = 600000, DAYS = 90, ANSWER_MS = 100 };

static struct ledger *ledger;
static char answer[512];

static void add_row(const struct ledger_row *row, void *arg)
{
	size_t used = strlen(answer);

	snprintf(answer + used, sizeof(answer) - used, "%s%s %u %llu-%llu%s", used == 0 ? "" : ", ",
		row->who, row->port_first, (unsigned long long)row->since_ms,
		(unsigned long long)row->until_ms, row->shared ? " shared" : "");
}

static const char *ask(const char *address, uint16_t port, uint8_t proto, uint64_t at_ms)
{
	struct addr addr;
	int n;

	assert_int_equal(addr_parse(address, &addr), 0);
	answer[0] = '\0';
	n = ledger_ask(ledger, &addr, port, proto, at_ms, 16, add_row, NULL);
	assert_true(n >= 0 && (n == 0) == (answer[0] == '\0'));
	return answer;
}

static void note(unsigned kind, uint16_t port, const char *who, uint64_t at_ms)
{
	struct api_event_block event = {
		.port_first = port, .kind = (uint8_t)kind, .proto = IPPROTO_UDP, .at_ms = at_ms};

	assert_int_equal(addr_parse("203.0.113.5", &event.addr), 0);
	assert_int_equal(ledger_note(ledger, &event, who), 0);
}

static int set_up(void **state)
{
	int error;

	ledger = ledger_open(NULL, &error);
	return ledger == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	ledger_close(&ledger);
	return 0;
}

static void test_one_after_the_other(void **state)
{
	note(API_BLOCK_TAKEN, 1024, "anna", 1000);
	note(API_BLOCK_RELEASED, 1024, "", 2000);
	note(API_BLOCK_TAKEN, 1024, "bob", 3000);
	note(API_BLOCK_TAKEN, 1088, "eva", 3000);
	assert_string_equal(ask("203.0.113.5", 1030, IPPROTO_UDP, 1500), "anna 1024 1000-2000");
	assert_string_equal(ask("203.0.113.5", 1030, 0, 1000), "anna 1024 1000-2000");
	assert_string_equal(ask("203.0.113.5", 1030, 0, 2000), "anna 1024 1000-2000");
	assert_string_equal(ask("203.0.113.5", 1030, 0, 2500), "");
	assert_string_equal(ask("203.0.113.5", 1087, 0, 9000), "bob 1024 3000-0");
	assert_string_equal(ask("203.0.113.5", 1088, 0, 9000), "eva 1088 3000-0");
	assert_string_equal(ask("203.0.113.5", 1030, IPPROTO_TCP, 9000), "");
	assert_string_equal(ask("203.0.113.6", 1030, 0, 9000), "");
	assert_string_equal(ask("203.0.113.5", 1030, 0, 999), "");
}

/* Told twice: nothing changes. Told too little: what must have ended has ended. */
static void test_told_twice_or_not_at_all(void **state)
{
	note(API_BLOCK_TAKEN, 1024, "anna", 1000);
	note(API_BLOCK_HELD, 1024, "anna", 1001);
	note(API_BLOCK_TAKEN, 1024, "anna", 1002);
	assert_string_equal(ask("203.0.113.5", 1024, 0, 5000), "anna 1024 1000-0");
	note(API_BLOCK_TAKEN, 1024, "bob", 4000); /* the release was lost */
	assert_string_equal(ask("203.0.113.5", 1024, 0, 3000), "anna 1024 1000-4000");
	assert_string_equal(ask("203.0.113.5", 1024, 0, 5000), "bob 1024 4000-0");
}

static void test_sync(void **state)
{
	note(API_BLOCK_TAKEN, 1024, "anna", 1000);
	note(API_BLOCK_TAKEN, 1088, "bob", 1000);
	note(API_BLOCK_TAKEN, 1152, "eva", 1000);
	note(API_BLOCK_SHARED, 1152, "udo", 1500);
	note(API_BLOCK_SYNC_BEGIN, 0, "", 6000);
	note(API_BLOCK_HELD, 1024, "anna", 1000);
	note(API_BLOCK_HELD, 1152, "eva", 1000);
	note(API_BLOCK_HELD, 1216, "ida", 5000); /* never heard of */
	note(API_BLOCK_SYNC_END, 0, "", 6100);
	assert_string_equal(ask("203.0.113.5", 1024, 0, 7000), "anna 1024 1000-0");
	assert_string_equal(ask("203.0.113.5", 1088, 0, 7000), "");
	assert_string_equal(ask("203.0.113.5", 1088, 0, 6000), "bob 1088 1000-6100");
	assert_string_equal(ask("203.0.113.5", 1216, 0, 7000), "ida 1216 5000-0");
	assert_string_equal(ask("203.0.113.5", 1152, 0, 7000),
		"udo 1152 1500-0 shared, eva 1152 1000-0"); /* whoever shares is not told again */
	note(API_BLOCK_RELEASED, 1152, "", 8000);
	assert_string_equal(ask("203.0.113.5", 1152, 0, 8001), "");
}

static void test_kept_and_forgotten(void **state)
{
	char path[] = "/tmp/sp-ledger-XXXXXX", other[64];
	int error, fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	ledger_close(&ledger);
	ledger = ledger_open(path, &error);
	note(API_BLOCK_TAKEN, 1024, "anna", 1000);
	note(API_BLOCK_RELEASED, 1024, "", 2000);
	note(API_BLOCK_TAKEN, 1024, "bob", 3000);
	ledger_close(&ledger); /* writes */
	ledger = ledger_open(path, &error);
	assert_non_null(ledger);
	assert_string_equal(ask("203.0.113.5", 1024, 0, 1500), "anna 1024 1000-2000");
	assert_int_equal(ledger_forget(ledger, 2000, 10), 0);
	assert_int_equal(ledger_forget(ledger, 2001, 10), 1);
	assert_string_equal(ask("203.0.113.5", 1024, 0, 1500), "");
	assert_int_equal(ledger_forget(ledger, 1u << 30, 10), 0); /* open ones stay */
	assert_string_equal(ask("203.0.113.5", 1024, 0, 5000), "bob 1024 3000-0");
	unlink(path);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(other, sizeof(other), "%s%s", path, i == 0 ? "-wal" : "-shm");
		unlink(other);
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* 90 days of one busy address: each block has had hundreds of users. */
static void test_ninety_days(void **state)
{
	char path[] = "/tmp/sp-ledger-XXXXXX", sql[512];
	uint64_t day_ms = 86400000, begin, slowest = 0;
	int error, fd = mkstemp(path);
	sqlite3 *db;

	assert_true(fd >= 0);
	close(fd);
	ledger_close(&ledger);
	ledger = ledger_open(path, &error);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	/* Row i: block i mod 1008, begins after i / ROWS of the time and lasts for a minute. */
	snprintf(sql, sizeof(sql),
		"PRAGMA synchronous = OFF;"
		"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		"INSERT INTO blocks SELECT x'cb007105', 17, 16 + i %% 1008, 'peer ' || (i %% "
		"5000), "
		"i * %lu / %d, i * %lu / %d + 60000, 1, 0 FROM n",
		ROWS - 1, DAYS * day_ms, ROWS, DAYS * day_ms, ROWS);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (uint64_t i = 7; i < ROWS; i += ROWS / 200) {
		uint64_t since = i * DAYS * day_ms / ROWS, spent;
		char expected[64];

		begin = now_us();
		ask("203.0.113.5", (uint16_t)((16 + i % 1008) * 64 + 5), 0, since + 30000);
		spent = now_us() - begin;
		slowest = spent > slowest ? spent : slowest;
		snprintf(expected, sizeof(expected), "peer %llu ", (unsigned long long)(i % 5000));
		assert_int_equal(strncmp(answer, expected, strlen(expected)), 0);
	}
	printf("slowest answer over %d rows: %llu us of CPU time\n", ROWS,
		(unsigned long long)slowest);
	assert_true(slowest < ANSWER_MS * 1000);
	unlink(path);
	snprintf(sql, sizeof(sql), "%s-wal", path);
	unlink(sql);
	snprintf(sql, sizeof(sql), "%s-shm", path);
	unlink(sql);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_after_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_told_twice_or_not_at_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sync, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kept_and_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ninety_days, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
