/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that are meant to be dear, beside a stream that was there before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "test/unit/dataplane/flow/collide.h"
#include "test/unit/dataplane/flow/fakes.h"

enum {
	ATTACK = 100000,
	EVERY = 50, /* packets of the attack to one of the stream */
};

static struct flow_worker *w;

/* Packet n of an attack by peer 1; its role. */
static uint8_t attack(uint32_t n, struct packet_spec *spec)
{
	uint8_t tuple[COLLIDE_BYTES], role;
	const uint8_t *low = tuple + COLLIDE_LOW, *ports = tuple + COLLIDE_PORTS;
	char dst[46];
	struct rte_mbuf *mbuf;

	collide_tuple(tuple, n);
	snprintf(dst, sizeof(dst), "2001:db8:80:0:%02x%02x:%02x%02x:%02x%02x:%02x%02x", low[0],
		low[1], low[2], low[3], low[4], low[5], low[6], low[7]);
	memcpy(&spec->sport, ports, 2);
	memcpy(&spec->dport, ports + 2, 2);
	spec->dst = dst;
	mbuf = fake_packet(spec);
	role = fake_forward(w, mbuf);
	rte_pktmbuf_free(mbuf);
	return role;
}

/* The next packet of peer 2's stream: of a known flow, and sent from the port it always had. */
static uint16_t stream(const struct packet_spec *spec, bool known)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	struct packet_spec seen;
	char src[46], dst[46];
	uint8_t role;

	flow_worker_refresh(w, fake_copy, w->now_ms);
	flow_fast(w, &mbuf, 1, &role);
	assert_int_equal(role == FLOW_TO_SLOW, !known);
	if (!known)
		role = flow_slow(w, mbuf);
	assert_int_equal(role, GRAPH_SEND);
	fake_read(mbuf, &seen, src, dst);
	rte_pktmbuf_free(mbuf);
	return seen.sport;
}

/* 100,000 flows with one CRC32C: each of them is taken, twice, and the stream loses nothing. */
static void colliding_flows_beside_a_stream(void **state)
{
	struct packet_spec flood = {
		.ingress = 1, .src = "fd00::1", .proto = IPPROTO_UDP, .payload = 8};
	struct packet_spec good = {.ingress = 2,
		.src = "100.64.0.2",
		.dst = "203.0.113.9",
		.sport = 5000,
		.dport = 53,
		.proto = IPPROTO_UDP,
		.payload = 32};
	uint16_t port;

	fake_exit_node();
	w = fake_worker(2 * ATTACK);
	port = stream(&good, false);
	for (uint32_t n = 0; n < 2 * ATTACK; n++) {
		assert_int_equal(attack(n % ATTACK, &flood), GRAPH_SEND);
		if (n % EVERY == 0)
			assert_int_equal(stream(&good, true), port);
	}
	assert_int_equal(w->table.live, ATTACK + 1);
	assert_int_equal(w->peers[1].flows, ATTACK);
	for (size_t i = 0; i < sizeof(fake_drops) / sizeof(fake_drops[0]); i++)
		assert_int_equal(fake_drops[i], 0);
	flow_collect_all(w);
	assert_int_equal(w->peers[2].rx_packets, 1 + 2 * ATTACK / EVERY);
	assert_int_equal(w->peers[1].rx_packets, 2 * ATTACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(colliding_flows_beside_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
