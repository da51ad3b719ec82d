/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments of the tunnels' own packets are put together before they are opened: those of UDP to a
 * port that the data plane serves itself, at an address of the gateway. Others go on in pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_common.h>

#include "dataplane/graph/graph.h"
#include "dataplane/port/port.h"
#include "test/unit/dataplane/flow/pieces.h"

enum { LISTEN = 51820, STEP = 640, HELD_MAX = 256, HELD_PER_SOURCE = 48 };

static struct packet_spec message(bool v6)
{
	return (struct packet_spec){.ingress = WAN,
		.src = v6 ? "2001:db8:9::9" : "203.0.113.9",
		.dst = v6 ? V6 : V4,
		.sport = 40000,
		.dport = LISTEN,
		.proto = IPPROTO_UDP,
		.payload = 1448};
}

static int setup_outer(void **state)
{
	setup(state);
	fake_local(V4);
	fake_local(V6);
	graph_udp_roles[LISTEN] = GRAPH_OPEN;
	return 0;
}

static int teardown_outer(void **state)
{
	graph_udp_roles[LISTEN] = GRAPH_FORWARD;
	return teardown(state);
}

/* All pieces in this order: one packet comes out, byte for byte, with its layer-2 header. */
static void pass_whole(bool v6, const unsigned *order, unsigned n, unsigned step)
{
	struct packet_spec spec = message(v6);
	struct rte_mbuf *whole = fake_packet(&spec);

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *piece = cut(whole, order[i] * step, step, 77);

		assert_int_equal(outs, 0);
		memcpy(rte_pktmbuf_mtod(piece, uint8_t *) - 14, "destinsource\x08\x00", 14);
		packet_of(piece)->l2_len = 14;
		packet_of(piece)->port_in = PORT_WAN;
		forward(piece);
	}
	assert_int_equal(outs, 1);
	assert_int_equal(roles[0], GRAPH_OPEN);
	assert_int_equal(rte_pktmbuf_data_len(out[0]), rte_pktmbuf_data_len(whole));
	if (!v6) /* the identification is the fragments' */
		memcpy(rte_pktmbuf_mtod(whole, uint8_t *) + 4,
			rte_pktmbuf_mtod(out[0], uint8_t *) + 4, 2);
	if (!v6)
		sum_header(rte_pktmbuf_mtod(whole, uint8_t *));
	assert_memory_equal(rte_pktmbuf_mtod(out[0], void *), rte_pktmbuf_mtod(whole, void *),
		rte_pktmbuf_data_len(whole));
	assert_memory_equal(rte_pktmbuf_mtod(out[0], uint8_t *) - 14, "destinsource\x08\x00", 14);
	assert_int_equal(packet_of(out[0])->flags, 0);
	assert_int_equal(packet_of(out[0])->dport, LISTEN);
	assert_int_equal(packet_of(out[0])->port_in, PORT_WAN);
	assert_int_equal(packet_of(out[0])->l4, v6 ? 40 : 20);
	rte_pktmbuf_free(whole);
	clear();
}

static void whole_in_any_order(void **state)
{
	static const unsigned orders[][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	unsigned before = rte_mempool_in_use_count(packet_pool());

	for (unsigned i = 0; i < 12; i++)
		pass_whole(i % 2, orders[i / 2], 3, STEP);
	assert_int_equal(w->table.live, 0);
	assert_int_equal(rte_mempool_in_use_count(packet_pool()), before);
}

/* 1,456 bytes in steps of 32: as many pieces as one source may have. */
static void many_small_pieces(void **state)
{
	unsigned order[46];

	for (unsigned i = 0; i < 46; i++)
		order[i] = 45 - i;
	pass_whole(false, order, 46, 32);
	pass_whole(true, order, 46, 32);
}

static unsigned count_held(struct rte_mbuf *sample, unsigned held)
{
	return rte_mempool_in_use_count(sample->pool) - held;
}

/* Overlapping bytes: nothing of the datagram is taken (RFC 5722), the next one is. */
static void overlap_ends_it(void **state)
{
	static const unsigned rest[] = {0, 1, 2};
	struct packet_spec spec = message(false);
	struct rte_mbuf *whole = fake_packet(&spec);
	unsigned before = rte_mempool_in_use_count(whole->pool);

	forward(cut(whole, 0, STEP, 7));
	forward(cut(whole, STEP, STEP, 7));
	assert_int_equal(outs, 0);
	forward(cut(whole, STEP - 8, 64, 7));
	assert_int_equal(outs, 1);
	assert_string_equal(fake_drop_name(packet_of(out[0])->drop), "fragment_overlap");
	clear();
	assert_int_equal(count_held(whole, before), 0);
	forward(cut(whole, 2 * STEP, STEP, 7));
	assert_int_equal(outs, 0);
	rte_pktmbuf_free(whole);
	pass_whole(false, rest, 3, STEP);
}

/* Pieces of datagrams that never become whole: bounded per source and in all, gone after two
 * seconds, and no bother to what peers send in pieces. */
static void flood_is_bounded(void **state)
{
	struct packet_spec spec = message(false), peers;
	struct rte_mbuf *whole = fake_packet(&spec), *sample;
	unsigned before = rte_mempool_in_use_count(whole->pool);

	for (uint16_t id = 0; id < 3000; id++) {
		forward(cut(whole, 0, 8, id));
		clear();
	}
	assert_true(count_held(whole, before) <= HELD_PER_SOURCE);
	for (uint16_t id = 0; id < 3000; id++) {
		struct rte_mbuf *piece = cut(whole, id % 2 ? 0 : STEP, STEP, id);
		uint8_t *ip = rte_pktmbuf_mtod(piece, uint8_t *);

		ip[14] = (uint8_t)(id >> 8);
		ip[15] = (uint8_t)id;
		sum_header(ip);
		forward(piece);
		clear();
	}
	assert_true(count_held(whole, before) <= HELD_MAX);
	peers = message(false);
	peers.ingress = 1;
	peers.src = "100.64.0.1";
	peers.dst = "203.0.113.9";
	peers.dport = 9;
	sample = fake_packet(&peers);
	forward(cut(sample, 2 * STEP, STEP, 1));
	forward(cut(sample, STEP, STEP, 1));
	assert_int_equal(outs, 0);
	forward(cut(sample, 0, STEP, 1));
	assert_int_equal(outs, 3);
	clear();
	rte_pktmbuf_free(sample);
	w->now_ms += 2000;
	while (flow_tend(w))
		;
	assert_int_equal(count_held(whole, before), 0);
	rte_pktmbuf_free(whole);
	pass_whole(false, (const unsigned[]){2, 1, 0}, 3, STEP);
}

/* Only what the gateway itself is to open: others' datagrams go on in pieces, or are refused so. */
static void others_stay_in_pieces(void **state)
{
	struct packet_spec specs[3] = {message(false), message(false), message(false)};

	specs[0].ingress = 1; /* a peer, to somebody's WireGuard on the internet */
	specs[0].src = "100.64.0.1";
	specs[0].dst = "203.0.113.9";
	specs[1].dport = LISTEN + 1;
	specs[2].dst = "198.51.100.77"; /* not the gateway's */
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *whole = fake_packet(&specs[i]);

		for (unsigned k = 0; k < 3; k++)
			forward(cut(whole, k * STEP, STEP, 7));
		assert_int_equal(outs, 3);
		for (unsigned k = 0; k < 3; k++)
			assert_int_not_equal(roles[k], GRAPH_OPEN);
		rte_pktmbuf_free(whole);
		clear();
	}
}

/* Wherever they arrive. */
static void workers_meet(void **state)
{
	struct packet_spec spec = message(true);
	struct rte_mbuf *whole = fake_packet(&spec);

	world.workers = 3;
	w = fake_worker(4096);
	for (unsigned i = 0; i < 3; i++)
		forward_on(flow_worker_get(i), cut(whole, i * STEP, STEP, 5));
	assert_int_equal(outs, 1);
	assert_int_equal(roles[0], GRAPH_OPEN);
	assert_int_equal(packet_of(out[0])->flags, 0); /* it may be handed over again */
	rte_pktmbuf_free(whole);
	world.workers = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_in_any_order, setup_outer, teardown_outer),
		cmocka_unit_test_setup_teardown(many_small_pieces, setup_outer, teardown_outer),
		cmocka_unit_test_setup_teardown(overlap_ends_it, setup_outer, teardown_outer),
		cmocka_unit_test_setup_teardown(flood_is_bounded, setup_outer, teardown_outer),
		cmocka_unit_test_setup_teardown(others_stay_in_pieces, setup_outer, teardown_outer),
		cmocka_unit_test_setup_teardown(workers_meet, setup_outer, teardown_outer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
