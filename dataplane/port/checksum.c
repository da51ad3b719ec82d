/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/checksum.h"

#include <rte_ip.h>

#include <netinet/in.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/packet.h"

enum { TCP_CHECKSUM_AT = 16, UDP_CHECKSUM_AT = 6 };

/* Sum of the pseudo-header (RFC 793 3.1, RFC 8200 8.1), folded, not complemented. */
static uint16_t sum_pseudo(const uint8_t *ip, uint8_t family, uint8_t proto, uint32_t length)
{
	uint32_t sum;

	if (family == ADDR_V6)
		sum = rte_raw_cksum(ip + 8, 32);
	else
		sum = rte_raw_cksum(ip + 12, 8);
	sum += rte_cpu_to_be_16(proto);
	sum += rte_cpu_to_be_16((uint16_t)length);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void checksum_complete(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint32_t length = rte_pktmbuf_data_len(mbuf) - packet->l4;
	uint8_t *field = ip + packet->l4;
	uint16_t was, pseudo;
	uint32_t sum;

	if (packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT))
		return;
	if (packet->proto == IPPROTO_TCP)
		field += TCP_CHECKSUM_AT;
	else if (packet->proto == IPPROTO_UDP)
		field += UDP_CHECKSUM_AT;
	else
		return;
	memcpy(&was, field, sizeof(was));
	pseudo = sum_pseudo(ip, packet->family, packet->proto, length);
	if (was != pseudo)
		return;
	/* The field holds the pseudo-header's sum: summing all of it up is the whole sum. */
	sum = (uint16_t)~rte_raw_cksum(ip + packet->l4, length);
	if (sum == 0 && packet->proto == IPPROTO_UDP)
		sum = 0xffff;
	was = (uint16_t)sum;
	memcpy(field, &was, sizeof(was));
}
