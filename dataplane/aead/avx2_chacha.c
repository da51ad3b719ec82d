/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ChaCha20 (RFC 8439, section 2.3) with one block in each 32-bit lane of 16 vectors: all the
 * registers there are, so the compiler spills one or two, which the load ports take.
 */
#include "dataplane/aead/avx2.h"

#define INLINE static inline __attribute__((always_inline))

/* The compilers' own vector type, which they keep in registers better than intrinsics. */
typedef uint32_t words __attribute__((vector_size(32)));

/* Eight vectors of eight words, transposed in place. */
INLINE void transpose(__m256i v[8])
{
	__m256i t[8], u[8];

	for (unsigned i = 0; i < 8; i += 2) {
		t[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
		t[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
	}
	for (unsigned i = 0; i < 8; i += 4) {
		u[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
		u[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
		u[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
		u[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
	for (unsigned i = 0; i < 4; i++) {
		v[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
		v[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
	}
}

/* Words 4 to 15 of the initial state of eight lanes. */
INLINE void start_lanes(const struct burst *burst, uint32_t lane, __m256i state[12])
{
	uint32_t rest[4][8] __attribute__((aligned(32)));

	for (unsigned i = 0; i < 8; i++) {
		unsigned packet = burst->owner[lane + i];

		state[i] = _mm256_loadu_si256((const __m256i *)(const void *)burst->key[packet]);
		/* Key blocks have counter 0, data blocks count from 1. */
		rest[0][i] = lane + i < burst->n ? 0 : lane + i - burst->first[packet] + 1;
		rest[1][i] = burst->nonce[0][packet];
		rest[2][i] = burst->nonce[1][packet];
		rest[3][i] = burst->nonce[2][packet];
	}
	transpose(state);
	for (unsigned i = 0; i < 4; i++)
		state[8 + i] = _mm256_load_si256((const __m256i *)(const void *)rest[i]);
}

INLINE words rotate16(words v)
{
	return (words)_mm256_shuffle_epi8(
		(__m256i)v, _mm256_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2,
				    13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2));
}

INLINE words rotate8(words v)
{
	return (words)_mm256_shuffle_epi8(
		(__m256i)v, _mm256_set_epi8(14, 13, 12, 15, 10, 9, 8, 11, 6, 5, 4, 7, 2, 1, 0, 3,
				    14, 13, 12, 15, 10, 9, 8, 11, 6, 5, 4, 7, 2, 1, 0, 3));
}

INLINE words rotate(words v, int turn)
{
	return v << turn | v >> (32 - turn);
}

/* Two quarter rounds side by side: those not at work can wait in memory. */
#define QUARTERS(v, a0, b0, c0, d0, a1, b1, c1, d1)                                                \
	do {                                                                                       \
		HALF(v, a0, b0, c0, d0, a1, b1, c1, d1, rotate16, 12);                             \
		HALF(v, a0, b0, c0, d0, a1, b1, c1, d1, rotate8, 7);                               \
	} while (0)
#define HALF(v, a0, b0, c0, d0, a1, b1, c1, d1, turn_d, turn_b)                                    \
	do {                                                                                       \
		v[a0] += v[b0];                                                                    \
		v[a1] += v[b1];                                                                    \
		v[d0] = turn_d(v[d0] ^ v[a0]);                                                     \
		v[d1] = turn_d(v[d1] ^ v[a1]);                                                     \
		v[c0] += v[d0];                                                                    \
		v[c1] += v[d1];                                                                    \
		v[b0] = rotate(v[b0] ^ v[c0], turn_b);                                             \
		v[b1] = rotate(v[b1] ^ v[c1], turn_b);                                             \
	} while (0)

static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

void avx2_chacha(const struct burst *burst, uint32_t lane, uint8_t rows[AVX2_LANES][BURST_BLOCK])
{
	__m256i state[12], sum[16];
	words v[16];

	start_lanes(burst, lane, state);
	for (unsigned i = 0; i < 4; i++)
		v[i] = (words)_mm256_set1_epi32((int)constants[i]);
	for (unsigned i = 0; i < 12; i++)
		v[4 + i] = (words)state[i];
#pragma GCC unroll 1
	for (unsigned i = 0; i < 10; i++) {
		QUARTERS(v, 0, 4, 8, 12, 1, 5, 9, 13);
		QUARTERS(v, 2, 6, 10, 14, 3, 7, 11, 15);
		QUARTERS(v, 2, 7, 8, 13, 3, 4, 9, 14);
		QUARTERS(v, 0, 5, 10, 15, 1, 6, 11, 12);
	}
	for (unsigned i = 0; i < 4; i++)
		sum[i] = _mm256_add_epi32((__m256i)v[i], _mm256_set1_epi32((int)constants[i]));
	for (unsigned i = 0; i < 12; i++)
		sum[4 + i] = _mm256_add_epi32((__m256i)v[4 + i], state[i]);
	for (unsigned half = 0; half < 2; half++) {
		transpose(sum + 8 * half);
		for (unsigned i = 0; i < 8; i++)
			_mm256_store_si256(
				(__m256i *)(void *)(rows[i] + 32 * half), sum[8 * half + i]);
	}
}
