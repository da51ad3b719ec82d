/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, the handshake of WireGuard (paper, section 5.4): pure
 * message making and reading. Indexes, timestamps and randomness are handed in; looking up the
 * peer between the stages, checking for replays and sending are the caller's (handshake.h).
 *
 * Initiator: noise_create_initiation, then noise_consume_response, which derives the keys.
 * Responder: noise_open_initiation names the peer, noise_read_initiation proves it and yields the
 * timestamp; if the caller accepts that, noise_create_response answers and derives the keys.
 * Nothing is stored by a message that fails: the handshake is as it was.
 *
 * Threads: an identity carries its thread's hash context; everything that uses it runs there.
 * Errors: -EBADMSG for what does not authenticate, -EINVAL for a public key of low order (its
 * shared secret would be zero), -EPROTO for a message that does not fit the state, -EIO if hashing
 * failed. Every secret is wiped at the one exit; callers wipe noise_keys and what they hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/key.h"
#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/tai64n.h"

struct blake2s;
struct x25519;

/* Our side of an interface. */
struct noise_identity {
	struct key private_key;
	struct key public_key;
	struct x25519 *x25519;   /* owned: the private key made ready */
	struct blake2s *blake2s; /* borrowed from the thread */
};

/* What is fixed about a peer. */
struct noise_peer {
	struct key public_key;
	struct key preshared_key; /* zero = none: the protocol then mixes zeros */
	struct key static_static; /* precomputed */
	bool usable;              /* static_static is not zero: the peer's key has full order */
};

/* An initiation of ours that waits for its response. */
struct noise_handshake {
	bool pending;
	uint32_t local_index;
	struct key ephemeral; /* private */
	struct key ephemeral_public;
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
};

/* An initiation of a peer while it is being read; lives on the stack of the caller. */
struct noise_opening {
	uint32_t remote_index;
	struct key remote_ephemeral; /* public */
	struct key remote_static;    /* public; set by noise_open_initiation */
	struct tai64n timestamp;     /* set by noise_read_initiation */
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
};

/* What is fresh in a message that we make. */
struct noise_fresh {
	struct key ephemeral; /* private, random */
	struct key ephemeral_public;
	bool has_public; /* else it is reckoned when it is needed */
	uint32_t local_index;
	struct tai64n timestamp; /* initiation only */
};

/* The outcome of a handshake. */
struct noise_keys {
	struct key send;
	struct key receive;
	uint32_t local_index;  /* what the peer's packets carry */
	uint32_t remote_index; /* what ours carry */
	bool initiator;        /* we were */
};

/* What the responder sends and holds. */
struct noise_answer {
	struct wg_response message;
	struct noise_keys keys;
};

/* Copies the private key (clamped) and derives the public one. 0, -EINVAL for a bad key, -ENOMEM,
 * -ENOTSUP; the caller wipes it, which frees what it holds. */
int noise_identity_init(struct noise_identity *identity, const struct key *private_key,
	struct blake2s *blake2s) __attribute__((warn_unused_result));
void noise_identity_wipe(struct noise_identity *identity);

/* Copies the keys (preshared_key NULL = none) and precomputes the shared secret. A public key of
 * low order leaves the peer not usable: it never gets or causes a packet. */
void noise_peer_init(struct noise_peer *peer, const struct noise_identity *identity,
	const struct key *public_key, const struct key *preshared_key);

/* Again, after the private key changed. */
void noise_peer_precompute(struct noise_peer *peer, const struct noise_identity *identity);

/* The macs of *message are left zero: cookie_add_macs() sets them. Replaces a pending
 * handshake. */
int noise_create_initiation(struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct wg_initiation *message)
	__attribute__((warn_unused_result));

/* Stage one: e, es, s. One X25519. */
int noise_open_initiation(struct noise_opening *opening, const struct noise_identity *identity,
	const struct wg_initiation *message) __attribute__((warn_unused_result));

/* Stage two, with the peer whose key is opening->remote_static: ss, timestamp. */
int noise_read_initiation(struct noise_opening *opening, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct wg_initiation *message)
	__attribute__((warn_unused_result));

/* Stage three: e, ee, se, psk; derives the keys and wipes the opening. The macs are left zero. */
int noise_create_response(struct noise_opening *opening, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct noise_answer *answer)
	__attribute__((warn_unused_result));

/* The initiator's end: checks the response against the pending handshake and derives the keys; on
 * success the handshake is no longer pending and its local index belongs to the session. */
int noise_consume_response(struct noise_handshake *handshake, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct wg_response *message, struct noise_keys *keys)
	__attribute__((warn_unused_result));

void noise_handshake_wipe(struct noise_handshake *handshake);
void noise_opening_wipe(struct noise_opening *opening);
void noise_keys_wipe(struct noise_keys *keys);
