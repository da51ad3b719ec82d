/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AVX-512 kernels, for dataplane/aead and its tests only. Call none of these unless the CPU
 * has AVX-512 F, BW, VL and IFMA, and BMI2.
 */
#pragma once

#include <immintrin.h>

#include "dataplane/aead/burst.h"

enum {
	AVX512_LANES = 32,    /* blocks of one pass: two groups of 16 */
	AVX512_MAC_LANES = 8, /* messages or blocks that Poly1305 works on at a time */
};

/* The initial ChaCha20 state of every packet of a part, one vector for each word and half. */
struct avx512_columns {
	__m512i key[8][2];
	__m512i nonce[3][2];
	__m512i first[2]; /* lane of the first data block */
};

void avx512_columns_fill(struct avx512_columns *columns, const struct burst *burst);

/* Computes the keystream of lanes lane .. lane + 31 into rows, one block each. Rows of lanes that
 * do not exist hold the keystream of no one, or nothing. */
void avx512_chacha(const struct avx512_columns *columns, const struct burst *burst, uint32_t lane,
	uint8_t rows[AVX512_LANES][BURST_BLOCK]);

/* A multiplier in radix 2^44, and the two multiples of it that wrap around 2^130. */
struct avx512_factor {
	__m512i r0, r1, r2, s1, s2;
};

enum {
	/* Places in the order: messages of two kinds, each kind begins at a multiple of eight. */
	AVX512_MAC_BATCHES = BURST_PART / AVX512_MAC_LANES + 1,
	AVX512_MAC_PLACES = AVX512_MAC_BATCHES * AVX512_MAC_LANES,
};

/* Eight messages at successive places, one in each lane. */
struct avx512_mac_batch {
	struct avx512_factor power[4]; /* r, r^2, r^3, r^4 */
	__m512i s[2];
	__m512i h[3];
	__m512i data; /* addresses */
	__m512i length;
};

struct avx512_mac {
	struct avx512_mac_batch batch[AVX512_MAC_BATCHES];
	struct avx512_factor lane_power[4]; /* of the message that each lane is at */
	__m512i high_power[3][9];           /* [limb]: r to r^8 and r^16 of eight messages */
	__m512i spill[3];
	uint8_t order[AVX512_MAC_PLACES + AVX512_MAC_LANES];
	/* What there is to wipe. */
	unsigned batches;
	bool lane_power_used, high_power_used;
};

/* Computes the tag of each message; n <= BURST_PART. Leaves secrets in *mac. */
void avx512_mac(struct avx512_mac *mac, struct burst_mac *macs, unsigned n);

/* Wipes what calls since the last wipe have left. */
void avx512_mac_wipe(struct avx512_mac *mac);

/* The two ways of avx512_mac(): set h of the messages at places from `place`, a multiple of eight,
 * or from 0, up to n. */
void avx512_mac_across(
	struct avx512_mac *mac, const struct burst_mac *macs, unsigned place, unsigned n);
void avx512_mac_within(struct avx512_mac *mac, const struct burst_mac *macs, unsigned n);
