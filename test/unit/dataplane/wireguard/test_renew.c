/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/wireguard/renew.h"

enum { T0 = 1000000 };

static void test_a_keypair_lasts_180_seconds(void **state)
{
	static const struct {
		int64_t age_ms;
		bool usable;
	} rows[] = {
		{0, true},
		{120001, true},
		{179999, true},
		{180000, false},
		{1000000, false},
		/* a worker whose clock is a little behind the thread's */
		{-5, true},
		{-2000, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			renew_is_usable(T0, (uint64_t)(T0 + rows[i].age_ms)), rows[i].usable);
}

static void test_sender_asks_for_new_keys(void **state)
{
	static const struct {
		bool initiator;
		uint64_t age_ms, counter;
		bool due;
	} rows[] = {
		{true, 0, 0, false},
		{true, 120000, 0, false},
		{true, 120001, 0, true},
		{false, 120001, 0, false},
		{true, 1, WG_REKEY_AFTER_MESSAGES, false},
		{true, 1, WG_REKEY_AFTER_MESSAGES + 1, true},
		{false, 1, WG_REKEY_AFTER_MESSAGES + 1, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(renew_sender_due(rows[i].initiator, T0, rows[i].counter,
					 T0 + rows[i].age_ms),
			rows[i].due);
	/* a worker whose clock is a little behind the thread's */
	assert_false(renew_sender_due(true, T0, 0, T0 - 5));
}

static void test_receiver_asks_in_the_last_minute_of_the_current_one(void **state)
{
	static const struct {
		bool initiator, current;
		uint64_t age_ms;
		bool due;
	} rows[] = {
		{true, true, 165000, false},
		{true, true, 165001, true},
		{false, true, 165001, false},
		{true, false, 165001, false},
		{true, false, 179999, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(renew_receiver_due(rows[i].initiator, rows[i].current, T0,
					 T0 + rows[i].age_ms),
			rows[i].due);
	assert_false(renew_receiver_due(true, true, T0, T0 - 5));
}

static void test_asks_again_each_second(void **state)
{
	_Atomic uint64_t asked_ms = 0;
	unsigned asked = 0;

	for (uint64_t t = T0; t < T0 + 5000; t += 10)
		asked += renew_may_ask(&asked_ms, t);
	assert_int_equal(asked, 5);
	assert_false(renew_may_ask(&asked_ms, T0)); /* a clock that is behind asks nothing */
}

static void test_load_is_of_one_queue(void **state)
{
	struct renew_load flooded = {0}, calm = {0};

	renew_load_note(&flooded, WG_UNDER_LOAD_QUEUED, T0);
	renew_load_note(&calm, WG_UNDER_LOAD_QUEUED - 1, T0);
	assert_true(renew_under_load(&flooded, T0));
	assert_false(renew_under_load(&calm, T0));
	renew_load_note(&flooded, 0, T0 + 500);
	assert_true(renew_under_load(&flooded, T0 + WG_UNDER_LOAD_STICKY_MS - 1));
	assert_false(renew_under_load(&flooded, T0 + WG_UNDER_LOAD_STICKY_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_keypair_lasts_180_seconds),
		cmocka_unit_test(test_sender_asks_for_new_keys),
		cmocka_unit_test(test_receiver_asks_in_the_last_minute_of_the_current_one),
		cmocka_unit_test(test_asks_again_each_second),
		cmocka_unit_test(test_load_is_of_one_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
