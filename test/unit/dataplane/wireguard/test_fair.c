/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dataplane/wireguard/fair.h"

static struct fair fair;

static int setup(void **state)
{
	memset(&fair, 0, sizeof(fair));
	fair.secret = UINT64_C(0x9e3779b97f4a7c15);
	return 0;
}

static struct addr address_of(uint32_t number)
{
	struct addr addr = {.family = ADDR_V4};

	memcpy(addr.bytes, &number, sizeof(number));
	return addr;
}

static void once_a_visit(void **state)
{
	struct addr a = address_of(1), b = address_of(2);

	for (uint32_t visit = 1; visit < 10; visit++) {
		assert_true(fair_admit(&fair, &a, visit));
		for (int i = 0; i < 100; i++)
			assert_false(fair_admit(&fair, &a, visit));
		assert_true(fair_admit(&fair, &b, visit));
		assert_false(fair_admit(&fair, &b, visit));
	}
}

static void an_ipv6_network_is_one_source(void **state)
{
	struct addr a = {.family = ADDR_V6, .bytes = {0x20, 1, 0xd, 0xb8}}, b = a, c = a;

	b.bytes[15] = 1;
	c.bytes[7] = 1;
	assert_true(fair_admit(&fair, &a, 1));
	assert_false(fair_admit(&fair, &b, 1));
	assert_true(fair_admit(&fair, &c, 1));
}

/* Whatever many others do, one who sends a message a visit is let in. */
static void floods_do_not_shut_others_out(void **state)
{
	enum { VISITS = 200, SOURCES = 500, MESSAGES = 2000 };
	unsigned admitted = 0, flood = 0;

	for (uint32_t visit = 1; visit <= VISITS; visit++) {
		struct addr quiet = address_of(1000000 + visit);

		for (uint32_t i = 0; i < MESSAGES; i++) {
			struct addr source = address_of(i * 7919 % SOURCES);

			flood += fair_admit(&fair, &source, visit);
		}
		admitted += fair_admit(&fair, &quiet, visit);
	}
	assert_int_equal(admitted, VISITS);
	assert_int_equal(flood, VISITS * SOURCES);
}

/* Nobody knows the sets: another secret, another table. */
static void sets_depend_on_the_secret(void **state)
{
	unsigned same = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct addr addr = address_of(i);
		uint64_t before = fair_mix(&fair, &addr) >> (64 - FAIR_SET_BITS);

		fair.secret ^= UINT64_C(1) << 63;
		same += before == fair_mix(&fair, &addr) >> (64 - FAIR_SET_BITS);
		fair.secret ^= UINT64_C(1) << 63;
	}
	assert_in_range(same, 0, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(once_a_visit, setup),
		cmocka_unit_test_setup(an_ipv6_network_is_one_source, setup),
		cmocka_unit_test_setup(floods_do_not_shut_others_out, setup),
		cmocka_unit_test_setup(sets_depend_on_the_secret, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
