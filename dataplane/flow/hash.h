/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keyed hash of packet contents: folded 64x64 multiplications (as in wyhash) with secret operands.
 * Not linear, so that who does not know the key cannot aim packets at one bucket. Not a MAC.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash_key {
	uint64_t word[6]; /* random, odd */
};

void hash_key_random(struct hash_key *key);

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_load(const void *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/* 40 bytes: two addresses and a word. */
static inline uint64_t hash_40(const struct hash_key *key, const void *data)
{
	const uint8_t *byte = data;
	uint64_t a = hash_fold(hash_load(byte) ^ key->word[0], hash_load(byte + 16) ^ key->word[1]);
	uint64_t b =
		hash_fold(hash_load(byte + 8) ^ key->word[2], hash_load(byte + 24) ^ key->word[3]);
	uint64_t c = hash_load(byte + 32) ^ key->word[4];

	return hash_fold(a ^ c, b ^ key->word[5]);
}

/* 24 bytes: an address and a word. */
static inline uint64_t hash_24(const struct hash_key *key, const void *data)
{
	const uint8_t *byte = data;
	uint64_t a = hash_fold(hash_load(byte) ^ key->word[0], hash_load(byte + 8) ^ key->word[1]);

	return hash_fold(a ^ key->word[2], hash_load(byte + 16) ^ key->word[3]);
}
