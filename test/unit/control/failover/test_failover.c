/* SPDX-License-Identifier: BSD-3-Clause */
/* When a routing peer is taken for dead, and when it is trusted again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "control/failover/member.h"

static const struct member_limits limits = {.dead_after_ms = 15000, .return_after_ms = 30000};

struct look {
	uint64_t at_s;
	uint64_t rx_bytes;
	bool changed;
	enum member_state state;
};

static void follow(bool down, const struct look *looks, size_t n)
{
	struct member member;

	member_begin(&member, 0, 100, down);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
			member_look(&member, &limits, looks[i].at_s * 1000, looks[i].rx_bytes),
			looks[i].changed);
		assert_int_equal(member.state, looks[i].state);
	}
}

#define FOLLOW(down, ...)                                                                          \
	do {                                                                                       \
		static const struct look looks[] = {__VA_ARGS__};                                  \
		follow(down, looks, sizeof(looks) / sizeof(looks[0]));                             \
	} while (0)

static void test_silence(void **state)
{
	FOLLOW(false, {1, 100, false, MEMBER_UP}, {14, 100, false, MEMBER_UP},
		{15, 100, true, MEMBER_DOWN}, {60, 100, false, MEMBER_DOWN});
	/* a packet at the last moment */
	FOLLOW(false, {14, 132, false, MEMBER_UP}, {28, 132, false, MEMBER_UP},
		{29, 132, true, MEMBER_DOWN});
	/* a counter that begins anew is life, too */
	FOLLOW(false, {14, 0, false, MEMBER_UP}, {28, 0, false, MEMBER_UP});
}

static void test_return(void **state)
{
	FOLLOW(true, {1, 100, false, MEMBER_DOWN}, {2, 132, false, MEMBER_RETURNING},
		{12, 164, false, MEMBER_RETURNING}, {22, 196, false, MEMBER_RETURNING},
		{31, 228, false, MEMBER_RETURNING}, {32, 260, true, MEMBER_UP},
		{33, 260, false, MEMBER_UP});
}

static void test_flapping(void **state)
{
	/* heard now and then, never for long enough: it stays out of use, and no verdict changes */
	FOLLOW(true, {1, 132, false, MEMBER_RETURNING}, {16, 132, false, MEMBER_DOWN},
		{17, 164, false, MEMBER_RETURNING}, {32, 164, false, MEMBER_DOWN},
		{33, 196, false, MEMBER_RETURNING}, {48, 196, false, MEMBER_DOWN});
	/* silent in the very look at which it would be trusted */
	FOLLOW(true, {1, 132, false, MEMBER_RETURNING}, {16, 164, false, MEMBER_RETURNING},
		{31, 164, false, MEMBER_DOWN});
}

static void test_probes(void **state)
{
	struct member member;

	member_begin(&member, 1000, 0, false);
	assert_false(member_wants_probe(&member, &limits, 1000));
	assert_false(member_wants_probe(&member, &limits, 4749));
	assert_true(member_wants_probe(&member, &limits, 4750));
	assert_false(member_look(&member, &limits, 4750, 96));
	assert_false(member_wants_probe(&member, &limits, 5000));
	member_begin(&member, 1000, 0, true);
	assert_true(member_wants_probe(&member, &limits, 60000)); /* also when it is down */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
