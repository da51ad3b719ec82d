/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One address for the gateway's kernel and the NAT: 16384 to 32767 are the NAT's, ports as well as
 * identifiers of queries; the others are the kernel's.
 */
#include "common/api/flow.h"
#include "common/api/policy.h"
#include "test/unit/dataplane/nat/exchange.h"

#define TWIN    (API_IDENT_HOST | PORT_WAN)
#define REMOTE6 "2001:db8:9::9"

enum { FIRST = 16384, LAST = 32767 };

static int setup_shared(void **state)
{
	fake_exit_node();
	fake_egress(1, V4, FIRST, LAST);
	fake_egress(2, V6, FIRST, LAST);
	fake_local(V4);
	fake_local(V6);
	w = fake_worker(16384);
	return 0;
}

static struct packet_spec packet_of_kernel(uint8_t proto, uint16_t sport)
{
	bool v6 = proto == IPPROTO_ICMPV6;

	return (struct packet_spec){.ingress = TWIN,
		.src = v6 ? V6 : V4,
		.dst = v6 ? REMOTE6 : REMOTE,
		.sport = sport,
		.dport = 443,
		.proto = proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = v6 ? 128 : 8};
}

static bool is_in_share(uint16_t port)
{
	return port >= FIRST && port <= LAST;
}

/* What the kernel chose outside of the NAT's share stays as it is, there and back. */
static void the_kernels_own_ports_stay(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
	static const uint16_t ports[] = {1024, FIRST - 1, LAST + 1, 60999};

	for (unsigned i = 0; i < 16; i++) {
		struct packet_spec spec = packet_of_kernel(protos[i % 4], ports[i / 4]);
		struct out out = run(&spec), back;
		struct packet_spec answer = answer_to(&out);

		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.seen.sport, ports[i / 4]);
		back = run(&answer);
		assert_int_equal(back.role, GRAPH_PUNT);
		assert_int_equal(back.seen.dport, ports[i / 4]);
		assert_true(out.right && back.right);
	}
}

/* One of the NAT's becomes another one of the NAT's, which no peer has; the kernel sees its own. */
static void the_nats_ports_are_given_out(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};

	for (unsigned i = 0; i < 4; i++) {
		struct packet_spec spec = packet_of_kernel(protos[i], 20000);
		struct packet_spec peers = spec, answer;
		struct out out = run(&spec), back, other;

		peers.ingress = 1;
		peers.src = protos[i] == IPPROTO_ICMPV6 ? "fd00::1" : "100.64.0.1";
		other = run(&peers);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(other.role, GRAPH_SEND);
		assert_string_equal(out.src, other.src);
		assert_true(is_in_share(out.seen.sport) && is_in_share(other.seen.sport));
		assert_int_not_equal(out.seen.sport, other.seen.sport);
		answer = answer_to(&out);
		back = run(&answer);
		assert_int_equal(back.role, GRAPH_PUNT);
		assert_int_equal(back.seen.dport, 20000);
		answer = answer_to(&other);
		back = run(&answer);
		assert_int_equal(back.role, GRAPH_SEAL);
		assert_int_equal(back.seen.dport, 20000);
		assert_true(out.right && back.right && other.right);
	}
}

/* Every identifier at once, the kernel's and a peer's, to one destination: none is answered to the
 * wrong one. */
static void identifiers_never_meet(void **state)
{
	static uint8_t used[65536];

	memset(used, 0, sizeof(used));
	for (uint32_t id = FIRST; id < FIRST + 4096; id++) {
		struct packet_spec spec = packet_of_kernel(IPPROTO_ICMP, (uint16_t)id);
		struct out out = run(&spec);

		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(used[out.seen.sport]++, 0);
		spec.ingress = 1;
		spec.src = "100.64.0.1";
		out = run(&spec);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(used[out.seen.sport]++, 0);
	}
}

/* The home of a kernel's flow does not depend on who has the block of its port now. */
static void home_stays_when_blocks_change(void **state)
{
	struct flow_key key = {.sport = 20000, .dport = 443, .proto = IPPROTO_TCP, .family = 4};
	unsigned before;

	world.workers = 3;
	w->workers = 3;
	key.ident = API_IDENT_HOST;
	memcpy(key.src, (uint8_t[]){198, 51, 100, 1}, 4);
	memcpy(key.dst, (uint8_t[]){203, 0, 113, 9}, 4);
	before = flow_home(w, &key, false);
	for (uint16_t port = 4000; port < 4600; port++) {
		struct packet_spec spec = packet_of_kernel(IPPROTO_TCP, port);

		spec.ingress = 1;
		spec.src = "100.64.0.1";
		spec.flags = PACKET_AT_HOME;
		run(&spec);
		assert_int_equal(flow_home(w, &key, false), before);
	}
}

/* A change of configuration judges the kernel's flows anew and keeps their ports. */
static void mapped_flows_survive_a_change(void **state)
{
	struct packet_spec spec = packet_of_kernel(IPPROTO_TCP, 20000);
	struct out out = run(&spec), again;

	world.generation++;
	flow_worker_refresh(w, fake_copy, w->now_ms);
	spec.tcp_flags = RTE_TCP_ACK_FLAG;
	again = run(&spec);
	assert_int_equal(again.role, GRAPH_SEND);
	assert_int_equal(again.seen.sport, out.seen.sport);
	/* no longer an egress address: the port is the kernel's alone, and the flow a new one */
	fake_clear();
	fake_policy(1, 1, 0, NULL, 0, 0, API_ALLOW);
	world.generation++;
	flow_worker_refresh(w, fake_copy, w->now_ms);
	again = run(&spec);
	assert_int_equal(again.role, GRAPH_DROP);
	again = run(&spec);
	assert_int_equal(again.role, GRAPH_SEND);
	assert_int_equal(again.seen.sport, 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_kernels_own_ports_stay, setup_shared),
		cmocka_unit_test_setup(the_nats_ports_are_given_out, setup_shared),
		cmocka_unit_test_setup(identifiers_never_meet, setup_shared),
		cmocka_unit_test_setup(home_stays_when_blocks_change, setup_shared),
		cmocka_unit_test_setup(mapped_flows_survive_a_change, setup_shared),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
