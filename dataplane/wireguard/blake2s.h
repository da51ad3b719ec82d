/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BLAKE2s (RFC 7693) as the handshake uses it: hash, keyed MAC, HMAC and the HKDF of the WireGuard
 * paper, section 5.4 (KDF1..KDF3). OpenSSL computes; a context fetches its algorithms once.
 *
 * Threads: a context belongs to one. Errors: the computing functions return nothing; if OpenSSL
 * fails (out of memory), the output is zero and the failure sticks until blake2s_failed() takes
 * it, which every operation of noise.h and cookie.h does before its result counts.
 */
#pragma once

#include <stdbool.h>
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

struct blake2s; /* opaque */

/* NULL and *error (a negative errno) on failure. */
struct blake2s *blake2s_create(int *error) __attribute__((warn_unused_result));

/* Wipes and frees; sets *blake2s to NULL. */
void blake2s_destroy(struct blake2s **blake2s);

/* True if any call since the last blake2s_failed() failed. */
bool blake2s_failed(struct blake2s *blake2s) __attribute__((warn_unused_result));

/* HASH(a || b); b may be empty. out may be a or b. */
void blake2s_hash(struct blake2s *blake2s, uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes a,
	struct blake2s_bytes b);

/* Keyed BLAKE2s with 16 bytes of output; the key has 1..32 bytes. */
void blake2s_mac(struct blake2s *blake2s, uint8_t out[BLAKE2S_MAC_SIZE], struct blake2s_bytes key,
	struct blake2s_bytes message);

/* HMAC (RFC 2104) over BLAKE2s; the key has 1..64 bytes. */
void blake2s_hmac(struct blake2s *blake2s, uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes key,
	struct blake2s_bytes message);

/* KDFn(chaining key, input): n = 1..3 outputs of 32 bytes, those asked for not NULL (b needs a, c
 * needs b). An output may be the chaining key itself. */
void blake2s_kdf(struct blake2s *blake2s, uint8_t *const outputs[3],
	const uint8_t chaining_key[BLAKE2S_SIZE], struct blake2s_bytes input);
