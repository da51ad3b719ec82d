/* SPDX-License-Identifier: BSD-3-Clause */
/* Each kind of malformed packet has its own drop reason; what is well-formed is read right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/packet.h"

enum { ROOM = 2048, HEADROOM = 128 };

/* An mbuf outside of any pool. */
static union {
	struct rte_mbuf mbuf;
	uint8_t bytes[sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE + ROOM];
} box;

static struct rte_mbuf *load(const uint8_t *data, uint16_t length)
{
	memset(&box, 0, sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE);
	box.mbuf.buf_addr = box.bytes + sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE;
	box.mbuf.buf_len = ROOM;
	box.mbuf.priv_size = PACKET_PRIVATE_SIZE;
	box.mbuf.data_off = HEADROOM;
	box.mbuf.nb_segs = 1;
	box.mbuf.refcnt = 1;
	box.mbuf.data_len = length;
	box.mbuf.pkt_len = length;
	memcpy(rte_pktmbuf_mtod(&box.mbuf, void *), data, length);
	return &box.mbuf;
}

static void finish_v4(uint8_t *p)
{
	uint16_t sum;

	p[10] = p[11] = 0;
	sum = (uint16_t)~rte_raw_cksum(p, (p[0] & 15U) * 4);
	memcpy(p + 10, &sum, 2);
}

/* 192.0.2.1 -> 198.51.100.7, UDP 1000 -> 2000, 12 bytes of payload. */
static uint16_t make_v4(uint8_t *p)
{
	static const uint8_t packet[40] = {0x45, 0, 0, 40, 0, 1, 0, 0, 64, IPPROTO_UDP, 0, 0, 192,
		0, 2, 1, 198, 51, 100, 7, 0x03, 0xe8, 0x07, 0xd0, 0, 20, 0, 0};

	memcpy(p, packet, sizeof(packet));
	finish_v4(p);
	return sizeof(packet);
}

/* 2001:db8::1 -> 2001:db8::2, TCP 1000 -> 2000, a bare header. */
static uint16_t make_v6(uint8_t *p)
{
	static const uint8_t packet[60] = {0x60, 0, 0, 0, 0, 20, IPPROTO_TCP, 64, 0x20, 1, 0xd,
		0xb8, [23] = 1, 0x20, 1, 0xd, 0xb8, [39] = 2, 0x03, 0xe8, 0x07, 0xd0, [52] = 0x50};

	memcpy(p, packet, sizeof(packet));
	return sizeof(packet);
}

/* Puts an extension header of `length` bytes and kind `kind` behind the IPv6 header. */
static uint16_t extend(uint8_t *p, uint16_t n, uint8_t kind, uint16_t length)
{
	memmove(p + 40 + length, p + 40, n - 40U);
	memset(p + 40, 0, length);
	p[40] = p[6];
	p[41] = (uint8_t)(length / 8 - 1);
	p[6] = kind;
	n = (uint16_t)(n + length);
	p[4] = (uint8_t)((n - 40) >> 8);
	p[5] = (uint8_t)(n - 40);
	return n;
}

/* Each turns a good packet of n bytes into something else and returns its new length. */
#define SPOIL(name) static uint16_t name(uint8_t *p, uint16_t n)

SPOIL(keep)
{
	return n;
}
SPOIL(version)
{
	p[0] = 0x55;
	return n;
}
SPOIL(empty)
{
	return 0;
}
SPOIL(v4_short)
{
	return 19;
}
SPOIL(v4_header_small)
{
	p[0] = 0x44;
	return n;
}
SPOIL(v4_header_big)
{
	p[0] = 0x4f;
	return n;
}
SPOIL(v4_total_small)
{
	p[3] = 19;
	finish_v4(p);
	return n;
}
SPOIL(v4_cut)
{
	return (uint16_t)(n - 1);
}
SPOIL(v4_checksum)
{
	p[8]--;
	return n;
}
SPOIL(v4_option_long)
{
	p[0] = 0x46;
	memcpy(p + 20, (const uint8_t[]){0x07, 0x05, 0x00, 0x00}, 4);
	finish_v4(p);
	return n;
}
SPOIL(v4_option_zero)
{
	p[0] = 0x46;
	memcpy(p + 20, (const uint8_t[]){0x07, 0x00, 0x00, 0x00}, 4);
	finish_v4(p);
	return n;
}
SPOIL(v4_source_route)
{
	p[0] = 0x46;
	memcpy(p + 20, (const uint8_t[]){0x83, 0x03, 0x04, 0x00}, 4);
	finish_v4(p);
	return n;
}
SPOIL(v4_source_multicast)
{
	p[12] = 224;
	finish_v4(p);
	return n;
}
SPOIL(v4_source_loopback)
{
	p[12] = 127;
	finish_v4(p);
	return n;
}
SPOIL(v4_destination_zero)
{
	memset(p + 16, 0, 4);
	finish_v4(p);
	return n;
}
SPOIL(v4_fragment_odd)
{
	p[6] = 0x20;
	p[3] = 39;
	finish_v4(p);
	return n;
}
SPOIL(v4_fragment_empty)
{
	p[6] = 0;
	p[7] = 1;
	p[3] = 20;
	finish_v4(p);
	return n;
}
SPOIL(v4_fragment_overflow)
{
	p[6] = 0x1f;
	p[7] = 0xff;
	finish_v4(p);
	return n;
}
SPOIL(v4_fragment_tiny)
{
	p[9] = IPPROTO_TCP;
	p[6] = 0x20;
	p[3] = 36;
	finish_v4(p);
	return n;
}
SPOIL(v4_tcp_short)
{
	p[9] = IPPROTO_TCP;
	p[3] = 39;
	finish_v4(p);
	return n;
}
SPOIL(v4_tcp_offset)
{
	p[9] = IPPROTO_TCP;
	p[32] = 0x40;
	finish_v4(p);
	return n;
}
SPOIL(v4_udp_short)
{
	p[3] = 27;
	finish_v4(p);
	return n;
}
SPOIL(v4_udp_long)
{
	p[25] = 21;
	return n;
}
SPOIL(v4_udp_small)
{
	p[25] = 7;
	return n;
}
SPOIL(v4_icmp_short)
{
	p[9] = IPPROTO_ICMP;
	p[20] = 8;
	p[3] = 27;
	finish_v4(p);
	return n;
}
SPOIL(v4_icmp_error_short)
{
	p[9] = IPPROTO_ICMP;
	p[20] = 3;
	finish_v4(p);
	return n;
}
SPOIL(v4_icmp6)
{
	p[9] = IPPROTO_ICMPV6;
	finish_v4(p);
	return n;
}
SPOIL(v6_short)
{
	return 39;
}
SPOIL(v6_cut)
{
	return (uint16_t)(n - 1);
}
SPOIL(v6_jumbo)
{
	p[4] = p[5] = 0;
	p[6] = IPPROTO_HOPOPTS;
	return n;
}
SPOIL(v6_source_multicast)
{
	p[8] = 0xff;
	return n;
}
SPOIL(v6_destination_loopback)
{
	memset(p + 24, 0, 15);
	p[39] = 1;
	return n;
}
SPOIL(v6_many_extensions)
{
	for (int i = 0; i < 9; i++)
		n = extend(p, n, IPPROTO_DSTOPTS, 8);
	return n;
}
SPOIL(v6_long_extensions)
{
	return extend(p, n, IPPROTO_DSTOPTS, 256);
}
SPOIL(v6_extension_cut)
{
	n = extend(p, n, IPPROTO_DSTOPTS, 8);
	p[41] = 4;
	return n;
}
SPOIL(v6_hop_by_hop_late)
{
	n = extend(p, n, IPPROTO_HOPOPTS, 8);
	return extend(p, n, IPPROTO_DSTOPTS, 8);
}
SPOIL(v6_routing_0)
{
	n = extend(p, n, IPPROTO_ROUTING, 8);
	p[43] = 1;
	return n;
}
SPOIL(v6_two_fragments)
{
	n = extend(p, n, IPPROTO_FRAGMENT, 8);
	return extend(p, n, IPPROTO_FRAGMENT, 8);
}
SPOIL(v6_fragment_odd)
{
	n = extend(p, n, IPPROTO_FRAGMENT, 8);
	p[43] = 1;
	return n;
}
SPOIL(v6_icmp4)
{
	p[6] = IPPROTO_ICMP;
	return n;
}

typedef uint16_t (*spoil_fn)(uint8_t *p, uint16_t n);

static void test_malformed(void **state)
{
	const struct {
		const char *name;
		int family;
		spoil_fn spoil;
		uint16_t reason;
	} rows[] = {
		{"v4", 4, keep, DROP_NONE},
		{"v6", 6, keep, DROP_NONE},
		{"version", 4, version, DROP(packet, VERSION)},
		{"empty", 4, empty, DROP(packet, SHORT)},
		{"v4 short", 4, v4_short, DROP(packet, SHORT)},
		{"v4 header small", 4, v4_header_small, DROP(packet, HEADER_LENGTH)},
		{"v4 header big", 4, v4_header_big, DROP(packet, HEADER_LENGTH)},
		{"v4 total small", 4, v4_total_small, DROP(packet, TOTAL_LENGTH)},
		{"v4 cut", 4, v4_cut, DROP(packet, CUT)},
		{"v4 checksum", 4, v4_checksum, DROP(packet, CHECKSUM)},
		{"v4 option long", 4, v4_option_long, DROP(packet, OPTIONS)},
		{"v4 option zero", 4, v4_option_zero, DROP(packet, OPTIONS)},
		{"v4 source route", 4, v4_source_route, DROP(packet, SOURCE_ROUTE)},
		{"v4 source multicast", 4, v4_source_multicast, DROP(packet, SOURCE)},
		{"v4 source loopback", 4, v4_source_loopback, DROP(packet, SOURCE)},
		{"v4 destination zero", 4, v4_destination_zero, DROP(packet, DESTINATION)},
		{"v4 fragment odd", 4, v4_fragment_odd, DROP(packet, FRAGMENT_LENGTH)},
		{"v4 fragment empty", 4, v4_fragment_empty, DROP(packet, FRAGMENT_LENGTH)},
		{"v4 fragment overflow", 4, v4_fragment_overflow, DROP(packet, FRAGMENT_OVERFLOW)},
		{"v4 fragment tiny", 4, v4_fragment_tiny, DROP(packet, FRAGMENT_TINY)},
		{"v4 tcp short", 4, v4_tcp_short, DROP(packet, TCP)},
		{"v4 tcp offset", 4, v4_tcp_offset, DROP(packet, TCP)},
		{"v4 udp short", 4, v4_udp_short, DROP(packet, UDP)},
		{"v4 udp long", 4, v4_udp_long, DROP(packet, UDP)},
		{"v4 udp small", 4, v4_udp_small, DROP(packet, UDP)},
		{"v4 icmp short", 4, v4_icmp_short, DROP(packet, ICMP)},
		{"v4 icmp error short", 4, v4_icmp_error_short, DROP(packet, ICMP)},
		{"v4 icmp6", 4, v4_icmp6, DROP(packet, ICMP_FAMILY)},
		{"v6 short", 6, v6_short, DROP(packet, SHORT)},
		{"v6 cut", 6, v6_cut, DROP(packet, CUT)},
		{"v6 jumbo", 6, v6_jumbo, DROP(packet, JUMBO)},
		{"v6 source multicast", 6, v6_source_multicast, DROP(packet, SOURCE)},
		{"v6 destination", 6, v6_destination_loopback, DROP(packet, DESTINATION)},
		{"v6 many extensions", 6, v6_many_extensions, DROP(packet, EXTENSIONS)},
		{"v6 long extensions", 6, v6_long_extensions, DROP(packet, EXTENSIONS)},
		{"v6 extension cut", 6, v6_extension_cut, DROP(packet, EXTENSION_CUT)},
		{"v6 hop-by-hop late", 6, v6_hop_by_hop_late, DROP(packet, EXTENSION_ORDER)},
		{"v6 routing 0", 6, v6_routing_0, DROP(packet, SOURCE_ROUTE)},
		{"v6 two fragments", 6, v6_two_fragments, DROP(packet, EXTENSION_ORDER)},
		{"v6 fragment odd", 6, v6_fragment_odd, DROP(packet, FRAGMENT_LENGTH)},
		{"v6 icmp4", 6, v6_icmp4, DROP(packet, ICMP_FAMILY)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t p[1024] = {0};
		uint16_t n = rows[i].family == 4 ? make_v4(p) : make_v6(p), reason;

		reason = packet_parse(load(p, rows[i].spoil(p, n)));
		if (reason != rows[i].reason)
			fail_msg("%s: %u instead of %u", rows[i].name, reason, rows[i].reason);
	}
}

static void test_fields_v4(void **state)
{
	uint8_t p[1024] = {0};
	uint16_t n = make_v4(p);
	struct rte_mbuf *mbuf = load(p, (uint16_t)(n + 6)); /* Ethernet padding */
	struct packet *packet = packet_of(mbuf);

	assert_int_equal(packet_parse(mbuf), DROP_NONE);
	assert_int_equal(rte_pktmbuf_data_len(mbuf), n);
	assert_int_equal(rte_pktmbuf_pkt_len(mbuf), n);
	assert_int_equal(packet->family, ADDR_V4);
	assert_int_equal(packet->proto, IPPROTO_UDP);
	assert_int_equal(packet->l4, 20);
	assert_int_equal(packet->sport, 1000);
	assert_int_equal(packet->dport, 2000);
	assert_int_equal(packet->flags, 0);
}

static void test_fields_v6_behind_extensions(void **state)
{
	uint8_t p[1024] = {0};
	uint16_t n = make_v6(p);
	struct packet *packet;

	n = extend(p, n, IPPROTO_DSTOPTS, 16);
	n = extend(p, n, IPPROTO_HOPOPTS, 8);
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->family, ADDR_V6);
	assert_int_equal(packet->proto, IPPROTO_TCP);
	assert_int_equal(packet->l4, 64);
	assert_int_equal(packet->sport, 1000);
	assert_int_equal(packet->dport, 2000);
}

static void test_fragments(void **state)
{
	uint8_t p[1024] = {0};
	uint16_t n = make_v4(p);
	struct packet *packet;

	p[6] = 0x20; /* first, 16 bytes and more to come */
	p[3] = 36;
	p[25] = 200;
	finish_v4(p);
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->flags, PACKET_FIRST_FRAGMENT);
	assert_int_equal(packet->dport, 2000);

	p[6] = 0;
	p[7] = 2; /* last, at byte 16 */
	finish_v4(p);
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->flags, PACKET_FRAGMENT);
	assert_int_equal(packet->dport, 0);

	/* An atomic fragment is a whole packet (RFC 6946). */
	n = make_v6(p);
	n = extend(p, n, IPPROTO_FRAGMENT, 8);
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->flags, 0);
	assert_int_equal(packet->proto, IPPROTO_TCP);

	p[43] = 8; /* a later one: its layer 4 is elsewhere */
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->flags, PACKET_FRAGMENT);
	assert_int_equal(packet->sport, 0);
}

static void test_icmp(void **state)
{
	uint8_t p[1024] = {0};
	uint16_t n = make_v4(p);
	struct packet *packet;

	p[9] = IPPROTO_ICMP;
	p[20] = 8;
	p[24] = 0x12;
	p[25] = 0x34;
	finish_v4(p);
	packet = packet_of(load(p, n));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->icmp_type, 8);
	assert_int_equal(packet->sport, 0x1234);
	assert_int_equal(packet->dport, 0x1234);
	assert_int_equal(packet->flags, 0);

	p[20] = 11;
	p[3] = 48;
	finish_v4(p);
	packet = packet_of(load(p, 48));
	assert_int_equal(packet_parse(&box.mbuf), DROP_NONE);
	assert_int_equal(packet->flags, PACKET_ICMP_ERROR);
	assert_int_equal(packet->sport, 0);
}

/* Whatever comes in, reading it stays within it and what goes on is consistent. */
static void test_random(void **state)
{
	uint8_t p[256];

	srandom(7);
	for (unsigned round = 0; round < 200000; round++) {
		uint16_t n, length;
		struct rte_mbuf *mbuf;

		memset(p, 0, sizeof(p));
		n = (random() & 1) != 0 ? make_v4(p) : make_v6(p);
		n = (p[0] >> 4 == 6 && (random() & 1) != 0)
			    ? extend(p, n, (uint8_t)(random() % 61), 8)
			    : n;
		for (unsigned k = 0; k < 3; k++)
			p[random() % n] = (uint8_t)random();
		if (p[0] >> 4 == 4 && (random() & 3) != 0 && (p[0] & 15U) * 4 <= n)
			finish_v4(p);
		length = (random() & 3) == 0 ? (uint16_t)(random() % n) : n;
		mbuf = load(p, length);
		if (packet_parse(mbuf) != DROP_NONE)
			continue;
		assert_true(packet_of(mbuf)->l4 <= rte_pktmbuf_data_len(mbuf));
		assert_true(rte_pktmbuf_data_len(mbuf) <= length);
		assert_true(
			packet_of(mbuf)->family == ADDR_V4 || packet_of(mbuf)->family == ADDR_V6);
	}
}

static int register_drops(void **state)
{
	return drop_register(&drop_group_packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_fields_v4),
		cmocka_unit_test(test_fields_v6_behind_extensions),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_icmp),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, register_drops, NULL);
}
