/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "port_rx": polls this worker's queues, reads the Ethernet header, and sorts: what is for
 * the link (ARP, neighbour discovery, needed multicast, other ethertypes) goes to the kernel,
 * datagrams of a registered UDP service to it, everything else to be judged and forwarded.
 */
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <netinet/in.h>
#include <string.h>

#include "common/api/flow.h"
#include "common/base/addr.h"
#include "dataplane/graph/enqueue.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/checksum.h"
#include "dataplane/port/port_drops.h"
#include "dataplane/port/port_rx.h"
#include "dataplane/port/rx_queues.h"

enum {
	BURST = 64,
	PREFETCH = 3,
	ND_FIRST = 133, /* router solicitation .. redirect, RFC 4861 */
	ND_LAST = 137,
};

static uint16_t edges[GRAPH_ROLES];

void port_rx_init(void)
{
	graph_add_source("port_rx");
	for (unsigned role = 0; role < GRAPH_ROLES; role++)
		graph_edge("port_rx", role, &edges[role]);
}

static enum graph_role refuse(struct packet *packet, uint16_t reason)
{
	packet->drop = reason;
	return GRAPH_DROP;
}

/* Link-local control traffic is the kernel's (224.0.0.0/24, ff02::/16); nothing else that goes to
 * many is wanted. */
static enum graph_role sort_v4(const uint8_t *ip, struct packet *packet, bool many)
{
	const uint8_t *dst = ip + 16;

	if (dst[0] == 224 && dst[1] == 0 && dst[2] == 0)
		return GRAPH_PUNT;
	if ((dst[0] & dst[1] & dst[2] & dst[3]) == 0xff)
		return GRAPH_PUNT;
	if (dst[0] >= 224)
		return refuse(packet, DROP(port, MULTICAST));
	if (many)
		return refuse(packet, DROP(port, L2_BROADCAST));
	return GRAPH_FORWARD;
}

static enum graph_role sort_v6(const uint8_t *ip, struct packet *packet, bool many)
{
	const uint8_t *dst = ip + 24;

	if (packet->proto == IPPROTO_ICMPV6 && packet->icmp_type >= ND_FIRST &&
		packet->icmp_type <= ND_LAST &&
		!(packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT)))
		return ip[7] == 255 ? GRAPH_PUNT : refuse(packet, DROP(port, ND_HOP_LIMIT));
	if (dst[0] == 0xff)
		return (dst[1] & 15) == 2 ? GRAPH_PUNT : refuse(packet, DROP(port, MULTICAST));
	if (many)
		return refuse(packet, DROP(port, L2_BROADCAST));
	return GRAPH_FORWARD;
}

static enum graph_role sort_ip(const struct port *port, struct rte_mbuf *mbuf, bool many)
{
	struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint16_t reason = packet_parse(mbuf);
	enum graph_role role;

	if (reason != DROP_NONE)
		return refuse(packet, reason);
	/* A segment that nobody cut up: its sender's or our interface's offloads are on. */
	if (rte_pktmbuf_data_len(mbuf) > port->mtu)
		return refuse(packet, DROP(port, OVER_MTU));
	if (port->partial_checksums)
		checksum_complete(mbuf);
	role = packet->family == ADDR_V6 ? sort_v6(ip, packet, many) : sort_v4(ip, packet, many);
	if (role == GRAPH_FORWARD && packet->proto == IPPROTO_UDP &&
		!(packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT)))
		return graph_udp_role(packet->dport);
	return role;
}

static enum graph_role sort(const struct port *port, struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, const struct rte_ether_hdr *);
	bool many;

	memset(packet, 0, sizeof(*packet));
	packet->ingress = API_IDENT_PORT | port->id;
	packet->port_in = port->id;
	if (unlikely(mbuf->nb_segs != 1 && rte_pktmbuf_linearize(mbuf) != 0))
		return refuse(packet, DROP(packet, SEGMENTS));
	if (rte_pktmbuf_data_len(mbuf) < sizeof(*ether))
		return refuse(packet, DROP(port, RUNT));
	many = rte_is_multicast_ether_addr(&ether->dst_addr);
	if (!many && !rte_is_same_ether_addr(&ether->dst_addr, &port->mac))
		return refuse(packet, DROP(port, OTHER_MAC));
	packet->l2_len = sizeof(*ether);
	rte_pktmbuf_adj(mbuf, sizeof(*ether));
	if (ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return sort_ip(port, mbuf, many);
	return GRAPH_PUNT;
}

static uint16_t poll_queue(
	struct rte_graph *graph, struct rte_node *node, const struct rx_queue *queue)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t next[BURST];
	uint16_t n = rte_eth_rx_burst(queue->port->dpdk, queue->queue, mbufs, BURST);

	if (tap_wants(API_CAPTURE_PORT_IN))
		tap_frames(worker_self()->id, API_CAPTURE_PORT_IN, queue->port->id, mbufs, n);
	for (uint16_t i = 0; i < n && i < PREFETCH; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH], void *));
		next[i] = edges[sort(queue->port, mbufs[i])];
	}
	graph_enqueue(graph, node, (void **)mbufs, next, n);
	return n;
}

static uint16_t port_rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t unused)
{
	struct worker *self = worker_self();
	const struct rx_list *list = rx_queues_of(self->id);
	uint16_t total = 0;

	for (unsigned i = 0; i < list->count; i++)
		total += poll_queue(graph, node, &list->queues[i]);
	self->work += total;
	return total;
}

static struct rte_node_register port_rx_node = {
	.name = "port_rx",
	.flags = RTE_NODE_SOURCE_F,
	.process = port_rx_process,
};
RTE_NODE_REGISTER(port_rx_node);
