/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a mapping lives, and the states of TCP. Names start with the requirement's number in
 * docs/conformance/nat.md.
 */
#include "common/api/flow.h"
#include "test/unit/dataplane/nat/exchange.h"

/* U5, U5c, U6: five minutes, and every outbound packet starts them anew. */
static void u5_u6_udp_timer(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct out first = run(&packet), out;

	for (unsigned i = 0; i < 3; i++) {
		pass_time(299 * 1000);
		out = run(&packet);
		assert_int_equal(out.seen.sport, first.seen.sport);
		assert_int_equal(w->table.live, 1);
	}
	pass_time(302 * 1000);
	assert_int_equal(w->table.live, 0);
}

static int set_timeouts(const uint32_t seconds[API_FLOW_TIMEOUTS])
{
	struct api_flow_timeouts_set set = {
		.header = {.type = API_FLOW_TIMEOUTS_SET, .length = sizeof(set)}, .id = 1};

	memcpy(set.seconds, seconds, sizeof(set.seconds));
	return fake_apply(&set);
}

/* U5a: a mapping that only DNS uses ends after half a minute; any other flow keeps it. */
static void u5a_dns_is_shorter(void **state)
{
	struct packet_spec dns = from_peer(IPPROTO_UDP, 4000, REMOTE, 53);
	struct packet_spec other = from_peer(IPPROTO_UDP, 4000, REMOTE, 54);
	uint16_t port = run(&dns).seen.sport;
	struct nat_figures figures;

	pass_time(32 * 1000);
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.mappings, 0);
	port = run(&dns).seen.sport;
	assert_int_equal(run(&other).seen.sport, port);
	pass_time(32 * 1000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(run(&dns).seen.sport, port);
}

/* U5b: as the configuration says, from the next flow on. */
static void u5b_timers_are_configurable(void **state)
{
	static const uint32_t seconds[] = {130, 20, 8000, 250, 260, 70, 80};
	static const uint32_t bad[] = {130, 0, 8000, 250, 260, 70, 80};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);

	assert_int_equal(set_timeouts(seconds), 0);
	assert_int_not_equal(set_timeouts(bad), 0);
	run(&packet);
	pass_time(128 * 1000);
	assert_int_equal(w->table.live, 1);
	pass_time(4 * 1000);
	assert_int_equal(w->table.live, 0);
	fake_clear(); /* a configuration without them: the defaults again */
	fake_exit_node();
	run(&packet);
	pass_time(298 * 1000);
	assert_int_equal(w->table.live, 1);
}

/* A TCP connection's way to established; returns the outbound and inbound packets. */
static void open_tcp(struct packet_spec *out, struct packet_spec *in)
{
	struct out first;

	*out = from_peer(IPPROTO_TCP, 4000, REMOTE, 80);
	first = run(out);
	assert_int_equal(first.role, GRAPH_SEND);
	*in = answer_to(&first);
	in->src = REMOTE; /* not the text on this stack */
	in->dst = V4;
	assert_int_equal(run(in).role, GRAPH_SEAL);
	out->tcp_flags = in->tcp_flags = RTE_TCP_ACK_FLAG;
	assert_int_equal(run(out).role, GRAPH_SEND);
}

/* B9: RST after RST does not keep a mapping. */
static void b9_rst_does_not_refresh(void **state)
{
	struct packet_spec out, in;

	open_tcp(&out, &in);
	out.tcp_flags = RTE_TCP_RST_FLAG;
	run(&out);
	for (unsigned i = 0; i < 4; i++) {
		pass_time(55 * 1000);
		run(&out);
		assert_int_equal(w->table.live, 1);
	}
	pass_time(25 * 1000);
	assert_int_equal(w->table.live, 0);
}

/* T5, B1, B2: four minutes while opening and closing, 2 h 4 min in between. */
static void t5_b2_tcp_timers(void **state)
{
	struct packet_spec out = from_peer(IPPROTO_TCP, 5000, REMOTE, 80), in;

	run(&out);
	pass_time(239 * 1000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(w->half_open, 1);
	pass_time(3 * 1000);
	assert_int_equal(w->table.live, 0);
	assert_int_equal(w->half_open, 0);
	open_tcp(&out, &in);
	assert_int_equal(w->half_open, 0);
	pass_time(7439 * 1000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(run(&in).role, GRAPH_SEAL);
	out.tcp_flags = RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG;
	run(&out);
	pass_time(300 * 1000);
	assert_int_equal(w->table.live, 1); /* one side may go on sending */
	in.tcp_flags = RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG;
	assert_int_equal(run(&in).role, GRAPH_SEAL);
	pass_time(239 * 1000);
	assert_int_equal(w->table.live, 1);
	pass_time(3 * 1000);
	assert_int_equal(w->table.live, 0);
}

/* T2a: simultaneous open. */
static void t2a_simultaneous_open(void **state)
{
	struct packet_spec out = from_peer(IPPROTO_TCP, 4000, REMOTE, 80);
	struct out first = run(&out);
	struct packet_spec in = answer_to(&first);

	in.tcp_flags = RTE_TCP_SYN_FLAG;
	assert_int_equal(run(&in).role, GRAPH_SEAL);
	out.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
	assert_int_equal(run(&out).role, GRAPH_SEND);
	pass_time(7000 * 1000);
	assert_int_equal(w->table.live, 1);
}

/* B3: a RST passes, and the flow stays four minutes; data brings it back. */
static void b3_rst_keeps_state(void **state)
{
	struct packet_spec out, in;

	open_tcp(&out, &in);
	in.tcp_flags = RTE_TCP_RST_FLAG;
	assert_int_equal(run(&in).role, GRAPH_SEAL);
	pass_time(230 * 1000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(run(&out).role, GRAPH_SEND);
	pass_time(7000 * 1000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(run(&in).role, GRAPH_SEAL);
	pass_time(243 * 1000);
	assert_int_equal(w->table.live, 0);
}

/* T4: an unsolicited SYN is not answered. */
static void t4_unsolicited_syn_is_silent(void **state)
{
	struct packet_spec syn = {.ingress = WAN,
		.src = REMOTE,
		.dst = V4,
		.sport = 80,
		.dport = 4000,
		.proto = IPPROTO_TCP,
		.tcp_flags = RTE_TCP_SYN_FLAG};
	struct out out = run(&syn);

	assert_int_equal(out.role, GRAPH_DROP);
	assert_string_equal(out.drop, "unsolicited");
}

static void tcp_from_the_middle_is_refused(void **state)
{
	static const struct {
		uint8_t flags;
		uint8_t role;
	} rows[] = {
		{RTE_TCP_ACK_FLAG, GRAPH_ICMP},
		{RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, GRAPH_ICMP},
		{RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG, GRAPH_ICMP},
		{0, GRAPH_ICMP},
		{RTE_TCP_RST_FLAG, GRAPH_DROP},
		{RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, GRAPH_DROP},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet_spec packet = from_peer(IPPROTO_TCP, 4000, REMOTE, 80);
		struct out out;

		packet.tcp_flags = rows[i].flags;
		out = run(&packet);
		assert_int_equal(out.role, rows[i].role);
		assert_string_equal(out.drop, "tcp_no_flow");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(u5_u6_udp_timer, setup),
		cmocka_unit_test_setup(u5a_dns_is_shorter, setup),
		cmocka_unit_test_setup(u5b_timers_are_configurable, setup),
		cmocka_unit_test_setup(b9_rst_does_not_refresh, setup),
		cmocka_unit_test_setup(t5_b2_tcp_timers, setup),
		cmocka_unit_test_setup(t2a_simultaneous_open, setup),
		cmocka_unit_test_setup(b3_rst_keeps_state, setup),
		cmocka_unit_test_setup(t4_unsolicited_syn_is_silent, setup),
		cmocka_unit_test_setup(tcp_from_the_middle_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
