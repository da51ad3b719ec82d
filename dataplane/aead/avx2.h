/* SPDX-License-Identifier: BSD-3-Clause */
/* The AVX2 kernels, for dataplane/aead and its tests only; the CPU must have AVX2. */
#pragma once

#include <immintrin.h>

#include "dataplane/aead/burst.h"

enum {
	AVX2_LANES = 8,     /* blocks of one pass */
	AVX2_MAC_LANES = 4, /* messages that Poly1305 works on at a time */
	AVX2_MAC_SLOTS = BURST_PART + AVX2_MAC_LANES,
};

/* Computes the keystream of lanes lane .. lane + 7 into rows, one block each. Rows of lanes that
 * do not exist hold the keystream of no one. */
void avx2_chacha(const struct burst *burst, uint32_t lane, uint8_t rows[AVX2_LANES][BURST_BLOCK]);

/* A multiplier in radix 2^26: r0 to r4, and 5 r1 to 5 r4, which wrap around 2^130. */
struct avx2_factor {
	__m256i r[5], s[4];
};

struct avx2_mac {
	/* Of four messages at successive places in the order: r, r^2, r^3, r^4. */
	struct avx2_factor power[AVX2_MAC_SLOTS / AVX2_MAC_LANES][4];
	struct avx2_factor lane_power[4]; /* of the message that each lane is at */
	__m256i spill[5];
	uint64_t h[AVX2_MAC_SLOTS][5];
	uint8_t chunk[AVX2_MAC_LANES][64] __attribute__((aligned(64)));
	uint8_t order[AVX2_MAC_SLOTS];
};

/* Computes the tag of each message; n <= BURST_PART. Leaves secrets in *mac. */
void avx2_mac(struct avx2_mac *mac, struct burst_mac *macs, unsigned n);
