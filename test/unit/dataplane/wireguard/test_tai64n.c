/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dataplane/wireguard/tai64n.h"

/* https://cr.yp.to/libtai/tai64.html: 1992-06-02 08:07:09 TAI is 400000002a2b2c2d; Unix time 0 is
 * 10 s after its label's beginning. */
static void text_is_the_known_answer(void **state)
{
	static const struct {
		struct timespec wall;
		const char *text;
	} rows[] = {
		{{0, 0}, "@400000000000000a00000000"},
		{{0x2a2b2c2d - 10, 0}, "@400000002a2b2c2d00000000"},
		{{0, (1 << 24) - 1}, "@400000000000000a00000000"},
		{{0, 1 << 24}, "@400000000000000a01000000"},
		{{0, 999999999}, "@400000000000000a3b000000"},
	};
	char text[TAI64N_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tai64n stamp = tai64n_from_time(&rows[i].wall);

		assert_string_equal(tai64n_format(&stamp, text), rows[i].text);
	}
}

static void order_is_time(void **state)
{
	struct tai64n zero = {{0}}, last = zero;

	assert_true(tai64n_is_zero(&zero));
	/* A grain at a time, over several seconds' borders. */
	for (uint64_t i = 0; i < 300; i++) {
		uint64_t ns = i * TAI64N_GRAIN_NS;
		struct timespec wall = {1700000000 + ns / 1000000000, ns % 1000000000};
		struct tai64n stamp = tai64n_from_time(&wall);

		/* Grains begin anew with each second, so two steps are enough for a rise. */
		assert_true(tai64n_compare(&stamp, &last) >= 0);
		if (i % 2 == 0) {
			assert_int_equal(tai64n_compare(&stamp, &last), 1);
			assert_int_equal(tai64n_compare(&last, &stamp), -1);
			last = stamp;
		}
		assert_int_equal(tai64n_compare(&stamp, &stamp), 0);
		assert_false(tai64n_is_zero(&stamp));
	}
}

static void next_rises_whatever_the_clock_does(void **state)
{
	struct timespec wall = {1700000000, 0};
	struct tai64n now = tai64n_from_time(&wall), last = {{0}};

	last = tai64n_next(&now, &last);
	assert_int_equal(tai64n_compare(&last, &now), 0);
	wall.tv_sec -= 3600; /* set back */
	now = tai64n_from_time(&wall);
	for (int i = 0; i < 200; i++) {
		struct tai64n next = tai64n_next(&now, &last);

		assert_int_equal(tai64n_compare(&next, &last), 1);
		/* Valid: nanoseconds below a second, in grains. */
		assert_true(next.bytes[8] <= 0x3b);
		assert_int_equal(next.bytes[9] | next.bytes[10] | next.bytes[11], 0);
		last = next;
	}
	wall.tv_sec += 7200;
	now = tai64n_from_time(&wall);
	last = tai64n_next(&now, &last);
	assert_int_equal(tai64n_compare(&last, &now), 0);
}

static void now_is_of_this_century(void **state)
{
	struct timespec early = {1600000000, 0};
	struct tai64n bound = tai64n_from_time(&early), now = tai64n_now();

	assert_int_equal(tai64n_compare(&now, &bound), 1);
	assert_int_equal(now.bytes[9] | now.bytes[10] | now.bytes[11], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_the_known_answer),
		cmocka_unit_test(order_is_time),
		cmocka_unit_test(next_rises_whatever_the_clock_does),
		cmocka_unit_test(now_is_of_this_century),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
