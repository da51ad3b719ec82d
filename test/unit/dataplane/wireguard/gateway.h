/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole data plane in a test, with one peer and one session whose keys are known (the benchmark's
 * rig): packets are put before wg_seal or on the wire, and what leaves is opened by libsodium, not
 * by the cipher that sealed it. One thread; the handshake thread does not run, its functions are
 * the test's to call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/bench/rig.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum { GATEWAY_FRAME_MAX = 2048, GATEWAY_OUTER = 28 };

extern struct rig gateway;
extern uint16_t gateway_client_port; /* from which datagrams come; RIG_CLIENT_PORT */
extern uint16_t gateway_port_in;     /* of ours, where they arrive; RIG_PORT_WAN */

/* What came out of `wan`: an outer packet and what it was around. */
struct gateway_sealed {
	uint8_t outer[GATEWAY_OUTER]; /* IPv4 and UDP */
	uint32_t receiver;
	uint64_t counter;
	uint8_t plain[GATEWAY_FRAME_MAX];
	size_t size; /* of the plaintext, padding included */
};

/* A group's set-up. The session's first packet, a keepalive, has been sent by then. */
int gateway_setup(void **state);

struct wg_peer *gateway_peer(void);

/* Puts an inner packet of these bytes before wg_seal. */
void gateway_put(const void *inner, uint16_t size);

/* Lets the graph run until all that was put has gone where it goes. */
void gateway_walk(void);

/* The next packet that left by `wan`, opened with this key; false = none. Fails the test if it is
 * no WireGuard data or does not authenticate. */
bool gateway_take(const uint8_t key[32], struct gateway_sealed *sealed);

/* A data message as the peer would send it, from the client's address; sizes without limit. */
struct gateway_message {
	uint32_t receiver;
	uint64_t counter;
	const void *plain;
	uint16_t size;
	uint8_t outer_tos;
	bool forged;
};
void gateway_arrive(const uint8_t key[32], const struct gateway_message *message);

/* Any UDP payload for the listen port. */
void gateway_arrive_bytes(const void *payload, uint16_t size, uint8_t outer_tos);

/* Frames that left by `inet`, freed; how many. The last one's bytes from layer 3 on go to `last`,
 * if that is not NULL. */
unsigned gateway_forwarded(uint8_t *last, size_t *size);
