/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fragments through the flows and the NAT. Names start with the requirement's number in
 * docs/conformance/nat.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_common.h>

#include "common/api/flow.h"
#include "test/unit/dataplane/flow/pieces.h"

static struct packet_spec udp(bool v6, uint16_t payload)
{
	return (struct packet_spec){.ingress = 1,
		.src = v6 ? "fd00::1" : "100.64.0.1",
		.dst = v6 ? "2001:db8:9::9" : "203.0.113.9",
		.sport = 4000,
		.dport = 5000,
		.proto = IPPROTO_UDP,
		.payload = payload};
}

/* A flow out of the exit node, and what answers to it look like. */
static struct packet_spec open_flow(bool v6)
{
	struct packet_spec spec = udp(v6, 20), seen;
	char src[46], dst[46];

	forward(fake_packet(&spec));
	assert_int_equal(roles[0], GRAPH_SEND);
	fake_read(out[0], &seen, src, dst);
	clear();
	spec.ingress = WAN;
	spec.src = v6 ? "2001:db8:9::9" : "203.0.113.9";
	spec.dst = v6 ? V6 : V4;
	spec.sport = 5000;
	spec.dport = seen.sport;
	spec.payload = PAYLOAD;
	return spec;
}

/* The three pieces of a packet in this order; what comes out is right and goes to `role`. */
static void pass_pieces(const struct packet_spec *spec, const unsigned order[3], uint8_t role,
	const char *src, const char *dst)
{
	struct rte_mbuf *whole = fake_packet(spec), *again;
	struct packet_spec seen;
	char from[46], to[46];

	for (unsigned i = 0; i < 3; i++) {
		forward(cut(whole, order[i] * 640, 640, 77));
		if (order[i] != 0 && i == 0)
			assert_int_equal(outs, 0);
	}
	assert_int_equal(outs, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(roles[i], role);
	assert_true((packet_of(out[0])->flags & PACKET_FIRST_FRAGMENT) != 0);
	again = join(out, 3);
	assert_true(fake_checksums_right(again));
	fake_read(again, &seen, from, to);
	assert_string_equal(from, src);
	assert_string_equal(to, dst);
	assert_int_equal(seen.ttl, 63);
	assert_memory_equal(rte_pktmbuf_mtod_offset(again, void *, header_of(again) + 8),
		rte_pktmbuf_mtod_offset(whole, void *, header_of(whole) + 8), spec->payload);
	rte_pktmbuf_free(again);
	rte_pktmbuf_free(whole);
	clear();
}

static void pass_both_ways(const unsigned order[3])
{
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct packet_spec back = open_flow(v6), there = udp(v6, PAYLOAD);

		pass_pieces(&there, order, GRAPH_SEND, v6 ? V6 : V4, there.dst);
		pass_pieces(&back, order, GRAPH_SEAL, back.src, v6 ? "fd00::1" : "100.64.0.1");
	}
}

static void u14_fragments_in_order(void **state)
{
	pass_both_ways((const unsigned[]){0, 1, 2});
}

static void u14_fragments_out_of_order(void **state)
{
	pass_both_ways((const unsigned[]){2, 1, 0});
	pass_both_ways((const unsigned[]){1, 0, 2});
}

/* The first fragment may open the flow. */
static void u14_fragments_open_a_flow(void **state)
{
	struct packet_spec spec = udp(false, PAYLOAD);

	pass_pieces(&spec, (const unsigned[]){2, 0, 1}, GRAPH_SEND, V4, spec.dst);
	assert_int_equal(w->table.live, 1);
}

static void pass_time(uint32_t ms)
{
	w->now_ms += ms;
	while (flow_tend(w))
		;
}

/* U14a: per source, per worker, for two seconds; other packets do not notice. */
static void u14a_waiting_is_bounded(void **state)
{
	struct packet_spec back = open_flow(false), small = back;
	struct rte_mbuf *whole = fake_packet(&back);
	uint8_t *src = rte_pktmbuf_mtod_offset(whole, uint8_t *, 12);
	unsigned before = rte_mempool_avail_count(whole->pool), refused = 0;

	small.payload = 20;
	for (unsigned i = 0; i < 60; i++)
		forward(cut(whole, 640, 640, (uint16_t)i));
	assert_int_equal(outs, 60 - 48);
	for (unsigned i = 0; i < outs; i++)
		assert_string_equal(fake_drop_name(packet_of(out[i])->drop), "fragment_full");
	clear();
	for (unsigned i = 0; i < 400; i++) {
		src[3] = (uint8_t)i;
		src[2] = (uint8_t)(i >> 8);
		forward(cut(whole, 640, 640, 5));
		refused += outs;
		clear();
	}
	assert_int_equal(before - rte_mempool_avail_count(whole->pool), 256);
	assert_int_equal(refused, 400 - (256 - 48));
	forward(fake_packet(&small));
	assert_int_equal(roles[0], GRAPH_SEAL);
	clear();
	pass_time(1999);
	assert_int_equal(fake_drops[DROP(flow, FRAGMENT_LATE)], 0);
	pass_time(1);
	assert_int_equal(fake_drops[DROP(flow, FRAGMENT_LATE)], 256);
	assert_int_equal(before, rte_mempool_avail_count(whole->pool));
	rte_pktmbuf_free(whole);
}

/* U14a: who sends first fragments only drives out none but his own kind. */
static void u14a_entries_are_bounded(void **state)
{
	struct packet_spec back = open_flow(false), there = udp(false, PAYLOAD);
	struct rte_mbuf *flood = fake_packet(&back), *whole = fake_packet(&there);

	forward(cut(whole, 0, 640, 9));
	for (unsigned i = 0; i < 5000; i++) {
		forward(cut(flood, 0, 640, (uint16_t)i));
		rte_pktmbuf_free(out[--outs]);
	}
	forward(cut(whole, 640, 640, 9));
	forward(cut(whole, 1280, 640, 9));
	assert_int_equal(outs, 3);
	assert_int_equal(roles[2], GRAPH_SEND);
	rte_pktmbuf_free(flood);
	rte_pktmbuf_free(whole);
}

static const char *dropped(struct rte_mbuf *mbuf)
{
	const char *name;

	forward(mbuf);
	assert_int_equal(outs, 1);
	name = roles[0] == GRAPH_DROP ? fake_drop_name(packet_of(out[0])->drop) : "passed";
	clear();
	return name;
}

static void u14a_overlaps_are_dropped(void **state)
{
	struct packet_spec spec = udp(false, PAYLOAD);
	struct rte_mbuf *whole = fake_packet(&spec);

	assert_string_equal(dropped(cut(whole, 0, 640, 7)), "passed");
	assert_string_equal(dropped(cut(whole, 0, 640, 7)), "fragment_overlap");
	assert_string_equal(dropped(cut(whole, 8, 64, 7)), "fragment_overlap");
	assert_string_equal(dropped(cut(whole, 632, 64, 7)), "fragment_overlap");
	assert_string_equal(dropped(cut(whole, 1280, 640, 7)), "passed");
	assert_string_equal(dropped(cut(whole, 640, 648, 7)), "fragment_overlap");
	assert_string_equal(dropped(cut(whole, 640, 640, 7)), "passed");
	rte_pktmbuf_free(whole);
}

/* A later fragment is nobody's: of another sender, protocol or identification. */
static void u14_strangers_do_not_follow(void **state)
{
	struct packet_spec spec = udp(false, PAYLOAD);
	struct rte_mbuf *whole = fake_packet(&spec), *other;

	assert_string_equal(dropped(cut(whole, 0, 640, 7)), "passed");
	other = cut(whole, 640, 640, 7);
	packet_of(other)->ingress = 2;
	forward(other);
	forward(cut(whole, 640, 640, 8));
	assert_int_equal(outs, 0);
	rte_pktmbuf_free(whole);
}

/* Of a first fragment that was refused the others go nowhere either. */
static void refused_fragments_are_dropped(void **state)
{
	struct packet_spec spec = udp(false, PAYLOAD);
	struct rte_mbuf *whole;

	spec.src = "100.64.0.2"; /* peer 2's */
	whole = fake_packet(&spec);
	assert_string_equal(dropped(cut(whole, 0, 640, 7)), "spoofed_inner");
	assert_string_equal(dropped(cut(whole, 640, 640, 7)), "fragment");
	assert_int_equal(w->table.live, 0);
	rte_pktmbuf_free(whole);
}

static uint16_t id_of(struct rte_mbuf *mbuf)
{
	return (uint16_t)load16(rte_pktmbuf_mtod(mbuf, const uint8_t *) + 4);
}

/* B12: two inside hosts with the same identification do not collide outside. */
static void b12_identification_is_ours(void **state)
{
	struct packet_spec one = udp(false, PAYLOAD), two = one;
	struct rte_mbuf *first = fake_packet(&one), *second;

	two.ingress = 2;
	two.src = "100.64.0.2";
	second = fake_packet(&two);
	forward(cut(first, 0, 640, 7));
	forward(cut(second, 0, 640, 7));
	forward(cut(first, 640, 1280, 7));
	forward(cut(second, 640, 1280, 7));
	assert_int_equal(outs, 4);
	assert_int_equal(id_of(out[0]), id_of(out[2]));
	assert_int_equal(id_of(out[1]), id_of(out[3]));
	assert_int_not_equal(id_of(out[0]), id_of(out[1]));
	rte_pktmbuf_free(first);
	rte_pktmbuf_free(second);
}

/* U13a: what is too big for the way out is cut if it may be, in order. */
static void u13a_cut_without_df(void **state)
{
	struct packet_spec back = open_flow(false), seen;
	struct rte_mbuf *again;
	char src[46], dst[46];

	back.payload = 1999;
	forward(fake_packet(&back));
	assert_int_equal(outs, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(roles[i], GRAPH_SEAL);
		assert_int_equal(packet_of(out[i])->peer, 1);
		assert_true(rte_pktmbuf_data_len(out[i]) <= 1420);
		assert_int_equal(packet_parse(out[i]), 0);
	}
	again = join(out, 2);
	assert_true(fake_checksums_right(again));
	fake_read(again, &seen, src, dst);
	assert_string_equal(dst, "100.64.0.1");
	rte_pktmbuf_free(again);
	clear();
	back.dont_fragment = true;
	forward(fake_packet(&back));
	assert_int_equal(outs, 1);
	assert_int_equal(roles[0], GRAPH_ICMP);
	clear();
	back = open_flow(true);
	forward(fake_packet(&back));
	assert_int_equal(roles[0], GRAPH_ICMP);
}

/* U13a: fragments are cut again. */
static void u13a_fragments_are_cut_again(void **state)
{
	struct packet_spec back = open_flow(false);
	struct rte_mbuf *whole = fake_packet(&back), *again;

	world.peer[1].mtu = 576;
	world.generation++;
	forward(cut(whole, 640, 640, 7));
	forward(cut(whole, 0, 640, 7));
	forward(cut(whole, 1280, 640, 7));
	assert_int_equal(outs, 6);
	for (unsigned i = 0; i < outs; i++)
		assert_true(rte_pktmbuf_data_len(out[i]) <= 576);
	again = join(out, outs);
	assert_true(fake_checksums_right(again));
	rte_pktmbuf_free(again);
	rte_pktmbuf_free(whole);
}

/* Wherever the pieces of an answer arrive, they meet, and go home to the flow. */
static void fragments_meet_on_one_worker(void **state)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};
	struct packet_spec back;
	struct rte_mbuf *whole;

	world.workers = 3;
	world.peer[1].home = 1;
	w = fake_worker(4096);
	back = open_flow(false);
	whole = fake_packet(&back);
	for (unsigned i = 0; i < 9; i++) {
		struct rte_mbuf *again;

		for (unsigned k = 0; k < 3; k++)
			forward_on(flow_worker_get((i + k) % 3),
				cut(whole, orders[i / 3][k] * 640, 640, (uint16_t)(100 + i)));
		assert_int_equal(outs, 3);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(roles[k], GRAPH_SEAL);
		again = join(out, 3);
		assert_true(fake_checksums_right(again));
		rte_pktmbuf_free(again);
		clear();
	}
	assert_int_equal(flow_worker_get(1)->table.live, 1);
	rte_pktmbuf_free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(u14_fragments_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(u14_fragments_out_of_order, setup, teardown),
		cmocka_unit_test_setup_teardown(u14_fragments_open_a_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(u14_strangers_do_not_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(u14a_waiting_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(u14a_entries_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(u14a_overlaps_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_fragments_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(b12_identification_is_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(u13a_cut_without_df, setup, teardown),
		cmocka_unit_test_setup_teardown(u13a_fragments_are_cut_again, setup, teardown),
		cmocka_unit_test_setup_teardown(fragments_meet_on_one_worker, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
