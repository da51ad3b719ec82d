/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may open a flow, where its packets go, and what ends it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "common/api/counters.h"
#include "common/api/flow.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/main/handler.h"
#include "test/unit/dataplane/flow/fakes.h"

#define WAN (API_IDENT_PORT | PORT_WAN)
#define LAN (API_IDENT_PORT | PORT_LAN)

static struct flow_worker *w;

static int setup(void **state)
{
	fake_exit_node();
	w = fake_worker(256);
	return 0;
}

/* Forwards a packet, expects the role and, where it is dropped, the reason; frees it. */
static void expect(const struct packet_spec *spec, uint8_t role, const char *reason)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	uint8_t got = fake_forward(w, mbuf);

	if (reason != NULL)
		assert_string_equal(fake_drop_name(packet_of(mbuf)->drop), reason);
	assert_int_equal(got, role);
	rte_pktmbuf_free(mbuf);
}

static struct packet_spec udp(uint32_t ingress, const char *src, const char *dst)
{
	return (struct packet_spec){.ingress = ingress,
		.src = src,
		.dst = dst,
		.sport = 5000,
		.dport = 53,
		.proto = IPPROTO_UDP,
		.payload = 32};
}

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

static void change_keeps_port_and_counters(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9"), before, after;
	char src[46], dst[46];
	struct rte_mbuf *mbuf = fake_packet(&packet);

	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEND);
	fake_read(mbuf, &before, src, dst);
	rte_pktmbuf_free(mbuf);
	fake_policy(6, 1, 1, NULL, 0, API_POLICY_TO_EXIT, API_ALLOW);
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEND);
	fake_read(mbuf, &after, src, dst);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(before.sport, after.sport);
	flow_collect_all(w);
	assert_int_equal(w->rules[5].packets[0], 1);
	assert_int_equal(w->rules[6].packets[0], 1);
	assert_int_equal(w->routes[3].packets[0], 2);
	assert_int_equal(w->peers[1].rx_packets, 2);
	assert_int_equal(w->egress[1].packets[0], 2);
}

static int own(uint32_t section, uint32_t id, uint64_t owner)
{
	struct api_counted_set set = {
		.header = {.type = API_COUNTED_SET, .length = sizeof(set)},
		.section = section,
		.id = id,
		.owner = owner,
	};
	struct api_counted_del del = {
		.header = {.type = API_COUNTED_DEL, .length = sizeof(del)},
		.section = section,
		.id = id,
	};

	return owner != 0 ? fake_apply(&set) : fake_apply(&del);
}

/*
 * Whoever gets an id begins at zero, also if packets of the one before are not collected yet; who
 * keeps it goes on. The worker collects at its own time.
 */
static void ids_change_hands(void **state)
{
	static const struct {
		enum flow_counted kind;
		uint32_t section, id;
	} rows[] = {
		{FLOW_COUNTED_RULES, API_SECTION_RULES, 5},
		{FLOW_COUNTED_ROUTES, API_SECTION_ROUTES, 3},
		{FLOW_COUNTED_EGRESS, API_SECTION_EGRESS, 1},
	};
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct flow_pair_count sum;

		setup(state);
		assert_int_equal(own(rows[i].section, rows[i].id, 77), 0);
		expect(&packet, GRAPH_SEND, NULL);
		expect(&packet, GRAPH_SEND, NULL);
		flow_collect_all(w);
		expect(&packet, GRAPH_SEND, NULL); /* not collected yet */
		fake_expiries = 0;
		assert_int_equal(own(rows[i].section, rows[i].id, 77), 0);
		assert_int_equal(fake_expiries, 0);
		assert_int_equal(flow_counted_sum(rows[i].kind, rows[i].id).packets[0], 2);
		assert_int_equal(own(rows[i].section, rows[i].id, 0), 0);
		assert_int_equal(own(rows[i].section, rows[i].id, i == 0 ? 77 : 78), 0);
		assert_int_equal(fake_expiries, 2);
		assert_int_equal(flow_counted_sum(rows[i].kind, rows[i].id).packets[0], 0);
		flow_collect_all(w);
		sum = flow_counted_sum(rows[i].kind, rows[i].id);
		assert_int_equal(sum.packets[0] + sum.bytes[0] + sum.flows, 0);
		expect(&packet, GRAPH_SEND, NULL); /* judged anew, for the new one */
		flow_collect_all(w);
		sum = flow_counted_sum(rows[i].kind, rows[i].id);
		assert_int_equal(sum.packets[0], 1);
		assert_int_equal(sum.bytes[0], 60);
		/* from hand to hand in one transaction, and a full one that names nobody */
		assert_int_equal(own(rows[i].section, rows[i].id, 79), 0);
		assert_int_equal(flow_counted_sum(rows[i].kind, rows[i].id).packets[0], 0);
		assert_int_equal(w->peers[1].rx_packets, 4);
		fake_clear();
		fake_expiries = 0;
		assert_int_equal(own(rows[i].section, rows[i].id, 79), 0);
		assert_int_equal(fake_expiries, 1);
	}
	assert_int_not_equal(own(API_SECTION_DROPS, 1, 7), 0);
	assert_int_equal(own(API_SECTION_RULES, 1 << 20, 7), 0); /* not counted here */
}

/* What a removed peer's flows had not told yet is not the next one's under its id. */
static void counts_of_a_removed_peer(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	expect(&packet, GRAPH_SEND, NULL);
	flow_peer_gone(1);
	while (flow_tend(w))
		;
	assert_int_equal(w->table.live, 0);
	assert_int_equal(w->peers[1].rx_packets, 0);
	expect(&packet, GRAPH_SEND, NULL);
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 1);
}

/* Packets that went to the one routing peer stay its own when the flow goes over to the other. */
static void counts_before_a_failover(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "10.9.0.5");
	struct route_hop *hop;

	fake_allow(1, "10.9.0.0/16");
	fake_allow(2, "10.9.0.0/16");
	hop = fake_route(1, "10.9.0.0/16", API_NEXT_PEER, 0);
	hop->peer = 2;
	fake_peer(3, 2, "100.64.0.3/32", NULL);
	fake_policy(8, 5, 0, "10.9.0.0/16", 0, 0, API_ALLOW);
	expect(&packet, GRAPH_SEAL, NULL);
	hop->peer = 3;
	world.generation++;
	expect(&packet, GRAPH_SEAL, NULL);
	flow_collect_all(w);
	assert_int_equal(w->peers[2].tx_packets, 1);
	assert_int_equal(w->peers[3].tx_packets, 1);
}

/* What is sent to one routing peer is its own, also if the other one answers. */
static void counts_where_another_peer_answers(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "10.9.0.5");
	struct packet_spec back = udp(3, "10.9.0.5", "100.64.0.1");

	fake_peer(3, 2, "100.64.0.3/32", NULL);
	fake_allow(2, "10.9.0.0/16");
	fake_allow(3, "10.9.0.0/16");
	fake_route(1, "10.9.0.0/16", API_NEXT_PEER, 0)->peer = 2;
	fake_policy(8, 5, 0, "10.9.0.0/16", 0, 0, API_ALLOW);
	back.sport = packet.dport;
	back.dport = packet.sport;
	expect(&packet, GRAPH_SEAL, NULL);
	expect(&back, GRAPH_SEAL, NULL);
	expect(&packet, GRAPH_SEAL, NULL);
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 2);
	assert_int_equal(w->peers[1].tx_packets, 1);
	assert_int_equal(w->peers[2].tx_packets, 2);
	assert_int_equal(w->peers[3].rx_packets, 1);
	assert_int_equal(w->peers[3].tx_packets, 0);
	assert_int_equal(flow_leads_to(&w->table.flows[1]), 2);
}

/* Masquerading that begins or ends would change the connection's address: it is cut. */
static void changed_masquerading_cuts_the_flow(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "10.9.0.5");
	struct route_hop *hop;

	fake_peer(3, 2, "100.64.0.3/32", NULL);
	fake_allow(3, "10.9.0.0/16");
	hop = fake_route(1, "10.9.0.0/16", API_NEXT_PEER, 0);
	hop->peer = 3;
	fake_policy(8, 5, 0, "10.9.0.0/16", 0, 0, API_ALLOW);
	for (unsigned i = 0; i < 2; i++) {
		expect(&packet, GRAPH_SEAL, NULL);
		hop->flags ^= API_ROUTE_MASQUERADE;
		world.generation++;
		expect(&packet, GRAPH_DROP, "revoked");
		assert_int_equal(w->table.live, 0);
	}
}

/* An address that is taken from a peer's allowed-IPs: the flow ends, and no other begins. */
static void lost_allowed_ip_cuts_the_flow(void **state)
{
	struct packet_spec packet = udp(1, "10.9.0.5", "203.0.113.9");

	fake_allow(1, "10.9.0.0/16");
	expect(&packet, GRAPH_SEND, NULL);
	world.allowed[world.alloweds - 1].peer = 2;
	world.generation++;
	expect(&packet, GRAPH_DROP, "revoked");
	assert_int_equal(w->table.live, 0);
	expect(&packet, GRAPH_DROP, "spoofed_inner");
}

/* A route that goes takes its flows along; one that leads elsewhere takes them there. */
static void changed_route_moves_or_cuts_the_flow(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "10.9.0.5");
	struct rte_mbuf *mbuf;
	struct route_hop *hop;

	fake_peer(3, 2, "100.64.0.3/32", NULL);
	fake_allow(2, "10.9.0.0/16");
	fake_allow(3, "10.9.0.0/16");
	hop = fake_route(1, "10.9.0.0/16", API_NEXT_PEER, 0);
	hop->peer = 2;
	fake_policy(8, 5, 0, "10.9.0.0/16", 0, 0, API_ALLOW);
	expect(&packet, GRAPH_SEAL, NULL);
	hop->peer = 3;
	world.generation++;
	mbuf = fake_packet(&packet);
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEAL);
	assert_int_equal(packet_of(mbuf)->peer, 3);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(w->table.live, 1);
	world.overlays--;
	world.generation++;
	packet.src = "100.64.0.1";
	fake_policy(9, 1, 0, "10.9.0.0/16", 0, 0, API_DENY); /* nor by the exit node */
	expect(&packet, GRAPH_DROP, "revoked");
	assert_int_equal(w->table.live, 0);
}

static void revoked_permission_cuts_the_flow(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	expect(&packet, GRAPH_SEND, NULL);
	fake_policy(4, 1, 1, NULL, 0, 0, API_DENY);
	expect(&packet, GRAPH_DROP, "revoked");
	assert_int_equal(w->table.live, 0);
	expect(&packet, GRAPH_ICMP, "policy");
}

static void removed_peer_takes_its_flows(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct packet_spec other = udp(2, "100.64.0.2", "203.0.113.9");

	expect(&packet, GRAPH_SEND, NULL);
	expect(&other, GRAPH_SEND, NULL);
	packet.sport++;
	expect(&packet, GRAPH_SEND, NULL);
	assert_int_equal(w->table.live, 3);
	flow_peer_gone(1); /* and at once another peer has its id */
	expect(&packet, GRAPH_DROP, "peer_gone");
	assert_int_equal(w->table.live, 2);
	while (flow_tend(w))
		;
	assert_int_equal(w->table.live, 1);
	assert_int_equal(w->peers[1].flows, 0);
	expect(&other, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_SEND, NULL);
}

static void expiry_by_the_clock(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	packet.dport = 3478;
	expect(&packet, GRAPH_SEND, NULL);
	w->now_ms += flow_timeout(w, FLOW_TIMEOUT_UDP) - 1000;
	while (flow_tend(w))
		;
	expect(&packet, GRAPH_SEND, NULL);
	w->now_ms += flow_timeout(w, FLOW_TIMEOUT_UDP) - 1000;
	while (flow_tend(w))
		;
	assert_int_equal(w->table.live, 1);
	w->now_ms += 4096;
	while (flow_tend(w))
		;
	assert_int_equal(w->table.live, 0);
}

static void bounds_per_peer_and_table(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");

	for (unsigned i = 0; i < 128; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_ICMP, "peer_full");
	packet = udp(2, "100.64.0.2", "203.0.113.9");
	for (unsigned i = 0; i < 128; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_ICMP, "table_full");
	packet.proto = IPPROTO_TCP;
	packet.tcp_flags = RTE_TCP_SYN_FLAG;
	expect(&packet, GRAPH_ICMP, "table_full");
}

static void half_open_is_bounded_apart(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct packet_spec other = udp(2, "100.64.0.2", "203.0.113.9");

	packet.proto = other.proto = IPPROTO_TCP;
	packet.tcp_flags = other.tcp_flags = RTE_TCP_SYN_FLAG;
	for (unsigned i = 0; i < 16; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_DROP, "peer_half_open");
	w->owner_half_open_max = 48;
	for (unsigned i = 0; i < 48; i++, other.sport++)
		expect(&other, GRAPH_SEND, NULL);
	expect(&other, GRAPH_DROP, "peer_half_open");
	assert_int_equal(w->half_open, w->half_open_max);
	expect(&packet, GRAPH_DROP, "half_open_full");
	packet.proto = IPPROTO_UDP;
	expect(&packet, GRAPH_SEND, NULL);
}

/* Room comes back with each connection that opens, or that a change takes away. */
static void half_open_room_comes_back(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct flow *flow;

	packet.proto = IPPROTO_TCP;
	packet.tcp_flags = RTE_TCP_SYN_FLAG;
	for (unsigned i = 0; i < 16; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_DROP, "peer_half_open");
	flow = &w->table.flows[1];
	flow_tcp(w, flow, 1, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);
	flow_tcp(w, flow, 0, RTE_TCP_ACK_FLAG);
	assert_int_equal(w->peers[1].half_open, 15);
	expect(&packet, GRAPH_SEND, NULL);
	packet.sport++;
	expect(&packet, GRAPH_DROP, "peer_half_open");
	flow_delete(w, &w->table.flows[2]);
	assert_int_equal(w->peers[1].half_open, 15);
	expect(&packet, GRAPH_SEND, NULL);
	packet.sport++;
	expect(&packet, GRAPH_DROP, "peer_half_open");
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

static void icmp_error_is_well_formed(void **state)
{
	const struct packet_spec specs[] = {
		udp(1, "100.64.0.1", "100.64.0.2"),
		udp(1, "fd00::1", "fd00::2"),
	};

	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *mbuf = fake_packet(&specs[i]), *reply;
		struct packet_spec seen;
		char src[46], dst[46];
		uint8_t role;

		assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
		reply = flow_tell(w, mbuf, &role);
		assert_non_null(reply);
		assert_int_equal(role, GRAPH_SEAL);
		assert_int_equal(packet_of(reply)->peer, 1);
		assert_int_equal(packet_parse(reply), 0);
		assert_true(packet_of(reply)->flags & PACKET_ICMP_ERROR);
		assert_true(fake_checksums_right(reply));
		fake_read(reply, &seen, src, dst);
		assert_string_equal(dst, specs[i].src);
		assert_int_equal(seen.icmp_type, i == 0 ? 3 : 1);
		/* never about an error */
		packet_of(reply)->ingress = 1;
		assert_null(flow_tell(w, reply, &role));
		rte_pktmbuf_free(reply);
		rte_pktmbuf_free(mbuf);
	}
}

/* I10, RFC 1812 4.3.2.2 to 4.3.2.4, RFC 4443 2.4: as much as fits of the packet as it came, from
 * the gateway's address there. */
static void icmp_error_quotes_what_fits(void **state)
{
	struct packet_spec specs[] = {
		udp(1, "100.64.0.1", "100.64.0.2"),
		udp(1, "fd00::1", "fd00::2"),
	};

	for (unsigned i = 0; i < 2; i++) {
		unsigned header = i == 0 ? 20 : 40, most = i == 0 ? 576 : 1280;
		struct rte_mbuf *mbuf, *reply;
		char src[46], dst[46], expected[46];
		struct packet_spec seen;
		struct addr own;
		uint8_t role;

		specs[i].payload = 1300;
		specs[i].ttl = 9;
		mbuf = fake_packet(&specs[i]);
		assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
		reply = flow_tell(w, mbuf, &role);
		assert_non_null(reply);
		assert_int_equal(rte_pktmbuf_data_len(reply), most);
		assert_memory_equal(rte_pktmbuf_mtod_offset(reply, void *, header + 8),
			rte_pktmbuf_mtod(mbuf, void *), most - header - 8);
		fake_read(reply, &seen, src, dst);
		assert_true(local_source(fake_copy, 0, i == 0 ? ADDR_V4 : ADDR_V6, &own));
		assert_string_equal(src, addr_format(&own, expected));
		assert_int_equal(seen.ttl, 64);
		rte_pktmbuf_free(reply);
		rte_pktmbuf_free(mbuf);
	}
}

/* I10d: in the class of what it is about, and without its congestion bits. */
static void icmp_error_has_the_class(void **state)
{
	enum { CLASS = 0xb8, CE = 3 }; /* expedited forwarding */
	const struct packet_spec specs[] = {
		udp(1, "100.64.0.1", "100.64.0.2"),
		udp(1, "fd00::1", "fd00::2"),
	};

	for (unsigned i = 0; i < 2; i++) {
		struct rte_mbuf *mbuf = fake_packet(&specs[i]), *reply;
		uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *), role;

		assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
		if (i == 0) {
			ip[1] = CLASS | CE;
		} else {
			ip[0] = 0x60 | CLASS >> 4;
			ip[1] = (uint8_t)((CLASS | CE) << 4);
		}
		reply = flow_tell(w, mbuf, &role);
		assert_non_null(reply);
		ip = rte_pktmbuf_mtod(reply, uint8_t *);
		assert_int_equal(i == 0 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4), CLASS);
		assert_int_equal(packet_parse(reply), 0);
		assert_true(fake_checksums_right(reply));
		rte_pktmbuf_free(reply);
		rte_pktmbuf_free(mbuf);
	}
}

/* I10e: nor about later fragments, nor what was not sent by or to one host. */
static void icmp_errors_are_not_about_everything(void **state)
{
	static const struct {
		uint8_t at, byte; /* of the header */
	} rows[] = {{12, 0}, {12, 127}, {12, 224}, {12, 240}, {16, 224}, {16, 255}};
	struct packet_spec spec = udp(1, "100.64.0.1", "100.64.0.2");
	struct rte_mbuf *mbuf = fake_packet(&spec), *reply;
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *), role;

	assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t was = ip[rows[i].at];

		ip[rows[i].at] = rows[i].byte;
		assert_null(flow_tell(w, mbuf, &role));
		ip[rows[i].at] = was;
	}
	packet_of(mbuf)->flags |= PACKET_FRAGMENT;
	assert_null(flow_tell(w, mbuf, &role));
	packet_of(mbuf)->flags &= (uint16_t)~PACKET_FRAGMENT;
	reply = flow_tell(w, mbuf, &role);
	assert_non_null(reply);
	rte_pktmbuf_free(reply);
	rte_pktmbuf_free(mbuf);
}

/* How many errors about one packet of this sender's are sent, of 300 that are asked for. */
static unsigned count_errors(const struct packet_spec *spec)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	unsigned sent = 0;
	uint8_t role;

	assert_int_equal(fake_forward(w, mbuf), GRAPH_ICMP);
	for (unsigned i = 0; i < 300; i++) {
		struct rte_mbuf *reply = flow_tell(w, mbuf, &role);

		sent += reply != NULL;
		rte_pktmbuf_free(reply);
	}
	rte_pktmbuf_free(mbuf);
	return sent;
}

/* I10f: one sender has its own rate, and all of a worker's together have one. */
static void icmp_errors_are_limited(void **state)
{
	struct packet_spec spec = udp(1, "100.64.0.1", "100.64.0.2");
	struct packet_spec other = udp(2, "100.64.0.2", "100.64.0.1");
	unsigned sent = 0;

	assert_int_equal(count_errors(&spec), 50);
	assert_int_equal(count_errors(&spec), 0);
	assert_int_equal(count_errors(&other), 50);
	w->now_ms += 100;
	assert_int_equal(count_errors(&spec), 10);
	w->now_ms += 10000;
	for (uint32_t peer = 3; peer < 11; peer++) {
		char addr[16];

		snprintf(addr, sizeof(addr), "100.64.0.%u", peer);
		fake_peer(peer, 1, addr, NULL);
		spec.ingress = peer;
		spec.src = addr;
		sent += count_errors(&spec);
	}
	assert_int_equal(sent, 250);
}

static struct api_flow_limits_set limits_set(void)
{
	return (struct api_flow_limits_set){
		.header = {.type = API_FLOW_LIMITS_SET,
			.length = sizeof(struct api_flow_limits_set)},
		.id = 1,
		.icmp_per_s = API_LIMIT_ICMP_DEFAULT,
		.rest_s = API_LIMIT_REST_DEFAULT,
	};
}

/* C4, C5: what one sender may have, as the configuration says; without it the bounds are back. */
static void limits_are_configurable(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct packet_spec other = udp(2, "100.64.0.2", "203.0.113.9");
	struct api_flow_limits_set set = limits_set();

	set.flows = 5;
	set.half_open = 2;
	assert_int_equal(fake_apply(&set), 0);
	packet.proto = IPPROTO_TCP;
	packet.tcp_flags = RTE_TCP_SYN_FLAG;
	for (unsigned i = 0; i < 2; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_DROP, "peer_half_open");
	packet.proto = IPPROTO_UDP;
	for (unsigned i = 0; i < 3; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_ICMP, "peer_full");
	expect(&other, GRAPH_SEND, NULL);
	fake_clear();
	fake_exit_node();
	expect(&packet, GRAPH_SEND, NULL);
}

/* C4c, C5b: as many as a second has, at once, and then at that rate; of each sender. */
static void new_flows_are_rationed(void **state)
{
	struct packet_spec packet = udp(1, "100.64.0.1", "203.0.113.9");
	struct packet_spec other = udp(2, "100.64.0.2", "203.0.113.9");
	struct api_flow_limits_set set = limits_set();

	set.new_per_s = 20;
	assert_int_equal(fake_apply(&set), 0);
	for (unsigned i = 0; i < 20; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_ICMP, "peer_rate");
	expect(&other, GRAPH_SEND, NULL);
	w->now_ms += 100;
	for (unsigned i = 0; i < 2; i++, packet.sport++)
		expect(&packet, GRAPH_SEND, NULL);
	expect(&packet, GRAPH_ICMP, "peer_rate");
	packet.sport = 5000; /* a known flow is no new one */
	expect(&packet, GRAPH_SEND, NULL);
}

/* I10f: the rate of errors, too; and values that make no sense. */
static void icmp_rate_is_configurable(void **state)
{
	struct packet_spec spec = udp(1, "100.64.0.1", "100.64.0.2");
	struct api_flow_limits_set set = limits_set();

	set.icmp_per_s = 8;
	assert_int_equal(fake_apply(&set), 0);
	assert_int_equal(count_errors(&spec), 4);
	w->now_ms += 250;
	assert_int_equal(count_errors(&spec), 2);
	set.icmp_per_s = 0;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	set.icmp_per_s = API_LIMIT_RATE_MAX + 1;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	set = limits_set();
	set.new_per_s = API_LIMIT_RATE_MAX + 1;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	set = limits_set();
	set.rest_s = API_LIMIT_REST_MAX + 1;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	set = limits_set();
	set.id = 2;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
}

/* Sequence numbers as RFC 9293 3.10.7.1 says, whatever the segment carries. */
static void reset_is_well_formed(void **state)
{
	static const struct {
		uint8_t flags, reply;
		uint16_t payload;
		uint32_t seq, ack; /* of the reply */
	} rows[] = {
		{RTE_TCP_ACK_FLAG, RTE_TCP_RST_FLAG, 0, 2000, 0},
		{RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, RTE_TCP_RST_FLAG, 100, 2000, 0},
		{0, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, 100, 0, 1100},
		{RTE_TCP_FIN_FLAG, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, 10, 0, 1011},
	};

	for (unsigned i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		bool v4 = i % 2 == 0;
		struct packet_spec spec = udp(1, v4 ? "100.64.0.1" : "fd00::1",
					   v4 ? "203.0.113.9" : "2001:db8::9"),
				   seen;
		struct rte_mbuf *mbuf, *reply;
		struct rte_tcp_hdr *tcp;
		char src[46], dst[46];
		uint8_t role;

		spec.proto = IPPROTO_TCP;
		spec.tcp_flags = rows[i / 2].flags;
		spec.payload = rows[i / 2].payload;
		mbuf = fake_packet(&spec);
		tcp = rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, packet_of(mbuf)->l4);
		tcp->sent_seq = rte_cpu_to_be_32(1000);
		tcp->recv_ack = rte_cpu_to_be_32(2000);
		packet_of(mbuf)->scratch[0] = icmp_error_code(ICMP_ERROR_RESET, 0);
		reply = flow_tell(w, mbuf, &role);
		assert_non_null(reply);
		assert_int_equal(role, GRAPH_SEAL);
		assert_int_equal(packet_of(reply)->peer, 1);
		assert_int_equal(packet_parse(reply), 0);
		assert_true(fake_checksums_right(reply));
		fake_read(reply, &seen, src, dst);
		assert_string_equal(src, spec.dst);
		assert_string_equal(dst, spec.src);
		assert_int_equal(seen.sport, spec.dport);
		assert_int_equal(seen.dport, spec.sport);
		tcp = rte_pktmbuf_mtod_offset(reply, struct rte_tcp_hdr *, packet_of(reply)->l4);
		assert_int_equal(tcp->tcp_flags, rows[i / 2].reply);
		assert_int_equal(rte_be_to_cpu_32(tcp->sent_seq), rows[i / 2].seq);
		assert_int_equal(rte_be_to_cpu_32(tcp->recv_ack), rows[i / 2].ack);
		rte_pktmbuf_free(reply);
		rte_pktmbuf_free(mbuf);
	}
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
		cmocka_unit_test_setup(change_keeps_port_and_counters, setup),
		cmocka_unit_test_setup(ids_change_hands, setup),
		cmocka_unit_test_setup(counts_of_a_removed_peer, setup),
		cmocka_unit_test_setup(counts_before_a_failover, setup),
		cmocka_unit_test_setup(counts_where_another_peer_answers, setup),
		cmocka_unit_test_setup(changed_masquerading_cuts_the_flow, setup),
		cmocka_unit_test_setup(lost_allowed_ip_cuts_the_flow, setup),
		cmocka_unit_test_setup(changed_route_moves_or_cuts_the_flow, setup),
		cmocka_unit_test_setup(revoked_permission_cuts_the_flow, setup),
		cmocka_unit_test_setup(removed_peer_takes_its_flows, setup),
		cmocka_unit_test_setup(expiry_by_the_clock, setup),
		cmocka_unit_test_setup(bounds_per_peer_and_table, setup),
		cmocka_unit_test_setup(half_open_is_bounded_apart, setup),
		cmocka_unit_test_setup(half_open_room_comes_back, setup),
		cmocka_unit_test_setup(workers_agree_on_the_home, setup),
		cmocka_unit_test_setup(host_queries_find_their_home, setup),
		cmocka_unit_test_setup(burst_of_many_flows, setup),
		cmocka_unit_test_setup(dump_shows_flows, setup),
		cmocka_unit_test_setup(icmp_error_is_well_formed, setup),
		cmocka_unit_test_setup(icmp_error_quotes_what_fits, setup),
		cmocka_unit_test_setup(icmp_error_has_the_class, setup),
		cmocka_unit_test_setup(icmp_errors_are_not_about_everything, setup),
		cmocka_unit_test_setup(icmp_errors_are_limited, setup),
		cmocka_unit_test_setup(limits_are_configurable, setup),
		cmocka_unit_test_setup(new_flows_are_rationed, setup),
		cmocka_unit_test_setup(icmp_rate_is_configurable, setup),
		cmocka_unit_test_setup(reset_is_well_formed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
