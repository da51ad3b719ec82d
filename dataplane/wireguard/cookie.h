/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two macs of handshake messages and the cookies behind the second one (WireGuard paper,
 * section 5.4.4 and 5.4.7). mac1 shows that the sender knows our public key; under load mac2 must
 * show that it receives at its source address and port, by a cookie that we sent there.
 *
 * struct cookie_checker is ours, one per interface; struct cookie_jar is what we hold about one
 * peer to whom we send. Both belong to the handshake thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/base/key.h"
#include "dataplane/wireguard/blake2s.h"
#include "dataplane/wireguard/messages.h"

struct ratelimit;

enum cookie_verdict {
	COOKIE_BAD_MAC,      /* mac1 wrong: drop */
	COOKIE_MAC_ONLY,     /* mac1 right; mac2 wrong, or not asked for */
	COOKIE_RATE_LIMITED, /* both right, but the source sends too many */
	COOKIE_PROVEN,       /* both right */
};

struct cookie_checker {
	struct blake2s_key mac1_key;
	uint8_t reply_key[WG_HASH_SIZE];
	uint8_t secret[WG_HASH_SIZE];
	uint64_t secret_since_ms; /* 0 = none made yet */
};

struct cookie_jar {
	struct blake2s_key mac1_key;
	uint8_t reply_key[WG_HASH_SIZE];
	uint8_t cookie[WG_COOKIE_SIZE];
	uint64_t cookie_since_ms; /* 0 = no cookie */
	uint8_t last_mac1[WG_MAC_SIZE];
	bool mac1_sent; /* and not answered by a cookie yet */
};

/* With our public key; makes old cookies void. */
void cookie_checker_init(struct cookie_checker *checker, const struct key *public_key);

/* With the peer's public key; forgets any cookie. */
void cookie_jar_init(struct cookie_jar *jar, const struct key *public_key);

/* Checks the macs at the end of an initiation or response of `length` bytes. `limit` NULL: not
 * under load, mac2 is not looked at. The cookie secret rotates after 120 s. */
enum cookie_verdict cookie_check(struct cookie_checker *checker, struct blake2s_bytes message,
	const struct endpoint *source, uint64_t now_ms, struct ratelimit *limit);

/* Makes the reply to a message with these macs whose sender index was `receiver` (as on the wire).
 * The nonce is random. */
void cookie_create_reply(struct cookie_checker *checker, const struct wg_macs *macs,
	uint32_t receiver, const struct endpoint *source, uint64_t now_ms,
	struct wg_cookie_reply *reply);

/* Sets mac1, and mac2 if there is a cookie younger than 115 s, at the end of the message. */
void cookie_add_macs(struct cookie_jar *jar, void *message, size_t length, uint64_t now_ms);

/* Stores the cookie of a reply. -EPROTO if no mac1 waits for one, -EBADMSG if it does not
 * authenticate. */
int cookie_consume_reply(struct cookie_jar *jar, const struct wg_cookie_reply *reply,
	uint64_t now_ms) __attribute__((warn_unused_result));
