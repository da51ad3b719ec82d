/* SPDX-License-Identifier: BSD-3-Clause */
/* Port forwards: from outside to an inside address, with one and with three workers. */
#include "common/api/forward.h"
#include "common/api/policy.h"
#include "test/unit/dataplane/nat/exchange.h"

#define LAN_HOST "192.168.7.20"

static int setup_forwards(void **state)
{
	set_up_on(WORKERS);
	fake_policy(6, 10, 0, PEER2 "/32", IPPROTO_TCP, API_POLICY_FORWARDED, API_ALLOW);
	fake_policy(7, 10, 0, "fd00::2/128", IPPROTO_UDP, API_POLICY_FORWARDED, API_ALLOW);
	assert_int_equal(fake_forward_set(1, IPPROTO_TCP, V4, 8080, 8089, PEER2, 80, NULL), 0);
	assert_int_equal(fake_forward_set(2, IPPROTO_UDP, V6, 53, 53, "fd00::2", 5353, NULL), 0);
	return 0;
}

static struct packet_spec from_stranger(uint8_t proto, const char *dst, uint16_t dport)
{
	return (struct packet_spec){.ingress = WAN,
		.src = strchr(dst, ':') != NULL ? "2001:db8:9::9" : REMOTE,
		.dst = dst,
		.sport = 5000,
		.dport = dport,
		.proto = proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG};
}

/* There and back on every pair of workers: the range keeps its order, checksums are right. */
static void to_a_peer_and_back(void **state)
{
	for (unsigned i = 0; i < WORKERS * WORKERS; i++) {
		bool v6 = i % 2 == 1;
		uint16_t port = v6 ? 53 : (uint16_t)(8080 + i);
		struct packet_spec packet =
			from_stranger(v6 ? IPPROTO_UDP : IPPROTO_TCP, v6 ? V6 : V4, port);
		struct packet_spec back;
		struct out in, out;

		packet.sport = (uint16_t)(5000 + i);
		in = run_at(i % WORKERS, &packet);
		assert_int_equal(in.role, GRAPH_SEAL);
		assert_int_equal(in.peer, 2);
		assert_int_equal(in.at, 2); /* the server's home */
		assert_string_equal(in.dst, v6 ? "fd00::2" : PEER2);
		assert_int_equal(in.seen.dport, v6 ? 5353 : 80 + i);
		assert_string_equal(in.src, packet.src); /* the server sees who it is */
		assert_int_equal(in.seen.ttl, 63);
		assert_true(in.right);
		back = answer_from(&in, 2);
		out = run_at(i / WORKERS, &back);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_string_equal(out.src, v6 ? V6 : V4);
		assert_int_equal(out.seen.sport, port);
		assert_string_equal(out.dst, packet.src);
		assert_int_equal(out.seen.dport, packet.sport);
		assert_true(out.right);
	}
	assert_true(fake_handed > 0);
}

/* A host on a plain network beside the gateway. */
static void to_a_plain_host_and_back(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_UDP, V4, 9000), back;
	struct out in, out;

	fake_policy(8, 10, 0, LAN_HOST "/32", 0, API_POLICY_FORWARDED, API_ALLOW);
	fake_forward_set(3, IPPROTO_UDP, V4, 9000, 9000, LAN_HOST, 9000, NULL);
	in = run_at(0, &packet);
	assert_int_equal(in.role, GRAPH_SEND);
	assert_string_equal(in.dst, LAN_HOST);
	back = answer_from(&in, LAN);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		out = run_at(worker, &back);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.at, in.at);
		assert_string_equal(out.src, V4);
	}
}

/* The forward invites, the policy allows: neither does without the other. */
static void both_have_to_agree(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080);
	struct packet_spec direct = from_stranger(IPPROTO_TCP, PEER2, 80);
	struct packet_spec beside = from_stranger(IPPROTO_TCP, V4, 8090);

	assert_int_equal(run_at(0, &packet).role, GRAPH_SEAL);
	/* the policy is about forwarded flows only */
	assert_string_equal(run_at(0, &direct).drop, "policy");
	assert_string_equal(run_at(0, &beside).drop, "unsolicited");
	fake_policy(6, 10, 0, PEER2 "/32", IPPROTO_TCP, API_POLICY_FORWARDED, API_DENY);
	packet.tcp_flags = RTE_TCP_ACK_FLAG;
	assert_string_equal(run_at(0, &packet).drop, "revoked"); /* cuts the running flow */
	packet.tcp_flags = RTE_TCP_SYN_FLAG;
	assert_string_equal(run_at(0, &packet).drop, "policy");
}

/* Who speaks to the server without the forward, too, from the same port: the answers would be the
 * same packets. The second one is refused, and told apart from a lack of room. */
static void answers_belong_to_one_flow(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080);
	struct packet_spec direct = from_stranger(IPPROTO_TCP, PEER2, 80);

	fake_policy(8, 5, 0, PEER2 "/32", IPPROTO_TCP, 0, API_ALLOW);
	assert_int_equal(run_at(0, &direct).role, GRAPH_SEAL);
	assert_string_equal(run_at(0, &packet).drop, "answer_taken");
	packet.sport++;
	assert_int_equal(run_at(0, &packet).role, GRAPH_SEAL);
	assert_int_equal(run_at(0, &direct).role, GRAPH_SEAL);
}

static void senders_may_be_named(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080);

	fake_forward_set(1, IPPROTO_TCP, V4, 8080, 8089, PEER2, 80, "203.0.113.0/28");
	assert_int_equal(run_at(0, &packet).role, GRAPH_SEAL);
	packet.src = "203.0.113.99";
	assert_string_equal(run_at(0, &packet).drop, "forward_source");
}

/* A change of the forward cuts what went through it; one that leaves it as it is does not. */
static void changes_cut_what_they_change(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080);
	struct packet_spec more = packet;
	struct api_forward_del del = {
		.header = {.type = API_FORWARD_DEL, .length = sizeof(del)}, .forward = 1};

	more.tcp_flags = RTE_TCP_ACK_FLAG;
	assert_int_equal(run_at(0, &packet).role, GRAPH_SEAL);
	fake_forward_set(1, IPPROTO_TCP, V4, 8080, 8089, PEER2, 80, "0.0.0.0/0");
	assert_int_equal(run_at(0, &more).role, GRAPH_SEAL);
	fake_forward_set(1, IPPROTO_TCP, V4, 8080, 8089, PEER2, 81, NULL);
	assert_string_equal(run_at(0, &more).drop, "revoked");
	assert_int_equal(run_at(0, &packet).role, GRAPH_SEAL);
	assert_int_equal(fake_apply(&del), 0);
	assert_string_equal(run_at(2, &more).drop, "revoked"); /* at its home */
	assert_string_equal(run_at(0, &packet).drop, "unsolicited");
}

/* The middle of a connection that nobody here knows is no reason to translate. */
static void tcp_begins_with_syn(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080);

	packet.tcp_flags = RTE_TCP_ACK_FLAG;
	assert_string_equal(run_at(0, &packet).drop, "tcp_no_flow");
}

/* A forward takes its ports from the host, and the NAT gives them to nobody. */
static void ports_are_reserved(void **state)
{
	static const uint16_t ids[] = {1, 2};
	struct packet_spec packet = {
		.ingress = 1, .src = PEER1, .dst = REMOTE, .dport = 53, .proto = IPPROTO_UDP};
	struct out out;

	fake_egress(1, V4, 2048, 2111);
	fake_pool(1, ids, 2);
	fake_forward_set(4, IPPROTO_UDP, V4, 2048, 2107, PEER2, 2048, NULL);
	for (unsigned i = 0; i < 4; i++) {
		packet.sport = (uint16_t)(3000 + i);
		out = run_at(1, &packet);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_true(out.seen.sport > 2107);
	}
	packet.sport = 3004;
	assert_string_equal(run_at(1, &packet).drop, "ports_exhausted");
}

/* A port that a mapping has becomes a forward's: the mapping's flows end, others stay. */
static void a_forward_takes_over_a_port(void **state)
{
	struct packet_spec packet = {.ingress = 1,
		.src = PEER1,
		.dst = REMOTE,
		.sport = 3000,
		.dport = 53,
		.proto = IPPROTO_UDP};
	struct packet_spec other = packet;
	uint16_t port, other_port;

	other.sport = 3001;
	port = run_at(1, &packet).seen.sport;
	other_port = run_at(1, &other).seen.sport;
	fake_forward_set(4, IPPROTO_UDP, V4, port, port, PEER2, 2048, NULL);
	assert_string_equal(run_at(1, &packet).drop, "revoked");
	assert_int_not_equal(run_at(1, &packet).seen.sport, port);
	assert_int_equal(run_at(1, &other).seen.sport, other_port);
}

/* An error about an answer finds its way inside. */
static void errors_about_answers(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080), back;
	struct out in = run_at(0, &packet), told = {0};
	struct rte_mbuf *answer, *error;

	back = answer_from(&in, 2);
	answer = fake_packet(&back);
	assert_int_equal(fake_deliver(0, answer, &told.at), GRAPH_SEND);
	error = fake_error(WAN, "203.0.113.1", V4, 3, 4, answer);
	assert_int_equal(fake_deliver(0, error, &told.at), GRAPH_SEAL);
	assert_int_equal(packet_of(error)->peer, 2);
	fake_read(error, &told.seen, told.src, told.dst);
	assert_string_equal(told.dst, PEER2);
	assert_true(fake_checksums_right(error));
	/* the quoted packet is what the server had sent */
	assert_memory_equal(
		rte_pktmbuf_mtod_offset(error, uint8_t *, 20 + 8 + 12), "\x64\x40\0\2", 4);
	assert_memory_equal(rte_pktmbuf_mtod_offset(error, uint8_t *, 20 + 8 + 20), "\0\x50", 2);
	rte_pktmbuf_free(answer);
	rte_pktmbuf_free(error);
}

static void counted_by_forward(void **state)
{
	struct packet_spec packet = from_stranger(IPPROTO_TCP, V4, 8080), back;
	struct flow_worker *home = flow_worker_get(2);
	struct out in = run_at(0, &packet);

	back = answer_from(&in, 2);
	run_at(1, &back);
	flow_collect_all(home);
	assert_int_equal(home->forwards[1].flows, 1);
	assert_int_equal(home->forwards[1].packets[0], 1);
	assert_int_equal(home->forwards[1].packets[1], 1);
	assert_int_equal(home->forwards[1].bytes[0], 20 + 20 + 21);
}

static void bad_messages_are_refused(void **state)
{
	assert_int_not_equal(fake_forward_set(0, 6, V4, 80, 80, PEER2, 80, NULL), 0);
	assert_int_not_equal(fake_forward_set(API_FORWARD_MAX, 6, V4, 80, 80, PEER2, 80, NULL), 0);
	assert_int_not_equal(fake_forward_set(5, 1, V4, 80, 80, PEER2, 80, NULL), 0);
	assert_int_not_equal(fake_forward_set(5, 6, V4, 81, 80, PEER2, 80, NULL), 0);
	assert_int_not_equal(fake_forward_set(5, 6, V4, 0, 80, PEER2, 80, NULL), 0);
	assert_int_not_equal(fake_forward_set(5, 6, V4, 1, 100, PEER2, 65500, NULL), 0);
	assert_int_not_equal(fake_forward_set(5, 6, V4, 1, 100, "fd00::2", 100, NULL), 0);
}

/* The search against a trivial one, over a random table. */
static void search_is_the_model(void **state)
{
	static const char *const addrs[] = {V4, V6, "198.51.100.2"};
	struct {
		unsigned addr;
		uint8_t proto;
		uint16_t first, last;
	} model[190];
	unsigned hits = 0;

	srand(6);
	for (uint32_t i = 0; i < 190; i++) {
		model[i].addr = (unsigned)rand() % 3;
		model[i].proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
		model[i].first = (uint16_t)(10000 + i * 100 + (unsigned)rand() % 50);
		model[i].last = (uint16_t)(model[i].first + rand() % 50);
		assert_int_equal(fake_forward_set(10 + (i * 7) % 190, model[i].proto,
					 addrs[model[i].addr], model[i].first, model[i].last,
					 model[i].addr == 1 ? "fd00::2" : PEER2, 1, NULL),
			0);
	}
	for (unsigned i = 0; i < 50000; i++) {
		unsigned number = (unsigned)rand() % 3;
		uint8_t proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
		uint16_t port = (uint16_t)(10000 + rand() % 19000);
		const struct nat_forward *found;
		struct addr addr;
		uint32_t id = 0;

		for (uint32_t k = 0; k < 190; k++) {
			if (model[k].addr == number && model[k].proto == proto &&
				port >= model[k].first && port <= model[k].last)
				id = 10 + (k * 7) % 190;
		}
		assert_int_equal(addr_parse(addrs[number], &addr), 0);
		found = nat_forward_find(fake_copy, &addr, proto, port);
		assert_int_equal(found == NULL ? 0 : found->id, id);
		hits += id != 0;
	}
	assert_true(hits > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(to_a_peer_and_back, setup_forwards),
		cmocka_unit_test_setup(to_a_plain_host_and_back, setup_forwards),
		cmocka_unit_test_setup(both_have_to_agree, setup_forwards),
		cmocka_unit_test_setup(answers_belong_to_one_flow, setup_forwards),
		cmocka_unit_test_setup(senders_may_be_named, setup_forwards),
		cmocka_unit_test_setup(changes_cut_what_they_change, setup_forwards),
		cmocka_unit_test_setup(tcp_begins_with_syn, setup_forwards),
		cmocka_unit_test_setup(ports_are_reserved, setup_forwards),
		cmocka_unit_test_setup(a_forward_takes_over_a_port, setup_forwards),
		cmocka_unit_test_setup(errors_about_answers, setup_forwards),
		cmocka_unit_test_setup(counted_by_forward, setup_forwards),
		cmocka_unit_test_setup(bad_messages_are_refused, setup_forwards),
		cmocka_unit_test_setup(search_is_the_model, setup_forwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
