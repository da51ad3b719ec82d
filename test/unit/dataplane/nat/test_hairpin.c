/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hairpinning: from one inside host to another by way of the outside addresses, on three workers,
 * so that each side's flow is at its own home.
 */
#include "common/api/forward.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "test/unit/dataplane/nat/exchange.h"

#define A PEER1
#define B PEER2

static void allow_between_peers(void)
{
	fake_policy(6, 10, 1, B "/32", API_PROTO_ANY, 0, API_ALLOW);
}

static struct out let_udp(uint32_t peer, uint16_t sport, const char *dst, uint16_t dport)
{
	return let_out(IPPROTO_UDP, peer, sport, dst, dport);
}

/* Both learn their outside ports from a stranger, then send to each other's (UDP hole punching). */
static void punch(uint16_t *port_a, uint16_t *port_b)
{
	*port_a = let_udp(1, 4000, REMOTE, 3478).seen.sport;
	*port_b = let_udp(2, 4000, REMOTE, 3478).seen.sport;
}

/* U9, U9a: the other's outside address and port are what either sees. */
static void u9_mappings_reach_each_other(void **state)
{
	uint16_t port_a, port_b;
	struct out out;

	allow_between_peers();
	punch(&port_a, &port_b);
	/* what nobody asked for yet */
	assert_string_equal(let_udp(1, 4000, V4, port_b).drop, "unsolicited");
	for (unsigned i = 0; i < 3; i++) {
		out = let_udp(2, 4000, V4, port_a);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, 1);
		assert_string_equal(out.dst, A);
		assert_int_equal(out.seen.dport, 4000);
		assert_string_equal(out.src, V4);
		assert_int_equal(out.seen.sport, port_b);
		assert_int_equal(out.seen.ttl, 63);
		assert_int_equal(out.at, 1);
		assert_true(out.right);
		out = let_udp(1, 4000, V4, port_b);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, 2);
		assert_string_equal(out.dst, B);
		assert_int_equal(out.seen.sport, port_a);
		assert_int_equal(out.at, 2);
		assert_true(out.right);
	}
}

/* The NAT is no way around the policy, before and after a change. */
static void policy_holds(void **state)
{
	uint16_t port_a, port_b;

	punch(&port_a, &port_b);
	let_udp(1, 4000, V4, port_b);
	assert_string_equal(let_udp(2, 4000, V4, port_a).drop, "hairpin");
	allow_between_peers();
	assert_int_equal(let_udp(2, 4000, V4, port_a).role, GRAPH_SEAL);
	assert_int_equal(let_udp(1, 4000, V4, port_b).role, GRAPH_SEAL);
	fake_policy(6, 10, 1, B "/32", API_PROTO_ANY, 0, API_DENY);
	assert_string_equal(let_udp(2, 4000, V4, port_a).drop, "hairpin");
	assert_string_equal(let_udp(1, 4000, V4, port_b).drop, "hairpin");
}

/* The exit policy has to allow the way out, too. */
static void exit_policy_holds(void **state)
{
	fake_policy(5, 10, 0, NULL, API_PROTO_ANY, API_POLICY_TO_EXIT, API_DENY);
	assert_string_equal(let_udp(1, 4000, V4, 40000).drop, "policy");
}

/* To a forwarded port of ours; the server sees the client's outside address. */
static void hairpin_to_forward(uint8_t proto)
{
	struct packet_spec back;
	struct out in, out;

	fake_forward_set(1, proto, V4, 8080, 8080, B, 80, NULL);
	assert_string_equal(let_out(proto, 1, 4000, V4, 8080).drop, "policy");
	fake_policy(6, 10, 0, B "/32", API_PROTO_ANY, API_POLICY_FORWARDED, API_ALLOW);
	in = let_out(proto, 1, 4000, V4, 8080);
	assert_int_equal(in.role, GRAPH_SEAL);
	assert_int_equal(in.peer, 2);
	assert_string_equal(in.dst, B);
	assert_int_equal(in.seen.dport, 80);
	assert_string_equal(in.src, V4);
	assert_int_equal(in.seen.ttl, 63);
	assert_true(in.right);
	back = (struct packet_spec){.ingress = 2,
		.src = B,
		.dst = V4,
		.sport = 80,
		.dport = in.seen.sport,
		.proto = proto,
		.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG};
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		out = run_at(worker, &back);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, 1);
		assert_string_equal(out.dst, A);
		assert_string_equal(out.src, V4);
		assert_int_equal(out.seen.sport, 8080);
		assert_int_equal(out.seen.ttl, 63);
		assert_true(out.right);
	}
	/* the server itself, by its own outside address */
	in = let_out(proto, 2, 4000, V4, 8080);
	assert_int_equal(in.role, GRAPH_SEAL);
	assert_int_equal(in.peer, 2);
	assert_string_equal(in.src, V4);
}

/* U9, T8. */
static void u9_forwards_hairpin(void **state)
{
	hairpin_to_forward(IPPROTO_UDP);
}

static void t8_forwards_hairpin(void **state)
{
	hairpin_to_forward(IPPROTO_TCP);
}

/* A forward to a plain host: its answers meet the peer's flow wherever they arrive. */
static void forwards_to_plain_hosts_hairpin(void **state)
{
	struct packet_spec back;
	struct out in, out;

	fake_forward_set(1, IPPROTO_UDP, V4, 8080, 8080, "192.168.7.20", 80, NULL);
	fake_policy(6, 10, 0, "192.168.7.20/32", API_PROTO_ANY, API_POLICY_FORWARDED, API_ALLOW);
	in = let_udp(1, 4000, V4, 8080);
	assert_int_equal(in.role, GRAPH_SEND);
	assert_string_equal(in.src, V4);
	back = (struct packet_spec){.ingress = LAN,
		.src = "192.168.7.20",
		.dst = V4,
		.sport = 80,
		.dport = in.seen.sport,
		.proto = IPPROTO_UDP};
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		out = run_at(worker, &back);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_string_equal(out.dst, A);
		assert_int_equal(out.seen.sport, 8080);
	}
}

/* I7, B14: an error about a hairpinned packet goes the whole way back. */
static void i7_errors_are_hairpinned(void **state)
{
	struct packet_spec spec = {.ingress = 1,
		.src = A,
		.dst = V4,
		.sport = 4000,
		.dport = 8080,
		.proto = IPPROTO_UDP,
		.payload = 11};
	struct rte_mbuf *mbuf = fake_packet(&spec), *error;
	const uint8_t *quoted;
	struct out out;

	fake_forward_set(1, IPPROTO_UDP, V4, 8080, 8080, B, 80, NULL);
	fake_policy(6, 10, 0, B "/32", API_PROTO_ANY, API_POLICY_FORWARDED, API_ALLOW);
	out = run_mbuf(0, mbuf);
	assert_int_equal(out.role, GRAPH_SEAL);
	error = fake_error(2, B, V4, 3, 3, mbuf);
	out = run_mbuf(0, error);
	assert_int_equal(out.role, GRAPH_SEAL);
	assert_int_equal(out.peer, 1);
	assert_string_equal(out.src, V4);
	assert_string_equal(out.dst, A);
	assert_true(out.right);
	quoted = rte_pktmbuf_mtod_offset(error, const uint8_t *, 28);
	assert_memory_equal(quoted + 12, "\x64\x40\0\1\xc6\x33\x64\1", 8);
	assert_memory_equal(quoted + 20, "\x0f\xa0\x1f\x90", 4);
	rte_pktmbuf_free(mbuf);
	rte_pktmbuf_free(error);
}

/* An error of the gateway's own about a hairpinned packet: too big for the other tunnel. */
static void own_errors_are_hairpinned(void **state)
{
	struct packet_spec spec = {.ingress = 1,
		.src = A,
		.dst = V4,
		.sport = 4000,
		.dport = 8080,
		.proto = IPPROTO_UDP,
		.payload = 1300,
		.dont_fragment = true};
	struct rte_mbuf *mbuf = fake_packet(&spec), *told;
	struct out out;
	uint8_t role;

	world.peer[2].mtu = 1280;
	fake_forward_set(1, IPPROTO_UDP, V4, 8080, 8080, B, 80, NULL);
	fake_policy(6, 10, 0, B "/32", API_PROTO_ANY, API_POLICY_FORWARDED, API_ALLOW);
	out = run_mbuf(0, mbuf);
	assert_int_equal(out.role, GRAPH_ICMP);
	told = flow_tell(flow_worker_get(out.at), mbuf, &role);
	assert_non_null(told);
	assert_int_equal(role, GRAPH_FORWARD);
	out = run_mbuf(out.at, told);
	assert_int_equal(out.role, GRAPH_SEAL);
	assert_int_equal(out.peer, 1);
	assert_string_equal(out.dst, A);
	assert_int_equal(rte_pktmbuf_mtod_offset(told, const uint8_t *, 20)[1], 4);
	assert_true(out.right);
	rte_pktmbuf_free(mbuf);
	rte_pktmbuf_free(told);
}

/* Nobody outside can send as if it were the NAT's own. */
static void strangers_cannot_pretend(void **state)
{
	struct packet_spec spec = {.ingress = WAN, .src = V4, .dst = V4, .proto = IPPROTO_UDP};
	uint16_t port_a, port_b;
	struct out out;

	allow_between_peers();
	punch(&port_a, &port_b);
	let_udp(1, 4000, V4, port_b);
	let_udp(2, 4000, V4, port_a);
	spec.sport = port_b;
	spec.dport = port_a;
	out = run(&spec);
	assert_int_equal(out.role, GRAPH_DROP);
	assert_string_equal(out.drop, "forged_tuple");
}

/* A flow to what is behind a routing peer: who asks, who carries it, and as what it is seen. */
struct routed {
	uint32_t asks, routes;
	const char *outside;
	uint8_t proto;
	unsigned workers;
};

static void set_up_routed(const struct routed *c)
{
	static const uint16_t ids[] = {9};

	set_up_on(c->workers);
	if (strcmp(c->outside, V4) != 0) {
		fake_local(c->outside);
		fake_egress(9, c->outside, 16384, 32767);
		fake_pool(9, ids, 1);
		fake_egress_rule(1, 0, 9, "10.9.0.0/16");
	}
	fake_allow(c->routes, "10.9.0.0/16");
	fake_route(0, "10.9.0.0/16", API_NEXT_PEER, API_ROUTE_MASQUERADE)->peer = c->routes;
	fake_policy(8, 5, 0, "10.9.0.0/16", API_PROTO_ANY, 0, API_ALLOW);
}

/* The packet comes to the asking peer, whichever worker it arrives at, by two others at most. */
static void comes_back(const struct routed *c, unsigned worker, struct rte_mbuf *mbuf)
{
	uint64_t handed = fake_handed;
	struct out out = run_mbuf(worker, mbuf);

	assert_int_equal(out.role, GRAPH_SEAL);
	assert_int_equal(out.peer, c->asks);
	assert_string_equal(out.dst, c->asks == 1 ? A : B);
	assert_true(out.right);
	assert_in_range(fake_handed - handed, 0, c->workers == 1 ? 0 : 2);
	rte_pktmbuf_free(mbuf);
}

static void ask_behind(const struct routed *c)
{
	struct packet_spec spec = {.ingress = c->asks,
		.src = c->asks == 1 ? A : B,
		.dst = "10.9.0.5",
		.sport = 4000,
		.dport = 80,
		.proto = c->proto,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = 8,
		.payload = 9};

	set_up_routed(c);
	for (unsigned worker = 0; worker < c->workers; worker++) {
		struct rte_mbuf *mbuf = fake_packet(&spec);
		struct out out = run_mbuf(worker, mbuf);
		struct packet_spec back = {.ingress = c->routes,
			.src = "10.9.0.5",
			.dst = c->outside,
			.sport = out.seen.dport,
			.dport = out.seen.sport,
			.proto = c->proto,
			.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG};

		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, c->routes);
		assert_string_equal(out.src, c->outside);
		for (unsigned at = 0; at < c->workers; at++) {
			comes_back(c, at, fake_packet(&back));
			comes_back(
				c, at, fake_error(c->routes, "10.9.0.5", c->outside, 3, 1, mbuf));
		}
		rte_pktmbuf_free(mbuf);
	}
}

/* Masqueraded towards a routing peer, as the overlay's own address or as one of a pool: answers and
 * errors find the flow wherever they arrive, whichever of the two peers has the lower number. */
static void masqueraded_to_a_routing_peer(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
	static const char *const outsides[] = {"100.64.0.254", V4};

	for (unsigned i = 0; i < 24; i++) {
		struct routed routed = {
			.asks = 1 + i % 2,
			.routes = 2 - i % 2,
			.outside = outsides[i / 2 % 2],
			.workers = i / 4 % 2 == 0 ? 1 : WORKERS,
			.proto = protos[i / 8],
		};

		ask_behind(&routed);
	}
}

/* To the asking peer's outside port; hairpinned, as `seen`. How often it was handed over. */
static unsigned send_inward(unsigned worker, const char *src, uint16_t port, uint16_t seen)
{
	struct packet_spec spec = {.ingress = 2,
		.src = src,
		.dst = V4,
		.sport = 4000,
		.dport = port,
		.proto = IPPROTO_UDP};
	unsigned before = fake_handed;
	struct out out = run_at(worker, &spec);

	assert_int_equal(out.role, GRAPH_SEAL);
	assert_int_equal(out.peer, 1);
	assert_string_equal(out.src, V4);
	assert_int_equal(out.seen.sport, seen);
	assert_int_equal(out.at, 1);
	return fake_handed - before;
}

/* What is no answer is hairpinned at the routing peer's home. From behind that peer all packets
 * take one way, the first and later ones, so that none overtakes another; his own, which cannot be
 * answers, are not taken to whom they might answer. */
static void no_answers_are_hairpinned(void **state)
{
	static const struct {
		const char *src;
		unsigned handed[WORKERS]; /* by where it arrives; once by hairpinning */
	} rows[] = {{"10.9.0.5", {3, 2, 3}}, {B, {2, 2, 1}}};
	struct routed routed = {1, 2, V4, IPPROTO_UDP, WORKERS};

	for (unsigned i = 0; i < RTE_DIM(rows) * WORKERS; i++) {
		const char *src = rows[i / WORKERS].src;
		struct packet_spec spec = {.ingress = 2,
			.src = src,
			.dst = REMOTE,
			.sport = 4000,
			.dport = 3478,
			.proto = IPPROTO_UDP};
		unsigned at = i % WORKERS;
		uint16_t port, seen;

		set_up_routed(&routed);
		allow_between_peers();
		port = let_udp(1, 4000, "10.9.0.5", 80).seen.sport;
		seen = run_at(2, &spec).seen.sport;
		/* the inside sends to the other's outside, and so lets him in there */
		let_udp(1, 4000, V4, seen);
		for (unsigned n = 0; n < 3; n++)
			assert_int_equal(
				send_inward(at, src, port, seen), rows[i / WORKERS].handed[at]);
		assert_int_equal(flow_worker_get(0)->table.live, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(u9_mappings_reach_each_other, setup_workers),
		cmocka_unit_test_setup(policy_holds, setup_workers),
		cmocka_unit_test_setup(exit_policy_holds, setup_workers),
		cmocka_unit_test_setup(u9_forwards_hairpin, setup_workers),
		cmocka_unit_test_setup(t8_forwards_hairpin, setup_workers),
		cmocka_unit_test_setup(forwards_to_plain_hosts_hairpin, setup_workers),
		cmocka_unit_test_setup(i7_errors_are_hairpinned, setup_workers),
		cmocka_unit_test_setup(own_errors_are_hairpinned, setup_workers),
		cmocka_unit_test_setup(strangers_cannot_pretend, setup_workers),
		cmocka_unit_test_setup(masqueraded_to_a_routing_peer, setup_workers),
		cmocka_unit_test_setup(no_answers_are_hairpinned, setup_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
