/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WireGuard peers behind one memif port of a gateway, simulated by code that shares none with the
 * product (sim_peer.c), and a host on another port that sends back what they send it. One thread.
 *
 * Packets count as sent when the ring has taken them, and at most WINDOW of the stream are under
 * way: then what is missing at the end was lost by the gateway.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "test/e2e/tools/memif_host.h"
#include "test/unit/dataplane/wireguard/sim_peer.h"

struct session {
	uint8_t send[32], receive[32];
	uint32_t local, remote;
	uint64_t counter;
	uint64_t newest; /* received, plus one */
};

struct peer {
	struct sim_peer sim;
	struct session now, before;
	unsigned sessions, wanted; /* how many it has had, and shall have */
	unsigned attempts, cookies;
	uint32_t ip; /* from which it sends; 0 = host a's */
	uint64_t asked_ns;
	uint64_t sent, at_host, back; /* the next number in each place */
};

struct world {
	struct memif_host a, b;
	struct peer *peers;
	unsigned count;
	uint8_t gateway_key[32];
	uint64_t sent, at_host, back, disordered, strange; /* of the stream */
	uint64_t latest;     /* how far a packet was behind the newest of its session, at most */
	uint64_t replies;    /* cookie replies, to whomever */
	uint64_t valid, bad; /* of the flood: mac1 */
};

extern struct world world;

/* Peer n; its keys are made of its number. world.gateway_key is set. */
void peer_make(struct peer *peer, uint32_t number);

/* A message from any address to the gateway's listen port; false if the ring has no room. */
bool message_send(uint32_t source, uint16_t port, const void *payload, uint16_t size);
void peer_initiate(struct peer *peer);
/* The next datagram of the peer's stream; false if it has no session, or there is no room. */
bool peer_send_stream(struct peer *peer);

/* Takes what has come to both hosts. */
void world_poll(void);
