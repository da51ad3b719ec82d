/* SPDX-License-Identifier: BSD-3-Clause */
/* What a sender is told: ICMP errors and resets, their form, and about what there are none. */
#include "dataplane/flow/icmp_error.h"
#include "test/unit/dataplane/flow/passage.h"

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
		cmocka_unit_test_setup(icmp_error_is_well_formed, setup),
		cmocka_unit_test_setup(icmp_error_quotes_what_fits, setup),
		cmocka_unit_test_setup(icmp_error_has_the_class, setup),
		cmocka_unit_test_setup(icmp_errors_are_not_about_everything, setup),
		cmocka_unit_test_setup(reset_is_well_formed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
