/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/bench/traffic.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_udp.h>

#include <errno.h>
#include <string.h>

#include "dataplane/aead/aead.h"
#include "dataplane/graph/packet.h"
#include "dataplane/port/port.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum {
	FLOWS_PER_HOST = 60, /* ports of one inside host, as the peers were measured */
	SERVER_PORT = 5001,
};

static struct rte_mbuf *frame_create(uint16_t port, uint16_t length)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct rte_ether_hdr *ether;

	if (mbuf == NULL)
		rig_die("packet buffers", -ENOMEM);
	ether = (struct rte_ether_hdr *)rte_pktmbuf_append(
		mbuf, (uint16_t)(sizeof(*ether) + length));
	ether->dst_addr = port_get(port)->mac;
	memset(&ether->src_addr, 2, sizeof(ether->src_addr));
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	return mbuf;
}

struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static void udp_write(void *data, uint16_t length, const struct tuple *tuple)
{
	struct rte_ipv4_hdr *ip = data;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length = rte_cpu_to_be_16(length),
		.src_addr = rte_cpu_to_be_32(tuple->src),
		.dst_addr = rte_cpu_to_be_32(tuple->dst)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(tuple->sport),
		.dst_port = rte_cpu_to_be_16(tuple->dport),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)))};
}

/* All over the peers, also if there are fewer flows than peers. */
static unsigned peer_of(const struct traffic *traffic, unsigned flow)
{
	return (unsigned)((uint64_t)flow * traffic->peers / traffic->flows);
}

static struct tuple inside_tuple(const struct traffic *traffic, unsigned flow, unsigned peer)
{
	return (struct tuple){.src = peer == 0 ? RIG_INSIDE_NET + 10 + flow / FLOWS_PER_HOST
					       : RIG_OTHERS_NET + peer,
		.dst = traffic->servers != NULL ? traffic->servers[flow] : RIG_SERVER_ADDR,
		.sport = (uint16_t)(1024 + flow % FLOWS_PER_HOST),
		.dport = SERVER_PORT};
}

void traffic_make_up(
	struct rig *rig, const struct traffic *traffic, struct rte_mbuf **mbufs, unsigned first)
{
	struct aead_packet jobs[RTE_GRAPH_BURST_SIZE];
	uint16_t padded = (uint16_t)RTE_ALIGN(traffic->size, (unsigned)WG_PADDING);
	uint16_t length = (uint16_t)(TRAFFIC_OUTER + WG_DATA_HEADER_SIZE + padded + WG_TAG_SIZE);

	padded = RTE_MIN(padded, (uint16_t)RIG_TUNNEL_MTU);
	length = (uint16_t)(TRAFFIC_OUTER + WG_DATA_HEADER_SIZE + padded + WG_TAG_SIZE);
	for (unsigned i = 0; i < traffic->burst; i++) {
		const struct tuple outer = {
			RIG_CLIENT_ADDR, RIG_WAN_ADDR, RIG_CLIENT_PORT, RIG_LISTEN};
		unsigned flow = (first + i) % traffic->flows, peer = peer_of(traffic, flow);
		struct tuple inner = inside_tuple(traffic, flow, peer);
		struct rig_session *session = &rig->sessions[peer];
		struct rte_mbuf *mbuf = frame_create(RIG_PORT_WAN, length);
		uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, RTE_ETHER_HDR_LEN);
		struct wg_data *data = (struct wg_data *)(ip + TRAFFIC_OUTER);

		udp_write(ip, length, &outer);
		*data = (struct wg_data){.type = WG_TYPE_DATA,
			.receiver = htole32(session->local_index),
			.counter = htole64(session->counter)};
		memset(data + 1, 0, padded);
		udp_write(data + 1, (uint16_t)traffic->size, &inner);
		jobs[i] = (struct aead_packet){.key = rig->key_up,
			.counter = session->counter++,
			.src = (uint8_t *)(data + 1),
			.dst = (uint8_t *)(data + 1),
			.length = padded};
		mbufs[i] = mbuf;
	}
	aead_seal(rig->aead, jobs, traffic->burst);
}

void traffic_make_down(
	struct rig *rig, const struct traffic *traffic, struct rte_mbuf **mbufs, unsigned first)
{
	for (unsigned i = 0; i < traffic->burst; i++) {
		struct tuple tuple = {.src = RIG_SERVER_ADDR,
			.dst = traffic->nat_addr,
			.sport = SERVER_PORT,
			.dport = traffic->nat_ports[(first + i) % traffic->flows]};

		mbufs[i] = frame_create(RIG_PORT_INET, (uint16_t)traffic->size);
		udp_write(rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, RTE_ETHER_HDR_LEN),
			(uint16_t)traffic->size, &tuple);
	}
}

unsigned traffic_collect(struct wire *wire, struct traffic *learn, unsigned first)
{
	struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];
	unsigned n =
		rte_ring_dequeue_burst(wire->from_port, (void **)mbufs, RTE_GRAPH_BURST_SIZE, NULL);

	for (unsigned i = 0; i < n; i++) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(
			mbufs[i], const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);

		if (learn) {
			learn->nat_addr = rte_be_to_cpu_32(ip->src_addr);
			learn->nat_ports[(first + i) % learn->flows] =
				rte_be_to_cpu_16(udp->src_port);
		}
	}
	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}
