/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may open a flow, where its packets go, and on which worker. */
#include <errno.h>

#include "common/api/flow.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/main/handler.h"
#include "test/unit/dataplane/flow/passage.h"

struct refusal {
	const char *what;
	struct packet_spec packet;
	uint8_t role;
	const char *reason;
};

static void refusals_have_their_reasons(void **state)
{
	const struct refusal refusals[] = {
		{"inner source of another peer", udp(1, "100.64.0.2", "203.0.113.9"), GRAPH_DROP,
			"spoofed_inner"},
		{"inner source of nobody", udp(1, "10.1.1.1", "203.0.113.9"), GRAPH_DROP,
			"spoofed_inner"},
		{"overlay source on a plain port", udp(WAN, "100.64.0.1", "100.64.0.2"), GRAPH_DROP,
			"spoofed_overlay"},
		{"a range that a route names", udp(1, "100.64.0.1", "192.168.7.7"), GRAPH_ICMP,
			"exit_closed"},
		{"peer to peer without a policy", udp(1, "100.64.0.1", "100.64.0.2"), GRAPH_ICMP,
			"policy"},
		{"from the internet to a peer", udp(WAN, "203.0.113.9", "100.64.0.2"), GRAPH_DROP,
			"policy"},
		{"to the egress address", udp(WAN, "203.0.113.9", "198.51.100.1"), GRAPH_DROP,
			"policy"},
		{"link-local", udp(1, "100.64.0.1", "169.254.169.254"), GRAPH_DROP, "link_local"},
		{"link-local v6", udp(1, "fd00::1", "fe80::1"), GRAPH_DROP, "link_local"},
		{"multicast", udp(1, "100.64.0.1", "239.1.1.1"), GRAPH_DROP, "multicast"},
		{"a removed peer", udp(9, "100.64.0.9", "203.0.113.9"), GRAPH_DROP, "peer_gone"},
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		expect(&refusals[i].packet, refusals[i].role, refusals[i].reason);
		assert_int_equal(w->table.live, 0);
	}
}

static void unsolicited_is_dropped_without_flow(void **state)
{
	struct packet_spec packet = udp(WAN, "203.0.113.9", "198.51.100.1");

	packet.dport = 4000;
	fake_local("198.51.100.1");
	expect(&packet, GRAPH_DROP, "unsolicited");
	packet.proto = IPPROTO_ICMP;
	packet.icmp_type = 0;
	expect(&packet, GRAPH_DROP, "icmp_no_query");
	assert_int_equal(w->table.live, 0);
}

static void forged_tuple_of_another_peer(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	expect(&packet, GRAPH_SEND, NULL);
	packet.ingress = 2;
	expect(&packet, GRAPH_DROP, "forged_tuple");
	packet.ingress = WAN;
	expect(&packet, GRAPH_DROP, "forged_tuple");
	packet.ingress = 1;
	expect(&packet, GRAPH_SEND, NULL);
	assert_int_equal(w->table.live, 1);
}

static void known_flow_takes_the_fast_path(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct rte_mbuf *mbuf;
	uint8_t role;

	expect(&packet, GRAPH_SEND, NULL);
	mbuf = fake_packet(&packet);
	flow_fast(w, &mbuf, 1, &role);
	assert_int_equal(role, GRAPH_SEND);
	assert_int_equal(packet_of(mbuf)->port_out, PORT_WAN);
	assert_int_equal(packet_of(mbuf)->adjacency, PORT_WAN * 100 + HOP_MAC);
	rte_pktmbuf_free(mbuf);
}

static void ttl_falls_by_one_and_ends(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9"), seen;
	char src[46], dst[46];
	struct rte_mbuf *mbuf = fake_packet(&packet);

	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEND);
	fake_read(mbuf, &seen, src, dst);
	assert_int_equal(seen.ttl, 63);
	assert_true(fake_checksums_right(mbuf));
	rte_pktmbuf_free(mbuf);
	packet.ttl = 1;
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
	assert_int_equal(packet_of(mbuf)->scratch[0], icmp_error_code(ICMP_ERROR_TIME_EXCEEDED, 0));
	rte_pktmbuf_free(mbuf);
	packet.sport++;
	expect(&packet, GRAPH_ICMP, "ttl");
	assert_int_equal(w->table.live, 1);
}

static void too_big_for_the_tunnel(void **state)
{
	struct packet_spec packet = udp(LAN, "192.168.7.9", "100.64.0.1");
	struct rte_mbuf *mbuf;

	fake_policy(6, 5, 0, NULL, 0, 0, API_ALLOW);
	expect(&packet, GRAPH_SEAL, NULL);
	packet.payload = 1420 - 28 + 1;
	packet.dont_fragment = true;
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
	assert_int_equal(packet_of(mbuf)->scratch[0], icmp_error_code(ICMP_ERROR_TOO_BIG, 1420));
	rte_pktmbuf_free(mbuf);
	packet.payload--;
	expect(&packet, GRAPH_SEAL, NULL);
}

/* Two peers by policy; the answer's peer too. */
static void peers_reach_each_other_by_policy(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "100.64.0.2");
	struct packet_spec back = udp(2, "100.64.0.2", "100.64.0.1");
	struct rte_mbuf *mbuf;

	fake_policy(7, 5, 1, "100.64.0.2/32", IPPROTO_UDP, 0, API_ALLOW);
	back.sport = packet.dport;
	back.dport = packet.sport;
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 2);
	rte_pktmbuf_free(mbuf);
	mbuf = fake_packet(&back);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 1);
	rte_pktmbuf_free(mbuf);
	back.sport++;
	expect(&back, GRAPH_ICMP, "policy");
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 1);
	assert_int_equal(w->peers[1].tx_packets, 1);
	assert_int_equal(w->peers[2].rx_bytes, 60);
	assert_int_equal(w->rules[7].packets[0], 1);
	assert_int_equal(w->rules[7].bytes[1], 60);
	assert_int_equal(w->rules[7].flows, 1);
	assert_int_equal(w->peers[1].flows, 1);
}

/*
 * What a peer sends to itself comes back, as from a kernel that forwards, if a policy lets it: some
 * systems send into the tunnel what is for their own address there. Query and answer look the same.
 */
static void peer_reaches_itself(void **state)
{
	struct packet_spec packets[] = {
		udp(1, "100.64.0.1", "100.64.0.1"),
		udp(1, "fd00::1", "fd00::1"),
		udp(1, "10.9.0.5", "10.9.0.5"),
		udp(1, "100.64.0.1", "100.64.0.1"),
	};

	fake_allow(1, "10.9.0.0/16");
	fake_route(0, "10.9.0.0/16", API_NEXT_PEER, 0)->peer = 1;
	packets[0].proto = IPPROTO_ICMP;
	packets[0].icmp_type = 8;
	packets[1].proto = IPPROTO_ICMPV6;
	packets[1].icmp_type = 128;
	packets[2].dport = packets[2].sport;
	packets[3].dport = packets[3].sport;
	expect(&packets[0], GRAPH_ICMP, "policy");
	fake_policy(7, 5, 1, NULL, 0, 0, API_ALLOW);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		struct rte_mbuf *mbuf = fake_packet(&packets[i]);

		assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
		assert_int_equal(packet_of(mbuf)->peer, 1);
		assert_true(fake_checksums_right(mbuf));
		rte_pktmbuf_free(mbuf);
		if (i < 2)
			packets[i].icmp_type = i == 0 ? 0 : 129;
		expect(&packets[i], GRAPH_SEAL, NULL);
		packets[i].ingress = 2;
		expect(&packets[i], GRAPH_DROP, "forged_tuple");
	}
	assert_int_equal(w->table.live, 4);
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 8);
	assert_int_equal(w->peers[1].tx_packets, 8);
	fake_policy(4, 1, 1, NULL, 0, 0, API_DENY);
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		packets[i].ingress = 1;
		expect(&packets[i], GRAPH_DROP, "revoked");
	}
	assert_int_equal(w->table.live, 0);
}

/* A closed port, says this address by way of that peer. */
static void expect_error(
	uint32_t peer, const char *src, struct rte_mbuf *about, uint8_t role, const char *drop)
{
	struct rte_mbuf *mbuf = fake_error(peer, src, "100.64.0.1", 3, 3, about);

	assert_int_equal(fake_forward(w, mbuf), role);
	if (drop != NULL)
		assert_string_equal(fake_drop_name(packet_of(mbuf)->drop), drop);
	rte_pktmbuf_free(mbuf);
}

/* The same range through two routing peers, by the source's set; answers through either. */
static void range_through_two_routing_peers(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "10.9.0.5"), back;
	struct rte_mbuf *mbuf;

	fake_peer(3, 2, "100.64.0.3/32", NULL);
	fake_peer(4, 2, "100.64.0.4/32", NULL);
	fake_peer(5, 7, "100.64.0.5/32", NULL);
	fake_allow(3, "10.9.0.0/16");
	fake_allow(4, "10.9.0.0/16");
	fake_route(1, "10.9.0.0/16", API_NEXT_PEER, 0)->peer = 3;
	fake_route(7, "10.9.0.0/16", API_NEXT_PEER, 0)->peer = 4;
	fake_policy(8, 5, 0, "10.9.0.0/16", 0, 0, API_ALLOW);
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 3);
	/* an error may come through the other one before any packet has */
	expect_error(2, "100.64.0.2", mbuf, GRAPH_DROP, "icmp_error_unmatched");
	expect_error(4, "10.9.0.5", mbuf, GRAPH_SEAL, NULL);
	rte_pktmbuf_free(mbuf);
	packet = udp(5, "100.64.0.5", "10.9.0.5");
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 4);
	rte_pktmbuf_free(mbuf);
	back = udp(3, "10.9.0.5", "100.64.0.1");
	back.sport = 53;
	back.dport = 5000;
	expect(&back, GRAPH_SEAL, NULL);
	back.ingress = 4;
	expect(&back, GRAPH_SEAL, NULL);
	back.ingress = 2;
	expect(&back, GRAPH_DROP, "forged_tuple");
}

static void host_answers_only_by_policy(void **state)
{
	struct packet_spec echo = {.ingress = 1,
		.src = "100.64.0.1",
		.dst = "100.64.0.254",
		.sport = 77,
		.proto = IPPROTO_ICMP,
		.icmp_type = 8,
		.payload = 8};
	struct packet_spec reply = {.ingress = API_IDENT_HOST,
		.src = "100.64.0.254",
		.dst = "100.64.0.1",
		.sport = 77,
		.proto = IPPROTO_ICMP,
		.payload = 8};
	struct packet_spec ssh = udp(1, "100.64.0.1", "100.64.0.254");

	fake_local("100.64.0.254");
	expect(&echo, GRAPH_ICMP, "policy_host");
	fake_policy(
		9, 1, 1, NULL, IPPROTO_ICMP, API_POLICY_TO_HOST | API_POLICY_ECHO_ONLY, API_ALLOW);
	expect(&echo, GRAPH_PUNT, NULL);
	expect(&reply, GRAPH_SEAL, NULL);
	expect(&ssh, GRAPH_ICMP, "policy_host");
	ssh.ingress = WAN;
	ssh.src = "203.0.113.77";
	expect(&ssh, GRAPH_DROP, "policy_host");
}

/* The kernel's own packets leave with the header it wrote; answers come in, strangers do not. */
static void host_flows_are_stateful(void **state)
{
	struct packet_spec out = udp(API_IDENT_HOST | PORT_WAN, "192.0.2.9", "203.0.113.53");
	struct packet_spec in = udp(WAN, "203.0.113.53", "192.0.2.9");
	struct packet_spec overlay = udp(API_IDENT_HOST, "100.64.0.254", "100.64.0.2");
	struct rte_mbuf *mbuf;

	fake_local("192.0.2.9");
	in.sport = 53;
	in.dport = 5000;
	expect(&in, GRAPH_DROP, "policy_host");
	mbuf = fake_packet(&out);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEND);
	assert_true(packet_of(mbuf)->flags & PACKET_KEEP_L2);
	assert_int_equal(packet_of(mbuf)->port_out, PORT_WAN);
	rte_pktmbuf_free(mbuf);
	expect(&in, GRAPH_PUNT, NULL);
	in.sport = 54;
	expect(&in, GRAPH_DROP, "policy_host");
	mbuf = fake_packet(&overlay);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 2);
	rte_pktmbuf_free(mbuf);
}

static void unknown_neighbour_waits(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	world.neigh_unknown = true;
	expect(&packet, GRAPH_DROP, "neigh_unknown");
	assert_int_equal(w->table.live, 0);
	world.neigh_unknown = false;
	expect(&packet, GRAPH_SEND, NULL);
	world.neigh_unknown = true;
	world.generation++;
	expect(&packet, GRAPH_DROP, "neigh_unknown");
	assert_int_equal(w->table.live, 1);
	world.neigh_unknown = false;
	expect(&packet, GRAPH_SEND, NULL);
}

/* Where the sender's own neighbour is not known, what it sends goes; the answer waits. */
static void answer_waits_for_a_neighbour(void **state)
{
	struct packet_spec packet = udp(LAN, "192.168.7.9", "203.0.113.9");
	struct packet_spec back = udp(WAN, "203.0.113.9", "192.168.7.9");

	back.sport = packet.dport;
	back.dport = packet.sport;
	fake_policy(6, 5, 0, "203.0.113.9/32", 0, 0, API_ALLOW);
	world.neigh_unknown_on = PORT_LAN;
	expect(&packet, GRAPH_SEND, NULL);
	expect(&back, GRAPH_DROP, "neigh_unknown");
	assert_int_equal(w->table.live, 1);
	world.neigh_unknown_on = 0;
	expect(&back, GRAPH_SEND, NULL);
}

/* Three workers agree on the home of both directions, and a packet travels there once. */
static void workers_agree_on_the_home(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9"), seen;
	struct rte_mbuf *mbuf;
	char src[46], dst[46];

	world.workers = 3;
	world.peer[1].home = 2;
	world.peer[2].home = 1;
	w = fake_worker(256);
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(flow_worker_get(0), mbuf), GRAPH_HANDOFF);
	assert_int_equal(packet_of(mbuf)->to, 2);
	assert_int_equal(packet_of(mbuf)->next, GRAPH_FORWARD);
	assert_int_equal(fake_forward(flow_worker_get(2), mbuf), GRAPH_SEND);
	fake_read(mbuf, &seen, src, dst);
	rte_pktmbuf_free(mbuf);
	packet = udp(WAN, "203.0.113.9", "198.51.100.1");
	packet.sport = 53;
	packet.dport = seen.sport;
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(flow_worker_get(1), mbuf), GRAPH_HANDOFF);
	assert_int_equal(packet_of(mbuf)->to, 2);
	assert_int_equal(fake_forward(flow_worker_get(2), mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 1);
	rte_pktmbuf_free(mbuf);
	for (unsigned i = 0; i < 200; i++) {
		struct flow_key there = {.family = ADDR_V4, .proto = 6, .sport = 1, .dport = 2};
		struct flow_key back = {.family = ADDR_V4, .proto = 6, .sport = 2, .dport = 1};

		there.src[0] = back.dst[0] = 9;
		there.src[3] = back.dst[3] = (uint8_t)i;
		there.dst[0] = back.src[0] = 8;
		assert_int_equal(flow_home(flow_worker_get(0), &there, false),
			flow_home(flow_worker_get(1), &back, false));
	}
	world.workers = 1;
}

/* Where the egress address is the host's, too: of each conversation both sides meet, even if its
 * identifier lies in a block that mappings of another worker have. */
static void host_queries_find_their_home(void **state)
{
	struct packet_spec ping = {.ingress = 1,
		.src = "100.64.0.1",
		.dst = "203.0.113.9",
		.sport = 7,
		.proto = IPPROTO_ICMP,
		.icmp_type = 8};
	struct packet_spec seen;
	struct rte_mbuf *mbuf;
	char src[46], dst[46];

	world.workers = 3;
	world.peer[1].home = 2;
	w = fake_worker(256);
	mbuf = fake_packet(&ping);
	assert_int_equal(fake_forward(flow_worker_get(2), mbuf), GRAPH_SEND);
	fake_read(mbuf, &seen, src, dst);
	rte_pktmbuf_free(mbuf);
	for (unsigned i = 0; i < 50; i++) {
		struct flow_key out = {.family = ADDR_V4, .proto = IPPROTO_ICMP};
		struct flow_key in = out;

		out.sport = out.dport = in.sport = in.dport = seen.sport;
		memcpy(out.src, (uint8_t[]){198, 51, 100, 1}, 4);
		memcpy(out.dst, (uint8_t[]){203, 0, 113, (uint8_t)i}, 4);
		memcpy(in.src, out.dst, 4);
		memcpy(in.dst, out.src, 4);
		out.ident = API_IDENT_HOST;
		in.ident = WAN;
		/* the host is asked; the host asks */
		assert_int_equal(flow_home(flow_worker_get(0), &in, true),
			flow_home(flow_worker_get(1), &out, false));
		assert_int_equal(flow_home(flow_worker_get(0), &out, true),
			flow_home(flow_worker_get(1), &out, false));
		/* the answer to whoever has the identifier: the host got another one */
		assert_int_equal(flow_home(flow_worker_get(1), &in, false), 2);
	}
	world.workers = 1;
}

/* 300 packets of 200 flows in one burst, in mixed order, twice: known ones all go the fast way. */
static void burst_of_many_flows(void **state)
{
	struct rte_mbuf *mbufs[256];
	uint8_t roles[256];

	w = fake_worker(1024);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 256; i++) {
			struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

			packet.sport = (uint16_t)(1000 + i * 37 % 200);
			mbufs[i] = fake_packet(&packet);
		}
		flow_worker_refresh(w, fake_copy, w->now_ms);
		flow_fast(w, mbufs, 256, roles);
		for (unsigned i = 0; i < 256; i++) {
			if (round == 1)
				assert_int_equal(roles[i], GRAPH_SEND);
			else if (roles[i] == FLOW_TO_SLOW)
				assert_int_equal(flow_slow(w, mbufs[i]), GRAPH_SEND);
			assert_true(fake_checksums_right(mbufs[i]));
			rte_pktmbuf_free(mbufs[i]);
		}
	}
	assert_int_equal(w->table.live, 200);
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 512);
}

/* The dump: what was asked for, all of it, and an end. */
static void dump_shows_flows(void **state)
{
	const struct handler_stream *stream = handler_find_stream(API_FLOW_DUMP);
	struct api_flow_dump asked = {.max = 10};
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct api_flow_entry entry;
	unsigned entries = 0;
	void *dump;
	int rc;

	for (unsigned i = 0; i < 3; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	packet = udp(2, "100.64.0.2", "203.0.113.9");
	expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_SEND, NULL);
	asked.peer = 2;
	w->now_ms += 1234;
	assert_int_equal(stream->open(&asked, &dump), 0);
	while ((rc = stream->next(dump, &entry)) != -ENODATA) {
		entries += rc == 1;
		assert_int_equal(entry.ingress, 2);
		assert_int_equal(entry.egress, WAN);
		assert_int_equal(entry.packets[0], 2);
		assert_int_equal(entry.bytes[0], 120);
		assert_int_equal(entry.policy_rule, 5);
		assert_int_equal(entry.route_id, 3);
		assert_int_equal(entry.idle_ms, 1234);
		assert_int_equal(entry.nat_addr.bytes[0], 198);
	}
	stream->close(dump);
	assert_int_equal(entries, 1);
	asked.peer = 0;
	asked.max = 3;
	assert_int_equal(stream->open(&asked, &dump), 0);
	for (entries = 0; (rc = stream->next(dump, &entry)) != -ENODATA;)
		entries += rc == 1;
	stream->close(dump);
	assert_int_equal(entries, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(refusals_have_their_reasons, setup),
		cmocka_unit_test_setup(unsolicited_is_dropped_without_flow, setup),
		cmocka_unit_test_setup(forged_tuple_of_another_peer, setup),
		cmocka_unit_test_setup(known_flow_takes_the_fast_path, setup),
		cmocka_unit_test_setup(ttl_falls_by_one_and_ends, setup),
		cmocka_unit_test_setup(too_big_for_the_tunnel, setup),
		cmocka_unit_test_setup(peers_reach_each_other_by_policy, setup),
		cmocka_unit_test_setup(peer_reaches_itself, setup),
		cmocka_unit_test_setup(range_through_two_routing_peers, setup),
		cmocka_unit_test_setup(host_answers_only_by_policy, setup),
		cmocka_unit_test_setup(host_flows_are_stateful, setup),
		cmocka_unit_test_setup(unknown_neighbour_waits, setup),
		cmocka_unit_test_setup(answer_waits_for_a_neighbour, setup),
		cmocka_unit_test_setup(workers_agree_on_the_home, setup),
		cmocka_unit_test_setup(host_queries_find_their_home, setup),
		cmocka_unit_test_setup(burst_of_many_flows, setup),
		cmocka_unit_test_setup(dump_shows_flows, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
