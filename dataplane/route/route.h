/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where packets go: overlay routes by source set, underlay routes, allowed-IPs, the gateway's own
 * addresses, and neighbours (adjacencies). Left-right tables: pass worker_self()->copy, or
 * tables_active() on another reader. Looked up on a flow's first packet, not per packet.
 */
#pragma once

#include <rte_ether.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/api/route.h"

struct route_hop {
	uint8_t next;   /* enum api_next; never API_NEXT_CLOSED */
	uint8_t length; /* of the prefix that won */
	uint16_t flags; /* API_ROUTE_* */
	uint16_t port;  /* API_NEXT_PORT */
	uint32_t peer;  /* API_NEXT_PEER */
	uint32_t route_id;
	struct addr gateway; /* ADDR_NONE = on-link */
};

enum route_status {
	ROUTE_FOUND,
	ROUTE_NONE,   /* nothing that this set holds covers the destination */
	ROUTE_CLOSED, /* only an exit route does, and the destination is not the internet's */
};

/* The longest prefix among those that `set` (and set 0) holds. */
enum route_status route_overlay(
	unsigned copy, uint32_t set, const struct addr *dst, struct route_hop *hop);

/* True if addr lies in a prefix of the overlay itself (API_ROUTE_OVERLAY), given out or not. */
bool route_is_overlay(unsigned copy, const struct addr *addr);

/* True if packets to addr are masqueraded, for whichever set, on their way to a peer that owns it:
 * then what comes from there may be answers to them. */
bool route_is_masked(unsigned copy, const struct addr *addr);

/* Underlay; false if there is no route. hop->next is API_NEXT_PORT or API_NEXT_HOST. */
bool route_underlay(unsigned copy, const struct addr *dst, struct route_hop *hop);

/* True if the longest allowed-IPs prefix that covers src has this peer among its owners. */
bool allowed_has(unsigned copy, uint32_t peer, const struct addr *src);

/* The lowest peer id among the owners of the longest prefix covering addr; 0 if none. The
 * half-internet prefixes (length 0 and 1) do not count. */
uint32_t allowed_owner(unsigned copy, const struct addr *addr);

/* The ends of a packet whose flow is about to be judged. */
struct route_ahead {
	struct addr src, dst;
	bool from_peer;
};

enum { ROUTE_AHEAD_MAX = 32 };

/* Is there a table so large that looking ahead in it saves more than it costs? */
bool route_is_large(unsigned copy);

/* Has the memory that their lookups in large tables will read come, for all of them at once. */
void route_look_ahead(unsigned copy, const struct route_ahead *ends, unsigned n);

/* True if addr belongs to the gateway's kernel; *port its port, 0 = the overlay interface. */
bool local_has(unsigned copy, const struct addr *addr, uint16_t *port);

/* A source address of the gateway on this port, for packets of its own (ICMP errors, tunnels):
 * false if the port has none of the family. */
bool local_source(unsigned copy, uint16_t port, uint8_t family, struct addr *out);

/*
 * The adjacency of a neighbour, or 0 if it is unknown: then the control process is asked for it
 * (rate limited) and the packet should be dropped. An id stays valid, and follows changes of the
 * MAC address, until the neighbour is deleted and a grace period has passed; flows are judged
 * anew then. Workers and the handshake thread.
 */
uint32_t neigh_find(unsigned copy, uint16_t port, const struct addr *addr);

/* The destination MAC of an adjacency; false if it went away. */
bool neigh_mac(uint32_t adjacency, struct rte_ether_addr *mac);

/*
 * Rises with every commit that touched routes, allowed-IPs, local addresses or neighbours' ids;
 * the same number covers policy and egress: flows judged under another one are judged anew.
 */
uint32_t judge_generation(void);
void judge_generation_bump(void); /* main thread, from a handler group's end() */
