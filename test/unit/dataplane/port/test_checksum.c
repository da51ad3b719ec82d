/* SPDX-License-Identifier: BSD-3-Clause */
/* Partial checksums are completed, others left alone; against DPDK's own sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/packet.h"
#include "dataplane/port/checksum.h"

enum { ROOM = 2048, PAYLOAD_MAX = 1400 };

static union {
	struct rte_mbuf mbuf;
	uint8_t bytes[sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE + ROOM];
} box;

/* A random packet of this family and protocol with `payload` bytes behind the layer-4 header;
 * returns its checksum field. */
static uint8_t *make(uint8_t family, uint8_t proto, uint16_t payload)
{
	struct packet *packet = packet_of(&box.mbuf);
	uint16_t l3 = family == ADDR_V6 ? 40 : 20, l4 = proto == IPPROTO_TCP ? 20 : 8;
	uint16_t length = (uint16_t)(l3 + l4 + payload);
	uint8_t *p;

	memset(&box, 0, sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE);
	box.mbuf.buf_addr = box.bytes + sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE;
	box.mbuf.nb_segs = 1;
	box.mbuf.data_len = length;
	box.mbuf.pkt_len = length;
	p = rte_pktmbuf_mtod(&box.mbuf, uint8_t *);
	for (uint16_t i = 0; i < length; i++)
		p[i] = (uint8_t)random();
	p[0] = family == ADDR_V6 ? 0x60 : 0x45;
	p[family == ADDR_V6 ? 6 : 9] = proto;
	if (family == ADDR_V6) {
		p[4] = (uint8_t)((l4 + payload) >> 8);
		p[5] = (uint8_t)(l4 + payload);
	} else {
		p[2] = (uint8_t)(length >> 8);
		p[3] = (uint8_t)length;
	}
	packet->family = family;
	packet->proto = proto;
	packet->l4 = (uint8_t)l3;
	return p + l3 + (proto == IPPROTO_TCP ? 16 : 6);
}

static uint16_t load(const uint8_t *field)
{
	uint16_t value;

	memcpy(&value, field, sizeof(value));
	return value;
}

static uint16_t whole(uint8_t family)
{
	void *ip = rte_pktmbuf_mtod(&box.mbuf, void *);
	uint8_t *l4 = (uint8_t *)ip + packet_of(&box.mbuf)->l4;

	return family == ADDR_V6 ? rte_ipv6_udptcp_cksum(ip, l4) : rte_ipv4_udptcp_cksum(ip, l4);
}

static uint16_t partial(uint8_t family)
{
	void *ip = rte_pktmbuf_mtod(&box.mbuf, void *);

	return family == ADDR_V6 ? rte_ipv6_phdr_cksum(ip, 0) : rte_ipv4_phdr_cksum(ip, 0);
}

static void test_partial(void **state)
{
	srandom(3);
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t family = (random() & 1) != 0 ? ADDR_V4 : ADDR_V6;
		uint8_t proto = (random() & 1) != 0 ? IPPROTO_TCP : IPPROTO_UDP;
		uint8_t *field = make(family, proto, (uint16_t)(random() % PAYLOAD_MAX));
		uint16_t want, sum;

		memset(field, 0, 2);
		want = whole(family);
		sum = partial(family);
		memcpy(field, &sum, sizeof(sum));
		checksum_complete(&box.mbuf);
		assert_int_equal(load(field), want);
		/* It is whole now: a second time changes nothing. */
		if (want == sum)
			continue;
		checksum_complete(&box.mbuf);
		assert_int_equal(load(field), want);
	}
}

static void test_others_stay(void **state)
{
	uint8_t *field = make(ADDR_V4, IPPROTO_UDP, 100);
	uint16_t sum;

	memset(field, 0, 2); /* no checksum at all */
	checksum_complete(&box.mbuf);
	assert_int_equal(load(field), 0);
	memset(field, 0x55, 2);
	checksum_complete(&box.mbuf);
	assert_int_equal(load(field), 0x5555);
	/* Of a fragment only a part is here. */
	sum = partial(ADDR_V4);
	memcpy(field, &sum, sizeof(sum));
	packet_of(&box.mbuf)->flags = PACKET_FIRST_FRAGMENT;
	checksum_complete(&box.mbuf);
	assert_int_equal(load(field), sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_others_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
