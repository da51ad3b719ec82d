/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The behaviour that RFC 4787, 5382, 5508, 6888 and 7857 ask of a NAT, packet by packet: mapping,
 * filtering, rewriting, and what a change of the configuration cuts. Names start with the
 * requirement's number in docs/conformance/nat.md.
 */
#include "common/api/route.h"
#include "dataplane/flow/rewrite.h"
#include "test/unit/dataplane/nat/exchange.h"

/* U1, T1: one outside port for all destinations. */
static void u1_t1_mapping_is_endpoint_independent(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};

	for (unsigned i = 0; i < 2; i++) {
		struct packet_spec a = from_peer(protos[i], 4000, REMOTE, 80);
		struct packet_spec b = from_peer(protos[i], 4000, OTHER, 443);
		struct packet_spec c = from_peer(protos[i], 4001, OTHER, 443);
		struct out first = run(&a), second = run(&b), third = run(&c);

		assert_int_equal(first.role, GRAPH_SEND);
		assert_string_equal(first.src, V4);
		assert_int_equal(first.seen.sport, second.seen.sport);
		assert_string_equal(second.src, V4);
		assert_int_not_equal(first.seen.sport, third.seen.sport);
	}
}

/* U8, T3: only who was asked may answer (address and port dependent filtering). */
static void u8_t3_filtering_is_by_address_and_port(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct out out = run(&packet);
	struct packet_spec back = answer_to(&out);
	struct out in = run(&back);

	assert_int_equal(in.role, GRAPH_SEAL);
	assert_int_equal(in.peer, 1);
	assert_string_equal(in.dst, "100.64.0.1");
	assert_int_equal(in.seen.dport, 4000);
	assert_true(in.right);
	back.sport++;
	in = run(&back);
	assert_int_equal(in.role, GRAPH_DROP);
	assert_string_equal(in.drop, "unsolicited");
	back.sport--;
	back.src = OTHER;
	assert_int_equal(run(&back).role, GRAPH_DROP);
	assert_int_equal(w->table.live, 1);
}

/* Right checksums both ways, for all protocols and families, odd lengths, and UDP without one. */
static void checksums_are_right(void **state)
{
	static const uint8_t protos4[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
	static const uint8_t protos6[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMPV6};

	srand(1624);
	for (unsigned i = 0; i < 1200; i++) {
		bool v6 = i % 2 == 1;
		struct packet_spec packet = from_peer((v6 ? protos6 : protos4)[i % 3],
			(uint16_t)rand(), v6 ? "2001:db8:9::9" : REMOTE, 443);
		struct packet_spec back;
		struct out out, in;

		packet.payload = (uint16_t)(rand() % 90);
		packet.no_checksum = packet.proto == IPPROTO_UDP && !v6 && rand() % 2 == 0;
		out = run(&packet);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_true(out.right);
		assert_string_equal(out.src, v6 ? V6 : V4);
		back = answer_to(&out);
		back.payload = (uint16_t)(rand() % 90);
		in = run(&back);
		assert_int_equal(in.role, GRAPH_SEAL);
		assert_true(in.right);
		assert_string_equal(in.dst, packet.src);
		assert_int_equal(in.seen.dport, packet.sport);
	}
}

/* Forwards a packet of one flow with `add` added (as ones' complement) to a word of its payload;
 * the checksum that it left with. */
static uint16_t udp_checksum_with(uint16_t add)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 1024, REMOTE, 53);
	struct rte_mbuf *mbuf;
	uint16_t *word, *checksum;
	uint16_t left;

	packet.payload = 4;
	mbuf = fake_packet(&packet);
	word = rte_pktmbuf_mtod_offset(mbuf, uint16_t *, 28);
	checksum = rte_pktmbuf_mtod_offset(mbuf, uint16_t *, 26);
	*word = rewrite_fold((uint32_t)*word + add);
	*checksum = rewrite_checksum(*checksum, add);
	if (*checksum == 0)
		*checksum = 0xffff;
	assert_true(fake_checksums_right(mbuf));
	assert_int_equal(fake_forward(w, mbuf), GRAPH_SEND);
	assert_true(fake_checksums_right(mbuf));
	left = *rte_pktmbuf_mtod_offset(mbuf, uint16_t *, 26);
	rte_pktmbuf_free(mbuf);
	return left;
}

/* A payload for which the sum comes out as 0, which would say that there is none (RFC 768). */
static void udp_checksum_never_becomes_none(void **state)
{
	uint16_t first = udp_checksum_with(0);

	assert_int_not_equal(first, 0xffff);
	assert_int_equal(udp_checksum_with(first), 0xffff);
}

/* MSS of SYNs both ways, both families, and only downwards. */
static void mss_is_clamped(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_TCP, 4000, REMOTE, 80), back;
	struct out out, in;

	packet.mss = 1460;
	out = run(&packet);
	assert_int_equal(out.seen.mss, 1380);
	assert_true(out.right);
	back = answer_to(&out);
	back.mss = 1400;
	in = run(&back);
	assert_int_equal(in.seen.mss, 1380);
	assert_true(in.right);
	packet = from_peer(IPPROTO_TCP, 4000, "2001:db8:9::9", 80);
	packet.mss = 1440;
	out = run(&packet);
	assert_int_equal(out.seen.mss, 1360);
	assert_true(out.right);
	packet.sport++;
	packet.mss = 536;
	assert_int_equal(run(&packet).seen.mss, 536);
}

/* Fail closed: no rule, an empty pool, a pool without the family, a rule that denies. */
static void refused_without_an_address(void **state)
{
	struct api_egress_rule_del del = {
		.header = {.type = API_EGRESS_RULE_DEL, .length = sizeof(del)}, .rule = 1};
	static const uint16_t v4[] = {1};
	struct packet_spec six = from_peer(IPPROTO_UDP, 4000, "2001:db8:9::9", 3478);
	struct packet_spec four = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);

	fake_pool(1, v4, 1);
	assert_string_equal(run(&six).drop, "egress_refused");
	assert_int_equal(run(&four).role, GRAPH_SEND);
	fake_pool(1, v4, 0);
	four.sport++;
	assert_string_equal(run(&four).drop, "egress_refused");
	fake_pool(1, v4, 1);
	fake_egress_rule(1, 7, 1, NULL);
	assert_string_equal(run(&four).drop, "egress_refused");
	fake_egress_rule(1, 1, 0, NULL);
	assert_string_equal(run(&four).drop, "egress_refused");
	fake_egress_rule(1, 1, 1, OTHER "/32");
	assert_string_equal(run(&four).drop, "egress_refused");
	four.dst = OTHER;
	assert_int_equal(run(&four).role, GRAPH_SEND);
	four.sport++;
	fake_egress_rule(2, 1, 0, NULL);
	fake_egress_rule(3, 0, 1, NULL);
	four.dst = REMOTE;
	assert_string_equal(run(&four).drop, "egress_refused");
	del.rule = 2;
	assert_int_equal(fake_apply(&del), 0);
	assert_int_equal(run(&four).role, GRAPH_SEND);
}

/* A route that masquerades no more cuts the flows whose addresses would change. */
static void masquerade_withdrawn_cuts_the_flow(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct out out = run(&packet);

	assert_int_equal(out.role, GRAPH_SEND);
	for (unsigned i = 0; i < world.overlays; i++)
		world.overlay[i].hop.flags &= (uint16_t)~API_ROUTE_MASQUERADE;
	world.generation++;
	assert_string_equal(run(&packet).drop, "revoked");
	out = run(&packet);
	assert_int_equal(out.role, GRAPH_SEND);
	assert_string_equal(out.src, "100.64.0.1");
	assert_int_equal(out.seen.sport, 4000);
}

/* An address that goes takes its flows along; then its memory can go, too. */
static void deleted_address_cuts_its_flows(void **state)
{
	struct api_egress_addr_del del = {
		.header = {.type = API_EGRESS_ADDR_DEL, .length = sizeof(del)}, .egress = 1};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);

	assert_int_equal(run(&packet).role, GRAPH_SEND);
	assert_int_equal(fake_apply(&del), 0);
	nat_housekeep(); /* must not free what the flow still uses */
	assert_string_equal(run(&packet).drop, "revoked");
	assert_string_equal(run(&packet).drop, "egress_refused");
	nat_housekeep();
	assert_int_equal(w->table.live, 0);
}

/* A share that becomes smaller, since the address is the host's now, cuts what is outside of it. */
static void smaller_share_cuts_its_flows(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct out out;

	fake_egress(9, "198.51.100.9", 40000, 40000);
	fake_pool(1, ids, 1);
	assert_int_equal(run(&packet).seen.sport, 40000);
	fake_egress(9, "198.51.100.9", 16384, 40000);
	assert_int_equal(run(&packet).seen.sport, 40000);
	fake_egress(9, "198.51.100.9", 16384, 32767);
	assert_string_equal(run(&packet).drop, "revoked");
	out = run(&packet);
	assert_in_range(out.seen.sport, 16384, 32767);
}

/* Also what is left of blocks that were claimed before, and mappings that other flows still have.
 */
static void smaller_share_gives_no_other_ports(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec first = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct packet_spec second = from_peer(IPPROTO_UDP, 4001, REMOTE, 3478);

	fake_egress(9, "198.51.100.9", 39936, 39999);
	fake_pool(1, ids, 1);
	assert_in_range(run(&first).seen.sport, 39936, 39999);
	assert_in_range(run(&second).seen.sport, 39936, 39999);
	fake_egress(9, "198.51.100.9", 16384, 32767);
	assert_string_equal(run(&first).drop, "revoked");
	assert_in_range(run(&first).seen.sport, 16384, 32767);
	second.dst = OTHER;
	assert_in_range(run(&second).seen.sport, 16384, 32767);
	second.dst = REMOTE;
	assert_string_equal(run(&second).drop, "revoked");
	assert_in_range(run(&second).seen.sport, 16384, 32767);
}

static void other_protocols_are_refused(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_GRE, 4000, REMOTE, 3478);

	assert_string_equal(run(&packet).drop, "protocol");
}

static void bad_messages_are_refused(void **state)
{
	struct api_egress_addr_set set = {
		.header = {.type = API_EGRESS_ADDR_SET, .length = sizeof(set)},
		.egress = 5,
		.port_first = 0,
		.port_last = 65535,
	};
	struct api_egress_pool_set pool = {
		.header = {.type = API_EGRESS_POOL_SET, .length = sizeof(pool)},
		.pool = 1,
		.count = API_EGRESS_POOL_ADDRS + 1,
	};

	assert_int_equal(fake_apply(&set), API_E_VALUE);
	assert_int_equal(addr_parse(V4, &set.addr), 0);
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	set.port_first = 1024;
	set.egress = API_EGRESS_ADDR_MAX;
	assert_int_equal(fake_apply(&set), API_E_VALUE);
	assert_int_equal(fake_apply(&pool), API_E_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(u1_t1_mapping_is_endpoint_independent, setup),
		cmocka_unit_test_setup(u8_t3_filtering_is_by_address_and_port, setup),
		cmocka_unit_test_setup(checksums_are_right, setup),
		cmocka_unit_test_setup(udp_checksum_never_becomes_none, setup),
		cmocka_unit_test_setup(mss_is_clamped, setup),
		cmocka_unit_test_setup(refused_without_an_address, setup),
		cmocka_unit_test_setup(masquerade_withdrawn_cuts_the_flow, setup),
		cmocka_unit_test_setup(deleted_address_cuts_its_flows, setup),
		cmocka_unit_test_setup(smaller_share_cuts_its_flows, setup),
		cmocka_unit_test_setup(smaller_share_gives_no_other_ports, setup),
		cmocka_unit_test_setup(other_protocols_are_refused, setup),
		cmocka_unit_test_setup(bad_messages_are_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
