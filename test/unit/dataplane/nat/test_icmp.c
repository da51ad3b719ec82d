/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP through the NAT: queries, errors from both sides, and what a refused peer is told. Names
 * start with the requirement's number in docs/conformance/nat.md.
 */
#include "common/api/policy.h"
#include "test/unit/dataplane/nat/exchange.h"

/* I1, I2: queries by identifier, for sixty seconds at least. */
static void i1_i2_icmp_queries(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_ICMP, 77, REMOTE, 0);
	struct packet_spec other = from_peer(IPPROTO_ICMP, 77, OTHER, 0);
	struct out first = run(&packet), second = run(&other), in;
	struct packet_spec back = answer_to(&first);

	assert_int_equal(first.seen.sport, second.seen.sport);
	in = run(&back);
	assert_int_equal(in.role, GRAPH_SEAL);
	assert_int_equal(in.seen.sport, 77);
	pass_time(59 * 1000);
	in = run(&back);
	assert_int_equal(in.role, GRAPH_SEAL);
	pass_time(63 * 1000);
	assert_int_equal(w->table.live, 0);
	assert_int_equal(run(&back).role, GRAPH_DROP);
}

/* I4, I6, U12, T10: an error from outside finds its flow, and changes nothing about it. */
static void i4_i6_error_from_outside(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};

	for (unsigned i = 0; i < 3; i++) {
		struct packet_spec packet = from_peer(protos[i], 4000, REMOTE, 80);
		struct rte_mbuf *sent = fake_packet(&packet), *error;
		struct packet inner_packet;
		struct out first, again;

		assert_int_equal(fake_forward(w, sent), GRAPH_SEND);
		error = fake_error(WAN, "192.0.2.77", V4, 3, 1, sent);
		assert_int_equal(fake_forward(w, error), GRAPH_SEAL);
		assert_int_equal(packet_of(error)->peer, 1);
		assert_true(fake_checksums_right(error));
		fake_read(error, &first.seen, first.src, first.dst);
		assert_string_equal(first.src, "192.0.2.77");
		assert_string_equal(first.dst, "100.64.0.1");
		assert_int_equal(first.seen.icmp_type, 3);
		assert_int_equal(rte_pktmbuf_mtod(error, uint8_t *)[20 + 1], 1);
		/* what it quotes is what the peer had sent, with right checksums */
		inner_packet = *packet_of(error);
		rte_pktmbuf_adj(error, 28);
		packet_of(error)->proto = protos[i];
		assert_true(fake_checksums_right(error));
		fake_read(error, &again.seen, again.src, again.dst);
		assert_string_equal(again.src, "100.64.0.1");
		assert_string_equal(again.dst, REMOTE);
		assert_int_equal(again.seen.sport, 4000);
		assert_int_equal(inner_packet.peer, 1);
		rte_pktmbuf_free(error);
		/* the flow is still there */
		assert_int_equal(run(&packet).role, GRAPH_SEND);
		rte_pktmbuf_free(sent);
	}
	assert_int_equal(w->table.live, 3);
}

static void i4_error_from_outside_v6(void **state)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMPV6};

	for (unsigned i = 0; i < 3; i++) {
		struct packet_spec packet = from_peer(protos[i], 4000, "2001:db8:9::9", 80);
		struct rte_mbuf *sent = fake_packet(&packet), *error;
		char src[46], dst[46];
		struct packet_spec seen;

		assert_int_equal(fake_forward(w, sent), GRAPH_SEND);
		error = fake_error(WAN, "2001:db8:77::1", V6, 2, 0, sent);
		assert_int_equal(fake_forward(w, error), GRAPH_SEAL);
		assert_true(fake_checksums_right(error));
		fake_read(error, &seen, src, dst);
		assert_string_equal(src, "2001:db8:77::1");
		assert_string_equal(dst, "fd00::1");
		assert_int_equal(seen.icmp_type, 2);
		rte_pktmbuf_adj(error, 48);
		packet_of(error)->proto = protos[i];
		assert_true(fake_checksums_right(error));
		fake_read(error, &seen, src, dst);
		assert_string_equal(src, "fd00::1");
		assert_string_equal(dst, "2001:db8:9::9");
		assert_int_equal(seen.sport, 4000);
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(sent);
	}
}

/* Rewrites the quotation of an error: an option between its header and layer 4, whose checksum is
 * made wrong, and bytes behind it as RFC 4884 puts them there. Returns the new error. */
static struct rte_mbuf *quote_oddly(struct rte_mbuf *about, const char option[4])
{
	struct rte_mbuf *error = fake_error(WAN, "203.0.113.1", V4, 3, 3, about);
	uint8_t *ip = rte_pktmbuf_mtod(error, uint8_t *), *quoted = ip + 28;
	unsigned l4_bytes = rte_pktmbuf_data_len(error) - 48;
	uint32_t sum = 0;

	rte_pktmbuf_append(error, 4 + 12);
	memmove(quoted + 24, quoted + 20, l4_bytes);
	memcpy(quoted + 20, option, 4);
	quoted[0] = 0x46;
	quoted[10] = quoted[11] = 0;
	for (unsigned i = 0; i < 24; i += 2)
		sum += (uint32_t)(quoted[i] << 8 | quoted[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	quoted[10] = (uint8_t)(sum >> 8);
	quoted[11] = (uint8_t)sum;
	quoted[24 + 6] ^= 0x5a; /* the checksum of UDP */
	memcpy(quoted + 24 + l4_bytes, "\x20\0\0\0\0\x0c\1\1extn", 12);
	ip[2] = (uint8_t)((20 + 8 + 24 + l4_bytes + 12) >> 8);
	ip[3] = (uint8_t)(20 + 8 + 24 + l4_bytes + 12);
	ip[10] = ip[11] = ip[22] = ip[23] = 0;
	sum = 0;
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	sum = 0;
	for (unsigned i = 20; i < rte_pktmbuf_data_len(error); i++)
		sum += (uint32_t)ip[i] << (i % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	ip[22] = (uint8_t)(~sum >> 8);
	ip[23] = (uint8_t)~sum;
	assert_int_equal(packet_parse(error), 0);
	return error;
}

/* I3b, I3c, I3d: options of the quoted packet are skipped, its transport checksum is not looked
 * at, and extensions behind it stay as they are. */
static void i3b_i3d_odd_quotations(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct rte_mbuf *about = fake_packet(&packet), *error;
	const uint8_t *quoted;
	struct out out;

	packet.payload = 21;
	assert_int_equal(fake_forward(w, about), GRAPH_SEND);
	error = quote_oddly(about, "\x94\4\0\0"); /* router alert */
	out.role = fake_forward(w, error);
	assert_int_equal(out.role, GRAPH_SEAL);
	assert_true(fake_checksums_right(error));
	quoted = rte_pktmbuf_mtod_offset(error, const uint8_t *, 28);
	assert_memory_equal(quoted + 12, "\x64\x40\0\1", 4); /* 100.64.0.1 */
	assert_memory_equal(quoted + 20, "\x94\4\0\0", 4);
	assert_memory_equal(quoted + 24, "\x0f\xa0", 2); /* 4000 */
	assert_memory_equal(quoted + 24 + 8 + 21, "\x20\0\0\0\0\x0c\1\1extn", 12);
	rte_pktmbuf_free(about);
	rte_pktmbuf_free(error);
}

/* I10b, RFC 5508 7.3: a quoted source route would show addresses of the inside. */
static void i10b_no_source_routes_quoted(void **state)
{
	static const char *const options[] = {"\x83\3\4\0", "\x89\3\4\0", "\1\x83\3\4"};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct rte_mbuf *about = fake_packet(&packet);

	assert_int_equal(fake_forward(w, about), GRAPH_SEND);
	for (unsigned i = 0; i < 3; i++) {
		struct rte_mbuf *error = quote_oddly(about, options[i]);

		assert_int_equal(fake_forward(w, error), GRAPH_DROP);
		assert_string_equal(fake_drop_name(packet_of(error)->drop), "icmp_error_bad");
		rte_pktmbuf_free(error);
	}
	rte_pktmbuf_free(about);
}

/* I5: an error from inside leaves with the egress address, and quotes what came from outside. */
static void i5_error_from_inside(void **state)
{
	static const struct {
		uint8_t proto;
		const char *remote, *inside, *outside;
		uint8_t type, code, header;
	} rows[] = {
		{IPPROTO_UDP, REMOTE, "100.64.0.1", V4, 3, 3, 20},
		{IPPROTO_TCP, REMOTE, "100.64.0.1", V4, 3, 3, 20},
		{IPPROTO_ICMP, REMOTE, "100.64.0.1", V4, 11, 1, 20},
		{IPPROTO_UDP, "2001:db8:9::9", "fd00::1", V6, 1, 4, 40},
		{IPPROTO_TCP, "2001:db8:9::9", "fd00::1", V6, 1, 4, 40},
		{IPPROTO_ICMPV6, "2001:db8:9::9", "fd00::1", V6, 3, 1, 40},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet_spec packet = from_peer(rows[i].proto, 4000, rows[i].remote, 80),
				   seen;
		struct out out = run(&packet);
		struct packet_spec back = answer_to(&out);
		struct rte_mbuf *got = fake_packet(&back), *error;
		char src[46], dst[46];

		assert_int_equal(fake_forward(w, got), GRAPH_SEAL);
		error = fake_error(
			1, rows[i].inside, rows[i].remote, rows[i].type, rows[i].code, got);
		assert_int_equal(fake_forward(w, error), GRAPH_SEND);
		assert_true(fake_checksums_right(error));
		fake_read(error, &seen, src, dst);
		assert_string_equal(src, rows[i].outside);
		assert_string_equal(dst, rows[i].remote);
		assert_int_equal(seen.icmp_type, rows[i].type);
		assert_int_equal(
			rte_pktmbuf_mtod(error, uint8_t *)[rows[i].header + 1], rows[i].code);
		rte_pktmbuf_adj(error, rows[i].header + 8);
		packet_of(error)->proto = rows[i].proto;
		assert_true(fake_checksums_right(error));
		fake_read(error, &seen, src, dst);
		assert_string_equal(dst, rows[i].outside);
		assert_int_equal(seen.dport, back.dport);
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(got);
	}
}

/* I3, I3a, I4, I5: bad checksums, and errors about nothing of ours. */
static void i3_i5_bad_and_unmatched_errors(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 80);
	struct rte_mbuf *sent = fake_packet(&packet), *error;

	error = fake_error(WAN, "192.0.2.77", V4, 3, 1, sent);
	assert_int_equal(fake_forward(w, error), GRAPH_DROP);
	assert_string_equal(fake_drop_name(packet_of(error)->drop), "icmp_error_unmatched");
	rte_pktmbuf_free(error);
	assert_int_equal(w->table.live, 0);
	assert_int_equal(fake_forward(w, sent), GRAPH_SEND);
	error = fake_error(WAN, "192.0.2.77", V4, 3, 1, sent);
	rte_pktmbuf_mtod(error, uint8_t *)[23] ^= 1;
	assert_int_equal(fake_forward(w, error), GRAPH_DROP);
	assert_string_equal(fake_drop_name(packet_of(error)->drop), "icmp_error_bad");
	rte_pktmbuf_free(error);
	error = fake_error(WAN, "192.0.2.77", V4, 3, 1, sent);
	rte_pktmbuf_mtod(error, uint8_t *)[28 + 10] ^= 1;
	assert_int_equal(fake_forward(w, error), GRAPH_DROP);
	rte_pktmbuf_free(error);
	/* another peer may not report about this flow */
	error = fake_error(2, "100.64.0.2", V4, 3, 1, sent);
	assert_int_equal(fake_forward(w, error), GRAPH_DROP);
	rte_pktmbuf_free(error);
	rte_pktmbuf_free(sent);
}

/* I6: an error shortly before the end of a flow, of a query's as well, does not put it off. */
static void i6_errors_refresh_nothing(void **state)
{
	static const struct {
		uint8_t proto;
		uint32_t timer_s;
	} rows[] = {{IPPROTO_UDP, 300}, {IPPROTO_ICMP, 60}, {IPPROTO_TCP, 240}};

	for (unsigned i = 0; i < 3; i++) {
		struct packet_spec packet = from_peer(rows[i].proto, 4000, REMOTE, 80);
		struct rte_mbuf *sent = fake_packet(&packet), *error;

		assert_int_equal(fake_forward(w, sent), GRAPH_SEND);
		pass_time((rows[i].timer_s - 1) * 1000);
		error = fake_error(WAN, "192.0.2.77", V4, 3, 1, sent);
		assert_int_equal(fake_forward(w, error), GRAPH_SEAL);
		pass_time(4 * 1000);
		assert_int_equal(w->table.live, 0);
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(sent);
	}
}

/* I10c: source quench, and redirects of another link, reach no peer; I10b: the others do. */
static void i10c_quench_and_redirect_end_here(void **state)
{
	static const struct {
		uint8_t type, role;
	} rows[] = {{4, GRAPH_DROP}, {5, GRAPH_DROP}, {12, GRAPH_SEAL}, {3, GRAPH_SEAL}};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 4000, REMOTE, 80);
	struct rte_mbuf *sent = fake_packet(&packet);

	assert_int_equal(fake_forward(w, sent), GRAPH_SEND);
	for (unsigned i = 0; i < 4; i++) {
		struct rte_mbuf *error = fake_error(WAN, "192.0.2.77", V4, rows[i].type, 0, sent);

		assert_int_equal(fake_forward(w, error), rows[i].role);
		if (rows[i].role == GRAPH_DROP)
			assert_string_equal(
				fake_drop_name(packet_of(error)->drop), "icmp_no_query");
		rte_pktmbuf_free(error);
	}
	rte_pktmbuf_free(sent);
}

/* I11, I10b, I10c: what is neither an error nor a query that we carry: router discovery,
 * information and address mask requests, and what no standard knows. */
static void i11_other_icmp_ends_here(void **state)
{
	static const uint8_t types4[] = {1, 9, 10, 15, 16, 17, 18, 30, 40, 253};
	static const uint8_t types6[] = {130, 131, 132, 138, 139, 140, 143, 200};

	for (unsigned i = 0; i < sizeof(types4) + sizeof(types6); i++) {
		bool v4 = i < sizeof(types4);
		struct packet_spec packet = v4 ? from_peer(IPPROTO_ICMP, 0, REMOTE, 0)
					       : from_peer(IPPROTO_ICMPV6, 0, "2001:db8:9::9", 0);
		struct out out;

		packet.icmp_type = v4 ? types4[i] : types6[i - sizeof(types4)];
		out = run(&packet);
		assert_int_equal(out.role, GRAPH_DROP);
		assert_string_equal(out.drop, "icmp_no_query");
	}
	assert_int_equal(w->table.live, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct packet_spec query = from_peer(IPPROTO_ICMP, (uint16_t)(50 + i), REMOTE, 0);

		query.icmp_type = i == 0 ? 8 : 13; /* echo, timestamp */
		assert_int_equal(run(&query).role, GRAPH_SEND);
	}
}

/* The code of the ICMP error that a refused packet's sender is told; -1 = none. */
static int told(const struct packet_spec *spec, const char *drop)
{
	struct rte_mbuf *mbuf = fake_packet(spec), *reply = NULL;
	const uint8_t *icmp;
	uint8_t role = fake_forward(w, mbuf);
	int code = -1;

	assert_string_equal(fake_drop_name(packet_of(mbuf)->drop), drop);
	w->now_ms += 1000; /* the rate of errors is not what is tested */
	if (role == GRAPH_ICMP)
		reply = flow_tell(w, mbuf, &role);
	if (reply != NULL) {
		assert_int_equal(role, GRAPH_SEAL);
		assert_int_equal(packet_of(reply)->peer, spec->ingress);
		assert_int_equal(packet_parse(reply), 0);
		assert_true(fake_checksums_right(reply));
		icmp = rte_pktmbuf_mtod_offset(reply, const uint8_t *, packet_of(reply)->l4);
		assert_int_equal(icmp[0], packet_of(reply)->family == ADDR_V4 ? 3 : 1);
		code = icmp[1];
		rte_pktmbuf_free(reply);
	}
	rte_pktmbuf_free(mbuf);
	return code;
}

/* I8: the peer has as many flows as it may: 3/13, 1/1. */
static void i8_quota_is_told(void **state)
{
	struct packet_spec four = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct packet_spec six = from_peer(IPPROTO_UDP, 4000, "2001:db8:9::9", 3478);

	w->owner_max = 1;
	assert_int_equal(run(&four).role, GRAPH_SEND);
	assert_int_equal(told(&six, "peer_full"), 1);
	four.sport++;
	assert_int_equal(told(&four, "peer_full"), 13);
	fake_egress_rule(1, 1, 0, NULL);
	w->owner_max = 10;
	assert_int_equal(told(&four, "egress_refused"), 13);
}

/* What the policy refuses: 3/13, 1/1. */
static void policy_is_told(void **state)
{
	struct packet_spec four = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct packet_spec six = from_peer(IPPROTO_UDP, 4000, "2001:db8:9::9", 3478);

	fake_policy(4, 1, 1, NULL, 0, 0, API_DENY);
	assert_int_equal(told(&four, "policy"), 13);
	assert_int_equal(told(&six, "policy"), 1);
}

/* C11: there are no more ports, or no more room: 3/1, 1/3. */
static void c11_exhaustion_is_told(void **state)
{
	static const uint16_t ids[] = {8, 9};
	struct packet_spec four = from_peer(IPPROTO_UDP, 4000, REMOTE, 3478);
	struct packet_spec six = from_peer(IPPROTO_UDP, 4000, "2001:db8:9::9", 3478);

	fake_egress(8, "198.51.100.8", 2048, 2048);
	fake_egress(9, "2001:db8::9", 2048, 2048);
	fake_pool(1, ids, 2);
	assert_int_equal(run(&four).role, GRAPH_SEND);
	assert_int_equal(run(&six).role, GRAPH_SEND);
	four.sport++;
	six.sport++;
	assert_int_equal(told(&four, "ports_exhausted"), 1);
	assert_int_equal(told(&six, "ports_exhausted"), 3);
	w = fake_worker(1);
	fake_exit_node();
	assert_int_equal(run(&four).role, GRAPH_SEND);
	four.sport++;
	w->owner_max = 10;
	assert_int_equal(told(&four, "table_full"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(i1_i2_icmp_queries, setup),
		cmocka_unit_test_setup(i4_i6_error_from_outside, setup),
		cmocka_unit_test_setup(i4_error_from_outside_v6, setup),
		cmocka_unit_test_setup(i3b_i3d_odd_quotations, setup),
		cmocka_unit_test_setup(i10b_no_source_routes_quoted, setup),
		cmocka_unit_test_setup(i5_error_from_inside, setup),
		cmocka_unit_test_setup(i3_i5_bad_and_unmatched_errors, setup),
		cmocka_unit_test_setup(i6_errors_refresh_nothing, setup),
		cmocka_unit_test_setup(i10c_quench_and_redirect_end_here, setup),
		cmocka_unit_test_setup(i11_other_icmp_ends_here, setup),
		cmocka_unit_test_setup(i8_quota_is_told, setup),
		cmocka_unit_test_setup(policy_is_told, setup),
		cmocka_unit_test_setup(c11_exhaustion_is_told, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
