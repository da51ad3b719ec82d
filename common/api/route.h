/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses of the gateway itself, neighbours, the two route tables, and allowed-IPs.
 *
 * Overlay table: what an identity (peer, port) may reach, by source set. An entry is keyed by
 * (prefix, set id); set id 0 holds for every set. The longest prefix that the source's set holds
 * wins. A prefix that somebody names but the source does not hold stays closed to exit routes
 * (API_ROUTE_EXIT): they lead to the internet only. API_NEXT_CLOSED names a prefix for nobody.
 *
 * Underlay table: the kernel's routes as mirrored by the control process (set id 0); it carries
 * the tunnels' own packets and whatever an overlay route sends to API_NEXT_UNDERLAY.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

/* An address of the host: on a port's twin, or on the overlay interface (port 0). */
struct api_local_set {
	struct api_header header;
	struct addr addr;
	uint16_t port;
	uint16_t zero;
};

struct api_local_del {
	struct api_header header;
	struct addr addr;
	uint32_t zero;
};

struct api_neigh_set {
	struct api_header header;
	struct addr addr;
	uint16_t port;
	uint8_t mac[6];
	uint32_t zero;
};

struct api_neigh_del {
	struct api_header header;
	struct addr addr;
	uint16_t port;
	uint16_t zero;
};

enum api_route_table {
	API_TABLE_OVERLAY = 0,
	API_TABLE_UNDERLAY = 1,
};

enum api_next {
	API_NEXT_CLOSED = 0,   /* no next hop: an exit route must not lead here */
	API_NEXT_PEER = 1,     /* through the tunnel of `peer` */
	API_NEXT_PORT = 2,     /* out of `port`, by `gateway`, or on-link if that is ADDR_NONE */
	API_NEXT_UNDERLAY = 3, /* overlay only: look the destination up in the underlay table */
	API_NEXT_HOST = 4,     /* to the kernel */
};

enum {
	API_ROUTE_MASQUERADE = 1 << 0, /* sources are replaced by an egress address */
	API_ROUTE_EXIT = 1 << 1,       /* leads to the internet only (features.md X9) */
	API_ROUTE_OVERLAY = 1 << 2,    /* the overlay's own: never a source on a plain port */
};

struct api_route_set {
	struct api_header header;
	struct prefix prefix;
	uint8_t table; /* enum api_route_table */
	uint8_t next;  /* enum api_next */
	uint16_t port;
	uint32_t set_id; /* 0 = any */
	uint32_t peer;
	struct addr gateway;
	uint16_t flags;
	uint16_t zero;
	uint32_t route_id; /* whose counters this entry feeds; 0 = none */
	uint32_t metric;   /* informative: control sends only the entry in force */
};

struct api_route_del {
	struct api_header header;
	struct prefix prefix;
	uint8_t table;
	uint8_t zero[3];
	uint32_t set_id;
	uint32_t zero2;
};

/* The peer may send from this prefix; several peers may own one prefix (routing peers). */
struct api_allowed_set {
	struct api_header header;
	struct prefix prefix;
	uint32_t peer;
};

struct api_allowed_del {
	struct api_header header;
	struct prefix prefix;
	uint32_t peer;
};

/* The data plane wants to send to addr on port and has no neighbour; rate limited per address. */
struct api_event_neigh {
	struct api_header header;
	struct addr addr;
	uint16_t port;
	uint16_t zero;
};
