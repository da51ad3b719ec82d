/* SPDX-License-Identifier: BSD-3-Clause */
/* Features start in the order of `after`, whatever the order of registration, and stop backwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/main/feature.h"

static char trail[64];
static int fails;

static void note(char c)
{
	size_t used = strlen(trail);

	snprintf(trail + used, sizeof(trail) - used, "%c", c);
}

static int init_a(void)
{
	note('a');
	return 0;
}

static int init_b(void)
{
	note('b');
	return fails;
}

static int init_c(void)
{
	note('c');
	return 0;
}

static void stop_a(void)
{
	note('A');
}

static void stop_b(void)
{
	note('B');
}

static void stop_c(void)
{
	note('C');
}

static struct feature fa = {.name = "a", .after = {"b"}, .init = init_a, .stop = stop_a};
static struct feature fb = {.name = "b", .after = {"not built"}, .init = init_b, .stop = stop_b};
static struct feature fc = {.name = "c", .after = {"b", "a"}, .init = init_c, .stop = stop_c};
static struct feature late = {.name = "d", .after = {"e"}};
static struct feature circle = {.name = "e", .after = {"d"}};

static void test_order(void **state)
{
	feature_register(&fc);
	feature_register(&fb);
	feature_register(&fa);
	assert_int_equal(feature_init_all(), 0);
	assert_int_equal(feature_start_all(), 0);
	assert_string_equal(trail, "bac");
	feature_stop_all();
	assert_string_equal(trail, "bacCAB");
}

static void test_failure_stops_what_was_started(void **state)
{
	trail[0] = '\0';
	fails = -ENOMEM;
	assert_int_equal(feature_init_all(), -ENOMEM);
	assert_string_equal(trail, "b");
	feature_stop_all();
	assert_string_equal(trail, "b");
	fails = 0;
}

static void test_circle(void **state)
{
	feature_register(&late);
	feature_register(&circle);
	assert_int_equal(feature_init_all(), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_failure_stops_what_was_started),
		cmocka_unit_test(test_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
