/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a part of a burst is laid out over vector lanes, the same for every vector width.
 *
 * One lane computes one ChaCha20 block. Lanes 0..n-1 are the packets' Poly1305 key blocks (block
 * counter 0), so that all keys are known after the first pass, which opening needs. The data
 * blocks follow, packet after packet; block b (from 1) of packet p is lane first[p] + b - 1.
 */
#pragma once

#include "dataplane/aead/aead.h"

enum {
	BURST_PART = 32,        /* packets laid out at once */
	BURST_PART_LANES = 384, /* a part ends after these, which fit the first-level cache, */
	BURST_PART_MIN = 8,     /* but not before so many packets, and with a multiple of them */
	BURST_BLOCK = 64,       /* bytes of a ChaCha20 block */
	BURST_ROWS_MAX = 32,    /* blocks of one pass of a kernel */
	BURST_LANES_MAX = BURST_PART_LANES + BURST_PART +
			  BURST_PART_MIN * (AEAD_LENGTH_MAX / BURST_BLOCK + 1),
	BURST_OVERHANG = 64, /* owner[] may be read and written this far beyond the last lane */
};

/* One message to authenticate: data padded to 16 bytes, then the lengths 0 and `length`. */
struct burst_mac {
	const uint8_t *key; /* 32 bytes: r before clamping, s */
	const uint8_t *data;
	uint32_t length;
	uint32_t chunks; /* of 64 bytes, padding and length block included */
	uint8_t tag[AEAD_TAG_SIZE];
};

struct burst {
	unsigned n; /* packets, <= BURST_PART */
	uint32_t lanes;
	uint32_t first[BURST_PART];    /* lane of the first data block */
	uint32_t nonce[3][BURST_PART]; /* words 13 to 15 of the state */
	const uint8_t *key[BURST_PART];
	struct aead_packet *packets;                     /* the caller's, not owned */
	uint8_t owner[BURST_LANES_MAX + BURST_OVERHANG]; /* packet of each lane; beyond: any */
};

/* A kernel's zeroed state. NULL and *error (a negative errno) on failure. */
void *burst_create(size_t size, int *error) __attribute__((warn_unused_result));

/* Wipes and frees it. */
void burst_destroy(void *state, size_t size);

/* Lays out as many of the packets as fit a part; returns how many (>= 1 if n >= 1). */
unsigned burst_plan(struct burst *burst, struct aead_packet *packets, unsigned n);

/* Poly1305 chunks of a message: ciphertext blocks and the length block, four to a chunk. */
static inline uint32_t burst_chunks(uint32_t length)
{
	return ((length + 15) / 16 + 1 + 3) / 4;
}

/* Fills order[] with indices of macs, most chunks first; ties keep their order. n <= BURST_PART. */
void burst_sort(const struct burst_mac *macs, unsigned n, uint8_t order[BURST_PART]);

/* Describes the ciphertext of each packet; keys are rows of 32 bytes. */
void burst_describe(const struct burst *burst, const uint8_t (*keys)[32], bool opening,
	struct burst_mac macs[BURST_PART]);

/* Sealing: writes the tags behind the ciphertexts. Opening: compares them in constant time. */
void burst_finish(struct burst *burst, bool opening, const struct burst_mac macs[BURST_PART]);

/* The tag of a message with associated data, by libsodium; not for the fast path. */
void burst_mac_message(const uint8_t key[32], const struct aead_message *message,
	const uint8_t *ciphertext, uint8_t tag[AEAD_TAG_SIZE]);
