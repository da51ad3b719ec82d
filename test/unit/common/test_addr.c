/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"

static const struct {
	const char *text;
	int ok;
	const char *canonical;
} prefix_rows[] = {
	{"192.0.2.0/24", 1, "192.0.2.0/24"},
	{"192.0.2.1", 1, "192.0.2.1/32"},
	{"0.0.0.0/0", 1, "0.0.0.0/0"},
	{"128.0.0.0/1", 1, "128.0.0.0/1"},
	{"2001:DB8::/32", 1, "2001:db8::/32"},
	{"::/0", 1, "::/0"},
	{"2001:db8::1", 1, "2001:db8::1/128"},
	{"192.0.2.1/24", 0, NULL},
	{"192.0.2.0/33", 0, NULL},
	{"192.0.2.0/", 0, NULL},
	{"192.0.2.0/024", 0, NULL},
	{"192.0.2.0/+24", 0, NULL},
	{"2001:db8::/129", 0, NULL},
	{"fe80::1%eth0", 0, NULL},
	{"", 0, NULL},
	{"/8", 0, NULL},
	{"example.net", 0, NULL},
};

static void prefixes_parse_or_are_refused(void **state)
{
	for (size_t i = 0; i < sizeof(prefix_rows) / sizeof(prefix_rows[0]); i++) {
		char text[PREFIX_TEXT_MAX];
		struct prefix prefix;
		int rc = prefix_parse(prefix_rows[i].text, &prefix);

		assert_int_equal(rc == 0, prefix_rows[i].ok);
		if (rc == 0)
			assert_string_equal(prefix_format(&prefix, text), prefix_rows[i].canonical);
	}
}

static const struct {
	const char *text;
	int ok;
} endpoint_rows[] = {
	{"192.0.2.1:51820", 1},
	{"[2001:db8::1]:51820", 1},
	{"192.0.2.1:0", 0},
	{"192.0.2.1:65536", 0},
	{"192.0.2.1", 0},
	{"2001:db8::1:51820", 0},
	{"[192.0.2.1]:51820", 0},
	{"[]:1", 0},
	{":1", 0},
	{"]:1", 0},
};

static void endpoints_round_trip(void **state)
{
	for (size_t i = 0; i < sizeof(endpoint_rows) / sizeof(endpoint_rows[0]); i++) {
		char text[ENDPOINT_TEXT_MAX];
		struct endpoint endpoint;
		int rc = endpoint_parse(endpoint_rows[i].text, &endpoint);

		assert_int_equal(rc == 0, endpoint_rows[i].ok);
		if (rc == 0)
			assert_string_equal(
				endpoint_format(&endpoint, text), endpoint_rows[i].text);
	}
}

static struct prefix prefix_random(uint8_t family)
{
	struct prefix prefix = {.family = family};

	prefix.length = (uint8_t)(rand() % (addr_bits(family) + 1));
	for (size_t i = 0; i < addr_size(family); i++)
		prefix.bytes[i] = (uint8_t)(rand() & 0x81); /* few values, so that some match */
	prefix_mask(&prefix);
	return prefix;
}

/* The slow model: bit by bit. */
static bool model_contains(const struct prefix *prefix, const uint8_t *bytes)
{
	for (int bit = 0; bit < prefix->length; bit++) {
		int mask = 0x80 >> (bit % 8);

		if ((prefix->bytes[bit / 8] & mask) != (bytes[bit / 8] & mask))
			return false;
	}
	return true;
}

static void containment_agrees_with_the_model(void **state)
{
	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint8_t family = i % 2 ? ADDR_V4 : ADDR_V6;
		struct prefix a = prefix_random(family);
		struct prefix b = prefix_random(family);
		struct addr first = prefix_first(&b);

		assert_true(prefix_is_valid(&a));
		assert_int_equal(prefix_contains(&a, &first), model_contains(&a, b.bytes));
		assert_int_equal(
			prefix_covers(&a, &b), b.length >= a.length && model_contains(&a, b.bytes));
	}
}

static void invalid_values_are_found(void **state)
{
	struct addr addr = {.family = ADDR_V4, .bytes = {192, 0, 2, 1}};
	struct prefix prefix = {.family = ADDR_V4, .length = 24, .bytes = {192, 0, 2}};

	assert_true(addr_is_valid(&addr));
	addr.bytes[4] = 1;
	assert_false(addr_is_valid(&addr));
	addr = (struct addr){.family = 5};
	assert_false(addr_is_valid(&addr));
	assert_true(prefix_is_valid(&prefix));
	prefix.length = 23;
	assert_true(prefix_is_valid(&prefix));
	prefix.length = 22;
	assert_false(prefix_is_valid(&prefix));
	prefix.length = 33;
	assert_false(prefix_is_valid(&prefix));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_parse_or_are_refused),
		cmocka_unit_test(endpoints_round_trip),
		cmocka_unit_test(containment_agrees_with_the_model),
		cmocka_unit_test(invalid_values_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
