/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WireGuard interfaces and peers. Keys never travel in a message: the control process writes them
 * to a memfd, seals it, sends it over the Unix socket with a token, and messages name token and
 * index. The data plane reads each memfd once, wipes and closes it.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"
#include "common/base/key.h"

enum {
	API_WG_INTERFACE_MAX = 16, /* interface ids are 1..15; 0 = none */
	API_PEER_MAX = 1 << 20,    /* peer ids are 1..API_PEER_MAX - 1; 0 = none */
	API_SET_MAX = 1 << 16,     /* source sets; 0 = "any" in rules, "none" on an identity */
	API_TAI64N_SIZE = 12,
	API_WG_ALSO_LISTEN_MAX = 8, /* ports of an interface beside the first */
	API_PEER_HAS_PSK = 1 << 0,  /* flags of struct api_peer_set */
	API_PEER_INITIATE = 1 << 1, /* initiate at once after the first commit, paced */
	/* The endpoint is a name's address: a peer that has a session keeps the endpoint it was
	 * heard from, and goes to this one when a handshake is given up. */
	API_PEER_RETURN = 1 << 2,
};

/* Where a secret lies: 32 bytes at index in the memfd that was sent with this token. */
struct api_secret {
	uint64_t token; /* random, never 0; 0 = keep what the object has */
	uint32_t index;
	uint32_t zero;
};

struct api_wg_interface_set {
	struct api_header header;
	uint16_t interface;
	uint16_t listen_port;
	uint16_t mtu; /* inner, 1280..8920 */
	uint16_t zero;
	struct api_secret private_key;
	uint16_t also_listen[API_WG_ALSO_LISTEN_MAX]; /* further ports; 0 = none */
};

struct api_wg_interface_del {
	struct api_header header;
	uint16_t interface;
	uint16_t zero[3];
};

struct api_peer_set {
	struct api_header header;
	uint32_t peer;
	uint16_t interface;
	uint16_t persistent_keepalive; /* seconds, 0 = off */
	uint32_t set_id;               /* what the peer may reach is looked up by this */
	uint16_t mtu;                  /* inner MTU for this peer, 0 = the interface's */
	uint16_t flags;
	struct key public_key;
	struct api_secret preshared_key;          /* with API_PEER_HAS_PSK */
	struct endpoint endpoint;                 /* ADDR_NONE = unknown */
	uint8_t tai64n_received[API_TAI64N_SIZE]; /* greatest seen; zero = none */
	uint8_t tai64n_sent[API_TAI64N_SIZE];     /* ours start above it */
};

struct api_peer_del {
	struct api_header header;
	uint32_t peer;
	uint32_t zero;
};

/* A handshake completed, an endpoint changed or a mark rose; coalesced per peer. */
struct api_event_peer {
	struct api_header header;
	uint32_t peer;
	uint32_t zero;
	struct endpoint endpoint;
	uint64_t last_handshake_s; /* Unix time; 0 = never */
	uint8_t tai64n_received[API_TAI64N_SIZE];
	uint8_t tai64n_sent[API_TAI64N_SIZE]; /* reserved ahead: a restart starts above it */
};
