/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packet_parse() on any bytes, in a buffer that ends with them, so that reading one too many is
 * seen. The first byte says whether an IPv4 header checksum is made right (else hardly any input
 * comes past it); the rest is the packet. What is accepted must lie within the packet, and a second
 * look must say the same, also by the long way.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/packet.h"

enum { SIZE_MAX_OF_A_PACKET = 2048, MAKE_RIGHT = 1 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Else the first of the reasons would be 0, which means that there is none. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (drop_register(&drop_group_packet) != 0)
		abort();
	return 0;
}

/* An mbuf outside of any pool, its private area behind it, its data elsewhere. */
struct box {
	struct rte_mbuf mbuf;
	uint8_t private_area[PACKET_PRIVATE_SIZE];
};

static void box_init(struct box *box, uint8_t *data, uint16_t size)
{
	memset(box, 0, sizeof(*box));
	box->mbuf.buf_addr = data;
	box->mbuf.buf_len = size;
	box->mbuf.priv_size = PACKET_PRIVATE_SIZE;
	box->mbuf.nb_segs = 1;
	box->mbuf.refcnt = 1;
	box->mbuf.data_len = size;
	box->mbuf.pkt_len = size;
}

static void make_right(uint8_t *ip, size_t size)
{
	size_t header = size != 0 ? (ip[0] & 15U) * 4 : 0;
	uint16_t sum;

	if (header < 20 || header > size || ip[0] >> 4 != 4)
		return;
	memset(ip + 10, 0, sizeof(sum));
	sum = (uint16_t)~rte_raw_cksum(ip, header);
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* What every node behind may rely on. */
static void check(const struct rte_mbuf *mbuf, const struct packet *packet, size_t size)
{
	size_t length = mbuf->data_len, need = 0;

	if (length > size || mbuf->pkt_len != length)
		abort();
	if (packet->family != ADDR_V4 && packet->family != ADDR_V6)
		abort();
	if (packet->l4 < (packet->family == ADDR_V4 ? 20 : 40) || packet->l4 > length)
		abort();
	if ((packet->flags & PACKET_FRAGMENT) != 0) {
		if (packet->sport != 0 || packet->dport != 0)
			abort();
		return;
	}
	if (packet->proto == IPPROTO_TCP)
		need = 20;
	else if (packet->proto == IPPROTO_UDP || packet->proto == IPPROTO_ICMP ||
		 packet->proto == IPPROTO_ICMPV6)
		need = 8;
	if (packet->l4 + need > length)
		abort();
	if ((packet->flags & PACKET_ICMP_ERROR) != 0 &&
		packet->l4 + 8U + (packet->family == ADDR_V4 ? 20 : 40) > length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct box box;
	struct packet first;
	uint8_t *packet;
	uint16_t reason;

	if (size == 0 || size > SIZE_MAX_OF_A_PACKET)
		return 0;
	packet = malloc(size); /* one more than is used, since malloc(0) may be anything */
	if (packet == NULL)
		return 0;
	memcpy(packet + 1, data + 1, size - 1);
	if ((data[0] & MAKE_RIGHT) != 0)
		make_right(packet + 1, size - 1);
	box_init(&box, packet + 1, (uint16_t)(size - 1));
	reason = packet_parse(&box.mbuf);
	if (reason == DROP_NONE) {
		first = *packet_of(&box.mbuf);
		check(&box.mbuf, &first, size - 1);
		if (packet_parse(&box.mbuf) != DROP_NONE ||
			memcmp(&first, packet_of(&box.mbuf), sizeof(first)) != 0)
			abort();
	}
	free(packet);
	return 0;
}
