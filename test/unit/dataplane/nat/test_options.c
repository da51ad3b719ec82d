/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an egress rule can say about its mappings: who may send to them, whether ports are shared,
 * parity. Names start with the requirement's number in docs/conformance/nat.md.
 */
#include "common/api/flow.h"
#include "common/api/policy.h"
#include "test/unit/dataplane/nat/exchange.h"

enum { REST_MS = 120 * 1000, UDP_MS = 302 * 1000 };

static struct out let_in(
	uint8_t proto, const char *src, uint16_t sport, uint16_t dport, uint8_t tcp_flags)
{
	struct packet_spec spec = {.ingress = WAN,
		.src = src,
		.dst = V4,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 5,
		.tcp_flags = tcp_flags};

	return run(&spec);
}

/* C7, T3: anyone may send to a mapping, and is answered from it; with it ends all of that. */
static void c7_t3_open_to_anyone(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	assert_int_equal(fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = let_out(protos[i], 1, 4000, REMOTE, 80).seen.sport;
		struct out in = let_in(protos[i], OTHER, 5, port, RTE_TCP_SYN_FLAG), out;

		assert_int_equal(in.role, GRAPH_SEAL);
		assert_int_equal(in.peer, 1);
		assert_string_equal(in.dst, "100.64.0.1");
		assert_int_equal(in.seen.dport, 4000);
		assert_true(in.right);
		out = let_out(protos[i], 1, 4000, OTHER, 5);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.seen.sport, port);
		assert_string_equal(
			let_in(protos[i], OTHER, 5, (uint16_t)(port ^ 1), 2).drop, "unsolicited");
	}
	assert_string_equal(
		let_in(IPPROTO_TCP, OTHER, 6, 2000, RTE_TCP_ACK_FLAG).drop, "unsolicited");
	pass_time(8000 * 1000);
	assert_int_equal(w->table.live, 0);
}

/* Whose next hop is not known yet gets in, and only the answer waits for it. */
static void u8_open_before_the_neighbour_is_known(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = let_out(protos[i], 1, 4000, REMOTE, 80).seen.sport;
		struct out in, out;

		world.neigh_unknown_on = PORT_WAN;
		in = let_in(protos[i], OTHER, 5, port, RTE_TCP_SYN_FLAG);
		assert_int_equal(in.role, GRAPH_SEAL);
		assert_int_equal(in.peer, 1);
		assert_int_equal(in.seen.dport, 4000);
		assert_true(in.right);
		out = let_out(protos[i], 1, 4000, OTHER, 5);
		assert_string_equal(out.drop, "neigh_unknown");
		world.neigh_unknown_on = 0;
		out = let_out(protos[i], 1, 4000, OTHER, 5);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.seen.sport, port);
		assert_true(out.right);
	}
	world.neigh_unknown_on = PORT_WAN;
	assert_string_equal(let_in(IPPROTO_UDP, OTHER, 5, 2000, 0).drop, "unsolicited");
}

/* A connection that was opened from outside is established by the answer from inside. */
static void inbound_connections_have_states(void **state)
{
	struct packet_spec answer = {.ingress = 1,
		.src = "100.64.0.1",
		.dst = OTHER,
		.sport = 4000,
		.dport = 5,
		.proto = IPPROTO_TCP,
		.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG};
	uint16_t port;

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	port = let_out(IPPROTO_TCP, 1, 4000, REMOTE, 80).seen.sport;
	assert_int_equal(let_in(IPPROTO_TCP, OTHER, 5, port, RTE_TCP_SYN_FLAG).role, GRAPH_SEAL);
	assert_int_equal(w->half_open, 2);
	assert_int_equal(run(&answer).role, GRAPH_SEND);
	assert_int_equal(w->half_open, 1);
	pass_time(250 * 1000);
	assert_int_equal(w->table.live, 1); /* the one that was answered */
}

/* U8, address-dependent: other ports of hosts that were sent to, and nobody else. */
static void u8_open_to_those_sent_to(void **state)
{
	uint16_t port;

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_BY_ADDR);
	port = let_out(IPPROTO_UDP, 1, 4000, REMOTE, 80).seen.sport;
	assert_int_equal(let_in(IPPROTO_UDP, REMOTE, 81, port, 0).role, GRAPH_SEAL);
	assert_string_equal(let_in(IPPROTO_UDP, OTHER, 80, port, 0).drop, "unsolicited");
	let_out(IPPROTO_UDP, 1, 4000, OTHER, 9);
	assert_int_equal(let_in(IPPROTO_UDP, OTHER, 80, port, 0).role, GRAPH_SEAL);
	/* of another mapping they are strangers */
	port = let_out(IPPROTO_UDP, 1, 4001, OTHER, 80).seen.sport;
	assert_string_equal(let_in(IPPROTO_UDP, REMOTE, 80, port, 0).drop, "unsolicited");
}

/* B6, B7: what one protocol opened is neither used by another one nor open to it. */
static void b6_b7_protocols_are_apart(void **state)
{
	unsigned same = 0;

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	for (uint16_t i = 0; i < 32; i++) {
		uint16_t port =
			let_out(IPPROTO_TCP, 1, (uint16_t)(4000 + i), REMOTE, 80).seen.sport;

		assert_string_equal(let_in(IPPROTO_UDP, OTHER, 5, port, 0).drop, "unsolicited");
		assert_int_equal(
			let_in(IPPROTO_TCP, OTHER, 5, port, RTE_TCP_SYN_FLAG).role, GRAPH_SEAL);
	}
	/* one state for both would give the same ports */
	for (uint16_t i = 0; i < 32; i++)
		same += let_out(IPPROTO_TCP, 1, (uint16_t)(4000 + i), REMOTE, 81).seen.sport ==
			let_out(IPPROTO_UDP, 1, (uint16_t)(4000 + i), REMOTE, 81).seen.sport;
	assert_in_range(same, 0, 16);
}

/* B8: a packet that fits an open mapping, but may not come in, does not keep it; one that may,
 * does. TCP, too. */
static void b8_refused_packets_refresh_nothing(void **state)
{
	static const struct {
		uint8_t proto, flags;
		uint32_t step_ms; /* a bit less than half of the timer */
	} rows[] = {{IPPROTO_UDP, 0, 140 * 1000}, {IPPROTO_TCP, RTE_TCP_SYN_FLAG, 110 * 1000}};

	fake_policy(4, 5, 0, OTHER "/32", API_PROTO_ANY, 0, API_DENY);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = let_out(rows[i].proto, 1, 4000, REMOTE, 80).seen.sport;

		for (unsigned n = 0; n < 2; n++) {
			pass_time(rows[i].step_ms);
			assert_int_equal(w->table.live, 1);
			assert_string_equal(
				let_in(rows[i].proto, OTHER, 5, port, rows[i].flags).drop,
				"unsolicited");
		}
		pass_time(40 * 1000);
		assert_int_equal(w->table.live, 0);
	}
}

/* Nobody comes in to whom the inside may not send, and a rule that closes closes. */
static void policy_and_rules_hold(void **state)
{
	uint16_t port;

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	port = let_out(IPPROTO_UDP, 1, 4000, REMOTE, 80).seen.sport;
	fake_policy(4, 5, 0, OTHER "/32", API_PROTO_ANY, 0, API_DENY);
	assert_string_equal(let_in(IPPROTO_UDP, OTHER, 80, port, 0).drop, "unsolicited");
	assert_int_equal(let_in(IPPROTO_UDP, "203.0.113.11", 80, port, 0).role, GRAPH_SEAL);
	fake_egress_rule(1, 0, 1, NULL);
	assert_string_equal(let_in(IPPROTO_UDP, "203.0.113.12", 80, port, 0).drop, "unsolicited");
}

/* U9, T8 with an open mapping: no need to have sent there first, but policy has to agree. The
 * other end is known by its own outside port. */
static void u9_t8_open_mappings_hairpin(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};
	uint16_t port[2];

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	for (unsigned i = 0; i < 2; i++) {
		port[i] = let_out(protos[i], 1, 4000, REMOTE, 80).seen.sport;
		assert_int_equal(let_out(protos[i], 2, 4000, V4, port[i]).role, GRAPH_DROP);
	}
	fake_policy(6, 10, 1, "100.64.0.1/32", API_PROTO_ANY, 0, API_ALLOW);
	for (unsigned i = 0; i < 2; i++) {
		uint16_t own = let_out(protos[i], 2, 4000, REMOTE, 80).seen.sport;
		struct out out = let_out(protos[i], 2, 4000, V4, port[i]);

		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, 1);
		assert_string_equal(out.src, V4);
		assert_int_equal(out.seen.sport, own);
		assert_int_equal(out.seen.dport, 4000);
		assert_true(out.right);
		out = let_out(protos[i], 1, 4000, V4, own);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, 2);
		assert_int_equal(out.seen.sport, port[i]);
	}
}

/* C8: two minutes before the port of an open mapping is another's; TCP's at once. */
static void c8_ports_rest(void **state)
{
	static const uint16_t ids[] = {1, 2};
	struct out out;
	uint16_t port;

	fake_egress(1, V4, 2048, 2048);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	port = let_out(IPPROTO_UDP, 1, 4000, REMOTE, 80).seen.sport;
	assert_int_equal(port, 2048);
	pass_time(UDP_MS);
	assert_int_equal(w->table.live, 0);
	assert_string_equal(let_in(IPPROTO_UDP, OTHER, 5, port, 0).drop, "unsolicited");
	assert_string_equal(let_out(IPPROTO_UDP, 2, 4000, REMOTE, 80).drop, "ports_exhausted");
	/* the one who had it may have it again */
	out = let_out(IPPROTO_UDP, 1, 4000, OTHER, 80);
	assert_int_equal(out.role, GRAPH_SEND);
	pass_time(UDP_MS);
	pass_time(REST_MS - UDP_MS % 1000 - 5000);
	assert_string_equal(let_out(IPPROTO_UDP, 2, 4000, REMOTE, 80).drop, "ports_exhausted");
	pass_time(10 * 1000);
	assert_int_equal(let_out(IPPROTO_UDP, 2, 4000, REMOTE, 80).role, GRAPH_SEND);
	let_out(IPPROTO_TCP, 1, 4000, REMOTE, 80);
	pass_time(250 * 1000);
	assert_int_equal(let_out(IPPROTO_TCP, 2, 4000, REMOTE, 80).role, GRAPH_SEND);
}

/* C8: for how long, and how many ports; the oldest goes first. */
static void c8_rest_is_configurable(void **state)
{
	static const uint16_t ids[] = {1, 2};
	struct api_flow_limits_set set = {
		.header = {.type = API_FLOW_LIMITS_SET, .length = sizeof(set)},
		.id = 1,
		.icmp_per_s = API_LIMIT_ICMP_DEFAULT,
		.rest_s = 500,
		.resting = 2,
	};
	unsigned sent = 0;

	fake_egress(1, V4, 2048, 2050);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN);
	assert_int_equal(fake_apply(&set), 0);
	/* one that is used again rests once more, not twice */
	for (uint16_t i = 0; i < 3; i++, pass_time(UDP_MS))
		let_out(IPPROTO_UDP, 1, 4000, REMOTE, 80);
	for (uint16_t i = 0; i < 3; i++, pass_time(2000))
		let_out(IPPROTO_UDP, 1, (uint16_t)(4000 + i), REMOTE, 80);
	pass_time(UDP_MS);
	assert_int_equal(w->table.live, 0);
	/* of three ports two rest, those that were given back last */
	for (uint16_t i = 0; i < 3; i++)
		sent += let_out(IPPROTO_UDP, 2, (uint16_t)(4000 + i), REMOTE, 80).role ==
			GRAPH_SEND;
	assert_int_equal(sent, 1);
	pass_time(490 * 1000);
	assert_int_equal(let_out(IPPROTO_UDP, 2, 5000, REMOTE, 80).role, GRAPH_SEND);
	pass_time(490 * 1000);
	set.rest_s = 1; /* counts for those that rest already */
	assert_int_equal(fake_apply(&set), 0);
	pass_time(2000);
	sent = 0;
	for (uint16_t i = 0; i < 3; i++)
		sent += let_out(IPPROTO_UDP, 2, (uint16_t)(6000 + i), REMOTE, 80).role ==
			GRAPH_SEND;
	assert_int_equal(sent, 3);
}

/* B4: more flows than ports, to different destinations; answers find who asked. */
static void b4_ports_are_shared(void **state)
{
	enum { PORTS = 128, FLOWS = 6000 };
	static const uint16_t ids[] = {1, 2};
	static uint16_t port_of[FLOWS];
	static uint8_t used[65536];
	char dst[16];
	unsigned ports = 0;

	memset(used, 0, sizeof(used));
	fake_egress(1, V4, 1024, 1024 + PORTS - 1);
	fake_pool(1, ids, 2);
	assert_int_equal(fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED), 0);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct out out;

		snprintf(dst, sizeof(dst), "203.0.%u.%u", i / 2 / 250, 1 + i / 2 % 250);
		out = let_out(IPPROTO_UDP, 1 + i % 2, 4000, dst, 80);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_string_equal(out.src, V4);
		assert_in_range(out.seen.sport, 1024, 1024 + PORTS - 1);
		port_of[i] = out.seen.sport;
		ports += used[out.seen.sport]++ == 0;
		/* two to one destination never have the same */
		assert_true(i % 2 == 0 || port_of[i] != port_of[i - 1]);
	}
	assert_int_equal(ports, PORTS);
	for (unsigned i = 0; i < FLOWS; i += 7) {
		struct out in;

		snprintf(dst, sizeof(dst), "203.0.%u.%u", i / 2 / 250, 1 + i / 2 % 250);
		in = let_in(IPPROTO_UDP, dst, 80, port_of[i], 0);
		assert_int_equal(in.role, GRAPH_SEAL);
		assert_int_equal(in.peer, 1 + i % 2);
	}
	pass_time(UDP_MS);
	assert_int_equal(w->table.live, 0);
	/* all of it was given back: a rule without sharing has every port */
	fake_egress_rule(1, 0, 1, NULL);
	for (uint16_t i = 0; i < PORTS; i++)
		assert_int_equal(
			let_out(IPPROTO_UDP, 1, (uint16_t)(1000 + i), REMOTE, 80).role, GRAPH_SEND);
	assert_string_equal(let_out(IPPROTO_UDP, 1, 5000, REMOTE, 80).drop, "ports_exhausted");
}

/* 100,000 sockets of two peers have one address with its 64,512 ports; answers find who asked. */
static void b4_more_sockets_than_an_address_has_ports(void **state)
{
	enum { FLOWS = 100000, EACH = FLOWS / 2, HOSTS = 40000 };
	static const uint16_t ids[] = {1, 2};
	static uint16_t port_of[FLOWS];
	char dst[16];

	w = fake_worker(FLOWS);
	w->owner_max = UINT32_MAX;
	fake_egress(1, V4, 1024, 65535);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct out out;

		snprintf(dst, sizeof(dst), "203.0.%u.%u", i % HOSTS / 200, 1 + i % 200);
		out = let_out(IPPROTO_UDP, 1 + i / EACH, (uint16_t)(1024 + i % EACH), dst, 80);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_string_equal(out.src, V4);
		port_of[i] = out.seen.sport;
	}
	assert_int_equal(w->table.live, FLOWS);
	for (unsigned i = 0; i < FLOWS; i++) {
		struct out in;

		snprintf(dst, sizeof(dst), "203.0.%u.%u", i % HOSTS / 200, 1 + i % 200);
		in = let_in(IPPROTO_UDP, dst, 80, port_of[i], 0);
		assert_int_equal(in.role, GRAPH_SEAL);
		assert_int_equal(in.peer, 1 + i / EACH);
		assert_int_equal(in.seen.dport, 1024 + i % EACH);
	}
}

/* Another port of the same address is no other destination (RFC 7857 section 13). */
static void b4_addresses_have_to_differ(void **state)
{
	static const uint16_t ids[] = {1, 2};

	fake_egress(1, V4, 1024, 1024);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	assert_int_equal(let_out(IPPROTO_UDP, 1, 3000, REMOTE, 80).role, GRAPH_SEND);
	assert_string_equal(let_out(IPPROTO_UDP, 2, 3000, REMOTE, 81).drop, "ports_exhausted");
	assert_int_equal(let_out(IPPROTO_UDP, 2, 3000, OTHER, 80).role, GRAPH_SEND);
	assert_int_equal(let_out(IPPROTO_TCP, 2, 3000, REMOTE, 81).role, GRAPH_SEND);
	pass_time(UDP_MS);
	assert_int_equal(let_out(IPPROTO_UDP, 2, 3000, REMOTE, 81).role, GRAPH_SEND);
}

/* One destination has no more than the ports there are, and nobody is evicted. */
static void b4_one_destination_is_bounded(void **state)
{
	enum { PORTS = 64 };
	static const uint16_t ids[] = {1, 2};
	unsigned sent = 0;

	fake_egress(1, V4, 1024, 1024 + PORTS - 1);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	for (uint16_t i = 0; i < PORTS; i++) {
		/* none is missed, even the last */
		w->now_ms += 10;
		sent += let_out(IPPROTO_TCP, 1, (uint16_t)(3000 + i), REMOTE, 80).role ==
			GRAPH_SEND;
	}
	assert_int_equal(sent, PORTS);
	for (uint16_t i = 0; i < 2 * PORTS; i++)
		assert_string_equal(let_out(IPPROTO_TCP, 1, (uint16_t)(4000 + i), REMOTE, 80).drop,
			"ports_exhausted");
	assert_int_equal(let_out(IPPROTO_TCP, 1, 3000, OTHER, 80).role, GRAPH_SEND);
	assert_int_equal(w->table.live, PORTS + 1);
}

/* A large share nearly full: without the row of tries a few in a hundred would be refused. */
static void b4_the_last_ports_are_found(void **state)
{
	enum { PORTS = 4096, TRIES = PORTS - 40 };
	static const uint16_t ids[] = {1, 2};
	unsigned refused = 0;

	fake_egress(1, V4, 4096, 4096 + PORTS - 1);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	w->owner_max = UINT32_MAX;
	for (uint16_t i = 0; i < TRIES; i++) {
		w->now_ms += 10;
		refused +=
			let_out(IPPROTO_UDP, 1, (uint16_t)(1 + i), REMOTE, 80).role != GRAPH_SEND;
	}
	assert_int_equal(refused, 0);
}

/* Long searches are rationed: with the clock standing still 32 of them, then none. */
static void b4_long_searches_are_rationed(void **state)
{
	static const uint16_t ids[] = {1, 2};

	fake_egress(1, V4, 1024, 1024);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	let_out(IPPROTO_UDP, 1, 3000, REMOTE, 80);
	for (uint16_t i = 0; i < 100; i++)
		let_out(IPPROTO_UDP, 1, (uint16_t)(4000 + i), REMOTE, 80);
	assert_true(w->sweeps.tokens < 1000); /* thousandths */
	w->now_ms += 3;
	let_out(IPPROTO_UDP, 1, 5000, REMOTE, 80);
	assert_int_equal(w->sweeps.tokens, 500);
}

/* U1 holds beside a rule that shares: exclusive ports are never among the shared ones. */
static void b4_shared_and_own_ports_are_apart(void **state)
{
	static const uint16_t ids[] = {1, 2};
	static uint8_t own[65536];
	char dst[16];

	memset(own, 0, sizeof(own));
	fake_egress(1, V4, 1024, 1024 + 256 - 1);
	fake_pool(1, ids, 2);
	fake_egress_flags(1, 0, 1, "203.0.0.0/16", API_EGRESS_SHARED);
	fake_egress_rule(2, 0, 1, NULL);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(dst, sizeof(dst), "198.18.0.%u", 1 + i);
		own[let_out(IPPROTO_UDP, 1, (uint16_t)(1000 + i % 50), dst, 80).seen.sport] = 1;
		snprintf(dst, sizeof(dst), "203.0.0.%u", 1 + i);
		assert_false(own[let_out(IPPROTO_UDP, 1, 4000, dst, 80).seen.sport]);
	}
}

/* I1a: identifiers of queries are mapped whatever the destination, also then. */
static void i1a_queries_are_not_shared(void **state)
{
	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_SHARED);
	assert_int_equal(let_out(IPPROTO_ICMP, 1, 77, REMOTE, 0).seen.sport,
		let_out(IPPROTO_ICMP, 1, 77, OTHER, 0).seen.sport);
}

/* B10: without parity the whole of a small share is used for even ports, too, from the start. */
static void b10_parity_can_be_left(void **state)
{
	unsigned odd = 0;

	fake_egress_flags(1, 0, 1, NULL, API_EGRESS_ANY_PARITY);
	for (uint16_t i = 0; i < 64; i++)
		odd += let_out(IPPROTO_UDP, 1, (uint16_t)(4000 + 2 * i), REMOTE, 80).seen.sport % 2;
	assert_in_range(odd, 16, 48);
}

static void bad_options_are_refused(void **state)
{
	assert_int_not_equal(fake_egress_flags(1, 0, 1, NULL, 1 << 4), 0);
	assert_int_not_equal(
		fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN | API_EGRESS_BY_ADDR), 0);
	assert_int_not_equal(
		fake_egress_flags(1, 0, 1, NULL, API_EGRESS_OPEN | API_EGRESS_SHARED), 0);
	assert_int_not_equal(
		fake_egress_flags(1, 0, 1, NULL, API_EGRESS_BY_ADDR | API_EGRESS_SHARED), 0);
	assert_int_equal(
		fake_egress_flags(1, 0, 1, NULL, API_EGRESS_ANY_PARITY | API_EGRESS_SHARED), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(c7_t3_open_to_anyone, setup),
		cmocka_unit_test_setup(u8_open_before_the_neighbour_is_known, setup),
		cmocka_unit_test_setup(inbound_connections_have_states, setup),
		cmocka_unit_test_setup(u8_open_to_those_sent_to, setup),
		cmocka_unit_test_setup(b6_b7_protocols_are_apart, setup),
		cmocka_unit_test_setup(b8_refused_packets_refresh_nothing, setup),
		cmocka_unit_test_setup(policy_and_rules_hold, setup),
		cmocka_unit_test_setup(u9_t8_open_mappings_hairpin, setup),
		cmocka_unit_test_setup(c8_ports_rest, setup),
		cmocka_unit_test_setup(c8_rest_is_configurable, setup),
		cmocka_unit_test_setup(b4_ports_are_shared, setup),
		cmocka_unit_test_setup(b4_more_sockets_than_an_address_has_ports, setup),
		cmocka_unit_test_setup(b4_addresses_have_to_differ, setup),
		cmocka_unit_test_setup(b4_one_destination_is_bounded, setup),
		cmocka_unit_test_setup(b4_the_last_ports_are_found, setup),
		cmocka_unit_test_setup(b4_long_searches_are_rationed, setup),
		cmocka_unit_test_setup(b4_shared_and_own_ports_are_apart, setup),
		cmocka_unit_test_setup(i1a_queries_are_not_shared, setup),
		cmocka_unit_test_setup(b10_parity_can_be_left, setup),
		cmocka_unit_test_setup(bad_options_are_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
