/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of handshake.h share: handshake.c holds identity and peers, handshake_initiate.c
 * what we start, handshake_admit.c and handshake_receive.c what arrives.
 */
#pragma once

#include "dataplane/wireguard/handshake.h"
#include "dataplane/wireguard/ratelimit.h"

struct handshake {
	struct handshake_ops ops;
	void *context;
	struct ratelimit *ratelimit;
	struct noise_identity identity;
	struct cookie_checker checker;
	uint64_t jitter_state; /* 0 = not seeded yet */
	bool has_identity;
};

/* Forgets our pending initiation, if there is one, and frees its index. */
void handshake_abandon(struct handshake *handshake, struct handshake_peer *peer);

/* Whether a message may cost multiplications, by its form, its macs and the load. False: its result
 * is set, and if it deserves a cookie it has got one. */
bool handshake_admit(
	struct handshake *handshake, struct handshake_message *message, uint64_t now_ms);
