/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP segment of a connection that the gateway knows nothing of (any more), and cannot carry
 * without changing its port: its sender is told as by a host that has no such connection (RFC 9293
 * 3.10.7.1), as if by the other end, whose addresses and ports it has. Worker.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "dataplane/flow/flow_priv.h"
#include "dataplane/port/port.h"

enum { TTL = 64 };

/* Sequence numbers that the segment takes up. */
static uint32_t segment_length(struct rte_mbuf *mbuf, const struct rte_tcp_hdr *tcp)
{
	uint32_t head = packet_of(mbuf)->l4 + (uint32_t)(tcp->data_off >> 4) * 4;
	uint32_t bytes = rte_pktmbuf_data_len(mbuf);

	return (bytes > head ? bytes - head : 0) + ((tcp->tcp_flags & RTE_TCP_SYN_FLAG) != 0) +
	       ((tcp->tcp_flags & RTE_TCP_FIN_FLAG) != 0);
}

static void write_tcp(struct rte_mbuf *mbuf, struct rte_tcp_hdr *reply)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(mbuf, const struct rte_tcp_hdr *, packet_of(mbuf)->l4);

	*reply = (struct rte_tcp_hdr){
		.src_port = tcp->dst_port,
		.dst_port = tcp->src_port,
		.data_off = sizeof(*reply) / 4 << 4,
		.tcp_flags = RTE_TCP_RST_FLAG,
	};
	if ((tcp->tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
		reply->sent_seq = tcp->recv_ack;
		return;
	}
	reply->tcp_flags |= RTE_TCP_ACK_FLAG;
	reply->recv_ack =
		rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + segment_length(mbuf, tcp));
}

static void write_v4(struct rte_mbuf *mbuf, struct rte_ipv4_hdr *reply)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, const struct rte_ipv4_hdr *);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(reply + 1);

	*reply = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(sizeof(*reply) + sizeof(*tcp)),
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = ip->dst_addr,
		.dst_addr = ip->src_addr,
	};
	write_tcp(mbuf, tcp);
	tcp->cksum = rte_ipv4_udptcp_cksum(reply, tcp);
	reply->hdr_checksum = rte_ipv4_cksum(reply);
}

static void write_v6(struct rte_mbuf *mbuf, struct rte_ipv6_hdr *reply)
{
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(mbuf, const struct rte_ipv6_hdr *);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(reply + 1);

	*reply = (struct rte_ipv6_hdr){
		.vtc_flow = rte_cpu_to_be_32(6u << 28),
		.payload_len = rte_cpu_to_be_16(sizeof(*tcp)),
		.proto = IPPROTO_TCP,
		.hop_limits = TTL,
	};
	memcpy(reply->src_addr, ip->dst_addr, sizeof(reply->src_addr));
	memcpy(reply->dst_addr, ip->src_addr, sizeof(reply->dst_addr));
	write_tcp(mbuf, tcp);
	tcp->cksum = rte_ipv6_udptcp_cksum(reply, tcp);
}

struct rte_mbuf *flow_reset(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	bool v4 = packet->family == ADDR_V4;
	uint8_t header = v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	struct rte_mbuf *reply = rte_pktmbuf_alloc(packet_pool());
	char *data;

	if (reply == NULL)
		return NULL;
	data = rte_pktmbuf_append(reply, (uint16_t)(header + sizeof(struct rte_tcp_hdr)));
	if (data == NULL) {
		rte_pktmbuf_free(reply);
		return NULL;
	}
	*packet_of(reply) = (struct packet){
		.ingress = packet->ingress,
		.peer = packet->ingress,
		.family = packet->family,
		.proto = IPPROTO_TCP,
		.l4 = header,
	};
	if (v4)
		write_v4(mbuf, (struct rte_ipv4_hdr *)data);
	else
		write_v6(mbuf, (struct rte_ipv6_hdr *)data);
	return reply;
}
