/* SPDX-License-Identifier: BSD-3-Clause */
/* What a change does to running flows: which stay, which end, and whose their figures are. */
#include "common/api/counters.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "test/unit/dataplane/flow/passage.h"

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
		assert_int_equal(flow_counted_rows(rows[i].kind), rows[i].id + 1);
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
	assert_int_equal(flow_counted_rows(FLOW_COUNTED_RULES), 6);
	fake_clear(); /* of a control process that names nobody: all may have figures */
	assert_int_equal(flow_counted_rows(FLOW_COUNTED_RULES), dp_config()->max_rules);
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
	/* nor is it that of the next one under its id, if it is not counted yet */
	expect(&packet, GRAPH_SEAL, NULL);
	flow_peer_gone(2);
	expect(&packet, GRAPH_SEAL, NULL);
	flow_collect_all(w);
	assert_int_equal(w->peers[1].rx_packets, 4);
	assert_int_equal(w->peers[2].tx_packets, 3);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
