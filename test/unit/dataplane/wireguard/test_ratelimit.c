/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/ratelimit.h"

static struct addr parse(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static int setup(void **state)
{
	*state = ratelimit_create(100);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	ratelimit_destroy((struct ratelimit **)state);
	return 0;
}

/* Time after the message before, and whether it passes: a burst of 5, then one each 50 ms. */
static void bucket_refills(void **state)
{
	static const struct {
		uint32_t wait_ms;
		bool allowed;
	} rows[] = {{0, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false}, {0, false},
		{50, true}, {0, false}, {49, false}, {1, true}, {0, false}, {100, true}, {0, true},
		{0, false}, {250, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false},
		{5000, true}, {0, true}, {0, true}, {0, true}, {0, true}, {0, false}};
	struct addr v4 = parse("192.0.2.1"), v6 = parse("2001:db8::1");
	uint64_t now_ms = 1000;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		now_ms += rows[i].wait_ms;
		assert_int_equal(ratelimit_allow(*state, &v4, now_ms), rows[i].allowed);
		assert_int_equal(ratelimit_allow(*state, &v6, now_ms), rows[i].allowed);
	}
}

static void rate_is_twenty_a_second(void **state)
{
	struct addr addr = parse("192.0.2.1");
	int allowed = 0;

	for (uint64_t ms = 0; ms < 10000; ms++)
		allowed += ratelimit_allow(*state, &addr, 1000 + ms);
	assert_in_range(
		allowed, 10 * WG_FLOOD_PER_SECOND, 10 * WG_FLOOD_PER_SECOND + WG_FLOOD_BURST);
}

static void sources_are_apart(void **state)
{
	static const struct {
		const char *addr;
		bool same; /* as 192.0.2.1 or 2001:db8:0:1::1 */
	} rows[] = {
		{"192.0.2.1", true}, {"192.0.2.2", false},
		{"2001:db8:0:1:ffff::2", true},                    /* the /64 counts */
		{"2001:db8:0:2::1", false}, {"c000:201::", false}, /* the bytes of 192.0.2.1 */
	};
	struct addr v4 = parse("192.0.2.1"), v6 = parse("2001:db8:0:1::1");

	for (int i = 0; i < 6; i++) {
		(void)ratelimit_allow(*state, &v4, 1000);
		(void)ratelimit_allow(*state, &v6, 1000);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = parse(rows[i].addr);

		assert_int_equal(ratelimit_allow(*state, &addr, 1000), !rows[i].same);
	}
}

static void memory_is_bounded(void **state)
{
	char text[ADDR_TEXT_MAX];

	for (int i = 0; i < 300; i++) {
		struct addr addr;

		snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
		addr = parse(text);
		assert_int_equal(ratelimit_allow(*state, &addr, 1000 + i), i < 100);
	}
	assert_int_equal(ratelimit_count(*state), 100);
	/* Those already known are served on; after a second, the idle ones make room. */
	struct addr known = parse("10.0.0.99"), late = parse("10.9.9.9");

	assert_true(ratelimit_allow(*state, &known, 1500));
	assert_true(ratelimit_allow(*state, &late, 1000 + RATELIMIT_IDLE_MS));
	assert_int_equal(ratelimit_count(*state), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bucket_refills, setup, teardown),
		cmocka_unit_test_setup_teardown(rate_is_twenty_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(sources_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
