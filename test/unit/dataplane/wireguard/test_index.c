/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/wireguard/index.h"

static uint64_t seed;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void owner_round_trips(void **state)
{
	seed = 1;
	for (int i = 0; i < 20000; i++) {
		uint64_t secret = draw();
		uint32_t owner = draw() % INDEX_OWNERS, random = (uint32_t)draw();
		uint32_t index = index_make(owner, random, secret);

		assert_int_equal(index_owner(index, secret), owner);
		assert_int_equal(index & ~INDEX_OWNER_MASK, random & ~INDEX_OWNER_MASK);
	}
}

/* Chi-squared over 32 cells, 31 degrees of freedom: beyond 61.1 with p = 0.001. */
static double chi_squared(const uint32_t cells[INDEX_OWNERS], uint32_t total)
{
	double expected = (double)total / INDEX_OWNERS, sum = 0;

	for (int i = 0; i < INDEX_OWNERS; i++)
		sum += (cells[i] - expected) * (cells[i] - expected) / expected;
	return sum;
}

/* For one owner the low bits still look random: by random upper bits, and by counting ones. */
static void low_bits_are_uniform(void **state)
{
	enum { DRAWS = 64000 };

	seed = 2;
	for (int round = 0; round < 8; round++) {
		uint64_t secret = draw();
		uint32_t random[INDEX_OWNERS] = {0}, counted[INDEX_OWNERS] = {0};

		for (uint32_t i = 0; i < DRAWS; i++) {
			random[index_make(3, (uint32_t)draw(), secret) & INDEX_OWNER_MASK]++;
			counted[index_make(3, i << INDEX_OWNER_BITS, secret) & INDEX_OWNER_MASK]++;
		}
		assert_true(chi_squared(random, DRAWS) < 75);
		assert_true(chi_squared(counted, DRAWS) < 75);
	}
}

/* Without the secret, the owner cannot be read: a wrong secret is right one time in 32. */
static void owner_depends_on_the_secret(void **state)
{
	enum { DRAWS = 32000 };
	int right = 0;

	seed = 3;
	for (int i = 0; i < DRAWS; i++) {
		uint64_t secret = draw(), wrong = secret ^ UINT64_C(1) << (i % 64);
		uint32_t index = index_make(i % INDEX_OWNERS, (uint32_t)draw(), secret);

		right += index_owner(index, wrong) == (uint32_t)i % INDEX_OWNERS;
	}
	assert_in_range(right, 800, 1200);
}

/* Each of the 27 upper bits reaches each of the five: flipping it flips them half the time. */
static void mixing_avalanches(void **state)
{
	enum { DRAWS = 2000 };

	seed = 4;
	for (int bit = INDEX_OWNER_BITS; bit < 32; bit++) {
		int flips[INDEX_OWNER_BITS] = {0};

		for (int i = 0; i < DRAWS; i++) {
			uint64_t secret = draw();
			uint32_t index = (uint32_t)draw();
			uint32_t change = index_mix(index, secret) ^
					  index_mix(index ^ UINT32_C(1) << bit, secret);

			for (int b = 0; b < INDEX_OWNER_BITS; b++)
				flips[b] += change >> b & 1;
		}
		for (int b = 0; b < INDEX_OWNER_BITS; b++)
			assert_in_range(flips[b], DRAWS * 4 / 10, DRAWS * 6 / 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_round_trips),
		cmocka_unit_test(low_bits_are_uniform),
		cmocka_unit_test(owner_depends_on_the_secret),
		cmocka_unit_test(mixing_avalanches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
