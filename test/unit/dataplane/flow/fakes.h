/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The world around the flow table, in place of routes, peers and ports: small tables that a test
 * fills in; packets made in mbufs of a real pool; a clock that stands still.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/api.h"
#include "common/base/addr.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/route/route.h"

enum {
	FAKE_PEERS = 64,
	FAKE_ROUTES = 32,
	FAKE_PORTS = 8, /* ids below this are ports */
	PORT_WAN = 1,
	PORT_LAN = 2,
	HOP_MAC = 7, /* the adjacency of every known neighbour: port * 100 + this */
};

struct fake_route {
	struct prefix prefix;
	uint32_t set;
	struct route_hop hop;
};

struct fake_owner {
	struct prefix prefix;
	uint32_t peer;
};

struct fake_peer {
	bool there;
	uint32_t set;
	uint16_t mtu;
	uint16_t home;
};

struct world {
	struct fake_route overlay[FAKE_ROUTES], underlay[FAKE_ROUTES];
	unsigned overlays, underlays;
	struct fake_owner allowed[FAKE_ROUTES];
	unsigned alloweds;
	struct fake_peer peer[FAKE_PEERS];
	struct addr local[8];
	unsigned locals;
	bool neigh_unknown;
	uint16_t neigh_unknown_on; /* a port; 0 = none */
	uint32_t generation;
	unsigned workers;
	uint32_t port_set[FAKE_PORTS];
};

extern struct world world;

/* EAL, pool, tables; once per program. */
void fake_start(void);

/* An empty world with the two ports, no peers. */
void fake_reset(void);

/* The usual one: peers 1, 2 (100.64.0.1/2, fd00::1/2) with set 1, exit to the internet through
 * 192.0.2.1 on the WAN masqueraded as 198.51.100.1 and 2001:db8::1; everything is allowed. */
void fake_exit_node(void);

/* NULL is no address. */
struct addr fake_addr(const char *text);

void fake_peer(uint32_t id, uint32_t set, const char *v4, const char *v6);
void fake_allow(uint32_t peer, const char *prefix);
struct route_hop *fake_route(uint32_t set, const char *prefix, uint8_t next, uint16_t flags);
struct route_hop *fake_underlay(const char *prefix, uint16_t port, const char *gateway);
void fake_local(const char *addr);
void fake_map(uint32_t peer, const char *seen, const char *real);

/* A transaction of one message through its feature's handlers, both passes; the copy that is read
 * changes. An enum api_code. */
int fake_apply(const void *message);
/* The same of a full configuration; messages without a handler here are passed over. */
int fake_apply_all(const struct api_header *const *messages, size_t n);
/* A full transaction without a message: every rule, pool and address goes. */
void fake_clear(void);
extern unsigned fake_copy;       /* that workers read */
extern unsigned fake_drops[256]; /* by reason, of what never reaches the drop node */
extern unsigned fake_expiries;   /* of published counters */

void fake_policy(uint32_t rule, uint32_t priority, uint32_t set, const char *dst, uint8_t proto,
	uint16_t flags, uint8_t verdict);
void fake_egress(uint16_t id, const char *addr, uint16_t first, uint16_t last);
void fake_pool(uint16_t pool, const uint16_t *ids, uint16_t n);
void fake_egress_rule(uint32_t rule, uint32_t set, uint16_t pool, const char *dst);
/* With flags; an enum api_code. */
int fake_egress_flags(uint32_t rule, uint32_t set, uint16_t pool, const char *dst, uint16_t flags);

/* Ports of `outside` to `inside`, from everyone or from one prefix. An enum api_code. */
int fake_forward_set(uint32_t id, uint8_t proto, const char *outside, uint16_t first, uint16_t last,
	const char *inside, uint16_t inside_first, const char *from);

struct packet_spec {
	uint32_t ingress;
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t proto;
	uint8_t tcp_flags;
	uint8_t icmp_type;
	uint8_t ttl;      /* 0 = 64 */
	uint16_t payload; /* bytes */
	uint16_t mss;     /* TCP option; 0 = none */
	uint16_t flags;   /* PACKET_* */
	bool no_checksum; /* UDP: zero */
	bool dont_fragment;
};

/* A packet with right checksums, parsed. */
struct rte_mbuf *fake_packet(const struct packet_spec *spec);

/* An ICMP error about `about` (its bytes as they are), from src to dst. */
struct rte_mbuf *fake_error(uint32_t ingress, const char *src, const char *dst, uint8_t type,
	uint8_t code, struct rte_mbuf *about);

/* Through the worker: fast, then slow if need be. Returns the role. */
uint8_t fake_forward(struct flow_worker *w, struct rte_mbuf *mbuf);

/* The same from worker to worker and, if hairpinned, in again, until it leaves or ends; handed
 * counts hand-offs, *at is the worker where that was. */
uint8_t fake_deliver(unsigned worker, struct rte_mbuf *mbuf, unsigned *at);
extern unsigned fake_handed;

struct flow_worker *fake_worker(uint32_t capacity);

/* All checksums of a packet computed slowly and compared. */
bool fake_checksums_right(struct rte_mbuf *mbuf);

/* The addresses and ports of a packet as it stands now, for comparisons. */
void fake_read(struct rte_mbuf *mbuf, struct packet_spec *spec, char src[46], char dst[46]);

const char *fake_drop_name(uint16_t reason);
