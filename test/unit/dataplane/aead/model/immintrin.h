/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain C for the AVX-512 intrinsics that dataplane/aead uses, under their own names and the
 * compiler's header's: with this folder in front of the include path the kernel's source compiles
 * for any CPU, and runs under memcheck, which knows no AVX-512. test_model compares each with the
 * hardware.
 *
 * Nothing branches on a value or looks one up: that is for the kernel to prove of itself. Loads
 * and stores touch only bytes that are not masked out.
 */
#pragma once

#include <stdint.h>
#include <string.h>

typedef long long __m512i __attribute__((vector_size(64), may_alias));
typedef long long __m256i __attribute__((vector_size(32), may_alias));
typedef long long __m128i __attribute__((vector_size(16), may_alias));
typedef uint8_t __mmask8;
typedef uint16_t __mmask16;
typedef uint64_t __mmask64;

#define MODEL static inline __attribute__((always_inline, unused))

union model {
	__m512i v;
	__m256i half[2];
	uint8_t b[64];
	uint32_t d[16];
	uint64_t q[8];
};

/* All ones or zeros, without a branch. */
MODEL uint64_t model_ones(uint64_t mask, unsigned bit)
{
	return -(mask >> bit & 1);
}

MODEL uint64_t model_less(uint64_t a, uint64_t b)
{
	return (uint64_t)(((unsigned __int128)a - b) >> 127);
}

MODEL uint64_t model_pick(uint64_t mask, unsigned bit, uint64_t yes, uint64_t no)
{
	uint64_t ones = model_ones(mask, bit);

	return (yes & ones) | (no & ~ones);
}

#define MODEL_EACH_Q(expression)                                                                   \
	union model a = {va}, b = {vb}, r;                                                         \
	for (unsigned i = 0; i < 8; i++)                                                           \
		r.q[i] = (expression);                                                             \
	return r.v

#define MODEL_EACH_D(expression)                                                                   \
	union model a = {va}, b = {vb}, r;                                                         \
	for (unsigned i = 0; i < 16; i++)                                                          \
		r.d[i] = (expression);                                                             \
	return r.v

MODEL __m512i _mm512_setzero_si512(void)
{
	return (__m512i){0};
}

MODEL __m512i _mm512_set1_epi64(long long value)
{
	return (__m512i){value, value, value, value, value, value, value, value};
}

MODEL __m512i _mm512_set1_epi32(int value)
{
	return _mm512_set1_epi64((long long)((uint32_t)value * 0x100000001ull));
}

MODEL __m512i _mm512_set_epi64(long long q7, long long q6, long long q5, long long q4, long long q3,
	long long q2, long long q1, long long q0)
{
	return (__m512i){q0, q1, q2, q3, q4, q5, q6, q7};
}

MODEL __m512i _mm512_set_epi32(int d15, int d14, int d13, int d12, int d11, int d10, int d9, int d8,
	int d7, int d6, int d5, int d4, int d3, int d2, int d1, int d0)
{
	const int d[16] = {d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11, d12, d13, d14, d15};
	union model r;

	for (unsigned i = 0; i < 16; i++)
		r.d[i] = (uint32_t)d[i];
	return r.v;
}

MODEL __m512i _mm512_loadu_si512(const void *from)
{
	union model r;

	memcpy(r.b, from, 64);
	return r.v;
}

MODEL __m512i _mm512_load_si512(const void *from)
{
	return _mm512_loadu_si512(from);
}

MODEL void _mm512_storeu_si512(void *to, __m512i va)
{
	union model a = {va};

	memcpy(to, a.b, 64);
}

MODEL void _mm512_store_si512(void *to, __m512i va)
{
	_mm512_storeu_si512(to, va);
}

MODEL __m256i _mm256_loadu_si256(const __m256i *from)
{
	union model r;

	memcpy(r.b, from, 32);
	return r.half[0];
}

MODEL __m128i _mm_loadu_si128(const __m128i *from)
{
	__m128i r;

	memcpy(&r, from, 16);
	return r;
}

/* The masks of loads and stores are lengths: branches on them are what the kernel promises. */
MODEL __m512i _mm512_maskz_loadu_epi8(__mmask64 mask, const void *from)
{
	union model r = {{0}};

	for (unsigned i = 0; i < 64; i++) {
		if ((mask >> i & 1) != 0)
			r.b[i] = ((const uint8_t *)from)[i];
	}
	return r.v;
}

MODEL void _mm512_mask_storeu_epi8(void *to, __mmask64 mask, __m512i va)
{
	union model a = {va};

	for (unsigned i = 0; i < 64; i++) {
		if ((mask >> i & 1) != 0)
			((uint8_t *)to)[i] = a.b[i];
	}
}

MODEL __m512i _mm512_i64gather_epi64(__m512i vindex, const void *base, int scale)
{
	union model index = {vindex}, r;

	for (unsigned i = 0; i < 8; i++)
		memcpy(&r.q[i], (const uint8_t *)base + (int64_t)index.q[i] * scale, 8);
	return r.v;
}

MODEL __m512i _mm512_castsi256_si512(__m256i va)
{
	union model r = {.half = {va}};

	return r.v;
}

MODEL __m512i _mm512_inserti64x4(__m512i va, __m256i half, int which)
{
	union model r = {va};

	r.half[which & 1] = half;
	return r.v;
}

MODEL __m512i _mm512_cvtepu8_epi32(__m128i va)
{
	union model r;
	uint8_t b[16];

	memcpy(b, &va, 16);
	for (unsigned i = 0; i < 16; i++)
		r.d[i] = b[i];
	return r.v;
}

MODEL __m512i _mm512_add_epi32(__m512i va, __m512i vb)
{
	MODEL_EACH_D(a.d[i] + b.d[i]);
}

MODEL __m512i _mm512_sub_epi32(__m512i va, __m512i vb)
{
	MODEL_EACH_D(a.d[i] - b.d[i]);
}

MODEL __m512i _mm512_maskz_add_epi32(__mmask16 mask, __m512i va, __m512i vb)
{
	MODEL_EACH_D((uint32_t)model_ones(mask, i) & (a.d[i] + b.d[i]));
}

MODEL __m512i _mm512_add_epi64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(a.q[i] + b.q[i]);
}

MODEL __m512i _mm512_sub_epi64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(a.q[i] - b.q[i]);
}

MODEL __m512i _mm512_min_epu64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(model_pick(model_less(a.q[i], b.q[i]), 0, a.q[i], b.q[i]));
}

MODEL __m512i _mm512_and_si512(__m512i va, __m512i vb)
{
	return va & vb;
}

MODEL __m512i _mm512_andnot_si512(__m512i va, __m512i vb)
{
	return ~va & vb;
}

MODEL __m512i _mm512_or_si512(__m512i va, __m512i vb)
{
	return va | vb;
}

MODEL __m512i _mm512_xor_si512(__m512i va, __m512i vb)
{
	return va ^ vb;
}

MODEL __m512i _mm512_slli_epi64(__m512i va, unsigned bits)
{
	__m512i vb = va;

	MODEL_EACH_Q(bits > 63 ? b.q[i] & 0 : a.q[i] << bits);
}

MODEL __m512i _mm512_srli_epi64(__m512i va, unsigned bits)
{
	__m512i vb = va;

	MODEL_EACH_Q(bits > 63 ? b.q[i] & 0 : a.q[i] >> bits);
}

MODEL __m512i _mm512_sllv_epi64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(b.q[i] > 63 ? 0 : a.q[i] << b.q[i]);
}

/* Of the low 52 bits of each factor; the low or high 52 bits of the product. */
MODEL unsigned __int128 model_product(uint64_t a, uint64_t b)
{
	const uint64_t mask = (1ull << 52) - 1;

	return (unsigned __int128)(a & mask) * (b & mask);
}

MODEL __m512i _mm512_madd52lo_epu64(__m512i sum, __m512i va, __m512i vb)
{
	union model s = {sum};

	MODEL_EACH_Q(s.q[i] + ((uint64_t)model_product(a.q[i], b.q[i]) & ((1ull << 52) - 1)));
}

MODEL __m512i _mm512_madd52hi_epu64(__m512i sum, __m512i va, __m512i vb)
{
	union model s = {sum};

	MODEL_EACH_Q(s.q[i] + (uint64_t)(model_product(a.q[i], b.q[i]) >> 52));
}

MODEL __m512i _mm512_unpacklo_epi32(__m512i va, __m512i vb)
{
	MODEL_EACH_D(i % 2 ? b.d[i / 4 * 4 + i % 4 / 2] : a.d[i / 4 * 4 + i % 4 / 2]);
}

MODEL __m512i _mm512_unpackhi_epi32(__m512i va, __m512i vb)
{
	MODEL_EACH_D(i % 2 ? b.d[i / 4 * 4 + 2 + i % 4 / 2] : a.d[i / 4 * 4 + 2 + i % 4 / 2]);
}

MODEL __m512i _mm512_unpacklo_epi64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(i % 2 ? b.q[i - 1] : a.q[i]);
}

MODEL __m512i _mm512_unpackhi_epi64(__m512i va, __m512i vb)
{
	MODEL_EACH_Q(i % 2 ? b.q[i] : a.q[i + 1]);
}

/* Quarters: two of a, then two of b. */
MODEL __m512i _mm512_shuffle_i64x2(__m512i va, __m512i vb, int which)
{
	MODEL_EACH_Q((i < 4 ? a.q : b.q)[(which >> i / 2 * 2 & 3) * 2 + i % 2]);
}

MODEL __m512i _mm512_shuffle_i32x4(__m512i va, __m512i vb, int which)
{
	return _mm512_shuffle_i64x2(va, vb, which);
}

/* The index is a packet's number, which is public. */
MODEL __m512i _mm512_permutex2var_epi32(__m512i va, __m512i vindex, __m512i vb)
{
	union model index = {vindex};

	MODEL_EACH_D((index.d[i] & 16 ? b.d : a.d)[index.d[i] & 15]);
}

MODEL __m512i _mm512_maskz_mov_epi64(__mmask8 mask, __m512i va)
{
	__m512i vb = (__m512i){0};

	MODEL_EACH_Q(model_pick(mask, i, a.q[i], b.q[i]));
}

MODEL __m512i _mm512_mask_mov_epi64(__m512i vb, __mmask8 mask, __m512i va)
{
	MODEL_EACH_Q(model_pick(mask, i, a.q[i], b.q[i]));
}

MODEL __m512i _mm512_mask_set1_epi64(__m512i src, __mmask8 mask, long long value)
{
	return _mm512_mask_mov_epi64(src, mask, _mm512_set1_epi64(value));
}

MODEL __m512i _mm512_mask_add_epi64(__m512i src, __mmask8 mask, __m512i va, __m512i vb)
{
	return _mm512_mask_mov_epi64(src, mask, _mm512_add_epi64(va, vb));
}

MODEL __m512i _mm512_mask_sub_epi64(__m512i src, __mmask8 mask, __m512i va, __m512i vb)
{
	return _mm512_mask_mov_epi64(src, mask, _mm512_sub_epi64(va, vb));
}

MODEL __m512i _mm512_mask_or_epi64(__m512i src, __mmask8 mask, __m512i va, __m512i vb)
{
	return _mm512_mask_mov_epi64(src, mask, va | vb);
}

/* The mask says which lanes are free, which is public. */
MODEL __m512i _mm512_mask_expand_epi64(__m512i vb, __mmask8 mask, __m512i va)
{
	union model a = {va}, r = {vb};
	unsigned from = 0;

	for (unsigned i = 0; i < 8; i++) {
		if ((mask >> i & 1) != 0)
			r.q[i] = a.q[from++];
	}
	return r.v;
}

MODEL __m512i _mm512_maskz_expand_epi64(__mmask8 mask, __m512i va)
{
	return _mm512_mask_expand_epi64((__m512i){0}, mask, va);
}

#define MODEL_MASK(type, lanes, expression)                                                        \
	union model a = {va}, b = {vb};                                                            \
	uint64_t r = 0;                                                                            \
	for (unsigned i = 0; i < (lanes); i++)                                                     \
		r |= (uint64_t)(expression) << i;                                                  \
	return (type)r

MODEL __mmask8 _mm512_cmplt_epu64_mask(__m512i va, __m512i vb)
{
	MODEL_MASK(__mmask8, 8, model_less(a.q[i], b.q[i]));
}

MODEL __mmask8 _mm512_cmple_epu64_mask(__m512i va, __m512i vb)
{
	MODEL_MASK(__mmask8, 8, 1 ^ model_less(b.q[i], a.q[i]));
}

MODEL __mmask8 _mm512_cmpeq_epi64_mask(__m512i va, __m512i vb)
{
	MODEL_MASK(__mmask8, 8, model_less(a.q[i] ^ b.q[i], 1));
}

MODEL __mmask8 _mm512_test_epi64_mask(__m512i va, __m512i vb)
{
	MODEL_MASK(__mmask8, 8, 1 ^ model_less(a.q[i] & b.q[i], 1));
}

MODEL __mmask16 _mm512_cmpge_epu32_mask(__m512i va, __m512i vb)
{
	MODEL_MASK(__mmask16, 16, 1 ^ model_less(a.d[i], b.d[i]));
}
