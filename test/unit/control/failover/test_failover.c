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

/* As control/failover/failover.c does it. */
static bool look(struct member *member, uint64_t now_ms, struct member_reading reading)
{
	bool changed = member_look(member, &limits, now_ms, &reading);

	if (member_wants_probe(member, &limits, now_ms))
		member_asked(member);
	return changed;
}

/* Each second; in those that are not named nothing is heard. */
static void follow(bool down, const struct look *looks, size_t n)
{
	struct member_reading reading = {.rx_bytes = 100};
	struct member member;
	uint64_t at_s = 1;

	member_begin(&member, 0, &reading, down);
	for (size_t i = 0; i < n; at_s++) {
		bool named = at_s == looks[i].at_s;

		if (named)
			reading.rx_bytes = looks[i].rx_bytes;
		reading.published_ms = at_s * 1000;
		assert_int_equal(
			look(&member, at_s * 1000, reading), named ? looks[i].changed : false);
		if (named)
			assert_int_equal(member.state, looks[i++].state);
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

struct standstill {
	uint64_t now_ms, published_ms;
};

/* Two silent looks, one after whatever stood still, and then as many until the member is down. */
static void stand_still(const struct standstill *after, unsigned left)
{
	struct member_reading reading = {0};
	struct member member;
	uint64_t now_ms = after->now_ms, published_ms = after->published_ms;

	member_begin(&member, 0, &reading, false);
	assert_false(look(&member, 1000, (struct member_reading){.published_ms = 1000}));
	assert_false(look(&member, 2000, (struct member_reading){.published_ms = 2000}));
	assert_false(look(&member, now_ms, (struct member_reading){.published_ms = published_ms}));
	for (unsigned i = 1; i <= left; i++) {
		reading.published_ms = published_ms + i * UINT64_C(1000);
		assert_int_equal(look(&member, now_ms + i * UINT64_C(1000), reading), i == left);
	}
	assert_int_equal(member.state, MEMBER_DOWN);
}

static void test_standstill(void **state)
{
	stand_still(&(struct standstill){3000, 3000}, 12); /* none */
	/* of this process alone, and with the data plane */
	stand_still(&(struct standstill){60000, 60000}, 13);
	stand_still(&(struct standstill){4500, 4500}, 13); /* half a second of it was watched */
	stand_still(&(struct standstill){60000, 2000}, 13);
}

static void test_counters_stand_still(void **state)
{
	struct member_reading reading = {.published_ms = 1};
	struct member member;

	member_begin(&member, 0, &reading, false);
	for (uint64_t now_ms = 1000; now_ms <= 60000; now_ms += 1000)
		assert_false(look(&member, now_ms, reading));
	/* what was published meanwhile in one go is no more than two looks */
	reading.published_ms = 60000;
	assert_false(look(&member, 61000, reading));
	assert_int_equal(member.silent_ms, 2000);
	/* and time that nobody watched is no proof of a life without gaps */
	member_begin(&member, 0, &reading, true);
	reading.rx_bytes++;
	assert_false(look(&member, 1000, reading));
	reading.published_ms += 60000;
	assert_false(look(&member, 61000, reading));
	assert_int_equal(member.state, MEMBER_RETURNING);
}

static void test_nobody_asked(void **state)
{
	struct member_reading reading = {0};
	struct member member;

	member_begin(&member, 0, &reading, false);
	for (uint64_t now_ms = 1000; now_ms <= 60000; now_ms += 1000) {
		reading.published_ms = now_ms;
		assert_false(member_look(&member, &limits, now_ms, &reading));
	}
	member_asked(&member);
	assert_false(member_look(&member, &limits, 61000, &reading)); /* nothing new */
	reading.published_ms = 61000;
	assert_false(member_look(&member, &limits, 62000, &reading));
	reading.published_ms = 62000;
	assert_true(member_look(&member, &limits, 63000, &reading));
	assert_int_equal(member.state, MEMBER_DOWN);
	/* heard: whoever is silent again is asked again */
	reading = (struct member_reading){.published_ms = 63000, .rx_bytes = 32};
	assert_false(member_look(&member, &limits, 64000, &reading));
	assert_false(member.asked);
}

static void test_probes(void **state)
{
	struct member_reading reading = {0};
	struct member member;

	member_begin(&member, 1000, &reading, false);
	assert_false(member_wants_probe(&member, &limits, 1000));
	assert_false(member_wants_probe(&member, &limits, 4749));
	assert_true(member_wants_probe(&member, &limits, 4750));
	reading.rx_bytes = 96;
	assert_false(member_look(&member, &limits, 4750, &reading));
	assert_false(member_wants_probe(&member, &limits, 5000));
	member_begin(&member, 1000, &reading, true);
	assert_true(member_wants_probe(&member, &limits, 60000)); /* also when it is down */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_flapping),
		cmocka_unit_test(test_standstill),
		cmocka_unit_test(test_counters_stand_still),
		cmocka_unit_test(test_nobody_asked),
		cmocka_unit_test(test_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
