/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons get numbers and names; counts are per thread and add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/graph/drop.h"
#include "dataplane/graph/handoff.h"

#define ONE_DROPS(X)                                                                               \
	X(A, "a", "the first")                                                                     \
	X(B, "b", "the second")
#define TWO_DROPS(X) X(A, "a", "another first")

DROP_GROUP_DECLARE(one, ONE_DROPS);
DROP_GROUP_DECLARE(two, TWO_DROPS);
DROP_GROUP_DEFINE(one, ONE_DROPS);
DROP_GROUP_DEFINE(two, TWO_DROPS);

static int setup(void **state)
{
	return drop_register(&drop_group_one) != 0 || drop_register(&drop_group_two) != 0;
}

static void test_numbers(void **state)
{
	assert_int_not_equal(DROP(one, A), DROP_NONE);
	assert_int_equal(DROP(one, B), DROP(one, A) + 1);
	assert_int_not_equal(DROP(two, A), DROP(one, A));
	/* Registering twice changes nothing. */
	assert_int_equal(drop_register(&drop_group_one), 0);
	assert_int_equal(DROP(one, B), DROP(one, A) + 1);
}

static void test_counts(void **state)
{
	drop_count(0, DROP(one, B), 3);
	drop_count(1, DROP(one, B), 4);
	drop_count(HANDOFF_PUNT, DROP(one, B), 5);
	assert_int_equal(drop_total(DROP(one, B)), 12);
	assert_int_equal(drop_total(DROP(one, A)), 0);
	drop_count(0, DROP_REASONS_MAX + 5, 1); /* a wrong number counts as unknown */
	assert_int_equal(drop_total(DROP_NONE), 1);
}

static void test_rows(void **state)
{
	static struct api_count_drop rows[DROP_REASONS_MAX];
	uint32_t n = drop_fill(rows, DROP_REASONS_MAX);

	assert_true(n > DROP(two, A));
	assert_string_equal(rows[DROP_NONE].name, "drop.unknown");
	assert_string_equal(rows[DROP(one, B)].name, "one.b");
	assert_string_equal(rows[DROP(one, B)].text, "the second");
	assert_int_equal(rows[DROP(one, B)].packets, 12);
	assert_string_equal(rows[DROP(two, A)].name, "two.a");
	assert_int_equal(drop_fill(rows, 1), 1);
}

static void test_full(void **state)
{
	static const struct drop_reason many[DROP_REASONS_MAX];
	struct drop_group group = {"big", many, DROP_REASONS_MAX, 0};

	assert_int_equal(drop_register(&group), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
