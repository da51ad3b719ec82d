/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ChaCha20-Poly1305 (RFC 8439) over bursts of packets, each with its own key, nonce and length.
 * Several implementations stand behind one interface; which one runs is chosen at start by CPU and
 * a short measurement, or by name. Builds and is tested without DPDK.
 *
 * Threads: aead_select() and aead_name() once on the main thread before any worker starts; a
 * struct aead belongs to the one thread that seals and opens with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AEAD_KEY_SIZE = 32,
	AEAD_TAG_SIZE = 16,
	AEAD_NONCE_SIZE = 12,
	AEAD_BURST_MAX = 256,    /* packets in one call */
	AEAD_LENGTH_MAX = 65535, /* plaintext bytes of one packet */
};

/* One packet of a burst. The nonce is 4 zero bytes and the counter in little endian, WireGuard's
 * form; there is no associated data. src and dst are equal (in place) or do not overlap. */
struct aead_packet {
	const uint8_t *key; /* AEAD_KEY_SIZE bytes, any alignment; owned by the caller */
	uint64_t counter;
	const uint8_t *src; /* seal: plaintext; open: ciphertext followed by the tag */
	uint8_t *dst;       /* seal: ciphertext followed by the tag; open: plaintext */
	uint32_t length;    /* of the plaintext, in bytes */
	bool ok;            /* set by open: the tag is genuine; else dst is unspecified */
};

/* One message with associated data and any nonce: handshakes and tests. src and dst as above. */
struct aead_message {
	const uint8_t *key;   /* AEAD_KEY_SIZE bytes */
	const uint8_t *nonce; /* AEAD_NONCE_SIZE bytes */
	const uint8_t *aad;   /* may be NULL if aad_length is 0 */
	uint32_t aad_length;  /* <= AEAD_LENGTH_MAX */
	uint32_t length;      /* of the plaintext, <= AEAD_LENGTH_MAX */
	const uint8_t *src;
	uint8_t *dst;
};

struct aead; /* opaque: one per thread */

/* name: "avx512", "avx2", "ipsec-mb", "openssl", "sodium", or NULL to choose by CPU and
 * measurement, maybe another one for bursts of a few packets. 0, -ENOENT for an unknown name,
 * -ENOTSUP if this CPU cannot run it. */
int aead_select(const char *name) __attribute__((warn_unused_result));

/* The implementation in use, "sodium" until one is selected; a constant string. */
const char *aead_name(void);

/* The same for people: "avx512, up to 4 packets ipsec-mb". Valid until the next aead_select(). */
const char *aead_description(void);

/* Names in order of preference, for usage texts and benchmarks; NULL past the last one. Not every
 * one can run on this CPU. */
const char *aead_name_at(unsigned index);

/* Of the implementation in use at this moment. NULL and *error (a negative errno) on failure. */
struct aead *aead_create(int *error) __attribute__((warn_unused_result));

/* Wipes and frees; sets *aead to NULL. */
void aead_destroy(struct aead **aead);

/* n <= AEAD_BURST_MAX. Never fails. */
void aead_seal(struct aead *aead, struct aead_packet *packets, unsigned n);

/* Sets ok in each packet; returns how many are genuine. Tags are compared in constant time. */
unsigned aead_open(struct aead *aead, struct aead_packet *packets, unsigned n);

/* Never fails. Not for the fast path: costs more than a burst of one. */
void aead_seal_message(struct aead *aead, const struct aead_message *message);

/* 0, or -EBADMSG if the tag is not genuine: then dst holds length zero bytes. */
int aead_open_message(struct aead *aead, const struct aead_message *message)
	__attribute__((warn_unused_result));
