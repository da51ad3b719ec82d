/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WireGuard on the wire: message layouts, sizes and every constant of the protocol. Sources: the
 * WireGuard paper (Donenfeld, NDSS 2017), sections 5 and 6, and, where it is silent, the
 * behaviour of the Linux kernel's implementation, whose values every peer in the field expects.
 *
 * Integers are little endian. The layouts are packed: cast them over received bytes only after the
 * length has been checked with wg_message_type().
 */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Section 5.4. The type byte and three reserved zero bytes are read as one little-endian word. */
enum wg_type {
	WG_TYPE_NONE = 0, /* not a WireGuard message */
	WG_TYPE_INITIATION = 1,
	WG_TYPE_RESPONSE = 2,
	WG_TYPE_COOKIE_REPLY = 3,
	WG_TYPE_DATA = 4,
};

enum wg_limit {
	/* Section 5.4, sizes in bytes. */
	WG_KEY_SIZE = 32,
	WG_HASH_SIZE = 32,
	WG_TAG_SIZE = 16,
	WG_MAC_SIZE = 16,
	WG_COOKIE_SIZE = 16,
	WG_COOKIE_NONCE_SIZE = 24,
	WG_TAI64N_SIZE = 12,
	WG_INITIATION_SIZE = 148,
	WG_RESPONSE_SIZE = 92,
	WG_COOKIE_REPLY_SIZE = 64,
	WG_DATA_HEADER_SIZE = 16,
	WG_KEEPALIVE_SIZE = WG_DATA_HEADER_SIZE + WG_TAG_SIZE,
	WG_PADDING = 16,       /* section 5.4.6: plaintext is padded to a multiple of this */
	WG_OVERHEAD_V4 = 60,   /* IPv4 20, UDP 8, header 16, tag 16 */
	WG_OVERHEAD_V6 = 80,   /* IPv6 40, UDP 8, header 16, tag 16 */
	WG_MTU_DEFAULT = 1420, /* 1500 - WG_OVERHEAD_V6 */

	/* Section 6.1. */
	WG_REKEY_AFTER_TIME_MS = 120 * 1000,
	WG_REJECT_AFTER_TIME_MS = 180 * 1000,
	WG_REKEY_ATTEMPT_TIME_MS = 90 * 1000,
	WG_REKEY_TIMEOUT_MS = 5 * 1000,
	WG_KEEPALIVE_TIMEOUT_MS = 10 * 1000,
	/* Section 6.1: random, so that two peers that started together part. */
	WG_REKEY_JITTER_MAX_MS = 333,
	/* Kernel: retries beyond the first; it gives up when the count has passed this. */
	WG_REKEY_RETRIES = WG_REKEY_ATTEMPT_TIME_MS / WG_REKEY_TIMEOUT_MS,
	/* Section 6.2: a receiving initiator renews while a reply still has time to arrive. */
	WG_LAST_MINUTE_MS = WG_REJECT_AFTER_TIME_MS - WG_KEEPALIVE_TIMEOUT_MS - WG_REKEY_TIMEOUT_MS,
	WG_NEW_HANDSHAKE_MS = WG_KEEPALIVE_TIMEOUT_MS + WG_REKEY_TIMEOUT_MS,
	WG_ZERO_KEYS_MS = 3 * WG_REJECT_AFTER_TIME_MS, /* section 6.3 */

	/* Section 5.4.7 and the kernel. */
	WG_COOKIE_SECRET_MAX_AGE_MS = 120 * 1000,
	WG_COOKIE_SECRET_LATENCY_MS = 5 * 1000, /* an initiator stops using a cookie this early */

	/* Kernel: per peer, and per source address while under load. */
	WG_INITIATIONS_PER_SECOND = 50,
	WG_INITIATION_GAP_MS = 1000 / WG_INITIATIONS_PER_SECOND,
	WG_FLOOD_PER_SECOND = 20,
	WG_FLOOD_BURST = 5,
	WG_HANDSHAKES_QUEUED_MAX = 4096,
	WG_UNDER_LOAD_QUEUED = WG_HANDSHAKES_QUEUED_MAX / 8,
	WG_UNDER_LOAD_STICKY_MS = 1000,
	WG_STAGED_MAX = 128, /* packets that wait for a key, per peer; the oldest goes first */
	WG_PEERS_MAX = 1 << 20,
	WG_HANDSHAKE_DSCP = 0x88, /* traffic class of handshake packets: AF41, ECN 0 */
};

/* Section 6.1. The reject limit leaves room for the replay window (kernel). */
#define WG_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 60)
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13))

struct wg_macs {
	uint8_t mac1[WG_MAC_SIZE];
	uint8_t mac2[WG_MAC_SIZE];
} __attribute__((packed));

struct wg_initiation {
	uint32_t type;
	uint32_t sender; /* receiver index that the answer must carry */
	uint8_t ephemeral[WG_KEY_SIZE];
	uint8_t static_key[WG_KEY_SIZE + WG_TAG_SIZE];
	uint8_t timestamp[WG_TAI64N_SIZE + WG_TAG_SIZE];
	struct wg_macs macs;
} __attribute__((packed));

struct wg_response {
	uint32_t type;
	uint32_t sender;
	uint32_t receiver;
	uint8_t ephemeral[WG_KEY_SIZE];
	uint8_t nothing[WG_TAG_SIZE];
	struct wg_macs macs;
} __attribute__((packed));

struct wg_cookie_reply {
	uint32_t type;
	uint32_t receiver;
	uint8_t nonce[WG_COOKIE_NONCE_SIZE];
	uint8_t cookie[WG_COOKIE_SIZE + WG_TAG_SIZE];
} __attribute__((packed));

struct wg_data {
	uint32_t type;
	uint32_t receiver;
	uint64_t counter;
	/* ciphertext and tag follow */
} __attribute__((packed));

_Static_assert(sizeof(struct wg_initiation) == WG_INITIATION_SIZE, "wire layout");
_Static_assert(sizeof(struct wg_response) == WG_RESPONSE_SIZE, "wire layout");
_Static_assert(sizeof(struct wg_cookie_reply) == WG_COOKIE_REPLY_SIZE, "wire layout");
_Static_assert(sizeof(struct wg_data) == WG_DATA_HEADER_SIZE, "wire layout");

/* What a UDP payload is, its length checked: exact for handshake messages, at least a keepalive
 * for data. Reserved bytes that are not zero make it WG_TYPE_NONE. Any thread. */
static inline enum wg_type wg_message_type(const void *message, size_t length)
{
	uint32_t type;

	if (length < sizeof(type))
		return WG_TYPE_NONE;
	memcpy(&type, message, sizeof(type));
	switch (le32toh(type)) {
	case WG_TYPE_INITIATION:
		return length == WG_INITIATION_SIZE ? WG_TYPE_INITIATION : WG_TYPE_NONE;
	case WG_TYPE_RESPONSE:
		return length == WG_RESPONSE_SIZE ? WG_TYPE_RESPONSE : WG_TYPE_NONE;
	case WG_TYPE_COOKIE_REPLY:
		return length == WG_COOKIE_REPLY_SIZE ? WG_TYPE_COOKIE_REPLY : WG_TYPE_NONE;
	case WG_TYPE_DATA:
		return length >= WG_KEEPALIVE_SIZE ? WG_TYPE_DATA : WG_TYPE_NONE;
	default:
		return WG_TYPE_NONE;
	}
}
