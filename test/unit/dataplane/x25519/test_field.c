/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's arithmetic modulo p on numbers whose limbs are as large as their kind allows,
 * against OpenSSL's big numbers: each result is the right one and keeps the bounds that what
 * follows relies on. Compiled twice, for the CPU and for the model of it in plain C.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <string.h>

#include "dataplane/x25519/avx512_field.h"

enum { ROUNDS = 200 };

/* All limbs of a kind are below. */
static const uint64_t carried = (1ull << 43) + (1ull << 21), sum = (1ull << 44) + (1ull << 27),
		      difference = 3 * (1ull << 43) + (1ull << 21);

static uint64_t seed = 20261121;
static BN_CTX *ctx;
static BIGNUM *p;

static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t limb_of(const struct number *a, unsigned limb, unsigned lane)
{
	uint64_t lanes[LANES];

	memcpy(lanes, &a->v[limb], sizeof(lanes));
	return lanes[lane];
}

/* Lane 0 has all limbs at their greatest, lane 1 is zero; others mix extremes and random ones. */
static struct number draw_number(uint64_t bound)
{
	struct number a;

	for (unsigned i = 0; i < LIMBS; i++) {
		uint64_t lanes[LANES];

		for (unsigned lane = 0; lane < LANES; lane++) {
			uint64_t choice = lane == 0 ? 0 : lane == 1 ? 1 : draw() % 5;
			const uint64_t values[] = {
				bound - 1, 0, limb_mask, 1ull << LIMB_BITS, draw() % bound};

			lanes[lane] = values[choice];
		}
		memcpy(&a.v[i], lanes, sizeof(lanes));
	}
	return a;
}

static BIGNUM *value_of(const struct number *a, unsigned lane)
{
	BIGNUM *value = BN_new(), *limb = BN_new();

	assert_non_null(value);
	assert_non_null(limb);
	for (unsigned i = LIMBS; i-- > 0;) {
		uint64_t v = limb_of(a, i, lane);

		assert_int_equal(BN_set_word(limb, v), 1);
		assert_int_equal(BN_lshift(value, value, LIMB_BITS), 1);
		assert_int_equal(BN_add(value, value, limb), 1);
	}
	BN_free(limb);
	return value;
}

enum operation { ADD, SUBTRACT, MULTIPLY, SQUARE, ADD_TIMES_A24, REDUCE };

static void reckon(enum operation op, BIGNUM *a, BIGNUM *b)
{
	int rc;

	if (op == ADD)
		rc = BN_add(a, a, b);
	else if (op == SUBTRACT)
		rc = BN_sub(a, a, b);
	else if (op == MULTIPLY)
		rc = BN_mul(a, a, b, ctx);
	else if (op == SQUARE)
		rc = BN_sqr(a, a, ctx);
	else if (op == ADD_TIMES_A24)
		rc = BN_mul_word(b, 121665) == 1 && BN_add(a, a, b) == 1;
	else
		rc = 1;
	assert_int_equal(rc, 1);
	assert_int_equal(BN_nnmod(a, a, p, ctx), 1);
}

static void check(enum operation op, const struct number *a, const struct number *b,
	const struct number *result, uint64_t bound)
{
	for (unsigned lane = 0; lane < LANES; lane++) {
		BIGNUM *expected = value_of(a, lane), *other = value_of(b, lane);
		BIGNUM *got = value_of(result, lane);

		reckon(op, expected, other);
		if (op == REDUCE)
			assert_int_equal(BN_cmp(got, expected), 0);
		assert_int_equal(BN_nnmod(got, got, p, ctx), 1);
		assert_int_equal(BN_cmp(got, expected), 0);
		for (unsigned i = 0; i < LIMBS; i++)
			assert_true(limb_of(result, i, lane) < bound);
		BN_free(expected);
		BN_free(other);
		BN_free(got);
	}
}

static void sums_and_differences(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct number a = draw_number(carried), b = draw_number(carried);
		struct number e = draw_number(difference), c = add(a, b);

		check(ADD, &a, &b, &c, sum);
		c = subtract(a, b);
		check(SUBTRACT, &a, &b, &c, difference);
		c = add_times_a24(a, e);
		check(ADD_TIMES_A24, &a, &e, &c, sum);
	}
}

/* Any two kinds; a difference has the largest limbs. */
static void products(void **state)
{
	const uint64_t kinds[] = {carried, sum, difference};

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct number a = draw_number(kinds[round % 3]);
		struct number b = draw_number(kinds[round / 3 % 3]);
		struct number c = multiply(a, b);

		check(MULTIPLY, &a, &b, &c, carried);
		c = square(a);
		check(SQUARE, &a, &b, &c, carried);
	}
}

/* Numbers around the multiples of p up to 8, as limbs of 43 bits. */
static struct number around_multiples(unsigned multiple)
{
	uint64_t lanes[LIMBS][LANES];
	struct number a;

	for (unsigned lane = 0; lane < LANES; lane++) {
		BIGNUM *value = BN_dup(p);

		assert_non_null(value);
		assert_int_equal(BN_mul_word(value, multiple), 1);
		assert_int_equal(lane < 4 ? BN_add_word(value, lane)
					  : BN_sub_word(value, multiple > 0 ? lane - 3 : 0),
			1);
		for (unsigned i = 0; i < LIMBS; i++) {
			BIGNUM *rest = BN_dup(value);

			assert_non_null(rest);
			assert_int_equal(BN_rshift(rest, value, (int)(i * LIMB_BITS)), 1);
			if (i < LIMBS - 1 && BN_num_bits(rest) > LIMB_BITS)
				assert_int_equal(BN_mask_bits(rest, LIMB_BITS), 1);
			lanes[i][lane] = BN_get_word(rest);
			BN_free(rest);
		}
		BN_free(value);
	}
	memcpy(&a, lanes, sizeof(a));
	return a;
}

static void reduction(void **state)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct number a = round < 9 ? around_multiples(round) : draw_number(carried);
		struct number c = reduce(a);

		check(REDUCE, &a, &a, &c, 1ull << LIMB_BITS);
	}
}

static void picking(void **state)
{
	for (unsigned mask = 0; mask < 256; mask++) {
		struct number a = draw_number(carried), b = draw_number(carried);
		struct number c = pick((__mmask8)mask, a, b);

		for (unsigned i = 0; i < LIMBS; i++) {
			for (unsigned lane = 0; lane < LANES; lane++)
				assert_int_equal(limb_of(&c, i, lane),
					limb_of(mask >> lane & 1 ? &a : &b, i, lane));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_and_differences),
		cmocka_unit_test(products),
		cmocka_unit_test(reduction),
		cmocka_unit_test(picking),
	};
	int rc;

#ifdef ON_HARDWARE
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512ifma"))
		return 77; /* skipped */
#endif
	ctx = BN_CTX_new();
	p = BN_new();
	if (ctx == NULL || p == NULL || BN_set_bit(p, 255) != 1 || BN_sub_word(p, 19) != 1)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	BN_free(p);
	BN_CTX_free(ctx);
	return rc;
}
