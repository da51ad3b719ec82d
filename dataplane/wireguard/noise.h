/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, the handshake of WireGuard (paper, section 5.4): pure
 * message making and reading. Indexes, timestamps and randomness are handed in; looking up the
 * peer between the stages, checking for replays and sending are the caller's (handshake.h).
 *
 * Steps: the initiator initiates and takes the response, which derives the keys. The responder
 * opens an initiation, which names the peer, reads it with that peer, which proves it and yields
 * the timestamp, and if the caller accepts that, responds, which derives the keys. Nothing is
 * stored by a message that fails: the handshake is as it was.
 *
 * A step that multiplies comes in two halves. noise_<step>_begin() adds what is to be multiplied to
 * `jobs`, NOISE_JOBS_MAX at most, and returns how many it added; the caller makes them, of as many
 * handshakes as are at hand in one x25519_burst(); noise_<step>_finish() takes the products. Jobs
 * refer to the arguments of the first half, which stay where they are until the second.
 *
 * Threads: plain functions of their arguments. Errors: -EBADMSG for what does not authenticate,
 * -EINVAL for a public key of low order (its shared secret would be zero), -EPROTO for a message
 * that does not fit the state. Every secret is wiped at the one exit; callers wipe noise_keys and
 * what they hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/key.h"
#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/tai64n.h"

struct x25519_job;

enum { NOISE_JOBS_MAX = 3 };

/* Our side of an interface. */
struct noise_identity {
	struct key private_key;
	struct key public_key;
	/* How the transcripts of all handshakes begin, and of those that others start with us. */
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE], hash_with_us[WG_HASH_SIZE];
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
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
};

/* What the second half of a step needs of the first; the caller wipes it. */
struct noise_step {
	struct key remote_ephemeral; /* public, of the message that is read */
	struct key products[NOISE_JOBS_MAX];
};

/* An initiation of a peer while it is being read; the caller wipes it. */
struct noise_opening {
	uint32_t remote_index;
	struct key remote_ephemeral; /* public */
	struct key remote_static;    /* public; set by noise_open_finish */
	struct tai64n timestamp;     /* set by noise_read */
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
};

/* What is fresh in a message that we make. The second half of the step needs all of it. */
struct noise_fresh {
	struct key ephemeral; /* private, random */
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

/* Copies the private key (clamped) and derives the public one. 0, or -EINVAL for a bad key. */
int noise_identity_init(struct noise_identity *identity, const struct key *private_key)
	__attribute__((warn_unused_result));
void noise_identity_wipe(struct noise_identity *identity);

/* Copies the keys (preshared_key NULL = none) and precomputes the shared secret. A public key of
 * low order leaves the peer not usable: it never gets or causes a packet. */
void noise_peer_init(struct noise_peer *peer, const struct noise_identity *identity,
	const struct key *public_key, const struct key *preshared_key);

/* Again, after the private key changed. */
void noise_peer_precompute(struct noise_peer *peer, const struct noise_identity *identity);

/* Initiator: e, es. The peer is usable. */
unsigned noise_initiate_begin(struct noise_step *step, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct x25519_job *jobs);

/* e, es, s, ss, timestamp. Replaces a pending handshake. The macs of *message are left zero:
 * cookie_add_macs() sets them. */
int noise_initiate_finish(const struct noise_step *step, struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct wg_initiation *message)
	__attribute__((warn_unused_result));

/* Responder, stage one: es. */
unsigned noise_open_begin(struct noise_step *step, const struct noise_identity *identity,
	const struct wg_initiation *message, struct x25519_job *jobs);

/* e, es, s. */
int noise_open_finish(const struct noise_step *step, struct noise_opening *opening,
	const struct noise_identity *identity, const struct wg_initiation *message)
	__attribute__((warn_unused_result));

/* Stage two, with the peer whose key is opening->remote_static: ss, timestamp. */
int noise_read(struct noise_opening *opening, const struct noise_peer *peer,
	const struct wg_initiation *message) __attribute__((warn_unused_result));

/* Stage three: e, ee, se. Of *fresh the ephemeral key is needed already. */
unsigned noise_respond_begin(struct noise_step *step, const struct noise_opening *opening,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct x25519_job *jobs);

/* e, ee, se, psk; derives the keys. The macs are left zero. */
int noise_respond_finish(const struct noise_step *step, const struct noise_opening *opening,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct noise_answer *answer)
	__attribute__((warn_unused_result));

/* The initiator's end: ee, se. The handshake is pending. */
unsigned noise_conclude_begin(struct noise_step *step, const struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct wg_response *message,
	struct x25519_job *jobs);

/* Checks the response against the pending handshake and derives the keys; on success the handshake
 * is no longer pending and its local index belongs to the session. The handshake may have become
 * another one since the first half: then the response does not fit. */
int noise_conclude_finish(const struct noise_step *step, struct noise_handshake *handshake,
	const struct noise_peer *peer, const struct wg_response *message, struct noise_keys *keys)
	__attribute__((warn_unused_result));

void noise_handshake_wipe(struct noise_handshake *handshake);
void noise_opening_wipe(struct noise_opening *opening);
void noise_keys_wipe(struct noise_keys *keys);
