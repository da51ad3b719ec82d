/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wireguard/wheel.h"

enum { ENTRIES = 300, START_MS = 123456 };

static struct wheel wheel;

/* Every entry comes out once, at its due time or within a tick after it, never before. */
static void entries_come_out_when_due(void **state)
{
	static struct wheel_entry entries[ENTRIES];
	static uint64_t due[ENTRIES];
	unsigned left = ENTRIES;
	struct wheel_entry *entry;

	srand(3);
	memset(entries, 0, sizeof(entries));
	wheel_init(&wheel, START_MS);
	for (unsigned i = 0; i < ENTRIES; i++) {
		due[i] = START_MS + 1 + (uint64_t)(rand() % 200000); /* several turns */
		wheel_set(&wheel, &entries[i], START_MS + 7);
		wheel_set(&wheel, &entries[i], due[i]); /* moved */
	}
	for (uint64_t now = START_MS; now <= START_MS + 200000 + 2 * WHEEL_TICK_MS; now += 5) {
		while ((entry = wheel_next(&wheel, now)) != NULL) {
			uint64_t at = due[entry - entries];

			assert_true(at != 0);
			assert_true(now >= at);
			assert_true(now < at + 2 * WHEEL_TICK_MS);
			due[entry - entries] = 0;
			left--;
		}
	}
	assert_int_equal(left, 0);
}

static void removed_entries_stay_away(void **state)
{
	struct wheel_entry entry = {0};

	wheel_init(&wheel, START_MS);
	wheel_set(&wheel, &entry, START_MS + 100);
	wheel_remove(&wheel, &entry);
	wheel_remove(&wheel, &entry);
	assert_null(wheel_next(&wheel, START_MS + 100000));
	assert_int_equal(entry.due_ms, 0);
}

static void the_past_is_the_next_tick(void **state)
{
	struct wheel_entry entry = {0};

	wheel_init(&wheel, START_MS);
	wheel_set(&wheel, &entry, 1);
	assert_ptr_equal(wheel_next(&wheel, START_MS + 2 * WHEEL_TICK_MS), &entry);
}

static void waits_until_the_first_entry(void **state)
{
	struct wheel_entry entry = {0};

	wheel_init(&wheel, START_MS);
	assert_int_equal(wheel_wait_ms(&wheel, START_MS, 1000), 1000);
	wheel_set(&wheel, &entry, START_MS + 500);
	assert_in_range(wheel_wait_ms(&wheel, START_MS, 1000), 500, 500 + WHEEL_TICK_MS);
	assert_int_equal(wheel_wait_ms(&wheel, START_MS + 600, 1000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_out_when_due),
		cmocka_unit_test(removed_entries_stay_away),
		cmocka_unit_test(the_past_is_the_next_tick),
		cmocka_unit_test(waits_until_the_first_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
