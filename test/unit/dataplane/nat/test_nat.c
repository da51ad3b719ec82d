/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The behaviour that RFC 4787, 5382, 5508, 6888 and 7857 ask of a NAT, packet by packet. Names
 * start with the requirement's number in docs/conformance/nat.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/nat/nat.h"
#include "test/unit/dataplane/flow/fakes.h"

#define WAN    (API_IDENT_PORT | PORT_WAN)
#define V4     "198.51.100.1"
#define V6     "2001:db8::1"
#define REMOTE "203.0.113.9"
#define OTHER  "203.0.113.10"

static struct flow_worker *w;

/* A packet after it went through. */
struct out {
	uint8_t role;
	struct packet_spec seen;
	char src[46], dst[46];
	bool right; /* its checksums */
	uint32_t peer;
	const char *drop;
};

static int setup(void **state)
{
	fake_exit_node();
	w = fake_worker(16384);
	return 0;
}

static struct out run_mbuf(struct rte_mbuf *mbuf)
{
	struct out out = {.role = fake_forward(w, mbuf)};

	fake_read(mbuf, &out.seen, out.src, out.dst);
	out.right = fake_checksums_right(mbuf);
	out.peer = packet_of(mbuf)->peer;
	out.drop = fake_drop_name(packet_of(mbuf)->drop);
	rte_pktmbuf_free(mbuf);
	return out;
}

static struct out run(const struct packet_spec *spec)
{
	return run_mbuf(fake_packet(spec));
}

static struct packet_spec from_peer(uint8_t proto, uint16_t sport, const char *dst, uint16_t dport)
{
	return (struct packet_spec){.ingress = 1,
		.src = strchr(dst, ':') != NULL ? "fd00::1" : "100.64.0.1",
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = proto == IPPROTO_ICMPV6 ? 128 : 8};
}

/* The answer to a packet as it went out. */
static struct packet_spec answer_to(const struct out *out)
{
	return (struct packet_spec){.ingress = WAN,
		.src = out->dst,
		.dst = out->src,
		.sport = out->seen.dport,
		.dport = out->seen.sport,
		.proto = out->seen.proto,
		.payload = 33,
		.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
		.icmp_type = out->seen.proto == IPPROTO_ICMPV6 ? 129 : 0};
}

static void open_tcp(struct packet_spec *out, struct packet_spec *in);

static void pass_time(uint32_t ms)
{
	w->now_ms += ms;
	while (flow_tend(w))
		;
}

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

/* U2, C2, B5: a subscriber keeps its address; many subscribers use all of them. */
static void u2_pooling_is_paired(void **state)
{
	static const uint16_t ids[] = {1, 2, 3, 4};
	unsigned used[256] = {0};
	unsigned addresses = 0;

	fake_egress(3, "198.51.100.3", 1024, 65535);
	fake_egress(4, "198.51.100.4", 1024, 65535);
	fake_pool(1, ids, 4);
	for (uint32_t peer = 1; peer < FAKE_PEERS; peer++) {
		struct nat_asked asked = {.set_id = 1, .subscriber = peer};
		const struct nat_address *first, *again;
		uint16_t options;

		assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
		assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
		first = nat_select(fake_copy, &asked, &options);
		assert_int_equal(addr_parse(OTHER, &asked.dst), 0);
		assert_int_equal(addr_parse("100.64.0.7", &asked.src), 0);
		again = nat_select(fake_copy, &asked, &options);
		assert_non_null(first);
		assert_ptr_equal(first, again);
		used[nat_address_addr(first)->bytes[3]]++;
	}
	for (unsigned i = 0; i < 256; i++)
		addresses += used[i] > 5;
	assert_int_equal(addresses, 3);
}

/* U3, T7: never one outside port for two inside ones. U4: parity. */
static void u3_u4_no_overloading_and_parity_kept(void **state)
{
	static uint8_t taken[65536];
	struct packet_spec packet = from_peer(IPPROTO_UDP, 2000, REMOTE, 3478);

	memset(taken, 0, sizeof(taken));
	for (unsigned i = 0; i < 4000; i++, packet.sport++) {
		struct out out = run(&packet);

		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.seen.sport % 2, packet.sport % 2);
		assert_true(out.seen.sport >= 1024);
		assert_false(taken[out.seen.sport]);
		taken[out.seen.sport] = 1;
	}
}

/* U3a: sources below 1024 have such a port outside, as long as there are any, and nobody else has;
 * identifiers of queries are no ports. */
static void u3a_port_class_is_kept(void **state)
{
	static const uint16_t ids[] = {9};
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};
	static uint8_t taken[65536];
	struct packet_spec last = from_peer(IPPROTO_UDP, 7, REMOTE, 2049);

	fake_egress(9, "198.51.100.9", 1, 65535);
	fake_pool(1, ids, 1);
	w->owner_max = UINT32_MAX;
	for (unsigned p = 0; p < 2; p++) {
		unsigned low = 0;

		memset(taken, 0, sizeof(taken));
		for (uint16_t i = 1; i < 1024; i++) {
			struct packet_spec packet = from_peer(protos[p], i, REMOTE, 2049), high;
			struct out out = run(&packet);

			assert_int_equal(out.role, GRAPH_SEND);
			assert_in_range(out.seen.sport, 1, 1023);
			assert_int_equal(taken[out.seen.sport]++, 0);
			low += out.seen.sport % 2 == i % 2;
			high = from_peer(protos[p], (uint16_t)(1023 + i), REMOTE, 2049);
			out = run(&high);
			assert_true(out.seen.sport >= 1024);
			assert_int_equal(taken[out.seen.sport]++, 0);
			w->now_ms += 1; /* room for half-open ones comes with their answers only */
			w->half_open = w->peers[1].half_open = 0;
		}
		assert_int_equal(low, 1023);
	}
	last.ingress = 2;
	last.src = "100.64.0.2";
	assert_true(run(&last).seen.sport >= 1024); /* there are no more below */
}

/* A share without them gives the others. */
static void u3a_no_low_ports_in_a_share(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 500, REMOTE, 500);

	assert_in_range(run(&packet).seen.sport, 1024, 65535);
}

/* C13: when the blocks are all somebody's, what is left in them is given to others, to the last
 * port: twice as many users as blocks, each with half a block. */
static void c13_all_ports_are_used(void **state)
{
	enum { BLOCKS = 1008, EACH = 32, PORTS = BLOCKS * NAT_BLOCK_PORTS };
	static uint32_t mapping[PORTS];
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};
	struct nat_wanted wanted = {.proto = IPPROTO_UDP, .options = API_EGRESS_ANY_PARITY};
	unsigned given = 0, users = 0;
	struct nat_figures figures;
	struct nat_worker *nat;
	uint16_t options, port;

	assert_int_equal(nat_worker_create(&nat, 0, 70000), 0);
	assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
	assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
	wanted.address = nat_select(fake_copy, &asked, &options);
	wanted.inside = asked.src;
	for (uint32_t user = 1; user <= 2 * BLOCKS; user++) {
		unsigned before = given;

		for (uint16_t i = 0; i < EACH; i++) {
			wanted.subscriber = user;
			wanted.inside.bytes[2] = (uint8_t)(user >> 8);
			wanted.inside.bytes[3] = (uint8_t)user;
			wanted.port = (uint16_t)(2000 + i);
			mapping[given] = nat_map(nat, &wanted, &port);
			given += mapping[given] != 0;
		}
		users += given - before == EACH;
	}
	assert_int_equal(given, PORTS);
	assert_int_equal(users, 2 * BLOCKS);
	wanted.port = 1999;
	assert_int_equal(nat_map(nat, &wanted, &port), 0);
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.blocks_used, BLOCKS);
	for (unsigned i = 0; i < PORTS; i++)
		nat_unmap(nat, mapping[i]);
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.blocks_used, 0);
	nat_worker_destroy(&nat);
}

/* B11, C15: ports are not handed out in order. */
static void b11_ports_are_random(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 2000, REMOTE, 3478);
	unsigned in_order = 0;
	uint16_t last = 0;

	for (unsigned i = 0; i < 200; i++, packet.sport += 2) {
		struct out out = run(&packet);

		in_order += out.seen.sport == (uint16_t)(last + 2);
		last = out.seen.sport;
	}
	assert_true(in_order < 40);
}

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

/* A UDP checksum that becomes zero is sent as all ones (RFC 768). */
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

/* I7/C11: no free port: refused and counted, nothing evicted. */
static void c11_exhaustion_evicts_nobody(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 3000, REMOTE, 3478);
	struct nat_figures figures;
	struct out out;

	fake_egress(9, "198.51.100.9", 2048, 2048 + 127);
	fake_pool(1, ids, 1);
	for (unsigned i = 0; i < 128; i++, packet.sport++)
		assert_int_equal(run(&packet).role, GRAPH_SEND);
	out = run(&packet);
	assert_int_equal(out.role, GRAPH_ICMP);
	assert_string_equal(out.drop, "ports_exhausted");
	assert_int_equal(w->table.live, 128);
	assert_true(nat_figures(9, &figures));
	assert_int_equal(figures.mappings, 128);
	assert_int_equal(figures.blocks_used, 2);
	assert_int_equal(figures.refused, 1);
	/* another protocol has its own ports (B6) */
	packet.proto = IPPROTO_TCP;
	assert_int_equal(run(&packet).role, GRAPH_SEND);
	pass_time(302 * 1000);
	packet.proto = IPPROTO_UDP;
	assert_int_equal(run(&packet).role, GRAPH_SEND);
	assert_true(nat_figures(9, &figures));
	assert_int_equal(figures.blocks_used, 1);
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

/* B5: whose address has no port left is refused, though another of the pool has some. */
static void b5_pooling_stays_paired_at_the_end(void **state)
{
	static const uint16_t ids[] = {8, 9};
	const char *address = NULL, *other = NULL;
	uint32_t stranger = 0;

	fake_egress(8, "198.51.100.8", 2048, 2048);
	fake_egress(9, "198.51.100.9", 2048, 2048);
	fake_pool(1, ids, 2);
	for (uint32_t peer = 1; peer < FAKE_PEERS && stranger == 0; peer++) {
		struct nat_asked asked = {.set_id = 1, .subscriber = peer};
		uint16_t options;
		const struct nat_address *paired;

		assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
		assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
		paired = nat_select(fake_copy, &asked, &options);
		other = nat_address_id(paired) == 8 ? "198.51.100.8" : "198.51.100.9";
		if (peer == 1)
			address = other;
		else if (address != other)
			stranger = peer;
	}
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
		struct packet_spec packet = from_peer(protos[i], 4000, REMOTE, 3478);

		assert_string_equal(run(&packet).src, address);
		packet.sport++;
		assert_string_equal(run(&packet).drop, "ports_exhausted");
		fake_peer(stranger, 1, "100.64.0.9", NULL);
		packet.ingress = stranger;
		packet.src = "100.64.0.9";
		assert_string_equal(run(&packet).src, other);
	}
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

/* The share need not begin or end with a block. */
static void ports_stay_in_the_share(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 3000, REMOTE, 3478);
	unsigned passed = 0;

	fake_egress(9, "198.51.100.9", 2100, 2299);
	fake_pool(1, ids, 1);
	for (unsigned i = 0; i < 300; i++, packet.sport++) {
		struct out out = run(&packet);

		if (out.role != GRAPH_SEND)
			continue;
		assert_in_range(out.seen.sport, 2100, 2299);
		passed++;
	}
	assert_int_equal(passed, 200);
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

/* Port blocks under random taking and giving, against a bitmap. */
static void blocks_are_the_model(void **state)
{
	static uint32_t mapping[4096];
	static uint16_t port_of[4096];
	static uint8_t taken[65536];
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};
	struct nat_wanted wanted = {.proto = IPPROTO_UDP};
	struct nat_worker *nat;
	unsigned live = 0;
	uint16_t options;
	struct nat_figures figures;

	memset(taken, 0, sizeof(taken));
	assert_int_equal(nat_worker_create(&nat, 0, 4096), 0);
	assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
	assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
	wanted.address = nat_select(fake_copy, &asked, &options);
	wanted.inside = asked.src;
	srand(6056);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned n = (unsigned)rand() % 4096;

		if (mapping[n] == 0) {
			wanted.port = (uint16_t)(n + 1);
			wanted.subscriber = 1 + n % 13;
			mapping[n] = nat_map(nat, &wanted, &port_of[n]);
			assert_int_not_equal(mapping[n], 0);
			assert_false(taken[port_of[n]]);
			taken[port_of[n]] = 1;
			live++;
			assert_int_equal(
				nat_port_owner(wanted.address, IPPROTO_UDP, port_of[n]), 0);
		} else {
			nat_unmap(nat, mapping[n]);
			mapping[n] = 0;
			taken[port_of[n]] = 0;
			live--;
		}
	}
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.mappings, live);
	for (unsigned n = 0; n < 4096; n++) {
		if (mapping[n] != 0)
			nat_unmap(nat, mapping[n]);
	}
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.mappings, 0);
	assert_int_equal(figures.blocks_used, 0);
	nat_worker_destroy(&nat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(u1_t1_mapping_is_endpoint_independent, setup),
		cmocka_unit_test_setup(u2_pooling_is_paired, setup),
		cmocka_unit_test_setup(u3_u4_no_overloading_and_parity_kept, setup),
		cmocka_unit_test_setup(u3a_port_class_is_kept, setup),
		cmocka_unit_test_setup(u3a_no_low_ports_in_a_share, setup),
		cmocka_unit_test_setup(c13_all_ports_are_used, setup),
		cmocka_unit_test_setup(b11_ports_are_random, setup),
		cmocka_unit_test_setup(u5_u6_udp_timer, setup),
		cmocka_unit_test_setup(u5a_dns_is_shorter, setup),
		cmocka_unit_test_setup(u5b_timers_are_configurable, setup),
		cmocka_unit_test_setup(b9_rst_does_not_refresh, setup),
		cmocka_unit_test_setup(u8_t3_filtering_is_by_address_and_port, setup),
		cmocka_unit_test_setup(checksums_are_right, setup),
		cmocka_unit_test_setup(udp_checksum_never_becomes_none, setup),
		cmocka_unit_test_setup(i1_i2_icmp_queries, setup),
		cmocka_unit_test_setup(i4_i6_error_from_outside, setup),
		cmocka_unit_test_setup(i4_error_from_outside_v6, setup),
		cmocka_unit_test_setup(i5_error_from_inside, setup),
		cmocka_unit_test_setup(i3b_i3d_odd_quotations, setup),
		cmocka_unit_test_setup(i10b_no_source_routes_quoted, setup),
		cmocka_unit_test_setup(i3_i5_bad_and_unmatched_errors, setup),
		cmocka_unit_test_setup(i6_errors_refresh_nothing, setup),
		cmocka_unit_test_setup(i10c_quench_and_redirect_end_here, setup),
		cmocka_unit_test_setup(i11_other_icmp_ends_here, setup),
		cmocka_unit_test_setup(t5_b2_tcp_timers, setup),
		cmocka_unit_test_setup(t2a_simultaneous_open, setup),
		cmocka_unit_test_setup(b3_rst_keeps_state, setup),
		cmocka_unit_test_setup(t4_unsolicited_syn_is_silent, setup),
		cmocka_unit_test_setup(tcp_from_the_middle_is_refused, setup),
		cmocka_unit_test_setup(mss_is_clamped, setup),
		cmocka_unit_test_setup(c11_exhaustion_evicts_nobody, setup),
		cmocka_unit_test_setup(b5_pooling_stays_paired_at_the_end, setup),
		cmocka_unit_test_setup(i8_quota_is_told, setup),
		cmocka_unit_test_setup(policy_is_told, setup),
		cmocka_unit_test_setup(c11_exhaustion_is_told, setup),
		cmocka_unit_test_setup(ports_stay_in_the_share, setup),
		cmocka_unit_test_setup(refused_without_an_address, setup),
		cmocka_unit_test_setup(masquerade_withdrawn_cuts_the_flow, setup),
		cmocka_unit_test_setup(deleted_address_cuts_its_flows, setup),
		cmocka_unit_test_setup(smaller_share_cuts_its_flows, setup),
		cmocka_unit_test_setup(other_protocols_are_refused, setup),
		cmocka_unit_test_setup(bad_messages_are_refused, setup),
		cmocka_unit_test_setup(blocks_are_the_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
