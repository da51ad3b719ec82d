/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One function for each intrinsic of the AVX-512 kernel. Compiled twice, with the compiler's
 * immintrin.h and with the model's; INTRINSICS names the table.
 */
#include <immintrin.h>

#include "test/unit/dataplane/aead/intrinsics.h"

static inline __m512i load(const uint8_t *from)
{
	return _mm512_loadu_si512(from);
}

static inline uint64_t word(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

#define CASE(name, expression)                                                                     \
	static void name(const uint8_t in[4][64], uint8_t out[64])                                 \
	{                                                                                          \
		__m512i a = load(in[0]), b = load(in[1]), c = load(in[2]);                         \
		uint64_t m = word(in[3]);                                                          \
		(void)a, (void)b, (void)c, (void)m;                                                \
		_mm512_storeu_si512(out, (expression));                                            \
	}
#define MASK_CASE(name, expression)                                                                \
	static void name(const uint8_t in[4][64], uint8_t out[64])                                 \
	{                                                                                          \
		__m512i a = load(in[0]), b = load(in[1]);                                          \
		uint64_t m = (expression);                                                         \
		memset(out, 0, 64);                                                                \
		memcpy(out, &m, sizeof(m));                                                        \
	}
#include "test/unit/dataplane/aead/intrinsics.def"
#undef CASE
#undef MASK_CASE

/* Stores and gathers, which are no expressions. */
static void mask_storeu_epi8(const uint8_t in[4][64], uint8_t out[64])
{
	memcpy(out, in[1], 64);
	_mm512_mask_storeu_epi8(out, word(in[3]), load(in[0]));
}

static void store_si512(const uint8_t in[4][64], uint8_t out[64])
{
	__m512i copy;

	_mm512_store_si512(&copy, load(in[0]));
	_mm512_storeu_si512(out, _mm512_load_si512(&copy));
}

static void i64gather_epi64(const uint8_t in[4][64], uint8_t out[64])
{
	const __m512i seven = _mm512_set1_epi64(7);

	_mm512_storeu_si512(
		out, _mm512_i64gather_epi64(_mm512_and_si512(load(in[0]), seven), in[1], 8));
}

const struct intrinsic INTRINSICS[] = {
#define CASE(name, expression)      {#name, name},
#define MASK_CASE(name, expression) {#name, name},
#include "test/unit/dataplane/aead/intrinsics.def"
	{"mask_storeu_epi8", mask_storeu_epi8},
	{"store_si512", store_si512},
	{"i64gather_epi64", i64gather_epi64},
	{NULL, NULL},
};
