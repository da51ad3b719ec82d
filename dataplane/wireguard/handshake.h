/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshakes of one WireGuard interface: noise, cookies and timers tied together. Messages and due
 * times go in; messages, sessions and requests to the rest of the data plane come out through
 * struct handshake_ops. No threads, sockets, clocks or tables of its own.
 *
 * Multiplications on the curve are most of a handshake's cost, and eight at once cost little more
 * than one. So messages that are there together are received in one burst, and peers whose timers
 * are due together are run in one. What comes of a burst is what would have come of its messages
 * one after the other.
 *
 * Threads: everything here, and every callback, runs on the one handshake thread that owns the
 * interface, except the timers_activity of a peer, which workers share.
 *
 * Indexes: alloc_index() hands out a local index, unique over handshakes and sessions of the whole
 * process and random (index.h). It is ours until free_index(), or until session_derived() passes
 * it to the session, whose end then frees it.
 *
 * A peer's responder handshakes begin and end inside one burst, so they never touch
 * our own pending initiation: when both sides initiate at once, both handshakes succeed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/base/key.h"
#include "dataplane/wireguard/cookie.h"
#include "dataplane/wireguard/noise.h"
#include "dataplane/wireguard/tai64n.h"
#include "dataplane/wireguard/timers.h"

enum { HANDSHAKE_BURST = 32 }; /* handshakes whose multiplications are made together, at most */

/* Whence a packet came; an answer goes back the same way. */
struct handshake_source {
	struct endpoint remote;
	struct addr local;   /* the address it was sent to: "sticky source" */
	uint16_t local_port; /* the UDP port, likewise */
	uint16_t port;       /* the caller's port id; not looked at */
};

/* What became of a message: enum, counter name, text. */
#define HANDSHAKE_RESULTS(X)                                                                       \
	X(OK_INITIATION, "initiation", "initiation accepted and answered")                         \
	X(OK_RESPONSE, "response", "response accepted")                                            \
	X(OK_COOKIE, "cookie", "cookie reply accepted")                                            \
	X(COOKIE_SENT, "cookie_sent", "under load: cookie reply sent")                             \
	X(MALFORMED, "malformed", "not a handshake message, or of a wrong length")                 \
	X(NO_IDENTITY, "no_identity", "the interface has no private key")                          \
	X(BAD_MAC, "bad_mac", "mac1 is wrong")                                                     \
	X(RATE_LIMITED, "rate_limited", "under load: too many from this source")                   \
	X(BAD_INITIATION, "bad_initiation", "initiation does not authenticate")                    \
	X(UNKNOWN_PEER, "unknown_peer", "no peer has this public key")                             \
	X(REPLAYED, "replayed", "timestamp not later than the last")                               \
	X(FLOOD, "flood", "peer initiates more than 50 times a second")                            \
	X(UNKNOWN_INDEX, "unknown_index", "answers nothing of ours")                               \
	X(BAD_RESPONSE, "bad_response", "response does not authenticate")                          \
	X(BAD_COOKIE, "bad_cookie", "cookie reply unasked for or does not authenticate")           \
	X(NO_RESOURCE, "no_resource", "no index or memory")

#define HANDSHAKE_ENUM(name, counter, text) HANDSHAKE_##name,
enum handshake_result { HANDSHAKE_RESULTS(HANDSHAKE_ENUM) HANDSHAKE_RESULT_COUNT };
#undef HANDSHAKE_ENUM

/* Counter name and text of a result; constant strings. */
const char *handshake_result_name(enum handshake_result result);
const char *handshake_result_text(enum handshake_result result);

/* A UDP payload that arrived. */
struct handshake_message {
	const void *bytes;
	size_t length;
	struct handshake_source source;
	void *user; /* the caller's */
	/* Set by handshake_receive_burst(): whether it was worth multiplying for, and what became
	 * of it. */
	bool admitted;
	enum handshake_result result;
};

/* Embedded in the caller's peer; find it back with container_of or `user`. */
struct handshake_peer {
	struct noise_peer noise;
	struct noise_handshake pending; /* our initiation, if pending.pending */
	struct cookie_jar cookie;
	struct timers timers;
	struct timers_activity *activity; /* borrowed; shared with workers */
	struct tai64n received; /* greatest timestamp accepted: to be kept across restarts */
	struct tai64n sent;     /* greatest timestamp used: likewise */
	uint64_t initiation_received_ms;
	void *user;
};

/* All are required and get `context` first. */
struct handshake_ops {
	/* Sends a handshake message (traffic class WG_HANDSHAKE_DSCP), back to where `answered`
	 * came from; NULL: to the peer's present endpoint; not called so if has_endpoint() said
	 * no. `peer` NULL: a cookie reply to a stranger. The bytes are the callee's only during
	 * the call. */
	void (*send)(void *context, struct handshake_peer *peer,
		const struct handshake_message *answered, const void *message, size_t length);
	bool (*has_endpoint)(void *context, struct handshake_peer *peer);
	/* NULL if unknown. */
	struct handshake_peer *(*find_peer)(void *context, const struct key *public_key);
	/* By local index of a pending handshake or of a session; NULL if unknown. */
	struct handshake_peer *(*find_index)(void *context, uint32_t local_index);
	/* 0 or -errno. */
	int (*alloc_index)(void *context, struct handshake_peer *peer, uint32_t *local_index);
	void (*free_index)(void *context, uint32_t local_index);
	/* New keys; copy them. keys->initiator: they become current and something must be sent at
	 * once, staged packets or a keepalive, because the responder may not send before. Else they
	 * become "next", not sent with until the first packet arrives on them; then raise
	 * TIMERS_CONFIRMED. */
	void (*session_derived)(
		void *context, struct handshake_peer *peer, const struct noise_keys *keys);
	/* This initiation or response is authentic: where it came from is the peer's endpoint now.
	 * Called before anything is sent in answer. Never for cookie replies. */
	void (*roam)(void *context, struct handshake_peer *peer,
		const struct handshake_message *message);
	/* True: ask its source for a cookie. Local to the source or the queue, not one count of
	 * everybody's messages. */
	bool (*under_load)(void *context, const struct handshake_message *message);
	void (*send_keepalive)(void *context, struct handshake_peer *peer);
	void (*clear_source)(void *context, struct handshake_peer *peer);
	void (*drop_staged)(void *context, struct handshake_peer *peer);
	/* Destroy every session of the peer. */
	void (*zero_keys)(void *context, struct handshake_peer *peer);
	/* CLOCK_REALTIME, or a test's. */
	void (*wall_clock)(void *context, struct timespec *wall);
	/* Cryptographic randomness, or a test's. */
	void (*random)(void *context, void *bytes, size_t size);
};

struct handshake; /* opaque: one per interface */

/* Without an identity. ops is copied. NULL and *error (a negative errno) on failure. */
struct handshake *handshake_create(const struct handshake_ops *ops, void *context, int *error)
	__attribute__((warn_unused_result));

/* Peers are cleared by the caller before. Sets *handshake to NULL. */
void handshake_destroy(struct handshake **handshake);

/* NULL = none: then nothing is sent or answered. The caller then removes the peer whose key is our
 * own public key, if any, and calls handshake_peer_renew() for each of the others. 0, or -EINVAL
 * for a bad key: then the old identity stays. */
int handshake_set_private_key(struct handshake *handshake, const struct key *private_key)
	__attribute__((warn_unused_result));

/* Our public key, or NULL without an identity. */
const struct key *handshake_public_key(const struct handshake *handshake);

/* Sets the whole of *peer; preshared_key NULL = none; activity outlives the peer. 0, or -EINVAL if
 * the key is our own. A key of low order is accepted and stays silent for ever. */
int handshake_peer_init(struct handshake *handshake, struct handshake_peer *peer,
	const struct key *public_key, const struct key *preshared_key,
	struct timers_activity *activity) __attribute__((warn_unused_result));

/* Wipes the peer and frees its pending index; sessions are the caller's. */
void handshake_peer_clear(struct handshake *handshake, struct handshake_peer *peer);

/* NULL = none. Another key than before takes effect with the next handshake; one that is pending is
 * abandoned. */
void handshake_peer_set_preshared_key(
	struct handshake *handshake, struct handshake_peer *peer, const struct key *preshared_key);

/* After our private key changed: new shared secret, pending handshake abandoned, free to initiate
 * at once. The caller stops sending with the peer's sessions. */
void handshake_peer_renew(struct handshake *handshake, struct handshake_peer *peer);

/* Interface down: pending handshake and timers forgotten (the caller destroys sessions and drops
 * staged packets). Interface up again: timers_up(&peer->timers), then handshake_peer_run(). */
void handshake_peer_down(struct handshake *handshake, struct handshake_peer *peer);

/* Processes messages of type 1, 2 or 3 in their order, any number of them, and sets their results.
 * What costs little is done for all of them before what costs much is done for any: macs are
 * checked and cookies asked for first. now_ms is monotonic and above zero. */
void handshake_receive_burst(struct handshake *handshake, struct handshake_message *messages,
	unsigned count, uint64_t now_ms);

/* One of them. */
enum handshake_result handshake_receive(struct handshake *handshake, const void *message,
	size_t length, const struct handshake_source *source, uint64_t now_ms);

/* Runs the timers of up to HANDSHAKE_BURST peers, none of them twice, and does what they ask for.
 * due_ms[i]: when to come back to peers[i] at the latest. */
void handshake_run_burst(struct handshake *handshake, struct handshake_peer *const *peers,
	unsigned count, uint64_t now_ms, uint64_t *due_ms);

/* One of them. */
uint64_t handshake_peer_run(
	struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms);

/* Initiates as if a packet waited for a key: not more often than every 5 s. 0, or the reason why
 * nothing was sent: -EAGAIN (too soon), -EDESTADDRREQ, -EINVAL (low order), -ENOKEY (no identity),
 * or another negative errno. */
int handshake_initiate(struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms);
