/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BLAKE2s (RFC 7693) as the handshake uses it: hash, keyed MAC, HMAC and the HKDF of the WireGuard
 * paper, section 5.4 (KDF1..KDF3). A handshake is some eighty compressions of short inputs, around
 * which a library's objects cost as much again; so they are made here, and what is the same for
 * many calls, the block of a key, is made once.
 *
 * Threads: plain functions of their arguments. They wipe their own copies of what comes of a key;
 * what a compression spills below them is wiped after each step of a handshake (noise.c). Memory:
 * arguments are the caller's; an output may be an input.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	BLAKE2S_SIZE = 32,
	BLAKE2S_MAC_SIZE = 16,
	BLAKE2S_BLOCK_SIZE = 64,
};

/* Bytes to read; several of them are hashed as if joined. */
struct blake2s_bytes {
	const void *data;
	size_t size;
};

/* A key made ready for many MACs; as secret as the key. */
struct blake2s_key {
	uint32_t h[BLAKE2S_SIZE / 4];
};

/* HASH(a || b); b may be empty. */
void blake2s_hash(uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes a, struct blake2s_bytes b);

/* Keyed BLAKE2s with 16 bytes of output; the key has 1..32 bytes. */
void blake2s_mac(
	uint8_t out[BLAKE2S_MAC_SIZE], struct blake2s_bytes key, struct blake2s_bytes message);

/* The same in two steps. The message is not empty. */
void blake2s_key_set(struct blake2s_key *key, struct blake2s_bytes bytes);
void blake2s_mac_with(
	uint8_t out[BLAKE2S_MAC_SIZE], const struct blake2s_key *key, struct blake2s_bytes message);

/* HMAC (RFC 2104) over BLAKE2s; the key has 1..64 bytes. */
void blake2s_hmac(
	uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes key, struct blake2s_bytes message);

/* KDFn(chaining key, input): n = 1..3 outputs of 32 bytes, those asked for not NULL (b needs a, c
 * needs b). An output may be the chaining key itself. */
void blake2s_kdf(uint8_t *const outputs[3], const uint8_t chaining_key[BLAKE2S_SIZE],
	struct blake2s_bytes input);
