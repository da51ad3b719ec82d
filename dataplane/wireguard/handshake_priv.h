/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two halves of handshake.h share: handshake.c holds identity, peers and what we start,
 * handshake_receive.c what arrives.
 */
#pragma once

#include "dataplane/wireguard/blake2s.h"
#include "dataplane/wireguard/ephemerals.h"
#include "dataplane/wireguard/handshake.h"
#include "dataplane/wireguard/ratelimit.h"

struct handshake {
	struct handshake_ops ops;
	void *context;
	struct blake2s *blake2s;
	struct ratelimit *ratelimit;
	struct noise_identity identity;
	struct cookie_checker checker;
	struct ephemerals ephemerals;
	uint64_t jitter_state; /* 0 = not seeded yet */
	bool has_identity;
};

/* Ephemeral key and local index of a message to be made; the index is the caller's to free. */
int handshake_make_fresh(struct handshake *handshake, struct handshake_peer *peer,
	struct noise_fresh *fresh) __attribute__((warn_unused_result));

/* Forgets our pending initiation, if there is one, and frees its index. */
void handshake_abandon(struct handshake *handshake, struct handshake_peer *peer);
