/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/base/key.h"

static void text_round_trips(void **state)
{
	struct key key, back;
	char text[KEY_TEXT_MAX];

	for (int i = 0; i < 100; i++) {
		key_generate(&key);
		assert_int_equal(key_parse(key_format(&key, text), &back), 0);
		assert_true(key_equal(&key, &back));
	}
}

static void anything_else_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", /* trailing bits set */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		"!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	};
	struct key key = {.bytes = {7}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_not_equal(key_parse(rows[i], &key), 0);
		assert_int_equal(key.bytes[0], 7);
	}
}

/* RFC 7748, section 6.1: Alice's key pair. */
static void public_key_is_the_known_answer(void **state)
{
	static const uint8_t expected[KEY_SIZE] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54,
		0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
		0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a};
	struct key private_key = {
		.bytes = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72,
			0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a,
			0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a}};
	struct key public_key;

	assert_int_equal(key_public(&private_key, &public_key), 0);
	assert_memory_equal(public_key.bytes, expected, KEY_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_round_trips),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(public_key_is_the_known_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
