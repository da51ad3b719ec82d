/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NAT's packets and their answers: the exit node's usual world, packets of its first peer, and
 * what became of them. Included by one source per program.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "common/api/egress.h"
#include "dataplane/nat/nat.h"
#include "test/unit/dataplane/flow/fakes.h"

#define WAN    (API_IDENT_PORT | PORT_WAN)
#define LAN    (API_IDENT_PORT | PORT_LAN)
#define PEER1  "100.64.0.1"
#define PEER2  "100.64.0.2"
#define V4     "198.51.100.1"
#define V6     "2001:db8::1"
#define REMOTE "203.0.113.9"
#define OTHER  "203.0.113.10"

enum { WORKERS = 3 }; /* where a test is about several */

static struct flow_worker *w; /* the first one */

/* A packet after it went through. */
struct out {
	uint8_t role;
	struct packet_spec seen;
	char src[46], dst[46];
	bool right; /* its checksums */
	uint32_t peer;
	unsigned at; /* the worker */
	const char *drop;
};

/* Peers 1 and 2 are at home at the workers of that number, if there are as many. */
static inline void set_up_on(unsigned workers)
{
	fake_exit_node();
	world.workers = workers;
	world.peer[1].home = (uint16_t)(1 % workers);
	world.peer[2].home = (uint16_t)(2 % workers);
	w = fake_worker(16384);
}

static inline int setup(void **state)
{
	set_up_on(1);
	return 0;
}

static inline int setup_workers(void **state)
{
	set_up_on(WORKERS);
	return 0;
}

/* The packet stays the caller's. */
static inline struct out run_mbuf(unsigned worker, struct rte_mbuf *mbuf)
{
	struct out out = {0};

	out.role = fake_deliver(worker, mbuf, &out.at);
	fake_read(mbuf, &out.seen, out.src, out.dst);
	out.right = fake_checksums_right(mbuf);
	out.peer = packet_of(mbuf)->peer;
	out.drop = fake_drop_name(packet_of(mbuf)->drop);
	return out;
}

static inline struct out run_at(unsigned worker, const struct packet_spec *spec)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	struct out out = run_mbuf(worker, mbuf);

	rte_pktmbuf_free(mbuf);
	return out;
}

static inline struct out run(const struct packet_spec *spec)
{
	return run_at(0, spec);
}

static inline struct packet_spec from_peer(
	uint8_t proto, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct packet_spec){.ingress = 1,
		.src = strchr(dst, ':') != NULL ? "fd00::1" : PEER1,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = proto == IPPROTO_ICMPV6 ? 128 : 8};
}

/* One of peer 1's or 2's, at the worker where that peer is at home. */
static inline struct out let_out(
	uint8_t proto, uint32_t peer, uint16_t sport, const char *dst, uint16_t dport)
{
	struct packet_spec spec = {.ingress = peer,
		.src = peer == 1 ? PEER1 : PEER2,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 5,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = 8};

	return run_at(world.peer[peer].home, &spec);
}

/* The answer to a packet as it came out, from where that was. */
static inline struct packet_spec answer_from(const struct out *out, uint32_t ingress)
{
	return (struct packet_spec){.ingress = ingress,
		.src = out->dst,
		.dst = out->src,
		.sport = out->seen.dport,
		.dport = out->seen.sport,
		.proto = out->seen.proto,
		.payload = 33,
		.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
		.icmp_type = out->seen.proto == IPPROTO_ICMPV6 ? 129 : 0};
}

/* The same from outside. */
static inline struct packet_spec answer_to(const struct out *out)
{
	return answer_from(out, WAN);
}

static inline void pass_time(uint32_t ms)
{
	w->now_ms += ms;
	while (flow_tend(w))
		;
}
