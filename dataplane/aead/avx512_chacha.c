/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ChaCha20 (RFC 8439, section 2.3) with one block in each 32-bit lane, two groups of 16 lanes
 * interleaved: one group alone waits for its own results, two fill the ports. The two states are
 * exactly the 32 vector registers, and add, xor and rotate need no other.
 */
#include "dataplane/aead/avx512.h"

#define INLINE static inline __attribute__((always_inline))

/* Sixteen keys to eight vectors of words, a transposition of 32-bit words. */
static void fill_half(struct avx512_columns *columns, unsigned half, const uint8_t *const key[16])
{
	__m512i z[8], a[4], b[4];

	for (unsigned i = 0; i < 8; i++) {
		/* In this order the shuffles below leave the lanes in theirs. */
		unsigned low = i < 4 ? i : i + 4;

		z[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(
						  (const __m256i *)(const void *)key[low])),
			_mm256_loadu_si256((const __m256i *)(const void *)key[low + 4]), 1);
	}
	for (unsigned i = 0; i < 8; i += 4) {
		__m512i t0 = _mm512_unpacklo_epi32(z[i], z[i + 1]);
		__m512i t1 = _mm512_unpackhi_epi32(z[i], z[i + 1]);
		__m512i t2 = _mm512_unpacklo_epi32(z[i + 2], z[i + 3]);
		__m512i t3 = _mm512_unpackhi_epi32(z[i + 2], z[i + 3]);
		__m512i *out = i == 0 ? a : b;

		out[0] = _mm512_unpacklo_epi64(t0, t2);
		out[1] = _mm512_unpackhi_epi64(t0, t2);
		out[2] = _mm512_unpacklo_epi64(t1, t3);
		out[3] = _mm512_unpackhi_epi64(t1, t3);
	}
	for (unsigned i = 0; i < 4; i++) {
		columns->key[i][half] = _mm512_shuffle_i32x4(a[i], b[i], 0x88);
		columns->key[i + 4][half] = _mm512_shuffle_i32x4(a[i], b[i], 0xdd);
	}
}

void avx512_columns_fill(struct avx512_columns *columns, const struct burst *burst)
{
	for (unsigned half = 0; half < 2 && half * 16 < burst->n; half++) {
		const uint8_t *key[16];

		for (unsigned i = 0; i < 16; i++) {
			unsigned packet = half * 16 + i;

			key[i] = burst->key[packet < burst->n ? packet : 0];
		}
		fill_half(columns, half, key);
		for (unsigned i = 0; i < 3; i++)
			columns->nonce[i][half] = _mm512_loadu_si512(burst->nonce[i] + half * 16);
		columns->first[half] = _mm512_loadu_si512(burst->first + half * 16);
	}
}

/* For each lane the word of the packet that owns it. */
INLINE __m512i spread(const __m512i word[2], __m512i owner)
{
	return _mm512_permutex2var_epi32(word[0], owner, word[1]);
}

/* Words 4 to 15 of the initial state of 16 lanes. */
INLINE void start_lanes(const struct avx512_columns *columns, const struct burst *burst,
	uint32_t lane, __m512i state[12])
{
	const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	__m512i owner = _mm512_cvtepu8_epi32(
		_mm_loadu_si128((const __m128i *)(const void *)(burst->owner + lane)));
	__m512i number = _mm512_add_epi32(iota, _mm512_set1_epi32((int)lane));
	__mmask16 data = _mm512_cmpge_epu32_mask(number, _mm512_set1_epi32((int)burst->n));

	for (unsigned i = 0; i < 8; i++)
		state[i] = spread(columns->key[i], owner);
	/* Key blocks have counter 0, data blocks count from 1. */
	number = _mm512_sub_epi32(number, spread(columns->first, owner));
	state[8] = _mm512_maskz_add_epi32(data, number, _mm512_set1_epi32(1));
	for (unsigned i = 0; i < 3; i++)
		state[9 + i] = spread(columns->nonce[i], owner);
}

/* The compilers' own vector type for the rounds: gcc 12 spills 110 times in a double round if these
 * are intrinsics, whose operands it reinterprets, and takes 12 % longer. */
typedef uint32_t words __attribute__((vector_size(64)));

INLINE words rotate(words v, int turn)
{
	return v << turn | v >> (32 - turn);
}

/* Four quarter rounds of both groups; the indices are those of the first one's words. */
#define STEP2(x, y, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3)                                \
	do {                                                                                       \
		ADD4(x, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		ADD4(y, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		XOR4(x, d0, d1, d2, d3, 0, 1, 2, 3, 16);                                           \
		XOR4(y, d0, d1, d2, d3, 0, 1, 2, 3, 16);                                           \
		ADD4(x, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		ADD4(y, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		XOR4(x, b0, b1, b2, b3, c0, c1, c2, c3, 12);                                       \
		XOR4(y, b0, b1, b2, b3, c0, c1, c2, c3, 12);                                       \
		ADD4(x, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		ADD4(y, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		XOR4(x, d0, d1, d2, d3, 0, 1, 2, 3, 8);                                            \
		XOR4(y, d0, d1, d2, d3, 0, 1, 2, 3, 8);                                            \
		ADD4(x, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		ADD4(y, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		XOR4(x, b0, b1, b2, b3, c0, c1, c2, c3, 7);                                        \
		XOR4(y, b0, b1, b2, b3, c0, c1, c2, c3, 7);                                        \
	} while (0)
#define STEP1(x, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3)                                   \
	do {                                                                                       \
		ADD4(x, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		XOR4(x, d0, d1, d2, d3, 0, 1, 2, 3, 16);                                           \
		ADD4(x, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		XOR4(x, b0, b1, b2, b3, c0, c1, c2, c3, 12);                                       \
		ADD4(x, 0, 1, 2, 3, b0, b1, b2, b3);                                               \
		XOR4(x, d0, d1, d2, d3, 0, 1, 2, 3, 8);                                            \
		ADD4(x, c0, c1, c2, c3, d0, d1, d2, d3);                                           \
		XOR4(x, b0, b1, b2, b3, c0, c1, c2, c3, 7);                                        \
	} while (0)
#define ADD4(v, a0, a1, a2, a3, b0, b1, b2, b3)                                                    \
	do {                                                                                       \
		v[a0] += v[b0];                                                                    \
		v[a1] += v[b1];                                                                    \
		v[a2] += v[b2];                                                                    \
		v[a3] += v[b3];                                                                    \
	} while (0)
#define XOR4(v, a0, a1, a2, a3, b0, b1, b2, b3, turn)                                              \
	do {                                                                                       \
		v[a0] = rotate(v[a0] ^ v[b0], turn);                                               \
		v[a1] = rotate(v[a1] ^ v[b1], turn);                                               \
		v[a2] = rotate(v[a2] ^ v[b2], turn);                                               \
		v[a3] = rotate(v[a3] ^ v[b3], turn);                                               \
	} while (0)

static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

INLINE void load_state(words v[16], const __m512i state[12])
{
	for (unsigned i = 0; i < 4; i++)
		v[i] = (words)_mm512_set1_epi32((int)constants[i]);
	for (unsigned i = 0; i < 12; i++)
		v[4 + i] = (words)state[i];
}

/* Adds the initial state and writes the blocks out, which is a 16 by 16 transposition. */
INLINE void store_blocks(
	const words sum[16], const __m512i state[12], uint8_t rows[16][BURST_BLOCK])
{
	__m512i v[16], t[16];

	for (unsigned i = 0; i < 4; i++)
		v[i] = _mm512_add_epi32((__m512i)sum[i], _mm512_set1_epi32((int)constants[i]));
	for (unsigned i = 0; i < 12; i++)
		v[4 + i] = _mm512_add_epi32((__m512i)sum[4 + i], state[i]);
	for (unsigned i = 0; i < 16; i += 4) {
		__m512i a = _mm512_unpacklo_epi32(v[i], v[i + 1]);
		__m512i b = _mm512_unpackhi_epi32(v[i], v[i + 1]);
		__m512i c = _mm512_unpacklo_epi32(v[i + 2], v[i + 3]);
		__m512i d = _mm512_unpackhi_epi32(v[i + 2], v[i + 3]);

		t[i] = _mm512_unpacklo_epi64(a, c);
		t[i + 1] = _mm512_unpackhi_epi64(a, c);
		t[i + 2] = _mm512_unpacklo_epi64(b, d);
		t[i + 3] = _mm512_unpackhi_epi64(b, d);
	}
	/* t[4g + j] holds, in quarter q, words 4g to 4g + 3 of block 4q + j. */
	for (unsigned j = 0; j < 4; j++) {
		__m512i a = _mm512_shuffle_i32x4(t[j], t[4 + j], 0x44);
		__m512i b = _mm512_shuffle_i32x4(t[j], t[4 + j], 0xee);
		__m512i c = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0x44);
		__m512i d = _mm512_shuffle_i32x4(t[8 + j], t[12 + j], 0xee);

		_mm512_store_si512(rows[j], _mm512_shuffle_i32x4(a, c, 0x88));
		_mm512_store_si512(rows[4 + j], _mm512_shuffle_i32x4(a, c, 0xdd));
		_mm512_store_si512(rows[8 + j], _mm512_shuffle_i32x4(b, d, 0x88));
		_mm512_store_si512(rows[12 + j], _mm512_shuffle_i32x4(b, d, 0xdd));
	}
}

/* One group alone, for a few lanes: slower for each lane, but half the work. */
static void run_group(const struct avx512_columns *columns, const struct burst *burst,
	uint32_t lane, uint8_t rows[16][BURST_BLOCK])
{
	__m512i state[12];
	words x[16];

	start_lanes(columns, burst, lane, state);
	load_state(x, state);
#pragma GCC unroll 1
	for (unsigned i = 0; i < 10; i++) {
		STEP1(x, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
		STEP1(x, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14);
	}
	store_blocks(x, state, rows);
}

void avx512_chacha(const struct avx512_columns *columns, const struct burst *burst, uint32_t lane,
	uint8_t rows[AVX512_LANES][BURST_BLOCK])
{
	__m512i state[2][12];
	words x[16], y[16];

	if (burst->lanes - lane <= 16) {
		run_group(columns, burst, lane, rows);
		return;
	}
	start_lanes(columns, burst, lane, state[0]);
	start_lanes(columns, burst, lane + 16, state[1]);
	load_state(x, state[0]);
	load_state(y, state[1]);
#pragma GCC unroll 1
	for (unsigned i = 0; i < 10; i++) {
		STEP2(x, y, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
		STEP2(x, y, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14);
	}
	store_blocks(x, state[0], rows);
	store_blocks(y, state[1], rows + 16);
}
