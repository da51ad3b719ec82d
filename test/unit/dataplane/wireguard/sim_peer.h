/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A WireGuard peer written a second time, from the paper, for tests only: it shares no code with
 * the product, down to its own BLAKE2s (RFC 7693). Where both were wrong in the same way, only a
 * foreign implementation would tell; that is what the end-to-end tests with real clients are for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SIM_INITIATION = 148,
	SIM_RESPONSE = 92,
	SIM_COOKIE = 64,
};

struct sim_peer {
	uint8_t private_key[32], public_key[32];
	uint8_t remote_key[32]; /* public key of the other end */
	uint8_t preshared_key[32];
	uint64_t seconds; /* the clock of its timestamps */
	uint32_t nanoseconds;
	uint32_t local_index, remote_index;
	/* handshake */
	uint8_t ephemeral[32], chain[32], hash[32];
	bool waiting;
	/* session */
	uint8_t send_key[32], receive_key[32];
	uint64_t counter;
	bool established;
	/* cookies */
	uint8_t cookie[16], last_mac1[16];
	bool has_cookie;
};

/* Keys by a seed, so that runs repeat. */
void sim_peer_init(struct sim_peer *sim, uint8_t seed);

/* Messages with both macs; the timestamp is the clock's. */
void sim_peer_initiate(struct sim_peer *sim, uint8_t out[SIM_INITIATION]);
bool sim_peer_answer(
	struct sim_peer *sim, const uint8_t in[SIM_INITIATION], uint8_t out[SIM_RESPONSE]);
bool sim_peer_finish(struct sim_peer *sim, const uint8_t in[SIM_RESPONSE]);
bool sim_peer_take_cookie(struct sim_peer *sim, const uint8_t in[SIM_COOKIE]);

/* As the responder under load: a cookie reply to `message`; cookie is what to hand out. */
void sim_peer_demand_cookie(const struct sim_peer *sim, const uint8_t *message, size_t size,
	const uint8_t cookie[16], uint8_t out[SIM_COOKIE]);
/* True if the mac2 of the message was made with this cookie. */
bool sim_peer_mac2_is(const uint8_t *message, size_t size, const uint8_t cookie[16]);

/* Sets the macs again after a test has changed the message. */
void sim_peer_add_macs(struct sim_peer *sim, uint8_t *message, size_t size);

/* The timestamp that sim_peer_answer() decrypted last is left here. */
extern uint8_t sim_peer_last_timestamp[12];

/* BLAKE2s; key_size 0 = no key. */
void sim_blake2s(uint8_t *out, size_t out_size, const void *key, size_t key_size, const void *in,
	size_t in_size);
