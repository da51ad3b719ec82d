/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arithmetic modulo p = 2^130 - 5 in eight 64-bit lanes with the 52-bit multiplier (IFMA), for the
 * files of avx512_mac.
 *
 * Numbers are three limbs of 44, 44 and 42 bits. Bounds: a carried number has h0 < 2^44,
 * h1 < 2^44 + 2^16, h2 < 2^42; a block has m0, m1 < 2^44, m2 < 2^41. So every multiplicand, a sum
 * of two of these, is < 2^45 + 2^16 < 2^52. Factors are carried numbers: r0, r1, r2 < 2^44 + 2^16
 * and s = 20 r < 2^48.4 < 2^52. Low halves of products are < 2^52 and at most 12 of them and a
 * block's limb meet in a sum: < 2^56. High halves are < 2^(45.1 + 48.4 - 52) < 2^42; 12 of them
 * are < 2^46. What carry() does with these is below 2^59, see there.
 */
#pragma once

#include "dataplane/aead/avx512.h"

#define INLINE static inline __attribute__((always_inline))

struct number {
	__m512i v0, v1, v2;
};

/* Sums of the low and of the high 52 bits of products. */
struct product {
	__m512i low0, low1, low2, high0, high1, high2;
};

INLINE __m512i set1(uint64_t value)
{
	return _mm512_set1_epi64((long long)value);
}

static const uint64_t mask44 = (1ull << 44) - 1, mask42 = (1ull << 42) - 1;

/* 44 = 52 - 8: high halves weigh 2^8 times a limb; 2^132 = 4 * 5 (mod p), hence s = 20 r. */
INLINE void multiply_add(struct product *p, struct number a, const struct avx512_factor *f)
{
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v0, f->r0);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v0, f->r0);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v0, f->r1);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v0, f->r1);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v0, f->r2);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v0, f->r2);
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v1, f->s2);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v1, f->s2);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v1, f->r0);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v1, f->r0);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v1, f->r1);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v1, f->r1);
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v2, f->s1);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v2, f->s1);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v2, f->s2);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v2, f->s2);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v2, f->r0);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v2, f->r0);
}

/* Inputs < 2^56 (low) and < 2^46 (high). The carries are < 2^12 + 2^54, < 2^13 + 2^54 and
 * < 2^15 + 2^56; five times the last one added to h0 is < 2^59, so h1 grows by < 2^15 beyond its
 * 44 bits. */
INLINE struct number carry(const struct product *p)
{
	const __m512i m44 = set1(mask44), m42 = set1(mask42);
	struct number h;
	__m512i c;

	c = _mm512_add_epi64(_mm512_srli_epi64(p->low0, 44), _mm512_slli_epi64(p->high0, 8));
	h.v0 = _mm512_and_si512(p->low0, m44);
	h.v1 = _mm512_add_epi64(p->low1, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(h.v1, 44), _mm512_slli_epi64(p->high1, 8));
	h.v1 = _mm512_and_si512(h.v1, m44);
	h.v2 = _mm512_add_epi64(p->low2, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(h.v2, 42), _mm512_slli_epi64(p->high2, 10));
	h.v2 = _mm512_and_si512(h.v2, m42);
	h.v0 = _mm512_add_epi64(h.v0, _mm512_add_epi64(c, _mm512_slli_epi64(c, 2)));
	h.v1 = _mm512_add_epi64(h.v1, _mm512_srli_epi64(h.v0, 44));
	h.v0 = _mm512_and_si512(h.v0, m44);
	return h;
}

INLINE struct number multiply(struct number a, const struct avx512_factor *f)
{
	struct product p = {0};

	multiply_add(&p, a, f);
	return carry(&p);
}

/* Eight blocks (or halves of keys) to limbs; top is 2^40 in lanes that hold a block. */
INLINE struct number split(__m512i low, __m512i high, __m512i top)
{
	const __m512i m44 = set1(mask44);

	return (struct number){
		.v0 = _mm512_and_si512(low, m44),
		.v1 = _mm512_and_si512(
			_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)),
			m44),
		.v2 = _mm512_or_si512(_mm512_srli_epi64(high, 24), top),
	};
}

INLINE struct number add(struct number a, struct number b)
{
	return (struct number){_mm512_add_epi64(a.v0, b.v0), _mm512_add_epi64(a.v1, b.v1),
		_mm512_add_epi64(a.v2, b.v2)};
}

INLINE __m512i times20(__m512i v)
{
	return _mm512_add_epi64(_mm512_slli_epi64(v, 4), _mm512_slli_epi64(v, 2));
}

INLINE struct avx512_factor factor_of(struct number n)
{
	return (struct avx512_factor){n.v0, n.v1, n.v2, times20(n.v1), times20(n.v2)};
}

INLINE uint64_t *lane_of(const __m512i *v, unsigned lane)
{
	return (uint64_t *)(uintptr_t)v + lane;
}

INLINE __m512i load_keys(const struct burst_mac *macs, const uint8_t *order, unsigned a, unsigned b)
{
	const uint8_t *low = macs[order[a]].key, *high = macs[order[b]].key;

	return _mm512_inserti64x4(
		_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)low)),
		_mm256_loadu_si256((const __m256i *)(const void *)high), 1);
}

/* Clamps r (RFC 8439, section 2.5) and takes s of eight keys. */
INLINE struct number load_r(
	const struct burst_mac *macs, const uint8_t order[8], __m512i *s_low, __m512i *s_high)
{
	__m512i z0 = load_keys(macs, order, 0, 2), z1 = load_keys(macs, order, 1, 3);
	__m512i z2 = load_keys(macs, order, 4, 6), z3 = load_keys(macs, order, 5, 7);
	__m512i a = _mm512_unpacklo_epi64(z0, z1), b = _mm512_unpacklo_epi64(z2, z3);
	__m512i c = _mm512_unpackhi_epi64(z0, z1), d = _mm512_unpackhi_epi64(z2, z3);
	__m512i low = _mm512_shuffle_i64x2(a, b, 0x88), high = _mm512_shuffle_i64x2(c, d, 0x88);

	*s_low = _mm512_shuffle_i64x2(a, b, 0xdd);
	*s_high = _mm512_shuffle_i64x2(c, d, 0xdd);
	low = _mm512_and_si512(low, set1(0x0ffffffc0fffffff));
	high = _mm512_and_si512(high, set1(0x0ffffffc0ffffffc));
	return split(low, high, _mm512_setzero_si512());
}
