/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arithmetic modulo p = 2^255 - 19 in eight 64-bit lanes with the 52-bit multiplier (IFMA), for
 * avx512.c and its tests.
 *
 * Numbers are six limbs of 43 bits, so 2^258 = 8 * 19 = 152 (mod p) wraps around. Three kinds, by
 * what all their limbs are below:
 *
 *     carried     2^43 + 2^21      what multiply() and square() give; numbers that are read
 *     sum         2^44 + 2^27      add() of carried ones, add_times_a24()
 *     difference  3 * 2^43 + 2^21  subtract() of carried ones
 *
 * All kinds may be multiplied and squared: 152 times a limb is < 2^51.9, and the multiplier looks
 * at 52 bits. Everything else takes carried ones. The design note derives the bounds.
 */
#pragma once

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

enum {
	LANES = 8,
	LIMBS = 6,
	LIMB_BITS = 43,
	HIGH_SHIFT = 52 - LIMB_BITS,              /* high halves weigh 2^9 limbs */
	TOP_BITS = 255 - (LIMBS - 1) * LIMB_BITS, /* of the last limb of a number below 2^255 */
	WRAP = 152,
	A24 = 121665, /* (486662 - 2) / 4, RFC 7748, section 5 */
};

struct number {
	__m512i v[LIMBS];
};

/* The multiples of limbs that wrap around; v[0] is not used. */
struct wrapped {
	__m512i v[LIMBS];
};

static const uint64_t limb_mask = (1ull << LIMB_BITS) - 1;

INLINE __m512i set1(uint64_t value)
{
	return _mm512_set1_epi64((long long)value);
}

INLINE struct number add(struct number a, struct number b)
{
	for (unsigned i = 0; i < LIMBS; i++)
		a.v[i] = _mm512_add_epi64(a.v[i], b.v[i]);
	return a;
}

/* a - b + 16 p. The limbs of 16 p, 2^44 - 304 and 2^44 - 2, are above those of b. */
INLINE struct number subtract(struct number a, struct number b)
{
	const __m512i first = set1((1ull << 44) - 2 * WRAP), other = set1((1ull << 44) - 2);

	for (unsigned i = 0; i < LIMBS; i++)
		a.v[i] = _mm512_sub_epi64(_mm512_add_epi64(a.v[i], i == 0 ? first : other), b.v[i]);
	return a;
}

/* All limbs at once: limbs < 2^56.5 give carries < 2^13.5, and 152 times that is < 2^21. */
INLINE struct number carry(struct number a)
{
	const __m512i mask = set1(limb_mask);
	__m512i c[LIMBS];

	for (unsigned i = 0; i < LIMBS; i++) {
		c[i] = _mm512_srli_epi64(a.v[i], LIMB_BITS);
		a.v[i] = _mm512_and_si512(a.v[i], mask);
	}
	a.v[0] = _mm512_madd52lo_epu64(a.v[0], c[LIMBS - 1], set1(WRAP));
	for (unsigned i = 1; i < LIMBS; i++)
		a.v[i] = _mm512_add_epi64(a.v[i], c[i - 1]);
	return a;
}

INLINE struct wrapped wrap(struct number b)
{
	struct wrapped w;

	w.v[0] = _mm512_setzero_si512();
	for (unsigned i = 1; i < LIMBS; i++)
		w.v[i] = _mm512_madd52lo_epu64(_mm512_setzero_si512(), b.v[i], set1(WRAP));
	return w;
}

/* From sums of high halves by the limb of their low halves to what they add to each limb. The
 * topmost of them is the only one that still has to wrap. */
INLINE struct number weigh_high(struct number high)
{
	struct number z;

	z.v[0] = _mm512_slli_epi64(
		_mm512_madd52lo_epu64(_mm512_setzero_si512(), high.v[LIMBS - 1], set1(WRAP)),
		HIGH_SHIFT);
	for (unsigned i = 1; i < LIMBS; i++)
		z.v[i] = _mm512_slli_epi64(high.v[i - 1], HIGH_SHIFT);
	return z;
}

/* With w = wrap(b), for whoever multiplies with b again and again. */
INLINE struct number multiply_wrapped(struct number a, struct number b, struct wrapped w)
{
	struct number z = {0};

	for (unsigned i = 0; i < LIMBS; i++) {
		for (unsigned k = 0; k < LIMBS; k++)
			z.v[k] = _mm512_madd52hi_epu64(
				z.v[k], a.v[i], k >= i ? b.v[k - i] : w.v[k + LIMBS - i]);
	}
	z = weigh_high(z);
	for (unsigned i = 0; i < LIMBS; i++) {
		for (unsigned k = 0; k < LIMBS; k++)
			z.v[k] = _mm512_madd52lo_epu64(
				z.v[k], a.v[i], k >= i ? b.v[k - i] : w.v[k + LIMBS - i]);
	}
	return carry(z);
}

INLINE struct number multiply(struct number a, struct number b)
{
	return multiply_wrapped(a, b, wrap(b));
}

/* Each pair of different limbs once, one of them doubled (< 2^45.6). */
INLINE struct number square(struct number a)
{
	struct number z = {0}, twice = add(a, a);
	struct wrapped w = wrap(a);

	for (unsigned i = 0; i < LIMBS; i++) {
		for (unsigned k = i; k < LIMBS; k++)
			z.v[(i + k) % LIMBS] = _mm512_madd52hi_epu64(z.v[(i + k) % LIMBS],
				i == k ? a.v[i] : twice.v[i], i + k < LIMBS ? a.v[k] : w.v[k]);
	}
	z = weigh_high(z);
	for (unsigned i = 0; i < LIMBS; i++) {
		for (unsigned k = i; k < LIMBS; k++)
			z.v[(i + k) % LIMBS] = _mm512_madd52lo_epu64(z.v[(i + k) % LIMBS],
				i == k ? a.v[i] : twice.v[i], i + k < LIMBS ? a.v[k] : w.v[k]);
	}
	return carry(z);
}

/*
 * a + 121665 e without a carry. The constant is shifted so that products split at the 43 bits of a
 * limb: a high half is < 2^19, and a low one shifted back is < 2^43. a is carried, e a difference.
 */
INLINE struct number add_times_a24(struct number a, struct number e)
{
	const __m512i factor = set1((uint64_t)A24 << HIGH_SHIFT), zero = _mm512_setzero_si512();
	struct number low;

	for (unsigned i = 0; i < LIMBS; i++)
		low.v[i] =
			_mm512_srli_epi64(_mm512_madd52lo_epu64(zero, e.v[i], factor), HIGH_SHIFT);
	a.v[0] = _mm512_madd52lo_epu64(
		a.v[0], _mm512_madd52hi_epu64(zero, e.v[LIMBS - 1], factor), set1(WRAP));
	for (unsigned i = 1; i < LIMBS; i++)
		a.v[i] = _mm512_madd52hi_epu64(a.v[i], e.v[i - 1], factor);
	return add(a, low);
}

/* Lane by lane, without a branch. */
INLINE struct number pick(__mmask8 mask, struct number yes, struct number no)
{
	for (unsigned i = 0; i < LIMBS; i++)
		no.v[i] = _mm512_mask_mov_epi64(no.v[i], mask, yes.v[i]);
	return no;
}

/* Carries from limb to limb and takes out what reaches 2^255. */
INLINE struct number ripple(struct number a)
{
	const __m512i mask = set1(limb_mask), top = set1((1ull << TOP_BITS) - 1);

	for (unsigned i = 0; i < LIMBS - 1; i++) {
		a.v[i + 1] = _mm512_add_epi64(a.v[i + 1], _mm512_srli_epi64(a.v[i], LIMB_BITS));
		a.v[i] = _mm512_and_si512(a.v[i], mask);
	}
	a.v[0] = _mm512_madd52lo_epu64(
		a.v[0], _mm512_srli_epi64(a.v[LIMBS - 1], TOP_BITS), set1(19));
	a.v[LIMBS - 1] = _mm512_and_si512(a.v[LIMBS - 1], top);
	return a;
}

/*
 * The one number from 0 to p - 1 of a carried one. The first round takes out at most 8 times 2^255,
 * so it leaves less than 2^255 + 8 * 19; if the second takes out another less than 8 * 19 is left,
 * so in any case all limbs are in range after it. What is left is p or above if 19 more reach
 * 2^255, and then that is what to subtract p by.
 */
INLINE struct number reduce(struct number a)
{
	struct number b = ripple(ripple(a));
	__m512i reaches = _mm512_srli_epi64(_mm512_add_epi64(b.v[0], set1(19)), LIMB_BITS);

	for (unsigned i = 1; i < LIMBS; i++)
		reaches = _mm512_srli_epi64(
			_mm512_add_epi64(b.v[i], reaches), i < LIMBS - 1 ? LIMB_BITS : TOP_BITS);
	b.v[0] = _mm512_madd52lo_epu64(b.v[0], reaches, set1(19));
	b.v[LIMBS - 1] = _mm512_sub_epi64(b.v[LIMBS - 1], _mm512_slli_epi64(reaches, TOP_BITS));
	return ripple(b);
}
