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
#define V4     "198.51.100.1"
#define V6     "2001:db8::1"
#define REMOTE "203.0.113.9"
#define OTHER  "203.0.113.10"

static struct flow_worker *w;

/* A packet after it went through. */
struct out {
	uint8_t role;
	struct packet_spec seen;
	char src[46], dst[46];
	bool right; /* its checksums */
	uint32_t peer;
	const char *drop;
};

static inline int setup(void **state)
{
	fake_exit_node();
	w = fake_worker(16384);
	return 0;
}

static inline struct out run(const struct packet_spec *spec)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	struct out out = {0};
	unsigned at;

	out.role = fake_deliver(0, mbuf, &at);
	fake_read(mbuf, &out.seen, out.src, out.dst);
	out.right = fake_checksums_right(mbuf);
	out.peer = packet_of(mbuf)->peer;
	out.drop = fake_drop_name(packet_of(mbuf)->drop);
	rte_pktmbuf_free(mbuf);
	return out;
}

static inline struct packet_spec from_peer(
	uint8_t proto, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct packet_spec){.ingress = 1,
		.src = strchr(dst, ':') != NULL ? "fd00::1" : "100.64.0.1",
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = proto == IPPROTO_ICMPV6 ? 128 : 8};
}

/* The answer to a packet as it went out. */
static inline struct packet_spec answer_to(const struct out *out)
{
	return (struct packet_spec){.ingress = WAN,
		.src = out->dst,
		.dst = out->src,
		.sport = out->seen.dport,
		.dport = out->seen.sport,
		.proto = out->seen.proto,
		.payload = 33,
		.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
		.icmp_type = out->seen.proto == IPPROTO_ICMPV6 ? 129 : 0};
}

static inline void pass_time(uint32_t ms)
{
	w->now_ms += ms;
	while (flow_tend(w))
		;
}
