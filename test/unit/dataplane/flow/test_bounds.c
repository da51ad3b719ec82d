/* SPDX-License-Identifier: BSD-3-Clause */
/* When a flow ends, how many a sender may have, how fast it gets them, and how many errors. */
#include "common/api/flow.h"
#include "test/unit/dataplane/flow/passage.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(expiry_by_the_clock, setup),
		cmocka_unit_test_setup(bounds_per_peer_and_table, setup),
		cmocka_unit_test_setup(half_open_is_bounded_apart, setup),
		cmocka_unit_test_setup(half_open_room_comes_back, setup),
		cmocka_unit_test_setup(limits_are_configurable, setup),
		cmocka_unit_test_setup(new_flows_are_rationed, setup),
		cmocka_unit_test_setup(icmp_errors_are_limited, setup),
		cmocka_unit_test_setup(icmp_rate_is_configurable, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
