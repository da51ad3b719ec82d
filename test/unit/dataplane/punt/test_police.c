/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes of punted packets, and their token buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/addr.h"
#include "dataplane/punt/punt_priv.h"

DROP_GROUP_DEFINE(punt, PUNT_DROPS);

/* A buffer as the packet pool has it, with the layer-2 header before data. */
struct buffer {
	struct rte_mbuf mbuf;
	struct packet packet;
	uint8_t room[128];
};

static void fill(struct buffer *b, const uint8_t *frame, size_t length)
{
	memset(b, 0, sizeof(*b));
	memcpy(b->room, frame, length);
	b->mbuf.buf_addr = b->room;
	b->mbuf.priv_size = sizeof(b->packet);
	b->mbuf.data_off = RTE_ETHER_HDR_LEN;
	b->mbuf.data_len = (uint16_t)(length - RTE_ETHER_HDR_LEN);
	packet_of(&b->mbuf)->l2_len = RTE_ETHER_HDR_LEN;
}

struct row {
	const char *what;
	uint8_t dst_mac0;
	uint16_t type;
	uint8_t family, proto, icmp_type;
	uint16_t dport;
	uint8_t dst0; /* first byte of the destination address */
	enum punt_class class;
};

static const struct row rows[] = {
	{"arp request", 0xff, 0x0806, 0, 0, 0, 0, 0, PUNT_ARP},
	{"arp reply", 0x02, 0x0806, 0, 0, 0, 0, 0, PUNT_ARP},
	{"lldp", 0x01, 0x88cc, 0, 0, 0, 0, 0, PUNT_MULTICAST},
	{"ns", 0x33, 0x86dd, ADDR_V6, 58, 135, 0, 0xff, PUNT_ND},
	{"na, unicast", 0x02, 0x86dd, ADDR_V6, 58, 136, 0, 0xfe, PUNT_ND},
	{"ra", 0x33, 0x86dd, ADDR_V6, 58, 134, 0, 0xff, PUNT_ND},
	{"redirect", 0x02, 0x86dd, ADDR_V6, 58, 137, 0, 0xfe, PUNT_ND},
	{"icmpv6 138 is no nd", 0x02, 0x86dd, ADDR_V6, 58, 138, 0, 0xfe, PUNT_HOST},
	{"icmpv4 135 is no nd", 0x02, 0x0800, ADDR_V4, 1, 135, 0, 192, PUNT_HOST},
	{"mld", 0x33, 0x86dd, ADDR_V6, 58, 143, 0, 0xff, PUNT_MULTICAST},
	{"dhcp offer", 0xff, 0x0800, ADDR_V4, 17, 0, 68, 255, PUNT_DHCP},
	{"dhcpv6", 0x02, 0x86dd, ADDR_V6, 17, 0, 546, 0xfe, PUNT_DHCP},
	{"tcp to 68 is no dhcp", 0x02, 0x0800, ADDR_V4, 6, 0, 68, 192, PUNT_HOST},
	{"vrrp", 0x01, 0x0800, ADDR_V4, 112, 0, 0, 224, PUNT_MULTICAST},
	{"subnet broadcast", 0xff, 0x0800, ADDR_V4, 17, 0, 137, 192, PUNT_MULTICAST},
	{"echo", 0x02, 0x0800, ADDR_V4, 1, 8, 0, 192, PUNT_HOST},
	{"ssh", 0x02, 0x86dd, ADDR_V6, 6, 0, 22, 0x20, PUNT_HOST},
};

static void test_classify(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint8_t frame[64] = {row->dst_mac0};
		struct buffer b;

		frame[12] = (uint8_t)(row->type >> 8);
		frame[13] = (uint8_t)row->type;
		frame[14 + (row->family == ADDR_V6 ? 24 : 16)] = row->dst0;
		fill(&b, frame, sizeof(frame));
		b.packet.family = row->family;
		b.packet.proto = row->proto;
		b.packet.icmp_type = row->icmp_type;
		b.packet.dport = row->dport;
		if (punt_classify(&b.mbuf) != row->class)
			fail_msg("%s: class %d, expected %d", row->what, punt_classify(&b.mbuf),
				row->class);
	}
}

/* Nothing before data may be read when the packet came from a tunnel. */
static void test_classify_without_l2(void **state)
{
	uint8_t frame[64];
	struct buffer b;

	memset(frame, 0xff, sizeof(frame));
	frame[14 + 16] = 192;
	fill(&b, frame, sizeof(frame));
	b.packet.l2_len = 0;
	b.packet.family = ADDR_V4;
	b.packet.proto = 1;
	assert_int_equal(punt_classify(&b.mbuf), PUNT_HOST);
}

static unsigned admitted(
	struct punt_policer *policer, enum punt_class class, uint64_t now_ms, unsigned tries)
{
	unsigned n = 0;

	while (tries-- > 0)
		n += punt_admit(policer, class, now_ms);
	return n;
}

static void test_policer(void **state)
{
	struct punt_policer policer;

	punt_policer_init(&policer, 1000);
	/* the burst, then nothing; another class has its own */
	assert_int_equal(admitted(&policer, PUNT_ARP, 1000, 10000), 200);
	assert_int_equal(admitted(&policer, PUNT_ND, 1000, 10000), 200);
	/* the rate: 1000 a second */
	assert_int_equal(admitted(&policer, PUNT_ARP, 1010, 10000), 10);
	assert_int_equal(admitted(&policer, PUNT_ARP, 1011, 10000), 1);
	/* 100 a second: one in ten milliseconds, fractions are kept */
	assert_int_equal(admitted(&policer, PUNT_DHCP, 1011, 10000), 50);
	assert_int_equal(admitted(&policer, PUNT_DHCP, 1016, 10000), 0);
	assert_int_equal(admitted(&policer, PUNT_DHCP, 1021, 10000), 1);
	/* a long pause fills to the burst, not beyond */
	assert_int_equal(admitted(&policer, PUNT_ARP, UINT64_C(1) << 40, 10000), 200);
}

static void test_reasons(void **state)
{
	drop_group_punt.base = 100;
	for (unsigned i = 0; i < PUNT_CLASSES; i++) {
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(punt_police_reason(i), punt_police_reason(j));
	}
	assert_string_equal(
		drop_group_punt.reasons[punt_police_reason(PUNT_HOST) - 100].name, "rate_host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classify),
		cmocka_unit_test(test_classify_without_l2),
		cmocka_unit_test(test_policer),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
