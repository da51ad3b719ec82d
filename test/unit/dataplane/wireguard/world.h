/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What surrounds handshakes in tests: a node with its interface, peers, index table and keypairs
 * (rotated as the data plane must), whose messages land in an outbox. Clock, wall clock and
 * randomness are the test's.
 */
#pragma once

#include "dataplane/wireguard/handshake.h"

enum {
	WORLD_T0_MS = 1000000,
	WORLD_PEERS = 40,
	WORLD_INDEXES = 256,
	WORLD_OUTBOX = 128,
};

struct node_keypair {
	bool valid;
	struct noise_keys keys;
	uint64_t since_ms;
};

struct node_peer {
	struct handshake_peer hs; /* first: found back by a cast */
	struct timers_activity activity;
	bool used;
	bool endpoint_unknown;
	struct node_keypair current, next, previous;
	struct handshake_source roamed;
	unsigned roams, sessions, keepalives, clears, drops, zeroings;
};

struct node_message {
	uint8_t bytes[WG_INITIATION_SIZE];
	size_t size;
	struct node_peer *peer; /* NULL: a stranger */
	bool to_source;         /* answered to where it came from */
};

struct node {
	struct handshake *handshake;
	struct key private_key, public_key;
	struct node_peer peers[WORLD_PEERS];
	struct {
		uint32_t index;
		struct node_peer *peer; /* NULL = free */
	} indexes[WORLD_INDEXES];
	unsigned indexes_used;
	struct node_message outbox[WORLD_OUTBOX];
	unsigned sent;
	uint64_t now_ms; /* for keypairs; set by the test */
	struct timespec wall;
	uint64_t random_state;
	bool under_load;
	bool index_fails;
	bool keepalive_now; /* as initiator: something must be sent at once */
};

/* Keys by the seed. Fails the test if anything does. */
void node_init(struct node *node, uint8_t seed);
void node_fini(struct node *node);

/* Adds a peer in the first free place. */
struct node_peer *node_add_peer(
	struct node *node, const uint8_t public_key[KEY_SIZE], const struct key *preshared_key);

/* As the data plane does when an interface goes down. */
void node_drop_sessions(struct node *node, struct node_peer *peer);

/* The nth message sent, from 0; fails the test if there are fewer or its size is another. */
const uint8_t *node_sent(const struct node *node, unsigned n, size_t size);

/* 192.0.2.<host>:<port>, sent to 198.51.100.1. */
struct handshake_source source_of(uint8_t host, uint16_t port);

/* Delivers what `from` sent last to `to`, as from source_of(1, 51820). */
enum handshake_result node_deliver(const struct node *from, struct node *to, uint64_t now_ms);

/* True if a packet sealed with `sealed` can be opened with one of the peer's keypairs; the first
 * on "next" rotates it and raises TIMERS_CONFIRMED. */
bool node_open(struct node_peer *peer, const struct noise_keys *sealed);
