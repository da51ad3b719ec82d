/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/blake2s.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { WORDS = 8, BLOCK_WORDS = 16, ROUNDS = 10 };

/* RFC 2104. */
enum { INNER = 0x36, OUTER = 0x5c };

/* RFC 7693, section 2.6 and 2.7. */
static const uint32_t iv[WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint8_t sigma[ROUNDS][BLOCK_WORDS] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

/* A hash under way. The last block is kept until it is known to be the last. */
struct state {
	uint32_t h[WORDS];
	uint32_t length; /* of what was compressed; far below 2^32 here */
	uint32_t held;
	uint8_t block[BLAKE2S_BLOCK_SIZE];
};

static inline uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* Section 3.1. */
static inline void mix(uint32_t v[BLOCK_WORDS], const unsigned at[4], uint32_t x, uint32_t y)
{
	uint32_t a = v[at[0]], b = v[at[1]], c = v[at[2]], d = v[at[3]];

	a += b + x;
	d = rotate(d ^ a, 16);
	c += d;
	b = rotate(b ^ c, 12);
	a += b + y;
	d = rotate(d ^ a, 8);
	c += d;
	b = rotate(b ^ c, 7);
	v[at[0]] = a;
	v[at[1]] = b;
	v[at[2]] = c;
	v[at[3]] = d;
}

/* Section 3.2. Unrolled, so that every index is a constant and the words stay in registers. */
static void compress(uint32_t h[WORDS], const uint8_t *block, uint32_t length, bool last)
{
	static const unsigned at[8][4] = {{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14},
		{3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}};
	uint32_t m[BLOCK_WORDS], v[BLOCK_WORDS];

	memcpy(m, block, sizeof(m));
	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		m[i] = le32toh(m[i]);
	memcpy(v, h, sizeof(iv));
	memcpy(v + WORDS, iv, sizeof(iv));
	v[12] ^= length;
	v[14] ^= last ? UINT32_MAX : 0;
#pragma GCC unroll 10
	for (unsigned r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 8
		for (unsigned i = 0; i < 8; i++)
			mix(v, at[i], m[sigma[r][2 * i]], m[sigma[r][2 * i + 1]]);
	}
	for (unsigned i = 0; i < WORDS; i++)
		h[i] ^= v[i] ^ v[i + WORDS];
}

/* Section 2.5: the parameter block, of which only the first word is not zero. */
static void begin(struct state *state, uint32_t out_size, uint32_t key_size)
{
	memcpy(state->h, iv, sizeof(iv));
	state->h[0] ^= 0x01010000 ^ key_size << 8 ^ out_size;
	state->length = 0;
	state->held = 0;
}

/* A whole block that is not the last. */
static void take_block(struct state *state)
{
	state->length += BLAKE2S_BLOCK_SIZE;
	compress(state->h, state->block, state->length, false);
	state->held = 0;
}

static void update(struct state *state, struct blake2s_bytes bytes)
{
	const uint8_t *data = bytes.data;
	size_t size = bytes.size;

	while (size > 0) {
		size_t room = BLAKE2S_BLOCK_SIZE - state->held, part = size < room ? size : room;

		if (room == 0) {
			take_block(state);
			continue;
		}
		memcpy(state->block + state->held, data, part);
		state->held += (uint32_t)part;
		data += part;
		size -= part;
	}
}

static void finish(struct state *state, uint8_t *out, size_t out_size)
{
	memset(state->block + state->held, 0, BLAKE2S_BLOCK_SIZE - state->held);
	compress(state->h, state->block, state->length + state->held, true);
	for (unsigned i = 0; i < WORDS; i++)
		state->h[i] = htole32(state->h[i]);
	memcpy(out, state->h, out_size);
}

void blake2s_hash(uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes a, struct blake2s_bytes b)
{
	struct state state;

	begin(&state, BLAKE2S_SIZE, 0);
	update(&state, a);
	update(&state, b);
	finish(&state, out, BLAKE2S_SIZE);
}

static void begin_keyed(struct state *state, struct blake2s_bytes key)
{
	assert(key.size > 0 && key.size <= BLAKE2S_SIZE);
	begin(state, BLAKE2S_MAC_SIZE, (uint32_t)key.size);
	memset(state->block, 0, sizeof(state->block));
	memcpy(state->block, key.data, key.size);
	state->held = BLAKE2S_BLOCK_SIZE;
}

void blake2s_mac(
	uint8_t out[BLAKE2S_MAC_SIZE], struct blake2s_bytes key, struct blake2s_bytes message)
{
	struct state state;

	begin_keyed(&state, key);
	update(&state, message);
	finish(&state, out, BLAKE2S_MAC_SIZE);
	sodium_memzero(&state, sizeof(state));
}

void blake2s_key_set(struct blake2s_key *key, struct blake2s_bytes bytes)
{
	struct state state;

	begin_keyed(&state, bytes);
	take_block(&state);
	memcpy(key->h, state.h, sizeof(key->h));
	sodium_memzero(&state, sizeof(state));
}

void blake2s_mac_with(
	uint8_t out[BLAKE2S_MAC_SIZE], const struct blake2s_key *key, struct blake2s_bytes message)
{
	struct state state = {.length = BLAKE2S_BLOCK_SIZE};

	assert(message.size > 0); /* else the key's block would be the last */
	memcpy(state.h, key->h, sizeof(state.h));
	update(&state, message);
	finish(&state, out, BLAKE2S_MAC_SIZE);
	sodium_memzero(&state, sizeof(state));
}

/* Either hash of an HMAC, with the key's block at hand. */
static void begin_hmac(struct state *state, struct blake2s_bytes key, uint8_t pad)
{
	assert(key.size <= BLAKE2S_BLOCK_SIZE);
	begin(state, BLAKE2S_SIZE, 0);
	memset(state->block, pad, sizeof(state->block));
	for (size_t i = 0; i < key.size; i++)
		state->block[i] ^= ((const uint8_t *)key.data)[i];
	state->held = BLAKE2S_BLOCK_SIZE;
}

void blake2s_hmac(uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes key, struct blake2s_bytes message)
{
	uint8_t inner[BLAKE2S_SIZE];
	struct state state;

	begin_hmac(&state, key, INNER);
	update(&state, message);
	finish(&state, inner, sizeof(inner));
	begin_hmac(&state, key, OUTER);
	update(&state, (struct blake2s_bytes){inner, sizeof(inner)});
	finish(&state, out, BLAKE2S_SIZE);
	sodium_memzero(inner, sizeof(inner));
	sodium_memzero(&state, sizeof(state));
}

/* The outputs have one key, so its two blocks are compressed once for all of them. */
void blake2s_kdf(uint8_t *const outputs[3], const uint8_t chaining_key[BLAKE2S_SIZE],
	struct blake2s_bytes input)
{
	struct {
		uint8_t secret[BLAKE2S_SIZE];
		uint8_t inner[BLAKE2S_SIZE];
		uint8_t block[BLAKE2S_SIZE + 1]; /* previous output, then the number of this one */
		struct state begun[2], state;
	} own;
	struct blake2s_bytes secret = {own.secret, sizeof(own.secret)};
	size_t held = 0;

	assert(outputs[0] != NULL && (outputs[1] != NULL || outputs[2] == NULL));
	blake2s_hmac(own.secret, (struct blake2s_bytes){chaining_key, BLAKE2S_SIZE}, input);
	begin_hmac(&own.begun[0], secret, INNER);
	take_block(&own.begun[0]);
	begin_hmac(&own.begun[1], secret, OUTER);
	take_block(&own.begun[1]);
	for (uint8_t i = 0; i < 3 && outputs[i] != NULL; i++) {
		own.block[held] = i + 1;
		own.state = own.begun[0];
		update(&own.state, (struct blake2s_bytes){own.block, held + 1});
		finish(&own.state, own.inner, sizeof(own.inner));
		own.state = own.begun[1];
		update(&own.state, (struct blake2s_bytes){own.inner, sizeof(own.inner)});
		finish(&own.state, outputs[i], BLAKE2S_SIZE);
		memcpy(own.block, outputs[i], BLAKE2S_SIZE);
		held = BLAKE2S_SIZE;
	}
	sodium_memzero(&own, sizeof(own));
}
